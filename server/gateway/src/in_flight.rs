//! Calls in flight of this process: how far each is, and a way to end it.
//!
//! A call has a seat here from when its books are opened until they are closed. Once a second what
//! is seated is told to the other processes, so that pages show the calls of all of them.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use domain::{
    ids::{CallId, OrgId},
    in_flight::Phase,
    limits::Worst,
    money::Money,
};
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use store::{
    StoreError,
    in_flight::{Telling, Told},
    ledger::Call,
};

use crate::{
    Gateway,
    wire::refusal::{Kind, Refusal},
};

/// Calls that come and go at the same time seldom share one.
const SHARDS: usize = 16;
/// A call younger than this is counted, and not listed.
const LASTS: Duration = Duration::from_secs(1);
/// How many calls of an organization are listed by each process.
const LISTED: usize = 1_000;

/// Why Bursar ends a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Somebody wants it.
    ByHand,
    /// The answer goes on beyond what is held for it.
    UsedUp,
    /// This process was not heard of for so long that its place may be given to others.
    LeaseLost,
    /// This process stops.
    Stopping,
}

impl Ending {
    const ALL: [Self; 4] = [Self::ByHand, Self::UsedUp, Self::LeaseLost, Self::Stopping];

    /// Why, as one word.
    const fn reason(self) -> &'static str {
        match self {
            Self::ByHand => "ended_by_hand",
            Self::UsedUp => "output_used_up",
            Self::LeaseLost => "lease_lost",
            Self::Stopping => "stopping",
        }
    }

    const fn sentence(self) -> &'static str {
        match self {
            Self::ByHand => "This call was ended by somebody who may end it. What it used until then counts.",
            Self::UsedUp => "The answer went on beyond what was held for it, and was ended there.",
            Self::LeaseLost => {
                "Bursar could not reach its books for so long that this call's place may be given away, and ended it."
            }
            Self::Stopping => "Bursar stops, and has ended this answer.",
        }
    }

    /// What the caller is told.
    pub fn refusal(self, id: CallId) -> Refusal {
        let kind = match self {
            Self::ByHand | Self::UsedUp => Kind::Ended,
            Self::LeaseLost | Self::Stopping => Kind::Unavailable,
        };
        let mut refusal = Refusal::new(kind, id, self.sentence());
        refusal.detail.reason = self.reason().to_owned();
        refusal
    }
}

/// A call in flight.
#[derive(Debug)]
pub struct Seat {
    org: OrgId,
    id: CallId,
    since: Instant,
    call: Fixed,
    /// Whether it holds a place among calls at once.
    at_once: bool,
    phase: AtomicU8,
    bytes: AtomicU64,
    /// 0, or one more than the place in [`Ending::ALL`].
    ending: AtomicU8,
    waker: AtomicWaker,
}

/// What does not change while it runs.
#[derive(Debug)]
struct Fixed {
    started_at: chrono::DateTime<chrono::Utc>,
    application: domain::ids::ApplicationId,
    group: domain::ids::GroupId,
    user: Option<domain::ids::UserId>,
    model: domain::ids::ModelId,
    route: &'static str,
    streamed: bool,
    worst: Worst,
    secret: domain::ids::SecretId,
    authorization: Option<domain::ids::AuthorizationId>,
    beside: Option<domain::ids::AuthorizationId>,
    grant: Option<domain::ids::GrantId>,
}

impl Seat {
    /// How far it is now.
    pub fn reaches(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// So many bytes more have gone out.
    pub fn passed(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Whether it is to end, and why.
    pub fn ending(&self) -> Option<Ending> {
        match self.ending.load(Ordering::Acquire) {
            0 => None,
            number => Ending::ALL.get(usize::from(number) - 1).copied(),
        }
    }

    /// The same for whoever waits for something else meanwhile, and is to be woken.
    pub fn poll_ending(&self, cx: &Context<'_>) -> Poll<Ending> {
        self.waker.register(cx.waker());
        self.ending().map_or(Poll::Pending, Poll::Ready)
    }

    /// Waits until it is to end.
    pub async fn ended(&self) -> Ending {
        std::future::poll_fn(|cx| self.poll_ending(cx)).await
    }

    /// The first reason stands.
    pub fn end(&self, ending: Ending) {
        let _ = self.ending.compare_exchange(0, ending as u8 + 1, Ordering::AcqRel, Ordering::Relaxed);
        self.waker.wake();
    }

    fn told(&self) -> Told {
        let phase = Phase::ALL.get(usize::from(self.phase.load(Ordering::Relaxed)));
        let Fixed { worst, .. } = self.call;
        Told {
            id: self.id,
            started_at: self.call.started_at,
            application: self.call.application,
            group: self.call.group,
            user: self.call.user,
            model: self.call.model,
            route: self.call.route,
            streamed: self.call.streamed,
            phase: phase.copied().unwrap_or(Phase::Waiting),
            bytes: self.bytes.load(Ordering::Relaxed),
            worst,
            secret: self.call.secret,
            authorization: self.call.authorization,
            beside: self.call.beside,
            grant: self.call.grant,
        }
    }
}

/// Who is seated.
#[derive(Debug, Default)]
pub struct InFlight {
    shards: [Mutex<FxHashMap<CallId, Arc<Seat>>>; SHARDS],
    /// What was last told of each organization, as a hash of it.
    told: Mutex<HashMap<OrgId, u64>>,
}

impl InFlight {
    /// Version 7 ids end in random bits.
    fn shard(&self, id: CallId) -> &Mutex<FxHashMap<CallId, Arc<Seat>>> {
        &self.shards[usize::from(id.0.as_bytes()[15]) % SHARDS]
    }

    /// Seats a call.
    pub fn enter(&self, call: &Call, route: &'static str, at_once: bool, since: Instant) -> Arc<Seat> {
        let seat = Arc::new(Seat {
            org: call.org,
            id: call.id,
            since,
            call: Fixed {
                started_at: call.started_at,
                application: call.application,
                group: call.path.last().copied().unwrap_or(domain::ids::GroupId::NIL),
                user: call.user,
                model: call.model,
                route,
                streamed: call.streamed,
                worst: call.worst,
                secret: call.secret,
                authorization: call.authorization,
                beside: call.beside,
                grant: call.grant,
            },
            at_once,
            phase: AtomicU8::new(Phase::Waiting as u8),
            bytes: AtomicU64::new(0),
            ending: AtomicU8::new(0),
            waker: AtomicWaker::new(),
        });
        self.shard(call.id).lock().insert(call.id, Arc::clone(&seat));
        seat
    }

    /// A call's books are closed.
    pub fn leave(&self, id: CallId) {
        self.shard(id).lock().remove(&id);
    }

    /// Ends a call, if it is here.
    pub fn end(&self, id: CallId, ending: Ending) {
        let seat = self.shard(id).lock().get(&id).cloned();
        if let Some(seat) = seat {
            seat.end(ending);
        }
    }

    fn seats(&self) -> Vec<Arc<Seat>> {
        self.shards.iter().flat_map(|shard| shard.lock().values().cloned().collect::<Vec<_>>()).collect()
    }

    /// Ends every call; `at_once`: only those that hold a place among calls at once.
    pub fn end_all(&self, ending: Ending, at_once: bool) {
        for seat in self.seats().iter().filter(|seat| seat.at_once || !at_once) {
            seat.end(ending);
        }
    }

    /// What there is to tell, by organization; also of those that have nothing any more.
    fn tellings(&self) -> HashMap<OrgId, Telling> {
        let told = self.told.lock();
        let mut tellings: HashMap<OrgId, Telling> =
            told.keys().map(|org| (*org, Telling::default())).collect();
        drop(told);
        for seat in self.seats() {
            let telling = tellings.entry(seat.org).or_default();
            let Worst { cost, input_tokens, output_tokens } = seat.call.worst;
            telling.calls += 1;
            telling.cost = Money(telling.cost.0.saturating_add(cost.0));
            telling.tokens = telling.tokens.saturating_add(input_tokens.saturating_add(output_tokens));
            if seat.since.elapsed() >= LASTS {
                telling.told.push(seat.told());
            }
        }
        for telling in tellings.values_mut() {
            telling.told.sort_by_key(|told| (told.started_at, told.id));
            telling.told.truncate(LISTED);
        }
        tellings
    }

    /// Whether what is told differs from what was told before. What is gone is forgotten.
    fn is_news(&self, org: OrgId, telling: &Telling) -> bool {
        let mut hasher = DefaultHasher::new();
        (telling.calls, telling.cost.0, telling.tokens).hash(&mut hasher);
        for told in &telling.told {
            (told.id, told.phase, told.bytes).hash(&mut hasher);
        }
        let (hash, mut known) = (hasher.finish(), self.told.lock());
        match known.entry(org) {
            Entry::Occupied(entry) if telling.calls == 0 => {
                entry.remove();
                true
            }
            Entry::Occupied(mut entry) => entry.insert(hash) != hash,
            Entry::Vacant(entry) => {
                entry.insert(hash);
                true
            }
        }
    }
}

/// Tells what this process has in flight, and ends what somebody wants ended. Nothing is said while
/// there is nothing.
pub async fn tell(gateway: &Gateway) -> Result<(), StoreError> {
    let now = store::clock::now();
    for (org, telling) in gateway.in_flight.tellings() {
        let news = gateway.in_flight.is_news(org, &telling);
        let told =
            store::in_flight::tell(&gateway.store, org, gateway.spool.replica, &telling, news, now).await;
        match told {
            Ok(ending) => {
                for id in ending {
                    gateway.in_flight.end(id, Ending::ByHand);
                }
            }
            Err(error) => {
                // It is told again, as something new.
                gateway.in_flight.told.lock().insert(org, 0);
                return Err(error);
            }
        }
    }
    Ok(())
}
