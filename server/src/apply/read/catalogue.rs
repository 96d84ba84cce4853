//! Providers, tiers, models, policies.

use domain::{
    models::Review,
    policies::{Routing, StepRules, Trouble},
    prices::{PriceKey, Prices},
    providers::{Wait, Waits},
};

use crate::apply::{
    document::{Model, Policy, Provider, Reference, Source, Tier},
    fields::Table,
    mistakes::quote,
};

pub fn provider(table: &Table<'_>) -> Option<Provider> {
    let name = table.need("name", "a name", Table::parsed);
    let dialect = table.need("dialect", "\"openai\" or \"anthropic\"", Table::word);
    let allow_private_address = table.flag("allow_private_address").unwrap_or(false);
    let base_url =
        table.need("base_url", "an address, for instance \"https://api.openai.com/v1\"", |table, field| {
            let text = table.text(field)?;
            let checked = store::providers::base_url(text, allow_private_address);
            checked.map_err(|error| table.wrong(field, super::sentence(&error))).ok()
        });
    let credential = credential(table);
    let waits = table.table("timeouts").map(|table| waits(&table)).unwrap_or_default();
    Some(Provider {
        lines: table.lines(),
        name: name?,
        dialect: dialect?,
        base_url: base_url?,
        allow_private_address,
        waits,
        credential: credential?,
    })
}

/// `timeouts = { connection = 5, first_byte = 60, between_chunks = 30, total = 600 }`, in seconds; what is
/// left out is as usual.
fn waits(table: &Table<'_>) -> Waits {
    let waits = Wait::ALL.iter().fold(Waits::default(), |waits, &wait| {
        let seconds = table.count(wait.as_str(), 1..=i64::from(wait.most()));
        waits.with(wait, seconds.and_then(|seconds| u16::try_from(seconds).ok()))
    });
    table.done();
    waits
}

/// `credential = { env = "NAME", optional = true }` or `credential = "none"`.
fn credential(table: &Table<'_>) -> Option<Option<Source>> {
    if !table.has("credential") {
        return Some(None);
    }
    if let Some(text) = table.raw(["credential"]) {
        if text == "none" {
            return Some(Some(Source::Nothing));
        }
        // It may be the credential itself: it is not repeated.
        table.wrong(
            "credential",
            "A credential is never written in a file. Name the environment variable it is in: { env = \"NAME\" }.",
        );
        return None;
    }
    let inner = table.table("credential")?;
    let name = inner.need("env", "the name of an environment variable", |inner, field| {
        let text = inner.text(field)?.trim();
        let fits = !text.is_empty()
            && text.len() <= 200
            && !text.starts_with(|c: char| c.is_ascii_digit())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !fits {
            let sentence = format!(
                "Expected the name of an environment variable: letters, digits and _. This is {}.",
                quote(text)
            );
            inner.wrong(field, sentence);
        }
        fits.then(|| text.to_owned())
    });
    let optional = inner.flag("optional").unwrap_or(false);
    inner.done();
    Some(Some(Source::Variable { name: name?, optional }))
}

pub fn tier(table: &Table<'_>) -> Option<Tier> {
    let name = table.need("name", "a name", Table::parsed);
    let high_cost = table.flag("high_cost").unwrap_or(false);
    Some(Tier { lines: table.lines(), name: name?, high_cost })
}

pub fn model(table: &Table<'_>) -> Option<Model> {
    let name = table.need("name", "what callers write", Table::parsed);
    let provider = table.need("provider", "the name of a provider", Table::text);
    let upstream = table.need("upstream", "what the provider calls the model", |table, field| {
        let text = table.text(field)?.trim();
        let checked = store::models::check_upstream(text);
        checked.map_err(|error| table.wrong(field, super::sentence(&error))).ok().map(|()| text.to_owned())
    });
    let modality = table.need("modality", "a modality, for instance \"chat\"", Table::word);
    let tier = table.need("tier", "the name of a tier", Table::text);
    let context_tokens = table.count("context_tokens", store::models::TOKENS);
    let max_output_tokens = table.count("max_output_tokens", store::models::TOKENS);
    let review = table.word("review").unwrap_or(Review::Accepted);
    let price = table.table("price").map(|table| price(&table)).unwrap_or_default();
    Some(Model {
        lines: table.lines(),
        name: name?,
        provider: provider?.to_owned(),
        upstream: upstream?,
        modality: modality?,
        tier: tier?.to_owned(),
        context_tokens,
        max_output_tokens,
        review,
        price,
    })
}

fn price(table: &Table<'_>) -> Prices {
    let read = |prices: Prices, &key: &PriceKey| prices.with(key, table.amount(key.as_str()));
    let prices = PriceKey::ALL.iter().fold(Prices::default(), read);
    table.done();
    prices
}

pub fn policy(table: &Table<'_>) -> Option<Policy> {
    let name = table.need("name", "a name", Table::parsed);
    let (routing, field) = match (table.has("fallback"), table.has("balance")) {
        (true, false) => (Routing::Fallback, "fallback"),
        (false, true) => (Routing::Balance, "balance"),
        (false, false) => {
            let sentence =
                "Write fallback = [\"first\", \"second\"] or balance = [{ model = \"one\", weight = 1 }].";
            table.wrong("fallback", sentence);
            return None;
        }
        (true, true) => {
            table.wrong("balance", "A policy is a fallback or a balance, not both.");
            return None;
        }
    };
    let steps: Vec<(Reference, i32, StepRules)> = table
        .texts_or_tables(field)
        .into_iter()
        .filter_map(|entry| match entry {
            Ok(model) if routing == Routing::Fallback => Some((model, 1, StepRules::default())),
            Ok(model) => {
                table.wrong_on(
                    model.line,
                    field,
                    "Expected a table, for instance { model = \"one\", weight = 1 }.",
                );
                None
            }
            Err(inner) => step(&inner, routing),
        })
        .collect();
    if !(1..=store::policies::MOST_STEPS).contains(&steps.len()) {
        table.wrong(field, format!("Expected 1 to {} models.", store::policies::MOST_STEPS));
    }
    for (place, (model, ..)) in steps.iter().enumerate() {
        if steps[..place].iter().any(|(earlier, ..)| earlier.name == model.name) {
            table.wrong_on(model.line, field, format!("The model {} is here twice.", quote(&model.name)));
        }
    }
    Some(Policy { lines: table.lines(), name: name?, routing, steps })
}

/// `{ model = "one", attempts = 2, first_byte = 20, after = ["timeout", "5xx"] }`, in a balance with its
/// weight. What is left out is as usual.
fn step(table: &Table<'_>, routing: Routing) -> Option<(Reference, i32, StepRules)> {
    let model = table.need("model", "the name of a model", Table::text);
    let weight = match routing {
        Routing::Fallback => Some(1),
        Routing::Balance => {
            table.need("weight", "a number from 1 to 1000", |table, field| table.count(field, 1..=1000))
        }
    };
    let usual = StepRules::default();
    let attempts = table.count("attempts", 1..=i64::from(StepRules::ATTEMPTS_MAX));
    let first_byte = table.count("first_byte", 1..=i64::from(StepRules::FIRST_BYTE_MAX));
    let rules = StepRules {
        after: if table.has("after") {
            table.words::<Trouble>("after").into_iter().collect()
        } else {
            usual.after
        },
        attempts: attempts.and_then(|times| u8::try_from(times).ok()).unwrap_or(usual.attempts),
        first_byte: first_byte.and_then(|seconds| u16::try_from(seconds).ok()),
    };
    table.done();
    let line = table.lines().of("model");
    Some((Reference { name: model?.to_owned(), line }, i32::try_from(weight?).ok()?, rules))
}
