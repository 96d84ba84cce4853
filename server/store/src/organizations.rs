//! Organizations and their settings.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use domain::{
    audit::Door,
    ids::{AccountId, OrgId, UserId},
    money::Money,
    names::Name,
    organizations::{BudgetStatus, MembersMay, Organization, WeekStart, Weight},
    roles::{Act, Actor, Place, permit},
    users::Role,
    window::Calendar,
};
use sqlx::PgConnection;

use crate::{
    Change, Diff, Result, Store, StoreError, Subject, accounts, change::exactly_one, clock, limits, requests,
    windows,
};

/// What a new or edited organization is given.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What it is called.
    pub name: Name,
    /// A name of the time zone database.
    pub time_zone: String,
    /// The first day of a week.
    pub week_start: WeekStart,
    /// Monthly spend of a user without a limit of their own.
    pub default_user_limit: Option<Money>,
    /// How a spent budget is answered.
    pub budget_status: BudgetStatus,
    /// Whom a refused caller should ask.
    pub contact: Option<String>,
}

impl Settings {
    /// The settings of a new organization that only has a name.
    pub fn named(name: Name, time_zone: &str) -> Self {
        Self {
            name,
            time_zone: time_zone.to_owned(),
            week_start: WeekStart::Monday,
            default_user_limit: None,
            budget_status: BudgetStatus::PaymentRequired,
            contact: None,
        }
    }
}

/// Reads a time zone by its name.
///
/// # Errors
/// With a sentence for the person who typed it.
pub fn time_zone(name: &str) -> Result<Tz> {
    name.trim().parse().map_err(|_| {
        StoreError::invalid("time_zone", "Choose a time zone by its city, for instance Europe/Berlin or UTC.")
    })
}

/// Makes an organization with its first owner: an account that may.
///
/// # Errors
/// When the account may not make organizations, or a value cannot be stored.
pub async fn create(store: &Store, owner: AccountId, settings: &Settings) -> Result<(OrgId, UserId)> {
    create_at(store, owner, settings, clock::now()).await
}

/// Makes an organization that is dated otherwise than now: the demo's.
///
/// # Errors
/// As [`create`].
pub async fn create_at(
    store: &Store,
    owner: AccountId,
    settings: &Settings,
    now: DateTime<Utc>,
) -> Result<(OrgId, UserId)> {
    let account = accounts::get(store, owner).await?;
    if !account.operator {
        return Err(StoreError::NotPermitted(Act::EditOrganization));
    }
    time_zone(&settings.time_zone)?;
    let (org, user): (OrgId, UserId) = (clock::id(), clock::id());
    let mut tx = store.pool().begin().await?;
    sqlx::query!(
        "insert into organizations (org_id, name, time_zone, week_start, default_user_limit, budget_status, contact, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
        org.0,
        settings.name.as_str(),
        settings.time_zone,
        settings.week_start.as_str(),
        settings.default_user_limit.map(|money| money.0),
        settings.budget_status.as_str(),
        settings.contact,
        now,
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "insert into users (org_id, user_id, account_id, email, name, role, created_at) values ($1, $2, $3, $4, $5, 'owner', $6)",
        org.0,
        user.0,
        owner.0,
        account.email,
        account.name,
        now,
    )
    .execute(&mut *tx)
    .await?;
    let actor = Actor {
        org,
        user: Some(user),
        name: account.name,
        role: Role::Owner,
        leads: Vec::new(),
        door: Door::Console,
    };
    let permit = permit(&actor, Act::EditOrganization, Place::Organization)
        .map_err(|refused| StoreError::NotPermitted(refused.act))?;
    let mut change = Change::within(store, tx, permit, now).await?;
    let name = settings.name.as_str().to_owned();
    let diff =
        Diff::new().set("name", &name).set("time_zone", &settings.time_zone).set("owner", &account.email);
    change.record(Subject { kind: "organization", id: org.0, name: &name }, "create", &diff).await?;
    change.commit().await?;
    Ok((org, user))
}

/// Starts the change that makes an organization as an applied file says. It has no owner yet:
/// whoever sets the installation up becomes it, or somebody the file names. `actor` says who acts
/// in the new organization.
///
/// # Errors
/// [`StoreError::Stale`] when somebody else has just made one of this name.
pub async fn found(store: &Store, settings: &Settings, actor: impl Fn(OrgId) -> Actor) -> Result<Change> {
    time_zone(&settings.time_zone)?;
    let (org, now): (OrgId, _) = (clock::id(), clock::now());
    let permit = permit(&actor(org), Act::ApplyFile, Place::Organization)
        .map_err(|refused| StoreError::NotPermitted(refused.act))?;
    let mut tx = store.pool().begin().await?;
    // Of two files applied at once, and of a file and the set-up page, one waits here.
    sqlx::query!("select singleton from installation for update").fetch_one(&mut *tx).await?;
    let name = settings.name.as_str();
    let known = sqlx::query_scalar!(
        r#"select exists (select from organizations where lower(name) = lower($1)) as "known!""#,
        name
    )
    .fetch_one(&mut *tx)
    .await?;
    if known {
        return Err(StoreError::Stale);
    }
    sqlx::query!(
        "insert into organizations (org_id, name, time_zone, week_start, default_user_limit, budget_status, contact, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
        org.0,
        name,
        settings.time_zone,
        settings.week_start.as_str(),
        settings.default_user_limit.map(|money| money.0),
        settings.budget_status.as_str(),
        settings.contact,
        now,
    )
    .execute(&mut *tx)
    .await?;
    let mut change = Change::within(store, tx, permit, now).await?.making();
    let diff = Diff::new()
        .set("name", name)
        .set("time_zone", &settings.time_zone)
        .set("week_start", settings.week_start)
        .field("default_user_limit", None::<String>, settings.default_user_limit.map(Money::in_full))
        .set("budget_status", settings.budget_status)
        .field("contact", None::<String>, settings.contact.as_ref());
    change.record(Subject { kind: "organization", id: org.0, name }, "create", &diff).await?;
    Ok(change)
}

/// One organization.
///
/// # Errors
/// When it is not there.
pub async fn get(store: &Store, org: OrgId) -> Result<Organization> {
    read(&mut *store.pool().acquire().await?, org).await
}

pub(crate) async fn read(db: &mut PgConnection, org: OrgId) -> Result<Organization> {
    let row = sqlx::query!(
        "select name, time_zone, week_start, default_user_limit, budget_status, contact, member_applications, member_requests, version
         from organizations where org_id = $1",
        org.0
    )
    .fetch_one(db)
    .await?;
    Ok(Organization {
        id: org,
        name: row.name,
        time_zone: row.time_zone,
        week_start: row.week_start.parse()?,
        default_user_limit: row.default_user_limit.map(Money),
        budget_status: row.budget_status.parse()?,
        contact: row.contact,
        members: MembersMay { applications: row.member_applications, requests: row.member_requests },
        version: row.version,
    })
}

/// How an organization counts time.
///
/// # Errors
/// When it is not there.
pub async fn calendar(store: &Store, org: OrgId) -> Result<Calendar> {
    calendar_of(&get(store, org).await?)
}

/// How an organization counts time.
///
/// # Errors
/// When its time zone is not one.
pub fn calendar_of(organization: &Organization) -> Result<Calendar> {
    Ok(Calendar { zone: time_zone(&organization.time_zone)?, week_start: organization.week_start.into() })
}

/// The only organization, or the one with this name: for programs that were not told which.
///
/// # Errors
/// When there is none, or several and no name to tell them apart.
pub async fn find(store: &Store, name: Option<&str>) -> Result<Option<OrgId>> {
    let rows = sqlx::query!(
        "select org_id from organizations where $1::text is null or lower(name) = lower($1)",
        name
    )
    .fetch_all(store.pool())
    .await?;
    match rows.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one.org_id.into())),
        _ => Err(StoreError::invalid(
            "organization",
            "There are several organizations; say which by its name.",
        )),
    }
}

/// Every organization.
///
/// # Errors
/// When the database does not answer.
pub async fn all(store: &Store) -> Result<Vec<OrgId>> {
    let rows = sqlx::query_scalar!("select org_id from organizations order by created_at, org_id")
        .fetch_all(store.pool())
        .await?;
    Ok(rows.into_iter().map(OrgId).collect())
}

/// Changes the settings.
///
/// # Errors
/// [`StoreError::Stale`] when `version` is not the newest, [`StoreError::Invalid`] for another time zone
/// once calls are in the books.
pub async fn update(change: &mut Change, version: i64, settings: &Settings) -> Result<()> {
    change.expect(Act::EditOrganization, None)?;
    time_zone(&settings.time_zone)?;
    let (org, at) = (change.org(), change.at());
    let before = read(change.db(), org).await?;
    let done = sqlx::query!(
        "update organizations set name = $3, time_zone = $4, week_start = $5, default_user_limit = $6, budget_status = $7,
                contact = $8, version = version + 1,
                default_user_limit_since = case when default_user_limit is distinct from $6 then $9 else default_user_limit_since end
         where org_id = $1 and version = $2",
        org.0,
        version,
        settings.name.as_str(),
        settings.time_zone,
        settings.week_start.as_str(),
        settings.default_user_limit.map(|money| money.0),
        settings.budget_status.as_str(),
        settings.contact,
        at,
    )
    .execute(change.db())
    .await?;
    exactly_one(&done)?;
    if before.time_zone != settings.time_zone {
        // None is booked between the look and the change.
        windows::hold_bookings(change.db(), org).await?;
        if has_calls(change.db(), org).await? {
            return Err(StoreError::invalid(
                "time_zone",
                format!(
                    "Calls are in the books by the days of {}. Elsewhere these days begin at another hour, so the time zone stays as it is.",
                    before.time_zone
                ),
            ));
        }
    }
    let diff = Diff::new()
        .field("name", Some(&before.name), Some(settings.name.as_str()))
        .field("time_zone", Some(&before.time_zone), Some(&settings.time_zone))
        .field("week_start", Some(before.week_start), Some(settings.week_start))
        .field(
            "default_user_limit",
            before.default_user_limit.map(Money::in_full),
            settings.default_user_limit.map(Money::in_full),
        )
        .field("budget_status", Some(before.budget_status), Some(settings.budget_status))
        .field("contact", before.contact.as_ref(), settings.contact.as_ref());
    if diff.is_empty() {
        return Ok(());
    }
    let name = settings.name.as_str().to_owned();
    change.record(Subject { kind: "organization", id: org.0, name: &name }, "edit", &diff).await?;
    if let Some(default) =
        settings.default_user_limit.filter(|_| before.default_user_limit != settings.default_user_limit)
    {
        requests::over_default(change, default).await?;
    }
    if before.time_zone != settings.time_zone || before.week_start != settings.week_start {
        // Months and days begin elsewhere now: what is used of them has to be counted again.
        let calendar =
            Calendar { zone: time_zone(&settings.time_zone)?, week_start: settings.week_start.into() };
        limits::recount_all(change, calendar).await?;
    }
    Ok(())
}

/// Whether anything was ever counted for an organization.
async fn has_calls(db: &mut PgConnection, org: OrgId) -> Result<bool> {
    let any =
        sqlx::query_scalar!(r#"select exists (select from usage_by_day where org_id = $1) as "any!""#, org.0)
            .fetch_one(db)
            .await?;
    Ok(any)
}

/// Says what members may do by themselves.
///
/// # Errors
/// [`StoreError::Stale`] when `version` is not the newest.
pub async fn set_members_may(change: &mut Change, version: i64, may: MembersMay) -> Result<()> {
    change.expect(Act::EditOrganization, None)?;
    let org = change.org();
    let before = read(change.db(), org).await?;
    let done = sqlx::query!(
        "update organizations set member_applications = $3, member_requests = $4, version = version + 1
         where org_id = $1 and version = $2",
        org.0,
        version,
        may.applications,
        may.requests,
    )
    .execute(change.db())
    .await?;
    exactly_one(&done)?;
    let diff = Diff::new()
        .field("members open private contexts", Some(before.members.applications), Some(may.applications))
        .field("members ask for models", Some(before.members.requests), Some(may.requests));
    if diff.is_empty() {
        return Ok(());
    }
    change.record(Subject { kind: "organization", id: org.0, name: &before.name }, "edit", &diff).await
}

/// What would go with an organization.
///
/// # Errors
/// When the database does not answer.
pub async fn weight(store: &Store, org: OrgId) -> Result<Weight> {
    let row = sqlx::query!(
        r#"select (select count(*) from users where org_id = $1 and removed_at is null) as "users!",
                  (select count(*) from groups where org_id = $1 and archived_at is null) as "groups!",
                  (select count(*) from applications where org_id = $1 and archived_at is null) as "applications!",
                  (select count(*) from secrets where org_id = $1 and revoked_at is null and (expires_at is null or expires_at > $2)) as "secrets!",
                  (select count(*) from models where org_id = $1 and archived_at is null) as "models!",
                  coalesce(s.calls, 0)::bigint as "calls!", coalesce(s.spend, 0)::bigint as "spend!",
                  (select audit_seq from organizations where org_id = $1) as "changes!"
           from (select sum(calls) as calls, sum(spend) as spend from usage_sums
                 where org_id = $1 and scope = 'organization' and within_id = '00000000-0000-0000-0000-000000000000' and grain = 'month'
                   and model_id = 'ffffffff-ffff-ffff-ffff-ffffffffffff') s"#,
        org.0,
        clock::now(),
    )
    .fetch_one(store.pool())
    .await?;
    Ok(Weight {
        users: row.users,
        groups: row.groups,
        applications: row.applications,
        secrets: row.secrets,
        models: row.models,
        calls: row.calls,
        spend: Money(row.spend),
        changes: row.changes,
    })
}

/// Deletes an organization with everything in it, its log included: the one thing that is deleted
/// for good. `typed` is its name, as its owner typed it.
///
/// # Errors
/// [`StoreError::Invalid`] when it is not its name.
pub async fn delete(mut change: Change, typed: &str) -> Result<()> {
    change.expect(Act::DeleteOrganization, None)?;
    let org = change.org();
    let name = read(change.db(), org).await?.name;
    if typed.trim() != name {
        return Err(StoreError::invalid("typed", format!("Type the name exactly as it is written: {name}")));
    }
    // Most tables of an organization go with its row. What is written with every call does not ask for it;
    // the row goes first, so that nobody books any more.
    sqlx::query!("delete from organizations where org_id = $1", org.0).execute(change.db()).await?;
    sqlx::query!("delete from windows where org_id = $1", org.0).execute(change.db()).await?;
    sqlx::query!("delete from usage_sums where org_id = $1", org.0).execute(change.db()).await?;
    sqlx::query!("delete from usage_by_day where org_id = $1", org.0).execute(change.db()).await?;
    sqlx::query!("delete from refusals where org_id = $1", org.0).execute(change.db()).await?;
    sqlx::query!("delete from events where org_id = $1", org.0).execute(change.db()).await?;
    let by = change.permit().actor().name.clone();
    change.dissolve().await?;
    // Its own log is gone with it: this line is what is left.
    tracing::warn!(%org, %name, %by, "an organization was deleted by its owner");
    Ok(())
}
