//! `decide` against a second, naive reading of the rules, over random organizations.

use std::collections::HashMap;

use domain::{
    access::{
        ApplicationFacts, Ask, Facts, GrantFacts, Grantee, MembershipFacts, Reason, Rule, Step, Verdict,
        beside, decide, decide_with, observe,
    },
    authorizations::{State, Target},
    groups::Standing,
    ids::{ApplicationId, AuthorizationId, GrantId, GroupId, UserId},
    keys::{Feature, Features, KeyModels},
    models::Review,
    why::fixes,
};
use proptest::prelude::*;
use uuid::Uuid;

use crate::{
    organizations::{APPLICATION, MODELS, PEOPLE, any_features, any_organization},
    world,
};

const PLACES: [&str; 5] = ["org", "Engineering", "Research", "Search", "Marketing"];
const TARGETS: [&str; 6] = ["all", "general", "top", "special", "small", "big"];

/// R1 said slowly: look at whole lists, from the top for locks, from the bottom for the nearest.
fn naive(facts: &Facts, group: GroupId, model: &str) -> Verdict {
    let id = world::model(model);
    let of = &facts.models[&id];
    let high_cost = facts.tiers[&of.tier].high_cost;
    let matches = |target: Target| match target {
        Target::Model(other) => other == id,
        Target::Tier(tier) => tier == of.tier,
        Target::All => !high_cost,
    };
    let strongest = |place: Option<GroupId>, locked_only: bool| -> Option<Rule> {
        let rules = facts.rules.get(&place)?;
        let mut fitting: Vec<(Target, Rule)> = rules
            .iter()
            .filter(|(target, rule)| matches(**target) && (rule.locked || !locked_only))
            .filter(|(_, rule)| rule.ends_at.is_none_or(|end| world::now() < end))
            .map(|(target, rule)| (*target, *rule))
            .collect();
        fitting.sort_by_key(|(target, _)| match target {
            Target::Model(_) => 0,
            Target::Tier(_) => 1,
            Target::All => 2,
        });
        fitting.first().map(|(_, rule)| *rule)
    };
    let mut places = vec![None];
    places.extend(facts.groups[&group].path.iter().copied().map(Some));
    let rule = places
        .iter()
        .find_map(|place| strongest(*place, true))
        .or_else(|| places.iter().rev().find_map(|place| strongest(*place, false)));
    match rule.map(|rule| rule.state) {
        None => Verdict::Deny(Reason::Silence),
        Some(State::Closed) => Verdict::Deny(Reason::Closed),
        Some(State::ByRequest) => Verdict::NeedsApproval,
        Some(State::Open) => Verdict::Allow,
    }
}

fn any_rule() -> impl Strategy<Value = (usize, usize, State, bool)> {
    (
        0..PLACES.len(),
        0..TARGETS.len(),
        proptest::sample::select(State::ALL.to_vec()),
        proptest::bool::weighted(0.2),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]
    #[test]
    fn decide_agrees_with_the_naive_reading(rules in proptest::collection::vec(any_rule(), 0..14)) {
        let mut facts = world::silent();
        for (number, (place, target, state, locked)) in rules.into_iter().enumerate() {
            let word = format!("{}:{}={state}{}", PLACES[place], TARGETS[target], if locked { "!" } else { "" });
            world::add(&mut facts, &word);
            // Later lines about the same thing replace earlier ones; ids stay distinct.
            for rules in facts.rules.values_mut() {
                for rule in rules.values_mut() {
                    if rule.id.0.as_u128() > u128::from(u32::MAX) {
                        rule.id = AuthorizationId(Uuid::from_u128(number as u128));
                    }
                }
            }
        }
        for group in &PLACES[1..] {
            for model in ["small", "big", "vectors"] {
                let ask = Ask { group: world::group(group), user: None, application: None, model: world::model(model), features: Features::default() };
                let decision = decide(&facts, &ask, world::now());
                // What is said to help helps: the changes are checked by deciding again.
                let fixes = fixes(&facts, &ask, world::now());
                prop_assert_eq!(fixes.is_empty(), decision.verdict == Verdict::Allow, "{} {}: {:?}", group, model, fixes);
                prop_assert_eq!(decision.verdict, naive(&facts, world::group(group), model), "{} {}", group, model);
            }
        }
    }
}

/// The same said slowly for a whole question: who calls, with which key, on whose account, using what.
fn slowly(facts: &Facts, ask: &Ask<'_>) -> Verdict {
    let now = world::now();
    let deny = Verdict::Deny;
    let belongs = |user: domain::ids::UserId, group: GroupId| {
        facts.users[&user].memberships.iter().any(|place| {
            let runs = place.ends_at.is_none_or(|end| now < end);
            runs && place.standing == Standing::Member && facts.groups[&place.group].path.contains(&group)
        })
    };
    if let Some(user) = ask.user {
        if facts.users[&user].suspended {
            return deny(Reason::UserSuspended);
        }
        if let Some(application) = ask.application {
            let own = application.personal == Some(user) && belongs(user, application.group);
            if !own && !application.assigned.iter().any(|group| belongs(user, *group)) {
                return deny(Reason::NotAMember);
            }
        }
    }
    let path = &facts.groups[&ask.group].path;
    if path.iter().any(|id| facts.groups[id].ends_at.is_some_and(|end| end <= now)) {
        return deny(Reason::GroupEnded);
    }
    let model = &facts.models[&ask.model];
    if model.review == Review::Pending {
        return deny(Reason::Unreviewed);
    }
    if model.prices.is_empty() {
        return deny(Reason::Unpriced);
    }
    let ruled = naive(facts, ask.group, &model.name);
    if matches!(ruled, Verdict::Deny(_)) {
        return ruled;
    }
    if let Some(application) = ask.application {
        if let KeyModels::These(models) = &application.models
            && !models.contains(&ask.model)
        {
            return deny(Reason::KeyExcludes);
        }
        let off = ask.features.iter().find(|feature| !application.features.has(*feature));
        if let Some(feature) = off {
            return deny(Reason::FeatureOff(feature));
        }
    }
    let granted = facts.grants.get(&ask.model).into_iter().flatten().any(|grant| {
        let here = match grant.to {
            Grantee::User(user) => ask.user == Some(user),
            Grantee::Group(group) => path.contains(&group),
            Grantee::Member(group, user) => ask.user == Some(user) && path.contains(&group),
        };
        here && grant.starts_at <= now && now < grant.ends_at
    });
    if ruled == Verdict::NeedsApproval && granted { Verdict::Allow } else { ruled }
}

/// Everything that one change can make of an organization and its application, as far as it concerns one
/// person's calls on one group's account. Written without what finds the changes that help.
fn single_changes(
    facts: &Facts,
    application: &ApplicationFacts,
    user: UserId,
) -> Vec<(Facts, ApplicationFacts)> {
    let group = application.group;
    let mut changed = Vec::new();
    let mut with = |change: &dyn Fn(&mut Facts, &mut ApplicationFacts)| {
        let (mut facts, mut application) = (facts.clone(), application.clone());
        change(&mut facts, &mut application);
        changed.push((facts, application));
    };
    let free = facts.models[&world::model("small")].prices.clone();
    for model in MODELS.map(world::model) {
        let rule = Rule { id: AuthorizationId::NIL, state: State::Open, locked: false, ends_at: None };
        with(&|facts, _| {
            facts.rules.entry(Some(group)).or_default().insert(Target::Model(model), rule);
        });
        let grant = GrantFacts {
            id: GrantId(Uuid::from_u128(7)),
            to: Grantee::Member(group, user),
            starts_at: world::now(),
            ends_at: world::now() + chrono::Duration::hours(1),
        };
        with(&|facts, _| facts.grants.entry(model).or_default().push(grant.clone()));
        with(&|facts, _| facts.models.get_mut(&model).expect("it").review = Review::Accepted);
        with(&|facts, _| facts.models.get_mut(&model).expect("it").prices = free.clone());
    }
    for (place, target) in
        facts.rules.iter().flat_map(|(place, rules)| rules.keys().map(|target| (*place, *target)))
    {
        with(&|facts, _| {
            let rules = facts.rules.get_mut(&place).expect("its rules");
            rules.get_mut(&target).expect("it").locked = false;
        });
    }
    for id in facts.groups.keys().copied() {
        with(&|facts, _| facts.groups.get_mut(&id).expect("it").ends_at = None);
        let (group, standing) = (id, Standing::Member);
        // Of a key that is for nobody yet, both are one: it is for a group that they are put into.
        with(&|facts, application| {
            let memberships = &mut facts.users.get_mut(&user).expect("they").memberships;
            memberships.push(MembershipFacts { group, standing, ends_at: None });
            if application.assigned.is_empty() {
                application.assigned.push(group);
            }
        });
    }
    with(&|facts, _| facts.users.get_mut(&user).expect("they").suspended = false);
    with(&|_, application| application.models = KeyModels::All);
    for feature in Feature::ALL {
        with(&|_, application| application.features = application.features.with(*feature));
    }
    changed
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    /// With people, temporary places in groups, keys, features, grants, locks, rules that end and rules
    /// that only observe: `decide` is the slow reading, its trace ends with its answer, what is said to
    /// help helps, and what only observes changes nothing.
    #[test]
    fn every_question_has_one_answer(organization in any_organization(), features in any_features()) {
        let facts = organization.facts();
        let application = &facts.applications[&ApplicationId(world::id(APPLICATION))];
        let deaf = Facts { observed: HashMap::default(), ..facts.clone() };
        let mut promoted = deaf.clone();
        for (place, target, rule) in facts.observed.iter().flat_map(|(place, rules)| rules.iter().map(|(target, rule)| (*place, *target, *rule))) {
            if rule.ends_at.is_none() {
                promoted.rules.entry(place).or_default().insert(target, rule);
            }
        }
        let people = std::iter::once(None).chain(PEOPLE.map(|name| Some(world::user(name))));
        for (user, application) in people.flat_map(|user| [(user, Some(application)), (user, None)]) {
            let groups: Vec<GroupId> = match application {
                Some(application) => vec![application.group],
                None => world::GROUPS.iter().map(|(name, _)| world::group(name)).collect(),
            };
            for (group, model) in groups.into_iter().flat_map(|group| MODELS.map(|model| (group, model))) {
                let ask = Ask { group, user, application, model: world::model(model), features };
                let decision = decide(&facts, &ask, world::now());
                prop_assert_eq!(decision.verdict, slowly(&facts, &ask), "{} {:?}", model, user);
                let mut steps = Vec::new();
                prop_assert_eq!(decide_with(&facts, &ask, world::now(), &mut steps), decision);
                prop_assert_eq!(steps.last(), Some(&Step::Verdict(decision.verdict)));
                prop_assert_eq!(decide(&deaf, &ask, world::now()), decision, "what observes decides nothing");
                // What observes says what it would say if all that observes decided.
                if let Some(seen) = beside(&facts, &ask, &decision, world::now()) {
                    let other = decide(&promoted, &ask, world::now());
                    prop_assert_eq!((other.rule, other.verdict), (Some(seen.rule), seen.verdict));
                    let refuses = observe(&facts, &ask, &decision, world::now()).is_some();
                    prop_assert_eq!(refuses, seen.verdict != Verdict::Allow);
                }
            }
        }
    }

    /// What would help is worth the same care, but costs a copy of the facts for each change.
    #[test]
    fn what_is_said_to_help_helps(organization in any_organization(), features in any_features()) {
        let facts = organization.facts();
        let application = &facts.applications[&ApplicationId(world::id(APPLICATION))];
        let ask = |model| Ask {
            group: application.group, user: Some(world::user(PEOPLE[0])), application: Some(application),
            model: world::model(model), features,
        };
        for model in MODELS {
            let allowed = decide(&facts, &ask(model), world::now()).verdict == Verdict::Allow;
            let fixes = fixes(&facts, &ask(model), world::now());
            prop_assert_eq!(fixes.is_empty(), allowed, "{}: {:?}", model, fixes);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Where one change is enough, one is said: found by trying all of them, read slowly.
    #[test]
    fn what_is_said_to_help_is_the_cheapest(organization in any_organization(), features in any_features()) {
        let facts = organization.facts();
        let application = &facts.applications[&ApplicationId(world::id(APPLICATION))];
        let user = world::user(PEOPLE[0]);
        fn ask<'a>(application: &'a ApplicationFacts, user: UserId, model: &str, features: Features) -> Ask<'a> {
            Ask { group: application.group, user: Some(user), application: Some(application), model: world::model(model), features }
        }
        let changed = single_changes(&facts, application, user);
        for model in MODELS {
            let enough = changed.iter().any(|(facts, application)| slowly(facts, &ask(application, user, model, features)) == Verdict::Allow);
            let fixes = fixes(&facts, &ask(application, user, model, features), world::now());
            if fixes.len() > 1 {
                prop_assert!(!enough, "{}: one change would be enough, and these are said: {:?}", model, fixes);
            }
            if let [fix] = fixes.as_slice() {
                prop_assert!(enough, "{}: {:?} is not among the changes there are", model, fix);
            }
        }
    }
}
