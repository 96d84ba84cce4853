//! Bodies and answers that nobody meant to send: real ones with bytes changed, cut, doubled and mixed. Reading
//! them never panics; and what is read is what a JSON reader at the provider reads.

use bytes::Bytes;
use domain::{money::Price, prices::PriceKey, prices::Prices};
use proptest::{prelude::*, sample::Index};
use serde_json::{Map, Value};

use super::{
    Route,
    answer::Seen,
    request::{Patch, Request},
    sse::Splitter,
};

/// As clients send them: every shape that something is read of.
const BODIES: [&str; 9] = [
    r#"{"model":"gpt-5","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":[{"type":"text","text":"What is this? \u00e9é👩‍💻"},{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}}]}],"max_completion_tokens":900,"n":2,"stream":true,"stream_options":{"include_obfuscation":false},"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],"tool_choice":"auto","response_format":{"type":"json_schema","json_schema":{}},"reasoning_effort":"low","service_tier":"auto","metadata":{"x-bursar-session":"s"},"logit_bias":{"1":-1.5e0},"user":null}"#,
    r#"{"model":"m","messages":[{"role":"user","content":"Hi"}],"max_tokens":16}"#,
    r#"{"stream":true,"stream_options":null,"max_tokens":null,"model":"m","messages":[],"web_search_options":{}}"#,
    r#"{"model":"gpt-5-codex","instructions":"You are Codex.","input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"Print the word."}]},{"type":"function_call_output","call_id":"c","output":"word"}],"tools":[{"type":"function","name":"shell","strict":false,"parameters":{}},{"type":"web_search","external_web_access":true},{"type":"shell","environment":{"type":"container_auto"}},{"type":"file_search","vector_store_ids":["v"]}],"tool_choice":"auto","parallel_tool_calls":false,"reasoning":{"effort":"medium"},"store":false,"stream":true,"include":["reasoning.encrypted_content"],"prompt_cache_key":"k"}"#,
    r#"{"model":"m","input":"Hi","max_output_tokens":64,"max_tool_calls":null,"tools":[{"type":"code_interpreter","container":{"type":"auto"}},{"type":"image_generation"}],"previous_response_id":"resp_1","background":false,"text":{"format":{"type":"text"}}}"#,
    r#"{"model":"claude","max_tokens":1024,"system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":[{"type":"document","source":{"type":"base64","data":"AA=="}}]},{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"Bash","input":{"a":[1,{}]}}]}],"tools":[{"name":"Bash","input_schema":{"type":"object"}},{"type":"web_search_20250305","name":"web_search"},{"type":"web_search_20250305","name":"w","max_uses":2},{"type":"code_execution_20250825","name":"code"}],"tool_choice":{"type":"auto"},"thinking":{"type":"enabled","budget_tokens":1024},"metadata":{"user_id":"u"},"stream":true}"#,
    r#"{"model":"m","input":["a","b"],"encoding_format":"base64","dimensions":8}"#,
    r#"{"model":"m","input":[[1,2,3],[4]]}"#,
    r#"{"model":"m","messages":[{"role":"user","content":"Hi"}],"mcp_servers":[{"url":"https://a.example"}],"output_config":{"effort":"high"},"speed":"standard","inference_geo":"global","fallbacks":[]}"#,
];

/// As providers send them.
const ANSWERS: [&str; 5] = [
    "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi é\"}}],\"usage\":null}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3,\"prompt_tokens_details\":{\"cached_tokens\":2}}}\n\ndata: [DONE]\n\n",
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"four\"}}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"container\":{\"id\":\"c\"}},\"usage\":{\"output_tokens\":12,\"iterations\":[{\"type\":\"compaction\",\"input_tokens\":3}]}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    "event: response.output_item.done\r\ndata: {\"type\":\"response.output_item.done\",\"item\":{\"type\":\"shell_call\",\"environment\":{\"container_id\":\"c\"}}}\r\n\r\nevent: response.completed\r\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"r\",\"output\":[{\"type\":\"web_search_call\",\"action\":{\"type\":\"search\"}}],\"usage\":{\"input_tokens\":9,\"output_tokens\":4,\"input_tokens_details\":{\"cached_tokens\":1}}}}\r\n\r\n",
    "{\"id\":\"r\",\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3,\"input_tokens\":7,\"output_tokens\":3},\"output\":[],\"choices\":[]}",
    "{\"error\":{\"message\":\"no\",\"type\":\"server_error\"}}",
];

/// What happens to a text.
#[derive(Clone, Debug)]
enum Change {
    Set(Index, u8),
    Remove(Index, u8),
    Insert(Index, &'static str),
    Double(Index, u8),
    /// From here on another one.
    Mix(Index, Index, Index),
}

/// What breaks readers.
const PIECES: [&str; 14] = [
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "\u{0}",
    "1e999",
    "18446744073709551616",
    "\\ud800",
    "\"model\":\"x\",",
];

fn change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (at(), 1..9_u8).prop_map(|(at, count)| Change::Remove(at, count)),
        (at(), prop::sample::select(&PIECES[..])).prop_map(|(at, piece)| Change::Insert(at, piece)),
        (at(), 1..40_u8).prop_map(|(at, count)| Change::Double(at, count)),
        (at(), at(), at()).prop_map(|(at, other, from)| Change::Mix(at, other, from)),
    ]
}

fn changed(of: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    (prop::sample::select(of), prop::collection::vec(change(), 0..4)).prop_map(move |(text, changes)| {
        let mut text = text.as_bytes().to_vec();
        for change in changes {
            if text.is_empty() {
                break;
            }
            let length = text.len();
            match change {
                Change::Set(at, byte) => text[at.index(length)] = byte,
                Change::Remove(at, count) => {
                    let at = at.index(length);
                    text.drain(at..(at + usize::from(count)).min(length));
                }
                Change::Insert(at, piece) => {
                    let at = at.index(length);
                    text.splice(at..at, piece.bytes());
                }
                Change::Double(at, count) => {
                    let at = at.index(length);
                    let piece = text[at..(at + usize::from(count)).min(length)].to_vec();
                    text.splice(at..at, piece);
                }
                Change::Mix(at, other, from) => {
                    let other = other.get(of).as_bytes();
                    text.truncate(at.index(length));
                    text.extend_from_slice(&other[from.index(other.len())..]);
                }
            }
        }
        text
    })
}

/// A body without what may be patched in it.
fn unpatched(body: &[u8]) -> Option<Map<String, Value>> {
    let mut fields: Map<String, Value> = serde_json::from_slice(body).ok()?;
    for patched in [
        "model",
        "stream_options",
        "max_tokens",
        "max_completion_tokens",
        "max_output_tokens",
        "max_tool_calls",
    ] {
        fields.remove(patched);
    }
    let tools = fields.get_mut("tools").and_then(Value::as_array_mut);
    for tool in tools.into_iter().flatten().filter_map(Value::as_object_mut) {
        tool.remove("max_uses");
    }
    Some(fields)
}

fn put_together(route: Route, request: &Request, max_output: Option<u64>) -> Vec<u8> {
    let max_field = if route == Route::Responses { "max_output_tokens" } else { "max_tokens" };
    let patch = Patch { model: "up", max_output, max_field, bounds_tools: true };
    request.patched(&patch).concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_body_is_read_as_its_provider_reads_it(body in changed(&BODIES), route in 0..Route::ALL.len()) {
        let route = Route::ALL[route];
        let Ok(request) = Request::read(route, Bytes::from(body.clone())) else { return Ok(()) };
        // Numbers that no reader can hold are left to the provider.
        let Some(meant) = unpatched(&body) else { return Ok(()) };
        // Elsewhere nothing is written in.
        let writes = matches!(route, Route::ChatCompletions | Route::Responses | Route::Messages);
        for max_output in [None, writes.then_some(64)] {
            let sent = put_together(route, &request, max_output);
            prop_assert_eq!(unpatched(&sent), Some(meant.clone()), "{}", String::from_utf8_lossy(&sent));
            let fields: Map<String, Value> = serde_json::from_slice(&sent).expect("JSON");
            prop_assert_eq!(&fields["model"], "up");
            let again = Request::read(route, Bytes::from(sent)).expect("it reads as it did");
            prop_assert_eq!(again.stream, request.stream);
            prop_assert_eq!(again.features, request.features);
        }
        let prices = Prices::default().with(PriceKey::FileSearch, Some(Price(1)));
        if let Some(rest) = request.without_unpriced(&prices) {
            let mut less = unpatched(rest.body()).expect("JSON");
            let mut all = meant.clone();
            let (less_tools, tools) = (less.remove("tools"), all.remove("tools"));
            prop_assert_eq!(less, all);
            let list = |tools: &Option<Value>| tools.as_ref().and_then(Value::as_array).cloned().expect("a list");
            let (less_tools, tools) = (list(&less_tools), list(&tools));
            prop_assert!(!less_tools.is_empty() && less_tools.len() < tools.len());
            prop_assert!(less_tools.iter().all(|tool| tools.contains(tool)));
        }
    }

    #[test]
    fn whatever_a_provider_says_is_borne_and_goes_on(answer in changed(&ANSWERS), route in 0..Route::ALL.len(), cuts in prop::collection::vec(any::<Index>(), 0..6)) {
        let route = Route::ALL[route];
        let mut seen = Seen::new(route, false);
        seen.whole(&answer);
        let whole = (seen.usage(), seen.estimate(9));
        prop_assert!(whole.0.is_none_or(|usage| usage.tokens() < u64::MAX));
        // However it is cut, the same bytes go on.
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(answer.len() + 1)).collect();
        at.extend([0, answer.len()]);
        at.sort_unstable();
        let (mut splitter, mut seen) = (Splitter::default(), Seen::new(route, false));
        let mut sent = Vec::new();
        for pair in at.windows(2) {
            let piece = Bytes::copy_from_slice(&answer[pair[0]..pair[1]]);
            for piece in splitter.feed(piece, |event| seen.event(event)) {
                sent.extend_from_slice(&piece);
            }
        }
        sent.extend(splitter.end(|event| seen.event(event)).unwrap_or_default());
        prop_assert_eq!(sent, answer);
        let _ = (seen.usage(), seen.estimate(9));
    }
}
