//! What is read of a request body, and the few places where it is patched.
//!
//! The body goes upstream as it came. `model` becomes the provider's name, a stream is asked for
//! its usage, and the maximum of output is written in when it is missing or has to be lowered:
//! each a splice of bytes, so that a large body is never copied or put together anew.

use bytes::Bytes;
use domain::keys::{Feature, Features};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;
use smallvec::SmallVec;

use super::{Route, estimate};

/// Why a body cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRequest {
    /// The parameter it is about.
    pub param: Option<&'static str>,
    /// What is wrong, in a sentence.
    pub message: String,
}

fn bad(param: &'static str, message: impl Into<String>) -> BadRequest {
    BadRequest { param: Some(param), message: message.into() }
}

/// The fields of both dialects that are looked at. A field that is there twice is refused: two
/// readers of such a body may see two different calls.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    stream: Option<bool>,
    #[serde(borrow, default, deserialize_with = "even_null")]
    stream_options: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "even_null")]
    max_tokens: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "even_null")]
    max_completion_tokens: Option<&'a RawValue>,
    n: Option<u64>,
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
    functions: Option<IgnoredAny>,
    #[serde(borrow)]
    response_format: Option<&'a RawValue>,
    output_format: Option<IgnoredAny>,
    #[serde(borrow)]
    reasoning_effort: Option<&'a RawValue>,
    #[serde(borrow)]
    thinking: Option<&'a RawValue>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
}

/// A field that is there with `null` has a place too, and is patched there.
fn even_null<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

#[derive(Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

#[derive(Deserialize)]
struct TypeOf<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a str>,
}

/// The part of `metadata` that is ours.
#[derive(Default, Deserialize)]
struct Labels {
    #[serde(rename = "x-bursar-use-case", alias = "bursar_use_case")]
    use_case: Option<String>,
    #[serde(rename = "x-bursar-session", alias = "bursar_session")]
    session: Option<String>,
}

/// Where a value stands in the body.
type Place = std::ops::Range<usize>;

/// A request, read.
#[derive(Clone, Debug)]
pub struct Request {
    body: Bytes,
    route: Route,
    /// What the caller wrote as model.
    pub model: String,
    /// Whether it asks for a stream.
    pub stream: bool,
    /// Whether the caller itself asked for usage in the stream.
    pub wants_usage: bool,
    /// The maximum the caller gave, per choice.
    pub max_output: Option<u64>,
    /// How many choices.
    pub choices: u64,
    /// What the call uses of the key's features.
    pub features: Features,
    /// Input tokens, estimated upwards.
    pub input_estimate: u64,
    /// Labels from `metadata`.
    pub use_case: Option<String>,
    /// Labels from `metadata`.
    pub session: Option<String>,
    model_at: Place,
    max_at: Option<Place>,
    stream_options_at: Option<Place>,
}

impl Request {
    /// Reads a body.
    ///
    /// # Errors
    /// When it is not a JSON object of the route's shape.
    pub fn read(route: Route, body: Bytes) -> Result<Self, BadRequest> {
        let text = std::str::from_utf8(&body)
            .map_err(|_| BadRequest { param: None, message: "The body is not UTF-8 text.".to_owned() })?;
        let fields: Fields<'_> = serde_json::from_str(text).map_err(|error| BadRequest {
            param: None,
            message: format!("The body is not a JSON object of this route's shape: {error}."),
        })?;
        let place = |raw: &RawValue| {
            let start = raw.get().as_ptr() as usize - text.as_ptr() as usize;
            start..start + raw.get().len()
        };
        let model_raw = fields.model.ok_or_else(|| bad("model", "Name a model in `model`."))?;
        let model: String =
            serde_json::from_str(model_raw.get()).map_err(|_| bad("model", "`model` has to be a text."))?;
        let (max_output, max_at) = maximum(route, &fields)?;
        let choices = fields.n.unwrap_or(1);
        if !(1..=128).contains(&choices) {
            return Err(bad("n", "`n` has to be from 1 to 128."));
        }
        let wants_usage = match fields.stream_options.filter(|raw| !is_null(raw)) {
            Some(raw) => serde_json::from_str::<StreamOptions>(raw.get())
                .map_err(|_| bad("stream_options", "`stream_options` has to be an object."))?
                .include_usage
                .unwrap_or(false),
            None => false,
        };
        let labels: Labels =
            fields.metadata.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        let features = features(&fields);
        let (model_at, stream_options_at) = (place(model_raw), fields.stream_options.map(place));
        let max_at = max_at.map(place);
        Ok(Self {
            route,
            model,
            stream: fields.stream.unwrap_or(false),
            wants_usage,
            max_output,
            choices,
            features,
            input_estimate: estimate::input_tokens(text),
            use_case: labels.use_case,
            session: labels.session,
            model_at,
            max_at,
            stream_options_at,
            body,
        })
    }

    /// The body for the provider, as pieces of the caller's and the few patches between them.
    pub fn patched(&self, patch: &Patch<'_>) -> SmallVec<[Bytes; 8]> {
        let mut edits: SmallVec<[(Place, String); 4]> = SmallVec::new();
        edits.push((self.model_at.clone(), json_text(patch.model)));
        let mut added = String::new();
        if let Some(most) = patch.max_output {
            match &self.max_at {
                Some(place) => edits.push((place.clone(), most.to_string())),
                None => added += &format!("\"{}\":{most},", patch.max_field),
            }
        }
        if self.stream && self.route == Route::ChatCompletions && !self.wants_usage {
            match &self.stream_options_at {
                Some(place) => edits.push((place.clone(), self.asking_for_usage(place))),
                None => added += "\"stream_options\":{\"include_usage\":true},",
            }
        }
        if !added.is_empty() {
            // Right after the opening brace. There is at least `model` behind it, so the comma fits.
            let open = self.body.iter().position(|&byte| byte == b'{').unwrap_or(0) + 1;
            edits.push((open..open, added));
        }
        edits.sort_by_key(|(place, _)| place.start);
        let mut pieces = SmallVec::new();
        let mut from = 0;
        for (place, text) in edits {
            pieces.push(self.body.slice(from..place.start));
            pieces.push(Bytes::from(text));
            from = place.end;
        }
        pieces.push(self.body.slice(from..));
        pieces
    }

    /// The caller's stream options, with usage asked for. Other options stay.
    fn asking_for_usage(&self, place: &Place) -> String {
        let mut options: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(&self.body[place.clone()]).unwrap_or_default();
        options.insert("include_usage".to_owned(), serde_json::Value::Bool(true));
        serde_json::Value::Object(options).to_string()
    }
}

/// What is written into a body.
#[derive(Clone, Copy, Debug)]
pub struct Patch<'a> {
    /// The provider's name of the model.
    pub model: &'a str,
    /// The maximum of output, when it is missing or has to be lowered.
    pub max_output: Option<u64>,
    /// The field it goes into when the caller has none.
    pub max_field: &'a str,
}

fn json_text(text: &str) -> String {
    serde_json::Value::String(text.to_owned()).to_string()
}

fn is_null(raw: &RawValue) -> bool {
    raw.get() == "null"
}

/// The caller's maximum and where it stands. OpenAI's newer field wins over the older one, as it
/// does there; both at once is refused, as it is there.
fn maximum<'a>(route: Route, fields: &Fields<'a>) -> Result<(Option<u64>, Option<&'a RawValue>), BadRequest> {
    let newer = fields.max_completion_tokens.filter(|_| route == Route::ChatCompletions);
    let set = |raw: Option<&'a RawValue>| raw.filter(|raw| !is_null(raw));
    if set(newer).is_some() && set(fields.max_tokens).is_some() {
        return Err(bad("max_tokens", "Give either `max_tokens` or `max_completion_tokens`, not both."));
    }
    let (name, raw) = match set(newer) {
        Some(raw) => ("max_completion_tokens", Some(raw)),
        // A null is patched in place like a number.
        None => ("max_tokens", fields.max_tokens.or(newer)),
    };
    let Some(raw) = raw.filter(|raw| !is_null(raw)) else { return Ok((None, raw)) };
    let most: u64 =
        raw.get().parse().map_err(|_| bad(name, format!("`{name}` has to be a whole number.")))?;
    if most == 0 && route == Route::Messages {
        return Err(bad(name, format!("`{name}` has to be at least 1.")));
    }
    Ok((Some(most), Some(raw)))
}

fn features(fields: &Fields<'_>) -> Features {
    let given = |raw: Option<&RawValue>| raw.is_some_and(|raw| !matches!(raw.get(), "null" | "[]"));
    let kind = |raw: Option<&RawValue>| {
        raw.and_then(|raw| serde_json::from_str::<TypeOf<'_>>(raw.get()).ok())
            .and_then(|of| of.kind.map(str::to_owned))
    };
    let mut features = Features::default();
    if fields.stream == Some(true) {
        features = features.with(Feature::Streaming);
    }
    if given(fields.tools) || fields.functions.is_some() {
        features = features.with(Feature::Tools);
    }
    let format = kind(fields.response_format);
    if format.is_some_and(|format| format != "text") || fields.output_format.is_some() {
        features = features.with(Feature::StructuredOutputs);
    }
    let thinks = kind(fields.thinking).is_some_and(|kind| kind != "disabled");
    if given(fields.reasoning_effort) || thinks {
        features = features.with(Feature::Reasoning);
    }
    if fields.messages.is_some_and(|raw| estimate::has_images(raw.get())) {
        features = features.with(Feature::Vision);
    }
    features
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patched(route: Route, body: &str, max_output: Option<u64>) -> String {
        let request = Request::read(route, Bytes::from(body.to_owned())).unwrap();
        let pieces = request.patched(&Patch { model: "up\"stream", max_output, max_field: "max_tokens" });
        pieces.iter().map(|piece| std::str::from_utf8(piece).unwrap()).collect()
    }

    #[test]
    fn everything_but_the_patches_stays_as_it_came() {
        let body =
            r#"  {"zeta":[1, 2.50,{"a":null}], "model" : "small-chat","messages":[],"unknown":"é\u00e9"} "#;
        assert_eq!(
            patched(Route::ChatCompletions, body, None),
            r#"  {"zeta":[1, 2.50,{"a":null}], "model" : "up\"stream","messages":[],"unknown":"é\u00e9"} "#
        );
    }

    #[test]
    fn a_stream_is_asked_for_its_usage_and_other_options_stay() {
        assert_eq!(
            patched(Route::ChatCompletions, r#"{"stream":true,"model":"m"}"#, None),
            r#"{"stream_options":{"include_usage":true},"stream":true,"model":"up\"stream"}"#
        );
        let with_options = r#"{"model":"m","stream":true,"stream_options":{"include_obfuscation":false}}"#;
        assert_eq!(
            patched(Route::ChatCompletions, with_options, None),
            r#"{"model":"up\"stream","stream":true,"stream_options":{"include_obfuscation":false,"include_usage":true}}"#
        );
        let asked = r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#;
        assert_eq!(patched(Route::ChatCompletions, asked, None), asked.replace("\"m\"", r#""up\"stream""#));
        let anthropic = r#"{"model":"m","stream":true,"max_tokens":5}"#;
        assert_eq!(patched(Route::Messages, anthropic, None), anthropic.replace("\"m\"", r#""up\"stream""#));
    }

    #[test]
    fn a_maximum_is_lowered_in_place_or_written_in() {
        assert_eq!(
            patched(Route::ChatCompletions, r#"{"model":"m","max_completion_tokens": 900}"#, Some(64)),
            r#"{"model":"up\"stream","max_completion_tokens": 64}"#
        );
        assert_eq!(
            patched(Route::ChatCompletions, r#"{"model":"m"}"#, Some(64)),
            r#"{"max_tokens":64,"model":"up\"stream"}"#
        );
        assert_eq!(
            patched(Route::ChatCompletions, r#"{"max_tokens":null,"model":"m"}"#, Some(64)),
            r#"{"max_tokens":64,"model":"up\"stream"}"#
        );
    }

    #[test]
    fn a_body_that_two_readers_could_read_differently_is_refused() {
        for body in [
            r#"{"model":"cheap","model":"dear"}"#,
            r#"{"model":"m","max_tokens":1,"max_tokens":100000}"#,
            r#"{"model":"m","max_tokens":1,"max_completion_tokens":2}"#,
            r#"{"model":7}"#,
            r#"{"messages":[]}"#,
            r#"{"model":"m","max_tokens":-1}"#,
            r#"{"model":"m","max_tokens":1e3}"#,
            r#"{"model":"m","n":0}"#,
            r#"{"model":"m""#,
            r#"["model"]"#,
            "",
            "\u{0}",
        ] {
            assert!(Request::read(Route::ChatCompletions, Bytes::from(body)).is_err(), "{body}");
        }
        assert!(Request::read(Route::ChatCompletions, Bytes::from_static(b"{\"model\":\"\xff\"}")).is_err());
    }

    #[test]
    fn what_a_call_uses_is_seen() {
        let uses = |body: &str| {
            let request = Request::read(Route::ChatCompletions, Bytes::from(body.to_owned())).unwrap();
            request.features.iter().map(Feature::as_str).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(uses(r#"{"model":"m"}"#), "");
        assert_eq!(
            uses(r#"{"model":"m","tools":[],"response_format":{"type":"text"},"reasoning_effort":null}"#),
            ""
        );
        assert_eq!(uses(r#"{"model":"m","stream":true,"tools":[{}]}"#), "streaming tools");
        assert_eq!(uses(r#"{"model":"m","response_format":{"type":"json_schema"}}"#), "structured_outputs");
        assert_eq!(uses(r#"{"model":"m","thinking":{"type":"enabled"}}"#), "reasoning");
        let image = r#"{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}]}"#;
        assert_eq!(uses(image), "vision");
    }
}
