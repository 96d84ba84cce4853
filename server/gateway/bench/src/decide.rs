//! What one decision costs: five levels of groups, a thousand rules, fifty limits that apply.

use std::{collections::HashMap, hint::black_box, time::Instant};

use chrono::{DateTime, Utc};
use domain::{
    Map,
    access::{
        ApplicationFacts, Ask, Decision, Facts, GroupFacts, MembershipFacts, ModelFacts, ProviderFacts, Rule,
        TierFacts, UserFacts, applicable, decide,
    },
    authorizations::{State, Target},
    groups::Standing,
    ids::{ApplicationId, GroupId, ModelId, ProviderId, TierId, UserId},
    keys::{Features, KeyModels},
    limits::{Limit, Meter, Metric, Mode, Scope, Subject},
    models::{Modality, Review},
    money::{NANOS, Price},
    organizations::BudgetStatus,
    prices::{DatedPrices, PriceKey, Prices},
    providers::Dialect,
    window::{Calendar, Window},
};
use store::clock;

use crate::Failure;

const LEVELS: usize = 5;
const GROUPS: usize = 200;
const RULES: usize = 1000;
const LIMITS: usize = 50;
const TIERS: usize = 5;
const MODELS: usize = 40;
const USERS: usize = 1000;
/// Rounds of which the median is shown.
const ROUNDS: usize = 9;

/// An organization of that size, and who calls in it.
struct World {
    facts: Facts,
    path: Vec<GroupId>,
    models: Vec<ModelId>,
    application: ApplicationId,
    user: UserId,
}

/// Measures, and says what it measured.
pub fn run(times: u32) -> Result<(), Failure> {
    let world = world()?;
    let now = clock::now();
    let rules: usize = world.facts.rules.values().map(HashMap::len).sum();
    let limits: usize = world.facts.limits.values().map(Vec::len).sum();
    let applied = applicable(&world.facts, &subject(&world, &one(&world, world.models[0], now))).len();
    println!(
        "{LEVELS} levels of groups ({GROUPS} in all), {rules} rules, {MODELS} models, {limits} limits of which {applied} apply; \
         a person with a key"
    );
    let decided = median(times, |place| {
        black_box(one(&world, world.models[place % MODELS], now));
    });
    let limited = median(times, |place| {
        let decision = one(&world, world.models[place % MODELS], now);
        black_box(applicable(&world.facts, &subject(&world, &decision)));
    });
    println!("decide                          {decided:>8.0} ns");
    println!("decide, and the limits to fit   {limited:>8.0} ns");
    Ok(())
}

fn one(world: &World, model: ModelId, now: DateTime<Utc>) -> Decision {
    let application = world.facts.applications.get(&world.application);
    let ask = Ask {
        group: world.path[LEVELS - 1],
        user: Some(world.user),
        application,
        model,
        features: Features::all(),
    };
    decide(&world.facts, black_box(&ask), now)
}

fn subject<'a>(world: &'a World, decision: &Decision) -> Subject<'a> {
    Subject {
        path: &world.path,
        application: world.application,
        user: Some(world.user),
        authorization: decision.rule,
        beside: None,
        grant: decision.grant,
    }
}

/// Nanoseconds of one, as the median of several rounds.
fn median(times: u32, mut one: impl FnMut(usize)) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            for place in 0..times as usize {
                one(place);
            }
            begun.elapsed().as_nanos() as f64 / f64::from(times.max(1))
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

fn world() -> Result<World, Failure> {
    let ids = |count: usize| (0..count).map(|_| clock::id::<GroupId>()).collect::<Vec<_>>();
    let all = ids(GROUPS);
    let path = all[..LEVELS].to_vec();
    let groups: Map<GroupId, GroupFacts> = all
        .iter()
        .enumerate()
        .map(|(place, id)| {
            // The first five are one below the other; the others hang on them in turn.
            let above = if place < LEVELS { place } else { place % LEVELS };
            let path = path[..above].iter().copied().chain([*id]).collect();
            let name = format!("Group {place}");
            (*id, GroupFacts { name, path, ends_at: None, leads: Vec::new(), policy: None })
        })
        .collect();
    let tiers: Vec<TierId> = (0..TIERS).map(|_| clock::id()).collect();
    let provider: ProviderId = clock::id();
    let models: Vec<ModelId> = (0..MODELS).map(|_| clock::id()).collect();
    let (application, user): (ApplicationId, UserId) = (clock::id(), clock::id());
    let facts = Facts {
        org: clock::id(),
        org_name: "Acme".to_owned(),
        version: 1,
        calendar: Calendar { zone: "UTC".parse().map_err(|_| "no UTC")?, week_start: chrono::Weekday::Mon },
        default_user_limit: None,
        budget_status: BudgetStatus::PaymentRequired,
        contact: None,
        admins: Vec::new(),
        tiers: tiers.iter().map(|id| (*id, TierFacts { name: id.to_string(), high_cost: false })).collect(),
        models: models
            .iter()
            .zip(tiers.iter().cycle())
            .map(|(id, tier)| (*id, model(provider, *tier)))
            .collect(),
        model_names: HashMap::default(),
        providers: [(provider, provider_facts())].into_iter().collect(),
        rules: rules(&all, &tiers, &models),
        observed: HashMap::default(),
        groups,
        grants: HashMap::default(),
        applications: [(application, application_facts(&path))].into_iter().collect(),
        users: users(&all, &path, user),
        limits: limits(&path, application, user),
        policies: HashMap::default(),
    };
    Ok(World { facts, path, models, application, user })
}

fn model(provider: ProviderId, tier: TierId) -> ModelFacts {
    let prices = Prices::default()
        .with(PriceKey::Input, Some(Price(NANOS)))
        .with(PriceKey::Output, Some(Price(NANOS)));
    ModelFacts {
        name: "model".to_owned(),
        provider,
        upstream: "model".to_owned(),
        modality: Modality::Chat,
        tier,
        context_tokens: None,
        max_output_tokens: None,
        review: Review::Accepted,
        archived: false,
        prices: vec![DatedPrices { from: DateTime::UNIX_EPOCH, prices }],
        created_at: DateTime::UNIX_EPOCH,
    }
}

fn provider_facts() -> ProviderFacts {
    ProviderFacts {
        name: "House".to_owned(),
        dialect: Dialect::OpenAi,
        base_url: "https://models.example/v1".to_owned(),
        allow_private_address: false,
        waits: domain::providers::Waits::default(),
        archived: false,
    }
}

fn application_facts(path: &[GroupId]) -> ApplicationFacts {
    ApplicationFacts {
        name: "Assistant".to_owned(),
        group: path[LEVELS - 1],
        key: clock::id(),
        personal: None,
        owner: None,
        models: KeyModels::All,
        features: Features::all(),
        assigned: vec![path[LEVELS - 1]],
        policy: None,
        use_cases: Vec::new(),
        handling: domain::keys::Handling::default(),
    }
}

fn users(all: &[GroupId], path: &[GroupId], caller: UserId) -> Map<UserId, UserFacts> {
    let member = |group| {
        let memberships = vec![MembershipFacts { group, standing: Standing::Member, ends_at: None }];
        UserFacts { name: "Somebody".to_owned(), suspended: false, memberships }
    };
    let mut users: Map<UserId, UserFacts> =
        (1..USERS).map(|place| (clock::id(), member(all[place % GROUPS]))).collect();
    users.insert(caller, member(path[LEVELS - 1]));
    users
}

/// Every group of the path says something about every tier and some models; what is left goes round
/// the other groups.
fn rules(all: &[GroupId], tiers: &[TierId], models: &[ModelId]) -> Map<Option<GroupId>, Map<Target, Rule>> {
    let mut rules = Map::<Option<GroupId>, Map<Target, Rule>>::default();
    let targets: Vec<Target> = std::iter::once(Target::All)
        .chain(tiers.iter().copied().map(Target::Tier))
        .chain(models.iter().copied().map(Target::Model))
        .collect();
    let rule = || Rule { id: clock::id(), state: State::Open, locked: false, ends_at: None };
    for group in std::iter::once(None).chain(all[..LEVELS].iter().copied().map(Some)) {
        let own = rules.entry(group).or_default();
        own.extend(targets.iter().take(1 + TIERS + 4).map(|target| (*target, rule())));
    }
    let near: usize = rules.values().map(HashMap::len).sum();
    for place in 0..RULES.saturating_sub(near) {
        let group = all[LEVELS + place % (GROUPS - LEVELS)];
        let target = targets[place / (GROUPS - LEVELS) % targets.len()];
        rules.entry(Some(group)).or_default().insert(target, rule());
    }
    rules
}

/// Several of every scope that a call is counted in.
fn limits(path: &[GroupId], application: ApplicationId, user: UserId) -> Map<Scope, Vec<Limit>> {
    let scopes: Vec<Scope> = [Scope::Organization, Scope::Application(application), Scope::User(user)]
        .into_iter()
        .chain(path.iter().copied().map(Scope::Group))
        .chain(path.iter().map(|group| Scope::Member(*group, user)))
        .collect();
    let meters = [Metric::Spend, Metric::Requests, Metric::Tokens, Metric::InputTokens, Metric::OutputTokens];
    let mut limits = Map::<Scope, Vec<Limit>>::default();
    for place in 0..LIMITS {
        let scope = scopes[place % scopes.len()];
        let metric = meters[place / scopes.len() % meters.len()];
        let meter = Meter { scope, metric, window: Window::Month };
        let limit = Limit {
            id: Some(clock::id()),
            meter,
            cap: i64::MAX,
            mode: Mode::Enforce,
            thresholds: Default::default(),
        };
        limits.entry(scope).or_default().push(limit);
    }
    limits
}
