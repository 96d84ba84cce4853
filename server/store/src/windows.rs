//! Windows: what is used of each meter in one bucket of time, and what is set aside of it.

use chrono::{DateTime, Utc};
use domain::{
    ids::OrgId,
    limits::{Bucket, Meter, Scope},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::Result;

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
    pub fn of(buckets: impl Iterator<Item = Bucket>) -> Self {
        let mut columns = Self::default();
        for Bucket { meter, starts_at, ends_at } in buckets {
            let (kind, thing, person) = meter.scope.parts();
            columns.scope_kinds.push(kind.as_str().to_owned());
            columns.things.push(thing);
            columns.persons.push(person);
            columns.metrics.push(meter.metric.as_str().to_owned());
            columns.windows.push(meter.window.as_str().to_owned());
            columns.starts.push(starts_at);
            columns.ends.push(ends_at);
        }
        columns
    }
}

/// The order in which rows are locked, everywhere: that of the primary key.
pub(crate) fn lock_order(bucket: &Bucket) -> impl Ord + use<> {
    let Bucket { meter, starts_at, .. } = bucket;
    let (kind, thing, person) = meter.scope.parts();
    (kind.as_str(), thing, person, meter.metric.as_str(), meter.window.as_str(), *starts_at)
}

/// What is added to a window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Charge {
    pub bucket: Bucket,
    /// What finished calls used of it.
    pub used: i64,
}

/// Books charges.
pub(crate) async fn charge(db: &mut PgConnection, org: OrgId, charges: &[Charge]) -> Result<()> {
    let mut charges = charges.to_vec();
    charges.sort_by_key(|charge| lock_order(&charge.bucket));
    let columns = Columns::of(charges.iter().map(|charge| charge.bucket));
    let used: Vec<i64> = charges.iter().map(|charge| charge.used).collect();
    sqlx::query!(
        "insert into windows as w (org_id, scope_kind, thing_id, person_id, metric, window_kind, starts_at, ends_at, settled)
         select $1, k.*
         from (select unnest($2::text[]), unnest($3::uuid[]), unnest($4::uuid[]), unnest($5::text[]), unnest($6::text[]),
                      unnest($7::timestamptz[]), unnest($8::timestamptz[]), unnest($9::bigint[])) as k
         on conflict (org_id, scope_kind, thing_id, person_id, metric, window_kind, starts_at)
             do update set settled = w.settled + excluded.settled",
        org.0,
        &columns.scope_kinds,
        &columns.things,
        &columns.persons,
        &columns.metrics,
        &columns.windows,
        &columns.starts,
        &columns.ends as &[Option<DateTime<Utc>>],
        &used,
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
            crate::limits::meter_of(
                (row.scope_kind.as_str(), row.thing_id, row.person_id),
                &row.metric,
                &row.window_kind,
            )
        })
        .collect()
}

/// Booking a call takes this shared; counting a meter anew takes it alone. The lock is on a number
/// made of the organization's id, and goes with the transaction. Holds the organization, too.
pub(crate) async fn share_bookings(db: &mut PgConnection, org: OrgId) -> Result<()> {
    sqlx::query!(
        "select pg_advisory_xact_lock_shared($2) from organizations where org_id = $1 for key share",
        org.0,
        lock_number(org)
    )
    .fetch_one(db)
    .await?;
    Ok(())
}

/// Until the transaction ends nobody deletes the organization: its sums and windows do not ask for
/// themselves whether it is there.
pub(crate) async fn hold_organization(db: &mut PgConnection, org: OrgId) -> Result<()> {
    sqlx::query!("select org_id from organizations where org_id = $1 for key share", org.0)
        .fetch_one(db)
        .await?;
    Ok(())
}

/// See [`share_bookings`].
pub(crate) async fn hold_bookings(db: &mut PgConnection, org: OrgId) -> Result<()> {
    sqlx::query!("select pg_advisory_xact_lock($1)", lock_number(org)).execute(db).await?;
    Ok(())
}

/// Locks the windows that have not ended, in the order everybody locks them in: who then writes them in another
/// order and somebody who leases of them do not wait for each other.
pub(crate) async fn lock_current(db: &mut PgConnection, org: OrgId, at: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "select scope_kind from windows where org_id = $1 and (ends_at is null or ends_at > $2)
         order by org_id, scope_kind, thing_id, person_id, metric, window_kind, starts_at for update",
        org.0,
        at,
    )
    .fetch_all(db)
    .await?;
    Ok(())
}

/// The random half of a version 7 id: two organizations share a number once in 2⁶² pairs, and then
/// only wait for each other.
fn lock_number(org: OrgId) -> i64 {
    let (_, low) = org.0.as_u64_pair();
    low.cast_signed()
}
