//! Spend as pages read it: sums by day, never the ledger itself, except for the last few calls.

mod exact;

use std::collections::HashMap;

use chrono::{DateTime, Days, Months, NaiveDate, Utc};
use domain::{
    calls::{CallLine, Ended},
    explore::{By, Period},
    ids::{ApplicationId, GroupId, ModelId, OrgId, ProviderId, TierId, UserId},
    keys::Features,
    spend::{CallRow, Sums},
    window::{Calendar, Window},
};
use uuid::Uuid;

use crate::{
    Result, Store, clock,
    sums::{self, Line},
};

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

/// Whose calls.
#[derive(Clone, Debug, Default)]
pub struct Which {
    /// Of this group and everything below; none: of the organization.
    pub group: Option<GroupId>,
    /// Of its members rather than of its applications.
    pub members: bool,
    /// Of the group's own applications, not of those below.
    pub directly: bool,
    /// Only of this application.
    pub application: Option<ApplicationId>,
    /// Only of this person; nil: of nobody in particular.
    pub user: Option<UserId>,
    /// Only with this model; nil: refused before a model was known.
    pub model: Option<ModelId>,
    /// Only with a model of this tier; nil: as above.
    pub tier: Option<TierId>,
    /// Only with a model of this provider; nil: as above.
    pub provider: Option<ProviderId>,
    /// Only with this label; empty: without one.
    pub use_case: Option<String>,
    /// Only calls that used one of these features; the empty set: that used none.
    pub features: Option<Features>,
    /// Of none of these.
    pub without: Without,
    /// What whoever asks may see of all that.
    pub sight: Sight,
}

/// What a question leaves out; nil and empty: what has none of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Without {
    /// These groups and everything below them; nil: the asked group's own applications.
    pub groups: Vec<Uuid>,
    /// These applications.
    pub applications: Vec<Uuid>,
    /// These people.
    pub users: Vec<Uuid>,
    /// These models.
    pub models: Vec<Uuid>,
    /// Models of these tiers.
    pub tiers: Vec<Uuid>,
    /// Models of these providers.
    pub providers: Vec<Uuid>,
    /// These labels.
    pub use_cases: Vec<String>,
}

impl Without {
    /// Whether nothing is left out.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The only split that things are left out of, with those; none: of none, or of several.
    pub(crate) fn only(&self) -> Option<(By, Vec<Key>)> {
        let Self { groups, applications, users, models, tiers, providers, use_cases } = self;
        let ids = [
            (By::Group, groups),
            (By::Application, applications),
            (By::User, users),
            (By::Model, models),
            (By::Tier, tiers),
            (By::Provider, providers),
        ];
        let mut found = ids
            .into_iter()
            .map(|(by, ids)| (by, ids.iter().map(|id| Key::of(*id)).collect::<Vec<_>>()))
            .chain([(By::UseCase, use_cases.iter().map(|label| Key::named(label.clone())).collect())])
            .filter(|(_, keys)| !keys.is_empty());
        let first = found.next()?;
        found.next().is_none().then_some(first)
    }
}

impl Which {
    /// Whether it is narrowed to nothing at all.
    pub(crate) fn is_everything(&self) -> bool {
        let Self {
            group,
            application,
            user,
            model,
            tier,
            provider,
            use_case,
            features,
            without,
            sight,
            members: _,
            directly: _,
        } = self;
        group.is_none()
            && application.is_none()
            && user.is_none()
            && model.is_none()
            && tier.is_none()
            && provider.is_none()
            && use_case.is_none()
            && features.is_none()
            && without.is_empty()
            && *sight == Sight::All
    }
}

/// What somebody may see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Sight {
    /// Everything that is asked for.
    #[default]
    All,
    /// What the groups they lead spent, and what they spent themselves.
    Own {
        /// Groups they lead, directly.
        led: Vec<GroupId>,
        /// Who they are.
        me: UserId,
    },
}

impl Sight {
    /// The groups it is narrowed to; none: it is not.
    pub(crate) fn led(&self) -> Option<Vec<Uuid>> {
        match self {
            Self::All => None,
            Self::Own { led, .. } => Some(led.iter().map(|id| id.0).collect()),
        }
    }

    /// Who sees their own.
    pub(crate) const fn me(&self) -> UserId {
        match self {
            Self::All => UserId(Uuid::nil()),
            Self::Own { me, .. } => *me,
        }
    }
}

/// What stands for all the rest in [`read`].
const REST: Uuid = Uuid::max();

/// A thing of a breakdown. Nil and empty: those that have none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    /// Its id, unless it is a label.
    pub id: Uuid,
    /// A label; empty where things have ids.
    pub label: String,
}

impl Key {
    /// Of a thing that has an id.
    pub(crate) const fn of(id: Uuid) -> Self {
        Self { id, label: String::new() }
    }

    /// Of a label.
    pub(crate) const fn named(label: String) -> Self {
        Self { id: Uuid::nil(), label }
    }
}

/// How days are put together.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Steps {
    /// Each by itself.
    Days,
    /// Each month by itself where sums by month know, otherwise each day. The days begin with a month, and
    /// end with one or today.
    Months,
    /// From the beginning, from the first of these on, and from the second on.
    Marks(NaiveDate, NaiveDate),
}

/// Sums of some days: by step and thing. `only`: these things; all others together as the rest. `timed`:
/// with how long calls took.
pub(crate) async fn read(
    store: &Store,
    org: OrgId,
    which: &Which,
    by: Option<By>,
    period: Period,
    steps: Steps,
    only: Option<&[Key]>,
    timed: bool,
) -> Result<Vec<Line>> {
    match sums::read(store, org, which, by, period, steps, only, timed).await? {
        Some(lines) if by == Some(By::Feature) => Ok(lines.into_iter().flat_map(exact::apart).collect()),
        Some(lines) => Ok(lines),
        None => exact::read(store, org, which, by, period, steps, only, timed).await,
    }
}

/// The names of what a question is narrowed to: by them rows are found, and not looked through.
#[derive(Debug, Default)]
pub(crate) struct Within {
    /// Paths through the group.
    pub paths: Option<Vec<Uuid>>,
    /// Lists of groups that members of the group had.
    pub sets: Option<Vec<Uuid>>,
    /// Paths through what whoever asks leads.
    pub led: Option<Vec<Uuid>>,
}

pub(crate) async fn within(store: &Store, org: OrgId, which: &Which) -> Result<Within> {
    let led = which.sight.led();
    if which.group.is_none() && led.is_none() {
        return Ok(Within::default());
    }
    let row = sqlx::query!(
        r#"select case when $2::uuid is not null and not $3 then
                      array(select path_id from group_paths where org_id = $1 and groups @> array[$2]) end as paths,
                  case when $2 is not null and $3 then
                      array(select set_id from member_sets where org_id = $1 and groups @> array[$2]) end as sets,
                  case when $4::uuid[] is not null then
                      array(select path_id from group_paths where org_id = $1 and groups && $4) end as led"#,
        org.0,
        which.group.map(|id| id.0),
        which.members,
        led.as_deref(),
    )
    .fetch_one(store.pool())
    .await?;
    Ok(Within { paths: row.paths, sets: row.sets, led: row.led })
}

/// Sums from a day until before another.
///
/// # Errors
/// When the database does not answer.
pub async fn sums(store: &Store, org: OrgId, which: &Which, from: NaiveDate, to: NaiveDate) -> Result<Sums> {
    let rows =
        read(store, org, which, None, Period { from, to }, Steps::Marks(from, from), None, false).await?;
    Ok(rows.into_iter().map(|(_, _, sums)| sums).sum())
}

/// Sums of each model from a day until before another.
///
/// # Errors
/// When the database does not answer.
pub async fn by_model(
    store: &Store,
    org: OrgId,
    which: &Which,
    from: NaiveDate,
    to: NaiveDate,
) -> Result<Vec<(ModelId, Sums)>> {
    let (period, steps) = (Period { from, to }, Steps::Marks(from, from));
    let rows = read(store, org, which, Some(By::Model), period, steps, None, false).await?;
    Ok(rows.into_iter().filter_map(|(_, key, sums)| Some((ModelId(key?.id), sums))).collect())
}

/// What things are called, whatever became of them. What is not in the organization has no name.
///
/// # Errors
/// When the database does not answer.
pub async fn names(store: &Store, org: OrgId, by: By, ids: &[Uuid]) -> Result<HashMap<Uuid, String>> {
    let rows = sqlx::query!(
        r#"select application_id as "id!", name as "name!" from applications where $3 = 'application' and org_id = $1 and application_id = any ($2)
           union all
           select model_id, name from models where $3 = 'model' and org_id = $1 and model_id = any ($2)
           union all
           select user_id, name from users where $3 = 'user' and org_id = $1 and user_id = any ($2)
           union all
           select tier_id, name from tiers where $3 = 'tier' and org_id = $1 and tier_id = any ($2)
           union all
           select provider_id, name from providers where $3 = 'provider' and org_id = $1 and provider_id = any ($2)
           union all
           select k.key_id, 'Key of ' || a.name from keys k join applications a on a.org_id = k.org_id and a.application_id = k.application_id
           where $3 = 'key' and k.org_id = $1 and k.key_id = any ($2)
           union all
           select group_id, name from groups where $3 = 'group' and org_id = $1 and group_id = any ($2)"#,
        org.0,
        ids,
        by.as_str(),
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.name)).collect())
}

/// The last finished calls, the newest first: of the last 31 days.
///
/// # Errors
/// When the database does not answer.
pub async fn calls(
    store: &Store,
    org: OrgId,
    which: &Which,
    now: DateTime<Utc>,
    limit: usize,
) -> Result<Vec<CallRow>> {
    let filter = crate::calls::Filter {
        ended: Some(Ended::Finished),
        from: now.date_naive().checked_sub_days(Days::new(31)),
        ..Default::default()
    };
    let calendar = crate::organizations::calendar(store, org).await?;
    let list = crate::calls::list(store, org, calendar, which, &filter, limit).await?;
    Ok(list.calls.into_iter().filter_map(CallLine::finished).collect())
}

/// The same for a page that shows more than its last calls, from sums that are kept apart from them:
/// none when the ledger cannot be read, which is no reason not to show the rest.
pub async fn last_calls(
    store: &Store,
    org: OrgId,
    which: &Which,
    now: DateTime<Utc>,
    limit: usize,
) -> Option<Vec<CallRow>> {
    match calls(store, org, which, now, limit).await {
        Ok(calls) => Some(calls),
        Err(error) => {
            tracing::warn!(%error, "a page goes out without its last calls");
            None
        }
    }
}
