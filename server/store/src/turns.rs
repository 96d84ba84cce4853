//! Whose turn it is: work that one process of an installation does at a time, and only so often.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::{Result, Store};

/// Takes a turn at some work, unless somebody has taken one less than `every` ago. Whoever gets it does
/// the work; who dies over it only delays it until the next turn.
///
/// # Errors
/// When the database does not answer.
pub async fn take(store: &Store, work: &str, every: Duration, now: DateTime<Utc>) -> Result<bool> {
    let since = now - chrono::Duration::from_std(every).unwrap_or_default();
    let taken = sqlx::query_scalar!(
        "insert into turns as t (work, taken_at) values ($1, $2)
         on conflict (work) do update set taken_at = excluded.taken_at where t.taken_at <= $3
         returning work",
        work,
        now,
        since,
    )
    .fetch_optional(store.pool())
    .await?;
    Ok(taken.is_some())
}

/// Gives a turn back: what it was for could not be done, and is due again.
///
/// # Errors
/// When the database does not answer.
pub async fn give_back(store: &Store, work: &str) -> Result<()> {
    sqlx::query!("delete from turns where work = $1", work).execute(store.pool()).await?;
    Ok(())
}
