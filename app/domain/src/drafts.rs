//! What a draft of authorizations comes to: what it would make wider, and what changes for whom.
//!
//! Nothing here decides by itself: [`decide`] and the rulings it rests on are asked twice, with the
//! facts before and with the facts after.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};

use crate::{
    access::{Ask, Facts, Rule, UserFacts, Verdict, covering, decide, ruling_in},
    authorizations::{Cell, Draft, State, Target},
    ids::{ApplicationId, AuthorizationId, GroupId, ModelId, UserId},
    keys::Features,
    limits::{Mode, Scope},
};

impl Draft {
    /// The facts as they would be. A rule that is not there yet has no id.
    #[must_use]
    pub fn on(&self, facts: &Facts) -> Facts {
        let mut after = facts.clone();
        for edit in &self.edits {
            let rules = after.rules.entry(edit.cell.group).or_default();
            match edit.say {
                Some(say) => {
                    let id = rules.get(&edit.cell.target).map_or(AuthorizationId::NIL, |rule| rule.id);
                    let rule = Rule { id, state: say.state, locked: say.locked, ends_at: say.ends_at };
                    rules.insert(edit.cell.target, rule);
                }
                None => {
                    rules.remove(&edit.cell.target);
                }
            }
        }
        after
    }

    /// The edits by the group they are about.
    fn by_group(&self) -> HashMap<Option<GroupId>, Vec<usize>> {
        let mut by_group = HashMap::<_, Vec<usize>>::new();
        for (place, edit) in self.edits.iter().enumerate() {
            by_group.entry(edit.cell.group).or_default().push(place);
        }
        by_group
    }
}

/// The organization, then the groups of a path.
fn places(path: &[GroupId]) -> impl Iterator<Item = Option<GroupId>> {
    std::iter::once(None).chain(path.iter().copied().map(Some))
}

/// What a rule about a target can change, in facts like these.
fn touched(facts: &Facts, target: Target) -> Vec<Target> {
    match target {
        Target::Model(_) => vec![target],
        _ => std::iter::once(Target::All)
            .chain(facts.tiers.keys().copied().map(Target::Tier))
            .chain(facts.models.keys().copied().map(Target::Model))
            .filter(|other| *other == target || covering(facts, *other).contains(&target))
            .collect(),
    }
}

/// How much a ruling lets through.
fn width(ruling: Option<(Option<GroupId>, Target, Rule)>) -> u8 {
    match ruling.map(|(.., rule)| rule.state) {
        Some(State::Open) => 2,
        Some(State::ByRequest) => 1,
        Some(State::Closed) | None => 0,
    }
}

/// Whether passing by a rule is capped.
fn capped(facts: &Facts, rule: AuthorizationId) -> bool {
    let limits = facts.limits.get(&Scope::Authorization(rule));
    limits.is_some_and(|limits| limits.iter().any(|limit| limit.mode == Mode::Enforce))
}

/// The edits that only admins and owners may make, each with a sentence: a group could use something
/// more freely after them, now or once a rule has ended, or would pass by a rule without the quota
/// it has. That is judged by what the whole draft comes to, not read off an edit. What no model is
/// behind yet counts too: tomorrow one may be.
pub fn widenings(before: &Facts, after: &Facts, draft: &Draft, at: DateTime<Utc>) -> BTreeMap<usize, String> {
    let mut found = BTreeMap::new();
    let by_group = draft.by_group();
    let mut reach = HashMap::<Target, Vec<Target>>::new();
    for group in before.groups.values() {
        let edits: Vec<usize> =
            places(&group.path).filter_map(|place| by_group.get(&place)).flatten().copied().collect();
        let targets: BTreeSet<Target> = edits
            .iter()
            .flat_map(|place| {
                let target = draft.edits[*place].cell.target;
                reach.entry(target).or_insert_with(|| touched(before, target)).clone()
            })
            .collect();
        for target in targets {
            for moment in moments([before, after], &group.path, target, at) {
                let ruling = |facts| ruling_in(facts, &group.path, target, None, moment);
                let (was, will) = (ruling(before), ruling(after));
                let wider = width(will) > width(was);
                let uncapped = width(will) > 0
                    && was.is_some_and(|(.., rule)| {
                        capped(before, rule.id) && will.is_none_or(|(.., other)| other.id != rule.id)
                    });
                if !wider && !uncapped {
                    continue;
                }
                let name = before.target_name(target);
                let sentence = if wider {
                    format!(
                        "This would make {name} wider for {}. Only an admin or owner can do that; leads can narrow.",
                        group.name
                    )
                } else {
                    format!(
                        "This would take the quota on {name} away from {}. Only an admin or owner can do that.",
                        group.name
                    )
                };
                for place in to_blame(before, draft, &edits, target, will) {
                    found.entry(place).or_insert_with(|| sentence.clone());
                }
            }
        }
    }
    found
}

/// Now, and every later moment at which a rule on the path that covers the target ends.
fn moments(
    facts: [&Facts; 2],
    path: &[GroupId],
    target: Target,
    at: DateTime<Utc>,
) -> BTreeSet<DateTime<Utc>> {
    let mut moments = BTreeSet::from([at]);
    for facts in facts {
        let covering = covering(facts, target);
        for place in places(path) {
            let Some(rules) = facts.rules.get(&place) else { continue };
            let ends = covering.iter().filter_map(|target| rules.get(target)?.ends_at);
            moments.extend(ends.filter(|end| *end > at));
        }
    }
    moments
}

/// The edit that decides now; where none does, all of the path that took something away.
fn to_blame(
    facts: &Facts,
    draft: &Draft,
    edits: &[usize],
    target: Target,
    will: Option<(Option<GroupId>, Target, Rule)>,
) -> Vec<usize> {
    let covering = covering(facts, target);
    let could = |place: &&usize| covering.contains(&draft.edits[**place].cell.target);
    let decides = will.map(|(group, target, _)| Cell { group, target });
    let decider = edits.iter().filter(could).find(|place| Some(draft.edits[**place].cell) == decides);
    match decider {
        Some(place) => vec![*place],
        None => edits.iter().filter(could).copied().collect(),
    }
}

/// What changes for whom, at this moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Groups and models whose state changes.
    pub shifts: Vec<Shift>,
    /// How many people gain and lose each model.
    pub models: BTreeMap<ModelId, Reach>,
    /// People who gain a model.
    pub gain: BTreeSet<UserId>,
    /// People who lose one.
    pub lose: BTreeSet<UserId>,
    /// Applications that start or stop being able to call a model: `true` is a start.
    pub applications: BTreeMap<(ApplicationId, ModelId), bool>,
}

/// A group's state about a model changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shift {
    /// Which group.
    pub group: GroupId,
    /// Which model.
    pub model: ModelId,
    /// What it comes to before.
    pub before: State,
    /// What it comes to after.
    pub after: State,
}

/// How many people gain and lose a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Had it nowhere, will have it somewhere.
    pub gain: usize,
    /// Had it somewhere, will have it nowhere.
    pub lose: usize,
}

impl Effects {
    /// Whether nothing changes for anybody now.
    pub fn is_empty(&self) -> bool {
        self.shifts.is_empty()
    }
}

fn verdict(facts: &Facts, group: GroupId, model: ModelId, at: DateTime<Utc>) -> Verdict {
    let ask = Ask { group, user: None, application: None, model, features: Features::default() };
    decide(facts, &ask, at).verdict
}

/// What changes for whom between two facts that differ by a draft, at a moment.
pub fn effects(before: &Facts, after: &Facts, draft: &Draft, at: DateTime<Utc>) -> Effects {
    let mut effects = Effects::default();
    let by_group = draft.by_group();
    let mut reach = HashMap::<Target, Vec<ModelId>>::new();
    let mut shifted = HashMap::<GroupId, HashSet<ModelId>>::new();
    for (id, group) in &before.groups {
        let models: BTreeSet<ModelId> = places(&group.path)
            .filter_map(|place| by_group.get(&place))
            .flatten()
            .flat_map(|place| {
                let target = draft.edits[*place].cell.target;
                reach.entry(target).or_insert_with(|| models(before, target)).clone()
            })
            .collect();
        for model in models {
            let [before, after] = [before, after].map(|facts| State::from(verdict(facts, *id, model, at)));
            if before != after {
                effects.shifts.push(Shift { group: *id, model, before, after });
                shifted.entry(*id).or_default().insert(model);
            }
        }
    }
    effects.shifts.sort_by_key(|shift| (shift.model, shift.group));
    people(before, after, &shifted, at, &mut effects);
    applications(before, after, &shifted, at, &mut effects);
    effects
}

fn models(facts: &Facts, target: Target) -> Vec<ModelId> {
    let model = |target| if let Target::Model(id) = target { Some(id) } else { None };
    touched(facts, target).into_iter().filter_map(model).collect()
}

/// Somebody has a model when a group of theirs has it open, to them or to everybody.
fn has(facts: &Facts, id: UserId, user: &UserFacts, model: ModelId, at: DateTime<Utc>) -> bool {
    let counts = user.memberships.iter().filter(|membership| membership.ends_at.is_none_or(|end| at < end));
    counts.into_iter().any(|membership| {
        let group = membership.group;
        let ask = Ask { group, user: Some(id), application: None, model, features: Features::default() };
        decide(facts, &ask, at).verdict == Verdict::Allow
    })
}

fn people(
    before: &Facts,
    after: &Facts,
    shifted: &HashMap<GroupId, HashSet<ModelId>>,
    at: DateTime<Utc>,
    effects: &mut Effects,
) {
    for (id, user) in before.users.iter().filter(|(_, user)| !user.suspended) {
        let groups = user.memberships.iter().filter_map(|membership| shifted.get(&membership.group));
        let models: BTreeSet<ModelId> = groups.flatten().copied().collect();
        for model in models {
            let (had, will) = (has(before, *id, user, model, at), has(after, *id, user, model, at));
            let reach = effects.models.entry(model).or_default();
            match (had, will) {
                (false, true) => {
                    reach.gain += 1;
                    effects.gain.insert(*id);
                }
                (true, false) => {
                    reach.lose += 1;
                    effects.lose.insert(*id);
                }
                _ => {}
            }
        }
    }
}

fn applications(
    before: &Facts,
    after: &Facts,
    shifted: &HashMap<GroupId, HashSet<ModelId>>,
    at: DateTime<Utc>,
    effects: &mut Effects,
) {
    for (id, application) in &before.applications {
        for model in shifted.get(&application.group).into_iter().flatten().copied() {
            let [had, will] = [before, after].map(|facts| {
                let ask = Ask {
                    group: application.group,
                    user: application.personal,
                    application: Some(application),
                    model,
                    features: Features::default(),
                };
                decide(facts, &ask, at).verdict == Verdict::Allow
            });
            if had != will {
                effects.applications.insert((*id, model), will);
            }
        }
    }
}
