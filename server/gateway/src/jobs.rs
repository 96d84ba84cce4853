//! Background work: keeping facts fresh and books closed.

use std::{sync::Arc, time::Duration};

use domain::{ids::OrgId, spend::Outcome, usage::Usage};
use store::{
    ledger::{Call, Event},
    windows,
};
use uuid::Uuid;

use crate::{Gateway, reserve::HOLD};

/// How often holds are extended, orphans booked, and the spool tried.
const ROUND: Duration = Duration::from_secs(10);
/// How often versions are looked at, in case a notification was lost.
const LOOK: Duration = Duration::from_secs(5);

pub fn start(gateway: &Arc<Gateway>) {
    tokio::spawn(listen(Arc::clone(gateway)));
    tokio::spawn(rounds(Arc::clone(gateway)));
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
    let mut listener = gateway.store.listen(&["bursar_facts"]).await?;
    listener.eager_reconnect(false);
    refresh_stale(gateway).await?;
    gateway.snapshots.set_hearing(true);
    loop {
        // Not `recv`: it connects anew in silence, and what was said meanwhile is lost.
        match tokio::time::timeout(LOOK, listener.try_recv()).await {
            Ok(Ok(None)) => return Ok(()),
            Ok(Ok(Some(notice))) => {
                if let Ok(id) = notice.payload().parse::<Uuid>() {
                    refresh(gateway, OrgId(id)).await?;
                }
            }
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => refresh_stale(gateway).await?,
        }
    }
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

async fn rounds(gateway: Arc<Gateway>) {
    let mut ticks = tokio::time::interval(ROUND);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = gateway.stopping.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if let Err(error) = round(&gateway).await {
            tracing::warn!(%error, "a round of background work failed; the next one tries again");
        }
    }
}

async fn round(gateway: &Arc<Gateway>) -> Result<(), store::StoreError> {
    let now = store::clock::now();
    windows::extend(&gateway.store, gateway.replica, now + HOLD).await?;
    empty_spool(gateway).await?;
    for orphan in windows::orphans(&gateway.store, now, 200).await? {
        book_orphan(gateway, orphan).await?;
    }
    Ok(())
}

/// Books what waits in the spool. What cannot be booked yet is kept again.
async fn empty_spool(gateway: &Arc<Gateway>) -> Result<(), store::StoreError> {
    let waiting = match gateway.spool.take() {
        Ok(waiting) => waiting,
        Err(error) => {
            tracing::error!(%error, "the spool cannot be read");
            return Ok(());
        }
    };
    for event in waiting {
        let calendar = store::organizations::calendar(&gateway.store, event.call.org).await;
        match calendar {
            Ok(calendar) => gateway.book(calendar, event).await,
            Err(store::StoreError::NotFound) => {}
            Err(error) => {
                tracing::warn!(%error, call = %event.call.id, "a spooled call cannot be booked yet");
                if let Err(error) = gateway.spool.keep(&event) {
                    tracing::error!(%error, call = %event.call.id, "a finished call could not be spooled again");
                }
            }
        }
    }
    if let Err(error) = gateway.spool.done() {
        tracing::error!(%error, "the spool cannot be emptied");
    }
    Ok(())
}

/// A call whose replica is gone: nobody knows whether the provider worked, so it counts in full,
/// marked as lost.
async fn book_orphan(gateway: &Arc<Gateway>, orphan: windows::Orphan) -> Result<(), store::StoreError> {
    let Ok(call) = serde_json::from_value::<Call>(orphan.record) else {
        tracing::error!(call = %orphan.call, "a hold cannot be read; it is given back");
        return windows::release(&gateway.store, orphan.org, orphan.call).await;
    };
    let calendar = store::organizations::calendar(&gateway.store, orphan.org).await?;
    let now = store::clock::now();
    let usage =
        Usage { input: call.worst.input_tokens, output: call.worst.output_tokens, ..Usage::default() };
    let event = Event {
        finished_at: now,
        first_byte_ms: None,
        duration_ms: i32::try_from((now - call.started_at).num_milliseconds()).unwrap_or(i32::MAX),
        outcome: Outcome::Lost,
        status: 0,
        usage,
        cost: call.worst.cost,
        estimated: true,
        call,
    };
    tracing::warn!(call = %event.call.id, cost = %event.cost, "a call outlived its replica; it counts in full");
    store::ledger::book(&gateway.store, calendar, &event).await?;
    Ok(())
}
