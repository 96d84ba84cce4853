//! Windows that are over, against what was called in them.

use chrono::{DateTime, Utc};
use domain::{ids::OrgId, window::Calendar};
use sqlx::PgConnection;

use super::{Drift, name, note};
use crate::Result;

/// How many of them are named.
const ROWS: i64 = 200;

/// Every window before the running one of every limit that was there when it ended, and everybody's months.
/// Days and longer are held against the sums, which are held against the ledger themselves; what those do not
/// know (minutes, hours, what a rule or a grant let through) against the ledger, as far back as that goes.
/// Windows cut by another calendar than today's are left out: a change of the week's start divides one.
pub(super) async fn windows(
    db: &mut PgConnection,
    org: OrgId,
    calendar: Calendar,
    now: DateTime<Utc>,
    found: &mut Vec<Drift>,
) -> Result<()> {
    let rows = sqlx::query!(
        r#"with start as (
               select coalesce((select first_day + 1 from ledger_start)::timestamp at time zone $3::text, '-infinity') as at
           ), over as (
               select w.scope_kind, w.thing_id, w.person_id, w.metric, w.window_kind, w.starts_at, w.ends_at, w.settled,
                      (w.starts_at at time zone $3::text)::date as first, (w.ends_at at time zone $3::text)::date as next,
                      w.scope_kind in ('organization', 'group', 'application', 'user', 'member')
                          and w.window_kind in ('day', 'week', 'month', 'year') as summed,
                      case when w.scope_kind in ('organization', 'group', 'application', 'user') then w.scope_kind::sum_scope end as scope
               from windows w
               left join limits l using (org_id, scope_kind, thing_id, person_id, metric, window_kind)
               where w.org_id = $1 and w.ends_at <= $2 and w.metric <> 'concurrent_calls'
                 and (w.ends_at > l.created_at or (w.scope_kind = 'user' and w.metric = 'spend' and w.window_kind = 'month'))
           ), counted as (
               select o.*, case o.metric when 'spend' then c.spend when 'requests' then c.calls when 'tokens' then c.input + c.output
                               when 'input_tokens' then c.input else c.output end::bigint as should_be
               from over o
               cross join lateral (
                   select coalesce(sum(spend), 0) as spend, coalesce(sum(calls), 0) as calls, coalesce(sum(input), 0) as input,
                          coalesce(sum(output), 0) as output
                   from (
                       select s.spend, s.calls, s.input + s.cache_read + s.cache_write as input, s.output + s.reasoning as output
                       from usage_sums s
                       where o.summed and s.org_id = $1 and s.scope = o.scope and s.grain = 'day' and s.thing_id = o.thing_id
                         and s.first_day >= o.first and s.first_day < o.next and s.model_id = 'ffffffff-ffff-ffff-ffff-ffffffffffff'
                       union all
                       select d.spend, d.calls, d.input + d.cache_read + d.cache_write, d.output + d.reasoning
                       from usage_by_day d
                       where o.summed and o.scope_kind = 'member' and d.org_id = $1 and d.user_id = o.person_id
                         and d.day >= o.first and d.day < o.next
                         and d.path_id in (select path_id from group_paths where org_id = $1 and groups @> array[o.thing_id])
                       union all
                       select e.cost, 1, e.input + e.cache_read + e.cache_write + e.cache_write_long + e.audio_input,
                              e.output + e.reasoning + e.audio_output
                       from events e
                       where not o.summed and e.org_id = $1 and e.started_at >= o.starts_at and e.started_at < o.ends_at
                         and e.day >= (o.starts_at at time zone 'UTC')::date and e.day <= (o.ends_at at time zone 'UTC')::date
                         and case o.scope_kind
                                 when 'organization' then true
                                 when 'group' then e.path_id in (select path_id from group_paths where org_id = $1 and groups @> array[o.thing_id])
                                 when 'application' then e.application_id = o.thing_id
                                 when 'user' then e.user_id = o.thing_id
                                 when 'member' then e.user_id = o.person_id
                                      and e.path_id in (select path_id from group_paths where org_id = $1 and groups @> array[o.thing_id])
                                 when 'authorization' then e.authorization_id = o.thing_id or e.observed_by = o.thing_id
                                 when 'grant' then e.grant_id = o.thing_id
                             end
                   ) parts
               ) c
               where o.summed or o.starts_at >= (select at from start)
           )
           select scope_kind, thing_id, person_id, metric, window_kind, starts_at, ends_at as "ends_at!", settled, should_be as "should_be!"
           from counted where settled <> should_be order by starts_at, scope_kind, thing_id limit $4"#,
        org.0,
        now,
        calendar.zone.name(),
        ROWS,
    )
    .fetch_all(db)
    .await?;
    for row in rows {
        let meter = crate::limits::meter_of(
            (row.scope_kind.as_str(), row.thing_id, row.person_id),
            &row.metric,
            &row.window_kind,
        )?;
        let span = calendar.span(meter.window, row.starts_at);
        if (span.start, span.end) == (row.starts_at, Some(row.ends_at)) {
            note(found, row.settled, row.should_be, || {
                format!("windows: {} from {} until {}", name(&meter), row.starts_at, row.ends_at)
            });
        }
    }
    Ok(())
}
