//! The tree of groups and who is in them.

mod ends;
mod many;
mod members;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::{
    groups::{Group, GroupForm, GroupRow},
    ids::{ApplicationId, GroupId, OrgId, PolicyId, UserId},
    money::Money,
    roles::Act,
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Change, Diff, Result, Store, StoreError, Subject, access, applications,
    census::{self, Count},
    change::exactly_one,
    clock, keys,
    rollups::Month,
    seen,
    users::escape_like,
};

pub use ends::{DefaultOver, defaults_over};
use ends::{bury_members, may_end};
pub(crate) use ends::{days_over, over, takes_in};
pub(crate) use many::{Joining, Leaving, end_all, join_all};

use members::day_yet_to_come;
pub use members::{Membership, leads, memberships, remove_member, set_member, standing};
pub(crate) use members::{by_hand, by_people_yet_to_come, close_lapsed, end, join, pair_names};

/// Some groups with their figures, in the order that was asked for. Archived ones are left out.
///
/// # Errors
/// When the database does not answer.
pub async fn rows(store: &Store, org: OrgId, month: &Month, ids: &[GroupId]) -> Result<Vec<GroupRow>> {
    let census = census::current(store, org).await?;
    let asked: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"select g.group_id, g.ancestors, g.name, g.kind, g.ends_on, l.cap as "cap?", coalesce(s.spend, 0)::bigint as "spend!"
           from unnest($2::uuid[]) with ordinality as k (id, place)
           join groups g on g.org_id = $1 and g.group_id = k.id and g.archived_at is null
           left join limits l
             on l.org_id = g.org_id and l.scope_kind = 'group' and l.thing_id = g.group_id and l.metric = 'spend'
            and l.window_kind = 'month'
           left join lateral (
               select sum(spend) as spend from usage_sums
               where org_id = $1 and scope = 'group' and thing_id = g.group_id and grain = 'month' and first_day = $3
                 and model_id = 'ffffffff-ffff-ffff-ffff-ffffffffffff'
           ) s on true
           order by k.place"#,
        org.0,
        &asked,
        month.first,
    )
    .fetch_all(store.pool())
    .await?;
    rows.into_iter()
        .map(|row| {
            let id = GroupId(row.group_id);
            let Count { members, members_below, applications } = census.count(id);
            Ok(GroupRow {
                id,
                ancestors: row.ancestors.into_iter().map(GroupId).collect(),
                name: row.name,
                kind: row.kind.parse()?,
                ends_on: row.ends_on,
                members,
                members_below,
                applications,
                spend: Money(row.spend),
                cap: row.cap.map(Money),
            })
        })
        .collect()
}

/// From the root to the group: what permits are asked for.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not in the organization.
pub async fn path(store: &Store, org: OrgId, id: GroupId) -> Result<Vec<GroupId>> {
    let ancestors =
        sqlx::query_scalar!("select ancestors from groups where org_id = $1 and group_id = $2", org.0, id.0)
            .fetch_one(store.pool())
            .await?;
    Ok(ancestors.into_iter().map(GroupId).chain([id]).collect())
}

/// Names of groups by id.
///
/// # Errors
/// When the database does not answer.
pub async fn names(store: &Store, org: OrgId, ids: &[Uuid]) -> Result<HashMap<GroupId, String>> {
    read_names(&mut *store.pool().acquire().await?, org, ids).await
}

pub(crate) async fn read_names(
    db: &mut PgConnection,
    org: OrgId,
    ids: &[Uuid],
) -> Result<HashMap<GroupId, String>> {
    let rows = sqlx::query!(
        "select group_id, name from groups where org_id = $1 and group_id = any ($2)",
        org.0,
        ids
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.group_id.into(), row.name)).collect())
}

/// Every open group by its path text, in order: for pickers.
///
/// # Errors
/// When the database does not answer.
pub async fn paths(store: &Store, org: OrgId) -> Result<Vec<(GroupId, String)>> {
    Ok(census::current(store, org).await?.paths.clone())
}

/// The same without those that have ended: for whatever something is put into.
///
/// # Errors
/// When the database does not answer.
pub async fn places(store: &Store, org: OrgId) -> Result<Vec<(GroupId, String)>> {
    let facts = access::current(store, org).await?;
    let now = clock::now();
    let mut paths = paths(store, org).await?;
    paths.retain(|(id, _)| domain::access::ended(&facts, *id, now).is_none());
    Ok(paths)
}

/// Every open group, parents before children.
///
/// # Errors
/// When the database does not answer.
pub async fn all(store: &Store, org: OrgId) -> Result<Vec<Group>> {
    let rows = sqlx::query!(
        r#"select g.group_id, g.name, g.ancestors, g.kind, g.ends_on, g.version, g.policy_id, d.group_id is not null as "is_default!"
           from groups g left join default_groups d on d.org_id = g.org_id and d.group_id = g.group_id
           where g.org_id = $1 and g.archived_at is null
           order by cardinality(g.ancestors), lower(g.name), g.group_id"#,
        org.0
    )
    .fetch_all(store.pool())
    .await?;
    let mut paths = HashMap::<Uuid, Vec<(GroupId, String)>>::new();
    rows.into_iter()
        .map(|row| {
            let mut path =
                row.ancestors.last().and_then(|parent| paths.get(parent)).cloned().unwrap_or_default();
            path.push((row.group_id.into(), row.name));
            paths.insert(row.group_id, path.clone());
            Ok(Group {
                id: row.group_id.into(),
                path,
                kind: row.kind.parse()?,
                ends_on: row.ends_on,
                archived_at: None,
                is_default: row.is_default,
                policy: row.policy_id.map(PolicyId),
                version: row.version,
            })
        })
        .collect()
}

/// One group.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not in the organization.
pub async fn get(store: &Store, org: OrgId, id: GroupId) -> Result<Group> {
    read(&mut *store.pool().acquire().await?, org, id).await
}

pub(crate) async fn read(db: &mut PgConnection, org: OrgId, id: GroupId) -> Result<Group> {
    let row = sqlx::query!(
        r#"select g.name, g.ancestors, g.kind, g.ends_on, g.archived_at, g.version, g.policy_id, d.group_id is not null as "is_default!"
           from groups g left join default_groups d on d.org_id = g.org_id and d.group_id = g.group_id
           where g.org_id = $1 and g.group_id = $2"#,
        org.0,
        id.0
    )
    .fetch_one(&mut *db)
    .await?;
    let names = read_names(db, org, &row.ancestors).await?;
    let mut path: Vec<(GroupId, String)> = row
        .ancestors
        .iter()
        .map(|ancestor| (GroupId(*ancestor), names.get(&GroupId(*ancestor)).cloned().unwrap_or_default()))
        .collect();
    path.push((id, row.name));
    Ok(Group {
        id,
        path,
        kind: row.kind.parse()?,
        ends_on: row.ends_on,
        archived_at: row.archived_at,
        is_default: row.is_default,
        policy: row.policy_id.map(PolicyId),
        version: row.version,
    })
}

/// Adds a group below another, or at the top.
///
/// # Errors
/// [`StoreError::Conflict`] when a sibling has the name or the tree would be too deep.
pub async fn insert(change: &mut Change, parent: Option<GroupId>, form: &GroupForm) -> Result<GroupId> {
    change.expect(Act::CreateGroup, parent)?;
    let (org, at) = (change.org(), change.at());
    day_yet_to_come(change, form.ends_on).await?;
    let id: GroupId = clock::id();
    let ancestors = match parent {
        Some(parent) => {
            takes_in(change, parent, "parent").await?;
            open_path(change, parent).await?
        }
        None => Vec::new(),
    };
    sqlx::query!(
        "insert into groups (org_id, group_id, parent_id, ancestors, name, kind, ends_on, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
        org.0,
        id.0,
        parent.map(|parent| parent.0),
        &ancestors,
        form.name.as_str(),
        form.kind.as_str(),
        form.ends_on,
        at,
    )
    .execute(change.db())
    .await?;
    let diff = Diff::new()
        .set("name", form.name.as_str())
        .set("kind", form.kind)
        .field("parent", None::<String>, path_name(change, parent).await?)
        .field("ends_on", None::<String>, form.ends_on);
    change.record(Subject { kind: "group", id: id.0, name: form.name.as_str() }, "create", &diff).await?;
    Ok(id)
}

/// The path to a group that is still open.
async fn open_path(change: &mut Change, id: GroupId) -> Result<Vec<Uuid>> {
    let org = change.org();
    let mut path = sqlx::query_scalar!(
        "select ancestors from groups where org_id = $1 and group_id = $2 and archived_at is null",
        org.0,
        id.0
    )
    .fetch_one(change.db())
    .await?;
    path.push(id.0);
    Ok(path)
}

/// What the log calls a place in the tree: `Engineering/Research`, or nothing for its top.
async fn path_name(change: &mut Change, id: Option<GroupId>) -> Result<Option<String>> {
    let Some(id) = id else { return Ok(None) };
    let org = change.org();
    let group = read(change.db(), org, id).await?;
    Ok(Some(group.path.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>().join("/")))
}

/// Changes name, kind and end.
///
/// # Errors
/// [`StoreError::Stale`] when `version` is not the newest; [`StoreError::Invalid`] about `ends_on` for a day
/// that has passed, or is not theirs to set.
pub async fn update(change: &mut Change, id: GroupId, version: i64, form: &GroupForm) -> Result<()> {
    change.expect(Act::EditGroup, Some(id))?;
    let org = change.org();
    let before = read(change.db(), org, id).await?;
    if before.archived_at.is_some() {
        // There are no two versions to choose from: it says who archived it.
        seen::unchanged(change, id.0, version).await?;
    }
    // A group that is over keeps its day, whatever else is said of it.
    if before.ends_on != form.ends_on {
        may_end(change, &before, form.ends_on).await?;
        day_yet_to_come(change, form.ends_on).await?;
        bury_members(change, id).await?;
    }
    let done = sqlx::query!(
        "update groups set name = $4, kind = $5, ends_on = $6, version = version + 1
         where org_id = $1 and group_id = $2 and version = $3 and archived_at is null",
        org.0,
        id.0,
        version,
        form.name.as_str(),
        form.kind.as_str(),
        form.ends_on,
    )
    .execute(change.db())
    .await?;
    exactly_one(&done)?;
    let diff = Diff::new()
        .field("name", Some(before.name()), Some(form.name.as_str()))
        .field("kind", Some(before.kind), Some(form.kind))
        .field("ends_on", before.ends_on, form.ends_on);
    if diff.is_empty() {
        return Ok(());
    }
    change.record(Subject { kind: "group", id: id.0, name: form.name.as_str() }, "edit", &diff).await
}

/// Groups that are archived, the newest first: id, path as it was, and since when; at most `limit`. Its name
/// has this in it, unless that is empty.
///
/// # Errors
/// When the database does not answer.
pub async fn archived(
    store: &Store,
    org: OrgId,
    search: &str,
    limit: i64,
) -> Result<Vec<(Vec<GroupId>, String, DateTime<Utc>)>> {
    let rows = sqlx::query!(
        r#"select g.group_id, g.ancestors, g.archived_at as "archived_at!",
                  array_to_string(array(select a.name from unnest(g.ancestors || g.group_id) with ordinality as k (id, place)
                                        join groups a on a.org_id = $1 and a.group_id = k.id order by k.place), '/') as "path!"
           from groups g
           where g.org_id = $1 and g.archived_at is not null and ($2 = '' or g.name ilike '%' || $2 || '%')
           order by g.archived_at desc, g.group_id limit $3"#,
        org.0,
        escape_like(search.trim()),
        limit,
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let path = row.ancestors.into_iter().chain([row.group_id]).map(GroupId).collect();
            (path, row.path, row.archived_at)
        })
        .collect())
}

/// The newest version of a group, inside a change.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not in the organization.
pub async fn version(change: &mut Change, id: GroupId) -> Result<i64> {
    let org = change.org();
    Ok(read(change.db(), org, id).await?.version)
}

/// Says which policy stands for calls of a group, and of those below that say nothing, that name no
/// model and whose key has none of its own. None: the one of the group above, if that has one.
///
/// # Errors
/// [`StoreError::Stale`] when `version` is not the newest; [`StoreError::Invalid`] when the policy is
/// no longer in use.
pub async fn set_policy(
    change: &mut Change,
    id: GroupId,
    version: i64,
    policy: Option<PolicyId>,
) -> Result<()> {
    change.expect(Act::EditGroup, Some(id))?;
    let org = change.org();
    let before = read(change.db(), org, id).await?;
    let name = match policy {
        Some(policy) => {
            Some(crate::policies::name(change.db(), org, policy).await.map_err(|error| match error {
                StoreError::NotFound => StoreError::invalid("policy", "Choose one of the policies in use."),
                error => error,
            })?)
        }
        None => None,
    };
    let old = match before.policy {
        Some(policy) => Some(crate::policies::name(change.db(), org, policy).await?),
        None => None,
    };
    let done = sqlx::query!(
        "update groups set policy_id = $4, version = version + 1
         where org_id = $1 and group_id = $2 and version = $3 and archived_at is null",
        org.0,
        id.0,
        version,
        policy.map(|policy| policy.0),
    )
    .execute(change.db())
    .await?;
    exactly_one(&done)?;
    let diff = Diff::new().field("policy", old, name);
    if diff.is_empty() {
        return Ok(());
    }
    change.record(Subject { kind: "group", id: id.0, name: before.name() }, "edit", &diff).await
}

/// Puts a group, with everything below it, elsewhere in the tree.
///
/// # Errors
/// [`StoreError::Conflict`] when it would be inside itself, too deep, or beside one of its name.
pub async fn move_to(change: &mut Change, id: GroupId, parent: Option<GroupId>) -> Result<()> {
    change.expect(Act::MoveGroup, None)?;
    let org = change.org();
    let before = read(change.db(), org, id).await?;
    if before.archived_at.is_some() {
        return Err(StoreError::Meanwhile(format!("{} is archived. Nothing was moved.", before.name())));
    }
    let path = match parent {
        Some(parent) => {
            takes_in(change, parent, "parent").await?;
            open_path(change, parent).await?
        }
        None => Vec::new(),
    };
    // What ended with a group above it does not come to life by leaving that.
    bury_members(change, id).await?;
    // Everything below keeps the part of its path that starts at the moved group. The check
    // constraint refuses a path that holds the group itself: a cycle.
    sqlx::query!(
        "update groups
         set ancestors = $3 || ancestors[$4 + 1:],
             parent_id = case when group_id = $2 then $5 else parent_id end,
             version = version + 1
         where org_id = $1 and (group_id = $2 or ancestors @> array[$2::uuid])",
        org.0,
        id.0,
        &path,
        i32::try_from(before.path.len() - 1).unwrap_or(i32::MAX),
        parent.map(|parent| parent.0),
    )
    .execute(change.db())
    .await?;
    let old_parent = before.path.iter().rev().nth(1).map(|(id, _)| *id);
    if old_parent == parent {
        return Ok(());
    }
    // Whoever is in it belongs to other groups above now: secrets that only the old ones carried die.
    let dead = bury_members(change, id).await?;
    let (from, to) = (path_name(change, old_parent).await?, path_name(change, parent).await?);
    let diff = Diff::new().field("parent", from, to).field(
        "secrets revoked",
        None::<usize>,
        (dead > 0).then_some(dead),
    );
    change.record(Subject { kind: "group", id: id.0, name: before.name() }, "move", &diff).await
}

/// The same, as long as it stands where whoever moves it saw it.
///
/// # Errors
/// [`StoreError::Meanwhile`] when somebody moved it since; those of [`move_to`].
pub async fn move_from(
    change: &mut Change,
    id: GroupId,
    from: Option<GroupId>,
    parent: Option<GroupId>,
) -> Result<()> {
    change.expect(Act::MoveGroup, None)?;
    let org = change.org();
    let group = read(change.db(), org, id).await?;
    let now = group.path.iter().rev().nth(1);
    if now.map(|(above, _)| *above) != from {
        let place = now.map_or("at the top", |(_, name)| name.as_str());
        let sentence = format!(
            "Somebody moved {} meanwhile: it is {}{place} now. Look at what would change once more.",
            group.name(),
            if now.is_some() { "in " } else { "" },
        );
        return Err(StoreError::Meanwhile(sentence));
    }
    move_to(change, id, parent).await
}

/// Closes a group for good: nothing in it can call. Names and spend stay.
///
/// # Errors
/// [`StoreError::Invalid`] while something is still in it.
pub async fn archive(change: &mut Change, id: GroupId) -> Result<()> {
    archive_with(change, id, &[]).await
}

/// The same with the applications in it: those that were named to whoever confirmed it.
///
/// # Errors
/// [`StoreError::Meanwhile`] when other applications are in it by now; [`StoreError::Invalid`] while
/// something else is still in it.
pub async fn archive_with(change: &mut Change, id: GroupId, applications: &[ApplicationId]) -> Result<()> {
    change.expect(Act::ArchiveGroup, Some(id))?;
    let (org, at) = (change.org(), change.at());
    if !applications.is_empty() {
        let now = applications::read_in(change.db(), org, id).await?;
        let named = |id: &ApplicationId| applications.contains(id);
        if now.len() != applications.len() || !now.iter().all(|(id, _)| named(id)) {
            let names: Vec<&str> = now.iter().map(|(_, name)| name.as_str()).collect();
            let sentence = format!(
                "Other applications are in it by now: {}. Nothing was archived; look at it once more.",
                if names.is_empty() { "none".to_owned() } else { names.join(", ") }
            );
            return Err(StoreError::Meanwhile(sentence));
        }
        for id in applications {
            applications::close(change, *id).await?;
        }
    }
    let group = read(change.db(), org, id).await?;
    let inside = sqlx::query!(
        r#"select (select count(*) from groups where org_id = $1 and parent_id = $2 and archived_at is null) as "groups!",
                  (select count(*) from applications where org_id = $1 and group_id = $2 and archived_at is null) as "applications!""#,
        org.0,
        id.0
    )
    .fetch_one(change.db())
    .await?;
    if inside.groups > 0 || inside.applications > 0 {
        let sentence = still_inside(inside.groups, inside.applications);
        return Err(StoreError::invalid("group", sentence));
    }
    sqlx::query!(
        "update groups set archived_at = $3, version = version + 1 where org_id = $1 and group_id = $2 and archived_at is null",
        org.0,
        id.0,
        at
    )
    .execute(change.db())
    .await?;
    let members = sqlx::query_scalar!(
        "update memberships set ended_at = $3 where org_id = $1 and group_id = $2 and ended_at is null returning user_id",
        org.0,
        id.0,
        at
    )
    .fetch_all(change.db())
    .await?;
    let members: Vec<UserId> = members.into_iter().map(UserId).collect();
    let dead = keys::revoke_orphans(change, &members).await?.into_values().flatten().count();
    sqlx::query!("delete from default_groups where org_id = $1 and group_id = $2", org.0, id.0)
        .execute(change.db())
        .await?;
    crate::reviews::close_of(change, id).await?;
    let diff =
        Diff::new().set("archived", true).field("secrets revoked", None::<usize>, (dead > 0).then_some(dead));
    change.record(Subject { kind: "group", id: id.0, name: group.name() }, "archive", &diff).await
}

/// What stands in the way of archiving a group, and what can be done with it.
fn still_inside(groups: i64, applications: i64) -> String {
    let some = |count: i64, one: &str, many: &str| match count {
        0 => None,
        1 => Some(format!("1 {one}")),
        count => Some(format!("{count} {many}")),
    };
    let groups = some(groups, "group", "groups");
    let applications = some(applications, "application", "applications");
    match (groups, applications) {
        (Some(groups), Some(applications)) => {
            format!("It still has {groups} and {applications}. Move or archive what is in it first.")
        }
        (Some(groups), None) => {
            format!("It still has {groups} below it. Move or archive what is below first.")
        }
        (None, Some(applications)) => {
            format!("It still has {applications}. Move or archive what is in it first.")
        }
        (None, None) => String::new(),
    }
}

/// Says whether new users join a group, as somebody does who saw whether they do.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not there; [`StoreError::Meanwhile`] when somebody else said so, or
/// the opposite, since: who, and how it is now.
pub async fn turn_default(change: &mut Change, id: GroupId, was: bool, default: bool) -> Result<()> {
    let org = change.org();
    let group = read(change.db(), org, id).await?;
    if group.is_default == was {
        return set_default(change, id, default).await;
    }
    let last = seen::last(change, id.0).await?;
    let before = seen::was_here(&last.who, last.own);
    let now = if group.is_default { "join" } else { "do not join" };
    Err(StoreError::Meanwhile(format!(
        "{before}: new users {now} {} now. Nothing was changed.",
        group.name()
    )))
}

/// Whether new users join a group.
///
/// # Errors
/// When it is not there; [`StoreError::Invalid`] when it is archived, and they are to.
pub async fn set_default(change: &mut Change, id: GroupId, default: bool) -> Result<()> {
    change.expect(Act::EditOrganization, None)?;
    let org = change.org();
    let group = read(change.db(), org, id).await?;
    if default && group.archived_at.is_some() {
        let sentence = format!("{} is archived: nobody can join it.", group.name());
        return Err(StoreError::invalid("id", sentence));
    }
    if group.is_default == default {
        return Ok(());
    }
    if default {
        takes_in(change, id, "id").await?;
    }
    if default {
        sqlx::query!(
            "insert into default_groups (org_id, group_id) values ($1, $2) on conflict do nothing",
            org.0,
            id.0
        )
        .execute(change.db())
        .await?;
    } else {
        sqlx::query!("delete from default_groups where org_id = $1 and group_id = $2", org.0, id.0)
            .execute(change.db())
            .await?;
    }
    let diff = Diff::new().field("new users join", Some(!default), Some(default));
    change.record(Subject { kind: "group", id: id.0, name: group.name() }, "default", &diff).await
}

/// The groups that everybody new joins, as long as they have not ended.
///
/// # Errors
/// When the database does not answer.
pub async fn defaults(store: &Store, org: OrgId) -> Result<std::collections::HashSet<GroupId>> {
    let mut db = store.pool().acquire().await?;
    Ok(read_defaults(&mut db, org, clock::now()).await?.into_iter().collect())
}

/// The groups that everybody new joins, within a change, by id.
pub(crate) async fn default_ids(change: &mut Change) -> Result<Vec<GroupId>> {
    let (org, at) = (change.org(), change.at());
    read_defaults(change.db(), org, at).await
}

/// What is over takes nobody new.
async fn read_defaults(db: &mut PgConnection, org: OrgId, at: DateTime<Utc>) -> Result<Vec<GroupId>> {
    let over = over(db, Some(org), at).await?;
    let ids = sqlx::query_scalar!(
        "select d.group_id from default_groups d join groups g on g.org_id = d.org_id and g.group_id = d.group_id
         where d.org_id = $1 and g.archived_at is null and not (g.ancestors || g.group_id) && $2 order by d.group_id",
        org.0,
        &over,
    )
    .fetch_all(db)
    .await?;
    Ok(ids.into_iter().map(GroupId).collect())
}

/// The group with this path text: `Engineering/Research`.
///
/// # Errors
/// [`StoreError::NotFound`] when there is none.
pub async fn by_path(store: &Store, org: OrgId, path: &str) -> Result<GroupId> {
    let paths = paths(store, org).await?;
    paths
        .into_iter()
        .find(|(_, text)| text.eq_ignore_ascii_case(path))
        .map(|(id, _)| id)
        .ok_or(StoreError::NotFound)
}
