//! Suspending and removing people: every secret dies in the same transaction, and what ended with
//! it is written down.

use std::collections::BTreeMap;

use domain::{
    audit::Door,
    ids::{GroupId, OrgId, ReceiptId, SecretId, UserId},
    keys::PlainSecret,
    notices::took_over,
    receipts::{Charge, Contents, DeadSecret, Departure, Handed, HeldGrant, HeldMembership, Receipt},
};
use serde_json::json;

use crate::{
    Change, Diff, Result, Store, StoreError, Subject, applications, clock, groups, heirs, leads, notices,
    requests,
};

/// Somebody who goes, and who takes over.
pub(crate) struct Leaver<'a> {
    pub id: UserId,
    pub name: &'a str,
    pub account: Option<uuid::Uuid>,
}

/// Ends what a suspension ends, hands over what they answered for, and keeps the receipt. Without an
/// `heir` each thing goes to who comes next. Returns what the receipt says.
///
/// # Errors
/// [`StoreError::Invalid`] about `heir` when they cannot take over.
pub(crate) async fn suspended(
    change: &mut Change,
    leaver: &Leaver<'_>,
    heir: Option<UserId>,
) -> Result<Contents> {
    let handed = hand_over(change, leaver, heir).await?;
    let contents = Contents {
        secrets: kill_secrets(change, leaver.id).await?,
        sessions: sign_out(change, leaver).await?,
        memberships: memberships(change, leaver.id).await?,
        grants: grants(change, leaver.id).await?.into_iter().map(|(_, grant)| grant).collect(),
        requests: Vec::new(),
        personal: Vec::new(),
        handed,
    };
    keep(change, leaver.id, Departure::Suspended, &contents).await?;
    Ok(contents)
}

/// Ends everything somebody had, hands over what they answered for, and keeps the receipt.
///
/// # Errors
/// [`StoreError::Invalid`] about `heir` when something would be left without anybody.
pub(crate) async fn removed(
    change: &mut Change,
    leaver: &Leaver<'_>,
    heir: Option<UserId>,
) -> Result<Contents> {
    let handed = hand_over(change, leaver, heir).await?;
    if let Some(left) = handed.iter().find(|handed| handed.to.is_none()) {
        let sentence = format!("{} answers for {}. Choose who takes over.", leaver.name, left.name);
        return Err(StoreError::invalid("heir", sentence));
    }
    let memberships = memberships(change, leaver.id).await?;
    let secrets = kill_secrets(change, leaver.id).await?;
    for membership in &memberships {
        groups::end(change, membership.group, leaver.id).await?;
    }
    let mut held = Vec::new();
    for (id, grant) in grants(change, leaver.id).await? {
        requests::revoke(change, id, &grant.model).await?;
        held.push(grant);
    }
    let contents = Contents {
        secrets,
        sessions: sign_out(change, leaver).await?,
        memberships,
        grants: held,
        requests: requests::withdraw_all(change, leaver.id).await?,
        personal: close_personal(change, leaver.id).await?,
        handed,
    };
    keep(change, leaver.id, Departure::Removed, &contents).await?;
    Ok(contents)
}

async fn keep(change: &mut Change, user: UserId, kind: Departure, contents: &Contents) -> Result<()> {
    let (org, at, id) = (change.org(), change.at(), clock::id::<ReceiptId>());
    let actor = change.permit().actor().name.clone();
    sqlx::query!(
        "insert into receipts (org_id, receipt_id, user_id, kind, at, actor, content) values ($1, $2, $3, $4, $5, $6, $7)",
        org.0,
        id.0,
        user.0,
        kind.as_str(),
        at,
        actor,
        json!(contents),
    )
    .execute(change.db())
    .await?;
    Ok(())
}

/// Revokes every secret that names the person.
async fn kill_secrets(change: &mut Change, user: UserId) -> Result<Vec<DeadSecret>> {
    let (org, at) = (change.org(), change.at());
    let rows = sqlx::query!(
        r#"update secrets s set revoked_at = $3
           from keys k, applications a
           where s.org_id = $1 and s.user_id = $2 and s.revoked_at is null
             and k.org_id = $1 and k.key_id = s.key_id
             and a.org_id = $1 and a.application_id = k.application_id
           returning s.secret_id, s.tail, a.name, s.last_used_at"#,
        org.0,
        user.0,
        at,
    )
    .fetch_all(change.db())
    .await?;
    let mut dead: Vec<DeadSecret> = rows
        .into_iter()
        .map(|row| DeadSecret {
            id: row.secret_id.into(),
            hint: format!("{}…{}", PlainSecret::PREFIX, row.tail),
            application: row.name,
            last_used_at: row.last_used_at,
        })
        .collect();
    dead.sort_by(|one, other| one.application.cmp(&other.application).then(one.id.cmp(&other.id)));
    for secret in &dead {
        record_dead(change, secret.id, &secret.hint, &secret.application).await?;
    }
    Ok(dead)
}

/// The line of the log about a secret that died with something else.
pub(crate) async fn record_dead(
    change: &mut Change,
    id: SecretId,
    hint: &str,
    application: &str,
) -> Result<()> {
    let diff = Diff::new().set("application", application).set("revoked", true);
    change.record(Subject { kind: "secret", id: id.0, name: hint }, "revoke", &diff).await
}

/// Ends every session of the person's sign-in.
async fn sign_out(change: &mut Change, leaver: &Leaver<'_>) -> Result<u64> {
    let Some(account) = leaver.account else { return Ok(0) };
    let done =
        sqlx::query!("delete from sessions where account_id = $1", account).execute(change.db()).await?;
    Ok(done.rows_affected())
}

async fn memberships(change: &mut Change, user: UserId) -> Result<Vec<HeldMembership>> {
    let (org, at) = (change.org(), change.at());
    let rows = sqlx::query!(
        "select m.group_id, m.standing from memberships m
         join groups g on g.org_id = m.org_id and g.group_id = m.group_id
         where m.org_id = $1 and m.user_id = $2 and m.ended_at is null and (m.ends_at is null or m.ends_at > $3)
         order by cardinality(g.ancestors), lower(g.name)",
        org.0,
        user.0,
        at,
    )
    .fetch_all(change.db())
    .await?;
    let mut held = Vec::new();
    for row in rows {
        let group = GroupId(row.group_id);
        let path = groups::read(change.db(), org, group).await?.path_text();
        held.push(HeldMembership { group, path, standing: row.standing.parse()? });
    }
    Ok(held)
}

async fn grants(change: &mut Change, user: UserId) -> Result<Vec<(domain::ids::GrantId, HeldGrant)>> {
    let (org, at) = (change.org(), change.at());
    let rows = sqlx::query!(
        "select g.grant_id, m.name, g.ends_at from grants g
         join models m on m.org_id = g.org_id and m.model_id = g.model_id
         where g.org_id = $1 and g.user_id = $2 and g.revoked_at is null and g.ends_at > $3 order by m.name, g.grant_id",
        org.0,
        user.0,
        at,
    )
    .fetch_all(change.db())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.grant_id.into(), HeldGrant { model: row.name, ends_at: row.ends_at }))
        .collect())
}

/// Gives everything they answer for to `heir`, or each thing to who comes next, and tells them. A
/// file says itself who leads what, so it has to name another lead; who answers for an application it
/// does not say.
///
/// # Errors
/// [`StoreError::Invalid`] when a file leaves a group without a lead who can act.
async fn hand_over(change: &mut Change, leaver: &Leaver<'_>, heir: Option<UserId>) -> Result<Vec<Handed>> {
    // Whoever is named has to be somebody, whether there is something to take over or not.
    let named = match heir {
        Some(heir) => Some((heir, successor(change, "heir", leaver.id, heir).await?)),
        None => None,
    };
    let (org, at, by_file) = (change.org(), change.at(), change.permit().actor().door == Door::File);
    let actor = change.permit().actor().user;
    let mut handed = Vec::new();
    for charged in heirs::charges(change.db(), org, leaver.id, at).await? {
        let mut now = match &named {
            Some(named) => {
                let (charge, name) = (charged.charge, charged.name);
                Handed { charge, name, to: Some(named.clone()), because: None, was: None }
            }
            None if by_file && matches!(charged.charge, Charge::Group(_)) => {
                let sentence = format!(
                    "{} is the only one who leads {} and can act. Let somebody else lead it in this file, too.",
                    leaver.name, charged.name
                );
                return Err(StoreError::invalid("suspended", sentence));
            }
            None => {
                let next = charged.next(change.db(), org, leaver.id, actor, at).await?;
                Handed::to_next(charged.charge, charged.name, next)
            }
        };
        if let Some((heir, _)) = &now.to {
            let heir = *heir;
            match now.charge {
                Charge::Application(id) => applications::give(change, id, heir).await?,
                Charge::Group(group) => now.was = Some(leads::succeed(change, group, heir).await?),
            }
        }
        handed.push(now);
    }
    tell_heirs(change, leaver, &handed).await?;
    Ok(handed)
}

/// Gives back to somebody whose suspension is undone what is still with whom it went to: applications,
/// and groups, in which whoever took over is again what they were before.
pub(crate) async fn give_back(change: &mut Change, user: UserId) -> Result<()> {
    let org = change.org();
    let content = sqlx::query_scalar!(
        "select content from receipts where org_id = $1 and user_id = $2 and kind = 'suspended' order by receipt_id desc limit 1",
        org.0,
        user.0
    )
    .fetch_optional(change.db())
    .await?;
    let Some(content) = content else { return Ok(()) };
    let contents: Contents =
        serde_json::from_value(content).map_err(|error| StoreError::Unreadable(error.to_string()))?;
    for handed in contents.handed {
        let Some((heir, _)) = handed.to else { continue };
        let id = match (handed.charge, handed.was) {
            (Charge::Application(id), _) => id,
            (Charge::Group(group), Some(was)) => {
                leads::step_back(change, group, heir, was).await?;
                continue;
            }
            (Charge::Group(_), None) => continue,
        };
        let owner = sqlx::query_scalar!(
            "select owner_id from applications where org_id = $1 and application_id = $2 and archived_at is null",
            org.0,
            id.0
        )
        .fetch_optional(change.db())
        .await?
        .flatten();
        if owner == Some(heir.0) {
            applications::give(change, id, user).await?;
        }
    }
    Ok(())
}

/// Each of those who answer for something now, once; not whoever did it.
async fn tell_heirs(change: &mut Change, leaver: &Leaver<'_>, handed: &[Handed]) -> Result<()> {
    let me = change.permit().actor().user;
    let mut things = BTreeMap::<UserId, Vec<&Handed>>::new();
    for handed in handed {
        if let Some((heir, _)) = handed.to.as_ref().filter(|(heir, _)| Some(*heir) != me) {
            things.entry(*heir).or_default().push(handed);
        }
    }
    let key = format!("{}:{}", leaver.id, change.at().timestamp_micros());
    for (heir, handed) in things {
        let names: Vec<String> = handed.iter().map(|handed| handed.name.clone()).collect();
        let href = match handed.first().map(|handed| handed.charge) {
            Some(Charge::Application(id)) => format!("/applications/{id}"),
            Some(Charge::Group(id)) => format!("/groups/{id}"),
            None => continue,
        };
        let telling = took_over(leaver.name, &names, &key, href);
        notices::tell_of(change, &[heir], &telling).await?;
    }
    Ok(())
}

/// The name of somebody who can take over: here, not suspended, and not whoever goes.
pub(crate) async fn successor(
    change: &mut Change,
    field: &'static str,
    from: UserId,
    to: UserId,
) -> Result<String> {
    let org = change.org();
    if from == to {
        return Err(StoreError::invalid(field, "Choose somebody else: this is who hands over."));
    }
    let row = sqlx::query!(
        r#"select name, suspended_at is not null as "suspended!" from users
           where org_id = $1 and user_id = $2 and removed_at is null"#,
        org.0,
        to.0
    )
    .fetch_one(change.db())
    .await?;
    if row.suspended {
        return Err(StoreError::invalid(field, format!("{} is suspended. Choose somebody else.", row.name)));
    }
    Ok(row.name)
}

async fn close_personal(change: &mut Change, user: UserId) -> Result<Vec<String>> {
    let org = change.org();
    let rows = sqlx::query!(
        "select a.application_id, g.name from applications a
         join groups g on g.org_id = a.org_id and g.group_id = a.group_id
         where a.org_id = $1 and a.personal_user_id = $2 and a.archived_at is null order by lower(g.name)",
        org.0,
        user.0,
    )
    .fetch_all(change.db())
    .await?;
    let mut closed = Vec::new();
    for row in rows {
        applications::close(change, row.application_id.into()).await?;
        closed.push(row.name);
    }
    Ok(closed)
}

/// One receipt.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not in the organization.
pub async fn get(store: &Store, org: OrgId, id: ReceiptId) -> Result<Receipt> {
    let row = sqlx::query!(
        "select r.user_id, u.name, u.email, r.kind, r.at, r.actor, r.content from receipts r
         join users u on u.org_id = r.org_id and u.user_id = r.user_id
         where r.org_id = $1 and r.receipt_id = $2",
        org.0,
        id.0
    )
    .fetch_one(store.pool())
    .await?;
    let contents =
        serde_json::from_value(row.content).map_err(|error| StoreError::Unreadable(error.to_string()))?;
    Ok(Receipt {
        id,
        user: row.user_id.into(),
        name: row.name,
        email: row.email,
        kind: row.kind.parse()?,
        at: row.at,
        actor: row.actor,
        contents,
    })
}

/// The receipts about a person, the newest first: id, what happened, when.
///
/// # Errors
/// When the database does not answer.
pub async fn of_user(
    store: &Store,
    org: OrgId,
    user: UserId,
) -> Result<Vec<(ReceiptId, Departure, chrono::DateTime<chrono::Utc>)>> {
    let rows = sqlx::query!(
        "select receipt_id, kind, at from receipts where org_id = $1 and user_id = $2 order by receipt_id desc limit 20",
        org.0,
        user.0
    )
    .fetch_all(store.pool())
    .await?;
    rows.into_iter().map(|row| Ok((row.receipt_id.into(), row.kind.parse()?, row.at))).collect()
}
