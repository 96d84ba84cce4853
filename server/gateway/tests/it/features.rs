//! What a key has turned off is refused, whatever the dialect, the route and the spelling.

use std::time::Duration;

use domain::{
    calls::What,
    keys::{Feature, Features},
    models::{Modality, Review},
    providers::Dialect,
};
use gateway::wire::Route;
use http::StatusCode;
use serde_json::{Value, json};

use crate::{
    golden,
    world::{World, named, prices},
};

fn uses(feature: Feature) -> Vec<(Route, Value)> {
    let chat = |fields: Value| (Route::ChatCompletions, fields);
    let message = |fields: Value| (Route::Messages, fields);
    let response = |fields: Value| (Route::Responses, fields);
    match feature {
        Feature::Streaming => {
            let fields = json!({ "stream": true });
            vec![chat(fields.clone()), message(fields.clone()), response(fields)]
        }
        Feature::Tools => vec![
            chat(json!({ "tools": [{ "type": "function", "function": { "name": "f" } }] })),
            chat(json!({ "functions": [{ "name": "f" }] })),
            message(json!({ "tools": [{ "name": "f", "input_schema": {} }] })),
            response(json!({ "tools": [{ "type": "mcp" }] })),
        ],
        Feature::StructuredOutputs => vec![
            chat(json!({ "response_format": { "type": "json_object" } })),
            message(json!({ "output_format": { "type": "json_schema", "schema": {} } })),
            message(json!({ "output_config": { "format": { "type": "json_schema" } } })),
            response(json!({ "text": { "format": { "type": "json_schema" } } })),
        ],
        Feature::Vision => vec![
            chat(
                json!({ "messages": [{ "role": "user", "content": [{ "type": "image_url", "image_url": { "url": "x" } }] }] }),
            ),
            message(
                json!({ "messages": [{ "role": "user", "content": [{ "type": "image", "source": {} }] }] }),
            ),
            response(
                json!({ "input": [{ "role": "user", "content": [{ "type": "input_image", "image_url": "x" }] }] }),
            ),
        ],
        Feature::Reasoning => vec![
            chat(json!({ "reasoning_effort": "high" })),
            message(json!({ "thinking": { "type": "enabled", "budget_tokens": 1024 } })),
            response(json!({ "reasoning": { "effort": "low" } })),
        ],
        Feature::Embeddings => vec![(Route::Embeddings, json!({ "model": "vectors", "input": "Hi" }))],
    }
}

fn with_model((route, mut fields): (Route, Value)) -> (Route, Value) {
    if fields["model"].is_null() {
        fields["model"] = json!(named("small", route.dialect()));
    }
    (route, fields)
}

#[tokio::test]
async fn each_feature_that_is_off_is_refused_and_passes_when_it_is_on() {
    let world = World::new().await;
    world.model_for(Modality::Embedding, "vectors", Some(prices()), Review::Accepted).await;
    for &feature in Feature::ALL {
        let calls: Vec<_> = uses(feature).into_iter().map(with_model).collect();
        world.without(&[feature]).await;
        let before = world.upstream.served().calls;
        let mut answers = Vec::new();
        for (route, body) in &calls {
            let answer = world.client.to(*route, body).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{feature} {body}: {}", answer.text());
            answers.push((route.full_path(), answer));
        }
        assert_eq!(world.upstream.served().calls, before, "{feature}");
        let answers: Vec<_> = answers.iter().map(|(route, answer)| (*route, answer)).collect();
        golden::compare_routes(&format!("feature_{feature}"), &world, &answers, &[]);
        golden::written_down(&world, answers.iter().map(|(_, answer)| *answer)).await;
        // What was refused keeps what it wanted to use.
        for (_, answer) in &answers {
            let id = answer.header("x-request-id").and_then(|id| id.parse().ok()).expect("an id");
            let written = async {
                loop {
                    match store::calls::get(&world.store, world.tenant.org, id).await {
                        Ok(call) => return call,
                        Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                    }
                }
            };
            let call =
                tokio::time::timeout(Duration::from_secs(60), written).await.expect("it is written down");
            let What::Refused(refused) = call.what else { panic!("{feature}: it passed") };
            assert!(refused.features.has(feature), "{feature}: {:?}", refused.features);
        }
        world.without(&[]).await;
        for (route, body) in &calls {
            let answer = world.client.to(*route, body).await;
            assert_eq!(answer.status, StatusCode::OK, "{feature} {body}: {}", answer.text());
            world.quiet().await;
            let id = answer.header("x-request-id").and_then(|id| id.parse().ok()).expect("an id");
            let call = store::calls::get(&world.store, world.tenant.org, id).await.expect("the call");
            let What::Finished(finished) = call.what else { panic!("{feature}: it was refused") };
            assert_eq!(finished.features, Features::default().with(feature), "{feature} {body}");
        }
    }
}

#[tokio::test]
async fn an_image_cannot_be_spelled_past_a_key() {
    let world = World::new().await;
    world.without(&[Feature::Vision]).await;
    for spelled in [
        r#"{"type" : "image","source":{}}"#,
        r#"{"type":"im\u0061ge","source":{}}"#,
        r#"{"t\u0079pe":"\u0069mage"}"#,
        r#"{"type":"tool_result","content":[{"type":"image"}]}"#,
    ] {
        let body = format!(
            r#"{{"model":"small-anthropic","max_tokens":16,"messages":[{{"role":"user","content":[{spelled}]}}]}}"#
        );
        let request = world.client.request(Dialect::Anthropic, "/v1/messages");
        let answer = world.client.send(request, body).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{spelled}: {}", answer.text());
    }
    let talk = json!({ "model": "small", "messages": [{ "role": "user", "content": "\"type\":\"image\" image_url" }] });
    assert_eq!(world.client.to(Route::ChatCompletions, &talk).await.status, StatusCode::OK);
}
