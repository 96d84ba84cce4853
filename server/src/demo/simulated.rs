//! The simulated provider: an upstream in both dialects that asks no model.
//!
//! It stands on a loopback port of this process, so that programs can try the gateway, with
//! streams, usage and all, on a machine that has no model and no credential. What it answers says
//! what it is.

use std::{convert::Infallible, net::Ipv4Addr, time::Duration};

use axum::{
    Json, Router,
    http::StatusCode,
    response::{
        IntoResponse, Response,
        sse::{Event, Sse},
    },
    routing::{get, post},
};
use futures_util::{Stream, StreamExt, stream};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::acme;
use crate::Fatal;

/// Between two pieces of a stream.
const PAUSE: Duration = Duration::from_millis(12);
/// Tokens of an answer whose caller gave no maximum.
const USUAL: u64 = 120;

/// Begins to answer on a loopback port: this one if it is free, else any. Returns which.
pub async fn start(wanted: u16) -> Result<u16, Fatal> {
    let failed = |error| Fatal::new("the simulated provider’s port", error);
    let listener = match TcpListener::bind((Ipv4Addr::LOCALHOST, wanted)).await {
        Ok(listener) => listener,
        Err(_) => TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?,
    };
    let port = listener.local_addr().map_err(failed)?.port();
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router()).await {
            tracing::error!(%error, "the simulated provider stopped");
        }
    });
    Ok(port)
}

fn router() -> Router {
    Router::new()
        .route("/v1/chat/completions", post(chat))
        .route("/v1/messages", post(messages))
        .route("/v1/messages/count_tokens", post(count_tokens))
        .route("/v1/embeddings", post(embeddings))
        .route("/v1/responses", post(responses))
        .route("/v1/models", get(models))
        // A chat that is told of alerts.
        .route("/chat/budgets", post(async || "taken"))
}

/// What is said, and how much of it is used up.
struct Answer {
    words: Vec<String>,
    input: u64,
    /// Whether the maximum cut it off.
    cut: bool,
    model: String,
}

impl Answer {
    fn to(asked: &Value, most: Option<u64>) -> Self {
        let model = asked["model"].as_str().unwrap_or("?").to_owned();
        let said = last_words(asked);
        let text = format!(
            "This answer comes from the simulated provider of the Bursar demo; no model was asked. \
             It stands in for {model}, counts tokens as four bytes each, and is priced like the real one. \
             You wrote: “{said}”. A program that works against this endpoint works against a real provider: \
             the gateway in front of it is the same, and so are the limits, the ledger and the refusals."
        );
        let all: Vec<String> = text.split_inclusive(' ').map(str::to_owned).collect();
        let most = usize::try_from(most.unwrap_or(USUAL)).unwrap_or(usize::MAX).max(1);
        let cut = all.len() > most;
        Self { words: all.into_iter().take(most).collect(), input: tokens(asked), cut, model }
    }

    fn text(&self) -> String {
        self.words.concat()
    }

    fn output(&self) -> u64 {
        self.words.len() as u64
    }
}

/// Tokens of a request: four bytes each, of what a model would read.
fn tokens(asked: &Value) -> u64 {
    let read = ["messages", "input", "system", "instructions", "tools", "prompt"];
    let bytes: usize =
        read.iter().map(|field| asked[field].to_string().len()).filter(|length| *length > 4).sum();
    (bytes as u64).div_ceil(4).max(1)
}

/// The end of what the caller wrote last.
fn last_words(asked: &Value) -> String {
    let messages = asked["messages"].as_array().or_else(|| asked["input"].as_array());
    let last = messages.and_then(|messages| messages.last()).map(|message| &message["content"]);
    let text = match last.unwrap_or(&asked["input"]) {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join(" ")
        }
        _ => String::new(),
    };
    let skipped = text.chars().count().saturating_sub(80);
    text.chars().skip(skipped).collect()
}

fn streams(asked: &Value) -> bool {
    asked["stream"].as_bool().unwrap_or(false)
}

/// Sends events one after the other, with a breath between them.
fn sse(events: Vec<Event>) -> Response {
    let events: std::pin::Pin<Box<dyn Stream<Item = Result<Event, Infallible>> + Send>> =
        Box::pin(stream::iter(events).then(|event| async {
            tokio::time::sleep(PAUSE).await;
            Ok(event)
        }));
    Sse::new(events).into_response()
}

fn data(value: &Value) -> Event {
    Event::default().data(value.to_string())
}

fn named(value: &Value) -> Event {
    Event::default().event(value["type"].as_str().unwrap_or_default()).data(value.to_string())
}

async fn chat(Json(asked): Json<Value>) -> Response {
    let most = asked["max_completion_tokens"].as_u64().or_else(|| asked["max_tokens"].as_u64());
    let answer = Answer::to(&asked, most);
    let usage = json!({
        "prompt_tokens": answer.input,
        "completion_tokens": answer.output(),
        "total_tokens": answer.input + answer.output(),
        "prompt_tokens_details": { "cached_tokens": 0 },
        "completion_tokens_details": { "reasoning_tokens": 0 },
    });
    let finish = if answer.cut { "length" } else { "stop" };
    if !streams(&asked) {
        let message = json!({ "role": "assistant", "content": answer.text() });
        return Json(json!({
            "id": "chatcmpl-simulated",
            "object": "chat.completion",
            "created": store::clock::now().timestamp(),
            "model": answer.model,
            "choices": [{ "index": 0, "message": message, "finish_reason": finish }],
            "usage": usage,
        }))
        .into_response();
    }
    let chunk = |choices: Value| {
        json!({
            "id": "chatcmpl-simulated",
            "object": "chat.completion.chunk",
            "created": store::clock::now().timestamp(),
            "model": answer.model,
            "choices": choices,
        })
    };
    let mut events: Vec<Event> = answer
        .words
        .iter()
        .map(|word| data(&chunk(json!([{ "index": 0, "delta": { "role": "assistant", "content": word }, "finish_reason": null }]))))
        .collect();
    events.push(data(&chunk(json!([{ "index": 0, "delta": {}, "finish_reason": finish }]))));
    if asked["stream_options"]["include_usage"].as_bool().unwrap_or(false) {
        let mut last = chunk(json!([]));
        last["usage"] = usage;
        events.push(data(&last));
    }
    events.push(Event::default().data("[DONE]"));
    sse(events)
}

async fn messages(Json(asked): Json<Value>) -> Response {
    let answer = Answer::to(&asked, asked["max_tokens"].as_u64());
    let finish = if answer.cut { "max_tokens" } else { "end_turn" };
    let message = |content: Value, finish: Option<&str>, output: u64| {
        json!({
            "id": "msg_simulated",
            "type": "message",
            "role": "assistant",
            "model": answer.model,
            "content": content,
            "stop_reason": finish,
            "stop_sequence": null,
            "usage": {
                "input_tokens": answer.input,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "output_tokens": output,
            },
        })
    };
    if !streams(&asked) {
        let content = json!([{ "type": "text", "text": answer.text() }]);
        return Json(message(content, Some(finish), answer.output())).into_response();
    }
    let mut events = vec![
        named(&json!({ "type": "message_start", "message": message(json!([]), None, 1) })),
        named(
            &json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } }),
        ),
    ];
    events.extend(answer.words.iter().map(|word| {
        named(&json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": word } }))
    }));
    events.push(named(&json!({ "type": "content_block_stop", "index": 0 })));
    events.push(named(&json!({
        "type": "message_delta",
        "delta": { "stop_reason": finish, "stop_sequence": null },
        "usage": { "output_tokens": answer.output() },
    })));
    events.push(named(&json!({ "type": "message_stop" })));
    sse(events)
}

async fn count_tokens(Json(asked): Json<Value>) -> Response {
    Json(json!({ "input_tokens": tokens(&asked) })).into_response()
}

/// Vectors of eight dimensions that depend on the text and mean nothing.
async fn embeddings(Json(asked): Json<Value>) -> Response {
    let texts: Vec<&str> =
        match &asked["input"] {
            Value::String(text) => vec![text],
            Value::Array(texts) => texts.iter().filter_map(Value::as_str).collect(),
            _ => return (
                StatusCode::BAD_REQUEST,
                Json(json!({ "error": { "message": "input is missing", "type": "invalid_request_error" } })),
            )
                .into_response(),
        };
    let vectors: Vec<Value> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let sum: u64 = text.bytes().map(u64::from).sum();
            let vector: Vec<f64> = (1..=8_u64).map(|place| (sum * place % 97) as f64 / 97.0 - 0.5).collect();
            json!({ "object": "embedding", "index": index, "embedding": vector })
        })
        .collect();
    let used = tokens(&asked);
    Json(json!({
        "object": "list",
        "data": vectors,
        "model": asked["model"],
        "usage": { "prompt_tokens": used, "total_tokens": used },
    }))
    .into_response()
}

async fn responses(Json(asked): Json<Value>) -> Response {
    let answer = Answer::to(&asked, asked["max_output_tokens"].as_u64());
    let whole = |status: &str, text: &str, usage: Value| {
        let part = json!({ "type": "output_text", "text": text, "annotations": [] });
        json!({
            "id": "resp_simulated",
            "object": "response",
            "created_at": store::clock::now().timestamp(),
            "model": answer.model,
            "status": status,
            "output": [{ "id": "msg_simulated", "type": "message", "role": "assistant", "status": status, "content": [part] }],
            "usage": usage,
        })
    };
    let usage = json!({
        "input_tokens": answer.input,
        "input_tokens_details": { "cached_tokens": 0 },
        "output_tokens": answer.output(),
        "output_tokens_details": { "reasoning_tokens": 0 },
        "total_tokens": answer.input + answer.output(),
    });
    let done = whole("completed", &answer.text(), usage);
    if !streams(&asked) {
        return Json(done).into_response();
    }
    let mut events = vec![named(
        &json!({ "type": "response.created", "response": whole("in_progress", "", Value::Null) }),
    )];
    events.extend(answer.words.iter().map(|word| {
        named(&json!({
            "type": "response.output_text.delta",
            "item_id": "msg_simulated",
            "output_index": 0,
            "content_index": 0,
            "delta": word,
        }))
    }));
    events.push(named(&json!({ "type": "response.completed", "response": done })));
    sse(events)
}

async fn models() -> Response {
    let names = acme::MODELS.iter().map(|model| model.name).filter(|name| *name != acme::RETIRED);
    let list: Vec<Value> = names
        .chain(acme::NOT_TAKEN)
        .map(|name| json!({ "id": name, "object": "model", "type": "model", "display_name": name, "created": 0, "owned_by": "simulated" }))
        .collect();
    Json(json!({ "object": "list", "data": list, "has_more": false })).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_keeps_to_the_maximum_and_says_what_it_is() {
        let asked = json!({ "model": "gpt-5", "messages": [{ "role": "user", "content": "hello" }] });
        let short = Answer::to(&asked, Some(3));
        assert_eq!((short.output(), short.cut), (3, true));
        let long = Answer::to(&asked, None);
        assert!(long.text().contains("simulated provider"), "{}", long.text());
        assert!(long.text().contains("hello"));
    }
}
