//! Leases: what each replica may let through of a window without asking.
//!
//! A replica asks for slices of many windows in one statement, and gets of each what the cap leaves
//! over. It then lets calls through from its slices in memory. `windows.settled + windows.leased`
//! never goes beyond a cap, whoever asks, at whatever moment a process dies.
//!
//! Amounts of a replica's own lease are absolute, never relative: a statement whose outcome is not
//! known can be sent again.

use chrono::{DateTime, Utc};
use domain::{
    ids::OrgId,
    leases::Holder,
    limits::Bucket,
    money::Money,
    roles::{Act, Permit},
};
use sqlx::PgConnection;
use uuid::Uuid;

mod silent;

pub use silent::{LEASE_TIME, settle_silent};

use crate::{
    Change, Diff, Result, Store, StoreError, Subject, in_flight, ledger, organizations,
    windows::{Columns, lock_order},
};

/// A replica that was not heard of for so long is taken for dead.
pub const DEAD_AFTER: chrono::Duration = chrono::Duration::seconds(60);

/// A replica that said nothing for so long was silent; it is heard anew from then on.
const BREAK: chrono::Duration = chrono::Duration::seconds(30);
/// A replica that has not said for so long that it lives says so before it asks for anything.
pub const HEAR_WITHIN: chrono::Duration = chrono::Duration::seconds(30);

/// What a replica wants to have leased of a window, in all.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// Of which window.
    pub bucket: Bucket,
    /// What it cannot give back: calls in flight, finished calls not yet booked, and what it has
    /// not taken out of its own hands.
    pub keep: i64,
    /// What makes asking worth while, with what is kept: with less than that nothing is added,
    /// so that two replicas do not sit on halves of what either needs.
    pub useful: i64,
    /// What all calls that wait need, with what is kept.
    pub need: i64,
    /// What it would like beyond that; as the cap comes near it gets less, and at last nothing.
    pub extra: i64,
    /// The part of it that calls in flight hold.
    pub reserved: i64,
    /// The cap.
    pub cap: i64,
}

/// What a replica has leased of a window now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Granted {
    /// In all.
    pub granted: i64,
    /// Booked calls of everybody.
    pub settled: i64,
    /// What is leased to others.
    pub others: i64,
    /// The part of that which calls in flight hold, as they last said.
    pub others_held: i64,
    /// The part of that which belongs to replicas taken for dead: it does not come back soon.
    pub lost: i64,
}

/// Sets a replica's leases on some windows of an organization, as far as the caps allow, in one
/// atomic statement. Answers in the order of the asks.
///
/// # Errors
/// When the database does not answer: then the leases are what they were, or what was asked for,
/// and the same replica has to ask again before it lets anything more through.
pub async fn take(
    store: &Store,
    org: OrgId,
    replica: Uuid,
    asks: &[Ask],
    now: DateTime<Utc>,
) -> Result<Vec<Granted>> {
    let mut order: Vec<usize> = (0..asks.len()).collect();
    order.sort_by_key(|&place| lock_order(&asks[place].bucket));
    let sorted: Vec<Ask> = order.iter().map(|&place| asks[place]).collect();
    let mut db = store.pool().acquire().await?;
    let mut found = set(&mut db, org, replica, &sorted, now).await?;
    if found.iter().any(Option::is_none) {
        let missing = sorted.iter().zip(&found).filter(|(_, found)| found.is_none());
        make(&mut db, org, missing.map(|(ask, _)| ask.bucket)).await?;
        found = set(&mut db, org, replica, &sorted, now).await?;
    }
    let mut answers = vec![Granted::default(); asks.len()];
    for (place, found) in order.into_iter().zip(found) {
        answers[place] = found.unwrap_or_default();
    }
    Ok(answers)
}

async fn make(db: &mut PgConnection, org: OrgId, buckets: impl Iterator<Item = Bucket>) -> Result<()> {
    let columns = Columns::of(buckets);
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
    .execute(db)
    .await?;
    Ok(())
}

/// The statement. None where the window has no row yet.
async fn set(
    db: &mut PgConnection,
    org: OrgId,
    replica: Uuid,
    asks: &[Ask],
    now: DateTime<Utc>,
) -> Result<Vec<Option<Granted>>> {
    let columns = Columns::of(asks.iter().map(|ask| ask.bucket));
    let list = |of: fn(&Ask) -> i64| asks.iter().map(of).collect::<Vec<i64>>();
    let rows = sqlx::query!(
        r#"with locked as (
               select k.*, w.settled, w.leased - coalesce(l.granted, 0) as others, coalesce(l.granted, 0) as had, l.granted is not null as known,
                      coalesce(l.reserved, 0) as had_reserved,
                      w.held - coalesce(l.reserved, 0) as others_held
               from unnest($2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::timestamptz[],
                           $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $15::bigint[])
                        with ordinality as k (scope_kind, thing_id, person_id, metric, window_kind, starts_at,
                                              keep, need, extra, reserved, cap, useful, place)
               join windows w
                 on w.org_id = $1 and w.scope_kind = k.scope_kind and w.thing_id = k.thing_id and w.person_id = k.person_id
                and w.metric = k.metric and w.window_kind = k.window_kind and w.starts_at = k.starts_at
               left join leases l
                 on l.org_id = $1 and l.scope_kind = k.scope_kind and l.thing_id = k.thing_id and l.person_id = k.person_id
                and l.metric = k.metric and l.window_kind = k.window_kind and l.starts_at = k.starts_at and l.replica_id = $13
               order by k.place
               for update of w
           ),
           -- What a replica believes it has and the books do not know was taken back while it was not heard: of
           -- that it keeps what there is still room for.
           roomy as (select *, cap - settled - others as room,
                            case when known then keep else least(keep, greatest(cap - settled - others, 0)) end as kept
                     from locked),
           decided as (
               -- Of what is left after the need, at most an eighth: so the slices get smaller as the cap comes near.
               select *, case when room < useful then kept
                              else greatest(kept, least(need, room) + least(extra, greatest(room - need, 0) / 8)) end as granted
               from roomy
           ),
           moved as (
               update windows w
               set leased = w.leased - d.had + d.granted, held = w.held - d.had_reserved + least(d.reserved, d.granted)
               from decided d
               where w.org_id = $1 and w.scope_kind = d.scope_kind and w.thing_id = d.thing_id and w.person_id = d.person_id
                 and w.metric = d.metric and w.window_kind = d.window_kind and w.starts_at = d.starts_at
           ),
           kept as (
               insert into leases as l (org_id, scope_kind, thing_id, person_id, metric, window_kind, starts_at, replica_id, granted, reserved)
               select $1, d.scope_kind, d.thing_id, d.person_id, d.metric, d.window_kind, d.starts_at, $13, d.granted, least(d.reserved, d.granted)
               from decided d where d.granted > 0
               on conflict (org_id, scope_kind, thing_id, person_id, metric, window_kind, starts_at, replica_id)
                   do update set granted = excluded.granted, reserved = excluded.reserved
           ),
           ended as (
               delete from leases l using decided d
               where d.granted = 0 and l.org_id = $1 and l.scope_kind = d.scope_kind and l.thing_id = d.thing_id
                 and l.person_id = d.person_id and l.metric = d.metric and l.window_kind = d.window_kind
                 and l.starts_at = d.starts_at and l.replica_id = $13
           )
           select d.place as "place!", d.granted as "granted!", d.settled as "settled!", d.others as "others!", d.others_held as "others_held!",
                  case when d.others = 0 then 0 else (
                      select coalesce(sum(o.granted), 0)::bigint
                      from leases o left join replicas r using (replica_id)
                      where o.org_id = $1 and o.scope_kind = d.scope_kind and o.thing_id = d.thing_id and o.person_id = d.person_id
                        and o.metric = d.metric and o.window_kind = d.window_kind and o.starts_at = d.starts_at
                        and o.replica_id <> $13 and coalesce(r.heard_at, '-infinity') < $14
                  ) end as "lost!"
           from decided d order by d.place"#,
        org.0,
        &columns.scope_kinds,
        &columns.things,
        &columns.persons,
        &columns.metrics,
        &columns.windows,
        &columns.starts,
        &list(|ask| ask.keep),
        &list(|ask| ask.need),
        &list(|ask| ask.extra),
        &list(|ask| ask.reserved),
        &list(|ask| ask.cap),
        replica,
        now - DEAD_AFTER,
        &list(|ask| ask.useful),
    )
    .fetch_all(db)
    .await?;
    let mut found = vec![None; asks.len()];
    for row in rows {
        let place = usize::try_from(row.place - 1).unwrap_or_default();
        if let Some(slot) = found.get_mut(place) {
            *slot = Some(Granted {
                granted: row.granted,
                settled: row.settled,
                others: row.others,
                others_held: row.others_held,
                lost: row.lost,
            });
        }
    }
    Ok(found)
}

/// What booking takes out of a replica's leases.
#[derive(Clone, Debug, Default)]
pub struct Consumed {
    /// Whose.
    pub replica: Uuid,
    /// What is leased of each window after the booking, in all, and what of it calls in flight hold.
    pub leases: Vec<(Bucket, i64, i64)>,
}

/// Takes what was booked out of the leases. The windows are locked already, by the booking.
pub(crate) async fn consume(db: &mut PgConnection, org: OrgId, consumed: &Consumed) -> Result<()> {
    let columns = Columns::of(consumed.leases.iter().map(|(bucket, ..)| *bucket));
    let granted: Vec<i64> = consumed.leases.iter().map(|(_, granted, _)| *granted).collect();
    let reserved: Vec<i64> = consumed.leases.iter().map(|(.., reserved)| *reserved).collect();
    sqlx::query!(
        "with k as (
             select * from unnest($2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::timestamptz[], $8::bigint[], $9::bigint[])
                 as k (scope_kind, thing_id, person_id, metric, window_kind, starts_at, granted, reserved)
         ),
         moved as (
             update windows w set leased = w.leased - l.granted + k.granted, held = w.held - l.reserved + k.reserved
             from k join leases l
               on l.org_id = $1 and l.scope_kind = k.scope_kind and l.thing_id = k.thing_id and l.person_id = k.person_id
              and l.metric = k.metric and l.window_kind = k.window_kind and l.starts_at = k.starts_at and l.replica_id = $10
             where w.org_id = $1 and w.scope_kind = k.scope_kind and w.thing_id = k.thing_id and w.person_id = k.person_id
               and w.metric = k.metric and w.window_kind = k.window_kind and w.starts_at = k.starts_at
         )
         update leases l set granted = k.granted, reserved = k.reserved from k
         where l.org_id = $1 and l.scope_kind = k.scope_kind and l.thing_id = k.thing_id and l.person_id = k.person_id
           and l.metric = k.metric and l.window_kind = k.window_kind and l.starts_at = k.starts_at and l.replica_id = $10",
        org.0,
        &columns.scope_kinds,
        &columns.things,
        &columns.persons,
        &columns.metrics,
        &columns.windows,
        &columns.starts,
        &granted,
        &reserved,
        consumed.replica,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Says that a replica lives.
///
/// # Errors
/// When the database does not answer.
pub async fn hear(store: &Store, replica: Uuid, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "insert into replicas as r (replica_id, heard_at, since) values ($1, $2, $2)
         on conflict (replica_id) do update
             set heard_at = excluded.heard_at,
                 since = case when r.heard_at < $3 then excluded.since else r.since end",
        replica,
        now,
        now - BREAK,
    )
    .execute(store.pool())
    .await?;
    Ok(())
}

/// Gives back everything that a replica has leased: it has said what became of its calls.
///
/// # Errors
/// When the database does not answer.
pub async fn give_up(store: &Store, replica: Uuid) -> Result<()> {
    let mut tx = store.pool().begin().await?;
    end(&mut tx, None, &[replica], false).await?;
    in_flight::forget(&mut tx, None, replica).await?;
    sqlx::query!("delete from replicas where replica_id = $1", replica).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(())
}

/// Ends leases that mean nothing any more: on calls at once, of replicas taken for dead (their calls
/// are dead with them: one that only cannot be heard ends them itself before that). A replica that
/// lives after all, and says so before it asks again (see [`HEAR_WITHIN`]), asks either before it is
/// taken for dead or after all of this: its row is locked. `by`: the replica that looks. It has to
/// have been heard all the while, or everybody was silent.
///
/// # Errors
/// When the database does not answer.
pub async fn bury(store: &Store, by: Uuid, now: DateTime<Utc>) -> Result<()> {
    let heard_since = sqlx::query_scalar!("select since from replicas where replica_id = $1", by)
        .fetch_optional(store.pool())
        .await?;
    if heard_since.is_none_or(|since| since > now - DEAD_AFTER) {
        return Ok(());
    }
    let mut tx = store.pool().begin().await?;
    let mut dead = sqlx::query_scalar!(
        "select replica_id from replicas where heard_at < $1 order by replica_id for update",
        now - DEAD_AFTER
    )
    .fetch_all(&mut *tx)
    .await?;
    // Of some nothing is known at all.
    let unknown = sqlx::query_scalar!(
        "select distinct l.replica_id from leases l left join replicas r using (replica_id)
         where l.metric = 'concurrent_calls' and r.replica_id is null"
    );
    dead.extend(unknown.fetch_all(&mut *tx).await?);
    if !dead.is_empty() {
        end(&mut tx, None, &dead, true).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Ends the leases of some replicas, in one organization or all, or only those on calls at once.
async fn end(db: &mut PgConnection, org: Option<OrgId>, replicas: &[Uuid], only_at_once: bool) -> Result<()> {
    // Windows first and in the order everybody locks them in.
    sqlx::query!(
        "with ended as materialized (
             select l.* from leases l
             where l.replica_id = any($1::uuid[]) and (l.metric = 'concurrent_calls' or not $2) and ($3::uuid is null or l.org_id = $3)
         ),
         locked as materialized (
             select w.org_id, w.scope_kind, w.thing_id, w.person_id, w.metric, w.window_kind, w.starts_at
             from windows w
             where (w.org_id, w.scope_kind, w.thing_id, w.person_id, w.metric, w.window_kind, w.starts_at) in
                   (select org_id, scope_kind, thing_id, person_id, metric, window_kind, starts_at from ended)
             order by 1, 2, 3, 4, 5, 6, 7
             for update
         ),
         sums as (
             select org_id, scope_kind, thing_id, person_id, metric, window_kind, starts_at,
                    sum(granted)::bigint as granted, sum(reserved)::bigint as reserved
             from ended join locked using (org_id, scope_kind, thing_id, person_id, metric, window_kind, starts_at)
             group by 1, 2, 3, 4, 5, 6, 7
         ),
         moved as (
             update windows w set leased = w.leased - s.granted, held = w.held - s.reserved from sums s
             where w.org_id = s.org_id and w.scope_kind = s.scope_kind and w.thing_id = s.thing_id and w.person_id = s.person_id
               and w.metric = s.metric and w.window_kind = s.window_kind and w.starts_at = s.starts_at
         )
         delete from leases l using ended e
         where l.org_id = e.org_id and l.scope_kind = e.scope_kind and l.thing_id = e.thing_id and l.person_id = e.person_id
           and l.metric = e.metric and l.window_kind = e.window_kind and l.starts_at = e.starts_at and l.replica_id = e.replica_id",
        replicas,
        only_at_once,
        org.map(|org| org.0),
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Asks other replicas to give back what they do not need of an organization's windows.
///
/// # Errors
/// When the database does not answer.
pub async fn recall(store: &Store, org: OrgId, replica: Uuid) -> Result<()> {
    let text = format!("{org} {replica}");
    sqlx::query!("select pg_notify('bursar_leases', $1)", text).execute(store.pool()).await?;
    Ok(())
}

/// What the processes that let calls through have leased of an organization, those that were not
/// heard of for longest first.
///
/// # Errors
/// When the database does not answer.
pub async fn holders(store: &Store, org: OrgId, now: DateTime<Utc>) -> Result<Vec<Holder>> {
    let rows = sqlx::query!(
        r#"select l.replica_id, r.heard_at as "heard_at?", count(*) as "leases!",
                  max(l.granted) filter (where l.scope_kind = 'organization' and l.metric = 'spend') as money,
                  max(l.granted) filter (where l.metric = 'spend') as most_money,
                  max(l.reserved) filter (where l.metric = 'spend') as most_held,
                  (select count(*) from in_flight_calls f where f.org_id = $1 and f.replica_id = l.replica_id) as "calls!",
                  (select coalesce(sum(f.cost), 0)::bigint from in_flight_calls f where f.org_id = $1 and f.replica_id = l.replica_id) as "cost!"
           from leases l left join replicas r using (replica_id)
           where l.org_id = $1
           group by l.replica_id, r.heard_at
           order by r.heard_at nulls first, l.replica_id"#,
        org.0
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Holder {
            replica: row.replica_id,
            heard_at: row.heard_at,
            lost: row.heard_at.is_none_or(|at| at < now - DEAD_AFTER),
            leases: row.leases,
            money: Money(row.money.or(row.most_money).unwrap_or_default()),
            held: Money(row.most_held.unwrap_or_default()),
            calls: row.calls,
            cost: Money(row.cost),
        })
        .collect())
}

/// Takes back what a replica that is not heard of has leased of an organization. What it had let
/// through, as far as it had said so, is booked first at the most it can cost, marked as lost: should
/// the replica come back after all, a call that is in the books counts no second time, and of its
/// leases it keeps what there is still room for.
///
/// # Errors
/// [`StoreError::NotFound`] when it has nothing leased; [`StoreError::Invalid`] when it is heard of.
pub async fn take_back(store: &Store, permit: Permit, replica: Uuid, now: DateTime<Utc>) -> Result<Holder> {
    let org = permit.org();
    if !permit.covers(Act::EditOrganization, None) {
        return Err(StoreError::NotPermitted(Act::EditOrganization));
    }
    let known = holders(store, org, now).await?.into_iter().find(|holder| holder.replica == replica);
    let holder = known.ok_or(StoreError::NotFound)?;
    if !holder.lost {
        return Err(StoreError::invalid("replica", "This process is at work. It gives back by itself."));
    }
    let lost = in_flight::left_behind(store, org, replica, now).await?;
    let calendar = organizations::calendar(store, org).await?;
    ledger::bulk::book(store, org, calendar, &lost, None).await?;
    let mut change = Change::begin(store, permit).await?;
    change.expect(Act::EditOrganization, None)?;
    end(change.db(), Some(org), &[replica], false).await?;
    in_flight::forget(change.db(), Some(org), replica).await?;
    let diff = Diff::new()
        .set("leases", holder.leases)
        .set("set aside", holder.money)
        .set("calls booked as lost", lost.len())
        .set("last heard", holder.heard_at.map_or_else(|| "never".to_owned(), |at| at.to_rfc3339()));
    let name = replica.to_string();
    change.record(Subject { kind: "replica", id: replica, name: &name }, "take-back", &diff).await?;
    change.commit().await?;
    Ok(holder)
}

/// How much of a window is leased, by its books: for checking.
///
/// # Errors
/// When the database does not answer.
pub async fn leased(store: &Store, org: OrgId) -> Result<i64> {
    let sum = sqlx::query_scalar!(
        r#"select coalesce(sum(granted), 0)::bigint as "sum!" from leases where org_id = $1"#,
        org.0
    )
    .fetch_one(store.pool())
    .await?;
    Ok(sum)
}
