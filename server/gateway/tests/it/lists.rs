//! `/v1/models` in both shapes, and `/v1/me/limits`.

use domain::{
    access::Grantee,
    authorizations::{State, Target},
    keys::{Feature, KeyModels},
    limits::{Metric, Scope},
    models::{Modality, Review},
    providers::Dialect,
    window::Window,
};
use gateway::wire::Route;
use http::StatusCode;
use serde_json::{Value, json};
use store::authorizations;

use crate::{
    client::{Client, DIALECTS, body},
    world::{Pair, World, prices},
};

fn ids(list: &Value) -> Vec<String> {
    let data = list["data"].as_array().cloned().unwrap_or_default();
    data.iter().filter_map(|model| model["id"].as_str().map(str::to_owned)).collect()
}

/// One model of every kind there is; the one that is closed.
async fn catalogue(world: &World) -> Pair {
    let asked = world.model("asked", Some(prices()), Review::Accepted).await;
    let granted = world.model("granted", Some(prices()), Review::Accepted).await;
    let closed = world.model("closed", Some(prices()), Review::Accepted).await;
    world.model("unpriced", None, Review::Accepted).await;
    world.model("unreviewed", Some(prices()), Review::Pending).await;
    world.say_of(asked, State::ByRequest).await;
    world.say_of(granted, State::ByRequest).await;
    world.say_of(closed, State::Closed).await;
    world.grant(granted, Grantee::Group(world.platform)).await;
    closed
}

#[tokio::test]
async fn models_are_listed_in_both_shapes_and_only_those_that_can_be_called() {
    let world = World::new().await;
    catalogue(&world).await;
    let can = ["granted", "granted-anthropic", "small", "small-anthropic"];
    let openai = world.client.get(Dialect::OpenAi, "/v1/models").await.json();
    assert_eq!(ids(&openai), can);
    assert_eq!(openai["object"], "list");
    let first = &openai["data"][2];
    assert_eq!(first["object"], "model");
    assert_eq!(first["owned_by"], "Upstream openai");
    assert!(first["created"].is_i64());
    let anthropic = world.client.get(Dialect::Anthropic, "/v1/models?limit=1000").await.json();
    assert_eq!(ids(&anthropic), can);
    assert_eq!(anthropic["has_more"], false);
    assert_eq!(anthropic["first_id"], "granted");
    assert_eq!(anthropic["last_id"], "small-anthropic");
    assert_eq!(anthropic["data"][0]["type"], "model");
    assert_eq!(anthropic["data"][0]["display_name"], "granted");
    for model in can {
        let dialect = if model.ends_with("anthropic") { Dialect::Anthropic } else { Dialect::OpenAi };
        let call = world.client.call(dialect, &body(model, 16)).await;
        assert_eq!(call.status, StatusCode::OK, "{model} is listed and can be called: {}", call.text());
    }
}

#[tokio::test]
async fn what_can_be_asked_for_is_listed_on_request() {
    let world = World::new().await;
    catalogue(&world).await;
    let list = world.client.get(Dialect::OpenAi, "/v1/models?include=requestable&include=x").await.json();
    assert!(ids(&list).contains(&"asked".to_owned()), "{list}");
    assert_eq!(list["data"][0]["access"], "approval_required");
    assert!(!ids(&list).contains(&"closed".to_owned()), "{list}");
}

#[tokio::test]
async fn one_model_can_be_looked_up() {
    let world = World::new().await;
    catalogue(&world).await;
    for dialect in DIALECTS {
        let one = world.client.get(dialect, "/v1/models/small").await;
        assert_eq!((one.status, &one.json()["id"]), (StatusCode::OK, &json!("small")));
        for hidden in ["asked", "closed", "unpriced", "unreviewed", "unknown"] {
            let one = world.client.get(dialect, &format!("/v1/models/{hidden}")).await;
            assert_eq!(one.status, StatusCode::NOT_FOUND, "{hidden}");
            assert_eq!(one.header("x-should-retry"), Some("false"));
        }
    }
}

#[tokio::test]
async fn a_key_without_embeddings_has_no_models_for_them() {
    let world = World::new().await;
    world.model_for(Modality::Embedding, "vectors", Some(prices()), Review::Accepted).await;
    let vectors = json!({ "model": "vectors", "input": "Hi" });
    for (off, status) in [(vec![], StatusCode::OK), (vec![Feature::Embeddings], StatusCode::FORBIDDEN)] {
        world.without(&off).await;
        let list = world.client.get(Dialect::OpenAi, "/v1/models").await.json();
        assert_eq!(ids(&list).contains(&"vectors".to_owned()), off.is_empty(), "{list}");
        let call = world.client.to(Route::Embeddings, &vectors).await;
        assert_eq!(call.status, status, "{}", call.text());
    }
}

#[tokio::test]
async fn a_list_is_narrowed_by_the_key_and_works_without_money() {
    let world = World::new().await;
    catalogue(&world).await;
    world.limit(Scope::Organization, Metric::Spend, Window::Total, 0).await;
    let mut change = world.change().await;
    let only = vec![world.small.openai];
    world.edit_key(&mut change, |form| form.models = KeyModels::These(only)).await;
    change.commit().await.expect("it");
    let list = world.client.get(Dialect::OpenAi, "/v1/models").await.json();
    assert_eq!(ids(&list), ["small"]);
}

#[tokio::test]
async fn callers_are_told_their_own_headroom() {
    let world = World::new().await;
    world.limit(Scope::Group(world.engineering), Metric::Spend, Window::Month, 5_000_000_000).await;
    world.limit(Scope::Application(world.application), Metric::ConcurrentCalls, Window::Total, 3).await;
    assert_eq!(world.client.call(Dialect::OpenAi, &body("small", 100)).await.status, StatusCode::OK);
    world.quiet().await;
    let answer = world.client.get(Dialect::OpenAi, "/v1/me/limits").await;
    let end = world.resets_at(Window::Month).await.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let expected = json!({
        "object": "limits",
        "organization": "Acme",
        "application": "Assistant",
        "group": "Platform",
        "user": null,
        "currency": "USD",
        "limits": [
            {
                "scope": "group", "scope_id": world.engineering.to_string(), "scope_name": "Engineering",
                "models": null, "metric": "spend", "window": "month", "mode": "enforce", "cap": "5.00", "used": "0.00005",
                "reserved": "0.00", "remaining": "4.99995", "resets_at": end,
            },
            {
                "scope": "application", "scope_id": world.application.to_string(), "scope_name": "Assistant",
                "models": null, "metric": "concurrent_calls", "window": null, "mode": "enforce", "cap": 3, "used": 0,
                "reserved": 0, "remaining": 3, "resets_at": null,
            },
        ],
    });
    assert_eq!(answer.json(), expected);
    assert!(answer.header("x-request-id").is_some());
}

/// The limits a caller is told of that hang on what a call passes by.
async fn of_models(client: &Client) -> Vec<Value> {
    let answer = client.get(Dialect::OpenAi, "/v1/me/limits").await.json();
    let limits = answer["limits"].as_array().cloned().unwrap_or_default();
    limits.into_iter().filter(|limit| !limit["models"].is_null()).collect()
}

#[tokio::test]
async fn callers_are_told_the_quotas_of_what_their_calls_pass_by() {
    let world = World::new().await;
    let closed = catalogue(&world).await;
    let rule = Scope::Authorization(world.rule(None, Target::Tier(world.tier)).await);
    let elsewhere = Scope::Authorization(world.rule(None, Target::Model(closed.openai)).await);
    world.limit(rule, Metric::Spend, Window::Month, 5_000_000_000).await;
    world.limit(rule, Metric::Requests, Window::Minute, 9).await;
    world.limit(elsewhere, Metric::Requests, Window::Month, 0).await;
    assert_eq!(world.client.call(Dialect::OpenAi, &body("small", 100)).await.status, StatusCode::OK);
    world.quiet().await;
    let end = world.resets_at(Window::Month).await.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let told = of_models(&world.client).await;
    assert_eq!(told.len(), 2, "what opens nothing for this caller is not theirs to know: {told:?}");
    let expected = json!({
        "scope": "authorization", "scope_id": rule.id(), "scope_name": "tier General for Acme",
        "models": ["small", "small-anthropic"], "metric": "spend", "window": "month", "mode": "enforce",
        "cap": "5.00", "used": "0.00005", "reserved": "0.00", "remaining": "4.99995", "resets_at": end,
    });
    assert_eq!(told[0], expected);
    assert_eq!((&told[1]["metric"], &told[1]["cap"]), (&json!("requests"), &json!(9)));
}

#[tokio::test]
async fn the_quota_of_a_grant_and_of_a_rule_that_only_observes_are_told_too() {
    let world = World::new().await;
    let asked = world.model("asked", Some(prices()), Review::Accepted).await;
    world.say_of(asked, State::ByRequest).await;
    let rule = Scope::Authorization(world.rule(None, Target::Model(asked.openai)).await);
    world.limit(rule, Metric::Requests, Window::Month, 7).await;
    assert_eq!(of_models(&world.client).await, Vec::<Value>::new(), "nobody has agreed");
    world.grant(asked, Grantee::Group(world.platform)).await;
    let facts = store::access::facts(&world.store, world.tenant.org).await.expect("the facts");
    let grant = Scope::Grant(facts.grants[&asked.openai][0].id);
    world.limit(grant, Metric::Spend, Window::Total, 2_000_000_000).await;
    let mut change = world.change().await;
    let say = Some(authorizations::Say { state: State::Open, locked: true, ends_at: None });
    let observed = authorizations::observe(&mut change, None, Target::All, say).await.expect("a rule");
    change.commit().await.expect("it");
    let observed = Scope::Authorization(observed.expect("its id"));
    world.limit(observed, Metric::Requests, Window::Month, 3).await;
    let told: Vec<_> = of_models(&world.client)
        .await
        .iter()
        .map(|limit| json!([limit["scope"], limit["scope_name"], limit["models"], limit["mode"]]))
        .collect();
    let both = json!(["small", "small-anthropic"]);
    let all = json!(["asked", "asked-anthropic", both[0], both[1]]);
    let expected = [
        json!(["authorization", "asked for Acme", ["asked"], "enforce"]),
        json!(["authorization", "all models for Acme", all, "observe"]),
        json!(["grant", "the grant for asked", ["asked"], "enforce"]),
    ];
    assert_eq!(told, expected);
}
