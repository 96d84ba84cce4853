//! Keys and their secrets.

use std::collections::HashMap;

use chrono::{DateTime, Duration, Utc};
use domain::{
    guardrails::Guardrails,
    ids::{ApplicationId, GroupId, KeyId, ModelId, OrgId, PolicyId, SecretId, UserId},
    keys::{
        CACHE_MAX_SECONDS, Feature, Features, Handling, Key, KeyModels, PlainSecret, SecretKind, SecretRow,
    },
    roles::{Act, Actor, Place, permit},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Change, Diff, Purpose, Result, Store, StoreError, Subject, access,
    change::exactly_one,
    clock, groups, organizations, policies, receipts,
    vault::{is_secret, new_secret},
};

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

/// Changes a key.
///
/// # Errors
/// [`StoreError::Stale`] when `version` is not the newest.
pub async fn update(change: &mut Change, id: KeyId, version: i64, form: &KeyForm) -> Result<()> {
    let org = change.org();
    let home = home(change.db(), org, id).await?;
    change.expect(Act::EditApplications, Some(home.group))?;
    let before = read(change.db(), org, id).await?;
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
    let dead = write_assigned(change, id, &form.assigned).await?;
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
    if diff.is_empty() {
        return Ok(());
    }
    change.record(Subject { kind: "key", id: id.0, name: &home.name }, "edit", &diff).await
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
/// die with it: their hints.
async fn write_assigned(change: &mut Change, key: KeyId, assigned: &[GroupId]) -> Result<Vec<String>> {
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
    for (user, hints) in revoke_orphans(change, &holders).await? {
        dead.entry(user).or_default().extend(hints);
    }
    let mut hints: Vec<String> = dead.into_values().flatten().collect();
    hints.sort_unstable();
    Ok(hints)
}

/// The secrets of a key, the newest first.
///
/// # Errors
/// When the database does not answer.
pub async fn secrets(store: &Store, org: OrgId, key: KeyId) -> Result<Vec<SecretRow>> {
    let rows = sqlx::query!(
        r#"select s.secret_id, s.kind, s.user_id, u.name as "user_name?", s.tail, s.created_at, s.expires_at, s.revoked_at, s.last_used_at, s.leaked_at
           from secrets s left join users u on u.org_id = s.org_id and u.user_id = s.user_id
           where s.org_id = $1 and s.key_id = $2
           order by s.revoked_at is not null, s.created_at desc limit 200"#,
        org.0,
        key.0
    )
    .fetch_all(store.pool())
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(SecretRow {
                id: row.secret_id.into(),
                kind: row.kind.parse()?,
                user: row.user_id.map(UserId).zip(row.user_name),
                hint: format!("{}…{}", PlainSecret::PREFIX, row.tail),
                created_at: row.created_at,
                expires_at: row.expires_at,
                revoked_at: row.revoked_at,
                last_used_at: row.last_used_at,
                leaked_at: row.leaked_at,
            })
        })
        .collect()
}

/// What ends by itself ends later than now.
///
/// # Errors
/// [`StoreError::Invalid`] about `ends_on`.
pub(crate) fn yet_to_come(ends_at: Option<DateTime<Utc>>, at: DateTime<Utc>) -> Result<()> {
    match ends_at {
        Some(end) if end <= at => Err(StoreError::invalid("ends_on", "Choose today or a later day.")),
        _ => Ok(()),
    }
}

async fn write_secret(
    change: &mut Change,
    key: KeyId,
    user: Option<UserId>,
    ends_at: Option<DateTime<Utc>>,
) -> Result<(SecretId, PlainSecret)> {
    let plain = new_secret();
    let id: SecretId = clock::id();
    let (org, at) = (change.org(), change.at());
    let hash = change.store().vault().hash(Purpose::Secret, plain.reveal().as_bytes());
    let tail = &plain.reveal()[plain.reveal().len() - 4..];
    let kind = if user.is_some() { SecretKind::Member } else { SecretKind::Service };
    sqlx::query!(
        "insert into secrets (org_id, secret_id, key_id, kind, user_id, hash, tail, created_at, expires_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        org.0,
        id.0,
        key.0,
        kind.as_str(),
        user.map(|user| user.0),
        &hash,
        tail,
        at,
        ends_at,
    )
    .execute(change.db())
    .await?;
    Ok((id, plain))
}

/// Makes a service secret. The ones before live on for `grace`, then stop by themselves.
///
/// # Errors
/// [`StoreError::Invalid`] for a personal application, whose secrets name the person.
pub async fn issue_service(change: &mut Change, key: KeyId, grace: Option<Duration>) -> Result<PlainSecret> {
    issue_service_until(change, key, grace, None).await
}

/// The same of a secret that stops by itself at `ends_at`.
///
/// # Errors
/// As [`issue_service`], and [`StoreError::Invalid`] about `ends_on` for an end that has passed.
pub async fn issue_service_until(
    change: &mut Change,
    key: KeyId,
    grace: Option<Duration>,
    ends_at: Option<DateTime<Utc>>,
) -> Result<PlainSecret> {
    let (org, at) = (change.org(), change.at());
    yet_to_come(ends_at, at)?;
    let home = home(change.db(), org, key).await?;
    change.expect(Act::EditSecrets, Some(home.group))?;
    if home.personal.is_some() {
        return Err(StoreError::invalid(
            "key",
            "The secrets of a personal application belong to the person.",
        ));
    }
    let replaced = match grace {
        None => 0,
        Some(grace) => sqlx::query!(
            "update secrets set expires_at = $3
             where org_id = $1 and key_id = $2 and kind = 'service' and revoked_at is null and (expires_at is null or expires_at > $3)",
            org.0,
            key.0,
            at + grace
        )
        .execute(change.db())
        .await?
        .rows_affected(),
    };
    let (id, plain) = write_secret(change, key, None, ends_at).await?;
    let mut diff = Diff::new().set("application", &home.name).set("kind", SecretKind::Service);
    if let Some(end) = ends_at {
        diff = diff.set("ends", end.to_rfc3339());
    }
    if let Some(grace) = grace.filter(|_| replaced > 0) {
        diff = diff.set("older secrets end", (at + grace).to_rfc3339());
    }
    change.record(Subject { kind: "secret", id: id.0, name: &plain.hint() }, "create", &diff).await?;
    Ok(plain)
}

/// Makes a person's own secret of a key: for a member of an assigned group, or the owner of a
/// personal application. Any earlier one of theirs is revoked.
///
/// # Errors
/// [`StoreError::NotFound`] when the key is not for them.
pub async fn issue_member(change: &mut Change, key: KeyId) -> Result<PlainSecret> {
    issue_member_until(change, key, None).await
}

/// The same of a secret that stops by itself at `ends_at`.
///
/// # Errors
/// As [`issue_member`], and [`StoreError::Invalid`] about `ends_on` for an end that has passed.
pub async fn issue_member_until(
    change: &mut Change,
    key: KeyId,
    ends_at: Option<DateTime<Utc>>,
) -> Result<PlainSecret> {
    change.expect(Act::UseOwn, None)?;
    let user = change.permit().actor().user.ok_or(StoreError::NotPermitted(Act::UseOwn))?;
    let (org, at) = (change.org(), change.at());
    yet_to_come(ends_at, at)?;
    let home = home(change.db(), org, key).await?;
    let facts = access::read(change.db(), org).await?;
    let assigned = read(change.db(), org, key).await?.assigned;
    let belongs =
        |group| facts.users.get(&user).is_some_and(|user| domain::access::belongs(&facts, user, group, at));
    let own = home.personal == Some(user) && belongs(home.group);
    if !own && !assigned.iter().any(|(group, _)| belongs(*group)) {
        return Err(StoreError::NotFound);
    }
    sqlx::query!(
        "update secrets set revoked_at = $4 where org_id = $1 and key_id = $2 and user_id = $3 and revoked_at is null",
        org.0,
        key.0,
        user.0,
        at
    )
    .execute(change.db())
    .await?;
    let (id, plain) = write_secret(change, key, Some(user), ends_at).await?;
    let mut diff = Diff::new().set("application", &home.name).set("kind", SecretKind::Member);
    if let Some(end) = ends_at {
        diff = diff.set("ends", end.to_rfc3339());
    }
    change.record(Subject { kind: "secret", id: id.0, name: &plain.hint() }, "create", &diff).await?;
    Ok(plain)
}

/// Kills a secret at once. Returns its last characters, which are all that is known of it.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not in the organization.
pub async fn revoke(change: &mut Change, id: SecretId) -> Result<String> {
    let org = change.org();
    let row = sqlx::query!(
        "select key_id, user_id, tail, revoked_at from secrets where org_id = $1 and secret_id = $2",
        org.0,
        id.0
    )
    .fetch_one(change.db())
    .await?;
    let home = home(change.db(), org, row.key_id.into()).await?;
    if change.permit().act() == Act::UseOwn {
        let own = row.user_id.is_some() && row.user_id.map(UserId) == change.permit().actor().user;
        if !own {
            return Err(StoreError::NotFound);
        }
    } else {
        change.expect(Act::EditSecrets, Some(home.group))?;
    }
    if row.revoked_at.is_none() {
        kill(change, id).await?;
    }
    Ok(row.tail)
}

/// Revokes a secret, for whoever has asked for a permit.
pub(crate) async fn kill(change: &mut Change, id: SecretId) -> Result<()> {
    let (org, at) = (change.org(), change.at());
    let row = sqlx::query!(
        "select s.tail, s.revoked_at, a.name from secrets s
         join keys k on k.org_id = s.org_id and k.key_id = s.key_id
         join applications a on a.org_id = k.org_id and a.application_id = k.application_id
         where s.org_id = $1 and s.secret_id = $2",
        org.0,
        id.0
    )
    .fetch_one(change.db())
    .await?;
    if row.revoked_at.is_some() {
        return Ok(());
    }
    sqlx::query!("update secrets set revoked_at = $3 where org_id = $1 and secret_id = $2", org.0, id.0, at)
        .execute(change.db())
        .await?;
    receipts::record_dead(change, id, &hint(&row.tail), &row.name).await
}

/// Revokes the secrets of these people that no membership of theirs carries any more: whoever comes back
/// into a group later makes a new one. Returns their hints, by whose they were.
pub(crate) async fn revoke_orphans(
    change: &mut Change,
    users: &[UserId],
) -> Result<HashMap<UserId, Vec<String>>> {
    if users.is_empty() {
        return Ok(HashMap::new());
    }
    let (org, at) = (change.org(), change.at());
    let users: Vec<uuid::Uuid> = users.iter().map(|user| user.0).collect();
    let rows = sqlx::query!(
        r#"update secrets s set revoked_at = $3
         from keys k, applications a
         where s.org_id = $1 and s.user_id = any ($2) and s.revoked_at is null
           and k.org_id = $1 and k.key_id = s.key_id
           and a.org_id = $1 and a.application_id = k.application_id
           and not exists (
               select from memberships m join groups g on g.org_id = m.org_id and g.group_id = m.group_id
               where m.org_id = $1 and m.user_id = s.user_id and m.ended_at is null and (m.ends_at is null or m.ends_at > $3)
                 and case when a.personal_user_id = s.user_id
                     then g.group_id = a.group_id or g.ancestors @> array[a.group_id]
                     else exists (select from key_groups t where t.org_id = $1 and t.key_id = k.key_id
                                  and (g.group_id = t.group_id or g.ancestors @> array[t.group_id])) end)
         returning s.secret_id, s.user_id as "user_id!", s.tail, a.name"#,
        org.0,
        &users,
        at,
    )
    .fetch_all(change.db())
    .await?;
    let mut hints = HashMap::<UserId, Vec<String>>::new();
    for row in rows {
        let hint = format!("{}…{}", PlainSecret::PREFIX, row.tail);
        receipts::record_dead(change, row.secret_id.into(), &hint, &row.name).await?;
        hints.entry(row.user_id.into()).or_default().push(hint);
    }
    Ok(hints)
}

/// Which member secrets a round looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Those of people whose last day in some group has come.
    Lapsed,
    /// All of them.
    All,
}

/// Revokes the member secrets that no membership carries any more: a last day comes without anybody's
/// doing. Returns how many died.
///
/// # Errors
/// When the database does not answer.
pub async fn bury(store: &Store, look: Look, now: DateTime<Utc>) -> Result<usize> {
    let rows = sqlx::query!(
        r#"select distinct s.org_id, s.user_id as "user_id!" from secrets s
           join keys k on k.org_id = s.org_id and k.key_id = s.key_id
           join applications a on a.org_id = k.org_id and a.application_id = k.application_id
           where s.user_id is not null and s.revoked_at is null
             and ($2 or exists (select from memberships l where l.org_id = s.org_id and l.user_id = s.user_id
                                and l.ended_at is null and l.ends_at <= $1))
             and not exists (
                 select from memberships m join groups g on g.org_id = m.org_id and g.group_id = m.group_id
                 where m.org_id = s.org_id and m.user_id = s.user_id and m.ended_at is null
                   and (m.ends_at is null or m.ends_at > $1)
                   and case when a.personal_user_id = s.user_id
                       then g.group_id = a.group_id or g.ancestors @> array[a.group_id]
                       else exists (select from key_groups t where t.org_id = s.org_id and t.key_id = k.key_id
                                    and (g.group_id = t.group_id or g.ancestors @> array[t.group_id])) end)
           order by s.org_id"#,
        now,
        look == Look::All,
    )
    .fetch_all(store.pool())
    .await?;
    let mut dead = 0;
    for orphans in rows.chunk_by(|one, other| one.org_id == other.org_id) {
        let Some(org) = orphans.first().map(|row| OrgId(row.org_id)) else { continue };
        let users: Vec<UserId> = orphans.iter().map(|row| row.user_id.into()).collect();
        let permit = permit(&Actor::bursar(org), Act::EditSecrets, Place::Organization)
            .map_err(|refused| StoreError::NotPermitted(refused.act))?;
        // Of two replicas one waits here, and finds nothing left.
        let mut change = Change::begin_at(store, permit, now).await?;
        dead += revoke_orphans(&mut change, &users).await?.values().map(Vec::len).sum::<usize>();
        change.commit().await?;
    }
    Ok(dead)
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
    let secret = issue_member_until(change, key, ends_at).await?;
    Ok((application, secret))
}

/// A secret as the gateway knows it.
#[derive(Clone, Debug)]
pub struct KnownSecret {
    /// Keyed hash of the text a client sends.
    pub hash: [u8; 32],
    /// Its id.
    pub id: SecretId,
    /// Whose key it is of.
    pub application: ApplicationId,
    /// The person it names.
    pub user: Option<UserId>,
    /// When it stops.
    pub expires_at: Option<DateTime<Utc>>,
    /// Whether what its calls say is kept.
    pub keeps_prompts: bool,
}

/// Every secret of an organization that still lives.
///
/// # Errors
/// When the database does not answer.
pub async fn known(store: &Store, org: OrgId) -> Result<Vec<KnownSecret>> {
    let rows = sqlx::query!(
        r#"select s.hash, s.secret_id, k.application_id, s.user_id, s.expires_at,
                exists (select from prompt_keeping p where p.org_id = k.org_id and p.application_id = k.application_id) as "keeps_prompts!"
         from secrets s
         join keys k on k.org_id = s.org_id and k.key_id = s.key_id
         join applications a on a.org_id = k.org_id and a.application_id = k.application_id
         where s.org_id = $1 and s.revoked_at is null and a.archived_at is null and (s.expires_at is null or s.expires_at > $2)"#,
        org.0,
        clock::now(),
    )
    .fetch_all(store.pool())
    .await?;
    rows.into_iter()
        .map(|row| {
            let hash =
                row.hash.try_into().map_err(|_| StoreError::Unreadable("a secret's hash".to_owned()))?;
            Ok(KnownSecret {
                hash,
                id: row.secret_id.into(),
                application: row.application_id.into(),
                user: row.user_id.map(UserId),
                expires_at: row.expires_at,
                keeps_prompts: row.keeps_prompts,
            })
        })
        .collect()
}

/// How the text a client sends is looked up; none when it cannot be a secret at all.
pub fn lookup_hash(store: &Store, text: &str) -> Option<[u8; 32]> {
    is_secret(text).then(|| store.vault().hash(Purpose::Secret, text.as_bytes()))
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
    /// Their live secret, if they have one.
    pub secret: Option<OwnSecret>,
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
    let rows = sqlx::query!(
        r#"with paths as materialized (
               select distinct unnest(g.ancestors || g.group_id) as group_id
               from memberships m join groups g on g.org_id = m.org_id and g.group_id = m.group_id
               where m.org_id = $1 and m.user_id = $2 and m.ended_at is null and (m.ends_at is null or m.ends_at > $3)
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
           order by a.personal_user_id is null, lower(a.name)"#,
        org.0,
        user.0,
        clock::now(),
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| OwnKey {
            key: row.key_id.into(),
            application: row.application_id.into(),
            name: row.name,
            group: row.group_id.into(),
            personal: row.personal,
            // Whoever has made a new one since knows.
            leaked: row.leaked.filter(|_| row.secret_id.is_none()).map(|tail| hint(&tail)),
            secret: row.secret_id.map(SecretId).zip(row.tail).map(|(id, tail)| OwnSecret {
                id,
                hint: hint(&tail),
                last_used_at: row.last_used_at,
                ends_at: row.expires_at,
            }),
        })
        .collect())
}

fn hint(tail: &str) -> String {
    format!("{}…{tail}", PlainSecret::PREFIX)
}
