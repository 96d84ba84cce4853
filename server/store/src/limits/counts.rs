//! What a limit has counted: what its window holds is counted anew from the books.

use domain::{
    ids::OrgId,
    limits::{Meter, Metric},
    window::{Calendar, Span, Window},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Change, Result, windows};

/// Counts a meter's current window anew from the ledger. Finished calls that are being booked at
/// this moment wait until this has committed, so that none is missed or counted twice.
pub(crate) async fn recount(change: &mut Change, meter: &Meter, calendar: Calendar) -> Result<()> {
    if meter.metric == Metric::ConcurrentCalls {
        return Ok(());
    }
    let (org, at) = (change.org(), change.at());
    windows::hold_bookings(change.db(), org).await?;
    let span = calendar.span(meter.window, at);
    let used = used(change.db(), org, meter, span).await?;
    let (kind, thing, person) = meter.scope.parts();
    sqlx::query!(
        "insert into windows as w (org_id, scope_kind, thing_id, person_id, metric, window_kind, starts_at, ends_at, settled)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         on conflict (org_id, scope_kind, thing_id, person_id, metric, window_kind, starts_at)
             do update set settled = excluded.settled",
        org.0,
        kind.as_str(),
        thing,
        person,
        meter.metric.as_str(),
        meter.window.as_str(),
        span.start,
        span.end,
        used,
    )
    .execute(change.db())
    .await?;
    Ok(())
}

/// Counts every limit's current window anew, and everybody's month: the calendar changed.
pub(crate) async fn recount_all(change: &mut Change, calendar: Calendar) -> Result<()> {
    let (org, at) = (change.org(), change.at());
    windows::hold_bookings(change.db(), org).await?;
    windows::lock_current(change.db(), org, at).await?;
    let rows = sqlx::query!(
        "select scope_kind, thing_id, person_id, metric, window_kind from limits where org_id = $1",
        org.0
    )
    .fetch_all(change.db())
    .await?;
    for row in rows {
        let meter = super::meter_of(
            (row.scope_kind.as_str(), row.thing_id, row.person_id),
            &row.metric,
            &row.window_kind,
        )?;
        recount(change, &meter, calendar).await?;
    }
    let month = calendar.span(Window::Month, change.at());
    sqlx::query!(
        "insert into windows as w (org_id, scope_kind, thing_id, person_id, metric, window_kind, starts_at, ends_at, settled)
         select e.org_id, 'user', e.user_id, '00000000-0000-0000-0000-000000000000', 'spend', 'month', $2, $3, sum(e.cost)
         from events e
         where e.org_id = $1 and e.user_id is not null and e.started_at >= $2 and e.day >= ($2 at time zone 'UTC')::date
         group by e.org_id, e.user_id
         on conflict (org_id, scope_kind, thing_id, person_id, metric, window_kind, starts_at)
             do update set settled = excluded.settled",
        org.0,
        month.start,
        month.end,
    )
    .execute(change.db())
    .await?;
    Ok(())
}

/// What the ledger says a meter has used in a window. Of days that the ledger has let go of, the sums by
/// day say it; they do not know by which rule or grant a call was let through.
pub(crate) async fn used(db: &mut PgConnection, org: OrgId, meter: &Meter, span: Span) -> Result<i64> {
    let (kind, thing, person) = meter.scope.parts();
    let sums = sqlx::query!(
        r#"with whole as (
               -- The first day of the organization that the ledger has in full.
               select s.first_day + 1 as day, (s.first_day + 1)::timestamp at time zone o.time_zone as at, o.time_zone
               from ledger_start s, organizations o where o.org_id = $1 and $2 < (s.first_day + 1)::timestamp at time zone o.time_zone
           ), gone as (
               select sum(d.spend) as spend, sum(d.calls) as calls, sum(d.input + d.cache_read + d.cache_write) as input,
                      sum(d.output + d.reasoning) as output
               from whole, usage_by_day d
               where d.org_id = $1 and d.day < whole.day and d.day >= ($2 at time zone whole.time_zone)::date
                 and ($3::timestamptz is null or d.day < ($3 at time zone whole.time_zone)::date)
                 and case $4::text
                         when 'organization' then true
                         when 'group' then d.path_id in (select path_id from group_paths where org_id = $1 and groups @> array[$5::uuid])
                         when 'application' then d.application_id = $5
                         when 'user' then d.user_id = $5
                         when 'member' then d.user_id = $6
                              and d.path_id in (select path_id from group_paths where org_id = $1 and groups @> array[$5::uuid])
                         else false
                     end
           )
           select (coalesce(sum(e.cost), 0) + coalesce((select spend from gone), 0))::bigint as "spend!",
                  (count(*) + coalesce((select calls from gone), 0))::bigint as "requests!",
                  (coalesce(sum(e.input + e.cache_read + e.cache_write + e.cache_write_long + e.audio_input), 0)
                   + coalesce((select input from gone), 0))::bigint as "input!",
                  (coalesce(sum(e.output + e.reasoning + e.audio_output), 0) + coalesce((select output from gone), 0))::bigint as "output!"
           from events e
           where e.org_id = $1 and e.started_at >= coalesce((select at from whole), '-infinity')
             and e.started_at >= $2 and e.day >= ($2 at time zone 'UTC')::date
             and ($3::timestamptz is null or e.started_at < $3)
             and case $4::text
                     when 'organization' then true
                     when 'group' then e.path_id in (select path_id from group_paths where org_id = $1 and groups @> array[$5::uuid])
                     when 'application' then e.application_id = $5
                     when 'user' then e.user_id = $5
                     when 'member' then e.user_id = $6
                          and e.path_id in (select path_id from group_paths where org_id = $1 and groups @> array[$5::uuid])
                     when 'authorization' then e.authorization_id = $5 or e.observed_by = $5
                     when 'grant' then e.grant_id = $5
                 end"#,
        org.0,
        span.start,
        span.end,
        kind.as_str(),
        thing,
        person,
    )
    .fetch_one(db)
    .await?;
    Ok(match meter.metric {
        Metric::Spend => sums.spend,
        Metric::Requests => sums.requests,
        Metric::Tokens => sums.input + sums.output,
        Metric::InputTokens => sums.input,
        Metric::OutputTokens => sums.output,
        Metric::ConcurrentCalls => 0,
    })
}

/// Every meter that has a limit, for checks.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn meters(db: &mut PgConnection, org: OrgId) -> Result<Vec<Meter>> {
    let rows = sqlx::query!(
        "select scope_kind, thing_id, person_id, metric, window_kind from limits where org_id = $1",
        org.0
    )
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|row| {
            super::meter_of(
                (row.scope_kind.as_str(), row.thing_id, row.person_id),
                &row.metric,
                &row.window_kind,
            )
        })
        .collect()
}

/// A nil id: where a scope names no thing.
pub const NOBODY: Uuid = Uuid::nil();
