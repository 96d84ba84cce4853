//! Mistakes that show only when the whole file, or the installation, is known: names given twice,
//! names that mean nothing, groups without a parent.

mod ended;

use std::collections::{HashMap, HashSet};

use super::{
    document::{Document, KeyModels, Lines, Reference, Target},
    mistakes::{Mistake, quote, unknown},
    present::Present,
    things::{self, Kind},
};

/// Names that can be referred to: those of the file, and those of the installation that the file
/// does not spell anew.
struct Known<'a> {
    kind: Kind,
    what: &'static str,
    names: HashSet<&'a str>,
    broken: &'a HashSet<(Kind, String)>,
}

impl<'a> Known<'a> {
    fn new(
        kind: Kind,
        what: &'static str,
        file: &'a Document,
        written: impl Iterator<Item = &'a str>,
        stored: impl Iterator<Item = &'a str>,
    ) -> Self {
        let mut names: HashSet<&str> = written.collect();
        let spelled: HashSet<String> = names.iter().map(|name| name.to_lowercase()).collect();
        let exact = matches!(kind, Kind::Model | Kind::Policy);
        names.extend(stored.filter(|name| exact || !spelled.contains(&name.to_lowercase())));
        Self { kind, what, names, broken: &file.broken }
    }

    /// The mistake in referring to a name, if it is one.
    fn missing(&self, name: &str) -> Option<String> {
        let known = self.names.contains(name) || self.broken.contains(&(self.kind, name.to_owned()));
        (!known).then(|| unknown(self.what, name, self.names.iter().copied()))
    }
}

/// Everything that is wrong with a file in front of this installation.
pub fn check(file: &Document, present: &Present) -> Vec<Mistake> {
    let mut mistakes = twice(file);
    let stored = &present.document;
    let group_paths: Vec<String> = file.groups.iter().map(super::document::Group::path_text).collect();
    let stored_paths: Vec<String> = stored.groups.iter().map(super::document::Group::path_text).collect();
    let known = All {
        tiers: Known::new(
            Kind::Tier,
            "tier",
            file,
            file.tiers.iter().map(|it| it.name.as_str()),
            stored.tiers.iter().map(|it| it.name.as_str()),
        ),
        providers: Known::new(
            Kind::Provider,
            "provider",
            file,
            file.providers.iter().map(|it| it.name.as_str()),
            stored.providers.iter().map(|it| it.name.as_str()),
        ),
        models: Known::new(
            Kind::Model,
            "model",
            file,
            file.models.iter().map(|it| it.name.as_str()),
            stored.models.iter().map(|it| it.name.as_str()),
        ),
        policies: Known::new(
            Kind::Policy,
            "policy",
            file,
            file.policies.iter().map(|it| it.name.as_str()),
            stored.policies.iter().map(|it| it.name.as_str()),
        ),
        groups: Known::new(
            Kind::Group,
            "group",
            file,
            group_paths.iter().map(String::as_str),
            stored_paths.iter().map(String::as_str),
        ),
    };
    known.check(file, &mut mistakes);
    review(file, present, &mut mistakes);
    ended::check(file, present, &mut mistakes);
    mistakes
}

struct All<'a> {
    tiers: Known<'a>,
    providers: Known<'a>,
    models: Known<'a>,
    policies: Known<'a>,
    groups: Known<'a>,
}

impl All<'_> {
    fn check(&self, file: &Document, mistakes: &mut Vec<Mistake>) {
        let settings = file.organization.as_ref().and_then(|it| it.settings.as_ref().map(|s| (&it.lines, s)));
        if let Some((lines, settings)) = settings {
            each(&self.groups, lines, "default_groups", &settings.default_groups, mistakes);
        }
        for model in &file.models {
            one(&self.providers, &model.lines, "provider", &model.provider, mistakes);
            one(&self.tiers, &model.lines, "tier", &model.tier, mistakes);
        }
        for group in &file.groups {
            if let Some(parent) = group.parent_text()
                && let Some(sentence) = self.groups.missing(&parent)
            {
                let sentence =
                    format!("{sentence} A group needs the one above it: write it too, or mend the path.");
                mistakes.push(group.lines.mistake("path", sentence));
            }
            if let Some(policy) = &group.policy {
                one(&self.policies, &group.lines, "policy", policy, mistakes);
            }
        }
        for membership in file.users.iter().flat_map(|user| &user.groups) {
            one(&self.groups, &membership.lines, "path", &membership.path, mistakes);
        }
        for rule in &file.authorizations {
            if let Some(group) = &rule.group {
                one(&self.groups, &rule.lines, "group", group, mistakes);
            }
            match &rule.target {
                Target::Model(name) => one(&self.models, &rule.lines, "model", name, mistakes),
                Target::Tier(name) => one(&self.tiers, &rule.lines, "tier", name, mistakes),
                Target::All => {}
            }
        }
        for policy in &file.policies {
            let models: Vec<Reference> = policy.steps.iter().map(|(model, ..)| model.clone()).collect();
            each(&self.models, &policy.lines, policy.routing.as_str(), &models, mistakes);
        }
        for application in &file.applications {
            one(&self.groups, &application.lines, "group", &application.group, mistakes);
            let key = &application.key;
            if let KeyModels::These(models) = &key.models {
                each(&self.models, &key.lines, "models", models, mistakes);
            }
            if let Some(policy) = &key.policy {
                one(&self.policies, &key.lines, "policy", policy, mistakes);
            }
            each(&self.groups, &key.lines, "assigned_groups", &key.assigned_groups, mistakes);
        }
    }
}

fn one(known: &Known<'_>, lines: &Lines, field: &str, name: &str, mistakes: &mut Vec<Mistake>) {
    mistakes.extend(known.missing(name).map(|sentence| lines.mistake(field, sentence)));
}

fn each(known: &Known<'_>, lines: &Lines, field: &str, names: &[Reference], mistakes: &mut Vec<Mistake>) {
    for (place, reference) in names.iter().enumerate() {
        let missing = known.missing(&reference.name);
        let again = names[..place].iter().any(|earlier| earlier.name == reference.name);
        let sentence =
            missing.or_else(|| again.then(|| format!("{} is here twice.", quote(&reference.name))));
        mistakes.extend(sentence.map(|sentence| lines.mistake_on(reference.line, field, sentence)));
    }
}

/// Things of one name: the second is the mistake, and says where the first is.
fn twice(file: &Document) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let mut seen = HashMap::<things::Key, usize>::new();
    let mut meet = |key: things::Key, what: String, field: &str, lines: &Lines| match seen.get(&key) {
        Some(first) => {
            let sentence = format!("There is already {what} on line {first}.");
            mistakes.push(lines.mistake(field, sentence));
        }
        None => {
            seen.insert(key, lines.of(field));
        }
    };
    for tier in &file.tiers {
        let name = tier.name.as_str();
        meet((Kind::Tier, name.to_lowercase()), format!("a tier {}", quote(name)), "name", &tier.lines);
    }
    for provider in &file.providers {
        let name = provider.name.as_str();
        let key = (Kind::Provider, name.to_lowercase());
        meet(key, format!("a provider {}", quote(name)), "name", &provider.lines);
    }
    for model in &file.models {
        let name = model.name.as_str();
        meet((Kind::Model, name.to_owned()), format!("a model {}", quote(name)), "name", &model.lines);
    }
    for group in &file.groups {
        let path = group.path_text();
        meet(things::group_key(&path), format!("a group {}", quote(&path)), "path", &group.lines);
    }
    for user in &file.users {
        let email = user.email.as_str();
        meet(things::user_key(email), format!("a user {}", quote(email)), "email", &user.lines);
    }
    for rule in &file.authorizations {
        let key = things::authorization_key(rule.group.as_deref(), &rule.target, rule.mode);
        let field = match rule.target {
            Target::Model(_) => "model",
            Target::Tier(_) => "tier",
            Target::All => "models",
        };
        let what = format!("a rule of {}", things::authorization_title(rule));
        meet(key, what, field, &rule.lines);
    }
    for policy in &file.policies {
        let name = policy.name.as_str();
        meet((Kind::Policy, name.to_owned()), format!("a policy {}", quote(name)), "name", &policy.lines);
    }
    for application in &file.applications {
        let key = things::application_key(&application.group, application.name.as_str());
        let name = quote(application.name.as_str());
        let what = format!("an application {name} in {}", quote(&application.group));
        meet(key, what, "name", &application.lines);
    }
    mistakes
}

/// A model that was accepted does not wait again.
fn review(file: &Document, present: &Present, mistakes: &mut Vec<Mistake>) {
    use domain::models::Review;
    for model in file.models.iter().filter(|model| model.review == Review::Pending) {
        let known = present.document.models.iter().find(|known| known.name == model.name);
        if known.is_some_and(|known| known.review == Review::Accepted) {
            let sentence = "This model has been accepted already. Leave the field out; to close the model, \
                            write an authorization.";
            mistakes.push(model.lines.mistake("review", sentence));
        }
    }
}
