//! Spend as pages read it: sums by day, never the ledger itself, except for the last few calls.

use std::collections::HashMap;

use chrono::{DateTime, Days, Months, NaiveDate, Utc};
use domain::{
    ids::{ApplicationId, CallId, GroupId, ModelId, OrgId, UserId},
    money::Money,
    spend::{CallRow, DaySpend, Slice, SpendPage, Sums, View},
    usage::Usage,
    window::{Calendar, Window},
};
use uuid::Uuid;

use crate::{Result, Store, access, clock, groups, limits};

/// How many applications a chart tells apart; the rest is "other".
const SERIES: usize = 4;

/// A calendar month of an organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Month {
    /// The first moment.
    pub starts_at: DateTime<Utc>,
    /// The first day.
    pub first: NaiveDate,
    /// The first day of the month after.
    pub next: NaiveDate,
}

impl Month {
    /// The month `at` falls into.
    pub fn of(calendar: Calendar, at: DateTime<Utc>) -> Self {
        let span = calendar.span(Window::Month, at);
        let first = calendar.day(span.start);
        Self { starts_at: span.start, first, next: first.checked_add_months(Months::new(1)).unwrap_or(first) }
    }

    /// The current month of an organization.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn current(store: &Store, org: OrgId) -> Result<Self> {
        Ok(Self::of(crate::organizations::calendar(store, org).await?, clock::now()))
    }
}

/// Whose spend.
#[derive(Clone, Copy, Debug, Default)]
pub struct Which {
    /// Of this group and everything below; none: of the organization.
    pub group: Option<GroupId>,
    /// Of its members rather than of its applications.
    pub members: bool,
    /// Only of this application.
    pub application: Option<ApplicationId>,
    /// Only of this person.
    pub user: Option<UserId>,
    /// Only with this model.
    pub model: Option<ModelId>,
}

/// By what a breakdown splits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Application,
    Model,
    User,
}

impl By {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::Model => "model",
            Self::User => "user",
        }
    }
}

/// Sums by thing from a day until before another; nil where there is no such thing.
async fn breakdown(
    store: &Store,
    org: OrgId,
    which: &Which,
    by: By,
    from: NaiveDate,
    to: NaiveDate,
) -> Result<HashMap<Uuid, Sums>> {
    let rows = sqlx::query!(
        r#"select case $9::text when 'application' then d.application_id when 'model' then d.model_id else d.user_id end as "id!",
                  sum(d.calls)::bigint as "calls!", sum(d.refused)::bigint as "refused!", sum(d.spend)::bigint as "spend!",
                  sum(d.input + d.cache_read + d.cache_write)::bigint as "input!", sum(d.output + d.reasoning)::bigint as "output!"
           from usage_by_day d
           where d.org_id = $1 and d.day >= $2 and d.day < $3
             and ($4::uuid is null or case when $5 then
                      d.set_id in (select s.set_id from member_sets s where s.org_id = $1 and s.groups @> array[$4::uuid])
                  else
                      d.path_id in (select p.path_id from group_paths p where p.org_id = $1 and p.groups @> array[$4::uuid])
                  end)
             and ($6::uuid is null or d.application_id = $6)
             and ($7::uuid is null or d.user_id = $7)
             and ($8::uuid is null or d.model_id = $8)
           group by 1"#,
        org.0,
        from,
        to,
        which.group.map(|id| id.0),
        which.members,
        which.application.map(|id| id.0),
        which.user.map(|id| id.0),
        which.model.map(|id| id.0),
        by.as_str(),
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let sums = Sums {
                calls: row.calls,
                refused: row.refused,
                spend: Money(row.spend),
                input_tokens: row.input,
                output_tokens: row.output,
            };
            (row.id, sums)
        })
        .collect())
}

fn total<'a>(parts: impl Iterator<Item = &'a Sums>) -> Sums {
    parts.fold(Sums::default(), |sum, part| Sums {
        calls: sum.calls + part.calls,
        refused: sum.refused + part.refused,
        spend: Money(sum.spend.0 + part.spend.0),
        input_tokens: sum.input_tokens + part.input_tokens,
        output_tokens: sum.output_tokens + part.output_tokens,
    })
}

/// Sums from a day until before another.
///
/// # Errors
/// When the database does not answer.
pub async fn sums(store: &Store, org: OrgId, which: &Which, from: NaiveDate, to: NaiveDate) -> Result<Sums> {
    Ok(total(breakdown(store, org, which, By::Model, from, to).await?.values()))
}

/// Spend by day and application.
async fn by_day(
    store: &Store,
    org: OrgId,
    which: &Which,
    from: NaiveDate,
    to: NaiveDate,
) -> Result<Vec<(NaiveDate, Uuid, i64)>> {
    let rows = sqlx::query!(
        r#"select d.day, d.application_id, sum(d.spend)::bigint as "spend!"
           from usage_by_day d
           where d.org_id = $1 and d.day >= $2 and d.day < $3
             and ($4::uuid is null or case when $5 then
                      d.set_id in (select s.set_id from member_sets s where s.org_id = $1 and s.groups @> array[$4::uuid])
                  else
                      d.path_id in (select p.path_id from group_paths p where p.org_id = $1 and p.groups @> array[$4::uuid])
                  end)
             and ($6::uuid is null or d.application_id = $6)
             and ($7::uuid is null or d.user_id = $7)
             and ($8::uuid is null or d.model_id = $8)
           group by d.day, d.application_id"#,
        org.0,
        from,
        to,
        which.group.map(|id| id.0),
        which.members,
        which.application.map(|id| id.0),
        which.user.map(|id| id.0),
        which.model.map(|id| id.0),
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows.into_iter().map(|row| (row.day, row.application_id, row.spend)).collect())
}

/// Spend by the groups directly below one (none: below the organization), as the tree was at the
/// time of each call. Nil: the group's own applications.
async fn by_child(
    store: &Store,
    org: OrgId,
    group: Option<GroupId>,
    from: NaiveDate,
    to: NaiveDate,
) -> Result<HashMap<Uuid, Sums>> {
    let rows = sqlx::query!(
        r#"with by_path as (
               select d.path_id, sum(d.calls) as calls, sum(d.refused) as refused, sum(d.spend) as spend,
                      sum(d.input + d.cache_read + d.cache_write) as input, sum(d.output + d.reasoning) as output
               from usage_by_day d where d.org_id = $1 and d.day >= $2 and d.day < $3 group by d.path_id
           )
           select coalesce(p.groups[coalesce(array_position(p.groups, $4), 0) + 1], '00000000-0000-0000-0000-000000000000') as "id!",
                  sum(b.calls)::bigint as "calls!", sum(b.refused)::bigint as "refused!", sum(b.spend)::bigint as "spend!",
                  sum(b.input)::bigint as "input!", sum(b.output)::bigint as "output!"
           from by_path b join group_paths p on p.org_id = $1 and p.path_id = b.path_id
           where $4::uuid is null or p.groups @> array[$4::uuid]
           group by 1"#,
        org.0,
        from,
        to,
        group.map(|id| id.0),
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let sums = Sums {
                calls: row.calls,
                refused: row.refused,
                spend: Money(row.spend),
                input_tokens: row.input,
                output_tokens: row.output,
            };
            (row.id, sums)
        })
        .collect())
}

/// Names of applications, models and people, whatever became of them.
async fn names(store: &Store, org: OrgId, by: By, ids: &[Uuid]) -> Result<HashMap<Uuid, String>> {
    let rows = sqlx::query!(
        r#"select application_id as "id!", name as "name!" from applications where $3 = 'application' and org_id = $1 and application_id = any ($2)
           union all
           select model_id, name from models where $3 = 'model' and org_id = $1 and model_id = any ($2)
           union all
           select user_id, name from users where $3 = 'user' and org_id = $1 and user_id = any ($2)"#,
        org.0,
        ids,
        by.as_str(),
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.name)).collect())
}

/// The window that is shown and the one before, up to the same day.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    from: NaiveDate,
    to: NaiveDate,
    before_from: NaiveDate,
    before_to: NaiveDate,
}

impl Stretch {
    fn of(month: NaiveDate, today: NaiveDate) -> Self {
        let next = month.checked_add_months(Months::new(1)).unwrap_or(month);
        let before_from = month.checked_sub_months(Months::new(1)).unwrap_or(month);
        let tomorrow = today.checked_add_days(Days::new(1)).unwrap_or(today);
        let to = next.min(tomorrow).max(month);
        let elapsed = u64::try_from((to - month).num_days()).unwrap_or_default();
        let before_to = before_from.checked_add_days(Days::new(elapsed)).unwrap_or(month).min(month);
        Self { from: month, to, before_from, before_to }
    }
}

async fn slices<Id: From<Uuid>>(
    store: &Store,
    org: OrgId,
    which: &Which,
    by: By,
    stretch: Stretch,
) -> Result<Vec<Slice<Id>>> {
    let now = breakdown(store, org, which, by, stretch.from, stretch.to).await?;
    let before = breakdown(store, org, which, by, stretch.before_from, stretch.before_to).await?;
    let ids: Vec<Uuid> = now.keys().chain(before.keys()).copied().collect();
    let names = names(store, org, by, &ids).await?;
    let nobody = match by {
        By::Application => "Unknown application",
        By::Model => "No model",
        By::User => "No person (service secrets)",
    };
    Ok(sorted(now, &before, |id| names.get(&id).cloned().unwrap_or_else(|| nobody.to_owned())))
}

fn sorted<Id: From<Uuid>>(
    now: HashMap<Uuid, Sums>,
    before: &HashMap<Uuid, Sums>,
    name: impl Fn(Uuid) -> String,
) -> Vec<Slice<Id>> {
    let gone = before
        .keys()
        .filter(|id| !now.contains_key(*id))
        .map(|id| (*id, Sums::default()))
        .collect::<Vec<_>>();
    let mut slices: Vec<(Uuid, Slice<Id>)> = now
        .into_iter()
        .chain(gone)
        .map(|(id, sums)| {
            let before = before.get(&id).map_or(Money::ZERO, |sums| sums.spend);
            (id, Slice { id: (!id.is_nil()).then(|| Id::from(id)), name: name(id), now: sums, before })
        })
        .filter(|(_, slice)| slice.now != Sums::default() || slice.before != Money::ZERO)
        .collect();
    slices.sort_by(|(a_id, a), (b_id, b)| {
        (b.now.spend, b.now.calls, b.before, a_id).cmp(&(a.now.spend, a.now.calls, a.before, b_id))
    });
    slices.into_iter().map(|(_, slice)| slice).collect()
}

/// The spend page of a group, or of the organization, for the month that starts on `month`.
///
/// # Errors
/// [`crate::StoreError::NotFound`] when the group is not in the organization.
pub async fn page(
    store: &Store,
    org: OrgId,
    group: Option<GroupId>,
    view: View,
    month: Option<NaiveDate>,
) -> Result<SpendPage> {
    let facts = access::facts(store, org).await?;
    let now = clock::now();
    let today = facts.calendar.day(now);
    let month = month.unwrap_or_else(|| Month::of(facts.calendar, now).first);
    let month_end = month.checked_add_months(Months::new(1)).unwrap_or(month);
    let stretch = Stretch::of(month, today);
    let path = match group {
        Some(id) => groups::get(store, org, id).await?.path,
        None => Vec::new(),
    };
    let which = Which { group, members: view == View::Members, ..Which::default() };
    let models: Vec<Slice<ModelId>> = slices(store, org, &which, By::Model, stretch).await?;
    let applications: Vec<Slice<ApplicationId>> =
        slices(store, org, &which, By::Application, stretch).await?;
    let users: Vec<Slice<UserId>> = slices(store, org, &which, By::User, stretch).await?;
    let groups = match view {
        View::Members => Vec::new(),
        View::Attributed => child_slices(store, org, group, stretch).await?,
    };
    let (series, days) = chart(store, org, &which, &applications, stretch).await?;
    let scope = group.map_or(domain::limits::Scope::Organization, domain::limits::Scope::Group);
    let budget = limits::list(store, org, &facts, |other| other == scope)
        .await?
        .into_iter()
        .find(|level| {
            level.limit.meter.metric == domain::limits::Metric::Spend
                && level.limit.meter.window == Window::Month
        })
        .filter(|_| month_end > today && month <= today);
    Ok(SpendPage {
        path,
        view,
        month,
        month_end,
        today,
        total: total(models.iter().map(|slice| &slice.now)),
        before: sums(store, org, &which, stretch.before_from, stretch.before_to).await?.spend,
        before_whole: sums(store, org, &which, stretch.before_from, month).await?.spend,
        budget,
        series,
        days,
        groups,
        applications,
        models,
        users,
        calls: calls(store, org, &which, now, 20).await?,
    })
}

async fn child_slices(
    store: &Store,
    org: OrgId,
    group: Option<GroupId>,
    stretch: Stretch,
) -> Result<Vec<Slice<GroupId>>> {
    let now = by_child(store, org, group, stretch.from, stretch.to).await?;
    let before = by_child(store, org, group, stretch.before_from, stretch.before_to).await?;
    let ids: Vec<Uuid> = now.keys().chain(before.keys()).copied().collect();
    let names = groups::names(store, org, &ids).await?;
    Ok(sorted(now, &before, |id| {
        names.get(&GroupId(id)).cloned().unwrap_or_else(|| "Its own applications".to_owned())
    }))
}

/// The days of a stretch, split by the applications that spent most.
async fn chart(
    store: &Store,
    org: OrgId,
    which: &Which,
    applications: &[Slice<ApplicationId>],
    stretch: Stretch,
) -> Result<(Vec<String>, Vec<DaySpend>)> {
    let spending: Vec<&Slice<ApplicationId>> =
        applications.iter().filter(|slice| slice.now.spend > Money::ZERO).collect();
    // One more than fits: the last place is "other".
    let named = if spending.len() > SERIES { SERIES - 1 } else { spending.len() };
    let mut series: Vec<String> = spending.iter().take(named).map(|slice| slice.name.clone()).collect();
    if spending.len() > named {
        series.push("other".to_owned());
    }
    let place: HashMap<Uuid, usize> = spending
        .iter()
        .take(named)
        .enumerate()
        .filter_map(|(place, slice)| Some((slice.id?.0, place)))
        .collect();
    let mut days = HashMap::<NaiveDate, Vec<Money>>::new();
    for (day, application, spend) in by_day(store, org, which, stretch.from, stretch.to).await? {
        let parts = days.entry(day).or_insert_with(|| vec![Money::ZERO; series.len()]);
        let slot = place.get(&application).copied().unwrap_or(series.len().saturating_sub(1));
        if let Some(part) = parts.get_mut(slot) {
            part.0 += spend;
        }
    }
    let days = stretch
        .from
        .iter_days()
        .take_while(|day| *day < stretch.to)
        .map(|day| DaySpend {
            day,
            parts: days.remove(&day).unwrap_or_else(|| vec![Money::ZERO; series.len()]),
        })
        .collect();
    Ok((series, days))
}

/// The last calls, the newest first: of the last 31 days.
///
/// # Errors
/// When the database does not answer.
pub async fn calls(
    store: &Store,
    org: OrgId,
    which: &Which,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<CallRow>> {
    let rows = sqlx::query!(
        r#"select e.call_id, e.started_at, e.application_id, a.name as application, e.user_id, u.name as "user_name?", e.model_id,
                  m.name as model, p.name as "policy?", e.use_case, e.outcome, e.input, e.cache_read, e.cache_write, e.cache_write_long, e.output,
                  e.reasoning, e.audio_input, e.audio_output, e.images, e.cost, e.estimated, e.duration_ms
           from events e
           join applications a on a.org_id = e.org_id and a.application_id = e.application_id
           join models m on m.org_id = e.org_id and m.model_id = e.model_id
           left join users u on u.org_id = e.org_id and u.user_id = e.user_id
           left join policies p on p.org_id = e.org_id and p.policy_id = e.policy_id
           where e.org_id = $1 and e.day >= $2
             and ($3::uuid is null or case when $4 then
                      e.set_id in (select s.set_id from member_sets s where s.org_id = $1 and s.groups @> array[$3::uuid])
                  else
                      e.path_id in (select p.path_id from group_paths p where p.org_id = $1 and p.groups @> array[$3::uuid])
                  end)
             and ($5::uuid is null or e.application_id = $5)
             and ($6::uuid is null or e.user_id = $6)
             and ($7::uuid is null or e.model_id = $7)
           order by e.started_at desc, e.call_id desc
           limit $8"#,
        org.0,
        now.date_naive().checked_sub_days(Days::new(31)),
        which.group.map(|id| id.0),
        which.members,
        which.application.map(|id| id.0),
        which.user.map(|id| id.0),
        which.model.map(|id| id.0),
        limit,
    )
    .fetch_all(store.pool())
    .await?;
    let count = |tokens: i64| u64::try_from(tokens).unwrap_or_default();
    rows.into_iter()
        .map(|row| {
            Ok(CallRow {
                id: CallId(row.call_id),
                at: row.started_at,
                application: (row.application_id.into(), row.application),
                user: row.user_id.map(UserId).zip(row.user_name),
                model: (row.model_id.into(), row.model),
                policy: row.policy,
                use_case: (!row.use_case.is_empty()).then_some(row.use_case),
                outcome: row.outcome.parse()?,
                usage: Usage {
                    input: count(row.input),
                    cache_read: count(row.cache_read),
                    cache_write: count(row.cache_write),
                    cache_write_long: count(row.cache_write_long),
                    output: count(row.output),
                    reasoning: count(row.reasoning),
                    audio_input: count(row.audio_input),
                    audio_output: count(row.audio_output),
                    images: count(row.images),
                },
                cost: Money(row.cost),
                estimated: row.estimated,
                duration_ms: i64::from(row.duration_ms),
            })
        })
        .collect()
}
