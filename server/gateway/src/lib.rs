//! The gateway: OpenAI- and Anthropic-compatible HTTP under `/v1`.
//!
//! A call goes `authenticate → authorize → reserve → forward → meter → settle`, one file each; every
//! step takes the proof of the step before, so that skipping one does not compile. A call to a policy
//! does so for one model after another. What must not be here: a second way to decide (that is
//! `domain::access`), SQL (that is `store`), and any view.

mod address;
mod authenticate;
mod authorize;
mod booking;
mod cache;
mod exchange;
mod forward;
mod goes_on;
mod guard;
mod headroom;
mod health;
mod hops;
mod in_flight;
mod jobs;
mod kept_answers;
mod leases;
mod linger;
mod meter;
mod pipeline;
mod post;
mod prompts;
mod refused;
mod reserve;
mod routing;
mod settle;
mod snapshot;
mod spool;
mod unreached;
pub mod wire;

use std::{path::PathBuf, sync::Arc, time::Duration};

use axum::Router;
use domain::{
    access::ProviderFacts,
    ids::OrgId,
    providers::{Wait, Waits},
    window::Calendar,
};
use store::Store;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use forward::{Probe, probe};
pub use post::post;
pub use snapshot::Snapshots;

/// How long a shutdown waits for calls that go on after their connections have ended, and then for
/// what waits to be booked.
const CLOSING: Duration = Duration::from_secs(10);

/// What calls that are not in the books may take of the disk, unless something else is said: about
/// a million of them.
pub const SPOOL_LIMIT: u64 = 1 << 30;

/// How a gateway is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the console is reached by, for links in refusals.
    pub public_url: String,
    /// Where calls are written down. One folder serves one process.
    pub spool_dir: PathBuf,
    /// How many bytes may be written there before what is written is in the books. Beyond that no
    /// call is let through.
    pub spool_limit: u64,
    /// How long a provider is waited for.
    pub patience: Patience,
    /// When the database has not heard of this process for so long, it gives up its places among calls
    /// at once.
    pub cut_off: Duration,
}

/// That time, unless something else is said: less than what others wait before they take a process
/// for dead (`store::leases::DEAD_AFTER`).
pub const CUT_OFF: Duration = Duration::from_secs(45);

/// How long a provider is waited for, unless it says otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Until a connection stands.
    pub connection: Duration,
    /// Until the answer's head: long answers that are not streamed take minutes.
    pub head: Duration,
    /// Until the head of a stream, while a policy has another model to try.
    pub hop: Duration,
    /// Between two pieces of a stream.
    pub silence: Duration,
    /// How long a client hears nothing while a stream is silent.
    pub beat: Duration,
    /// From when a call is sent until its answer is whole.
    pub total: Duration,
    /// How long a stream is read on after its client has left.
    pub read_on: Duration,
}

/// Proxies on the way cut connections on which nothing was said for a minute, some for half of that.
const BEAT: Duration = Duration::from_secs(15);

impl Default for Patience {
    fn default() -> Self {
        let usual = |wait: Wait| Duration::from_secs(u64::from(wait.usual()));
        Self {
            connection: usual(Wait::Connection),
            head: usual(Wait::FirstByte),
            hop: Duration::from_secs(60),
            silence: usual(Wait::Silence),
            beat: BEAT,
            total: usual(Wait::Total),
            read_on: Duration::from_secs(120),
        }
    }
}

impl Patience {
    /// With a provider: what it says comes first.
    #[must_use]
    fn with(self, provider: Option<&ProviderFacts>) -> Self {
        let Some(&Waits { connection, first_byte, silence, total }) = provider.map(|facts| &facts.waits)
        else {
            return self;
        };
        let or =
            |said: Option<u16>, usual| said.map_or(usual, |seconds| Duration::from_secs(u64::from(seconds)));
        Self {
            connection: or(connection, self.connection),
            head: or(first_byte, self.head),
            silence: or(silence, self.silence),
            total: or(total, self.total),
            ..self
        }
    }
}

/// A gateway: one per process.
#[derive(Debug)]
pub struct Gateway {
    store: Store,
    settings: Settings,
    snapshots: Snapshots,
    upstream: forward::Clients,
    health: health::Health,
    spool: spool::Spool,
    leases: leases::Leases,
    booking: booking::Booking,
    in_flight: in_flight::InFlight,
    cache: cache::Cache,
    kept_answers: kept_answers::KeptAnswers,
    prompts: prompts::Keeper,
    /// Calls whose books are still open: a shutdown waits for them.
    open: TaskTracker,
    stopping: CancellationToken,
}

impl Gateway {
    /// Reads every organization's facts and starts the background work.
    ///
    /// # Errors
    /// When the database does not answer or the spool cannot be opened.
    pub async fn start(store: Store, settings: Settings) -> Result<Arc<Self>, StartError> {
        let (spool, left) =
            spool::Spool::open(&settings.spool_dir, settings.spool_limit).map_err(StartError::Spool)?;
        jobs::recover(&store, &spool, left).await?;
        let snapshots = Snapshots::load(&store).await?;
        let (prompts, heard) = prompts::Keeper::new();
        let gateway = Arc::new(Self {
            prompts,
            upstream: forward::Clients::new(settings.patience.connection),
            health: health::Health::default(),
            leases: leases::Leases::new(spool.replica, settings.cut_off),
            booking: booking::Booking::default(),
            in_flight: in_flight::InFlight::default(),
            cache: cache::Cache::default(),
            kept_answers: kept_answers::KeptAnswers::default(),
            open: TaskTracker::new(),
            stopping: CancellationToken::new(),
            store,
            settings,
            snapshots,
            spool,
        });
        jobs::start(&gateway);
        tokio::spawn(prompts::run(Arc::clone(&gateway), heard));
        Ok(gateway)
    }

    /// The routes. Whatever is not metered here does not exist.
    pub fn router(self: &Arc<Self>) -> Router {
        pipeline::router(Arc::clone(self))
    }

    /// Calls whose books are still open.
    pub fn in_flight(&self) -> usize {
        self.booking.unbooked()
    }

    /// Whether there is room to take a call down, without which none is let through.
    ///
    /// # Errors
    /// Why there is none.
    pub fn takes_calls(&self) -> std::io::Result<()> {
        self.spool.takes_calls()
    }

    /// Ends every answer that still runs, each as its dialect ends one: what is left of a drain is
    /// better used for last words than for sockets that drop.
    pub fn end_answers(&self) {
        self.in_flight.end_all(in_flight::Ending::Stopping, false);
    }

    /// Waits until every open call is booked, within bounds, then ends the background work. What is
    /// still open then is booked from its hold, by whoever comes next.
    pub async fn stop(&self) {
        self.open.close();
        let closed = tokio::time::timeout(CLOSING, self.open.wait()).await.is_ok();
        if !closed {
            tracing::warn!(calls = self.open.len(), "some calls are still open; the next start books them");
        }
        self.booking.sum_up(chrono::DateTime::<chrono::Utc>::MAX_UTC);
        let booked = closed && tokio::time::timeout(CLOSING, self.booking.drained()).await.is_ok();
        self.stopping.cancel();
        if !booked {
            // What they used stays set aside until it is in the books.
            tracing::warn!("some calls are not in the books yet; the next start books them");
            return;
        }
        if let Err(error) = self.leases.give_up(&self.store).await {
            tracing::warn!(%error, "leases could not be given back; the next start does it");
        }
    }

    /// An organization's calendar; none when it is gone.
    pub(crate) async fn calendar(&self, org: OrgId) -> Result<Option<Calendar>, store::StoreError> {
        if let Some(calendar) = self.snapshots.calendar(org) {
            return Ok(Some(calendar));
        }
        match store::organizations::calendar(&self.store, org).await {
            Ok(calendar) => Ok(Some(calendar)),
            Err(store::StoreError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Why a gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database.
    #[error(transparent)]
    Store(#[from] store::StoreError),
    /// The spool's folder.
    #[error("the spool cannot be opened: {0}")]
    Spool(#[source] std::io::Error),
}
