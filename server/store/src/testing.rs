//! For tests: databases of their own, empty or with every migration, on the throw-away Postgres
//! that `BURSAR_TEST_DATABASE_URL` names, or else on one of our own that ends with the tests; and
//! organizations in them.
//!
//! What is not ready panics: a test cannot go on without it.

use std::sync::OnceLock;

use chrono::{DateTime, Utc};
use domain::{
    access::Grantee,
    audit::Door,
    ids::{AccountId, GrantId, ModelId, OrgId, UserId},
    keys::PlainSecret,
    organizations::{BudgetStatus, WeekStart},
    roles::{Act, Actor, Place, permit},
    users::Role,
};
use parking_lot::Mutex;
use postgres::{Cluster, Programs};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::sync::OnceCell;

use crate::{Change, Diff, MasterKey, Result, Store, Subject, clock, installation, organizations, vault};

/// Connections of a test's pool: many tests run at the same time.
const CONNECTIONS: u32 = 16;

/// The maintenance database of the Postgres that tests use.
pub fn maintenance_url() -> String {
    static OWN: OnceLock<(Mutex<Cluster>, String)> = OnceLock::new();
    std::env::var("BURSAR_TEST_DATABASE_URL").unwrap_or_else(|_| {
        let (_, url) = OWN.get_or_init(|| {
            let programs = Programs::find().expect("Postgres is installed");
            let cluster = Cluster::temporary(&programs, 300).expect("Postgres starts");
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

async fn create(maintenance: &str, template: Option<&str>) -> String {
    let name = format!("t_{:032x}", rand::random::<u128>());
    let mut db = PgConnection::connect(maintenance).await.expect("the test Postgres answers");
    let template = template.map(|name| format!(" template {name}")).unwrap_or_default();
    sqlx::query(AssertSqlSafe(format!("create database {name}{template}")))
        .execute(&mut db)
        .await
        .expect("a database can be made");
    name
}

/// The URL of a new, empty database.
pub async fn empty_database() -> String {
    let maintenance = maintenance_url();
    let name = create(&maintenance, None).await;
    beside(&maintenance, &name)
}

/// The URL of a new database with every migration in this server.
pub async fn migrated_database_in(maintenance: &str) -> String {
    let name = create(maintenance, None).await;
    let url = beside(maintenance, &name);
    migrate(&url).await;
    url
}

async fn migrate(url: &str) {
    let mut db = PgConnection::connect(url).await.expect("the new database answers");
    crate::MIGRATOR.run(&mut db).await.expect("the migrations run");
    db.close().await.expect("nobody else is connected");
}

/// The URL of a new database with every migration: a copy of one that is migrated once.
pub async fn migrated_database() -> String {
    static TEMPLATE: OnceCell<String> = OnceCell::const_new();
    let maintenance = maintenance_url();
    let template = TEMPLATE
        .get_or_init(|| async {
            let name = create(&maintenance, None).await;
            migrate(&beside(&maintenance, &name)).await;
            name
        })
        .await;
    let name = create(&maintenance, Some(template)).await;
    beside(&maintenance, &name)
}

/// A store on a new database.
pub async fn store() -> Store {
    connect(&migrated_database().await).await
}

/// A store on this database.
pub async fn connect(url: &str) -> Store {
    Store::connect(url, CONNECTIONS, MasterKey::generate()).await.expect("the database answers")
}

/// The same database and keys, as another process has them: it knows nothing of what this one
/// commits.
pub fn as_another_process(store: &Store) -> Store {
    let Store { pool, vault, .. } = store.clone();
    Store {
        pool,
        vault,
        committed: std::sync::Arc::default(),
        facts: std::sync::Arc::default(),
        census: std::sync::Arc::default(),
        rolls: std::sync::Arc::default(),
        neglected: Default::default(),
    }
}

/// The organization of an installation that has one.
pub async fn only_organization(store: &Store) -> OrgId {
    let ids =
        sqlx::query_scalar::<_, uuid::Uuid>("select org_id from organizations").fetch_all(store.pool()).await;
    match ids.expect("an answer").as_slice() {
        [id] => OrgId(*id),
        several => panic!("{} organizations", several.len()),
    }
}

/// Sets the installation up: the account that may make organizations.
pub async fn operator(store: &Store) -> AccountId {
    let token = installation::offer_token(store).await.expect("an answer").expect("a first start");
    let (name, email) = ("Olga".parse().expect("a name"), "olga@acme.example".parse().expect("an address"));
    installation::set_up(store, &token, &name, &email, "no password").await.expect("a first account")
}

/// A secret that is well formed, and was never issued.
pub fn unknown_secret() -> PlainSecret {
    vault::new_secret()
}

/// An organization and its owner.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Which.
    pub org: OrgId,
    /// Who may do everything in it.
    pub owner: Actor,
}

/// A new organization: Berlin time, weeks from Monday, no default limit.
pub async fn tenant(store: &Store, operator: AccountId, name: &str) -> Tenant {
    let settings = organizations::Settings {
        name: name.parse().expect("a name"),
        time_zone: "Europe/Berlin".to_owned(),
        week_start: WeekStart::Monday,
        default_user_limit: None,
        budget_status: BudgetStatus::PaymentRequired,
        contact: Some("the platform team".to_owned()),
    };
    let (org, user) = organizations::create(store, operator, &settings).await.expect("an organization");
    let owner = Actor {
        org,
        user: Some(user),
        name: "Olga".to_owned(),
        role: Role::Owner,
        leads: Vec::new(),
        door: Door::Console,
    };
    Tenant { org, owner }
}

impl Tenant {
    /// A change that may be anything.
    pub async fn change(&self, store: &Store) -> Change {
        begin(store, &self.owner, Act::ApplyFile).await
    }

    /// A change of somebody's own things.
    pub async fn change_as(&self, store: &Store, user: UserId) -> Change {
        let actor = Actor { user: Some(user), role: Role::Member, ..self.owner.clone() };
        begin(store, &actor, Act::UseOwn).await
    }
}

/// A change by somebody with a permit for this.
pub async fn begin(store: &Store, actor: &Actor, act: Act) -> Change {
    let permit = permit(actor, act, Place::Organization).expect("they may");
    Change::begin(store, permit).await.expect("a change begins")
}

/// A grant, as if somebody had agreed.
///
/// # Errors
/// When the model or the grantee is not in the organization.
pub async fn grant(
    change: &mut Change,
    model: ModelId,
    to: Grantee,
    starts_at: DateTime<Utc>,
    ends_at: DateTime<Utc>,
) -> Result<GrantId> {
    let id: GrantId = clock::id();
    let (user, group) = match to {
        Grantee::User(user) => (Some(user.0), None),
        Grantee::Member(group, user) => (Some(user.0), Some(group.0)),
        Grantee::Group(group) => (None, Some(group.0)),
    };
    let org = change.org();
    sqlx::query!(
        "insert into grants (org_id, grant_id, model_id, user_id, group_id, starts_at, ends_at) values ($1, $2, $3, $4, $5, $6, $7)",
        org.0,
        id.0,
        model.0,
        user,
        group,
        starts_at,
        ends_at,
    )
    .execute(change.db())
    .await?;
    change
        .record(
            Subject { kind: "grant", id: id.0, name: "a test" },
            "create",
            &Diff::new().set("from", starts_at),
        )
        .await?;
    Ok(id)
}

/// Takes the ledger away: whoever asks it gets an error.
pub async fn hide_ledger(url: &str) {
    let mut db = PgConnection::connect(url).await.expect("the database answers");
    sqlx::query("alter table events rename to events_elsewhere")
        .execute(&mut db)
        .await
        .expect("it is hidden");
    db.close().await.expect("the connection ends");
}

/// Something that must not happen to the books.
#[derive(Clone, Copy, Debug)]
pub enum Spoil {
    /// The organization's year has a cent more than its calls.
    Window,
    /// A day has one call fewer.
    Day,
    /// A set of features has one call fewer on a day.
    Feature,
    /// Line 12 of the log has another actor.
    Audit,
}

/// Does it, past every function of the store.
pub async fn spoil(url: &str, spoil: Spoil) {
    let mut db = PgConnection::connect(url).await.expect("the database answers");
    let text = match spoil {
        Spoil::Window => {
            "update windows set settled = settled + 10000000
             where scope_kind = 'organization' and metric = 'spend' and window_kind = 'year'
               and starts_at = (select max(starts_at) from windows where scope_kind = 'organization' and window_kind = 'year')"
        }
        Spoil::Day => {
            "update usage_by_day set calls = calls - 1
             where (org_id, day, path_id, application_id, user_id, set_id, model_id, use_case) in
                   (select org_id, day, path_id, application_id, user_id, set_id, model_id, use_case from usage_by_day
                    where calls > 0 limit 1)"
        }
        Spoil::Feature => {
            "update usage_by_day set calls = calls - 1
             where (org_id, day, path_id, application_id, user_id, set_id, model_id, use_case, features) in
                   (select org_id, day, path_id, application_id, user_id, set_id, model_id, use_case, features
                    from usage_by_day where calls > 0 and features <> 0 limit 1)"
        }
        Spoil::Audit => "update audit set actor = 'Nobody' where seq = 12",
    };
    let done = sqlx::query(text).execute(&mut db).await.expect("it is spoiled");
    assert_eq!(done.rows_affected(), 1);
    db.close().await.expect("the connection ends");
}

/// Everything a server has to give, taken from those who call: no connection is left to them.
#[derive(Debug)]
pub struct Crowd(Vec<PgConnection>);

impl Crowd {
    /// Takes what is free, and ends what programs of ours have, until nothing is left.
    pub async fn on(maintenance: &str) -> Self {
        let mut taken = vec![PgConnection::connect(maintenance).await.expect("the test Postgres answers")];
        loop {
            while let Ok(one) = PgConnection::connect(maintenance).await {
                taken.push(one);
            }
            let ended: Vec<Option<bool>> = sqlx::query_scalar(
                "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'bursar'",
            )
            .fetch_all(&mut taken[0])
            .await
            .expect("an answer");
            if ended.is_empty() {
                return Self(taken);
            }
        }
    }

    /// Gives all of it back.
    pub async fn leave(self) {
        for one in self.0 {
            one.close().await.expect("it closes");
        }
    }
}

/// What a newer version of the program does to a database when it starts beside others: it adds to tables
/// that every call reads and writes.
pub async fn newer_version(url: &str) {
    let mut db = PgConnection::connect(url).await.expect("the database answers");
    let mut statements = vec!["create table newer (org_id uuid primary key, text text)".to_owned()];
    let tables = [
        "organizations",
        "groups",
        "models",
        "secrets",
        "applications",
        "limits",
        "windows",
        "leases",
        "events",
        "usage_by_day",
        "usage_sums",
        "authorizations",
        "providers",
        "prices",
    ];
    statements.extend(
        tables.map(|table| format!("alter table {table} add column newer bigint not null default 0")),
    );
    statements.push(
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
         values (999999, 'newer', true, '', 1)"
            .to_owned(),
    );
    for statement in statements {
        sqlx::query(AssertSqlSafe(statement)).execute(&mut db).await.expect("it is done");
    }
}
