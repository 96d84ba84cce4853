//! Clients that leave: what was used is settled exactly once, and nothing stays held.

use bench::upstream::{Hold, Script};
use domain::{
    limits::{Metric, Scope},
    providers::Dialect,
    spend::Outcome,
    window::Window,
};
use serde_json::Value;

use crate::{
    client::{DIALECTS, body, route, streamed},
    world::{World, cost, named},
};

/// A world with a budget to look at, where calls are held.
async fn held(hold: Hold) -> World {
    let world = World::new().await;
    world.limit(Scope::Organization, Metric::Spend, Window::Month, 1_000_000_000).await;
    world.script("small", Script { hold: Some(hold), ..Script::default() });
    world
}

/// Everything it used is on the books, once, as the provider reported it.
async fn settled_once(world: &World, outcome: Outcome) {
    world.upstream.release(1);
    world.upstream.until(|served| served.at_once == 0).await;
    let call = world.only_call().await;
    assert_eq!((call.outcome, call.cost, call.estimated), (outcome, cost(10, 20), false));
    let (used, reserved) = world.level(Metric::Spend).await;
    assert_eq!((used, reserved), (Value::from("0.00005"), Value::from("0.00")));
    world.books_agree().await;
}

#[tokio::test]
async fn before_the_head_of_a_plain_answer() {
    for dialect in DIALECTS {
        let world = held(Hold::BeforeHeaders).await;
        leave_before_head(&world, dialect, body(&named("small", dialect), 100)).await;
        settled_once(&world, Outcome::Ok).await;
    }
}

#[tokio::test]
async fn before_the_head_of_a_stream() {
    for dialect in DIALECTS {
        let world = held(Hold::BeforeHeaders).await;
        leave_before_head(&world, dialect, streamed(&named("small", dialect), 100)).await;
        settled_once(&world, Outcome::HungUp).await;
    }
}

async fn leave_before_head(world: &World, dialect: Dialect, call: Value) {
    let waiting = tokio::spawn({
        let client = world.client.clone();
        async move { client.send(client.request(dialect, route(dialect)), call.to_string()).await }
    });
    world.upstream.called(1).await;
    waiting.abort();
    assert!(waiting.await.is_err(), "it left");
}

#[tokio::test]
async fn in_the_middle_of_a_stream() {
    for dialect in DIALECTS {
        let world = held(Hold::MidStream).await;
        let mut stream = world.client.stream(dialect, &streamed(&named("small", dialect), 100)).await;
        stream.until("Hello").await;
        drop(stream);
        settled_once(&world, Outcome::HungUp).await;
    }
}

#[tokio::test]
async fn before_the_very_last_piece() {
    for dialect in DIALECTS {
        let world = held(Hold::BeforeLastPiece).await;
        let mut stream = world.client.stream(dialect, &streamed(&named("small", dialect), 100)).await;
        stream
            .until(if dialect == Dialect::OpenAi { "\"finish_reason\":\"stop\"" } else { "message_delta" })
            .await;
        drop(stream);
        settled_once(&world, Outcome::HungUp).await;
    }
}

#[tokio::test]
async fn with_the_very_last_byte() {
    for dialect in DIALECTS {
        let world = held(Hold::BeforeLastPiece).await;
        let mut stream = world.client.stream(dialect, &streamed(&named("small", dialect), 100)).await;
        world.upstream.release(1);
        let last = if dialect == Dialect::OpenAi { "[DONE]" } else { "message_stop\"" };
        stream.until(last).await;
        drop(stream);
        settled_once(&world, Outcome::Ok).await;
    }
}
