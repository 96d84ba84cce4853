//! Going on from an answer that the provider keeps: only the application that got it may, whatever
//! process it asks.

use domain::keys::{Features, KeyModels};
use gateway::wire::Route;
use http::StatusCode;
use serde_json::{Value, json};
use store::{applications, keys};

use crate::{
    client::Client,
    world::{Replica, World},
};

fn ask(more: Value) -> Value {
    let mut body = json!({ "model": "small", "input": "Hi", "max_output_tokens": 50 });
    for (field, value) in more.as_object().expect("fields") {
        body[field] = value.clone();
    }
    body
}

/// Another application of the same group.
async fn another(world: &World) -> Client {
    let mut change = world.change().await;
    let form = applications::ApplicationForm {
        name: "Other".parse().expect("a name"),
        description: String::new(),
        use_cases: Vec::new(),
    };
    let made =
        applications::insert(&mut change, world.platform, &form, &KeyModels::All, Features::all()).await;
    let (_, key) = made.expect("an application");
    let secret = keys::issue_service(&mut change, key, None).await.expect("a secret");
    change.commit().await.expect("both");
    world.client.with(secret.reveal())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_gone_on_from_by_its_application_and_by_nobody_else() {
    let world = World::new().await;
    let other = another(&world).await;
    let replica = Replica::start(&world).await;
    for stream in [false, true] {
        let first = world.client.to(Route::Responses, &ask(json!({ "stream": stream }))).await;
        assert_eq!(first.status, StatusCode::OK, "{}", first.text());
        let text = first.text();
        let at = text.find("\"resp_").expect("its id") + 1;
        let id = &text[at..at + text[at..].find('"').expect("its end")];
        let next = ask(json!({ "previous_response_id": id }));
        assert_eq!(world.client.to(Route::Responses, &next).await.status, StatusCode::OK, "at once");
        assert_eq!(replica.client.to(Route::Responses, &next).await.status, StatusCode::OK, "elsewhere");
        let before = world.upstream.served().calls;
        let refused = other.to(Route::Responses, &next).await;
        assert_eq!(refused.status, StatusCode::NOT_FOUND, "{}", refused.text());
        assert_eq!(refused.code(), "previous_response_not_found");
        assert_eq!(world.upstream.served().calls, before, "the provider was not asked");
    }
    let unknown = ask(json!({ "previous_response_id": "resp_of_somebody_else" }));
    assert_eq!(world.client.to(Route::Responses, &unknown).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_conversation_belongs_to_whoever_names_it_first() {
    let world = World::new().await;
    let other = another(&world).await;
    let plain = ask(json!({ "conversation": "conv_1" }));
    let object = ask(json!({ "conversation": { "id": "conv_1" } }));
    assert_eq!(world.client.to(Route::Responses, &plain).await.status, StatusCode::OK);
    assert_eq!(world.client.to(Route::Responses, &object).await.status, StatusCode::OK);
    assert_eq!(other.to(Route::Responses, &object).await.status, StatusCode::NOT_FOUND);
    let broken = ask(json!({ "conversation": 7 }));
    assert_eq!(world.client.to(Route::Responses, &broken).await.status, StatusCode::BAD_REQUEST);
}
