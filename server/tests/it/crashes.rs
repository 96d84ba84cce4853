//! `kill -9` at any moment, under load: nothing beyond the cap, nothing finished lost, nothing held
//! for ever, and nobody has to do anything.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bench::upstream::{Script, Served, Upstream};
use domain::ids::OrgId;
use http::{Method, StatusCode};
use parking_lot::Mutex;
use store::{MasterKey, Store};

use crate::harness::{Browser, Server, set_up};

const ROUNDS: u64 = 20;
const CLIENTS: u64 = 8;
/// In nano-dollars: about a thousand calls, so that the last rounds run into it.
const CAP: i64 = 40_000_000;

/// Calls that a client has seen to their end.
type Finished = Arc<Mutex<HashSet<String>>>;

/// A model at $1 and $2 for a million tokens, open to everybody; a key for it.
async fn secret(owner: &Browser, upstream: &Upstream) -> String {
    let base_url = upstream.base_url();
    let fields = [
        ("name", "Upstream"),
        ("dialect", "openai"),
        ("base_url", base_url.as_str()),
        ("credential", "sk-upstream"),
        ("allow_private_address", "true"),
    ];
    let provider = owner.create("/console/providers/create", &fields).await;
    owner.must("/console/models/create-tier", &[("name", "general")]).await;
    let page = owner.get("/models").await.text;
    let behind = &page[page.find(">general<").expect("the tier")..];
    let tier: String = behind[behind.find("tir_").expect("its id")..].chars().take(30).collect();
    let fields = [
        ("name", "small"),
        ("provider", &provider),
        ("upstream", "small"),
        ("modality", "chat"),
        ("tier", &tier),
        ("context_tokens", "8000"),
        ("max_output_tokens", "100"),
        ("price_input", "1"),
        ("price_output", "2"),
    ];
    let model = owner.create("/console/models/create", &fields).await;
    owner.must("/console/models/accept", &[("id", &model)]).await;
    let group = owner
        .create("/console/groups/create", &[("name", "Team"), ("kind", "project"), ("parent", "")])
        .await;
    let target = format!("tier:{tier}");
    owner
        .must("/console/authorizations/set", &[("group", &group), ("target", &target), ("state", "open")])
        .await;
    let limit = format!("{:.9}", CAP as f64 / 1e9);
    let scope = format!("group:{group}");
    let fields =
        [("scope", scope.as_str()), ("metric", "spend"), ("window", "month"), ("cap", limit.as_str())];
    owner.must("/console/limits/set", &fields).await;
    let app = owner.create("/console/applications/create", &[("name", "Assistant"), ("group", &group)]).await;
    let page = owner.get(&format!("/applications/{app}?dialog=secret")).await.text;
    let key: String = page[page.find("key_").expect("its key")..].chars().take(30).collect();
    let done = owner.must("/console/keys/issue", &[("application", &app), ("key", &key)]).await;
    done["once"]["Secret"]["secret"].as_str().expect("a secret").to_owned()
}

/// Calls one after the other until it is told to stop; what has an end is noted.
async fn call_on(base: String, secret: String, stop: Arc<AtomicBool>, finished: Finished) {
    let client = Browser::new(&base);
    let bearer = format!("Bearer {secret}");
    let mut turn = 0_u32;
    while !stop.load(Ordering::Relaxed) {
        turn += 1;
        let stream = turn.is_multiple_of(2);
        let body = serde_json::json!({
            "model": "small", "max_tokens": 20, "stream": stream, "messages": [{ "role": "user", "content": "Hi" }]
        });
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let answer = client.try_send(Method::POST, "/v1/chat/completions", &headers, body.to_string()).await;
        let Some(answer) = answer else { continue };
        match answer.status {
            StatusCode::OK => {
                if !stream || answer.text.ends_with("data: [DONE]\n\n") {
                    let id = answer.headers["x-request-id"].to_str().expect("an id").to_owned();
                    assert!(finished.lock().insert(id), "an id is used once");
                }
            }
            StatusCode::PAYMENT_REQUIRED
            | StatusCode::TOO_MANY_REQUESTS
            | StatusCode::SERVICE_UNAVAILABLE => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            other => panic!("{other}: {}", answer.text),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_crashes_under_load_lose_nothing_and_spend_nothing_beyond_the_cap() {
    let upstream = Upstream::start().await.expect("an upstream");
    let between = Duration::from_millis(2);
    upstream.script("small", Script { between, ..Script::using(10, 15) });
    let mut server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let secret = secret(&owner, &upstream).await;
    let finished = Finished::default();
    for round in 0..ROUNDS {
        let stop = Arc::new(AtomicBool::new(false));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                tokio::spawn(call_on(server.base.clone(), secret.clone(), stop.clone(), finished.clone()))
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(20 + (round * 7919) % 230)).await;
        server = server.crash_and_restart();
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            client.await.expect("a client");
        }
    }
    let database = server.database.clone();
    assert!(server.terminate().success());

    let Served { input, output, .. } = upstream.served();
    let served = i64::try_from(input * 1_000 + output * 2_000).expect("an amount");
    assert!(served <= CAP, "the upstream served {served} against a cap of {CAP}");
    let store = Store::connect(&database, 2, MasterKey::generate()).await.expect("the database");
    let org: OrgId = store::testing::only_organization(&store).await;
    let calendar = store::organizations::calendar(&store, org).await.expect("the calendar");
    let now = store::clock::now();
    assert_eq!(store::books::drift(&store, org, calendar, now).await.expect("a look"), []);
    assert_eq!(store::leases::leased(&store, org).await.expect("a look"), 0, "nothing stays set aside");
    let which = store::rollups::Which::default();
    let booked = store::rollups::calls(&store, org, &which, now, 100_000).await.expect("the ledger");
    let ids: HashSet<String> = booked.iter().map(|call| call.id.to_string()).collect();
    assert_eq!(ids.len(), booked.len(), "each call once");
    let finished = finished.lock();
    let missing: Vec<_> = finished.difference(&ids).collect();
    assert!(missing.is_empty(), "finished for a client and not in the books: {missing:?}");
    let spent: i64 = booked.iter().map(|call| call.cost.0).sum();
    assert!(spent >= served, "every token that was served is booked, or more: {spent} of {served}");
    assert!(!finished.is_empty(), "something was finished at all");
}
