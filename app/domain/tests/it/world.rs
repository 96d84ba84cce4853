//! A small organization, written in one line of text.
//!
//! Tree: `Engineering` with `Research` and `Search` below it, and `Marketing`. Models: `small`
//! (tier general), `big` (tier top, high-cost), `vectors` (tier special), `raw` (general, not
//! reviewed), `gift` (general, without a price). Lin is a member of Research, Kai of Marketing.

use std::collections::HashMap;

use chrono::{DateTime, Duration, Utc, Weekday};
use domain::{
    access::{
        ApplicationFacts, Facts, GrantFacts, Grantee, GroupFacts, MembershipFacts, ModelFacts, ProviderFacts,
        Rule, TierFacts, UserFacts,
    },
    authorizations::{State, Target},
    groups::Standing,
    ids::{AuthorizationId, GrantId, GroupId, KeyId, ModelId, OrgId, ProviderId, TierId, UserId},
    keys::{Feature, Features, KeyModels},
    models::{Modality, Review},
    organizations::BudgetStatus,
    prices::{DatedPrices, PriceKey, Prices},
    providers::Dialect,
    window::Calendar,
};
use uuid::Uuid;

pub const GROUPS: [(&str, &[&str]); 4] = [
    ("Engineering", &["Engineering"]),
    ("Research", &["Engineering", "Research"]),
    ("Search", &["Engineering", "Search"]),
    ("Marketing", &["Marketing"]),
];
const MODELS: [(&str, &str); 5] =
    [("small", "general"), ("big", "top"), ("vectors", "special"), ("raw", "general"), ("gift", "general")];
const TIERS: [&str; 3] = ["general", "top", "special"];

/// A stable id from a name.
pub fn id(name: &str) -> Uuid {
    let mut bits = 0xcbf2_9ce4_8422_2325_u64;
    for byte in name.bytes() {
        bits = (bits ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    Uuid::from_u128(u128::from(bits))
}

pub fn group(name: &str) -> GroupId {
    GroupId(id(name))
}

pub fn model(name: &str) -> ModelId {
    ModelId(id(name))
}

pub fn user(name: &str) -> UserId {
    UserId(id(name))
}

pub fn now() -> DateTime<Utc> {
    "2026-11-22T12:00:00Z".parse().expect("a value")
}

pub fn tier(name: &str) -> TierId {
    TierId(id(name))
}

fn model_facts(name: &str, of: &str) -> ModelFacts {
    let one = Some("1".parse().expect("a value"));
    // Whatever kind it is of, it has a price.
    let keys = [PriceKey::Input, PriceKey::Output, PriceKey::Image];
    let prices = keys.into_iter().fold(Prices::default(), |prices, key| prices.with(key, one));
    ModelFacts {
        name: name.to_owned(),
        provider: ProviderId(id("provider")),
        upstream: name.to_owned(),
        modality: Modality::Chat,
        tier: tier(of),
        context_tokens: None,
        max_output_tokens: None,
        review: if name == "raw" { Review::Pending } else { Review::Accepted },
        archived: false,
        prices: if name == "gift" {
            Vec::new()
        } else {
            vec![DatedPrices { from: DateTime::UNIX_EPOCH, prices }]
        },
        created_at: DateTime::UNIX_EPOCH,
    }
}

/// A group, with the names from the root to itself.
pub fn group_facts(name: &str, path: &[&str]) -> GroupFacts {
    GroupFacts {
        name: name.to_owned(),
        path: path.iter().map(|name| group(name)).collect(),
        ends_at: None,
        leads: Vec::new(),
        policy: None,
    }
}

/// The organization without any rule.
pub fn silent() -> Facts {
    let groups = GROUPS.iter().map(|(name, path)| (group(name), group_facts(name, path)));
    let member = |name: &str, of: &str| {
        let memberships =
            vec![MembershipFacts { group: group(of), standing: Standing::Member, ends_at: None }];
        (user(name), UserFacts { name: name.to_owned(), suspended: false, memberships })
    };
    let provider = ProviderFacts {
        name: "provider".to_owned(),
        dialect: Dialect::OpenAi,
        base_url: "http://127.0.0.1/v1".to_owned(),
        allow_private_address: true,
        waits: Default::default(),
        archived: false,
    };
    Facts {
        org: OrgId(id("Acme")),
        org_name: "Acme".to_owned(),
        version: 1,
        calendar: Calendar { zone: chrono_tz::Tz::UTC, week_start: Weekday::Mon },
        default_user_limit: None,
        budget_status: BudgetStatus::PaymentRequired,
        contact: None,
        admins: Vec::new(),
        tiers: TIERS
            .iter()
            .map(|name| (tier(name), TierFacts { name: (*name).to_owned(), high_cost: *name == "top" }))
            .collect(),
        models: MODELS.iter().map(|(name, of)| (model(name), model_facts(name, of))).collect(),
        model_names: MODELS.iter().map(|(name, _)| ((*name).to_owned(), model(name))).collect(),
        providers: [(ProviderId(id("provider")), provider)].into_iter().collect(),
        groups: groups.collect(),
        rules: HashMap::default(),
        observed: HashMap::default(),
        grants: HashMap::default(),
        applications: HashMap::default(),
        users: [member("Lin", "Research"), member("Kai", "Marketing")].into_iter().collect(),
        limits: HashMap::default(),
        policies: HashMap::new(),
    }
}

pub fn target(text: &str) -> Target {
    match text {
        "all" => Target::All,
        name if TIERS.contains(&name) => Target::Tier(tier(name)),
        name => Target::Model(model(name)),
    }
}

/// Adds what one word of a line says:
/// `Research:small=open`, `org:all=closed!` (locked), `Research:small=open~` (ended yesterday),
/// `Research:small=open>` (ends tomorrow),
/// `Research:small=closed?` (only observes),
/// `grant:Lin:big`, `grant:Engineering:big~`, `ended:Research`, `suspended:Lin`.
pub fn add(facts: &mut Facts, word: &str) {
    let parts: Vec<&str> = word.split(':').collect();
    match parts.as_slice() {
        ["grant", to, what] => {
            let ended = what.ends_with('~');
            let to = if facts.users.contains_key(&user(to)) {
                Grantee::User(user(to))
            } else {
                Grantee::Group(group(to))
            };
            let ends_at = if ended { now() } else { now() + Duration::days(1) };
            let grant = GrantFacts { id: GrantId(id(word)), to, starts_at: DateTime::UNIX_EPOCH, ends_at };
            facts.grants.entry(model(what.trim_end_matches('~'))).or_default().push(grant);
        }
        ["ended", name] => facts.groups.get_mut(&group(name)).expect("a known group").ends_at = Some(now()),
        ["suspended", name] => facts.users.get_mut(&user(name)).expect("a known user").suspended = true,
        [place, rule] => {
            let (what, state) = rule.split_once('=').expect("WHAT=STATE");
            let place = (*place != "org").then(|| group(place));
            assert!(place.is_none_or(|id| facts.groups.contains_key(&id)), "unknown group in {word}");
            let rule = Rule {
                id: AuthorizationId(id(word)),
                state: state.trim_end_matches(['!', '~', '>', '?']).parse::<State>().expect("a state"),
                locked: state.contains('!'),
                ends_at: match (state.contains('~'), state.contains('>')) {
                    (true, _) => Some(now()),
                    (_, true) => Some(now() + Duration::days(1)),
                    _ => None,
                },
            };
            let rules = if state.contains('?') { &mut facts.observed } else { &mut facts.rules };
            rules.entry(place).or_default().insert(target(what), rule);
        }
        _ => panic!("cannot read {word}"),
    }
}

/// An application of a group with a key: `key:all`, `key:none`, `key:small`, `streaming` and so on.
pub fn application(of: &str, words: &[&str]) -> ApplicationFacts {
    let mut models = KeyModels::All;
    let mut features = Features::default();
    for word in words {
        match word.strip_prefix("key:") {
            Some("all") => models = KeyModels::All,
            Some("none") => models = KeyModels::These(Vec::new()),
            Some(name) => models = KeyModels::These(vec![model(name)]),
            None => features = features.with(word.parse::<Feature>().expect("a feature")),
        }
    }
    ApplicationFacts {
        name: "bot".to_owned(),
        group: group(of),
        key: KeyId(id("key")),
        personal: None,
        owner: None,
        models,
        features,
        assigned: vec![group(of)],
        policy: None,
        use_cases: Vec::new(),
        handling: domain::keys::Handling::default(),
    }
}
