//! Webhooks: sealed secrets, messages taken by one process at a time, replays.

use chrono::Duration;
use domain::{
    alerts::AlertKind,
    limits::{Meter, Metric, Mode, Scope},
    money::Money,
    notices::Sending,
    roles::Act,
    window::Window,
};
use store::{
    StoreError,
    alerts::watch,
    clock, ledger, limits, testing,
    webhooks::{self, WebhookForm},
};

use crate::organization::{Organization, finished};

fn form(url: &str) -> WebhookForm {
    WebhookForm { url: url.to_owned(), kinds: vec![AlertKind::Limit], allow_private_address: false }
}

async fn webhook(acme: &Organization) -> (domain::ids::WebhookId, String) {
    let mut change = acme.change().await;
    let made = webhooks::insert(&mut change, &form("https://hooks.example/bursar")).await.expect("a webhook");
    change.commit().await.expect("it");
    made
}

/// An alert about the organization's limit.
async fn alert(acme: &Organization) {
    let mut change = acme.change().await;
    let meter = Meter { scope: Scope::Organization, metric: Metric::Spend, window: Window::Month };
    let form = limits::LimitForm { cap: Money::cents(1000).0, mode: Mode::Enforce, thresholds: vec![50] };
    limits::set(&mut change, meter, &form, limits::Seen::Nothing).await.expect("a limit");
    change.commit().await.expect("it");
    let event = ledger::Event { cost: Money::cents(600), ..finished(acme.call()) };
    acme.book(&event).await;
    assert_eq!(watch::thresholds(&acme.store, acme.tenant.org, clock::now()).await.expect("a look"), 1);
}

#[tokio::test]
async fn messages_go_to_public_addresses_unless_a_private_one_is_allowed() {
    let acme = Organization::new().await;
    for url in [
        "http://hooks.example/x",
        "https://127.0.0.1/x",
        "https://10.0.0.7/x",
        "https://169.254.169.254/latest",
        "https://[::1]/x",
        "https://localhost/x",
        "ftp://hooks.example",
        "https://user:pass@hooks.example/x",
        "nowhere",
    ] {
        let mut change = acme.change().await;
        match webhooks::insert(&mut change, &form(url)).await {
            Err(StoreError::Invalid { field: "url", .. }) => {}
            other => panic!("{url}: {other:?}"),
        }
    }
    let mut change = acme.change().await;
    let allowed = WebhookForm { allow_private_address: true, ..form("http://127.0.0.1:9/x") };
    webhooks::insert(&mut change, &allowed).await.expect("it is allowed");
    let none = WebhookForm { kinds: Vec::new(), ..form("https://hooks.example/x") };
    let refused = webhooks::insert(&mut change, &none).await;
    assert!(matches!(refused, Err(StoreError::Invalid { field: "kinds", .. })), "{refused:?}");
}

#[tokio::test]
async fn a_secret_is_shown_once_and_cannot_be_read_in_the_database() {
    let acme = Organization::new().await;
    let (_, secret) = webhook(&acme).await;
    assert!(secret.starts_with("whsec_") && secret.len() > 40, "{secret}");
    let kept: Vec<u8> =
        sqlx::query_scalar("select secret from webhooks").fetch_one(acme.store.pool()).await.expect("it");
    assert!(!String::from_utf8_lossy(&kept).contains(&secret[6..20]));
    let logged: String = sqlx::query_scalar("select string_agg(audit::text, '') from audit")
        .fetch_one(acme.store.pool())
        .await
        .expect("the log");
    assert!(!logged.contains(&secret[6..20]) && logged.contains("webhook.create"));
}

#[tokio::test]
async fn a_message_is_taken_by_one_process_tried_again_and_given_up() {
    let acme = Organization::new().await;
    let (id, _) = webhook(&acme).await;
    alert(&acme).await;
    let org = acme.tenant.org;
    let mut takers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let store = testing::as_another_process(&acme.store);
        takers.spawn(
            async move { webhooks::take(&store, org, None, clock::now(), 50).await.expect("messages") },
        );
    }
    let taken: Vec<webhooks::Taken> = takers.join_all().await.into_iter().flatten().collect();
    assert_eq!(taken.len(), 1);
    assert!(taken[0].body.contains("\"type\":\"alert.limit\""), "{}", taken[0].body);
    let message = taken[0].headers(clock::now())[0].1.clone();
    assert!(
        !webhooks::note(&acme.store, &taken[0], Some(500), "oh\0 no", clock::now()).await.expect("noted")
    );
    let log = webhooks::deliveries(&acme.store, org, id, None, 50).await.expect("the log");
    assert_eq!(
        (log[0].state, log[0].status, log[0].answer.as_deref()),
        (Sending::Due, Some(500), Some("oh no"))
    );
    let mut now = clock::now();
    let mut tries = 1;
    while tries < 20 {
        now += Duration::days(1);
        let Some(taken) = webhooks::take(&acme.store, org, None, now, 50).await.expect("messages").pop()
        else {
            break;
        };
        assert_eq!(taken.headers(now)[0].1, message, "the same message, whichever try");
        webhooks::note(&acme.store, &taken, None, "It cannot be reached.", now).await.expect("noted");
        tries += 1;
    }
    assert_eq!(tries, 8);
    let log = webhooks::deliveries(&acme.store, org, id, None, 50).await.expect("the log");
    assert_eq!((log[0].state, log[0].tries), (Sending::Failed, 8));
}

#[tokio::test]
async fn a_delivery_is_played_again_as_the_same_message_and_only_at_home() {
    let acme = Organization::new().await;
    let (id, _) = webhook(&acme).await;
    let org = acme.tenant.org;
    let mut change = acme.change().await;
    let test = webhooks::test(&mut change, id).await.expect("a test");
    change.commit().await.expect("it");
    let mut change = acme.change().await;
    let early = webhooks::replay(&mut change, test).await;
    assert!(matches!(early, Err(StoreError::Invalid { .. })), "{early:?}");
    drop(change);
    let first = webhooks::take(&acme.store, org, Some(test), clock::now(), 1).await.expect("it").remove(0);
    assert!(webhooks::note(&acme.store, &first, Some(204), "", clock::now()).await.expect("noted"));
    let mut change = acme.change().await;
    let (_, again) = webhooks::replay(&mut change, test).await.expect("a replay");
    change.commit().await.expect("it");
    let second = webhooks::take(&acme.store, org, Some(again), clock::now(), 1).await.expect("it").remove(0);
    let at = clock::now();
    assert_eq!(first.headers(at), second.headers(at));
    let log = webhooks::deliveries(&acme.store, org, id, None, 50).await.expect("the log");
    assert_eq!(log.iter().map(|one| one.replay).collect::<Vec<_>>(), [true, false]);

    // Another organization's ids are as if they had never been.
    let operator: uuid::Uuid = sqlx::query_scalar("select account_id from accounts where operator")
        .fetch_one(acme.store.pool())
        .await
        .expect("the operator");
    let other = testing::tenant(&acme.store, operator.into(), "Other").await;
    let mut change = other.change(&acme.store).await;
    assert!(matches!(webhooks::replay(&mut change, test).await, Err(StoreError::NotFound)));
    assert!(matches!(webhooks::test(&mut change, id).await, Err(StoreError::NotFound)));
    assert!(matches!(webhooks::archive(&mut change, id).await, Err(StoreError::NotFound)));
    assert!(matches!(webhooks::get(&acme.store, other.org, id).await, Err(StoreError::NotFound)));
    drop(change);
    // Nor does a permit for something else do.
    let mut change = testing::begin(&acme.store, &acme.tenant.owner, Act::EditUsers).await;
    let refused = webhooks::test(&mut change, id).await;
    assert!(matches!(refused, Err(StoreError::NotPermitted(Act::EditOrganization))), "{refused:?}");
}

#[tokio::test]
async fn a_webhook_that_is_removed_hears_nothing_more() {
    let acme = Organization::new().await;
    let (id, _) = webhook(&acme).await;
    let mut change = acme.change().await;
    webhooks::test(&mut change, id).await.expect("a test");
    webhooks::archive(&mut change, id).await.expect("it is removed");
    change.commit().await.expect("it");
    alert(&acme).await;
    assert!(webhooks::waiting(&acme.store, clock::now() + Duration::days(2)).await.expect("none").is_empty());
    assert!(webhooks::list(&acme.store, acme.tenant.org).await.expect("none").is_empty());
}
