//! What is done to many people, in as many statements as for one.

use std::collections::{HashMap, HashSet};

use chrono::Duration;
use domain::{
    groups::Source,
    ids::{GroupId, UserId},
    notices::{Letter, MailKind},
    receipts::{Contents, Departure, Handed},
    roles::Act,
    users::Role,
};
use uuid::Uuid;

use super::{INVITATION_DAYS, UserForm, handed_over, is_high, may_change, may_give};
use crate::{
    Change, Diff, Purpose, Result, StoreError, Subject, clock,
    groups::{self, Joining, Leaving},
    heirs, mails, organizations, receipts,
    vault::random_base62,
};

/// Another name or role of somebody who does not own the organization: its last owner stays one.
pub(crate) struct Edit<'a> {
    /// Who.
    pub user: UserId,
    /// What was seen of them.
    pub version: i64,
    /// Their name, before and after.
    pub name: (&'a str, &'a str),
    /// Their role, before and after.
    pub role: (Role, Role),
}

/// Changes names and roles.
///
/// # Errors
/// [`StoreError::Stale`] when somebody changed one of them since; [`StoreError::Invalid`] when a role is
/// not for whoever gives it.
pub(crate) async fn edit_all(change: &mut Change, list: &[Edit<'_>]) -> Result<()> {
    if list.is_empty() {
        return Ok(());
    }
    change.expect(Act::EditUsers, None)?;
    let org = change.org();
    for edit in list {
        may_change(change, edit.user, edit.role.0, "edits")?;
        if edit.role.0 != edit.role.1 {
            may_give(change, edit.role.0)?;
            may_give(change, edit.role.1)?;
        }
    }
    let done = sqlx::query!(
        // As for one: a role that only an owner gives takes a new invitation.
        "update users u set name = k.name, role = k.role, version = u.version + 1,
                invitation_hash = case when k.raised and u.account_id is null then null else u.invitation_hash end,
                invitation_expires_at = case when k.raised and u.account_id is null then null else u.invitation_expires_at end
         from unnest($2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::boolean[]) as k (user_id, version, name, role, raised)
         where u.org_id = $1 and u.user_id = k.user_id and u.version = k.version and u.removed_at is null",
        org.0,
        &list.iter().map(|edit| edit.user.0).collect::<Vec<_>>(),
        &list.iter().map(|edit| edit.version).collect::<Vec<_>>(),
        &list.iter().map(|edit| edit.name.1.to_owned()).collect::<Vec<_>>(),
        &list.iter().map(|edit| edit.role.1.as_str().to_owned()).collect::<Vec<_>>(),
        &list.iter().map(|edit| edit.role.0 != edit.role.1 && is_high(edit.role.1)).collect::<Vec<_>>(),
    )
    .execute(change.db())
    .await?;
    if usize::try_from(done.rows_affected()) != Ok(list.len()) {
        return Err(StoreError::Stale);
    }
    let lines = list.iter().map(|edit| {
        let diff = Diff::new().field("name", Some(edit.name.0), Some(edit.name.1)).field(
            "role",
            Some(edit.role.0),
            Some(edit.role.1),
        );
        (Subject { kind: "user", id: edit.user.0, name: edit.name.1 }, "edit", diff)
    });
    change.record_all(lines).await
}

/// Somebody who is kept out: who, their name, their account.
pub(crate) type Leaver<'a> = (UserId, &'a str, Option<Uuid>);

/// Suspends people who do not own the organization. Nothing of one of them goes to another. Returns what
/// was handed over of each.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn suspend_all(
    change: &mut Change,
    list: &[Leaver<'_>],
) -> Result<HashMap<UserId, Vec<Handed>>> {
    if list.is_empty() {
        return Ok(HashMap::new());
    }
    change.expect(Act::EditUsers, None)?;
    set_suspended(change, list.iter().map(|(id, ..)| *id), true).await?;
    let leavers: Vec<receipts::Leaver<'_>> = list
        .iter()
        .map(|(id, name, account)| receipts::Leaver { id: *id, name, account: *account })
        .collect();
    let mut all = receipts::suspended_all(change, &leavers).await?;
    let lines: Vec<_> = list
        .iter()
        .map(|(id, name, _)| {
            let mut diff = Diff::new().field("suspended", Some(false), Some(true));
            if let Some(contents) = all.get(id) {
                if !contents.secrets.is_empty() {
                    diff = diff.set("secrets revoked", contents.secrets.len());
                }
                diff = diff.field("handed over", None::<String>, handed_over(&contents.handed));
            }
            (Subject { kind: "user", id: id.0, name }, "suspend", diff)
        })
        .collect();
    change.record_all(lines.into_iter()).await?;
    Ok(all.drain().map(|(id, contents)| (id, contents.handed)).collect())
}

/// Lets people in again. Revoked secrets stay dead.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn reinstate_all(change: &mut Change, list: &[(UserId, &str)]) -> Result<()> {
    if list.is_empty() {
        return Ok(());
    }
    change.expect(Act::EditUsers, None)?;
    set_suspended(change, list.iter().map(|(id, _)| *id), false).await?;
    let lines = list.iter().map(|(id, name)| {
        let diff = Diff::new().field("suspended", Some(true), Some(false));
        (Subject { kind: "user", id: id.0, name }, "reinstate", diff)
    });
    change.record_all(lines).await
}

async fn set_suspended(
    change: &mut Change,
    people: impl Iterator<Item = UserId>,
    suspended: bool,
) -> Result<()> {
    let (org, at) = (change.org(), change.at());
    let ids: Vec<Uuid> = people.map(|id| id.0).collect();
    sqlx::query!(
        "update users set suspended_at = $3, version = version + 1 where org_id = $1 and user_id = any ($2)",
        org.0,
        &ids,
        suspended.then_some(at),
    )
    .execute(change.db())
    .await?;
    Ok(())
}

/// Makes invitations for people who have not joined: the tokens, in the same order. Those before stop
/// working.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn invite_all(change: &mut Change, list: &[(UserId, &str)]) -> Result<Vec<String>> {
    change.expect(Act::EditUsers, None)?;
    let (org, at) = (change.org(), change.at());
    let until = at + Duration::days(INVITATION_DAYS);
    let tokens: Vec<String> = list.iter().map(|_| random_base62(32)).collect();
    let hashes: Vec<Vec<u8>> = tokens
        .iter()
        .map(|token| change.store().vault().hash(Purpose::Token, token.as_bytes()).to_vec())
        .collect();
    let ids: Vec<Uuid> = list.iter().map(|(id, _)| id.0).collect();
    sqlx::query!(
        "update users u set invitation_hash = k.hash, invitation_expires_at = $4, invited_at = $5
         from unnest($2::uuid[], $3::bytea[]) as k (user_id, hash)
         where u.org_id = $1 and u.user_id = k.user_id",
        org.0,
        &ids,
        &hashes,
        until,
        at,
    )
    .execute(change.db())
    .await?;
    mails::recall_invitations(change.db(), org, &ids, at).await?;
    let lines = list.iter().map(|(id, name)| {
        (Subject { kind: "user", id: id.0, name }, "invite", Diff::new().set("until", until.to_rfc3339()))
    });
    change.record_all(lines).await?;
    Ok(tokens)
}

/// Sends the links of invitations that were made in this change by mail: whose, their name, their token.
/// Nobody else sees them.
///
/// # Errors
/// When the database does not answer.
pub async fn mail_invitations(change: &mut Change, list: &[(UserId, &str, &str)]) -> Result<()> {
    change.expect(Act::EditUsers, None)?;
    let (org, at, store) = (change.org(), change.at(), change.store().clone());
    let organization = organizations::read(change.db(), org).await?;
    let zone = organizations::calendar_of(&organization)?.zone;
    let until = (at + Duration::days(INVITATION_DAYS)).with_timezone(&zone);
    let until =
        format!("{} {} ({})", domain::time::date(until.date_naive()), until.format("%H:%M"), zone.name());
    let by = change.permit().actor().name.clone();
    let letters: Vec<(UserId, Letter)> = list
        .iter()
        .map(|(id, name, token)| {
            let path = format!("/join/{org}/{id}/{token}");
            (*id, Letter::invitation(name, &organization.name, &by, path, &until))
        })
        .collect();
    let letters: Vec<(UserId, &Letter)> = letters.iter().map(|(id, letter)| (*id, letter)).collect();
    mails::post_each(&store, change.db(), org, &letters, MailKind::Invitation, at, at).await
}

/// Adds people, each to the groups that everybody new joins unless it is said which: `groups` are those
/// of each, if any are said. Returns their ids, in the same order.
///
/// # Errors
/// [`StoreError::Conflict`] when an address is taken.
pub(crate) async fn insert_all(
    change: &mut Change,
    list: &[(&UserForm, Option<Vec<GroupId>>)],
) -> Result<Vec<UserId>> {
    if list.is_empty() {
        return Ok(Vec::new());
    }
    change.expect(Act::EditUsers, None)?;
    let (org, at) = (change.org(), change.at());
    for (form, _) in list {
        may_give(change, form.role)?;
    }
    let ids: Vec<UserId> = list.iter().map(|_| clock::id()).collect();
    sqlx::query!(
        "insert into users (org_id, user_id, email, name, role, invited_at, created_at)
         select $1, k.user_id, k.email, k.name, k.role, $2, $2
         from unnest($3::uuid[], $4::text[], $5::text[], $6::text[]) as k (user_id, email, name, role)",
        org.0,
        at,
        &ids.iter().map(|id| id.0).collect::<Vec<_>>(),
        &list.iter().map(|(form, _)| form.email.as_str().to_owned()).collect::<Vec<_>>(),
        &list.iter().map(|(form, _)| form.name.as_str().to_owned()).collect::<Vec<_>>(),
        &list.iter().map(|(form, _)| form.role.as_str().to_owned()).collect::<Vec<_>>(),
    )
    .execute(change.db())
    .await?;
    let lines = ids.iter().zip(list).map(|(id, (form, _))| {
        let diff = Diff::new()
            .set("email", form.email.as_str())
            .set("name", form.name.as_str())
            .set("role", form.role);
        (Subject { kind: "user", id: id.0, name: form.name.as_str() }, "create", diff)
    });
    change.record_all(lines).await?;
    let defaults = groups::default_ids(change).await?;
    let mut all: Vec<Uuid> =
        list.iter().flat_map(|(_, groups)| groups.iter().flatten()).map(|id| id.0).collect();
    all.extend(defaults.iter().map(|id| id.0));
    all.sort_unstable();
    all.dedup();
    let names = groups::read_names(change.db(), org, &all).await?;
    let mut joining = Vec::new();
    for (id, (form, said)) in ids.iter().zip(list) {
        for group in said.as_ref().unwrap_or(&defaults) {
            let by_default = defaults.contains(group);
            joining.push(Joining {
                user: *id,
                name: form.name.as_str(),
                group: *group,
                group_name: names.get(group).map_or("", String::as_str),
                source: if by_default { Source::Default } else { Source::Manual },
                ends_at: None,
            });
        }
    }
    groups::join_all(change, &joining).await?;
    Ok(ids)
}

/// Who of these people has never signed in, and has nothing but memberships: no secret that lives, no
/// grant, no request, no context of their own, nothing they answer for.
pub(crate) async fn with_nothing(change: &mut Change, people: &[UserId]) -> Result<HashSet<UserId>> {
    let (org, at) = (change.org(), change.at());
    let ids: Vec<Uuid> = people.iter().map(|id| id.0).collect();
    let plain = sqlx::query_scalar!(
        "select u.user_id from users u
         where u.org_id = $1 and u.user_id = any ($2) and u.removed_at is null and u.account_id is null and u.role <> 'owner'
           and not exists (select from secrets s where s.org_id = $1 and s.user_id = u.user_id and s.revoked_at is null)
           and not exists (select from grants g where g.org_id = $1 and g.user_id = u.user_id and g.revoked_at is null)
           and not exists (select from requests r where r.org_id = $1 and r.requester_id = u.user_id and r.state = 'waiting')
           and not exists (select from applications a where a.org_id = $1 and a.personal_user_id = u.user_id and a.archived_at is null)",
        org.0,
        &ids
    )
    .fetch_all(change.db())
    .await?;
    let charged = heirs::charged(change.db(), org, &plain, at).await?;
    Ok(plain.into_iter().map(UserId).filter(|id| !charged.contains(id)).collect())
}

/// Takes people out of the organization who have nothing ([`with_nothing`]): who and their name.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn remove_unused(change: &mut Change, list: &[(UserId, &str)]) -> Result<()> {
    if list.is_empty() {
        return Ok(());
    }
    change.expect(Act::EditUsers, None)?;
    let (org, at) = (change.org(), change.at());
    let ids: Vec<Uuid> = list.iter().map(|(id, _)| id.0).collect();
    let mut held = receipts::memberships(change, &ids).await?;
    let mut all = Vec::new();
    let mut leaving = Vec::new();
    for (id, name) in list {
        let memberships = held.remove(id).unwrap_or_default();
        leaving.extend(memberships.iter().map(|held| {
            let group_name = held.path.rsplit('/').next().unwrap_or_default().to_owned();
            (*id, *name, held.group, group_name)
        }));
        all.push((*id, Contents { memberships, ..Contents::default() }));
    }
    let leaving: Vec<Leaving<'_>> = leaving
        .iter()
        .map(|(user, name, group, group_name)| Leaving { user: *user, name, group: *group, group_name })
        .collect();
    groups::end_all(change, &leaving).await?;
    let kept: Vec<(UserId, &Contents)> = all.iter().map(|(id, contents)| (*id, contents)).collect();
    receipts::keep(change, Departure::Removed, &kept).await?;
    sqlx::query!(
        "update users set removed_at = $3, invitation_hash = null, invitation_expires_at = null, version = version + 1
         where org_id = $1 and user_id = any ($2)",
        org.0,
        &ids,
        at,
    )
    .execute(change.db())
    .await?;
    let lines: Vec<_> = list
        .iter()
        .zip(&all)
        .map(|((id, name), (_, contents))| {
            let diff = Diff::new()
                .set("removed", true)
                .set("secrets revoked", 0)
                .set("memberships ended", contents.memberships.len());
            (Subject { kind: "user", id: id.0, name }, "remove", diff)
        })
        .collect();
    change.record_all(lines.into_iter()).await
}
