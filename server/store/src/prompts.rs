//! What calls said: kept for keys that say so, sealed, for so many days, and read on the record.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    ids::{ApplicationId, CallId, OrgId},
    prompts::{DAYS_MAX, Prompt},
    roles::Act,
};

use crate::{
    Change, Diff, Result, SealedFor, Store, StoreError, Subject, applications, calls, clock, rollups,
};

/// Keeps what a call said, if its application still does. What is there already stays.
///
/// # Errors
/// When the database does not answer.
pub async fn keep(
    store: &Store,
    org: OrgId,
    application: ApplicationId,
    (call, at): (CallId, DateTime<Utc>),
    prompt: &Prompt,
) -> Result<()> {
    let Some(days) = days(store, org, application).await? else { return Ok(()) };
    let text = serde_json::to_string(prompt).map_err(|error| StoreError::Unreadable(error.to_string()))?;
    let sealed = store.vault().seal(SealedFor::Prompt(org, call), &text)?;
    sqlx::query!(
        "insert into prompts (org_id, call_id, application_id, at, expires_at, sealed) values ($1, $2, $3, $4, $5, $6) on conflict do nothing",
        org.0,
        call.0,
        application.0,
        at,
        at + TimeDelta::days(i64::from(days)),
        sealed,
    )
    .execute(store.pool())
    .await?;
    Ok(())
}

/// For how many days an application keeps what its calls say; none: it does not.
///
/// # Errors
/// When the database does not answer.
pub async fn days(store: &Store, org: OrgId, application: ApplicationId) -> Result<Option<i16>> {
    Ok(sqlx::query_scalar!(
        "select days from prompt_keeping where org_id = $1 and application_id = $2",
        org.0,
        application.0
    )
    .fetch_optional(store.pool())
    .await?)
}

/// Says for how many days an application keeps what its calls say. None: nothing from now on, and what
/// is kept is deleted. Returns what was said before.
///
/// # Errors
/// [`StoreError::Invalid`] about `days`; [`StoreError::NotFound`] when it is not in the organization.
pub async fn set_days(
    change: &mut Change,
    application: ApplicationId,
    days: Option<i16>,
) -> Result<Option<i16>> {
    change.expect(Act::EditOrganization, None)?;
    let org = change.org();
    if days.is_some_and(|days| !(1..=DAYS_MAX).contains(&days)) {
        return Err(StoreError::invalid("days", format!("Enter 1 to {DAYS_MAX} days.")));
    }
    let store = change.store().clone();
    applications::group_of(&store, org, application).await?;
    let name = rollups::names(&store, org, domain::explore::By::Application, &[application.0]).await?;
    let name = name.into_values().next().unwrap_or_default();
    let before = self::days(&store, org, application).await?;
    match days {
        Some(days) => {
            sqlx::query!(
                "insert into prompt_keeping (org_id, application_id, days) values ($1, $2, $3)
                 on conflict (org_id, application_id) do update set days = excluded.days",
                org.0,
                application.0,
                days,
            )
            .execute(change.db())
            .await?;
            // What is kept already ends by the new measure, too.
            sqlx::query!(
                "update prompts set expires_at = at + make_interval(days => $3) where org_id = $1 and application_id = $2",
                org.0,
                application.0,
                i32::from(days),
            )
            .execute(change.db())
            .await?;
        }
        None => {
            sqlx::query!(
                "delete from prompt_keeping where org_id = $1 and application_id = $2",
                org.0,
                application.0
            )
            .execute(change.db())
            .await?;
            sqlx::query!(
                "delete from prompts where org_id = $1 and application_id = $2",
                org.0,
                application.0
            )
            .execute(change.db())
            .await?;
        }
    }
    let diff = Diff::new().field("keeps prompts for days", before, days);
    if diff.is_empty() {
        return Ok(before);
    }
    change.record(Subject { kind: "application", id: application.0, name: &name }, "prompts", &diff).await?;
    Ok(before)
}

/// Until when what a call said is kept; none: it is not.
///
/// # Errors
/// When the database does not answer.
pub async fn kept_until(store: &Store, org: OrgId, call: CallId) -> Result<Option<DateTime<Utc>>> {
    Ok(sqlx::query_scalar!(
        "select expires_at from prompts where org_id = $1 and call_id = $2 and expires_at > $3",
        org.0,
        call.0,
        clock::now(),
    )
    .fetch_optional(store.pool())
    .await?)
}

/// What a call said. That it was read goes on the record, with who and when.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not kept, or not any more.
pub async fn read(change: &mut Change, call: CallId) -> Result<Prompt> {
    change.expect(Act::ReadPrompts, None)?;
    let (org, at) = (change.org(), change.at());
    let sealed = sqlx::query_scalar!(
        "select sealed from prompts where org_id = $1 and call_id = $2 and expires_at > $3",
        org.0,
        call.0,
        at,
    )
    .fetch_one(change.db())
    .await?;
    let store = change.store().clone();
    let text = store.vault().open(SealedFor::Prompt(org, call), &sealed)?;
    let prompt = serde_json::from_str(&text).map_err(|error| StoreError::Unreadable(error.to_string()))?;
    let view = calls::get(&store, org, call).await?;
    let name = view.application.1;
    let diff = Diff::new().set("call", call);
    change.record(Subject { kind: "prompt", id: call.0, name: &name }, "read", &diff).await?;
    Ok(prompt)
}

/// Removes what has been kept for long enough. Returns how many.
///
/// # Errors
/// When the database does not answer.
pub async fn sweep(store: &Store) -> Result<u64> {
    let done = sqlx::query!("delete from prompts where expires_at <= $1", clock::now())
        .execute(store.pool())
        .await?;
    Ok(done.rows_affected())
}
