//! First steps: the one-time token and the first owner.

use domain::{
    audit::Door,
    ids::{AccountId, OrgId},
    names::{Email, Name},
    roles::{self, Act, Actor, Place},
    users::Role,
};
use sqlx::PgConnection;

use crate::{
    Change, Purpose, Result, Store, StoreError, accounts::Account, clock, users, vault::random_base62,
};

/// Whether somebody has set this installation up.
///
/// # Errors
/// When the database does not answer.
pub async fn is_set_up(store: &Store) -> Result<bool> {
    Ok(sqlx::query_scalar!(r#"select set_up_at is not null as "done!" from installation"#)
        .fetch_one(store.pool())
        .await?)
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

/// Makes the first sign-in, and lets it into every organization that a file made before and that
/// nobody owns. Of several at once exactly one succeeds: the token is used up by the
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
    let owner = Account { id: account, email: email.to_string(), name: name.to_string(), operator: true };
    let mut versions = Vec::new();
    for org in without_owner(&mut tx).await? {
        let permit = roles::permit(&owner_of(org, &owner), Act::EditRoles, Place::Organization)
            .map_err(|refused| StoreError::NotPermitted(refused.act))?;
        let mut change = Change::within(store, tx, permit, now).await?;
        users::let_in(&mut change, &owner).await?;
        let version;
        (tx, version) = change.hand_on().await?;
        versions.push((org, version));
    }
    tx.commit().await?;
    for (org, version) in versions {
        store.note_commit(org, version);
    }
    Ok(account)
}

/// Organizations that a file made before there was anybody to own them.
async fn without_owner(db: &mut PgConnection) -> Result<Vec<OrgId>> {
    let rows = sqlx::query_scalar!(
        "select o.org_id from organizations o
         where not exists (select from users u where u.org_id = o.org_id and u.role = 'owner' and u.removed_at is null)
         order by o.created_at, o.org_id"
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(OrgId).collect())
}

fn owner_of(org: OrgId, account: &Account) -> Actor {
    let (name, role, door) = (account.name.clone(), Role::Owner, Door::Console);
    Actor { org, user: None, name, role, leads: Vec::new(), door }
}

/// Who set the installation up, if somebody has.
///
/// # Errors
/// When the database does not answer.
pub async fn operator(store: &Store) -> Result<Option<Account>> {
    let row = sqlx::query!(
        "select account_id, email, name from accounts where operator order by created_at, account_id limit 1"
    )
    .fetch_optional(store.pool())
    .await?;
    Ok(row.map(|row| Account { id: row.account_id.into(), email: row.email, name: row.name, operator: true }))
}
