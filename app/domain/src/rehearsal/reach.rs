//! Who gains and loses which models, and whose budgets change: what a draft means before anybody
//! has called.

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    access::{Facts, belongs, ruling_for},
    authorizations::{State, Target},
    ids::{GroupId, ModelId, UserId},
    limits::{Limit, Mode, Scope},
    why::place,
};

/// What changes for a group: which models become wider, which narrower.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// Which group.
    pub group: GroupId,
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

/// A limit that begins to apply to a group, or no longer does, or is another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Which group.
    pub group: String,
    /// What has the limit.
    pub scope: String,
    /// The limit before, if it applied: `$500.00 a month`.
    pub before: Option<String>,
    /// The limit after.
    pub after: Option<String>,
    /// Whether there is less room than before.
    pub tighter: bool,
    /// The limit that counts afterwards, or did.
    pub limit: Limit,
    /// What is used of it now.
    pub used: Option<i64>,
}

fn state(facts: &Facts, group: GroupId, model: ModelId, now: DateTime<Utc>) -> State {
    let path = facts.groups.get(&group).map_or(&[][..], |group| group.path.as_slice());
    ruling_for(facts, path, Target::Model(model), now).map_or(State::Closed, |(_, rule)| rule.state)
}

/// Which groups gain or lose models, from the top down; a group below one for which the same
/// changes is counted with it.
pub fn reach(before: &Facts, after: &Facts, now: DateTime<Utc>) -> Vec<Reach> {
    let open = |facts: &Facts, id: &GroupId| {
        facts.groups.get(id).is_some_and(|group| group.ends_at.is_none_or(|end| now < end))
    };
    let mut groups: Vec<(GroupId, usize, String)> = after
        .groups
        .iter()
        .filter(|(id, _)| open(after, id) && before.groups.contains_key(*id))
        .map(|(id, group)| (*id, group.path.len(), place(after, Some(*id))))
        .collect();
    groups.sort_by(|a, b| (a.1, &a.2).cmp(&(b.1, &b.2)));
    let mut models: Vec<(ModelId, &String)> = after
        .models
        .iter()
        .filter(|(_, model)| !model.archived)
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
            let of =
                |(id, user): (&UserId, _)| (!is_out(user) && belongs(after, user, group, now)).then_some(*id);
            after.users.iter().filter_map(of).collect::<HashSet<UserId>>()
        };
        let above = after.groups.get(&group).map_or(&[][..], |facts| facts.path.as_slice());
        match list.iter_mut().find(|(top, _)| above.contains(&top.group) && top.models == changes) {
            // Its people belong to the one above, too.
            Some((top, _)) => top.below += 1,
            None => list.push((Reach { group, name, below: 0, people: 0, models: changes }, people())),
        }
    }
    list.into_iter().map(|(reach, people)| Reach { people: people.len(), ..reach }).collect()
}

const fn is_out(user: &crate::access::UserFacts) -> bool {
    user.suspended
}

/// The limits of the organization and of groups that some groups come under, leave, or keep with
/// another cap.
pub fn budgets(before: &Facts, after: &Facts, groups: &[GroupId]) -> Vec<Budget> {
    let mut list = Vec::new();
    for group in groups {
        let scopes = |facts: &Facts| -> BTreeSet<Scope> {
            let path = facts.groups.get(group).map_or(&[][..], |facts| facts.path.as_slice());
            std::iter::once(Scope::Organization).chain(path.iter().copied().map(Scope::Group)).collect()
        };
        let (was, is) = (scopes(before), scopes(after));
        let own = |facts: &Facts, scope: &Scope| facts.limits.get(scope).cloned().unwrap_or_default();
        for scope in was.union(&is) {
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
                    limit
                        .as_ref()
                        .filter(|limit| limit.mode == Mode::Enforce)
                        .map_or(i64::MAX, |limit| limit.cap)
                };
                let show = |limit: Limit| match limit.mode {
                    Mode::Enforce => meter.show_cap(limit.cap),
                    Mode::Observe => format!("{}, only observed", meter.show_cap(limit.cap)),
                };
                list.push(Budget {
                    group: place(after, Some(*group)),
                    scope: after.scope_name(*scope),
                    tighter: cap(&new) < cap(&old),
                    before: old.map(show),
                    after: new.map(show),
                    limit,
                    used: None,
                });
            }
        }
    }
    list
}
