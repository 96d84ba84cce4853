//! Every organization's facts in memory, replaced whole when something changed.
//!
//! A change made by this process is seen by its next call (the store says which version it has
//! committed); one made elsewhere within a second, by notification; and should a notification be
//! lost, by a look at the version every few seconds.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use domain::{
    access::Facts,
    ids::{OrgId, ProviderId},
    window::{Calendar, Span, Window},
};
use http::{HeaderName, HeaderValue, Uri};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use store::{Result, Store, StoreError, keys::KnownSecret, within};
use tokio::sync::Mutex;

use crate::{forward, wire::Route};

/// How old facts may be that are decided by while changes are not being heard.
const BLIND: Duration = Duration::from_millis(200);

/// How long a call waits for facts, whoever else waits too. A pool goes on trying for longer.
const PATIENCE: Duration = Duration::from_secs(1);

/// One organization at one version.
#[derive(Debug)]
pub struct Snapshot {
    /// What is decided by.
    pub facts: Facts,
    /// Live secrets.
    pub secrets: Vec<KnownSecret>,
    /// Those that died with a group: nothing is decided by them but what their callers are told.
    pub fallen: Vec<KnownSecret>,
    /// What is sent to providers with every call.
    pub destinations: FxHashMap<ProviderId, Destination>,
    /// The window each kind of window is in: a calendar takes its time to be asked.
    spans: parking_lot::Mutex<SmallVec<[(Window, Span); 4]>>,
}

/// Where a provider is, and how we name ourselves there.
#[derive(Debug)]
pub struct Destination {
    /// Where each route is, in the order of [`Route::ALL`]; none where its address cannot be read.
    pub uris: [Option<Uri>; Route::ALL.len()],
    /// Our credential, in a value that does not print.
    pub credential: Option<(HeaderName, HeaderValue)>,
}

impl Snapshot {
    /// Of facts alone: nobody has a secret, and nothing can be sent anywhere.
    #[cfg(test)]
    pub fn of(facts: Facts) -> Self {
        Self {
            facts,
            secrets: Vec::new(),
            fallen: Vec::new(),
            destinations: FxHashMap::default(),
            spans: parking_lot::Mutex::default(),
        }
    }

    /// The window of a kind that a moment is in.
    pub fn span(&self, window: Window, at: DateTime<Utc>) -> Span {
        let mut spans = self.spans.lock();
        if let Some((_, span)) = spans.iter().find(|(of, span)| *of == window && span.contains(at)) {
            return *span;
        }
        let span = self.facts.calendar.span(window, at);
        spans.retain(|(of, _)| *of != window);
        spans.push((window, span));
        span
    }
}

#[derive(Debug, Default)]
struct World {
    organizations: HashMap<OrgId, Arc<Snapshot>>,
    /// Which organization, and which of its secrets.
    by_hash: FxHashMap<[u8; 32], (OrgId, usize)>,
    /// The same of those that died with a group.
    fallen: FxHashMap<[u8; 32], (OrgId, usize)>,
}

impl World {
    fn of(organizations: HashMap<OrgId, Arc<Snapshot>>) -> Self {
        let (mut by_hash, mut fallen) = (FxHashMap::default(), FxHashMap::default());
        let places = |org, secrets: &[KnownSecret]| {
            let hashes = secrets.iter().map(|secret| secret.hash).enumerate();
            hashes.map(|(place, hash)| (hash, (org, place))).collect::<Vec<_>>()
        };
        for (org, snapshot) in &organizations {
            by_hash.extend(places(*org, &snapshot.secrets));
            fallen.extend(places(*org, &snapshot.fallen));
        }
        Self { organizations, by_hash, fallen }
    }
}

/// All of them.
#[derive(Debug)]
pub struct Snapshots {
    world: ArcSwap<World>,
    /// One refresh at a time: later ones find the work done.
    refreshing: Mutex<()>,
    /// Whether changes made elsewhere are being heard.
    hearing: AtomicBool,
    /// The last look around by somebody who does not hear, and whether there was anything to see.
    looked_at: Mutex<Option<(Instant, bool)>>,
}

async fn load(store: &Store, org: OrgId) -> Result<Snapshot> {
    // Secrets and credentials are read after the facts: at worst they are newer, and a newer
    // version follows.
    let facts = store::access::facts(store, org).await?;
    let secrets = store::keys::known(store, org).await?;
    let fallen = store::keys::fallen(store, &facts).await?;
    let credentials: HashMap<ProviderId, String> =
        store::providers::credentials(store, org).await?.into_iter().collect();
    let destinations = facts.providers.iter().map(|(id, provider)| {
        let uris = Route::ALL.map(|route| forward::uri(provider, route, None));
        let credential =
            credentials.get(id).and_then(|text| forward::credential_header(provider.dialect, text));
        (*id, Destination { uris, credential })
    });
    let destinations = destinations.collect();
    Ok(Snapshot { facts, secrets, fallen, destinations, spans: parking_lot::Mutex::default() })
}

impl Snapshots {
    /// Reads every organization.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn load(store: &Store) -> Result<Self> {
        let snapshots = Self {
            world: ArcSwap::default(),
            refreshing: Mutex::new(()),
            hearing: AtomicBool::new(false),
            looked_at: Mutex::default(),
        };
        snapshots.refresh_all(store).await?;
        Ok(snapshots)
    }

    /// The organization a secret belongs to, and the secret. As fresh as this process's own
    /// changes.
    ///
    /// # Errors
    /// When newer facts are known to exist and cannot be read: then nothing may be decided.
    pub async fn find(&self, store: &Store, hash: &[u8; 32]) -> Result<Option<(Arc<Snapshot>, KnownSecret)>> {
        if !self.hearing.load(Ordering::Relaxed) {
            // Something may have changed elsewhere, unheard.
            within(PATIENCE, Box::pin(self.look_around(store))).await?;
        }
        if let Some(found) = self.known(store, hash) {
            return Ok(Some(found));
        }
        // Not known, or not fresh: perhaps something changed here a moment ago.
        within(PATIENCE, Box::pin(self.catch_up(store))).await?;
        Ok(self.known(store, hash))
    }

    /// Looks at every organization's version, unless somebody just did.
    async fn look_around(&self, store: &Store) -> Result<()> {
        let mut looked_at = self.looked_at.lock().await;
        match *looked_at {
            Some((at, true)) if at.elapsed() <= BLIND => return Ok(()),
            // Those who come in crowds are not to try one after the other.
            Some((at, false)) if at.elapsed() <= BLIND => return Err(StoreError::unanswered()),
            _ => {}
        }
        let seen = within(PATIENCE / 2, self.refresh_all(store)).await;
        *looked_at = Some((Instant::now(), seen.is_ok()));
        seen
    }

    /// Whether changes made elsewhere are being heard from now on.
    pub fn set_hearing(&self, hearing: bool) {
        self.hearing.store(hearing, Ordering::Relaxed);
    }

    /// How an organization counts time, if it is known.
    pub fn calendar(&self, org: OrgId) -> Option<Calendar> {
        self.world.load().organizations.get(&org).map(|snapshot| snapshot.facts.calendar)
    }

    fn known(&self, store: &Store, hash: &[u8; 32]) -> Option<(Arc<Snapshot>, KnownSecret)> {
        let world = self.world.load();
        let (org, place) = world.by_hash.get(hash)?;
        let snapshot = world.organizations.get(org)?;
        if snapshot.facts.version < store.committed(*org) {
            return None;
        }
        Some((Arc::clone(snapshot), snapshot.secrets.get(*place)?.clone()))
    }

    /// The organization of a secret that died with a group, and the secret: for those that [`Self::find`] does
    /// not find.
    pub fn fallen(&self, hash: &[u8; 32]) -> Option<(Arc<Snapshot>, KnownSecret)> {
        let world = self.world.load();
        let (org, place) = world.fallen.get(hash)?;
        let snapshot = world.organizations.get(org)?;
        Some((Arc::clone(snapshot), snapshot.fallen.get(*place)?.clone()))
    }

    /// Reads the organizations that this process has changed since they were last read.
    async fn catch_up(&self, store: &Store) -> Result<()> {
        for (org, committed) in store.all_committed() {
            let known =
                self.world.load().organizations.get(&org).map_or(0, |snapshot| snapshot.facts.version);
            if known < committed {
                self.refresh(store, org, committed).await?;
            }
        }
        Ok(())
    }

    /// Reads an organization anew, unless somebody else just did up to `version`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn refresh(&self, store: &Store, org: OrgId, version: i64) -> Result<()> {
        let _turn = self.refreshing.lock().await;
        let current = self.world.load_full();
        if current.organizations.get(&org).is_some_and(|snapshot| snapshot.facts.version >= version) {
            return Ok(());
        }
        let mut organizations = current.organizations.clone();
        match load(store, org).await {
            Ok(snapshot) => organizations.insert(org, Arc::new(snapshot)),
            // Deleted.
            Err(StoreError::NotFound) => organizations.remove(&org),
            Err(error) => return Err(error),
        };
        let gone = !organizations.contains_key(&org);
        self.world.store(Arc::new(World::of(organizations)));
        if gone {
            // Not before: what was last read of it would pass for fresh.
            store.forget(org);
        }
        Ok(())
    }

    /// Reads every organization anew: after a start, and when notifications may have been lost.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn refresh_all(&self, store: &Store) -> Result<()> {
        let all = store::organizations::all(store).await?;
        for org in &all {
            // One that is deleted meanwhile is read, too, and found to be gone.
            let version = match store::access::version(store, *org).await {
                Err(StoreError::NotFound) => i64::MAX,
                version => version?,
            };
            self.refresh(store, *org, version).await?;
        }
        // Of those that are gone nobody may have been told.
        for org in self.organizations().into_iter().filter(|org| !all.contains(org)) {
            self.refresh(store, org, i64::MAX).await?;
        }
        Ok(())
    }

    /// Every organization.
    pub fn organizations(&self) -> Vec<OrgId> {
        self.world.load().organizations.keys().copied().collect()
    }

    /// One organization's facts, for those who know it by its id.
    pub fn organization(&self, org: OrgId) -> Option<Arc<Snapshot>> {
        self.world.load().organizations.get(&org).cloned()
    }
}
