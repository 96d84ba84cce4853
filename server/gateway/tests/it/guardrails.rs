//! What a key looks for in the input: refused in the dialect, masked before the provider sees it, or
//! taken down; never kept.

use bench::upstream::Script;
use domain::{
    calls::{Ended, What},
    guardrails::{Action, Found, Guard, Guardrails},
};
use http::StatusCode;
use serde_json::{Value, json};
use store::{calls, rollups::Which};

use crate::{
    client::{DIALECTS, route, streamed},
    world::{World, cost, named},
};

const ADDRESS: &str = "ada@math.example.org";

async fn guarding(rails: &[(Guard, Action)]) -> World {
    let world = World::new().await;
    let rails =
        rails.iter().fold(Guardrails::default(), |rails, (guard, action)| rails.with(*guard, Some(*action)));
    let mut change = world.change().await;
    world.edit_key(&mut change, |form| form.handling.guardrails = rails).await;
    change.commit().await.expect("it");
    world
}

fn says(model: &str, text: &str) -> Value {
    json!({ "model": model, "max_tokens": 50, "messages": [{ "role": "user", "content": text }] })
}

#[tokio::test]
async fn a_secret_is_refused_by_its_kind_and_never_said() {
    for dialect in DIALECTS {
        let world = guarding(&[(Guard::Secret, Action::Refuse)]).await;
        let name = named("small", dialect);
        let ours = world.client.secret.clone();
        let answer = world.client.call(dialect, &says(&name, &format!("use {ours} here"))).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text());
        assert!(["guardrail_refused", "invalid_request_error"].contains(&answer.code().as_str()));
        assert_eq!(
            (&answer.bursar()["reason"], &answer.bursar()["found"]),
            (&json!("guardrail_refused"), &json!(["secret"]))
        );
        assert!(
            answer.text().contains("Bursar secret") && !answer.text().contains(&ours),
            "{}",
            answer.text()
        );
        assert_eq!(answer.header("x-should-retry"), Some("false"));
        assert_eq!(world.upstream.served().calls, 0);
        let id = answer.header("x-request-id").expect("an id").parse().expect("an id");
        let view = loop {
            match calls::get(&world.store, world.tenant.org, id).await {
                Ok(view) => break view,
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
            }
        };
        let What::Refused(refused) = view.what else { panic!("it was refused") };
        assert_eq!(refused.code, "guardrail_refused");
        assert!(!format!("{refused:?}").contains(&ours));
        // One that was never issued, with a wrong checksum, is no secret.
        let other = format!("bsr_live_{}", "a".repeat(36));
        assert_eq!(world.client.call(dialect, &says(&name, &other)).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn what_is_masked_does_not_reach_the_provider_and_the_rest_does() {
    let world = guarding(&[(Guard::Email, Action::Mask), (Guard::Card, Action::Observe)]).await;
    let body = format!(
        r#"{{"model":"small","x":1.50, "max_tokens":50,"messages":[{{"role":"user","content":"write to {} about 4111 1111 1111 1111\n"}}]}}"#,
        ADDRESS.replace('@', "\\u0040")
    );
    let request = world.client.request(DIALECTS[0], route(DIALECTS[0]));
    assert_eq!(world.client.send(request, body).await.status, StatusCode::OK);
    let asked = world.upstream.asked().pop().expect("a call");
    assert_eq!(
        String::from_utf8_lossy(&asked.body),
        r#"{"model":"up-small","x":1.50, "max_tokens":50,"messages":[{"role":"user","content":"write to [e-mail address removed] about 4111 1111 1111 1111\n"}]}"#
    );
    let call = world.only_call().await;
    let view = calls::get(&world.store, world.tenant.org, call.id).await.expect("the call");
    let What::Finished(finished) = view.what else { panic!("it finished") };
    let found = |guard, action| Found { guard, action, count: 1 };
    assert_eq!(finished.guarded, [found(Guard::Email, Action::Mask), found(Guard::Card, Action::Observe)]);
    let filter = calls::Filter { ended: Some(Ended::Guarded), ..calls::Filter::default() };
    let calendar = store::organizations::calendar(&world.store, world.tenant.org).await.expect("it");
    let list = calls::list(&world.store, world.tenant.org, calendar, &Which::default(), &filter, 50).await;
    assert_eq!(list.expect("a list").calls.len(), 1);
}

#[tokio::test]
async fn a_whole_answer_is_masked_or_refused_where_its_key_wants_that_and_counts() {
    for (dialect, action) in DIALECTS.into_iter().flat_map(|it| [(it, Action::Mask), (it, Action::Refuse)]) {
        let world = guarding(&[(Guard::Email, action)]).await;
        let name = named("small", dialect);
        let script = Script { text: format!("write to {ADDRESS}, she knows"), ..Script::default() };
        world.script("small", script);
        let call = says(&name, "to whom?");
        let answer = world.client.call(dialect, &call).await;
        assert!(answer.status == StatusCode::OK && answer.text().contains(ADDRESS), "{}", answer.text());
        let mut change = world.change().await;
        world.edit_key(&mut change, |form| form.handling.guardrails.answers = true).await;
        change.commit().await.expect("it");
        let answer = world.client.call(dialect, &call).await;
        assert!(!answer.text().contains(ADDRESS), "{}", answer.text());
        match action {
            Action::Mask => {
                assert_eq!(answer.status, StatusCode::OK);
                let expected = "write to [e-mail address removed], she knows";
                assert!(answer.text().contains(expected), "{}", answer.text());
            }
            _ => {
                assert_eq!(answer.status, StatusCode::BAD_REQUEST);
                assert_eq!(answer.bursar()["reason"], "guardrail_refused");
                assert!(answer.text().contains("in the answer"), "{}", answer.text());
            }
        }
        // In a stream nobody looks.
        let stream = world.client.call(dialect, &streamed(&name, 50)).await;
        assert_eq!(stream.status, StatusCode::OK);
        let booked = world.ledger().await;
        assert_eq!(booked.len(), 3);
        assert!(booked.iter().all(|call| call.cost == cost(10, 20)), "each was paid for: {booked:?}");
        let view = calls::get(&world.store, world.tenant.org, booked[1].id).await.expect("the call");
        let What::Finished(finished) = view.what else { panic!("it finished") };
        assert_eq!(finished.guarded, [Found { guard: Guard::Email, action, count: 1 }]);
        world.books_agree().await;
    }
}

#[tokio::test]
async fn a_key_that_looks_for_nothing_passes_everything_byte_for_byte() {
    let world = World::new().await;
    let text = format!("{ADDRESS} {}", world.client.secret);
    assert_eq!(world.client.call(DIALECTS[0], &says("small", &text)).await.status, StatusCode::OK);
    let asked = world.upstream.asked().pop().expect("a call");
    assert!(String::from_utf8_lossy(&asked.body).contains(&text));
}
