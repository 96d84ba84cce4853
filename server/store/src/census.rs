//! The tree of groups with how many people and applications are where, counted once for every
//! version of an organization's facts: pages ask again and again.

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, Utc};
use domain::{
    access::Facts,
    ids::{GroupId, OrgId},
};
use uuid::Uuid;

use crate::{Result, Store, access, clock};

/// A line of the tree with nothing but where it stands.
#[derive(Clone, Debug)]
pub struct Outline {
    /// The group.
    pub id: GroupId,
    /// Its ancestors from the root down, without itself.
    pub ancestors: Vec<GroupId>,
    /// Its own name.
    pub name: String,
}

/// How many people and applications a group has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// People in this very group.
    pub members: i64,
    /// People in it or below, each once.
    pub members_below: i64,
    /// Applications in it or below.
    pub applications: i64,
}

/// How much there is in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Whole {
    /// People who were not removed.
    pub users: i64,
    /// Groups that are not archived.
    pub groups: i64,
    /// Applications that are not archived.
    pub applications: i64,
    /// Models that wait for review.
    pub reviews: i64,
}

/// The open groups of an organization, and who is in them.
#[derive(Debug)]
pub struct Census {
    /// How much there is in all.
    pub whole: Whole,
    /// In the order of the tree, parents before children, siblings by name.
    pub order: Vec<Outline>,
    /// Every group by its path text, in order: for pickers.
    pub paths: Vec<(GroupId, String)>,
    /// Every group by its own name, in the order of the database: as badges stand beside a person.
    pub by_name: Vec<GroupId>,
    /// Groups directly below each.
    pub below: HashMap<GroupId, usize>,
    counts: HashMap<GroupId, Count>,
    /// Of which facts.
    version: i64,
    /// When the next membership ends by itself: until then it is true.
    until: Option<DateTime<Utc>>,
}

/// The tree as of now.
///
/// # Errors
/// When the organization is gone or the database does not answer.
pub async fn current(store: &Store, org: OrgId) -> Result<Arc<Census>> {
    let facts = access::current(store, org).await?;
    let now = clock::now();
    let fits =
        |known: &Arc<Census>| known.version == facts.version && known.until.is_none_or(|until| now < until);
    if let Some(known) = store.known_census(org).filter(fits) {
        return Ok(known);
    }
    let census = Arc::new(take(store, org, &facts, now).await?);
    store.keep_census(org, &census);
    Ok(census)
}

async fn take(store: &Store, org: OrgId, facts: &Facts, now: DateTime<Utc>) -> Result<Census> {
    let rows = sqlx::query!(
        "select group_id, ancestors, name from groups where org_id = $1 and archived_at is null order by lower(name), group_id",
        org.0
    )
    .fetch_all(store.pool())
    .await?;
    let whole = sqlx::query_as!(
        Whole,
        r#"select (select count(*) from users where org_id = $1 and removed_at is null) as "users!",
                  (select count(*) from groups where org_id = $1 and archived_at is null) as "groups!",
                  (select count(*) from applications where org_id = $1 and archived_at is null) as "applications!",
                  (select count(*) from models where org_id = $1 and review = 'pending' and archived_at is null) as "reviews!""#,
        org.0
    )
    .fetch_one(store.pool())
    .await?;
    let by_name = rows.iter().map(|row| GroupId(row.group_id)).collect();
    let mut children = HashMap::<Option<Uuid>, Vec<Outline>>::new();
    for row in rows {
        children.entry(row.ancestors.last().copied()).or_default().push(Outline {
            id: row.group_id.into(),
            ancestors: row.ancestors.into_iter().map(GroupId).collect(),
            name: row.name,
        });
    }
    let below = children.iter().filter_map(|(id, list)| Some((GroupId((*id)?), list.len()))).collect();
    let mut order = Vec::new();
    let mut waiting: Vec<Outline> = children.remove(&None).unwrap_or_default().into_iter().rev().collect();
    while let Some(group) = waiting.pop() {
        waiting.extend(children.remove(&Some(group.id.0)).unwrap_or_default().into_iter().rev());
        order.push(group);
    }
    let (counts, until) = count(facts, now);
    Ok(Census { whole, paths: paths(&order), order, by_name, below, counts, version: facts.version, until })
}

/// Every group with its path as text, in order.
fn paths(order: &[Outline]) -> Vec<(GroupId, String)> {
    let mut texts = HashMap::<GroupId, String>::new();
    for group in order {
        let text = match group.ancestors.last().and_then(|parent| texts.get(parent)) {
            Some(parent) => format!("{parent}/{}", group.name),
            None => group.name.clone(),
        };
        texts.insert(group.id, text);
    }
    let mut paths: Vec<(GroupId, String)> = texts.into_iter().collect();
    paths.sort_by_cached_key(|(_, text)| text.to_lowercase());
    paths
}

/// People and applications by group, and when that changes by itself.
fn count(facts: &Facts, now: DateTime<Utc>) -> (HashMap<GroupId, Count>, Option<DateTime<Utc>>) {
    let mut counts = HashMap::<GroupId, Count>::new();
    let mut until = None;
    let mut seen = Vec::new();
    for user in facts.users.values() {
        seen.clear();
        for membership in &user.memberships {
            match membership.ends_at {
                Some(end) if end <= now => continue,
                Some(end) => until = Some(until.map_or(end, |until: DateTime<Utc>| until.min(end))),
                None => {}
            }
            counts.entry(membership.group).or_default().members += 1;
            let path = facts.groups.get(&membership.group).map(|group| group.path.as_slice());
            for group in path.unwrap_or_default() {
                if !seen.contains(group) {
                    seen.push(*group);
                    counts.entry(*group).or_default().members_below += 1;
                }
            }
        }
    }
    for application in facts.applications.values() {
        let path = facts.groups.get(&application.group).map(|group| group.path.as_slice());
        for group in path.unwrap_or_default() {
            counts.entry(*group).or_default().applications += 1;
        }
    }
    (counts, until)
}

impl Census {
    /// How many a group has.
    pub fn count(&self, group: GroupId) -> Count {
        self.counts.get(&group).copied().unwrap_or_default()
    }

    /// From the names at the top to a group’s own.
    pub fn path(&self, group: GroupId) -> Option<&str> {
        self.paths.iter().find(|(id, _)| *id == group).map(|(_, path)| path.as_str())
    }
}
