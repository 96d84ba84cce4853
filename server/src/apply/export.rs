//! An installation as a file: the same format, always in the same order, without figures and
//! without secrets. What has its default is left out, except where a reader would ask.

use domain::{
    groups::Standing,
    guardrails::{ANSWERS, Guardrails},
    limits::{Metric, Mode},
    models::Review,
    money::Money,
    organizations::BudgetStatus,
    policies::{Routing, StepRules, Troubles},
    providers::Wait,
};

use super::{
    document::{
        Application, Authorization, Group, KeyModels, Limit, Membership, Model, Policy, Provider, Reference,
        Settings, Source, Target, User,
    },
    present::Present,
    print::moment,
    things,
};

/// A text in quotes, always on one line. What JSON escapes TOML escapes the same way, but for one
/// character that only TOML wants escaped.
fn text(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

fn texts<'a>(list: impl IntoIterator<Item = &'a str>) -> String {
    let list: Vec<String> = list.into_iter().map(text).collect();
    format!("[{}]", list.join(", "))
}

fn names(list: &[Reference]) -> String {
    texts(list.iter().map(|reference| reference.name.as_str()))
}

/// Lines of a table.
#[derive(Default)]
struct Fields(String);

impl Fields {
    fn put(&mut self, field: &str, value: impl std::fmt::Display) -> &mut Self {
        self.0 += &format!("{field} = {value}\n");
        self
    }

    fn put_some(&mut self, field: &str, value: Option<impl std::fmt::Display>) -> &mut Self {
        if let Some(value) = value {
            self.put(field, value);
        }
        self
    }

    fn put_if(&mut self, so: bool, field: &str, value: impl std::fmt::Display) -> &mut Self {
        if so { self.put(field, value) } else { self }
    }

    fn limits(&mut self, list: &[Limit]) -> &mut Self {
        self.put_if(!list.is_empty(), "limits", limits(list))
    }
}

/// A table in one line.
fn inline(fields: &[(&str, Option<String>)]) -> String {
    let written = fields.iter().filter_map(|(field, value)| Some(format!("{field} = {}", value.as_ref()?)));
    format!("{{ {} }}", written.collect::<Vec<_>>().join(", "))
}

fn limits(list: &[Limit]) -> String {
    let one = |limit: &Limit| {
        let window = (limit.metric != Metric::ConcurrentCalls).then(|| text(limit.window.as_str()));
        let cap = match limit.metric {
            Metric::Spend => text(&Money(limit.cap).exact()),
            _ => limit.cap.to_string(),
        };
        let thresholds: Vec<String> = limit.thresholds.iter().map(ToString::to_string).collect();
        inline(&[
            ("metric", Some(text(limit.metric.as_str()))),
            ("window", window),
            ("cap", Some(cap)),
            ("mode", (limit.mode != Mode::Enforce).then(|| text(limit.mode.as_str()))),
            ("thresholds", (!thresholds.is_empty()).then(|| format!("[{}]", thresholds.join(", ")))),
        ])
    };
    format!("[{}]", list.iter().map(one).collect::<Vec<_>>().join(", "))
}

/// The file that an organization is.
pub fn file(present: &Present) -> String {
    let document = &present.document;
    let mut parts = Vec::new();
    if let Some(organization) = &document.organization {
        let mut fields = Fields::default();
        fields.put("name", text(organization.name.as_str()));
        if let Some(it) = &organization.settings {
            settings(&mut fields, it);
        }
        parts.push(format!("[organization]\n{}", fields.0));
    }
    tables(&mut parts, "providers", &document.providers, |provider| provider_fields(provider, present));
    tables(&mut parts, "tiers", &document.tiers, |tier| {
        let mut fields = Fields::default();
        fields.put("name", text(tier.name.as_str())).put_if(tier.high_cost, "high_cost", true);
        fields
    });
    tables(&mut parts, "models", &document.models, model);
    tables(&mut parts, "groups", &document.groups, group);
    tables(&mut parts, "users", &document.users, |it| user(it, present));
    tables(&mut parts, "authorizations", &document.authorizations, authorization);
    tables(&mut parts, "policies", &document.policies, policy);
    tables(&mut parts, "applications", &document.applications, application);
    parts.join("\n")
}

fn tables<T>(parts: &mut Vec<String>, name: &str, things: &[T], fields: impl Fn(&T) -> Fields) {
    parts.extend(things.iter().map(|thing| format!("[[{name}]]\n{}", fields(thing).0)));
}

fn settings(fields: &mut Fields, it: &Settings) {
    let status = it.budget_status;
    fields
        .put("time_zone", text(&it.time_zone))
        .put("week_start", text(it.week_start.as_str()))
        .put_some("default_user_limit", it.default_user_limit.map(|money| text(&money.exact())))
        .put_if(status != BudgetStatus::PaymentRequired, "budget_status", text(status.as_str()))
        .put_some("contact", it.contact.as_deref().map(text))
        .put_if(!it.members.applications, "member_applications", false)
        .put_if(!it.members.requests, "member_requests", false)
        .put_if(!it.default_groups.is_empty(), "default_groups", names(&it.default_groups))
        .limits(&it.limits);
}

fn provider_fields(provider: &Provider, present: &Present) -> Fields {
    let mut fields = Fields::default();
    fields
        .put("name", text(provider.name.as_str()))
        .put("dialect", text(provider.dialect.as_str()))
        .put("base_url", text(&provider.base_url));
    match &provider.credential {
        Some(Source::Variable { name, optional }) => {
            let optional = optional.then(|| "true".to_owned());
            fields.put("credential", inline(&[("env", Some(text(name))), ("optional", optional)]));
        }
        Some(Source::Nothing) | None => {
            if present.credentials.contains_key(&provider.name.as_str().to_lowercase()) {
                fields.0 +=
                    "# Its credential was typed into the console. Applying this file leaves it alone.\n";
            }
        }
    }
    let waits =
        Wait::ALL.iter().map(|wait| (wait.as_str(), provider.waits.get(*wait).map(|it| it.to_string())));
    let waits: Vec<(&str, Option<String>)> = waits.filter(|(_, seconds)| seconds.is_some()).collect();
    fields.put_if(provider.allow_private_address, "allow_private_address", true).put_if(
        !waits.is_empty(),
        "timeouts",
        inline(&waits),
    );
    fields
}

fn model(model: &Model) -> Fields {
    let mut fields = Fields::default();
    fields
        .put("name", text(model.name.as_str()))
        .put("provider", text(&model.provider))
        .put("upstream", text(&model.upstream))
        .put("modality", text(model.modality.as_str()))
        .put("tier", text(&model.tier))
        .put_some("context_tokens", model.context_tokens)
        .put_some("max_output_tokens", model.max_output_tokens)
        .put_if(model.review == Review::Pending, "review", text(model.review.as_str()));
    let prices: Vec<(&str, Option<String>)> =
        model.price.set().map(|(key, price)| (key.as_str(), Some(text(&price.exact())))).collect();
    fields.put_if(!prices.is_empty(), "price", inline(&prices));
    fields
}

fn group(group: &Group) -> Fields {
    let mut fields = Fields::default();
    fields
        .put("path", text(&group.path_text()))
        .put("kind", text(group.kind.as_str()))
        .put_some("ends_on", group.ends_on.map(|day| text(&day.to_string())))
        .put_some("policy", group.policy.as_deref().map(text))
        .limits(&group.limits);
    fields
}

fn user(user: &User, present: &Present) -> Fields {
    let mut fields = Fields::default();
    let (monthly, others): (Vec<&Limit>, Vec<&Limit>) =
        user.limits.iter().partition(|limit| things::is_monthly_limit(limit));
    let others: Vec<Limit> = others.into_iter().cloned().collect();
    let email = user.email.as_str();
    let by_hand =
        |membership: &&Membership| !present.is_kept(&things::membership_key(email, &membership.path));
    let groups: Vec<String> = user.groups.iter().filter(by_hand).map(membership).collect();
    fields
        .put("email", text(email))
        .put("name", text(user.name.as_str()))
        .put("role", text(user.role.as_str()))
        .put_if(user.suspended, "suspended", true)
        .put_some("monthly_limit", monthly.first().map(|limit| text(&Money(limit.cap).exact())))
        .limits(&others)
        .put_if(!groups.is_empty(), "groups", format!("[{}]", groups.join(", ")));
    fields
}

fn membership(membership: &Membership) -> String {
    inline(&[
        ("path", Some(text(&membership.path))),
        ("lead", (membership.standing == Standing::Lead).then(|| "true".to_owned())),
        ("ends_at", membership.ends_at.map(|at| text(&moment(at)))),
        ("limits", (!membership.limits.is_empty()).then(|| limits(&membership.limits))),
    ])
}

fn authorization(rule: &Authorization) -> Fields {
    let mut fields = Fields::default();
    fields.put_some("group", rule.group.as_deref().map(text));
    match &rule.target {
        Target::Model(name) => fields.put("model", text(name)),
        Target::Tier(name) => fields.put("tier", text(name)),
        Target::All => fields.put("models", text("all")),
    };
    fields
        .put("state", text(rule.state.as_str()))
        .put_if(rule.locked, "locked", true)
        .put_some("ends_at", rule.ends_at.map(|at| text(&moment(at))))
        .put_some("mode", (rule.mode != Mode::Enforce).then(|| text(rule.mode.as_str())))
        .limits(&rule.limits);
    fields
}

fn policy(policy: &Policy) -> Fields {
    let mut fields = Fields::default();
    let step = |(model, weight, rules): &(Reference, i32, StepRules)| {
        let balance = policy.routing == Routing::Balance;
        if !balance && *rules == StepRules::default() {
            return text(&model.name);
        }
        let after: Vec<&str> = rules.after.iter().map(|trouble| trouble.as_str()).collect();
        inline(&[
            ("model", Some(text(&model.name))),
            ("weight", balance.then(|| weight.to_string())),
            ("attempts", (rules.attempts != 1).then(|| rules.attempts.to_string())),
            ("first_byte", rules.first_byte.map(|seconds| seconds.to_string())),
            ("after", (rules.after != Troubles::all()).then(|| texts(after))),
        ])
    };
    let steps = format!("[{}]", policy.steps.iter().map(step).collect::<Vec<_>>().join(", "));
    fields.put("name", text(policy.name.as_str())).put(policy.routing.as_str(), steps);
    fields
}

fn guardrails(rails: Guardrails) -> String {
    let actions = rails.iter().map(|(guard, action)| (guard.as_str(), Some(text(action.as_str()))));
    let answers = rails.answers.then(|| (ANSWERS, Some("true".to_owned())));
    inline(&actions.chain(answers).collect::<Vec<_>>())
}

fn application(application: &Application) -> Fields {
    let key = &application.key;
    let models = match &key.models {
        KeyModels::All => text("all"),
        KeyModels::These(models) => names(models),
    };
    let key = inline(&[
        ("models", Some(models)),
        ("features", Some(texts(key.features.iter().map(|feature| feature.as_str())))),
        ("policy", key.policy.as_deref().map(text)),
        ("assigned_groups", (!key.assigned_groups.is_empty()).then(|| names(&key.assigned_groups))),
        ("cache_seconds", key.handling.cache_seconds.map(|seconds| seconds.to_string())),
        ("guardrails", (!key.handling.guardrails.is_empty()).then(|| guardrails(key.handling.guardrails))),
        ("limits", (!key.limits.is_empty()).then(|| limits(&key.limits))),
    ]);
    let mut fields = Fields::default();
    fields
        .put("name", text(application.name.as_str()))
        .put("group", text(&application.group))
        .put_if(!application.description.is_empty(), "description", text(&application.description))
        .put_if(
            !application.use_cases.is_empty(),
            "use_cases",
            texts(application.use_cases.iter().map(String::as_str)),
        )
        .put("key", key)
        .put_if(application.service_secret, "service_secret", true);
    fields
}
