//! Questions about use, answered from the sums by day.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use chrono::{NaiveDate, Weekday};
use domain::{
    explore::{By, Explored, Interval, Measure, NONE, Period, Row},
    ids::{ApplicationId, GroupId, ModelId, OrgId, TierId, UserId},
    keys::Feature,
    spend::Sums,
};
use uuid::Uuid;

use crate::{
    Result, Store,
    rollups::{self, Key, Steps, Which},
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
}

/// Answers.
///
/// # Errors
/// When the database does not answer.
pub async fn ask(store: &Store, org: OrgId, which: &Which, question: &Question) -> Result<Explored> {
    let Question { measure, by, interval, period, before, top, week_start } = *question;
    let size = |sums: &Sums| measure.of(sums).unwrap_or_default();
    let of_many = match by {
        By::User => of_many(store, org, which, question).await?,
        _ => None,
    };
    let (things, others_before) = match of_many {
        Some(found) => found,
        None => (now_and_before(store, org, which, question).await?, Sums::default()),
    };
    let mut things: Vec<(Key, Sums, Sums)> = things
        .into_iter()
        .map(|(key, (now, before))| (key, now, before))
        .filter(|(_, now, before)| *now != Sums::default() || *before != Sums::default())
        .collect();
    things.sort_by(|(a_key, a, a_before), (b_key, b, b_before)| {
        (size(b), b.spend, size(b_before), a_key).cmp(&(size(a), a.spend, size(a_before), b_key))
    });
    let steps = interval.steps(period.from, period.to, week_start);
    // What overlaps has no rest: what is left over would be counted with what is not.
    let top = if by.overlaps() { things.len() } else { top };
    let largest: Vec<Key> = things.iter().take(top).map(|(key, ..)| key.clone()).collect();
    let mut cells = over_time(store, org, which, by, period, &steps, &largest).await?;
    let ids: Vec<Uuid> = things.iter().take(top + MORE).map(|(key, ..)| key.id).collect();
    let names = rollups::names(store, org, by, &ids).await?;
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
            name: format!("Other ({})", rest.len()),
            cells: cells.remove(&None).unwrap_or_else(empty),
            total: rest.iter().map(|(_, now, _)| *now).sum(),
            before: rest.iter().map(|(_, _, before)| *before).chain([others_before]).sum(),
        });
    }
    let more = rest.iter().take(MORE).map(|thing| row(thing, Vec::new())).collect();
    let things = things.len();
    let whole = match by.overlaps() {
        true => Some(together(store, org, which, (period, before), &steps).await?),
        false => None,
    };
    Ok(Explored { measure, by, interval, period, before, steps, rows, more, things, whole })
}

/// Things with their sums of the period, and of the one before.
type Things = HashMap<Key, (Sums, Sums)>;

async fn now_and_before(store: &Store, org: OrgId, which: &Which, question: &Question) -> Result<Things> {
    let Question { by, period, before, .. } = *question;
    let whole = Period { from: before.from, to: period.to };
    // Before, what lies between, and now.
    let marks = Steps::Marks(before.to.min(period.from), period.from);
    let mut things = Things::new();
    for (step, key, sums) in rollups::read(store, org, which, Some(by), whole, marks, None).await? {
        let Some(key) = key else { continue };
        let thing = things.entry(key).or_default();
        if step >= period.from {
            thing.0 += sums;
        } else if step < before.to {
            thing.1 += sums;
        }
    }
    Ok(things)
}

/// The same, where there are more things than are shown: only those that are shown are asked what they
/// were before. Also what all others were before; none: there are not that many.
async fn of_many(
    store: &Store,
    org: OrgId,
    which: &Which,
    question: &Question,
) -> Result<Option<(Things, Sums)>> {
    let Question { measure, by, period, before, top, .. } = *question;
    let mut things = Things::new();
    let start = Steps::Marks(period.from, period.from);
    for (_, key, sums) in rollups::read(store, org, which, Some(by), period, start, None).await? {
        let Some(key) = key else { continue };
        things.entry(key).or_default().0 += sums;
    }
    if things.len() <= top + MORE {
        return Ok(None);
    }
    let mut order: Vec<(&Key, &Sums)> = things.iter().map(|(key, (now, _))| (key, now)).collect();
    order.sort_by_key(|(key, now)| (Reverse((measure.of(now).unwrap_or_default(), now.spend)), *key));
    let shown: Vec<Key> = order.into_iter().take(top + MORE).map(|(key, _)| key.clone()).collect();
    let (start, mut others) = (Steps::Marks(before.from, before.from), Sums::default());
    for (_, key, sums) in rollups::read(store, org, which, Some(by), before, start, Some(&shown)).await? {
        match key.and_then(|key| things.get_mut(&key)) {
            Some(thing) => thing.1 += sums,
            None => others += sums,
        }
    }
    Ok(Some((things, others)))
}

/// Everything, each call once.
async fn together(
    store: &Store,
    org: OrgId,
    which: &Which,
    (period, before): (Period, Period),
    steps: &[(NaiveDate, NaiveDate)],
) -> Result<Row> {
    let mut cells = vec![Sums::default(); steps.len()];
    for (day, _, sums) in rollups::read(store, org, which, None, period, Steps::Days, None).await? {
        if let Some(cell) = cells.get_mut(steps.partition_point(|(_, next)| *next <= day)) {
            *cell += sums;
        }
    }
    Ok(Row {
        key: None,
        name: "All calls".to_owned(),
        total: cells.iter().copied().sum(),
        before: rollups::sums(store, org, which, before.from, before.to).await?,
        cells,
    })
}

/// The sums of each step: of the largest things, and of all the rest.
async fn over_time(
    store: &Store,
    org: OrgId,
    which: &Which,
    by: By,
    period: Period,
    steps: &[(NaiveDate, NaiveDate)],
    largest: &[Key],
) -> Result<HashMap<Option<Key>, Vec<Sums>>> {
    let mut cells = HashMap::<Option<Key>, Vec<Sums>>::new();
    for (day, key, sums) in
        rollups::read(store, org, which, Some(by), period, Steps::Days, Some(largest)).await?
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
    Ok(Pickers {
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
