//! Many people into groups and out of them, in as many statements as for one.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use domain::{
    groups::{Source, Standing},
    ids::{GroupId, MembershipId, UserId},
};
use uuid::Uuid;

use crate::{Change, Diff, Result, StoreError, Subject, clock, keys};

/// Somebody who becomes a member of a group they are not in.
pub(crate) struct Joining<'a> {
    /// Who.
    pub user: UserId,
    /// What they are called, for the log.
    pub name: &'a str,
    /// Which group.
    pub group: GroupId,
    /// What it is called.
    pub group_name: &'a str,
    /// Who puts them there.
    pub source: Source,
    /// Until when.
    pub ends_at: Option<DateTime<Utc>>,
}

/// Somebody who leaves a group.
pub(crate) struct Leaving<'a> {
    /// Who.
    pub user: UserId,
    /// What they are called, for the log.
    pub name: &'a str,
    /// Which group.
    pub group: GroupId,
    /// What it is called.
    pub group_name: &'a str,
}

/// Puts them in, for whoever has asked for a permit.
///
/// # Errors
/// [`StoreError::NotFound`] when a group is not there, or not open any more.
pub(crate) async fn join_all(change: &mut Change, list: &[Joining<'_>]) -> Result<()> {
    if list.is_empty() {
        return Ok(());
    }
    let (org, at) = (change.org(), change.at());
    let groups: HashSet<Uuid> = list.iter().map(|one| one.group.0).collect();
    let groups: Vec<Uuid> = groups.into_iter().collect();
    let open = sqlx::query_scalar!(
        r#"select count(*) as "count!" from groups where org_id = $1 and group_id = any ($2) and archived_at is null"#,
        org.0,
        &groups
    )
    .fetch_one(change.db())
    .await?;
    if usize::try_from(open) != Ok(groups.len()) {
        return Err(StoreError::NotFound);
    }
    // What earlier memberships left behind does not come to life with these.
    let mut users: Vec<UserId> = list.iter().map(|one| one.user).collect();
    users.sort_unstable();
    users.dedup();
    keys::revoke_orphans(change, &users).await?;
    sqlx::query!(
        "insert into memberships (org_id, membership_id, group_id, user_id, standing, source, started_at, ends_at)
         select $1, k.membership_id, k.group_id, k.user_id, 'member', k.source, $2, k.ends_at
         from unnest($3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::timestamptz[])
                  as k (membership_id, group_id, user_id, source, ends_at)",
        org.0,
        at,
        &list.iter().map(|_| clock::id::<MembershipId>().0).collect::<Vec<_>>(),
        &list.iter().map(|one| one.group.0).collect::<Vec<_>>(),
        &list.iter().map(|one| one.user.0).collect::<Vec<_>>(),
        &list.iter().map(|one| one.source.as_str().to_owned()).collect::<Vec<_>>(),
        &list.iter().map(|one| one.ends_at).collect::<Vec<_>>() as &[Option<DateTime<Utc>>],
    )
    .execute(change.db())
    .await?;
    let lines = list.iter().map(|one| {
        let diff = Diff::new()
            .set("group", one.group_name)
            .set("standing", Standing::Member)
            .set("source", one.source)
            .field("ends_at", None::<String>, one.ends_at.map(|at| at.to_rfc3339()));
        (Subject { kind: "membership", id: one.user.0, name: one.name }, "start", diff)
    });
    change.record_all(lines).await
}

/// Takes them out, for whoever has asked for a permit, and ends the secrets that nothing else carries.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn end_all(change: &mut Change, list: &[Leaving<'_>]) -> Result<()> {
    if list.is_empty() {
        return Ok(());
    }
    let (org, at) = (change.org(), change.at());
    sqlx::query!(
        "update memberships m set ended_at = $2
         from unnest($3::uuid[], $4::uuid[]) as k (group_id, user_id)
         where m.org_id = $1 and m.group_id = k.group_id and m.user_id = k.user_id and m.ended_at is null",
        org.0,
        at,
        &list.iter().map(|one| one.group.0).collect::<Vec<_>>(),
        &list.iter().map(|one| one.user.0).collect::<Vec<_>>(),
    )
    .execute(change.db())
    .await?;
    let users: Vec<UserId> = list.iter().map(|one| one.user).collect();
    let mut dead = keys::revoke_orphans(change, &users).await?;
    let lines: Vec<_> = list
        .iter()
        .map(|one| {
            let mut diff = Diff::new().field("group", Some(one.group_name), None::<String>);
            // Who leaves several at once: it stands with the first.
            if let Some(dead) = dead.remove(&one.user) {
                diff = diff.set("secrets revoked", dead.join(", "));
            }
            (Subject { kind: "membership", id: one.user.0, name: one.name }, "end", diff)
        })
        .collect();
    change.record_all(lines.into_iter()).await
}
