//! Alerts from the real binary: a call crosses a threshold, somebody is told, a program gets a signed
//! message on a real socket.

use std::time::Duration;

use axum::{Router, extract::State, http::HeaderMap, routing::post};
use http::{Method, StatusCode};
use serde_json::Value;
use tokio::{net::TcpListener, sync::mpsc};

use crate::harness::{Browser, Server, set_up};

/// How long something that has to come may take.
const PATIENCE: Duration = Duration::from_secs(30);

type Received = (HeaderMap, String);

/// A program that is told: takes everything but the first so many messages.
async fn program(refuse: usize) -> (String, mpsc::UnboundedReceiver<Received>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let left = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(refuse));
    let take = async move |State(sender): State<mpsc::UnboundedSender<Received>>,
                           headers: HeaderMap,
                           body: String| {
        let _ = sender.send((headers, body));
        let refused = left
            .fetch_update(std::sync::atomic::Ordering::SeqCst, std::sync::atomic::Ordering::SeqCst, |left| {
                left.checked_sub(1)
            })
            .is_ok();
        if refused { (StatusCode::INTERNAL_SERVER_ERROR, "not now") } else { (StatusCode::OK, "thank you") }
    };
    let router = Router::new().route("/hook", post(take)).with_state(sender);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, receiver)
}

async fn next(messages: &mut mpsc::UnboundedReceiver<Received>) -> Received {
    tokio::time::timeout(PATIENCE, messages.recv()).await.expect("a message in time").expect("a message")
}

/// Adds a webhook; its secret, and its page.
async fn webhook(owner: &Browser, url: &str) -> (String, String) {
    let fields = [("url", url), ("kinds[0]", "limit"), ("allow_private_address", "true")];
    let done = owner.must("/console/webhooks/create", &fields).await;
    let secret = done["once"]["Secret"]["secret"].as_str().expect("a secret").to_owned();
    let page = owner.get("/alerts/settings").await.text;
    let start = page.find("/webhooks/whk_").expect("the webhook");
    (secret, page[start..start + "/webhooks/whk_".len() + 26].to_owned())
}

/// One refused call is enough for a limit on nothing but calls that pass: so a provider is needed. It
/// says that it used a thousand tokens.
async fn provider() -> String {
    let answer = async || {
        axum::Json(serde_json::json!({
            "id": "c1", "object": "chat.completion", "created": 0, "model": "x",
            "choices": [{ "index": 0, "message": { "role": "assistant", "content": "hi" }, "finish_reason": "stop" }],
            "usage": { "prompt_tokens": 600, "completion_tokens": 400, "total_tokens": 1000 },
        }))
    };
    let router = Router::new().route("/v1/chat/completions", post(answer));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/v1", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// An application that can call a model, in a new organization; its secret.
async fn application(owner: &Browser) -> String {
    let url = provider().await;
    let fields = [
        ("name", "House"),
        ("dialect", "openai"),
        ("base_url", url.as_str()),
        ("allow_private_address", "true"),
    ];
    let provider = owner.create("/console/providers/create", &fields).await;
    owner.must("/console/models/create-tier", &[("name", "general")]).await;
    let page = owner.get("/models").await.text;
    let tier = &page[page.find("tir_").expect("a tier")..][..30];
    let fields = [
        ("name", "small"),
        ("provider", &provider),
        ("upstream", "x"),
        ("modality", "chat"),
        ("tier", tier),
        ("context_tokens", "4000"),
        ("max_output_tokens", "500"),
        ("price_input", "1"),
        ("price_output", "1"),
    ];
    let model = owner.create("/console/models/create", &fields).await;
    owner.must("/console/models/accept", &[("id", &model), ("version", "1")]).await;
    let group =
        owner.create("/console/groups/create", &[("name", "Team"), ("kind", "custom"), ("parent", "")]).await;
    let target = format!("model:{model}");
    let fields = [("group", group.as_str()), ("target", &target), ("state", "open")];
    owner.must("/console/authorizations/set", &fields).await;
    let app = owner.create("/console/applications/create", &[("name", "bot"), ("group", &group)]).await;
    let page = owner.get(&format!("/applications/{app}?dialog=secret")).await.text;
    let key = &page[page.find("key_").expect("a key")..][..30];
    let done = owner.must("/console/keys/issue", &[("application", &app), ("key", key)]).await;
    done["once"]["Secret"]["secret"].as_str().expect("a secret").to_owned()
}

async fn call(server: &Server, secret: &str) -> StatusCode {
    let bearer = format!("Bearer {secret}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let body = r#"{"model":"small","messages":[{"role":"user","content":"hi"}]}"#;
    server.browser().send(Method::POST, "/v1/chat/completions", &headers, body.to_owned()).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_crosses_a_threshold_tells_the_admin_and_a_program_once() {
    let (url, mut messages) = program(0).await;
    let server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let (_, page) = webhook(&owner, &url).await;
    let secret = application(&owner).await;
    let fields = [
        ("scope", "organization"),
        ("metric", "requests"),
        ("window", "day"),
        ("cap", "2"),
        ("thresholds", "50, 100"),
    ];
    owner.must("/console/limits/set", &fields).await;
    assert_eq!(call(&server, &secret).await, 200);
    let (headers, body) = next(&mut messages).await;
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        assert!(headers.contains_key(name), "{headers:?}");
    }
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(body["type"], "alert.limit");
    assert_eq!(body["data"]["title"], "Acme has used 50 % of 2 requests a day");
    assert_eq!(call(&server, &secret).await, 200);
    let (_, body) = next(&mut messages).await;
    assert!(body.contains("Acme has used up 2 requests a day"), "{body}");
    let notices = owner.get("/notices").await.text;
    assert!(notices.contains("Acme has used 50 % of 2 requests a day"), "{notices}");
    assert!(notices.contains("2<span class=\"sr\"> unread"), "the bell counts: {notices}");
    let alerts = owner.get("/alerts").await.text;
    assert!(alerts.contains("100 % of 2 requests a day"), "{alerts}");
    let log = owner.get(&page).await.text;
    assert!(log.contains("Delivered") && log.contains("thank you"), "{log}");
    assert!(messages.try_recv().is_err(), "nobody is told twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_says_what_came_back_and_a_delivery_can_be_played_again() {
    let (url, mut messages) = program(1).await;
    let server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let (_, page) = webhook(&owner, &url).await;
    let id = page.rsplit('/').next().unwrap_or_default().to_owned();
    let done = owner.must("/console/webhooks/test", &[("id", &id)]).await;
    assert_eq!(done["notice"], "Not delivered. It answered with status 500.");
    let (first, _) = next(&mut messages).await;
    // It is tried again by itself, as the same message, signed for another moment.
    let (again, _) = next(&mut messages).await;
    assert_eq!(first["webhook-id"], again["webhook-id"]);
    assert_ne!(first["webhook-signature"], again["webhook-signature"]);
    let log = async || owner.get(&page).await.text;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !log().await.contains("Delivered") {
        assert!(tokio::time::Instant::now() < deadline, "the log says that it arrived");
    }
    let text = log().await;
    let delivery = &text[text.find("dlv_").expect("a delivery")..][..30];
    let done = owner.must("/console/webhooks/replay", &[("id", delivery)]).await;
    assert_eq!(done["notice"], "Delivered. It answered with status 200.");
    let (replayed, _) = next(&mut messages).await;
    assert_eq!(first["webhook-id"], replayed["webhook-id"]);
    assert!(log().await.contains("played again"));
}

#[tokio::test]
async fn a_name_that_leads_to_a_private_address_gets_no_message() {
    let (url, mut messages) = program(0).await;
    let named = url.replace("127.0.0.1", "localhost");
    let refused = gateway::post(&named, &[], "{}".to_owned(), false).await.expect_err("refused");
    assert!(refused.contains("leads to a private address"), "{refused}");
    assert!(messages.try_recv().is_err());
    let taken = gateway::post(&named, &[], "{}".to_owned(), true).await;
    assert_eq!(taken, Ok((200, "thank you".to_owned())));
}
