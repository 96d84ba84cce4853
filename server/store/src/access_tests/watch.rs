//! Pinned tests that begin to fail by a date that comes: a membership, a group or a grant that ends. No change
//! did it, so there is nobody who was refused; those who run the organization are told, once each time.

use chrono::{DateTime, Utc};
use domain::{
    access::Facts,
    access_tests::{AccessTest, Failure, run},
    ids::OrgId,
    notices::tests_fail,
};
use uuid::Uuid;

use super::{Kept, read};
use crate::{Result, Store, StoreError, access, audit, notices};

/// Looks at the tests of every organization that has some. One organization's trouble is not another's.
///
/// # Errors
/// When the database does not answer.
pub async fn look_at_all(store: &Store, now: DateTime<Utc>) -> Result<()> {
    let orgs = sqlx::query_scalar!("select distinct org_id from access_tests order by org_id")
        .fetch_all(store.pool())
        .await?;
    for org in orgs.into_iter().map(OrgId) {
        match look(store, org, now).await {
            // It is gone since.
            Ok(_) | Err(StoreError::NotFound) => {}
            Err(error) => tracing::warn!(%org, %error, "pinned tests could not be looked at"),
        }
    }
    Ok(())
}

/// Looks at an organization's tests, where something was changed or a date has come since the last look.
/// Returns how many have begun to fail by themselves.
///
/// # Errors
/// When the organization is gone or the database does not answer.
pub async fn look(store: &Store, org: OrgId, now: DateTime<Utc>) -> Result<usize> {
    let facts = access::current(store, org).await?;
    let last =
        sqlx::query!("select facts_version, looked_at from access_test_looks where org_id = $1", org.0)
            .fetch_optional(store.pool())
            .await?;
    let stand_as_they_did = last.is_some_and(|last| {
        last.facts_version == facts.version
            && last.looked_at <= now
            && !facts.turns_between(last.looked_at, now)
    });
    if stand_as_they_did {
        return Ok(0);
    }
    let mut db = store.pool().acquire().await?;
    let tests = read(&mut db, org).await?;
    drop(db);
    let differs =
        stands(&facts, &tests, now).await.iter().any(|(test, found)| test.holds != Some(found.is_none()));
    let failed = if differs { take_down(store, org, now).await? } else { 0 };
    sqlx::query!(
        "insert into access_test_looks (org_id, facts_version, looked_at) values ($1, $2, $3)
         on conflict (org_id) do update set facts_version = excluded.facts_version, looked_at = excluded.looked_at",
        org.0,
        facts.version,
        now,
    )
    .execute(store.pool())
    .await?;
    Ok(failed)
}

/// How each stands: why it fails, or none. A large organization's take a while; calls of the same process go on in between.
async fn stands<'a>(
    facts: &Facts,
    tests: &'a [Kept],
    now: DateTime<Utc>,
) -> Vec<(&'a Kept, Option<Failure>)> {
    let mut stand = Vec::with_capacity(tests.len());
    for kept in tests {
        stand.push((kept, run(facts, &kept.test, now).err()));
        tokio::task::yield_now().await;
    }
    stand
}

/// Takes down how each stands, and tells of those that held. While the organization is held: what is changed
/// meanwhile was either seen or is looked at next, and of two replicas one finds it taken down.
async fn take_down(store: &Store, org: OrgId, now: DateTime<Utc>) -> Result<usize> {
    let mut tx = store.pool().begin().await?;
    audit::lock_head(&mut tx, org).await?;
    let facts = access::read(&mut tx, org).await?;
    let tests = read(&mut tx, org).await?;
    let stand = stands(&facts, &tests, now).await;
    let told: Vec<(&AccessTest, &Failure)> = stand
        .iter()
        .filter_map(|(kept, found)| Some((&kept.test, found.as_ref().filter(|_| kept.holds == Some(true))?)))
        .collect();
    let (ids, holds): (Vec<Uuid>, Vec<bool>) =
        stand.iter().map(|(kept, found)| (kept.test.id.0, found.is_none())).unzip();
    sqlx::query!(
        "update access_tests t set holds = k.holds, fails_since = case when t.holds and not k.holds then $4::timestamptz end
         from unnest($2::uuid[], $3::boolean[]) as k (test_id, holds)
         where t.org_id = $1 and t.test_id = k.test_id and t.holds is distinct from k.holds",
        org.0,
        &ids,
        &holds,
        now,
    )
    .execute(&mut *tx)
    .await?;
    if !told.is_empty() {
        let people = notices::admins(&mut tx, org).await?;
        let lines: Vec<(String, String)> =
            told.iter().map(|(test, failure)| (test.name.to_string(), failure.to_string())).collect();
        // A test can fail again later: each time is told.
        let key = format!("{}:{}", told[0].0.id, now.timestamp_millis());
        notices::tell(store, &mut tx, org, &people, &tests_fail(&lines, &key), now, now).await?;
    }
    tx.commit().await?;
    Ok(told.len())
}
