//! Mail: written in the transaction of what it tells of, sent afterwards by whoever takes it.
//!
//! What a mail says is sealed while it waits: the link of an invitation lets its reader in. Once it
//! is sent, or given up, only what became of it is kept.

use chrono::{DateTime, Duration, Utc};
use domain::{
    ids::{MailId, OrgId, UserId},
    notices::{Letter, MailKind, Sending, back_off},
};
use sqlx::PgConnection;

use crate::{Result, SealedFor, Store, StoreError, clock};

/// How long whoever takes a mail has to send it, before another takes it.
const TAKEN_FOR: Duration = Duration::minutes(3);

/// Puts mails into the outbox: one for each of these people, not before `after`.
pub(crate) async fn post(
    store: &Store,
    db: &mut PgConnection,
    org: OrgId,
    people: &[UserId],
    kind: MailKind,
    letter: &Letter,
    at: DateTime<Utc>,
    after: DateTime<Utc>,
) -> Result<()> {
    let letters: Vec<(UserId, &Letter)> = people.iter().map(|user| (*user, letter)).collect();
    post_each(store, db, org, &letters, kind, at, after).await
}

/// Puts mails into the outbox: for each of these people their own, not before `after`.
pub(crate) async fn post_each(
    store: &Store,
    db: &mut PgConnection,
    org: OrgId,
    letters: &[(UserId, &Letter)],
    kind: MailKind,
    at: DateTime<Utc>,
    after: DateTime<Utc>,
) -> Result<()> {
    let (mut ids, mut users, mut sealed) = (Vec::new(), Vec::new(), Vec::new());
    for (user, letter) in letters {
        let text =
            serde_json::to_string(letter).map_err(|error| StoreError::Unreadable(error.to_string()))?;
        let id: MailId = clock::id();
        sealed.push(store.vault().seal(SealedFor::Mail(org, id), &text)?);
        ids.push(id.0);
        users.push(user.0);
    }
    sqlx::query!(
        "insert into mails (org_id, mail_id, user_id, kind, sealed, state, next_at, created_at)
         select $1, k.mail_id, k.user_id, $5, k.sealed, 'due', $6, $7
         from unnest($2::uuid[], $3::uuid[], $4::bytea[]) as k (mail_id, user_id, sealed)",
        org.0,
        &ids,
        &users,
        &sealed,
        kind.as_str(),
        after,
        at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Takes invitations back that have not been sent: a newer one takes their place.
pub(crate) async fn recall_invitations(
    db: &mut PgConnection,
    org: OrgId,
    users: &[uuid::Uuid],
    at: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        "update mails set state = 'failed', sealed = null, error = 'A newer invitation took its place.', ended_at = $3
         where org_id = $1 and user_id = any ($2) and kind = 'invitation' and state = 'due'",
        org.0,
        users,
        at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// A mail that somebody has taken to send.
#[derive(Clone, Debug)]
pub struct Taken {
    /// In which organization.
    pub org: OrgId,
    /// Which.
    pub id: MailId,
    /// The name and the address it goes to.
    pub to: (String, String),
    /// What it says.
    pub letter: Letter,
    /// Which try this is.
    pub tries: u16,
}

/// Organizations with mail to send.
///
/// # Errors
/// When the database does not answer.
pub async fn waiting(store: &Store, now: DateTime<Utc>) -> Result<Vec<OrgId>> {
    let rows = sqlx::query_scalar!(
        "select distinct org_id from mails where state = 'due' and next_at <= $1 order by org_id",
        now
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows.into_iter().map(OrgId).collect())
}

/// Takes some mails to send them: nobody else gets them for some minutes. Mail to somebody who has
/// left or is suspended meanwhile is given up.
///
/// # Errors
/// When the database does not answer.
pub async fn take(store: &Store, org: OrgId, now: DateTime<Utc>, limit: i64) -> Result<Vec<Taken>> {
    let rows = sqlx::query!(
        r#"update mails as m set tries = m.tries + 1, next_at = $3
           from users u left join accounts a on a.account_id = u.account_id
           where m.org_id = $1 and u.org_id = m.org_id and u.user_id = m.user_id
             and m.mail_id in (
                 select d.mail_id from mails d
                 where d.org_id = $1 and d.state = 'due' and d.next_at <= $2
                 order by d.next_at limit $4 for update skip locked)
           returning m.mail_id, m.sealed as "sealed!", m.tries, u.name,
                     -- What lets its reader in goes to the sign-in's own address, which no organization changes.
                     case when m.kind = 'password' then a.email else u.email end as "email!",
                     (u.removed_at is null and u.suspended_at is null) as "here!""#,
        org.0,
        now,
        now + TAKEN_FOR,
        limit,
    )
    .fetch_all(store.pool())
    .await?;
    let mut taken = Vec::with_capacity(rows.len());
    for row in rows {
        let id = MailId(row.mail_id);
        if !row.here {
            give_up(store, org, id, "They left or were suspended before it was sent.", now).await?;
            continue;
        }
        let text = match store.vault().open(SealedFor::Mail(org, id), &row.sealed) {
            Ok(text) => text,
            Err(error) => {
                give_up(store, org, id, &error.to_string(), now).await?;
                continue;
            }
        };
        let letter =
            serde_json::from_str(&text).map_err(|error| StoreError::Unreadable(error.to_string()))?;
        let tries = u16::try_from(row.tries).unwrap_or(u16::MAX);
        taken.push(Taken { org, id, to: (row.name, row.email), letter, tries });
    }
    Ok(taken)
}

/// Notes that a mail was taken by the server it was sent to.
///
/// # Errors
/// When the database does not answer: then it is sent once more.
pub async fn sent(store: &Store, org: OrgId, id: MailId, at: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "update mails set state = 'sent', sealed = null, error = null, ended_at = $3
         where org_id = $1 and mail_id = $2 and state = 'due'",
        org.0,
        id.0,
        at,
    )
    .execute(store.pool())
    .await?;
    Ok(())
}

/// Notes why a mail could not be sent. It is tried again, less and less often, unless trying again
/// is of no use.
///
/// # Errors
/// When the database does not answer.
pub async fn not_sent(
    store: &Store,
    mail: &Taken,
    error: &str,
    may_try: bool,
    at: DateTime<Utc>,
) -> Result<()> {
    let Some(wait) = back_off(mail.tries).filter(|_| may_try) else {
        return give_up(store, mail.org, mail.id, error, at).await;
    };
    sqlx::query!(
        "update mails set error = $3, next_at = $4 where org_id = $1 and mail_id = $2 and state = 'due'",
        mail.org.0,
        mail.id.0,
        error,
        at + wait,
    )
    .execute(store.pool())
    .await?;
    Ok(())
}

async fn give_up(store: &Store, org: OrgId, id: MailId, error: &str, at: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "update mails set state = 'failed', sealed = null, error = $3, ended_at = $4
         where org_id = $1 and mail_id = $2 and state = 'due'",
        org.0,
        id.0,
        error,
        at,
    )
    .execute(store.pool())
    .await?;
    Ok(())
}

/// What became of a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fate {
    /// In a word.
    pub state: Sending,
    /// When it was written, or sent, or given up.
    pub at: DateTime<Utc>,
    /// Why the last try failed.
    pub error: Option<String>,
}

/// What became of the last mail of a kind to somebody; none when there was none.
///
/// # Errors
/// When the database does not answer.
pub async fn last(store: &Store, org: OrgId, user: UserId, kind: MailKind) -> Result<Option<Fate>> {
    let row = sqlx::query!(
        r#"select state, coalesce(ended_at, created_at) as "at!", error from mails
           where org_id = $1 and user_id = $2 and kind = $3 order by mail_id desc limit 1"#,
        org.0,
        user.0,
        kind.as_str(),
    )
    .fetch_optional(store.pool())
    .await?;
    row.map(|row| Ok(Fate { state: row.state.parse()?, at: row.at, error: row.error })).transpose()
}
