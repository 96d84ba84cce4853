//! Applications. Each is made together with its one key.

mod neglected;
mod owners;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    applications::{Application, ApplicationRow, Unused},
    audit::Door,
    ids::{ApplicationId, GroupId, KeyId, OrgId, PolicyId, UserId},
    keys::{Features, Handling, KeyModels, PlainSecret, UNUSED_DAYS},
    money::Money,
    names::Name,
    roles::Act,
    users::UsedApplication,
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Change, Diff, Result, Store, StoreError, Subject, change::exactly_one, clock, groups, keys,
    rollups::Month, seen, users::escape_like,
};

pub(crate) use neglected::Looked;
pub use neglected::{Neglected, Unanswered, neglected, unanswered};
pub(crate) use owners::{Giving, give_all};
pub use owners::{hand_over, led_by};

/// What a new or edited application is given.
#[derive(Clone, Debug)]
pub struct ApplicationForm {
    /// What it is called.
    pub name: Name,
    /// What it is for.
    pub description: String,
    /// Labels a call may carry.
    pub use_cases: Vec<String>,
}

/// Which applications to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Part of a name.
    pub search: Option<String>,
    /// Only those in this group or below.
    pub group: Option<GroupId>,
    /// Only those in one of these very groups; none: whichever.
    pub among: Option<Vec<GroupId>>,
    /// Only those with live secrets of which nobody has used any since then, or not one of the services'.
    pub unused_since: Option<DateTime<Utc>>,
    /// Only those whose owner is suspended.
    pub owner_away: bool,
    /// Only those that have no owner, and whose group nobody leads, nor one above it.
    pub unanswered: bool,
    /// After this one: the next page.
    pub after: Option<(String, ApplicationId)>,
}

/// Applications by name, at most `limit`, with what they spent in `month`.
///
/// # Errors
/// When the database does not answer.
pub async fn list(
    store: &Store,
    org: OrgId,
    month: &Month,
    filter: &Filter,
    limit: i64,
) -> Result<Vec<ApplicationRow>> {
    let search = filter.search.as_deref().map(|text| format!("%{}%", escape_like(text)));
    let among: Option<Vec<Uuid>> = filter.among.as_ref().map(|groups| groups.iter().map(|id| id.0).collect());
    let (after_name, after_id) = match &filter.after {
        Some((name, id)) => (Some(name.to_lowercase()), Some(id.0)),
        None => (None, None),
    };
    let rows = sqlx::query!(
        r#"select a.application_id, a.name, a.group_id, a.personal_user_id, l.cap as "cap?",
                  coalesce(u.spend, 0)::bigint as "spend!", s.live as "live!", s.last_used_at,
                  s.idle_service as "idle_service!", s.idle as "idle!", a.unanswered as "unanswered!"
           from (
               -- The page first: figures are only read of what is on it.
               select a.org_id, a.application_id, a.name, a.group_id, a.personal_user_id, k.key_id, w.unanswered
               from applications a
               join groups g on g.org_id = a.org_id and g.group_id = a.group_id
               cross join lateral (
                   select a.personal_user_id is null and a.owner_id is null and not exists (
                       select from memberships m join users u on u.org_id = m.org_id and u.user_id = m.user_id
                       where m.org_id = $1 and (m.group_id = g.group_id or m.group_id = any (g.ancestors)) and m.standing = 'lead'
                         and m.ended_at is null and (m.ends_at is null or m.ends_at > $3)
                         and u.account_id is not null and u.suspended_at is null and u.removed_at is null) as unanswered
               ) w
               join keys k on k.org_id = a.org_id and k.application_id = a.application_id
               where a.org_id = $1 and a.archived_at is null
                 and ($4::text is null or a.name ilike $4)
                 and ($5::uuid is null or a.group_id = $5 or g.ancestors @> array[$5::uuid])
                 and ($11::uuid[] is null or a.group_id = any ($11))
                 and ($6::text is null or (lower(a.name), a.application_id) > ($6, $7))
                 -- Of most applications the first secret that is looked at says enough.
                 and ($9::timestamptz is null
                      or ((select true from secrets s
                           where s.org_id = $1 and s.key_id = k.key_id and s.revoked_at is null
                             and (s.expires_at is null or s.expires_at > $3) limit 1)
                          and (select true from secrets s
                               where s.org_id = $1 and s.key_id = k.key_id and greatest(s.last_used_at, s.created_at) >= $9
                               limit 1) is null)
                      or exists (select from secrets s
                                 where s.org_id = $1 and s.key_id = k.key_id and s.kind = 'service' and s.revoked_at is null
                                   and (s.expires_at is null or s.expires_at > $3)
                                   and greatest(s.last_used_at, s.created_at) < $9))
                 and (not $10
                      or (a.personal_user_id is null
                          and exists (select from users o
                                      where o.org_id = $1 and o.user_id = a.owner_id and o.suspended_at is not null)))
                 and (not $13 or w.unanswered)
               order by lower(a.name), a.application_id
               limit $8::bigint
           ) a
           left join limits l
             on l.org_id = a.org_id and l.scope_kind = 'application' and l.thing_id = a.application_id and l.metric = 'spend'
            and l.window_kind = 'month'
           left join lateral (
               select sum(spend) as spend from usage_sums u
               where u.org_id = a.org_id and u.scope = 'application' and u.thing_id = a.application_id and u.grain = 'month'
                 and u.first_day = $2 and u.model_id = 'ffffffff-ffff-ffff-ffff-ffffffffffff'
           ) u on true
           left join lateral (
               select count(*) filter (where l.live) as live,
                      count(*) filter (where l.live and l.idle and s.kind = 'service') as idle_service,
                      count(*) filter (where l.live and l.idle) as idle,
                      max(s.last_used_at) as last_used_at
               from secrets s
               cross join lateral (
                   select s.revoked_at is null and (s.expires_at is null or s.expires_at > $3) as live,
                          greatest(s.last_used_at, s.created_at) < $12 as idle
               ) l
               where s.org_id = a.org_id and s.key_id = a.key_id
           ) s on true
           order by lower(a.name), a.application_id"#,
        org.0,
        month.first,
        clock::now(),
        search,
        filter.group.map(|id| id.0),
        after_name,
        after_id,
        limit,
        filter.unused_since,
        filter.owner_away,
        among.as_deref(),
        clock::now() - TimeDelta::days(UNUSED_DAYS),
        filter.unanswered,
    )
    .fetch_all(store.pool())
    .await?;
    let paths: std::collections::HashMap<GroupId, String> =
        groups::paths(store, org).await?.into_iter().collect();
    Ok(rows
        .into_iter()
        .map(|row| ApplicationRow {
            id: row.application_id.into(),
            name: row.name,
            group: row.group_id.into(),
            group_path: paths.get(&GroupId(row.group_id)).cloned().unwrap_or_default(),
            personal: row.personal_user_id.map(UserId),
            secrets: row.live,
            spend: Money(row.spend),
            cap: row.cap.map(Money),
            last_call: row.last_used_at,
            unused: match (row.idle, row.idle_service) {
                (0, _) => Unused::No,
                (idle, _) if idle == row.live => Unused::Whole,
                (_, 0) => Unused::No,
                (_, services) => Unused::Services(services),
            },
            unanswered: row.unanswered,
        })
        .collect())
}

/// The applications of a group and of those below that spent most in `month`, at most `limit`.
///
/// # Errors
/// When the database does not answer.
pub async fn most(
    store: &Store,
    org: OrgId,
    month: &Month,
    group: GroupId,
    limit: i64,
) -> Result<Vec<(ApplicationId, String, Money)>> {
    let rows = sqlx::query!(
        r#"select a.application_id, a.name, coalesce(u.spend, 0)::bigint as "spend!"
           from applications a
           join groups g on g.org_id = a.org_id and g.group_id = a.group_id
           left join lateral (
               select sum(spend) as spend from usage_sums u
               where u.org_id = a.org_id and u.scope = 'application' and u.thing_id = a.application_id and u.grain = 'month'
                 and u.first_day = $2 and u.model_id = 'ffffffff-ffff-ffff-ffff-ffffffffffff'
           ) u on true
           where a.org_id = $1 and a.archived_at is null and (a.group_id = $3 or g.ancestors @> array[$3::uuid])
           order by coalesce(u.spend, 0) desc, lower(a.name), a.application_id
           limit $4"#,
        org.0,
        month.first,
        group.0,
        limit,
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows.into_iter().map(|row| (row.application_id.into(), row.name, Money(row.spend))).collect())
}

/// Applications that live in this very group, private contexts among them, by name.
///
/// # Errors
/// When the database does not answer.
pub async fn directly_in(store: &Store, org: OrgId, group: GroupId) -> Result<Vec<(ApplicationId, String)>> {
    read_in(&mut *store.pool().acquire().await?, org, group).await
}

pub(crate) async fn read_in(
    db: &mut PgConnection,
    org: OrgId,
    group: GroupId,
) -> Result<Vec<(ApplicationId, String)>> {
    let rows = sqlx::query!(
        "select application_id, name from applications
         where org_id = $1 and group_id = $2 and archived_at is null order by lower(name), application_id",
        org.0,
        group.0,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.application_id.into(), row.name)).collect())
}

/// Applications that a person answers for, by name; not their private contexts.
///
/// # Errors
/// When the database does not answer.
pub async fn owned(store: &Store, org: OrgId, user: UserId) -> Result<Vec<(ApplicationId, String)>> {
    let rows = sqlx::query!(
        "select application_id, name from applications
         where org_id = $1 and owner_id = $2 and archived_at is null and personal_user_id is null order by lower(name)",
        org.0,
        user.0,
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows.into_iter().map(|row| (row.application_id.into(), row.name)).collect())
}

/// Applications that a person answers for, has to themself, or has a live secret of, by name.
///
/// # Errors
/// When the database does not answer.
pub async fn used_by(store: &Store, org: OrgId, user: UserId) -> Result<Vec<UsedApplication>> {
    let rows = sqlx::query!(
        r#"with live as (
               select distinct on (key_id) key_id, tail, created_at, last_used_at from secrets
               where org_id = $1 and user_id = $2 and revoked_at is null and (expires_at is null or expires_at > $3)
               order by key_id, created_at desc
           ), theirs as (
               select application_id from applications where org_id = $1 and owner_id = $2 and archived_at is null
               union
               select k.application_id from live l join keys k on k.org_id = $1 and k.key_id = l.key_id
               union
               select a.application_id from memberships m
               join applications a on a.org_id = m.org_id and a.group_id = m.group_id and a.personal_user_id = m.user_id
               where m.org_id = $1 and m.user_id = $2 and m.ended_at is null and a.archived_at is null
           )
           select a.application_id, a.name, g.name as "group_name!", coalesce(a.owner_id = $2, false) as "owns!",
                  coalesce(a.personal_user_id = $2, false) as "personal!",
                  l.tail as "tail?", l.created_at as "created_at?", l.last_used_at as "last_used_at?"
           from theirs t
           join applications a on a.org_id = $1 and a.application_id = t.application_id
           join groups g on g.org_id = $1 and g.group_id = a.group_id
           join keys k on k.org_id = $1 and k.application_id = a.application_id
           left join live l on l.key_id = k.key_id
           order by lower(a.name), a.application_id"#,
        org.0,
        user.0,
        clock::now(),
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| UsedApplication {
            id: row.application_id.into(),
            name: row.name,
            group: row.group_name,
            owns: row.owns,
            personal: row.personal,
            secret: row
                .tail
                .zip(row.created_at)
                .map(|(tail, since)| (format!("{}…{tail}", PlainSecret::PREFIX), since, row.last_used_at)),
        })
        .collect())
}

/// Everything a file says about an application and its key.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its id.
    pub id: ApplicationId,
    /// What was shown last.
    pub version: i64,
    /// What it is called.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The group it lives in.
    pub group: GroupId,
    /// Labels a call may carry.
    pub use_cases: Vec<String>,
    /// Its key.
    pub key: KeyId,
    /// The key's version.
    pub key_version: i64,
    /// What the key narrows to.
    pub models: KeyModels,
    /// What calls may use.
    pub features: Features,
    /// What happens to its calls besides.
    pub handling: Handling,
    /// What answers when a call names no model.
    pub policy: Option<PolicyId>,
    /// Groups whose members may have a secret of their own.
    pub assigned: Vec<GroupId>,
    /// Whether a service secret was ever made.
    pub had_service_secret: bool,
    /// Whether one lives.
    pub has_service_secret: bool,
}

/// Every application that is not somebody's private context.
///
/// # Errors
/// When the database does not answer.
pub async fn all(store: &Store, org: OrgId) -> Result<Vec<Entry>> {
    let rows = sqlx::query!(
        r#"select a.application_id, a.version, a.name, a.description, a.group_id, k.key_id, k.version as key_version, k.all_models,
                  k.features, k.policy_id, k.cache_seconds, k.guardrails,
                  array(select name from use_cases c where c.org_id = a.org_id and c.application_id = a.application_id order by name)
                      as "use_cases!",
                  array(select model_id from key_models m where m.org_id = k.org_id and m.key_id = k.key_id) as "models!",
                  array(select group_id from key_groups g where g.org_id = k.org_id and g.key_id = k.key_id) as "assigned!",
                  exists (select from secrets s where s.org_id = k.org_id and s.key_id = k.key_id and s.kind = 'service') as "had!",
                  exists (select from secrets s where s.org_id = k.org_id and s.key_id = k.key_id and s.kind = 'service'
                          and s.revoked_at is null and (s.expires_at is null or s.expires_at > $2)) as "has!"
           from applications a
           join keys k on k.org_id = a.org_id and k.application_id = a.application_id
           where a.org_id = $1 and a.archived_at is null and a.personal_user_id is null
           order by lower(a.name), a.application_id"#,
        org.0,
        clock::now(),
    )
    .fetch_all(store.pool())
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Entry {
                id: row.application_id.into(),
                version: row.version,
                name: row.name,
                description: row.description,
                group: row.group_id.into(),
                use_cases: row.use_cases,
                key: row.key_id.into(),
                key_version: row.key_version,
                models: keys::models(row.all_models, row.models),
                features: keys::features(&row.features)?,
                handling: keys::handling(row.cache_seconds, &row.guardrails)?,
                policy: row.policy_id.map(PolicyId),
                assigned: row.assigned.into_iter().map(GroupId).collect(),
                had_service_secret: row.had,
                has_service_secret: row.has,
            })
        })
        .collect()
}

/// The group an application lives in: what permits are asked for.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not in the organization.
pub async fn group_of(store: &Store, org: OrgId, id: ApplicationId) -> Result<GroupId> {
    let group = sqlx::query_scalar!(
        "select group_id from applications where org_id = $1 and application_id = $2",
        org.0,
        id.0
    )
    .fetch_one(store.pool())
    .await?;
    Ok(group.into())
}

/// One application.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not in the organization.
pub async fn get(store: &Store, org: OrgId, id: ApplicationId) -> Result<Application> {
    read(&mut *store.pool().acquire().await?, org, id).await
}

pub(crate) async fn read(db: &mut PgConnection, org: OrgId, id: ApplicationId) -> Result<Application> {
    let row = sqlx::query!(
        r#"select a.name, a.description, a.group_id, a.personal_user_id, a.archived_at, a.version, k.key_id,
                  a.owner_id, o.name as "owner_name?", o.suspended_at is not null as "owner_away!",
                  array(select name from use_cases c where c.org_id = a.org_id and c.application_id = a.application_id order by name)
                      as "use_cases!"
           from applications a join keys k on k.org_id = a.org_id and k.application_id = a.application_id
           left join users o on o.org_id = a.org_id and o.user_id = a.owner_id
           where a.org_id = $1 and a.application_id = $2"#,
        org.0,
        id.0
    )
    .fetch_one(&mut *db)
    .await?;
    Ok(Application {
        id,
        name: row.name,
        description: row.description,
        path: groups::read(db, org, row.group_id.into()).await?.path,
        personal: row.personal_user_id.map(UserId),
        owner: row.owner_id.map(UserId).zip(row.owner_name),
        owner_away: row.owner_away,
        use_cases: row.use_cases,
        key: row.key_id.into(),
        archived_at: row.archived_at,
        version: row.version,
    })
}

/// The most use cases an application may have.
pub const MOST_USE_CASES: usize = 100;

/// Checks what an application is said to be for.
///
/// # Errors
/// With a sentence for the person who typed it.
pub fn check_description(text: &str) -> Result<()> {
    if text.chars().count() > 1000 {
        return Err(StoreError::invalid("description", "At most 1000 characters fit."));
    }
    Ok(())
}

/// Checks the name of a use case.
///
/// # Errors
/// With a sentence for the person who typed it.
pub fn check_use_case(name: &str) -> Result<()> {
    let odd = name.is_empty()
        || name.chars().count() > 64
        || !name.chars().all(|c| c.is_alphanumeric() || "-_. ".contains(c));
    if odd {
        let sentence =
            format!("“{name}” cannot be a use case: use letters, digits, spaces and . _ - only, at most 64.");
        return Err(StoreError::invalid("use_cases", sentence));
    }
    Ok(())
}

fn check(form: &ApplicationForm) -> Result<()> {
    check_description(&form.description)?;
    if form.use_cases.len() > MOST_USE_CASES {
        return Err(StoreError::invalid("use_cases", format!("At most {MOST_USE_CASES} use cases fit.")));
    }
    form.use_cases.iter().try_for_each(|name| check_use_case(name))
}

async fn write_use_cases(change: &mut Change, id: ApplicationId, names: &[String]) -> Result<()> {
    let org = change.org();
    sqlx::query!("delete from use_cases where org_id = $1 and application_id = $2", org.0, id.0)
        .execute(change.db())
        .await?;
    sqlx::query!(
        "insert into use_cases (org_id, application_id, name) select $1, $2, name from unnest($3::text[]) as name on conflict do nothing",
        org.0,
        id.0,
        names
    )
    .execute(change.db())
    .await?;
    Ok(())
}

/// Adds an application with its key: every model its group has, streaming and tools on.
///
/// # Errors
/// [`StoreError::Conflict`] when the name is taken in the group.
pub async fn insert(
    change: &mut Change,
    group: GroupId,
    form: &ApplicationForm,
    models: &KeyModels,
    features: Features,
) -> Result<(ApplicationId, KeyId)> {
    change.expect(Act::EditApplications, Some(group))?;
    create(change, group, form, models, features, None).await
}

pub(crate) async fn create(
    change: &mut Change,
    group: GroupId,
    form: &ApplicationForm,
    models: &KeyModels,
    features: Features,
    personal: Option<UserId>,
) -> Result<(ApplicationId, KeyId)> {
    check(form)?;
    let (org, at) = (change.org(), change.at());
    let home = groups::read(change.db(), org, group).await?;
    if home.archived_at.is_some() {
        return Err(StoreError::NotFound);
    }
    groups::takes_in(change, group, "group").await?;
    let (id, key): (ApplicationId, KeyId) = (clock::id(), clock::id());
    let actor = change.permit().actor();
    let maker = actor.user.filter(|_| actor.door == Door::Console);
    sqlx::query!(
        "insert into applications (org_id, application_id, group_id, name, description, personal_user_id, created_at, owner_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
        org.0,
        id.0,
        group.0,
        form.name.as_str(),
        form.description.trim(),
        personal.map(|id| id.0),
        at,
        // Whoever makes it in the console answers for it. What a file says belongs to no one person.
        personal.or(maker).map(|id| id.0),
    )
    .execute(change.db())
    .await?;
    write_use_cases(change, id, &form.use_cases).await?;
    let diff = Diff::new()
        .set("name", form.name.as_str())
        .set("group", home.path_text())
        .set("use_cases", form.use_cases.join(", "));
    change
        .record(Subject { kind: "application", id: id.0, name: form.name.as_str() }, "create", &diff)
        .await?;
    keys::create(change, id, key, form.name.as_str(), models, features).await?;
    Ok((id, key))
}

/// Changes name, description and use cases.
///
/// # Errors
/// [`StoreError::Stale`] when `version` is not the newest.
pub async fn update(
    change: &mut Change,
    id: ApplicationId,
    version: i64,
    form: &ApplicationForm,
) -> Result<()> {
    check(form)?;
    let org = change.org();
    let before = read(change.db(), org, id).await?;
    change.expect(Act::EditApplications, before.path.last().map(|(group, _)| *group))?;
    if before.archived_at.is_some() {
        // There are no two versions to choose from: it says who archived it.
        seen::unchanged(change, id.0, version).await?;
    }
    let done = sqlx::query!(
        "update applications set name = $4, description = $5, version = version + 1
         where org_id = $1 and application_id = $2 and version = $3 and archived_at is null",
        org.0,
        id.0,
        version,
        form.name.as_str(),
        form.description.trim(),
    )
    .execute(change.db())
    .await?;
    exactly_one(&done)?;
    write_use_cases(change, id, &form.use_cases).await?;
    let mut wanted = form.use_cases.clone();
    wanted.sort();
    wanted.dedup();
    let diff = Diff::new()
        .field("name", Some(before.name.as_str()), Some(form.name.as_str()))
        .field("description", Some(before.description.as_str()), Some(form.description.trim()))
        .field("use_cases", Some(before.use_cases.join(", ")), Some(wanted.join(", ")));
    if diff.is_empty() {
        return Ok(());
    }
    change.record(Subject { kind: "application", id: id.0, name: form.name.as_str() }, "edit", &diff).await
}

/// Puts an application into another group. Its key, its secrets and the groups those are for stay as they
/// are; what it has spent stays with the group it was in. `version` and `from`: as it was shown.
///
/// # Errors
/// [`StoreError::NotFound`] when it or the group is not there, or not open any more; [`StoreError::Invalid`]
/// about a private context; [`StoreError::Meanwhile`] when somebody changed it since;
/// [`StoreError::Conflict`] when the group has one of its name.
pub async fn move_to(
    change: &mut Change,
    id: ApplicationId,
    version: i64,
    from: GroupId,
    to: GroupId,
) -> Result<()> {
    let org = change.org();
    let before = read(change.db(), org, id).await?;
    let here = before.path.last().map(|(group, _)| *group);
    change.expect(Act::EditApplications, here)?;
    change.expect(Act::EditApplications, Some(to))?;
    seen::unchanged(change, id.0, version).await?;
    if before.archived_at.is_some() {
        return Err(StoreError::NotFound);
    }
    if before.personal.is_some() {
        let sentence = "A private context belongs to its person and its group; it is not moved.";
        return Err(StoreError::invalid("group", sentence));
    }
    if here != Some(from) {
        return Err(StoreError::Stale);
    }
    let target = groups::read(change.db(), org, to).await?;
    if target.archived_at.is_some() {
        let sentence =
            format!("{} is archived: nothing in it can call. Choose another group.", target.name());
        return Err(StoreError::invalid("group", sentence));
    }
    if from == to {
        return Err(StoreError::invalid("group", "It is in this group already: choose another one."));
    }
    groups::takes_in(change, to, "group").await?;
    let done = sqlx::query!(
        "update applications set group_id = $4, version = version + 1
         where org_id = $1 and application_id = $2 and version = $3 and archived_at is null",
        org.0,
        id.0,
        version,
        to.0,
    )
    .execute(change.db())
    .await?;
    exactly_one(&done)?;
    let path: Vec<&str> = before.path.iter().map(|(_, name)| name.as_str()).collect();
    let diff = Diff::new().field("group", Some(path.join("/")), Some(target.path_text()));
    change.record(Subject { kind: "application", id: id.0, name: &before.name }, "move", &diff).await
}

/// Closes an application for good: every secret of its key is dead. Its spend stays.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not in the organization.
pub async fn archive(change: &mut Change, id: ApplicationId) -> Result<()> {
    let org = change.org();
    let before = read(change.db(), org, id).await?;
    change.expect(Act::EditApplications, before.path.last().map(|(group, _)| *group))?;
    close(change, id).await
}

/// Closes it, for whoever has asked for a permit.
pub(crate) async fn close(change: &mut Change, id: ApplicationId) -> Result<()> {
    let (org, at) = (change.org(), change.at());
    let before = read(change.db(), org, id).await?;
    if before.archived_at.is_some() {
        return Ok(());
    }
    sqlx::query!(
        "update applications set archived_at = $3, version = version + 1 where org_id = $1 and application_id = $2",
        org.0,
        id.0,
        at
    )
    .execute(change.db())
    .await?;
    let revoked = sqlx::query!(
        "update secrets set revoked_at = $3 where org_id = $1 and key_id = $2 and revoked_at is null",
        org.0,
        before.key.0,
        at
    )
    .execute(change.db())
    .await?;
    let diff = Diff::new().set("archived", true).set("secrets revoked", revoked.rows_affected());
    change.record(Subject { kind: "application", id: id.0, name: &before.name }, "archive", &diff).await
}
