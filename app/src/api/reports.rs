//! Allocation: what every group spent in a month, and closing a month.

use domain::reports::{MonthRow, Report};
use leptos::prelude::*;

use crate::{error::AppError, frame::Done};

/// Every month, the newest first.
#[server(prefix = "/console", endpoint = "reports/months")]
pub async fn load_months() -> Result<Vec<MonthRow>, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let org = cx.permit(Act::ReadOrganization)?.org();
        store::reports::months(&cx.store, org, cx.calendar().await?).await.known()
    })
    .await
}

/// The report of a month: `2026-11`. Some hundred groups from the one that `after` counts on; with
/// `all`, every group, to be printed.
#[server(prefix = "/console", endpoint = "reports/get")]
pub async fn load_report(
    month: String,
    #[server(default)] after: String,
    #[server(default)] all: bool,
) -> Result<Report, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    const PAGE: usize = 200;
    handle(|cx| async move {
        let org = cx.permit(Act::ReadOrganization)?.org();
        let month = reports::month(&month)?;
        let report = store::reports::get(&cx.store, org, cx.calendar().await?, month).await.known()?;
        let first = after.parse().unwrap_or_default();
        Ok(if all { report } else { report.page(first, PAGE) })
    })
    .await
}

/// Closes a month for good.
#[server(prefix = "/console", endpoint = "reports/close")]
pub async fn close_month(month: String, #[server(default)] typed: String) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let permit = cx.permit(Act::KeepBooks)?;
        let day = reports::month(&month)?;
        typed_out(&typed, &day.format("%B %Y").to_string())?;
        let calendar = cx.calendar().await?;
        let mut change = cx.change(permit).await?;
        store::reports::close(&mut change, calendar, day).await.known()?;
        change.commit().await.known()?;
        Ok(Done::said(format!("{} is closed.", day.format("%B %Y"))).then(format!("/reports/{month}")))
    })
    .await
}
