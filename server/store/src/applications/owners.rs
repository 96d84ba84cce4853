//! Who owns an application: handed over, given away with many others.

use domain::{
    ids::{ApplicationId, GroupId, OrgId, UserId},
    receipts::Charge,
    roles::Act,
};

use uuid::Uuid;

use super::read;
use crate::{Change, Diff, Result, Store, StoreError, Subject, clock, receipts};

/// Says who answers for an application from now on: by a permit to edit it, or by its owner, who
/// hands it over.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not in the organization, or, without a permit to edit it, not
/// one's own; [`StoreError::Invalid`] when the other is suspended; [`StoreError::Meanwhile`] when it
/// is no longer `from` who answers for it.
pub async fn hand_over(
    change: &mut Change,
    id: ApplicationId,
    from: Option<UserId>,
    to: UserId,
) -> Result<()> {
    let org = change.org();
    let before = read(change.db(), org, id).await?;
    let me = change.permit().actor().user;
    let owner = before.owner.as_ref().map(|(owner, _)| *owner);
    if change.permit().act() == Act::UseOwn {
        if owner.is_none() || owner != me {
            return Err(StoreError::NotFound);
        }
    } else {
        change.expect(Act::EditApplications, before.path.last().map(|(group, _)| *group))?;
    }
    if before.archived_at.is_some() {
        return Err(StoreError::NotFound);
    }
    if before.personal.is_some() {
        return Err(StoreError::invalid(
            "user",
            "A private context belongs to its person; it is not handed over.",
        ));
    }
    if owner == Some(to) {
        return Ok(());
    }
    if owner != from {
        let now = before.owner.as_ref().map_or("nobody in particular", |(_, name)| name.as_str());
        let sentence =
            format!("Somebody handed it over meanwhile: {now} answers for it now. Nothing was changed.");
        return Err(StoreError::Meanwhile(sentence));
    }
    receipts::successor(change, "user", owner.unwrap_or(UserId::NIL), to).await?;
    give(change, id, to).await?;
    receipts::tell_heir(change, to, &before.name, receipts::charge_href(Charge::Application(id))).await
}

/// The nearest group on a path that somebody leads who can act.
///
/// # Errors
/// When the database does not answer.
pub async fn led_by(store: &Store, org: OrgId, path: &[GroupId]) -> Result<Option<GroupId>> {
    let ids: Vec<Uuid> = path.iter().map(|group| group.0).collect();
    let led = sqlx::query_scalar!(
        "select distinct m.group_id from memberships m join users u on u.org_id = m.org_id and u.user_id = m.user_id
         where m.org_id = $1 and m.group_id = any ($2) and m.standing = 'lead' and m.ended_at is null
           and (m.ends_at is null or m.ends_at > $3)
           and u.account_id is not null and u.suspended_at is null and u.removed_at is null",
        org.0,
        &ids,
        clock::now(),
    )
    .fetch_all(store.pool())
    .await?;
    Ok(path.iter().rev().copied().find(|group| led.contains(&group.0)))
}

/// An application, what it is called, and who answers for it: before, and from now on.
pub(crate) struct Giving {
    /// Which.
    pub application: ApplicationId,
    /// What it is called.
    pub name: String,
    /// The name of whoever did.
    pub from: String,
    /// Who does from now on, and their name.
    pub to: (UserId, String),
}

/// Writes down who answers for each of them.
pub(crate) async fn give_all(change: &mut Change, list: &[Giving]) -> Result<()> {
    if list.is_empty() {
        return Ok(());
    }
    let org = change.org();
    sqlx::query!(
        "update applications a set owner_id = k.user_id, version = a.version + 1
         from unnest($2::uuid[], $3::uuid[]) as k (application_id, user_id)
         where a.org_id = $1 and a.application_id = k.application_id",
        org.0,
        &list.iter().map(|one| one.application.0).collect::<Vec<_>>(),
        &list.iter().map(|one| one.to.0.0).collect::<Vec<_>>(),
    )
    .execute(change.db())
    .await?;
    let lines = list.iter().map(|one| {
        let diff = Diff::new().field("owner", Some(&one.from), Some(&one.to.1));
        (Subject { kind: "application", id: one.application.0, name: &one.name }, "hand-over", diff)
    });
    change.record_all(lines).await
}

/// Writes down who answers for it.
pub(crate) async fn give(change: &mut Change, id: ApplicationId, to: UserId) -> Result<()> {
    let org = change.org();
    let before = read(change.db(), org, id).await?;
    sqlx::query!(
        "update applications set owner_id = $3, version = version + 1 where org_id = $1 and application_id = $2",
        org.0,
        id.0,
        to.0,
    )
    .execute(change.db())
    .await?;
    let after = read(change.db(), org, id).await?;
    let name = |owner: Option<(UserId, String)>| owner.map(|(_, name)| name);
    let diff = Diff::new().field("owner", name(before.owner), name(after.owner));
    change.record(Subject { kind: "application", id: id.0, name: &before.name }, "hand-over", &diff).await
}
