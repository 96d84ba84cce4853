//! An upstream that refuses, breaks or is not there.

use std::{
    io::{Read, Write},
    net::TcpListener,
    time::Duration,
};

use bench::upstream::{Ending, Script, Upstream};
use domain::{
    limits::{Metric, Scope},
    money::Money,
    providers::{Dialect, Waits},
    spend::Outcome,
    window::Window,
};
use http::StatusCode;

use crate::{
    client::{DIALECTS, body, streamed},
    golden,
    in_flight::{ROUTES, ask},
    world::{World, cost, named},
};

async fn with_budget() -> World {
    let world = World::new().await;
    world.limit(Scope::Organization, Metric::Spend, Window::Month, 1_000_000_000).await;
    world
}

#[tokio::test]
async fn a_refused_credential_is_our_trouble_not_the_callers() {
    for status in [401, 403] {
        let world = with_budget().await;
        world.script("small", Script::error(status));
        golden::refused("credential_refused", &world, "small", &[]).await;
        let calls = world.ledger().await;
        assert_eq!(calls.len(), 2);
        assert!(calls.iter().all(|call| call.cost == Money::ZERO && call.outcome == Outcome::UpstreamError));
        assert_eq!(world.level(Metric::Spend).await, ("0.00".into(), "0.00".into()));
    }
}

#[tokio::test]
async fn an_upstreams_own_errors_pass_as_they_are() {
    let world = with_budget().await;
    for dialect in DIALECTS {
        for status in [400, 404, 429, 500, 529] {
            for streams in [false, true] {
                let script = Script { header: Some(("retry-after", "7")), ..Script::error(status) };
                world.script("small", script);
                let name = named("small", dialect);
                let call = if streams { streamed(&name, 16) } else { body(&name, 16) };
                let answer = world.client.call(dialect, &call).await;
                assert_eq!(answer.status.as_u16(), status);
                assert_eq!(answer.body, world.upstream.asked().pop().expect("a call").said());
                assert_eq!(answer.header("retry-after"), Some("7"));
                assert!(answer.header("x-request-id").is_some());
            }
        }
    }
    assert!(world.ledger().await.iter().all(|call| call.cost == Money::ZERO));
    assert_eq!(world.level(Metric::Spend).await, ("0.00".into(), "0.00".into()));
}

#[tokio::test]
async fn an_upstream_that_is_not_there_costs_nothing() {
    let world = with_budget().await;
    world.upstream.stop().await;
    golden::refused("unreachable", &world, "small", &[]).await;
    assert!(world.ledger().await.is_empty(), "nothing was sent");
    assert_eq!(world.level(Metric::Spend).await, ("0.00".into(), "0.00".into()));
}

#[tokio::test]
async fn a_connection_is_tried_for_twice() {
    let world = World::new().await;
    // The provider comes up a moment after the call. Where the machine was too slow for that, again.
    for _ in 0..20 {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = free.local_addr().expect("its address");
        drop(free);
        world.lead_to(Dialect::OpenAi, address.port()).await;
        let client = world.client.clone();
        let call = tokio::spawn(async move { client.call(Dialect::OpenAi, &body("small", 16)).await });
        tokio::time::sleep(Duration::from_millis(20)).await;
        let upstream = Upstream::listen(address, Script::default(), true).await.expect("it listens");
        if call.await.expect("an answer").status == StatusCode::OK {
            assert_eq!(upstream.served().calls, 1);
            assert_eq!(world.only_call().await.cost, cost(10, 16));
            return;
        }
    }
    panic!("it never came to a second try");
}

#[tokio::test]
async fn an_answer_that_stops_in_the_middle_is_given_up_and_booked_in_full() {
    let world = World::with(|settings| settings.patience.head = Duration::from_millis(300)).await;
    // A head, the beginning of a body, and then nothing.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    world.lead_to(Dialect::OpenAi, silent.local_addr().expect("its address").port()).await;
    let speaking = tokio::task::spawn_blocking(move || {
        let (mut stream, _) = silent.accept().expect("a connection");
        let _ = stream.read(&mut [0; 4096]).expect("a request");
        let begun = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{";
        stream.write_all(begun.as_bytes()).expect("it goes out");
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let answer = world.client.call(Dialect::OpenAi, &body("small", 16)).await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{}", answer.text());
    let booked = world.only_call().await;
    assert!(booked.estimated && booked.cost > Money::ZERO, "{booked:?}");
    speaking.await.expect("it ends");
}

#[tokio::test]
async fn an_upstream_that_hangs_up_may_have_worked_and_is_booked_in_full() {
    for dialect in DIALECTS {
        let world = with_budget().await;
        world.script("small", Script { ending: Ending::ResetBeforeHeaders, ..Script::default() });
        let call = body(&named("small", dialect), 16);
        let answer = world.client.call(dialect, &call).await;
        assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{}", answer.text());
        assert_eq!(world.upstream.served().calls, 1, "it is not tried again");
        let booked = world.only_call().await;
        let input = gateway::wire::estimate::input_tokens(&call.to_string());
        assert_eq!((booked.cost, booked.estimated), (cost(input, 16), true));
        assert_eq!(world.level(Metric::Spend).await.1, "0.00");
    }
}

#[tokio::test]
async fn an_upstream_that_says_nothing_is_given_up() {
    let world = World::with(|settings| settings.patience.head = Duration::from_millis(300)).await;
    world.script("small", Script { ending: Ending::StallBeforeHeaders, ..Script::default() });
    golden::refused("upstream_timeout", &world, "small", &[]).await;
    let calls = world.ledger().await;
    assert!(calls.iter().all(|call| call.estimated && call.cost > Money::ZERO), "{calls:?}");
}

#[tokio::test]
async fn a_stream_that_falls_silent_is_given_up() {
    for dialect in DIALECTS {
        let world = World::with(|settings| settings.patience.silence = Duration::from_millis(300)).await;
        let hold = Some(bench::upstream::Hold::MidStream);
        world.script("small", Script { hold, ..Script::default() });
        let answer = world.client.call(dialect, &streamed(&named("small", dialect), 16)).await;
        assert!(answer.text().contains("The provider broke off"), "{}", answer.text());
        let booked = world.only_call().await;
        assert!(booked.estimated && booked.cost > Money::ZERO, "{booked:?}");
    }
}

#[tokio::test]
async fn a_client_that_left_is_not_read_for_for_ever() {
    for dialect in DIALECTS {
        let world = World::with(|settings| settings.patience.read_on = Duration::from_millis(300)).await;
        let hold = Some(bench::upstream::Hold::MidStream);
        world.script("small", Script { hold, ..Script::default() });
        let mut stream = world.client.stream(dialect, &streamed(&named("small", dialect), 16)).await;
        stream.until("Hello").await;
        drop(stream);
        let booked = world.only_call().await;
        assert_eq!(booked.outcome, Outcome::HungUp);
        assert!(booked.estimated && booked.cost > Money::ZERO, "{booked:?}");
    }
}

#[tokio::test]
async fn a_provider_on_this_machine_has_to_be_allowed() {
    let world = with_budget().await;
    world.forbid_private_addresses().await;
    let answer = world.client.call(Dialect::OpenAi, &body("small", 16)).await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{}", answer.text());
    assert_eq!(world.upstream.served().calls, 0);
}

#[tokio::test]
async fn a_provider_that_sends_elsewhere_is_not_followed() {
    let world = World::new().await;
    for status in [301, 302, 307, 308] {
        let header = Some(("location", "/v1/elsewhere"));
        world.script("small", Script { header, ..Script::error(status) });
        let before = world.upstream.asked().len();
        let answer = world.client.call(Dialect::OpenAi, &body("small", 16)).await;
        assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{}", answer.text());
        assert_eq!(world.upstream.asked().len(), before + 1, "nobody is asked a second time");
    }
    assert!(world.ledger().await.iter().all(|call| call.cost == Money::ZERO));
}

#[tokio::test]
async fn a_stream_whose_connection_ends_before_its_answer_does_is_an_error_and_counts() {
    for route in ROUTES {
        let world = with_budget().await;
        world.script("small", Script { ending: Ending::EndMidStream, ..Script::default() });
        let answer = world.client.to(route, &ask(route, 100)).await;
        let said = world.upstream.asked()[0].said();
        assert!(answer.body.starts_with(&said), "what came is passed on: {}", answer.text());
        assert!(answer.text().contains("The provider broke off"), "{}", answer.text());
        let call = world.only_call().await;
        assert_eq!((call.outcome, call.estimated), (Outcome::UpstreamError, true), "{call:?}");
        assert!(call.cost > Money::ZERO);
        // One that has said why it ends is whole, with or without a mark behind it.
        world.script("small", Script { ends_with_done: false, ..Script::default() });
        let answer = world.client.to(route, &ask(route, 100)).await;
        assert!(!answer.text().contains("broke off"), "{}", answer.text());
    }
}

#[tokio::test]
async fn whose_account_it_is_at_the_provider_stays_here() {
    let world = World::new().await;
    for name in [
        "openai-organization",
        "openai-project",
        "anthropic-organization-id",
        "www-authenticate",
        "set-cookie",
    ] {
        world.script("small", Script { header: Some((name, "org-7")), ..Script::default() });
        let answer = world.client.call(Dialect::OpenAi, &body("small", 16)).await;
        assert_eq!((answer.status, answer.header(name)), (StatusCode::OK, None));
    }
}

#[tokio::test]
async fn a_provider_is_waited_for_as_long_as_it_says_from_the_next_call_on() {
    let world = World::new().await;
    world.script("small", Script { ending: Ending::StallBeforeHeaders, ..Script::default() });
    world.waits(Dialect::OpenAi, Waits { first_byte: Some(1), ..Waits::default() }).await;
    let answer = world.client.call(Dialect::OpenAi, &body("small", 16)).await;
    assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT, "{}", answer.text());
    // A stream that falls silent.
    let held = Script { hold: Some(bench::upstream::Hold::MidStream), ..Script::default() };
    world.script("small", held);
    world.waits(Dialect::OpenAi, Waits { silence: Some(1), ..Waits::default() }).await;
    let answer = world.client.call(Dialect::OpenAi, &streamed("small", 16)).await;
    assert!(answer.text().contains("The provider broke off"), "{}", answer.text());
    // One that never pauses for long, and never ends either.
    let long = Script { pieces: 400, between: Duration::from_millis(50), ..Script::default() };
    world.script("small", Script { text: "word ".repeat(400), ..long });
    world.waits(Dialect::OpenAi, Waits { total: Some(1), ..Waits::default() }).await;
    let answer = world.client.call(Dialect::OpenAi, &streamed("small", 16)).await;
    assert!(
        answer.text().contains("word") && answer.text().contains("The provider broke off"),
        "{}",
        answer.text()
    );
    let booked = world.ledger().await;
    assert!(booked.len() == 3 && booked.iter().all(|call| call.cost > Money::ZERO), "{booked:?}");
}

#[tokio::test]
async fn a_connection_that_is_given_another_time_is_made_all_the_same() {
    let world = World::new().await;
    for seconds in [1, 2] {
        world.waits(Dialect::OpenAi, Waits { connection: Some(seconds), ..Waits::default() }).await;
        let answer = world.client.call(Dialect::OpenAi, &body("small", 16)).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    }
}
