//! Who leads a group, and how that is handed on: a group that was led does not lose its last lead.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::{
    audit::Door,
    groups::{Source, Standing},
    ids::{GroupId, MembershipId, OrgId, UserId},
    receipts::{Charge, WasIn},
    roles::Act,
};

use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Change, Diff, Result, Store, StoreError, Subject, access, clock, groups, keys, receipts};

/// Who would lead a group if one of its leads did not any more.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Others {
    /// Nobody, and so it does not come to that.
    None,
    /// Some, and every one of them only until a day.
    ForATime,
    /// Somebody; or they do not lead it.
    Enough,
}

/// Who leads this group beside a person and can act. Whoever has not joined counts beside somebody who has
/// not either; whoever leads until a day counts beside somebody who does, too, or as long as the group lasts.
async fn others(
    db: &mut PgConnection,
    org: OrgId,
    group: GroupId,
    user: UserId,
    at: DateTime<Utc>,
) -> Result<Others> {
    let leads = sqlx::query!(
        r#"select m.user_id,
                  m.ends_at is null or ((m.ends_at - interval '1 second') at time zone o.time_zone)::date >= g.ends_on as lasts
           from memberships m join users u on u.org_id = m.org_id and u.user_id = m.user_id
           join groups g on g.org_id = m.org_id and g.group_id = m.group_id
           join organizations o on o.org_id = m.org_id
           where m.org_id = $1 and m.group_id = $2 and m.standing = 'lead' and m.ended_at is null
             and (m.ends_at is null or m.ends_at > $4) and g.archived_at is null
             and (m.user_id = $3
                  or (u.suspended_at is null and u.removed_at is null
                      and (u.account_id is not null
                           or exists (select from users me where me.org_id = $1 and me.user_id = $3 and me.account_id is null))))"#,
        org.0,
        group.0,
        user.0,
        at,
    )
    .fetch_all(db)
    .await?;
    let Some(me) = leads.iter().find(|row| row.user_id == user.0) else { return Ok(Others::Enough) };
    let beside = leads.iter().filter(|row| row.user_id != user.0);
    let beside: Vec<bool> = beside.map(|row| row.lasts.unwrap_or_default()).collect();
    let lasts = me.lasts.unwrap_or_default();
    Ok(match beside.as_slice() {
        [] => Others::None,
        beside if !lasts || beside.contains(&true) => Others::Enough,
        _ => Others::ForATime,
    })
}

/// Who leads a group does not leave it without somebody: that is for people, who can name one. What
/// a file or an identity provider says is what it says.
pub(crate) async fn another(change: &mut Change, group: GroupId, user: UserId) -> Result<()> {
    if !matches!(change.permit().actor().door, Door::Console | Door::Api) {
        return Ok(());
    }
    let (org, at) = (change.org(), change.at());
    let others = others(change.db(), org, group, user, at).await?;
    if others == Others::Enough {
        return Ok(());
    }
    let (group, user) = groups::pair_names(change, group, user).await?;
    let last = if others == Others::None { "the last lead" } else { "the only lead without a last day" };
    let sentence = format!("{user} is {last} of {group}. Hand the group over to somebody first.");
    Err(StoreError::invalid("user", sentence))
}

/// Makes somebody a lead of a group, whatever they were in it before, which it returns. For whoever has
/// asked.
pub(crate) async fn succeed(change: &mut Change, group: GroupId, heir: UserId) -> Result<WasIn> {
    let (_, name) = groups::pair_names(change, group, heir).await?;
    let was = succeed_all(change, &[(group, (heir, name))]).await?;
    was.get(&group).copied().ok_or(StoreError::NotFound)
}

/// The same of many groups, each of which comes to somebody who is there: what those were in them before.
pub(crate) async fn succeed_all(
    change: &mut Change,
    list: &[(GroupId, (UserId, String))],
) -> Result<HashMap<GroupId, WasIn>> {
    if list.is_empty() {
        return Ok(HashMap::new());
    }
    let (org, at) = (change.org(), change.at());
    let ids: Vec<Uuid> = list.iter().map(|(group, _)| group.0).collect();
    let heirs: Vec<Uuid> = list.iter().map(|(_, (heir, _))| heir.0).collect();
    let rows = sqlx::query!(
        "select m.group_id, m.membership_id, m.standing, m.ends_at
         from unnest($2::uuid[], $3::uuid[]) as k (group_id, user_id)
         join memberships m on m.org_id = $1 and m.group_id = k.group_id and m.user_id = k.user_id and m.ended_at is null",
        org.0,
        &ids,
        &heirs,
    )
    .fetch_all(change.db())
    .await?;
    let lapsed = |ends_at: Option<DateTime<Utc>>| ends_at.is_some_and(|end| end <= at);
    let mut all = HashMap::new();
    let (mut raised, mut over) = (Vec::new(), Vec::new());
    for row in rows {
        // Whose last day has come joins anew.
        if lapsed(row.ends_at) {
            over.push(row.membership_id);
            continue;
        }
        let led = row.standing == Standing::Lead.as_str();
        let was = if led { WasIn::Lead } else { WasIn::Member { until: row.ends_at } };
        if was != WasIn::Lead {
            raised.push(row.membership_id);
        }
        all.insert(GroupId(row.group_id), was);
    }
    // What earlier memberships left behind does not come to life with these.
    let mut users: Vec<UserId> = list.iter().map(|(_, (heir, _))| *heir).collect();
    users.sort_unstable();
    users.dedup();
    keys::revoke_orphans(change, &users).await?;
    groups::close_lapsed(change, &over).await?;
    // A lead by succession stays: an end that was set for a member is none for them.
    sqlx::query!(
        "update memberships set standing = 'lead', ends_at = null where org_id = $1 and membership_id = any ($2)",
        org.0,
        &raised,
    )
    .execute(change.db())
    .await?;
    let new: Vec<&(GroupId, (UserId, String))> =
        list.iter().filter(|(group, _)| !all.contains_key(group)).collect();
    sqlx::query!(
        "insert into memberships (org_id, membership_id, group_id, user_id, standing, source, started_at)
         select $1, k.membership_id, k.group_id, k.user_id, 'lead', 'manual', $2
         from unnest($3::uuid[], $4::uuid[], $5::uuid[]) as k (membership_id, group_id, user_id)",
        org.0,
        at,
        &new.iter().map(|_| clock::id::<MembershipId>().0).collect::<Vec<_>>(),
        &new.iter().map(|(group, _)| group.0).collect::<Vec<_>>(),
        &new.iter().map(|(_, (heir, _))| heir.0).collect::<Vec<_>>(),
    )
    .execute(change.db())
    .await?;
    let names = groups::read_names(change.db(), org, &ids).await?;
    let mut lines = Vec::new();
    for (group, (heir, name)) in list {
        let group_name = names.get(group).map_or("", String::as_str);
        let subject = Subject { kind: "membership", id: heir.0, name };
        match all.get(group) {
            Some(WasIn::Lead) => {}
            Some(_) => {
                let diff = Diff::new()
                    .field("standing", Some(Standing::Member), Some(Standing::Lead))
                    .set("group", group_name);
                lines.push((subject, "edit", diff));
            }
            None => {
                let diff = Diff::new()
                    .set("group", group_name)
                    .set("standing", Standing::Lead)
                    .set("source", Source::Manual);
                lines.push((subject, "start", diff));
            }
        }
    }
    change.record_all(lines.into_iter()).await?;
    Ok(list.iter().map(|(group, _)| (*group, all.get(group).copied().unwrap_or(WasIn::Outside))).collect())
}

/// A group, whoever led it in another's place, and what they were in it before.
pub(crate) type Stepping = (GroupId, UserId, WasIn);

/// Makes those who led groups in another's place what they were in them before; each group once. Who does not
/// lead it any more, has got an end since, or is the only one who leads it, stays what they are. Returns in
/// which groups somebody stepped back, and who.
pub(crate) async fn step_back_all(change: &mut Change, list: &[Stepping]) -> Result<Vec<(GroupId, UserId)>> {
    let (org, at) = (change.org(), change.at());
    let was: HashMap<GroupId, WasIn> = list.iter().map(|(group, _, was)| (*group, *was)).collect();
    let rows = sqlx::query!(
        // Whoever led it before leads it again, joined or not.
        "select m.group_id, m.user_id, m.membership_id, g.name as group_name, me.name
         from unnest($2::uuid[], $3::uuid[]) as k (group_id, user_id)
         join memberships m on m.org_id = $1 and m.group_id = k.group_id and m.user_id = k.user_id
         join groups g on g.org_id = m.org_id and g.group_id = m.group_id
         join users me on me.org_id = m.org_id and me.user_id = m.user_id
         where m.ended_at is null and m.standing = 'lead' and m.ends_at is null and g.archived_at is null
           and exists (select from memberships o join users u on u.org_id = o.org_id and u.user_id = o.user_id
                       where o.org_id = $1 and o.group_id = m.group_id and o.user_id <> m.user_id and o.standing = 'lead'
                         and o.ended_at is null and (o.ends_at is null or o.ends_at > $4)
                         and u.suspended_at is null and u.removed_at is null)",
        org.0,
        &list.iter().map(|(group, ..)| group.0).collect::<Vec<_>>(),
        &list.iter().map(|(_, heir, _)| heir.0).collect::<Vec<_>>(),
        at,
    )
    .fetch_all(change.db())
    .await?;
    let (mut leaving, mut members, mut stepped) = (Vec::new(), Vec::new(), Vec::new());
    for row in &rows {
        let group = GroupId(row.group_id);
        let until = match was.get(&group) {
            None | Some(WasIn::Lead) => continue,
            Some(WasIn::Outside) => Some(at),
            Some(WasIn::Member { until }) => *until,
        };
        stepped.push((group, UserId(row.user_id)));
        if until.is_some_and(|end| end <= at) {
            leaving.push(groups::Leaving {
                user: row.user_id.into(),
                name: &row.name,
                group,
                group_name: &row.group_name,
            });
        } else {
            members.push((row, until));
        }
    }
    groups::end_all(change, &leaving).await?;
    sqlx::query!(
        "update memberships m set standing = 'member', ends_at = k.ends_at
         from unnest($2::uuid[], $3::timestamptz[]) as k (membership_id, ends_at)
         where m.org_id = $1 and m.membership_id = k.membership_id",
        org.0,
        &members.iter().map(|(row, _)| row.membership_id).collect::<Vec<_>>(),
        &members.iter().map(|(_, until)| *until).collect::<Vec<_>>() as &[Option<DateTime<Utc>>],
    )
    .execute(change.db())
    .await?;
    let lines = members.iter().map(|(row, _)| {
        let diff = Diff::new()
            .field("standing", Some(Standing::Lead), Some(Standing::Member))
            .set("group", &row.group_name);
        (Subject { kind: "membership", id: row.user_id, name: &row.name }, "edit", diff)
    });
    change.record_all(lines).await?;
    Ok(stepped)
}

/// What becomes of those between whom a group is handed over, where it is said.
#[derive(Clone, Copy, Debug, Default)]
pub struct After {
    /// Whoever hands over goes on as a member.
    pub stays: bool,
    /// When whoever hands over leaves by themself, as it was before a hand-over that is taken back.
    pub member_until: Option<DateTime<Utc>>,
    /// The same of whoever leads from then on.
    pub lead_until: Option<DateTime<Utc>>,
}

/// Hands a group from one of its leads to somebody else: by a permit to say who leads it, or by the
/// lead themself, to somebody of the group. Whoever hands over stays a member, or leaves. Until when each
/// of them is in it is said only by a permit to say who leads it.
///
/// # Errors
/// [`StoreError::NotFound`] when they are not in it, or it is somebody else's lead without a permit;
/// [`StoreError::Meanwhile`] when they do not lead it (any more);
/// [`StoreError::Invalid`] when the other is suspended, has not joined, or is not of the group.
pub async fn hand_over(
    change: &mut Change,
    group: GroupId,
    from: UserId,
    to: UserId,
    after: After,
) -> Result<()> {
    let (org, at) = (change.org(), change.at());
    let own = change.permit().act() == Act::UseOwn;
    if own && change.permit().actor().user != Some(from) {
        return Err(StoreError::NotFound);
    }
    if !own {
        change.expect(Act::EditLeads, Some(group))?;
    }
    let last = sqlx::query!(
        r#"select standing, ended_at is not null or coalesce(ends_at <= $4, false) as "over!" from memberships
           where org_id = $1 and group_id = $2 and user_id = $3 order by ended_at desc nulls first limit 1"#,
        org.0,
        group.0,
        from.0,
        at,
    )
    .fetch_one(change.db())
    .await?;
    if last.over || last.standing != Standing::Lead.as_str() {
        return Err(meanwhile(change, group, from).await?);
    }
    let name = receipts::successor(change, "user", from, to).await?;
    let facts = access::read(change.db(), org).await?;
    let inside = facts.users.get(&to).is_some_and(|user| domain::access::belongs(&facts, user, group, at));
    if own && !inside {
        let sentence = format!("{name} is not in this group. Add them first, or ask an admin.");
        return Err(StoreError::invalid("user", sentence));
    }
    let after = if own { After { stays: after.stays, ..After::default() } } else { after };
    groups::by_people_yet_to_come(change, after.member_until)?;
    groups::by_people_yet_to_come(change, after.lead_until)?;
    let was = succeed(change, group, to).await?;
    if let Some(until) = after.lead_until.filter(|_| was != WasIn::Lead) {
        ends(change, group, to, until).await?;
    }
    if was != WasIn::Lead {
        let (group_name, _) = groups::pair_names(change, group, to).await?;
        receipts::tell_heir(change, to, &group_name, receipts::charge_href(Charge::Group(group))).await?;
    }
    if !after.stays {
        return groups::end(change, group, from).await;
    }
    sqlx::query!(
        "update memberships set standing = 'member', ends_at = coalesce($4, ends_at)
         where org_id = $1 and group_id = $2 and user_id = $3 and ended_at is null",
        org.0,
        group.0,
        from.0,
        after.member_until,
    )
    .execute(change.db())
    .await?;
    let (group_name, user_name) = groups::pair_names(change, group, from).await?;
    let diff = Diff::new()
        .field("standing", Some(Standing::Lead), Some(Standing::Member))
        .set("group", group_name)
        .set("handed to", name)
        .field("ends_at", None::<String>, after.member_until.map(|end| end.to_rfc3339()));
    change.record(Subject { kind: "membership", id: from.0, name: &user_name }, "edit", &diff).await
}

/// Gives a membership that has none its end.
async fn ends(change: &mut Change, group: GroupId, user: UserId, until: DateTime<Utc>) -> Result<()> {
    let org = change.org();
    sqlx::query!(
        "update memberships set ends_at = $4 where org_id = $1 and group_id = $2 and user_id = $3 and ended_at is null",
        org.0,
        group.0,
        user.0,
        until,
    )
    .execute(change.db())
    .await?;
    let (group_name, name) = groups::pair_names(change, group, user).await?;
    let diff =
        Diff::new().field("ends_at", None::<String>, Some(until.to_rfc3339())).set("group", group_name);
    change.record(Subject { kind: "membership", id: user.0, name: &name }, "edit", &diff).await
}

/// Somebody who was in the group does not lead it: who does now.
async fn meanwhile(change: &mut Change, group: GroupId, from: UserId) -> Result<StoreError> {
    let (org, at) = (change.org(), change.at());
    let now = sqlx::query_scalar!(
        "select u.name from memberships m join users u on u.org_id = m.org_id and u.user_id = m.user_id
         where m.org_id = $1 and m.group_id = $2 and m.standing = 'lead' and m.ended_at is null
           and (m.ends_at is null or m.ends_at > $3) order by lower(u.name) limit 5",
        org.0,
        group.0,
        at
    )
    .fetch_all(change.db())
    .await?;
    let (group, from) = groups::pair_names(change, group, from).await?;
    let now = if now.is_empty() { "nobody".to_owned() } else { now.join(", ") };
    Ok(StoreError::Meanwhile(format!(
        "{from} does not lead {group} (any more): {now} leads it now. Nothing was changed."
    )))
}

/// How many people lead a group.
///
/// # Errors
/// When the database does not answer.
pub async fn count(store: &Store, org: OrgId) -> Result<i64> {
    let count = sqlx::query_scalar!(
        r#"select count(distinct m.user_id) as "count!" from memberships m
           join users u on u.org_id = m.org_id and u.user_id = m.user_id
           where m.org_id = $1 and m.standing = 'lead' and m.ended_at is null and (m.ends_at is null or m.ends_at > $2)
             and u.removed_at is null"#,
        org.0,
        clock::now()
    );
    Ok(count.fetch_one(store.pool()).await?)
}
