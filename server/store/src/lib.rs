//! Everything that touches Postgres: the only SQL outside `migrations/`.
//!
//! One file per noun. Reads take `&Store` and the organization; changes take a [`Change`], which
//! is made from a permit, keeps the organization's changes one after the other, and writes the
//! audit rows in the same transaction. What is forgotten here is refused by the schema.

pub mod access;
pub mod access_tests;
pub mod accounts;
pub mod alerts;
pub mod analytics;
pub mod applications;
pub mod audit;
pub mod authorizations;
pub mod batches;
pub mod books;
pub mod call_sessions;
pub mod calls;
pub mod census;
mod change;
pub mod clock;
pub mod crowd;
pub mod directory;
mod error;
pub mod explore;
pub mod groups;
pub mod heirs;
pub mod imports;
pub mod in_flight;
pub mod installation;
pub mod invoices;
pub mod kept_answers;
pub mod keys;
pub mod leads;
pub mod leaks;
pub mod leases;
pub mod ledger;
pub mod limits;
pub mod mails;
pub mod members;
pub mod model_reviews;
pub mod models;
pub mod notices;
pub mod observed;
pub mod organizations;
pub mod password_resets;
pub mod passwords;
pub mod policies;
pub mod price_lists;
pub mod prices;
pub mod prompts;
pub mod providers;
pub mod receipts;
pub mod recommendations;
pub mod refusals;
pub mod rehearsals;
pub mod reports;
pub mod requests;
pub mod reviews;
pub mod rolls;
pub mod rollups;
pub mod seen;
pub mod sessions;
pub mod spend;
mod sums;
#[cfg(feature = "testing")]
pub mod testing;
pub mod turns;
pub mod users;
mod vault;
pub mod webhooks;
pub mod windows;

use std::{collections::HashMap, sync::Arc, time::Duration};

use domain::{access::Facts, ids::OrgId};
use parking_lot::Mutex;
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};

use census::Census;
pub use change::{Change, Diff, Subject};
pub use error::{Conflict, StoreError};
use rolls::{Roll, Rolls};
pub use vault::{MasterKey, Purpose, SealedFor, Vault};

/// How the schema of a database stands to this binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// There is none: nothing was ever kept here.
    Nothing,
    /// Migrations are missing.
    Older,
    /// It is the one this binary knows.
    Current,
    /// A newer binary has been here.
    Newer,
}

/// The migrations, built into the binary.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations");

/// What every connection begins with. What pages ask is answered in milliseconds, which is less than it
/// takes to compile. And filters that may be left out are planned by those that are set: a plan for all of
/// them at once reads everything.
const SESSION: &str = "set jit = off; set plan_cache_mode = force_custom_plan";

/// A result of the store.
pub type Result<T> = std::result::Result<T, StoreError>;

/// Waits for the database no longer than this. A connection whose other end has gone silent never
/// says so by itself.
///
/// # Errors
/// As what is waited for, and [`StoreError::Unavailable`] when it takes longer. Then nobody knows
/// whether it was done.
pub async fn within<T>(most: Duration, asking: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(most, asking).await.unwrap_or_else(|_| Err(StoreError::unanswered()))
}

/// The database and the keys to what is encrypted in it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pool: PgPool,
    vault: Arc<Vault>,
    /// The newest facts version this process has committed, by organization: what lets the same
    /// process notice its own changes without waiting for a notification.
    committed: Arc<Mutex<HashMap<OrgId, i64>>>,
    /// The facts that pages were last drawn from, by organization.
    facts: Arc<Mutex<HashMap<OrgId, Arc<Facts>>>>,
    /// The tree counted from them.
    census: Arc<Mutex<HashMap<OrgId, Arc<Census>>>>,
    /// Everybody in it.
    rolls: Arc<Mutex<Rolls>>,
    /// What asks for a look in it.
    neglected: Arc<Mutex<HashMap<OrgId, applications::Looked>>>,
}

impl Store {
    /// Connects. Fails fast when the database does not answer; later outages are survived by the
    /// pool, which connects anew by itself.
    ///
    /// # Errors
    /// When the address cannot be read or nothing answers there.
    pub async fn connect(url: &str, connections: u32, master: MasterKey) -> Result<Self> {
        let options: PgConnectOptions = url.parse().map_err(StoreError::from)?;
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(Duration::from_secs(5))
            .after_connect(|db, _| {
                Box::pin(async move { sqlx::raw_sql(SESSION).execute(db).await.map(drop) })
            })
            .connect_with(options.application_name("bursar"))
            .await?;
        Ok(Self::new(pool, master))
    }

    /// Over a pool that exists.
    pub fn new(pool: PgPool, master: MasterKey) -> Self {
        Self {
            pool,
            vault: Arc::new(Vault::new(master)),
            committed: Arc::default(),
            facts: Arc::default(),
            census: Arc::default(),
            rolls: Arc::default(),
            neglected: Arc::default(),
        }
    }

    /// Brings the schema up to date. Safe to call from several replicas at once.
    ///
    /// # Errors
    /// When a migration fails or the schema is newer than this binary.
    pub async fn migrate(&self) -> Result<()> {
        MIGRATOR.run(&self.pool).await.map_err(|error| StoreError::Database(Box::new(error.into())))
    }

    /// How the schema stands to this binary. Changes nothing.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn schema(&self) -> Result<Schema> {
        let known = sqlx::query_scalar!(r#"select to_regclass('_sqlx_migrations') is not null as "known!""#);
        if !known.fetch_one(&self.pool).await? {
            return Ok(Schema::Nothing);
        }
        // This table is not made by our migrations, so no macro knows it.
        let newest: Option<i64> =
            sqlx::query_scalar("select max(version) from _sqlx_migrations where success")
                .fetch_one(&self.pool)
                .await?;
        let ours = MIGRATOR.iter().map(|migration| migration.version).max();
        Ok(match newest.cmp(&ours) {
            std::cmp::Ordering::Less => Schema::Older,
            std::cmp::Ordering::Equal => Schema::Current,
            std::cmp::Ordering::Greater => Schema::Newer,
        })
    }

    /// The pool, for the few who hold a connection for long: listeners.
    pub const fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Hashing and encryption with the installation's master key.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// The newest facts version this process has committed for an organization; 0 before any.
    pub fn committed(&self, org: OrgId) -> i64 {
        self.committed.lock().get(&org).copied().unwrap_or_default()
    }

    /// Every organization this process has changed, with the newest version it committed.
    pub fn all_committed(&self) -> Vec<(OrgId, i64)> {
        self.committed.lock().iter().map(|(org, version)| (*org, *version)).collect()
    }

    /// Forgets what this process knows of an organization that is gone.
    pub fn forget(&self, org: OrgId) {
        self.committed.lock().remove(&org);
        self.facts.lock().remove(&org);
        self.census.lock().remove(&org);
        self.rolls.lock().remove(&org);
    }

    fn note_commit(&self, org: OrgId, version: i64) {
        let mut committed = self.committed.lock();
        let known = committed.entry(org).or_default();
        *known = version.max(*known);
    }

    pub(crate) fn known_facts(&self, org: OrgId) -> Option<Arc<Facts>> {
        self.facts.lock().get(&org).cloned()
    }

    pub(crate) fn keep_facts(&self, org: OrgId, facts: &Arc<Facts>) {
        self.facts.lock().insert(org, Arc::clone(facts));
    }

    pub(crate) fn known_census(&self, org: OrgId) -> Option<Arc<Census>> {
        self.census.lock().get(&org).cloned()
    }

    pub(crate) fn keep_census(&self, org: OrgId, census: &Arc<Census>) {
        self.census.lock().insert(org, Arc::clone(census));
    }

    pub(crate) fn looked(&self, org: OrgId) -> Option<applications::Looked> {
        self.neglected.lock().get(&org).copied()
    }

    pub(crate) fn keep_look(&self, org: OrgId, looked: applications::Looked) {
        self.neglected.lock().insert(org, looked);
    }

    pub(crate) fn roll(&self, org: OrgId) -> Arc<tokio::sync::Mutex<Option<Roll>>> {
        Arc::clone(self.rolls.lock().entry(org).or_default())
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> bool {
        let ping = sqlx::query_scalar!("select 1").fetch_one(&self.pool);
        matches!(tokio::time::timeout(Duration::from_secs(2), ping).await, Ok(Ok(_)))
    }

    /// Whether the database answers, for who waits no longer than they want to.
    ///
    /// # Errors
    /// When it does not.
    pub async fn answers(&self) -> Result<()> {
        sqlx::query_scalar!("select 1").fetch_one(&self.pool).await?;
        Ok(())
    }

    /// A connection that hears notifications.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn listen(&self, channels: &[&str]) -> Result<PgListener> {
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.listen_all(channels.iter().copied()).await?;
        Ok(listener)
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Whether a server has a database of this name.
///
/// # Errors
/// When the server does not answer.
pub async fn has_database(admin_url: &str, name: &'static str) -> Result<bool> {
    use sqlx::{Connection, PgConnection};
    let mut db = PgConnection::connect(admin_url).await?;
    let known = is_known(&mut db, name).await?;
    db.close().await?;
    Ok(known)
}

async fn is_known(db: &mut sqlx::PgConnection, name: &str) -> Result<bool> {
    let known = sqlx::query_scalar!(
        r#"select exists (select from pg_database where datname = $1) as "known!""#,
        name
    );
    Ok(known.fetch_one(db).await?)
}

/// Makes a database in a server that this process runs, if it is not there yet.
///
/// # Errors
/// When the server does not answer.
pub async fn ensure_database(admin_url: &str, name: &'static str) -> Result<()> {
    use sqlx::{AssertSqlSafe, Connection, PgConnection};
    let mut db = PgConnection::connect(admin_url).await?;
    if !is_known(&mut db, name).await? {
        // A name cannot be a parameter; this one is written in the program.
        let made = sqlx::query(AssertSqlSafe(format!("create database {name}"))).execute(&mut db).await;
        // Another program may have been a moment faster.
        let raced = made
            .as_ref()
            .err()
            .and_then(sqlx::Error::as_database_error)
            .and_then(|error| error.code())
            .is_some_and(|code| code == "42P04");
        if !raced {
            made?;
        }
    }
    db.close().await?;
    Ok(())
}
