//! Rules and limits that only observe, and what each would have refused.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Duration, NaiveDate, Utc};
use domain::{ids::OrgId, money::Money};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Result, Store, clock};

/// How many days are looked back.
pub const DAYS: i64 = 90;

/// How many people are named.
const NAMED: i64 = 50;

/// What a rule or a limit would have refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    /// How many calls.
    pub calls: i64,
    /// Of how many people.
    pub people: i64,
    /// What the first fifty of them are called, who called last first.
    pub names: Vec<String>,
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
    let rows = sqlx::query!(
        r#"select s.observer_id, sum(s.calls)::bigint as "calls!", sum(s.spend)::bigint as "spend!", min(s.first_at) as "first!",
                  max(s.last_at) as "last!",
                  (select count(*) from observed_people p where p.org_id = $1 and p.observer_id = s.observer_id and p.last_at >= $3) as "people!",
                  array(select u.name from observed_people p join users u on u.org_id = $1 and u.user_id = p.user_id
                        where p.org_id = $1 and p.observer_id = s.observer_id and p.last_at >= $3
                        order by p.last_at desc, u.name limit $5) as "names!"
           from observed_sums s
           where s.org_id = $1 and s.observer_id = any ($2) and s.day >= $4 and s.calls > 0
           group by s.observer_id"#,
        org.0,
        ids,
        since,
        since.date_naive(),
        NAMED,
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let noted = Noted {
                calls: row.calls,
                people: row.people,
                names: row.names,
                spend: Money(row.spend),
                first: row.first,
                last: row.last,
            };
            (row.observer_id, noted)
        })
        .collect())
}

/// Adds refusals that passed and were just taken down: day, call, and what took note of it. Whoever books
/// the calls themselves must not do so meanwhile: one of the two adds what they cost.
pub(crate) async fn add(db: &mut PgConnection, org: OrgId, noted: &[(NaiveDate, Uuid, Uuid)]) -> Result<()> {
    let days: Vec<NaiveDate> =
        noted.iter().map(|(day, ..)| *day).collect::<BTreeSet<_>>().into_iter().collect();
    let calls: Vec<Uuid> = noted.iter().map(|(_, call, _)| *call).collect();
    let observers: Vec<Uuid> = noted.iter().map(|(.., observer)| *observer).collect();
    sqlx::query!(
        "with n as (
             select r.observer_id, r.day, r.at, r.user_id, e.cost
             from unnest($3::uuid[], $4::uuid[]) as k (call_id, observer_id)
             join refusals r on r.org_id = $1 and r.day = any ($2) and r.call_id = k.call_id and r.observer_id = k.observer_id and r.observed
             left join events e on e.org_id = $1 and e.day = any ($2) and e.day = r.day and e.call_id = r.call_id
         ), p as (
             insert into observed_people as p
             select $1, observer_id, user_id, max(at) from n where user_id is not null
             group by observer_id, user_id order by observer_id, user_id
             on conflict (org_id, observer_id, user_id) do update set last_at = greatest(p.last_at, excluded.last_at)
         )
         insert into observed_sums as s
         select $1, observer_id, day, count(*), coalesce(sum(cost), 0), min(at), max(at) from n
         group by observer_id, day order by observer_id, day
         on conflict (org_id, observer_id, day) do update
             set calls = s.calls + excluded.calls, spend = s.spend + excluded.spend,
                 first_at = least(s.first_at, excluded.first_at), last_at = greatest(s.last_at, excluded.last_at)",
        org.0,
        &days,
        &calls,
        &observers,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Adds what calls cost that were just booked, to what had taken them down before.
pub(crate) async fn charge(
    db: &mut PgConnection,
    org: OrgId,
    calls: &[(NaiveDate, Uuid, i64)],
) -> Result<()> {
    let days: Vec<NaiveDate> =
        calls.iter().map(|(day, ..)| *day).collect::<BTreeSet<_>>().into_iter().collect();
    let ids: Vec<Uuid> = calls.iter().map(|(_, id, _)| *id).collect();
    let costs: Vec<i64> = calls.iter().map(|(.., cost)| *cost).collect();
    sqlx::query!(
        "insert into observed_sums as s
         select r.org_id, r.observer_id, r.day, 0, sum(k.cost), null, null
         from unnest($3::uuid[], $4::bigint[]) as k (call_id, cost)
         join refusals r on r.org_id = $1 and r.day = any ($2) and r.call_id = k.call_id and r.observed
         group by r.org_id, r.observer_id, r.day order by 1, 2, 3
         on conflict (org_id, observer_id, day) do update set spend = s.spend + excluded.spend",
        org.0,
        &days,
        &ids,
        &costs,
    )
    .execute(db)
    .await?;
    Ok(())
}
