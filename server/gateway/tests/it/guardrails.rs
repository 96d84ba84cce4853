//! What a key looks for in the input: refused in the dialect, masked before the provider sees it, or
//! taken down; never kept.

use bench::upstream::{Hold, Script};
use domain::{
    calls::{Ended, What},
    guardrails::{Action, Found, Guard, Guardrails},
    spend::Outcome,
};
use gateway::wire::Route;
use http::StatusCode;
use serde_json::{Value, json};
use store::{calls, rollups::Which};

use crate::{
    client::{DIALECTS, route},
    world::{World, cost, named},
};

const ADDRESS: &str = "ada@math.example.org";

async fn guarding(rails: &[(Guard, Action)]) -> World {
    let world = World::new().await;
    let rails =
        rails.iter().fold(Guardrails::default(), |rails, (guard, action)| rails.with(*guard, Some(*action)));
    let mut change = world.change().await;
    world.edit_key(&mut change, |form| form.handling.guardrails = rails).await;
    change.commit().await.expect("it");
    world
}

fn says(model: &str, text: &str) -> Value {
    json!({ "model": model, "max_tokens": 50, "messages": [{ "role": "user", "content": text }] })
}

#[tokio::test]
async fn a_secret_is_refused_by_its_kind_and_never_said() {
    for dialect in DIALECTS {
        let world = guarding(&[(Guard::Secret, Action::Refuse)]).await;
        let name = named("small", dialect);
        let ours = world.client.secret.clone();
        let answer = world.client.call(dialect, &says(&name, &format!("use {ours} here"))).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text());
        assert!(["guardrail_refused", "invalid_request_error"].contains(&answer.code().as_str()));
        assert_eq!(
            (&answer.bursar()["reason"], &answer.bursar()["found"]),
            (&json!("guardrail_refused"), &json!(["secret"]))
        );
        assert!(
            answer.text().contains("Bursar secret") && !answer.text().contains(&ours),
            "{}",
            answer.text()
        );
        assert_eq!(answer.header("x-should-retry"), Some("false"));
        assert_eq!(world.upstream.served().calls, 0);
        let id = answer.header("x-request-id").expect("an id").parse().expect("an id");
        let view = loop {
            match calls::get(&world.store, world.tenant.org, id).await {
                Ok(view) => break view,
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
            }
        };
        let What::Refused(refused) = view.what else { panic!("it was refused") };
        assert_eq!(refused.code, "guardrail_refused");
        assert!(!format!("{refused:?}").contains(&ours));
        // One that was never issued, with a wrong checksum, is no secret.
        let other = format!("bsr_live_{}", "a".repeat(36));
        assert_eq!(world.client.call(dialect, &says(&name, &other)).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn what_is_masked_does_not_reach_the_provider_and_the_rest_does() {
    let world = guarding(&[(Guard::Email, Action::Mask), (Guard::Card, Action::Observe)]).await;
    let body = format!(
        r#"{{"model":"small","x":1.50, "max_tokens":50,"messages":[{{"role":"user","content":"write to {} about 4111 1111 1111 1111\n"}}]}}"#,
        ADDRESS.replace('@', "\\u0040")
    );
    let request = world.client.request(DIALECTS[0], route(DIALECTS[0]));
    assert_eq!(world.client.send(request, body).await.status, StatusCode::OK);
    let asked = world.upstream.asked().pop().expect("a call");
    assert_eq!(
        String::from_utf8_lossy(&asked.body),
        r#"{"model":"up-small","x":1.50, "max_tokens":50,"messages":[{"role":"user","content":"write to [e-mail address removed] about 4111 1111 1111 1111\n"}]}"#
    );
    let call = world.only_call().await;
    let view = calls::get(&world.store, world.tenant.org, call.id).await.expect("the call");
    let What::Finished(finished) = view.what else { panic!("it finished") };
    let found = |guard, action| Found { guard, action, count: 1 };
    assert_eq!(finished.guarded, [found(Guard::Email, Action::Mask), found(Guard::Card, Action::Observe)]);
    let filter = calls::Filter { ended: Some(Ended::Guarded), ..calls::Filter::default() };
    let calendar = store::organizations::calendar(&world.store, world.tenant.org).await.expect("it");
    let list = calls::list(&world.store, world.tenant.org, calendar, &Which::default(), &filter, 50).await;
    assert_eq!(list.expect("a list").calls.len(), 1);
}

#[tokio::test]
async fn a_whole_answer_is_masked_or_refused_where_its_key_wants_that_and_counts() {
    for (dialect, action) in DIALECTS.into_iter().flat_map(|it| [(it, Action::Mask), (it, Action::Refuse)]) {
        let world = guarding(&[(Guard::Email, action)]).await;
        let name = named("small", dialect);
        let script = Script { text: format!("write to {ADDRESS}, she knows"), ..Script::default() };
        world.script("small", script);
        let call = says(&name, "to whom?");
        let answer = world.client.call(dialect, &call).await;
        assert!(answer.status == StatusCode::OK && answer.text().contains(ADDRESS), "{}", answer.text());
        let mut change = world.change().await;
        world.edit_key(&mut change, |form| form.handling.guardrails.answers = true).await;
        change.commit().await.expect("it");
        let answer = world.client.call(dialect, &call).await;
        assert!(!answer.text().contains(ADDRESS), "{}", answer.text());
        match action {
            Action::Mask => {
                assert_eq!(answer.status, StatusCode::OK);
                let expected = "write to [e-mail address removed], she knows";
                assert!(answer.text().contains(expected), "{}", answer.text());
            }
            _ => {
                assert_eq!(answer.status, StatusCode::BAD_REQUEST);
                assert_eq!(answer.bursar()["reason"], "guardrail_refused");
                assert!(answer.text().contains("in the answer"), "{}", answer.text());
            }
        }
        let booked = world.ledger().await;
        assert_eq!(booked.len(), 2);
        assert!(booked.iter().all(|call| call.cost == cost(10, 20)), "each was paid for: {booked:?}");
        let view = calls::get(&world.store, world.tenant.org, booked[0].id).await.expect("the call");
        let What::Finished(finished) = view.what else { panic!("it finished") };
        assert_eq!(finished.guarded, [Found { guard: Guard::Email, action, count: 1 }]);
        world.books_agree().await;
    }
}

#[tokio::test]
async fn a_key_that_looks_for_nothing_passes_everything_byte_for_byte() {
    let world = World::new().await;
    let text = format!("{ADDRESS} {}", world.client.secret);
    assert_eq!(world.client.call(DIALECTS[0], &says("small", &text)).await.status, StatusCode::OK);
    let asked = world.upstream.asked().pop().expect("a call");
    assert!(String::from_utf8_lossy(&asked.body).contains(&text));
}

const ROUTES: [Route; 3] = [Route::ChatCompletions, Route::Messages, Route::Responses];

fn stream_of(route: Route) -> Value {
    let mut body = json!({ "model": named("small", route.dialect()), "stream": true });
    let text = "to whom?";
    match route {
        Route::Responses => (body["input"], body["max_output_tokens"]) = (json!(text), json!(50)),
        _ => {
            body["messages"] = json!([{ "role": "user", "content": text }]);
            body["max_tokens"] = json!(50);
        }
    }
    body
}

/// The events of a stream, each of which has to be JSON.
fn events(text: &str) -> Vec<Value> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    data.map(|data| serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}"))).collect()
}

/// What a client puts together of them.
fn said(route: Route, text: &str) -> String {
    let piece = |event: &Value| match route {
        Route::ChatCompletions => event["choices"][0]["delta"]["content"].as_str().map(str::to_owned),
        Route::Messages => event["delta"]["text"].as_str().map(str::to_owned),
        _ => event["delta"].as_str().map(str::to_owned),
    };
    events(text).iter().filter_map(piece).collect()
}

async fn looking_into_answers(rails: &[(Guard, Action)]) -> World {
    let world = guarding(rails).await;
    let mut change = world.change().await;
    world.edit_key(&mut change, |form| form.handling.guardrails.answers = true).await;
    change.commit().await.expect("it");
    world
}

#[tokio::test]
async fn what_streams_is_masked_wherever_it_is_cut_and_everything_else_stays() {
    let world = looking_into_answers(&[
        (Guard::Email, Action::Mask),
        (Guard::Iban, Action::Mask),
        (Guard::Secret, Action::Mask),
        (Guard::Card, Action::Observe),
    ])
    .await;
    let key = format!(
        "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----",
        "MIIEpAIBAAKCAQEA".repeat(9)
    );
    let text = format!(
        "Grüße \"{ADDRESS}\", IBAN GB82 WEST 1234 5698 7654 32, card 4111 1111 1111 1111 in 2026. \\n {key}\n世界 and {ADDRESS}"
    );
    let expected = "Grüße \"[e-mail address removed]\", IBAN [bank account removed], card 4111 1111 1111 1111 in 2026. \\n [secret removed]世界 and [e-mail address removed]";
    for route in ROUTES {
        for (pieces, byte_by_byte) in [(1, false), (7, false), (61, false), (110, false), (61, true)] {
            let script =
                Script { text: text.clone(), pieces, byte_by_byte, calls_tool: true, ..Script::default() };
            world.script("small", script);
            let answer = world.client.to(route, &stream_of(route)).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
            let answer = answer.text();
            assert_eq!(said(route, &answer), expected, "{route:?} in {pieces}: {answer}");
            assert!(
                answer.matches("look_up").count() <= 1 + usize::from(route == Route::Responses),
                "{answer}"
            );
            assert!(!answer.contains("math.example"), "nor where it is repeated: {answer}");
            let upstream = world.upstream.asked().pop().expect("a call").said();
            let kinds = |text: &str| -> Vec<Value> {
                events(text).iter().map(|event| event["type"].clone()).collect()
            };
            let (mut came, mut went) = (kinds(&String::from_utf8_lossy(&upstream)), kinds(&answer));
            came.dedup();
            went.dedup();
            if route != Route::ChatCompletions {
                assert_eq!(went, came, "the events are the provider's");
            }
            world.quiet().await;
            let booked = &world.ledger().await[0];
            assert_eq!((booked.outcome, booked.cost, booked.estimated), (Outcome::Ok, cost(10, 20), false));
            let view = calls::get(&world.store, world.tenant.org, booked.id).await.expect("the call");
            let What::Finished(finished) = view.what else { panic!("it finished") };
            let found = |guard, action, count| Found { guard, action, count };
            assert_eq!(
                finished.guarded,
                [
                    found(Guard::Secret, Action::Mask, 1),
                    found(Guard::Email, Action::Mask, 2),
                    found(Guard::Iban, Action::Mask, 1),
                    found(Guard::Card, Action::Observe, 1),
                ]
                .as_slice(),
                "{route:?} in {pieces}"
            );
        }
    }
    world.books_agree().await;
}

#[tokio::test]
async fn a_stream_that_is_refused_ends_as_its_dialect_ends_one_and_says_why() {
    let world = looking_into_answers(&[(Guard::Email, Action::Refuse)]).await;
    for route in ROUTES {
        let text = format!("You can write to {ADDRESS}, she knows. More follows here.");
        world.script("small", Script { text, pieces: 30, ..Script::default() });
        let answer = world.client.to(route, &stream_of(route)).await;
        assert_eq!(answer.status, StatusCode::OK, "its head was out: {}", answer.text());
        let text = answer.text();
        assert!(!text.contains("math") && !text.contains("More"), "{text}");
        assert!("You can write to ".starts_with(said(route, &text).trim_end()), "{text}");
        let all = events(&text);
        let last = all.last().expect("an event");
        let why = match route {
            Route::Messages => {
                assert_eq!(last["type"], "message_stop", "{text}");
                let end = &all[all.len() - 2];
                assert_eq!(
                    (&end["type"], &end["delta"]["stop_reason"]),
                    (&json!("message_delta"), &json!("refusal"))
                );
                assert_eq!(all[all.len() - 3]["type"], "content_block_stop", "{text}");
                end["bursar"].clone()
            }
            Route::Responses => {
                assert_eq!(last["type"], "response.incomplete", "{text}");
                assert_eq!(last["response"]["incomplete_details"]["reason"], "content_filter");
                last["response"]["bursar"].clone()
            }
            _ => {
                assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
                assert_eq!(last["choices"][0]["finish_reason"], "content_filter", "{text}");
                last["bursar"].clone()
            }
        };
        assert_eq!(
            (&why["reason"], &why["found"]),
            (&json!("guardrail_refused"), &json!(["email"])),
            "{text}"
        );
        world.quiet().await;
        let booked = &world.ledger().await[0];
        assert_eq!(booked.outcome, Outcome::Ended, "it counts: {booked:?}");
        assert!(booked.cost > domain::money::Money::ZERO, "{booked:?}");
    }
    world.books_agree().await;
}

#[tokio::test]
async fn what_cannot_be_part_of_anything_is_not_held_back() {
    let world = looking_into_answers(&[(Guard::Email, Action::Mask)]).await;
    let text = "one two three four five six ".to_owned();
    world.script("small", Script { text, pieces: 7, hold: Some(Hold::MidStream), ..Script::default() });
    let mut stream = world.client.stream(DIALECTS[0], &stream_of(Route::ChatCompletions)).await;
    // The provider waits in the middle; what it has said until then is here, but for its last word.
    stream.until("thre").await;
    world.upstream.release(1);
    let answer = stream.rest().await;
    assert!(answer.text().ends_with("data: [DONE]\n\n"), "{}", answer.text());
}
