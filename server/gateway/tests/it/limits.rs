//! Limits: what they refuse, to the cent and to the second, and what they let through.

use bench::upstream::{Hold, Script};
use chrono::{DateTime, SecondsFormat, Utc};
use domain::{
    authorizations::Target,
    limits::{Metric, Mode, Scope},
    models::Review,
    money::Price,
    organizations::BudgetStatus,
    prices::{PriceKey, Prices},
    providers::Dialect,
    window::Window,
};
use http::StatusCode;
use serde_json::json;

use crate::{
    client::{Answer, DIALECTS, body},
    golden,
    world::{World, cost, named},
};

/// Enough for one small call, and for not even the input of a second one.
const ONE_CALL: i64 = 100_000;

fn in_utc(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn in_berlin(at: DateTime<Utc>) -> String {
    at.with_timezone(&chrono_tz::Europe::Berlin).format("%-d %b %Y at %H:%M (%Z)").to_string()
}

async fn ends(world: &World, window: Window) -> [(&'static str, String); 2] {
    let end = world.resets_at(window).await;
    [("{end of window}", in_utc(end)), ("{end of window in Berlin}", in_berlin(end))]
}

async fn succeeds(world: &World, dialect: Dialect) -> Answer {
    let answer = world.client.call(dialect, &body(&named("small", dialect), 16)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    world.quiet().await;
    answer
}

#[tokio::test]
async fn a_spent_budget_is_answered_with_every_figure() {
    let world = World::new().await;
    world.script("small", Script::using(10, 16));
    world.limit(Scope::Group(world.engineering), Metric::Spend, Window::Month, ONE_CALL).await;
    succeeds(&world, Dialect::OpenAi).await;
    let names = ends(&world, Window::Month).await;
    golden::refused("budget_exceeded", &world, "small", &names).await;
    assert_eq!(world.upstream.served().calls, 1);
    assert_eq!(world.only_call().await.cost, cost(10, 16));
}

#[tokio::test]
async fn a_spent_quota_of_a_rule_is_answered_as_any_other() {
    let world = World::new().await;
    world.script("small", Script::using(10, 16));
    let rule = world.rule(None, Target::Tier(world.tier)).await;
    world.limit(Scope::Authorization(rule), Metric::Spend, Window::Month, ONE_CALL).await;
    let answer = succeeds(&world, Dialect::OpenAi).await;
    assert!(answer.header("x-bursar-budget-remaining-usd").is_some(), "what is left of it is told");
    let names = ends(&world, Window::Month).await;
    let names = names.into_iter().chain([("{rule}", rule.to_string())]).collect::<Vec<_>>();
    golden::refused("budget_exceeded_of_a_rule", &world, "small", &names).await;
    assert_eq!(world.upstream.served().calls, 1);
}

#[tokio::test]
async fn an_organization_may_answer_a_spent_budget_with_429_or_403() {
    let world = World::new().await;
    world.limit(Scope::Organization, Metric::Spend, Window::Total, 0).await;
    world.answer_budgets_with(BudgetStatus::TooManyRequests).await;
    golden::refused("budget_exceeded_as_429", &world, "small", &[]).await;
    world.answer_budgets_with(BudgetStatus::Forbidden).await;
    golden::refused("budget_exceeded_as_403", &world, "small", &[]).await;
    assert_eq!(world.upstream.served().calls, 0);
}

#[tokio::test]
async fn a_quota_of_a_day_is_answered_like_money() {
    let world = World::new().await;
    world.limit(Scope::Application(world.application), Metric::Requests, Window::Day, 1).await;
    succeeds(&world, Dialect::Anthropic).await;
    let names = ends(&world, Window::Day).await;
    golden::refused("quota_exceeded", &world, "small", &names).await;
}

#[tokio::test]
async fn every_scope_is_named() {
    let world = World::new().await;
    let (uma, secret) = world.member("Uma").await;
    let client = world.client.with(secret.reveal());
    let scopes = [
        (Scope::Organization, "organization", "Acme", world.tenant.org.to_string()),
        (Scope::Group(world.engineering), "group", "Engineering", world.engineering.to_string()),
        (Scope::Group(world.platform), "group", "Platform", world.platform.to_string()),
        (Scope::Application(world.application), "application", "Assistant", world.application.to_string()),
        (Scope::User(uma), "user", "Uma", uma.to_string()),
        (Scope::Member(world.platform, uma), "member", "Uma in Platform", world.platform.to_string()),
    ];
    for (scope, kind, name, id) in scopes {
        world.limit(scope, Metric::Tokens, Window::Week, 3).await;
        let bursar = client.call(Dialect::OpenAi, &body("small", 16)).await.bursar();
        let expected = json!({
            "reason": "quota_exceeded", "scope": kind, "scope_id": id, "scope_name": name, "metric": "tokens",
            "window": "week", "cap": 3, "used": 0, "reserved": 0,
            "needs": bursar["needs"], "resets_at": in_utc(world.resets_at(Window::Week).await),
            "request_url": bursar["request_id"].as_str().map(|id| format!("https://bursar.acme.example/why?request={id}")),
            "contact": "Lena",
            "request_id": bursar["request_id"],
        });
        assert_eq!(bursar, expected);
        assert!(bursar["needs"].as_i64().is_some_and(|needs| needs > 16), "with its most output: {bursar}");
        world.limit(scope, Metric::Tokens, Window::Week, 1_000_000).await;
    }
    assert_eq!(client.call(Dialect::OpenAi, &body("small", 16)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_default_limit_holds_for_people_without_their_own() {
    let world = World::new().await;
    let (_, secret) = world.member("Uma").await;
    let now = store::organizations::get(&world.store, world.tenant.org).await.expect("the organization");
    let settings = store::organizations::Settings {
        name: now.name.parse().expect("a name"),
        time_zone: now.time_zone,
        week_start: now.week_start,
        default_user_limit: Some(domain::money::Money(1)),
        budget_status: now.budget_status,
        contact: now.contact,
    };
    let mut change = world.change().await;
    store::organizations::update(&mut change, now.version, &settings).await.expect("settings");
    change.commit().await.expect("them");
    let answer = world.client.with(secret.reveal()).call(Dialect::OpenAi, &body("small", 16)).await;
    assert_eq!(answer.status, StatusCode::PAYMENT_REQUIRED, "{}", answer.text());
    assert_eq!(answer.bursar()["scope_name"], "Uma");
    // A service secret names nobody.
    assert_eq!(world.client.call(Dialect::OpenAi, &body("small", 16)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_quota_of_a_minute_or_an_hour_says_when_it_comes_back() {
    for (window, file) in [(Window::Minute, "rate_limited_minute"), (Window::Hour, "rate_limited_hour")] {
        // Once more where a window ended in the middle of it.
        loop {
            let world = World::new().await;
            world.limit(Scope::Organization, Metric::Requests, window, 1).await;
            let end = world.resets_at(window).await;
            succeeds(&world, Dialect::OpenAi).await;
            let mut answers = Vec::new();
            let mut honest = true;
            for dialect in DIALECTS {
                let most = seconds_until(end);
                let mut answer = world.client.call(dialect, &body(&named("small", dialect), 16)).await;
                let least = seconds_until(end);
                let told = answer.header("retry-after").and_then(|text| text.parse().ok());
                honest &= told.is_some_and(|told| (least..=most).contains(&told));
                answer.headers.insert("retry-after", "0".parse().expect("a value"));
                answers.push((dialect, answer));
            }
            if world.resets_at(window).await != end {
                continue;
            }
            assert!(honest, "Retry-After leads to the reset");
            golden::compare(file, &world, &answers, &ends(&world, window).await);
            golden::written_down(&world, answers.iter().map(|(_, answer)| answer)).await;
            break;
        }
    }
}

#[tokio::test]
async fn a_call_that_no_window_has_room_for_is_not_told_to_wait() {
    for (metric, window, code, less) in [
        (Metric::InputTokens, Window::Minute, "quota_exceeded", "send less input"),
        (Metric::Tokens, Window::Hour, "quota_exceeded", "ask for less output"),
        (Metric::Spend, Window::Minute, "budget_exceeded", "ask for less output"),
    ] {
        let world = World::new().await;
        world.limit(Scope::Organization, metric, window, 3).await;
        for dialect in DIALECTS {
            let answer = world.client.call(dialect, &body(&named("small", dialect), 16)).await;
            assert_eq!(answer.bursar()["reason"], code, "{}", answer.text());
            assert!(answer.status.is_client_error() && answer.status != StatusCode::TOO_MANY_REQUESTS);
            assert_eq!(
                (answer.header("retry-after"), answer.header("x-should-retry")),
                (None, Some("false"))
            );
            let says = format!("more than the whole limit, so waiting does not help: {less}");
            assert!(answer.text().contains(&says), "{}", answer.text());
        }
        assert_eq!(world.upstream.served().calls, 0);
    }
}

/// What one call counts in a metric, when it uses all that is held for it.
fn unit(metric: Metric) -> i64 {
    let (input, output) = (gateway::wire::estimate::input_tokens(&body("small", 16).to_string()), 16);
    let amount = match metric {
        Metric::Spend => return crate::world::cost(input, output).0,
        Metric::Requests => 1,
        Metric::Tokens => input + output,
        Metric::InputTokens => input,
        Metric::OutputTokens => output,
        Metric::ConcurrentCalls => panic!("calls at once have no window"),
    };
    amount.cast_signed()
}

/// For each metric room for one call more than there were, in this window; false when the window ended
/// in the middle of it.
async fn each_metric_bites_in(window: Window) -> bool {
    let world = World::new().await;
    let input = gateway::wire::estimate::input_tokens(&body("small", 16).to_string());
    world.script("small", Script::using(input, 16));
    let end = (window != Window::Total).then_some(world.resets_at(Window::Minute).await);
    let scope = Scope::Application(world.application);
    let metrics = Metric::ALL.iter().copied().filter(|metric| *metric != Metric::ConcurrentCalls);
    for (before, metric) in metrics.enumerate() {
        let cap = unit(metric) * i64::try_from(before + 1).expect("few");
        // A new limit knows of what is in the books.
        world.quiet().await;
        world.limit(scope, metric, window, cap).await;
        let answers = [
            world.client.call(Dialect::OpenAi, &body("small", 16)).await,
            world.client.call(Dialect::OpenAi, &body("small", 16)).await,
        ];
        if end.is_some() && end != Some(world.resets_at(Window::Minute).await) {
            return false;
        }
        let [passes, refused] = answers;
        assert_eq!(passes.status, StatusCode::OK, "{metric} {window}: {}", passes.text());
        let code = match (window.is_short(), metric) {
            (true, _) => "rate_limit_exceeded",
            (false, Metric::Spend) => "budget_exceeded",
            (false, _) => "quota_exceeded",
        };
        assert_eq!(refused.code(), code, "{metric} {window}: {}", refused.text());
        let told = refused.bursar();
        assert_eq!(
            (told["metric"].as_str(), told["window"].as_str()),
            (Some(metric.as_str()), Some(window.as_str())),
            "{}",
            refused.text()
        );
        world.limit(scope, metric, window, 1 << 40).await;
    }
    world.books_agree().await;
    true
}

#[tokio::test]
async fn every_metric_bites_in_every_window() {
    for window in Window::ALL {
        while !each_metric_bites_in(*window).await {}
    }
}

fn seconds_until(end: DateTime<Utc>) -> i64 {
    let left = (end - store::clock::now()).num_milliseconds().max(0);
    (left + 999) / 1000
}

#[tokio::test]
async fn calls_at_once_are_counted_and_come_back_when_one_ends() {
    let world = World::new().await;
    world.script("small", Script { hold: Some(Hold::BeforeHeaders), ..Script::default() });
    world.limit(Scope::Application(world.application), Metric::ConcurrentCalls, Window::Total, 1).await;
    let first = tokio::spawn({
        let client = world.client.clone();
        async move { client.call(Dialect::OpenAi, &body("small", 16)).await }
    });
    world.upstream.called(1).await;
    golden::refused("concurrent_calls", &world, "small", &[]).await;
    world.upstream.release(1);
    assert_eq!(first.await.expect("an answer").status, StatusCode::OK);
    world.script("small", Script::default());
    succeeds(&world, Dialect::OpenAi).await;
}

#[tokio::test]
async fn money_that_calls_in_flight_hold_is_busy_not_gone() {
    let world = World::new().await;
    world.script("small", Script { hold: Some(Hold::BeforeHeaders), ..Script::using(1, 1) });
    world.limit(Scope::Group(world.platform), Metric::Spend, Window::Month, ONE_CALL).await;
    let first = tokio::spawn({
        let client = world.client.clone();
        async move { client.call(Dialect::OpenAi, &body("small", 16)).await }
    });
    world.upstream.called(1).await;
    golden::refused("budget_busy", &world, "small", &ends(&world, Window::Month).await).await;
    world.upstream.release(1);
    assert_eq!(first.await.expect("an answer").status, StatusCode::OK);
    world.quiet().await;
    world.script("small", Script::default());
    succeeds(&world, Dialect::OpenAi).await;
}

#[tokio::test]
async fn a_maximum_that_does_not_fit_is_lowered_and_says_so() {
    for dialect in DIALECTS {
        let world = World::new().await;
        world.limit(Scope::Organization, Metric::OutputTokens, Window::Month, 100).await;
        let name = named("small", dialect);
        let answer = world.client.call(dialect, &body(&name, 3_000)).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        assert_eq!(answer.header("x-bursar-max-tokens"), Some("100"));
        let asked = world.upstream.asked();
        let expected = body(&name, 3_000).to_string().replace("3000", "100").replace(&name, "up-small");
        assert_eq!(String::from_utf8_lossy(&asked[0].body), expected);
        // 20 of the 100 are used.
        world.quiet().await;
        let answer = world.client.call(dialect, &body(&name, 60)).await;
        assert_eq!(answer.header("x-bursar-max-tokens"), None, "what fits is left alone");
        world.quiet().await;
        let mut without = body(&name, 1);
        without.as_object_mut().expect("an object").remove("max_tokens");
        let answer = world.client.call(dialect, &without).await;
        assert_eq!(answer.header("x-bursar-max-tokens"), Some("60"), "the model's maximum counts");
        assert_eq!(world.upstream.asked()[2].json()["max_tokens"], 60);
    }
}

#[tokio::test]
async fn money_lowers_a_maximum_too_and_never_below_what_is_useful() {
    let world = World::new().await;
    let call = body("small", 4_000);
    let input = gateway::wire::estimate::input_tokens(&call.to_string());
    // Exactly enough for the input and 15 tokens: one less than is worth a call.
    world.limit(Scope::Organization, Metric::Spend, Window::Month, cost(input, 15).0).await;
    let answer = world.client.call(Dialect::OpenAi, &call).await;
    assert_eq!(answer.status, StatusCode::PAYMENT_REQUIRED, "{}", answer.text());
    world.limit(Scope::Organization, Metric::Spend, Window::Month, cost(input, 16).0).await;
    let answer = world.client.call(Dialect::OpenAi, &call).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(answer.header("x-bursar-max-tokens"), Some("16"));
    assert_eq!(world.upstream.served().output, 16);
}

#[tokio::test]
async fn several_choices_share_the_maximum() {
    let world = World::new().await;
    world.limit(Scope::Organization, Metric::OutputTokens, Window::Month, 100).await;
    let mut call = body("small", 50);
    call["n"] = json!(4);
    let answer = world.client.call(Dialect::OpenAi, &call).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(world.upstream.asked()[0].json()["max_tokens"], 25);
}

#[tokio::test]
async fn an_observed_limit_refuses_nobody() {
    let world = World::new().await;
    world.limit_in(Mode::Observe, Scope::Organization, Metric::Spend, Window::Month, 0).await;
    for dialect in DIALECTS {
        succeeds(&world, dialect).await;
    }
    assert_eq!(world.upstream.served().calls, 2);
}

#[tokio::test]
async fn rate_headers_tell_the_tightest_limit_in_the_dialects_spelling() {
    let world = World::new().await;
    world.limit(Scope::Organization, Metric::Requests, Window::Day, 100).await;
    world.limit(Scope::Group(world.platform), Metric::Requests, Window::Month, 10).await;
    let answer = succeeds(&world, Dialect::OpenAi).await;
    assert_eq!(answer.header("x-ratelimit-limit-requests"), Some("10"));
    assert_eq!(answer.header("x-ratelimit-remaining-requests"), Some("9"));
    let answer = succeeds(&world, Dialect::Anthropic).await;
    assert_eq!(answer.header("anthropic-ratelimit-requests-remaining"), Some("8"));
    let end = in_utc(world.resets_at(Window::Month).await);
    assert_eq!(answer.header("anthropic-ratelimit-requests-reset"), Some(end.as_str()));
}

#[tokio::test]
async fn a_refusal_tells_what_is_left_as_an_answer_does() {
    let world = World::new().await;
    world.limit(Scope::Organization, Metric::Requests, Window::Day, 1).await;
    succeeds(&world, Dialect::OpenAi).await;
    let refused = world.client.call(Dialect::OpenAi, &body("small", 16)).await;
    assert_eq!(refused.code(), "quota_exceeded", "{}", refused.text());
    assert_eq!(refused.header("x-ratelimit-limit-requests"), Some("1"));
    assert_eq!(refused.header("x-ratelimit-remaining-requests"), Some("0"));
    assert!(refused.header("x-ratelimit-reset-requests").is_some());
    let refused = world.client.call(Dialect::Anthropic, &body("small-anthropic", 16)).await;
    let end = in_utc(world.resets_at(Window::Day).await);
    assert_eq!(refused.header("anthropic-ratelimit-requests-remaining"), Some("0"));
    assert_eq!(refused.header("anthropic-ratelimit-requests-reset"), Some(end.as_str()));
    world.limit(Scope::Organization, Metric::Requests, Window::Day, 100).await;
    world.limit(Scope::Organization, Metric::Spend, Window::Month, 1_000).await;
    let refused = world.client.call(Dialect::OpenAi, &body("small", 100_000)).await;
    assert_eq!(refused.header("x-bursar-budget-remaining-usd"), Some("0.00"), "{}", refused.text());
}

#[tokio::test]
async fn a_limit_that_is_changed_bites_on_the_next_call() {
    let world = World::new().await;
    world.limit(Scope::Organization, Metric::Requests, Window::Month, 1).await;
    succeeds(&world, Dialect::OpenAi).await;
    let refused = world.client.call(Dialect::OpenAi, &body("small", 16)).await;
    assert_eq!(refused.status, StatusCode::PAYMENT_REQUIRED);
    world.limit(Scope::Organization, Metric::Requests, Window::Month, 2).await;
    succeeds(&world, Dialect::OpenAi).await;
    let refused = world.client.call(Dialect::OpenAi, &body("small", 16)).await;
    assert_eq!(refused.bursar()["used"], 2);
}

#[tokio::test]
async fn a_spent_budget_closes_no_free_model_and_no_list() {
    let world = World::new().await;
    let free = Prices::default().with(PriceKey::Input, Some(Price(0))).with(PriceKey::Output, Some(Price(0)));
    world.model("free", Some(free), Review::Accepted).await;
    world.limit(Scope::Organization, Metric::Spend, Window::Total, 0).await;
    for dialect in DIALECTS {
        let paid = world.client.call(dialect, &body(&named("small", dialect), 16)).await;
        assert_eq!(paid.status, StatusCode::PAYMENT_REQUIRED, "{}", paid.text());
        let own = world.client.call(dialect, &body(&named("free", dialect), 16)).await;
        assert_eq!(own.status, StatusCode::OK, "{}", own.text());
        let list = world.client.get(dialect, "/v1/models").await;
        assert_eq!(list.status, StatusCode::OK);
        assert!(list.text().contains("\"free"), "{}", list.text());
    }
    assert!(world.ledger().await.iter().all(|call| call.cost == domain::money::Money::ZERO));
}
