//! A document as a flat list of things with fields: what is compared, and what a plan prints.
//!
//! Values are written as the file writes them. A thing's key is what it is found by; its owner is
//! the thing that says whether it may stay when the file leaves it out.

use std::collections::HashSet;

use domain::{
    groups::Standing,
    limits::{Metric, Mode},
    money::Money,
    policies::{Routing, StepRules},
    prices::PriceKey,
    providers::Wait,
    window::Window,
};

use super::document::{
    Application, Authorization, Document, Group, KeyModels, Limit, Model, Organization, Policy, Provider,
    Source, Target, Tier, User,
};

/// What kind of thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The organization.
    Organization,
    /// A tier.
    Tier,
    /// A provider.
    Provider,
    /// A model.
    Model,
    /// A group.
    Group,
    /// A person.
    User,
    /// A person in a group.
    Membership,
    /// A rule.
    Authorization,
    /// A route.
    Policy,
    /// An application with its key.
    Application,
    /// A limit.
    Limit,
    /// A service secret.
    Secret,
}

impl Kind {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::Tier => "tier",
            Self::Provider => "provider",
            Self::Model => "model",
            Self::Group => "group",
            Self::User => "user",
            Self::Membership => "membership",
            Self::Authorization => "authorization",
            Self::Policy => "policy",
            Self::Application => "application",
            Self::Limit => "limit",
            Self::Secret => "secret",
        }
    }
}

/// What a thing is found by.
pub type Key = (Kind, String);

/// A field and its value, none where there is none.
pub type Field = (&'static str, Option<String>);

/// A thing with its fields.
#[derive(Clone, Debug)]
pub struct Thing {
    /// What it is found by.
    pub key: Key,
    /// What a person reads.
    pub title: String,
    /// Whose it is.
    pub owner: Option<Key>,
    /// Whether a file that names the owner and leaves this out takes it away.
    pub owned: bool,
    /// Its fields. One that only the installation has is not compared.
    pub fields: Vec<Field>,
}

fn thing(key: Key, title: impl Into<String>, fields: Vec<Field>) -> Thing {
    Thing { key, title: title.into(), owner: None, owned: false, fields }
}

fn part(owner: &Key, key: Key, title: impl Into<String>, fields: Vec<Field>) -> Thing {
    Thing { owner: Some(owner.clone()), owned: true, ..thing(key, title, fields) }
}

fn some(text: impl ToString) -> Option<String> {
    Some(text.to_string())
}

fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let names: Vec<&str> = names.into_iter().collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// A set of names, in one order whatever order it was written in.
fn set<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let mut names: Vec<&str> = names.into_iter().collect();
    names.sort_unstable();
    names.dedup();
    list(names)
}

/// The key of the organization: there is one.
pub fn organization_key() -> Key {
    (Kind::Organization, String::new())
}

/// The key of a group by its path.
pub fn group_key(path: &str) -> Key {
    (Kind::Group, path.to_lowercase())
}

/// The key of a person by their address.
pub fn user_key(email: &str) -> Key {
    (Kind::User, email.to_lowercase())
}

/// The key of a membership.
pub fn membership_key(email: &str, path: &str) -> Key {
    (Kind::Membership, format!("{} {}", email.to_lowercase(), path.to_lowercase()))
}

/// The key of a rule.
pub fn authorization_key(group: Option<&str>, target: &Target, mode: Mode) -> Key {
    let what = match target {
        Target::Model(name) => format!("model {name}"),
        Target::Tier(name) => format!("tier {}", name.to_lowercase()),
        Target::All => "all".to_owned(),
    };
    // A rule that only observes stands beside the one that decides.
    let beside = if mode == Mode::Observe { ", observed" } else { "" };
    (Kind::Authorization, format!("{what} for {}{beside}", group.unwrap_or_default().to_lowercase()))
}

/// The key of an application.
pub fn application_key(group: &str, name: &str) -> Key {
    (Kind::Application, format!("{}/{}", group.to_lowercase(), name.to_lowercase()))
}

/// The key of a limit.
pub fn limit_key(owner: &Key, limit: &Limit) -> Key {
    limit_key_of(owner, limit.metric, limit.window)
}

/// The same, of what it counts.
pub fn limit_key_of(owner: &Key, metric: Metric, window: Window) -> Key {
    (Kind::Limit, format!("{} {} {metric} {window}", owner.0.as_str(), owner.1))
}

/// Everything in a document, owners before what they own.
pub fn of(document: &Document) -> Vec<Thing> {
    let mut things = Vec::new();
    if let Some(organization) = &document.organization {
        push_organization(&mut things, organization);
    }
    things.extend(document.tiers.iter().map(tier));
    things.extend(document.providers.iter().map(provider));
    things.extend(document.models.iter().map(model));
    for group in &document.groups {
        push_group(&mut things, group);
    }
    for user in &document.users {
        push_user(&mut things, user);
    }
    for authorization in &document.authorizations {
        push_authorization(&mut things, authorization);
    }
    things.extend(document.policies.iter().map(policy));
    for application in &document.applications {
        push_application(&mut things, application);
    }
    things
}

/// The keys of the things whose parts the file decides about.
pub fn deciding(document: &Document) -> HashSet<Key> {
    let mut keys: HashSet<Key> = of(document).into_iter().map(|thing| thing.key).collect();
    if document.organization.as_ref().is_none_or(|organization| organization.settings.is_none()) {
        keys.remove(&organization_key());
    }
    keys
}

fn push_organization(things: &mut Vec<Thing>, organization: &Organization) {
    let key = organization_key();
    let mut fields = vec![("name", some(&organization.name))];
    let mut limits = &Vec::new();
    if let Some(settings) = &organization.settings {
        fields.extend([
            ("time_zone", some(&settings.time_zone)),
            ("week_start", some(settings.week_start)),
            ("default_user_limit", settings.default_user_limit.map(Money::exact)),
            ("budget_status", some(settings.budget_status)),
            ("contact", settings.contact.clone()),
            ("member_applications", some(settings.members.applications)),
            ("member_requests", some(settings.members.requests)),
            ("default_groups", set(settings.default_groups.iter().map(|group| group.name.as_str()))),
        ]);
        limits = &settings.limits;
    }
    let title = organization.name.as_str().to_owned();
    things.push(thing(key.clone(), &title, fields));
    push_limits(things, &key, &format!("organization {title}"), limits);
}

fn tier(tier: &Tier) -> Thing {
    let fields = vec![("name", some(&tier.name)), ("high_cost", some(tier.high_cost))];
    thing((Kind::Tier, tier.name.as_str().to_lowercase()), tier.name.as_str(), fields)
}

fn provider(provider: &Provider) -> Thing {
    let mut fields = vec![
        ("name", some(&provider.name)),
        ("dialect", some(provider.dialect)),
        ("base_url", some(&provider.base_url)),
        ("allow_private_address", some(provider.allow_private_address)),
    ];
    fields.extend(
        Wait::ALL.iter().map(|&wait| (wait_field(wait), provider.waits.get(wait).map(|it| it.to_string()))),
    );
    match &provider.credential {
        None => {}
        Some(Source::Nothing) => fields.extend([("credential.env", None), ("credential.optional", None)]),
        Some(Source::Variable { name, optional }) => {
            fields.extend([("credential.env", some(name)), ("credential.optional", some(optional))]);
        }
    }
    thing((Kind::Provider, provider.name.as_str().to_lowercase()), provider.name.as_str(), fields)
}

/// The field that says how long is waited for something.
pub const fn wait_field(wait: Wait) -> &'static str {
    match wait {
        Wait::Connection => "timeouts.connection",
        Wait::FirstByte => "timeouts.first_byte",
        Wait::Silence => "timeouts.between_chunks",
        Wait::Total => "timeouts.total",
    }
}

/// The field that says what a bucket costs.
const fn price_field(key: PriceKey) -> &'static str {
    match key {
        PriceKey::Input => "price.input",
        PriceKey::CacheRead => "price.cache_read",
        PriceKey::CacheWrite => "price.cache_write",
        PriceKey::CacheWriteLong => "price.cache_write_long",
        PriceKey::Output => "price.output",
        PriceKey::Reasoning => "price.reasoning",
        PriceKey::AudioInput => "price.audio_input",
        PriceKey::AudioOutput => "price.audio_output",
        PriceKey::Image => "price.image",
        PriceKey::Call => "price.call",
        PriceKey::WebSearch => "price.web_search",
        PriceKey::FileSearch => "price.file_search",
        PriceKey::CodeSession => "price.code_session",
    }
}

fn model(model: &Model) -> Thing {
    let mut fields = vec![
        ("name", some(&model.name)),
        ("provider", some(&model.provider)),
        ("upstream", some(&model.upstream)),
        ("modality", some(model.modality)),
        ("tier", some(&model.tier)),
        ("context_tokens", model.context_tokens.map(|tokens| tokens.to_string())),
        ("max_output_tokens", model.max_output_tokens.map(|tokens| tokens.to_string())),
        ("review", some(model.review)),
    ];
    let price = |&key: &PriceKey| (price_field(key), model.price.own(key).map(|price| price.exact()));
    fields.extend(PriceKey::ALL.iter().map(price));
    thing((Kind::Model, model.name.as_str().to_owned()), model.name.as_str(), fields)
}

fn push_group(things: &mut Vec<Thing>, group: &Group) {
    let path = group.path_text();
    let key = group_key(&path);
    let fields = vec![
        ("name", group.path.last().map(ToString::to_string)),
        ("kind", some(group.kind)),
        ("ends_on", group.ends_on.map(|day| day.to_string())),
        ("policy", group.policy.clone()),
    ];
    things.push(thing(key.clone(), &path, fields));
    push_limits(things, &key, &format!("group {path}"), &group.limits);
}

fn push_user(things: &mut Vec<Thing>, user: &User) {
    let email = user.email.as_str();
    let key = user_key(email);
    let fields =
        vec![("name", some(&user.name)), ("role", some(user.role)), ("suspended", some(user.suspended))];
    things.push(thing(key.clone(), email, fields));
    push_limits(things, &key, &format!("user {email}"), &user.limits);
    for membership in &user.groups {
        let own = membership_key(email, &membership.path);
        let title = format!("{email} in {}", membership.path);
        let fields = vec![
            ("lead", some(membership.standing == Standing::Lead)),
            ("ends_at", membership.ends_at.map(super::print::moment)),
        ];
        things.push(part(&key, own.clone(), &title, fields));
        push_limits(things, &own, &title, &membership.limits);
    }
}

/// `tier general for the organization`.
pub fn authorization_title(authorization: &Authorization) -> String {
    let what = match &authorization.target {
        Target::Model(name) => format!("model {name}"),
        Target::Tier(name) => format!("tier {name}"),
        Target::All => "all models".to_owned(),
    };
    let beside = if authorization.mode == Mode::Observe { ", only observed" } else { "" };
    format!("{what} for {}{beside}", authorization.group.as_deref().unwrap_or("the organization"))
}

fn push_authorization(things: &mut Vec<Thing>, authorization: &Authorization) {
    let owner = authorization.group.as_deref().map_or_else(organization_key, group_key);
    let key = authorization_key(authorization.group.as_deref(), &authorization.target, authorization.mode);
    let title = authorization_title(authorization);
    let fields = vec![
        ("state", some(authorization.state)),
        ("locked", some(authorization.locked)),
        ("ends_at", authorization.ends_at.map(super::print::moment)),
    ];
    things.push(part(&owner, key.clone(), &title, fields));
    push_limits(things, &key, &format!("authorization {title}"), &authorization.limits);
}

fn policy(policy: &Policy) -> Thing {
    let step = |(model, weight, rules): &(super::document::Reference, i32, StepRules)| {
        let name = match policy.routing {
            Routing::Fallback => model.name.clone(),
            Routing::Balance => format!("{} × {weight}", model.name),
        };
        let words = rules.words();
        if words.is_empty() { name } else { format!("{name} ({words})") }
    };
    let steps: Vec<String> = policy.steps.iter().map(step).collect();
    let fields = vec![("routing", some(policy.routing)), ("models", Some(steps.join(", ")))];
    thing((Kind::Policy, policy.name.as_str().to_owned()), policy.name.as_str(), fields)
}

fn push_application(things: &mut Vec<Thing>, application: &Application) {
    let key = application_key(&application.group, application.name.as_str());
    let title = format!("{} in {}", application.name, application.group);
    let models = match &application.key.models {
        KeyModels::All => some("all"),
        KeyModels::These(models) => set(models.iter().map(|model| model.name.as_str())),
    };
    let fields = vec![
        ("name", some(&application.name)),
        ("description", some(&application.description).filter(|text| !text.is_empty())),
        ("use_cases", set(application.use_cases.iter().map(String::as_str))),
        ("key.models", models),
        ("key.features", list(application.key.features.iter().map(|feature| feature.as_str()))),
        ("key.policy", application.key.policy.clone()),
        ("key.cache_seconds", application.key.handling.cache_seconds.map(|seconds| seconds.to_string())),
        ("key.guardrails", set(application.key.handling.guardrails.words().iter().map(String::as_str))),
        ("key.assigned_groups", set(application.key.assigned_groups.iter().map(|it| it.name.as_str()))),
    ];
    things.push(thing(key.clone(), &title, fields));
    push_limits(things, &key, &format!("application {title}"), &application.key.limits);
    if application.service_secret {
        let own = (Kind::Secret, key.1.clone());
        things
            .push(Thing { owner: Some(key), ..thing(own, format!("service secret of {title}"), Vec::new()) });
    }
}

fn push_limits(things: &mut Vec<Thing>, owner: &Key, of: &str, limits: &[Limit]) {
    for limit in limits {
        let title = match limit.metric {
            Metric::ConcurrentCalls => format!("{} of {of}", limit.metric),
            _ => format!("{} {} of {of}", limit.metric, limit.window.per()),
        };
        let thresholds: Vec<String> = limit.thresholds.iter().map(ToString::to_string).collect();
        let cap =
            if limit.metric == Metric::Spend { Money(limit.cap).exact() } else { limit.cap.to_string() };
        let fields = vec![
            ("cap", Some(cap)),
            ("mode", some(limit.mode)),
            ("thresholds", list(thresholds.iter().map(String::as_str))),
        ];
        things.push(part(owner, limit_key(owner, limit), title, fields));
    }
}

/// The plain monthly limit of a person, which has a field of its own.
pub fn is_monthly_limit(limit: &Limit) -> bool {
    limit.metric == Metric::Spend
        && limit.window == domain::window::Window::Month
        && limit.mode == Mode::Enforce
        && limit.thresholds.is_empty()
}
