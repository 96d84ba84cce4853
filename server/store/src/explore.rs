//! Questions about use, answered from the sums by day.

use std::collections::{HashMap, HashSet};

use chrono::{Datelike, NaiveDate, Weekday};
use domain::{
    explore::{By, Explored, Interval, Measure, NONE, Period, Row},
    ids::{ApplicationId, GroupId, KeyId, ModelId, OrgId, ProviderId, TierId, UserId},
    keys::Feature,
    spend::Sums,
};
use uuid::Uuid;

use crate::{
    Result, Store,
    rollups::{self, Key, Steps, Which},
    sums,
};

/// How many things beyond the largest are listed one by one.
const MORE: usize = 92;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// What is counted.
    pub measure: Measure,
    /// By what it is split.
    pub by: By,
    /// The steps of time.
    pub interval: Interval,
    /// When.
    pub period: Period,
    /// What it is compared with: it ends before that begins.
    pub before: Period,
    /// How many things are told apart over time; the rest is one.
    pub top: usize,
    /// The day a week begins.
    pub week_start: Weekday,
    /// The organization's day: nothing comes after it.
    pub today: NaiveDate,
}

impl Question {
    /// How days are read that are shown step by step: no finer than they are shown.
    fn finest(&self) -> Steps {
        let Period { from, to } = self.period;
        let whole = from.day() == 1 && (to.day() == 1 || to > self.today);
        if self.interval == Interval::Month && whole { Steps::Months } else { Steps::Days }
    }
}

/// Answers.
///
/// # Errors
/// When the database does not answer.
pub async fn ask(store: &Store, org: OrgId, which: &Which, question: &Question) -> Result<Explored> {
    // Every application has one key.
    if question.by == By::Key {
        let by_application = Question { by: By::Application, ..*question };
        let mut explored = Box::pin(ask(store, org, which, &by_application)).await?;
        explored.by = By::Key;
        name_keys(store, org, &mut explored).await?;
        return Ok(explored);
    }
    let Question { measure, by, interval, period, before, top, week_start, .. } = *question;
    let size = |sums: &Sums| measure.of(sums).unwrap_or_default();
    let Things { things, others, count } = match of_many(store, org, which, question).await? {
        Some(found) => found,
        None => now_and_before(store, org, which, question).await?,
    };
    let mut things: Vec<(Key, Sums, Sums)> = things
        .into_iter()
        .map(|(key, (now, before))| (key, now, before))
        .filter(|(_, now, before)| *now != Sums::default() || *before != Sums::default())
        .collect();
    things.sort_by(|(a_key, a, a_before), (b_key, b, b_before)| {
        (size(b), b.spend, size(b_before), a_key).cmp(&(size(a), a.spend, size(a_before), b_key))
    });
    let count = count.unwrap_or(things.len());
    let steps = interval.steps(period.from, period.to, week_start);
    // What overlaps has no rest: what is left over would be counted with what is not.
    let top = if by.overlaps() { things.len() } else { top };
    let largest: Vec<Key> = things.iter().take(top).map(|(key, ..)| key.clone()).collect();
    let ids: Vec<Uuid> = things.iter().take(top + MORE).map(|(key, ..)| key.id).collect();
    let whole = async {
        match by.overlaps() || measure.is_percentile() {
            true => together(store, org, which, question, &steps).await.map(Some),
            false => Ok(None),
        }
    };
    // Where nothing is left over, nothing has to be told apart from it.
    let only = (by.overlaps() || things.len() > top).then_some(largest.as_slice());
    let (mut cells, names, whole, began) = tokio::try_join!(
        over_time(store, org, which, question, &steps, only),
        rollups::names(store, org, by, &ids),
        whole,
        began(store, org)
    )?;
    let row = |(key, total, before): &(Key, Sums, Sums), cells| Row {
        key: Some(text(by, key)),
        name: name(by, key, &names),
        cells,
        total: *total,
        before: *before,
    };
    let empty = || vec![Sums::default(); steps.len()];
    let mut rows: Vec<Row> = things
        .iter()
        .take(top)
        .map(|thing| row(thing, cells.remove(&Some(thing.0.clone())).unwrap_or_else(empty)))
        .collect();
    let rest = things.get(top..).unwrap_or_default();
    if !rest.is_empty() {
        rows.push(Row {
            key: None,
            name: format!("Other ({})", count.saturating_sub(top)),
            cells: cells.remove(&None).unwrap_or_else(empty),
            total: rest.iter().map(|(_, now, _)| *now).chain([others.0]).sum(),
            before: rest.iter().map(|(_, _, before)| *before).chain([others.1]).sum(),
        });
    }
    let more = rest.iter().take(MORE).map(|thing| row(thing, Vec::new())).collect();
    Ok(Explored { measure, by, interval, period, before, steps, rows, more, things: count, whole, began })
}

/// The first day on which anything was counted in an organization.
async fn began(store: &Store, org: OrgId) -> Result<Option<NaiveDate>> {
    Ok(sqlx::query_scalar!("select min(day) from usage_by_day where org_id = $1", org.0)
        .fetch_one(store.pool())
        .await?)
}

/// The keys of applications, in the place of those.
async fn name_keys(store: &Store, org: OrgId, explored: &mut Explored) -> Result<()> {
    let rows = explored.rows.iter_mut().chain(&mut explored.more);
    let rows: Vec<(ApplicationId, &mut Row)> =
        rows.filter_map(|row| Some((row.key.as_deref()?.parse().ok()?, row))).collect();
    let ids: Vec<Uuid> = rows.iter().map(|(id, _)| id.0).collect();
    let keys = sqlx::query!(
        "select application_id, key_id from keys where org_id = $1 and application_id = any ($2)",
        org.0,
        &ids
    )
    .fetch_all(store.pool())
    .await?;
    let keys: HashMap<Uuid, Uuid> = keys.into_iter().map(|row| (row.application_id, row.key_id)).collect();
    for (id, row) in rows {
        row.key = keys.get(&id.0).map(|key| KeyId(*key).to_string());
        row.name = format!("Key of {}", row.name);
    }
    Ok(())
}

/// Sums with how long their calls took, where that is what is asked for.
async fn lines(
    store: &Store,
    org: OrgId,
    which: &Which,
    (measure, by): (Measure, Option<By>),
    period: Period,
    steps: Steps,
    only: Option<&[Key]>,
) -> Result<Vec<sums::Line>> {
    rollups::read(store, org, which, by, period, steps, only, measure.is_percentile()).await
}

/// Things with their sums of the period, and of the one before.
struct Things {
    things: HashMap<Key, (Sums, Sums)>,
    /// All others.
    others: (Sums, Sums),
    /// How many there are, where not all of them are here.
    count: Option<usize>,
}

async fn now_and_before(store: &Store, org: OrgId, which: &Which, question: &Question) -> Result<Things> {
    let Question { measure, by, period, before, .. } = *question;
    let whole = Period { from: before.from, to: period.to };
    // Before, what lies between, and now.
    let marks = Steps::Marks(before.to.min(period.from), period.from);
    let mut things = HashMap::<Key, (Sums, Sums)>::new();
    for (step, key, sums) in lines(store, org, which, (measure, Some(by)), whole, marks, None).await? {
        let Some(key) = key else { continue };
        let thing = things.entry(key).or_default();
        if step >= period.from {
            thing.0 += sums;
        } else if step < before.to {
            thing.1 += sums;
        }
    }
    Ok(Things { things, others: Default::default(), count: None })
}

/// The same, where there are more things than are shown: which those are is found first, and nothing is
/// read of the others. None: there are not that many, or nobody knows without reading them.
async fn of_many(store: &Store, org: OrgId, which: &Which, question: &Question) -> Result<Option<Things>> {
    let Question { measure, by, period, before, top, .. } = *question;
    let Some((shown, count)) = sums::top(store, org, which, by, period, measure, top + MORE).await? else {
        return Ok(None);
    };
    if count <= top + MORE {
        return Ok(None);
    }
    let (mut things, mut others) = (HashMap::<Key, (Sums, Sums)>::new(), (Sums::default(), Sums::default()));
    let of = |period: Period| {
        let start = Steps::Marks(period.from, period.from);
        lines(store, org, which, (measure, Some(by)), period, start, Some(&shown))
    };
    let (now, then) = tokio::try_join!(of(period), of(before))?;
    for (lines, then) in [(now, false), (then, true)] {
        for (_, key, sums) in lines {
            let pair = key.map_or(&mut others, |key| things.entry(key).or_default());
            *(if then { &mut pair.1 } else { &mut pair.0 }) += sums;
        }
    }
    Ok(Some(Things { things, others, count: Some(count) }))
}

/// Everything, each call once.
async fn together(
    store: &Store,
    org: OrgId,
    which: &Which,
    question: &Question,
    steps: &[(NaiveDate, NaiveDate)],
) -> Result<Row> {
    let Question { measure, period, before, .. } = *question;
    let mut cells = vec![Sums::default(); steps.len()];
    let start = Steps::Marks(before.from, before.from);
    let (now, then) = tokio::try_join!(
        lines(store, org, which, (measure, None), period, question.finest(), None),
        lines(store, org, which, (measure, None), before, start, None)
    )?;
    for (day, _, sums) in now {
        if let Some(cell) = cells.get_mut(steps.partition_point(|(_, next)| *next <= day)) {
            *cell += sums;
        }
    }
    Ok(Row {
        key: None,
        name: "All calls".to_owned(),
        total: cells.iter().copied().sum(),
        before: then.into_iter().map(|(.., sums)| sums).sum(),
        cells,
    })
}

/// The sums of each step: of these things, and of all the rest; or of all things.
async fn over_time(
    store: &Store,
    org: OrgId,
    which: &Which,
    question: &Question,
    steps: &[(NaiveDate, NaiveDate)],
    only: Option<&[Key]>,
) -> Result<HashMap<Option<Key>, Vec<Sums>>> {
    let Question { measure, by, period, .. } = *question;
    let mut cells = HashMap::<Option<Key>, Vec<Sums>>::new();
    for (day, key, sums) in
        lines(store, org, which, (measure, Some(by)), period, question.finest(), only).await?
    {
        let place = steps.partition_point(|(_, next)| *next <= day);
        let line = cells.entry(key).or_insert_with(|| vec![Sums::default(); steps.len()]);
        if let Some(cell) = line.get_mut(place) {
            *cell += sums;
        }
    }
    Ok(cells)
}

/// A thing as filters name it.
fn text(by: By, key: &Key) -> String {
    if matches!(by, By::UseCase | By::Feature) {
        return if key.label.is_empty() { NONE.to_owned() } else { key.label.clone() };
    }
    if key.id.is_nil() {
        return NONE.to_owned();
    }
    match by {
        By::Group => GroupId(key.id).to_string(),
        By::Application => ApplicationId(key.id).to_string(),
        By::User => UserId(key.id).to_string(),
        By::Model => ModelId(key.id).to_string(),
        By::Tier => TierId(key.id).to_string(),
        By::Provider => ProviderId(key.id).to_string(),
        By::Key => KeyId(key.id).to_string(),
        By::UseCase | By::Feature => key.label.clone(),
    }
}

/// What a thing is called.
fn name(by: By, key: &Key, names: &HashMap<Uuid, String>) -> String {
    if let Some(feature) = key.label.parse::<Feature>().ok().filter(|_| by == By::Feature) {
        return feature.label().to_owned();
    }
    if !key.label.is_empty() {
        return key.label.clone();
    }
    names.get(&key.id).cloned().unwrap_or_else(|| by.none().to_owned())
}

/// What can be filtered by: names of what whoever asks may see, for pickers.
#[derive(Clone, Debug, Default)]
pub struct Pickers {
    /// Groups: id and path.
    pub groups: Vec<(GroupId, String)>,
    /// Applications.
    pub applications: Vec<(ApplicationId, String)>,
    /// Models.
    pub models: Vec<(ModelId, String)>,
    /// Classes of models.
    pub tiers: Vec<(TierId, String)>,
    /// Providers.
    pub providers: Vec<(ProviderId, String)>,
}

/// Names to filter by: of everything, or of what is in these groups and below.
///
/// # Errors
/// When the database does not answer.
pub async fn pickers(store: &Store, org: OrgId, led: Option<&[GroupId]>, limit: i64) -> Result<Pickers> {
    let ids = led.map(|led| led.iter().map(|id| id.0).collect::<Vec<_>>());
    let below: Option<HashSet<GroupId>> = match &ids {
        Some(ids) => Some(below(store, org, ids).await?),
        None => None,
    };
    let mut groups = crate::groups::paths(store, org).await?;
    groups.retain(|(id, _)| below.as_ref().is_none_or(|below| below.contains(id)));
    let models = crate::models::list(store, org).await?;
    let tiers = crate::models::tiers(store, org).await?;
    let providers = sqlx::query!(
        "select provider_id, name from providers where org_id = $1 order by lower(name), provider_id",
        org.0
    )
    .fetch_all(store.pool())
    .await?;
    Ok(Pickers {
        providers: providers.into_iter().map(|row| (row.provider_id.into(), row.name)).collect(),
        groups,
        applications: crate::calls::applications(store, org, ids.as_deref(), limit).await?,
        models: models.into_iter().map(|model| (model.id, model.name)).collect(),
        tiers: tiers.into_iter().map(|tier| (tier.id, tier.name)).collect(),
    })
}

async fn below(store: &Store, org: OrgId, groups: &[Uuid]) -> Result<HashSet<GroupId>> {
    let ids = sqlx::query_scalar!(
        "select group_id from groups where org_id = $1 and (group_id = any ($2) or ancestors && $2)",
        org.0,
        groups,
    )
    .fetch_all(store.pool())
    .await?;
    Ok(ids.into_iter().map(GroupId).collect())
}
