//! The directory of people: any filter in any order, page by page, over the whole organization.

use domain::{
    directory::{Filter, Sort, Standing},
    ids::{GroupId, OrgId, UserId},
    money::Money,
    spend::People,
    users::UserRow,
};

use crate::{
    Result, Store, census, clock,
    rolls::{self, Asked, Roll},
    rollups::Month,
    users,
};

/// In which order, and which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// By what.
    pub by: Sort,
    /// The greatest first.
    pub down: bool,
}

/// By name.
pub const BY_NAME: Order = Order { by: Sort::Name, down: false };

/// What a page is read with.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The month that figures are about.
    pub month: &'a Month,
    /// The limit of those without one of their own.
    pub default_limit: Option<Money>,
    /// Which people.
    pub filter: &'a Filter,
    /// In which order.
    pub order: Order,
}

/// Behind whom the next page starts: what they are put in order by, and who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    key: String,
    id: UserId,
}

impl std::fmt::Display for Mark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}~{}", self.id, self.key)
    }
}

impl Mark {
    pub(crate) const fn new(key: String, id: UserId) -> Self {
        Self { key, id }
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    pub(crate) const fn id(&self) -> UserId {
        self.id
    }

    /// The reverse of `Display`; none when it is not one.
    pub fn read(text: &str) -> Option<Self> {
        let (id, key) = text.split_once('~')?;
        Some(Self { key: key.to_owned(), id: id.parse().ok()? })
    }
}

impl Ask<'_> {
    fn of_roll<'a>(&'a self, by_name: &'a [GroupId]) -> Asked<'a> {
        Asked {
            by_name,
            month: self.month.starts_at,
            default_limit: self.default_limit.map(|limit| limit.0),
            filter: self.filter,
            now: clock::now(),
        }
    }
}

/// Asks the roll about those whom the filter lets through: their places, by name.
async fn matching<T>(
    store: &Store,
    org: OrgId,
    ask: &Ask<'_>,
    question: impl FnOnce(&Roll, &Asked<'_>, Vec<usize>) -> T,
) -> Result<T> {
    let groups = match ask.filter.group {
        Some(group) => Some(rolls::subtree(store, org, group).await?),
        None => None,
    };
    let census = match ask.order.by {
        Sort::Groups => Some(census::current(store, org).await?),
        _ => None,
    };
    let asked = ask.of_roll(census.as_ref().map(|census| census.by_name.as_slice()).unwrap_or_default());
    rolls::ask(store, org, asked.month, |roll| {
        question(roll, &asked, roll.matching(&asked, groups.as_deref()))
    })
    .await
}

/// How the month of the people of a group, and of those below it, stands to their limits.
///
/// # Errors
/// When the database does not answer.
pub async fn stand(
    store: &Store,
    org: OrgId,
    group: GroupId,
    month: &Month,
    default_limit: Option<Money>,
) -> Result<People> {
    let groups = rolls::subtree(store, org, group).await?;
    let filter = |limit| Filter { limit, ..Filter::default() };
    let filters = [None, Some(Standing::Over), Some(Standing::Near), Some(Standing::None)].map(filter);
    rolls::ask(store, org, month.starts_at, |roll| {
        let [all, over, near, open] = filters.each_ref().map(|filter| {
            let ask = Ask { month, default_limit, filter, order: BY_NAME };
            roll.matching(&ask.of_roll(&[]), Some(&groups)).len()
        });
        People { all, over, near, open }
    })
    .await
}

/// A page of people.
#[derive(Debug)]
pub struct Found {
    /// In the order that was asked for.
    pub rows: Vec<UserRow>,
    /// Behind whom the next page starts, if there are more.
    pub next: Option<Mark>,
    /// How many the filter lets through.
    pub matching: usize,
    /// How many there are.
    pub all: usize,
}

/// A page of people, at most `limit`.
///
/// # Errors
/// When the database does not answer.
pub async fn page(
    store: &Store,
    org: OrgId,
    ask: &Ask<'_>,
    after: Option<&Mark>,
    limit: usize,
) -> Result<Found> {
    let (mut marks, matching, all) = matching(store, org, ask, |roll, asked, places| {
        let marks = match ask.order.by {
            Sort::Name => by_name(roll, &places, ask.order.down, after, limit.saturating_add(1)),
            Sort::Groups => {
                let after = after.and_then(|mark| Some((ranks(&mark.key)?, mark.id)));
                let down = ask.order.down;
                let found = roll.first_by_groups(&places, asked, down, after, limit.saturating_add(1));
                found.into_iter().map(|(groups, id)| Mark { key: written(&groups), id }).collect()
            }
            _ => {
                let after = after.and_then(|mark| Some((mark.key.parse().ok()?, mark.id)));
                let found = roll.first_by_figure(&places, asked, ask.order, after, limit.saturating_add(1));
                found.into_iter().map(|(key, id)| Mark { key: key.to_string(), id }).collect()
            }
        };
        (marks, places.len(), roll.len())
    })
    .await?;
    let more = marks.len() > limit;
    marks.truncate(limit);
    let ids: Vec<UserId> = marks.iter().map(|mark| mark.id).collect();
    let rows = users::rows(store, org, ask.month, &ids).await?;
    Ok(Found { rows, next: marks.pop().filter(|_| more), matching, all })
}

/// Which groups somebody is in, as a mark carries it: each by which it is by name.
fn written(groups: &[u32]) -> String {
    groups.iter().map(ToString::to_string).collect::<Vec<_>>().join(".")
}

/// The reverse of [`written`]; none when it is not that.
fn ranks(key: &str) -> Option<Vec<u32>> {
    if key.is_empty() { Some(Vec::new()) } else { key.split('.').map(|rank| rank.parse().ok()).collect() }
}

/// The roll is in the order of names.
fn by_name(roll: &Roll, places: &[usize], down: bool, after: Option<&Mark>, limit: usize) -> Vec<Mark> {
    let key = |place: &usize| roll.at(*place).map(|(id, name)| (name, id));
    let mark = |place: &usize| roll.at(*place).map(|(id, name)| Mark { key: name.to_owned(), id });
    let after = after.map(|mark| (mark.key.as_str(), mark.id));
    if down {
        let end =
            after.map_or(places.len(), |after| places.partition_point(|place| key(place) < Some(after)));
        places[..end].iter().rev().filter_map(mark).take(limit).collect()
    } else {
        let begin = after.map_or(0, |after| places.partition_point(|place| key(place) <= Some(after)));
        places[begin..].iter().filter_map(mark).take(limit).collect()
    }
}

/// Who they are, by name, at most `limit`.
///
/// # Errors
/// When the database does not answer.
pub async fn ids(store: &Store, org: OrgId, ask: &Ask<'_>, limit: usize) -> Result<Vec<UserId>> {
    matching(store, org, ask, |roll, _, places| {
        places.iter().filter_map(|place| roll.at(*place)).map(|(id, _)| id).take(limit).collect()
    })
    .await
}

/// Somebody to choose: who, their name and their address.
pub type Choice = (UserId, String, String);

/// People who are not in a group, by name, whose name or address has this in it; at most `limit`.
///
/// # Errors
/// When the database does not answer.
pub async fn candidates(
    store: &Store,
    org: OrgId,
    group: GroupId,
    search: &str,
    limit: usize,
) -> Result<Vec<Choice>> {
    choices(store, org, search, limit, |roll, place| !roll.is_in(place, group)).await
}

/// People who can take something over, who have joined, by name, whose name or address has this in it; at
/// most `limit`.
///
/// # Errors
/// When the database does not answer.
pub async fn heirs(store: &Store, org: OrgId, search: &str, limit: usize) -> Result<Vec<Choice>> {
    choices(store, org, search, limit, Roll::has_joined).await
}

/// People who are here, by name, whose name or address has this in it; at most `limit`.
///
/// # Errors
/// When the database does not answer.
pub async fn people(store: &Store, org: OrgId, search: &str, limit: usize) -> Result<Vec<Choice>> {
    choices(store, org, search, limit, |_, _| true).await
}

async fn choices(
    store: &Store,
    org: OrgId,
    search: &str,
    limit: usize,
    fits: impl Fn(&Roll, usize) -> bool,
) -> Result<Vec<Choice>> {
    let month = Month::current(store, org).await?;
    let filter = Filter { search: search.to_owned(), ..Filter::default() };
    let ask = Ask { month: &month, default_limit: None, filter: &filter, order: BY_NAME };
    let ids: Vec<UserId> = matching(store, org, &ask, |roll, _, places| {
        let free = places.into_iter().filter(|place| !roll.is_suspended(*place) && fits(roll, *place));
        free.filter_map(|place| roll.at(place)).map(|(id, _)| id).take(limit).collect()
    })
    .await?;
    names(store, org, &ids).await
}

/// Names and addresses of some people, by name. Who is not there is left out.
///
/// # Errors
/// When the database does not answer.
pub async fn names(store: &Store, org: OrgId, ids: &[UserId]) -> Result<Vec<(UserId, String, String)>> {
    let ids: Vec<uuid::Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        "select user_id, name, email from users where org_id = $1 and user_id = any ($2) and removed_at is null
         order by lower(name), user_id",
        org.0,
        &ids
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows.into_iter().map(|row| (row.user_id.into(), row.name, row.email)).collect())
}
