//! The organization's settings.

use domain::organizations::Organization;
use leptos::prelude::*;

use crate::{error::AppError, frame::Done};

/// The settings of the organization that is looked at.
#[server(prefix = "/console", endpoint = "organizations/settings")]
pub async fn load_settings() -> Result<Organization, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let permit = cx.permit(Act::ReadOrganization)?;
        store::organizations::get(&cx.store, permit.org()).await.known()
    })
    .await
}

/// Changes them.
#[server(prefix = "/console", endpoint = "organizations/edit")]
pub async fn edit_organization(
    version: i64,
    name: String,
    time_zone: String,
    week_start: String,
    default_user_limit: String,
    budget_status: String,
    contact: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{names::Name, roles::Act};
    use store::organizations::Settings;
    handle(|cx| async move {
        let permit = cx.permit(Act::EditOrganization)?;
        let settings = Settings {
            name: read("name", &name)?,
            time_zone: time_zone.trim().to_owned(),
            week_start: read("week_start", &week_start)?,
            default_user_limit: read_some("default_user_limit", &default_user_limit)?,
            budget_status: read("budget_status", &budget_status)?,
            contact: read_some::<Name>("contact", &contact)?.map(String::from),
        };
        let mut change = cx.change(permit).await?;
        store::organizations::update(&mut change, version, &settings).await.known()?;
        change.commit().await.known()?;
        Ok(Done::said("Settings saved."))
    })
    .await
}
