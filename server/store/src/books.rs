//! Do the books agree? Ledger = windows = roll-ups = closed months, and what is set aside = the leases.
//!
//! Everything is read as of one moment: what changes meanwhile is no difference, and nobody waits. Days
//! that the ledger has let go of are in the sums only: there is nothing left to compare those with.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use domain::{
    ids::{OrgId, UserId},
    keys::{Feature, Features},
    limits::{Meter, Metric, Scope},
    money::{Money, grouped},
    window::{Calendar, Window},
};
use sqlx::PgConnection;

use crate::{
    Result, Store,
    limits::{self, used},
    sums,
};

/// How many differences a sentence names.
const NAMED: usize = 3;

/// Two sums that should be the same and are not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// Of what: `windows: spend of group grp_… since …`.
    pub what: String,
    /// What is written down.
    pub is: i64,
    /// What the ledger, or the leases, say.
    pub should_be: i64,
}

/// Everything that does not agree at `now`; empty when the books are right.
///
/// # Errors
/// When the database does not answer.
pub async fn drift(store: &Store, org: OrgId, calendar: Calendar, now: DateTime<Utc>) -> Result<Vec<Drift>> {
    let mut tx = store.pool().begin().await?;
    sqlx::query!("set transaction isolation level repeatable read, read only").execute(&mut *tx).await?;
    let meters = limits::meters(&mut tx, org).await?;
    let rows = read_windows(&mut tx, org).await?;
    let mut found = Vec::new();
    for meter in
        meters.into_iter().filter(|meter| meter.metric != Metric::ConcurrentCalls && !is_month(meter))
    {
        let span = calendar.span(meter.window, now);
        let is = rows.get(&(meter, span.start)).map_or(0, |row| row.settled);
        let should_be = used(&mut tx, org, &meter, span).await?;
        note(&mut found, is, should_be, || format!("windows: {} since {}", name(&meter), span.start));
    }
    months(&mut tx, org, calendar, now, &mut found).await?;
    let leases = read_leases(&mut tx, org).await?;
    for (key, row) in &rows {
        let (granted, reserved) = leases.get(key).copied().unwrap_or_default();
        note(&mut found, row.leased, granted, || format!("leased: {} since {}", name(&key.0), key.1));
        note(&mut found, row.held, reserved, || format!("held: {} since {}", name(&key.0), key.1));
    }
    for ((meter, start), (granted, _)) in leases.iter().filter(|(key, _)| !rows.contains_key(*key)) {
        note(&mut found, 0, *granted, || format!("leased: {} since {start}", name(meter)));
    }
    days(&mut tx, org, calendar, None, &mut found).await?;
    features(&mut tx, org, calendar, None, &mut found).await?;
    crate::reports::books::drift(&mut tx, org, &mut found).await?;
    for (what, is, should_be) in sums::drift(&mut tx, org, None).await? {
        found.push(Drift { what, is, should_be });
    }
    tx.rollback().await?;
    found.sort_by(|a, b| a.what.cmp(&b.what));
    Ok(found)
}

/// What the report of an open month is read from, against the ledger: everything about the days from
/// `first` until before `next` that does not agree.
pub(crate) async fn of_month(
    db: &mut PgConnection,
    org: OrgId,
    calendar: Calendar,
    (first, next): (NaiveDate, NaiveDate),
) -> Result<Vec<Drift>> {
    let mut found = Vec::new();
    days(db, org, calendar, Some((first, next)), &mut found).await?;
    features(db, org, calendar, Some((first, next)), &mut found).await?;
    for (what, is, should_be) in sums::drift(db, org, Some((first, next))).await? {
        found.push(Drift { what, is, should_be });
    }
    Ok(found)
}

impl std::fmt::Display for Drift {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let money = self.what.contains("spend") || self.what.contains("adjustments");
        let amount = |amount: i64| {
            let sign = if amount < 0 { "−" } else { "" };
            match money {
                true => format!("{sign}${}", Money(amount.saturating_abs()).exact()),
                false => format!("{sign}{}", grouped(amount.unsigned_abs())),
            }
        };
        let what = self.what.strip_prefix("days: ").unwrap_or(&self.what);
        let by = amount(self.is.saturating_sub(self.should_be).saturating_abs());
        let (is, should_be) = (amount(self.is), amount(self.should_be));
        write!(f, "{what}: {is} where it should be {should_be}, which is {by} away")
    }
}

/// Differences as one text: the first of them, and how many more there are.
pub(crate) fn told(found: &[Drift]) -> String {
    let named: Vec<String> = found.iter().take(NAMED).map(ToString::to_string).collect();
    match found.len().saturating_sub(NAMED) {
        0 => named.join("; "),
        more => format!("{}; and {more} more", named.join("; ")),
    }
}

/// A person's month of spend: [`months`] looks at all of them at once.
const fn is_month(meter: &Meter) -> bool {
    matches!(meter, Meter { scope: Scope::User(_), metric: Metric::Spend, window: Window::Month })
}

fn note(found: &mut Vec<Drift>, is: i64, should_be: i64, what: impl Fn() -> String) {
    if is != should_be {
        found.push(Drift { what: what(), is, should_be });
    }
}

fn name(meter: &Meter) -> String {
    let (kind, thing, person) = meter.scope.parts();
    format!("{} {} of {kind} {thing} {person}", meter.metric, meter.window)
}

/// The running month of everybody who has one or has called in it: counted whether there is a limit
/// or not.
async fn months(
    db: &mut PgConnection,
    org: OrgId,
    calendar: Calendar,
    now: DateTime<Utc>,
    found: &mut Vec<Drift>,
) -> Result<()> {
    let span = calendar.span(Window::Month, now);
    let rows = sqlx::query!(
        r#"select user_id as "id!", coalesce(w.settled, 0) as "is!", coalesce(e.spend, 0) as "should_be!"
           from (select thing_id as user_id, settled from windows
                 where org_id = $1 and scope_kind = 'user' and metric = 'spend' and window_kind = 'month' and starts_at = $2) w
           full join (select user_id, sum(cost)::bigint as spend from events
                      where org_id = $1 and user_id is not null and started_at >= $2 and day >= ($2 at time zone 'UTC')::date
                        and ($3::timestamptz is null or started_at < $3)
                      group by user_id) e using (user_id)"#,
        org.0,
        span.start,
        span.end,
    )
    .fetch_all(db)
    .await?;
    for row in rows {
        let scope = Scope::User(UserId(row.id));
        let meter = Meter { scope, metric: Metric::Spend, window: Window::Month };
        note(found, row.is, row.should_be, || format!("windows: {} since {}", name(&meter), span.start));
    }
    Ok(())
}

struct Row {
    settled: i64,
    leased: i64,
    held: i64,
}

async fn read_windows(db: &mut PgConnection, org: OrgId) -> Result<HashMap<(Meter, DateTime<Utc>), Row>> {
    let rows = sqlx::query!(
        "select scope_kind, thing_id, person_id, metric, window_kind, starts_at, settled, leased, held from windows where org_id = $1",
        org.0
    )
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|row| {
            let scope = Scope::from_parts(row.scope_kind.parse()?, row.thing_id, row.person_id);
            let meter = Meter { scope, metric: row.metric.parse()?, window: row.window_kind.parse()? };
            Ok(((meter, row.starts_at), Row { settled: row.settled, leased: row.leased, held: row.held }))
        })
        .collect()
}

async fn read_leases(
    db: &mut PgConnection,
    org: OrgId,
) -> Result<HashMap<(Meter, DateTime<Utc>), (i64, i64)>> {
    let rows = sqlx::query!(
        r#"select scope_kind, thing_id, person_id, metric, window_kind, starts_at, sum(granted)::bigint as "granted!",
                  sum(reserved)::bigint as "reserved!"
           from leases where org_id = $1 group by 1, 2, 3, 4, 5, 6"#,
        org.0
    )
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|row| {
            let scope = Scope::from_parts(row.scope_kind.parse()?, row.thing_id, row.person_id);
            let meter = Meter { scope, metric: row.metric.parse()?, window: row.window_kind.parse()? };
            Ok(((meter, row.starts_at), (row.granted, row.reserved)))
        })
        .collect()
}

/// The sums by day against the ledger, for every day that is in either; or of these days only.
async fn days(
    db: &mut PgConnection,
    org: OrgId,
    calendar: Calendar,
    only: Option<(NaiveDate, NaiveDate)>,
    found: &mut Vec<Drift>,
) -> Result<()> {
    let rows = sqlx::query!(
        r#"select day as "day!", coalesce(d.calls, 0)::bigint as "calls!", coalesce(e.calls, 0)::bigint as "should_calls!",
                  coalesce(d.spend, 0)::bigint as "spend!", coalesce(e.spend, 0)::bigint as "should_spend!",
                  coalesce(d.tokens, 0)::bigint as "tokens!", coalesce(e.tokens, 0)::bigint as "should_tokens!"
           from (select day, sum(calls) as calls, sum(spend) as spend,
                        sum(input + cache_read + cache_write + output + reasoning) as tokens
                 from usage_by_day
                 where org_id = $1 and day > coalesce((select first_day from ledger_start), '-infinity')
                   and ($3::date is null or (day >= $3 and day < $4)) group by day) d
           full join (select (started_at at time zone $2::text)::date as day, count(*) as calls, sum(cost) as spend,
                             sum(input + cache_read + cache_write + cache_write_long + audio_input
                                 + output + reasoning + audio_output) as tokens
                      from events
                      where org_id = $1
                        and (started_at at time zone $2::text)::date > coalesce((select first_day from ledger_start), '-infinity')
                        and ($3::date is null or ((started_at at time zone $2::text)::date >= $3
                             and (started_at at time zone $2::text)::date < $4 and day >= $3::date - 1 and day <= $4::date))
                      group by 1) e using (day)"#,
        org.0,
        calendar.zone.name(),
        only.map(|(first, _)| first),
        only.map(|(_, next)| next),
    )
    .fetch_all(db)
    .await?;
    for row in rows {
        let day: NaiveDate = row.day;
        for (what, is, should_be) in [
            ("calls", row.calls, row.should_calls),
            ("spend", row.spend, row.should_spend),
            ("tokens", row.tokens, row.should_tokens),
        ] {
            note(found, is, should_be, || format!("days: {what} of {day}"));
        }
    }
    Ok(())
}

/// The sums by day and features against the ledger, for every day and set that is in either; or of
/// these days only.
async fn features(
    db: &mut PgConnection,
    org: OrgId,
    calendar: Calendar,
    only: Option<(NaiveDate, NaiveDate)>,
    found: &mut Vec<Drift>,
) -> Result<()> {
    let rows = sqlx::query!(
        r#"select day as "day!", features as "features!", coalesce(d.calls, 0)::bigint as "calls!",
                  coalesce(e.calls, 0)::bigint as "should_calls!", coalesce(d.spend, 0)::bigint as "spend!",
                  coalesce(e.spend, 0)::bigint as "should_spend!"
           from (select day, features, sum(calls) as calls, sum(spend) as spend
                 from usage_by_day
                 where org_id = $1 and day > coalesce((select first_day from ledger_start), '-infinity')
                   and ($3::date is null or (day >= $3 and day < $4)) group by 1, 2) d
           full join (select (started_at at time zone $2::text)::date as day, features, count(*) as calls, sum(cost) as spend
                      from events
                      where org_id = $1
                        and (started_at at time zone $2::text)::date > coalesce((select first_day from ledger_start), '-infinity')
                        and ($3::date is null or ((started_at at time zone $2::text)::date >= $3
                             and (started_at at time zone $2::text)::date < $4 and day >= $3::date - 1 and day <= $4::date))
                      group by 1, 2) e using (day, features)
           where coalesce(d.calls, 0) <> coalesce(e.calls, 0) or coalesce(d.spend, 0) <> coalesce(e.spend, 0)"#,
        org.0,
        calendar.zone.name(),
        only.map(|(first, _)| first),
        only.map(|(_, next)| next),
    )
    .fetch_all(db)
    .await?;
    for row in rows {
        let day: NaiveDate = row.day;
        let used: Vec<&str> = Features::from_bits(row.features).iter().map(Feature::as_str).collect();
        let used = if used.is_empty() { "no feature".to_owned() } else { used.join(" and ") };
        note(found, row.calls, row.should_calls, || format!("features: calls with {used} of {day}"));
        note(found, row.spend, row.should_spend, || format!("features: spend with {used} of {day}"));
    }
    Ok(())
}
