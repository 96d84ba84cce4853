//! Housekeeping: partitions ahead of time, sessions that have ended, prompts that were kept long enough,
//! reviews and raised limits whose day is over, secrets whose membership is, tests that a date has broken.

use std::time::Duration;

use chrono::Days;
use store::{Store, keys::Look};
use tokio::time::MissedTickBehavior;

/// Days that have a partition before they begin.
const AHEAD: u64 = 8;

/// Once at start, then every hour; reviews, last days and what they break every minute, so that what lapses does so on its
/// day; raised limits every two seconds, so that nothing of a new month is spent under the cap of the last.
pub async fn run(store: Store, ledger_days: Option<u64>) {
    let mut ticks = tokio::time::interval(Duration::from_secs(3600));
    let mut minutes = tokio::time::interval(Duration::from_secs(60));
    let mut moments = tokio::time::interval(Duration::from_secs(2));
    moments.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => round(&store, ledger_days).await,
            _ = moments.tick() => raises(&store).await,
            _ = minutes.tick() => {
                reviews(&store).await;
                secrets(&store, Look::Lapsed).await;
                tests(&store).await;
                if let Err(error) = store::rolls::sweep(&store).await {
                    tracing::warn!(%error, "whom bookings were about could not be forgotten");
                }
            }
        }
    }
}

/// One round. What fails is tried again in the next one.
pub async fn round(store: &Store, ledger_days: Option<u64>) {
    let today = store::clock::now().date_naive();
    let first = today.checked_sub_days(Days::new(1)).unwrap_or(today);
    if let Err(error) = store::ledger::make_partitions(store, first, AHEAD).await {
        tracing::warn!(%error, "partitions could not be made");
    }
    if let Some(first) = ledger_days.and_then(|days| today.checked_sub_days(Days::new(days)))
        && let Err(error) = store::ledger::kept::let_go_before(store, first).await
    {
        tracing::warn!(%error, %first, "the ledger could not let go of the days before");
    }
    reviews(store).await;
    secrets(store, Look::All).await;
    raises(store).await;
    if let Err(error) = store::kept_answers::sweep(store, store::clock::now()).await {
        tracing::warn!(%error, "answers that no provider keeps any more could not be forgotten");
    }
    if let Err(error) = store::prompts::sweep(store).await {
        tracing::warn!(%error, "prompts whose time is over could not be removed");
    }
    if let Err(error) = store::password_resets::sweep(store, store::clock::now()).await {
        tracing::warn!(%error, "links to choose a password with that are too old could not be removed");
    }
    if let Err(error) = store::sessions::sweep(store).await {
        tracing::warn!(%error, "old sessions could not be removed");
    }
}

/// Ends the secrets of people whose last day in a group has come: whoever is put there again makes new ones.
async fn secrets(store: &Store, look: Look) {
    if let Err(error) = store::keys::bury(store, look, store::clock::now()).await {
        tracing::warn!(%error, "secrets whose membership is over could not be revoked");
    }
}

/// Takes back what limits were raised by until a day that is over.
async fn raises(store: &Store) {
    if let Err(error) = store::requests::end_due(store, store::clock::now()).await {
        tracing::warn!(%error, "raised limits whose last day is over could not be lowered");
    }
}

/// Tells of pinned tests that a date has broken, when it has come.
async fn tests(store: &Store) {
    if let Err(error) = store::access_tests::watch::look_at_all(store, store::clock::now()).await {
        tracing::warn!(%error, "pinned tests could not be looked at");
    }
}

/// Closes reviews whose day is over.
async fn reviews(store: &Store) {
    if let Err(error) = store::reviews::close_due(store, store::clock::now()).await {
        tracing::warn!(%error, "reviews could not be closed");
    }
}
