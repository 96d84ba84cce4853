//! What a streamed response has said so far, so that its end can repeat it: the last event of a response
//! carries its whole output, and clients take their answer from there.
//!
//! Events by <https://platform.openai.com/docs/api-reference/responses-streaming>.

use std::{borrow::Cow, collections::BTreeMap};

use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::sse;

/// No more than this is kept of a response; what is longer ends without its output.
const MOST: usize = 4 << 20;

/// What has gone to the client of a response.
#[derive(Debug, Default)]
pub struct Said {
    /// By their place in the output.
    items: BTreeMap<u64, Item>,
    /// Bytes that are kept.
    kept: usize,
    /// There were too many: nothing is kept any more.
    too_much: bool,
}

#[derive(Debug)]
enum Item {
    /// Whole, as the provider said it.
    Done(Box<RawValue>),
    /// It has begun; its parts in order.
    Open { item: Box<RawValue>, parts: BTreeMap<u64, Part> },
}

/// A part of a message.
#[derive(Debug, Default)]
struct Part {
    text: String,
    refusal: bool,
    /// Its own end has passed.
    done: bool,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    output_index: Option<u64>,
    content_index: Option<u64>,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    item: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
}

impl Said {
    /// Takes an event that goes to the client.
    pub fn hear(&mut self, event: &[u8]) {
        if self.too_much {
            return;
        }
        for data in sse::data(event) {
            // Most of what is of no interest here is large: the first and the last event.
            let Ok(event) = serde_json::from_slice::<Event<'_>>(data) else { continue };
            self.take(event);
        }
        if self.kept > MOST {
            *self = Self { too_much: true, ..Self::default() };
        }
    }

    fn take(&mut self, event: Event<'_>) {
        let Some(place) = event.output_index else { return };
        let kept = &mut self.kept;
        match (event.kind.as_ref(), event.item) {
            ("response.output_item.added", Some(item)) => {
                *kept += item.get().len();
                self.items.insert(place, Item::Open { item, parts: BTreeMap::new() });
            }
            ("response.output_item.done", Some(item)) => {
                *kept += item.get().len();
                self.items.insert(place, Item::Done(item));
            }
            (kind, _) => {
                let Some(Item::Open { parts, .. }) = self.items.get_mut(&place) else { return };
                let part = parts.entry(event.content_index.unwrap_or_default());
                match kind {
                    "response.output_text.delta" | "response.refusal.delta" => {
                        let text = event
                            .delta
                            .and_then(|delta| serde_json::from_str::<Cow<'_, str>>(delta.get()).ok());
                        let (part, text) = (part.or_default(), text.unwrap_or_default());
                        part.refusal = kind == "response.refusal.delta";
                        part.text += &text;
                        *kept += text.len();
                    }
                    "response.content_part.added" => _ = part.or_default(),
                    "response.content_part.done" => part.or_default().done = true,
                    _ => {}
                }
            }
        }
    }

    /// The events that end what is open, and everything that was said. A call of a tool of which half has come
    /// is none, and what was only thought is not repeated: both are left out.
    pub fn end(&self) -> (Vec<Value>, Vec<Value>) {
        let (mut events, mut output) = (Vec::new(), Vec::new());
        for (place, item) in &self.items {
            let (item, parts) = match item {
                Item::Done(item) => {
                    output.extend(serde_json::from_str::<Value>(item.get()));
                    continue;
                }
                Item::Open { item, parts } => (item, parts),
            };
            let message =
                serde_json::from_str::<Named<'_>>(item.get()).is_ok_and(|item| item.kind == "message");
            let Some(mut item) = serde_json::from_str::<Value>(item.get()).ok().filter(|_| message) else {
                continue;
            };
            let id = item["id"].clone();
            for (index, part) in parts.iter().filter(|(_, part)| !part.done) {
                let at = |kind: &str| json!({ "type": kind, "item_id": id, "output_index": place, "content_index": index });
                let mut text =
                    at(if part.refusal { "response.refusal.done" } else { "response.output_text.done" });
                if part.refusal {
                    text["refusal"] = json!(part.text);
                } else {
                    (text["text"], text["logprobs"]) = (json!(part.text), json!([]));
                }
                let mut whole = at("response.content_part.done");
                whole["part"] = part.content();
                events.extend([text, whole]);
            }
            item["status"] = json!("incomplete");
            item["content"] = parts.values().map(Part::content).collect();
            events.push(json!({ "type": "response.output_item.done", "output_index": place, "item": item }));
            output.push(item);
        }
        (events, output)
    }
}

impl Part {
    fn content(&self) -> Value {
        if self.refusal {
            json!({ "type": "refusal", "refusal": self.text })
        } else {
            json!({ "type": "output_text", "text": self.text, "annotations": [], "logprobs": [] })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(events: &[Value]) -> (Vec<Value>, Vec<Value>) {
        let mut said = Said::default();
        for event in events {
            said.hear(format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap()).as_bytes());
        }
        said.end()
    }

    fn added(place: u64, item: Value) -> Value {
        json!({ "type": "response.output_item.added", "output_index": place, "item": item })
    }

    fn delta(kind: &str, place: u64, part: u64, text: &str) -> Value {
        json!({ "type": kind, "item_id": "msg_1", "output_index": place, "content_index": part, "delta": text })
    }

    #[test]
    fn what_is_whole_is_repeated_and_what_is_open_is_ended() {
        let (text, refusal) = ("response.output_text.delta", "response.refusal.delta");
        let thought = json!({ "id": "rs_1", "type": "reasoning", "summary": [] });
        let message = json!({ "id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress", "content": [] });
        let (events, output) = said(&[
            added(0, thought.clone()),
            json!({ "type": "response.output_item.done", "output_index": 0, "item": thought }),
            added(1, message),
            delta(text, 1, 0, "Gr\u{fc}n"),
            delta(text, 1, 0, " and \"blue\""),
            delta(refusal, 1, 1, "No"),
            added(2, json!({ "id": "fc_1", "type": "function_call", "name": "rm", "arguments": "" })),
            delta("response.function_call_arguments.delta", 2, 0, "{\"path\": \"/"),
        ]);
        let kinds: Vec<_> = events.iter().filter_map(|event| event["type"].as_str()).collect();
        assert_eq!(
            kinds,
            [
                "response.output_text.done",
                "response.content_part.done",
                "response.refusal.done",
                "response.content_part.done",
                "response.output_item.done"
            ]
        );
        assert_eq!(events[0]["text"], "Gr\u{fc}n and \"blue\"");
        assert_eq!(output.len(), 2, "half a call is none: {output:?}");
        assert_eq!(output[0]["type"], "reasoning");
        assert_eq!(output[1]["status"], "incomplete");
        assert_eq!(output[1]["content"][0]["text"], "Gr\u{fc}n and \"blue\"");
        assert_eq!(output[1]["content"][1], json!({ "type": "refusal", "refusal": "No" }));
    }

    #[test]
    fn an_endless_response_is_not_kept() {
        let mut heard = Said::default();
        let long = "x".repeat(MOST);
        for event in [
            added(0, json!({ "id": "m", "type": "message" })),
            delta("response.output_text.delta", 0, 0, &long),
        ] {
            heard.hear(format!("data: {event}\n\n").as_bytes());
        }
        assert!(heard.too_much && heard.items.is_empty());
        heard.hear(format!("data: {}\n\n", added(1, json!({ "type": "message" }))).as_bytes());
        assert_eq!(heard.end(), (Vec::new(), Vec::new()));
    }
}
