//! Answers that are given again: only whole ones, only to the same call of the same application, and
//! never to somebody who may no longer use the model.

use bench::upstream::{Ending, Script};
use domain::{
    authorizations::{State, Target},
    calls::{Ended, What},
    guardrails::{Action, Guard},
    limits::{Metric, Scope},
    money::Money,
    spend::Outcome,
    usage::Usage,
    window::Window,
};
use gateway::wire::Route;
use http::StatusCode;
use serde_json::{Value, json};
use store::{calls, rollups::Which};

use crate::{
    client::{Answer, DIALECTS, body, route, streamed},
    world::{World, cost, named},
};

/// A world whose key keeps answers for so long.
async fn keeping(seconds: u32) -> World {
    let world = World::new().await;
    set(&world, Some(seconds)).await;
    world
}

async fn set(world: &World, seconds: Option<u32>) {
    let mut change = world.change().await;
    world.edit_key(&mut change, |form| form.handling.cache_seconds = seconds).await;
    change.commit().await.expect("it");
}

fn hit(answer: &Answer) -> Option<bool> {
    answer.header("x-bursar-cache").map(|word| word == "hit")
}

#[tokio::test]
async fn the_same_call_gets_the_same_answer_again_for_nothing() {
    for dialect in DIALECTS {
        for streams in [false, true] {
            let world = keeping(600).await;
            world.limit(Scope::Organization, Metric::Requests, Window::Day, 3).await;
            let name = named("small", dialect);
            let call = if streams { streamed(&name, 100) } else { body(&name, 100) };
            let first = world.client.call(dialect, &call).await;
            assert_eq!((first.status, hit(&first)), (StatusCode::OK, Some(false)), "{}", first.text());
            let second = world.client.call(dialect, &call).await;
            assert_eq!((second.status, hit(&second)), (StatusCode::OK, Some(true)));
            assert_eq!(second.body, first.body, "a stream is replayed as the stream");
            assert_eq!(second.header("content-type"), first.header("content-type"));
            assert_ne!(second.header("x-request-id"), first.header("x-request-id"));
            assert_eq!(world.upstream.served().calls, 1);
            let booked = world.ledger().await;
            let [second, first] = booked.as_slice() else { panic!("two calls: {booked:?}") };
            assert_eq!((first.cost, first.cached), (cost(10, 20), false));
            assert_eq!((second.cost, second.cached, second.usage), (Money::ZERO, true, Usage::default()));
            assert_eq!(second.outcome, Outcome::Ok);
            let view = calls::get(&world.store, world.tenant.org, second.id).await.expect("the call");
            let What::Finished(finished) = view.what else { panic!("it finished") };
            assert_eq!(finished.cached, Some(cost(10, 20)), "what was saved");
            // Requests still count.
            assert_eq!(world.level(Metric::Requests).await.0, 2);
            world.client.call(dialect, &call).await;
            assert_eq!(world.client.call(dialect, &call).await.status, StatusCode::PAYMENT_REQUIRED);
        }
    }
}

#[tokio::test]
async fn what_a_key_looks_for_holds_for_old_answers_from_the_next_call_on() {
    let world = keeping(600).await;
    let script = Script { text: "write to ada@math.example.org".into(), ..Script::default() };
    world.script("small", script);
    for call in [body("small", 100), streamed("small", 100)] {
        assert_eq!(hit(&world.client.call(DIALECTS[0], &call).await), Some(false));
        assert_eq!(hit(&world.client.call(DIALECTS[0], &call).await), Some(true));
    }
    let mut change = world.change().await;
    world
        .edit_key(&mut change, |form| {
            form.handling.guardrails = form.handling.guardrails.with(Guard::Email, Some(Action::Mask));
            form.handling.guardrails.answers = true;
        })
        .await;
    change.commit().await.expect("it");
    for call in [body("small", 100), streamed("small", 100)] {
        for hits in [false, true] {
            let answer = world.client.call(DIALECTS[0], &call).await;
            assert_eq!((answer.status, hit(&answer)), (StatusCode::OK, Some(hits)), "{}", answer.text());
            assert!(!answer.text().contains("ada@math"), "{}", answer.text());
        }
    }
}

#[tokio::test]
async fn whoever_may_no_longer_use_the_model_gets_no_old_answer() {
    let world = keeping(600).await;
    let call = body("small", 100);
    world.client.call(DIALECTS[0], &call).await;
    assert_eq!(hit(&world.client.call(DIALECTS[0], &call).await), Some(true));
    world.say(None, Target::Model(world.small.openai), State::Closed).await;
    assert_eq!(world.client.call(DIALECTS[0], &call).await.status, StatusCode::NOT_FOUND);
    world.say(None, Target::Model(world.small.openai), State::Open).await;
    assert_eq!(hit(&world.client.call(DIALECTS[0], &call).await), Some(true));
    set(&world, None).await;
    let anew = world.client.call(DIALECTS[0], &call).await;
    assert_eq!((anew.status, hit(&anew)), (StatusCode::OK, None), "the key keeps none any more");
    assert_eq!(world.upstream.served().calls, 2);
}

#[tokio::test]
async fn another_call_or_a_broken_answer_is_asked_for_anew() {
    let world = keeping(600).await;
    let call = body("small", 100);
    world.client.call(DIALECTS[0], &call).await;
    let spaced = world.client.send(
        world.client.request(DIALECTS[0], route(DIALECTS[0])),
        call.to_string().replace("\":", "\" :\n"),
    );
    assert_eq!(hit(&spaced.await), Some(true), "written otherwise, and the same");
    let other: [Value; 3] = [
        body("small", 101),
        streamed("small", 100),
        json!({ "model": "small", "max_tokens": 100, "seed": 1, "messages": [{ "role": "user", "content": "Hi" }] }),
    ];
    for call in &other {
        assert_eq!(hit(&world.client.call(DIALECTS[0], call).await), Some(false), "{call}");
    }
    let request = world.client.request(DIALECTS[0], route(DIALECTS[0])).header("cache-control", "no-cache");
    assert_eq!(hit(&world.client.send(request, call.to_string()).await), Some(false), "as asked");
    world.script("small", Script { ending: Ending::ResetMidStream, ..Script::default() });
    let broken = streamed("small", 50);
    world.client.call(DIALECTS[0], &broken).await;
    world.script("small", Script::default());
    let whole = world.client.call(DIALECTS[0], &broken).await;
    assert_eq!(hit(&whole), Some(false), "half an answer is none");
    world.script("small", Script::error(500));
    let failed = body("small", 51);
    world.client.call(DIALECTS[0], &failed).await;
    world.script("small", Script::default());
    assert_eq!(hit(&world.client.call(DIALECTS[0], &failed).await), Some(false));
    let going_on = json!({ "model": "small", "input": "Hi", "tools": [{ "type": "mcp" }] });
    assert_eq!(hit(&world.client.to(Route::Responses, &going_on).await), None, "it depends on more");
    let filter = calls::Filter { ended: Some(Ended::Cached), ..calls::Filter::default() };
    world.quiet().await;
    let calendar = store::organizations::calendar(&world.store, world.tenant.org).await.expect("it");
    let list = calls::list(&world.store, world.tenant.org, calendar, &Which::default(), &filter, 50).await;
    assert_eq!(list.expect("a list").calls.len(), 1);
}
