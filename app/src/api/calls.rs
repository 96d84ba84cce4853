//! The last calls.

use domain::spend::CallRow;
use leptos::prelude::*;

use crate::error::AppError;

/// The last calls of the organization, or of one application, person or model.
#[server(prefix = "/console", endpoint = "calls/list")]
pub async fn load_calls(application: String, user: String, model: String) -> Result<Vec<CallRow>, AppError> {
    use crate::backend::*;
    use domain::{
        ids::{ApplicationId, ModelId, UserId},
        roles::Act,
    };
    handle(|cx| async move {
        let application: Option<ApplicationId> =
            read_some("application", &application).map_err(|_| AppError::NotFound)?;
        let user: Option<UserId> = read_some("user", &user).map_err(|_| AppError::NotFound)?;
        let model: Option<ModelId> = read_some("model", &model).map_err(|_| AppError::NotFound)?;
        let org = match application {
            Some(application) => cx.permit_for(Act::ReadGroup, application).await?.org(),
            None => cx.permit(Act::ReadOrganization)?.org(),
        };
        let which = store::rollups::Which { application, user, model, ..Default::default() };
        store::rollups::calls(&cx.store, org, &which, store::clock::now(), 100).await.known()
    })
    .await
}
