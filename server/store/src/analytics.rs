//! How a group uses models.

use chrono::{DateTime, Days, NaiveDate, Utc};
use domain::{
    access::Facts,
    analytics::{Analytics, Efficiency, TierCost, efficiency, medians},
    explore::{By, Interval, Measure, Period},
    ids::{GroupId, ModelId, OrgId},
    models::{Modality, Review},
    money::Money,
    recommendations::MODEL_DAYS,
    spend::Sums,
};
use sqlx::PgConnection;

use crate::{
    Result, Store, access, clock,
    explore::{self, Question},
    groups,
    recommendations::{cost_with, is_open},
    rollups::Which,
};

/// How far back the trend goes.
const WEEKS: u64 = 12;
/// For what and how a group calls: a table of the page for each.
const SPLITS: [By; 2] = [By::UseCase, By::Feature];
/// How many models are told apart over time, and in the table.
const TOP: usize = 6;
const MOST: usize = 40;

fn back(day: NaiveDate, days: u64) -> NaiveDate {
    day.checked_sub_days(Days::new(days)).unwrap_or(day)
}

/// The analytics of a group, with everything below it.
///
/// # Errors
/// [`crate::StoreError::NotFound`] when it is not in the organization.
pub async fn page(store: &Store, org: OrgId, group: GroupId) -> Result<Analytics> {
    let path = groups::get(store, org, group).await?.path;
    let facts = access::current(store, org).await?;
    let now = clock::now();
    let today = facts.calendar.day(now);
    let tomorrow = today.succ_opt().unwrap_or(today);
    let which = Which { group: Some(group), ..Which::default() };
    let ask = async |by, interval, days, top| {
        let period = Period { from: back(tomorrow, days), to: tomorrow };
        let week_start = facts.calendar.week_start;
        let question = Question {
            measure: Measure::Spend,
            by,
            interval,
            period,
            before: period.before(),
            top,
            week_start,
            today,
        };
        explore::ask(store, org, &which, &question).await
    };
    let days = MODEL_DAYS.unsigned_abs();
    let trend = ask(By::Model, Interval::Week, WEEKS * 7, TOP).await?;
    let models = ask(By::Model, Interval::Month, days, MOST).await?;
    let mut splits = Vec::new();
    for by in SPLITS {
        splits.push(ask(by, Interval::Month, days, MOST).await?);
    }
    let text = text_of(&facts, &models);
    Ok(Analytics {
        path,
        own: efficiency(&models.total()),
        median: median(store, org).await?,
        tiers: tiers(&facts, group, &text, now),
        text,
        trend,
        models,
        splits,
    })
}

/// What calls for text used: only they can be compared by their tokens.
fn text_of(facts: &Facts, models: &domain::explore::Explored) -> Sums {
    let is_text = |key: &str| {
        let id = key.parse::<ModelId>().ok();
        id.and_then(|id| facts.models.get(&id)).is_some_and(|model| is_for_text(model.modality))
    };
    models.rows.iter().filter(|row| row.key.as_deref().is_some_and(is_text)).map(|row| row.total).sum()
}

const fn is_for_text(modality: Modality) -> bool {
    matches!(modality, Modality::Chat | Modality::Vision)
}

/// What the same tokens would have cost with the cheapest model of each tier.
fn tiers(facts: &Facts, group: GroupId, text: &Sums, now: DateTime<Utc>) -> Vec<TierCost> {
    if text.calls == 0 {
        return Vec::new();
    }
    let mut found: Vec<TierCost> = facts
        .tiers
        .iter()
        .filter_map(|(id, tier)| {
            let models = facts.models.iter().filter(|(_, model)| {
                model.tier == *id
                    && is_for_text(model.modality)
                    && model.review == Review::Accepted
                    && !model.archived
            });
            let priced = models.filter_map(|(id, model)| {
                Some((cost_with(text, model.prices_at(now)?)?, *id, model.name.clone()))
            });
            let (cost, model, name) = priced.min_by_key(|(cost, id, _)| (*cost, *id))?;
            let open = is_open(facts, group, model, now);
            Some(TierCost { tier: tier.name.clone(), model: (model, name), cost, open })
        })
        .collect();
    found.sort_by(|a, b| (a.cost, &a.tier).cmp(&(b.cost, &b.tier)));
    found
}

async fn median(store: &Store, org: OrgId) -> Result<Option<(Efficiency, i64)>> {
    let row = sqlx::query!(
        "select groups, per_call, per_thousand_output, cache_share from medians where org_id = $1",
        org.0
    )
    .fetch_optional(store.pool())
    .await?;
    Ok(row.map(|row| {
        let median = Efficiency {
            per_call: row.per_call.map(Money),
            per_thousand_output: row.per_thousand_output.map(Money),
            cache_share: row.cache_share,
        };
        (median, row.groups)
    }))
}

/// Finds the organization's group in the middle, each with everything below it: as the figures that stand
/// beside it.
pub(crate) async fn find_median(
    db: &mut PgConnection,
    org: OrgId,
    today: NaiveDate,
    now: DateTime<Utc>,
) -> Result<()> {
    let rows = sqlx::query!(
        r#"select a.id as "group!", sum(d.calls)::bigint as "calls!", sum(d.spend)::bigint as "spend!",
                  sum(d.input)::bigint as "input!", sum(d.cache_read)::bigint as "cache_read!", sum(d.cache_write)::bigint as "cache_write!",
                  sum(d.output)::bigint as "output!", sum(d.reasoning)::bigint as "reasoning!"
           from (
               select path_id, sum(calls) as calls, sum(spend) as spend, sum(input) as input, sum(cache_read) as cache_read,
                      sum(cache_write) as cache_write, sum(output) as output, sum(reasoning) as reasoning
               from usage_by_day where org_id = $1 and day >= $2 group by 1
           ) d
           join group_paths p on p.org_id = $1 and p.path_id = d.path_id
           cross join unnest(p.groups) as a (id)
           group by 1 having sum(d.calls) > 0"#,
        org.0,
        // As many days as those of the page, of which today is the last.
        back(today, MODEL_DAYS.unsigned_abs() - 1),
    )
    .fetch_all(&mut *db)
    .await?;
    let groups: Vec<Efficiency> = rows
        .into_iter()
        .map(|row| {
            efficiency(&Sums {
                calls: row.calls,
                spend: Money(row.spend),
                input: row.input,
                cache_read: row.cache_read,
                cache_write: row.cache_write,
                output: row.output,
                reasoning: row.reasoning,
                ..Sums::default()
            })
        })
        .collect();
    let median = medians(&groups);
    sqlx::query!(
        "insert into medians (org_id, groups, per_call, per_thousand_output, cache_share, found_at) values ($1, $2, $3, $4, $5, $6)
         on conflict (org_id) do update set groups = excluded.groups, per_call = excluded.per_call,
             per_thousand_output = excluded.per_thousand_output, cache_share = excluded.cache_share, found_at = excluded.found_at",
        org.0,
        groups.len() as i64,
        median.per_call.map(|money| money.0),
        median.per_thousand_output.map(|money| money.0),
        median.cache_share,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}
