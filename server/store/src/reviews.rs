//! Looks at who still needs what: opened for a group, decided line by line, closed on their day.

mod told;

use chrono::{DateTime, NaiveDate, Utc};
use domain::{
    groups::Standing,
    ids::{GrantId, GroupId, OrgId, ReviewId, ReviewItemId, UserId},
    keys::PlainSecret,
    reviews::{DAYS_MAX, Item, ItemKind, ItemState, Progress, Review, Verdict, unconfirmed},
    roles::{Act, Actor, Place, allows, permit},
};
use uuid::Uuid;

use crate::{
    Change, Diff, Result, Store, StoreError, Subject, change::exactly_one, clock, groups, keys,
    organizations, requests, seen,
};

pub use told::near;

/// Opens a review of a group: notes every membership, grant and secret in it, as they are now.
///
/// # Errors
/// [`StoreError::Invalid`] when the day has passed, is too far, or there is nothing to look at.
pub async fn open(change: &mut Change, group: GroupId, below: bool, due_on: NaiveDate) -> Result<ReviewId> {
    change.expect(Act::ReviewAccess, Some(group))?;
    let (org, at) = (change.org(), change.at());
    let organization = organizations::read(change.db(), org).await?;
    let calendar = organizations::calendar_of(&organization)?;
    let today = calendar.day(at);
    if due_on < today || due_on > today + chrono::Duration::days(DAYS_MAX) {
        return Err(StoreError::invalid("due_on", "Choose a day from today on, within a year."));
    }
    let path = groups::read(change.db(), org, group).await?;
    if path.archived_at.is_some() {
        return Err(StoreError::NotFound);
    }
    let id: ReviewId = clock::id();
    let due_at = due_on.succ_opt().map(|day| calendar.midnight(day)).unwrap_or(at);
    sqlx::query!(
        "insert into reviews (org_id, review_id, group_id, below, due_on, due_at, opened_at, opened_by, opened_by_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        org.0,
        id.0,
        group.0,
        below,
        due_on,
        due_at,
        at,
        change.permit().actor().name.clone(),
        change.permit().actor().user.map(|user| user.0),
    )
    .execute(change.db())
    .await?;
    not_open_already(change, id, group, below, due_on).await?;
    let items = members(change, id, group, below).await?
        + grants(change, id, group, below).await?
        + secrets(change, id, group, below).await?;
    if items == 0 {
        return Err(StoreError::invalid(
            "group",
            "Nobody and nothing is in this group: there is nothing to look at.",
        ));
    }
    let diff = Diff::new()
        .set("group", path.path_text())
        .set("groups below", below)
        .set("until", due_on)
        .set("to look at", items);
    change.record(Subject { kind: "review", id: id.0, name: path.name() }, "open", &diff).await?;
    told::opened(change, id, &path, due_on, items).await?;
    Ok(id)
}

/// The very same review is opened once, however often the button is pressed.
async fn not_open_already(
    change: &mut Change,
    id: ReviewId,
    group: GroupId,
    below: bool,
    due_on: NaiveDate,
) -> Result<()> {
    let org = change.org();
    let by = sqlx::query!(
        "select opened_by, opened_by_id from reviews
         where org_id = $1 and review_id <> $2 and group_id = $3 and below = $4 and due_on = $5 and closed_at is null
         limit 1",
        org.0,
        id.0,
        group.0,
        below,
        due_on,
    )
    .fetch_optional(change.db())
    .await?;
    by.map_or(Ok(()), |by| {
        let mine =
            by.opened_by_id.is_some() && by.opened_by_id == change.permit().actor().user.map(|me| me.0);
        let who = if mine { "You have".to_owned() } else { format!("{} has", by.opened_by) };
        let sentence = format!("{who} opened this review already: the same groups, until the same day.");
        Err(StoreError::invalid("group", sentence))
    })
}

/// What a line is about, before it has an id.
struct Found {
    kind: ItemKind,
    group: Uuid,
    user: Option<Uuid>,
    thing: Uuid,
    name: String,
    detail: String,
    last_used_at: Option<DateTime<Utc>>,
    high_cost: bool,
}

async fn write(change: &mut Change, review: ReviewId, found: Vec<Found>) -> Result<usize> {
    let org = change.org();
    let mut places = std::collections::HashMap::<Uuid, String>::new();
    for one in &found {
        if let std::collections::hash_map::Entry::Vacant(place) = places.entry(one.group) {
            place.insert(groups::read(change.db(), org, one.group.into()).await?.path_text());
        }
    }
    for one in &found {
        let id: ReviewItemId = clock::id();
        sqlx::query!(
            "insert into review_items (org_id, review_id, item_id, kind, group_id, place, user_id, thing_id, name, detail, last_used_at, high_cost, state)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 'waiting')",
            org.0,
            review.0,
            id.0,
            one.kind.as_str(),
            one.group,
            places.get(&one.group).cloned().unwrap_or_default(),
            one.user,
            one.thing,
            one.name,
            one.detail,
            one.last_used_at,
            one.high_cost,
        )
        .execute(change.db())
        .await?;
    }
    Ok(found.len())
}

async fn members(change: &mut Change, review: ReviewId, group: GroupId, below: bool) -> Result<usize> {
    let (org, at) = (change.org(), change.at());
    let rows = sqlx::query!(
        r#"select m.membership_id, m.group_id, m.user_id, m.standing, u.name, u.email,
                  (select max(s.last_used_at) from secrets s where s.org_id = $1 and s.user_id = m.user_id) as last_used_at
           from memberships m
           join groups g on g.org_id = m.org_id and g.group_id = m.group_id
           join users u on u.org_id = m.org_id and u.user_id = m.user_id
           where m.org_id = $1 and (m.group_id = $2 or ($3 and g.ancestors @> array[$2::uuid])) and g.archived_at is null
             and m.ended_at is null and (m.ends_at is null or m.ends_at > $4) and u.removed_at is null
           order by cardinality(g.ancestors), lower(g.name), lower(u.name), u.user_id"#,
        org.0,
        group.0,
        below,
        at,
    )
    .fetch_all(change.db())
    .await?;
    let found = rows
        .into_iter()
        .map(|row| Found {
            kind: ItemKind::Member,
            group: row.group_id,
            user: Some(row.user_id),
            thing: row.membership_id,
            name: row.name,
            detail: if row.standing == Standing::Lead.as_str() {
                format!("lead, {}", row.email)
            } else {
                row.email
            },
            last_used_at: row.last_used_at,
            high_cost: false,
        })
        .collect();
    write(change, review, found).await
}

async fn grants(change: &mut Change, review: ReviewId, group: GroupId, below: bool) -> Result<usize> {
    let (org, at) = (change.org(), change.at());
    let rows = sqlx::query!(
        r#"select t.grant_id, t.group_id as "group_id!", t.user_id, t.ends_at, m.name, i.high_cost, u.name as "user_name?",
                  (select max(e.finished_at) from events e where e.org_id = $1 and e.grant_id = t.grant_id) as last_used_at
           from grants t
           join groups g on g.org_id = t.org_id and g.group_id = t.group_id
           join models m on m.org_id = t.org_id and m.model_id = t.model_id
           join tiers i on i.org_id = m.org_id and i.tier_id = m.tier_id
           left join users u on u.org_id = t.org_id and u.user_id = t.user_id
           where t.org_id = $1 and (t.group_id = $2 or ($3 and g.ancestors @> array[$2::uuid]))
             and t.revoked_at is null and t.ends_at > $4
           order by i.high_cost desc, m.name, t.grant_id"#,
        org.0,
        group.0,
        below,
        at,
    )
    .fetch_all(change.db())
    .await?;
    let found = rows
        .into_iter()
        .map(|row| Found {
            kind: ItemKind::Grant,
            group: row.group_id,
            user: row.user_id,
            thing: row.grant_id,
            name: row.name,
            detail: row
                .user_name
                .map_or_else(|| "everybody in the group".to_owned(), |name| format!("for {name}")),
            last_used_at: row.last_used_at,
            high_cost: row.high_cost,
        })
        .collect();
    write(change, review, found).await
}

async fn secrets(change: &mut Change, review: ReviewId, group: GroupId, below: bool) -> Result<usize> {
    let (org, at) = (change.org(), change.at());
    let rows = sqlx::query!(
        r#"select s.secret_id, s.tail, s.user_id, s.last_used_at, a.name, a.group_id, u.name as "user_name?"
           from secrets s
           join keys k on k.org_id = s.org_id and k.key_id = s.key_id
           join applications a on a.org_id = k.org_id and a.application_id = k.application_id
           join groups g on g.org_id = a.org_id and g.group_id = a.group_id
           left join users u on u.org_id = s.org_id and u.user_id = s.user_id
           where s.org_id = $1 and (a.group_id = $2 or ($3 and g.ancestors @> array[$2::uuid]))
             and a.archived_at is null and s.revoked_at is null and (s.expires_at is null or s.expires_at > $4)
           order by lower(a.name), s.secret_id"#,
        org.0,
        group.0,
        below,
        at,
    )
    .fetch_all(change.db())
    .await?;
    let found = rows
        .into_iter()
        .map(|row| Found {
            kind: ItemKind::Secret,
            group: row.group_id,
            user: row.user_id,
            thing: row.secret_id,
            name: format!("{}…{}", PlainSecret::PREFIX, row.tail),
            detail: match row.user_name {
                // A private context is called as its person is.
                Some(name) if name == row.name => name,
                Some(name) => format!("{}, {name}", row.name),
                None => row.name,
            },
            last_used_at: row.last_used_at,
            high_cost: false,
        })
        .collect();
    write(change, review, found).await
}

/// Reviews, open ones first: all of them, or those of some groups and everything below them. One of a group
/// above these is among them where it has lines of theirs, with those lines alone. At most `limit`.
///
/// # Errors
/// When the database does not answer.
pub async fn list(store: &Store, org: OrgId, within: Option<&[GroupId]>, limit: i64) -> Result<Vec<Review>> {
    let groups = uuids(within);
    let rows = sqlx::query_scalar!(
        "select r.review_id from reviews r join groups g on g.org_id = r.org_id and g.group_id = r.group_id
         where r.org_id = $1
           and ($2::uuid[] is null or (g.ancestors || g.group_id) && $2
                or exists (select from review_items i join groups h on h.org_id = i.org_id and h.group_id = i.group_id
                           where i.org_id = $1 and i.review_id = r.review_id and (h.ancestors || h.group_id) && $2))
         order by r.closed_at is not null, case when r.closed_at is null then r.due_at end, r.opened_at desc limit $3",
        org.0,
        groups.as_deref(),
        limit,
    )
    .fetch_all(store.pool())
    .await?;
    let mut reviews = Vec::new();
    for id in rows {
        reviews.push(part(store, org, id.into(), within).await?);
    }
    Ok(reviews)
}

fn uuids(groups: Option<&[GroupId]>) -> Option<Vec<Uuid>> {
    groups.map(|ids| ids.iter().map(|id| id.0).collect())
}

/// How many open reviews have lines that wait: of all groups, or of some and everything below them.
///
/// # Errors
/// When the database does not answer.
pub async fn waiting_in(store: &Store, org: OrgId, within: Option<&[GroupId]>) -> Result<i64> {
    let groups = uuids(within);
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from reviews r join groups g on g.org_id = r.org_id and g.group_id = r.group_id
           where r.org_id = $1 and r.closed_at is null
             and exists (select from review_items i join groups h on h.org_id = i.org_id and h.group_id = i.group_id
                         where i.org_id = $1 and i.review_id = r.review_id and i.state = 'waiting'
                           and ($2::uuid[] is null or (g.ancestors || g.group_id) && $2 or (h.ancestors || h.group_id) && $2))"#,
        org.0,
        groups.as_deref(),
    );
    Ok(count.fetch_one(store.pool()).await?)
}

/// One review.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not in the organization.
pub async fn get(store: &Store, org: OrgId, id: ReviewId) -> Result<Review> {
    part(store, org, id, None).await
}

/// One review as whoever leads these groups sees it: all of it where it is of one of them or below, else how
/// far it is in what is theirs of it. None: all of it.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not in the organization.
pub async fn part(store: &Store, org: OrgId, id: ReviewId, within: Option<&[GroupId]>) -> Result<Review> {
    let mut db = store.pool().acquire().await?;
    let within = uuids(within);
    let row = sqlx::query!(
        r#"select r.group_id, r.below, r.due_on, r.opened_by, r.opened_by_id, r.opened_at, r.closed_at, r.cancelled_by,
                  k.lines as "all!", k.confirmed as "confirmed!", k.dropped as "dropped!", k.lapsed as "lapsed!"
           from reviews r
           join groups g on g.org_id = r.org_id and g.group_id = r.group_id
           cross join lateral (
               select count(*) as lines, count(*) filter (where i.state = 'confirmed') as confirmed,
                      count(*) filter (where i.state = 'dropped') as dropped, count(*) filter (where i.state = 'lapsed') as lapsed
               from review_items i join groups h on h.org_id = i.org_id and h.group_id = i.group_id
               where i.org_id = $1 and i.review_id = $2
                 and ($3::uuid[] is null or (g.ancestors || g.group_id) && $3 or (h.ancestors || h.group_id) && $3)
           ) k
           where r.org_id = $1 and r.review_id = $2"#,
        org.0,
        id.0,
        within.as_deref(),
    )
    .fetch_one(&mut *db)
    .await?;
    let group = GroupId(row.group_id);
    Ok(Review {
        id,
        group,
        path: groups::read(&mut db, org, group).await?.path_text(),
        below: row.below,
        due_on: row.due_on,
        opened_by: row.opened_by,
        opened_by_id: row.opened_by_id.map(UserId),
        opened_at: row.opened_at,
        closed_at: row.closed_at,
        cancelled_by: row.cancelled_by,
        progress: Progress {
            all: row.all,
            confirmed: row.confirmed,
            dropped: row.dropped,
            lapsed: row.lapsed,
        },
    })
}

/// The review that ended a grant.
#[derive(Clone, Debug)]
pub struct Ending {
    /// Which.
    pub review: ReviewId,
    /// The path of the group it was of.
    pub path: String,
    /// Who dropped the grant in it; none: nobody confirmed it in time.
    pub by: Option<String>,
}

/// The review that ended a grant, if one did.
///
/// # Errors
/// When the database does not answer.
pub async fn that_ended(store: &Store, org: OrgId, grant: GrantId) -> Result<Option<Ending>> {
    let mut db = store.pool().acquire().await?;
    let row = sqlx::query!(
        "select i.review_id, i.state, i.decided_by, r.group_id from review_items i
         join reviews r on r.org_id = i.org_id and r.review_id = i.review_id
         join grants t on t.org_id = i.org_id and t.grant_id = i.thing_id and t.revoked_at = i.decided_at
         where i.org_id = $1 and i.thing_id = $2 and i.kind = 'grant' and i.state in ('dropped', 'lapsed')
         order by i.decided_at limit 1",
        org.0,
        grant.0,
    )
    .fetch_optional(&mut *db)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Ending {
        review: row.review_id.into(),
        path: groups::read(&mut db, org, row.group_id.into()).await?.path_text(),
        by: row.decided_by.filter(|_| row.state == ItemState::Dropped.as_str()),
    }))
}

/// The groups that these lines are about.
///
/// # Errors
/// When the database does not answer.
pub async fn groups_of(
    store: &Store,
    org: OrgId,
    review: ReviewId,
    items: &[ReviewItemId],
) -> Result<Vec<GroupId>> {
    let items: Vec<Uuid> = items.iter().map(|id| id.0).collect();
    let rows = sqlx::query_scalar!(
        "select distinct group_id from review_items where org_id = $1 and review_id = $2 and item_id = any ($3)",
        org.0,
        review.0,
        &items,
    );
    Ok(rows.fetch_all(store.pool()).await?.into_iter().map(GroupId).collect())
}

/// Which lines of a review to list.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter<'a> {
    /// Only those of these groups and everything below them; none: of all.
    pub within: Option<&'a [GroupId]>,
    /// About which nothing was said yet, or what.
    pub state: Option<ItemState>,
    /// Of this kind.
    pub kind: Option<ItemKind>,
    /// After this one: the next page.
    pub after: Option<After>,
}

/// Behind which line the next page starts: whether it waited when it was listed, and which it is. What was
/// decided on since moves nothing that waits out of sight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct After {
    waited: bool,
    id: ReviewItemId,
}

impl After {
    /// Behind this one.
    pub fn of(item: &Item) -> Self {
        Self { waited: item.state == ItemState::Waiting, id: item.id }
    }

    /// The reverse of `Display`; none when it is not one.
    pub fn read(text: &str) -> Option<Self> {
        match text.strip_prefix('~') {
            Some(id) => Some(Self { waited: false, id: id.parse().ok()? }),
            None => Some(Self { waited: true, id: text.parse().ok()? }),
        }
    }
}

impl std::fmt::Display for After {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", if self.waited { "" } else { "~" }, self.id)
    }
}

/// Lines of a review, those that wait first, in the order they were noted, at most `limit`.
///
/// # Errors
/// When the database does not answer.
pub async fn items(
    store: &Store,
    org: OrgId,
    review: ReviewId,
    filter: Filter<'_>,
    limit: i64,
) -> Result<Vec<Item>> {
    let within = uuids(filter.within);
    let rows = sqlx::query!(
        r#"select item_id, kind, place, user_id, name, detail, last_used_at, high_cost, state, decided_by,
                  state = 'waiting' and not case kind
                      when 'member' then exists (
                          select from memberships t where t.org_id = $1 and t.membership_id = thing_id
                          and t.ended_at is null and (t.ends_at is null or t.ends_at > $7))
                      when 'grant' then exists (
                          select from grants t where t.org_id = $1 and t.grant_id = thing_id
                          and t.revoked_at is null and t.ends_at > $7)
                      else exists (
                          select from secrets t where t.org_id = $1 and t.secret_id = thing_id
                          and t.revoked_at is null and (t.expires_at is null or t.expires_at > $7))
                  end as "gone!"
           from review_items
           where org_id = $1 and review_id = $2 and ($3::text is null or state = $3) and ($4::text is null or kind = $4)
             and ($5::uuid is null or (state <> 'waiting', item_id) > ($8, $5))
             and ($9::uuid[] is null or exists (
                 select from groups h where h.org_id = $1 and h.group_id = review_items.group_id and (h.ancestors || h.group_id) && $9))
           order by state <> 'waiting', item_id limit $6"#,
        org.0,
        review.0,
        filter.state.map(ItemState::as_str),
        filter.kind.map(ItemKind::as_str),
        filter.after.map(|after| after.id.0),
        limit,
        clock::now(),
        filter.after.is_some_and(|after| !after.waited),
        within.as_deref(),
    )
    .fetch_all(store.pool())
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Item {
                id: row.item_id.into(),
                kind: row.kind.parse()?,
                place: row.place,
                user: row.user_id.map(UserId),
                name: row.name,
                detail: row.detail,
                last_used_at: row.last_used_at,
                high_cost: row.high_cost,
                state: row.state.parse()?,
                decided_by: row.decided_by,
                gone: row.gone,
            })
        })
        .collect()
}

/// A line that waits, as it is decided on.
struct Waiting {
    kind: ItemKind,
    group: GroupId,
    user: Option<UserId>,
    thing: Uuid,
    name: String,
}

/// What came of deciding on lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decided {
    /// How many were decided.
    pub count: usize,
    /// Why others were not.
    pub left: Vec<String>,
    /// What somebody else had said about others before.
    pub settled: Vec<String>,
}

/// Confirms or drops lines of a review; what was decided before stays. A permit for the group of the review is
/// one for all of its lines, else it has to be one for the groups that they are about.
///
/// # Errors
/// [`StoreError::Invalid`] when the review is closed; [`StoreError::NotPermitted`] for a line of another group.
pub async fn decide(
    change: &mut Change,
    review: ReviewId,
    ids: &[ReviewItemId],
    verdict: Verdict,
) -> Result<Decided> {
    let org = change.org();
    let row = sqlx::query!(
        "select r.group_id, r.closed_at, g.name from reviews r join groups g on g.org_id = r.org_id and g.group_id = r.group_id
         where r.org_id = $1 and r.review_id = $2",
        org.0,
        review.0
    )
    .fetch_one(change.db())
    .await?;
    if change.expect(Act::ReviewAccess, Some(row.group_id.into())).is_err() {
        let about = groups_of(change.store(), org, review, ids).await?;
        let nowhere = about.is_empty().then_some(None);
        for group in about.into_iter().map(Some).chain(nowhere) {
            change.expect(Act::ReviewAccess, group)?;
        }
    }
    let path = groups::read(change.db(), org, row.group_id.into()).await?.path_text();
    if row.closed_at.is_some() {
        return Err(StoreError::invalid("", "This review is closed. Open another one."));
    }
    let mut decided = Decided::default();
    for id in ids {
        let Some(item) = waiting(change, review, *id).await? else {
            decided.settled.extend(settled(change, review, *id).await?);
            continue;
        };
        match judge(change, &item, verdict, &path).await {
            Ok(()) => {}
            Err(StoreError::Invalid { sentence, .. }) => {
                decided.left.push(sentence);
                continue;
            }
            Err(error) => return Err(error),
        }
        let state = match verdict {
            Verdict::Confirm => ItemState::Confirmed,
            Verdict::Drop => ItemState::Dropped,
        };
        note(change, review, *id, state).await?;
        let diff = Diff::new()
            .field("state", Some(ItemState::Waiting), Some(state))
            .set(item.kind.as_str(), &item.name);
        change.record(Subject { kind: "review", id: review.0, name: &row.name }, "decide", &diff).await?;
        decided.count += 1;
    }
    Ok(decided)
}

/// What was said about a line that does not wait any more.
async fn settled(change: &mut Change, review: ReviewId, id: ReviewItemId) -> Result<Option<String>> {
    let org = change.org();
    let row = sqlx::query!(
        "select name, state, decided_by from review_items
         where org_id = $1 and review_id = $2 and item_id = $3 and state <> 'waiting'",
        org.0,
        review.0,
        id.0
    )
    .fetch_optional(change.db())
    .await?;
    Ok(row.map(|row| {
        let by = row.decided_by.map(|by| format!(" by {by}")).unwrap_or_default();
        format!("{} was {}{by}.", row.name, row.state)
    }))
}

async fn waiting(change: &mut Change, review: ReviewId, id: ReviewItemId) -> Result<Option<Waiting>> {
    let org = change.org();
    let row = sqlx::query!(
        "select kind, group_id, user_id, thing_id, name from review_items
         where org_id = $1 and review_id = $2 and item_id = $3 and state = 'waiting'",
        org.0,
        review.0,
        id.0
    )
    .fetch_optional(change.db())
    .await?;
    row.map(|row| {
        Ok(Waiting {
            kind: row.kind.parse()?,
            group: row.group_id.into(),
            user: row.user_id.map(UserId),
            thing: row.thing_id,
            name: row.name,
        })
    })
    .transpose()
}

async fn note(change: &mut Change, review: ReviewId, id: ReviewItemId, state: ItemState) -> Result<()> {
    let (org, at, by) = (change.org(), change.at(), change.permit().actor().name.clone());
    sqlx::query!(
        "update review_items set state = $4, decided_at = $5, decided_by = $6 where org_id = $1 and review_id = $2 and item_id = $3",
        org.0,
        review.0,
        id.0,
        state.as_str(),
        at,
        by,
    )
    .execute(change.db())
    .await?;
    Ok(())
}

/// Nobody confirms what is their own, but for admins and owners, whom nobody stands above.
async fn judge(change: &mut Change, item: &Waiting, verdict: Verdict, path: &str) -> Result<()> {
    let actor = change.permit().actor().clone();
    let above = allows(&actor, Act::ReviewAccess, Place::Organization);
    if verdict == Verdict::Confirm {
        if !above && item.user.is_some() && item.user == actor.user {
            return Err(StoreError::invalid("", "What is yours is confirmed by somebody else."));
        }
        if !is_there(change, item).await? {
            let sentence = format!("{}: what this line is about has ended since. Drop the line.", item.name);
            return Err(StoreError::invalid("", sentence));
        }
        return Ok(());
    }
    match item.kind {
        ItemKind::Member => drop_member(change, item).await,
        ItemKind::Grant => {
            requests::end_by_review(change, GrantId(item.thing), &item.name, (path, true)).await
        }
        ItemKind::Secret => keys::kill(change, item.thing.into()).await,
    }
}

/// Whether what a line is about still is: nobody says of what has ended that it is still needed.
async fn is_there(change: &mut Change, item: &Waiting) -> Result<bool> {
    let (org, at) = (change.org(), change.at());
    let there = sqlx::query_scalar!(
        r#"select case $3
               when 'member' then exists (
                   select from memberships t where t.org_id = $1 and t.membership_id = $2
                   and t.ended_at is null and (t.ends_at is null or t.ends_at > $4))
               when 'grant' then exists (
                   select from grants t where t.org_id = $1 and t.grant_id = $2
                   and t.revoked_at is null and t.ends_at > $4)
               else exists (
                   select from secrets t where t.org_id = $1 and t.secret_id = $2
                   and t.revoked_at is null and (t.expires_at is null or t.expires_at > $4))
           end as "there!""#,
        org.0,
        item.thing,
        item.kind.as_str(),
        at,
    );
    Ok(there.fetch_one(change.db()).await?)
}

async fn drop_member(change: &mut Change, item: &Waiting) -> Result<()> {
    let (org, at) = (change.org(), change.at());
    let row = sqlx::query!(
        "select user_id, standing from memberships
         where org_id = $1 and membership_id = $2 and ended_at is null and (ends_at is null or ends_at > $3)",
        org.0,
        item.thing,
        at,
    )
    .fetch_optional(change.db())
    .await?;
    // Ended since, by itself or by somebody else: what was wanted is so.
    let Some(row) = row else { return Ok(()) };
    if row.standing == Standing::Lead.as_str() {
        let sentence = format!("{} leads the group: hand the lead over first.", item.name);
        return Err(StoreError::invalid("", sentence));
    }
    groups::end(change, item.group, row.user_id.into()).await
}

/// Whether somebody may cancel a review: whoever opened it, as long as they answer for its group, and whoever
/// reviews all groups. Another lead would escape it that way.
pub fn may_cancel(actor: &Actor, review: &Review) -> bool {
    let opened = review.opened_by_id.is_some() && review.opened_by_id == actor.user;
    review.closed_at.is_none() && (opened || allows(actor, Act::ReviewAccess, Place::Organization))
}

/// Ends a review before its day, as if it had not been opened: what nobody has decided on stays as it is, and
/// no grant lapses. What was decided stays decided.
///
/// # Errors
/// [`StoreError::Meanwhile`] when it is closed already; [`StoreError::NotPermitted`] for a lead who has not
/// opened it.
pub async fn cancel(change: &mut Change, id: ReviewId) -> Result<()> {
    let (org, at, actor) = (change.org(), change.at(), change.permit().actor().clone());
    let review = get(change.store(), org, id).await?;
    change.expect(Act::ReviewAccess, Some(review.group))?;
    if review.closed_at.is_some() {
        let how = match review.cancelled_by {
            Some(_) if seen::last(change, id.0).await?.own => "You cancelled it".to_owned(),
            Some(by) => format!("{by} cancelled it"),
            None => "It was closed".to_owned(),
        };
        return Err(StoreError::Meanwhile(format!("{how} already. Nothing was changed.")));
    }
    if !may_cancel(&actor, &review) {
        return Err(StoreError::NotPermitted(Act::ReviewAccess));
    }
    let done = sqlx::query!(
        "update reviews set closed_at = $3, cancelled_by = $4 where org_id = $1 and review_id = $2 and closed_at is null",
        org.0,
        id.0,
        at,
        actor.name,
    )
    .execute(change.db())
    .await?;
    exactly_one(&done)?;
    let name = review.path.rsplit('/').next().unwrap_or_default();
    let diff = Diff::new().set("cancelled", true).set("not decided", review.progress.waiting());
    change.record(Subject { kind: "review", id: id.0, name }, "cancel", &diff).await
}

/// Closes every review whose day is over: grants of high-cost models that nobody confirmed end; the
/// rest stays listed as unconfirmed. Returns how many reviews were closed.
///
/// # Errors
/// When the database does not answer.
pub async fn close_due(store: &Store, now: DateTime<Utc>) -> Result<usize> {
    let mut closed = 0;
    for org in organizations::all(store).await? {
        let due = sqlx::query_scalar!(
            "select review_id from reviews where org_id = $1 and closed_at is null and due_at <= $2 order by due_at",
            org.0,
            now,
        )
        .fetch_all(store.pool())
        .await?;
        for id in due {
            close(store, org, id.into(), now).await?;
            closed += 1;
        }
    }
    Ok(closed)
}

async fn close(store: &Store, org: OrgId, id: ReviewId, now: DateTime<Utc>) -> Result<()> {
    let permit = permit(&Actor::bursar(org), Act::ReviewAccess, Place::Organization)
        .map_err(|refused| StoreError::NotPermitted(refused.act))?;
    let mut change = Change::begin_at(store, permit, now).await?;
    // Of two replicas one waits here, and finds it done.
    close_in(&mut change, id).await?;
    change.commit().await?;
    Ok(())
}

/// Closes the reviews of a group that is over.
pub(crate) async fn close_of(change: &mut Change, group: GroupId) -> Result<()> {
    let org = change.org();
    let open = sqlx::query_scalar!(
        "select review_id from reviews where org_id = $1 and group_id = $2 and closed_at is null",
        org.0,
        group.0,
    )
    .fetch_all(change.db())
    .await?;
    for id in open {
        close_in(change, id.into()).await?;
    }
    Ok(())
}

async fn close_in(change: &mut Change, id: ReviewId) -> Result<()> {
    let (org, now) = (change.org(), change.at());
    let done = sqlx::query!(
        "update reviews set closed_at = $3 where org_id = $1 and review_id = $2 and closed_at is null",
        org.0,
        id.0,
        now
    )
    .execute(change.db())
    .await?;
    if done.rows_affected() == 0 {
        return Ok(());
    }
    let rows = sqlx::query!(
        "select item_id, kind, high_cost, thing_id, name from review_items
         where org_id = $1 and review_id = $2 and state = 'waiting' order by item_id",
        org.0,
        id.0
    )
    .fetch_all(change.db())
    .await?;
    let review = sqlx::query!(
        "select g.group_id, g.name from reviews r join groups g on g.org_id = r.org_id and g.group_id = r.group_id
         where r.org_id = $1 and r.review_id = $2",
        org.0,
        id.0
    )
    .fetch_one(change.db())
    .await?;
    let path = groups::read(change.db(), org, review.group_id.into()).await?.path_text();
    let mut lapsed = 0;
    for row in &rows {
        if unconfirmed(row.kind.parse()?, row.high_cost) != ItemState::Lapsed {
            continue;
        }
        requests::end_by_review(change, GrantId(row.thing_id), &row.name, (&path, false)).await?;
        note(change, id, row.item_id.into(), ItemState::Lapsed).await?;
        lapsed += 1;
    }
    let diff =
        Diff::new().set("closed", true).set("unconfirmed", rows.len() - lapsed).set("grants lapsed", lapsed);
    change.record(Subject { kind: "review", id: id.0, name: &review.name }, "close", &diff).await
}
