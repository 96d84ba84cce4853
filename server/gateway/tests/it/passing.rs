//! What goes upstream is what came, and what comes back is what the upstream said: byte for byte.

use bench::upstream::{Script, Tokens};
use domain::{
    calls::{CallView, What},
    ids::CallId,
    providers::Dialect,
};
use http::StatusCode;
use serde_json::{Value, json};
use store::{applications, calls, rollups::Which};

use crate::{
    client::{Answer, DIALECTS, body, route, streamed},
    refusals::kept,
    world::{CREDENTIAL, World, cost, named},
};

/// Several scripts, accents, and characters of four bytes.
const TEXT: &str = "Grüße, 世界! 👩‍💻 \"usage\": {\"prompt_tokens\": 9} [DONE] \\ \u{2028} end";

fn scripts() -> Vec<Script> {
    let base = Script { text: TEXT.to_owned(), tokens: Tokens { input: 7, output: 5 }, ..Script::default() };
    vec![
        base.clone(),
        Script { calls_tool: true, ..base.clone() },
        Script { pieces: 40, ..base.clone() },
        Script { byte_by_byte: true, ..base },
    ]
}

/// What the upstream said, without the chunk that only carries usage.
fn without_usage(said: &[u8]) -> String {
    let said = std::str::from_utf8(said).expect("text");
    said.split_inclusive("\n\n").filter(|event| !event.contains("\"choices\":[],")).collect()
}

async fn booked(world: &World, answer: &Answer) {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let calls = world.ledger().await;
    let id = answer.header("x-request-id").expect("an id");
    let call = calls.iter().find(|call| call.id.to_string() == id).expect("it is booked");
    assert_eq!((call.cost, call.estimated), (cost(7, 5), false));
}

#[tokio::test]
async fn plain_answers_pass_byte_for_byte() {
    let world = World::new().await;
    for dialect in DIALECTS {
        for script in scripts() {
            world.script("small", script);
            let answer = world.client.call(dialect, &body(&named("small", dialect), 100)).await;
            let asked = world.upstream.asked();
            assert_eq!(answer.body, asked.last().expect("a call").said());
            booked(&world, &answer).await;
        }
    }
}

#[tokio::test]
async fn streams_pass_byte_for_byte() {
    let world = World::new().await;
    for dialect in DIALECTS {
        for script in scripts() {
            world.script("small", script);
            let mut call = streamed(&named("small", dialect), 100);
            if dialect == Dialect::OpenAi {
                call["stream_options"] = json!({ "include_usage": true });
            }
            let answer = world.client.call(dialect, &call).await;
            let asked = world.upstream.asked();
            assert_eq!(answer.text(), String::from_utf8_lossy(&asked.last().expect("a call").said()));
            assert_eq!(answer.header("content-type"), Some("text/event-stream"));
            booked(&world, &answer).await;
        }
    }
}

#[tokio::test]
async fn usage_is_asked_for_upstream_and_hidden_from_a_client_that_did_not_ask() {
    let world = World::new().await;
    for script in scripts() {
        for options in [None, Some(json!(null)), Some(json!({})), Some(json!({ "include_usage": false }))] {
            world.script("small", script.clone());
            let mut call = streamed("small", 100);
            if let Some(options) = options {
                call["stream_options"] = options;
            }
            let answer = world.client.call(Dialect::OpenAi, &call).await;
            let asked = world.upstream.asked();
            let asked = asked.last().expect("a call");
            assert_eq!(asked.json()["stream_options"]["include_usage"], true);
            assert_eq!(answer.text(), without_usage(&asked.said()));
            assert!(answer.text().ends_with("data: [DONE]\n\n"));
            booked(&world, &answer).await;
        }
    }
}

#[tokio::test]
async fn tools_images_and_unknown_fields_go_upstream_as_they_came() {
    let world = World::new().await;
    let openai = r#" { "tools":[{"type":"function","function":{"name":"f","parameters":{"b":1.50,"a":[ ]}}}], "tool_choice" : "auto",
        "messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}},{"type":"text","text":"\u00e9é"}]}],
        "model":"small", "max_tokens":64, "future_field":{"z":[1e2,-0.0],"y":null}, "metadata":{"a":"b"} } "#;
    let anthropic = r#"{"max_tokens":64,"model":"small-anthropic","system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral"}}],
        "tools":[{"name":"f","input_schema":{"type":"object"}}],"messages":[{"role":"user","content":"hi"}],"future_field":[{}]}"#;
    for (dialect, sent, name) in
        [(Dialect::OpenAi, openai, "small"), (Dialect::Anthropic, anthropic, "small-anthropic")]
    {
        let request = world.client.request(dialect, &format!("{}?beta=true", route(dialect)));
        let request = request.header("anthropic-beta", "tools-2026").header("x-future", "kept");
        let request = request.header("x-bursar-session", "s1").header("cookie", "a=b");
        let answer = world.client.send(request, sent).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        let asked = world.upstream.asked().pop().expect("a call");
        let expected = sent.replace(&format!("\"model\":\"{name}\""), "\"model\":\"up-small\"");
        assert_eq!(String::from_utf8_lossy(&asked.body), expected);
        assert_eq!(asked.uri, format!("{}?beta=true", route(dialect)));
        let header = |name: &str| asked.headers.get(name).map(|value| value.to_str().expect("text"));
        assert_eq!(header("anthropic-beta"), Some("tools-2026"));
        assert_eq!(header("x-future"), Some("kept"));
        assert_eq!(header("x-bursar-session"), None);
        assert_eq!(header("cookie"), None);
        assert_eq!(header("accept-encoding"), Some("identity"));
        let credential = match dialect {
            Dialect::OpenAi => header("authorization").and_then(|text| text.strip_prefix("Bearer ")),
            Dialect::Anthropic => header("x-api-key"),
        };
        assert_eq!(credential, Some(CREDENTIAL));
    }
}

#[tokio::test]
async fn headers_of_the_answer_pass_except_those_about_our_account() {
    let world = World::new().await;
    world.script("small", Script { header: Some(("x-ratelimit-limit-requests", "7")), ..Script::default() });
    let answer = world.client.call(Dialect::OpenAi, &body("small", 16)).await;
    assert_eq!(answer.header("server"), Some("scripted"));
    assert_eq!(answer.header("x-ratelimit-limit-requests"), None);
    assert_eq!(answer.header("x-upstream-ratelimit-limit-requests"), Some("7"));
    assert_eq!(answer.header("x-upstream-request-id"), Some("upstream-1"));
    assert_ne!(answer.header("x-request-id"), Some("upstream-1"));
    world.script("small", Script { header: Some(("set-cookie", "a=b")), ..Script::default() });
    let answer = world.client.call(Dialect::OpenAi, &body("small", 16)).await;
    assert_eq!(answer.header("set-cookie"), None);
}

#[tokio::test]
async fn a_large_body_and_a_large_answer_pass() {
    let world = World::new().await;
    let mut call = body("small", 100);
    // Almost as large as a body may be; the model reads no more than its context holds.
    call["messages"][0]["content"] = json!("word ".repeat(6 << 20));
    world.script("small", Script { text: "é".repeat(5 << 20), ..Script::using(7, 5) });
    let answer = world.client.call(Dialect::OpenAi, &call).await;
    let asked = world.upstream.asked().pop().expect("a call");
    assert!(answer.body == asked.said(), "the answer is the same");
    let sent: Value = serde_json::from_slice(&asked.body).expect("JSON");
    assert!(sent["messages"] == call["messages"], "the body is the same");
    booked(&world, &answer).await;
}

#[tokio::test]
async fn one_huge_event_passes() {
    for dialect in DIALECTS {
        let world = World::new().await;
        let huge = Script { text: "ü".repeat(9 << 20), pieces: 1, ..Script::using(7, 5) };
        world.script("small", huge);
        let answer = world.client.call(dialect, &streamed(&named("small", dialect), 100)).await;
        let asked = world.upstream.asked().pop().expect("a call");
        let same = match dialect {
            Dialect::OpenAi => answer.text() == without_usage(&asked.said()),
            Dialect::Anthropic => answer.body == asked.said(),
        };
        assert!(same, "{dialect}: {} bytes of {}", answer.body.len(), asked.said().len());
        booked(&world, &answer).await;
    }
}

#[tokio::test]
async fn what_is_gone_keeps_its_name_in_the_ledger() {
    let world = World::new().await;
    let (user, secret) = world.member("Uma").await;
    let answer = world.client.with(secret.reveal()).call(Dialect::OpenAi, &body("small", 16)).await;
    assert_eq!(answer.status, http::StatusCode::OK, "{}", answer.text());
    world.quiet().await;
    let mut change = world.change().await;
    store::applications::archive(&mut change, world.application).await.expect("it is gone");
    store::models::archive(&mut change, world.small.openai).await.expect("it is gone");
    store::users::remove(&mut change, user, None).await.expect("she is gone");
    change.commit().await.expect("all of it");
    let call = world.only_call().await;
    assert_eq!((call.application.1.as_str(), call.model.1.as_str()), ("Assistant", "small"));
    assert_eq!(call.user, Some((user, "Uma".to_owned())));
    world.books_agree().await;
}

/// The calls that a request id finds, ours or their callers'.
async fn found_by(world: &World, text: &str) -> Vec<CallView> {
    let (store, org) = (&world.store, world.tenant.org);
    let calendar = store::organizations::calendar(store, org).await.expect("it");
    let only = calls::by_request(store, org, text).await.expect("days and ids");
    let filter = calls::Filter { only: Some(&only), ..calls::Filter::default() };
    let list = calls::list(store, org, calendar, &Which::default(), &filter, 50).await.expect("a list");
    let mut views = Vec::new();
    for call in list.calls {
        views.push(calls::get(store, org, call.id).await.expect("the call"));
    }
    views
}

#[tokio::test]
async fn what_a_caller_calls_its_request_is_kept_and_found_and_never_ours() {
    let world = World::new().await;
    let secret = world.client.secret.clone();
    let long = "n".repeat(5_000);
    let called = [
        ("order-7", "order-7"),
        // Not even who calls itself like a call of ours is taken at its word.
        ("req_0000000000000000000000", "req_0000000000000000000000"),
        ("  spaced out\t", "spaced out"),
        (secret.as_str(), "[secret removed]"),
        (long.as_str(), &long[..128]),
        ("Grüße", "Grüße"),
        ("", ""),
    ];
    let mut answered = Vec::new();
    for dialect in DIALECTS {
        for (sent, kept) in called {
            let request =
                world.client.request(dialect, route(dialect)).header("x-request-id", sent.as_bytes());
            let answer = world.client.send(request, body(&named("small", dialect), 20).to_string()).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
            let id: CallId = answer.header("x-request-id").expect("an id").parse().expect("ours");
            answered.push((id, kept));
        }
    }
    world.quiet().await;
    for (id, kept) in answered {
        let view = calls::get(&world.store, world.tenant.org, id).await.expect("the call");
        assert_eq!(view.client_request, kept);
        assert_eq!(found_by(&world, &id.to_string()).await.len(), 1, "by ours");
        let by_theirs = found_by(&world, kept).await;
        assert_eq!(by_theirs.iter().any(|view| view.id == id), !kept.is_empty(), "by theirs: {kept}");
    }
    // Two calls may be called the same, a refused one among them; the newest comes first.
    let request =
        world.client.request(Dialect::OpenAi, route(Dialect::OpenAi)).header("x-request-id", "order-7");
    let refused = world.client.send(request, body("no-such", 20).to_string()).await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND);
    kept(&world, &refused).await;
    let found = found_by(&world, " order-7 ").await;
    assert_eq!(found.len(), 3);
    assert!(
        matches!(found[0].what, What::Refused(_)) && found[0].client_request == "order-7",
        "{:?}",
        found[0]
    );
    assert!(found_by(&world, "order-8").await.is_empty() && found_by(&world, "%").await.is_empty());
    assert!(found_by(&world, &secret).await.is_empty(), "a secret is not kept");
}

#[tokio::test]
async fn a_use_case_that_the_application_does_not_have_is_left_out_and_the_answer_says_so() {
    const HEADER: &str = "x-bursar-use-case-left-out";
    let world = World::new().await;
    let (store, org) = (&world.store, world.tenant.org);
    let now = applications::get(store, org, world.application).await.expect("the application");
    let form = applications::ApplicationForm {
        name: now.name.parse().expect("a name"),
        description: now.description,
        use_cases: vec!["triage".to_owned()],
    };
    let mut change = world.change().await;
    applications::update(&mut change, world.application, now.version, &form).await.expect("a use case");
    change.commit().await.expect("kept");

    for dialect in DIALECTS {
        let plain = body(&named("small", dialect), 20);
        let labelled = |label: &str| {
            let mut labelled = plain.clone();
            labelled["metadata"] = json!({ "x-bursar-use-case": label });
            labelled
        };
        let header = |label: &str| {
            world.client.request(dialect, route(dialect)).header("x-bursar-use-case", label.as_bytes())
        };
        // In a header, in the body, and both: the header wins. What no header can carry is not named.
        let client = &world.client;
        let answers = [
            (client.send(header("nightly"), plain.to_string()).await, Some("nightly"), ""),
            (client.send(header("triage"), labelled("nightly").to_string()).await, None, "triage"),
            (client.send(header("Triage"), labelled("triage").to_string()).await, Some("Triage"), ""),
            (client.call(dialect, &labelled("Prüfung\r\nx-bursar-model: other")).await, Some("unknown"), ""),
            (client.call(dialect, &labelled("triage")).await, None, "triage"),
            (client.call(dialect, &labelled("")).await, None, ""),
            (client.call(dialect, &plain).await, None, ""),
        ];
        world.quiet().await;
        for (answer, left_out, counted) in answers {
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
            assert_eq!(answer.header(HEADER), left_out);
            let id: CallId = answer.header("x-request-id").expect("an id").parse().expect("ours");
            let view = calls::get(store, org, id).await.expect("the call");
            let What::Finished(finished) = view.what else { panic!("{:?}", view.what) };
            assert_eq!(finished.use_case, counted);
        }
    }
}
