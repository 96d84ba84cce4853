//! Answers of OpenAI's newer route.

use serde_json::{Value, json};

use super::{Script, Tokens, answer::pieces};

fn response(model: &str, status: &str, output: &Value) -> Value {
    json!({
        "id": "resp_1", "object": "response", "created_at": 1_790_000_000, "status": status, "error": null,
        "incomplete_details": null, "model": model, "output": output, "usage": null,
    })
}

fn usage(tokens: Tokens) -> Value {
    json!({
        "input_tokens": tokens.input, "input_tokens_details": { "cached_tokens": tokens.input / 2 },
        "output_tokens": tokens.output, "output_tokens_details": { "reasoning_tokens": tokens.output / 2 },
        "total_tokens": tokens.input + tokens.output,
    })
}

fn output(script: &Script) -> Value {
    let content = json!([{ "type": "output_text", "text": script.text, "annotations": [] }]);
    let search = json!({ "id": "ws_1", "type": "web_search_call", "status": "completed", "action": { "type": "search" } });
    let mut output = vec![search; usize::try_from(script.searches).unwrap_or_default()];
    output.push(
        json!({ "id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": content }),
    );
    if script.calls_tool {
        output.push(json!({
            "id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "look_up",
            "arguments": "{\"word\":\"bursar\"}", "status": "completed",
        }));
    }
    Value::Array(output)
}

/// A whole one. One that was cut at its maximum says so.
pub(super) fn whole(model: &str, script: &Script, tokens: Tokens) -> Value {
    let status = if tokens.output < script.tokens.output { "incomplete" } else { "completed" };
    let mut body = response(model, status, &output(script));
    if status == "incomplete" {
        body["incomplete_details"] = json!({ "reason": "max_output_tokens" });
    }
    if script.reports_usage {
        body["usage"] = usage(tokens);
    }
    body
}

/// The events of a streamed one.
pub(super) fn events(model: &str, script: &Script, tokens: Tokens) -> Vec<String> {
    let mut data = vec![
        json!({ "type": "response.created", "response": response(model, "in_progress", &json!([])) }),
        json!({ "type": "response.in_progress", "response": response(model, "in_progress", &json!([])) }),
    ];
    data.push(json!({
        "type": "response.output_item.added", "output_index": 0,
        "item": { "id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress", "content": [] },
    }));
    let place = json!({ "item_id": "msg_1", "output_index": 0, "content_index": 0 });
    let at = |kind: &str, more: Value| {
        let mut event = place.clone();
        event["type"] = json!(kind);
        if let (Some(event), Value::Object(more)) = (event.as_object_mut(), more) {
            event.extend(more);
        }
        event
    };
    let part = |text: &str| json!({ "part": { "type": "output_text", "text": text, "annotations": [] } });
    data.push(at("response.content_part.added", part("")));
    data.extend(
        pieces(script)
            .iter()
            .map(|piece| at("response.output_text.delta", json!({ "delta": piece, "logprobs": [] }))),
    );
    data.push(at("response.output_text.done", json!({ "text": script.text, "logprobs": [] })));
    data.push(at("response.content_part.done", part(&script.text)));
    let all = output(script);
    for item in all.as_array().into_iter().flatten().filter(|item| item["type"] != "function_call") {
        data.push(json!({ "type": "response.output_item.done", "output_index": 0, "item": item }));
    }
    let whole = whole(model, script, tokens);
    let status = whole["status"].as_str().unwrap_or_default().to_owned();
    data.push(json!({ "type": format!("response.{status}"), "response": whole }));
    let event = |(number, mut data): (usize, Value)| {
        data["sequence_number"] = json!(number);
        format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or_default())
    };
    let mut events: Vec<String> = data.into_iter().enumerate().map(event).collect();
    if script.ends_with_done {
        events.push("data: [DONE]\n\n".to_owned());
    }
    events
}
