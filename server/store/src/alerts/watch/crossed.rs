//! Thresholds that were crossed: in windows that run, in windows that ended since somebody last looked, and by
//! calls at once.

use std::collections::HashMap;

use chrono::{DateTime, Duration, Utc};
use domain::{
    access::Facts,
    alerts::{AlertKind, Use, Watched, crossed, crossing_key, told_once_in},
    ids::OrgId,
    limits::{Meter, Metric, Mode, Scope},
    money::Money,
    window::{Calendar, Span, Window},
};

use super::{Candidate, Found, fire, fired_of, moment, name_of, page_of, running};
use crate::{Result, Store, alerts::settings, limits::meter_of, organizations};

/// Where somebody has no limit of their own, the organization's default is told of at these.
const DEFAULT_THRESHOLDS: [u8; 2] = [80, 100];

/// How far back ended windows are looked at. Long calls are booked after the window they count in, and what
/// a process had on its disk when it died is booked when it comes back.
struct Back {
    /// Windows of a minute or an hour.
    short: Duration,
    /// All others.
    long: Duration,
}

/// At every booking.
const NEAR: Back = Back { short: Duration::hours(1), long: Duration::hours(1) };
/// A few times an hour, and when a process begins.
const FAR: Back = Back { short: Duration::hours(48), long: Duration::days(35) };
/// Of which time calls at once are counted in the ledger: those that began in it.
const AT_ONCE: Duration = Duration::hours(2);

/// What was used of a limit, and when.
struct Crossing {
    candidate: Candidate,
    /// In the window that runs, or in one that ended; none: at a moment, of calls at once.
    running: Option<bool>,
    /// The moment, or one in the window.
    at: DateTime<Utc>,
}

/// Looks for thresholds that were crossed, now or within the last hour. Returns how many were told.
///
/// # Errors
/// When the database does not answer.
pub async fn thresholds(store: &Store, org: OrgId, now: DateTime<Utc>) -> Result<usize> {
    look(store, org, now, &NEAR, false).await
}

/// The same of windows that ended within days, however late what they hold was booked, and of how many
/// calls ran at once at any moment of the last hours. Returns how many were told.
///
/// # Errors
/// When the database does not answer.
pub async fn late(store: &Store, org: OrgId, now: DateTime<Utc>) -> Result<usize> {
    look(store, org, now, &FAR, true).await
}

async fn look(store: &Store, org: OrgId, now: DateTime<Utc>, back: &Back, peaks: bool) -> Result<usize> {
    let settings = settings(store, org).await?;
    if !settings.kinds.contains(&AlertKind::Limit) {
        return Ok(0);
    }
    let organization = organizations::get(store, org).await?;
    let calendar = organizations::calendar_of(&organization)?;
    let mut crossings = over_threshold(store, org, calendar, back, now).await?;
    if let Some(default) = organization.default_user_limit {
        crossings.extend(over_default(store, org, calendar, (default, back), now).await?);
    }
    crossings.extend(at_once(store, org, now, peaks).await?);
    let crossings = untold(store, org, calendar, most(crossings, calendar)).await?;
    if crossings.is_empty() {
        return Ok(0);
    }
    fire(store, org, &settings, now, |facts| {
        crossings.iter().flat_map(|crossing| threshold_alerts(facts, crossing, calendar)).collect()
    })
    .await
}

/// When the window, or the day, began that a crossing is told once in.
fn since(crossing: &Crossing, calendar: Calendar) -> DateTime<Utc> {
    let Candidate { meter, span, .. } = &crossing.candidate;
    let by_day = meter.window.is_short() || meter.metric == Metric::ConcurrentCalls;
    if by_day { told_once_in(meter, calendar, crossing.at).start } else { span.start }
}

/// Of several windows that are told of together, the one that most was used of.
fn most(crossings: Vec<Crossing>, calendar: Calendar) -> Vec<Crossing> {
    let mut most = HashMap::<(Meter, DateTime<Utc>), Crossing>::new();
    for crossing in crossings {
        let key = (crossing.candidate.meter, since(&crossing, calendar));
        match most.get(&key) {
            Some(other) if other.candidate.used >= crossing.candidate.used => {}
            _ => {
                most.insert(key, crossing);
            }
        }
    }
    let mut most: Vec<_> = most.into_iter().collect();
    most.sort_by_key(|(key, _)| *key);
    most.into_iter().map(|(_, crossing)| crossing).collect()
}

/// Those that have something to tell that was not told yet.
async fn untold(
    store: &Store,
    org: OrgId,
    calendar: Calendar,
    mut crossings: Vec<Crossing>,
) -> Result<Vec<Crossing>> {
    let keys = |crossing: &Crossing| {
        let Candidate { meter, cap, thresholds, used, .. } = &crossing.candidate;
        let (meter, cap, since) = (*meter, *cap, since(crossing, calendar));
        let crossed = crossed(thresholds, *used, cap).into_iter();
        crossed.map(|percent| crossing_key(&meter, cap, percent, since)).collect::<Vec<_>>()
    };
    let all: Vec<String> = crossings.iter().flat_map(keys).collect();
    if all.is_empty() {
        return Ok(Vec::new());
    }
    let known = fired_of(store, org, &all).await?;
    crossings.retain(|crossing| keys(crossing).iter().any(|key| !known.contains(key)));
    Ok(crossings)
}

/// What one limit has to tell: the highest threshold; those below it are only taken down.
fn threshold_alerts(facts: &Facts, crossing: &Crossing, calendar: Calendar) -> Vec<Found> {
    let Candidate { meter, cap, mode, thresholds, used, span } = &crossing.candidate;
    let crossed = crossed(thresholds, *used, *cap);
    let Some(highest) = crossed.last().copied() else { return Vec::new() };
    let (name, href) = (name_of(facts, meter.scope), page_of(facts, meter.scope));
    let watched = Watched { meter: *meter, name: &name, cap: *cap, mode: *mode, href: &href };
    let since = since(crossing, calendar);
    let end = span.end.map(|end| moment(calendar, end));
    let at = moment(calendar, crossing.at);
    let when = match (crossing.running, &end) {
        (None, _) => Use::At(&at),
        (Some(false), Some(end)) => Use::Ended(end),
        (Some(_), end) => Use::Runs(end.as_deref()),
    };
    crossed
        .into_iter()
        .rev()
        .map(|percent| (meter.scope, watched.threshold(percent, *used, since, when), percent != highest))
        .collect()
}

fn percents(thresholds: &[i16]) -> Vec<u8> {
    thresholds.iter().filter_map(|percent| u8::try_from(*percent).ok()).collect()
}

/// Limits of which more than the lowest of their thresholds is used: in the windows that run, and in those
/// that ended since and that they were already said for.
async fn over_threshold(
    store: &Store,
    org: OrgId,
    calendar: Calendar,
    back: &Back,
    now: DateTime<Utc>,
) -> Result<Vec<Crossing>> {
    let (names, _spans, starts) = running(calendar, now);
    let rows = sqlx::query!(
        r#"with used as (
               select l.limit_id, w.starts_at, w.ends_at, w.settled, true as running
               from unnest($2::text[], $3::timestamptz[]) as k (window_kind, starts_at)
               join limits l on l.org_id = $1 and l.window_kind = k.window_kind
               join windows w
                 on w.org_id = $1 and w.scope_kind = l.scope_kind and w.thing_id = l.thing_id and w.person_id = l.person_id
                and w.metric = l.metric and w.window_kind = l.window_kind and w.starts_at = k.starts_at
               union all
               select l.limit_id, w.starts_at, w.ends_at, w.settled, false
               from windows w
               join limits l
                 on l.org_id = $1 and l.scope_kind = w.scope_kind and l.thing_id = w.thing_id and l.person_id = w.person_id
                and l.metric = w.metric and l.window_kind = w.window_kind
               where w.org_id = $1 and w.ends_at <= $4 and w.ends_at > $5 and (w.ends_at > $6 or w.window_kind not in ('minute', 'hour'))
                 and coalesce(l.changed_at, l.created_at) < w.ends_at
           )
           select l.scope_kind, l.thing_id, l.person_id, l.metric, l.window_kind, l.cap, l.mode, l.thresholds,
                  u.starts_at as "starts_at!", u.ends_at, u.settled as "settled!", u.running as "running!"
           from used u join limits l on l.org_id = $1 and l.limit_id = u.limit_id
           where l.cap > 0 and u.settled > 0
             and u.settled::numeric * 100 >= l.cap::numeric * (select min(t) from unnest(l.thresholds) as t)"#,
        org.0,
        &names,
        &starts,
        now,
        now - back.long,
        now - back.short,
    )
    .fetch_all(store.pool())
    .await?;
    rows.iter()
        .map(|row| {
            let scope = (row.scope_kind.as_str(), row.thing_id, row.person_id);
            let candidate = Candidate {
                meter: meter_of(scope, &row.metric, &row.window_kind)?,
                cap: row.cap,
                mode: row.mode.parse()?,
                thresholds: percents(&row.thresholds),
                used: row.settled,
                span: Span { start: row.starts_at, end: row.ends_at },
            };
            let at = if row.running { now } else { row.starts_at };
            Ok(Crossing { candidate, running: Some(row.running), at })
        })
        .collect()
}

/// People without a limit of their own who are, or were in a month that ended, near the organization's
/// default.
async fn over_default(
    store: &Store,
    org: OrgId,
    calendar: Calendar,
    (default, back): (Money, &Back),
    now: DateTime<Utc>,
) -> Result<Vec<Crossing>> {
    let span = calendar.span(Window::Month, now);
    let last = calendar.span(Window::Month, span.start - Duration::nanoseconds(1));
    let least = default.0.saturating_mul(i64::from(DEFAULT_THRESHOLDS[0])) / 100;
    let rows = sqlx::query!(
        "select w.thing_id, w.settled, w.starts_at, w.ends_at from windows w
         join organizations o on o.org_id = $1
         left join limits l
           on l.org_id = $1 and l.scope_kind = 'user' and l.thing_id = w.thing_id and l.metric = 'spend' and l.window_kind = 'month'
         where w.org_id = $1 and w.scope_kind = 'user' and w.metric = 'spend' and w.window_kind = 'month'
           and (w.starts_at = $2 or (w.starts_at = $4 and w.ends_at > $5
                                     and coalesce(o.default_user_limit_since, o.created_at) < w.ends_at))
           and w.settled >= greatest($3::bigint, 1::bigint) and l.limit_id is null",
        org.0,
        span.start,
        least,
        last.start,
        now - back.long,
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let running = row.starts_at == span.start;
            let candidate = Candidate {
                meter: Meter {
                    scope: Scope::User(row.thing_id.into()),
                    metric: Metric::Spend,
                    window: Window::Month,
                },
                cap: default.0,
                mode: Mode::Enforce,
                thresholds: DEFAULT_THRESHOLDS.to_vec(),
                used: row.settled,
                span: Span { start: row.starts_at, end: row.ends_at },
            };
            Crossing { candidate, running: Some(running), at: if running { now } else { row.starts_at } }
        })
        .collect())
}

/// Limits on calls at once: what is held of them now, and with `peaks` the most there was at any moment of
/// the last hours, of calls that are over.
async fn at_once(store: &Store, org: OrgId, now: DateTime<Utc>, peaks: bool) -> Result<Vec<Crossing>> {
    let rows = sqlx::query!(
        r#"select l.scope_kind, l.thing_id, l.person_id, l.cap, l.mode, l.thresholds, coalesce(w.held, 0) as "held!",
                  coalesce(l.changed_at, l.created_at) as "said_at!"
           from limits l
           left join windows w
             on w.org_id = $1 and w.scope_kind = l.scope_kind and w.thing_id = l.thing_id and w.person_id = l.person_id
            and w.metric = l.metric and w.window_kind = l.window_kind
           where l.org_id = $1 and l.metric = 'concurrent_calls' and l.cap > 0 and cardinality(l.thresholds) > 0"#,
        org.0,
    )
    .fetch_all(store.pool())
    .await?;
    let mut crossings = Vec::new();
    for row in rows {
        let scope = (row.scope_kind.as_str(), row.thing_id, row.person_id);
        let meter = meter_of(scope, Metric::ConcurrentCalls.as_str(), Window::Total.as_str())?;
        let mut seen = vec![(row.held, now)];
        if peaks {
            seen.extend(peak(store, org, meter.scope, row.said_at.max(now - AT_ONCE)).await?);
        }
        for (used, at) in seen {
            let candidate = Candidate {
                meter,
                cap: row.cap,
                mode: row.mode.parse()?,
                thresholds: percents(&row.thresholds),
                used,
                span: Span { start: at, end: None },
            };
            crossings.push(Crossing { candidate, running: None, at });
        }
    }
    Ok(crossings)
}

/// The most calls of a scope that ran at the same moment, of those that began after `from`, and when.
async fn peak(
    store: &Store,
    org: OrgId,
    scope: Scope,
    from: DateTime<Utc>,
) -> Result<Option<(i64, DateTime<Utc>)>> {
    let (kind, thing, person) = scope.parts();
    let row = sqlx::query!(
        r#"with calls as (
               select e.started_at, e.finished_at from events e
               where e.org_id = $1 and e.started_at >= $2 and e.day >= ($2 at time zone 'UTC')::date and not e.cached
                 and case $3::text
                         when 'organization' then true
                         when 'group' then e.path_id in (select path_id from group_paths where org_id = $1 and groups @> array[$4::uuid])
                         when 'application' then e.application_id = $4
                         when 'user' then e.user_id = $4
                         when 'member' then e.user_id = $5
                              and e.path_id in (select path_id from group_paths where org_id = $1 and groups @> array[$4::uuid])
                         when 'authorization' then e.authorization_id = $4 or e.observed_by = $4
                         when 'grant' then e.grant_id = $4
                     end
           ), steps as (
               select started_at as at, 1 as step from calls
               union all
               select finished_at, -1 from calls
           ), counted as (
               -- What ends at a moment makes room for what begins at it.
               select at, sum(step) over (order by at, step rows unbounded preceding) as calls from steps
           )
           select at as "at!", calls as "calls!" from counted order by calls desc, at limit 1"#,
        org.0,
        from,
        kind.as_str(),
        thing,
        person,
    )
    .fetch_optional(store.pool())
    .await?;
    Ok(row.map(|row| (row.calls, row.at)))
}
