//! Housekeeping: partitions ahead of time, sessions that have ended.

use std::time::Duration;

use chrono::Days;
use store::Store;

/// Days that have a partition before they begin.
const AHEAD: u64 = 8;

/// Once at start, then every hour.
pub async fn run(store: Store) {
    let mut ticks = tokio::time::interval(Duration::from_secs(3600));
    loop {
        ticks.tick().await;
        round(&store).await;
    }
}

/// One round. What fails is tried again in the next one.
pub async fn round(store: &Store) {
    let today = store::clock::now().date_naive();
    let first = today.checked_sub_days(Days::new(1)).unwrap_or(today);
    if let Err(error) = store::ledger::make_partitions(store, first, AHEAD).await {
        tracing::warn!(%error, "partitions could not be made");
    }
    if let Err(error) = store::sessions::sweep(store).await {
        tracing::warn!(%error, "old sessions could not be removed");
    }
}
