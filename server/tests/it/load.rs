//! Clients that call one after the other, and what they saw; what the books say afterwards.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use domain::ids::OrgId;
use http::{Method, StatusCode};
use parking_lot::Mutex;
use store::{MasterKey, Store};
use tokio::task::JoinHandle;

use crate::harness::Browser;

/// In nano-dollars: about a thousand calls of 10 and 15 tokens.
pub const CAP: i64 = 40_000_000;

/// A model at $1 and $2 for a million tokens, open to everybody; a key for it.
pub async fn secret(owner: &Browser, base_url: &str) -> String {
    let fields = [
        ("name", "Upstream"),
        ("dialect", "openai"),
        ("base_url", base_url),
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
    owner.must("/console/models/accept", &[("id", &model), ("version", "1")]).await;
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

/// What clients have seen.
#[derive(Default)]
pub struct Seen {
    /// Calls that came to their end.
    pub finished: Mutex<HashSet<String>>,
    /// Calls that were told to come again.
    pub unavailable: AtomicU64,
    /// Calls that were told that the money is used up, whatever others hold.
    used_up: AtomicU64,
}

impl Seen {
    /// Waits until so many calls more have come to their end.
    pub async fn finishes(&self, more: usize) {
        let wanted = self.finished.lock().len() + more;
        self.until(|| self.finished.lock().len() >= wanted).await;
    }

    /// Waits until somebody is told to come again.
    pub async fn is_unavailable(&self) {
        let before = self.unavailable.load(Ordering::Relaxed);
        self.until(|| self.unavailable.load(Ordering::Relaxed) > before).await;
    }

    /// Waits until somebody is told that the money is used up.
    pub async fn is_used_up(&self) {
        self.until(|| self.used_up.load(Ordering::Relaxed) > 0).await;
    }

    async fn until(&self, so: impl Fn() -> bool) {
        let wait = async {
            while !so() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(180), wait).await.expect("it comes to that");
    }
}

/// Clients at work.
pub struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    pub fn start(clients: usize, base: &str, secret: &str, seen: &Arc<Seen>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let one = |_| tokio::spawn(call_on(base.to_owned(), secret.to_owned(), stop.clone(), seen.clone()));
        Self { clients: (0..clients).map(one).collect(), stop }
    }

    /// Lets everybody end the call they are at.
    pub async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await.expect("a client");
        }
    }
}

/// Calls one after the other until it is told to stop; what has an end is noted.
async fn call_on(base: String, secret: String, stop: Arc<AtomicBool>, seen: Arc<Seen>) {
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
        let Some(answer) = answer else {
            // Nobody is there, for a moment.
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        };
        match answer.status {
            StatusCode::OK => {
                if !stream || answer.text.ends_with("data: [DONE]\n\n") {
                    let id = answer.headers["x-request-id"].to_str().expect("an id").to_owned();
                    assert!(seen.finished.lock().insert(id), "an id is used once");
                }
                continue;
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                assert!(answer.headers.contains_key("retry-after"), "{:?}", answer.headers);
                seen.unavailable.fetch_add(1, Ordering::Relaxed);
            }
            StatusCode::PAYMENT_REQUIRED => {
                seen.used_up.fetch_add(1, Ordering::Relaxed);
            }
            StatusCode::TOO_MANY_REQUESTS => {}
            other => panic!("{other}: {}", answer.text),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until so many calls are in the books of the only organization.
pub async fn until_booked(database: &str, calls: usize) {
    let store = Store::connect(database, 1, MasterKey::generate()).await.expect("the database");
    let org: OrgId = store::testing::only_organization(&store).await;
    let which = store::rollups::Which::default();
    let booked = async {
        loop {
            let now = store::clock::now();
            let found = store::rollups::calls(&store, org, &which, now, 100_000).await.expect("the ledger");
            if found.len() >= calls {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), booked).await.expect("all of them are booked");
    store.close().await;
}

/// The books of the only organization, once its server has stopped: they agree, nothing is set aside,
/// and every call is there once. Their ids, and what they cost together.
pub async fn booked(database: &str) -> (HashSet<String>, i64) {
    let store = Store::connect(database, 2, MasterKey::generate()).await.expect("the database");
    let org: OrgId = store::testing::only_organization(&store).await;
    let calendar = store::organizations::calendar(&store, org).await.expect("the calendar");
    let now = store::clock::now();
    assert_eq!(store::books::drift(&store, org, calendar, now).await.expect("a look"), []);
    assert_eq!(store::leases::leased(&store, org).await.expect("a look"), 0, "nothing stays set aside");
    let which = store::rollups::Which::default();
    let booked = store::rollups::calls(&store, org, &which, now, 100_000).await.expect("the ledger");
    let ids: HashSet<String> = booked.iter().map(|call| call.id.to_string()).collect();
    assert_eq!(ids.len(), booked.len(), "each call once");
    store.close().await;
    (ids, booked.iter().map(|call| call.cost.0).sum())
}
