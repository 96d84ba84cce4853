//! The first page.

use domain::{audit::AuditRow, spend::SpendPage};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{api::setup::Steps, error::AppError};

/// Everything on the first page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overview {
    /// The organization's month.
    pub spend: SpendPage,
    /// First steps that are still open.
    pub steps: Steps,
    /// Models that wait for review: id and name.
    pub reviews: Vec<(String, String)>,
    /// Limits that are near or over: what, where it is, per cent.
    pub near: Vec<domain::spend::LimitLevel>,
    /// Applications with live secrets nobody used for long, secrets that were reported as leaked, and
    /// applications whose owner is suspended.
    pub neglected: (i64, i64, i64),
    /// The last changes.
    pub changes: Vec<AuditRow>,
}

/// The first page of those who see the whole organization.
#[server(prefix = "/console", endpoint = "overview")]
pub async fn load_overview() -> Result<Overview, AppError> {
    use crate::backend::*;
    use domain::{
        models::Review,
        roles::Act,
        spend::{Range, View},
    };
    use store::spend::{Look, Of};
    handle(|cx| async move {
        let org = cx.permit(Act::ReadOrganization)?.org();
        let facts = store::access::current(&cx.store, org).await.known()?;
        let models = store::models::list(&cx.store, org).await.known()?;
        let near = store::limits::near(&cx.store, org, &facts, 80, 6).await.known()?;
        let month = Look { view: View::Attributed, range: Range::Month, month: None, own: None, by: None };
        Ok(Overview {
            spend: store::spend::page(&cx.store, org, Of::Organization, month).await.known()?,
            steps: crate::api::setup::load_steps().await?,
            reviews: models
                .iter()
                .filter(|model| model.review == Review::Pending)
                .map(|model| (model.id.to_string(), model.name.clone()))
                .collect(),
            near,
            neglected: {
                let since = store::clock::now() - chrono::Duration::days(domain::keys::UNUSED_DAYS);
                let found = store::applications::neglected(&cx.store, org, since).await.known()?;
                (found.unused, found.leaked, found.owner_away)
            },
            changes: store::audit::list(&cx.store, org, &Default::default(), 8).await.known()?,
        })
    })
    .await
}
