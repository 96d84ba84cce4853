//! Recommendations.

use domain::recommendations::Recommendation;
use leptos::prelude::*;

use crate::{error::AppError, frame::Done};

/// What the figures suggest, for those who may do it: everything, or what concerns the groups somebody
/// leads.
#[server(prefix = "/console", endpoint = "recommendations/list")]
pub async fn load_recommendations() -> Result<Vec<Recommendation>, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    use store::alerts::Sees;
    handle(|cx| async move {
        let actor = cx.actor()?;
        let sees = match cx.permit(Act::ReadOrganization) {
            Ok(_) => Sees::All,
            Err(refused) if actor.leads.is_empty() => return Err(refused),
            Err(_) => Sees::Some(actor.user.ok_or(AppError::NotFound)?, actor.leads.clone()),
        };
        store::recommendations::list(&cx.store, cx.org()?, &sees, None).await.known()
    })
    .await
}

/// Puts one aside until its figures are others.
#[server(prefix = "/console", endpoint = "recommendations/dismiss")]
pub async fn dismiss_recommendation(topic: String, reason: String) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let org = cx.org()?;
        let permit = match store::recommendations::group_of(&cx.store, org, &topic).await.known()? {
            Some(group) => cx.permit_in(Act::ReviewAccess, group).await?,
            None => cx.permit(Act::ReviewAccess)?,
        };
        let mut change = cx.change(permit).await?;
        store::recommendations::dismiss(&mut change, &topic, &reason).await.known()?;
        change.commit().await.known()?;
        Ok(Done::said("Put aside. It comes back when its figures change.").then("/recommendations"))
    })
    .await
}
