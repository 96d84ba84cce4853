//! Postgres goes and comes back: nothing passes meanwhile, nothing is lost, nobody has to restart.

use std::{path::PathBuf, process::Command, sync::Arc, time::Duration};

use bench::upstream::{Hold, Script};
use domain::{
    limits::{Metric, Scope},
    providers::Dialect,
    refusals::Told,
    spend::Outcome,
    window::Window,
};
use gateway::Settings;
use http::StatusCode;
use parking_lot::Mutex;
use postgres::{Cluster, Options, Programs};
use store::testing;
use tokio::{
    net::{TcpListener, UnixStream},
    task::AbortHandle,
};

use crate::{
    client::{DIALECTS, body, route, streamed},
    golden,
    world::{World, cost, named},
};

/// What may be written down while Postgres is away, in bytes.
const SPOOL: u64 = 64 << 10;

/// A world on a Postgres of its own.
async fn world() -> (Cluster, World) {
    world_with(|_| {}).await
}

async fn world_with(edit: impl FnOnce(&mut Settings)) -> (Cluster, World) {
    // Durable, unlike those of other tests: what was committed has to be there afterwards.
    let data = std::env::temp_dir().join(format!("bursar-outage-{:016x}", rand::random::<u64>()));
    let start = move || {
        let programs = Programs::find().expect("Postgres is installed");
        let options = Options { durable: true, max_connections: 50, die_with_parent: true };
        Cluster::start(&programs, &data, options).expect("Postgres starts")
    };
    let cluster = tokio::task::spawn_blocking(start).await.expect("it starts");
    let store = testing::connect(&testing::migrated_database_in(&cluster.url("postgres")).await).await;
    let world = World::build(store, |settings| {
        settings.spool_limit = SPOOL;
        edit(settings);
    })
    .await;
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
    let known = world.client.call(Dialect::OpenAi, &body("small", 16)).await;
    assert_eq!(golden::told_by(&world, &known), Told::Unavailable, "its id needs no database");
    // Perhaps it was made a moment ago by somebody else: nobody can say that it is unknown.
    let unknown = world.client.with(testing::unknown_secret().reveal());
    for path in ["/v1/models", "/v1/me/limits"] {
        let answer = unknown.get(Dialect::OpenAi, path).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{path}: {}", answer.text());
    }
    for dialect in DIALECTS {
        let answer = unknown.call(dialect, &body(&named("small", dialect), 16)).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.text());
        assert_eq!(golden::told_by(&world, &answer), Told::Unavailable);
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hour_without_postgres_loses_nothing_and_fills_no_disk() {
    const CALLS: u64 = 12;
    let (mut cluster, world) = world().await;
    world.limit(Scope::Application(world.application), Metric::ConcurrentCalls, Window::Total, 40).await;
    recovers(&world).await;
    let before = world.ledger().await.len();
    world.script("small", Script { hold: Some(Hold::MidStream), ..Script::default() });
    let mut streams = Vec::new();
    for turn in 0..CALLS {
        let dialect = DIALECTS[usize::from(turn % 2 == 1)];
        streams.push(world.client.stream(dialect, &streamed(&named("small", dialect), 100)).await);
    }
    world.upstream.called(CALLS + 1).await;
    // Its last round is over, and it has nothing more to say; so the others take it for dead.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let an_hour_later = store::clock::now() + chrono::TimeDelta::hours(1);
    let other = store::clock::id();
    for seconds in [75, 50, 25, 0] {
        let then = an_hour_later - chrono::TimeDelta::seconds(seconds);
        store::leases::hear(&world.store, other, then).await.expect("heard");
    }
    store::leases::bury(&world.store, other, an_hour_later).await.expect("it is buried");
    kill(&mut cluster);
    world.upstream.release(CALLS as usize);
    for stream in streams {
        let text = stream.rest().await.text();
        assert!(text.contains("[DONE]") || text.contains("message_stop"), "{text}");
    }
    assert_eq!(world.finished_on_disk() as u64, CALLS + before as u64, "all of them are on disk");
    world.script("small", Script::default());
    notices(&world).await;
    for _ in 0..50 {
        let answer = world.client.call(Dialect::OpenAi, &body("small", 16)).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.text());
        assert!(answer.header("retry-after").is_some());
    }
    assert!(world.written() <= SPOOL, "{} bytes are written down", world.written());
    let cluster = restart(cluster).await;
    recovers(&world).await;
    world.books_agree().await;
    let held: Vec<_> = world.ledger().await.into_iter().filter(|call| call.cost == cost(10, 20)).collect();
    assert_eq!(held.len() as u64, CALLS, "each once, as it was reported");
    assert!(held.iter().all(|call| !call.estimated));
    assert_eq!(world.level(Metric::Spend).await.1, "0.00");
    assert_eq!(world.level(Metric::ConcurrentCalls).await.1, 0);
    // What is in the books makes room for what comes.
    for _ in 0..100 {
        recovers(&world).await;
    }
    assert!(world.written() <= SPOOL, "{} bytes are written down", world.written());
    remove(cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_cut_off_ends_the_calls_that_hold_a_place_among_calls_at_once() {
    let (mut cluster, world) = world_with(|settings| settings.cut_off = Duration::from_secs(3)).await;
    world.limit(Scope::Application(world.application), Metric::ConcurrentCalls, Window::Total, 40).await;
    recovers(&world).await;
    world.script("small", Script { hold: Some(Hold::MidStream), ..Script::default() });
    let mut streams = Vec::new();
    for dialect in DIALECTS {
        streams.push(world.client.stream(dialect, &streamed(&named("small", dialect), 100)).await);
    }
    kill(&mut cluster);
    // Nobody lets them go on: their places may be given to others soon.
    for stream in streams {
        let text = stream.rest().await.text();
        assert!(text.contains("lease_lost"), "{text}");
        assert!(text.ends_with("data: [DONE]\n\n") || text.contains("message_stop"), "{text}");
    }
    let answer = world.client.call(Dialect::OpenAi, &body("small", 16)).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.text());
    world.script("small", Script::default());
    let cluster = restart(cluster).await;
    recovers(&world).await;
    world.books_agree().await;
    let ended = world.ledger().await.into_iter().filter(|call| call.outcome == Outcome::Ended).count();
    assert_eq!(ended, DIALECTS.len(), "each is in the books, once");
    assert_eq!(world.level(Metric::ConcurrentCalls).await.1, 0);
    remove(cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_without_a_connection_to_give_is_one_that_is_not_there() {
    let (cluster, world) = world().await;
    recovers(&world).await;
    let crowd = testing::Crowd::on(&cluster.url("postgres")).await;
    notices(&world).await;
    let before = world.upstream.served().calls;
    for dialect in DIALECTS {
        let answer = world.client.call(dialect, &body(&named("small", dialect), 16)).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.text());
        assert!(answer.header("retry-after").is_some());
    }
    assert_eq!(world.upstream.served().calls, before);
    crowd.leave().await;
    recovers(&world).await;
    world.books_agree().await;
    remove(cluster).await;
}

/// An address that leads to a Postgres, or to none, or to another one later.
struct Address {
    port: u16,
    leads_to: Arc<Mutex<Option<PathBuf>>>,
    connections: Arc<Mutex<Vec<AbortHandle>>>,
}

impl Address {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let (leads_to, connections) =
            <(Arc<Mutex<Option<PathBuf>>>, Arc<Mutex<Vec<AbortHandle>>>)>::default();
        let (target, all) = (Arc::clone(&leads_to), Arc::clone(&connections));
        tokio::spawn(async move {
            while let Ok((mut from, _)) = listener.accept().await {
                let Some(socket) = target.lock().clone() else { continue };
                let passing = tokio::spawn(async move {
                    if let Ok(mut to) = UnixStream::connect(socket).await {
                        let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
                    }
                });
                all.lock().push(passing.abort_handle());
            }
        });
        Self { port, leads_to, connections }
    }

    /// From now on it leads there; whoever is connected is cut off.
    fn leads_to(&self, cluster: Option<&Cluster>) {
        *self.leads_to.lock() = cluster.map(|cluster| cluster.socket_dir().join(".s.PGSQL.5432"));
        self.connections.lock().drain(..).for_each(|passing| passing.abort());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_is_somewhere_else_now_is_found_behind_its_address() {
    let data =
        |name: &str| std::env::temp_dir().join(format!("bursar-{name}-{:016x}", rand::random::<u64>()));
    let start = |data: PathBuf| async move {
        let start = move || {
            let programs = Programs::find().expect("Postgres is installed");
            let options = Options { durable: true, max_connections: 50, die_with_parent: true };
            Cluster::start(&programs, &data, options).expect("Postgres starts")
        };
        tokio::task::spawn_blocking(start).await.expect("it starts")
    };
    let first = start(data("first")).await;
    let address = Address::new().await;
    address.leads_to(Some(&first));
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres", address.port);
    let store = testing::connect(&testing::migrated_database_in(&url).await).await;
    let world = World::on(store).await;
    world.limit(Scope::Organization, Metric::Spend, Window::Month, 1_000_000_000).await;
    recovers(&world).await;
    world.script("small", Script { hold: Some(Hold::MidStream), ..Script::default() });
    let mut stream = world.client.stream(Dialect::OpenAi, &streamed("small", 100)).await;
    stream.until("Hello").await;

    // The first one is lost; another has everything it had.
    let elsewhere = data("second");
    let copied = elsewhere.clone();
    let gone = tokio::task::spawn_blocking(move || {
        let from = first.data_dir().to_owned();
        first.stop().expect("it stops");
        let copied = Command::new("cp").arg("-a").args([&from, &copied]).status().expect("cp");
        assert!(copied.success());
        std::fs::remove_dir_all(from).expect("it is gone");
    });
    address.leads_to(None);
    gone.await.expect("it is gone");
    notices(&world).await;
    let second = start(elsewhere).await;
    world.upstream.release(1);
    assert!(stream.rest().await.text().contains("[DONE]"), "it goes on without any");
    world.script("small", Script::default());
    address.leads_to(Some(&second));
    recovers(&world).await;
    // What is changed there is heard of; a limit that is made later counts what is booked.
    world.quiet().await;
    world.limit(Scope::Organization, Metric::Requests, Window::Year, 1).await;
    let answer = world.client.call(Dialect::OpenAi, &body("small", 16)).await;
    assert_eq!(answer.status, StatusCode::PAYMENT_REQUIRED, "{}", answer.text());
    world.books_agree().await;
    assert!(world.ledger().await.iter().all(|call| !call.estimated), "each as it was reported");
    address.leads_to(None);
    remove(second).await;
}

/// A Postgres with all its processes; told to stand still, or to go on.
fn signal(cluster: &mut Cluster, name: &str) {
    let first = cluster.pid().expect("it runs").to_string();
    let children = std::fs::read_to_string(format!("/proc/{first}/task/{first}/children"));
    let mut kill = Command::new("kill");
    kill.args(["-s", name, &first]).args(children.unwrap_or_default().split_whitespace());
    kill.status().expect("kill");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_falls_silent_is_not_waited_for() {
    let (mut cluster, world) = world().await;
    recovers(&world).await;
    // Nothing is closed: whoever asks hears nothing at all.
    signal(&mut cluster, "STOP");
    notices(&world).await;
    let refused = (0..20).map(|_| {
        let client = world.client.clone();
        tokio::spawn(async move { client.call(Dialect::OpenAi, &body("small", 16)).await })
    });
    for answer in refused.collect::<Vec<_>>() {
        let answer = answer.await.expect("an answer");
        assert!([200, 503].contains(&answer.status.as_u16()), "{}", answer.text());
    }
    signal(&mut cluster, "CONT");
    recovers(&world).await;
    world.books_agree().await;
    remove(cluster).await;
}
