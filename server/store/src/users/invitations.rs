//! Invitations: made, sent, looked at, accepted.

use chrono::{DateTime, Utc};
use domain::{
    audit::Door,
    ids::{AccountId, OrgId, UserId},
    names::Name,
    roles::{Act, Actor, Place, permit},
    users::Role,
};

use super::{before, invite_all, mail_invitations, may_change};
use crate::{Change, Diff, Purpose, Result, Store, StoreError, Subject, clock};

/// Makes an invitation: the token goes into a link, only its hash is kept. The one before stops
/// working. Whoever has the link can accept it, so it is only for those who may give that role.
///
/// # Errors
/// [`StoreError::Invalid`] when the person has joined already, or their role is not for whoever asks.
pub async fn invite(change: &mut Change, id: UserId) -> Result<String> {
    let org = change.org();
    let before = before(change.db(), org, id).await?;
    may_change(change, id, before.role, "invites")?;
    if before.account.is_some() {
        return Err(StoreError::invalid("user", "This person has joined already."));
    }
    let tokens = invite_all(change, &[(id, &before.name)]).await?;
    tokens.into_iter().next().ok_or(StoreError::NotFound)
}

/// Sends the link of an invitation that was made in this change by mail. Nobody else sees it.
///
/// # Errors
/// [`StoreError::NotFound`] when the person is not in the organization.
pub async fn mail_invitation(change: &mut Change, id: UserId, token: &str) -> Result<()> {
    let org = change.org();
    let before = before(change.db(), org, id).await?;
    mail_invitations(change, &[(id, &before.name, token)]).await
}

/// Whether somebody has an invitation that was not accepted, within a change.
///
/// # Errors
/// When the database does not answer.
pub async fn is_invited(change: &mut Change, id: UserId) -> Result<bool> {
    let org = change.org();
    let invited = sqlx::query_scalar!(
        r#"select exists (select from users where org_id = $1 and user_id = $2 and account_id is null
                          and removed_at is null and invitation_hash is not null) as "invited!""#,
        org.0,
        id.0
    );
    Ok(invited.fetch_one(change.db()).await?)
}

/// Until when somebody's invitation can be accepted; none when there is none that was not.
///
/// # Errors
/// When the database does not answer.
pub async fn invited_until(store: &Store, org: OrgId, id: UserId) -> Result<Option<DateTime<Utc>>> {
    let until = sqlx::query_scalar!(
        "select invitation_expires_at from users
         where org_id = $1 and user_id = $2 and account_id is null and removed_at is null",
        org.0,
        id.0
    );
    Ok(until.fetch_optional(store.pool()).await?.flatten())
}

/// An invitation that can still be accepted.
#[derive(Clone, Debug)]
pub struct Invitation {
    /// Who is invited.
    pub name: String,
    /// Their address.
    pub email: String,
    /// Into what.
    pub organization: String,
    /// Whether the address has a sign-in already, which then has to be used.
    pub known: bool,
}

/// Looks an invitation up; none when it is wrong, used or too old.
///
/// # Errors
/// When the database does not answer.
pub async fn invitation(store: &Store, org: OrgId, user: UserId, token: &str) -> Result<Option<Invitation>> {
    invitation_at(store, org, user, token, clock::now()).await
}

async fn invitation_at(
    store: &Store,
    org: OrgId,
    user: UserId,
    token: &str,
    at: DateTime<Utc>,
) -> Result<Option<Invitation>> {
    let hash = store.vault().hash(Purpose::Token, token.as_bytes());
    let row = sqlx::query!(
        r#"select u.name, u.email, o.name as organization, a.account_id is not null as "known!"
           from users u join organizations o on o.org_id = u.org_id left join accounts a on a.email = u.email
           where u.org_id = $1 and u.user_id = $2 and u.invitation_hash = $3 and u.invitation_expires_at > $4
             and u.account_id is null and u.suspended_at is null and u.removed_at is null"#,
        org.0,
        user.0,
        &hash,
        at,
    )
    .fetch_optional(store.pool())
    .await?;
    Ok(row.map(|row| Invitation {
        name: row.name,
        email: row.email,
        organization: row.organization,
        known: row.known,
    }))
}

/// Why an invitation cannot be accepted any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    /// It was accepted.
    Used,
    /// It could be accepted until then.
    Expired(DateTime<Utc>),
}

/// What became of an invitation that cannot be accepted, for whoever has its token; none where the token
/// is another one, so that nobody else learns who was invited.
///
/// # Errors
/// When the database does not answer.
pub async fn spent_invitation(store: &Store, org: OrgId, user: UserId, token: &str) -> Result<Option<Spent>> {
    let hash = store.vault().hash(Purpose::Token, token.as_bytes());
    let row = sqlx::query!(
        r#"select account_id is not null as "joined!", invitation_expires_at from users
           where org_id = $1 and user_id = $2 and invitation_hash = $3 and suspended_at is null and removed_at is null"#,
        org.0,
        user.0,
        &hash,
    )
    .fetch_optional(store.pool())
    .await?;
    Ok(row.and_then(|row| match (row.joined, row.invitation_expires_at) {
        (true, _) => Some(Spent::Used),
        (false, until) => until.filter(|until| *until <= clock::now()).map(Spent::Expired),
    }))
}

/// Accepts an invitation: makes the sign-in, or ties the existing one (whose password has been
/// checked) to the user.
///
/// # Errors
/// [`StoreError::NotFound`] when the invitation is wrong, used or too old.
pub async fn accept(
    store: &Store,
    org: OrgId,
    user: UserId,
    token: &str,
    name: &Name,
    password: String,
    asked: Option<Asked<'_>>,
) -> Result<AccountId> {
    let invitation = invitation(store, org, user, token).await?.ok_or(StoreError::NotFound)?;
    let sign_in = if invitation.known {
        let account = crate::accounts::by_password(store, &invitation.email, password).await?;
        let account = account
            .ok_or_else(|| StoreError::invalid("password", "This is not the password of your sign-in."))?;
        SignIn::Known(account.id)
    } else {
        SignIn::New { password_hash: crate::passwords::hash(password).await? }
    };
    join(store, (org, user, token), name, sign_in, clock::now(), asked).await
}

/// Which request something is asked for by, and from which address it came, where that is known.
pub type Asked<'a> = (&'a str, Option<&'a str>);

/// With what an invitation is accepted.
#[derive(Clone, Debug)]
pub enum SignIn {
    /// A sign-in that is there, whose password has been checked.
    Known(AccountId),
    /// A new one with this password, hashed.
    New {
        /// As [`crate::passwords::hash`] makes it.
        password_hash: String,
    },
}

/// Accepts an invitation with a sign-in that has been seen to.
///
/// # Errors
/// [`StoreError::NotFound`] when the invitation is wrong, used or too old.
pub async fn accept_as(
    store: &Store,
    org: OrgId,
    user: UserId,
    token: &str,
    name: &Name,
    sign_in: SignIn,
    at: DateTime<Utc>,
) -> Result<AccountId> {
    join(store, (org, user, token), name, sign_in, at, None).await
}

async fn join(
    store: &Store,
    (org, user, token): (OrgId, UserId, &str),
    name: &Name,
    sign_in: SignIn,
    at: DateTime<Utc>,
    asked: Option<Asked<'_>>,
) -> Result<AccountId> {
    let invitation = invitation_at(store, org, user, token, at).await?.ok_or(StoreError::NotFound)?;
    let mut tx = store.pool().begin().await?;
    let account = match sign_in {
        SignIn::Known(account) => account,
        SignIn::New { password_hash } => {
            let account: AccountId = clock::id();
            sqlx::query!(
                "insert into accounts (account_id, email, name, password_hash, created_at) values ($1, $2, $3, $4, $5)",
                account.0,
                invitation.email,
                name.as_str(),
                password_hash,
                at,
            )
            .execute(&mut *tx)
            .await?;
            account
        }
    };
    let token_hash = store.vault().hash(Purpose::Token, token.as_bytes());
    let done = sqlx::query!(
        // Its hash stays: whoever opens the link once more is told that it was used.
        "update users set account_id = $4, name = $5, invitation_expires_at = null, version = version + 1
         where org_id = $1 and user_id = $2 and invitation_hash = $3 and account_id is null",
        org.0,
        user.0,
        &token_hash,
        account.0,
        name.as_str(),
    )
    .execute(&mut *tx)
    .await?;
    if done.rows_affected() != 1 {
        return Err(StoreError::NotFound);
    }
    let actor = Actor {
        org,
        user: Some(user),
        name: name.as_str().to_owned(),
        role: Role::Member,
        leads: Vec::new(),
        door: Door::Console,
    };
    let permit = permit(&actor, Act::UseOwn, Place::Organization)
        .map_err(|refused| StoreError::NotPermitted(refused.act))?;
    let mut change = Change::within(store, tx, permit, at).await?;
    if let Some((request, address)) = asked {
        change = change.asked_from(request, address);
    }
    let diff = Diff::new().set("email", &invitation.email).field(
        "name",
        Some(&invitation.name),
        Some(name.as_str()),
    );
    change.record(Subject { kind: "user", id: user.0, name: name.as_str() }, "join", &diff).await?;
    change.commit().await?;
    Ok(account)
}
