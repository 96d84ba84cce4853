//! Changes to many people at once: one transaction, one line of the log per person, one id that all
//! of them carry.

use std::collections::{HashMap, HashSet, hash_map::Entry};

use chrono::{DateTime, Duration, Utc};
use domain::{
    access::Facts,
    batches::{Batch, Effect, Outcome, PEOPLE_MAX, Task, Undo},
    groups::Standing,
    ids::{BatchId, GroupId, OrgId, UserId},
    money::{Money, grouped},
    roles::Permit,
    users::Role,
};
use serde_json::json;
use uuid::Uuid;

use crate::{Change, Result, Store, StoreError, access, clock, groups, limits, users};

/// How long people who were chosen are kept without anything being done.
const KEPT_HOURS: i64 = 24;

/// Writes down whom a change is to be about. Nothing is changed by it.
///
/// # Errors
/// [`StoreError::Invalid`] when there is nobody, or there are too many.
pub async fn prepare(store: &Store, permit: &Permit, ids: &[UserId]) -> Result<BatchId> {
    let org = permit.org();
    let actor = permit.actor().user.ok_or(StoreError::NotPermitted(permit.act()))?;
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let known = sqlx::query_scalar!(
        "select user_id from users where org_id = $1 and user_id = any ($2) and removed_at is null order by lower(name), user_id",
        org.0,
        &ids
    )
    .fetch_all(store.pool())
    .await?;
    if known.is_empty() {
        return Err(StoreError::invalid("users", "Choose at least one person."));
    }
    if known.len() > PEOPLE_MAX {
        let sentence = format!(
            "At most {} people are changed at once. Narrow the list with a filter.",
            grouped(PEOPLE_MAX as u64)
        );
        return Err(StoreError::invalid("users", sentence));
    }
    let (id, now) = (clock::id::<BatchId>(), clock::now());
    sqlx::query!(
        "delete from batches where org_id = $1 and done_at is null and prepared_at < $2",
        org.0,
        now - Duration::hours(KEPT_HOURS)
    )
    .execute(store.pool())
    .await?;
    sqlx::query!(
        "insert into batches (org_id, batch_id, actor_id, user_ids, prepared_at) values ($1, $2, $3, $4, $5)",
        org.0,
        id.0,
        actor.0,
        &known,
        now,
    )
    .execute(store.pool())
    .await?;
    Ok(id)
}

/// A batch of this person's.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not there, or somebody else's.
pub async fn get(store: &Store, org: OrgId, actor: UserId, id: BatchId) -> Result<Batch> {
    let row = sqlx::query!(
        "select actor_id, user_ids, task, results, undone_at from batches where org_id = $1 and batch_id = $2 and actor_id = $3",
        org.0,
        id.0,
        actor.0,
    )
    .fetch_one(store.pool())
    .await?;
    let unreadable = |error: serde_json::Error| StoreError::Unreadable(error.to_string());
    let done = match (row.task, row.results) {
        (Some(task), Some(results)) => Some((
            serde_json::from_value(task).map_err(unreadable)?,
            serde_json::from_value(results).map_err(unreadable)?,
        )),
        _ => None,
    };
    Ok(Batch {
        id,
        actor: row.actor_id.into(),
        users: row.user_ids.into_iter().map(UserId).collect(),
        done,
        undone_at: row.undone_at,
    })
}

/// One of the people, as they are when the change comes to them.
struct Person {
    id: UserId,
    name: String,
    email: String,
    role: Role,
    suspended: bool,
    joined: bool,
    version: i64,
    own_limit: Option<Money>,
}

async fn people(change: &mut Change, ids: &[UserId]) -> Result<Vec<Person>> {
    let org = change.org();
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"select u.user_id, u.name, u.email, u.role, u.suspended_at is not null as "suspended!", u.account_id is not null as "joined!",
                  u.version, l.cap as "cap?"
           from users u
           left join limits l
             on l.org_id = u.org_id and l.scope_kind = 'user' and l.thing_id = u.user_id
            and l.person_id = '00000000-0000-0000-0000-000000000000' and l.metric = 'spend' and l.window_kind = 'month'
           where u.org_id = $1 and u.user_id = any ($2) and u.removed_at is null
           order by lower(u.name), u.user_id"#,
        org.0,
        &ids
    )
    .fetch_all(change.db())
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Person {
                id: row.user_id.into(),
                name: row.name,
                email: row.email,
                role: row.role.parse()?,
                suspended: row.suspended,
                joined: row.joined,
                version: row.version,
                own_limit: row.cap.map(Money),
            })
        })
        .collect()
}

/// What a group's members are in it, and until when.
type Members = HashMap<UserId, (Standing, Option<DateTime<Utc>>)>;

async fn members(change: &mut Change, group: GroupId) -> Result<Members> {
    let (org, at) = (change.org(), change.at());
    let rows = sqlx::query!(
        "select user_id, standing, ends_at from memberships
         where org_id = $1 and group_id = $2 and ended_at is null and (ends_at is null or ends_at > $3)",
        org.0,
        group.0,
        at
    )
    .fetch_all(change.db())
    .await?;
    rows.into_iter().map(|row| Ok((row.user_id.into(), (row.standing.parse()?, row.ends_at)))).collect()
}

/// What one person comes to: what was done and how to undo it, or why nothing was.
enum Step {
    Done(String, Option<Undo>),
    Already(String),
    Refused(String),
}

/// Does it to everybody it can be done to. Looking at what it would do is the same, without the
/// commit: so what was shown is what happens.
///
/// # Errors
/// [`StoreError::NotFound`] when the group is not there; [`StoreError::NotPermitted`] when the
/// permit is not for this.
pub async fn run(change: &mut Change, ids: &[UserId], task: Task) -> Result<Vec<Effect>> {
    let (act, group) = task.permit();
    change.expect(act, group)?;
    let facts = change.facts().await?;
    let source = match task.also() {
        Some(from) => {
            change.expect(act, Some(from))?;
            if Some(from) == group {
                return Err(StoreError::invalid("to", "They are in this group already: choose another one."));
            }
            let name = facts.groups.get(&from).ok_or(StoreError::NotFound)?.name.clone();
            Some((from, name, members(change, from).await?))
        }
        None => None,
    };
    let group = match group {
        Some(group) => {
            let name = facts.groups.get(&group).ok_or(StoreError::NotFound)?.name.clone();
            Some((name, members(change, group).await?))
        }
        None => None,
    };
    let mut effects = Vec::new();
    let people = people(change, ids).await?;
    if let Task::Limit(cap) = task {
        return cap_all(change, &facts, people, cap).await;
    }
    for person in people {
        let step = match (&group, &source) {
            (Some(to), Some(from)) => shift(change, &person, task, from, to).await,
            (Some((name, members)), None) => belong(change, &person, task, name, members).await,
            (None, _) => alter(change, &person, task).await,
        };
        effects.push(effect(person, step)?);
    }
    Ok(effects)
}

/// What is wrong with one person does not keep the others from it.
fn effect(person: Person, step: Result<Step>) -> Result<Effect> {
    let (outcome, text, undo) = match step {
        Ok(Step::Done(text, undo)) => (Outcome::Changed, text, undo),
        Ok(Step::Already(text)) => (Outcome::Already, text, None),
        Ok(Step::Refused(text)) | Err(StoreError::Invalid { sentence: text, .. }) => {
            (Outcome::Refused, text, None)
        }
        Err(error) => return Err(error),
    };
    Ok(Effect { user: person.id, name: person.name, email: person.email, outcome, text, undo })
}

async fn belong(
    change: &mut Change,
    person: &Person,
    task: Task,
    name: &str,
    members: &Members,
) -> Result<Step> {
    let known = members.get(&person.id);
    Ok(match (task, known) {
        (Task::Join { standing: Standing::Member, .. }, Some(_)) => {
            Step::Already(format!("is in {name} already"))
        }
        (Task::Join { standing: Standing::Lead, .. }, Some((Standing::Lead, _))) => {
            Step::Already(format!("leads {name} already"))
        }
        (Task::Join { group, standing, ends_at }, known) => {
            groups::set_member(change, group, person.id, standing, ends_at).await?;
            let undo = match known {
                None => Undo::Leave(group),
                Some((_, ends_at)) => Undo::Member { group, ends_at: *ends_at },
            };
            let verb = if standing == Standing::Lead { "leads" } else { "joins" };
            Step::Done(format!("{verb} {name}"), Some(undo))
        }
        (_, None) => Step::Already(format!("is not a direct member of {name}")),
        (_, Some((Standing::Lead, _))) => {
            Step::Refused(format!("Leads {name}. Take the lead away on the group's page first."))
        }
        (Task::Leave(group), Some((_, ends_at))) => {
            groups::remove_member(change, group, person.id).await?;
            Step::Done(format!("leaves {name}"), Some(Undo::Join { group, ends_at: *ends_at }))
        }
        _ => Step::Already(String::new()),
    })
}

/// From one group into another. In first: what both groups carry lives on.
async fn shift(
    change: &mut Change,
    person: &Person,
    task: Task,
    (from, from_name, from_members): &(GroupId, String, Members),
    (to_name, to_members): &(String, Members),
) -> Result<Step> {
    let Task::Move { to, .. } = task else { return Ok(Step::Already(String::new())) };
    let from = *from;
    match from_members.get(&person.id) {
        None => Ok(Step::Refused(format!("is not a direct member of {from_name}"))),
        Some((Standing::Lead, _)) => {
            Ok(Step::Refused(format!("leads {from_name}. Hand the group over first.")))
        }
        Some((Standing::Member, ends_at)) => {
            let ends_at = *ends_at;
            let there = to_members.contains_key(&person.id);
            if !there {
                groups::set_member(change, to, person.id, Standing::Member, ends_at).await?;
            }
            groups::remove_member(change, from, person.id).await?;
            let undo =
                if there { Undo::Join { group: from, ends_at } } else { Undo::Back { from, to, ends_at } };
            Ok(Step::Done(format!("moves from {from_name} to {to_name}"), Some(undo)))
        }
    }
}

/// A limit for all of them, in as many statements as for one.
async fn cap_all(
    change: &mut Change,
    facts: &Facts,
    people: Vec<Person>,
    cap: Option<Money>,
) -> Result<Vec<Effect>> {
    let others: Vec<UserId> =
        people.iter().filter(|person| person.own_limit != cap).map(|person| person.id).collect();
    limits::set_months(change, facts, &others, cap).await?;
    let step = |person: &Person| match person.own_limit {
        before if before == cap => Step::Already(format!("has {} already", limit_words(facts, cap))),
        before => {
            let text = format!("{} → {}", limit_words(facts, before), limit_words(facts, cap));
            Step::Done(text, Some(Undo::Limit { before, set: cap }))
        }
    };
    people
        .into_iter()
        .map(|person| {
            let step = step(&person);
            effect(person, Ok(step))
        })
        .collect()
}

async fn alter(change: &mut Change, person: &Person, task: Task) -> Result<Step> {
    let me = change.permit().actor().user == Some(person.id);
    Ok(match task {
        Task::Role(role) if person.role == role => Step::Already(format!("is {role} already")),
        Task::Role(_) if me => {
            Step::Refused("This is you: somebody else has to change your role.".to_owned())
        }
        Task::Role(role) => {
            give_role(change, person, role).await?;
            let undo = Undo::Role { before: person.role, given: role };
            Step::Done(format!("{} → {role}", person.role), Some(undo))
        }
        Task::Suspend if person.suspended => Step::Already("is suspended already".to_owned()),
        Task::Suspend if me => Step::Refused("This is you: somebody else has to suspend you.".to_owned()),
        Task::Suspend => {
            let handed = users::turn(change, person.id, true, None).await?;
            let handed = users::handed_over(&handed).map(|handed| format!("; handed over: {handed}"));
            let text = "is suspended; every secret of theirs is revoked for good".to_owned();
            Step::Done(text + &handed.unwrap_or_default(), Some(Undo::Suspended(false)))
        }
        Task::Reinstate if !person.suspended => Step::Already("is not suspended".to_owned()),
        Task::Reinstate => {
            users::set_suspended(change, person.id, false).await?;
            Step::Done("is let in again".to_owned(), Some(Undo::Suspended(true)))
        }
        Task::Invite if person.joined => Step::Already("has joined already".to_owned()),
        Task::Invite if person.suspended => Step::Refused("Suspended. Let them in again first.".to_owned()),
        Task::Invite => {
            let token = users::invite(change, person.id).await?;
            Step::Done(format!("{}/{}/{token}", change.org(), person.id), None)
        }
        Task::Join { .. } | Task::Leave(_) | Task::Move { .. } | Task::Limit(_) | Task::Import => {
            Step::Already(String::new())
        }
    })
}

async fn give_role(change: &mut Change, person: &Person, role: Role) -> Result<()> {
    let unreadable = |error: domain::names::NameError| StoreError::Unreadable(error.to_string());
    let form = users::UserForm {
        email: person.email.parse().map_err(unreadable)?,
        name: person.name.parse().map_err(unreadable)?,
        role,
    };
    users::update(change, person.id, person.version, &form).await
}

fn limit_words(facts: &Facts, own: Option<Money>) -> String {
    match (own, facts.default_user_limit) {
        (Some(own), _) => own.to_string(),
        (None, Some(default)) => format!("the default of {default}"),
        (None, None) => "no limit".to_owned(),
    }
}

/// Does it, and keeps what became of everybody. Links of invitations are handed over and not kept.
///
/// # Errors
/// [`StoreError::Stale`] when it was done already; those of [`run`].
pub async fn confirm(change: &mut Change, batch: &Batch, task: Task) -> Result<Vec<Effect>> {
    let (org, at) = (change.org(), change.at());
    change.in_batch(batch.id);
    let effects = run(change, &batch.users, task).await?;
    let mut kept = effects.clone();
    if task == Task::Invite {
        for effect in kept.iter_mut().filter(|effect| effect.outcome == Outcome::Changed) {
            effect.text = "is invited again".to_owned();
        }
    }
    let done = sqlx::query!(
        "update batches set task = $3, results = $4, done_at = $5 where org_id = $1 and batch_id = $2 and done_at is null",
        org.0,
        batch.id.0,
        json!(task),
        json!(kept),
        at,
    )
    .execute(change.db())
    .await?;
    crate::change::exactly_one(&done)?;
    Ok(effects)
}

/// Brings everybody back who is still as the change left them. Returns how many that were, and how
/// many were changed since.
///
/// # Errors
/// [`StoreError::Stale`] when it was not done, or was undone already.
pub async fn undo(change: &mut Change, batch: &Batch) -> Result<(usize, usize)> {
    let (org, at) = (change.org(), change.at());
    let Some((task, effects)) = &batch.done else { return Err(StoreError::Stale) };
    let (act, group) = task.permit();
    change.expect(act, group)?;
    change.in_batch(batch.id);
    let done = sqlx::query!(
        "update batches set undone_at = $3 where org_id = $1 and batch_id = $2 and done_at is not null and undone_at is null",
        org.0,
        batch.id.0,
        at,
    )
    .execute(change.db())
    .await?;
    crate::change::exactly_one(&done)?;
    if let Some(from) = task.also() {
        change.expect(act, Some(from))?;
    }
    let facts = access::read(change.db(), org).await?;
    let mut known = HashMap::<GroupId, Members>::new();
    for group in effects.iter().filter_map(|effect| effect.undo.as_ref()).flat_map(Undo::groups) {
        if let Entry::Vacant(vacant) = known.entry(group) {
            vacant.insert(members(change, group).await?);
        }
    }
    let now: HashMap<UserId, Person> =
        people(change, &batch.users).await?.into_iter().map(|person| (person.id, person)).collect();
    let (mut back, mut left) = (HashSet::new(), HashSet::new());
    // What came last goes first.
    for (user, undo) in effects.iter().rev().filter_map(|effect| Some((effect.user, effect.undo.as_ref()?))) {
        let person = now.get(&user).filter(|person| is_same(undo, person, *task, &known, at));
        let undone = match person {
            Some(person) => bring_back(change, &facts, person, undo).await,
            None => Err(StoreError::invalid("", "Somebody changed them since.")),
        };
        match undone {
            Ok(()) => back.insert(user),
            Err(StoreError::Invalid { .. }) => left.insert(user),
            Err(error) => return Err(error),
        };
    }
    Ok((back.len(), left.len()))
}

/// Whether somebody still is as the change left them.
fn is_same(
    undo: &Undo,
    person: &Person,
    task: Task,
    known: &HashMap<GroupId, Members>,
    at: DateTime<Utc>,
) -> bool {
    let here = |group: &GroupId| known.get(group).and_then(|members| members.get(&person.id));
    let is = |group: &GroupId, wanted: Standing| here(group).is_some_and(|(standing, _)| *standing == wanted);
    let goes_on = |ends_at: &Option<DateTime<Utc>>| ends_at.is_none_or(|end| end > at);
    match undo {
        Undo::Leave(group) => match task {
            Task::Join { standing, .. } => is(group, standing),
            _ => is(group, Standing::Member),
        },
        Undo::Back { from, to, ends_at } => {
            is(to, Standing::Member) && here(from).is_none() && goes_on(ends_at)
        }
        Undo::Join { group, ends_at } => here(group).is_none() && goes_on(ends_at),
        Undo::Member { group, ends_at } => is(group, Standing::Lead) && goes_on(ends_at),
        Undo::Limit { set, .. } => person.own_limit == *set,
        Undo::Role { given, .. } => person.role == *given,
        Undo::Suspended(was) => person.suspended != *was,
        Undo::Name { given, .. } => person.name == *given,
        Undo::Added => !person.joined,
    }
}

async fn bring_back(change: &mut Change, facts: &Facts, person: &Person, undo: &Undo) -> Result<()> {
    match undo {
        Undo::Leave(group) => groups::remove_member(change, *group, person.id).await,
        Undo::Join { group, ends_at } | Undo::Member { group, ends_at } => {
            groups::set_member(change, *group, person.id, Standing::Member, *ends_at).await
        }
        Undo::Back { from, to, ends_at } => {
            groups::set_member(change, *from, person.id, Standing::Member, *ends_at).await?;
            groups::remove_member(change, *to, person.id).await
        }
        Undo::Limit { before, .. } => {
            limits::set_month_in(change, facts, person.id, *before).await.map(|_| ())
        }
        Undo::Role { before, .. } => {
            let person = newest(change, person.id).await?;
            give_role(change, &person, *before).await
        }
        Undo::Suspended(suspended) => {
            if *suspended {
                users::set_suspended(change, person.id, true).await
            } else {
                users::take_back_suspension(change, person.id).await
            }
        }
        Undo::Name { before, .. } => {
            let person = newest(change, person.id).await?;
            let role = person.role;
            give_role(change, &Person { name: before.clone(), ..person }, role).await
        }
        Undo::Added => users::remove(change, person.id, None).await,
    }
}

/// Somebody as this change has made them so far.
async fn newest(change: &mut Change, id: UserId) -> Result<Person> {
    people(change, &[id]).await?.into_iter().next().ok_or(StoreError::NotFound)
}

/// Keeps what a table changed as a change to many people, so that it can be undone as one.
pub(crate) async fn keep_import(change: &mut Change, id: BatchId, effects: &[Effect]) -> Result<()> {
    let (org, at) = (change.org(), change.at());
    let actor = change.permit().actor().user.ok_or(StoreError::NotPermitted(change.permit().act()))?;
    let mut ids: Vec<Uuid> = effects.iter().map(|effect| effect.user.0).collect();
    ids.sort_unstable();
    ids.dedup();
    sqlx::query!(
        "insert into batches (org_id, batch_id, actor_id, user_ids, prepared_at, task, results, done_at)
         values ($1, $2, $3, $4, $5, $6, $7, $5)",
        org.0,
        id.0,
        actor.0,
        &ids,
        at,
        json!(Task::Import),
        json!(effects),
    )
    .execute(change.db())
    .await?;
    Ok(())
}
