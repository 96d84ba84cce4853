//! What is read of an answer while it passes: usage, and whether it came to its end.

use std::borrow::Cow;

use bytes::Bytes;
use domain::usage::{ToolUnits, Usage};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

use super::{
    Route, estimate,
    sse::{self, Verdict},
    tools::Used,
    usage::{AnthropicUsage, OpenAiUsage, ResponsesUsage},
};

/// What is known of an answer so far.
#[derive(Debug)]
pub struct Seen {
    route: Route,
    /// Events that have passed.
    pub events: u64,
    /// The answer's own id, as its first event or the whole of it says.
    pub id: Option<Box<str>>,
    /// The model the answer says it is of.
    pub model: Option<Box<str>>,
    /// The block of a message that has begun and not ended.
    pub open_block: Option<u64>,
    /// Whether the chunk that only carries usage is kept from the client.
    hides_usage: bool,
    openai: Option<Usage>,
    anthropic: AnthropicUsage,
    /// What the provider's own tools are seen to have done.
    used: Used,
    /// Events with content: at least one token each.
    deltas: u64,
    /// Bytes of content.
    content: u64,
    /// The answer's own mark of its end has passed.
    pub finished: bool,
    /// A choice has said why it ends: some servers end there, without a mark.
    stopped: bool,
    /// The answer said that it failed.
    pub failed: bool,
}

#[derive(Deserialize)]
struct OpenAiChunk {
    #[serde(default)]
    choices: Option<Vec<IgnoredAny>>,
    usage: Option<OpenAiUsage>,
    x_groq: Option<Groq>,
}

/// Groq puts a stream's usage here.
#[derive(Deserialize)]
struct Groq {
    usage: Option<OpenAiUsage>,
}

#[derive(Deserialize)]
struct AnthropicEvent {
    usage: Option<AnthropicUsage>,
    message: Option<AnthropicMessage>,
    delta: Option<AnthropicEnd>,
}

#[derive(Deserialize)]
struct AnthropicMessage {
    usage: Option<AnthropicUsage>,
    container: Option<IgnoredAny>,
}

/// What a stream says at its end: whether there was a machine for code, among it.
#[derive(Deserialize)]
struct AnthropicEnd {
    container: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct OpenAiAnswer {
    usage: Option<OpenAiUsage>,
}

/// The end of a streamed response, and a whole one.
#[derive(Deserialize)]
struct Response<'a> {
    id: Option<Box<str>>,
    usage: Option<ResponsesUsage>,
    #[serde(borrow)]
    output: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ResponseEvent<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    response: Option<Response<'a>>,
}

/// A part of a streamed response that is whole.
#[derive(Deserialize)]
struct ItemEvent<'a> {
    #[serde(borrow)]
    item: Option<&'a RawValue>,
}

/// The fields with the text of an answer in its events, in either dialect.
const CONTENT: [&[u8]; 8] = [
    b"\"content\"",
    b"\"refusal\"",
    b"\"text\"",
    b"\"arguments\"",
    b"\"partial_json\"",
    b"\"thinking\"",
    b"\"reasoning_content\"",
    b"\"reasoning\"",
];

/// The one in the events of a response. Others repeat what came before.
const RESPONSE_CONTENT: [&[u8]; 1] = [b"\"delta\""];

impl Seen {
    /// Nothing yet.
    pub fn new(route: Route, hides_usage: bool) -> Self {
        Self {
            route,
            events: 0,
            id: None,
            model: None,
            open_block: None,
            hides_usage,
            openai: None,
            anthropic: AnthropicUsage::default(),
            used: Used::default(),
            deltas: 0,
            content: 0,
            finished: false,
            stopped: false,
            failed: false,
        }
    }

    /// Looks at one event of a stream.
    pub fn event(&mut self, event: &[u8]) -> Verdict {
        self.events += 1;
        if self.events == 1 {
            self.id = text_after(event, b"\"id\":");
            self.model = text_after(event, b"\"model\":");
        }
        self.measure(event);
        match self.route {
            Route::ChatCompletions | Route::Embeddings => return self.openai_event(event),
            Route::Responses => self.response_event(event),
            Route::Messages | Route::CountTokens => self.anthropic_event(event),
        }
        Verdict::Pass
    }

    /// A response ends in one of three events, each with everything in it; or in an error.
    fn response_event(&mut self, event: &[u8]) {
        let has = |mark: &[u8]| memchr::memmem::find(event, mark).is_some();
        if event.starts_with(b"event: response.output_item.done") || has(b"\"response.output_item.done\"") {
            for data in sse::data(event) {
                if let Ok(ItemEvent { item: Some(item) }) = serde_json::from_slice(data) {
                    self.used.add(item);
                }
            }
            return;
        }
        let ends = [&b"response.completed"[..], b"response.incomplete", b"response.failed", b"\"error\""];
        if !ends.into_iter().any(has) {
            return;
        }
        for data in sse::data(event) {
            self.failed |= is_error(data);
            let Ok(event) = serde_json::from_slice::<ResponseEvent<'_>>(data) else { continue };
            match event.kind.as_ref() {
                "response.completed" | "response.incomplete" => self.finished = true,
                "response.failed" | "error" => self.failed = true,
                _ => continue,
            }
            let Some(response) = event.response else { continue };
            self.id = response.id.or(self.id.take());
            self.openai = response.usage.and_then(|usage| usage.whole()).or(self.openai);
            self.looked_at(response.output);
        }
    }

    /// All parts of a response: some servers tell of them at its end only.
    fn looked_at(&mut self, output: Option<&RawValue>) {
        let whole = output.map(Used::of).unwrap_or_default();
        let more = |used: &Used| {
            (used.tools.web_searches + used.tools.file_searches + used.tools.code_sessions, used.images)
        };
        if more(&whole) > more(&self.used) {
            self.used = whole;
        }
    }

    fn openai_event(&mut self, event: &[u8]) -> Verdict {
        let has = |mark: &[u8]| memchr::memmem::find(event, mark).is_some();
        let (usage, error) = (has(b"\"usage\""), has(b"\"error\""));
        let done = has(b"[DONE]");
        self.stopped |= text_of(event, b"\"finish_reason\"").is_some();
        if !usage && !error && !done {
            return Verdict::Pass;
        }
        for data in sse::data(event) {
            if data.trim_ascii() == b"[DONE]" {
                self.finished = true;
                continue;
            }
            if error && is_error(data) {
                self.failed = true;
            }
            let Ok(chunk) = serde_json::from_slice::<OpenAiChunk>(data) else { continue };
            let reported = chunk.usage.or(chunk.x_groq.and_then(|groq| groq.usage));
            let Some(buckets) = reported.and_then(|usage| usage.whole()) else { continue };
            // Some servers report with every chunk: the last one counts.
            self.openai = Some(buckets);
            let alone = chunk.choices.is_none_or(|choices| choices.is_empty());
            if self.hides_usage && alone {
                return Verdict::Hide;
            }
        }
        Verdict::Pass
    }

    fn anthropic_event(&mut self, event: &[u8]) {
        // Anthropic names every event before its data, and most of them are deltas.
        if let Some(rest) = event.strip_prefix(b"event: content_block_st") {
            if rest.starts_with(b"art") && memchr::memmem::find(event, b"\"server_tool_use\"").is_some() {
                let searches = memchr::memmem::find(event, b"\"web_search\"").is_some();
                self.used.tools.web_searches += u64::from(searches);
            }
            self.open_block =
                if rest.starts_with(b"art") { number_after(event, b"\"index\":") } else { None };
        }
        let has = |mark: &[u8]| memchr::memmem::find(event, mark).is_some();
        if has(b"message_stop")
            && sse::data(event).iter().any(|data| kind(data).as_deref() == Some("message_stop"))
        {
            self.finished = true;
        }
        if has(b"\"error\"") && sse::data(event).iter().any(|data| is_error(data)) {
            self.failed = true;
        }
        if !has(b"\"usage\"") {
            return;
        }
        for data in sse::data(event) {
            let Ok(event) = serde_json::from_slice::<AnthropicEvent>(data) else { continue };
            let ran = [
                event.message.as_ref().and_then(|message| message.container),
                event.delta.and_then(|end| end.container),
            ];
            self.ran_code(ran.iter().any(Option::is_some));
            for usage in [event.message.and_then(|message| message.usage), event.usage].into_iter().flatten()
            {
                self.anthropic.update(usage);
            }
        }
    }

    /// Code ran on a machine of the provider's.
    fn ran_code(&mut self, ran: bool) {
        self.used.tools.code_sessions = self.used.tools.code_sessions.max(u64::from(ran));
    }

    /// Counts what will be needed if usage never comes.
    fn measure(&mut self, event: &[u8]) {
        let mut found = false;
        let marks = if self.route == Route::Responses { &RESPONSE_CONTENT[..] } else { &CONTENT };
        for mark in marks {
            // Two names of one thing: who writes both writes the same twice.
            if *mark == b"\"reasoning\"" && text_of(event, b"\"reasoning_content\"").is_some() {
                continue;
            }
            let Some(text) = text_of(event, mark) else { continue };
            let mut end = 0;
            while end < text.len() && text[end] != b'"' {
                end += if text[end] == b'\\' { 2 } else { 1 };
            }
            found |= end > 0;
            self.content += end.min(text.len()) as u64;
        }
        self.deltas += u64::from(found);
    }

    /// Looks at a whole answer that is not a stream, or does not say that it is one.
    pub fn whole(&mut self, body: &[u8]) {
        if [&b"data:"[..], b"event:", b":"].iter().any(|mark| body.trim_ascii_start().starts_with(mark)) {
            let mut splitter = sse::Splitter::default();
            splitter.feed(Bytes::copy_from_slice(body), |event| self.event(event));
            splitter.end(|event| self.event(event));
            return;
        }
        self.finished = true;
        match self.route {
            Route::ChatCompletions | Route::Embeddings => {
                let answer = serde_json::from_slice::<OpenAiAnswer>(body).ok();
                let usage = answer.and_then(|answer| answer.usage);
                self.openai = match self.route {
                    Route::Embeddings => usage.and_then(|usage| usage.of_vectors().whole()),
                    _ => usage.and_then(|usage| usage.whole()),
                };
            }
            Route::Responses => {
                if let Ok(answer) = serde_json::from_slice::<Response<'_>>(body) {
                    self.openai = answer.usage.and_then(|usage| usage.whole());
                    self.id = answer.id;
                    self.looked_at(answer.output);
                }
            }
            Route::Messages | Route::CountTokens => {
                if let Ok(AnthropicMessage { usage, container }) = serde_json::from_slice(body) {
                    self.ran_code(container.is_some());
                    if let Some(usage) = usage {
                        self.anthropic.update(usage);
                    }
                }
            }
        }
        self.content = body.len() as u64;
    }

    /// Whether it is whole where the connection ends: it has been brought to an end, by its mark or by the
    /// reason for which it ends.
    pub const fn is_whole(&self) -> bool {
        self.finished || self.stopped
    }

    /// Events that had content: at least so many tokens have been written.
    pub const fn written(&self) -> u64 {
        self.deltas
    }

    /// What the provider reported, if it did.
    pub fn usage(&self) -> Option<Usage> {
        match self.route {
            Route::ChatCompletions | Route::Embeddings => self.openai,
            Route::Responses => self.openai.map(|usage| self.used.beside(usage)),
            // The first event carries the input; without a later one the output is not known.
            Route::Messages | Route::CountTokens => {
                let told =
                    self.anthropic.whole().filter(|_| self.finished || self.anthropic_reported_output())?;
                let tools = ToolUnits { code_sessions: self.used.tools.code_sessions, ..told.tools };
                Some(Usage { tools, ..told })
            }
        }
    }

    fn anthropic_reported_output(&self) -> bool {
        self.anthropic
            .buckets()
            .is_some_and(|usage| usage.output_tokens() > 1 && usage.output_tokens() >= self.deltas)
    }

    /// Our own figure of what was used, when the provider did not say.
    pub fn estimate(&self, input_estimate: u64) -> Usage {
        let reported = self.anthropic.buckets().map(|usage| Usage { output: 0, reasoning: 0, ..usage });
        let input = reported.unwrap_or(Usage { input: input_estimate, ..Usage::default() });
        self.used.beside(Usage { output: self.deltas.max(estimate::output_tokens(self.content)), ..input })
    }
}

/// Longer texts are no ids and no names of models.
const NAME_MAX: usize = 200;

fn value_after<'a>(event: &'a [u8], mark: &[u8]) -> Option<&'a [u8]> {
    let start = memchr::memmem::find(event, mark)? + mark.len();
    Some(event[start..].trim_ascii_start())
}

/// The text behind the first such mark, if it is a short one without escapes.
fn text_after(event: &[u8], mark: &[u8]) -> Option<Box<str>> {
    let text = value_after(event, mark)?.strip_prefix(b"\"")?;
    let text = &text[..memchr::memchr(b'"', &text[..text.len().min(NAME_MAX + 1)])?];
    std::str::from_utf8(text).ok().filter(|text| !text.contains('\\')).map(Into::into)
}

/// The number behind the first such mark.
fn number_after(event: &[u8], mark: &[u8]) -> Option<u64> {
    let text = value_after(event, mark)?;
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    std::str::from_utf8(&text[..end]).ok()?.parse().ok()
}

/// The first text that is the value of a field, up to the end of the event. Some servers write a
/// space behind the colon, and the name of a field may be the value of another one.
fn text_of<'a>(event: &'a [u8], field: &[u8]) -> Option<&'a [u8]> {
    let mut rest = event;
    loop {
        rest = &rest[memchr::memmem::find(rest, field)? + field.len()..];
        let value = rest.trim_ascii_start().strip_prefix(b":").map(<[u8]>::trim_ascii_start);
        if let Some(text) = value.and_then(|value| value.strip_prefix(b"\"")) {
            return Some(text);
        }
    }
}

fn kind(data: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Kind<'a> {
        #[serde(borrow, rename = "type")]
        kind: &'a str,
    }
    serde_json::from_slice::<Kind<'_>>(data).ok().map(|event| event.kind.to_owned())
}

/// An object with an `error` of its own: both dialects end a broken stream so.
fn is_error(data: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Failure {
        error: Option<serde_json::Value>,
    }
    serde_json::from_slice::<Failure>(data)
        .is_ok_and(|failure| failure.error.is_some_and(|error| !error.is_null()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usage_chunk_is_read_and_hidden_from_a_client_that_did_not_ask() {
        let chunk = br#"data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}}

"#;
        let mut seen = Seen::new(Route::ChatCompletions, true);
        assert_eq!(
            seen.event(
                b"data: {\"choices\":[{\"delta\":{\"content\":\"hi \\\" there\"}}],\"usage\":null}\n\n"
            ),
            Verdict::Pass
        );
        assert_eq!(seen.event(chunk), Verdict::Hide);
        assert_eq!(seen.event(b"data: [DONE]\n\n"), Verdict::Pass);
        assert!(seen.finished && !seen.failed);
        assert_eq!(seen.usage(), Some(Usage { input: 7, output: 3, ..Usage::default() }));
        assert_eq!(Seen::new(Route::ChatCompletions, false).event(chunk), Verdict::Pass);
    }

    #[test]
    fn usage_beside_content_stays_with_its_content() {
        let mut seen = Seen::new(Route::ChatCompletions, true);
        let chunk = br#"data: {"choices":[{"delta":{}}],"usage":{"prompt_tokens":7,"completion_tokens":3}}"#;
        assert_eq!(seen.event(chunk), Verdict::Pass);
        assert!(seen.usage().is_some());
    }

    #[test]
    fn text_that_talks_about_usage_or_done_is_only_text() {
        let mut seen = Seen::new(Route::ChatCompletions, true);
        let chunk = br#"data: {"choices":[{"delta":{"content":"\"usage\" [DONE] \"error\""}}]}"#;
        assert_eq!(seen.event(chunk), Verdict::Pass);
        assert!(!seen.finished && !seen.failed);
        assert_eq!(seen.usage(), None);
    }

    #[test]
    fn an_anthropic_stream_is_summed_from_its_events() {
        let mut seen = Seen::new(Route::Messages, false);
        seen.event(b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n");
        seen.event(b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"four\"}}\n\n");
        assert_eq!(seen.usage(), None, "cut here, the output is not known");
        assert_eq!(seen.estimate(500), Usage { input: 9, output: 2, ..Usage::default() });
        seen.event(
            b"event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":12}}\n\n",
        );
        seen.event(b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
        assert!(seen.finished);
        assert_eq!(seen.usage(), Some(Usage { input: 9, output: 12, ..Usage::default() }));
    }

    #[test]
    fn text_is_measured_however_its_server_spaces_it() {
        let spaced = br#"data: {"type": "content_block_delta", "delta": {"type": "text", "text": "four"}}"#;
        let tight = br#"data: {"type":"content_block_delta","delta":{"type":"text","text":"four"}}"#;
        for event in [&spaced[..], tight] {
            let mut seen = Seen::new(Route::Messages, false);
            seen.event(event);
            assert_eq!(seen.estimate(9).output, 2);
        }
    }

    #[test]
    fn a_response_is_read_from_its_last_event() {
        for (end, finished, failed) in
            [("completed", true, false), ("incomplete", true, false), ("failed", false, true)]
        {
            let mut seen = Seen::new(Route::Responses, false);
            seen.event(b"event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"usage\":null,\"error\":null}}\n\n");
            seen.event(b"event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"four response.completed\"}\n\n");
            assert!(!seen.finished && !seen.failed);
            assert_eq!((seen.usage(), seen.estimate(9).output), (None, 12));
            let last = format!(
                "event: response.{end}\ndata: {{\"type\":\"response.{end}\",\"response\":{{\"usage\":{{\"input_tokens\":9,\"output_tokens\":4}}}}}}\n\n"
            );
            seen.event(last.as_bytes());
            assert_eq!((seen.finished, seen.failed), (finished, failed), "{end}");
            assert_eq!(seen.usage(), Some(Usage { input: 9, output: 4, ..Usage::default() }));
        }
    }

    #[test]
    fn a_broken_stream_says_so_in_both_dialects() {
        let mut seen = Seen::new(Route::Messages, false);
        seen.event(b"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n");
        assert!(seen.failed);
        let mut seen = Seen::new(Route::ChatCompletions, false);
        seen.event(b"data: {\"error\":{\"message\":\"x\"}}\n\n");
        assert!(seen.failed);
    }
}
