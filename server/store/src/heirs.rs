//! Who takes over when somebody goes and names nobody: whoever leads above, else an owner.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use domain::{
    ids::{ApplicationId, GroupId, OrgId, UserId},
    receipts::{Charge, Handed, Heir},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Result, Store, clock};

/// What somebody answers for, what it is called, and who comes next: the lead of the nearest group from its
/// own upwards, who has been one the longest; else an owner, before all others whoever makes the change. None
/// where nobody can act.
pub(crate) struct Charged {
    pub charge: Charge,
    pub name: String,
    pub next: Option<Heir>,
}

/// What somebody answers for, and the group whose leads come next.
struct Held {
    user: UserId,
    charge: Charge,
    name: String,
    group: GroupId,
}

/// What would be left without anybody if these people went: applications they own, and groups that
/// nobody else leads who can act, with who comes next. Not their private contexts. Nothing of one of them
/// comes to another. A group that several of them lead is the first one's, in the order of `users`.
pub(crate) async fn charges(
    db: &mut PgConnection,
    org: OrgId,
    users: &[Uuid],
    actor: Option<UserId>,
    at: DateTime<Utc>,
) -> Result<HashMap<UserId, Vec<Charged>>> {
    let mut held = owned(db, org, users).await?;
    let led = led(db, org, users, at).await?;
    let groups: Vec<GroupId> = held.iter().chain(&led).map(|held| held.group).collect();
    let paths = paths(db, org, &groups).await?;
    held.extend(led.into_iter().map(|held| {
        let names = paths.get(&held.group).into_iter().flatten().map(|(_, name)| name.as_str());
        Held { name: names.collect::<Vec<_>>().join("/"), ..held }
    }));
    let leads = acting_leads(db, org, &paths, users).await?;
    let owner = acting_owner(db, org, users, actor).await?;
    let mut all = HashMap::<UserId, Vec<Charged>>::new();
    for Held { user, charge, name, group } in held {
        let mut above = paths.get(&group).into_iter().flatten().rev();
        let lead = above.find_map(|(id, name)| Some((name, leads.get(id)?)));
        let next = match lead {
            Some((group, (id, name))) => {
                Some(Heir { id: *id, name: name.clone(), because: format!("leads {group}") })
            }
            None => owner.clone(),
        };
        all.entry(user).or_default().push(Charged { charge, name, next });
    }
    Ok(all)
}

async fn owned(db: &mut PgConnection, org: OrgId, users: &[Uuid]) -> Result<Vec<Held>> {
    let rows = sqlx::query!(
        r#"select owner_id as "user_id!", application_id, group_id, name from applications
           where org_id = $1 and owner_id = any ($2) and archived_at is null and personal_user_id is null
           order by lower(name), application_id"#,
        org.0,
        users,
    )
    .fetch_all(db)
    .await?;
    let held = rows.into_iter().map(|row| Held {
        user: row.user_id.into(),
        charge: Charge::Application(ApplicationId(row.application_id)),
        name: row.name,
        group: row.group_id.into(),
    });
    Ok(held.collect())
}

/// Groups that some of these people lead and nobody else who can act, each once. Whoever leads until a day
/// is somebody else beside those who do, too, or as long as the group lasts.
async fn led(db: &mut PgConnection, org: OrgId, users: &[Uuid], at: DateTime<Utc>) -> Result<Vec<Held>> {
    let rows = sqlx::query!(
        "select m.group_id, m.user_id
         from unnest($2::uuid[]) with ordinality as k (user_id, place)
         join memberships m on m.org_id = $1 and m.user_id = k.user_id and m.standing = 'lead' and m.ended_at is null
         join groups g on g.org_id = m.org_id and g.group_id = m.group_id
         join users me on me.org_id = m.org_id and me.user_id = m.user_id
         join organizations og on og.org_id = m.org_id
         where g.archived_at is null and (m.ends_at is null or m.ends_at > $3)
           and not exists (select from memberships o join users u on u.org_id = o.org_id and u.user_id = o.user_id
                           -- Whoever has not joined counts only where this one has not either.
                           where o.org_id = $1 and o.group_id = m.group_id and o.user_id <> m.user_id and o.standing = 'lead'
                             and o.ended_at is null and (o.ends_at is null or o.ends_at > $3)
                             and u.suspended_at is null and u.removed_at is null
                             and (u.account_id is not null or me.account_id is null)
                             and (o.ends_at is null or m.ends_at is not null
                                  or ((o.ends_at - interval '1 second') at time zone og.time_zone)::date >= g.ends_on))
         order by lower(g.name), k.place",
        org.0,
        users,
        at,
    )
    .fetch_all(db)
    .await?;
    let mut seen = HashSet::new();
    let first = rows.into_iter().filter(|row| seen.insert(row.group_id));
    let held = first.map(|row| {
        let group = GroupId(row.group_id);
        Held { user: row.user_id.into(), charge: Charge::Group(group), name: String::new(), group }
    });
    Ok(held.collect())
}

/// Groups from the root to one, with their names.
type Paths = HashMap<GroupId, Vec<(GroupId, String)>>;

async fn paths(db: &mut PgConnection, org: OrgId, of: &[GroupId]) -> Result<Paths> {
    let ids: Vec<Uuid> = of.iter().map(|group| group.0).collect();
    let rows = sqlx::query!(
        r#"select g.group_id, p.group_id as above, p.name
           from groups g join groups p on p.org_id = g.org_id and (p.group_id = g.group_id or p.group_id = any (g.ancestors))
           where g.org_id = $1 and g.group_id = any ($2)
           order by g.group_id, cardinality(p.ancestors)"#,
        org.0,
        &ids,
    )
    .fetch_all(db)
    .await?;
    let mut paths = Paths::new();
    for row in rows {
        paths.entry(row.group_id.into()).or_default().push((row.above.into(), row.name));
    }
    Ok(paths)
}

/// Of each group on these paths that is open: who leads it the longest, without a last day, can act, and stays.
async fn acting_leads(
    db: &mut PgConnection,
    org: OrgId,
    paths: &Paths,
    leavers: &[Uuid],
) -> Result<HashMap<GroupId, (UserId, String)>> {
    let groups: HashSet<Uuid> = paths.values().flatten().map(|(id, _)| id.0).collect();
    let groups: Vec<Uuid> = groups.into_iter().collect();
    let rows = sqlx::query!(
        "select distinct on (m.group_id) m.group_id, u.user_id, u.name
         from memberships m
         join groups g on g.org_id = m.org_id and g.group_id = m.group_id
         join users u on u.org_id = m.org_id and u.user_id = m.user_id
         where m.org_id = $1 and m.group_id = any ($2) and g.archived_at is null
           and m.standing = 'lead' and m.ended_at is null and m.ends_at is null
           and u.account_id is not null and u.suspended_at is null and u.removed_at is null
           and not exists (select from unnest($3::uuid[]) as k (user_id) where k.user_id = u.user_id)
         order by m.group_id, m.membership_id",
        org.0,
        &groups,
        leavers,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.group_id.into(), (row.user_id.into(), row.name))).collect())
}

async fn acting_owner(
    db: &mut PgConnection,
    org: OrgId,
    leavers: &[Uuid],
    actor: Option<UserId>,
) -> Result<Option<Heir>> {
    let owner = sqlx::query!(
        "select user_id, name from users
         where org_id = $1 and user_id <> all ($2) and role = 'owner' and account_id is not null
           and suspended_at is null and removed_at is null
         order by user_id is not distinct from $3 desc, user_id limit 1",
        org.0,
        leavers,
        actor.map(|actor| actor.0),
    )
    .fetch_optional(db)
    .await?;
    let because = "owner of the organization".to_owned();
    Ok(owner.map(|owner| Heir { id: owner.user_id.into(), name: owner.name, because }))
}

/// Who of these people answers for something.
pub(crate) async fn charged(
    db: &mut PgConnection,
    org: OrgId,
    users: &[Uuid],
    at: DateTime<Utc>,
) -> Result<HashSet<UserId>> {
    let ids = sqlx::query_scalar!(
        r#"select owner_id as "user_id!" from applications
           where org_id = $1 and owner_id = any ($2) and archived_at is null and personal_user_id is null
           union
           select user_id from memberships
           where org_id = $1 and user_id = any ($2) and standing = 'lead' and ended_at is null
             and (ends_at is null or ends_at > $3)"#,
        org.0,
        users,
        at,
    )
    .fetch_all(db)
    .await?;
    Ok(ids.into_iter().map(UserId).collect())
}

/// What somebody answers for, with who takes it over if they go and nobody else is named.
///
/// # Errors
/// When the database does not answer.
pub async fn would_be(store: &Store, org: OrgId, user: UserId, actor: Option<UserId>) -> Result<Vec<Handed>> {
    let (mut db, at) = (store.pool().acquire().await?, clock::now());
    let charges = charges(&mut db, org, &[user.0], actor, at).await?.remove(&user).unwrap_or_default();
    Ok(charges
        .into_iter()
        .map(|charged| Handed::to_next(charged.charge, charged.name, charged.next))
        .collect())
}
