//! Secrets that were found where they must not be: whoever holds one can have it killed.

use domain::{
    audit::Door,
    ids::{ApplicationId, OrgId, SecretId, UserId},
    keys::PlainSecret,
    notices::Leak,
    roles::{Act, Actor, Place, permit},
    users::Role,
};
use uuid::Uuid;

use crate::{Change, Diff, Result, Store, StoreError, Subject, keys, notices, organizations};

/// Kills the secret that a text is, if it is one of ours: revoked in the transaction that says so in
/// the log, with the number of the request and the address it came from. Whether there was one is for the program, never for whoever reports.
///
/// # Errors
/// When the database does not answer.
pub async fn report_from(store: &Store, text: &str, whence: Option<(&str, Option<&str>)>) -> Result<bool> {
    let Some(hash) = keys::lookup_hash(store, text.trim()) else { return Ok(false) };
    let orgs: Vec<Uuid> = organizations::all(store).await?.into_iter().map(|org| org.0).collect();
    let found = sqlx::query!(
        "select org_id, secret_id from secrets where org_id = any ($1) and hash = $2",
        &orgs,
        &hash[..]
    )
    .fetch_optional(store.pool())
    .await?;
    let Some(found) = found else { return Ok(false) };
    match kill(store, found.org_id.into(), found.secret_id.into(), whence).await {
        // The organization was deleted a moment ago, and the secret with it.
        Err(StoreError::NotFound) => Ok(false),
        killed => killed.map(|()| true),
    }
}

/// As [`report_from`], of a report that came by no request.
///
/// # Errors
/// When the database does not answer.
pub async fn report(store: &Store, text: &str) -> Result<bool> {
    report_from(store, text, None).await
}

async fn kill(store: &Store, org: OrgId, id: SecretId, whence: Option<(&str, Option<&str>)>) -> Result<()> {
    let reporter = Actor {
        org,
        user: None,
        name: "A leak report".to_owned(),
        role: Role::Owner,
        leads: Vec::new(),
        door: Door::Api,
    };
    let permit = permit(&reporter, Act::EditSecrets, Place::Organization)
        .map_err(|refused| StoreError::NotPermitted(refused.act))?;
    let mut change = Change::begin(store, permit).await?;
    if let Some((request, address)) = whence {
        change = change.asked_from(request, address);
    }
    let at = change.at();
    let row = sqlx::query!(
        r#"select s.tail, s.revoked_at, s.leaked_at, s.user_id, u.name as "person?", a.application_id, a.name, a.owner_id, a.group_id
         from secrets s
         join keys k on k.org_id = s.org_id and k.key_id = s.key_id
         join applications a on a.org_id = k.org_id and a.application_id = k.application_id
         left join users u on u.org_id = s.org_id and u.user_id = s.user_id
         where s.org_id = $1 and s.secret_id = $2"#,
        org.0,
        id.0
    )
    .fetch_one(change.db())
    .await?;
    if row.leaked_at.is_some() {
        return Ok(());
    }
    sqlx::query!(
        "update secrets set leaked_at = $3, revoked_at = coalesce(revoked_at, $3) where org_id = $1 and secret_id = $2",
        org.0,
        id.0,
        at
    )
    .execute(change.db())
    .await?;
    let hint = format!("{}…{}", PlainSecret::PREFIX, row.tail);
    let diff = Diff::new().set("application", &row.name).set("reported as leaked", true).field(
        "revoked",
        Some(row.revoked_at.is_some()),
        Some(true),
    );
    change.record(Subject { kind: "secret", id: id.0, name: &hint }, "leak", &diff).await?;
    let (secret, application) = (id.to_string(), ApplicationId(row.application_id).to_string());
    let leak = Leak {
        secret: &secret,
        hint: &hint,
        application: (&application, &row.name),
        person: row.person.as_deref(),
        dead: row.revoked_at.is_some(),
    };
    // Whose it was is spoken to as that, whatever else they are; then whoever answers for it, and those who
    // decide for the group.
    let own = row.user_id.map(UserId);
    if let Some(own) = own {
        notices::tell_of(&mut change, &[own], &leak.telling_you()).await?;
    }
    let mut people = notices::deciders(change.db(), org, row.group_id.into(), at).await?;
    people.extend(row.owner_id.map(UserId));
    people.sort_unstable();
    people.dedup();
    people.retain(|person| Some(*person) != own);
    notices::tell_of(&mut change, &people, &leak.telling()).await?;
    change.commit().await?;
    Ok(())
}
