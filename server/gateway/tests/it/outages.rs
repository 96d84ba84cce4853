//! Postgres goes and comes back: nothing passes meanwhile, nothing is lost, nobody has to restart.

use std::{process::Command, time::Duration};

use bench::upstream::{Hold, Script};
use domain::{
    limits::{Metric, Scope},
    providers::Dialect,
    window::Window,
};
use http::StatusCode;
use postgres::{Cluster, Options, Programs};
use store::testing;

use crate::{
    client::{DIALECTS, body, route, streamed},
    golden,
    world::{World, cost, named},
};

/// A world on a Postgres of its own.
async fn world() -> (Cluster, World) {
    // Durable, unlike those of other tests: what was committed has to be there afterwards.
    let data = std::env::temp_dir().join(format!("bursar-outage-{:016x}", rand::random::<u64>()));
    let start = move || {
        let programs = Programs::find().expect("Postgres is installed");
        let options = Options { durable: true, max_connections: 50, die_with_parent: true };
        Cluster::start(&programs, &data, options).expect("Postgres starts")
    };
    let cluster = tokio::task::spawn_blocking(start).await.expect("it starts");
    let store = testing::connect(&testing::migrated_database_in(&cluster.url("postgres")).await).await;
    let world = World::on(store).await;
    world.limit(Scope::Organization, Metric::Spend, Window::Month, 1_000_000_000).await;
    (cluster, world)
}

/// The power is cut.
fn kill(cluster: &mut Cluster) {
    let pid = cluster.pid().expect("it runs");
    let killed = Command::new("kill").args(["-9", &pid.to_string()]).status().expect("kill");
    assert!(killed.success());
}

async fn restart(mut cluster: Cluster) -> Cluster {
    let restart = move || {
        cluster.restart_immediate().expect("Postgres starts again");
        cluster
    };
    tokio::task::spawn_blocking(restart).await.expect("it starts")
}

async fn remove(cluster: Cluster) {
    let remove = move || {
        let data = cluster.data_dir().to_owned();
        cluster.stop().expect("Postgres stops");
        std::fs::remove_dir_all(data)
    };
    tokio::task::spawn_blocking(remove).await.expect("it ends").expect("its data is removed");
}

/// Asks until nothing passes any more: what was set aside for this replica may be used until it
/// notices that it is alone.
async fn notices(world: &World) {
    for _ in 0..500 {
        let answer = world.client.call(Dialect::OpenAi, &body("small", 16)).await;
        if answer.status == StatusCode::SERVICE_UNAVAILABLE {
            return;
        }
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it does not notice");
}

/// Asks until it works: the pool finds back by itself.
async fn recovers(world: &World) {
    for _ in 0..100 {
        let answer = world.client.call(Dialect::OpenAi, &body("small", 16)).await;
        match answer.status {
            StatusCode::OK => return,
            StatusCode::SERVICE_UNAVAILABLE => tokio::time::sleep(Duration::from_millis(100)).await,
            status => panic!("{status}: {}", answer.text()),
        }
    }
    panic!("it does not recover");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_postgres_nothing_passes_and_afterwards_everything_works_again() {
    let (mut cluster, world) = world().await;
    recovers(&world).await;
    kill(&mut cluster);
    notices(&world).await;
    let before = world.upstream.served().calls;
    golden::refused("unavailable", &world, "small", &[]).await;
    // Perhaps it was made a moment ago by somebody else: nobody can say that it is unknown.
    let unknown = world.client.with(testing::unknown_secret().reveal());
    for path in ["/v1/models", "/v1/me/limits"] {
        let answer = unknown.get(Dialect::OpenAi, path).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{path}: {}", answer.text());
    }
    for dialect in DIALECTS {
        let answer = unknown.call(dialect, &body(&named("small", dialect), 16)).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.text());
        assert!(answer.header("retry-after").is_some());
        let malformed = world.client.with("sk-not-ours").call(dialect, &body("small", 16)).await;
        assert_eq!(malformed.status, StatusCode::UNAUTHORIZED, "this can never have been one of ours");
    }
    assert_eq!(world.upstream.served().calls, before);
    let cluster = restart(cluster).await;
    recovers(&world).await;
    let answer = unknown.get(Dialect::OpenAi, "/v1/models").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "now it is certain");
    remove(cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_ends_while_postgres_is_gone_is_booked_when_it_is_back() {
    for (dialect, streams) in [(Dialect::OpenAi, true), (Dialect::Anthropic, false)] {
        let (mut cluster, world) = world().await;
        let hold = if streams { Hold::MidStream } else { Hold::BeforeHeaders };
        world.script("small", Script { hold: Some(hold), ..Script::default() });
        let call = if streams { streamed("small", 100) } else { body(&named("small", dialect), 100) };
        let waiting = tokio::spawn({
            let client = world.client.clone();
            async move { client.send(client.request(dialect, route(dialect)), call.to_string()).await }
        });
        world.upstream.called(1).await;
        kill(&mut cluster);
        world.upstream.release(1);
        let answer = waiting.await.expect("an answer");
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        let cluster = restart(cluster).await;
        for _ in 0..300 {
            if !world.ledger().await.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let booked = world.only_call().await;
        assert_eq!((booked.cost, booked.estimated), (cost(10, 20), false));
        assert_eq!(world.level(Metric::Spend).await, ("0.00005".into(), "0.00".into()));
        remove(cluster).await;
    }
}
