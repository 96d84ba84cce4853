//! A model that waits for review is not there, however it is asked for; decided on, it is.

use domain::{models::Review, providers::Dialect};
use http::StatusCode;
use store::model_reviews;

use crate::{
    client::{DIALECTS, body},
    world::{World, prices},
};

#[tokio::test]
async fn a_model_that_waits_answers_like_one_that_does_not_exist_and_is_in_no_list() {
    let world = World::new().await;
    world.model("waiting", Some(prices()), Review::Pending).await;
    for dialect in DIALECTS {
        let name = crate::world::named("waiting", dialect);
        let unknown = world.client.call(dialect, &body("never-heard-of", 16)).await;
        let waiting = world.client.call(dialect, &body(&name, 16)).await;
        assert_eq!(waiting.status, StatusCode::NOT_FOUND);
        let told = |answer: &serde_json::Value| {
            let message = answer["error"]["message"].as_str().unwrap_or_default().to_owned();
            (answer["error"]["type"].clone(), message)
        };
        let (kind, message) = told(&waiting.json());
        let (unknown_kind, unknown_message) = told(&unknown.json());
        assert_eq!((kind, message.replace(&name, "never-heard-of")), (unknown_kind, unknown_message));
        for list in ["/v1/models", "/v1/models?include=requestable"] {
            let list = world.client.get(dialect, list).await.text();
            assert!(!list.contains("waiting"), "{list}");
        }
        let one = world.client.get(dialect, &format!("/v1/models/{name}")).await;
        assert_eq!(one.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn it_can_be_called_from_the_next_call_on_once_accepted_and_never_once_dismissed() {
    let world = World::new().await;
    let (good, bad) = (
        world.model("good", Some(prices()), Review::Pending).await,
        world.model("bad", Some(prices()), Review::Pending).await,
    );
    let call = async |name: &str| world.client.call(Dialect::OpenAi, &body(name, 16)).await.status;
    assert_eq!((call("good").await, call("bad").await), (StatusCode::NOT_FOUND, StatusCode::NOT_FOUND));
    let mut change = world.change().await;
    model_reviews::accept(&mut change, &[(good.openai, None)]).await.expect("it waits");
    model_reviews::dismiss(&mut change, &[bad.openai]).await.expect("it waits");
    change.commit().await.expect("both");
    assert_eq!((call("good").await, call("bad").await), (StatusCode::OK, StatusCode::NOT_FOUND));
}
