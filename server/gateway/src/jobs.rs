//! Background work: keeping facts fresh and books closed.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use domain::ids::OrgId;
use store::{
    Store, leases,
    ledger::{Event, bulk},
    within,
};
use uuid::Uuid;

use crate::{
    Gateway, booking,
    in_flight::{self, Ending},
    spool::{Left, Spool},
};

/// How often leases are looked through.
const ROUND: Duration = Duration::from_secs(1);
/// Every so many rounds this replica says that it lives, at least.
const SLOW: u32 = 10;
/// How long a round may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many calls that were left are booked in one transaction.
const BATCH: usize = 1000;
/// How often is looked whether the database is there, when it says nothing: one that falls silent
/// closes no connection.
const LOOK: Duration = Duration::from_secs(1);
/// How long it may take to say so.
const ANSWER: Duration = Duration::from_secs(1);
/// Every so many looks versions are looked at, in case a notification was lost.
const VERSIONS: u32 = 5;

pub fn start(gateway: &Arc<Gateway>) {
    tokio::spawn(listen(Arc::clone(gateway)));
    tokio::spawn(rounds(Arc::clone(gateway)));
    tokio::spawn(book(Arc::clone(gateway)));
    // A thread outlives the runtime: it must not keep the gateway, and its connections, alive.
    let syncing = Arc::downgrade(gateway);
    std::thread::spawn(move || sync(&syncing));
}

/// Books for as long as there is somebody to book for: a defect in one batch, which the next start reads from the
/// spool again, does not end it for all that come after.
async fn book(gateway: Arc<Gateway>) {
    while let Err(error) = tokio::spawn(booking::run(Arc::clone(&gateway))).await {
        if error.is_cancelled() {
            return;
        }
        tracing::error!(%error, "booking met a defect; what it had in hand is booked at the next start");
        tokio::time::sleep(ROUND).await;
    }
}

/// Follows notifications of changed facts. After every (re)connection everything is looked at:
/// something may have changed unheard.
async fn listen(gateway: Arc<Gateway>) {
    let stopping = gateway.stopping.clone();
    let forever = async {
        loop {
            let ended = follow(&gateway).await;
            gateway.snapshots.set_hearing(false);
            if let Err(error) = ended {
                tracing::warn!(%error, "changes are not being heard; trying again");
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    tokio::select! {
        () = stopping.cancelled() => {}
        () = forever => {}
    }
}

async fn follow(gateway: &Gateway) -> Result<(), store::StoreError> {
    let mut listener = gateway.store.listen(&["bursar_facts", "bursar_leases", "bursar_endings"]).await?;
    listener.eager_reconnect(false);
    refresh_stale(gateway).await?;
    gateway.snapshots.set_hearing(true);
    let mut looks = 0_u32;
    loop {
        // Not `recv`: it connects anew in silence, and what was said meanwhile is lost.
        match tokio::time::timeout(LOOK, listener.try_recv()).await {
            Ok(Ok(None)) => return Ok(()),
            Ok(Ok(Some(notice))) if notice.channel() == "bursar_leases" => {
                recalled(gateway, notice.payload()).await?;
            }
            Ok(Ok(Some(notice))) if notice.channel() == "bursar_endings" => {
                if let Ok(id) = notice.payload().parse() {
                    gateway.in_flight.end(id, Ending::ByHand);
                }
            }
            Ok(Ok(Some(notice))) => {
                if let Ok(id) = notice.payload().parse::<Uuid>() {
                    refresh(gateway, OrgId(id)).await?;
                }
            }
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => {
                within(ANSWER, gateway.store.answers()).await?;
                looks = looks.wrapping_add(1);
                if looks.is_multiple_of(VERSIONS) {
                    within(VERSIONS * ANSWER / 2, refresh_stale(gateway)).await?;
                }
            }
        }
    }
}

/// Another replica is short of something that this one may have leased and not need.
async fn recalled(gateway: &Gateway, text: &str) -> Result<(), store::StoreError> {
    let Some((org, replica)) = text.split_once(' ') else { return Ok(()) };
    let (Ok(org), Ok(replica)) = (org.parse::<OrgId>(), replica.parse::<Uuid>()) else { return Ok(()) };
    if replica != gateway.spool.replica {
        gateway.leases.tidy(&gateway.store, Some(org)).await?;
    }
    Ok(())
}

async fn refresh(gateway: &Gateway, org: OrgId) -> Result<(), store::StoreError> {
    let version = match store::access::version(&gateway.store, org).await {
        Ok(version) => version,
        Err(store::StoreError::NotFound) => i64::MAX,
        Err(error) => return Err(error),
    };
    gateway.snapshots.refresh(&gateway.store, org, version).await
}

async fn refresh_stale(gateway: &Gateway) -> Result<(), store::StoreError> {
    gateway.snapshots.refresh_all(&gateway.store).await
}

/// Brings the spool to the disk, as long as there is a gateway.
fn sync(gateway: &Weak<Gateway>) {
    loop {
        std::thread::sleep(Spool::sync_every());
        let Some(gateway) = gateway.upgrade() else { return };
        if gateway.stopping.is_cancelled() {
            return;
        }
        if let Err(error) = gateway.spool.sync() {
            tracing::error!(%error, "the spool could not be brought to the disk");
        }
    }
}

async fn rounds(gateway: Arc<Gateway>) {
    let mut ticks = tokio::time::interval(ROUND);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut count = 0_u32;
    // Several times before it would be missed.
    let slow = u32::try_from(gateway.settings.cut_off.as_secs() / 4).unwrap_or(SLOW).clamp(1, SLOW);
    loop {
        tokio::select! {
            () = gateway.stopping.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let slow = count.is_multiple_of(slow);
        count = count.wrapping_add(1);
        gateway.booking.sum_up(store::clock::now());
        if let Err(error) = within(PATIENCE, round(&gateway, slow)).await {
            tracing::warn!(%error, "a round of background work failed; the next one tries again");
            // The next one is then the one that says that this replica lives.
            count = 0;
        }
        if gateway.leases.is_cut_off_now() {
            tracing::warn!(
                "the database does not hear of this process; calls that hold a place among calls at once are ended"
            );
            gateway.in_flight.end_all(Ending::LeaseLost, true);
        }
    }
}

async fn round(gateway: &Gateway, slow: bool) -> Result<(), store::StoreError> {
    if slow {
        gateway.leases.hear(&gateway.store, store::clock::now()).await?;
    }
    gateway.leases.tidy(&gateway.store, None).await?;
    in_flight::tell(gateway).await?;
    if slow {
        let now = store::clock::now();
        leases::bury(&gateway.store, gateway.spool.replica, now).await?;
        leases::settle_silent(&gateway.store, gateway.spool.replica, now).await?;
    }
    Ok(())
}

/// Books what the process before this one has left, and gives back what it had leased. Calls of
/// which nobody knows how they ended count in full: the provider may have worked.
///
/// # Errors
/// When the database does not answer: then this process cannot start.
pub async fn recover(store: &Store, spool: &Spool, left: Left) -> Result<(), store::StoreError> {
    let now = store::clock::now();
    let Left { mut finished, unknown, damaged } = left;
    for call in unknown {
        tracing::warn!(call = %call.id, cost = %call.worst.cost, "nobody knows how a call ended; it counts in full");
        finished.push(Event::lost(call, now));
    }
    let mut of_org = HashMap::<OrgId, Vec<Event>>::new();
    for event in finished {
        of_org.entry(event.call.org).or_default().push(event);
    }
    for (org, events) in of_org {
        match store::organizations::calendar(store, org).await {
            Ok(calendar) => {
                for batch in events.chunks(BATCH) {
                    bulk::book(store, org, calendar, batch, None).await?;
                }
            }
            Err(store::StoreError::NotFound) => {}
            Err(error) => return Err(error),
        }
    }
    leases::give_up(store, spool.replica).await?;
    leases::hear(store, spool.replica, now).await?;
    spool.left_is_booked(&damaged);
    Ok(())
}
