//! `decide` against a second, naive reading of the rules, over random organizations.

use domain::{
    access::{Ask, Facts, Reason, Rule, Verdict, decide},
    authorizations::{State, Target},
    ids::{AuthorizationId, GroupId},
    keys::Features,
    why::fixes,
};
use proptest::prelude::*;
use uuid::Uuid;

use crate::world;

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
