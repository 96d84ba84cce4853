//! Who leads a group, and how that is handed on: a group that was led does not lose its last lead.

use chrono::{DateTime, Utc};
use domain::{
    audit::Door,
    groups::{Source, Standing},
    ids::{GroupId, OrgId, UserId},
    receipts::WasIn,
    roles::Act,
};

use sqlx::PgConnection;

use crate::{Change, Diff, Result, Store, StoreError, Subject, access, clock, groups, keys, receipts};

/// Groups that a person leads and nobody else who can act.
pub(crate) async fn alone(
    db: &mut PgConnection,
    org: OrgId,
    user: UserId,
    at: DateTime<Utc>,
) -> Result<Vec<GroupId>> {
    let ids = sqlx::query_scalar!(
        "select m.group_id from memberships m
         join groups g on g.org_id = m.org_id and g.group_id = m.group_id
         where m.org_id = $1 and m.user_id = $2 and m.standing = 'lead' and m.ended_at is null and g.archived_at is null
           and (m.ends_at is null or m.ends_at > $3)
           and not exists (select from memberships o join users u on u.org_id = o.org_id and u.user_id = o.user_id
                           -- Whoever has not joined counts only where this one has not either.
                           where o.org_id = $1 and o.group_id = m.group_id and o.user_id <> $2 and o.standing = 'lead'
                             and o.ended_at is null and (o.ends_at is null or o.ends_at > $3)
                             and u.suspended_at is null and u.removed_at is null
                             and (u.account_id is not null
                                  or exists (select from users me where me.org_id = $1 and me.user_id = $2 and me.account_id is null)))
         order by lower(g.name)",
        org.0,
        user.0,
        at,
    )
    .fetch_all(db)
    .await?;
    Ok(ids.into_iter().map(GroupId).collect())
}

/// Which others count as leads beside somebody.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Others {
    /// Who can act; whoever has not joined only beside somebody who has not either.
    Acting,
    /// Who is not kept out.
    Named,
}

/// Whether a person leads this group and nobody else does.
async fn is_alone(
    db: &mut PgConnection,
    org: OrgId,
    group: GroupId,
    user: UserId,
    others: Others,
    at: DateTime<Utc>,
) -> Result<bool> {
    let leads = sqlx::query_scalar!(
        "select m.user_id from memberships m join users u on u.org_id = m.org_id and u.user_id = m.user_id
         join groups g on g.org_id = m.org_id and g.group_id = m.group_id
         where m.org_id = $1 and m.group_id = $2 and m.standing = 'lead' and m.ended_at is null
           and (m.ends_at is null or m.ends_at > $4) and g.archived_at is null
           and (m.user_id = $3
                or (u.suspended_at is null and u.removed_at is null
                    and (u.account_id is not null or $5
                         or exists (select from users me where me.org_id = $1 and me.user_id = $3 and me.account_id is null))))",
        org.0,
        group.0,
        user.0,
        at,
        others == Others::Named,
    )
    .fetch_all(db)
    .await?;
    Ok(leads == [user.0])
}

/// Who leads a group does not leave it without somebody: that is for people, who can name one. What
/// a file or an identity provider says is what it says.
pub(crate) async fn another(change: &mut Change, group: GroupId, user: UserId) -> Result<()> {
    if !matches!(change.permit().actor().door, Door::Console | Door::Api) {
        return Ok(());
    }
    let (org, at) = (change.org(), change.at());
    if !is_alone(change.db(), org, group, user, Others::Acting, at).await? {
        return Ok(());
    }
    let (group, user) = groups::pair_names(change, group, user).await?;
    let sentence = format!("{user} is the last lead of {group}. Hand the group over to somebody first.");
    Err(StoreError::invalid("user", sentence))
}

/// Makes somebody a lead of a group, whatever they were in it before, which it returns. For whoever has
/// asked.
pub(crate) async fn succeed(change: &mut Change, group: GroupId, heir: UserId) -> Result<WasIn> {
    let org = change.org();
    let known = sqlx::query!(
        "select membership_id, standing, ends_at from memberships
         where org_id = $1 and group_id = $2 and user_id = $3 and ended_at is null",
        org.0,
        group.0,
        heir.0
    )
    .fetch_optional(change.db())
    .await?;
    let Some(known) = known else {
        groups::join(change, group, heir, Standing::Lead, Source::Manual, None).await?;
        return Ok(WasIn::Outside);
    };
    let at = change.at();
    let lapsed = known.ends_at.is_some_and(|end| end <= at);
    if lapsed {
        keys::revoke_orphans(change, &[heir]).await?;
    }
    if known.standing == Standing::Lead.as_str() && !lapsed {
        return Ok(WasIn::Lead);
    }
    // A lead by succession stays: an end that was set for a member is none for them.
    sqlx::query!(
        "update memberships set standing = 'lead', ends_at = null where org_id = $1 and membership_id = $2",
        org.0,
        known.membership_id,
    )
    .execute(change.db())
    .await?;
    let (group_name, name) = groups::pair_names(change, group, heir).await?;
    let diff =
        Diff::new().field("standing", Some(Standing::Member), Some(Standing::Lead)).set("group", group_name);
    change.record(Subject { kind: "membership", id: heir.0, name: &name }, "edit", &diff).await?;
    Ok(if lapsed { WasIn::Outside } else { WasIn::Member { until: known.ends_at } })
}

/// Makes somebody who led a group in another's place what they were in it before. Who does not lead it any
/// more, has got an end since, or is the only one who leads it, stays what they are.
pub(crate) async fn step_back(change: &mut Change, group: GroupId, heir: UserId, was: WasIn) -> Result<()> {
    let (org, at) = (change.org(), change.at());
    let until = match was {
        WasIn::Lead => return Ok(()),
        WasIn::Outside => Some(at),
        WasIn::Member { until } => until,
    };
    let leads = sqlx::query_scalar!(
        "select membership_id from memberships
         where org_id = $1 and group_id = $2 and user_id = $3 and ended_at is null and standing = 'lead' and ends_at is null",
        org.0,
        group.0,
        heir.0
    )
    .fetch_optional(change.db())
    .await?;
    let Some(membership) = leads else { return Ok(()) };
    // Whoever led it before leads it again, joined or not.
    if is_alone(change.db(), org, group, heir, Others::Named, at).await? {
        return Ok(());
    }
    if until.is_some_and(|end| end <= at) {
        return groups::end(change, group, heir).await;
    }
    sqlx::query!(
        "update memberships set standing = 'member', ends_at = $3 where org_id = $1 and membership_id = $2",
        org.0,
        membership,
        until,
    )
    .execute(change.db())
    .await?;
    let (group_name, name) = groups::pair_names(change, group, heir).await?;
    let diff =
        Diff::new().field("standing", Some(Standing::Lead), Some(Standing::Member)).set("group", group_name);
    change.record(Subject { kind: "membership", id: heir.0, name: &name }, "edit", &diff).await
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
