//! Random organizations: everything that a decision can rest on, drawn anew for each case. The
//! gateway's own test of agreement draws from here, too.

use chrono::Duration;
use domain::{
    access::{ApplicationFacts, Facts, GrantFacts, Grantee, MembershipFacts, PolicyFacts},
    groups::Standing,
    ids::{ApplicationId, AuthorizationId, GrantId, PolicyId},
    keys::{Feature, Features},
    models::Modality,
    policies::{Routing, Rules},
    providers::Dialect,
};
use proptest::{collection::vec, option, prelude::*, sample::select};
use uuid::Uuid;

use super::world;

pub const PLACES: [&str; 8] =
    ["org", "Engineering", "Research", "Search", "Ranking", "Learning", "Trials", "Marketing"];
/// Below `Search`, so that the tree has five levels.
const DEEPER: [(&str, &[&str]); 3] = [
    ("Ranking", &["Engineering", "Search", "Ranking"]),
    ("Learning", &["Engineering", "Search", "Ranking", "Learning"]),
    ("Trials", &["Engineering", "Search", "Ranking", "Learning", "Trials"]),
];
pub const TARGETS: [&str; 6] = ["all", "general", "top", "special", "small", "big"];
pub const MODELS: [&str; 5] = ["small", "big", "vectors", "raw", "gift"];
pub const PEOPLE: [&str; 2] = ["Lin", "Kai"];

/// An application, with what its key narrows to.
pub const APPLICATION: &str = "app";

/// A rule as `world::add` reads it: with a lock, an end in the past or to come, or only observing.
fn rule() -> impl Strategy<Value = String> {
    let state = select(vec!["open", "open", "by_request", "closed"]);
    let bool = proptest::bool::weighted;
    let end = select(vec!["", "", "", "", "", "", "", "", "~", ">"]);
    (select(PLACES.to_vec()), select(TARGETS.to_vec()), state, bool(0.2), end, bool(0.15)).prop_map(
        |(place, target, state, locked, end, observes)| {
            let sign = |is: bool, sign: &'static str| if is { sign } else { "" };
            let [lock, look] = [sign(locked, "!"), sign(observes, "?")];
            format!("{place}:{target}={state}{lock}{end}{look}")
        },
    )
}

/// To whom: a person, a group, or a person within a group; of which model; in how many days it begins and
/// ends.
type Grant = (Option<&'static str>, Option<&'static str>, &'static str, (i64, i64));

/// Somebody's place in a group: who, where, whether they lead it, and in how many days it ends.
type Membership = (&'static str, &'static str, bool, Option<i64>);

/// The application: its group, the models of its key, its features, whom its key is for, whose it is.
#[derive(Clone, Debug)]
struct Program {
    group: &'static str,
    models: Option<Vec<&'static str>>,
    features: Vec<Feature>,
    assigned: Vec<&'static str>,
    personal: Option<&'static str>,
}

/// What a case is drawn from.
#[derive(Clone, Debug)]
pub struct Organization {
    rules: Vec<String>,
    grants: Vec<Grant>,
    memberships: Vec<Membership>,
    ended: Option<&'static str>,
    suspended: Option<&'static str>,
    /// A model that left the catalogue, and whether the provider did.
    archived: (Option<&'static str>, bool),
    /// What kind each of the models is of, and the language of their provider.
    kinds: (Vec<Modality>, Dialect),
    application: Program,
    /// Models of each policy.
    policies: Vec<Vec<&'static str>>,
    /// The policy of the key and the one of a group.
    routes: (Option<usize>, Option<(&'static str, usize)>),
}

pub fn any_organization() -> impl Strategy<Value = Organization> {
    let groups = || select(PLACES[1..].to_vec());
    let people = || select(PEOPLE.to_vec());
    let models = || select(MODELS.to_vec());
    let days = select(vec![(-7, 1), (-7, 1), (-7, 0), (0, 1), (1, 2)]);
    let grant = (option::weighted(0.6, people()), option::of(groups()), models(), days);
    let ends = select(vec![None, Some(-1), Some(0), Some(1)]);
    // Most are for words.
    let kind = prop_oneof![3 => Just(Modality::Chat), 2 => select(Modality::ALL.to_vec())];
    let dialect = prop_oneof![4 => Just(Dialect::OpenAi), 1 => Just(Dialect::Anthropic)];
    let application = (
        groups(),
        option::weighted(0.4, vec(models(), 0..4)),
        vec(select(Feature::ALL.to_vec()), 0..5),
        vec(groups(), 0..3),
        option::weighted(0.2, people()),
    );
    let application = application.prop_map(|(group, models, features, assigned, personal)| Program {
        group,
        models,
        features,
        assigned,
        personal,
    });
    (
        vec(rule(), 0..14),
        vec(grant, 0..4),
        vec((people(), groups(), proptest::bool::weighted(0.3), ends), 0..4),
        option::weighted(0.1, groups()),
        option::weighted(0.1, people()),
        (option::weighted(0.15, models()), proptest::bool::weighted(0.02)),
        (vec(kind, MODELS.len()), dialect),
        application,
        vec(vec(models(), 1..4), 0..3),
        (option::of(0..3_usize), option::of((groups(), 0..3_usize))),
    )
        .prop_map(
            |(
                rules,
                grants,
                memberships,
                ended,
                suspended,
                archived,
                kinds,
                application,
                policies,
                routes,
            )| {
                Organization {
                    rules,
                    grants,
                    memberships,
                    ended,
                    suspended,
                    archived,
                    kinds,
                    application,
                    policies,
                    routes,
                }
            },
        )
}

/// What a call uses of its key.
pub fn any_features() -> impl Strategy<Value = Features> {
    vec(select(Feature::ALL.to_vec()), 0..3).prop_map(|features| features.into_iter().collect())
}

/// An organization without any rule.
pub fn silent() -> Facts {
    let mut facts = world::silent();
    let deeper = DEEPER.iter().map(|(name, path)| (world::group(name), world::group_facts(name, path)));
    facts.groups.extend(deeper);
    facts
}

/// What a policy is called.
pub fn policy_name(place: usize) -> String {
    format!("route-{place}")
}

impl Organization {
    /// As facts. The application is [`APPLICATION`].
    pub fn facts(&self) -> Facts {
        let mut facts = silent();
        for (place, word) in self.rules.iter().enumerate() {
            world::add(&mut facts, word);
            // Later lines about the same thing replace earlier ones; ids stay distinct.
            let sets = facts.rules.values_mut().chain(facts.observed.values_mut());
            for rule in sets.flat_map(|rules| rules.values_mut()) {
                if rule.id.0 == world::id(word) {
                    rule.id = AuthorizationId(Uuid::from_u128(place as u128 + 1));
                }
            }
        }
        for (place, (person, group, model, (begins, ends))) in self.grants.iter().enumerate() {
            let to = match (person, group) {
                (Some(person), Some(group)) => Grantee::Member(world::group(group), world::user(person)),
                (Some(person), None) => Grantee::User(world::user(person)),
                (None, group) => Grantee::Group(world::group(group.unwrap_or("Engineering"))),
            };
            let ends_at = world::now() + Duration::days(*ends);
            let starts_at = world::now() + Duration::days(*begins);
            let id = GrantId(Uuid::from_u128(place as u128 + 1));
            let grant = GrantFacts { id, to, starts_at, ends_at };
            facts.grants.entry(world::model(model)).or_default().push(grant);
        }
        for (person, group, leads, days) in &self.memberships {
            let ends_at = days.map(|days| world::now() + Duration::days(days));
            let standing = if *leads { Standing::Lead } else { Standing::Member };
            let membership = MembershipFacts { group: world::group(group), standing, ends_at };
            facts.users.get_mut(&world::user(person)).expect("a known person").memberships.push(membership);
        }
        self.ended.iter().for_each(|group| world::add(&mut facts, &format!("ended:{group}")));
        self.suspended.iter().for_each(|person| world::add(&mut facts, &format!("suspended:{person}")));
        if let Some(model) = self.archived.0 {
            facts.models.get_mut(&world::model(model)).expect("a known model").archived = true;
        }
        for (name, kind) in MODELS.iter().zip(&self.kinds.0) {
            facts.models.get_mut(&world::model(name)).expect("a known model").modality = *kind;
        }
        for provider in facts.providers.values_mut() {
            (provider.archived, provider.dialect) = (self.archived.1, self.kinds.1);
        }
        for (place, steps) in self.policies.iter().enumerate() {
            let policy = PolicyFacts {
                id: PolicyId(world::id(&policy_name(place))),
                routing: Routing::Fallback,
                steps: steps.iter().map(|model| (world::model(model), 1)).collect(),
                rules: Rules::new(),
            };
            facts.policies.insert(policy_name(place), policy);
        }
        let policy =
            |place: usize| facts.policies.get(&policy_name(place)).map(|policy: &PolicyFacts| policy.id);
        let (own, of_group) = (
            self.routes.0.and_then(policy),
            self.routes.1.and_then(|(group, place)| Some((group, policy(place)?))),
        );
        if let Some((group, policy)) = of_group {
            facts.groups.get_mut(&world::group(group)).expect("a known group").policy = Some(policy);
        }
        let application = ApplicationFacts { policy: own, ..self.application() };
        facts.applications.insert(ApplicationId(world::id(APPLICATION)), application);
        facts
    }

    fn application(&self) -> ApplicationFacts {
        let Program { group, models, features, assigned, personal } = &self.application;
        ApplicationFacts {
            models: match models {
                None => domain::keys::KeyModels::All,
                Some(models) => {
                    domain::keys::KeyModels::These(models.iter().map(|model| world::model(model)).collect())
                }
            },
            features: features.iter().copied().collect(),
            assigned: assigned.iter().map(|group| world::group(group)).collect(),
            personal: personal.map(world::user),
            ..world::application(group, &["key:all"])
        }
    }
}
