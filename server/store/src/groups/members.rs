//! Who belongs to a group, and who leads it.

use chrono::{DateTime, NaiveDate, Utc};
use domain::{
    audit::Door,
    groups::{Source, Standing},
    ids::{GroupId, MembershipId, OrgId, UserId},
    roles::Act,
};
use uuid::Uuid;

use super::{Leaving, end_all, takes_in};
use crate::{Change, Diff, Result, Store, StoreError, Subject, clock, keys, leads, organizations};

/// Somebody in a group.
#[derive(Clone, Debug)]
pub struct Membership {
    /// Which group.
    pub group: GroupId,
    /// Who.
    pub user: UserId,
    /// Lead or member.
    pub standing: Standing,
    /// Where it comes from.
    pub source: Source,
    /// When it ends by itself.
    pub ends_at: Option<DateTime<Utc>>,
}

/// Every membership that lasts.
///
/// # Errors
/// When the database does not answer.
pub async fn memberships(store: &Store, org: OrgId) -> Result<Vec<Membership>> {
    let rows = sqlx::query!(
        "select m.group_id, m.user_id, m.standing, m.source, m.ends_at from memberships m
         where m.org_id = $1 and m.ended_at is null and (m.ends_at is null or m.ends_at > $2)",
        org.0,
        clock::now(),
    )
    .fetch_all(store.pool())
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Membership {
                group: row.group_id.into(),
                user: row.user_id.into(),
                standing: row.standing.parse()?,
                source: row.source.parse()?,
                ends_at: row.ends_at,
            })
        })
        .collect()
}

/// Puts a person into a group, or changes what they are in it and until when.
///
/// # Errors
/// [`StoreError::NotFound`] when either is not in the organization; [`StoreError::Invalid`] about
/// `ends_on` for a last day that has passed.
pub async fn set_member(
    change: &mut Change,
    group: GroupId,
    user: UserId,
    standing: Standing,
    ends_at: Option<DateTime<Utc>>,
) -> Result<()> {
    let org = change.org();
    let known = sqlx::query!(
        "select membership_id, standing, source, ends_at from memberships
         where org_id = $1 and group_id = $2 and user_id = $3 and ended_at is null",
        org.0,
        group.0,
        user.0
    )
    .fetch_optional(change.db())
    .await?;
    let at = change.at();
    // Whose last day has come is nothing in it any more, until somebody puts them there again.
    let lapsed = known.as_ref().is_some_and(|row| row.ends_at.is_some_and(|end| end <= at));
    let was_lead = !lapsed && known.as_ref().is_some_and(|row| row.standing == Standing::Lead.as_str());
    let act = if standing == Standing::Lead || was_lead { Act::EditLeads } else { Act::EditMembers };
    change.expect(act, Some(group))?;
    if lapsed || known.as_ref().is_none_or(|known| known.ends_at != ends_at) {
        by_people_yet_to_come(change, ends_at)?;
    }
    let Some(known) = known else {
        return join(change, group, user, standing, Source::Manual, ends_at).await;
    };
    let (group_name, user_name) = pair_names(change, group, user).await?;
    // Whoever is put there again joins anew: that they were in it before, and until when, stays as it was.
    if lapsed && ends_at.is_none_or(|end| at < end) {
        by_hand(change, known.source.parse()?, &user_name)?;
        close_lapsed(change, &[known.membership_id]).await?;
        return join(change, group, user, standing, Source::Manual, ends_at).await;
    }
    let diff = Diff::new().field("standing", Some(known.standing), Some(standing)).field(
        "ends_at",
        known.ends_at.map(|at| at.to_rfc3339()),
        ends_at.map(|at| at.to_rfc3339()),
    );
    if diff.is_empty() {
        return Ok(());
    }
    by_hand(change, known.source.parse()?, &user_name)?;
    // A last day is a leave, too.
    let leaves = standing == Standing::Member || (ends_at.is_some() && known.ends_at.is_none());
    if was_lead && leaves {
        leads::another(change, group, user).await?;
    }
    sqlx::query!(
        "update memberships set standing = $3, ends_at = $4 where org_id = $1 and membership_id = $2",
        org.0,
        known.membership_id,
        standing.as_str(),
        ends_at,
    )
    .execute(change.db())
    .await?;
    let diff = diff.set("group", &group_name);
    change.record(Subject { kind: "membership", id: user.0, name: &user_name }, "edit", &diff).await
}

/// Ends memberships whose last day has come, as of then.
pub(crate) async fn close_lapsed(change: &mut Change, ids: &[Uuid]) -> Result<()> {
    let org = change.org();
    sqlx::query!(
        "update memberships set ended_at = ends_at where org_id = $1 and membership_id = any ($2) and ended_at is null",
        org.0,
        ids,
    )
    .execute(change.db())
    .await?;
    Ok(())
}

/// A last day that people set is today or later. What a file says may have come to pass since it was
/// written.
pub(crate) fn by_people_yet_to_come(change: &Change, ends_at: Option<DateTime<Utc>>) -> Result<()> {
    let hand = matches!(change.permit().actor().door, Door::Console | Door::Api);
    if hand { keys::yet_to_come(ends_at, change.at()) } else { Ok(()) }
}

/// The same of the last day of a group.
pub(super) async fn day_yet_to_come(change: &mut Change, ends_on: Option<NaiveDate>) -> Result<()> {
    let Some(last) = ends_on else { return Ok(()) };
    let org = change.org();
    let organization = organizations::read(change.db(), org).await?;
    let calendar = organizations::calendar_of(&organization)?;
    let end = last.succ_opt().map(|day| calendar.midnight(day));
    by_people_yet_to_come(change, end)
}

/// What an identity provider put there is changed by it alone: at its next look it would undo people.
/// What a file says is for whoever reads it.
pub(crate) fn by_hand(change: &Change, source: Source, user: &str) -> Result<()> {
    let hand = matches!(change.permit().actor().door, Door::Console | Door::Api);
    if !hand || !matches!(source, Source::Scim | Source::Oidc) {
        return Ok(());
    }
    let sentence = format!("The identity provider put {user} there: change it there, and it changes here.");
    Err(StoreError::invalid("user", sentence))
}

/// Names of a group and a person of the organization, both still there.
pub(crate) async fn pair_names(
    change: &mut Change,
    group: GroupId,
    user: UserId,
) -> Result<(String, String)> {
    let org = change.org();
    let row = sqlx::query!(
        "select g.name as group_name, u.name as user_name from groups g join users u on u.org_id = g.org_id
         where g.org_id = $1 and g.group_id = $2 and u.user_id = $3 and g.archived_at is null and u.removed_at is null",
        org.0,
        group.0,
        user.0
    )
    .fetch_one(change.db())
    .await?;
    Ok((row.group_name, row.user_name))
}

pub(crate) async fn join(
    change: &mut Change,
    group: GroupId,
    user: UserId,
    standing: Standing,
    source: Source,
    ends_at: Option<DateTime<Utc>>,
) -> Result<()> {
    let (group_name, user_name) = pair_names(change, group, user).await?;
    takes_in(change, group, "user").await?;
    // What an earlier membership left behind does not come to life with this one.
    keys::revoke_orphans(change, &[user]).await?;
    let (org, at) = (change.org(), change.at());
    let membership: MembershipId = clock::id();
    sqlx::query!(
        "insert into memberships (org_id, membership_id, group_id, user_id, standing, source, started_at, ends_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
        org.0,
        membership.0,
        group.0,
        user.0,
        standing.as_str(),
        source.as_str(),
        at,
        ends_at,
    )
    .execute(change.db())
    .await?;
    let diff = Diff::new().set("group", &group_name).set("standing", standing).set("source", source).field(
        "ends_at",
        None::<String>,
        ends_at.map(|at| at.to_rfc3339()),
    );
    change.record(Subject { kind: "membership", id: user.0, name: &user_name }, "start", &diff).await
}

/// What a person is in a group, and until when; none when they are not in it directly.
///
/// # Errors
/// When the database does not answer.
pub async fn standing(
    change: &mut Change,
    group: GroupId,
    user: UserId,
) -> Result<Option<(Standing, Option<DateTime<Utc>>)>> {
    let (org, at) = (change.org(), change.at());
    let row = sqlx::query!(
        "select standing, ends_at from memberships
         where org_id = $1 and group_id = $2 and user_id = $3 and ended_at is null and (ends_at is null or ends_at > $4)",
        org.0,
        group.0,
        user.0,
        at,
    )
    .fetch_optional(change.db())
    .await?;
    row.map(|row| Ok((row.standing.parse()?, row.ends_at))).transpose()
}

/// Takes a person out of a group. Member secrets they had through it die with it.
///
/// # Errors
/// [`StoreError::NotFound`] when they are not in it; [`StoreError::Invalid`] when nobody would be left
/// who leads it.
pub async fn remove_member(change: &mut Change, group: GroupId, user: UserId) -> Result<()> {
    let org = change.org();
    let known = sqlx::query!(
        "select m.standing, m.source, m.ends_at, u.name from memberships m join users u on u.org_id = m.org_id and u.user_id = m.user_id
         where m.org_id = $1 and m.group_id = $2 and m.user_id = $3 and m.ended_at is null",
        org.0,
        group.0,
        user.0
    )
    .fetch_one(change.db())
    .await?;
    let lapsed = known.ends_at.is_some_and(|end| end <= change.at());
    let act =
        if known.standing == Standing::Lead.as_str() && !lapsed { Act::EditLeads } else { Act::EditMembers };
    change.expect(act, Some(group))?;
    by_hand(change, known.source.parse()?, &known.name)?;
    if act == Act::EditLeads {
        leads::another(change, group, user).await?;
    }
    end(change, group, user).await
}

/// Ends a membership, for whoever has asked for a permit, and the secrets that nothing else carries.
pub(crate) async fn end(change: &mut Change, group: GroupId, user: UserId) -> Result<()> {
    let org = change.org();
    let names = sqlx::query!(
        "select g.name as group_name, u.name as user_name from groups g join users u on u.org_id = g.org_id
         where g.org_id = $1 and g.group_id = $2 and u.user_id = $3",
        org.0,
        group.0,
        user.0
    )
    .fetch_one(change.db())
    .await?;
    let leaving = Leaving { user, name: &names.user_name, group, group_name: &names.group_name };
    end_all(change, &[leaving]).await
}

/// Whether a person leads this very group.
///
/// # Errors
/// When the database does not answer.
pub async fn leads(store: &Store, org: OrgId, group: GroupId, user: UserId) -> Result<bool> {
    let leads = sqlx::query_scalar!(
        r#"select exists (select from memberships where org_id = $1 and group_id = $2 and user_id = $3 and standing = 'lead'
                          and ended_at is null and (ends_at is null or ends_at > $4)) as "leads!""#,
        org.0,
        group.0,
        user.0,
        clock::now(),
    );
    Ok(leads.fetch_one(store.pool()).await?)
}
