//! Watching sums for what is worth an alert: thresholds, and answers without usage, within seconds of a
//! booking, everything else a few times an hour. One process of an installation looks at a time: whoever
//! takes the turn. Should two look nevertheless, what fired is known by its key.

use std::{collections::HashSet, time::Duration};

use domain::ids::OrgId;
use store::{
    Store, StoreError, alerts::watch, clock, organizations, recommendations, requests, reviews, turns,
};
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Bookings of so long are one look.
const GATHER: Duration = Duration::from_secs(2);
/// How often windows that ended, forecasts, anomalies, unused budgets, ends of grants and recommendations are looked for.
const SLOW: Duration = Duration::from_secs(600);
/// How soon again when one of these looks failed.
const AGAIN: Duration = Duration::from_secs(30);

/// Until the end of the process.
pub async fn run(store: Store) {
    loop {
        if let Err(error) = follow(&store).await {
            tracing::warn!(%error, "alerts are not being looked for; trying again");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Looks at organizations in which something was booked or changed; at all of them in between, in
/// case that was not heard.
async fn follow(store: &Store) -> Result<(), StoreError> {
    let mut listener = store.listen(&["bursar_ledger", "bursar_facts"]).await?;
    let mut dirty: HashSet<OrgId> = HashSet::new();
    let mut ticks = interval(GATHER);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut slow_at = Instant::now();
    loop {
        tokio::select! {
            notice = listener.recv() => {
                let org = notice?.payload().parse::<uuid::Uuid>();
                dirty.extend(org.map(OrgId));
            }
            _ = ticks.tick() => {
                if Instant::now() >= slow_at {
                    let all = organizations::all(store).await?;
                    slow_at = Instant::now() + SLOW;
                    // A little less than the time between two looks: whoever is due finds its turn free.
                    if turns::take(store, "alerts", SLOW - GATHER, clock::now()).await? {
                        let mut well = true;
                        for org in &all {
                            well &= slow(store, *org).await;
                        }
                        if !well {
                            turns::give_back(store, "alerts").await?;
                            slow_at = Instant::now() + AGAIN;
                        }
                    }
                    dirty.extend(all);
                }
                for org in dirty.drain() {
                    // Every process hears of every booking; one of them looks.
                    if turns::take(store, &format!("thresholds {org}"), GATHER / 2, clock::now()).await? {
                        report(org, watch::thresholds(store, org, clock::now()).await);
                        report(org, watch::unreported(store, org, clock::now()).await);
                    }
                }
            }
        }
    }
}

/// Each look by itself: one that fails holds up no other. Whether all went well.
async fn slow(store: &Store, org: OrgId) -> bool {
    let now = clock::now();
    let looks = [
        report(org, watch::late(store, org, now).await),
        report(org, watch::forecasts(store, org, now).await),
        report(org, watch::anomalies(store, org, now).await),
        report(org, watch::unused(store, org, now).await),
        report(org, requests::ends(store, org, now).await),
        report(org, reviews::near(store, org, now).await),
        report(org, recommendations::refresh(store, org, now).await),
    ];
    looks.iter().all(|well| *well)
}

/// One organization's trouble is not another's. Whether there was none.
fn report<T>(org: OrgId, outcome: Result<T, StoreError>) -> bool {
    match outcome {
        // It is gone since.
        Ok(_) | Err(StoreError::NotFound) => true,
        Err(error) => {
            tracing::warn!(%org, %error, "an organization could not be looked at");
            false
        }
    }
}
