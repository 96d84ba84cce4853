//! What is read of a request body, and the few places where it is patched.
//!
//! The body goes upstream as it came. `model` becomes the provider's name, a stream is asked for
//! its usage, and the maximum of output is written in when it is missing or has to be lowered:
//! each a splice of bytes, so that a large body is never copied or put together anew.

use bytes::Bytes;
use domain::{guardrails::Found, keys::Features, prices::Prices};
use serde::Deserialize;
use serde_json::value::RawValue;
use smallvec::SmallVec;

use super::{
    Route, estimate,
    fields::{BadRequest, Fields, Reach, bad, is_null},
    offers,
    tools::{MOST_USES, Tools},
};

/// What a model's context holds, where the catalogue does not say.
const UNKNOWN_CONTEXT: u64 = 131_072;

#[derive(Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
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
pub(super) type Place = std::ops::Range<usize>;

/// A request, read.
#[derive(Clone, Debug)]
pub struct Request {
    body: Bytes,
    route: Route,
    /// What the caller wrote as model; none when that is left to the key's policy.
    pub model: Option<String>,
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
    /// Tokens of the input that is in the body, estimated upwards.
    input_estimate: u64,
    reach: Reach,
    /// Labels from `metadata`.
    pub use_case: Option<String>,
    /// Labels from `metadata`.
    pub session: Option<String>,
    /// The answer it goes on from, by the provider's name for it.
    pub previous_answer: Option<Box<str>>,
    /// The conversation it is part of.
    pub conversation: Option<Box<str>>,
    /// Whether the provider keeps the answer.
    pub keeps_answer: bool,
    /// What it brings of tools that are billed by the piece.
    pub tools: Tools,
    /// Tools that it offered and that were left out, by their kinds.
    pub left_out: Vec<String>,
    /// What was found in it.
    pub guarded: Vec<Found>,
    model_at: Option<Place>,
    max_at: Option<Place>,
    stream_options_at: Option<Place>,
    /// Where its bound over all tools stands.
    tool_calls_at: Option<Place>,
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
        let model = match fields.model.filter(|raw| !is_null(raw)) {
            Some(raw) => {
                Some(serde_json::from_str(raw.get()).map_err(|_| bad("model", "`model` has to be a text."))?)
            }
            None => None,
        };
        fields.check(route)?;
        let (max_output, max_at) = fields.maximum(route)?;
        let wants_usage = match fields.stream_options.filter(|raw| !is_null(raw)) {
            Some(raw) => serde_json::from_str::<StreamOptions>(raw.get())
                .map_err(|_| bad("stream_options", "`stream_options` has to be an object."))?
                .include_usage
                .unwrap_or(false),
            None => false,
        };
        let labels: Labels =
            fields.metadata.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        let (features, reach) = fields.uses(route);
        let input_estimate = match fields.input {
            Some(input) if route == Route::Embeddings => estimate::embedded_tokens(input.get()),
            _ => estimate::input_tokens(text),
        };
        let (model_at, stream_options_at) = (fields.model.map(place), fields.stream_options.map(place));
        let max_at = max_at.map(place);
        let (choices, bound) = (fields.n.unwrap_or(1), fields.max_tool_calls);
        let tools = Tools::read(route, fields.tools, bound, fields.searches(), choices, place)?;
        let (previous_answer, conversation) = fields.goes_on_from(route)?;
        let keeps_answer = fields.keeps_answer(route);
        Ok(Self {
            previous_answer,
            conversation,
            keeps_answer,
            tools,
            tool_calls_at: bound.map(place),
            left_out: Vec::new(),
            guarded: Vec::new(),
            route,
            model,
            stream: fields.stream.unwrap_or(false),
            wants_usage,
            max_output,
            choices,
            features,
            input_estimate,
            reach,
            use_case: labels.use_case,
            session: labels.session,
            model_at,
            max_at,
            stream_options_at,
            body,
        })
    }

    /// The same call without the tools that it merely offers and that have no price with these; none
    /// where that is not what it asks for.
    pub fn without_unpriced(&self, prices: &Prices) -> Option<Self> {
        let rest = offers::without_unpriced(self.route, &self.body, prices)?;
        let mut request = Self::read(self.route, rest.body).ok()?;
        if request.tools.unpriced(prices).is_some() {
            return None;
        }
        request.left_out = rest.kinds;
        request.guarded.clone_from(&self.guarded);
        request.use_case.clone_from(&self.use_case);
        request.session.clone_from(&self.session);
        Some(request)
    }

    /// As it came.
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// Whether the answer depends on nothing but the body and the model.
    pub fn says_all(&self) -> bool {
        self.reach != Reach::Beyond
    }

    /// The most input tokens that the provider can read for a model with this context.
    pub fn most_input(&self, context: Option<u64>) -> u64 {
        match (self.reach, context) {
            (Reach::Body, Some(context)) => context.min(self.input_estimate),
            (Reach::Body, None) | (Reach::Texts, _) => self.input_estimate,
            (Reach::Beyond, Some(context)) => context,
            (Reach::Beyond, None) => self.input_estimate.saturating_add(UNKNOWN_CONTEXT),
        }
    }

    /// The body for the provider, as pieces of the caller's and the few patches between them.
    pub fn patched(&self, patch: &Patch<'_>) -> SmallVec<[Bytes; 8]> {
        let mut edits: SmallVec<[(Place, String); 4]> = SmallVec::new();
        let mut added = String::new();
        match &self.model_at {
            Some(place) => edits.push((place.clone(), json_text(patch.model))),
            None => added += &format!("\"model\":{},", json_text(patch.model)),
        }
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
        if patch.bounds_tools {
            // Behind a brace there is a field at least: its kind.
            edits.extend(self.tools.open.iter().map(|place| {
                let field = format!("\"max_uses\":{MOST_USES},");
                (place.clone(), if place.is_empty() { field } else { MOST_USES.to_string() })
            }));
            if self.tools.all_open {
                match &self.tool_calls_at {
                    Some(place) => edits.push((place.clone(), MOST_USES.to_string())),
                    None => added += &format!("\"max_tool_calls\":{MOST_USES},"),
                }
            }
        }
        if !added.is_empty() {
            let open = self.body.iter().position(|&byte| byte == b'{').unwrap_or(0) + 1;
            if self.body[open..].trim_ascii_start().first() == Some(&b'}') {
                // Nothing is behind it.
                added.pop();
            }
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
    /// Whether the bound of tools that are billed by the piece is written in, where it is left open.
    pub bounds_tools: bool,
}

fn json_text(text: &str) -> String {
    serde_json::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use domain::keys::Feature;

    use super::*;

    fn patched(route: Route, body: &str, max_output: Option<u64>) -> String {
        let request = Request::read(route, Bytes::from(body.to_owned())).unwrap();
        let pieces = request.patched(&Patch {
            model: "up\"stream",
            max_output,
            max_field: "max_tokens",
            bounds_tools: true,
        });
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
            r#"{"model":"m","max_tokens":-1}"#,
            r#"{"model":"m","max_tokens":1e3}"#,
            r#"{"model":"m","n":0}"#,
            r#"{"model":"m","n_predict":100000}"#,
            r#"{"model":"m","max_new_tokens":9}"#,
            r#"{"model":"m","best_of":20}"#,
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
    fn a_response_has_a_maximum_of_its_own_and_no_other() {
        let lowered = |body: &str| {
            let request = Request::read(Route::Responses, Bytes::from(body.to_owned())).unwrap();
            let pieces = request.patched(&Patch {
                model: "u",
                max_output: Some(64),
                max_field: "max_output_tokens",
                bounds_tools: false,
            });
            pieces.iter().map(|piece| std::str::from_utf8(piece).unwrap()).collect::<String>()
        };
        assert_eq!(
            lowered(r#"{"model":"m","stream":true,"max_output_tokens":900,"input":"x"}"#),
            r#"{"model":"u","stream":true,"max_output_tokens":64,"input":"x"}"#
        );
        assert_eq!(lowered(r#"{"model":"m"}"#), r#"{"max_output_tokens":64,"model":"u"}"#);
        for body in [
            r#"{"model":"m","max_tokens":9}"#,
            r#"{"model":"m","max_completion_tokens":9}"#,
            r#"{"model":"m","background":true}"#,
            r#"{"model":"m","background":1}"#,
            r#"{"model":"m","prompt":{"id":"pmpt_1"}}"#,
            r#"{"model":"m","max_output_tokens":"9"}"#,
        ] {
            assert!(Request::read(Route::Responses, Bytes::from(body)).is_err(), "{body}");
        }
        for body in [r#"{"model":"m","background":false}"#, r#"{"model":"m","prompt":null}"#] {
            assert!(Request::read(Route::Responses, Bytes::from(body)).is_ok(), "{body}");
        }
    }

    #[test]
    fn what_costs_more_than_the_prices_say_is_refused() {
        for (route, body, fits) in [
            (Route::ChatCompletions, r#"{"model":"m","service_tier":"priority"}"#, false),
            (Route::Responses, r#"{"model":"m","service_tier":"priority"}"#, false),
            (Route::Messages, r#"{"model":"m","max_tokens":9,"speed":"fast"}"#, false),
            (Route::ChatCompletions, r#"{"model":"m","service_tier":"flex"}"#, true),
            (Route::ChatCompletions, r#"{"model":"m","service_tier":null}"#, true),
            (Route::ChatCompletions, r#"{"model":"m","service_tier":"\u0070riority"}"#, false),
            (Route::Responses, r#"{"model":"m","service_tier":"fast"}"#, false),
            (Route::Responses, r#"{"model":"m","service_tier":"ultrafast"}"#, false),
            (Route::Messages, r#"{"model":"m","max_tokens":9,"inference_geo":"us"}"#, false),
            (Route::Messages, r#"{"model":"m","max_tokens":9,"inference_geo":"global"}"#, true),
            (Route::Messages, r#"{"model":"m","max_tokens":9,"fallbacks":[{"model":"dear"}]}"#, false),
            (Route::ChatCompletions, r#"{"model":"m","models":["dear"]}"#, false),
            (Route::ChatCompletions, r#"{"model":"m","fallbacks":["dear"]}"#, false),
            (Route::ChatCompletions, r#"{"model":"m","plugins":[{"id":"web"}]}"#, false),
            (Route::ChatCompletions, r#"{"model":"m","fallbacks":[],"models":null}"#, true),
            (
                Route::Messages,
                r#"{"model":"m","max_tokens":9,"service_tier":"auto","speed":"standard"}"#,
                true,
            ),
        ] {
            assert_eq!(Request::read(route, Bytes::from(body)).is_ok(), fits, "{body}");
        }
    }

    #[test]
    fn a_bound_of_tools_that_is_left_open_is_written_in() {
        for (route, body, expected) in [
            (
                Route::Responses,
                r#"{"model":"m","tools":[{"type":"web_search"}]}"#,
                r#"{"max_tool_calls":16,"model":"up\"stream","tools":[{"type":"web_search"}]}"#,
            ),
            (
                Route::Responses,
                r#"{"max_tool_calls": null,"model":"m","tools":[{"type":"file_search"}]}"#,
                r#"{"max_tool_calls": 16,"model":"up\"stream","tools":[{"type":"file_search"}]}"#,
            ),
            (
                Route::Responses,
                r#"{"max_tool_calls": 3,"model":"m","tools":[{"type":"file_search"}]}"#,
                r#"{"max_tool_calls": 3,"model":"up\"stream","tools":[{"type":"file_search"}]}"#,
            ),
            (
                Route::Messages,
                r#"{"tools":[{"name":"f"}, { "type":"web_search_20250305","name":"w"},{"type":"web_search_20250305","max_uses":2}],"model":"m"}"#,
                r#"{"tools":[{"name":"f"}, {"max_uses":16, "type":"web_search_20250305","name":"w"},{"type":"web_search_20250305","max_uses":2}],"model":"up\"stream"}"#,
            ),
            (
                Route::Messages,
                r#"{"tools":[{"type":"web_search_20250305","max_uses": null}],"model":"m"}"#,
                r#"{"tools":[{"type":"web_search_20250305","max_uses": 16}],"model":"up\"stream"}"#,
            ),
            (
                Route::ChatCompletions,
                r#"{"model":"m","web_search_options":{}}"#,
                r#"{"model":"up\"stream","web_search_options":{}}"#,
            ),
        ] {
            assert_eq!(patched(route, body, None), expected);
        }
    }

    #[test]
    fn a_model_that_is_left_out_is_written_in() {
        for (body, expected) in [
            ("{}", r#"{"model":"up\"stream"}"#),
            (r#"{ "input":"x"}"#, r#"{"model":"up\"stream", "input":"x"}"#),
            (r#"{"model":null}"#, r#"{"model":"up\"stream"}"#),
        ] {
            assert_eq!(patched(Route::Responses, body, None), expected);
        }
    }

    #[test]
    fn input_that_is_elsewhere_counts_as_a_full_context() {
        let most = |route, body: &str| {
            Request::read(route, Bytes::from(body.to_owned())).unwrap().most_input(Some(9_000))
        };
        for body in [
            r#"{"model":"m","previous_response_id":"resp_1"}"#,
            r#"{"model":"m","conversation":{"id":"c"}}"#,
            r#"{"model":"m","tools":[{"type":"web_search"}]}"#,
            r#"{"model":"m","input":[{"content":[{"type":"input_file","file_id":"f"}]}]}"#,
        ] {
            assert_eq!(most(Route::Responses, body), 9_000, "{body}");
        }
        let pdf = r#"{"model":"m","messages":[{"content":[{"type":"document","source":{}}]}]}"#;
        assert_eq!(most(Route::Messages, pdf), 9_000);
        let plain = r#"{"model":"m","previous_response_id":null,"tools":[{"type":"function"}],"input":"x"}"#;
        assert!(most(Route::Responses, plain) < 100);
        let many = format!(r#"{{"model":"m","input":["{}","b"]}}"#, "1".repeat(20_000));
        assert!(most(Route::Embeddings, &many) > 20_000, "each text has a context of its own");
    }

    #[test]
    fn what_a_call_uses_is_seen() {
        let uses = |route: Route, body: &str| {
            let request = Request::read(route, Bytes::from(body.to_owned())).unwrap();
            request.features.iter().map(Feature::as_str).collect::<Vec<_>>().join(" ")
        };
        let (chat, messages, responses) = (Route::ChatCompletions, Route::Messages, Route::Responses);
        let image = r#"[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}]"#;
        for (route, fields, expected) in [
            (chat, "", ""),
            (chat, r#""tools":[],"response_format":{"type":"text"},"reasoning_effort":null"#, ""),
            (chat, r#""stream":true,"tools":[{}]"#, "streaming tools"),
            (chat, r#""functions":[{}]"#, "tools"),
            (chat, r#""response_format":{"type":"json_schema"}"#, "structured_outputs"),
            (chat, r#""response_format":{"type":"json\u005fobject"}"#, "structured_outputs"),
            (chat, r#""response_format":{"type":"text","type":"json_object"}"#, "structured_outputs"),
            (chat, r#""reasoning_effort":"high""#, "reasoning"),
            (chat, r#""reasoning":{"max_tokens":9}"#, "reasoning"),
            (chat, &format!(r#""messages":{image}"#), "vision"),
            (messages, r#""thinking":{"type":"disabled"}"#, ""),
            (messages, r#""thinking":{"type":"enabled"}"#, "reasoning"),
            (messages, r#""output_config":{"effort":"high"}"#, "reasoning"),
            (messages, r#""output_config":{"format":{"type":"json_schema"}}"#, "structured_outputs"),
            (messages, r#""output_format":{"type":"json_schema"}"#, "structured_outputs"),
            (messages, r#""mcp_servers":[{}]"#, "tools"),
            (messages, r#""messages":[{"content":[{"type" : "image"}]}]"#, "vision"),
            (responses, r#""text":{"format":{"type":"text"}},"reasoning":{"summary":"auto"}"#, ""),
            (responses, r#""text":{"format":{"type":"json_schema"}}"#, "structured_outputs"),
            (responses, r#""reasoning":{"effort":"low"}"#, "reasoning"),
            (responses, r#""tools":[{"type":"web_search"}]"#, "tools"),
            (responses, r#""input":[{"content":[{"type":"input_image"}]}]"#, "vision"),
            (Route::Embeddings, r#""input":"x""#, "embeddings"),
        ] {
            let body = if fields.is_empty() { "{}".to_owned() } else { format!("{{{fields}}}") };
            assert_eq!(uses(route, &body), expected, "{body}");
        }
    }
}
