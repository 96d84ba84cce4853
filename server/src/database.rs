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
    /// The store, migrated.
    pub store: Store,
    /// Stopped when this is.
    cluster: Option<Cluster>,
}

impl Database {
    /// Connects to `DATABASE_URL`; without one, joins or starts the private Postgres.
    pub async fn open(config: &Config) -> Result<Self, Fatal> {
        let master = config.master_key()?;
        let (url, cluster) = match &config.database_url {
            Some(url) => (url.clone(), None),
            None => {
                let cluster = start_private(&config.data_dir.join("postgres")).await?;
                let admin = cluster.url("postgres");
                store::ensure_database(&admin, DATABASE).await?;
                (cluster.url(DATABASE), Some(cluster))
            }
        };
        let connected = Store::connect(&url, CONNECTIONS, master).await;
        let store =
            connected.map_err(|error| Fatal::new("the database cannot be reached", cause_of(&error)))?;
        store
            .migrate()
            .await
            .map_err(|error| Fatal::new("the database cannot be brought up to date", cause_of(&error)))?;
        Ok(Self { store, cluster })
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

async fn start_private(data_dir: &Path) -> Result<Cluster, Fatal> {
    let data_dir = data_dir.to_owned();
    let start = move || {
        let programs = Programs::find()?;
        let options = Options { durable: true, max_connections: 100, die_with_parent: true };
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
