//! Browser sessions, kept by a hash of their id.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    ids::{AccountId, OrgId, UserId},
    roles::{Act, Permit},
    users::SessionRow,
};
use serde_json::Value;

use crate::{Change, Diff, Purpose, Result, Store, StoreError, Subject, clock, users};

/// How old the moment may be at which somebody was seen last.
const SEEN: TimeDelta = TimeDelta::minutes(1);

/// The field of a session's content that says what it was opened with.
pub const DEVICE: &str = "device";

/// The field of a session's content that says for which organization it was opened: the one its bearer
/// looks at.
pub const ORGANIZATION: &str = "org";

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
    let now = clock::now();
    let done = sqlx::query!(
        "insert into sessions (session_hash, account_id, content, expires_at, started_at, seen_at) values ($1, $2, $3, $4, $6, $6)
         on conflict (session_hash) do update
             set account_id = excluded.account_id, content = excluded.content, expires_at = excluded.expires_at,
                 seen_at = excluded.seen_at
             where not $5",
        &hash(store, id),
        account.map(|account| account.0),
        session.content,
        session.expires_at,
        only_new,
        now,
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
    let (hash, now) = (hash(store, id), clock::now());
    let row = sqlx::query!(
        "select content, expires_at, seen_at from sessions where session_hash = $1 and expires_at > $2",
        &hash,
        now
    )
    .fetch_optional(store.pool())
    .await?;
    // Once a minute is often enough to say when somebody was there last.
    if row.as_ref().is_some_and(|row| row.seen_at + SEEN < now) {
        sqlx::query!("update sessions set seen_at = $2 where session_hash = $1 and seen_at < $2", &hash, now)
            .execute(store.pool())
            .await?;
    }
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

/// The sessions of a person, the one that was seen last first. `all`: they ask themself; others see those
/// in this organization, as what their account looks at elsewhere is not its to see. `here`: the id of the one that asks.
///
/// # Errors
/// When the database does not answer.
pub async fn of_user(
    store: &Store,
    org: OrgId,
    user: UserId,
    here: Option<&[u8]>,
    all: bool,
) -> Result<Vec<SessionRow>> {
    let here = here.map(|id| hash(store, id));
    let rows = sqlx::query!(
        r#"select s.session_id, s.session_hash, s.content ->> $4 as device, s.started_at, s.seen_at
           from users u join sessions s on s.account_id = u.account_id
           where u.org_id = $1 and u.user_id = $2 and u.removed_at is null and s.expires_at > $3
             and ($6 or s.content ->> $5 = $7)
           order by s.seen_at desc, s.session_id"#,
        org.0,
        user.0,
        clock::now(),
        DEVICE,
        ORGANIZATION,
        all,
        org.to_string(),
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| SessionRow {
            id: row.session_id.into(),
            device: row.device.unwrap_or_default(),
            started_at: row.started_at,
            seen_at: row.seen_at,
            here: here.is_some_and(|here| row.session_hash == here),
        })
        .collect())
}

/// Whether a permit is enough to end sessions of somebody: to edit people, or to use one's own.
fn may_end(permit: &Permit, user: UserId) -> bool {
    permit.covers(Act::EditUsers, None)
        || (permit.covers(Act::UseOwn, None) && permit.actor().user == Some(user))
}

/// Ends one session of a person, or with none all of them but the one that asks: of oneself wherever they
/// are, of others in this organization. Returns how many.
///
/// # Errors
/// [`StoreError::NotFound`] when the person is not in the organization or has no such session.
pub async fn end(
    change: &mut Change,
    user: UserId,
    session: Option<domain::ids::SessionId>,
    here: Option<&[u8]>,
) -> Result<u64> {
    if !may_end(change.permit(), user) {
        return Err(StoreError::NotPermitted(Act::EditUsers));
    }
    let (org, here) = (change.org(), here.map(|id| hash(change.store(), id)));
    let who = sqlx::query!(
        "select name, account_id, role from users where org_id = $1 and user_id = $2 and removed_at is null",
        org.0,
        user.0
    )
    .fetch_one(change.db())
    .await?;
    let own = change.permit().actor().user == Some(user);
    if !own {
        users::may_do_to(change, who.role.parse()?, "signs out")?;
    }
    let Some(account) = who.account_id else { return Err(StoreError::NotFound) };
    let spared = here.filter(|_| session.is_none());
    let ended = sqlx::query_scalar!(
        r#"delete from sessions
           where account_id = $1 and ($2::uuid is null or session_id = $2) and ($3::bytea is null or session_hash <> $3)
             and ($7 or content ->> $5 = $6)
           returning coalesce(content ->> $4, '') as "device!""#,
        account,
        session.map(|id| id.0),
        spared.as_ref().map(|hash| hash.as_slice()),
        DEVICE,
        ORGANIZATION,
        org.to_string(),
        own,
    )
    .fetch_all(change.db())
    .await?;
    if session.is_some() && ended.is_empty() {
        return Err(StoreError::NotFound);
    }
    if !ended.is_empty() {
        let devices: Vec<String> = ended.iter().map(|device| domain::users::device(device)).collect();
        let diff = Diff::new().field("signed in with", Some(devices.join(", ")), None::<String>);
        change.record(Subject { kind: "user", id: user.0, name: &who.name }, "sign-out", &diff).await?;
    }
    Ok(ended.len() as u64)
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
