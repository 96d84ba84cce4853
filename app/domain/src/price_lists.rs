//! Price lists: what somebody outside says models cost, and how that compares with the catalogue.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    ids::{ModelId, ProviderId},
    models::{Modality, Model},
    money::grouped,
    prices::{PriceKey, Prices},
};

/// How large a price list may be, in bytes.
pub const LIST_MAX: usize = 8 << 20;

/// What a list says about one model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Who offers it, as the list names them.
    pub vendor: String,
    /// What they call it.
    pub name: String,
    /// What goes in and comes out.
    pub modality: Modality,
    /// Tokens that fit in.
    pub context_tokens: Option<i64>,
    /// The most it answers with.
    pub max_output_tokens: Option<i64>,
    /// What it costs; without any where the list does not say.
    pub prices: Prices,
    /// From how many input tokens on a call costs more, and what then: the dearest, where there are
    /// several such steps. What is not said of it costs what it costs anyway.
    pub dearer: Option<(i64, Prices)>,
}

impl Listed {
    /// What it costs at most, whatever goes in. The catalogue has one price for a token, so this is the
    /// one that is proposed: no call counts for less than it costs.
    pub fn dearest(&self) -> Prices {
        let Some((_, then)) = self.dearer else { return self.prices };
        then.set().fold(self.prices, |prices, (key, price)| {
            let dearer = self.prices.of(key).is_none_or(|now| now < price);
            if dearer { prices.with(key, Some(price)) } else { prices }
        })
    }

    /// What a person has to know before they take its price as it is.
    pub fn caution(&self) -> Option<String> {
        let (tokens, _) = self.dearer?;
        let words = |prices: &Prices| {
            let price = |key| prices.own(key).map(|price| price.to_string());
            let both = [price(PriceKey::Input), price(PriceKey::Output)];
            both.into_iter().flatten().collect::<Vec<_>>().join(" / ")
        };
        let (most, least) = (words(&self.dearest()), words(&self.prices));
        Some(format!(
            "Calls with more than {} input tokens cost more at the provider: {most} instead of {least}. Every token has one price here, so the higher one is proposed, and no call counts for less than it costs.",
            grouped(tokens.unsigned_abs()),
        ))
    }
}

/// Vendors as lists name them, how people do, and the hosts of their APIs.
pub const VENDORS: [(&str, &str, &[&str]); 21] = [
    ("anthropic", "Anthropic", &["api.anthropic.com"]),
    ("azure", "Azure OpenAI", &["openai.azure.com", "cognitiveservices.azure.com"]),
    ("azure_ai", "Azure AI", &["services.ai.azure.com", "models.ai.azure.com"]),
    ("cerebras", "Cerebras", &["api.cerebras.ai"]),
    ("cohere", "Cohere", &["api.cohere.com", "api.cohere.ai"]),
    ("dashscope", "Alibaba Cloud", &["dashscope.aliyuncs.com", "dashscope-intl.aliyuncs.com"]),
    ("deepinfra", "DeepInfra", &["api.deepinfra.com"]),
    ("deepseek", "DeepSeek", &["api.deepseek.com"]),
    ("fireworks_ai", "Fireworks AI", &["api.fireworks.ai"]),
    ("gemini", "Google Gemini", &["generativelanguage.googleapis.com"]),
    ("groq", "Groq", &["api.groq.com"]),
    ("minimax", "MiniMax", &["api.minimax.io", "api.minimaxi.com"]),
    ("mistral", "Mistral", &["api.mistral.ai"]),
    ("moonshot", "Moonshot AI", &["api.moonshot.ai", "api.moonshot.cn"]),
    ("nebius", "Nebius", &["api.studio.nebius.com", "api.studio.nebius.ai"]),
    ("openai", "OpenAI", &["api.openai.com"]),
    ("perplexity", "Perplexity", &["api.perplexity.ai"]),
    ("together_ai", "Together AI", &["api.together.xyz", "api.together.ai"]),
    ("voyage", "Voyage AI", &["api.voyageai.com"]),
    ("xai", "xAI", &["api.x.ai"]),
    ("zai", "Z.ai", &["api.z.ai"]),
];

/// How people call a vendor.
pub fn vendor_label(vendor: &str) -> &str {
    VENDORS.iter().find(|(id, ..)| *id == vendor).map_or(vendor, |(_, label, _)| label)
}

/// Which vendor a provider is: by the host of its address; else by what it is called, for those who
/// reach a vendor by a server of their own.
pub fn vendor_of(base_url: &str, name: &str) -> Option<&'static str> {
    let host = base_url.split('/').nth(2).unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default().to_lowercase();
    let here = |of: &&str| host == **of || host.strip_suffix(*of).is_some_and(|before| before.ends_with('.'));
    let by_host = VENDORS.iter().find(|(_, _, hosts)| hosts.iter().any(here));
    let name = name.to_lowercase();
    // "Azure OpenAI" is not "OpenAI": the longest name that is said counts.
    let by_name = || {
        let said = VENDORS.iter().filter(|(_, label, _)| says(&name, &label.to_lowercase()));
        said.max_by_key(|(_, label, _)| label.len())
    };
    by_host.or_else(by_name).map(|(id, ..)| *id)
}

/// Whether a text says this as words of its own.
fn says(text: &str, words: &str) -> bool {
    text.match_indices(words).any(|(at, _)| {
        let beside = [text[..at].chars().next_back(), text[at + words.len()..].chars().next()];
        !beside.into_iter().flatten().any(char::is_alphanumeric)
    })
}

/// What a provider calls a model as lists write it: some give every name with a kind before it.
pub fn listed_name(upstream: &str) -> &str {
    upstream.strip_prefix("models/").unwrap_or(upstream)
}

/// One of our models that a list knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The model.
    pub model: Model,
    /// What the list says about it.
    pub listed: Listed,
}

impl Known {
    /// What it costs now.
    pub fn now(&self) -> Prices {
        self.model.prices.map_or_else(Prices::default, |dated| dated.prices)
    }

    /// What it costs once the list is applied: of what the list says nothing about, ours stays.
    pub fn then(&self) -> Prices {
        let now = self.now();
        let silent = |listed: &Prices, key| listed.own(key).is_none();
        PriceKey::ALL.iter().fold(self.listed.dearest(), |then, key| {
            if silent(&then, *key) { then.with(*key, now.own(*key)) } else { then }
        })
    }
}

/// A list beside the catalogue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison<'a> {
    /// Models of ours that it prices otherwise.
    pub changed: Vec<Known>,
    /// How many of ours it prices as we do.
    pub same: usize,
    /// What is not in the catalogue.
    pub unknown: Vec<&'a Listed>,
}

/// Puts a list beside the catalogue. `vendors` says which vendor each provider is; a model of a
/// provider that is none of them is nobody's, and is not looked for.
pub fn compare<'a>(
    models: &[Model],
    vendors: &HashMap<ProviderId, &'static str>,
    list: &'a [Listed],
) -> Comparison<'a> {
    let mut by_name: HashMap<(&str, &str), Vec<&Model>> = HashMap::new();
    for model in models {
        if let Some(vendor) = vendors.get(&model.provider.0) {
            by_name.entry((vendor, listed_name(&model.upstream))).or_default().push(model);
        }
    }
    let mut comparison = Comparison::default();
    for listed in list {
        let Some(models) = by_name.get(&(listed.vendor.as_str(), listed.name.as_str())) else {
            comparison.unknown.push(listed);
            continue;
        };
        for model in models.iter().filter(|_| !listed.prices.is_empty()) {
            let known = Known { model: (*model).clone(), listed: listed.clone() };
            if known.now() == known.then() { comparison.same += 1 } else { comparison.changed.push(known) }
        }
    }
    comparison.changed.sort_by(|a, b| a.model.name.cmp(&b.model.name));
    comparison
}

/// What a list says about a model of ours, if anything: by its vendor and what that calls it.
pub fn listed_for<'a>(
    model: &Model,
    vendors: &HashMap<ProviderId, &'static str>,
    list: &'a [Listed],
) -> Option<&'a Listed> {
    let vendor = vendors.get(&model.provider.0)?;
    let name = listed_name(&model.upstream);
    list.iter().find(|listed| listed.vendor == *vendor && listed.name == name)
}

/// Something that is not taken from a list, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// What: an entry of the list, or a model of ours.
    pub name: String,
    /// Why, as a sentence.
    pub why: String,
}

/// A model of ours that has the price of a list since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repriced {
    /// The model.
    pub model: ModelId,
    /// What callers write.
    pub name: String,
    /// What it cost before, in words.
    pub from: String,
    /// What it costs since.
    pub to: String,
}

/// An entry of a list that was taken into the review inbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenIn {
    /// As which model.
    pub model: ModelId,
    /// What callers write.
    pub name: String,
    /// Whose it is, as the list names them.
    pub vendor: String,
    /// What they call it.
    pub listed: String,
}

/// What applying a list came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// When.
    pub at: DateTime<Utc>,
    /// Who did it, by name.
    pub by: String,
    /// What costs something else since.
    pub priced: Vec<Repriced>,
    /// What waits for review since.
    pub taken: Vec<TakenIn>,
    /// What was chosen, and is not as it was when it was shown.
    pub left_out: Vec<LeftOut>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Price;
    use proptest::prelude::*;

    fn listed(prices: Prices, dearer: Option<(i64, Prices)>) -> Listed {
        Listed {
            vendor: "openai".to_owned(),
            name: "long".to_owned(),
            modality: Modality::Chat,
            context_tokens: None,
            max_output_tokens: None,
            prices,
            dearer,
        }
    }

    fn prices(list: &[(PriceKey, &str)]) -> Prices {
        list.iter()
            .fold(Prices::default(), |prices, (key, text)| prices.with(*key, Some(text.parse().unwrap())))
    }

    #[test]
    fn a_model_that_is_dearer_for_long_inputs_is_proposed_at_the_dearest() {
        use PriceKey::{CacheRead, Input, Output};
        let usual = prices(&[(Input, "2.50"), (CacheRead, "0.25"), (Output, "15")]);
        let long = listed(usual, Some((272_000, prices(&[(Input, "5"), (Output, "22.50")]))));
        assert_eq!(long.dearest(), prices(&[(Input, "5"), (CacheRead, "0.25"), (Output, "22.50")]));
        assert_eq!(
            long.caution().unwrap(),
            "Calls with more than 272,000 input tokens cost more at the provider: $5.00 / $22.50 instead of $2.50 / $15.00. Every token has one price here, so the higher one is proposed, and no call counts for less than it costs."
        );
        assert_eq!((listed(usual, None).dearest(), listed(usual, None).caution()), (usual, None));
    }

    fn any_prices() -> impl Strategy<Value = Prices> {
        proptest::collection::vec(proptest::option::of(0_i64..90_000_000_000), PriceKey::ALL.len()).prop_map(
            |list| {
                let each = PriceKey::ALL.iter().zip(list);
                each.fold(Prices::default(), |prices, (&key, nanos)| prices.with(key, nanos.map(Price)))
            },
        )
    }

    proptest! {
        #[test]
        fn the_dearest_is_below_neither_step_for_any_bucket(usual in any_prices(), then in any_prices()) {
            let dearest = listed(usual, Some((1, then))).dearest();
            for key in PriceKey::ALL {
                prop_assert!(dearest.of(*key) >= usual.of(*key), "{key}");
                prop_assert!(dearest.of(*key) >= then.own(*key), "{key}");
            }
        }
    }

    #[test]
    fn a_vendor_is_told_by_the_host_and_else_by_the_name() {
        for (url, name, vendor) in [
            ("https://api.openai.com/v1", "Main", Some("openai")),
            ("https://API.OpenAI.com:443/v1", "Main", Some("openai")),
            ("https://acme.openai.azure.com/openai/v1", "Cloud", Some("azure")),
            ("https://generativelanguage.googleapis.com/v1beta/openai", "G", Some("gemini")),
            ("http://10.0.0.7:8080/v1", "OpenAI", Some("openai")),
            ("http://10.0.0.7:8080/v1", " anthropic ", Some("anthropic")),
            ("http://10.0.0.7:8080/v1", "By way of Frankfurt (Anthropic)", Some("anthropic")),
            ("http://10.0.0.7:8080/v1", "Azure OpenAI, east", Some("azure")),
            ("http://10.0.0.7:8080/v1", "OpenAIish", None),
            ("http://10.0.0.7:8080/v1", "House models", None),
            // Names that only look like a vendor's.
            ("https://api.openai.com.evil.example/v1", "Main", None),
            ("https://notapi.openai.com.example/v1", "Main", None),
            ("https://xapi.openai.com/v1", "Main", None),
            ("nonsense", "Main", None),
        ] {
            assert_eq!(vendor_of(url, name), vendor, "{url} {name}");
        }
    }
}
