//! What becomes of the calls of a replica that is not heard of any more.

use chrono::{DateTime, Utc};
use domain::ids::OrgId;
use sqlx::PgConnection;
use uuid::Uuid;

use super::DEAD_AFTER;
use crate::{Result, Store, in_flight, ledger, organizations};

/// The time of a lease: a replica that was not heard of for so long is not waited for any more. One that starts
/// again before has its calls booked as they ended.
pub const LEASE_TIME: chrono::Duration = chrono::Duration::hours(1);

/// Counts the calls that silent replicas had in flight as spent, at the most they can have cost and marked as
/// lost, so that nothing is held for ever and nobody has to do anything. What else they have leased stays
/// leased, because some of it may be spent without anybody knowing: until its window ends, they start again, or
/// somebody takes it back who knows that they will not. `by`: the replica that looks, which has to have been
/// heard all the while. Returns how many calls that were.
///
/// # Errors
/// When the database does not answer.
pub async fn settle_silent(store: &Store, by: Uuid, now: DateTime<Utc>) -> Result<usize> {
    let heard_since = sqlx::query_scalar!("select since from replicas where replica_id = $1", by)
        .fetch_optional(store.pool())
        .await?;
    if heard_since.is_none_or(|since| since > now - DEAD_AFTER) {
        return Ok(0);
    }
    let silent = sqlx::query!(
        r#"select distinct f.org_id as "org_id!", f.replica_id as "replica_id!"
           from (select org_id, replica_id from in_flight
                 union select org_id, replica_id from leases where reserved <> 0) f
           join replicas r using (replica_id)
           where r.heard_at < $1"#,
        now - LEASE_TIME
    )
    .fetch_all(store.pool())
    .await?;
    let mut calls = 0;
    for row in silent {
        let org = OrgId(row.org_id);
        let lost = in_flight::left_behind(store, org, row.replica_id, now).await?;
        let calendar = organizations::calendar(store, org).await?;
        ledger::bulk::book(store, org, calendar, &lost, None).await?;
        let mut tx = store.pool().begin().await?;
        // One after the other where two look at once, and none that has come back meanwhile.
        let still = sqlx::query_scalar!(
            "select replica_id from replicas where replica_id = $1 and heard_at < $2 for update",
            row.replica_id,
            now - LEASE_TIME
        )
        .fetch_optional(&mut *tx)
        .await?;
        if still.is_none() {
            continue;
        }
        let_go(&mut tx, org, row.replica_id).await?;
        in_flight::forget(&mut tx, Some(org), row.replica_id).await?;
        tx.commit().await?;
        tracing::warn!(%org, replica = %row.replica_id, calls = lost.len(), "a process is not heard of any more: its calls count in full");
        calls += lost.len();
    }
    Ok(calls)
}

/// Nothing is held for calls in flight of a replica any more; what it has leased stays.
async fn let_go(db: &mut PgConnection, org: OrgId, replica: Uuid) -> Result<()> {
    // Windows first and in the order everybody locks them in.
    sqlx::query!(
        "with held as materialized (
             select * from leases where org_id = $1 and replica_id = $2 and reserved <> 0
         ),
         locked as materialized (
             select w.org_id, w.scope_kind, w.thing_id, w.person_id, w.metric, w.window_kind, w.starts_at
             from windows w
             where (w.org_id, w.scope_kind, w.thing_id, w.person_id, w.metric, w.window_kind, w.starts_at) in
                   (select org_id, scope_kind, thing_id, person_id, metric, window_kind, starts_at from held)
             order by 1, 2, 3, 4, 5, 6, 7
             for update
         ),
         moved as (
             update windows w set held = w.held - h.reserved
             from held h join locked using (org_id, scope_kind, thing_id, person_id, metric, window_kind, starts_at)
             where w.org_id = h.org_id and w.scope_kind = h.scope_kind and w.thing_id = h.thing_id and w.person_id = h.person_id
               and w.metric = h.metric and w.window_kind = h.window_kind and w.starts_at = h.starts_at
         )
         update leases l set reserved = 0 from held h
         where l.org_id = h.org_id and l.scope_kind = h.scope_kind and l.thing_id = h.thing_id and l.person_id = h.person_id
           and l.metric = h.metric and l.window_kind = h.window_kind and l.starts_at = h.starts_at and l.replica_id = h.replica_id",
        org.0,
        replica,
    )
    .execute(db)
    .await?;
    Ok(())
}
