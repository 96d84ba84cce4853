//! Several processes over one Postgres: together they never let through more than one would, and
//! what one does not need another gets.

use std::time::{Duration, Instant};

use bench::upstream::{Hold, Script};
use domain::{
    authorizations::{State, Target},
    limits::{Metric, Scope},
    providers::Dialect,
    window::Window,
};
use http::StatusCode;
use tokio::task::JoinSet;

use crate::{
    client::{Client, body},
    world::{Replica, World, cost},
};

const AT_ONCE: usize = 200;

/// The most a call of these tests can cost, when it uses all that it may.
fn dearest() -> (u64, i64) {
    let input = gateway::wire::estimate::input_tokens(&body("small", 20).to_string());
    (input, cost(input, 20).0)
}

async fn booked(world: &World) -> Vec<domain::spend::CallRow> {
    // Whatever another process has finished is booked within a second.
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.ledger().await
}

/// Calls as a client with patience does: again, when it is told to come back.
async fn insist(client: Client, until: Instant) -> StatusCode {
    loop {
        let status = client.call(Dialect::OpenAi, &body("small", 20)).await.status;
        if status != StatusCode::TOO_MANY_REQUESTS || Instant::now() > until {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_replicas_let_ten_of_two_hundred_through_and_all_ten() {
    let world = World::new().await;
    let (input, each) = dearest();
    world.script("small", Script::using(input, 20));
    world.limit(Scope::Group(world.engineering), Metric::Spend, Window::Month, each * 10).await;
    let others = [Replica::start(&world).await, Replica::start(&world).await];
    let clients = [&world.client, &others[0].client, &others[1].client];
    let until = Instant::now() + Duration::from_secs(10);
    let mut calls = JoinSet::new();
    for turn in 0..AT_ONCE {
        calls.spawn(insist(clients[turn % 3].clone(), until));
    }
    let statuses = calls.join_all().await;
    let passed = statuses.iter().filter(|status| **status == StatusCode::OK).count();
    assert_eq!((passed, world.upstream.served().calls), (10, 10), "{statuses:?}");
    let refused = statuses.iter().filter(|status| **status == StatusCode::PAYMENT_REQUIRED).count();
    assert_eq!(refused, AT_ONCE - 10, "the others are told that it is used up: {statuses:?}");
    assert_eq!(booked(&world).await.len(), 10);
    world.books_agree().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_replica_has_set_aside_and_does_not_need_another_gets_at_once() {
    let world = World::new().await;
    let (_, each) = dearest();
    world.script("small", Script::using(1, 1));
    world.limit(Scope::Organization, Metric::Spend, Window::Month, each * 4).await;
    let other = Replica::start(&world).await;
    // Each call costs next to nothing and needs room for a quarter of the cap: whoever holds a slice
    // for longer than a call keeps the other one out.
    for turn in 0..20 {
        let client = if turn % 2 == 0 { &world.client } else { &other.client };
        let mut calls = JoinSet::new();
        for _ in 0..2 {
            let client = client.clone();
            calls.spawn(async move { client.call(Dialect::OpenAi, &body("small", 20)).await });
        }
        for answer in calls.join_all().await {
            assert_eq!(answer.status, StatusCode::OK, "turn {turn}: {}", answer.text());
        }
    }
    assert_eq!(booked(&world).await.len(), 40);
    world.books_agree().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_made_elsewhere_bites_within_a_second() {
    let world = World::new().await;
    let other = Replica::start(&world).await;
    let call = body("small", 20);
    assert_eq!(other.client.call(Dialect::OpenAi, &call).await.status, StatusCode::OK);
    world.say(None, Target::Model(world.small.openai), State::Closed).await;
    let closed_at = Instant::now();
    loop {
        let status = other.client.call(Dialect::OpenAi, &call).await.status;
        if status == StatusCode::NOT_FOUND {
            break;
        }
        assert_eq!(status, StatusCode::OK);
        assert!(closed_at.elapsed() < Duration::from_secs(1), "it is still open on the other replica");
    }
    assert_eq!(world.client.call(Dialect::OpenAi, &call).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_at_once_are_counted_over_all_replicas() {
    let world = World::new().await;
    world.script("small", Script { hold: Some(Hold::BeforeHeaders), ..Script::default() });
    world.limit(Scope::Organization, Metric::ConcurrentCalls, Window::Total, 3).await;
    let other = Replica::start(&world).await;
    let mut running = JoinSet::new();
    for client in [&world.client, &other.client, &world.client] {
        let client = client.clone();
        running.spawn(async move { client.call(Dialect::OpenAi, &body("small", 20)).await.status });
    }
    world.upstream.called(3).await;
    for client in [&world.client, &other.client] {
        let answer = client.call(Dialect::OpenAi, &body("small", 20)).await;
        assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "{}", answer.text());
    }
    world.upstream.release(3);
    assert!(running.join_all().await.into_iter().all(|status| status == StatusCode::OK));
    world.upstream.release(1);
    assert_eq!(insist(other.client.clone(), Instant::now() + Duration::from_secs(5)).await, StatusCode::OK);
    assert_eq!(booked(&world).await.len(), 4);
    world.books_agree().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_books_agree_at_every_moment_while_replicas_work() {
    let world = World::new().await;
    world.script("small", Script::using(7, 9));
    world.limit(Scope::Group(world.engineering), Metric::Spend, Window::Month, 1 << 40).await;
    world.limit(Scope::Application(world.application), Metric::Tokens, Window::Day, 1 << 40).await;
    world.limit(Scope::Organization, Metric::ConcurrentCalls, Window::Total, 50).await;
    let other = Replica::start(&world).await;
    let mut calls = JoinSet::new();
    for turn in 0..8 {
        let client = if turn % 2 == 0 { world.client.clone() } else { other.client.clone() };
        calls.spawn(async move {
            for _ in 0..25 {
                assert_eq!(client.call(Dialect::OpenAi, &body("small", 20)).await.status, StatusCode::OK);
            }
        });
    }
    let org = world.tenant.org;
    let calendar = store::organizations::calendar(&world.store, org).await.expect("the calendar");
    let mut looks = 0;
    while !calls.is_empty() {
        let drift = store::books::drift(&world.store, org, calendar, store::clock::now()).await;
        assert_eq!(drift.expect("a look"), [], "look {looks}");
        looks += 1;
        while let Some(done) = calls.try_join_next() {
            done.expect("every call passed");
        }
    }
    assert!(looks > 2, "it was looked at while they worked");
    assert_eq!(booked(&world).await.len(), 200);
}

/// Somebody who comes back whenever they are told to, until they are stopped.
async fn keep_coming(client: Client) {
    loop {
        let status = client.call(Dialect::OpenAi, &body("small", 20)).await.status;
        // A database that is too busy to answer lets nobody pass, either.
        assert!(matches!(status.as_u16(), 200 | 429 | 503), "{status}: there is money, it is only held");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Two hundred clients on a cap with room for ten; calls hold all of it and use next to nothing, so
/// that ten others fit in as soon as ten have ended.
async fn room_is_used_as_it_appears(replicas: usize) {
    let world = World::new().await;
    let (_, each) = dearest();
    let hold = Some(Hold::BeforeHeaders);
    world.script("small", Script { hold, ..Script::using(1, 0) });
    // What four rounds use leaves room for ten, and never for eleven.
    let spent = cost(1, 0).0 * 40;
    assert!(spent < each);
    world.limit(Scope::Group(world.engineering), Metric::Spend, Window::Month, each * 10 + spent).await;
    let mut others = Vec::new();
    for _ in 1..replicas {
        others.push(Replica::start(&world).await);
    }
    let clients: Vec<Client> =
        std::iter::once(&world.client).chain(others.iter().map(|other| &other.client)).cloned().collect();
    let mut calls = JoinSet::new();
    for turn in 0..AT_ONCE {
        calls.spawn(keep_coming(clients[turn % replicas].clone()));
    }
    let mut took = Vec::new();
    for round in 1..=4_u64 {
        let begun = Instant::now();
        let used = tokio::time::timeout(Duration::from_secs(20), world.upstream.called(round * 10)).await;
        assert!(used.is_ok(), "round {round}: {:?}", world.upstream.served());
        assert!(world.upstream.served().most_at_once <= 10, "{:?}", world.upstream.served());
        if round > 1 {
            took.push(begun.elapsed());
        }
        world.upstream.release(10);
    }
    took.sort_unstable();
    println!("{replicas} replicas: room for ten is used within {took:?}");
    // Of three rounds two: a machine that stands still for a moment says nothing about leases.
    assert!(took[1] < Duration::from_secs(1), "room for ten is used within {took:?}");
    world.upstream.release(10_000);
    calls.shutdown().await;
    world.upstream.until(|served| served.at_once == 0).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.books_agree().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn room_that_appears_is_used_within_a_second_on_one_replica() {
    room_is_used_as_it_appears(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn room_that_appears_is_used_within_a_second_on_three_replicas() {
    room_is_used_as_it_appears(3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_refused_while_nothing_is_held_and_there_is_room() {
    let world = World::new().await;
    let (_, each) = dearest();
    world.script("small", Script::using(1, 1));
    // Room for one call, wherever it is made: what another replica has just set aside has to move.
    world.limit(Scope::Organization, Metric::Spend, Window::Month, each + cost(1, 1).0 * 30).await;
    let others = [Replica::start(&world).await, Replica::start(&world).await];
    let clients = [&world.client, &others[0].client, &others[1].client];
    for turn in 0..30 {
        let answer = clients[turn % 3].call(Dialect::OpenAi, &body("small", 20)).await;
        assert_eq!(answer.status, StatusCode::OK, "turn {turn}: {}", answer.text());
    }
    assert_eq!(booked(&world).await.len(), 30);
    world.books_agree().await;
}
