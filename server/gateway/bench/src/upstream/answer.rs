//! Answers as the two dialects write them.

use std::{collections::VecDeque, convert::Infallible, io, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::{Answer, Ending, Hold, Running, Script, Tokens, responses};

/// How an answer is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Chat,
    Response,
    Embeddings,
    Message,
    Count,
}

/// What matters of a request.
pub(super) struct Call {
    pub model: String,
    shape: Shape,
    streams: bool,
    wants_usage: bool,
    maximum: Option<u64>,
}

impl Call {
    pub fn read(path: &str, body: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let shape = match path {
            path if path.ends_with("/responses") => Shape::Response,
            path if path.ends_with("/embeddings") => Shape::Embeddings,
            path if path.ends_with("/messages") => Shape::Message,
            path if path.ends_with("/count_tokens") => Shape::Count,
            _ => Shape::Chat,
        };
        let names = ["max_output_tokens", "max_completion_tokens", "max_tokens"];
        let maximum = names.iter().find_map(|name| body[name].as_u64());
        Self {
            model: body["model"].as_str().unwrap_or_default().to_owned(),
            shape,
            streams: body["stream"] == true,
            wants_usage: body["stream_options"]["include_usage"] == true,
            maximum,
        }
    }
}

/// What the upstream offers.
pub(super) fn models() -> Answer {
    whole(
        StatusCode::OK,
        &json!({ "object": "list", "data": [{ "id": "upstream-model", "object": "model" }] }),
    )
}

/// The answer to a call, with its counting guard inside.
pub(super) fn answer(
    call: &Call,
    script: Arc<Script>,
    running: Running,
    said: Option<Arc<Mutex<Vec<u8>>>>,
) -> Answer {
    let status = StatusCode::from_u16(script.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let output = match call.shape {
        Shape::Embeddings | Shape::Count => 0,
        _ => call.maximum.map_or(script.tokens.output, |most| most.min(script.tokens.output)),
    };
    let tokens = Tokens { output, ..script.tokens };
    if status.is_success() && call.shape != Shape::Count {
        running.serve(tokens);
    }
    let mut answer = if status.is_success() && call.streams {
        let events = match call.shape {
            Shape::Message | Shape::Count => anthropic_events(call, &script, tokens),
            Shape::Response => responses::events(&call.model, &script, tokens),
            Shape::Chat | Shape::Embeddings => openai_events(call, &script, tokens),
        };
        streamed(steps(events, &script), running, said)
    } else {
        let body = match call.shape {
            _ if !status.is_success() => error(status, matches!(call.shape, Shape::Message | Shape::Count)),
            Shape::Message => anthropic_whole(call, &script, tokens),
            Shape::Count => json!({ "input_tokens": tokens.input }),
            Shape::Response => responses::whole(&call.model, &script, tokens),
            Shape::Embeddings => embeddings(call, &script, tokens),
            Shape::Chat => openai_whole(call, &script, tokens),
        };
        let body = body.to_string();
        if let Some(said) = said {
            said.lock().extend_from_slice(body.as_bytes());
        }
        drop(running);
        let mut answer = Response::new(Full::from(body).map_err(never).boxed_unsync());
        *answer.status_mut() = status;
        set(&mut answer, header::CONTENT_TYPE.as_str(), "application/json");
        answer
    };
    if let Some((name, value)) = script.header {
        set(&mut answer, name, value);
    }
    answer
}

fn whole(status: StatusCode, body: &Value) -> Answer {
    let mut answer = Response::new(Full::from(body.to_string()).map_err(never).boxed_unsync());
    *answer.status_mut() = status;
    set(&mut answer, header::CONTENT_TYPE.as_str(), "application/json");
    answer
}

fn never(never: Infallible) -> io::Error {
    match never {}
}

fn set(answer: &mut Answer, name: &'static str, value: &'static str) {
    answer.headers_mut().insert(name, HeaderValue::from_static(value));
}

fn error(status: StatusCode, anthropic: bool) -> Value {
    let message = format!("The script says {}.", status.as_u16());
    match anthropic {
        true => json!({ "type": "error", "error": { "type": "api_error", "message": message } }),
        false => {
            json!({ "error": { "message": message, "type": "server_error", "param": null, "code": null } })
        }
    }
}

fn openai_usage(tokens: Tokens) -> Value {
    let total = tokens.input + tokens.output;
    json!({ "prompt_tokens": tokens.input, "completion_tokens": tokens.output, "total_tokens": total })
}

fn openai_whole(call: &Call, script: &Script, tokens: Tokens) -> Value {
    let mut message = json!({ "role": "assistant", "content": script.text });
    if script.calls_tool {
        let function = json!({ "name": "look_up", "arguments": "{\"word\":\"bursar\"}" });
        message["tool_calls"] = json!([{ "id": "call_1", "type": "function", "function": function }]);
    }
    let choice = json!({ "index": 0, "message": message, "finish_reason": "stop" });
    let mut body = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_790_000_000, "model": call.model,
        "choices": [choice],
    });
    if script.reports_usage {
        body["usage"] = openai_usage(tokens);
    }
    body
}

fn openai_events(call: &Call, script: &Script, tokens: Tokens) -> Vec<String> {
    let chunk = |choices: Value, usage: Option<Value>| {
        let mut chunk = json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_790_000_000, "model": call.model,
            "choices": choices,
        });
        if call.wants_usage {
            chunk["usage"] = usage.unwrap_or_default();
        }
        format!("data: {chunk}\n\n")
    };
    let delta = |delta: Value, reason: Option<&str>| {
        chunk(json!([{ "index": 0, "delta": delta, "finish_reason": reason }]), None)
    };
    let mut events: Vec<String> = pieces(script)
        .iter()
        .map(|piece| delta(json!({ "role": "assistant", "content": piece }), None))
        .collect();
    if script.calls_tool {
        let function = json!({ "name": "look_up", "arguments": "{\"word\":\"bursar\"}" });
        let tool = json!([{ "index": 0, "id": "call_1", "type": "function", "function": function }]);
        events.push(delta(json!({ "tool_calls": tool }), None));
    }
    events.push(delta(json!({}), Some("stop")));
    if call.wants_usage && script.reports_usage {
        events.push(chunk(json!([]), Some(openai_usage(tokens))));
    }
    events.push("data: [DONE]\n\n".to_owned());
    events
}

fn embeddings(call: &Call, script: &Script, tokens: Tokens) -> Value {
    let data = json!([{ "object": "embedding", "index": 0, "embedding": [0.25, -0.5, 1.0e-3] }]);
    let mut body = json!({ "object": "list", "data": data, "model": call.model });
    if script.reports_usage {
        body["usage"] = json!({ "prompt_tokens": tokens.input, "total_tokens": tokens.input });
    }
    body
}

fn anthropic_whole(call: &Call, script: &Script, tokens: Tokens) -> Value {
    let mut content = vec![json!({ "type": "text", "text": script.text })];
    if script.calls_tool {
        content.push(
            json!({ "type": "tool_use", "id": "toolu_1", "name": "look_up", "input": { "word": "bursar" } }),
        );
    }
    let mut body = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": call.model, "content": content,
        "stop_reason": "end_turn", "stop_sequence": null,
    });
    if script.reports_usage {
        body["usage"] = json!({ "input_tokens": tokens.input, "output_tokens": tokens.output });
        searched(&mut body["usage"], script);
    }
    body
}

/// How Anthropic tells of its searches.
fn searched(usage: &mut Value, script: &Script) {
    if script.searches > 0 {
        usage["server_tool_use"] = json!({ "web_search_requests": script.searches });
    }
}

fn anthropic_events(call: &Call, script: &Script, tokens: Tokens) -> Vec<String> {
    let event = |kind: &str, mut data: Value| {
        data["type"] = json!(kind);
        format!("event: {kind}\ndata: {data}\n\n")
    };
    let mut message = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": call.model, "content": [], "stop_reason": null,
    });
    let mut end = json!({ "delta": { "stop_reason": "end_turn", "stop_sequence": null } });
    if script.reports_usage {
        message["usage"] = json!({ "input_tokens": tokens.input, "output_tokens": 1 });
        end["usage"] = json!({ "output_tokens": tokens.output });
        searched(&mut end["usage"], script);
    }
    let mut events = vec![
        event("message_start", json!({ "message": message })),
        event("content_block_start", json!({ "index": 0, "content_block": { "type": "text", "text": "" } })),
        event("ping", json!({})),
    ];
    events.extend(pieces(script).iter().map(|piece| {
        event("content_block_delta", json!({ "index": 0, "delta": { "type": "text_delta", "text": piece } }))
    }));
    events.push(event("content_block_stop", json!({ "index": 0 })));
    if script.calls_tool {
        let block = json!({ "type": "tool_use", "id": "toolu_1", "name": "look_up", "input": {} });
        let delta = json!({ "type": "input_json_delta", "partial_json": "{\"word\":\"bursar\"}" });
        events.push(event("content_block_start", json!({ "index": 1, "content_block": block })));
        events.push(event("content_block_delta", json!({ "index": 1, "delta": delta })));
        events.push(event("content_block_stop", json!({ "index": 1 })));
    }
    events.push(event("message_delta", end));
    events.push(event("message_stop", json!({})));
    events
}

/// The text in as many pieces as the script says, cut between characters.
pub(super) fn pieces(script: &Script) -> Vec<String> {
    let characters: Vec<char> = script.text.chars().collect();
    let size = characters.len().div_ceil(script.pieces.max(1)).max(1);
    characters.chunks(size).map(|piece| piece.iter().collect()).collect()
}

/// One step of a stream.
enum Step {
    Say(Bytes),
    Wait(Duration),
    Hold,
    Reset,
}

/// The events of a stream as steps, as the script wants them.
fn steps(events: Vec<String>, script: &Script) -> VecDeque<Step> {
    let (last, half) = (events.len().saturating_sub(1), events.len() / 2);
    let mut steps = VecDeque::new();
    if script.ending == Ending::CutInsideCharacter {
        let mut bytes = events.concat().into_bytes();
        // The first byte of a character of several begins with two ones.
        let end = bytes.iter().rposition(|byte| byte & 0xC0 == 0xC0).map_or(bytes.len(), |start| start + 1);
        bytes.truncate(end);
        return [Step::Say(Bytes::from(bytes)), Step::Wait(Duration::from_millis(20)), Step::Reset].into();
    }
    for (place, event) in events.into_iter().enumerate() {
        let held_here = match script.hold {
            Some(Hold::MidStream) => place == half,
            Some(Hold::BeforeLastPiece) => place == last,
            _ => false,
        };
        if held_here {
            steps.push_back(Step::Hold);
        }
        if place > 0 && !script.between.is_zero() {
            steps.push_back(Step::Wait(script.between));
        }
        if place == half && script.ending == Ending::ResetMidStream {
            steps.extend([Step::Wait(Duration::from_millis(20)), Step::Reset]);
        }
        if place == half && script.ending == Ending::EndMidStream {
            break;
        }
        let event = Bytes::from(event);
        if script.byte_by_byte {
            steps.extend((0..event.len()).map(|at| Step::Say(event.slice(at..=at))));
        } else {
            steps.push_back(Step::Say(event));
        }
    }
    steps
}

fn streamed(steps: VecDeque<Step>, running: Running, said: Option<Arc<Mutex<Vec<u8>>>>) -> Answer {
    let frames = stream::unfold((steps, running, said), |(mut steps, running, said)| async move {
        loop {
            match steps.pop_front()? {
                Step::Wait(time) => tokio::time::sleep(time).await,
                Step::Hold => running.hold().await,
                Step::Reset => {
                    steps.clear();
                    let error = io::Error::new(io::ErrorKind::ConnectionReset, "as the script says");
                    return Some((Err(error), (steps, running, said)));
                }
                Step::Say(bytes) => {
                    if let Some(said) = &said {
                        said.lock().extend_from_slice(&bytes);
                    }
                    return Some((Ok(Frame::data(bytes)), (steps, running, said)));
                }
            }
        }
    });
    let mut answer = Response::new(BodyExt::boxed_unsync(StreamBody::new(frames)));
    set(&mut answer, header::CONTENT_TYPE.as_str(), "text/event-stream");
    answer
}
