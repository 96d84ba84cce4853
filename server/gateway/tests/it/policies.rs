//! Policies: one model after another, each decided and held for itself.

use std::time::Duration;

use bench::upstream::{Ending, Hold, Script};
use domain::{
    authorizations::State,
    ids::ModelId,
    keys::{Feature, KeyModels},
    limits::{Metric, Scope},
    models::Review,
    money::Money,
    policies::{Routing, StepRules, Trouble},
    providers::Dialect,
    spend::Outcome,
    window::Window,
};
use gateway::wire::Route;
use http::StatusCode;
use serde_json::{Value, json};

use crate::{
    client::{DIALECTS, body, streamed},
    golden,
    world::{Pair, World, cost, named, prices},
};

/// The steps of a dialect.
fn of(dialect: Dialect, pairs: &[Pair]) -> Vec<(ModelId, i32)> {
    let id = |pair: &Pair| if dialect == Dialect::OpenAi { pair.openai } else { pair.anthropic };
    pairs.iter().map(|pair| (id(pair), 1)).collect()
}

/// `policy/chain` and `policy/chain-anthropic`: big, then small.
async fn chain() -> (World, Pair) {
    let world = World::new().await;
    let big = world.model("big", Some(prices()), Review::Accepted).await;
    for dialect in DIALECTS {
        let steps = of(dialect, &[big, world.small]);
        world.policy(&named("chain", dialect), Routing::Fallback, &steps).await;
    }
    (world, big)
}

fn asking(dialect: Dialect) -> Value {
    body(&format!("policy/{}", named("chain", dialect)), 16)
}

#[tokio::test]
async fn the_first_model_answers_and_is_named() {
    let (world, _) = chain().await;
    for dialect in DIALECTS {
        for streams in [false, true] {
            let mut call = asking(dialect);
            call["stream"] = json!(streams);
            let answer = world.client.call(dialect, &call).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
            assert_eq!(answer.header("x-bursar-model"), Some(named("big", dialect).as_str()));
            assert_eq!(answer.header("x-bursar-skipped"), None);
            let asked = world.upstream.asked().pop().expect("a call");
            assert_eq!(asked.json()["model"], "up-big");
            let booked = &world.ledger().await[0];
            assert_eq!(booked.policy, Some(named("chain", dialect)));
            assert_eq!(booked.model.1, named("big", dialect));
        }
    }
    world.client.call(Dialect::OpenAi, &body("small", 16)).await;
    assert_eq!(world.ledger().await[0].policy, None);
}

#[tokio::test]
async fn the_next_model_answers_when_the_first_fails_before_it_says_anything() {
    let (world, _) = chain().await;
    for dialect in DIALECTS {
        for status in [401, 403, 408, 409, 429, 500, 502, 529] {
            world.script("big", Script::error(status));
            let answer = world.client.call(dialect, &asking(dialect)).await;
            assert_eq!(answer.status, StatusCode::OK, "{status}: {}", answer.text());
            let (big, small) = (named("big", dialect), named("small", dialect));
            assert_eq!(answer.header("x-bursar-model"), Some(small.as_str()));
            let reason =
                if status < 404 { "upstream_credential".to_owned() } else { format!("upstream_{status}") };
            assert_eq!(answer.header("x-bursar-skipped"), Some(format!("{big}={reason}").as_str()));
            let booked = world.ledger().await;
            assert_eq!((booked[0].model.1.as_str(), booked[0].cost), (small.as_str(), cost(10, 16)));
            assert_eq!(booked[0].id.to_string(), answer.header("x-request-id").expect("an id"));
            assert_eq!((booked[1].model.1.as_str(), booked[1].cost), (big.as_str(), Money::ZERO));
            assert_eq!(booked[1].outcome, Outcome::UpstreamError);
            assert!(booked[1].policy.is_some());
        }
        for status in [400, 404, 413, 422] {
            world.script("big", Script::error(status));
            let answer = world.client.call(dialect, &asking(dialect)).await;
            assert_eq!(answer.status.as_u16(), status, "that is about the call: {}", answer.text());
            assert_eq!(answer.body, world.upstream.asked().pop().expect("a call").said());
        }
    }
}

#[tokio::test]
async fn when_all_fail_the_last_ones_answer_is_the_answer() {
    let (world, _) = chain().await;
    world.limit(Scope::Organization, Metric::Spend, Window::Month, 1_000_000_000).await;
    world.script("big", Script::error(500));
    world.script("small", Script { header: Some(("retry-after", "3")), ..Script::error(429) });
    let answer = world.client.call(Dialect::OpenAi, &asking(Dialect::OpenAi)).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.header("retry-after"), Some("3"));
    assert_eq!(answer.body, world.upstream.asked().pop().expect("a call").said());
    assert_eq!(answer.header("x-bursar-skipped"), Some("big=upstream_500, small=upstream_429"));
    assert_eq!(world.ledger().await.len(), 2);
    assert_eq!(world.level(Metric::Spend).await, ("0.00".into(), "0.00".into()));
}

#[tokio::test]
async fn an_answer_that_has_begun_is_the_answer() {
    let (world, _) = chain().await;
    world.script("big", Script { ending: Ending::ResetMidStream, ..Script::default() });
    let mut call = asking(Dialect::OpenAi);
    call["stream"] = json!(true);
    let answer = world.client.call(Dialect::OpenAi, &call).await;
    assert_eq!(answer.header("x-bursar-model"), Some("big"));
    assert!(answer.text().contains("upstream_error"), "{}", answer.text());
    assert_eq!(world.upstream.served().calls, 1);
}

#[tokio::test]
async fn a_model_that_is_silent_or_hangs_up_is_followed_and_booked_in_full() {
    for ending in [Ending::StallBeforeHeaders, Ending::ResetBeforeHeaders] {
        let world = World::with(|settings| settings.patience.hop = Duration::from_millis(300)).await;
        let big = world.model("big", Some(prices()), Review::Accepted).await;
        let steps = of(Dialect::OpenAi, &[big, world.small]);
        world.policy("chain", Routing::Fallback, &steps).await;
        world.script("big", Script { ending, ..Script::default() });
        let answer = world.client.call(Dialect::OpenAi, &streamed("policy/chain", 16)).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        assert_eq!(answer.header("x-bursar-model"), Some("small"));
        let booked = world.ledger().await;
        assert_eq!(booked.len(), 2);
        let doubtful = booked.iter().find(|call| call.model.1 == "big").expect("it is booked");
        assert!(doubtful.estimated && doubtful.cost > Money::ZERO, "{doubtful:?}");
    }
}

#[tokio::test]
async fn nobody_else_is_asked_for_a_client_that_has_left() {
    let (world, _) = chain().await;
    world.script("big", Script { hold: Some(Hold::BeforeHeaders), ..Script::error(500) });
    let client = world.client.clone();
    let waiting = tokio::spawn(async move { client.call(Dialect::OpenAi, &asking(Dialect::OpenAi)).await });
    world.upstream.called(1).await;
    waiting.abort();
    let _ = waiting.await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    world.upstream.release(1);
    assert_eq!(world.only_call().await.model.1, "big");
    assert_eq!(world.upstream.served().calls, 1);
}

#[tokio::test]
async fn models_the_caller_may_not_use_are_left_out_and_the_hidden_ones_not_named() {
    let (world, big) = chain().await;
    for (state, skipped) in
        [(State::Closed, None), (State::ByRequest, Some("big=model_requires_approval")), (State::Open, None)]
    {
        world.say_of(big, state).await;
        let answer = world.client.call(Dialect::OpenAi, &asking(Dialect::OpenAi)).await;
        assert_eq!(answer.status, StatusCode::OK, "{state}: {}", answer.text());
        let expected = if state == State::Open { "big" } else { "small" };
        assert_eq!(answer.header("x-bursar-model"), Some(expected), "{state}");
        assert_eq!(answer.header("x-bursar-skipped"), skipped, "{state}");
    }
    let mut change = world.change().await;
    let only = world.small.ids().to_vec();
    world.edit_key(&mut change, |form| form.models = KeyModels::These(only)).await;
    change.commit().await.expect("it");
    let answer = world.client.call(Dialect::OpenAi, &asking(Dialect::OpenAi)).await;
    assert_eq!(answer.header("x-bursar-model"), Some("small"));
    assert_eq!(answer.header("x-bursar-skipped"), Some("big=model_not_allowed"));
    assert_eq!(world.upstream.served().calls, 4);
}

#[tokio::test]
async fn a_model_without_room_is_left_out_and_a_cheaper_one_answers() {
    let (world, big) = chain().await;
    world.say(None, domain::authorizations::Target::Model(big.openai), State::Open).await;
    let mut change = world.change().await;
    let dear =
        prices().with(domain::prices::PriceKey::Input, Some(domain::money::Price(900_000_000_000_000)));
    store::models::set_prices(&mut change, big.openai, store::clock::now(), &dear).await.expect("prices");
    change.commit().await.expect("it");
    world.limit(Scope::Organization, Metric::Spend, Window::Month, 1_000_000).await;
    let answer = world.client.call(Dialect::OpenAi, &asking(Dialect::OpenAi)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(answer.header("x-bursar-model"), Some("small"));
    assert_eq!(answer.header("x-bursar-skipped"), Some("big=budget_exceeded"));
    assert_eq!(world.upstream.served().calls, 1);
}

#[tokio::test]
async fn a_free_model_is_no_way_round_a_spent_budget() {
    let (world, big) = chain().await;
    world.say_of(big, State::Open).await;
    let mut change = world.change().await;
    let free = prices()
        .with(domain::prices::PriceKey::Input, Some(domain::money::Price(0)))
        .with(domain::prices::PriceKey::Output, Some(domain::money::Price(0)));
    for id in big.ids() {
        store::models::set_prices(&mut change, id, store::clock::now(), &free).await.expect("prices");
    }
    change.commit().await.expect("it");
    world.limit(Scope::Organization, Metric::Spend, Window::Total, 0).await;
    world.script("big", Script::error(503));
    for dialect in DIALECTS {
        let answer = world.client.call(dialect, &asking(dialect)).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.text());
    }
    let asked: Vec<_> = world.upstream.asked().iter().map(|call| call.json()["model"].clone()).collect();
    assert_eq!(asked, ["up-big", "up-big"], "the paid model behind it was not asked");
}

#[tokio::test]
async fn when_nothing_is_left_the_most_useful_refusal_is_said() {
    let (world, big) = chain().await;
    world.limit(Scope::Organization, Metric::Spend, Window::Total, 0).await;
    world.say_of(big, State::ByRequest).await;
    let refusals = async |name: &str| {
        let mut answers = Vec::new();
        for dialect in DIALECTS {
            answers.push((dialect, world.client.call(dialect, &asking(dialect)).await));
        }
        golden::compare(name, &world, &answers, &[]);
        golden::written_down(&world, answers.iter().map(|(_, answer)| answer)).await;
    };
    refusals("policy_budget").await;
    world.say_of(world.small, State::Closed).await;
    refusals("policy_approval").await;
    world.say_of(big, State::Closed).await;
    refusals("policy_not_found").await;
    assert_eq!(world.upstream.served().calls, 0);
    world.quiet().await;
}

#[tokio::test]
async fn steps_of_another_dialect_or_kind_are_left_out() {
    let world = World::new().await;
    let Pair { openai, anthropic } = world.small;
    world.policy("mixed", Routing::Fallback, &[(anthropic, 1), (openai, 1)]).await;
    for (dialect, model) in [(Dialect::OpenAi, "small"), (Dialect::Anthropic, "small-anthropic")] {
        let answer = world.client.call(dialect, &body("policy/mixed", 16)).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        assert_eq!(answer.header("x-bursar-model"), Some(model));
    }
    let response = json!({ "model": "policy/mixed", "input": "Hi" });
    let answer = world.client.to(Route::Responses, &response).await;
    assert_eq!(answer.header("x-bursar-model"), Some("small"));
    world.policy("letters", Routing::Fallback, &[(anthropic, 1)]).await;
    let answer = world.client.call(Dialect::OpenAi, &body("policy/letters", 16)).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text());
    assert!(answer.text().contains("/v1/messages"), "{}", answer.text());
    let count = json!({ "model": "policy/mixed", "messages": [] });
    let answer = world.client.to(Route::CountTokens, &count).await;
    assert_eq!(answer.header("x-bursar-model"), Some("small-anthropic"), "{}", answer.text());
    // Where somebody has to agree to the one that answers here, the other is said, too.
    let big = world.model("big", Some(prices()), Review::Accepted).await;
    world.say_of(big, State::ByRequest).await;
    world.policy("either", Routing::Fallback, &[(big.openai, 1), (anthropic, 1)]).await;
    let answer = world.client.call(Dialect::OpenAi, &body("policy/either", 16)).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}", answer.text());
    let message = answer.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains("by request"), "{message}");
    assert!(message.ends_with("small-anthropic is served at /v1/messages. Call it there."), "{message}");
}

#[tokio::test]
async fn a_balance_divides_calls_by_weight_and_falls_back() {
    let world = World::new().await;
    let big = world.model("big", Some(prices()), Review::Accepted).await;
    world.policy("both", Routing::Balance, &[(big.openai, 3), (world.small.openai, 1)]).await;
    let mut bigs = 0;
    for _ in 0..80 {
        let answer = world.client.call(Dialect::OpenAi, &body("policy/both", 16)).await;
        bigs += u32::from(answer.header("x-bursar-model") == Some("big"));
    }
    assert!((40..=76).contains(&bigs), "three in four of 80: {bigs}");
    world.script("big", Script::error(503));
    for _ in 0..10 {
        let answer = world.client.call(Dialect::OpenAi, &body("policy/both", 16)).await;
        assert_eq!(answer.header("x-bursar-model"), Some("small"), "{}", answer.text());
    }
}

#[tokio::test]
async fn a_model_that_asks_for_a_pause_is_tried_last_until_it_is_over() {
    let (world, _) = chain().await;
    world.script("big", Script { header: Some(("retry-after", "30")), ..Script::error(429) });
    for skipped in ["big=upstream_429", "big=rests", "big=rests"] {
        let answer = world.client.call(Dialect::OpenAi, &asking(Dialect::OpenAi)).await;
        assert_eq!(answer.header("x-bursar-model"), Some("small"));
        assert_eq!(answer.header("x-bursar-skipped"), Some(skipped), "passed over, and said");
    }
    let to_big = |asked: &bench::upstream::Asked| asked.json()["model"] == "up-big";
    assert_eq!(world.upstream.asked().iter().filter(|asked| to_big(asked)).count(), 1);
    world.script("small", Script::error(500));
    world.script("big", Script::default());
    let answer = world.client.call(Dialect::OpenAi, &asking(Dialect::OpenAi)).await;
    assert_eq!(answer.header("x-bursar-model"), Some("big"), "the last resort: {}", answer.text());
}

#[tokio::test]
async fn a_policy_is_listed_while_one_of_its_models_is_open() {
    let (world, big) = chain().await;
    for dialect in DIALECTS {
        let list = world.client.get(dialect, "/v1/models").await.json();
        let listed = |list: &Value| list.to_string().contains("\"policy/chain\"");
        assert!(listed(&list), "{list}");
        let one = world.client.get(dialect, "/v1/models/policy/chain").await;
        assert_eq!((one.status, &one.json()["id"]), (StatusCode::OK, &json!("policy/chain")));
    }
    world.say_of(big, State::ByRequest).await;
    assert_eq!(world.client.get(Dialect::OpenAi, "/v1/models/policy/chain").await.status, StatusCode::OK);
    world.say_of(world.small, State::Closed).await;
    let one = world.client.get(Dialect::OpenAi, "/v1/models/policy/chain").await;
    assert_eq!(one.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_policy_that_is_unknown_or_archived_is_not_there() {
    let world = World::new().await;
    let id = world.policy("chain", Routing::Fallback, &[(world.small.openai, 1)]).await;
    assert_eq!(world.client.call(Dialect::OpenAi, &asking(Dialect::OpenAi)).await.status, StatusCode::OK);
    let mut change = world.change().await;
    store::policies::archive(&mut change, id).await.expect("archived");
    change.commit().await.expect("it");
    for name in ["policy/chain", "policy/unknown", "policy/", "policy"] {
        let answer = world.client.call(Dialect::OpenAi, &body(name, 16)).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (StatusCode::NOT_FOUND, "model_not_found"),
            "{name}"
        );
        assert!(answer.text().contains(name), "{}", answer.text());
    }
    assert_eq!(world.upstream.served().calls, 1);
}

#[tokio::test]
async fn a_keys_own_policy_answers_calls_that_name_no_model() {
    let world = World::new().await;
    let id = world.policy("chain", Routing::Fallback, &[(world.small.openai, 1)]).await;
    let call = json!({ "messages": [{ "role": "user", "content": "Hi" }] });
    let answer = world.client.call(Dialect::OpenAi, &call).await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::BAD_REQUEST, "invalid_request"));
    let mut change = world.change().await;
    world.edit_key(&mut change, |form| form.policy = Some(id)).await;
    change.commit().await.expect("it");
    for call in [call, json!({ "model": null, "messages": [] })] {
        let answer = world.client.call(Dialect::OpenAi, &call).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        assert_eq!(answer.header("x-bursar-model"), Some("small"));
        assert_eq!(world.upstream.asked().pop().expect("a call").json()["model"], "up-small");
    }
    assert_eq!(world.ledger().await[0].policy.as_deref(), Some("chain"));
}

#[tokio::test]
async fn a_feature_that_is_off_is_off_for_every_model_of_a_policy() {
    let (world, _) = chain().await;
    world.without(&[Feature::Streaming]).await;
    let answer = world.client.call(Dialect::OpenAi, &streamed("policy/chain", 16)).await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::FORBIDDEN, "feature_not_allowed"));
    assert_eq!(world.upstream.served().calls, 0);
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_followed_and_then_left_alone() {
    let world = World::new().await;
    let Pair { openai, anthropic } = world.small;
    world.policy("mixed", Routing::Fallback, &[(openai, 1), (anthropic, 1)]).await;
    world.limit(Scope::Organization, Metric::Spend, Window::Month, 1_000_000_000).await;
    // Nothing listens there.
    world.lead_to(Dialect::OpenAi, 1).await;
    for call in 1..=7 {
        let answer = world.client.call(Dialect::OpenAi, &body("small", 16)).await;
        assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{}", answer.text());
        assert_eq!(answer.header("retry-after").is_some(), call > 5, "{call}: {}", answer.text());
    }
    let answer = world.client.call(Dialect::Anthropic, &body("policy/mixed", 16)).await;
    assert_eq!(answer.header("x-bursar-model"), Some("small-anthropic"), "{}", answer.text());
    assert!(world.ledger().await.iter().all(|call| call.model.1 == "small-anthropic"));
    assert_eq!(world.level(Metric::Spend).await.1, "0.00", "nothing stays held");
}

fn only(after: &[Trouble]) -> StepRules {
    StepRules { after: after.iter().copied().collect(), ..StepRules::default() }
}

#[tokio::test]
async fn a_policy_goes_on_only_after_what_its_step_names() {
    let world = World::new().await;
    let big = world.model("big", Some(prices()), Review::Accepted).await;
    let steps = of(Dialect::OpenAi, &[big, world.small]);
    let id = world.policy("chain", Routing::Fallback, &steps).await;
    let cases = [(Trouble::RequestTimeout, 408), (Trouble::Conflict, 409), (Trouble::RateLimited, 429)];
    let cases = cases.into_iter().chain([(Trouble::ServerError, 500), (Trouble::Credential, 401)]);
    for (trouble, status) in cases {
        world.script("big", Script::error(status));
        let others: Vec<Trouble> = Trouble::ALL.iter().copied().filter(|other| *other != trouble).collect();
        world.rules(id, &[(big.openai, only(&others))]).await;
        let answer = world.client.call(Dialect::OpenAi, &asking(Dialect::OpenAi)).await;
        assert_ne!(answer.status, StatusCode::OK, "{trouble}: {}", answer.text());
        let reason = if trouble == Trouble::Credential {
            "upstream_credential".to_owned()
        } else {
            format!("upstream_{status}")
        };
        let said = if trouble == Trouble::Credential {
            answer.json()["error"]["bursar"]["skipped"][0]["reason"].as_str().map(str::to_owned)
        } else {
            assert_eq!(answer.body, world.upstream.asked().pop().expect("a call").said(), "as it came");
            answer.header("x-bursar-skipped").map(|text| text.replace("big=", ""))
        };
        assert_eq!(said, Some(reason));
        world.rules(id, &[(big.openai, only(&[trouble]))]).await;
        let answer = world.client.call(Dialect::OpenAi, &asking(Dialect::OpenAi)).await;
        assert_eq!(answer.header("x-bursar-model"), Some("small"), "{trouble}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_policy_goes_on_after_a_broken_connection_only_where_its_step_says_so() {
    let world = World::new().await;
    let big = world.model("big", Some(prices()), Review::Accepted).await;
    let steps = of(Dialect::OpenAi, &[big, world.small]);
    let id = world.policy("chain", Routing::Fallback, &steps).await;
    world.script("big", Script { ending: Ending::ResetBeforeHeaders, ..Script::default() });
    world.rules(id, &[(big.openai, only(&[Trouble::Timeout, Trouble::ServerError]))]).await;
    let answer = world.client.call(Dialect::OpenAi, &asking(Dialect::OpenAi)).await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{}", answer.text());
    assert_eq!(answer.json()["error"]["bursar"]["skipped"][0]["reason"], "upstream_connection");
    world.rules(id, &[(big.openai, only(&[Trouble::Connection]))]).await;
    let answer = world.client.call(Dialect::OpenAi, &asking(Dialect::OpenAi)).await;
    assert_eq!(answer.header("x-bursar-model"), Some("small"), "{}", answer.text());
    assert_eq!(answer.header("x-bursar-skipped"), Some("big=upstream_connection"));
}

#[tokio::test]
async fn a_model_that_refused_to_begin_is_tried_again_and_each_try_is_told() {
    let world = World::new().await;
    let big = world.model("big", Some(prices()), Review::Accepted).await;
    world.limit(Scope::Organization, Metric::Spend, Window::Month, 1_000_000_000).await;
    let steps = of(Dialect::OpenAi, &[big, world.small]);
    let id = world.policy("chain", Routing::Fallback, &steps).await;
    world.rules(id, &[(big.openai, StepRules { attempts: 3, ..StepRules::default() })]).await;
    let tried = async |script: Script| {
        let before = world.upstream.served().calls;
        world.script("big", script);
        let answer = world.client.call(Dialect::OpenAi, &asking(Dialect::OpenAi)).await;
        assert_eq!(answer.header("x-bursar-model"), Some("small"), "{}", answer.text());
        let skipped = answer.header("x-bursar-skipped").unwrap_or_default().to_owned();
        (world.upstream.served().calls - before - 1, skipped)
    };
    for status in [429, 503, 529] {
        let each = format!("big=upstream_{status}");
        assert_eq!(tried(Script::error(status)).await, (3, [each.clone(), each.clone(), each].join(", ")));
    }
    // What may have been executed is never sent twice to the same model.
    for status in [408, 409, 500, 502, 504] {
        assert_eq!(tried(Script::error(status)).await, (1, format!("big=upstream_{status}")));
    }
    let hangs_up = Script { ending: Ending::ResetBeforeHeaders, ..Script::default() };
    assert_eq!(tried(hangs_up).await, (1, "big=upstream_connection".to_owned()));
    // A pause that is too long for one call is left to the next one.
    let busy = Script { header: Some(("retry-after", "30")), ..Script::error(429) };
    assert_eq!(tried(busy).await.0, 1);
    assert_eq!(world.level(Metric::Spend).await.1, "0.00", "nothing stays held");
}

#[tokio::test]
async fn a_try_that_works_is_the_answer_and_counts_once() {
    let world = World::new().await;
    let id = world.policy("chain", Routing::Fallback, &[(world.small.openai, 1)]).await;
    world.rules(id, &[(world.small.openai, StepRules { attempts: 2, ..StepRules::default() })]).await;
    let busy = Script { hold: Some(Hold::BeforeHeaders), ..Script::error(503) };
    world.script("small", busy);
    let client = world.client.clone();
    let call = tokio::spawn(async move { client.call(Dialect::OpenAi, &asking(Dialect::OpenAi)).await });
    world.upstream.called(1).await;
    world.script("small", Script::default());
    world.upstream.release(1);
    let answer = call.await.expect("an answer");
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(answer.header("x-bursar-skipped"), Some("small=upstream_503"));
    let booked = world.ledger().await;
    assert_eq!(booked.len(), 2);
    assert_eq!((booked[0].cost, booked[1].cost), (cost(10, 16), Money::ZERO));
}

#[tokio::test]
async fn an_answer_that_has_begun_is_never_asked_for_again() {
    let world = World::new().await;
    let id = world.policy("chain", Routing::Fallback, &[(world.small.openai, 1)]).await;
    world.rules(id, &[(world.small.openai, StepRules { attempts: 3, ..StepRules::default() })]).await;
    world.script("small", Script { ending: Ending::ResetMidStream, ..Script::default() });
    let answer = world.client.call(Dialect::OpenAi, &streamed("policy/chain", 16)).await;
    assert!(answer.text().contains("Hello") && answer.text().contains("upstream_error"), "{}", answer.text());
    assert_eq!(world.upstream.served().calls, 1);
}

#[tokio::test]
async fn a_step_waits_for_the_head_as_long_as_it_says_and_goes_on_only_if_it_says_so() {
    let world = World::new().await;
    let big = world.model("big", Some(prices()), Review::Accepted).await;
    let steps = of(Dialect::OpenAi, &[big, world.small]);
    let id = world.policy("chain", Routing::Fallback, &steps).await;
    world.script("big", Script { ending: Ending::StallBeforeHeaders, ..Script::default() });
    let wait = |after: StepRules| StepRules { first_byte: Some(1), attempts: 3, ..after };
    world.rules(id, &[(big.openai, wait(StepRules::default()))]).await;
    // Not only streams: what is said of a step holds for every call.
    let answer = world.client.call(Dialect::OpenAi, &asking(Dialect::OpenAi)).await;
    assert_eq!(answer.header("x-bursar-model"), Some("small"), "{}", answer.text());
    assert_eq!(answer.header("x-bursar-skipped"), Some("big=upstream_timeout"), "and it is not tried again");
    world.rules(id, &[(big.openai, wait(only(&[Trouble::ServerError])))]).await;
    let answer = world.client.call(Dialect::OpenAi, &asking(Dialect::OpenAi)).await;
    assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT, "{}", answer.text());
    let doubtful: Vec<_> = world.ledger().await.into_iter().filter(|call| call.model.1 == "big").collect();
    assert!(doubtful.len() == 2 && doubtful.iter().all(|call| call.estimated), "{doubtful:?}");
}

#[tokio::test]
async fn the_nearest_groups_policy_answers_calls_that_name_no_model_behind_the_keys_own() {
    let world = World::new().await;
    let big = world.model("big", Some(prices()), Review::Accepted).await;
    let above = world.policy("above", Routing::Fallback, &[(big.openai, 1)]).await;
    let near = world.policy("near", Routing::Fallback, &[(world.small.openai, 1)]).await;
    let calls = [json!({ "messages": [] }), json!({ "model": "policy/default", "messages": [] })];
    let chosen = async || {
        let mut chosen = Vec::new();
        for call in &calls {
            let answer = world.client.call(Dialect::OpenAi, call).await;
            chosen.push(answer.header("x-bursar-model").unwrap_or("none").to_owned());
        }
        chosen
    };
    assert_eq!(chosen().await, ["none", "none"]);
    world.group_policy(world.engineering, Some(above)).await;
    assert_eq!(chosen().await, ["big", "big"], "from two levels up");
    let listed = world.client.get(Dialect::OpenAi, "/v1/models/policy/default").await;
    assert_eq!(listed.status, StatusCode::OK, "it is listed like what can be called");
    world.group_policy(world.platform, Some(near)).await;
    assert_eq!(chosen().await, ["small", "small"], "the nearest one");
    let mut change = world.change().await;
    world.edit_key(&mut change, |form| form.policy = Some(above)).await;
    change.commit().await.expect("it");
    assert_eq!(chosen().await, ["big", "big"], "the key's own comes first");
    let mut change = world.change().await;
    let refused = store::policies::archive(&mut change, near).await.expect_err("a group names it");
    assert!(refused.to_string().contains("1 group sends"), "{refused}");
    drop(change);
    // A policy of that name is that policy.
    world.policy("default", Routing::Fallback, &[(world.small.openai, 1)]).await;
    assert_eq!(chosen().await, ["big", "small"]);
}
