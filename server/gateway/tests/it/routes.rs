//! The routes beside the two chats: responses, embeddings, and counting tokens.

use bench::upstream::{Ending, Hold, Script};
use domain::{
    keys::Feature,
    limits::{Metric, Scope},
    models::{Modality, Review},
    money::{Money, NANOS, Price},
    prices::{PriceKey, Prices},
    spend::Outcome,
    usage::Usage,
    window::Window,
};
use gateway::wire::Route;
use http::StatusCode;
use serde_json::{Value, json};

use crate::{
    golden,
    world::{World, cost, prices},
};

fn ask(max_output_tokens: u64) -> Value {
    json!({ "model": "small", "input": "Hi", "max_output_tokens": max_output_tokens, "future": [1.50, null] })
}

fn ask_streamed(max_output_tokens: u64) -> Value {
    let mut body = ask(max_output_tokens);
    body["stream"] = json!(true);
    body
}

fn scripts() -> Vec<Script> {
    let base =
        Script { text: "Grüße, 世界 👩‍💻 response.completed".to_owned(), ..Script::default() };
    vec![
        base.clone(),
        Script { calls_tool: true, ends_with_done: true, ..base.clone() },
        Script { byte_by_byte: true, ends_with_done: true, ..base },
    ]
}

#[tokio::test]
async fn responses_pass_byte_for_byte_and_are_booked_in_buckets() {
    let world = World::new().await;
    for script in scripts() {
        for body in [ask(100), ask_streamed(100)] {
            world.script("small", script.clone());
            let answer = world.client.to(Route::Responses, &body).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
            let asked = world.upstream.asked().pop().expect("a call");
            assert_eq!(answer.text(), String::from_utf8_lossy(&asked.said()));
            let sent = body.to_string().replace("\"small\"", "\"up-small\"");
            assert_eq!(String::from_utf8_lossy(&asked.body), sent);
            assert_eq!(asked.uri, "/v1/responses");
            let booked = &world.ledger().await[0];
            assert_eq!(booked.id.to_string(), answer.header("x-request-id").expect("an id"));
            let usage = Usage { input: 5, cache_read: 5, output: 10, reasoning: 10, ..Usage::default() };
            assert_eq!((booked.usage, booked.cost, booked.estimated), (usage, cost(10, 20), false));
            assert_eq!(booked.outcome, Outcome::Ok);
        }
    }
}

#[tokio::test]
async fn a_response_that_does_not_fit_is_lowered_and_says_so() {
    let world = World::new().await;
    world.limit(Scope::Organization, Metric::OutputTokens, Window::Day, 64).await;
    for body in [ask(3_000), json!({ "model": "small", "input": "Hi", "stream": true })] {
        world.script("small", Script::using(10, 18));
        let answer = world.client.to(Route::Responses, &body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        let most: u64 = answer.header("x-bursar-max-tokens").expect("it says so").parse().expect("a number");
        let asked = world.upstream.asked().pop().expect("a call").json();
        assert_eq!(asked["max_output_tokens"], most);
        assert!((16..=64).contains(&most), "{most}");
        world.quiet().await;
    }
    // 36 of 64 are used: 28 are left, and one that was cut at its maximum is booked too.
    world.script("small", Script::using(10, 500));
    for body in [ask_streamed(500), ask(16)] {
        let answer = world.client.to(Route::Responses, &body).await;
        world.quiet().await;
        if body["stream"] == true {
            assert!(answer.text().contains("event: response.incomplete"), "{}", answer.text());
        } else {
            assert_eq!(answer.code(), "quota_exceeded", "{}", answer.text());
        }
    }
    let booked = world.ledger().await;
    assert_eq!(booked[0].usage.output_tokens(), 28);
    assert!(booked.iter().all(|call| call.outcome == Outcome::Ok), "{booked:?}");
}

#[tokio::test]
async fn a_conversation_that_the_provider_keeps_is_held_at_a_full_context() {
    let world = World::new().await;
    // One context of 100 000 tokens costs 0.10; the body alone would be far below.
    world.limit(Scope::Organization, Metric::Spend, Window::Month, 50_000_000).await;
    let mut body = ask(16);
    assert_eq!(world.client.to(Route::Responses, &body).await.status, StatusCode::OK);
    body["previous_response_id"] = json!("resp_1");
    let answer = world.client.to(Route::Responses, &body).await;
    assert_eq!(answer.code(), "budget_exceeded", "{}", answer.text());
    world.limit(Scope::Organization, Metric::Spend, Window::Month, 200_000_000).await;
    let answer = world.client.to(Route::Responses, &body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(world.upstream.asked().pop().expect("a call").json()["previous_response_id"], "resp_1");
    assert_eq!(world.ledger().await[0].cost, cost(10, 16), "and booked as what it was");
}

#[tokio::test]
async fn an_answer_in_the_background_cannot_be_metered() {
    let world = World::new().await;
    let mut body = ask(16);
    body["background"] = json!(true);
    let answer = world.client.to(Route::Responses, &body).await;
    golden::compare_routes("background", &world, &[("/v1/responses", &answer)], &[]);
    assert_eq!(world.upstream.served().calls, 0);
}

#[tokio::test]
async fn a_response_that_breaks_ends_in_an_event_of_its_own() {
    let world = World::new().await;
    let ending = Ending::ResetMidStream;
    world.script("small", Script { ending, ..Script::default() });
    let answer = world.client.to(Route::Responses, &ask_streamed(100)).await;
    let said = world.upstream.asked()[0].said();
    assert!(answer.body.starts_with(&said), "what came first is passed on: {}", answer.text());
    let rest = String::from_utf8_lossy(&answer.body[said.len()..]).into_owned();
    let data = rest.strip_prefix("event: error\ndata: ").expect("an event");
    let event: Value = serde_json::from_str(data.trim_end()).expect("JSON");
    let before = String::from_utf8_lossy(&said).matches("event: ").count();
    assert_eq!(event["type"], "error");
    assert_eq!(event["sequence_number"], before, "{rest}");
    assert_eq!(event["error"]["code"], "upstream_error");
    let booked = world.only_call().await;
    assert_eq!(booked.outcome, Outcome::UpstreamError);
    assert!(booked.estimated && booked.cost > Money::ZERO, "{booked:?}");
}

#[tokio::test]
async fn what_comes_behind_the_end_of_a_stream_goes_on_and_what_never_comes_is_not_waited_for() {
    let world = World::new().await;
    let hold = Some(Hold::BeforeLastPiece);
    world.script("small", Script { hold, ends_with_done: true, ..Script::default() });
    // The upstream keeps its connection open behind the end of the response.
    let answer = world.client.to(Route::Responses, &ask_streamed(100)).await;
    assert!(answer.text().contains("event: response.completed"), "{}", answer.text());
    assert!(!answer.text().contains("[DONE]"));
    let booked = world.only_call().await;
    assert_eq!((booked.outcome, booked.estimated), (Outcome::Ok, false));
}

async fn with_embeddings() -> World {
    let world = World::new().await;
    let prices = Prices::default().with(PriceKey::Input, Some(Price(NANOS)));
    world.model_for(Modality::Embedding, "vectors", Some(prices), Review::Accepted).await;
    world
}

#[tokio::test]
async fn embeddings_pass_and_cost_their_input() {
    let world = with_embeddings().await;
    world.script("vectors", Script::using(7, 0));
    for input in [json!("Hi"), json!(["Hi", "you"]), json!([1, 22, 333]), json!([[1, 2], [3]])] {
        let body =
            json!({ "model": "vectors", "input": input, "encoding_format": "base64", "dimensions": 3 });
        let answer = world.client.to(Route::Embeddings, &body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        let asked = world.upstream.asked().pop().expect("a call");
        assert_eq!(answer.body, asked.said());
        let sent = body.to_string().replace("\"vectors\"", "\"up-vectors\"");
        assert_eq!(String::from_utf8_lossy(&asked.body), sent);
        let booked = &world.ledger().await[0];
        let usage = Usage { input: 7, ..Usage::default() };
        assert_eq!((booked.usage, booked.cost, booked.estimated), (usage, cost(7, 0), false));
    }
    world.script("vectors", Script { reports_usage: false, ..Script::default() });
    let body = json!({ "model": "vectors", "input": [[1, 2], [3]] });
    world.client.to(Route::Embeddings, &body).await;
    let booked = &world.ledger().await[0];
    assert_eq!((booked.usage.input_tokens(), booked.usage.output_tokens(), booked.estimated), (3, 0, true));
}

#[tokio::test]
async fn many_texts_are_held_at_what_all_of_them_can_be() {
    let world = with_embeddings().await;
    world.limit(Scope::Organization, Metric::InputTokens, Window::Day, 150_000).await;
    let texts: Vec<String> = (0..200).map(|_| "7".repeat(1_000)).collect();
    let answer = world.client.to(Route::Embeddings, &json!({ "model": "vectors", "input": texts })).await;
    assert_eq!(answer.code(), "quota_exceeded", "a context of 100 000 is not the most: {}", answer.text());
    assert_eq!(world.upstream.served().calls, 0);
}

#[tokio::test]
async fn a_model_answers_on_the_routes_of_its_dialect_and_kind_only() {
    let world = with_embeddings().await;
    world
        .model_for(
            Modality::Image,
            "painter",
            Some(Prices::default().with(PriceKey::Image, Some(Price(NANOS)))),
            Review::Accepted,
        )
        .await;
    // Sound is priced by its input; the words of an answer would cost nothing.
    let sound = Prices::default().with(PriceKey::Input, prices().own(PriceKey::Input));
    world.model_for(Modality::Audio, "voice", Some(sound), Review::Accepted).await;
    let mut answers = Vec::new();
    for (route, model) in [
        (Route::ChatCompletions, "vectors"),
        (Route::Responses, "vectors"),
        (Route::Embeddings, "small"),
        (Route::Embeddings, "small-anthropic"),
        (Route::Responses, "small-anthropic"),
        (Route::Messages, "small"),
        (Route::CountTokens, "small"),
        (Route::Messages, "vectors-anthropic"),
        (Route::ChatCompletions, "painter"),
        (Route::ChatCompletions, "voice"),
    ] {
        let body = json!({ "model": model, "input": "Hi", "messages": [] });
        answers.push((route, world.client.to(route, &body).await));
    }
    let answers: Vec<_> = answers.iter().map(|(route, answer)| (route.full_path(), answer)).collect();
    golden::compare_routes("not_served", &world, &answers, &[]);
    assert_eq!(world.upstream.served().calls, 0);
}

#[tokio::test]
async fn counting_tokens_is_decided_like_a_call_and_costs_nothing() {
    let world = World::new().await;
    world.limit(Scope::Organization, Metric::Spend, Window::Total, 0).await;
    world.limit(Scope::Organization, Metric::Requests, Window::Day, 0).await;
    world.script("small", Script::using(42, 0));
    let body =
        json!({ "model": "small-anthropic", "messages": [{ "role": "user", "content": "Hi" }], "x": 1.0 });
    let answer = world.client.to(Route::CountTokens, &body).await;
    assert_eq!((answer.status, answer.text().as_str()), (StatusCode::OK, r#"{"input_tokens":42}"#));
    assert!(answer.header("x-request-id").is_some());
    let asked = world.upstream.asked().pop().expect("a call");
    assert_eq!(asked.uri, "/v1/messages/count_tokens");
    let sent = body.to_string().replace("\"small-anthropic\"", "\"up-small\"");
    assert_eq!(String::from_utf8_lossy(&asked.body), sent);
    assert!(world.ledger().await.is_empty());
    assert_eq!(world.level(Metric::Requests).await, (0.into(), 0.into()));
    let unknown = json!({ "model": "unknown", "messages": [] });
    assert_eq!(world.client.to(Route::CountTokens, &unknown).await.status, StatusCode::NOT_FOUND);
    let nobody = world.client.with("sk-unknown");
    assert_eq!(nobody.to(Route::CountTokens, &body).await.status, StatusCode::UNAUTHORIZED);
    world.without(&[Feature::Tools]).await;
    let tools = json!({ "model": "small-anthropic", "messages": [], "tools": [{ "name": "f" }] });
    assert_eq!(world.client.to(Route::CountTokens, &tools).await.status, StatusCode::FORBIDDEN);
    assert_eq!(world.upstream.served().calls, 1);
}
