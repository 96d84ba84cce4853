//! Who gains and loses which models, and whose budgets change: what a draft means before anybody
//! has called.

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    access::{Facts, belongs, callable, ended, policy_of, ruling_for},
    authorizations::{State, Target},
    ids::{ApplicationId, GroupId, ModelId, UserId},
    limits::{Limit, Mode, Scope},
    why::place,
};

/// What changes for a group, or for one application: which models become wider, which narrower.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// Which group.
    pub group: GroupId,
    /// Only for this application of it.
    pub application: Option<ApplicationId>,
    /// Where it is afterwards.
    pub name: String,
    /// Groups below it for which the same changes.
    pub below: usize,
    /// People in it and in those.
    pub people: usize,
    /// Models: name, before, after.
    pub models: Vec<(String, State, State)>,
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

/// A group that has ended has nothing, whatever the rules say.
fn state(facts: &Facts, group: GroupId, model: ModelId, now: DateTime<Utc>) -> State {
    if ended(facts, group, now).is_some() {
        return State::Closed;
    }
    let path = facts.groups.get(&group).map_or(&[][..], |group| group.path.as_slice());
    ruling_for(facts, path, Target::Model(model), now).map_or(State::Closed, |(_, rule)| rule.state)
}

/// Which groups gain or lose models that can be called, from the top down; a group below one for which the same
/// changes is counted with it.
pub fn reach(before: &Facts, after: &Facts, now: DateTime<Utc>) -> Vec<Reach> {
    let mut groups: Vec<(GroupId, usize, String)> = after
        .groups
        .iter()
        .filter(|(id, _)| before.groups.contains_key(*id))
        .map(|(id, group)| (*id, group.path.len(), place(after, Some(*id))))
        .collect();
    groups.sort_by(|a, b| (a.1, &a.2).cmp(&(b.1, &b.2)));
    let mut models: Vec<(ModelId, &String)> = after
        .models
        .iter()
        .filter(|(id, _)| callable(after, **id, now).is_ok())
        .map(|(id, model)| (*id, &model.name))
        .collect();
    models.sort_by_key(|(_, name)| *name);
    let mut list: Vec<(Reach, HashSet<UserId>)> = Vec::new();
    for (group, _, name) in groups {
        let changes: Vec<(String, State, State)> = models
            .iter()
            .map(|(id, name)| {
                ((*name).clone(), state(before, group, *id, now), state(after, group, *id, now))
            })
            .filter(|(_, from, to)| from != to)
            .collect();
        if changes.is_empty() {
            continue;
        }
        let people = || {
            // Whom only one of them has: where the end of a group takes everything, those who were in it.
            let of = |facts: &Facts| {
                let inside =
                    facts.users.iter().filter(|(_, user)| !is_out(user) && belongs(facts, user, group, now));
                inside.map(|(id, _)| *id).collect::<HashSet<UserId>>()
            };
            let people = of(after);
            if people.is_empty() { of(before) } else { people }
        };
        let above = after.groups.get(&group).map_or(&[][..], |facts| facts.path.as_slice());
        match list.iter_mut().find(|(top, _)| above.contains(&top.group) && top.models == changes) {
            // Its people belong to the one above, too.
            Some((top, _)) => top.below += 1,
            None => list.push((
                Reach { group, application: None, name, below: 0, people: 0, models: changes },
                people(),
            )),
        }
    }
    list.into_iter().map(|(reach, people)| Reach { people: people.len(), ..reach }).collect()
}

const fn is_out(user: &crate::access::UserFacts) -> bool {
    user.suspended
}

/// What an application gains and loses that is put into another group: of what its key lets through. A
/// group that has ended has nothing.
pub fn reach_of_application(
    before: &Facts,
    after: &Facts,
    id: ApplicationId,
    now: DateTime<Utc>,
) -> Option<Reach> {
    let (was, is) = (before.applications.get(&id)?, after.applications.get(&id)?);
    let state_in = |facts: &Facts, group: GroupId, model: ModelId| state(facts, group, model, now);
    let mut models: Vec<(String, State, State)> = after
        .models
        .iter()
        .filter(|(model, _)| callable(after, **model, now).is_ok() && is.models.allow(**model))
        .map(|(model, facts)| {
            (facts.name.clone(), state_in(before, was.group, *model), state_in(after, is.group, *model))
        })
        .filter(|(_, from, to)| from != to)
        .collect();
    models.sort_by(|a, b| a.0.cmp(&b.0));
    let (group, name) = (is.group, is.name.clone());
    (!models.is_empty()).then_some(Reach { group, application: Some(id), name, below: 0, people: 0, models })
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
