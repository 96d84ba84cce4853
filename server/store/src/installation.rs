//! First steps: the one-time token and the first owner.

use domain::{
    ids::AccountId,
    names::{Email, Name},
};

use crate::{Purpose, Result, Store, StoreError, clock, vault::random_base62};

/// Whether somebody has set this installation up.
///
/// # Errors
/// When the database does not answer.
pub async fn is_set_up(store: &Store) -> Result<bool> {
    Ok(sqlx::query_scalar!(r#"select set_up_at is not null as "done!" from installation"#)
        .fetch_one(store.pool())
        .await?)
}

/// Whether nobody has begun here: no schema yet, or nobody has set it up. Asks without bringing the
/// schema up to date.
///
/// # Errors
/// When the database does not answer.
pub async fn is_blank(store: &Store) -> Result<bool> {
    let known = sqlx::query_scalar!(r#"select to_regclass('installation') is not null as "known!""#)
        .fetch_one(store.pool())
        .await?;
    Ok(!known || !is_set_up(store).await?)
}

/// A new one-time token for `/setup`, if it is still needed. The one before stops working.
///
/// # Errors
/// When the database does not answer.
pub async fn offer_token(store: &Store) -> Result<Option<String>> {
    let token = random_base62(24);
    let hash = store.vault().hash(Purpose::Token, token.as_bytes());
    let done = sqlx::query!("update installation set setup_token_hash = $1 where set_up_at is null", &hash)
        .execute(store.pool())
        .await?;
    Ok((done.rows_affected() == 1).then_some(token))
}

/// Whether this is the token that was offered.
///
/// # Errors
/// When the database does not answer.
pub async fn knows_token(store: &Store, token: &str) -> Result<bool> {
    let hash = store.vault().hash(Purpose::Token, token.trim().as_bytes());
    let known = sqlx::query_scalar!(
        r#"select exists (select from installation where set_up_at is null and setup_token_hash = $1) as "known!""#,
        &hash
    );
    Ok(known.fetch_one(store.pool()).await?)
}

/// Makes the first sign-in. Of several at once exactly one succeeds: the token is used up by the
/// same statement that checks it.
///
/// # Errors
/// [`StoreError::NotFound`] when the token is wrong or used up.
pub async fn set_up(
    store: &Store,
    token: &str,
    name: &Name,
    email: &Email,
    password_hash: &str,
) -> Result<AccountId> {
    let hash = store.vault().hash(Purpose::Token, token.trim().as_bytes());
    let now = clock::now();
    let mut tx = store.pool().begin().await?;
    let used = sqlx::query!(
        "update installation set set_up_at = $2, setup_token_hash = null where set_up_at is null and setup_token_hash = $1",
        &hash,
        now
    )
    .execute(&mut *tx)
    .await?;
    if used.rows_affected() != 1 {
        return Err(StoreError::NotFound);
    }
    let account: AccountId = clock::id();
    sqlx::query!(
        "insert into accounts (account_id, email, name, password_hash, operator, created_at) values ($1, $2, $3, $4, true, $5)",
        account.0,
        email.as_str(),
        name.as_str(),
        password_hash,
        now
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(account)
}
