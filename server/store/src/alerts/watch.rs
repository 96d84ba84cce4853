//! Looking for what is worth an alert. Only sums are read: windows, and sums by day.
//!
//! What fired is known by its key, so that looking twice, or by several processes at once, tells
//! nobody twice.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, Utc};
use domain::{
    access::Facts,
    alerts::{
        ANOMALY_WEEKS, AlertKind, AlertSettings, Fired, Watched, anomaly, crossed, has_forecast, is_unused,
        told_once_in, unreported as unreported_usage, unusual_day,
    },
    explore::Period,
    forecast::{LOOK_BACK, forecast},
    ids::{ApplicationId, GroupId, OrgId, UserId},
    limits::{Meter, Metric, Scope},
    money::Money,
    spend::Sums,
    window::{Calendar, Span, Window},
};
use uuid::Uuid;

use super::{Round, page_of, settings};
use crate::{
    Result, Store, access, organizations,
    rollups::{self, Steps, Which},
};

/// Where somebody has no limit of their own, the organization's default is told of at these.
const DEFAULT_THRESHOLDS: [u8; 2] = [80, 100];
/// How many forecasts are made in one look at most; the others have their turn in the next.
const FORECASTS: i64 = 200;
/// Fewer days behind it say too little for an alert.
const FORECAST_LEAST: usize = 7;

/// A limit that may have something to tell.
struct Candidate {
    meter: Meter,
    cap: i64,
    thresholds: Vec<u8>,
    used: i64,
    span: Span,
}

/// What fires, and whether it is only taken down.
type Found = (Scope, Fired, bool);

/// Fires what has not fired yet. Facts are read only when there is something.
async fn fire(
    store: &Store,
    org: OrgId,
    settings: &AlertSettings,
    now: DateTime<Utc>,
    found: impl FnOnce(&Facts) -> Vec<Found>,
) -> Result<usize> {
    let facts = access::facts(store, org).await?;
    let found = found(&facts);
    let keys: Vec<String> = found.iter().map(|(_, fired, _)| fired.telling.key.clone()).collect();
    let known: HashSet<String> =
        sqlx::query_scalar!("select key from alerts where org_id = $1 and key = any ($2)", org.0, &keys)
            .fetch_all(store.pool())
            .await?
            .into_iter()
            .collect();
    let round = Round { store, facts: &facts, settings, now };
    let mut count = 0;
    for (scope, fired, quietly) in &found {
        if !known.contains(&fired.telling.key) && round.fire(*scope, fired, *quietly).await? {
            count += usize::from(!quietly);
        }
    }
    Ok(count)
}

/// Looks for thresholds that were crossed. Returns how many were told.
///
/// # Errors
/// When the database does not answer.
pub async fn thresholds(store: &Store, org: OrgId, now: DateTime<Utc>) -> Result<usize> {
    let settings = settings(store, org).await?;
    if !settings.kinds.contains(&AlertKind::Limit) {
        return Ok(0);
    }
    let organization = organizations::get(store, org).await?;
    let calendar = organizations::calendar_of(&organization)?;
    let mut candidates = over_threshold(store, org, calendar, now).await?;
    if let Some(default) = organization.default_user_limit {
        candidates.extend(over_default(store, org, calendar, default, now).await?);
    }
    if candidates.is_empty() {
        return Ok(0);
    }
    fire(store, org, &settings, now, |facts| {
        candidates.iter().flat_map(|candidate| threshold_alerts(facts, candidate, calendar, now)).collect()
    })
    .await
}

/// What one limit has to tell: the highest threshold; those below it are only taken down.
fn threshold_alerts(
    facts: &Facts,
    candidate: &Candidate,
    calendar: Calendar,
    now: DateTime<Utc>,
) -> Vec<Found> {
    let Candidate { meter, cap, thresholds, used, span } = candidate;
    let crossed = crossed(thresholds, *used, *cap);
    let Some(highest) = crossed.last().copied() else { return Vec::new() };
    let (name, href) = (name_of(facts, meter.scope), page_of(facts, meter.scope));
    let watched = Watched { meter: *meter, name: &name, cap: *cap, href: &href };
    let since = told_once_in(meter.window, calendar, now).start;
    let until = span.end.map(|end| ends(calendar, end));
    crossed
        .into_iter()
        .rev()
        .map(|percent| {
            let fired = watched.threshold(percent, *used, since, until.as_deref());
            (meter.scope, fired, percent != highest)
        })
        .collect()
}

/// `on 1 Dec 2026 at 00:00`, by the organization's clocks.
fn ends(calendar: Calendar, end: DateTime<Utc>) -> String {
    let local = end.with_timezone(&calendar.zone);
    format!("on {} at {}", domain::time::date(local.date_naive()), local.format("%H:%M"))
}

/// What a scope is called at the start of a sentence: names as they are, `the grant` as `The grant`.
fn name_of(facts: &Facts, scope: Scope) -> String {
    let name = facts.scope_name(scope);
    match (scope, name.strip_prefix("the ")) {
        (Scope::Grant(_), Some(rest)) => format!("The {rest}"),
        _ => name,
    }
}

/// The current windows of every length: names and starts, for a join.
fn spans(calendar: Calendar, now: DateTime<Utc>) -> (Vec<Span>, Vec<String>, Vec<DateTime<Utc>>) {
    let spans: Vec<Span> = Window::ALL.iter().map(|window| calendar.span(*window, now)).collect();
    let names = Window::ALL.iter().map(ToString::to_string).collect();
    let starts = spans.iter().map(|span| span.start).collect();
    (spans, names, starts)
}

fn candidate(
    scope: (&str, Uuid, Uuid),
    metric: &str,
    window: &str,
    (cap, used): (i64, i64),
    thresholds: &[i16],
    spans: &[Span],
) -> Result<Candidate> {
    let scope = Scope::from_parts(scope.0.parse()?, scope.1, scope.2);
    let meter = Meter { scope, metric: metric.parse()?, window: window.parse()? };
    let place = Window::ALL.iter().position(|window| *window == meter.window).unwrap_or_default();
    Ok(Candidate {
        meter,
        cap,
        used,
        thresholds: thresholds.iter().filter_map(|percent| u8::try_from(*percent).ok()).collect(),
        span: spans[place],
    })
}

/// Limits whose current window is over the lowest of their thresholds.
async fn over_threshold(
    store: &Store,
    org: OrgId,
    calendar: Calendar,
    now: DateTime<Utc>,
) -> Result<Vec<Candidate>> {
    let (spans, names, starts) = spans(calendar, now);
    let rows = sqlx::query!(
        r#"select l.scope_kind, l.thing_id, l.person_id, l.metric, l.window_kind, l.cap, l.thresholds, w.settled
           from unnest($2::text[], $3::timestamptz[]) as k (window_kind, starts_at)
           join limits l on l.org_id = $1 and l.window_kind = k.window_kind
           join windows w
             on w.org_id = $1 and w.scope_kind = l.scope_kind and w.thing_id = l.thing_id and w.person_id = l.person_id
            and w.metric = l.metric and w.window_kind = l.window_kind and w.starts_at = k.starts_at
           where l.cap > 0 and w.settled > 0
             and w.settled::numeric * 100 >= l.cap::numeric * (select min(t) from unnest(l.thresholds) as t)"#,
        org.0,
        &names,
        &starts,
    )
    .fetch_all(store.pool())
    .await?;
    rows.iter()
        .map(|row| {
            let scope = (row.scope_kind.as_str(), row.thing_id, row.person_id);
            candidate(scope, &row.metric, &row.window_kind, (row.cap, row.settled), &row.thresholds, &spans)
        })
        .collect()
}

/// People without a limit of their own who are near the organization's default.
async fn over_default(
    store: &Store,
    org: OrgId,
    calendar: Calendar,
    default: Money,
    now: DateTime<Utc>,
) -> Result<Vec<Candidate>> {
    let span = calendar.span(Window::Month, now);
    let least = default.0.saturating_mul(i64::from(DEFAULT_THRESHOLDS[0])) / 100;
    let rows = sqlx::query!(
        "select w.thing_id, w.settled from windows w
         left join limits l
           on l.org_id = $1 and l.scope_kind = 'user' and l.thing_id = w.thing_id and l.metric = 'spend' and l.window_kind = 'month'
         where w.org_id = $1 and w.scope_kind = 'user' and w.metric = 'spend' and w.window_kind = 'month' and w.starts_at = $2
           and w.settled >= greatest($3::bigint, 1::bigint) and l.limit_id is null",
        org.0,
        span.start,
        least,
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Candidate {
            meter: Meter {
                scope: Scope::User(row.thing_id.into()),
                metric: Metric::Spend,
                window: Window::Month,
            },
            cap: default.0,
            thresholds: DEFAULT_THRESHOLDS.to_vec(),
            used: row.settled,
            span,
        })
        .collect())
}

/// Looks for limits that will be reached before their window ends. Returns how many were told.
///
/// # Errors
/// When the database does not answer.
pub async fn forecasts(store: &Store, org: OrgId, now: DateTime<Utc>) -> Result<usize> {
    let settings = settings(store, org).await?;
    if !settings.kinds.contains(&AlertKind::Forecast) {
        return Ok(0);
    }
    let calendar = organizations::calendar(store, org).await?;
    let today = calendar.day(now);
    let mut found = Vec::new();
    for candidate in might_run_out(store, org, calendar, now).await? {
        let Candidate { meter, cap, used, span, .. } = candidate;
        let Some(end) = span.end.map(|end| calendar.day(end)) else { continue };
        let days = days_of(store, org, meter, today).await?;
        let on = |day: NaiveDate| days.get(&day).copied().unwrap_or_default();
        let first = today.checked_sub_days(Days::new(LOOK_BACK)).unwrap_or(today);
        let past: Vec<(NaiveDate, Money)> =
            first.iter_days().take_while(|day| *day < today).map(|day| (day, Money(on(day)))).collect();
        let Some(ahead) = forecast(&past, Money(used), Money(on(today)), today, end) else { continue };
        if ahead.learned_from < FORECAST_LEAST {
            continue;
        }
        let day = ahead.reaches(Money(cap), Money(used), today).filter(|day| *day < end);
        found.extend(day.map(|day| (meter, cap, used, span, day, ahead.learned_from)));
    }
    if found.is_empty() {
        return Ok(0);
    }
    fire(store, org, &settings, now, |facts| {
        let alert = |(meter, cap, used, span, day, learned): (Meter, i64, i64, Span, NaiveDate, usize)| {
            let (name, href) = (name_of(facts, meter.scope), page_of(facts, meter.scope));
            let watched = Watched { meter, name: &name, cap, href: &href };
            (meter.scope, watched.runs_out(day, used, span.start, learned), false)
        };
        found.into_iter().map(alert).collect()
    })
    .await
}

/// Limits that would be nearly reached if the rest of their window went like its beginning, and
/// are not yet; none of which a forecast was told in this window. Those nearest first.
async fn might_run_out(
    store: &Store,
    org: OrgId,
    calendar: Calendar,
    now: DateTime<Utc>,
) -> Result<Vec<Candidate>> {
    let (spans, names, starts) = spans(calendar, now);
    // How many times as long as until now the whole window is; with a margin for a lively end.
    let scales: Vec<f64> = spans
        .iter()
        .map(|span| {
            let Some(end) = span.end else { return 0.0 };
            let (whole, gone) = ((end - span.start).num_seconds(), (now - span.start).num_seconds().max(1));
            1.5 * whole as f64 / gone as f64
        })
        .collect();
    let rows = sqlx::query!(
        r#"select l.scope_kind, l.thing_id, l.person_id, l.metric, l.window_kind, l.cap, w.settled
           from unnest($2::text[], $3::timestamptz[], $4::float8[]) as k (window_kind, starts_at, scale)
           join limits l on l.org_id = $1 and l.window_kind = k.window_kind
           join windows w
             on w.org_id = $1 and w.scope_kind = l.scope_kind and w.thing_id = l.thing_id and w.person_id = l.person_id
            and w.metric = l.metric and w.window_kind = l.window_kind and w.starts_at = k.starts_at
           where l.window_kind in ('week', 'month', 'year') and l.metric <> 'concurrent_calls'
             and l.scope_kind in ('organization', 'group', 'application', 'user', 'member')
             and w.settled > 0 and w.settled < l.cap and w.settled * k.scale >= l.cap
             and not exists (
                 select from alerts a
                 where a.org_id = $1
                   and a.key = 'forecast:' || l.scope_kind || ':' || l.thing_id || ':' || l.person_id || ':' || l.metric || ':'
                               || l.window_kind || ':' || extract(epoch from k.starts_at)::bigint)
           order by w.settled::float8 / l.cap desc limit $5"#,
        org.0,
        &names,
        &starts,
        &scales,
        FORECASTS,
    )
    .fetch_all(store.pool())
    .await?;
    let candidates = rows.iter().map(|row| {
        let scope = (row.scope_kind.as_str(), row.thing_id, row.person_id);
        candidate(scope, &row.metric, &row.window_kind, (row.cap, row.settled), &[], &spans)
    });
    let all: Vec<Candidate> = candidates.collect::<Result<_>>()?;
    Ok(all.into_iter().filter(|candidate| has_forecast(&candidate.meter)).collect())
}

/// How much of a meter was used on each of the last days.
async fn days_of(
    store: &Store,
    org: OrgId,
    meter: Meter,
    today: NaiveDate,
) -> Result<HashMap<NaiveDate, i64>> {
    let all = Which::default();
    let which = match meter.scope {
        Scope::Group(group) => Which { group: Some(group), ..all },
        Scope::Application(application) => Which { application: Some(application), ..all },
        Scope::User(user) => Which { user: Some(user), ..all },
        Scope::Member(group, user) => Which { group: Some(group), user: Some(user), ..all },
        Scope::Organization | Scope::Authorization(_) | Scope::Grant(_) => all,
    };
    let amount = |sums: &Sums| match meter.metric {
        Metric::Spend => sums.spend.0,
        Metric::Requests => sums.calls,
        Metric::Tokens => sums.input_tokens() + sums.output_tokens(),
        Metric::InputTokens => sums.input_tokens(),
        Metric::OutputTokens => sums.output_tokens(),
        Metric::ConcurrentCalls => 0,
    };
    let from = today.checked_sub_days(Days::new(LOOK_BACK)).unwrap_or(today);
    let to = today.checked_add_days(Days::new(1)).unwrap_or(today);
    let rows = rollups::read(store, org, &which, None, Period { from, to }, Steps::Days, None, false).await?;
    Ok(rows.into_iter().map(|(day, _, sums)| (day, amount(&sums))).collect())
}

/// Looks for groups and applications whose day, today or yesterday, costs a multiple of the usual. Returns how many
/// were told.
///
/// # Errors
/// When the database does not answer.
pub async fn anomalies(store: &Store, org: OrgId, now: DateTime<Utc>) -> Result<usize> {
    let settings = settings(store, org).await?;
    if !settings.kinds.contains(&AlertKind::Anomaly) {
        return Ok(0);
    }
    let today = organizations::calendar(store, org).await?.day(now);
    let mut found = Vec::new();
    // What began after the last look at a day is found by the first ones after it.
    for day in today.pred_opt().into_iter().chain([today]) {
        let unusual = unusual(store, org, day, settings.floor).await?;
        found.extend(unusual.into_iter().map(|(scope, spent, found)| (scope, day, spent, found)));
    }
    if found.is_empty() {
        return Ok(0);
    }
    fire(store, org, &settings, now, |facts| {
        let alert = |(scope, day, spent, found): (Scope, NaiveDate, Money, domain::alerts::Unusual)| {
            let (name, href) = (name_of(facts, scope), page_of(facts, scope));
            let (kind, thing, _) = scope.parts();
            (scope, unusual_day(&format!("{kind}:{thing}"), &name, &href, day, spent, found), false)
        };
        found.into_iter().map(alert).collect()
    })
    .await
}

/// Groups, with everything below them, and applications that cost a multiple of the usual on a
/// day.
async fn unusual(
    store: &Store,
    org: OrgId,
    today: NaiveDate,
    floor: Money,
) -> Result<Vec<(Scope, Money, domain::alerts::Unusual)>> {
    let days: Vec<NaiveDate> =
        (0..=ANOMALY_WEEKS).filter_map(|weeks| today.checked_sub_days(Days::new(7 * weeks))).collect();
    let rows = sqlx::query!(
        r#"with d as (
               select u.day, u.application_id, u.path_id, sum(u.spend) as spend
               from usage_by_day u where u.org_id = $1 and u.day = any ($2)
               group by u.day, u.application_id, u.path_id
           )
           select 'application' as "kind!", application_id as "thing!", day as "day!", sum(spend)::bigint as "spend!"
           from d group by application_id, day
           union all
           select 'group', g, d.day, sum(d.spend)::bigint
           from d join group_paths p on p.org_id = $1 and p.path_id = d.path_id cross join unnest(p.groups) as g
           group by g, d.day"#,
        org.0,
        &days,
    )
    .fetch_all(store.pool())
    .await?;
    let mut things = HashMap::<(bool, Uuid), Vec<Money>>::new();
    for row in rows {
        let weeks =
            things.entry((row.kind == "group", row.thing)).or_insert_with(|| vec![Money(0); days.len()]);
        if let Some(place) = days.iter().position(|day| *day == row.day) {
            weeks[place] = Money(row.spend);
        }
    }
    let scope = |(group, id): (bool, Uuid)| {
        if group { Scope::Group(GroupId(id)) } else { Scope::Application(ApplicationId(id)) }
    };
    let mut found: Vec<_> = things
        .into_iter()
        .filter_map(|(thing, weeks)| {
            let (today, before) = weeks.split_first()?;
            anomaly(*today, before, floor).map(|found| (scope(thing), *today, found))
        })
        .collect();
    found.sort_by_key(|(scope, ..)| *scope);
    Ok(found)
}

/// Looks for providers that answered today or yesterday without saying what was used. Returns how many
/// were told of.
///
/// # Errors
/// When the database does not answer.
pub async fn unreported(store: &Store, org: OrgId, now: DateTime<Utc>) -> Result<usize> {
    let settings = settings(store, org).await?;
    if !settings.kinds.contains(&AlertKind::Anomaly) {
        return Ok(0);
    }
    let calendar = organizations::calendar(store, org).await?;
    let today = calendar.day(now);
    // A call may be booked after the day it began on.
    let days: Vec<NaiveDate> = today.pred_opt().into_iter().chain([today]).collect();
    let starts: Vec<DateTime<Utc>> = days.iter().map(|day| calendar.midnight(*day)).collect();
    let ends: Vec<DateTime<Utc>> =
        days.iter().map(|day| calendar.midnight(day.succ_opt().unwrap_or(*day))).collect();
    let rows = sqlx::query!(
        r#"select k.day as "day!", p.provider_id, p.name, c.call_id, m.name as "model?"
           from unnest($2::date[], $3::timestamptz[], $4::timestamptz[]) as k (day, starts_at, ends_at)
           join providers p on p.org_id = $1
           cross join lateral (
               select e.call_id, e.model_id from events e
               where e.org_id = $1 and e.provider_id = p.provider_id and e.estimated and e.outcome = 'ok'
                 and e.started_at >= k.starts_at and e.started_at < k.ends_at and e.day >= $5 and e.day <= $6
               order by e.started_at limit 1
           ) c
           left join models m on m.org_id = $1 and m.model_id = c.model_id
           where not exists (
               select from alerts a where a.org_id = $1 and a.key = 'unreported:' || p.provider_id || ':' || k.day)"#,
        org.0,
        &days,
        &starts,
        &ends,
        starts.first().map_or(today, DateTime::date_naive),
        ends.last().map_or(today, DateTime::date_naive),
    )
    .fetch_all(store.pool())
    .await?;
    if rows.is_empty() {
        return Ok(0);
    }
    fire(store, org, &settings, now, |_| {
        rows.into_iter()
            .map(|row| {
                let model = row.model.unwrap_or_else(|| "a model".to_owned());
                let provider = (row.provider_id.into(), row.name.as_str());
                (Scope::Organization, unreported_usage(provider, &model, row.call_id.into(), row.day), false)
            })
            .collect()
    })
    .await
}

/// Looks for monthly budgets of which hardly anything was used in the last whole month. Returns how
/// many were told.
///
/// # Errors
/// When the database does not answer.
pub async fn unused(store: &Store, org: OrgId, now: DateTime<Utc>) -> Result<usize> {
    let settings = settings(store, org).await?;
    if !settings.kinds.contains(&AlertKind::Unused) {
        return Ok(0);
    }
    let calendar = organizations::calendar(store, org).await?;
    let today = calendar.day(now);
    let this = today.with_day(1).unwrap_or(today);
    let month = this.checked_sub_months(Months::new(1)).unwrap_or(this);
    let starts_at = calendar.midnight(month);
    let rows = sqlx::query!(
        r#"select l.scope_kind, l.thing_id, l.cap, coalesce(w.settled, 0) as "settled!"
           from limits l
           left join windows w
             on w.org_id = $1 and w.scope_kind = l.scope_kind and w.thing_id = l.thing_id and w.person_id = l.person_id
            and w.metric = l.metric and w.window_kind = l.window_kind and w.starts_at = $2
           where l.org_id = $1 and l.metric = 'spend' and l.window_kind = 'month' and l.created_at <= $2
             and l.scope_kind in ('organization', 'group', 'application', 'authorization')"#,
        org.0,
        starts_at,
    )
    .fetch_all(store.pool())
    .await?;
    let mut found = Vec::new();
    for row in rows.into_iter().filter(|row| is_unused(row.settled, row.cap)) {
        let scope = Scope::from_parts(row.scope_kind.parse()?, row.thing_id, UserId::NIL.0);
        found.push((scope, row.cap, row.settled));
    }
    if found.is_empty() {
        return Ok(0);
    }
    fire(store, org, &settings, now, |facts| {
        let live = |scope: Scope| match scope {
            Scope::Group(id) => facts.groups.contains_key(&id),
            Scope::Application(id) => facts.applications.contains_key(&id),
            _ => true,
        };
        let alert = |(scope, cap, used): (Scope, i64, i64)| {
            let meter = Meter { scope, metric: Metric::Spend, window: Window::Month };
            let (name, href) = (name_of(facts, scope), page_of(facts, scope));
            (scope, Watched { meter, name: &name, cap, href: &href }.unused(used, month), false)
        };
        found.into_iter().filter(|(scope, ..)| live(*scope)).map(alert).collect()
    })
    .await
}
