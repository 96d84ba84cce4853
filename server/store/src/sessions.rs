//! Browser sessions, kept by a hash of their id.

use chrono::{DateTime, Utc};
use domain::ids::AccountId;
use serde_json::Value;

use crate::{Purpose, Result, Store, clock};

/// A stored session.
#[derive(Clone, Debug)]
pub struct StoredSession {
    /// What the session layer keeps in it.
    pub content: Value,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
}

/// How a session id is kept.
pub fn hash(store: &Store, id: &[u8]) -> [u8; 32] {
    store.vault().hash(Purpose::Session, id)
}

/// Writes a session; with `only_new`, fails softly (false) when one with this id is there.
///
/// # Errors
/// When the database does not answer.
pub async fn save(
    store: &Store,
    id: &[u8],
    session: &StoredSession,
    account: Option<AccountId>,
    only_new: bool,
) -> Result<bool> {
    let done = sqlx::query!(
        "insert into sessions (session_hash, account_id, content, expires_at) values ($1, $2, $3, $4)
         on conflict (session_hash) do update
             set account_id = excluded.account_id, content = excluded.content, expires_at = excluded.expires_at
             where not $5",
        &hash(store, id),
        account.map(|account| account.0),
        session.content,
        session.expires_at,
        only_new,
    )
    .execute(store.pool())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Reads a session that has not ended.
///
/// # Errors
/// When the database does not answer.
pub async fn load(store: &Store, id: &[u8]) -> Result<Option<StoredSession>> {
    let row = sqlx::query!(
        "select content, expires_at from sessions where session_hash = $1 and expires_at > $2",
        &hash(store, id),
        clock::now()
    )
    .fetch_optional(store.pool())
    .await?;
    Ok(row.map(|row| StoredSession { content: row.content, expires_at: row.expires_at }))
}

/// Ends a session.
///
/// # Errors
/// When the database does not answer.
pub async fn delete(store: &Store, id: &[u8]) -> Result<()> {
    sqlx::query!("delete from sessions where session_hash = $1", &hash(store, id))
        .execute(store.pool())
        .await?;
    Ok(())
}

/// Removes what has ended.
///
/// # Errors
/// When the database does not answer.
pub async fn sweep(store: &Store) -> Result<u64> {
    Ok(sqlx::query!("delete from sessions where expires_at <= $1", clock::now())
        .execute(store.pool())
        .await?
        .rows_affected())
}
