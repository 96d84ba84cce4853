//! The Postgres behind `DATABASE_URL`, or a private one under the data folder.

use std::path::Path;

use postgres::{Cluster, Options, Programs};
use store::Store;

use crate::{Fatal, config::Config};

/// The name of the database in a private Postgres.
const DATABASE: &str = "bursar";
/// Connections of the pool. The gateway's reservations and the console share them.
const CONNECTIONS: u32 = 32;

/// A store, and the private Postgres under it if there is one.
pub struct Database {
    /// The store.
    pub store: Store,
    /// Stopped when this is.
    cluster: Option<Cluster>,
}

impl Database {
    /// Connects to `DATABASE_URL`; without one, joins or starts the private Postgres. Brings the
    /// schema up to date.
    pub async fn open(config: &Config) -> Result<Self, Fatal> {
        let database = Self::connect(config).await?;
        database.migrate().await?;
        Ok(database)
    }

    /// The same, and changes nothing yet.
    pub async fn connect(config: &Config) -> Result<Self, Fatal> {
        Self::connect_as(config, true).await
    }

    /// Connects; a private Postgres whose work may be lost with the machine's power does not wait
    /// for the disk.
    pub async fn connect_as(config: &Config, durable: bool) -> Result<Self, Fatal> {
        let master = config.master_key()?;
        let (url, cluster) = match &config.database_url {
            Some(url) => (url.clone(), None),
            None => {
                let cluster = start_private(&config.data_dir.join("postgres"), durable).await?;
                let admin = cluster.url("postgres");
                store::ensure_database(&admin, DATABASE).await?;
                (cluster.url(DATABASE), Some(cluster))
            }
        };
        let connected = Store::connect(&url, CONNECTIONS, master).await;
        let store =
            connected.map_err(|error| Fatal::new("the database cannot be reached", cause_of(&error)))?;
        Ok(Self { store, cluster })
    }

    /// Brings the schema up to date.
    pub async fn migrate(&self) -> Result<(), Fatal> {
        let migrated = self.store.migrate().await;
        migrated.map_err(|error| Fatal::new("the database cannot be brought up to date", cause_of(&error)))
    }

    /// Closes the connections and stops what was started.
    pub async fn close(self) {
        self.store.close().await;
        if let Some(cluster) = self.cluster
            && let Ok(Err(error)) = tokio::task::spawn_blocking(move || cluster.stop()).await
        {
            tracing::error!(%error, "the private Postgres did not stop by itself");
        }
    }
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

/// The driver's own words, which the store's errors keep to themselves.
fn cause_of(error: &store::StoreError) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}
