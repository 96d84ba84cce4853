//! Slices of every limit's window in memory: reserving from them, topping them up, giving them back.
//!
//! A call that fits into what this replica has leased is let through without a word to Postgres.
//! One that does not waits while slices are topped up, one organization at a time and for all who
//! wait at once. Whatever was leased and is not needed goes back within seconds, or at once when
//! another replica says that it needs it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use domain::{
    ids::OrgId,
    leases::{Claim, Lease, Short},
    limits::{Bucket, Level, Metric, Shortage},
};
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;
use store::{
    Result, Store, StoreError,
    leases::{Ask, Consumed, Granted},
    within,
};
use uuid::Uuid;

/// What is leased and free goes back when nobody took from it for so long.
const IDLE: Duration = Duration::from_secs(2);
/// What the books of others say is believed for so long, where it only matters for taking note.
const FRESH: Duration = Duration::from_secs(1);
/// Other replicas are asked to give back at most so often.
const RECALL: Duration = Duration::from_millis(20);
/// How long a call waits for the database, whoever else waits too.
const PATIENCE: Duration = Duration::from_secs(2);
/// What the database has granted when nobody knows whether it has heard.
const UNKNOWN: i64 = i64::MIN;
/// How often a call asks before it is told to come again.
const TRIES: usize = 4;
/// How long a call waits for what others give back, and how often it looks.
const RECALL_WAITS: [Duration; 4] = [
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
];

/// What became of a reservation.
#[derive(Clone, Debug)]
pub enum Reserved {
    /// Everything is held.
    Held {
        /// What it is.
        reservation: Reservation,
        /// Each claim with the level it met, itself not counted.
        levels: Vec<(Claim, Level)>,
        /// The observed limits that would have refused.
        observed: Vec<Short>,
    },
    /// Nothing is held, because of these.
    Short(Vec<Short>),
}

/// What a call holds. Given back by [`Leases::settle`], once.
#[derive(Clone, Debug, Default)]
pub struct Reservation {
    /// Of which window, how much; nothing where an observed limit had no room.
    pub held: Vec<(Bucket, i64)>,
}

/// What is leased by this replica.
#[derive(Debug)]
pub struct Leases {
    /// This replica.
    pub replica: Uuid,
    /// When the database last heard that it lives.
    heard_at: Mutex<DateTime<Utc>>,
    /// Whether everything was given back for good. Whoever changes leases in the database looks.
    ended: tokio::sync::RwLock<bool>,
    purses: RwLock<FxHashMap<OrgId, Arc<Purse>>>,
    /// How long it may be silent, before others take it for dead.
    cut_off_after: Duration,
    /// That was so long ago that its places among calls at once may be given away.
    cut_off: AtomicBool,
}

/// One organization's.
#[derive(Debug, Default)]
struct Purse {
    /// Held by whoever changes leases in the database: they are changed one after the other.
    turn: tokio::sync::Mutex<()>,
    accounts: Mutex<FxHashMap<Bucket, Account>>,
    recalled: Mutex<Option<Instant>>,
}

#[derive(Debug)]
struct Account {
    lease: Lease,
    /// The cap its grant was made under.
    cap: i64,
    /// What calls that wait for a top-up need.
    waiting: i64,
    /// What was taken since the last look: how much will be taken soon.
    demand: i64,
    used_at: Instant,
    heard_at: Option<Instant>,
    /// What the database knows of the lease: granted, and held by calls in flight.
    told: (i64, i64),
    /// What other replicas have leased and, as they last said, do not need.
    idle_elsewhere: i64,
}

impl Account {
    fn new(cap: i64) -> Self {
        Self {
            lease: Lease::default(),
            cap,
            waiting: 0,
            demand: 0,
            used_at: Instant::now(),
            heard_at: None,
            told: (0, 0),
            idle_elsewhere: 0,
        }
    }

    fn heard(&mut self, granted: Granted, reserved: i64) {
        self.lease.granted = granted.granted;
        self.lease.settled = granted.settled;
        self.lease.others = granted.others;
        self.lease.lost = granted.lost;
        self.told = (granted.granted, reserved);
        self.idle_elsewhere = granted.others - granted.lost - granted.others_held;
        self.heard_at = Some(Instant::now());
    }

    fn is_fresh(&self) -> bool {
        self.heard_at.is_some_and(|at| at.elapsed() < FRESH)
    }
}

impl Leases {
    pub fn new(replica: Uuid, cut_off_after: Duration) -> Self {
        Self {
            replica,
            heard_at: Mutex::new(store::clock::now()),
            cut_off_after,
            cut_off: AtomicBool::new(false),
            ended: tokio::sync::RwLock::default(),
            purses: RwLock::default(),
        }
    }

    /// The database has heard of this replica.
    fn heard_of(&self, at: DateTime<Utc>) {
        *self.heard_at.lock() = at;
        self.cut_off.store(false, Ordering::Release);
    }

    /// Whether the database has just not heard of this replica for so long that others may soon take
    /// it for dead: then it keeps no place among calls at once, and says so once.
    pub fn is_cut_off_now(&self) -> bool {
        let silent = store::clock::now() - *self.heard_at.lock();
        if silent.to_std().is_ok_and(|silent| silent < self.cut_off_after)
            || self.cut_off.swap(true, Ordering::AcqRel)
        {
            return false;
        }
        for (_, purse) in self.all() {
            for (bucket, account) in purse.accounts.lock().iter_mut() {
                if bucket.meter.metric == Metric::ConcurrentCalls {
                    // Nothing is let through by it until the database has said what is left of it.
                    account.heard_at = None;
                }
            }
        }
        true
    }

    fn purse(&self, org: OrgId) -> Arc<Purse> {
        if let Some(purse) = self.purses.read().get(&org) {
            return Arc::clone(purse);
        }
        Arc::clone(self.purses.write().entry(org).or_default())
    }

    fn all(&self) -> Vec<(OrgId, Arc<Purse>)> {
        self.purses.read().iter().map(|(org, purse)| (*org, Arc::clone(purse))).collect()
    }

    /// Holds every claim or none.
    ///
    /// # Errors
    /// When more would have to be leased and the database does not answer: then nothing may be let
    /// through.
    pub async fn reserve(&self, store: &Store, org: OrgId, claims: &[Claim]) -> Result<Reserved> {
        let purse = self.purse(org);
        if let Some(done) = purse.try_reserve(claims, None) {
            return Ok(done);
        }
        // On the heap, so that the many calls that need none of it do not carry it along.
        within(PATIENCE, Box::pin(self.reserve_more(store, org, &purse, claims))).await
    }

    /// The same when what is leased is not enough.
    async fn reserve_more(
        &self,
        store: &Store,
        org: OrgId,
        purse: &Purse,
        claims: &[Claim],
    ) -> Result<Reserved> {
        let waiting = purse.wait(claims);
        let mut done = self.top_up_and_reserve(store, org, purse, claims).await?;
        for pause in RECALL_WAITS {
            let Reserved::Short(short) = &done else { break };
            if !purse.is_idle_elsewhere(short) {
                break;
            }
            if purse.may_recall() {
                store::leases::recall(store, org, self.replica).await?;
            }
            tokio::time::sleep(pause).await;
            done = self.top_up_and_reserve(store, org, purse, claims).await?;
        }
        drop(waiting);
        Ok(done)
    }

    async fn top_up_and_reserve(
        &self,
        store: &Store,
        org: OrgId,
        purse: &Purse,
        claims: &[Claim],
    ) -> Result<Reserved> {
        let since = Instant::now();
        let _turn = purse.turn.lock().await;
        // Somebody else may have topped up for all of us.
        if let Some(done) = purse.try_reserve(claims, Some(since)) {
            return Ok(done);
        }
        // Calls that fit take from the same slices without waiting for a turn, so what was just
        // added can be gone: then once more.
        for _ in 0..TRIES {
            let asks = purse.asks(claims);
            self.take(store, org, purse, &asks).await?;
            if let Some(done) = purse.try_reserve(claims, Some(since)) {
                return Ok(done);
            }
        }
        Ok(Reserved::Short(Vec::new()))
    }

    /// Says that this replica lives.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn hear(&self, store: &Store, now: DateTime<Utc>) -> Result<()> {
        store::leases::hear(store, self.replica, now).await?;
        self.heard_of(now);
        Ok(())
    }

    /// Gives everything back, for good: a round of background work that is on its way neither comes in
    /// between nor after it.
    ///
    /// # Errors
    /// When the database does not answer: the next start does it.
    pub async fn give_up(&self, store: &Store) -> Result<()> {
        let mut ended = self.ended.write().await;
        *ended = true;
        store::leases::give_up(store, self.replica).await
    }

    /// Sets leases to what is asked for. The caller has the turn.
    async fn take(&self, store: &Store, org: OrgId, purse: &Purse, asks: &[Ask]) -> Result<()> {
        if asks.is_empty() {
            return Ok(());
        }
        let ended = self.ended.read().await;
        if *ended {
            return Err(StoreError::unanswered());
        }
        let now = store::clock::now();
        if now - *self.heard_at.lock() > store::leases::HEAR_WITHIN {
            // Perhaps the others take this replica for dead, and are ending its leases right now.
            self.hear(store, now).await?;
        }
        purse.doubt(asks);
        let answers = store::leases::take(store, org, self.replica, asks, now).await?;
        let mut accounts = purse.accounts.lock();
        for (ask, granted) in asks.iter().zip(answers) {
            accounts.entry(ask.bucket).or_insert_with(|| Account::new(ask.cap)).heard(granted, ask.reserved);
        }
        Ok(())
    }

    /// A level as the shared books tell it, put right by what this replica knows better.
    pub fn put_right(&self, org: OrgId, bucket: &Bucket, told: Level) -> Level {
        let purse = self.purse(org);
        let accounts = purse.accounts.lock();
        let Some(account) = accounts.get(bucket) else { return told };
        Level {
            settled: told.settled + account.lease.spent,
            held: (told.held - account.told.1 + account.lease.reserved).max(0),
        }
    }

    /// A call is over: what it held is free, but for what it used.
    pub fn settle(&self, org: OrgId, reservation: &Reservation, used: impl Fn(Metric) -> i64) {
        let purse = self.purse(org);
        let mut accounts = purse.accounts.lock();
        for (bucket, held) in &reservation.held {
            if let Some(account) = accounts.get_mut(bucket) {
                account.lease.settle(*held, used(bucket.meter.metric));
            }
        }
    }

    /// Books finished calls of one organization and takes them out of the leases. What each used
    /// of each window is in `used`, summed up.
    ///
    /// # Errors
    /// When the database does not answer: book them again.
    pub async fn book<F>(
        &self,
        org: OrgId,
        used: &FxHashMap<Bucket, i64>,
        book: impl FnOnce(Consumed) -> F,
    ) -> Result<usize>
    where
        F: Future<Output = Result<usize>>,
    {
        let purse = self.purse(org);
        let _turn = purse.turn.lock().await;
        let mut taken = Vec::with_capacity(used.len());
        let mut leases = Vec::with_capacity(used.len());
        {
            let mut accounts = purse.accounts.lock();
            for (bucket, used) in used {
                if let Some(account) = accounts.get_mut(bucket) {
                    taken.push((*bucket, *used, account.lease.begin_booking(*used)));
                    leases.push((*bucket, account.lease.granted, account.lease.reserved));
                }
            }
        }
        let booked = book(Consumed { replica: self.replica, leases: leases.clone() }).await;
        let mut accounts = purse.accounts.lock();
        for ((bucket, used, taken), (_, _, reserved)) in taken.into_iter().zip(leases) {
            let Some(account) = accounts.get_mut(&bucket) else { continue };
            if booked.is_ok() {
                account.lease.booked(used);
                account.told = (account.lease.granted, reserved);
            } else {
                account.lease.booking_failed(used, taken);
            }
        }
        booked
    }

    /// Gives back what nobody took from for a while, or, when another replica needs it, everything
    /// that is free; says what calls in flight hold; forgets windows that are over.
    ///
    /// # Errors
    /// When the database does not answer: the next round tries again.
    pub async fn tidy(&self, store: &Store, only: Option<OrgId>) -> Result<()> {
        let now = store::clock::now();
        for (org, purse) in self.all() {
            if only.is_some_and(|only| only != org) {
                continue;
            }
            let _turn = purse.turn.lock().await;
            let asks = purse.returns(only.is_some(), now);
            self.take(store, org, &purse, &asks).await?;
            purse.forget(now);
        }
        Ok(())
    }
}

/// Calls that wait for a top-up, as long as this lives.
struct Waiting<'a> {
    purse: &'a Purse,
    amounts: Vec<(Bucket, i64)>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut accounts = self.purse.accounts.lock();
        for (bucket, amount) in &self.amounts {
            if let Some(account) = accounts.get_mut(bucket) {
                account.waiting -= amount;
            }
        }
    }
}

impl Purse {
    /// Until there is an answer, nobody knows what the database has of these: if none comes, the next
    /// round tells it again, so that nothing stays set aside that nobody knows of.
    fn doubt(&self, asks: &[Ask]) {
        let mut accounts = self.accounts.lock();
        for ask in asks {
            if let Some(account) = accounts.get_mut(&ask.bucket) {
                account.told.0 = UNKNOWN;
            }
        }
    }

    /// Reserves from what is leased. None when more has to be asked for first: that a window has no
    /// room is only believed of answers heard after `since`, unless it would only be taken note of.
    fn try_reserve(&self, claims: &[Claim], since: Option<Instant>) -> Option<Reserved> {
        let mut accounts = self.accounts.lock();
        let (mut short, mut observed) = (Vec::new(), Vec::new());
        for claim in claims {
            let account = accounts.get(&claim.bucket)?;
            let heard_at = account.heard_at?;
            if account.cap != claim.cap {
                return None;
            }
            if claim.amount <= account.lease.free() {
                continue;
            }
            let believed =
                since.is_some_and(|since| heard_at >= since) || (!claim.enforced && account.is_fresh());
            let level = account.lease.level();
            let shortage = level.fits(claim.amount, claim.cap).err().filter(|_| believed)?;
            let entry = Short { claim: *claim, level, shortage };
            if claim.enforced { short.push(entry) } else { observed.push(entry) }
        }
        if !short.is_empty() {
            return Some(Reserved::Short(short));
        }
        let now = Instant::now();
        let mut levels = Vec::with_capacity(claims.len());
        let mut held = Vec::with_capacity(claims.len());
        for claim in claims {
            let Some(account) = accounts.get_mut(&claim.bucket) else { continue };
            levels.push((*claim, account.lease.level()));
            let fits = claim.amount <= account.lease.free();
            let amount = if fits { claim.amount } else { 0 };
            account.lease.reserve(amount);
            account.demand = account.demand.saturating_add(amount);
            account.used_at = now;
            held.push((claim.bucket, amount));
        }
        Some(Reserved::Held { reservation: Reservation { held }, levels, observed })
    }

    /// Says that a call waits for these.
    fn wait(&self, claims: &[Claim]) -> Waiting<'_> {
        let mut accounts = self.accounts.lock();
        let amounts: Vec<(Bucket, i64)> = claims.iter().map(|claim| (claim.bucket, claim.amount)).collect();
        for claim in claims {
            let account = accounts.entry(claim.bucket).or_insert_with(|| Account::new(claim.cap));
            account.waiting += claim.amount;
        }
        drop(accounts);
        Waiting { purse: self, amounts }
    }

    /// What to ask for, so that everybody who waits gets in.
    fn asks(&self, claims: &[Claim]) -> Vec<Ask> {
        let mut accounts = self.accounts.lock();
        let mut asks = Vec::with_capacity(claims.len());
        for claim in claims {
            let account = accounts.entry(claim.bucket).or_insert_with(|| Account::new(claim.cap));
            if claim.cap < account.cap {
                // What was leased under a higher cap is not ours any more.
                account.lease.let_go();
            }
            let changed = claim.cap != account.cap || account.heard_at.is_none();
            account.cap = claim.cap;
            if !changed && account.lease.free() >= account.waiting && account.lease.free() >= claim.amount {
                continue;
            }
            let lease = &account.lease;
            let need = lease.bound().saturating_add(account.waiting.max(claim.amount));
            asks.push(Ask {
                bucket: claim.bucket,
                keep: lease.granted.max(0),
                useful: lease.bound().saturating_add(claim.amount),
                need: need.max(lease.granted),
                extra: account.demand.max(claim.amount.saturating_mul(4)),
                reserved: lease.reserved.max(0),
                cap: claim.cap,
            });
        }
        asks
    }

    /// Whether everything that was short has room that other replicas have leased and do not need.
    fn is_idle_elsewhere(&self, short: &[Short]) -> bool {
        let accounts = self.accounts.lock();
        !short.is_empty()
            && short.iter().all(|short| {
                accounts
                    .get(&short.claim.bucket)
                    .is_some_and(|account| account.idle_elsewhere > 0 && short.shortage == Shortage::Busy)
            })
    }

    /// Whether others may be asked now, or were a moment ago.
    fn may_recall(&self) -> bool {
        let mut recalled = self.recalled.lock();
        if recalled.is_some_and(|at| at.elapsed() < RECALL) {
            return false;
        }
        *recalled = Some(Instant::now());
        true
    }

    /// What to give back, and what to say about calls in flight. What goes back is out of this
    /// replica's hands from here on.
    fn returns(&self, everything: bool, now: DateTime<Utc>) -> Vec<Ask> {
        let mut accounts = self.accounts.lock();
        let mut asks = Vec::new();
        for (bucket, account) in accounts.iter_mut() {
            let over = bucket.ends_at.is_some_and(|end| end <= now);
            let idle = account.used_at.elapsed() > IDLE;
            account.demand /= 2;
            // When another replica is short, not even calls that wait here keep it: halves of what either
            // needs would stay with both for as long as calls come.
            let back = everything || (account.waiting == 0 && (over || idle));
            let back = back && account.lease.free() > 0;
            if back {
                account.lease.let_go();
            }
            if account.told == (account.lease.granted, account.lease.reserved) {
                continue;
            }
            let keep = account.lease.granted.max(0);
            asks.push(Ask {
                bucket: *bucket,
                keep,
                useful: keep,
                need: keep,
                extra: 0,
                reserved: account.lease.reserved.max(0),
                cap: account.cap,
            });
        }
        asks
    }

    /// Forgets windows that are over and that nothing hangs on.
    fn forget(&self, now: DateTime<Utc>) {
        self.accounts.lock().retain(|bucket, account| {
            let over = bucket.ends_at.is_some_and(|end| end <= now);
            let empty = account.lease.granted == 0 && account.lease.bound() == 0 && account.waiting == 0;
            let unused = account.used_at.elapsed() > Duration::from_secs(60);
            !(empty && (over || unused))
        });
    }
}

#[cfg(test)]
mod tests {
    use domain::{
        limits::{Meter, Scope},
        window::{Span, Window},
    };

    use super::*;

    fn claim(metric: Metric) -> Claim {
        let meter = Meter { scope: Scope::Organization, metric, window: Window::Total };
        let bucket = Bucket::of(meter, Span { start: DateTime::UNIX_EPOCH, end: None });
        Claim { bucket, amount: 1, cap: 10, enforced: true }
    }

    /// A replica with five of everything.
    fn leases(org: OrgId) -> Leases {
        let leases = Leases::new(store::clock::id(), crate::CUT_OFF);
        let purse = leases.purse(org);
        for metric in [Metric::ConcurrentCalls, Metric::Requests] {
            let mut account = Account::new(10);
            account.heard(Granted { granted: 5, ..Granted::default() }, 0);
            purse.accounts.lock().insert(claim(metric).bucket, account);
        }
        leases
    }

    #[test]
    fn whoever_is_cut_off_lets_nothing_through_by_its_places_and_says_so_once() {
        let org: OrgId = store::clock::id();
        let leases = leases(org);
        let passes = |metric| leases.purse(org).try_reserve(&[claim(metric)], None).is_some();
        assert!(!leases.is_cut_off_now() && passes(Metric::ConcurrentCalls) && passes(Metric::Requests));
        leases.heard_of(store::clock::now() - crate::CUT_OFF);
        assert!(leases.is_cut_off_now());
        assert!(!leases.is_cut_off_now(), "once");
        assert!(!passes(Metric::ConcurrentCalls), "its places may be somebody else's");
        assert!(passes(Metric::Requests), "what it has set aside otherwise stays its own");
        leases.heard_of(store::clock::now());
        assert!(!passes(Metric::ConcurrentCalls), "until the database says what is left of them");
    }
}
