//! Databases for tests: empty ones, or ones with every migration, on the throw-away Postgres that
//! `BURSAR_TEST_DATABASE_URL` names, or else on one of our own that ends with the tests.

use std::sync::OnceLock;

use parking_lot::Mutex;
use postgres::{Cluster, Programs};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::sync::OnceCell;

/// The maintenance database of the Postgres that tests use.
pub fn maintenance_url() -> String {
    static OWN: OnceLock<(Mutex<Cluster>, String)> = OnceLock::new();
    std::env::var("BURSAR_TEST_DATABASE_URL").unwrap_or_else(|_| {
        let (_, url) = OWN.get_or_init(|| {
            let programs = Programs::find().expect("Postgres is installed");
            let cluster = Cluster::temporary(&programs, 200).expect("Postgres starts");
            let url = cluster.url("postgres");
            (Mutex::new(cluster), url)
        });
        url.clone()
    })
}

/// The URL of another database of the same server.
fn beside(maintenance: &str, name: &str) -> String {
    let (before, after) = maintenance.split_once('?').unwrap_or((maintenance, ""));
    let (server, _) = before.rsplit_once('/').expect("a URL with a database");
    format!("{server}/{name}?{after}")
}

async fn create(template: Option<&str>) -> String {
    let admin = maintenance_url();
    let name = format!("t_{:032x}", rand::random::<u128>());
    let mut db = PgConnection::connect(&admin).await.expect("the test Postgres answers");
    let template = template.map(|name| format!(" template {name}")).unwrap_or_default();
    sqlx::query(AssertSqlSafe(format!("create database {name}{template}")))
        .execute(&mut db)
        .await
        .expect("a database can be made");
    name
}

/// The URL of a new, empty database.
pub async fn empty_database() -> String {
    let name = create(None).await;
    beside(&maintenance_url(), &name)
}

/// The URL of a new database with every migration: a copy of one that is migrated once.
pub async fn migrated_database() -> String {
    static TEMPLATE: OnceCell<String> = OnceCell::const_new();
    let template = TEMPLATE
        .get_or_init(|| async {
            let name = create(None).await;
            let url = beside(&maintenance_url(), &name);
            let mut db = PgConnection::connect(&url).await.expect("the new database answers");
            crate::MIGRATOR.run(&mut db).await.expect("the migrations run");
            db.close().await.expect("nobody else is connected to a template");
            name
        })
        .await;
    let name = create(Some(template)).await;
    beside(&maintenance_url(), &name)
}
