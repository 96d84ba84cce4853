//! Undoing it: whoever still is as the change left them is brought back, all of them at once.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use domain::{
    batches::{Batch, Outcome, Task, Undo},
    groups::Standing,
    ids::{GroupId, UserId},
    users::Role,
    why,
};

use super::{
    Members, Person,
    doing::{give_role, joins},
    members, people,
};
use crate::{
    Change, Result, StoreError,
    groups::{self, Joining, Leaving},
    limits, receipts, seen, users,
};

/// Brings everybody back who is still as the change left them. Returns how many people that were, and how
/// many were left alone, because they were changed since or what they were before is not possible any more:
/// of whoever is among these, something at least was left alone.
///
/// # Errors
/// [`StoreError::Stale`] when it was not done; [`StoreError::Meanwhile`] when it was undone already, or
/// everybody was left alone.
pub async fn undo(change: &mut Change, batch: &Batch) -> Result<(usize, usize)> {
    let (org, at) = (change.org(), change.at());
    let Some(task) = batch.done else { return Err(StoreError::Stale) };
    if batch.undone_at.is_some() {
        let who = batch.undone_by.as_deref().unwrap_or("Somebody");
        return Err(StoreError::Meanwhile(format!("{who} has undone this already. Nothing was changed.")));
    }
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
    let ways = ways_back(change, batch).await?;
    let groups: HashSet<GroupId> = ways.iter().flat_map(|(_, undo, _)| undo.groups()).collect();
    let groups: Vec<GroupId> = groups.into_iter().collect();
    let known = members(change, &groups).await?;
    let now: HashMap<UserId, Person> =
        people(change, &batch.users).await?.into_iter().map(|person| (person.id, person)).collect();
    let added: Vec<UserId> =
        ways.iter().filter(|(_, undo, _)| matches!(undo, Undo::Added)).map(|(user, ..)| *user).collect();
    let unused = if added.is_empty() { HashSet::new() } else { users::with_nothing(change, &added).await? };

    let facts = change.facts().await?;
    let (mut back, mut left) = (HashSet::new(), Left::default());
    let mut all = All::default();
    let changed = |way: &&(UserId, Undo, i32)| {
        now.get(&way.0).is_none_or(|person| !is_same(&way.1, person, task, &known, at))
    };
    let since = changed_since(change, batch, ways.iter().filter(changed), &now).await?;
    for (user, undo, place) in &ways {
        let same = now.get(user).filter(|person| is_same(undo, person, task, &known, at));
        let Some(person) = same else {
            left.alone(*user, *place, since.get(user).cloned());
            continue;
        };
        // What has ended takes nobody in, also not those who were in it before.
        if let Some(over) = undo.joins().and_then(|group| why::over(&facts, group, at)) {
            left.alone(
                *user,
                *place,
                Some(format!("{over}, and takes nobody in until it has a later last day.")),
            );
            continue;
        }
        match all.take(change, person, undo, &known, &unused) {
            Taken::Together => drop(back.insert(*user)),
            Taken::Alone => {}
            Taken::Not(why) => left.alone(*user, *place, Some(why)),
        }
    }
    for (person, undo) in all.bring_back(change).await? {
        match bring_one_back(change, person, undo).await {
            Ok(()) => drop(back.insert(person.id)),
            Err(StoreError::Invalid { sentence, .. }) => {
                let way = ways.iter().find(|(_, way, _)| std::ptr::eq(way, undo));
                left.alone(person.id, way.map_or(-1, |(.., place)| *place), Some(sentence));
            }
            Err(error) => return Err(error),
        }
    }
    if back.is_empty() {
        return Err(StoreError::Meanwhile(left.nothing()));
    }
    left.keep(change, batch).await?;
    Ok((back.difference(&left.users).count(), left.users.len()))
}

/// What is left alone.
#[derive(Default)]
struct Left {
    users: HashSet<UserId>,
    places: Vec<i32>,
    /// Why, for each; none: somebody changed it again since.
    because: Vec<Option<String>>,
}

impl Left {
    fn alone(&mut self, user: UserId, place: i32, because: Option<String>) {
        self.users.insert(user);
        self.places.push(place);
        self.because.push(because);
    }

    /// Why nothing at all was undone.
    fn nothing(&self) -> String {
        // How many reasons are said: the page of the batch has all of them.
        const SAID: usize = 3;
        let mut why: Vec<&str> = self.because.iter().flatten().map(String::as_str).collect();
        why.sort_unstable();
        why.dedup();
        let more = why.len().saturating_sub(SAID);
        why.truncate(SAID);
        if why.is_empty() {
            return "Everybody was changed again since. Nothing was undone: change them one by one, if they are to be as before.".to_owned();
        }
        let others = match (more, self.because.contains(&None)) {
            (0, false) => String::new(),
            (0, true) => " What else was done was changed again since.".to_owned(),
            (more, _) => format!(" It is alike with {more} more."),
        };
        format!("Nothing was undone. {}{others}", why.join(" "))
    }

    async fn keep(&self, change: &mut Change, batch: &Batch) -> Result<()> {
        let org = change.org();
        sqlx::query!(
            "update batch_effects e set left_alone = true, left_because = k.because
             from unnest($3::integer[], $4::text[]) as k (place, because)
             where e.org_id = $1 and e.batch_id = $2 and e.outcome = 'changed' and e.place = k.place",
            org.0,
            batch.id.0,
            &self.places,
            &self.because as &[Option<String>],
        )
        .execute(change.db())
        .await?;
        Ok(())
    }
}

/// The ways back of a change, and their places: what came last first.
async fn ways_back(change: &mut Change, batch: &Batch) -> Result<Vec<(UserId, Undo, i32)>> {
    let org = change.org();
    let rows = sqlx::query!(
        r#"select user_id, undo as "undo!", place from batch_effects
           where org_id = $1 and batch_id = $2 and outcome = $3 and undo is not null order by place desc"#,
        org.0,
        batch.id.0,
        Outcome::Changed.as_str(),
    )
    .fetch_all(change.db())
    .await?;
    let unreadable = |error: serde_json::Error| StoreError::Unreadable(error.to_string());
    rows.into_iter()
        .map(|row| Ok((row.user_id.into(), serde_json::from_value(row.undo).map_err(unreadable)?, row.place)))
        .collect()
}

/// Who changed those again since whom the batch did not leave like this, and what.
async fn changed_since(
    change: &mut Change,
    batch: &Batch,
    ways: impl Iterator<Item = &(UserId, Undo, i32)>,
    now: &HashMap<UserId, Person>,
) -> Result<HashMap<UserId, String>> {
    let people: Vec<seen::Changed> = ways
        .map(|(user, undo, _)| seen::Changed {
            user: *user,
            name: now.get(user).map_or_else(|| "them".to_owned(), |person| person.name.clone()),
            kind: match undo {
                Undo::Leave(_) | Undo::Back { .. } | Undo::Join { .. } | Undo::Member { .. } => "membership",
                Undo::Limit { .. } => "limit",
                Undo::Role { .. } | Undo::Suspended(_) | Undo::Name { .. } | Undo::Added => "user",
            },
        })
        .collect();
    seen::since_batch(change, batch.id, &people).await
}

/// Whether somebody still is as the change left them.
fn is_same(
    undo: &Undo,
    person: &Person,
    task: Task,
    known: &HashMap<GroupId, Members>,
    at: DateTime<Utc>,
) -> bool {
    let here = |group: &GroupId| known.get(group).and_then(|members| members.here.get(&person.id));
    let is = |group: &GroupId, wanted: Standing| here(group).is_some_and(|here| here.standing == wanted);
    let open = |group: &GroupId| known.contains_key(group);
    let goes_on = |ends_at: &Option<DateTime<Utc>>| ends_at.is_none_or(|end| end > at);
    match undo {
        Undo::Leave(group) => match task {
            Task::Join { standing, .. } => is(group, standing),
            _ => is(group, Standing::Member),
        },
        Undo::Back { from, to, ends_at, .. } => {
            is(to, Standing::Member) && open(from) && here(from).is_none() && goes_on(ends_at)
        }
        Undo::Join { group, ends_at, .. } => open(group) && here(group).is_none() && goes_on(ends_at),
        Undo::Member { group, ends_at } => is(group, Standing::Lead) && goes_on(ends_at),
        Undo::Limit { set, .. } => person.own_limit == *set,
        Undo::Role { given, .. } => person.role == *given,
        Undo::Suspended(was) => person.suspended != *was,
        Undo::Name { given, .. } => person.name == *given,
        Undo::Added => person.account.is_none(),
    }
}

/// What becomes of one way back.
enum Taken {
    /// It is gone with the others.
    Together,
    /// Something hangs on them: it is tried by itself.
    Alone,
    /// It may not be gone, and why.
    Not(String),
}

impl Taken {
    fn not(why: &StoreError) -> Self {
        Self::Not(match why {
            StoreError::Invalid { sentence, .. } => sentence.clone(),
            other => other.to_string(),
        })
    }
}

/// What is done to all of them at once.
#[derive(Default)]
struct All<'a> {
    joining: Vec<Joining<'a>>,
    leaving: Vec<Leaving<'a>>,
    limits: Vec<limits::Month<'a>>,
    edits: HashMap<UserId, (&'a Person, &'a str, Role)>,
    let_in: Vec<(UserId, &'a str)>,
    suspended: Vec<users::Leaver<'a>>,
    gone: Vec<(UserId, &'a str)>,
    /// Whom something hangs on: one by one.
    others: Vec<(&'a Person, &'a Undo)>,
}

impl<'a> All<'a> {
    fn take(
        &mut self,
        change: &Change,
        person: &'a Person,
        undo: &'a Undo,
        known: &'a HashMap<GroupId, Members>,
        unused: &HashSet<UserId>,
    ) -> Taken {
        let name = person.name.as_str();
        let lapsed =
            |group: &GroupId| known.get(group).is_some_and(|members| members.lapsed.contains(&person.id));
        let called = |group: &GroupId| known.get(group).map_or("", |members| members.name.as_str());
        let leaves = |group: &GroupId| -> Option<Leaving<'a>> {
            let here = known.get(group)?.here.get(&person.id)?;
            let by_hand = groups::by_hand(change, here.source, name).is_ok();
            let group_name = called(group);
            (by_hand && here.standing == Standing::Member).then_some(Leaving {
                user: person.id,
                name,
                group: *group,
                group_name,
            })
        };
        let owner = person.role == Role::Owner;
        match undo {
            Undo::Leave(group) => match leaves(group) {
                Some(leaving) => self.leaving.push(leaving),
                None => return self.alone(person, undo),
            },
            Undo::Join { group, .. } if lapsed(group) => return self.alone(person, undo),
            Undo::Join { group, ends_at, source } => {
                self.joining.push(joins(person, *group, called(group), *ends_at, *source));
            }
            Undo::Back { from, to, ends_at, source } => match leaves(to).filter(|_| !lapsed(from)) {
                Some(leaving) => {
                    self.joining.push(joins(person, *from, called(from), *ends_at, *source));
                    self.leaving.push(leaving);
                }
                None => return self.alone(person, undo),
            },
            Undo::Limit { before, kept, .. } => {
                self.limits.push(limits::Month { user: person.id, name, cap: *before, kept: kept.as_ref() });
            }
            Undo::Role { .. } if owner => return self.alone(person, undo),
            Undo::Role { before, .. } => {
                let may = users::may_give(change, *before);
                if let Err(why) = may.and_then(|()| users::may_give(change, person.role)) {
                    return Taken::not(&why);
                }
                self.edit(person).2 = *before;
            }
            Undo::Name { .. } | Undo::Suspended(false) => {
                if let Err(why) = users::may_change(change, person.id, person.role, "edits") {
                    return Taken::not(&why);
                }
                match undo {
                    Undo::Name { before, .. } => self.edit(person).1 = before,
                    _ => self.let_in.push((person.id, name)),
                }
            }
            Undo::Suspended(true) if owner => return self.alone(person, undo),
            Undo::Suspended(true) => {
                if let Err(why) = users::may_give(change, person.role) {
                    return Taken::not(&why);
                }
                self.suspended.push((person.id, name, person.account));
            }
            Undo::Added if unused.contains(&person.id) && users::may_give(change, person.role).is_ok() => {
                self.gone.push((person.id, name));
            }
            Undo::Added | Undo::Member { .. } => return self.alone(person, undo),
        }
        Taken::Together
    }

    fn alone(&mut self, person: &'a Person, undo: &'a Undo) -> Taken {
        self.others.push((person, undo));
        Taken::Alone
    }

    fn edit(&mut self, person: &'a Person) -> &mut (&'a Person, &'a str, Role) {
        self.edits.entry(person.id).or_insert((person, &person.name, person.role))
    }

    /// Does it to all of them, and says who is left to be tried one by one.
    async fn bring_back(self, change: &mut Change) -> Result<Vec<(&'a Person, &'a Undo)>> {
        // In before out: what both groups carry lives on.
        groups::join_all(change, &self.joining).await?;
        groups::end_all(change, &self.leaving).await?;
        limits::set_months(change, &self.limits).await?;
        let mut edits: Vec<users::Edit<'_>> = self
            .edits
            .into_values()
            .map(|(person, name, role)| users::Edit {
                user: person.id,
                version: person.version,
                name: (&person.name, name),
                role: (person.role, role),
            })
            .collect();
        edits.sort_by_key(|edit| edit.user);
        users::edit_all(change, &edits).await?;
        users::reinstate_all(change, &self.let_in).await?;
        let ids: Vec<UserId> = self.let_in.iter().map(|(id, _)| *id).collect();
        if !ids.is_empty() {
            receipts::give_back(change, &ids).await?;
        }
        users::suspend_all(change, &self.suspended).await?;
        users::remove_unused(change, &self.gone).await?;
        Ok(self.others)
    }
}

async fn bring_one_back(change: &mut Change, person: &Person, undo: &Undo) -> Result<()> {
    match undo {
        Undo::Leave(group) => groups::remove_member(change, *group, person.id).await,
        Undo::Join { group, ends_at, .. } | Undo::Member { group, ends_at } => {
            groups::set_member(change, *group, person.id, Standing::Member, *ends_at).await
        }
        Undo::Back { from, to, ends_at, .. } => {
            groups::set_member(change, *from, person.id, Standing::Member, *ends_at).await?;
            groups::remove_member(change, *to, person.id).await
        }
        Undo::Role { before, .. } => {
            let newest = people(change, &[person.id]).await?.into_iter().next();
            give_role(change, &newest.ok_or(StoreError::NotFound)?, *before).await
        }
        Undo::Suspended(suspended) => users::set_suspended(change, person.id, *suspended).await,
        Undo::Added => users::remove(change, person.id, None).await,
        // These are never tried by themselves.
        Undo::Limit { .. } | Undo::Name { .. } => Ok(()),
    }
}
