//! Alerts: what was noticed about money. Each fires once; people and programs are told in the same
//! transaction.

pub mod watch;

use chrono::{DateTime, Utc};
use domain::{
    access::{Facts, Grantee},
    alerts::{Alert, AlertKind, AlertSettings, Fired, Quiet},
    groups::Standing,
    ids::{AlertId, GroupId, OrgId, UserId},
    limits::Scope,
    money::Money,
    roles::Act,
};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Change, Diff, Result, Store, StoreError, Subject, clock, notices, organizations, webhooks};

/// How an organization wants to be told.
///
/// # Errors
/// When the database does not answer.
pub async fn settings(store: &Store, org: OrgId) -> Result<AlertSettings> {
    read_settings(&mut *store.pool().acquire().await?, org).await
}

async fn read_settings(db: &mut PgConnection, org: OrgId) -> Result<AlertSettings> {
    let row = sqlx::query!(
        "select kinds, anomaly_floor, quiet_from, quiet_to, version from alert_settings where org_id = $1",
        org.0
    )
    .fetch_optional(db)
    .await?;
    let minute = |minute: i16| u16::try_from(minute).ok();
    Ok(row.map_or_else(AlertSettings::default, |row| AlertSettings {
        kinds: row.kinds.iter().filter_map(|kind| kind.parse().ok()).collect(),
        floor: Money(row.anomaly_floor),
        quiet: row
            .quiet_from
            .and_then(minute)
            .zip(row.quiet_to.and_then(minute))
            .map(|(from, to)| Quiet { from, to }),
        version: row.version,
    }))
}

fn quiet_words(quiet: Option<Quiet>) -> String {
    use domain::alerts::clock;
    quiet.map_or_else(|| "none".to_owned(), |quiet| format!("{}–{}", clock(quiet.from), clock(quiet.to)))
}

fn kind_words(kinds: &[AlertKind]) -> String {
    let names: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Changes how an organization wants to be told.
///
/// # Errors
/// [`StoreError::Stale`] when the version is not the newest.
pub async fn set_settings(change: &mut Change, settings: &AlertSettings) -> Result<()> {
    change.expect(Act::EditOrganization, None)?;
    let org = change.org();
    let before = read_settings(change.db(), org).await?;
    if before.version != settings.version {
        return Err(StoreError::Stale);
    }
    let kinds: Vec<String> = settings.kinds.iter().map(ToString::to_string).collect();
    let minute = |minute: u16| i16::try_from(minute).unwrap_or_default();
    sqlx::query!(
        "insert into alert_settings as s (org_id, kinds, anomaly_floor, quiet_from, quiet_to) values ($1, $2, $3, $4, $5)
         on conflict (org_id) do update set kinds = excluded.kinds, anomaly_floor = excluded.anomaly_floor,
             quiet_from = excluded.quiet_from, quiet_to = excluded.quiet_to, version = s.version + 1",
        org.0,
        &kinds,
        settings.floor.0,
        settings.quiet.map(|quiet| minute(quiet.from)),
        settings.quiet.map(|quiet| minute(quiet.to)),
    )
    .execute(change.db())
    .await?;
    if before.quiet != settings.quiet {
        release(change, settings.quiet).await?;
    }
    let diff = Diff::new()
        .field("kinds", Some(kind_words(&before.kinds)), Some(kind_words(&settings.kinds)))
        .field("smallest anomaly", Some(before.floor), Some(settings.floor))
        .field("quiet hours", Some(quiet_words(before.quiet)), Some(quiet_words(settings.quiet)));
    if diff.is_empty() {
        return Ok(());
    }
    change.record(Subject { kind: "alerts", id: org.0, name: "Alerts" }, "edit", &diff).await
}

/// What waits for quiet hours to end goes when the new ones let it: at once, where it is not quiet any
/// more. What was tried already waits for something else.
async fn release(change: &mut Change, quiet: Option<Quiet>) -> Result<()> {
    let (org, at) = (change.org(), change.at());
    let calendar = organizations::calendar_of(&organizations::read(change.db(), org).await?)?;
    let after = quiet.map_or(at, |quiet| quiet.told_at(at, calendar));
    sqlx::query!(
        "update mails set next_at = $2
         where org_id = $1 and state = 'due' and tries = 0 and next_at > created_at and next_at > $3",
        org.0,
        after,
        at,
    )
    .execute(change.db())
    .await?;
    sqlx::query!(
        "update deliveries set next_at = $2
         where org_id = $1 and state = 'due' and tries = 0 and next_at > created_at and next_at > $3",
        org.0,
        after,
        at,
    )
    .execute(change.db())
    .await?;
    Ok(())
}

/// Whose alerts somebody sees.
#[derive(Clone, Debug)]
pub enum Sees {
    /// Everybody's.
    All,
    /// Those of groups they lead, directly or further up, and those about themself.
    Some(UserId, Vec<GroupId>),
}

/// Alerts, the newest first: at most `limit`, older than `after`.
///
/// # Errors
/// When the database does not answer.
pub async fn list(
    store: &Store,
    org: OrgId,
    sees: &Sees,
    kind: Option<AlertKind>,
    after: Option<AlertId>,
    limit: i64,
) -> Result<Vec<Alert>> {
    let (me, leads) = match sees {
        Sees::All => (None, Vec::new()),
        Sees::Some(me, leads) => (Some(me.0), leads.iter().map(|group| group.0).collect::<Vec<Uuid>>()),
    };
    let rows = sqlx::query!(
        "select alert_id, kind, title, body, rule, href, fired_at, told from alerts
         where org_id = $1 and ($2::text is null or kind = $2) and ($3::uuid is null or alert_id < $3)
           and ($4::uuid is null or path && $5 or (scope_kind = 'user' and thing_id = $4) or (scope_kind = 'member' and person_id = $4))
         order by alert_id desc limit $6",
        org.0,
        kind.map(AlertKind::as_str),
        after.map(|id| id.0),
        me,
        &leads,
        limit,
    )
    .fetch_all(store.pool())
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Alert {
                id: row.alert_id.into(),
                kind: row.kind.parse()?,
                title: row.title,
                body: row.body,
                rule: row.rule,
                href: row.href,
                fired_at: row.fired_at,
                told: row.told,
            })
        })
        .collect()
}

/// Who is told of something, and which page each is led to.
#[derive(Debug, Default)]
struct Whom {
    /// People, with the page they can read.
    people: Vec<(UserId, String)>,
    /// Admins and owners, when nobody is nearer.
    admins: bool,
    /// From the root to the group it belongs to.
    path: Vec<GroupId>,
}

/// Leads of a group; without any, those of the nearest group above that has some.
fn leads(facts: &Facts, group: GroupId, now: DateTime<Utc>) -> Vec<UserId> {
    let path = facts.groups.get(&group).map(|group| group.path.clone()).unwrap_or_default();
    for group in path.into_iter().rev() {
        let leading = facts.users.iter().filter(|(_, user)| {
            let lead = |m: &&domain::access::MembershipFacts| {
                m.group == group && m.standing == Standing::Lead && m.ends_at.is_none_or(|end| now < end)
            };
            !user.suspended && user.memberships.iter().any(|m| lead(&m))
        });
        let mut found: Vec<UserId> = leading.map(|(id, _)| *id).collect();
        if !found.is_empty() {
            found.sort_unstable();
            return found;
        }
    }
    Vec::new()
}

/// Who is told of what happens to a scope: the person; the leads of the group or of the
/// application's group; admins for the organization, and where there is nobody else.
fn whom(facts: &Facts, scope: Scope, href: &str, now: DateTime<Utc>) -> Whom {
    let path = |group: GroupId| facts.groups.get(&group).map(|group| group.path.clone()).unwrap_or_default();
    let of_group = |group: GroupId| {
        let people: Vec<_> = leads(facts, group, now).into_iter().map(|id| (id, href.to_owned())).collect();
        Whom { admins: people.is_empty(), people, path: path(group) }
    };
    let own = |user: UserId| (user, "/spend/me".to_owned());
    let suspended = |user: UserId| facts.users.get(&user).is_none_or(|user| user.suspended);
    let with = |user: UserId, mut whom: Whom| {
        whom.people.retain(|(id, _)| *id != user);
        if !suspended(user) {
            whom.people.push(own(user));
        }
        whom
    };
    match scope {
        Scope::Organization => Whom { admins: true, ..Whom::default() },
        Scope::Group(group) => of_group(group),
        Scope::Application(id) => match facts.applications.get(&id) {
            Some(application) => match application.personal {
                Some(user) => with(user, Whom { path: path(application.group), ..Whom::default() }),
                None => of_group(application.group),
            },
            None => Whom { admins: true, ..Whom::default() },
        },
        Scope::User(user) => with(user, Whom::default()),
        Scope::Member(group, user) => with(user, Whom { admins: false, ..of_group(group) }),
        Scope::Authorization(id) => {
            let place = facts.rules.iter().find(|(_, rules)| rules.values().any(|rule| rule.id == id));
            match place.and_then(|(place, _)| *place) {
                Some(group) => of_group(group),
                None => Whom { admins: true, ..Whom::default() },
            }
        }
        Scope::Grant(id) => match facts.grants.values().flatten().find(|grant| grant.id == id) {
            Some(grant) => match grant.to {
                Grantee::User(user) => with(user, Whom::default()),
                Grantee::Member(group, user) => with(user, Whom { path: path(group), ..Whom::default() }),
                Grantee::Group(group) => of_group(group),
            },
            None => Whom { admins: true, ..Whom::default() },
        },
    }
}

/// What every alert of a round is told by.
struct Round<'a> {
    store: &'a Store,
    facts: &'a Facts,
    settings: &'a AlertSettings,
    now: DateTime<Utc>,
}

impl Round<'_> {
    /// Fires an alert, unless it has fired before. `quietly`: it is only taken down, because
    /// something that says more fires at the same time. Returns whether it fired now.
    async fn fire(&self, scope: Scope, fired: &Fired, quietly: bool) -> Result<bool> {
        let (org, now) = (self.facts.org, self.now);
        let whom = whom(self.facts, scope, &fired.telling.href, now);
        let (kind, thing, person) = scope.parts();
        let path: Vec<Uuid> = whom.path.iter().map(|group| group.0).collect();
        let id: AlertId = clock::id();
        let mut tx = self.store.pool().begin().await?;
        let new = sqlx::query!(
            "insert into alerts (org_id, alert_id, kind, key, scope_kind, thing_id, person_id, path, title, body, rule, href, fired_at, told)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 0) on conflict (org_id, key) do nothing",
            org.0,
            id.0,
            fired.kind.as_str(),
            fired.telling.key,
            kind.as_str(),
            thing,
            person,
            &path,
            fired.telling.title,
            fired.telling.body,
            fired.rule,
            fired.telling.href,
            now,
        )
        .execute(&mut *tx)
        .await?;
        if new.rows_affected() == 0 {
            tx.rollback().await?;
            return Ok(false);
        }
        if !quietly {
            let told = self.tell(&mut tx, &whom, fired).await?;
            self.post(&mut tx, id, scope, fired).await?;
            sqlx::query!(
                "update alerts set told = $3 where org_id = $1 and alert_id = $2",
                org.0,
                id.0,
                i32::try_from(told).unwrap_or(i32::MAX),
            )
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    /// When mail and webhooks may go.
    fn after(&self) -> DateTime<Utc> {
        self.settings.quiet.map_or(self.now, |quiet| quiet.told_at(self.now, self.facts.calendar))
    }

    async fn tell(&self, db: &mut PgConnection, whom: &Whom, fired: &Fired) -> Result<usize> {
        let (org, now, after) = (self.facts.org, self.now, self.after());
        let mut people = whom.people.clone();
        if whom.admins {
            let admins = notices::admins(db, org).await?;
            people.extend(admins.into_iter().map(|id| (id, fired.telling.href.clone())));
        }
        let mut told = 0;
        let mut pages: Vec<&String> = people.iter().map(|(_, href)| href).collect();
        pages.sort();
        pages.dedup();
        for href in pages {
            let ids: Vec<UserId> =
                people.iter().filter(|(_, page)| page == href).map(|(id, _)| *id).collect();
            let telling = domain::notices::Telling { href: href.clone(), ..fired.telling.clone() };
            told += notices::tell(self.store, db, org, &ids, &telling, now, after).await?;
        }
        Ok(told)
    }

    async fn post(&self, db: &mut PgConnection, id: AlertId, scope: Scope, fired: &Fired) -> Result<()> {
        let data = json!({
            "alert": id,
            "organization": self.facts.org,
            "organization_name": self.facts.org_name,
            "scope": scope.kind(),
            "scope_id": scope_id(scope),
            "scope_name": self.facts.scope_name(scope),
            "title": fired.telling.title,
            "text": fired.telling.body,
            "rule": fired.rule,
        });
        webhooks::post(db, self.facts.org, id, fired.kind, &data, self.now, self.after()).await
    }
}

/// The id of a scope's thing, as programs see it.
fn scope_id(scope: Scope) -> Option<String> {
    match scope {
        Scope::Organization => None,
        Scope::Group(id) => Some(id.to_string()),
        Scope::Application(id) => Some(id.to_string()),
        Scope::User(id) | Scope::Member(_, id) => Some(id.to_string()),
        Scope::Authorization(id) => Some(id.to_string()),
        Scope::Grant(id) => Some(id.to_string()),
    }
}

/// The page of a scope, for those who may read it.
fn page_of(facts: &Facts, scope: Scope) -> String {
    match scope {
        Scope::Organization => "/spend".to_owned(),
        Scope::Group(id) => format!("/spend/{id}"),
        Scope::Application(id) => format!("/spend/{id}"),
        Scope::User(id) => format!("/spend/{id}"),
        Scope::Member(group, _) => format!("/groups/{group}"),
        Scope::Authorization(_) => "/authorization".to_owned(),
        Scope::Grant(id) => match facts.grants.values().flatten().find(|grant| grant.id == id) {
            Some(domain::access::GrantFacts { to: Grantee::Group(group), .. }) => format!("/groups/{group}"),
            _ => "/my-models".to_owned(),
        },
    }
}
