//! Streams that do not go well: nothing that was used is lost, and nothing is booked as zero.

use std::time::Duration;

use bench::upstream::{Ending, Hold, Script};
use domain::{
    limits::{Metric, Scope},
    money::Money,
    providers::Dialect,
    spend::Outcome,
    window::Window,
};
use http::StatusCode;

use crate::{
    client::{DIALECTS, body, streamed},
    world::{World, cost, named},
};

#[tokio::test]
async fn missing_usage_is_estimated_marked_and_never_zero() {
    for dialect in DIALECTS {
        for streams in [false, true] {
            let world = World::new().await;
            world.script("small", Script { reports_usage: false, ..Script::default() });
            let name = named("small", dialect);
            let call = if streams { streamed(&name, 100) } else { body(&name, 100) };
            let answer = world.client.call(dialect, &call).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
            let booked = world.only_call().await;
            assert!(booked.estimated, "{dialect} {streams}");
            assert!(booked.usage.input_tokens() > 0 && booked.usage.output_tokens() > 0, "{booked:?}");
            assert!(booked.cost > Money::ZERO, "{booked:?}");
            assert!(
                booked.usage.output_tokens() <= 100,
                "not more than the upstream was allowed: {booked:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_stream_that_breaks_ends_in_an_error_of_the_dialect_and_is_booked() {
    for dialect in DIALECTS {
        for ending in [Ending::ResetMidStream, Ending::CutInsideCharacter] {
            let world = World::new().await;
            world.limit(Scope::Organization, Metric::Spend, Window::Month, 1_000_000_000).await;
            let text = "Grüße aus Köln".to_owned();
            world.script("small", Script { text, ending, ..Script::default() });
            let answer = world.client.call(dialect, &streamed(&named("small", dialect), 100)).await;
            assert_eq!(answer.status, StatusCode::OK, "the head was out already");
            let said = world.upstream.asked()[0].said();
            // What was cut is not worth sending: an SDK would stumble over it, and not hear the error.
            let ends = |at: &usize| said[..*at].ends_with(b"\n\n");
            let whole = (0..=said.len()).rev().find(ends).expect("an event");
            assert!(answer.body.starts_with(&said[..whole]), "what came whole is passed on");
            let text = String::from_utf8(answer.body.to_vec()).expect("no character is cut");
            let rest = &text[whole..];
            let last = rest.trim().lines().last().expect("an error");
            let data = last.strip_prefix("data: ").unwrap_or_else(|| panic!("{rest:?}"));
            let error: serde_json::Value = serde_json::from_str(data).expect("JSON");
            match dialect {
                Dialect::OpenAi => assert_eq!(error["error"]["code"], "upstream_error"),
                Dialect::Anthropic => assert_eq!(error["error"]["type"], "api_error"),
            }
            assert_eq!(rest.matches("\n\n").count(), 1, "one event follows: {rest:?}");
            assert_eq!(whole < said.len(), ending == Ending::CutInsideCharacter);
            let booked = world.only_call().await;
            assert_eq!(booked.outcome, Outcome::UpstreamError);
            assert!(booked.estimated && booked.cost > Money::ZERO, "{booked:?}");
            assert_eq!(world.level(Metric::Spend).await.1, "0.00", "nothing stays held");
        }
    }
}

#[tokio::test]
async fn a_stream_is_passed_on_while_it_comes() {
    for dialect in DIALECTS {
        let world = World::new().await;
        world.script("small", Script { hold: Some(Hold::MidStream), ..Script::default() });
        let mut stream = world.client.stream(dialect, &streamed(&named("small", dialect), 100)).await;
        stream.until("Hello").await;
        assert_eq!(world.upstream.served().at_once, 1, "the upstream is still speaking");
        world.upstream.release(1);
        let rest = stream.rest().await;
        assert!(rest.text().contains("side."), "{}", rest.text());
    }
}

#[tokio::test]
async fn a_finished_call_is_on_disk_before_its_client_has_the_last_byte() {
    for dialect in DIALECTS {
        for streams in [false, true] {
            let world = World::new().await;
            let name = named("small", dialect);
            let call = if streams { streamed(&name, 100) } else { body(&name, 100) };
            for calls in 1..=5 {
                // On a machine that is busy with other things the facts may not be certain in time, and a
                // call is told to come again: then nothing has finished.
                let answer = loop {
                    let answer = world.client.call(dialect, &call).await;
                    if answer.status != StatusCode::SERVICE_UNAVAILABLE {
                        break answer;
                    }
                };
                // Nobody waited for anything else.
                assert_eq!(
                    (answer.status, world.finished_on_disk()),
                    (StatusCode::OK, calls),
                    "{}",
                    answer.text()
                );
            }
            assert_eq!(world.ledger().await.len(), 5, "and is in the books a moment later");
        }
    }
}

/// What comes in crowds is written down together, and still before anybody hears of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_crowd_too_every_finished_call_is_on_disk_before_its_client_has_the_last_byte() {
    let world = World::new().await;
    let world = &world;
    let finished = std::sync::atomic::AtomicUsize::new(0);
    let one = async |turn: usize| {
        for _ in 0..20 {
            let call = if turn.is_multiple_of(4) { streamed("small", 100) } else { body("small", 100) };
            let answer = world.client.call(Dialect::OpenAi, &call).await;
            if answer.status == StatusCode::OK {
                // Everybody's calls that have come to their end are there, and perhaps more.
                let known = finished.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
                let on_disk = world.finished_on_disk();
                assert!(on_disk >= known, "{on_disk} of {known}");
            }
        }
    };
    futures_util::future::join_all((0..16).map(one)).await;
    let finished = finished.into_inner();
    assert!(finished > 0);
    assert_eq!(world.ledger().await.len(), finished);
    world.books_agree().await;
}

#[tokio::test]
async fn a_slow_stream_is_timed_from_its_call() {
    let world = World::new().await;
    let slow = Script { before_headers: Duration::from_millis(60), ..Script::default() };
    world.script("small", slow);
    world.client.call(Dialect::OpenAi, &streamed("small", 100)).await;
    let booked = world.only_call().await;
    assert!(booked.duration_ms >= 60, "{booked:?}");
    assert_eq!(booked.cost, cost(10, 20));
}
