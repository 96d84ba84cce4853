//! How a stream ends that Bursar ends: as the dialect ends one whose maximum is reached, so that
//! every client takes what it has got, with a note beside it that says why.

use domain::usage::Usage;
use serde_json::{Value, json};

use super::{Route, answer::Seen, refusal::Refusal, said::Said};

/// A stream that ends now.
#[derive(Clone, Copy, Debug)]
pub struct Cut<'a> {
    /// The route it was called on.
    pub route: Route,
    /// What was seen of it.
    pub seen: &'a Seen,
    /// What has gone to the client, of a response.
    pub said: Option<&'a Said>,
    /// What is booked for it.
    pub usage: Usage,
    /// How many choices it has.
    pub choices: u64,
    /// Whether the caller asked for usage in the stream.
    pub wants_usage: bool,
    /// Why it ends.
    pub why: &'a Refusal,
    /// As what it ends.
    pub end: End,
}

/// As what an answer ends that does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Its maximum is reached.
    Length,
    /// Its content is not to go on.
    Filtered,
}

impl End {
    const fn chat(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::Filtered => "content_filter",
        }
    }

    const fn message(self) -> &'static str {
        match self {
            Self::Length => "max_tokens",
            Self::Filtered => "refusal",
        }
    }

    const fn response(self) -> &'static str {
        match self {
            Self::Length => "max_output_tokens",
            Self::Filtered => "content_filter",
        }
    }
}

impl Cut<'_> {
    /// The last events, behind a whole one.
    pub fn events(&self) -> String {
        if self.seen.events == 0 {
            // Nothing was begun that could be brought to an end.
            return self.why.stream_event(self.route, 0);
        }
        match self.route {
            Route::ChatCompletions | Route::Embeddings => self.chat(),
            Route::Responses => self.response(),
            Route::Messages | Route::CountTokens => self.message(),
        }
    }

    /// `error.bursar` without being an error.
    fn note(&self) -> Value {
        let mut note = serde_json::to_value(&self.why.detail).unwrap_or_default();
        note["message"] = json!(self.why.message);
        note
    }

    fn chat(&self) -> String {
        let chunk = |choices: Value| {
            json!({
                "id": self.seen.id.as_deref().unwrap_or_default(),
                "object": "chat.completion.chunk",
                "created": store::clock::now().timestamp(),
                "model": self.seen.model.as_deref().unwrap_or_default(),
                "choices": choices,
            })
        };
        let choices = (0..self.choices)
            .map(|index| json!({ "index": index, "delta": {}, "finish_reason": self.end.chat() }))
            .collect();
        let mut last = chunk(Value::Array(choices));
        last["bursar"] = self.note();
        let mut text = format!("data: {last}\n\n");
        if self.wants_usage {
            let (input, output) = (self.usage.input_tokens(), self.usage.output_tokens());
            let mut usage = chunk(json!([]));
            usage["usage"] = json!({
                "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output,
            });
            text += &format!("data: {usage}\n\n");
        }
        text + "data: [DONE]\n\n"
    }

    fn message(&self) -> String {
        let event = |kind: &str, mut data: Value| {
            data["type"] = json!(kind);
            format!("event: {kind}\ndata: {data}\n\n")
        };
        let mut text = String::new();
        if let Some(index) = self.seen.open_block {
            text += &event("content_block_stop", json!({ "index": index }));
        }
        let delta = json!({
            "delta": { "stop_reason": self.end.message(), "stop_sequence": null },
            "usage": { "output_tokens": self.usage.output_tokens() },
            "bursar": self.note(),
        });
        text + &event("message_delta", delta) + &event("message_stop", json!({}))
    }

    fn response(&self) -> String {
        let (input, output) = (self.usage.input_tokens(), self.usage.output_tokens());
        let (mut events, said) = self.said.map(Said::end).unwrap_or_default();
        events.push(json!({
            "type": "response.incomplete",
            "response": {
                "id": self.seen.id.as_deref().unwrap_or_default(),
                "object": "response",
                "created_at": store::clock::now().timestamp(),
                "status": "incomplete",
                "error": null,
                "incomplete_details": { "reason": self.end.response() },
                "model": self.seen.model.as_deref().unwrap_or_default(),
                "output": said,
                "usage": {
                    "input_tokens": input,
                    "input_tokens_details": { "cached_tokens": 0 },
                    "output_tokens": output,
                    "output_tokens_details": { "reasoning_tokens": 0 },
                    "total_tokens": input + output,
                },
                "bursar": self.note(),
            },
        }));
        let mut text = String::new();
        for (number, mut event) in (self.seen.events..).zip(events) {
            event["sequence_number"] = json!(number);
            let kind = event["type"].as_str().unwrap_or_default();
            text += &format!("event: {kind}\ndata: {event}\n\n");
        }
        text
    }
}
