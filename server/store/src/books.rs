//! Do the books agree? Ledger = windows = roll-ups = sessions = closed months, and what is set aside = the
//! leases: row by row.
//!
//! Everything is read as of one moment: what changes meanwhile is no difference, and nobody waits. Days
//! that the ledger has let go of are in the sums only: there is nothing left to compare those with.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use domain::{
    ids::{OrgId, UserId},
    limits::{Meter, Metric, Scope},
    money::{Money, grouped},
    window::{Calendar, Window},
};
use sqlx::PgConnection;

mod past;
mod rows;

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
    past::windows(&mut tx, org, calendar, now, &mut found).await?;
    rows::days(&mut tx, org, calendar, None, &mut found).await?;
    rows::sums(&mut tx, org, None, &mut found).await?;
    rows::sessions(&mut tx, org, &mut found).await?;
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
    rows::days(db, org, calendar, Some((first, next)), &mut found).await?;
    rows::sums(db, org, Some((first, next)), &mut found).await?;
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
            let meter = limits::meter_of(
                (row.scope_kind.as_str(), row.thing_id, row.person_id),
                &row.metric,
                &row.window_kind,
            )?;
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
            let meter = limits::meter_of(
                (row.scope_kind.as_str(), row.thing_id, row.person_id),
                &row.metric,
                &row.window_kind,
            )?;
            Ok(((meter, row.starts_at), (row.granted, row.reserved)))
        })
        .collect()
}
