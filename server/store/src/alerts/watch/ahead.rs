//! Limits that will be reached before their window ends, as far as can be foreseen.

use std::collections::HashMap;

use chrono::{DateTime, Days, NaiveDate, Utc};
use domain::{
    alerts::{Ahead, AlertKind, DAYS_AHEAD, Forecasting, Watched, forecasting, pace, told_once_in},
    explore::Period,
    forecast::{LOOK_BACK, forecast},
    ids::OrgId,
    limits::{Meter, Metric, Mode, Scope},
    money::{Money, how_many},
    spend::Sums,
    time,
    window::{Calendar, Span, Window},
};

use super::{Candidate, fire, name_of, page_of, running};
use crate::{
    Result, Store,
    alerts::settings,
    limits::meter_of,
    organizations,
    rollups::{self, Steps, Which},
};

/// How many limits are looked at in one round at most, those nearest first.
const LIMITS: i64 = 2_000;
/// Of how many of them the last days are read; the others have their turn in the next round.
const BY_DAY: usize = 200;
/// Fewer days behind it say too little for an alert.
const LEAST: usize = 7;

/// A limit that might run out, and since when it is counted.
struct Might {
    candidate: Candidate,
    since: DateTime<Utc>,
}

/// Looks for limits that will be reached before their window ends, or soon. Returns how many were told.
///
/// # Errors
/// When the database does not answer.
pub async fn forecasts(store: &Store, org: OrgId, now: DateTime<Utc>) -> Result<usize> {
    let settings = settings(store, org).await?;
    if !settings.kinds.contains(&AlertKind::Forecast) {
        return Ok(0);
    }
    let organization = organizations::get(store, org).await?;
    let calendar = organizations::calendar_of(&organization)?;
    let mut might = might_run_out(store, org, calendar, now).await?;
    if let Some(default) = organization.default_user_limit {
        might.extend(might_pass_default(store, org, calendar, default, now).await?);
    }
    let mut found = Vec::new();
    let mut read = 0;
    for might in might {
        let ahead = match forecasting(&might.candidate.meter) {
            Some(Forecasting::ByPace) => by_pace(&might, calendar, now),
            Some(Forecasting::ByDay) if read < BY_DAY => {
                read += 1;
                by_day(store, org, &might.candidate, calendar.day(now), calendar).await?
            }
            _ => None,
        };
        found.extend(ahead.map(|ahead| (might.candidate, ahead)));
    }
    if found.is_empty() {
        return Ok(0);
    }
    fire(store, org, &settings, now, |facts| {
        let alert = |(candidate, ahead): (Candidate, Ahead)| {
            let Candidate { meter, cap, mode, used, .. } = candidate;
            let (name, href) = (name_of(facts, meter.scope), page_of(facts, meter.scope));
            let watched = Watched { meter, name: &name, cap, mode, href: &href };
            let since = told_once_in(&meter, calendar, now).start;
            (meter.scope, watched.runs_out(&ahead, used, since), false)
        };
        found.into_iter().map(alert).collect()
    })
    .await
}

/// By what each of the last days used.
async fn by_day(
    store: &Store,
    org: OrgId,
    candidate: &Candidate,
    today: NaiveDate,
    calendar: Calendar,
) -> Result<Option<Ahead>> {
    let Candidate { meter, cap, used, span, .. } = candidate;
    let soon = || today.checked_add_days(Days::new(DAYS_AHEAD)).unwrap_or(today);
    let end = span.end.map_or_else(soon, |end| calendar.day(end));
    let days = days_of(store, org, *meter, today).await?;
    let on = |day: NaiveDate| days.get(&day).copied().unwrap_or_default();
    let first = today.checked_sub_days(Days::new(LOOK_BACK)).unwrap_or(today);
    let past: Vec<(NaiveDate, Money)> =
        first.iter_days().take_while(|day| *day < today).map(|day| (day, Money(on(day)))).collect();
    let Some(ahead) = forecast(&past, Money(*used), Money(on(today)), today, end) else { return Ok(None) };
    if ahead.learned_from < LEAST {
        return Ok(None);
    }
    let day = ahead.reaches(Money(*cap), Money(*used), today).filter(|day| *day < end);
    Ok(day.map(|day| Ahead {
        short: format!("on {}", time::day(day)),
        full: format!("on {}", time::date(day)),
        learned_from: how_many(ahead.learned_from as u64, "day", "days"),
    }))
}

/// By the pace it has had since it is counted.
fn by_pace(might: &Might, calendar: Calendar, now: DateTime<Utc>) -> Option<Ahead> {
    let Candidate { cap, used, span, .. } = might.candidate;
    let reached = pace(used, cap, might.since, span.end, now)?;
    let (hours, days) = ((now - might.since).num_hours(), (now - might.since).num_days());
    let gone = match (hours, days) {
        (..1, _) => how_many((now - might.since).num_minutes().unsigned_abs(), "minute", "minutes"),
        (..48, _) => how_many(hours.unsigned_abs(), "hour", "hours"),
        _ => how_many(days.unsigned_abs(), "day", "days"),
    };
    let day = calendar.day(reached);
    let clock = reached.with_timezone(&calendar.zone).format("%H:%M");
    let (short, full) = if day == calendar.day(now) {
        (format!("at {clock}"), format!("today at {clock}"))
    } else {
        (format!("on {}", time::day(day)), format!("on {}", time::date(day)))
    };
    Some(Ahead { short, full, learned_from: format!("the pace of the last {gone}") })
}

/// Limits that would be nearly reached if the rest of their window went like its beginning, and
/// are not yet; none of which a forecast was told in this window. Those nearest first.
async fn might_run_out(
    store: &Store,
    org: OrgId,
    calendar: Calendar,
    now: DateTime<Utc>,
) -> Result<Vec<Might>> {
    let (names, spans, starts) = running(calendar, now);
    let told: Vec<DateTime<Utc>> = Window::ALL
        .iter()
        .map(|window| {
            let meter = Meter { scope: Scope::Organization, metric: Metric::Spend, window: *window };
            told_once_in(&meter, calendar, now).start
        })
        .collect();
    let scales: Vec<f64> = spans.iter().map(|span| scale(*span, now)).collect();
    let rows = sqlx::query!(
        r#"select l.scope_kind, l.thing_id, l.person_id, l.metric, l.window_kind, l.cap, l.mode, w.settled,
                  w.starts_at as "starts_at!", w.ends_at, coalesce(r.created_at, g.starts_at) as began
           from unnest($2::text[], $3::timestamptz[], $4::float8[], $6::timestamptz[]) as k (window_kind, starts_at, scale, told_since)
           join limits l on l.org_id = $1 and l.window_kind = k.window_kind
           join windows w
             on w.org_id = $1 and w.scope_kind = l.scope_kind and w.thing_id = l.thing_id and w.person_id = l.person_id
            and w.metric = l.metric and w.window_kind = l.window_kind and w.starts_at = k.starts_at
           left join authorizations r on r.org_id = $1 and l.scope_kind = 'authorization' and r.authorization_id = l.thing_id
           left join grants g on g.org_id = $1 and l.scope_kind = 'grant' and g.grant_id = l.thing_id
           where l.window_kind <> 'minute' and l.metric <> 'concurrent_calls'
             and w.settled > 0 and w.settled < l.cap and w.settled * k.scale >= l.cap
             and r.removed_at is null and g.revoked_at is null and coalesce(g.ends_at > $7, true)
             and not exists (
                 select from alerts a
                 where a.org_id = $1
                   and a.key = 'forecast:' || l.scope_kind || ':' || l.thing_id || ':' || l.person_id || ':' || l.metric || ':'
                               || l.window_kind || ':' || extract(epoch from k.told_since)::bigint
                               || case when l.window_kind = 'total' then ':' || l.cap else '' end)
           order by w.settled::float8 / l.cap desc limit $5"#,
        org.0,
        &names,
        &starts,
        &scales,
        LIMITS,
        &told,
        now,
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
                thresholds: Vec::new(),
                used: row.settled,
                span: Span { start: row.starts_at, end: row.ends_at },
            };
            let since = row.began.map_or(row.starts_at, |began| began.max(row.starts_at));
            Ok(Might { candidate, since })
        })
        .collect()
}

/// How many times as long as until now the whole window is, with a margin for a lively end; for one that
/// never ends, so that whatever is used counts.
fn scale(span: Span, now: DateTime<Utc>) -> f64 {
    let Some(end) = span.end else { return f64::from(i32::MAX) };
    let (whole, gone) = ((end - span.start).num_seconds(), (now - span.start).num_seconds().max(1));
    1.5 * whole as f64 / gone as f64
}

/// People without a limit of their own who might pass the organization's default this month, those nearest
/// first; none of whom a forecast was told this month.
async fn might_pass_default(
    store: &Store,
    org: OrgId,
    calendar: Calendar,
    default: Money,
    now: DateTime<Utc>,
) -> Result<Vec<Might>> {
    let span = calendar.span(Window::Month, now);
    let rows = sqlx::query!(
        "select w.thing_id, w.settled from windows w
         left join limits l
           on l.org_id = $1 and l.scope_kind = 'user' and l.thing_id = w.thing_id and l.metric = 'spend' and l.window_kind = 'month'
         where w.org_id = $1 and w.scope_kind = 'user' and w.metric = 'spend' and w.window_kind = 'month' and w.starts_at = $2
           and w.settled > 0 and w.settled < $3 and w.settled * $4::float8 >= $3 and l.limit_id is null
           and not exists (
               select from alerts a
               where a.org_id = $1
                 and a.key = 'forecast:user:' || w.thing_id || ':' || w.person_id || ':spend:month:' || extract(epoch from w.starts_at)::bigint)
         order by w.settled desc limit $5",
        org.0,
        span.start,
        default.0,
        scale(span, now),
        LIMITS,
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let scope = Scope::User(row.thing_id.into());
            let candidate = Candidate {
                meter: Meter { scope, metric: Metric::Spend, window: Window::Month },
                cap: default.0,
                mode: Mode::Enforce,
                thresholds: Vec::new(),
                used: row.settled,
                span,
            };
            Might { candidate, since: span.start }
        })
        .collect())
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
