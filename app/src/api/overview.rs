//! The first page.

use domain::{audit::AuditRow, spend::SpendPage};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::AppError;

/// Everything on the first page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overview {
    /// The organization's month.
    pub spend: SpendPage,
    /// Which first steps are done.
    pub steps: FirstSteps,
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

/// Which first steps are done: whether there is any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstSteps {
    /// A provider.
    pub provider: bool,
    /// A model.
    pub model: bool,
    /// A group.
    pub group: bool,
    /// An application.
    pub application: bool,
    /// A call that went through.
    pub call: bool,
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
        let month = Look { view: View::Attributed, range: Range::Month, month: None, own: None, by: None };
        let since = store::clock::now() - chrono::Duration::days(domain::keys::UNUSED_DAYS);
        let all = Default::default();
        // None needs what another finds: the page takes as long as the longest of them.
        let (census, near, spend, neglected, changes) = tokio::try_join!(
            store::census::current(&cx.store, org),
            store::limits::near(&cx.store, org, &facts, 80, 6),
            store::spend::page(&cx.store, org, Of::Organization, month),
            store::applications::neglected(&cx.store, org, since),
            store::audit::list(&cx.store, org, &all, 8),
        )
        .known()?;
        let waits =
            facts.models.iter().filter(|(_, model)| !model.archived && model.review == Review::Pending);
        let mut reviews: Vec<(String, String)> =
            waits.map(|(id, model)| (id.to_string(), model.name.clone())).collect();
        reviews.sort_by_key(|(_, name)| name.to_lowercase());
        Ok(Overview {
            steps: FirstSteps {
                provider: facts.providers.values().any(|provider| !provider.archived),
                model: facts.models.values().any(|model| !model.archived),
                group: census.whole.groups > 0,
                application: census.whole.applications > 0,
                // Where nobody can look, nobody is asked to make a first call.
                call: spend.calls.as_ref().is_none_or(|calls| !calls.is_empty()),
            },
            spend,
            reviews,
            near,
            neglected: (neglected.unused, neglected.leaked, neglected.owner_away),
            changes,
        })
    })
    .await
}
