//! `decide` against a second, naive reading of the rules, over random organizations.

use std::collections::HashMap;

use domain::{
    access::{
        ApplicationFacts, Ask, Facts, GrantFacts, Grantee, MembershipFacts, Reason, Rule, Step, Verdict,
        beside, decide, decide_with, observe,
    },
    authorizations::{State, Target},
    groups::Standing,
    ids::{ApplicationId, AuthorizationId, GrantId, GroupId, ModelId, UserId},
    keys::{Feature, Features, KeyModels},
    models::{Modality, Review},
    prices::{DatedPrices, PriceKey, Prices},
    providers::Dialect,
    why::{Fix, fixes},
};
use proptest::prelude::*;
use uuid::Uuid;

use crate::{
    organizations::{APPLICATION, MODELS, PEOPLE, PLACES, TARGETS, any_features, any_organization, silent},
    world,
};

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
        let mut facts = silent();
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

/// Whether there is a route to a model of this kind.
fn is_served(facts: &Facts, model: ModelId) -> bool {
    let model = &facts.models[&model];
    match model.modality {
        Modality::Image | Modality::Video | Modality::Rerank => false,
        Modality::Embedding => facts.providers[&model.provider].dialect == Dialect::OpenAi,
        Modality::Chat | Modality::Vision | Modality::Audio => true,
    }
}

/// The same said slowly for a whole question: who calls, with which key, on whose account, using what.
fn slowly(facts: &Facts, ask: &Ask<'_>) -> Verdict {
    let now = world::now();
    let deny = Verdict::Deny;
    let belongs = |user: domain::ids::UserId, group: GroupId| {
        facts.users[&user].memberships.iter().any(|place| {
            let runs = place.ends_at.is_none_or(|end| now < end);
            let path = &facts.groups[&place.group].path;
            let over = path.iter().any(|id| facts.groups[id].ends_at.is_some_and(|end| end <= now));
            runs && !over && path.contains(&group)
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
    if model.archived || facts.providers[&model.provider].archived {
        return deny(Reason::UnknownModel);
    }
    if model.review == Review::Pending {
        return deny(Reason::Unreviewed);
    }
    if model.prices.is_empty() {
        return deny(Reason::Unpriced);
    }
    if !is_served(facts, ask.model) {
        return deny(Reason::NotServed);
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
        let mut used: Vec<Feature> = ask.features.iter().collect();
        if model.modality == Modality::Embedding {
            used.push(Feature::Embeddings);
        }
        let off = Feature::ALL
            .iter()
            .find(|feature| used.contains(feature) && !application.features.has(**feature));
        if let Some(feature) = off {
            return deny(Reason::FeatureOff(*feature));
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
            if rule.ends_at.is_none_or(|end| world::now() < end) {
                promoted.rules.entry(place).or_default().insert(target, rule);
            }
        }
        let people = std::iter::once(None).chain(PEOPLE.map(|name| Some(world::user(name))));
        for (user, application) in people.flat_map(|user| [(user, Some(application)), (user, None)]) {
            let groups: Vec<GroupId> = match application {
                Some(application) => vec![application.group],
                None => facts.groups.keys().copied().collect(),
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

}

proptest! {
    // Each change is made to a copy of the facts.
    #![proptest_config(ProptestConfig::with_cases(1500))]

    /// What would help is worth the same care, but costs a copy of the facts for each change: made here,
    /// the changes lead to a yes of the slow reading, each of them is needed, and where there are several
    /// no single one would do, short of opening the model to other groups, too.
    #[test]
    fn what_is_said_to_help_helps_and_nothing_less_would(organization in any_organization(), features in any_features()) {
        let facts = organization.facts();
        let application = facts.applications[&ApplicationId(world::id(APPLICATION))].clone();
        let user = Some(world::user(PEOPLE[0]));
        let after = |model, changes: &[Fix]| {
            let (mut facts, mut application) = (facts.clone(), application.clone());
            changes.iter().for_each(|change| made(&mut facts, &mut application, change, user));
            let ask = Ask { group: application.group, user, application: Some(&application), model, features };
            slowly(&facts, &ask)
        };
        for model in MODELS.map(world::model) {
            let ask = Ask { group: application.group, user, application: Some(&application), model, features };
            let fixes = fixes(&facts, &ask, world::now());
            let before = after(model, &[]);
            // Nothing brings back what left the catalogue, or lets anybody call what is not served.
            let gone = matches!(before, Verdict::Deny(Reason::UnknownModel | Reason::NotServed));
            if before == Verdict::Allow || gone {
                prop_assert_eq!(&fixes, &[]);
                continue;
            }
            let hidden = facts.models[&model].archived || !is_served(&facts, model) || facts.providers.values().any(|provider| provider.archived);
            prop_assert_eq!(fixes.is_empty(), hidden, "{:?}", before);
            if fixes.is_empty() {
                continue;
            }
            prop_assert_eq!(after(model, &fixes), Verdict::Allow, "{:?}", fixes);
            for left_out in 0..fixes.len() {
                let mut fewer = fixes.clone();
                let change = fewer.remove(left_out);
                prop_assert_ne!(after(model, &fewer), Verdict::Allow, "{:?} is not needed", change);
            }
            if fixes.len() > 1 {
                for change in single_changes(&facts, &application, model, user) {
                    prop_assert_ne!(after(model, std::slice::from_ref(&change)), Verdict::Allow, "{:?} alone would do", change);
                }
            }
        }
    }
}

/// Every single change there is, of those that open the model to no other group, about a call on the application's account.
fn single_changes(
    facts: &Facts,
    application: &ApplicationFacts,
    model: ModelId,
    user: Option<UserId>,
) -> Vec<Fix> {
    let path = &facts.groups[&application.group].path;
    let mut changes = vec![
        Fix::Ask(model, application.group),
        Fix::Accept(model),
        Fix::Price(model),
        Fix::AllowInKey(model),
    ];
    changes.push(Fix::Open(model, application.group));
    changes.extend(path.iter().map(|group| Fix::Reopen(*group)));
    changes.extend(Feature::ALL.iter().map(|feature| Fix::TurnOn(*feature)));
    changes.extend(user.into_iter().flat_map(|user| {
        let joins = facts.groups.keys().map(move |group| Fix::Join(user, *group));
        std::iter::once(Fix::LetIn(user)).chain(joins)
    }));
    for (place, rules) in facts.rules.iter() {
        changes.extend(
            rules
                .iter()
                .filter(|(_, rule)| rule.locked)
                .map(|(target, rule)| Fix::Unlock(rule.id, *place, *target)),
        );
    }
    changes
}

/// Makes a change, as the words of it say.
fn made(facts: &mut Facts, application: &mut ApplicationFacts, change: &Fix, user: Option<UserId>) {
    let tomorrow = world::now() + chrono::Duration::days(1);
    match change {
        Fix::Ask(model, group) => {
            let to = user.map_or(Grantee::Group(*group), |user| Grantee::Member(*group, user));
            let grant = GrantFacts {
                id: GrantId(world::id("agreed")),
                to,
                starts_at: world::now(),
                ends_at: tomorrow,
            };
            facts.grants.entry(*model).or_default().push(grant);
        }
        Fix::Open(model, group) => {
            let id = AuthorizationId(world::id("opened"));
            let rule = Rule { id, state: State::Open, locked: false, ends_at: None };
            facts.rules.entry(Some(*group)).or_default().insert(Target::Model(*model), rule);
        }
        Fix::Unlock(_, place, target) => {
            facts.rules.get_mut(place).and_then(|rules| rules.get_mut(target)).expect("a rule").locked =
                false;
        }
        Fix::LetIn(user) => facts.users.get_mut(user).expect("a person").suspended = false,
        Fix::Join(user, group) => {
            let place = MembershipFacts { group: *group, standing: Standing::Member, ends_at: None };
            facts.users.get_mut(user).expect("a person").memberships.push(place);
            if application.assigned.is_empty() {
                application.assigned.push(*group);
            }
        }
        Fix::Reopen(group) => facts.groups.get_mut(group).expect("a group").ends_at = None,
        Fix::Accept(model) => facts.models.get_mut(model).expect("a model").review = Review::Accepted,
        Fix::Price(model) => {
            let free = PriceKey::ALL.iter().fold(Prices::default(), |prices, key| {
                prices.with(*key, Some("0".parse().expect("a price")))
            });
            let from = world::now();
            facts.models.get_mut(model).expect("a model").prices = vec![DatedPrices { from, prices: free }];
        }
        Fix::AllowInKey(model) => {
            if let KeyModels::These(models) = &mut application.models {
                models.push(*model);
            }
        }
        Fix::TurnOn(feature) => application.features = application.features.with(*feature),
    }
}
