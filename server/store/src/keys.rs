//! Keys and their secrets.

mod secrets;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    guardrails::Guardrails,
    ids::{ApplicationId, GroupId, KeyId, ModelId, OrgId, PolicyId, SecretId, UserId},
    keys::{CACHE_MAX_SECONDS, Fallen, Feature, Features, Handling, Key, KeyModels, PlainSecret},
    roles::{Act, Place},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Change, Diff, Result, Store, StoreError, Subject, access, change::exactly_one, clock, groups,
    organizations, policies,
};

pub use secrets::{
    KnownSecret, Look, bury, fallen, issue_member, issue_member_until, issue_service, issue_service_until,
    known, lookup_hash, revoke, secrets,
};
pub(crate) use secrets::{kill, revoke_orphans, yet_to_come};

/// For so long somebody's own secret lives on when they make another one and do not say otherwise.
pub const OWN_GRACE: TimeDelta = TimeDelta::hours(24);

/// What an edited key is given.
#[derive(Clone, Debug)]
pub struct KeyForm {
    /// The models it narrows to.
    pub models: KeyModels,
    /// What calls may use.
    pub features: Features,
    /// The policy that answers when a call names no model.
    pub policy: Option<PolicyId>,
    /// Groups whose members may have a secret of their own.
    pub assigned: Vec<GroupId>,
    /// What happens to its calls besides.
    pub handling: Handling,
}

/// The key of an application.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not in the organization.
pub async fn of_application(store: &Store, org: OrgId, application: ApplicationId) -> Result<Key> {
    let mut db = store.pool().acquire().await?;
    let key = sqlx::query_scalar!(
        "select key_id from keys where org_id = $1 and application_id = $2",
        org.0,
        application.0
    )
    .fetch_one(&mut *db)
    .await?;
    read(&mut db, org, key.into()).await
}

pub(crate) async fn read(db: &mut PgConnection, org: OrgId, id: KeyId) -> Result<Key> {
    let row = sqlx::query!(
        r#"select all_models, features, policy_id, version, cache_seconds, guardrails,
                  array(select model_id from key_models m where m.org_id = $1 and m.key_id = $2) as "models!"
           from keys where org_id = $1 and key_id = $2"#,
        org.0,
        id.0
    )
    .fetch_one(&mut *db)
    .await?;
    let assigned = sqlx::query!(
        "select g.group_id, g.name from key_groups a join groups g on g.org_id = a.org_id and g.group_id = a.group_id
         where a.org_id = $1 and a.key_id = $2 order by lower(g.name)",
        org.0,
        id.0
    )
    .fetch_all(db)
    .await?;
    Ok(Key {
        id,
        models: models(row.all_models, row.models),
        features: features(&row.features)?,
        policy: row.policy_id.map(PolicyId),
        assigned: assigned.into_iter().map(|row| (row.group_id.into(), row.name)).collect(),
        handling: handling(row.cache_seconds, &row.guardrails)?,
        version: row.version,
    })
}

pub(crate) fn models(all: bool, these: Vec<Uuid>) -> KeyModels {
    if all { KeyModels::All } else { KeyModels::These(these.into_iter().map(ModelId).collect()) }
}

pub(crate) fn features(words: &[String]) -> Result<Features> {
    words.iter().map(|word| Ok(word.parse::<Feature>()?)).collect()
}

pub(crate) fn handling(cache_seconds: Option<i32>, guardrails: &[String]) -> Result<Handling> {
    let cache_seconds = cache_seconds.and_then(|seconds| u32::try_from(seconds).ok());
    Ok(Handling { cache_seconds, guardrails: Guardrails::from_words(guardrails)? })
}

fn words(features: Features) -> Vec<String> {
    features.iter().map(|feature| feature.as_str().to_owned()).collect()
}

async fn show_models(db: &mut PgConnection, org: OrgId, models: &KeyModels) -> Result<String> {
    let KeyModels::These(these) = models else { return Ok("all".to_owned()) };
    let ids: Vec<Uuid> = these.iter().map(|id| id.0).collect();
    let names = sqlx::query_scalar!(
        "select name from models where org_id = $1 and model_id = any ($2) order by name",
        org.0,
        &ids
    )
    .fetch_all(db)
    .await?;
    Ok(if names.is_empty() { "none".to_owned() } else { names.join(", ") })
}

pub(crate) async fn create(
    change: &mut Change,
    application: ApplicationId,
    key: KeyId,
    name: &str,
    models: &KeyModels,
    features: Features,
) -> Result<()> {
    let org = change.org();
    sqlx::query!(
        "insert into keys (org_id, key_id, application_id, all_models, features) values ($1, $2, $3, $4, $5)",
        org.0,
        key.0,
        application.0,
        *models == KeyModels::All,
        &words(features),
    )
    .execute(change.db())
    .await?;
    write_models(change, key, models).await?;
    let shown = show_models(change.db(), org, models).await?;
    let diff = Diff::new().set("models", shown).set("features", words(features).join(", "));
    change.record(Subject { kind: "key", id: key.0, name }, "create", &diff).await
}

async fn write_models(change: &mut Change, key: KeyId, models: &KeyModels) -> Result<()> {
    let org = change.org();
    sqlx::query!("delete from key_models where org_id = $1 and key_id = $2", org.0, key.0)
        .execute(change.db())
        .await?;
    if let KeyModels::These(these) = models {
        let ids: Vec<Uuid> = these.iter().map(|id| id.0).collect();
        sqlx::query!(
            "insert into key_models (org_id, key_id, model_id) select $1, $2, id from unnest($3::uuid[]) as id on conflict do nothing",
            org.0,
            key.0,
            &ids
        )
        .execute(change.db())
        .await?;
    }
    Ok(())
}

/// Where a key's application is and what it is called.
struct Home {
    group: GroupId,
    name: String,
    personal: Option<UserId>,
}

async fn home(db: &mut PgConnection, org: OrgId, key: KeyId) -> Result<Home> {
    let row = sqlx::query!(
        "select a.group_id, a.name, a.personal_user_id from keys k
         join applications a on a.org_id = k.org_id and a.application_id = k.application_id
         where k.org_id = $1 and k.key_id = $2 and a.archived_at is null",
        org.0,
        key.0
    )
    .fetch_one(db)
    .await?;
    Ok(Home { group: row.group_id.into(), name: row.name, personal: row.personal_user_id.map(UserId) })
}

/// Changes a key. Returns what died because no assigned group has its person any more.
///
/// # Errors
/// [`StoreError::Stale`] when `version` is not the newest; [`StoreError::Invalid`] about `assigned` for a
/// group that is not for whoever edits it.
pub async fn update(change: &mut Change, id: KeyId, version: i64, form: &KeyForm) -> Result<Fallen> {
    let org = change.org();
    let home = home(change.db(), org, id).await?;
    change.expect(Act::EditApplications, Some(home.group))?;
    let before = read(change.db(), org, id).await?;
    may_assign(change, &home, &before, &form.assigned).await?;
    let cache_seconds = match form.handling.cache_seconds {
        Some(seconds @ 1..=CACHE_MAX_SECONDS) => Some(seconds.cast_signed()),
        Some(_) => {
            return Err(StoreError::invalid(
                "cache",
                "Answers are kept for a second to a week, or not at all.",
            ));
        }
        None => None,
    };
    let done = sqlx::query!(
        "update keys set all_models = $4, features = $5, policy_id = $6, cache_seconds = $7, guardrails = $8, version = version + 1
         where org_id = $1 and key_id = $2 and version = $3",
        org.0,
        id.0,
        version,
        form.models == KeyModels::All,
        &words(form.features),
        form.policy.map(|policy| policy.0),
        cache_seconds,
        &form.handling.guardrails.words(),
    )
    .execute(change.db())
    .await?;
    exactly_one(&done)?;
    write_models(change, id, &form.models).await?;
    let (dead, fallen) = write_assigned(change, id, &form.assigned).await?;
    let after = read(change.db(), org, id).await?;
    let groups =
        |key: &Key| key.assigned.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>().join(", ");
    let (old_models, new_models) = (
        show_models(change.db(), org, &before.models).await?,
        show_models(change.db(), org, &form.models).await?,
    );
    let diff = Diff::new()
        .field("models", Some(old_models), Some(new_models))
        .field("features", Some(words(before.features).join(", ")), Some(words(form.features).join(", ")))
        .field("policy", policy_name(change, before.policy).await?, policy_name(change, form.policy).await?)
        .field("assigned groups", Some(groups(&before)), Some(groups(&after)))
        .field("cache", Some(show_cache(&before)), Some(show_cache(&after)))
        .field("guardrails", Some(show_rails(&before)), Some(show_rails(&after)))
        .field("secrets revoked", None::<String>, (!dead.is_empty()).then(|| dead.join(", ")));
    if !diff.is_empty() {
        change.record(Subject { kind: "key", id: id.0, name: &home.name }, "edit", &diff).await?;
    }
    Ok(fallen)
}

/// Nobody but its person has a secret of a private context. And whoever edits a key for their group alone
/// assigns it to groups below that: members of others would call at its cost. What stands there from
/// before may stay.
async fn may_assign(change: &mut Change, home: &Home, before: &Key, assigned: &[GroupId]) -> Result<()> {
    if home.personal.is_some() && !assigned.is_empty() {
        return Err(StoreError::invalid(
            "assigned",
            "This is somebody's private context: nobody else gets a secret of it.",
        ));
    }
    let (org, actor) = (change.org(), change.permit().actor().clone());
    for group in assigned.iter().filter(|group| !before.assigned.iter().any(|(there, _)| there == *group)) {
        let group = groups::read(change.db(), org, *group).await?;
        let path: Vec<GroupId> = group.path.iter().map(|(id, _)| *id).collect();
        if !domain::roles::allows(&actor, Act::EditApplications, Place::Group(&path)) {
            let sentence = format!(
                "You do not lead {}, or a group above it: an admin assigns a key to it.",
                group.name()
            );
            return Err(StoreError::invalid("assigned", sentence));
        }
        groups::takes_in(change, group.id, "assigned").await?;
    }
    Ok(())
}

/// What the log says of a key's cache.
fn show_cache(key: &Key) -> String {
    key.handling.cache_seconds.map_or_else(|| "off".to_owned(), |seconds| format!("{seconds} s"))
}

/// What the log says of what a key looks for.
fn show_rails(key: &Key) -> String {
    let words = key.handling.guardrails.words();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

/// What the log calls a policy.
async fn policy_name(change: &mut Change, id: Option<PolicyId>) -> Result<Option<String>> {
    let Some(id) = id else { return Ok(None) };
    let org = change.org();
    let name = policies::name(change.db(), org, id).await?;
    Ok(Some(format!("policy/{name}")))
}

/// Says whose members may have a secret of theirs. Those of people whom no assigned group has any more
/// die with it. Returns the hints of all that died, and what this change killed of them.
async fn write_assigned(
    change: &mut Change,
    key: KeyId,
    assigned: &[GroupId],
) -> Result<(Vec<String>, Fallen)> {
    let org = change.org();
    let holders = sqlx::query_scalar!(
        r#"select user_id as "user_id!" from secrets
           where org_id = $1 and key_id = $2 and user_id is not null and revoked_at is null"#,
        org.0,
        key.0
    )
    .fetch_all(change.db())
    .await?;
    let holders: Vec<UserId> = holders.into_iter().map(UserId).collect();
    // What nothing carried before dies before the key is somebody's again.
    let mut dead = revoke_orphans(change, &holders).await?;
    sqlx::query!("delete from key_groups where org_id = $1 and key_id = $2", org.0, key.0)
        .execute(change.db())
        .await?;
    let ids: Vec<Uuid> = assigned.iter().map(|id| id.0).collect();
    sqlx::query!(
        "insert into key_groups (org_id, key_id, group_id) select $1, $2, id from unnest($3::uuid[]) as id on conflict do nothing",
        org.0,
        key.0,
        &ids
    )
    .execute(change.db())
    .await?;
    let killed = revoke_orphans(change, &holders).await?;
    let fallen = Fallen { secrets: killed.values().map(Vec::len).sum(), people: killed.len() };
    for (user, hints) in killed {
        dead.entry(user).or_default().extend(hints);
    }
    let mut hints: Vec<String> = dead.into_values().flatten().collect();
    hints.sort_unstable();
    Ok((hints, fallen))
}

/// A person's home context in a group: made when it is first asked for.
///
/// # Errors
/// [`StoreError::NotFound`] when the person is not in the group.
pub async fn open_personal(change: &mut Change, group: GroupId) -> Result<(ApplicationId, PlainSecret)> {
    open_personal_until(change, group, None).await
}

/// The same with a secret that stops by itself at `ends_at`.
///
/// # Errors
/// As [`open_personal`], and [`StoreError::Invalid`] about `ends_on` for an end that has passed.
pub async fn open_personal_until(
    change: &mut Change,
    group: GroupId,
    ends_at: Option<DateTime<Utc>>,
) -> Result<(ApplicationId, PlainSecret)> {
    change.expect(Act::UseOwn, None)?;
    let user = change.permit().actor().user.ok_or(StoreError::NotPermitted(Act::UseOwn))?;
    let (org, at) = (change.org(), change.at());
    if !organizations::read(change.db(), org).await?.members.applications {
        let sentence =
            "Members do not open private contexts here. Ask for an application of your group instead.";
        return Err(StoreError::invalid("", sentence));
    }
    let facts = access::read(change.db(), org).await?;
    let member = facts.users.get(&user).is_some_and(|user| {
        user.memberships
            .iter()
            .any(|membership| membership.group == group && membership.ends_at.is_none_or(|end| at < end))
    });
    if !member {
        return Err(StoreError::NotFound);
    }
    let known = sqlx::query!(
        "select a.application_id, k.key_id from applications a
         join keys k on k.org_id = a.org_id and k.application_id = a.application_id
         where a.org_id = $1 and a.group_id = $2 and a.personal_user_id = $3 and a.archived_at is null",
        org.0,
        group.0,
        user.0
    )
    .fetch_optional(change.db())
    .await?;
    let (application, key) = match known {
        Some(row) => (row.application_id.into(), row.key_id.into()),
        None => {
            let group_name = groups::read(change.db(), org, group).await?.name().to_owned();
            let form = crate::applications::ApplicationForm {
                name: change.permit().actor().name.parse()?,
                description: format!("Private context in {group_name}"),
                use_cases: Vec::new(),
            };
            crate::applications::create(change, group, &form, &KeyModels::All, Features::all(), Some(user))
                .await?
        }
    };
    // Where they have had it open before, what is there goes on for a day.
    let secret = issue_member_until(change, key, OWN_GRACE, ends_at).await?;
    Ok((application, secret))
}

/// The keys a person may have a secret of: key, application, group, and the hint of theirs.
#[derive(Clone, Debug)]
pub struct OwnKey {
    /// The key.
    pub key: KeyId,
    /// Its application.
    pub application: ApplicationId,
    /// What that is called.
    pub name: String,
    /// The group it lives in.
    pub group: GroupId,
    /// Whether it is their private context.
    pub personal: bool,
    /// Their newest live secret, if they have one.
    pub secret: Option<OwnSecret>,
    /// Those that it replaced, as long as they live: the newest first.
    pub older: Vec<OwnSecret>,
    /// The hint of their last secret, if it died because somebody reported it.
    pub leaked: Option<String>,
}

/// Somebody's live secret.
#[derive(Clone, Debug)]
pub struct OwnSecret {
    /// Its id.
    pub id: SecretId,
    /// The start and the last four characters.
    pub hint: String,
    /// Its last call.
    pub last_used_at: Option<DateTime<Utc>>,
    /// When it stops by itself.
    pub ends_at: Option<DateTime<Utc>>,
}

/// The keys a person may have a secret of, by application name.
///
/// # Errors
/// When the database does not answer.
pub async fn own(store: &Store, org: OrgId, user: UserId) -> Result<Vec<OwnKey>> {
    let now = clock::now();
    let over = crate::groups::over(&mut *store.pool().acquire().await?, Some(org), now).await?;
    let rows = sqlx::query!(
        r#"with paths as materialized (
               select distinct unnest(g.ancestors || g.group_id) as group_id
               from memberships m join groups g on g.org_id = m.org_id and g.group_id = m.group_id
               where m.org_id = $1 and m.user_id = $2 and m.ended_at is null and (m.ends_at is null or m.ends_at > $3)
                 and not (g.ancestors || g.group_id) && $4
           )
           select k.key_id, a.application_id, a.name, a.group_id, a.personal_user_id is not null as "personal!",
                  s.secret_id as "secret_id?", s.tail as "tail?", s.last_used_at as "last_used_at?", s.expires_at as "expires_at?",
                  (select l.tail from secrets l
                   where l.org_id = k.org_id and l.key_id = k.key_id and l.user_id = $2 and l.leaked_at is not null
                   order by l.created_at desc limit 1) as "leaked?"
           from keys k
           join applications a on a.org_id = k.org_id and a.application_id = k.application_id
           left join secrets s
             on s.org_id = k.org_id and s.key_id = k.key_id and s.user_id = $2 and s.kind = 'member' and s.revoked_at is null
            and (s.expires_at is null or s.expires_at > $3)
           where k.org_id = $1 and a.archived_at is null
             and case when a.personal_user_id is null
                 then k.key_id in (select t.key_id from key_groups t where t.org_id = $1 and t.group_id in (select group_id from paths))
                 else a.personal_user_id = $2 and a.group_id in (select group_id from paths) end
           order by a.personal_user_id is null, lower(a.name), k.key_id, s.created_at desc, s.secret_id desc"#,
        org.0,
        user.0,
        now,
        &over,
    )
    .fetch_all(store.pool())
    .await?;
    let mut keys: Vec<OwnKey> = Vec::new();
    for row in rows {
        let secret = row.secret_id.map(SecretId).zip(row.tail).map(|(id, tail)| OwnSecret {
            id,
            hint: hint(&tail),
            last_used_at: row.last_used_at,
            ends_at: row.expires_at,
        });
        // A key with several secrets has several rows.
        if let Some(last) = keys.last_mut().filter(|last| last.key.0 == row.key_id) {
            last.older.extend(secret);
            continue;
        }
        keys.push(OwnKey {
            key: row.key_id.into(),
            application: row.application_id.into(),
            name: row.name,
            group: row.group_id.into(),
            personal: row.personal,
            // Whoever has made a new one since knows.
            leaked: row.leaked.filter(|_| secret.is_none()).map(|tail| hint(&tail)),
            secret,
            older: Vec::new(),
        });
    }
    Ok(keys)
}

fn hint(tail: &str) -> String {
    format!("{}…{tail}", PlainSecret::PREFIX)
}
