//! How a group uses models.

use domain::{analytics::Analytics, recommendations::Recommendation};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::AppError;

/// The analytics of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupAnalytics {
    /// The figures.
    pub analytics: Analytics,
    /// What they suggest.
    pub recommendations: Vec<Recommendation>,
}

/// The analytics of a group, with everything below it.
#[server(prefix = "/console", endpoint = "analytics/get")]
pub async fn load_analytics(group: String) -> Result<GroupAnalytics, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    use store::alerts::Sees;
    handle(|cx| async move {
        let group = group.parse().map_err(|_| AppError::NotFound)?;
        let org = cx.permit_in(Act::ReadGroup, group).await?.org();
        Ok(GroupAnalytics {
            analytics: store::analytics::page(&cx.store, org, group).await.known()?,
            recommendations: store::recommendations::list(&cx.store, org, &Sees::All, Some(group))
                .await
                .known()?,
        })
    })
    .await
}
