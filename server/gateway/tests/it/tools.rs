//! The provider's own tools, billed by the piece: bounded before the call, counted after it.

use bench::upstream::Script;
use domain::{
    limits::{Metric, Scope},
    models::Review,
    money::{Money, Price},
    prices::PriceKey,
    providers::Dialect,
    spend::CallRow,
    usage::ToolUnits,
    window::Window,
};
use gateway::wire::Route;
use http::StatusCode;
use serde_json::{Value, json};

use crate::world::{World, cost, named, prices};

/// A cent a search: a million cost ten thousand dollars.
const SEARCH: i64 = 10_000_000;

async fn searching() -> World {
    let world = World::new().await;
    let prices = prices().with(PriceKey::WebSearch, Some(Price(SEARCH * 1_000_000)));
    world.model("finder", Some(prices), Review::Accepted).await;
    world
}

/// A call that brings a search, in the way of its route.
fn ask(route: Route, model: &str, streams: bool, bound: Option<u64>) -> Value {
    let mut body = json!({ "model": named(model, route.dialect()), "stream": streams });
    match route {
        Route::Responses => {
            body["input"] = json!("Hi");
            body["max_output_tokens"] = json!(50);
            body["tools"] = json!([{ "type": "web_search" }]);
            if let Some(bound) = bound {
                body["max_tool_calls"] = json!(bound);
            }
        }
        Route::Messages => {
            body["messages"] = json!([{ "role": "user", "content": "Hi" }]);
            body["max_tokens"] = json!(50);
            body["tools"] = json!([{ "type": "web_search_20250305", "name": "web_search" }]);
            if let Some(bound) = bound {
                body["tools"][0]["max_uses"] = json!(bound);
            }
        }
        _ => {
            body["messages"] = json!([{ "role": "user", "content": "Hi" }]);
            body["max_tokens"] = json!(50);
            body["web_search_options"] = json!({});
        }
    }
    body
}

/// The bound as it went upstream.
fn bound(world: &World, route: Route) -> Value {
    let asked = world.upstream.asked().pop().expect("a call").json();
    match route {
        Route::Messages => asked["tools"][0]["max_uses"].clone(),
        _ => asked["max_tool_calls"].clone(),
    }
}

fn searches(booked: &CallRow) -> u64 {
    let ToolUnits { web_searches, file_searches: 0, code_sessions: 0 } = booked.usage.tools else {
        panic!("{booked:?}")
    };
    web_searches
}

#[tokio::test]
async fn searches_are_bounded_before_the_call_and_priced_after_it() {
    let world = searching().await;
    world.limit(Scope::Organization, Metric::Spend, Window::Month, 1_000_000_000).await;
    for route in [Route::Responses, Route::Messages] {
        for streams in [false, true] {
            world.script("finder", Script { searches: 3, ..Script::default() });
            let answer = world.client.to(route, &ask(route, "finder", streams, None)).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
            assert_eq!(bound(&world, route), 16, "what is left open is written in");
            let booked = &world.ledger().await[0];
            assert_eq!((searches(booked), booked.estimated), (3, false));
            assert_eq!(booked.cost, Money(cost(10, 20).0 + 3 * SEARCH));
            let answer = world.client.to(route, &ask(route, "finder", streams, Some(5))).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
            assert_eq!(bound(&world, route), 5, "the caller's stays");
        }
    }
    // In a chat there is one for each answer, and nobody says so.
    for streams in [false, true] {
        world.script("finder", Script::default());
        let answer = world
            .client
            .to(Route::ChatCompletions, &ask(Route::ChatCompletions, "finder", streams, None))
            .await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        assert_eq!(world.ledger().await[0].cost, Money(cost(10, 20).0 + SEARCH));
    }
    world.quiet().await;
    world.books_agree().await;
}

#[tokio::test]
async fn searches_are_held_before_anybody_searches() {
    let world = searching().await;
    // Room for ten searches and whatever the tokens cost.
    world.limit(Scope::Organization, Metric::Spend, Window::Month, 10 * SEARCH + 1_000_000).await;
    for route in [Route::Responses, Route::Messages] {
        let answer = world.client.to(route, &ask(route, "finder", false, None)).await;
        assert_eq!(answer.status, StatusCode::PAYMENT_REQUIRED, "sixteen do not fit: {}", answer.text());
    }
    assert_eq!(world.upstream.served().calls, 0);
    world.script("finder", Script { searches: 2, ..Script::default() });
    let answer = world.client.to(Route::Messages, &ask(Route::Messages, "finder", false, Some(2))).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(searches(&world.ledger().await[0]), 2);
    world.quiet().await;
    world.books_agree().await;
}

#[tokio::test]
async fn a_tool_without_a_price_is_refused_and_its_tokens_can_be_counted() {
    let world = searching().await;
    for route in [Route::Responses, Route::Messages, Route::ChatCompletions] {
        let answer = world.client.to(route, &ask(route, "small", false, None)).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}", answer.text());
        assert_eq!(answer.bursar()["reason"], "feature_not_allowed");
        assert!(answer.text().contains("no price for web searches"), "{}", answer.text());
    }
    assert_eq!(world.upstream.served().calls, 0);
    let answer = world.client.to(Route::CountTokens, &ask(Route::Messages, "small", false, None)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    // Free is a price, and then nothing is written in.
    let free = prices().with(PriceKey::WebSearch, Some(Price(0)));
    world.model("free", Some(free), Review::Accepted).await;
    let answer = world.client.to(Route::Responses, &ask(Route::Responses, "free", false, None)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(bound(&world, Route::Responses), Value::Null);
}

#[tokio::test]
async fn a_tool_that_is_merely_offered_and_has_no_price_is_left_out() {
    let world = searching().await;
    for route in [Route::Responses, Route::Messages] {
        for streams in [false, true] {
            let kit = |model: &str| {
                let mut body = ask(route, model, streams, None);
                let own = json!({ "type": "function", "name": "run", "input_schema": {}, "parameters": {} });
                body["tools"].as_array_mut().expect("tools").insert(0, own);
                body
            };
            let sent = || world.upstream.asked().pop().expect("a call").json();
            let answer = world.client.to(route, &kit("small")).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
            let search = kit("small")["tools"][1]["type"].clone();
            assert_eq!(answer.header("x-bursar-tools-left-out"), search.as_str(), "the answer says so");
            let mut expected = kit("small");
            expected["tools"].as_array_mut().expect("tools").pop();
            expected["model"] = json!("up-small");
            assert_eq!(sent(), expected, "everything else is as it came");
            // Where it has a price it goes along, bounded.
            let answer = world.client.to(route, &kit("finder")).await;
            assert_eq!((answer.status, answer.header("x-bursar-tools-left-out")), (StatusCode::OK, None));
            assert_eq!(sent()["tools"].as_array().map(Vec::len), Some(2));
            // Whoever insists on it is told.
            let mut insists = kit("small");
            insists["tool_choice"] = match route {
                Route::Messages => json!({ "type": "tool", "name": "web_search" }),
                _ => json!("required"),
            };
            let answer = world.client.to(route, &insists).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}", answer.text());
        }
    }
    assert_eq!(world.upstream.served().calls, 8);
    world.quiet().await;
    assert!(world.ledger().await.iter().all(|call| searches(call) == 0));
    world.books_agree().await;
}

/// What would have another model answer, or this one at another price.
#[tokio::test]
async fn a_call_cannot_choose_what_it_was_not_decided_for() {
    let world = World::new().await;
    for (dialect, field, value) in [
        (Dialect::OpenAi, "models", json!(["dear"])),
        (Dialect::OpenAi, "fallbacks", json!(["dear"])),
        (Dialect::OpenAi, "plugins", json!([{ "id": "web" }])),
        (Dialect::OpenAi, "service_tier", json!("fast")),
        (Dialect::Anthropic, "fallbacks", json!([{ "model": "dear" }])),
        (Dialect::Anthropic, "inference_geo", json!("us")),
    ] {
        let mut body = crate::client::body(&named("small", dialect), 20);
        body[field] = value;
        let answer = world.client.call(dialect, &body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{field}: {}", answer.text());
        assert!(answer.text().contains(field), "{}", answer.text());
    }
    // What a provider may read as a search, and nobody here can.
    for tools in [
        r#"[{"type":"function","type":"web_search_20250305","name":"web_search"}]"#,
        r#"[{"type":"web_search_20250305","name":"web_search","max_uses":1000.0}]"#,
        r#"[{"type":"web_search_20250305","name":"web_search","max_uses":2,"max_uses":1000}]"#,
        r#"{"type":"web_search_20250305","name":"web_search"}"#,
    ] {
        for route in [Route::Messages, Route::Responses] {
            let mut body = ask(route, "small", false, None);
            body["tools"] = json!("tools");
            let body = body.to_string().replace(r#""tools":"tools""#, &format!(r#""tools":{tools}"#));
            let request = gateway::wire::request::Request::read(route, body.into());
            // Where every tool has the same bound, one of its own says nothing.
            let heard = route == Route::Messages || !tools.contains("1000.0");
            assert_eq!(request.err().and_then(|bad| bad.param), heard.then_some("tools"), "{tools}");
        }
    }
    let mut advised = ask(Route::Messages, "small", false, None);
    advised["tools"] = json!([{ "type": "advisor_20260301", "name": "advisor", "model": "dear" }]);
    let answer = world.client.to(Route::Messages, &advised).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}", answer.text());
    assert_eq!(world.upstream.served().calls, 0);
}
