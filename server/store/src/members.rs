//! Who is in a group: page by page, those who lead it first, then its own people, then those of
//! groups below, each by name.

use std::collections::HashSet;

use domain::{
    groups::{Member, Standing},
    ids::{GroupId, OrgId, UserId},
    money::Money,
};
use uuid::Uuid;

use crate::{
    Result, Store, access, clock,
    directory::{self, Choice, Mark},
    rolls::{self, Roll},
    rollups::Month,
};

/// A page of people.
#[derive(Debug)]
pub struct Page {
    /// In order.
    pub members: Vec<Member>,
    /// Behind whom the next page starts, if there are more.
    pub next: Option<Mark>,
    /// How many match.
    pub matching: usize,
}

/// Where somebody comes: leads, then direct members, then those below.
const LEADS: u8 = 0;
const DIRECT: u8 = 1;
const BELOW: u8 = 2;

/// The people of a group and of those below whose name or address has this in it, each once; at most
/// `limit`.
///
/// # Errors
/// When the group is not there, or the database does not answer.
pub async fn page(
    store: &Store,
    org: OrgId,
    group: GroupId,
    month: &Month,
    search: &str,
    after: Option<&Mark>,
    limit: usize,
) -> Result<Page> {
    let facts = access::current(store, org).await?;
    let now = clock::now();
    let leads: HashSet<UserId> = leading(&facts, group, now).collect();
    let below = rolls::subtree(store, org, group).await?;
    let search = domain::names::sought(search);
    let (mut marks, matching) = rolls::ask(store, org, month.starts_at, |roll| {
        let ranked = ranked(roll, group, &below, &leads, &search, now);
        let matching = ranked.len();
        let behind = |(rank, name, id): &(u8, &str, UserId)| {
            after.is_none_or(|mark| (key(*rank, name).as_str(), *id) > (mark.key(), mark.id()))
        };
        let found = ranked.into_iter().filter(behind).take(limit.saturating_add(1));
        (found.map(|(rank, name, id)| Mark::new(key(rank, name), id)).collect::<Vec<_>>(), matching)
    })
    .await?;
    let more = marks.len() > limit;
    marks.truncate(limit);
    let ids: Vec<UserId> = marks.iter().map(Mark::id).collect();
    let members = these(store, org, group, month, &ids).await?;
    Ok(Page { members, next: marks.pop().filter(|_| more), matching })
}

/// Who of a group and of those below can lead it in somebody's place: who has joined and is not suspended,
/// but for `leaver`; in order, at most `limit`.
///
/// # Errors
/// When the group is not there, or the database does not answer.
pub async fn heirs(
    store: &Store,
    org: OrgId,
    group: GroupId,
    month: &Month,
    search: &str,
    leaver: &[UserId],
    limit: usize,
) -> Result<Vec<Choice>> {
    let facts = access::current(store, org).await?;
    let now = clock::now();
    let leads: HashSet<UserId> = leading(&facts, group, now).collect();
    let below = rolls::subtree(store, org, group).await?;
    let search = domain::names::sought(search);
    let ids: Vec<UserId> = rolls::ask(store, org, month.starts_at, |roll| {
        let ranked = ranked(roll, group, &below, &leads, &search, now);
        let can = ranked.into_iter().filter(|(.., id)| roll.can_act(*id) && !leaver.contains(id));
        can.map(|(.., id)| id).take(limit).collect()
    })
    .await?;
    let mut names = directory::names(store, org, &ids).await?;
    names.sort_by_key(|(id, ..)| ids.iter().position(|other| other == id));
    Ok(names)
}

/// Ranks are one digit, so that keys are in the order of ranks.
fn key(rank: u8, name: &str) -> String {
    format!("{rank}{name}")
}

fn leading(
    facts: &domain::access::Facts,
    group: GroupId,
    now: chrono::DateTime<chrono::Utc>,
) -> impl Iterator<Item = UserId> {
    let leads = move |user: &domain::access::UserFacts| {
        user.memberships.iter().any(|it| {
            it.group == group && it.standing == Standing::Lead && it.ends_at.is_none_or(|end| end > now)
        })
    };
    facts.users.iter().filter(move |(_, user)| leads(user)).map(|(id, _)| *id)
}

/// Everybody who matches, in order.
fn ranked<'a>(
    roll: &'a Roll,
    group: GroupId,
    below: &[GroupId],
    leads: &HashSet<UserId>,
    search: &str,
    now: chrono::DateTime<chrono::Utc>,
) -> Vec<(u8, &'a str, UserId)> {
    let (all, direct) = (roll.within(below, now), roll.within(&[group], now));
    let mut ranked = Vec::new();
    for place in (0..all.len()).filter(|place| all[*place]) {
        let Some((id, name)) = roll.at(place).filter(|_| search.is_empty() || roll.is_called(place, search))
        else {
            continue;
        };
        let rank = match (direct[place], leads.contains(&id)) {
            (true, true) => LEADS,
            (true, false) => DIRECT,
            (false, _) => BELOW,
        };
        ranked.push((rank, name, id));
    }
    // The roll is in the order of names.
    ranked.sort_by_key(|(rank, ..)| *rank);
    ranked
}

/// Who leads a group directly, by name.
///
/// # Errors
/// When the database does not answer.
pub async fn leads(store: &Store, org: OrgId, group: GroupId, month: &Month) -> Result<Vec<Member>> {
    let facts = access::current(store, org).await?;
    let ids: Vec<UserId> = leading(&facts, group, clock::now()).collect();
    these(store, org, group, month, &ids).await
}

/// What some people are in a group, directly or through one below; in order. Who is not in it is left
/// out.
///
/// # Errors
/// When the database does not answer.
pub async fn these(
    store: &Store,
    org: OrgId,
    group: GroupId,
    month: &Month,
    ids: &[UserId],
) -> Result<Vec<Member>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"with belonging as (
               select distinct on (m.user_id) m.user_id, m.standing, m.source, m.started_at, m.ends_at, m.group_id, g.name as group_name
               from memberships m join groups g on g.org_id = m.org_id and g.group_id = m.group_id
               where m.org_id = $1 and m.user_id = any ($5) and (m.group_id = $2 or g.ancestors @> array[$2::uuid])
                 and g.archived_at is null and m.ended_at is null and (m.ends_at is null or m.ends_at > $4)
               order by m.user_id, (m.group_id = $2) desc, cardinality(g.ancestors)
           )
           select b.user_id, b.standing, b.source, b.started_at, b.ends_at, b.group_id, b.group_name,
                  u.name, u.email, u.suspended_at, coalesce(w.settled, 0) as "spend!"
           from belonging b
           join users u on u.org_id = $1 and u.user_id = b.user_id and u.removed_at is null
           left join windows w
             on w.org_id = $1 and w.scope_kind = 'user' and w.thing_id = b.user_id and w.metric = 'spend'
            and w.window_kind = 'month' and w.starts_at = $3
           order by (b.group_id = $2) desc, (b.standing = 'lead' and b.group_id = $2) desc, lower(u.name), u.user_id"#,
        org.0,
        group.0,
        month.starts_at,
        clock::now(),
        &ids,
    )
    .fetch_all(store.pool())
    .await?;
    rows.into_iter()
        .map(|row| {
            let direct = row.group_id == group.0;
            Ok(Member {
                user: row.user_id.into(),
                name: row.name,
                email: row.email,
                standing: if direct { row.standing.parse()? } else { Standing::Member },
                source: row.source.parse()?,
                since: row.started_at,
                ends_at: row.ends_at,
                through: (!direct).then_some((row.group_id.into(), row.group_name)),
                spend: Money(row.spend),
                suspended: row.suspended_at.is_some(),
            })
        })
        .collect()
}
