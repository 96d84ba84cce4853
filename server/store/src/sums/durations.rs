//! How long calls took: counts by class of duration, with the keys that `usage_sums` has by day. People
//! are not told apart, nor models within groups: that would be a row for almost every call.

use std::collections::HashMap;

use chrono::NaiveDate;
use domain::{
    durations::Durations,
    explore::{By, Period},
    ids::OrgId,
};
use serde::Serialize;
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use super::{Asked, spread};
use crate::{
    Result, Store,
    rollups::{Key, Steps, Which},
};

/// Adds what was booked: rows with the keys of `feature_usage_by_day`, a class and a count.
pub(crate) async fn add<Row: Serialize + Sync>(db: &mut PgConnection, rows: &[Row]) -> Result<()> {
    spread!(
        "insert into duration_sums as s
         select d.org_id, k.scope, k.within_id, k.first_day, k.thing_id, k.path_id, k.model_id, d.class, sum(d.calls)",
        "jsonb_to_recordset($1) as b (org_id uuid, day date, path_id uuid, application_id uuid, user_id uuid, set_id uuid, model_id uuid,
                                      use_case text, features int, class smallint, calls bigint)
         cross join lateral (select b.*)",
        "where k.grain = 'day' and k.scope not in ('user', 'members') and (k.scope <> 'group' or k.model_id = c.every)
         group by 1, 2, 3, 4, 5, 6, 7, 8
         order by 1, 2, 3, 4, 5, 6, 7, 8
         on conflict (org_id, scope, within_id, first_day, thing_id, path_id, model_id, class) do update
             set calls = s.calls + excluded.calls",
        Json(rows) as _
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Makes them anew from the ledger.
pub(super) async fn rebuild(db: &mut PgConnection, org: OrgId) -> Result<()> {
    sqlx::query!("delete from duration_sums where org_id = $1", org.0).execute(&mut *db).await?;
    spread!(
        "insert into duration_sums
         select d.org_id, k.scope, k.within_id, k.first_day, k.thing_id, k.path_id, k.model_id, d.class, sum(d.calls)",
        "(select e.org_id, (e.started_at at time zone o.time_zone)::date as day, e.path_id, e.application_id,
                 '00000000-0000-0000-0000-000000000000'::uuid as user_id, '00000000-0000-0000-0000-000000000000'::uuid as set_id,
                 e.model_id, e.use_case, e.features,
                 width_bucket(e.duration_ms, array[10, 14, 20, 28, 40, 56, 80, 110, 160, 220, 320, 450, 630, 900, 1250, 1800, 2500, 3500,
                              5000, 7000, 10000, 14000, 20000, 28000, 40000, 56000, 80000, 110000, 160000, 220000, 320000]) as class,
                 count(*) as calls
          from events e join organizations o on o.org_id = e.org_id
          where e.org_id = $1 group by 1, 2, 3, 4, 7, 8, 9, 10)",
        "where k.grain = 'day' and k.scope not in ('user', 'members') and (k.scope <> 'group' or k.model_id = c.every) group by 1, 2, 3, 4, 5, 6, 7, 8",
        org.0
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Months whose counts do not add up to the calls of their days.
pub(super) async fn drift(db: &mut PgConnection, org: OrgId) -> Result<Vec<(String, i64, i64)>> {
    let rows = sqlx::query!(
        r#"select month as "month!", coalesce(s.calls, 0)::bigint as "calls!", coalesce(d.calls, 0)::bigint as "should_be!"
           from (select date_trunc('month', first_day)::date as month, sum(calls) as calls from duration_sums
                 where org_id = $1 and scope = 'organization' and model_id = 'ffffffff-ffff-ffff-ffff-ffffffffffff' group by 1) s
           full join (select date_trunc('month', day)::date as month, sum(calls) as calls from usage_by_day
                      where org_id = $1 and day > coalesce((select first_day from ledger_start), '-infinity') group by 1
                      having sum(calls) > 0) d using (month)
           where s.calls is distinct from d.calls
             and month > coalesce((select first_day from ledger_start), '-infinity')"#,
        org.0
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (format!("sums: durations of calls in {}", row.month), row.calls, row.should_be))
        .collect())
}

/// How long the calls of each step and thing took. Empty where nobody keeps that: of people, of
/// members, and of several filters at once.
pub(crate) async fn read(
    store: &Store,
    org: OrgId,
    which: &Which,
    by: Option<By>,
    period: Period,
    steps: Steps,
) -> Result<HashMap<(NaiveDate, Key), Durations>> {
    let Some(asked) = Asked::of(store, org, which, period, steps).await? else { return Ok(HashMap::new()) };
    let models = asked.of_a_model() || matches!(by, Some(By::Model | By::Tier | By::Provider));
    let group = which.group.map_or(Uuid::nil(), |group| group.0);
    let (scope, within, thing) = match by {
        _ if which.members || which.user.is_some() => return Ok(HashMap::new()),
        _ if models && which.group.is_some() => return Ok(HashMap::new()),
        None | Some(By::Model | By::Tier | By::Provider) => match (which.group, which.application) {
            (Some(group), _) => ("group", None, Some(group.0)),
            (_, Some(application)) if by.is_none() => ("application", None, Some(application.0)),
            (_, Some(_)) => return Ok(HashMap::new()),
            _ => ("organization", None, Some(Uuid::nil())),
        },
        _ if which.application.is_some() => return Ok(HashMap::new()),
        _ if models => return Ok(HashMap::new()),
        Some(By::Group) => ("group", Some(group), None),
        Some(By::Application) => ("application", Some(Uuid::nil()), None),
        Some(By::UseCase) => ("use_case", Some(group), None),
        Some(By::Feature) => ("feature", Some(group), None),
        Some(By::User | By::Key) => return Ok(HashMap::new()),
    };
    let (daily, first, second) = match steps {
        Steps::Days => (true, period.from, period.from),
        Steps::Marks(first, second) => (false, first, second),
    };
    let paths = if scope == "application" && which.group.is_some() { asked.paths().await? } else { None };
    let rows = sqlx::query!(
        r#"select case when $4 then s.first_day when s.first_day >= $6 then $6 when s.first_day >= $5 then $5 else $2 end as "step!",
                  case $11::text when 'model' then s.model_id when 'tier' then coalesce(m.tier_id, '00000000-0000-0000-0000-000000000000')
                      when 'provider' then coalesce(m.provider_id, '00000000-0000-0000-0000-000000000000')
                      when '' then '00000000-0000-0000-0000-000000000000' when 'use_case' then '00000000-0000-0000-0000-000000000000'
                      when 'feature' then '00000000-0000-0000-0000-000000000000' else s.thing_id end as "id!",
                  case $11::text when 'use_case' then coalesce(l.label, '')
                      when 'feature' then ('x' || right(replace(s.thing_id::text, '-', ''), 8))::bit(32)::int::text else '' end as "label!",
                  s.class, sum(s.calls)::bigint as "calls!"
           from duration_sums s
           left join models m on $10 and m.org_id = s.org_id and m.model_id = s.model_id
           left join use_case_labels l on $11 = 'use_case' and l.org_id = s.org_id and l.label_id = s.thing_id
           where s.org_id = $1 and s.scope = $7 and s.first_day >= $2 and s.first_day < $3
             and ($8::uuid is null or s.within_id = $8) and ($9::uuid is null or s.thing_id = $9)
             and (($10 and s.model_id <> 'ffffffff-ffff-ffff-ffff-ffffffffffff')
                  or (not $10 and s.model_id = 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
             and ($12::uuid is null or s.model_id = $12)
             and ($13::uuid is null or coalesce(m.tier_id, '00000000-0000-0000-0000-000000000000') = $13)
             and ($14::uuid is null or coalesce(m.provider_id, '00000000-0000-0000-0000-000000000000') = $14)
             and ($15::uuid[] is null or s.path_id = any ($15))
           group by 1, 2, 3, 4"#,
        org.0,
        period.from,
        period.to,
        daily,
        first,
        second,
        scope,
        within,
        thing,
        models,
        by.map_or("", By::as_str),
        which.model.map(|id| id.0),
        which.tier.map(|id| id.0),
        which.provider.map(|id| id.0),
        paths.as_deref(),
    )
    .fetch_all(store.pool())
    .await?;
    let mut found = HashMap::<(NaiveDate, Key), Durations>::new();
    for row in rows {
        let key = Key { id: row.id, label: row.label };
        *found.entry((row.step, key)).or_default() += Durations::of(row.class, row.calls);
    }
    // What is in none of them has no rows of its own: it is what is left.
    let none = match by {
        Some(By::Group | By::UseCase) => "",
        Some(By::Feature) => "0",
        _ => return Ok(found),
    };
    for ((step, _), whole) in Box::pin(read(store, org, which, None, period, steps)).await? {
        let parts = found.iter().filter(|((other, _), _)| *other == step).map(|(_, durations)| *durations);
        let rest = parts.fold(whole, |rest, part| rest - part);
        found.insert((step, Key { id: Uuid::nil(), label: none.to_owned() }), rest);
    }
    Ok(found)
}
