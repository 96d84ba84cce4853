//! What providers keep for those who go on from it: whose it is.
//!
//! A provider knows one account, ours. That an answer belongs to the application that got it, and to
//! nobody else, is known here only.

use chrono::{DateTime, Duration, Utc};
use domain::ids::{ApplicationId, OrgId};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Result, Store, clock, ledger::Event};

/// Longer than providers keep an answer.
const KEPT: Duration = Duration::days(35);

/// The longest name of an answer that is remembered.
pub const NAME_MAX: usize = 200;

/// An answer that a provider keeps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept<'a> {
    answer: &'a str,
    application: ApplicationId,
    at: DateTime<Utc>,
}

impl<'a> Kept<'a> {
    /// What is kept of a call, if anything is.
    pub fn of(event: &'a Event) -> Option<Self> {
        let answer = event.marks.answer.as_deref().filter(|name| (1..=NAME_MAX).contains(&name.len()))?;
        Some(Self { answer, application: event.call.application, at: event.finished_at })
    }
}

/// Remembers whose they are. The first to have one is whose it stays.
pub(crate) async fn remember<'a>(
    db: &mut PgConnection,
    org: OrgId,
    kept: impl Iterator<Item = Kept<'a>>,
) -> Result<()> {
    let mut kept: Vec<Kept<'_>> = kept.collect();
    if kept.is_empty() {
        return Ok(());
    }
    // In one order everywhere, so that two batches never cross.
    kept.sort_by_key(|kept| kept.answer);
    let names: Vec<&str> = kept.iter().map(|kept| kept.answer).collect();
    let applications: Vec<Uuid> = kept.iter().map(|kept| kept.application.0).collect();
    let ends: Vec<DateTime<Utc>> = kept.iter().map(|kept| kept.at + KEPT).collect();
    sqlx::query!(
        "insert into kept_answers (org_id, answer_id, application_id, expires_at)
         select $1, k.* from unnest($2::text[], $3::uuid[], $4::timestamptz[]) as k
         on conflict do nothing",
        org.0,
        &names as &[&str],
        &applications,
        &ends,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Whose an answer is; none when nobody here is known to have got it.
///
/// # Errors
/// When the database does not answer.
pub async fn owner(store: &Store, org: OrgId, answer: &str) -> Result<Option<ApplicationId>> {
    let found = sqlx::query_scalar!(
        "select application_id from kept_answers where org_id = $1 and answer_id = $2 and expires_at > $3",
        org.0,
        answer,
        clock::now(),
    )
    .fetch_optional(store.pool())
    .await?;
    Ok(found.map(ApplicationId))
}

/// Whose something is that is made elsewhere, as conversations are: whoever names it first. Each use
/// keeps it longer.
///
/// # Errors
/// When the database does not answer.
pub async fn claim(
    store: &Store,
    org: OrgId,
    answer: &str,
    application: ApplicationId,
) -> Result<ApplicationId> {
    let owner = sqlx::query_scalar!(
        "insert into kept_answers as k (org_id, answer_id, application_id, expires_at) values ($1, $2, $3, $4)
         on conflict (org_id, answer_id) do update
             set expires_at = case when k.application_id = excluded.application_id then excluded.expires_at else k.expires_at end
         returning application_id",
        org.0,
        answer,
        application.0,
        clock::now() + KEPT,
    )
    .fetch_one(store.pool())
    .await?;
    Ok(ApplicationId(owner))
}

/// Forgets what no provider keeps any more.
///
/// # Errors
/// When the database does not answer.
pub async fn sweep(store: &Store, now: DateTime<Utc>) -> Result<u64> {
    let done =
        sqlx::query!("delete from kept_answers where expires_at <= $1", now).execute(store.pool()).await?;
    Ok(done.rows_affected())
}
