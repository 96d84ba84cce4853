//! The roll: everybody in an organization with what a directory is searched, filtered and put in
//! order by, in memory. Tens of thousands of people are gone through in a few milliseconds, whatever
//! is asked; the database would read and join all of them for every page.
//!
//! It is as true as the tables: before it is asked, what has changed since is read. A change of the
//! organization moves the version of its facts; a batch of bookings names the people it was about
//! (`booked_people`), in the transaction that books.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use domain::{
    access::Facts,
    directory::{Filter, Sort, Standing},
    ids::{GroupId, OrgId, UserId},
    money::Money,
    users::{Role, UserStatus},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Result, Store, access, census, clock, directory::Order};

/// How long it is kept whom a batch was about.
const KEPT: Duration = Duration::from_secs(600);
/// More batches than these, or more people, are not read one by one.
const BATCHES: i64 = 5_000;
const PEOPLE: usize = 5_000;

/// Somebody.
#[derive(Debug)]
struct Person {
    id: Uuid,
    /// In lower case, as the database does it: the order is its order.
    name: Box<str>,
    email: Box<str>,
    role: Role,
    suspended: bool,
    joined: bool,
    /// Until when they have a live secret.
    live_until: Option<DateTime<Utc>>,
    own_limit: Option<i64>,
    /// Nano-dollars this month.
    spend: i64,
    last_call: Option<DateTime<Utc>>,
}

/// Everybody, by name.
#[derive(Debug)]
pub(crate) struct Roll {
    /// Of which facts, which month, and after which batch.
    version: i64,
    month: DateTime<Utc>,
    seq: i64,
    people: Vec<Person>,
    places: HashMap<Uuid, usize>,
    members: HashMap<GroupId, Vec<Member>>,
}

/// Somebody's place on the roll, and until when they are in the group.
type Member = (usize, Option<DateTime<Utc>>);

/// The rolls that a process keeps, by organization. Whoever asks holds it meanwhile.
pub(crate) type Rolls = HashMap<OrgId, Arc<tokio::sync::Mutex<Option<Roll>>>>;

/// What is asked of a roll.
pub(crate) struct Asked<'a> {
    pub month: DateTime<Utc>,
    pub default_limit: Option<i64>,
    pub filter: &'a Filter,
    pub now: DateTime<Utc>,
    /// Every group by its name, where people are put in order by their groups.
    pub by_name: &'a [GroupId],
}

/// Whom the batch that is being booked is about. The last thing a transaction that books does, so
/// that two never wait for each other crosswise. None: everybody.
pub(crate) async fn note(db: &mut PgConnection, org: OrgId, people: Option<BTreeSet<UserId>>) -> Result<()> {
    if people.as_ref().is_some_and(BTreeSet::is_empty) {
        return Ok(());
    }
    let people: Option<Vec<Uuid>> = people.map(|people| people.into_iter().map(|id| id.0).collect());
    sqlx::query!(
        "with mark as (
             insert into booking_marks as m (org_id, seq) values ($1, 1)
             on conflict (org_id) do update set seq = m.seq + 1
             returning seq
         )
         insert into booked_people (org_id, seq, user_ids, booked_at) select $1, seq, $2, $3 from mark",
        org.0,
        people.as_deref(),
        clock::now(),
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Forgets whom batches were about that every process has had the time to read.
///
/// # Errors
/// When the database does not answer.
pub async fn sweep(store: &Store) -> Result<()> {
    sqlx::query!("delete from booked_people where booked_at < $1", clock::now() - KEPT)
        .execute(store.pool())
        .await?;
    Ok(())
}

/// Asks the roll of an organization as of now.
pub(crate) async fn ask<T>(
    store: &Store,
    org: OrgId,
    month: DateTime<Utc>,
    question: impl FnOnce(&Roll) -> T,
) -> Result<T> {
    let kept = store.roll(org);
    let mut kept = kept.lock().await;
    let facts = access::current(store, org).await?;
    let mut known = kept.take().filter(|roll| roll.version == facts.version && roll.month == month);
    if let Some(roll) = &mut known
        && !roll.catch_up(store, org).await?
    {
        known = None;
    }
    let roll = match known {
        Some(roll) => roll,
        None => Roll::read(store, org, &facts, month).await?,
    };
    let answer = question(&roll);
    *kept = Some(roll);
    Ok(answer)
}

/// What has been booked since some batch.
struct News {
    newest: i64,
    /// None: too much, or nobody knows any more.
    people: Option<Vec<Uuid>>,
}

async fn news(store: &Store, org: OrgId, since: i64) -> Result<News> {
    let row = sqlx::query!(
        r#"with b as materialized (
               select seq, user_ids from booked_people where org_id = $1 and seq > $2 order by seq limit $3::bigint
           )
           select coalesce((select seq from booking_marks where org_id = $1), 0) as "newest!", count(*) as "batches!",
                  coalesce(bool_or(user_ids is null), false) as "everybody!",
                  array(select distinct unnest(user_ids) from b) as "people!"
           from b"#,
        org.0,
        since,
        BATCHES + 1,
    )
    .fetch_one(store.pool())
    .await?;
    let whole = row.batches == row.newest - since && row.batches <= BATCHES && !row.everybody;
    Ok(News { newest: row.newest, people: Some(row.people).filter(|people| whole && people.len() <= PEOPLE) })
}

impl Roll {
    async fn read(store: &Store, org: OrgId, facts: &Facts, month: DateTime<Utc>) -> Result<Self> {
        // First: what is booked while everybody is read is read again.
        let News { newest, .. } = news(store, org, i64::MAX - BATCHES - 1).await?;
        let rows = sqlx::query!(
            r#"select u.user_id, lower(u.name) as "name!", lower(u.email) as "email!", u.role, u.suspended_at is not null as "suspended!",
                      u.account_id is not null as "joined!", l.cap as "cap?", coalesce(w.settled, 0) as "spend!",
                      s.live_until as "live_until?", s.last_used_at as "last_used_at?"
               from users u
               left join windows w
                 on w.org_id = u.org_id and w.scope_kind = 'user' and w.thing_id = u.user_id
                and w.person_id = '00000000-0000-0000-0000-000000000000' and w.metric = 'spend'
                and w.window_kind = 'month' and w.starts_at = $2
               left join limits l
                 on l.org_id = u.org_id and l.scope_kind = 'user' and l.thing_id = u.user_id
                and l.person_id = '00000000-0000-0000-0000-000000000000' and l.metric = 'spend' and l.window_kind = 'month'
               left join (
                   select org_id, user_id, max(last_used_at) as last_used_at,
                          max(coalesce(expires_at, '9999-01-01')) filter (where revoked_at is null) as live_until
                   from secrets where org_id = $1 and user_id is not null group by org_id, user_id
               ) s on s.org_id = u.org_id and s.user_id = u.user_id
               where u.org_id = $1 and u.removed_at is null
               order by lower(u.name), u.user_id"#,
            org.0,
            month,
        )
        .fetch_all(store.pool())
        .await?;
        let mut people = Vec::with_capacity(rows.len());
        for row in rows {
            people.push(Person {
                id: row.user_id,
                name: row.name.into(),
                email: row.email.into(),
                role: row.role.parse()?,
                suspended: row.suspended,
                joined: row.joined,
                live_until: row.live_until,
                own_limit: row.cap,
                spend: row.spend,
                last_call: row.last_used_at,
            });
        }
        let places = people.iter().enumerate().map(|(place, person)| (person.id, place)).collect();
        let mut members = HashMap::<GroupId, Vec<Member>>::new();
        for (place, person) in people.iter().enumerate() {
            for membership in
                facts.users.get(&UserId(person.id)).into_iter().flat_map(|user| &user.memberships)
            {
                members.entry(membership.group).or_default().push((place, membership.ends_at));
            }
        }
        Ok(Self { version: facts.version, month, seq: newest, people, places, members })
    }

    /// Reads what was booked since. False: too much, or nobody knows any more what.
    async fn catch_up(&mut self, store: &Store, org: OrgId) -> Result<bool> {
        let News { newest, people } = news(store, org, self.seq).await?;
        let Some(people) = people else { return Ok(false) };
        if !people.is_empty() {
            let rows = sqlx::query!(
                r#"select k.user_id as "user_id!", coalesce(w.settled, 0) as "spend!",
                          (select max(s.last_used_at) from secrets s where s.org_id = $1 and s.user_id = k.user_id) as last_used_at
                   from unnest($2::uuid[]) as k (user_id)
                   left join windows w
                     on w.org_id = $1 and w.scope_kind = 'user' and w.thing_id = k.user_id
                    and w.person_id = '00000000-0000-0000-0000-000000000000' and w.metric = 'spend'
                    and w.window_kind = 'month' and w.starts_at = $3"#,
                org.0,
                &people,
                self.month,
            )
            .fetch_all(store.pool())
            .await?;
            for row in rows {
                let person = self.places.get(&row.user_id).and_then(|place| self.people.get_mut(*place));
                if let Some(person) = person {
                    (person.spend, person.last_call) = (row.spend, row.last_used_at);
                }
            }
        }
        self.seq = newest;
        Ok(true)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.people.len()
    }

    /// The places of those whom the filter lets through, by name. `groups`: the group that is asked
    /// for and everything below it.
    pub fn matching(&self, asked: &Asked<'_>, groups: Option<&[GroupId]>) -> Vec<usize> {
        let search = domain::names::sought(&asked.filter.search);
        let within = groups.map(|groups| self.within(groups, asked.now));
        let among = |place: usize| within.as_ref().is_none_or(|within| within[place]);
        let fits = |place: &usize| {
            let Some(person) = self.people.get(*place) else { return false };
            among(*place)
                && (search.is_empty() || person.is_called(&search))
                && asked.filter.role.is_none_or(|role| role == person.role)
                && asked.filter.status.is_none_or(|status| status == person.status(asked.now))
                && asked.filter.limit.is_none_or(|limit| person.stands(limit, asked.default_limit))
                && asked.filter.month.holds(Some(Money(person.spend)))
                && asked.filter.cap.holds(person.own_limit.or(asked.default_limit).map(Money))
        };
        (0..self.people.len()).filter(fits).collect()
    }

    /// Whose own limit on a month's money is used the most, at least so many per cent, at most `limit`.
    pub fn nearest(&self, percent: i64, limit: usize) -> Vec<Uuid> {
        let used = |person: &Person| {
            let cap = person.own_limit?;
            let near = i128::from(person.spend) * 100 >= i128::from(cap) * i128::from(percent);
            near.then(|| (person.spend as f64 / cap.max(1) as f64, person.id))
        };
        let mut near: Vec<(f64, Uuid)> = self.people.iter().filter_map(used).collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        near.into_iter().take(limit).map(|(_, id)| id).collect()
    }

    /// Whether the name or address of whoever is there has this in it, which is in lower case.
    pub fn is_called(&self, place: usize, search: &str) -> bool {
        self.people.get(place).is_some_and(|person| person.is_called(search))
    }

    /// Who is in one of the groups.
    pub fn within(&self, groups: &[GroupId], now: DateTime<Utc>) -> Vec<bool> {
        let mut within = vec![false; self.people.len()];
        for (place, ends_at) in groups.iter().filter_map(|group| self.members.get(group)).flatten() {
            if let Some(is) = within.get_mut(*place) {
                *is |= ends_at.is_none_or(|end| end > now);
            }
        }
        within
    }

    /// Who somebody is, and their name in lower case.
    pub fn at(&self, place: usize) -> Option<(UserId, &str)> {
        self.people.get(place).map(|person| (UserId(person.id), &*person.name))
    }

    /// The first `limit` of some by a number, counted down by its negative, that come after a mark: so
    /// that ties keep one order both ways.
    pub fn first_by_figure(
        &self,
        places: &[usize],
        asked: &Asked<'_>,
        order: Order,
        after: Option<(i64, UserId)>,
        limit: usize,
    ) -> Vec<(i64, UserId)> {
        let sign = if order.down { -1 } else { 1 };
        let people = places.iter().filter_map(|place| self.people.get(*place));
        let keys = people.map(|person| (sign * person.figure(order.by, asked), UserId(person.id)));
        first(keys.filter(|key| after.as_ref().is_none_or(|after| key > after)).collect(), limit)
    }

    /// The first `limit` of some by the names of all their own groups, in the order in which these stand
    /// beside them, that come after a mark: each group is which it is by name. Who is in none comes last,
    /// counted down first; ties keep one order both ways.
    pub fn first_by_groups(
        &self,
        places: &[usize],
        asked: &Asked<'_>,
        down: bool,
        after: Option<(Vec<u32>, UserId)>,
        limit: usize,
    ) -> Vec<(Vec<u32>, UserId)> {
        let groups = Groups::of(self, asked);
        let key = |groups, id| {
            if down { Ranked::Down(Reverse(up(groups)), id) } else { Ranked::Up(up(groups), id) }
        };
        let after = after.as_ref().map(|(groups, id)| key(groups.as_slice(), *id));
        let keys = places
            .iter()
            .filter_map(|place| Some(key(groups.at(*place), UserId(self.people.get(*place)?.id))));
        let found = first(keys.filter(|key| after.as_ref().is_none_or(|after| key > after)).collect(), limit);
        found
            .into_iter()
            .map(|key| match key {
                Ranked::Up((_, groups), id) | Ranked::Down(Reverse((_, groups)), id) => (groups.to_vec(), id),
            })
            .collect()
    }

    /// Whether somebody is kept out.
    pub fn is_suspended(&self, place: usize) -> bool {
        self.people.get(place).is_some_and(|person| person.suspended)
    }

    /// Whether somebody has accepted their invitation.
    pub fn has_joined(&self, place: usize) -> bool {
        self.people.get(place).is_some_and(|person| person.joined)
    }

    /// Whether somebody can act: they have joined, and are not kept out.
    pub fn can_act(&self, id: UserId) -> bool {
        let person = self.places.get(&id.0).and_then(|place| self.people.get(*place));
        person.is_some_and(|person| person.joined && !person.suspended)
    }

    /// Whether somebody is in a group, whether or not their time there is over already.
    pub fn is_in(&self, place: usize, group: GroupId) -> bool {
        // Members are in the order of places.
        self.members
            .get(&group)
            .is_some_and(|members| members.binary_search_by_key(&place, |(at, _)| *at).is_ok())
    }
}

/// Groups in the order of names, those of nobody last.
type Up<'a> = (bool, &'a [u32]);

const fn up(groups: &[u32]) -> Up<'_> {
    (groups.is_empty(), groups)
}

/// Somebody among others by their groups. Of one question all are of one kind.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Ranked<'a> {
    Up(Up<'a>, UserId),
    Down(Reverse<Up<'a>>, UserId),
}

/// The first of some, in order.
fn first<T: Ord>(mut keys: Vec<T>, limit: usize) -> Vec<T> {
    if keys.len() > limit {
        keys.select_nth_unstable(limit);
        keys.truncate(limit);
    }
    keys.sort_unstable();
    keys
}

/// The groups that everybody is in themselves, as which they are by name, one list behind the other: two
/// allocations, however many people there are.
struct Groups {
    ends: Vec<usize>,
    ranks: Vec<u32>,
}

impl Groups {
    fn of(roll: &Roll, asked: &Asked<'_>) -> Self {
        let lasting = || {
            (0_u32..).zip(asked.by_name).flat_map(|(rank, group)| {
                let members = roll.members.get(group).into_iter().flatten();
                let here = members.filter(|(_, ends_at)| ends_at.is_none_or(|end| end > asked.now));
                here.map(move |(place, _)| (rank, *place))
            })
        };
        // Where each list begins, and then, as it fills, where it ends.
        let mut ends = vec![0; roll.people.len()];
        for (_, place) in lasting() {
            if let Some(count) = ends.get_mut(place) {
                *count += 1;
            }
        }
        let mut all = 0;
        for end in &mut ends {
            let count = std::mem::replace(end, all);
            all += count;
        }
        let mut ranks = vec![0; all];
        // By name, so that each list is in order.
        for (rank, place) in lasting() {
            if let Some(end) = ends.get_mut(place)
                && let Some(slot) = ranks.get_mut(*end)
            {
                *slot = rank;
                *end += 1;
            }
        }
        Self { ends, ranks }
    }

    fn at(&self, place: usize) -> &[u32] {
        let begin =
            place.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or_default();
        self.ends.get(place).and_then(|end| self.ranks.get(begin..*end)).unwrap_or_default()
    }
}

impl Person {
    fn is_called(&self, search: &str) -> bool {
        domain::names::has(&self.name, search) || self.email.contains(search)
    }

    /// The same words as in `users::rows`.
    fn status(&self, now: DateTime<Utc>) -> UserStatus {
        match (self.suspended, self.live_until.is_some_and(|until| until > now), self.joined) {
            (true, ..) => UserStatus::Suspended,
            (false, true, _) => UserStatus::Active,
            (false, false, true) => UserStatus::Inactive,
            (false, false, false) => UserStatus::Invited,
        }
    }

    fn stands(&self, limit: Standing, default: Option<i64>) -> bool {
        let Some(cap) = self.own_limit.or(default) else { return limit == Standing::None };
        match limit {
            Standing::None => false,
            Standing::Near => self.spend < cap && i128::from(self.spend) * 5 >= i128::from(cap) * 4,
            Standing::Over => self.spend >= cap,
        }
    }

    fn figure(&self, by: Sort, asked: &Asked<'_>) -> i64 {
        let cap = self.own_limit.or(asked.default_limit);
        match by {
            Sort::Status => match self.status(asked.now) {
                UserStatus::Active => 0,
                UserStatus::Inactive => 1,
                UserStatus::Invited => 2,
                UserStatus::Suspended => 3,
            },
            Sort::Name | Sort::Groups | Sort::Spend => self.spend,
            Sort::Limit => cap.unwrap_or(i64::MAX),
            // In millionths; a cast from a float stays within bounds.
            Sort::Used => cap.map_or(-1, |cap| (self.spend as f64 / cap.max(1) as f64 * 1e6) as i64),
            Sort::LastCall => self.last_call.map_or(-1, |at| at.timestamp_micros()),
        }
    }
}

/// A group and everything below it that is not archived.
pub(crate) async fn subtree(store: &Store, org: OrgId, group: GroupId) -> Result<Vec<GroupId>> {
    let census = census::current(store, org).await?;
    let below = census.order.iter().filter(|line| line.id == group || line.ancestors.contains(&group));
    Ok(below.map(|line| line.id).collect())
}
