//! Sign-ins.

use domain::ids::{AccountId, OrgId};

use crate::{Result, Store, StoreError, passwords};

/// A person's sign-in.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// The address they sign in with.
    pub email: String,
    /// What they are called.
    pub name: String,
    /// May make organizations.
    pub operator: bool,
}

/// Who signs in with this address and password; none when either is wrong. Takes as long for an
/// address nobody has.
///
/// # Errors
/// When the database does not answer.
pub async fn by_password(store: &Store, email: &str, password: String) -> Result<Option<Account>> {
    let row = sqlx::query!(
        "select account_id, email, name, operator, password_hash from accounts where email = $1",
        email.trim().to_lowercase()
    )
    .fetch_optional(store.pool())
    .await?;
    let hash = row.as_ref().and_then(|row| row.password_hash.clone());
    if !passwords::verify(password, hash).await? {
        return Ok(None);
    }
    Ok(row.map(|row| Account {
        id: row.account_id.into(),
        email: row.email,
        name: row.name,
        operator: row.operator,
    }))
}

/// One account.
///
/// # Errors
/// When it is not there.
pub async fn get(store: &Store, id: AccountId) -> Result<Account> {
    let row = sqlx::query!("select email, name, operator from accounts where account_id = $1", id.0)
        .fetch_one(store.pool())
        .await?;
    Ok(Account { id, email: row.email, name: row.name, operator: row.operator })
}

/// Changes a password and ends every other session of the account.
///
/// # Errors
/// [`StoreError::Invalid`] when the current password is wrong or the new one too weak.
pub async fn change_password(
    store: &Store,
    id: AccountId,
    current: String,
    new: String,
    keep_session: &[u8],
) -> Result<()> {
    let row = sqlx::query!("select password_hash from accounts where account_id = $1", id.0)
        .fetch_one(store.pool())
        .await?;
    if !passwords::verify(current, row.password_hash).await? {
        return Err(StoreError::invalid("current", "This is not your current password."));
    }
    let hash = passwords::hash(new).await?;
    let mut tx = store.pool().begin().await?;
    sqlx::query!("update accounts set password_hash = $2 where account_id = $1", id.0, hash)
        .execute(&mut *tx)
        .await?;
    sqlx::query!("delete from sessions where account_id = $1 and session_hash <> $2", id.0, keep_session)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(())
}

/// The organizations somebody belongs to, by name. Suspended and removed people belong to none.
///
/// # Errors
/// When the database does not answer.
pub async fn organizations(store: &Store, id: AccountId) -> Result<Vec<(OrgId, String)>> {
    let rows = sqlx::query!(
        "select o.org_id, o.name from users u join organizations o on o.org_id = u.org_id
         where u.account_id = $1 and u.suspended_at is null and u.removed_at is null order by lower(o.name), o.org_id",
        id.0
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows.into_iter().map(|row| (row.org_id.into(), row.name)).collect())
}
