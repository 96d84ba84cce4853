//! LiteLLM's `model_prices_and_context_window.json`, read entry by entry.
//!
//! Money is read from the text of the number as it stands in the file, never through a float. What an
//! entry does not say is not guessed; a chat model that is listed for nothing counts as unpriced, since
//! that is what the list writes where nobody knew.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    models::Modality,
    money::{MoneyError, Price},
    price_lists::{LIST_MAX, LeftOut, Listed},
    prices::{PriceKey, Prices},
};
use serde_json::value::RawValue;

use crate::{Result, StoreError, models::TOKENS};

/// A list, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// What it says about models, by vendor and name.
    pub listed: Vec<Listed>,
    /// Entries that cannot be read.
    pub unreadable: Vec<LeftOut>,
    /// How many entries are about something else than models that are called: searches, guardrails.
    pub other: usize,
}

/// What stands in a field, or a sentence about why that cannot be read.
type Found<T> = std::result::Result<T, String>;

/// The fields of an entry as they stand in the file.
type Entry<'a> = BTreeMap<String, &'a RawValue>;

/// Where each of our prices stands.
const FIELDS: [(PriceKey, &str); 11] = [
    (PriceKey::Input, "input_cost_per_token"),
    (PriceKey::CacheRead, "cache_read_input_token_cost"),
    (PriceKey::CacheWrite, "cache_creation_input_token_cost"),
    (PriceKey::CacheWriteLong, "cache_creation_input_token_cost_above_1hr"),
    (PriceKey::Output, "output_cost_per_token"),
    (PriceKey::Reasoning, "output_cost_per_reasoning_token"),
    (PriceKey::AudioInput, "input_cost_per_audio_token"),
    (PriceKey::AudioOutput, "output_cost_per_audio_token"),
    (PriceKey::Image, "output_cost_per_image"),
    (PriceKey::Call, "input_cost_per_query"),
    (PriceKey::CodeSession, "code_interpreter_cost_per_session"),
];

/// Vendors that the list names by what is called of them.
const SAME: [(&str, &str); 5] = [
    ("text-completion-openai", "openai"),
    ("cohere_chat", "cohere"),
    ("azure_text", "azure"),
    ("fireworks_ai-embedding-models", "fireworks_ai"),
    ("qwen_ai_platform", "dashscope"),
];

/// Reads a list.
///
/// # Errors
/// About the field `file`, when it is not such a list.
pub fn read(text: &str) -> Result<Read> {
    let wrong = |sentence: String| Err(StoreError::invalid("file", sentence));
    if text.len() > LIST_MAX {
        return wrong(format!("The list has more than {} MB. That cannot be it.", LIST_MAX >> 20));
    }
    if text.trim().is_empty() {
        return wrong("Choose a file, or paste its text.".to_owned());
    }
    let entries: BTreeMap<String, &RawValue> = match serde_json::from_str(text.trim_start_matches('\u{feff}'))
    {
        Ok(entries) => entries,
        Err(error) => {
            return wrong(format!(
                "This is not a JSON object of models: line {}, column {}.",
                error.line(),
                error.column()
            ));
        }
    };
    let (mut read, mut seen) = (Read::default(), BTreeSet::new());
    for (key, entry) in entries.iter().filter(|(key, _)| *key != "sample_spec") {
        let mut leave_out = |why: String| read.unreadable.push(LeftOut { name: key.clone(), why });
        let Ok(entry) = serde_json::from_str::<Entry<'_>>(entry.get()) else {
            leave_out("This is not a JSON object.".to_owned());
            continue;
        };
        let Some((vendor, modality)) = kind(&entry) else {
            read.other += 1;
            continue;
        };
        let name = name(key, &entry, vendor);
        match listed(&entry, vendor, name, modality) {
            // The same model by two names of the list: once is enough.
            Ok(listed) if seen.insert((listed.vendor.clone(), listed.name.clone())) => {
                read.listed.push(listed);
            }
            Ok(_) => {}
            Err(why) => leave_out(why),
        }
    }
    if read.listed.is_empty() && !read.unreadable.is_empty() {
        return wrong(format!("No entry of this can be read. {}", first_of(&read.unreadable)));
    }
    if read.listed.is_empty() {
        return wrong(
            "No entry of this names a provider and a kind of model. It should be LiteLLM's model_prices_and_context_window.json."
                .to_owned(),
        );
    }
    read.listed.sort_by(|a, b| (&a.vendor, &a.name).cmp(&(&b.vendor, &b.name)));
    Ok(read)
}

/// The first of those that cannot be read, each with its reason.
fn first_of(unreadable: &[LeftOut]) -> String {
    const NAMED: usize = 5;
    let mut said: Vec<String> =
        unreadable.iter().take(NAMED).map(|entry| format!("{}: {}", entry.name, entry.why)).collect();
    if unreadable.len() > NAMED {
        said.push(format!("And {} more.", unreadable.len() - NAMED));
    }
    said.join(" ")
}

fn text<'a>(entry: &Entry<'a>, field: &str) -> Option<&'a str> {
    let raw = entry.get(field)?.get();
    Some(raw.trim_matches('"')).filter(|text| !text.is_empty() && *text != "null")
}

/// Whose it is, and what kind of model. None for what is not a model that is called.
fn kind<'a>(entry: &Entry<'a>) -> Option<(&'a str, Modality)> {
    let vendor = text(entry, "litellm_provider")?;
    let vendor = SAME.iter().find(|(one, _)| *one == vendor).map_or(vendor, |(_, same)| *same);
    let sees = text(entry, "supports_vision") == Some("true");
    let modality = match text(entry, "mode")? {
        "chat" | "completion" | "responses" if sees => Modality::Vision,
        "chat" | "completion" | "responses" => Modality::Chat,
        "embedding" => Modality::Embedding,
        "rerank" => Modality::Rerank,
        "image_generation" | "image_edit" => Modality::Image,
        "audio_transcription" | "audio_speech" | "realtime" => Modality::Audio,
        "video_generation" => Modality::Video,
        _ => return None,
    };
    Some((vendor, modality))
}

/// What the vendor calls it: the list writes `vendor/name` for most.
fn name<'a>(key: &'a str, entry: &Entry<'_>, vendor: &str) -> &'a str {
    let said = text(entry, "litellm_provider").unwrap_or_default();
    [vendor, said].iter().find_map(|vendor| key.strip_prefix(vendor)?.strip_prefix('/')).unwrap_or(key)
}

/// An error says which figure cannot be read, and why: half a price is worse than none.
fn listed(entry: &Entry<'_>, vendor: &str, name: &str, modality: Modality) -> Found<Listed> {
    let prices = prices(entry, modality)?;
    Ok(Listed {
        vendor: vendor.to_owned(),
        name: name.to_owned(),
        modality,
        context_tokens: tokens(entry, &["max_input_tokens", "max_tokens"]),
        max_output_tokens: match modality {
            Modality::Chat | Modality::Vision => tokens(entry, &["max_output_tokens", "max_tokens"]),
            _ => None,
        },
        dearer: if prices.is_empty() { None } else { dearer(entry)? },
        prices,
    })
}

fn tokens(entry: &Entry<'_>, fields: &[&str]) -> Option<i64> {
    let text = fields.iter().find_map(|field| text(entry, field))?;
    text.strip_suffix(".0").unwrap_or(text).parse().ok().filter(|tokens| TOKENS.contains(tokens))
}

/// The price in a field, or why it is none.
fn price(field: &str, text: &str) -> Found<Price> {
    Price::per_unit(text).map_err(|error| {
        let shown: String = text.chars().take(40).collect();
        match error {
            MoneyError::Negative => format!("{field} is {shown}: a price is not below zero."),
            MoneyError::TooLarge => format!("{field} is {shown}: that is more than can be kept."),
            _ => format!("{field} is {shown}: that is no number."),
        }
    })
}

fn prices(entry: &Entry<'_>, modality: Modality) -> Found<Prices> {
    let mut prices = Prices::default();
    for (key, field) in FIELDS {
        let Some(text) = text(entry, field) else { continue };
        prices = prices.with(key, Some(price(field, text)?));
    }
    if let Some(price) = search(entry)? {
        prices = prices.with(PriceKey::WebSearch, Some(price));
    }
    let nothing = |key| prices.own(key).is_none_or(|price| price.0 == 0);
    if matches!(modality, Modality::Chat | Modality::Vision) {
        let free = nothing(PriceKey::Input) && nothing(PriceKey::Output);
        return Ok(if free { Prices::default() } else { prices });
    }
    // Of other kinds a zero says that this is not what is paid for.
    let paid = prices.set().filter(|(_, price)| price.0 > 0);
    Ok(paid.fold(Prices::default(), |paid, (key, price)| paid.with(key, Some(price))))
}

/// What a search costs: the dearest of the sizes there are, because nobody knows beforehand which it is.
fn search(entry: &Entry<'_>) -> Found<Option<Price>> {
    const FIELD: &str = "search_context_cost_per_query";
    let Some(sizes) = entry.get(FIELD) else { return Ok(None) };
    let Ok(sizes) = serde_json::from_str::<Entry<'_>>(sizes.get()) else { return Ok(None) };
    let texts = sizes.keys().filter_map(|size| text(&sizes, size));
    let prices: Found<Vec<Price>> = texts.map(|text| price(FIELD, text)).collect();
    Ok(prices?.into_iter().max())
}

/// `input_cost_per_token_above_200k_tokens`, or a table of ranges: where the lowest such step is, and
/// what each bucket costs beyond it at most.
fn dearer(entry: &Entry<'_>) -> Found<Option<(i64, Prices)>> {
    let (mut from, mut most) = (Vec::new(), Prices::default());
    let mut see = |tokens: i64, key: PriceKey, field: &str, text: &str| {
        let price = price(field, text)?;
        from.push(tokens);
        most = most.with(key, most.own(key).max(Some(price)));
        Found::Ok(())
    };
    for (key, field) in FIELDS {
        let step = |name: &str| {
            let thousands = name.strip_prefix(field)?.strip_prefix("_above_")?.strip_suffix("k_tokens")?;
            thousands.parse::<i64>().ok()?.checked_mul(1000)
        };
        for (name, tokens) in entry.keys().filter_map(|name| Some((name, step(name)?))) {
            if let Some(text) = text(entry, name) {
                see(tokens, key, name, text)?;
            }
        }
    }
    let ranges =
        entry.get("tiered_pricing").and_then(|raw| serde_json::from_str::<Vec<Entry<'_>>>(raw.get()).ok());
    for range in ranges.unwrap_or_default() {
        let begins = range
            .get("range")
            .and_then(|raw| serde_json::from_str::<Vec<f64>>(raw.get()).ok()?.first().copied());
        // The first range is what the entry says anyway.
        let Some(tokens) = begins.filter(|tokens| *tokens >= 1.0) else { continue };
        for (key, field) in FIELDS {
            if let Some(text) = text(&range, field) {
                see(tokens as i64, key, field, text)?;
            }
        }
    }
    Ok(from.into_iter().min().map(|tokens| (tokens, most)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `vendor name kind context/output prices`, a line each.
    fn shown(read: &Read) -> String {
        let line = |listed: &Listed| {
            let prices: Vec<String> =
                listed.prices.set().map(|(key, price)| format!("{key}={}", price.exact())).collect();
            let count = |count: Option<i64>| count.map_or_else(|| "-".to_owned(), |count| count.to_string());
            let dearer = listed.dearer.map(|(tokens, prices)| {
                let prices: Vec<String> =
                    prices.set().map(|(key, price)| format!("{key}={}", price.exact())).collect();
                format!(" above {tokens}: {}", prices.join(" "))
            });
            format!(
                "{} {} {} {}/{} {}{}\n",
                listed.vendor,
                listed.name,
                listed.modality,
                count(listed.context_tokens),
                count(listed.max_output_tokens),
                if prices.is_empty() { "unpriced".to_owned() } else { prices.join(" ") },
                dearer.unwrap_or_default(),
            )
        };
        read.listed.iter().map(line).collect()
    }

    #[test]
    fn a_list_becomes_what_the_catalogue_knows() {
        let read = read(include_str!("cases/litellm.json")).expect("a list");
        assert_eq!(shown(&read), include_str!("cases/litellm.txt"));
        let unreadable: Vec<String> =
            read.unreadable.iter().map(|entry| format!("{}: {}", entry.name, entry.why)).collect();
        assert_eq!(
            unreadable,
            [
                "bad/negative: input_cost_per_token is -1e-06: a price is not below zero.",
                "bad/number: input_cost_per_token is cheap: that is no number.",
                "bad/shape: This is not a JSON object.",
            ]
        );
        assert_eq!(read.other, 2);
    }

    #[test]
    fn what_is_not_such_a_list_says_so() {
        for (text, sentence) in [
            ("", "Choose a file"),
            ("   ", "Choose a file"),
            ("<html>", "line 1, column 1"),
            ("[1, 2]", "not a JSON object of models"),
            ("{\"a\": 1", "not a JSON object of models"),
            ("{}", "No entry of this names a provider"),
            ("{\"a\": {}}", "No entry of this names a provider"),
            (
                r#"{"a": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": -1}}"#,
                "No entry of this can be read. a: input_cost_per_token is -1: a price is not below zero.",
            ),
        ] {
            let error = read(text).expect_err(text).to_string();
            assert!(error.contains(sentence), "{text}: {error}");
        }
        let large = " ".repeat(LIST_MAX + 1);
        assert!(read(&large).expect_err("too large").to_string().contains("more than 8 MB"));
    }
}
