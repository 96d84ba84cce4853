//! Authorizations, and applications with their keys.

use domain::{
    guardrails::{ANSWERS, Action, Guard, Guardrails},
    keys::{CACHE_MAX_SECONDS, Feature, Handling},
    limits::Mode,
    names::Name,
};

use crate::apply::{
    document::{Application, Authorization, Key, KeyModels, Target},
    fields::Table,
    mistakes::quote,
};

pub fn authorization(table: &Table<'_>) -> Option<Authorization> {
    let group = table.has("group").then(|| table.text("group"));
    let target = target(table);
    let state = table.need("state", "\"open\", \"by_request\" or \"closed\"", Table::word);
    let locked = table.flag("locked").unwrap_or(false);
    let ends_at = table.moment("ends_at");
    let mode = table.word("mode").unwrap_or(Mode::Enforce);
    let limits = super::limits(table);
    let group = match group {
        // Written and wrong: not the whole organization.
        Some(None) => return None,
        Some(Some(path)) => Some(path.to_owned()),
        None => None,
    };
    Some(Authorization {
        lines: table.lines(),
        group,
        target: target?,
        state: state?,
        locked,
        ends_at,
        mode,
        limits,
    })
}

/// One of `model`, `tier` and `models = "all"`: opening everything is never an omission.
fn target(table: &Table<'_>) -> Option<Target> {
    let written = [table.has("model"), table.has("tier"), table.has("models")];
    if written.iter().filter(|written| **written).count() != 1 {
        let field = if written[1] { "tier" } else { "model" };
        table.wrong(field, "Expected exactly one of model = \"…\", tier = \"…\" and models = \"all\".");
        return None;
    }
    if written[0] {
        return table.text("model").map(|name| Target::Model(name.to_owned()));
    }
    if written[1] {
        return table.text("tier").map(|name| Target::Tier(name.to_owned()));
    }
    match table.text("models")? {
        "all" => Some(Target::All),
        other => {
            table.wrong("models", format!("Expected \"all\". This is {}.", quote(other)));
            None
        }
    }
}

pub fn application(table: &Table<'_>) -> Option<Application> {
    let name: Option<Name> = table.need("name", "a name", Table::parsed);
    let group = table.need("group", "the path of the group it lives in", Table::text);
    let description = table.text("description").unwrap_or_default().trim();
    if let Err(error) = store::applications::check_description(description) {
        table.wrong("description", super::sentence(&error));
    }
    let use_cases = use_cases(table);
    let key = table
        .need(
            "key",
            "its one key, for instance { models = \"all\", features = [\"streaming\"] }",
            Table::table,
        )
        .and_then(|inner| {
            let key = key(&inner);
            inner.done();
            key
        });
    let service_secret = table.flag("service_secret").unwrap_or(false);
    Some(Application {
        lines: table.lines(),
        name: name?,
        group: group?.to_owned(),
        description: description.to_owned(),
        use_cases,
        key: key?,
        service_secret,
    })
}

fn use_cases(table: &Table<'_>) -> Vec<String> {
    let written = table.texts("use_cases").unwrap_or_default();
    if written.len() > store::applications::MOST_USE_CASES {
        table.wrong("use_cases", format!("At most {} use cases fit.", store::applications::MOST_USE_CASES));
    }
    let mut names = Vec::new();
    for use_case in written {
        if let Err(error) = store::applications::check_use_case(&use_case.name) {
            let sentence = super::sentence(&error)
                .replace(&use_case.name, quote(&use_case.name).trim_matches(['“', '”']));
            table.wrong_on(use_case.line, "use_cases", sentence);
        } else if names.contains(&use_case.name) {
            table.wrong_on(use_case.line, "use_cases", format!("{} is here twice.", quote(&use_case.name)));
        } else {
            names.push(use_case.name);
        }
    }
    names
}

fn key(table: &Table<'_>) -> Option<Key> {
    let models =
        table.need("models", "\"all\", or a list of models", |table, field| match table.raw([field]) {
            Some("all") => Some(KeyModels::All),
            Some(other) => {
                table.wrong(
                    field,
                    format!("Expected \"all\", or a list of models. This is {}.", quote(other)),
                );
                None
            }
            None => table.texts(field).map(KeyModels::These),
        });
    let features = table.words::<Feature>("features").into_iter().collect();
    let policy = table.text("policy").map(str::to_owned);
    let assigned_groups = table.texts("assigned_groups").unwrap_or_default();
    let cache_seconds = table
        .count("cache_seconds", 1..=i64::from(CACHE_MAX_SECONDS))
        .and_then(|seconds| u32::try_from(seconds).ok());
    let handling = Handling { cache_seconds, guardrails: guardrails(table) };
    let limits = super::limits(table);
    Some(Key { lines: table.lines(), models: models?, features, policy, assigned_groups, handling, limits })
}

/// `{ secret = "refuse", email = "mask", answers = true }`.
fn guardrails(table: &Table<'_>) -> Guardrails {
    let Some(inner) = table.has("guardrails").then(|| table.table("guardrails")).flatten() else {
        return Guardrails::default();
    };
    let read = |rails: Guardrails, guard: &Guard| rails.with(*guard, inner.word::<Action>(guard.as_str()));
    let mut rails = Guard::ALL.iter().fold(Guardrails::default(), read);
    rails.answers = inner.flag(ANSWERS).unwrap_or_default();
    inner.done();
    rails
}
