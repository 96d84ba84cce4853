//! Calls in flight: seen over all replicas with what they hold, and ended by hand or because what
//! they held was used up. However a call ends, its client gets an end of its dialect, and the books
//! have it once.

use std::time::Duration;

use bench::upstream::{Hold, Script};
use domain::{
    ids::CallId,
    in_flight::{InFlight, Phase},
    limits::{Meter, Metric, Scope},
    money::Money,
    roles::{Act, Actor, Place, permit},
    spend::Outcome,
    users::Role,
    window::Window,
};
use gateway::wire::Route;
use http::StatusCode;
use serde_json::{Value, json};
use store::{Change, StoreError, in_flight, rollups::Which};

use crate::{
    client::{Answer, DIALECTS, Opened, body, streamed},
    world::{Replica, World, named},
};

/// Routes that stream.
pub const ROUTES: [Route; 3] = [Route::ChatCompletions, Route::Messages, Route::Responses];

pub fn ask(route: Route, max: u64) -> Value {
    match route {
        Route::Responses => {
            json!({ "model": "small", "input": "Hi", "max_output_tokens": max, "stream": true })
        }
        route => {
            let mut body = streamed(&named("small", route.dialect()), max);
            if route == Route::ChatCompletions {
                body["stream_options"] = json!({ "include_usage": true });
            }
            body
        }
    }
}

async fn open(world: &World, route: Route, max: u64) -> Opened {
    let request = world.client.request(route.dialect(), route.full_path());
    world.client.open(request, ask(route, max).to_string()).await
}

async fn seen(world: &World) -> InFlight {
    let now = store::clock::now();
    in_flight::list(&world.store, world.tenant.org, &Which::default(), now, 100).await.expect("a look")
}

/// Looks until it is so.
async fn until(world: &World, so: impl Fn(&InFlight) -> bool) -> InFlight {
    let look = async {
        loop {
            let found = seen(world).await;
            if so(&found) {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), look).await.expect("it is told")
}

async fn end(world: &World, id: CallId) {
    let permit = permit(&world.tenant.owner, Act::EndCalls, Place::Organization).expect("an owner may");
    let mut change = Change::begin(&world.store, permit).await.expect("a change");
    in_flight::end(&mut change, id).await.expect("it is in flight");
    change.commit().await.expect("it");
}

fn last_data(text: &str) -> Value {
    let data =
        text.lines().rev().filter_map(|line| line.strip_prefix("data: ")).find(|data| *data != "[DONE]");
    serde_json::from_str(data.expect("an event")).expect("JSON")
}

/// The events behind what the upstream said are those of an answer whose maximum is reached.
fn ends_as_the_dialect_ends(route: Route, answer: &Answer, reason: &str) {
    let text = answer.text();
    assert_eq!(answer.status, StatusCode::OK, "{text}");
    match route {
        Route::Messages => {
            let last: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
            assert!(last.ends_with(&["content_block_stop", "message_delta", "message_stop"]), "{text}");
            let delta = text.lines().find(|line| line.contains("\"max_tokens\"")).expect("a stop reason");
            let delta: Value = serde_json::from_str(delta.trim_start_matches("data: ")).expect("JSON");
            assert_eq!(delta["delta"]["stop_reason"], "max_tokens");
            assert_eq!(delta["bursar"]["reason"], reason);
            assert!(delta["usage"]["output_tokens"].as_u64() > Some(0), "{text}");
        }
        Route::Responses => {
            let last = last_data(&text);
            assert_eq!(last["type"], "response.incomplete", "{text}");
            assert_eq!(last["response"]["incomplete_details"]["reason"], "max_output_tokens");
            assert_eq!(last["response"]["bursar"]["reason"], reason);
            // A client that takes its answer from the last event has all that was said.
            let said = |name: &str| {
                let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
                let events: Vec<Value> = data.filter_map(|data| serde_json::from_str(data).ok()).collect();
                events.into_iter().filter(|event| event["type"] == name).collect::<Vec<_>>()
            };
            let deltas = said("response.output_text.delta");
            let whole: String = deltas.iter().filter_map(|event| event["delta"].as_str()).collect();
            let output = &last["response"]["output"][0];
            // Of what came, the beginning may have been read before.
            let repeated = output["content"][0]["text"].as_str().expect("what was said");
            assert!(!repeated.is_empty() && repeated.ends_with(&whole), "{text}");
            assert_eq!(output["status"], "incomplete");
            assert_eq!(said("response.output_text.done")[0]["text"], repeated);
            assert_eq!(&said("response.output_item.done")[0]["item"], output);
            let numbers = text.lines().filter_map(|line| line.strip_prefix("data: "));
            let last: Vec<Value> = numbers.filter_map(|data| serde_json::from_str(data).ok()).collect();
            let numbers: Vec<u64> =
                last.iter().filter_map(|event: &Value| event["sequence_number"].as_u64()).collect();
            assert!(numbers.is_sorted(), "{numbers:?}");
        }
        _ => {
            assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
            let usage = last_data(&text);
            assert!(usage["usage"]["completion_tokens"].as_u64() > Some(0), "it was asked for: {text}");
            let end = text.lines().find(|line| line.contains("\"length\"")).expect("a finish reason");
            let end: Value = serde_json::from_str(end.trim_start_matches("data: ")).expect("JSON");
            assert_eq!(end["choices"], json!([{ "index": 0, "delta": {}, "finish_reason": "length" }]));
            assert_eq!((&end["bursar"]["reason"], &end["id"]), (&json!(reason), &usage["id"]));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_ended_by_hand_ends_as_its_dialect_ends_and_is_booked_once() {
    let world = World::new().await;
    world.limit(Scope::Organization, Metric::Spend, Window::Month, 1_000_000_000).await;
    world.script("small", Script { hold: Some(Hold::MidStream), ..Script::default() });
    let mut streams = Vec::new();
    for route in ROUTES {
        let mut stream = open(&world, route, 100).await;
        let mark = if route == Route::Responses { "output_text.delta" } else { "Hello" };
        stream.until(mark).await;
        streams.push((route, stream));
    }
    let told =
        until(&world, |found| found.flights.iter().filter(|flight| flight.bytes > 0).count() == 3).await;
    assert!(told.flights.iter().all(|flight| flight.phase == Phase::Streaming), "{told:?}");
    for flight in told.flights {
        end(&world, flight.id).await;
    }
    for (route, stream) in streams {
        ends_as_the_dialect_ends(route, &stream.rest().await, "ended_by_hand");
    }
    let calls = world.ledger().await;
    assert_eq!(calls.len(), 3, "once each: {calls:?}");
    for call in calls {
        assert_eq!((call.outcome, call.estimated), (Outcome::Ended, true), "{call:?}");
        assert!(call.cost > Money::ZERO && call.usage.output_tokens() < 100, "what was used: {call:?}");
    }
    assert_eq!(world.level(Metric::Spend).await.1, "0.00", "nothing stays held");
    let log = store::audit::verify(&world.store, world.tenant.org).await.expect("a log");
    assert!(matches!(log, store::audit::Chain::Whole { .. }), "{log:?}");
    until(&world, |found| found.calls == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_call_that_is_ended_is_refused_in_its_dialect_and_counts_in_full() {
    let world = World::new().await;
    world.limit(Scope::Organization, Metric::ConcurrentCalls, Window::Total, 5).await;
    world.script("small", Script { hold: Some(Hold::BeforeHeaders), ..Script::default() });
    let mut waiting = Vec::new();
    for dialect in DIALECTS {
        let client = world.client.clone();
        waiting.push(tokio::spawn(async move {
            client.call(dialect, &body(&named("small", dialect), 100)).await
        }));
    }
    let told = until(&world, |found| found.flights.len() == 2).await;
    assert!(told.flights.iter().all(|flight| flight.phase == Phase::Waiting), "{told:?}");
    for flight in &told.flights {
        end(&world, flight.id).await;
    }
    for call in waiting {
        let answer = call.await.expect("an answer");
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}", answer.text());
        assert!(["call_ended", "permission_error"].contains(&answer.code().as_str()), "{}", answer.text());
        assert_eq!(answer.header("x-should-retry"), Some("false"));
        assert_eq!(answer.bursar()["reason"], "ended_by_hand");
    }
    let calls = world.ledger().await;
    assert_eq!(calls.len(), 2);
    for call in calls {
        let held = told.flights.iter().find(|flight| flight.id == call.id).expect("it").cost;
        assert_eq!((call.outcome, call.cost), (Outcome::Ended, held), "nobody knows what was used");
    }
}

#[tokio::test]
async fn an_upstream_that_ignores_its_maximum_is_cut_off_beyond_it() {
    for route in ROUTES {
        let world = World::new().await;
        world.limit(Scope::Organization, Metric::Spend, Window::Month, 1_000_000_000).await;
        let script = Script {
            text: "word ".repeat(300),
            pieces: 300,
            hold: Some(Hold::BeforeLastPiece),
            ..Script::default()
        };
        world.script("small", script);
        let answer = open(&world, route, 10).await.rest().await;
        ends_as_the_dialect_ends(route, &answer, "output_used_up");
        let call = world.only_call().await;
        assert_eq!((call.outcome, call.usage.output_tokens()), (Outcome::Ended, 10), "{call:?}");
        assert_eq!(world.level(Metric::Spend).await.1, "0.00");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_seen_over_all_replicas_is_what_the_windows_hold() {
    let world = World::new().await;
    let meter = Meter { scope: Scope::Organization, metric: Metric::Spend, window: Window::Month };
    world.limit(meter.scope, meter.metric, meter.window, 1_000_000_000).await;
    world.script("small", Script { hold: Some(Hold::BeforeHeaders), ..Script::default() });
    let other = Replica::start(&world).await;
    let mut waiting = Vec::new();
    for (client, max) in [(&world.client, 100), (&world.client, 200), (&other.client, 300)] {
        let client = client.clone();
        waiting.push(tokio::spawn(async move { client.call(DIALECTS[0], &body("small", max)).await }));
    }
    let calendar = store::organizations::calendar(&world.store, world.tenant.org).await.expect("it");
    let keys = [(meter, calendar.span(meter.window, store::clock::now()))];
    let equal = async {
        loop {
            let found = seen(&world).await;
            let held =
                store::limits::levels(&world.store, world.tenant.org, &keys).await.expect("a level")[0].held;
            if found.flights.len() == 3 && held == found.cost.0 {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(60), equal).await.expect("they are equal");
    assert_eq!(found.cost.0, found.flights.iter().map(|flight| flight.cost.0).sum::<i64>());
    assert_eq!((found.calls, found.others()), (3, 0));
    // One that another process serves.
    let theirs = found.flights.iter().max_by_key(|flight| flight.cost).expect("three").id;
    end(&world, theirs).await;
    let mut statuses = Vec::new();
    let ended = waiting.pop().expect("the third").await.expect("an answer");
    statuses.push(ended.status);
    world.upstream.release(3);
    for call in waiting {
        statuses.push(call.await.expect("an answer").status);
    }
    assert_eq!(statuses, [StatusCode::FORBIDDEN, StatusCode::OK, StatusCode::OK]);
    until(&world, |found| found.calls == 0 && found.cost == Money::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_leads_elsewhere_or_made_another_call_ends_nothing() {
    let world = World::new().await;
    let (ada, secret) = world.member("Ada").await;
    let (ben, _) = world.member("Ben").await;
    world.script("small", Script { hold: Some(Hold::MidStream), ..Script::default() });
    let client = world.client.with(secret.reveal());
    let mut stream = client.stream(DIALECTS[0], &streamed("small", 100)).await;
    stream.until("Hello").await;
    let id = until(&world, |found| !found.flights.is_empty()).await.flights[0].id;
    let lead = |groups: &[domain::ids::GroupId]| Actor {
        user: None,
        role: Role::Member,
        leads: groups.to_vec(),
        ..world.tenant.owner.clone()
    };
    let nobody = permit(&lead(&[]), Act::EndCalls, Place::Group(&[world.engineering, world.platform]));
    assert!(nobody.is_err(), "no role is enough by itself");
    let engineering = permit(&lead(&[world.engineering]), Act::EndCalls, Place::Group(&[world.engineering]));
    let mut change =
        Change::begin(&world.store, engineering.expect("their own group")).await.expect("a change");
    let refused = in_flight::end(&mut change, id).await;
    assert!(matches!(refused, Err(StoreError::NotPermitted(_))), "another group's: {refused:?}");
    drop(change);
    let mut change = world.tenant.change_as(&world.store, ben).await;
    let refused = in_flight::end(&mut change, id).await;
    assert!(matches!(refused, Err(StoreError::NotFound)), "another's call: {refused:?}");
    drop(change);
    let mut change = world.tenant.change_as(&world.store, ada).await;
    in_flight::end(&mut change, id).await.expect("one's own");
    change.commit().await.expect("it");
    let rest = stream.rest().await;
    assert!(rest.text().contains("ended_by_hand"), "{}", rest.text());
    assert_eq!(world.only_call().await.outcome, Outcome::Ended);
}
