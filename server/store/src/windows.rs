//! Reserving and releasing: what calls in flight hold of each meter's window.
//!
//! A reservation is all or nothing, in one transaction over every meter it needs. Rows are always
//! locked in the same order, so that calls that share meters wait for each other and never cross.

use chrono::{DateTime, Utc};
use domain::{
    ids::{CallId, OrgId},
    limits::{Level, Meter, Scope, Shortage},
};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Result, Store};

/// What a call needs of one meter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Of which meter.
    pub meter: Meter,
    /// The window the call falls into.
    pub starts_at: DateTime<Utc>,
    /// When that ends.
    pub ends_at: Option<DateTime<Utc>>,
    /// At most so much.
    pub amount: i64,
    /// The cap.
    pub cap: i64,
    /// Whether it refuses, or only takes note.
    pub enforced: bool,
}

/// A meter without room for a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Short {
    /// Which of the claims.
    pub claim: Claim,
    /// The level it met.
    pub level: Level,
    /// Whether waiting for calls in flight would help.
    pub shortage: Shortage,
}

/// What became of a reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reserved {
    /// Everything is held.
    Held {
        /// Each claim with the level it met, itself not counted.
        levels: Vec<(Claim, Level)>,
        /// The observed limits that would have refused.
        observed: Vec<Short>,
    },
    /// Nothing is held, because of these.
    Short(Vec<Short>),
}

/// What is to be held, by whom, until when.
#[derive(Clone, Copy, Debug)]
pub struct Hold<'a> {
    /// In which organization.
    pub org: OrgId,
    /// For which call.
    pub call: CallId,
    /// By which replica.
    pub replica: Uuid,
    /// How much of which meters.
    pub claims: &'a [Claim],
    /// Who calls what, so that it can be booked without its replica.
    pub record: &'a serde_json::Value,
    /// Since when.
    pub at: DateTime<Utc>,
    /// Until when, unless it is extended.
    pub expires_at: DateTime<Utc>,
}

/// Keys of windows as columns for `unnest`.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    pub scope_kinds: Vec<String>,
    pub things: Vec<Uuid>,
    pub persons: Vec<Uuid>,
    pub metrics: Vec<String>,
    pub windows: Vec<String>,
    pub starts: Vec<DateTime<Utc>>,
    pub ends: Vec<Option<DateTime<Utc>>>,
}

impl Columns {
    pub fn of(keys: impl Iterator<Item = (Meter, DateTime<Utc>, Option<DateTime<Utc>>)>) -> Self {
        let mut columns = Self::default();
        for (meter, start, end) in keys {
            let (kind, thing, person) = meter.scope.parts();
            columns.scope_kinds.push(kind.as_str().to_owned());
            columns.things.push(thing);
            columns.persons.push(person);
            columns.metrics.push(meter.metric.as_str().to_owned());
            columns.windows.push(meter.window.as_str().to_owned());
            columns.starts.push(start);
            columns.ends.push(end);
        }
        columns
    }
}

/// The order in which rows are locked, everywhere.
pub(crate) fn lock_order(meter: &Meter, start: DateTime<Utc>) -> impl Ord + use<> {
    let (kind, thing, person) = meter.scope.parts();
    (kind.as_str(), thing, person, meter.metric.as_str(), meter.window.as_str(), start)
}

/// Holds every claim or none.
///
/// # Errors
/// When the database does not answer: then nothing may be let through.
pub async fn reserve(store: &Store, hold: &Hold<'_>) -> Result<Reserved> {
    let org = hold.org;
    let mut claims = hold.claims.to_vec();
    claims.sort_by_key(|claim| lock_order(&claim.meter, claim.starts_at));
    let mut tx = store.pool().begin().await?;
    let levels = lock(&mut tx, org, &claims).await?;
    let (mut short, mut observed) = (Vec::new(), Vec::new());
    for (claim, level) in claims.iter().zip(&levels) {
        if let Err(shortage) = level.fits(claim.amount, claim.cap) {
            let list = if claim.enforced { &mut short } else { &mut observed };
            list.push(Short { claim: *claim, level: *level, shortage });
        }
    }
    if !short.is_empty() {
        tx.rollback().await?;
        return Ok(Reserved::Short(short));
    }
    let columns = Columns::of(claims.iter().map(|claim| (claim.meter, claim.starts_at, claim.ends_at)));
    let amounts: Vec<i64> = claims.iter().map(|claim| claim.amount).collect();
    sqlx::query!(
        "update windows w set held = w.held + k.amount
         from unnest($2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::timestamptz[], $8::bigint[])
                  as k (scope_kind, thing_id, person_id, metric, window_kind, starts_at, amount)
         where w.org_id = $1 and w.scope_kind = k.scope_kind and w.thing_id = k.thing_id and w.person_id = k.person_id
           and w.metric = k.metric and w.window_kind = k.window_kind and w.starts_at = k.starts_at",
        org.0,
        &columns.scope_kinds,
        &columns.things,
        &columns.persons,
        &columns.metrics,
        &columns.windows,
        &columns.starts,
        &amounts,
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "insert into holds (org_id, call_id, replica_id, started_at, expires_at, claims, call) values ($1, $2, $3, $4, $5, $6, $7)",
        org.0,
        hold.call.0,
        hold.replica,
        hold.at,
        hold.expires_at,
        serde_json::to_value(&claims).unwrap_or_default(),
        hold.record,
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(Reserved::Held { levels: claims.into_iter().zip(levels).collect(), observed })
}

/// Makes the rows that are missing, locks them all, and reads their levels in the order of the
/// claims.
async fn lock(db: &mut PgConnection, org: OrgId, claims: &[Claim]) -> Result<Vec<Level>> {
    let columns = Columns::of(claims.iter().map(|claim| (claim.meter, claim.starts_at, claim.ends_at)));
    sqlx::query!(
        "insert into windows as w (org_id, scope_kind, thing_id, person_id, metric, window_kind, starts_at, ends_at)
         select $1, k.* from unnest($2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::timestamptz[], $8::timestamptz[]) as k
         on conflict do nothing",
        org.0,
        &columns.scope_kinds,
        &columns.things,
        &columns.persons,
        &columns.metrics,
        &columns.windows,
        &columns.starts,
        &columns.ends as &[Option<DateTime<Utc>>],
    )
    .execute(&mut *db)
    .await?;
    let rows = sqlx::query!(
        r#"select w.settled, w.held
           from unnest($2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::timestamptz[])
                    with ordinality as k (scope_kind, thing_id, person_id, metric, window_kind, starts_at, place)
           join windows w
             on w.org_id = $1 and w.scope_kind = k.scope_kind and w.thing_id = k.thing_id and w.person_id = k.person_id
            and w.metric = k.metric and w.window_kind = k.window_kind and w.starts_at = k.starts_at
           order by k.place
           for update of w"#,
        org.0,
        &columns.scope_kinds,
        &columns.things,
        &columns.persons,
        &columns.metrics,
        &columns.windows,
        &columns.starts,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| Level { settled: row.settled, held: row.held }).collect())
}

/// Pushes the end of this replica's holds forward: they live as long as it does.
///
/// # Errors
/// When the database does not answer.
pub async fn extend(store: &Store, replica: Uuid, expires_at: DateTime<Utc>) -> Result<u64> {
    let done = sqlx::query!("update holds set expires_at = $2 where replica_id = $1", replica, expires_at)
        .execute(store.pool())
        .await?;
    Ok(done.rows_affected())
}

/// A hold that outlived its replica.
#[derive(Clone, Debug)]
pub struct Orphan {
    /// Whose.
    pub org: OrgId,
    /// Which call.
    pub call: CallId,
    /// When it was let through.
    pub started_at: DateTime<Utc>,
    /// What it held.
    pub claims: Vec<Claim>,
    /// Who called what.
    pub record: serde_json::Value,
}

/// Holds whose time is over, at most `limit`.
///
/// # Errors
/// When the database does not answer.
pub async fn orphans(store: &Store, now: DateTime<Utc>, limit: i64) -> Result<Vec<Orphan>> {
    let rows = sqlx::query!(
        "select org_id, call_id, started_at, claims, call from holds where expires_at < $1 order by expires_at limit $2",
        now,
        limit
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Orphan {
            org: row.org_id.into(),
            call: row.call_id.into(),
            started_at: row.started_at,
            claims: serde_json::from_value(row.claims).unwrap_or_default(),
            record: row.call,
        })
        .collect())
}

/// Gives a hold back without booking anything: the upstream was never asked.
///
/// # Errors
/// When the database does not answer; the hold then ends by its time.
pub async fn release(store: &Store, org: OrgId, call: CallId) -> Result<()> {
    let mut tx = store.pool().begin().await?;
    let claims = take(&mut tx, org, call).await?;
    let back: Vec<(Claim, i64)> = claims.into_iter().map(|claim| (claim, 0)).collect();
    charge(&mut tx, org, &back).await?;
    tx.commit().await?;
    Ok(())
}

/// Ends a hold and says what it held; nothing when it has ended already.
pub(crate) async fn take(db: &mut PgConnection, org: OrgId, call: CallId) -> Result<Vec<Claim>> {
    let claims = sqlx::query_scalar!(
        "delete from holds where org_id = $1 and call_id = $2 returning claims",
        org.0,
        call.0
    )
    .fetch_optional(db)
    .await?;
    Ok(claims.and_then(|claims| serde_json::from_value(claims).ok()).unwrap_or_default())
}

/// For each claim: gives back what it holds, and books what was used.
pub(crate) async fn charge(db: &mut PgConnection, org: OrgId, charges: &[(Claim, i64)]) -> Result<()> {
    let mut charges = charges.to_vec();
    charges.sort_by_key(|(claim, _)| lock_order(&claim.meter, claim.starts_at));
    let columns = Columns::of(charges.iter().map(|(claim, _)| (claim.meter, claim.starts_at, claim.ends_at)));
    let back: Vec<i64> = charges.iter().map(|(claim, _)| claim.amount).collect();
    let used: Vec<i64> = charges.iter().map(|(_, used)| *used).collect();
    // Where nothing is held the row may be new; `held` then starts at what is given back: nothing.
    sqlx::query!(
        "insert into windows as w (org_id, scope_kind, thing_id, person_id, metric, window_kind, starts_at, ends_at, settled, held)
         select $1, k.* from unnest($2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::timestamptz[], $8::timestamptz[],
                                    $9::bigint[], $10::bigint[]) as k
         on conflict (org_id, scope_kind, thing_id, person_id, metric, window_kind, starts_at)
             do update set settled = w.settled + excluded.settled, held = w.held - excluded.held",
        org.0,
        &columns.scope_kinds,
        &columns.things,
        &columns.persons,
        &columns.metrics,
        &columns.windows,
        &columns.starts,
        &columns.ends as &[Option<DateTime<Utc>>],
        &used,
        &back,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Which meters of these scopes have a limit.
pub(crate) async fn limited(db: &mut PgConnection, org: OrgId, scopes: &[Scope]) -> Result<Vec<Meter>> {
    let (mut kinds, mut things, mut persons) = (Vec::new(), Vec::new(), Vec::new());
    for scope in scopes {
        let (kind, thing, person) = scope.parts();
        kinds.push(kind.as_str().to_owned());
        things.push(thing);
        persons.push(person);
    }
    let rows = sqlx::query!(
        "select l.scope_kind, l.thing_id, l.person_id, l.metric, l.window_kind
         from unnest($2::text[], $3::uuid[], $4::uuid[]) as k (scope_kind, thing_id, person_id)
         join limits l on l.org_id = $1 and l.scope_kind = k.scope_kind and l.thing_id = k.thing_id and l.person_id = k.person_id",
        org.0,
        &kinds,
        &things,
        &persons,
    )
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|row| {
            let scope = Scope::from_parts(row.scope_kind.parse()?, row.thing_id, row.person_id);
            Ok(Meter { scope, metric: row.metric.parse()?, window: row.window_kind.parse()? })
        })
        .collect()
}

/// Booking a call takes this shared; counting a meter anew takes it alone. The lock is on a number
/// made of the organization's id, and goes with the transaction.
pub(crate) async fn share_bookings(db: &mut PgConnection, org: OrgId) -> Result<()> {
    sqlx::query!("select pg_advisory_xact_lock_shared($1)", lock_number(org)).execute(db).await?;
    Ok(())
}

/// See [`share_bookings`].
pub(crate) async fn hold_bookings(db: &mut PgConnection, org: OrgId) -> Result<()> {
    sqlx::query!("select pg_advisory_xact_lock($1)", lock_number(org)).execute(db).await?;
    Ok(())
}

/// The random half of a version 7 id: two organizations share a number once in 2⁶² pairs, and then
/// only wait for each other.
fn lock_number(org: OrgId) -> i64 {
    let (_, low) = org.0.as_u64_pair();
    low.cast_signed()
}
