//! Choosing another password with a link, for those who forgot theirs.
//!
//! The link goes to the address of the sign-in itself, never to the one an organization has of somebody:
//! who edits people there does not come by their sign-in, which may open other organizations, too.

use chrono::{DateTime, Duration, Utc};
use domain::{
    ids::{AccountId, OrgId, UserId},
    notices::{Letter, MailKind},
};
use sqlx::PgConnection;

use crate::{Result, Store, StoreError, mails, passwords, vault};

/// How long a link works.
const WORKS: Duration = Duration::hours(1);

/// Characters of a link's token: as many as nobody guesses.
const LENGTH: usize = 32;

/// Sends a link to the address of a sign-in, if anybody has it who belongs to an organization. A link from
/// before stops working. Returns whether one is sent; whoever asked is not to learn that.
///
/// # Errors
/// When the database does not answer.
pub async fn mail(store: &Store, email: &str, now: DateTime<Utc>) -> Result<bool> {
    let mut tx = store.pool().begin().await?;
    let row = sqlx::query!(
        "select a.account_id, a.name, u.org_id, u.user_id from accounts a
         join users u on u.account_id = a.account_id and u.removed_at is null and u.suspended_at is null
         where a.email = $1 order by u.created_at limit 1",
        email.trim().to_lowercase()
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = row else { return Ok(false) };
    let token = make(store, &mut tx, row.account_id.into(), now).await?;
    let letter = Letter::password(&row.name, format!("/password/{token}"));
    let (org, user) = (OrgId(row.org_id), UserId(row.user_id));
    mails::post(store, &mut tx, org, &[user], MailKind::Password, &letter, now, now).await?;
    tx.commit().await?;
    Ok(true)
}

/// A token for the link, for whoever runs the installation to hand on.
///
/// # Errors
/// [`StoreError::NotFound`] when nobody signs in with this address.
pub async fn token(store: &Store, email: &str, now: DateTime<Utc>) -> Result<String> {
    let mut tx = store.pool().begin().await?;
    let account =
        sqlx::query_scalar!("select account_id from accounts where email = $1", email.trim().to_lowercase())
            .fetch_one(&mut *tx)
            .await?;
    let token = make(store, &mut tx, account.into(), now).await?;
    tx.commit().await?;
    Ok(token)
}

async fn make(
    store: &Store,
    db: &mut PgConnection,
    account: AccountId,
    now: DateTime<Utc>,
) -> Result<String> {
    let token = vault::random_base62(LENGTH);
    sqlx::query!(
        "insert into password_resets (account_id, token_hash, expires_at) values ($1, $2, $3)
         on conflict (account_id) do update set token_hash = excluded.token_hash, expires_at = excluded.expires_at",
        account.0,
        &hash(store, &token),
        now + WORKS,
    )
    .execute(db)
    .await?;
    Ok(token)
}

fn hash(store: &Store, token: &str) -> [u8; 32] {
    store.vault().hash(vault::Purpose::Token, token.as_bytes())
}

/// The address whose password a link changes; none when it is wrong, used or too old.
///
/// # Errors
/// When the database does not answer.
pub async fn email(store: &Store, token: &str, now: DateTime<Utc>) -> Result<Option<String>> {
    let email = sqlx::query_scalar!(
        "select a.email from password_resets r join accounts a on a.account_id = r.account_id
         where r.token_hash = $1 and r.expires_at > $2",
        &hash(store, token),
        now,
    );
    Ok(email.fetch_optional(store.pool()).await?)
}

/// Sets the password with a link, which works once. Every session of the sign-in ends.
///
/// # Errors
/// [`StoreError::NotFound`] when the link is wrong, used or too old; [`StoreError::Invalid`] when the
/// password is too weak: then the link still works.
pub async fn reset(store: &Store, token: &str, password: String, now: DateTime<Utc>) -> Result<()> {
    if email(store, token, now).await?.is_none() {
        return Err(StoreError::NotFound);
    }
    let password = passwords::hash(password).await?;
    let mut tx = store.pool().begin().await?;
    let account = sqlx::query_scalar!(
        "delete from password_resets where token_hash = $1 and expires_at > $2 returning account_id",
        &hash(store, token),
        now,
    )
    .fetch_one(&mut *tx)
    .await?;
    sqlx::query!("update accounts set password_hash = $2 where account_id = $1", account, password)
        .execute(&mut *tx)
        .await?;
    sqlx::query!("delete from sessions where account_id = $1", account).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(())
}

/// Forgets links that are too old.
///
/// # Errors
/// When the database does not answer.
pub async fn sweep(store: &Store, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!("delete from password_resets where expires_at <= $1", now).execute(store.pool()).await?;
    Ok(())
}
