//! Row by row: the sums by day and the sessions against the ledger, the coarser sums against those by day.
//!
//! Each table is compared with what it follows from in one statement, by every column of its key: two rows
//! that are wrong by the same amount in opposite directions are two differences.

use chrono::NaiveDate;
use domain::{
    ids::{ApplicationId, GroupId, ModelId, OrgId, UserId},
    keys::{Feature, Features},
    window::Calendar,
};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Drift, note};
use crate::Result;

/// Every model together.
const EVERY: Uuid = Uuid::max();

/// How many rows of one table are named: whoever has so many looks for one cause.
const ROWS: i64 = 200;

/// The days from the first until before the second; none: all of them.
pub(super) type Only = Option<(NaiveDate, NaiveDate)>;

/// `, model mdl_…`; nothing where there is none.
fn of(kind: &str, id: Uuid, named: impl Fn(Uuid) -> String) -> String {
    if id.is_nil() || id == EVERY { String::new() } else { format!(", {kind}{}", named(id)) }
}

fn person(id: Uuid) -> String {
    of("person ", id, |id| UserId(id).to_string())
}

fn model(id: Uuid) -> String {
    of("model ", id, |id| ModelId(id).to_string())
}

fn group(kind: &str, id: Uuid) -> String {
    of(kind, id, |id| GroupId(id).to_string())
}

/// The sums by day and person against the ledger, in every row of the days that the ledger has in full.
pub(super) async fn days(
    db: &mut PgConnection,
    org: OrgId,
    calendar: Calendar,
    only: Only,
    found: &mut Vec<Drift>,
) -> Result<()> {
    let rows = sqlx::query!(
        r#"with start as (select coalesce((select first_day from ledger_start), '-infinity') as day),
           d as (
               select day, path_id, application_id, user_id, set_id, model_id, use_case, features, calls, failed, spend,
                      input, cache_read, cache_write, output, reasoning, duration_ms
               from usage_by_day
               where org_id = $1 and calls > 0 and day > (select day from start) and ($3::date is null or (day >= $3 and day < $4))
           ), e as (
               select (started_at at time zone $2::text)::date as day, path_id, application_id,
                      coalesce(user_id, '00000000-0000-0000-0000-000000000000') as user_id, set_id, model_id, use_case, features,
                      count(*) as calls, count(*) filter (where outcome = 'upstream_error') as failed, sum(cost)::bigint as spend,
                      sum(input + audio_input)::bigint as input, sum(cache_read)::bigint as cache_read,
                      sum(cache_write + cache_write_long)::bigint as cache_write, sum(output + audio_output)::bigint as output,
                      sum(reasoning)::bigint as reasoning, sum(duration_ms)::bigint as duration_ms
               from events
               where org_id = $1 and (started_at at time zone $2::text)::date > (select day from start)
                 and ($3::date is null or ((started_at at time zone $2::text)::date >= $3
                      and (started_at at time zone $2::text)::date < $4 and day >= $3::date - 1 and day <= $4::date))
               group by 1, 2, 3, 4, 5, 6, 7, 8
           )
           select day as "day!", application_id as "application_id!", user_id as "user_id!", model_id as "model_id!",
                  use_case as "use_case!", features as "features!",
                  array[coalesce(d.calls, 0), coalesce(d.failed, 0), coalesce(d.spend, 0), coalesce(d.input, 0), coalesce(d.cache_read, 0),
                        coalesce(d.cache_write, 0), coalesce(d.output, 0), coalesce(d.reasoning, 0), coalesce(d.duration_ms, 0)] as "is!",
                  array[coalesce(e.calls, 0), coalesce(e.failed, 0), coalesce(e.spend, 0), coalesce(e.input, 0), coalesce(e.cache_read, 0),
                        coalesce(e.cache_write, 0), coalesce(e.output, 0), coalesce(e.reasoning, 0), coalesce(e.duration_ms, 0)] as "should_be!"
           from d full join e using (day, path_id, application_id, user_id, set_id, model_id, use_case, features)
           where row(d.calls, d.failed, d.spend, d.input, d.cache_read, d.cache_write, d.output, d.reasoning, d.duration_ms)
                 is distinct from row(e.calls, e.failed, e.spend, e.input, e.cache_read, e.cache_write, e.output, e.reasoning, e.duration_ms)
           order by day, application_id, user_id, model_id limit $5"#,
        org.0,
        calendar.zone.name(),
        only.map(|(first, _)| first),
        only.map(|(_, next)| next),
        ROWS,
    )
    .fetch_all(db)
    .await?;
    const WHAT: [&str; 9] = [
        "calls",
        "failures",
        "spend",
        "input",
        "tokens read from a cache",
        "tokens written to a cache",
        "output",
        "reasoning",
        "milliseconds",
    ];
    for row in rows {
        let day: NaiveDate = row.day;
        let (who, model) = (person(row.user_id), model(row.model_id));
        let application = ApplicationId(row.application_id);
        let label = if row.use_case.is_empty() { String::new() } else { format!(", “{}”", row.use_case) };
        let used: Vec<&str> = Features::from_bits(row.features).iter().map(Feature::as_str).collect();
        let used = if used.is_empty() { String::new() } else { format!(", with {}", used.join(" and ")) };
        for ((what, is), should_be) in WHAT.iter().zip(&row.is).zip(&row.should_be) {
            note(found, *is, *should_be, || {
                format!("days: {what} of {day}: application {application}{model}{who}{label}{used}")
            });
        }
    }
    Ok(())
}

/// The coarser sums against those they follow from: of days against the sums by day and person, of months
/// against those of their days. What the ledger has let go of is in all of them.
pub(super) async fn sums(
    db: &mut PgConnection,
    org: OrgId,
    only: Only,
    found: &mut Vec<Drift>,
) -> Result<()> {
    let rows = sqlx::query!(
        r#"with s as (
               select 'day'::sum_grain as grain, scope, within_id, first_day, thing_id, path_id, model_id, calls, failed, refused, spend, input,
                      cache_read, cache_write, output, reasoning, duration_ms, cached, saved
               from usage_sums
               where org_id = $1 and grain = 'day' and ($2::date is null or (first_day >= $2 and first_day < $3))
           ), m as (
               select grain, scope, within_id, first_day, thing_id, path_id, model_id, calls, failed, refused, spend, input,
                      cache_read, cache_write, output, reasoning, duration_ms, cached, saved
               from usage_sums
               where org_id = $1 and grain = 'month' and ($2::date is null or (first_day >= $2 and first_day < $3))
           ), d as (
               select 'day'::sum_grain as grain, scope, within_id, first_day, thing_id, path_id, model_id, calls, failed, refused, spend, input,
                      cache_read, cache_write, output, reasoning, duration_ms, cached, saved
               from sums_that_should_be
               where org_id = $1 and ($2::date is null or (first_day >= $2 and first_day < $3))
               union all
               select 'month', scope, within_id, date_trunc('month', first_day)::date, thing_id, path_id, model_id, sum(calls), sum(failed),
                      sum(refused), sum(spend), sum(input), sum(cache_read), sum(cache_write), sum(output), sum(reasoning),
                      sum(duration_ms), sum(cached), sum(saved)
               from s
               where scope in ('organization', 'group', 'application', 'user', 'members') and model_id = 'ffffffff-ffff-ffff-ffff-ffffffffffff'
               group by 2, 3, 4, 5, 6, 7
           ), w as (select * from s union all select * from m)
           select grain::text as "grain!", scope::text as "scope!", within_id as "within_id!", first_day as "first_day!", thing_id as "thing_id!",
                  model_id as "model_id!",
                  array[coalesce(w.calls, 0), coalesce(w.failed, 0), coalesce(w.refused, 0), coalesce(w.spend, 0), coalesce(w.input, 0),
                        coalesce(w.cache_read, 0), coalesce(w.cache_write, 0), coalesce(w.output, 0), coalesce(w.reasoning, 0),
                        coalesce(w.duration_ms, 0), coalesce(w.cached, 0), coalesce(w.saved, 0)]::bigint[] as "is!",
                  array[coalesce(d.calls, 0), coalesce(d.failed, 0), coalesce(d.refused, 0), coalesce(d.spend, 0), coalesce(d.input, 0),
                        coalesce(d.cache_read, 0), coalesce(d.cache_write, 0), coalesce(d.output, 0), coalesce(d.reasoning, 0),
                        coalesce(d.duration_ms, 0), coalesce(d.cached, 0), coalesce(d.saved, 0)]::bigint[] as "should_be!"
           from w full join d using (grain, scope, within_id, first_day, thing_id, path_id, model_id)
           where row(w.calls::numeric, w.failed::numeric, w.refused::numeric, w.spend::numeric, w.input::numeric, w.cache_read::numeric,
                     w.cache_write::numeric, w.output::numeric, w.reasoning::numeric, w.duration_ms::numeric, w.cached::numeric, w.saved::numeric)
                 is distinct from row(d.calls, d.failed, d.refused, d.spend, d.input, d.cache_read, d.cache_write, d.output, d.reasoning,
                                      d.duration_ms, d.cached, d.saved)
           order by 4, 1, 2, 5, 6, 3 limit $4"#,
        org.0,
        only.map(|(first, _)| first),
        only.map(|(_, next)| next),
        ROWS,
    )
    .fetch_all(db)
    .await?;
    const WHAT: [&str; 12] = [
        "calls",
        "failures",
        "refusals",
        "spend",
        "input",
        "tokens read from a cache",
        "tokens written to a cache",
        "output",
        "reasoning",
        "milliseconds",
        "answers from the cache",
        "savings",
    ];
    for row in rows {
        let thing = match row.scope.as_str() {
            "group" | "members" => group("", row.thing_id),
            "application" => of("", row.thing_id, |id| ApplicationId(id).to_string()),
            "user" => of("", row.thing_id, |id| UserId(id).to_string()),
            _ => of("", row.thing_id, |id| id.to_string()),
        };
        let (within, model) = (group("within ", row.within_id), model(row.model_id));
        for ((what, is), should_be) in WHAT.iter().zip(&row.is).zip(&row.should_be) {
            note(found, *is, *should_be, || {
                format!(
                    "sums: {what} by {} of {} {}{thing}{within}{model}",
                    row.scope, row.grain, row.first_day
                )
            });
        }
    }
    Ok(())
}

/// Sessions against the calls they are made of, where the ledger has all of them.
pub(super) async fn sessions(db: &mut PgConnection, org: OrgId, found: &mut Vec<Drift>) -> Result<()> {
    let rows = sqlx::query!(
        r#"with start as (select coalesce((select first_day from ledger_start), '-infinity') as day),
           s as (select * from call_sessions where org_id = $1 and (first_at at time zone 'UTC')::date > (select day from start)),
           e as (
               select application_id, coalesce(user_id, '00000000-0000-0000-0000-000000000000') as user_id, session,
                      min(started_at) as first_at, max(started_at) as last_at, count(*) as calls,
                      count(*) filter (where outcome = 'upstream_error') as failed, sum(cost)::bigint as spend,
                      sum(input + cache_read + cache_write + cache_write_long + audio_input + output + reasoning + audio_output)::bigint as tokens
               from events e
               where org_id = $1 and session <> ''
                 -- One that began before what the ledger still has is not compared.
                 and not exists (select from call_sessions o
                                 where o.org_id = $1 and o.application_id = e.application_id and o.session = e.session
                                   and o.user_id = coalesce(e.user_id, '00000000-0000-0000-0000-000000000000')
                                   and (o.first_at at time zone 'UTC')::date <= (select day from start))
               group by 1, 2, 3
           )
           select application_id as "application_id!", user_id as "user_id!", session as "session!",
                  s.first_at is not distinct from e.first_at and s.last_at is not distinct from e.last_at as "same!",
                  array[coalesce(s.calls, 0), coalesce(s.failed, 0), coalesce(s.spend, 0), coalesce(s.tokens, 0)] as "is!",
                  array[coalesce(e.calls, 0), coalesce(e.failed, 0), coalesce(e.spend, 0), coalesce(e.tokens, 0)] as "should_be!"
           from s full join e using (application_id, user_id, session)
           where row(s.first_at, s.last_at, s.calls, s.failed, s.spend, s.tokens)
                 is distinct from row(e.first_at, e.last_at, e.calls, e.failed, e.spend, e.tokens)
           order by 1, 2, 3 limit $2"#,
        org.0,
        ROWS,
    )
    .fetch_all(db)
    .await?;
    for row in rows {
        let application = ApplicationId(row.application_id);
        let name = format!("“{}” of application {application}{}", row.session, person(row.user_id));
        let what = ["calls", "failures", "spend", "tokens"];
        for ((what, is), should_be) in what.iter().zip(&row.is).zip(&row.should_be) {
            note(found, *is, *should_be, || format!("sessions: {what} in {name}"));
        }
        note(found, i64::from(row.same), 1, || format!("sessions: first and last call known of {name}"));
    }
    Ok(())
}
