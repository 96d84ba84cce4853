//! Rules and limits that only observe, and what each would have refused.

use std::collections::HashMap;

use chrono::{DateTime, Duration, Utc};
use domain::{ids::OrgId, money::Money};
use uuid::Uuid;

use crate::{Result, Store, clock};

/// How many days are looked back.
pub const DAYS: i64 = 90;

/// What a rule or a limit would have refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noted {
    /// How many calls.
    pub calls: i64,
    /// Of how many people.
    pub people: i64,
    /// What those calls cost.
    pub spend: Money,
    /// The first of them.
    pub first: DateTime<Utc>,
    /// The last.
    pub last: DateTime<Utc>,
}

/// What each of them would have refused in the last days, by the id of the rule or limit.
///
/// # Errors
/// When the database does not answer.
pub async fn noted(store: &Store, org: OrgId, ids: &[Uuid]) -> Result<HashMap<Uuid, Noted>> {
    let since = clock::now() - Duration::days(DAYS);
    // A call that passed has an event of the same day and id.
    let rows = sqlx::query!(
        r#"select r.observer_id, count(*) as "calls!", count(distinct r.user_id) as "people!",
                  coalesce(sum(e.cost), 0)::bigint as "spend!", min(r.at) as "first!", max(r.at) as "last!"
           from refusals r
           -- Each by its key: never all events of these days.
           left join lateral (
               select e.cost from events e where e.org_id = r.org_id and e.day = r.day and e.call_id = r.call_id offset 0
           ) e on true
           where r.org_id = $1 and r.observer_id = any ($2) and r.observed and r.at >= $3 and r.day >= $4
           group by r.observer_id"#,
        org.0,
        ids,
        since,
        since.date_naive(),
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let noted = Noted {
                calls: row.calls,
                people: row.people,
                spend: Money(row.spend),
                first: row.first,
                last: row.last,
            };
            (row.observer_id, noted)
        })
        .collect())
}
