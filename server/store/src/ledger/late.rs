//! Calls that are booked after the month they were made in was closed: they count in the report of
//! the month that is next, and are noted in the transaction that books them.

use chrono::{Datelike, Months, NaiveDate};
use domain::{ids::OrgId, spend::Outcome, window::Calendar};
use serde::Serialize;
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use super::{Event, partition_day};
use crate::{Result, clock, reports::last_closed};

/// A row of `late_calls`, by its columns.
#[derive(Serialize)]
struct Row {
    org_id: Uuid,
    call_id: Uuid,
    day: NaiveDate,
    of_month: NaiveDate,
    month: NaiveDate,
    path_id: Uuid,
    set_id: Uuid,
    application_id: Uuid,
    user_id: Uuid,
    model_id: Uuid,
    failed: i64,
    spend: i64,
    input: u64,
    cache_read: u64,
    cache_write: u64,
    output: u64,
    reasoning: u64,
}

/// Notes those of some new calls that are late: each with the names of its path and its set.
pub(super) async fn note<'a>(
    db: &mut PgConnection,
    org: OrgId,
    calendar: Calendar,
    calls: impl Iterator<Item = (&'a Event, Uuid, Uuid)>,
) -> Result<()> {
    let first = |day: NaiveDate| day.with_day(1).unwrap_or(day);
    // Only a month that is over can be closed: mostly there is nothing to ask for.
    let running = first(calendar.day(clock::now()));
    let earlier: Vec<_> = calls
        .map(|(event, path_id, set_id)| (event, path_id, set_id, first(calendar.day(event.call.started_at))))
        .filter(|(.., of_month)| *of_month < running)
        .collect();
    if earlier.is_empty() {
        return Ok(());
    }
    let Some(last) = last_closed(db, org).await? else { return Ok(()) };
    let month = last.checked_add_months(Months::new(1)).unwrap_or(last);
    let rows: Vec<Row> = earlier
        .into_iter()
        .filter(|(.., of_month)| *of_month <= last)
        .map(|(event, path_id, set_id, of_month)| {
            let Event { call, usage, .. } = event;
            Row {
                org_id: org.0,
                call_id: call.id.0,
                day: partition_day(call.started_at),
                of_month,
                month,
                path_id,
                set_id,
                application_id: call.application.0,
                user_id: call.user.map_or(Uuid::nil(), |user| user.0),
                model_id: call.model.0,
                failed: i64::from(event.outcome == Outcome::UpstreamError),
                spend: event.cost.0,
                input: usage.input + usage.audio_input,
                cache_read: usage.cache_read,
                cache_write: usage.cache_write + usage.cache_write_long,
                output: usage.output + usage.audio_output,
                reasoning: usage.reasoning,
            }
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "insert into late_calls select * from jsonb_populate_recordset(null::late_calls, $1) on conflict do nothing",
        Json(&rows) as _,
    )
    .execute(db)
    .await?;
    Ok(())
}
