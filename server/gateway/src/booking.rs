//! Finished calls on their way into the books: batches, organization by organization.
//!
//! A call that ends settles in memory at once and waits here for a tenth of a second, or for a quarter
//! where many come; then it is booked together with whatever else waits. A batch costs some twenty
//! round trips whatever its size, and each of them holds up a call on the same core: there must be
//! fewer of them than one for every hundred calls. What comes in while a batch is on its way
//! therefore waits its tenth of a second, too. While the database does not answer everything stays
//! where it is (and on disk), and is tried again.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use domain::{
    ids::OrgId,
    limits::{Bucket, Metric},
};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use store::{
    StoreError,
    ledger::{Event, Refusal, bulk},
    within,
};
use tokio::sync::Notify;

use crate::{
    Gateway,
    leases::Reservation,
    refused::{Bounded, Unknown, Unknowns},
    spool::Place,
    wire::refusal::Kind,
};

/// How long finished calls are gathered, unless somebody waits for them or a batch is full.
const GATHER: Duration = Duration::from_millis(100);
/// The same when the round before had many.
const GATHER_MANY: Duration = Duration::from_millis(250);
/// So many are many.
const MANY: usize = 500;
/// How long a batch may take, before it is tried again on another connection.
const PATIENCE: Duration = Duration::from_secs(30);
/// So many need not be gathered any longer.
const FULL: usize = 4000;
/// How many are booked in one transaction, where so many wait: the more there are, the more of them count in
/// the same sums, and the less each of them costs.
const BATCH: usize = 40_000;
/// After a failure.
const AGAIN: Duration = Duration::from_millis(250);
/// Refusals that wait while the database does not answer; beyond that they are dropped, because a
/// flood of them must not cost what finished calls need.
const REFUSALS: usize = 10_000;

/// A finished call and what hangs on it.
#[derive(Debug)]
pub struct Finished {
    pub event: Event,
    /// What it held.
    pub reservation: Reservation,
    /// Where it is written down.
    pub place: Place,
}

/// What waits to be booked.
#[derive(Debug, Default)]
pub struct Booking {
    finished: Mutex<VecDeque<Finished>>,
    refusals: Mutex<Vec<Refusal>>,
    /// Those of which not each is kept.
    bounded: Bounded,
    /// Secrets nobody knows, until they are looked up among dead ones.
    unknown: Unknowns,
    wake: Notify,
    /// Woken when there is no time to gather.
    hurry: Notify,
    /// Woken when a round is over and nothing waits any more.
    round_over: Notify,
    /// Calls whose books are open, or closed and not in the database.
    unbooked: AtomicUsize,
}

impl Booking {
    /// A call's books are opened.
    pub fn opened(&self) {
        self.unbooked.fetch_add(1, Ordering::Relaxed);
    }

    /// So many calls need no booking any more.
    pub fn closed(&self, count: usize) {
        self.unbooked.fetch_sub(count, Ordering::Relaxed);
    }

    /// Calls whose books are open, or closed and not in the database.
    pub fn unbooked(&self) -> usize {
        self.unbooked.load(Ordering::Relaxed)
    }

    pub fn push(&self, finished: Finished) {
        let waiting = {
            let mut queue = self.finished.lock();
            queue.push_back(finished);
            queue.len()
        };
        match waiting {
            // Whoever books is awake already, or will be when the first one has waited.
            2..FULL => {}
            FULL => self.hurry.notify_one(),
            _ => self.wake.notify_one(),
        }
    }

    pub fn push_refusal(&self, refusal: Refusal) {
        let mut refusals = self.refusals.lock();
        if refusals.len() < REFUSALS {
            refusals.push(refusal);
            self.wake.notify_one();
        }
    }

    /// Takes down what is kept within bounds.
    pub fn push_bounded(&self, kind: Kind, refusal: Refusal) {
        for refusal in self.bounded.take(kind, refusal) {
            self.push_refusal(refusal);
        }
    }

    /// Takes down how many there were beyond those, in seconds that are over.
    pub fn sum_up(&self, now: DateTime<Utc>) {
        for refusal in self.bounded.over(now) {
            self.push_refusal(refusal);
        }
    }

    /// Somebody came with a secret that opens nothing.
    pub fn push_unknown(&self, unknown: Unknown) {
        self.unknown.push(unknown);
        self.wake.notify_one();
    }

    /// Those that came so.
    pub fn unknown(&self) -> Vec<Unknown> {
        self.unknown.take()
    }

    fn waits(&self) -> bool {
        !self.finished.lock().is_empty() || !self.refusals.lock().is_empty() || self.unknown.wait()
    }

    /// Waits until everything is booked: what waits, and what is on its way.
    pub async fn drained(&self) {
        loop {
            // Also when nothing waits: what is on its way is in the books when the round is over.
            let round = self.round_over.notified();
            self.wake.notify_one();
            self.hurry.notify_one();
            round.await;
            if self.unbooked() == 0 && !self.waits() {
                return;
            }
        }
    }

    fn batch(&self) -> Vec<Finished> {
        let mut finished = self.finished.lock();
        let count = finished.len().min(BATCH);
        finished.drain(..count).collect()
    }

    /// Back to where it was.
    fn put_back(&self, batch: impl DoubleEndedIterator<Item = Finished>) {
        let mut finished = self.finished.lock();
        for one in batch.rev() {
            finished.push_front(one);
        }
    }
}

/// Books what waits, for ever.
pub async fn run(gateway: Arc<Gateway>) {
    let booking = &gateway.booking;
    let mut gather = GATHER;
    loop {
        booking.wake.notified().await;
        tokio::select! {
            () = tokio::time::sleep(gather) => {}
            () = booking.hurry.notified() => {}
        }
        gather = if booking.finished.lock().len() < MANY { GATHER } else { GATHER_MANY };
        loop {
            let booked = book_refusals(&gateway).await.and(book_batch(&gateway).await);
            match booked {
                Err(error) => {
                    tracing::warn!(%error, "finished calls could not be booked; they wait");
                    tokio::time::sleep(AGAIN).await;
                }
                // What has come in meanwhile gathers anew.
                Ok(()) if booking.finished.lock().len() < FULL => break,
                Ok(()) => {}
            }
        }
        booking.round_over.notify_waiters();
        if booking.waits() {
            booking.wake.notify_one();
        }
    }
}

/// A call without what is booked of it.
type Rest = (Reservation, Place);

async fn book_batch(gateway: &Gateway) -> Result<(), StoreError> {
    let mut of_org = FxHashMap::<OrgId, (Vec<Event>, Vec<Rest>)>::default();
    for Finished { event, reservation, place } in gateway.booking.batch() {
        let (events, rest) = of_org.entry(event.call.org).or_default();
        events.push(event);
        rest.push((reservation, place));
    }
    let mut result = Ok(());
    for (org, (events, rest)) in of_org {
        let done = match result {
            Ok(()) => book_org(gateway, org, &events, &rest).await,
            Err(_) => Ok(false),
        };
        if let Ok(true) = done {
            gateway.booking.closed(events.len());
            gateway.spool.booked(rest.into_iter().map(|(_, place)| place));
            continue;
        }
        let finished = events.into_iter().zip(rest);
        gateway.booking.put_back(finished.map(|(event, (reservation, place))| Finished {
            event,
            reservation,
            place,
        }));
        result = result.and(done.map(|_| ()));
    }
    result
}

/// Whether the batch need not be kept.
async fn book_org(
    gateway: &Gateway,
    org: OrgId,
    events: &[Event],
    rest: &[Rest],
) -> Result<bool, StoreError> {
    let Some(calendar) = gateway.calendar(org).await? else {
        tracing::warn!(%org, calls = events.len(), "an organization was deleted while its calls were running");
        return Ok(true);
    };
    let mut used = FxHashMap::<Bucket, i64>::default();
    for (event, (reservation, _)) in events.iter().zip(rest) {
        for (bucket, _) in &reservation.held {
            if bucket.meter.metric != Metric::ConcurrentCalls {
                *used.entry(*bucket).or_default() += event.amount(bucket.meter.metric);
            }
        }
    }
    gateway
        .leases
        .book(org, &used, async |consumed| {
            within(PATIENCE, bulk::book(&gateway.store, org, calendar, events, Some(&consumed))).await
        })
        .await?;
    Ok(true)
}

async fn book_refusals(gateway: &Gateway) -> Result<(), StoreError> {
    gateway.look_up_unknown().await?;
    let refusals = std::mem::take(&mut *gateway.booking.refusals.lock());
    let mut of_org = FxHashMap::<OrgId, Vec<Refusal>>::default();
    for refusal in refusals {
        of_org.entry(refusal.org).or_default().push(refusal);
    }
    for (org, batch) in of_org {
        let Some(calendar) = gateway.calendar(org).await? else { continue };
        if let Err(error) = bulk::refuse(&gateway.store, org, calendar, &batch).await {
            gateway.booking.refusals.lock().extend(batch);
            return Err(error);
        }
    }
    Ok(())
}
