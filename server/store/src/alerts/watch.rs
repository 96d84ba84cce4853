//! Looking for what is worth an alert. Sums are read: windows, and sums by day; only how many calls ran at once
//! is in neither, and is counted from the last hours of the ledger where a limit is on it.
//!
//! What fired is known by its key, so that looking twice, or by several processes at once, tells
//! nobody twice.

mod ahead;
mod crossed;

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, Utc};
use domain::{
    access::Facts,
    alerts::{
        ANOMALY_WEEKS, AlertKind, AlertSettings, Fired, Watched, anomaly, is_unused,
        unreported as unreported_usage, unusual_day,
    },
    ids::{ApplicationId, GroupId, OrgId, UserId},
    limits::{Meter, Metric, Mode, Scope},
    money::Money,
    window::{Calendar, Span, Window},
};
use uuid::Uuid;

pub use self::{
    ahead::forecasts,
    crossed::{late, thresholds},
};
use super::{Round, page_of, settings};
use crate::{Result, Store, access, organizations};

/// A limit that may have something to tell.
struct Candidate {
    meter: Meter,
    cap: i64,
    mode: Mode,
    thresholds: Vec<u8>,
    used: i64,
    span: Span,
}

/// The windows that run, by what they are called, and when each began.
fn running(calendar: Calendar, now: DateTime<Utc>) -> (Vec<String>, Vec<Span>, Vec<DateTime<Utc>>) {
    let spans: Vec<Span> = Window::ALL.iter().map(|window| calendar.span(*window, now)).collect();
    let starts = spans.iter().map(|span| span.start).collect();
    (Window::ALL.iter().map(ToString::to_string).collect(), spans, starts)
}

/// What fires, and whether it is only taken down.
type Found = (Scope, Fired, bool);

/// What a scope is called at the start of a sentence: names as they are, `the grant` as `The grant`.
fn name_of(facts: &Facts, scope: Scope) -> String {
    let name = facts.scope_name(scope);
    match (scope, name.strip_prefix("the ")) {
        (Scope::Grant(_), Some(rest)) => format!("The {rest}"),
        _ => name,
    }
}

/// `on 1 Dec 2026 at 00:00`, by the organization's clocks.
fn moment(calendar: Calendar, at: DateTime<Utc>) -> String {
    let local = at.with_timezone(&calendar.zone);
    format!("on {} at {}", domain::time::date(local.date_naive()), local.format("%H:%M"))
}

/// Those of these keys that have fired.
async fn fired_of(store: &Store, org: OrgId, keys: &[String]) -> Result<HashSet<String>> {
    let known =
        sqlx::query_scalar!("select key from alerts where org_id = $1 and key = any ($2)", org.0, keys);
    Ok(known.fetch_all(store.pool()).await?.into_iter().collect())
}

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
    let known = fired_of(store, org, &keys).await?;
    let round = Round { store, facts: &facts, settings, now };
    let mut count = 0;
    for (scope, fired, quietly) in &found {
        if !known.contains(&fired.telling.key) && round.fire(*scope, fired, *quietly).await? {
            count += usize::from(!quietly);
        }
    }
    Ok(count)
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
        r#"select l.scope_kind, l.thing_id, l.cap, l.mode, coalesce(w.settled, 0) as "settled!"
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
        found.push((scope, row.cap, row.mode.parse()?, row.settled));
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
        let alert = |(scope, cap, mode, used): (Scope, i64, Mode, i64)| {
            let meter = Meter { scope, metric: Metric::Spend, window: Window::Month };
            let (name, href) = (name_of(facts, scope), page_of(facts, scope));
            (scope, Watched { meter, name: &name, cap, mode, href: &href }.unused(used, month), false)
        };
        found.into_iter().filter(|(scope, ..)| live(*scope)).map(alert).collect()
    })
    .await
}
