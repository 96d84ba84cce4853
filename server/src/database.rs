//! The Postgres behind `DATABASE_URL`, or a private one under the data folder.
//!
//! A server runs the private Postgres for as long as it serves. Other programs join it, or start
//! one for the moment; then they keep the turn, a lock on the data folder, until it has stopped, so
//! that no server moves into a Postgres that is about to go.

use std::{fs::File, path::Path, time::Duration};

use postgres::{Cluster, Options, Programs};
use store::{MasterKey, Schema, Store};

use crate::{Fatal, config::Config, keeper::Keeper};

/// The name of the database in a private Postgres.
const DATABASE: &str = "bursar";
/// Connections of the pool. The gateway's reservations and the console share them.
const CONNECTIONS: u32 = 32;
/// Connections of a program that does one thing and ends.
const FEW: u32 = 4;
/// How often a Postgres that stops at the moment of joining is tried again.
const TRIES: usize = 10;

/// What a program that only looks does with a schema of an older binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upgrade {
    /// It ends, and says what to do.
    Refuse,
    /// It brings it up to date.
    Migrate,
}

/// A store, and the private Postgres under it if there is one.
pub struct Database {
    /// The store.
    pub store: Store,
    /// Stopped when this is.
    cluster: Option<Keeper>,
    /// Nobody else starts a private Postgres while this is held.
    turn: Option<File>,
}

/// A Postgres to connect to.
struct Place {
    url: String,
    admin: Option<String>,
    cluster: Option<Cluster>,
    turn: Option<File>,
}

/// What came of a try to connect.
enum Tried<T> {
    Done(T),
    /// The Postgres we joined went away meanwhile.
    Gone,
}

impl Database {
    fn of(store: Store, cluster: Option<Cluster>, turn: Option<File>) -> Self {
        Self { store, cluster: cluster.map(Keeper::of), turn }
    }

    /// For a server: connects to `DATABASE_URL`; without one, joins or starts the private Postgres.
    pub async fn open(config: &Config) -> Result<Self, Fatal> {
        let master = config.master_key()?;
        for _ in 0..TRIES {
            let mut place = Place::find(config).await?;
            // A server stays: from now on others may join.
            place.turn = None;
            if let Tried::Done(database) = place.migrated(CONNECTIONS, master.clone()).await? {
                return Ok(database);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Err(unsteady())
    }

    /// For a program that does one thing: what is there, as it is. None if nothing was ever kept
    /// here; then nothing is made, not even a folder.
    pub async fn look(config: &Config, upgrade: Upgrade) -> Result<Option<Self>, Fatal> {
        for _ in 0..TRIES {
            if config.database_url.is_none() && !config.data_dir.join("postgres/PG_VERSION").exists() {
                return Ok(None);
            }
            let place = Place::find(config).await?;
            match place.untouched(config, upgrade).await? {
                Tried::Done(database) => return Ok(database),
                Tried::Gone => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
        Err(unsteady())
    }

    /// For a program that does one thing: makes an installation where none is.
    pub async fn make(config: &Config) -> Result<Self, Fatal> {
        config.make_data_dir()?;
        let master = config.master_key()?;
        for _ in 0..TRIES {
            let place = Place::find(config).await?;
            if let Tried::Done(database) = place.migrated(FEW, master.clone()).await? {
                return Ok(database);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Err(unsteady())
    }

    /// Whether another program started this Postgres, and may stop it.
    pub fn joined(&self) -> bool {
        self.cluster.as_ref().is_some_and(Keeper::joined)
    }

    /// Closes the connections and stops what was started.
    pub async fn close(self) {
        self.store.close().await;
        let cluster = tokio::task::spawn_blocking(|| self.cluster.and_then(Keeper::hand_over)).await;
        stop(cluster.ok().flatten(), self.turn).await;
    }
}

impl Place {
    async fn find(config: &Config) -> Result<Self, Fatal> {
        if let Some(url) = &config.database_url {
            return Ok(Self { url: url.clone(), admin: None, cluster: None, turn: None });
        }
        let turn = take_turn(&config.data_dir).await?;
        let cluster = start_private(&config.data_dir.join("postgres"), config.durable).await?;
        Ok(Self {
            url: cluster.url(DATABASE),
            admin: Some(cluster.url("postgres")),
            // One that somebody else runs is not ours to keep others from.
            turn: (!cluster.joined()).then_some(turn),
            cluster: Some(cluster),
        })
    }

    /// Connects and brings the schema up to date, making the database if need be.
    async fn migrated(self, connections: u32, master: MasterKey) -> Result<Tried<Database>, Fatal> {
        let made = match &self.admin {
            Some(admin) => store::ensure_database(admin, DATABASE).await,
            None => Ok(()),
        };
        let connected = match made {
            Ok(()) => Store::connect(&self.url, connections, master).await,
            Err(error) => Err(error),
        };
        let store = match connected {
            Ok(store) => store,
            Err(error) => return self.gone_or("the database cannot be reached", &error).await,
        };
        if matches!(store.schema().await, Ok(Schema::Newer)) {
            store.close().await;
            stop(self.cluster, self.turn).await;
            return Err(newer());
        }
        match store.migrate().await {
            Ok(()) if self.is_there() => Ok(Tried::Done(Database::of(store, self.cluster, self.turn))),
            Ok(()) => {
                store.close().await;
                stop(self.cluster, self.turn).await;
                Ok(Tried::Gone)
            }
            Err(error) => {
                store.close().await;
                self.gone_or("the database cannot be brought up to date", &error).await
            }
        }
    }

    /// Connects to what is there; none if that is nothing.
    async fn untouched(self, config: &Config, upgrade: Upgrade) -> Result<Tried<Option<Database>>, Fatal> {
        let known = match &self.admin {
            Some(admin) => store::has_database(admin, DATABASE).await,
            None => Ok(true),
        };
        let connected = match known {
            Ok(true) => {
                // Which key it needs is known once it is clear that there is anything.
                let key = config.find_master_key()?;
                let connected =
                    Store::connect(&self.url, FEW, key.clone().unwrap_or_else(MasterKey::generate));
                connected.await.map(|store| Some((store, key)))
            }
            Ok(false) => Ok(None),
            Err(error) => Err(error),
        };
        let (store, key) = match connected {
            Ok(Some(connected)) => connected,
            Ok(None) => {
                stop(self.cluster, self.turn).await;
                return Ok(Tried::Done(None));
            }
            Err(error) => return self.gone_or("the database cannot be reached", &error).await,
        };
        let usable = match store.schema().await {
            Ok(schema) => usable(&store, schema, key.as_ref(), config, upgrade).await,
            Err(error) => Err(error.into()),
        };
        match usable {
            Ok(true) => Ok(Tried::Done(Some(Database::of(store, self.cluster, self.turn)))),
            Ok(false) => {
                store.close().await;
                stop(self.cluster, self.turn).await;
                Ok(Tried::Done(None))
            }
            Err(fatal) => {
                store.close().await;
                let gone = self.cluster.as_ref().is_some_and(Cluster::joined) && !self.is_there();
                stop(self.cluster, self.turn).await;
                if gone { Ok(Tried::Gone) } else { Err(fatal) }
            }
        }
    }

    /// Whether the Postgres is still the one we found.
    fn is_there(&self) -> bool {
        self.cluster.as_ref().is_none_or(|cluster| {
            !cluster.joined()
                || Cluster::join(cluster.data_dir())
                    .is_some_and(|now| now.socket_dir() == cluster.socket_dir())
        })
    }

    /// A Postgres that somebody else ran may have gone: that is no error but another try.
    async fn gone_or<T>(self, doing: &str, error: &store::StoreError) -> Result<Tried<T>, Fatal> {
        let joined = self.cluster.as_ref().is_some_and(Cluster::joined);
        stop(self.cluster, self.turn).await;
        if joined { Ok(Tried::Gone) } else { Err(Fatal::new(doing, cause_of(error))) }
    }
}

/// Whether a database can be used by a program that only looks; false if it is empty.
async fn usable(
    store: &Store,
    schema: Schema,
    key: Option<&MasterKey>,
    config: &Config,
    upgrade: Upgrade,
) -> Result<bool, Fatal> {
    match (schema, upgrade) {
        (Schema::Nothing, _) => return Ok(false),
        (Schema::Older, Upgrade::Refuse) => {
            return Err(Fatal::new(
                "the database",
                "it was made by an older version; `bursar serve` or `bursar apply` brings it up to date",
            ));
        }
        (Schema::Newer, _) => return Err(newer()),
        (Schema::Older, Upgrade::Migrate) => store.migrate().await?,
        (Schema::Current, _) => {}
    }
    if key.is_some() {
        return Ok(true);
    }
    // No key and nothing that needs it: as good as empty.
    if store::organizations::all(store).await?.is_empty() && !store::installation::is_set_up(store).await? {
        return Ok(false);
    }
    let path = config.master_key_path();
    Err(Fatal::new(
        "the master key",
        format!(
            "this installation has one, and it is not in {}; name its file with BURSAR_MASTER_KEY_FILE",
            path.display()
        ),
    ))
}

/// Nobody reads what they cannot know.
fn newer() -> Fatal {
    Fatal::new("the database", "it was made by a newer version of this program; start that one")
}

async fn take_turn(data_dir: &Path) -> Result<File, Fatal> {
    let what = format!("the data folder {}", data_dir.display());
    let folder = File::open(data_dir).map_err(|error| Fatal::new(&what, error))?;
    if folder.try_lock().is_ok() {
        return Ok(folder);
    }
    tracing::info!("waiting for another program to be done with the private Postgres");
    let locked = tokio::task::spawn_blocking(move || folder.lock().map(|()| folder)).await;
    locked.map_err(|error| Fatal::new(&what, error))?.map_err(|error| Fatal::new(&what, error))
}

async fn stop(cluster: Option<Cluster>, turn: Option<File>) {
    if let Some(cluster) = cluster
        && let Ok(Err(error)) = tokio::task::spawn_blocking(move || cluster.stop()).await
    {
        tracing::error!(%error, "the private Postgres did not stop by itself");
    }
    drop(turn);
}

async fn start_private(data_dir: &Path, durable: bool) -> Result<Cluster, Fatal> {
    let data_dir = data_dir.to_owned();
    let start = move || {
        let programs = Programs::find()?;
        let options = Options { durable, max_connections: 100, die_with_parent: true };
        Cluster::start(&programs, &data_dir, options)
    };
    let started = tokio::task::spawn_blocking(start)
        .await
        .map_err(|error| Fatal::new("the private Postgres", error))?;
    started.map_err(|error| Fatal::new("the private Postgres", error))
}

/// Nothing was ever kept where a program that only looks has looked. A demo keeps to itself.
pub fn nothing_here(program: &str, config: &Config) -> Fatal {
    let demo = config.data_dir.join("demo");
    let hint = if config.database_url.is_none() && demo.exists() {
        format!("; for the demo, set BURSAR_DATA_DIR={}", demo.display())
    } else {
        String::new()
    };
    Fatal::new(program, format!("there is nothing here yet{hint}"))
}

fn unsteady() -> Fatal {
    Fatal::new("the private Postgres", "another program stops and starts it all the time; try again")
}

/// The driver's own words, which the store's errors keep to themselves.
fn cause_of(error: &store::StoreError) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}
