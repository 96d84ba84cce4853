//! The fields of a request body that are looked at, and what they mean.

use std::borrow::Cow;

use domain::keys::{Feature, Features};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

use super::{
    Route,
    content::{self, Content},
};

/// Why a body cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRequest {
    /// The parameter it is about.
    pub param: Option<&'static str>,
    /// What is wrong, in a sentence.
    pub message: String,
}

pub(super) fn bad(param: &'static str, message: impl Into<String>) -> BadRequest {
    BadRequest { param: Some(param), message: message.into() }
}

/// The fields of every route that are looked at. A field that is there twice is refused: two
/// readers of such a body may see two different calls.
#[derive(Deserialize)]
pub(super) struct Fields<'a> {
    #[serde(borrow, default, deserialize_with = "even_null")]
    pub model: Option<&'a RawValue>,
    pub stream: Option<bool>,
    #[serde(borrow, default, deserialize_with = "even_null")]
    pub stream_options: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "even_null")]
    max_tokens: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "even_null")]
    max_completion_tokens: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "even_null")]
    max_output_tokens: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "even_null")]
    pub max_tool_calls: Option<&'a RawValue>,
    #[serde(borrow)]
    web_search_options: Option<&'a RawValue>,
    pub n: Option<u64>,
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    #[serde(borrow)]
    pub input: Option<&'a RawValue>,
    #[serde(borrow)]
    pub tools: Option<&'a RawValue>,
    functions: Option<IgnoredAny>,
    #[serde(borrow)]
    mcp_servers: Option<&'a RawValue>,
    #[serde(borrow)]
    response_format: Option<&'a RawValue>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    output_format: Option<IgnoredAny>,
    #[serde(borrow)]
    output_config: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning_effort: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning: Option<&'a RawValue>,
    #[serde(borrow)]
    thinking: Option<&'a RawValue>,
    #[serde(borrow)]
    pub metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    previous_response_id: Option<&'a RawValue>,
    #[serde(borrow)]
    conversation: Option<&'a RawValue>,
    store: Option<bool>,
    #[serde(borrow)]
    service_tier: Option<&'a RawValue>,
    #[serde(borrow)]
    speed: Option<&'a RawValue>,
    #[serde(borrow)]
    inference_geo: Option<&'a RawValue>,
    #[serde(borrow)]
    fallbacks: Option<&'a RawValue>,
    #[serde(borrow)]
    models: Option<&'a RawValue>,
    #[serde(borrow)]
    plugins: Option<&'a RawValue>,
    #[serde(borrow)]
    n_predict: Option<&'a RawValue>,
    #[serde(borrow)]
    max_new_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    best_of: Option<&'a RawValue>,
    #[serde(borrow)]
    prompt: Option<&'a RawValue>,
    #[serde(borrow)]
    background: Option<&'a RawValue>,
}

/// Ways to be served that cost no more than the prices say.
const TIERS: [&str; 7] = ["auto", "default", "flex", "scale", "standard", "standard_only", "batch"];

/// A field that is there with `null` has a place too, and is patched there.
pub(super) fn even_null<'de, D: serde::Deserializer<'de>>(
    from: D,
) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

#[derive(Deserialize)]
struct TypeOf<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Formatted<'a> {
    #[serde(borrow)]
    format: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Effort {
    effort: Option<IgnoredAny>,
}

/// What the provider calls something it keeps, if a call names it.
pub type Name = Option<Box<str>>;

/// Where the input of a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// All of it in the body; the model reads no more of it than its context holds.
    Body,
    /// All of it in the body, as texts that each have a context of their own.
    Texts,
    /// Part of it elsewhere: a stored conversation, a file, what the provider's own tools find.
    Beyond,
}

pub(super) fn is_null(raw: &RawValue) -> bool {
    raw.get() == "null"
}

/// Neither absent nor empty.
fn given(raw: Option<&RawValue>) -> bool {
    raw.is_some_and(|raw| !matches!(raw.get(), "null" | "[]"))
}

/// Whether the thing is there with another type than this one. What cannot be read is another.
pub(super) fn other_than(raw: Option<&RawValue>, usual: &str) -> bool {
    raw.is_some_and(|raw| {
        let kind = serde_json::from_str::<TypeOf<'_>>(raw.get()).ok().and_then(|of| of.kind);
        kind.as_deref() != Some(usual)
    })
}

impl<'a> Fields<'a> {
    /// What cannot be metered is refused before anything else is asked.
    pub fn check(&self, route: Route) -> Result<(), BadRequest> {
        if route == Route::Responses {
            if self.background.is_some_and(|raw| raw.get() != "false") {
                return Err(bad(
                    "background",
                    "Answers in the background outlive their call and cannot be metered here. Ask without `background`.",
                ));
            }
            // What it brings stands at the provider: tools that cost by use, and nothing bounds them.
            if given(self.prompt) {
                return Err(bad(
                    "prompt",
                    "A stored prompt brings tools that are not in the call, so its cost cannot be capped. Send `instructions`, `input` and `tools` instead.",
                ));
            }
            for (name, field) in
                [("max_tokens", self.max_tokens), ("max_completion_tokens", self.max_completion_tokens)]
            {
                // Some servers obey it, and then two maximums would contend.
                if field.is_some_and(|raw| !is_null(raw)) {
                    return Err(bad(name, format!("Give `max_output_tokens` here, not `{name}`.")));
                }
            }
        }
        // Slower ones cost less, and are booked like any other call. What is not known may cost anything.
        for (name, field, usual) in [
            ("service_tier", self.service_tier, &TIERS[..]),
            ("speed", self.speed, &["standard"][..]),
            ("inference_geo", self.inference_geo, &["global"][..]),
        ] {
            let Some(raw) = field.filter(|raw| !is_null(raw)) else { continue };
            if !serde_json::from_str::<Cow<'_, str>>(raw.get()).is_ok_and(|word| usual.contains(&&*word)) {
                let word: String = raw.get().chars().take(40).collect();
                return Err(bad(
                    name,
                    format!(
                        "`{name}` {word} can cost more than the prices here say, so it cannot be capped. Ask without it."
                    ),
                ));
            }
        }
        for (name, field) in
            [("fallbacks", self.fallbacks), ("models", self.models), ("plugins", self.plugins)]
        {
            if given(field) {
                return Err(bad(
                    name,
                    format!(
                        "`{name}` would have the provider use something else than the model that was decided on. Ask without it; a policy goes from model to model here."
                    ),
                ));
            }
        }
        // Some servers let these write more than the maximum that is held, or several answers of which one is told.
        for (name, field) in [
            ("n_predict", self.n_predict),
            ("max_new_tokens", self.max_new_tokens),
            ("best_of", self.best_of),
        ] {
            if field.is_some_and(|raw| !is_null(raw)) {
                return Err(bad(
                    name,
                    format!(
                        "`{name}` is not metered here. Say how much may be written with `max_tokens`, and how many answers with `n`."
                    ),
                ));
            }
        }
        if !(1..=128).contains(&self.n.unwrap_or(1)) {
            return Err(bad("n", "`n` has to be from 1 to 128."));
        }
        Ok(())
    }

    /// The caller's maximum and where it stands. OpenAI's newer field wins over the older one, as it
    /// does there; both at once is refused, as it is there.
    pub fn maximum(&self, route: Route) -> Result<(Option<u64>, Option<&'a RawValue>), BadRequest> {
        let set = |raw: Option<&'a RawValue>| raw.filter(|raw| !is_null(raw));
        let (name, raw) = match route {
            // Nothing is written, so nothing is limited.
            Route::Embeddings => return Ok((Some(0), None)),
            Route::CountTokens => return Ok((None, None)),
            Route::Responses => ("max_output_tokens", self.max_output_tokens),
            Route::Messages => ("max_tokens", self.max_tokens),
            Route::ChatCompletions => match set(self.max_completion_tokens) {
                Some(_) if set(self.max_tokens).is_some() => {
                    return Err(bad(
                        "max_tokens",
                        "Give either `max_tokens` or `max_completion_tokens`, not both.",
                    ));
                }
                Some(raw) => ("max_completion_tokens", Some(raw)),
                // A null is patched in place like a number.
                None => ("max_tokens", self.max_tokens.or(self.max_completion_tokens)),
            },
        };
        let Some(raw) = raw.filter(|raw| !is_null(raw)) else { return Ok((None, raw)) };
        let most: u64 =
            raw.get().parse().map_err(|_| bad(name, format!("`{name}` has to be a whole number.")))?;
        if most == 0 && route == Route::Messages {
            return Err(bad(name, format!("`{name}` has to be at least 1.")));
        }
        Ok((Some(most), Some(raw)))
    }

    /// The answer that a response goes on from, and the conversation it is part of.
    pub fn goes_on_from(&self, route: Route) -> Result<(Name, Name), BadRequest> {
        /// A conversation, by its name or with it.
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Named {
            Plain(Box<str>),
            Object { id: Box<str> },
        }
        if route != Route::Responses {
            return Ok((None, None));
        }
        let name = |field: &'static str, raw: Option<&RawValue>| match raw.filter(|raw| !is_null(raw)) {
            None => Ok(None),
            Some(raw) => match serde_json::from_str(raw.get()) {
                Ok(Named::Plain(name) | Named::Object { id: name }) => Ok(Some(name)),
                Err(_) => Err(bad(field, format!("`{field}` has to be the id of one."))),
            },
        };
        Ok((
            name("previous_response_id", self.previous_response_id)?,
            name("conversation", self.conversation)?,
        ))
    }

    /// Whether the provider is to search before it answers.
    pub fn searches(&self) -> bool {
        self.web_search_options.is_some_and(|raw| !is_null(raw))
    }

    /// Whether the provider keeps the answer, for others to go on from.
    pub fn keeps_answer(&self, route: Route) -> bool {
        route == Route::Responses && self.store != Some(false)
    }

    /// What the call says, wherever its route has that.
    fn content(&self) -> Content {
        [self.messages, self.input].into_iter().flatten().fold(Content::default(), |sum, raw| {
            let found = content::look(raw.get());
            Content { images: sum.images || found.images, files: sum.files || found.files }
        })
    }

    /// What the call uses of a key's features, and where its input is.
    pub fn uses(&self, route: Route) -> (Features, Reach) {
        if route == Route::Embeddings {
            let features = Features::default().with(Feature::Embeddings);
            let features = if self.content().images { features.with(Feature::Vision) } else { features };
            return (features, Reach::Texts);
        }
        let content = self.content();
        let uses = [
            (Feature::Streaming, self.stream == Some(true)),
            (Feature::Tools, given(self.tools) || self.functions.is_some() || given(self.mcp_servers)),
            (Feature::StructuredOutputs, self.is_structured()),
            (Feature::Vision, content.images),
            (Feature::Reasoning, self.asks_for_effort(route)),
        ];
        let features = uses.into_iter().filter(|(_, used)| *used).map(|(feature, _)| feature).collect();
        let elsewhere = content.files || (route == Route::Responses && self.is_stateful());
        (features, if elsewhere { Reach::Beyond } else { Reach::Body })
    }

    fn is_structured(&self) -> bool {
        let formatted = |raw: Option<&RawValue>| {
            raw.is_some_and(|raw| match serde_json::from_str::<Formatted<'_>>(raw.get()) {
                Ok(of) => other_than(of.format, "text"),
                Err(_) => true,
            })
        };
        other_than(self.response_format, "text")
            || self.output_format.is_some()
            || formatted(self.text)
            || formatted(self.output_config)
    }

    fn asks_for_effort(&self, route: Route) -> bool {
        let effort = |raw: Option<&RawValue>| {
            raw.is_some_and(|raw| {
                serde_json::from_str::<Effort>(raw.get()).map_or(true, |of| of.effort.is_some())
            })
        };
        // Elsewhere than in OpenAI's newer route, whatever is under `reasoning` sets how much.
        let reasoning =
            if route == Route::Responses { effort(self.reasoning) } else { given(self.reasoning) };
        given(self.reasoning_effort)
            || reasoning
            || effort(self.output_config)
            || other_than(self.thinking, "disabled")
    }

    /// Whether the provider adds what it keeps, or what its own tools find.
    fn is_stateful(&self) -> bool {
        let own_tools = self.tools.is_some_and(|raw| {
            serde_json::from_str::<Vec<TypeOf<'_>>>(raw.get()).map_or(true, |tools| {
                tools.iter().any(|tool| {
                    tool.kind.as_deref().is_some_and(|kind| !matches!(kind, "function" | "custom"))
                })
            })
        });
        self.previous_response_id.is_some() || self.conversation.is_some() || own_tools
    }
}
