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

/// Puts one aside until its figures are others. `figures`: as they were shown.
#[server(prefix = "/console", endpoint = "recommendations/dismiss")]
pub async fn dismiss_recommendation(
    topic: String,
    figures: String,
    reason: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    handle(|cx| async move {
        let mut change = cx.change(cx.permit_on(&topic).await?).await?;
        store::recommendations::dismiss(&mut change, &topic, &figures, &reason).await.known()?;
        change.commit().await.known()?;
        Ok(Done::said("Put aside. It comes back when its figures change.")
            .then("/recommendations")
            .undone_by(ways_back::recommendation(&topic, &figures)))
    })
    .await
}

/// Brings a recommendation back that was put aside with these figures.
#[server(prefix = "/console", endpoint = "recommendations/restore")]
pub async fn restore_recommendation(topic: String, figures: String) -> Result<Done, AppError> {
    use crate::backend::*;
    handle(|cx| async move {
        let mut change = cx.change(cx.permit_on(&topic).await?).await?;
        store::recommendations::restore(&mut change, &topic, &figures).await.known()?;
        change.commit().await.known()?;
        Ok(Done::said("Undone: it is recommended again."))
    })
    .await
}
