//! Sums from those by day that tell everything apart: what any question can be asked of.

use chrono::NaiveDate;
use domain::{
    explore::{By, Period},
    ids::OrgId,
    keys::Features,
    money::Money,
    spend::Sums,
};
use uuid::Uuid;

use super::{Key, REST, Steps, Which};
use crate::{Result, Store, sums};

/// As [`super::read`]. Split by features, a call is in the row of each that it used.
pub(super) async fn read(
    store: &Store,
    org: OrgId,
    which: &Which,
    by: Option<By>,
    period: Period,
    steps: Steps,
    only: Option<&[Key]>,
    timed: bool,
) -> Result<Vec<(NaiveDate, Option<Key>, Sums)>> {
    // There are few features: each is told apart.
    let only = only.filter(|_| by != Some(By::Feature));
    let (daily, first, second) = match steps {
        Steps::Days | Steps::Months => (true, period.from, period.from),
        Steps::Marks(first, second) => (false, first, second),
    };
    let ids = only.map(|keys| keys.iter().map(|key| key.id).collect::<Vec<_>>());
    let labels: Vec<String> = only.unwrap_or_default().iter().map(|key| key.label.clone()).collect();
    let within = super::within(store, org, which).await?;
    let without = &which.without;
    let rows = sqlx::query!(
        r#"with d as (
               select case when $4 then d.day when d.day >= $6 then $6 when d.day >= $5 then $5 else $2 end as step,
                      case $7::text
                          when 'application' then d.application_id when 'model' then d.model_id when 'user' then d.user_id
                          when 'tier' then coalesce(m.tier_id, '00000000-0000-0000-0000-000000000000')
                          when 'provider' then coalesce(m.provider_id, '00000000-0000-0000-0000-000000000000')
                          when 'group' then coalesce(p.groups[coalesce(array_position(p.groups, $8), 0) + 1],
                                                     '00000000-0000-0000-0000-000000000000')
                          else '00000000-0000-0000-0000-000000000000'
                      end as id,
                      case $7::text when 'use_case' then d.use_case when 'feature' then d.features::text else '' end as label,
                      d.calls, d.failed, d.refused, d.spend, d.input, d.cache_read, d.cache_write, d.output, d.reasoning, d.duration_ms,
                      d.cached, d.saved, case when $23 then d.took end as took
               from usage_by_day d
               join group_paths p on p.org_id = d.org_id and p.path_id = d.path_id
               left join models m on m.org_id = d.org_id and m.model_id = d.model_id
               where d.org_id = $1 and d.day >= $2 and d.day < $3
                 and ($9::uuid[] is null or d.path_id = any ($9))
                 and ($21::uuid[] is null or d.set_id = any ($21))
                 and (not $10 or p.groups[cardinality(p.groups)] = $8)
                 and ($11::uuid is null or d.application_id = $11)
                 and ($12::uuid is null or d.user_id = $12)
                 and ($13::uuid is null or d.model_id = $13)
                 and ($14::uuid is null or coalesce(m.tier_id, '00000000-0000-0000-0000-000000000000') = $14)
                 and ($22::uuid is null or coalesce(m.provider_id, '00000000-0000-0000-0000-000000000000') = $22)
                 and ($15::text is null or d.use_case = $15)
                 and ($20::int is null or case when $20 = 0 then d.features = 0 else d.features & $20 <> 0 end)
                 and ($16::uuid[] is null or d.user_id = $17 or d.path_id = any ($16))
                 and not (p.groups && $24::uuid[])
                 and not coalesce('00000000-0000-0000-0000-000000000000' = any ($24) and p.groups[cardinality(p.groups)] = $8, false)
                 and d.application_id <> all ($25::uuid[]) and d.user_id <> all ($26::uuid[]) and d.model_id <> all ($27::uuid[])
                 and coalesce(m.tier_id, '00000000-0000-0000-0000-000000000000') <> all ($28::uuid[])
                 and coalesce(m.provider_id, '00000000-0000-0000-0000-000000000000') <> all ($29::uuid[])
                 and d.use_case <> all ($30::text[])
           )
           select step as "step!",
                  case when $18::uuid[] is null or (id = any ($18) and label = any ($19)) then id
                       else 'ffffffff-ffff-ffff-ffff-ffffffffffff' end as "id!",
                  case when $18::uuid[] is null or (id = any ($18) and label = any ($19)) then label else '' end as "label!",
                  sum(calls)::bigint as "calls!", sum(failed)::bigint as "failed!", sum(refused)::bigint as "refused!",
                  sum(spend)::bigint as "spend!", sum(input)::bigint as "input!", sum(cache_read)::bigint as "cache_read!",
                  sum(cache_write)::bigint as "cache_write!", sum(output)::bigint as "output!", sum(reasoning)::bigint as "reasoning!",
                  sum(duration_ms)::bigint as "duration_ms!", sum(cached)::bigint as "cached!", sum(saved)::bigint as "saved!",
                  sum(took)::text as took
           from d group by 1, 2, 3"#,
        org.0,
        period.from,
        period.to,
        daily,
        first,
        second,
        by.map(By::as_str),
        which.group.map(|id| id.0),
        within.paths.as_deref(),
        which.directly,
        which.application.map(|id| id.0),
        which.user.map(|id| id.0),
        which.model.map(|id| id.0),
        which.tier.map(|id| id.0),
        which.use_case.as_deref(),
        within.led.as_deref(),
        which.sight.me().0,
        ids.as_deref(),
        &labels,
        which.features.map(Features::bits),
        within.sets.as_deref(),
        which.provider.map(|id| id.0),
        timed,
        &without.groups,
        &without.applications,
        &without.users,
        &without.models,
        &without.tiers,
        &without.providers,
        &without.use_cases,
    )
    .fetch_all(store.pool())
    .await?;
    let rows: Vec<(NaiveDate, Option<Key>, Sums)> = rows
        .into_iter()
        .map(|row| {
            let sums = Sums {
                calls: row.calls,
                failed: row.failed,
                refused: row.refused,
                spend: Money(row.spend),
                input: row.input,
                cache_read: row.cache_read,
                cache_write: row.cache_write,
                output: row.output,
                reasoning: row.reasoning,
                duration_ms: row.duration_ms,
                cached: row.cached,
                saved: Money(row.saved),
                durations: sums::took(row.took.as_deref()),
            };
            (row.step, (row.id != REST).then_some(Key { id: row.id, label: row.label }), sums)
        })
        .collect();
    Ok(if by == Some(By::Feature) { rows.into_iter().flat_map(apart).collect() } else { rows })
}

/// A row of a set of features as one row for each of them. The empty set is a row of its own.
pub(super) fn apart(
    (step, key, sums): (NaiveDate, Option<Key>, Sums),
) -> Vec<(NaiveDate, Option<Key>, Sums)> {
    let bits = key.and_then(|key| key.label.parse().ok()).unwrap_or_default();
    let named = |label: &str| (step, Some(Key { id: Uuid::nil(), label: label.to_owned() }), sums);
    let features = Features::from_bits(bits);
    if features.is_empty() {
        return vec![named("")];
    }
    features.iter().map(|feature| named(feature.as_str())).collect()
}
