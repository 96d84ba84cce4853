//! Spend.

use domain::spend::SpendPage;
use leptos::prelude::*;

use crate::error::AppError;

/// The spend page of a group, or of the organization. `month`: `2026-11`, or empty for this one.
#[server(prefix = "/console", endpoint = "spend/page")]
pub async fn load_spend(group: String, view: String, month: String) -> Result<SpendPage, AppError> {
    use crate::backend::*;
    use chrono::NaiveDate;
    use domain::ids::GroupId;
    use domain::{roles::Act, spend::View};
    handle(|cx| async move {
        let group: Option<GroupId> =
            if group.is_empty() { None } else { Some(group.parse().map_err(|_| AppError::NotFound)?) };
        let permit = match group {
            Some(group) => cx.permit_in(Act::ReadGroup, group).await?,
            None => cx.permit(Act::ReadOrganization)?,
        };
        let view =
            if view == View::Members.as_str() && group.is_some() { View::Members } else { View::Attributed };
        let month = if month.is_empty() {
            None
        } else {
            Some(
                NaiveDate::parse_from_str(&format!("{month}-01"), "%Y-%m-%d")
                    .map_err(|_| AppError::NotFound)?,
            )
        };
        store::rollups::page(&cx.store, permit.org(), group, view, month).await.known()
    })
    .await
}
