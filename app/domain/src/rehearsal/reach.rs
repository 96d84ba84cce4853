//! Who gains and loses which models, and whose budgets change: what a draft means before anybody
//! has called.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    access::{ApplicationFacts, Ask, Facts, Grantee, UserFacts, belongs, callable, decide, policy_of},
    authorizations::State,
    ids::{ApplicationId, GroupId, ModelId, UserId},
    keys::Features,
    limits::{Limit, Mode, Scope},
    why::place,
};

/// A model by its name: before, after.
pub type Shift = (String, State, State);

/// What changes for a group, for one application, or for somebody with a grant of their own: which models become
/// wider, which narrower, as [`decide`] says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// Which group.
    pub group: GroupId,
    /// Only for this application of it.
    pub application: Option<ApplicationId>,
    /// Only for this person there: a grant of their own makes it another change than the others'.
    pub person: Option<String>,
    /// Where it is afterwards.
    pub name: String,
    /// Groups below it for which the same changes.
    pub below: usize,
    /// People in it and in those.
    pub people: usize,
    /// Models.
    pub models: Vec<Shift>,
}

impl Reach {
    /// Models that become wider.
    pub fn gains(&self) -> impl Iterator<Item = &(String, State, State)> {
        self.models.iter().filter(|(_, from, to)| to.wider_than(*from))
    }

    /// Models that become narrower.
    pub fn loses(&self) -> impl Iterator<Item = &(String, State, State)> {
        self.models.iter().filter(|(_, from, to)| from.wider_than(*to))
    }
}

/// A limit that begins to apply to a group or an application, or no longer does, or is another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Which group, or which application.
    pub group: String,
    /// What has the limit.
    pub scope: String,
    /// The limit before, if it applied: `$500.00 a month`.
    pub before: Option<String>,
    /// The limit after.
    pub after: Option<String>,
    /// Whether there is less room than before.
    pub tighter: bool,
    /// Whether there is more. Neither where it only takes note.
    pub looser: bool,
    /// The limit that counts afterwards, or did.
    pub limit: Limit,
    /// What is used of it now.
    pub used: Option<i64>,
}

/// Who asks: a group, somebody in it, or an application of it.
#[derive(Clone, Copy)]
struct Who<'a> {
    group: GroupId,
    user: Option<UserId>,
    application: Option<&'a ApplicationFacts>,
}

impl<'a> Who<'a> {
    /// The application itself. A private one calls as its person: what is granted to them is in it.
    const fn is(application: &'a ApplicationFacts) -> Self {
        Self { group: application.group, user: application.personal, application: Some(application) }
    }
}

/// What is decided for somebody about a model. What every call to it needs counts, and nothing besides.
fn state(facts: &Facts, who: Who<'_>, model: ModelId, now: DateTime<Utc>) -> State {
    let Who { group, user, application } = who;
    let ask = Ask { group, user, application, model, features: Features::default() };
    decide(facts, &ask, now).verdict.into()
}

/// What somebody has of some models before and after, where that is not the same.
fn changes<'a>(
    (before, was): (&Facts, Who<'_>),
    (after, is): (&Facts, Who<'_>),
    models: impl Iterator<Item = &'a (ModelId, &'a String)>,
    now: DateTime<Utc>,
) -> Vec<Shift> {
    models
        .map(|(id, name)| ((*name).clone(), state(before, was, *id, now), state(after, is, *id, now)))
        .filter(|(_, from, to)| from != to)
        .collect()
}

/// The models that can be called afterwards, by name.
fn models(after: &Facts, now: DateTime<Utc>) -> Vec<(ModelId, &String)> {
    let callable = after.models.iter().filter(|(id, _)| callable(after, **id, now).is_ok());
    let mut models: Vec<_> = callable.map(|(id, model)| (*id, &model.name)).collect();
    models.sort_by_key(|(_, name)| *name);
    models
}

/// People who may call and have a grant of their own, with the models that one is for.
fn holders(facts: &Facts, now: DateTime<Utc>) -> BTreeMap<UserId, BTreeSet<ModelId>> {
    let mut holders = BTreeMap::<UserId, BTreeSet<ModelId>>::new();
    for (model, grants) in &facts.grants {
        for grant in grants.iter().filter(|grant| grant.starts_at <= now && now < grant.ends_at) {
            let (Grantee::User(user) | Grantee::Member(_, user)) = grant.to else { continue };
            if facts.users.get(&user).is_some_and(|user| !is_out(user)) {
                holders.entry(user).or_default().insert(*model);
            }
        }
    }
    holders
}

/// The lines of people whose own grants make something else of a change than it is for the others there.
fn by_grants(
    before: (&Facts, Who<'_>),
    after: (&Facts, Who<'_>),
    holders: &BTreeMap<UserId, BTreeSet<ModelId>>,
    models: &[(ModelId, &String)],
    now: DateTime<Utc>,
) -> Vec<(String, Vec<Shift>)> {
    let mut lines = Vec::new();
    for (user, theirs) in holders {
        let granted = || models.iter().filter(|(id, _)| theirs.contains(id));
        let with = |(facts, who)| (facts, Who { user: Some(*user), ..who });
        let own = changes(with(before), with(after), granted(), now);
        if !own.is_empty() && own != changes(before, after, granted(), now) {
            let name = after.0.users.get(user).map(|user| user.name.clone()).unwrap_or_default();
            lines.push((name, own));
        }
    }
    lines.sort();
    lines
}

/// Which groups gain or lose models that can be called, and who in them does by a grant of their own, from the
/// top down; a group below one for which the same changes is counted with it.
pub fn reach(before: &Facts, after: &Facts, now: DateTime<Utc>) -> Vec<Reach> {
    let mut groups: Vec<(GroupId, usize, String)> = after
        .groups
        .iter()
        .filter(|(id, _)| before.groups.contains_key(*id))
        .map(|(id, group)| (*id, group.path.len(), place(after, Some(*id))))
        .collect();
    groups.sort_by(|a, b| (a.1, &a.2).cmp(&(b.1, &b.2)));
    let models = models(after, now);
    let holders = holders(after, now);
    let mut list: Vec<Reach> = Vec::new();
    for (group, _, name) in groups {
        let who = Who { group, user: None, application: None };
        let everybody = changes((before, who), (after, who), models.iter(), now);
        let inside = |user: &UserId| {
            let belongs =
                |facts: &Facts| facts.users.get(user).is_some_and(|user| belongs(facts, user, group, now));
            belongs(before) || belongs(after)
        };
        let theirs = holders.iter().filter(|(user, _)| inside(user));
        let theirs = theirs.map(|(user, models)| (*user, models.clone())).collect();
        let persons = by_grants((before, who), (after, who), &theirs, &models, now);
        let persons = persons.into_iter().map(|(person, changes)| (Some(person), changes));
        let lines =
            std::iter::once((None, everybody)).filter(|(_, changes)| !changes.is_empty()).chain(persons);
        let above = path_of(after, group);
        for (person, models) in lines {
            let same =
                |top: &&mut Reach| above.contains(&top.group) && top.person == person && top.models == models;
            match list.iter_mut().find(same) {
                // Its people belong to the one above, too.
                Some(top) => top.below += 1,
                None => {
                    let people = if person.is_some() { 1 } else { people(before, after, group, now) };
                    let name = name.clone();
                    list.push(Reach { group, application: None, person, name, below: 0, people, models });
                }
            }
        }
    }
    list
}

/// How many belong to a group. Whom only one of both facts has: where the end of a group takes everything, those
/// who were in it.
fn people(before: &Facts, after: &Facts, group: GroupId, now: DateTime<Utc>) -> usize {
    let of = |facts: &Facts| {
        facts.users.values().filter(|user| !is_out(user) && belongs(facts, user, group, now)).count()
    };
    match of(after) {
        0 => of(before),
        people => people,
    }
}

const fn is_out(user: &UserFacts) -> bool {
    user.suspended
}

/// What an application that is put into another group gains and loses, and who of those who call by it does by a
/// grant of their own.
pub fn reach_of_application(
    before: &Facts,
    after: &Facts,
    id: ApplicationId,
    now: DateTime<Utc>,
) -> Vec<Reach> {
    let (Some(was), Some(is)) = (before.applications.get(&id), after.applications.get(&id)) else {
        return Vec::new();
    };
    let name = &is.name;
    let (was, is) = (Who::is(was), Who::is(is));
    let models = models(after, now);
    let line = |person: Option<String>, people: usize, models: Vec<Shift>| Reach {
        group: is.group,
        application: Some(id),
        person,
        name: name.clone(),
        below: 0,
        people,
        models,
    };
    let itself = changes((before, was), (after, is), models.iter(), now);
    let mut list: Vec<Reach> = (!itself.is_empty()).then(|| line(None, 0, itself)).into_iter().collect();
    if is.user.is_none() {
        let persons = by_grants((before, was), (after, is), &holders(after, now), &models, now);
        list.extend(persons.into_iter().map(|(person, models)| line(Some(person), 1, models)));
    }
    list
}

/// Applications whose calls that name no model go another way than before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rerouted {
    /// What callers write of the policy before, if there was one: `code` for `policy/code`.
    pub before: Option<String>,
    /// Of the one after.
    pub after: Option<String>,
    /// The applications, by name.
    pub applications: Vec<String>,
}

/// Which applications come under another policy for calls that name no model, because they, or a group above
/// them, stand elsewhere.
pub fn rerouted(before: &Facts, after: &Facts) -> Vec<Rerouted> {
    let mut list: Vec<Rerouted> = Vec::new();
    for (id, is) in &after.applications {
        let Some(was) = before.applications.get(id) else { continue };
        if path_of(before, was.group) == path_of(after, is.group) {
            continue;
        }
        let name = |facts, application| policy_of(facts, application).map(|found| found.name.to_owned());
        let (from, to) = (name(before, was), name(after, is));
        if from == to {
            continue;
        }
        match list.iter_mut().find(|line| line.before == from && line.after == to) {
            Some(line) => line.applications.push(is.name.clone()),
            None => list.push(Rerouted { before: from, after: to, applications: vec![is.name.clone()] }),
        }
    }
    for line in &mut list {
        line.applications.sort();
    }
    list.sort_by(|a, b| (&a.before, &a.after).cmp(&(&b.before, &b.after)));
    list
}

/// The organization and the groups on a path: what has limits from above.
fn scopes(path: &[GroupId]) -> BTreeSet<Scope> {
    std::iter::once(Scope::Organization).chain(path.iter().copied().map(Scope::Group)).collect()
}

fn path_of(facts: &Facts, group: GroupId) -> &[GroupId] {
    facts.groups.get(&group).map_or(&[][..], |facts| facts.path.as_slice())
}

/// The limits of the organization and of groups that some groups come under, leave, or keep with
/// another cap.
pub fn budgets(before: &Facts, after: &Facts, groups: &[GroupId]) -> Vec<Budget> {
    let of = |group: &GroupId| {
        let (was, is) = (scopes(path_of(before, *group)), scopes(path_of(after, *group)));
        changed(before, after, &place(after, Some(*group)), &was, &is)
    };
    groups.iter().flat_map(of).collect()
}

/// The same of an application that is put into another group.
pub fn budgets_of_application(before: &Facts, after: &Facts, id: ApplicationId) -> Vec<Budget> {
    let (Some(was), Some(is)) = (before.applications.get(&id), after.applications.get(&id)) else {
        return Vec::new();
    };
    let (from, to) = (scopes(path_of(before, was.group)), scopes(path_of(after, is.group)));
    changed(before, after, &is.name, &from, &to)
}

/// Limits of some scopes before and others after, where they are not the same. `name`: whom they are about.
fn changed(
    before: &Facts,
    after: &Facts,
    name: &str,
    was: &BTreeSet<Scope>,
    is: &BTreeSet<Scope>,
) -> Vec<Budget> {
    let mut list = Vec::new();
    let own = |facts: &Facts, scope: &Scope| facts.limits.get(scope).cloned().unwrap_or_default();
    for scope in was.union(is) {
        let old = if was.contains(scope) { own(before, scope) } else { Vec::new() };
        let new = if is.contains(scope) { own(after, scope) } else { Vec::new() };
        let mut meters: Vec<_> = old.iter().chain(&new).map(|limit| limit.meter).collect();
        meters.sort_unstable();
        meters.dedup();
        for meter in meters {
            let of = |list: &[Limit]| list.iter().find(|limit| limit.meter == meter).cloned();
            let (old, new) = (of(&old), of(&new));
            let same = |a: &Limit, b: &Limit| a.cap == b.cap && a.mode == b.mode;
            if old.as_ref().zip(new.as_ref()).is_some_and(|(a, b)| same(a, b)) {
                continue;
            }
            let Some(limit) = new.clone().or_else(|| old.clone()) else { continue };
            let cap = |limit: &Option<Limit>| {
                limit.as_ref().filter(|limit| limit.mode == Mode::Enforce).map_or(i64::MAX, |limit| limit.cap)
            };
            let show = |limit: Limit| match limit.mode {
                Mode::Enforce => meter.show_cap(limit.cap),
                Mode::Observe => format!("{}, only observed", meter.show_cap(limit.cap)),
            };
            list.push(Budget {
                group: name.to_owned(),
                scope: after.scope_name(*scope),
                tighter: cap(&new) < cap(&old),
                looser: cap(&new) > cap(&old),
                before: old.map(show),
                after: new.map(show),
                limit,
                used: None,
            });
        }
    }
    list
}
