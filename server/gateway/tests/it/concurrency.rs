//! Many calls at once against a small cap: the upstream is never asked for more.

use bench::upstream::{Script, Served};
use domain::{
    limits::{Metric, Scope},
    providers::Dialect,
    window::Window,
};
use http::StatusCode;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::{
    client::{Answer, body, streamed},
    world::{World, cost, named},
};

const AT_ONCE: usize = 200;

fn call(dialect: Dialect, streams: bool) -> Value {
    let name = named("small", dialect);
    if streams { streamed(&name, 20) } else { body(&name, 20) }
}

async fn all_at_once(world: &World, dialect: Dialect, streams: bool) -> Vec<Answer> {
    let mut calls = JoinSet::new();
    for _ in 0..AT_ONCE {
        let client = world.client.clone();
        let call = call(dialect, streams);
        calls.spawn(async move { client.call(dialect, &call).await });
    }
    let answers = calls.join_all().await;
    world.books_agree().await;
    for answer in &answers {
        let known = [200, 402, 429, 503].contains(&answer.status.as_u16());
        assert!(known, "{}: {}", answer.status, answer.text());
    }
    answers
}

/// How often somebody who was turned away asks again before what is there counts as out of reach.
const TRIES: usize = 40;

/// Whoever was turned away while others held the rest, or while facts could not be had, asks again: what is
/// there can be used, whatever the first answers were. One who comes behind the last is still refused.
async fn until_used(world: &World, dialect: Dialect, streams: bool, room: u64, answers: &mut Vec<Answer>) {
    for _ in 0..TRIES {
        if world.upstream.served().calls >= room {
            break;
        }
        answers.push(world.client.call(dialect, &call(dialect, streams)).await);
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    answers.push(world.client.call(dialect, &call(dialect, streams)).await);
    world.books_agree().await;
    assert_eq!(world.upstream.served().calls, room, "what is there can be used, and no more");
}

fn succeeded(answers: &[Answer]) -> u64 {
    answers.iter().filter(|answer| answer.status == StatusCode::OK).count() as u64
}

/// What is held for a call: its input tokens, and its cost.
fn worst(dialect: Dialect, streams: bool) -> (u64, i64) {
    let input = gateway::wire::estimate::input_tokens(&call(dialect, streams).to_string());
    (input, cost(input, 20).0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_calls_against_money_for_ten() {
    for (dialect, streams) in [(Dialect::OpenAi, false), (Dialect::Anthropic, true)] {
        let world = World::new().await;
        // Every call uses all it may: settling frees nothing that another could use.
        let (input, each) = worst(dialect, streams);
        world.script("small", Script::using(input, 20));
        world.limit(Scope::Group(world.engineering), Metric::Spend, Window::Month, each * 10).await;
        let mut answers = all_at_once(&world, dialect, streams).await;
        until_used(&world, dialect, streams, 10, &mut answers).await;
        let Served { calls, input, output, .. } = world.upstream.served();
        assert!(calls <= 10, "{calls} calls went upstream");
        assert!(cost(input, output).0 <= each * 10, "the upstream served more than the cap");
        assert_eq!(succeeded(&answers), calls, "who was served was told so, and nobody else");
        assert_eq!(world.ledger().await.len() as u64, calls);
        let booked: i64 = world.ledger().await.iter().map(|call| call.cost.0).sum();
        assert_eq!(booked, cost(input, output).0);
        assert_eq!(world.level(Metric::Spend).await.1, "0.00", "nothing stays held");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_calls_against_ten_requests() {
    let world = World::new().await;
    world.limit(Scope::Application(world.application), Metric::Requests, Window::Year, 10).await;
    let mut answers = all_at_once(&world, Dialect::OpenAi, false).await;
    until_used(&world, Dialect::OpenAi, false, 10, &mut answers).await;
    let served = world.upstream.served();
    assert!(served.calls <= 10, "{served:?}");
    assert_eq!(succeeded(&answers), served.calls);
    assert_eq!(world.level(Metric::Requests).await, (served.calls.into(), 0.into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_calls_with_ten_at_once() {
    let world = World::new().await;
    world.script(
        "small",
        Script { before_headers: std::time::Duration::from_millis(50), ..Script::default() },
    );
    world.limit(Scope::Organization, Metric::ConcurrentCalls, Window::Total, 10).await;
    all_at_once(&world, Dialect::Anthropic, false).await;
    let served = world.upstream.served();
    assert!(served.most_at_once <= 10, "{served:?}");
    assert_eq!(world.level(Metric::ConcurrentCalls).await.1, 0, "nothing stays held");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_calls_that_use_less_than_they_hold_stay_under_the_cap() {
    let world = World::new().await;
    let (_, each) = worst(Dialect::OpenAi, true);
    world.script("small", Script::using(5, 7));
    world.limit(Scope::Organization, Metric::Spend, Window::Month, each * 3).await;
    all_at_once(&world, Dialect::OpenAi, true).await;
    let Served { input, output, .. } = world.upstream.served();
    assert!(cost(input, output).0 <= each * 3);
    let booked: i64 = world.ledger().await.iter().map(|call| call.cost.0).sum();
    assert_eq!(booked, cost(input, output).0);
}
