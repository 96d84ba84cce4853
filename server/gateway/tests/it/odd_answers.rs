//! Providers that answer otherwise than they say, or than they were asked: nothing is lost of it, and it
//! never counts as nothing.

use bench::upstream::{Hold, Script};
use domain::{
    guardrails::{Action, Guard},
    money::Money,
    providers::Dialect,
    spend::Outcome,
};
use http::StatusCode;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{
    client::{DIALECTS, body, streamed},
    world::{World, cost, named},
};

/// Where everybody who asks gets these bytes, and the connection is closed behind them.
async fn saying(answer: Vec<u8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("its address").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move { say(stream, &answer).await });
        }
    });
    port
}

async fn say(mut stream: TcpStream, answer: &[u8]) -> std::io::Result<()> {
    let mut asked = Vec::new();
    while !asked.ends_with(b"}") {
        stream.read_buf(&mut asked).await?;
    }
    stream.write_all(answer).await?;
    stream.shutdown().await?;
    // Whoever closes while the other still says something is not heard to the end.
    stream.read_to_end(&mut asked).await.map(drop)
}

fn answer(head: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n").as_bytes(), body].concat()
}

/// What one token of input and all of the output cost that was held for this call.
fn in_full(call: &serde_json::Value, output: u64) -> Money {
    cost(gateway::wire::estimate::input_tokens(&call.to_string()), output)
}

/// The key takes e-mail addresses out of what is asked and answered.
async fn mask_addresses(world: &World) {
    let mut change = world.change().await;
    world
        .edit_key(&mut change, |form| {
            form.handling.guardrails = form.handling.guardrails.with(Guard::Email, Some(Action::Mask));
            form.handling.guardrails.answers = true;
        })
        .await;
    change.commit().await.expect("it");
}

#[tokio::test]
async fn an_answer_in_a_coding_nobody_asked_for_goes_on_as_it_is_and_counts_in_full() {
    let world = World::new().await;
    let coded = b"\x1f\x8b\x08\x00not to be read by anybody here";
    for (kind, call) in [
        ("application/json", body("small", 16)),
        ("application/json", streamed("small", 16)),
        ("text/event-stream", streamed("small", 16)),
    ] {
        let head =
            format!("content-type: {kind}\r\ncontent-encoding: gzip\r\ncontent-length: {}", coded.len());
        world.lead_to(Dialect::OpenAi, saying(answer(&head, coded)).await).await;
        let given = world.client.call(Dialect::OpenAi, &call).await;
        assert_eq!((given.status, given.header("content-encoding")), (StatusCode::OK, Some("gzip")));
        assert_eq!(given.body, coded.as_slice(), "byte for byte");
        let booked = &world.ledger().await[0];
        assert_eq!((booked.outcome, booked.estimated), (Outcome::Ok, true));
        assert_eq!(booked.cost, in_full(&call, 16));
    }
    // A key that looks into answers lets nothing through that it cannot look into.
    mask_addresses(&world).await;
    let given = world.client.call(Dialect::OpenAi, &streamed("small", 16)).await;
    assert_eq!(given.status, StatusCode::BAD_GATEWAY, "{}", given.text());
    assert!(given.text().contains("in a coding that was not asked for"), "{}", given.text());
    assert!(world.ledger().await[0].cost > Money::ZERO, "it was paid for");
    world.books_agree().await;
}

#[tokio::test]
async fn usage_that_no_call_can_have_is_none_and_books_go_on() {
    let world = World::new().await;
    let call = body("small", 16);
    for usage in [
        r#"{"prompt_tokens":9223372036854775800,"completion_tokens":7}"#,
        r#"{"prompt_tokens":18446744073709551615,"completion_tokens":18446744073709551615}"#,
        // Half of it is none either.
        r#"{"prompt_tokens":11}"#,
        r#"{"completion_tokens":7}"#,
        r#"{"prompt_tokens":11,"completion_tokens":null}"#,
    ] {
        let said = format!(r#"{{"id":"c","choices":[{{"message":{{"content":"Hello"}}}}],"usage":{usage}}}"#);
        let head = format!("content-type: application/json\r\ncontent-length: {}", said.len());
        world.lead_to(Dialect::OpenAi, saying(answer(&head, said.as_bytes())).await).await;
        for _ in 0..2 {
            let given = world.client.call(Dialect::OpenAi, &call).await;
            assert_eq!(given.status, StatusCode::OK, "{}", given.text());
        }
        let booked = world.ledger().await;
        for booked in &booked[..2] {
            assert!(booked.estimated && booked.cost > Money::ZERO, "{usage}: {booked:?}");
            assert!(booked.usage.output_tokens() > 0, "{usage}: {booked:?}");
        }
    }
    assert_eq!(world.ledger().await.len(), 10, "every call is in the books");
    world.books_agree().await;
}

#[tokio::test]
async fn nobody_is_led_past_the_gateway() {
    let world = World::new().await;
    for status in ["301 Moved Permanently", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let answer = format!(
            "HTTP/1.1 {status}\r\nlocation: http://127.0.0.1:9/v1/elsewhere\r\ncontent-length: 0\r\n\r\n"
        );
        world.lead_to(Dialect::OpenAi, saying(answer.into_bytes()).await).await;
        for call in [body("small", 16), streamed("small", 16)] {
            let given = world.client.call(Dialect::OpenAi, &call).await;
            assert_eq!(given.status, StatusCode::BAD_GATEWAY, "{}", given.text());
            assert_eq!(given.header("location"), None);
            assert!(given.text().contains("answered with another address"), "{}", given.text());
            let booked = &world.ledger().await[0];
            assert_eq!((booked.outcome, booked.cost), (Outcome::UpstreamError, Money::ZERO));
        }
    }
    world.books_agree().await;
}

#[tokio::test]
async fn an_answer_under_another_name_is_read_for_what_it_is() {
    let world = World::new().await;
    let usage = r#""usage":{"prompt_tokens":7,"completion_tokens":5}"#;
    let stream = format!(
        "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"Hi\"}}}}]}}\n\ndata: {{\"choices\":[],{usage}}}\n\ndata: [DONE]\n\n"
    );
    let whole = format!(r#"{{"id":"c","choices":[],{usage}}}"#);
    for (kind, said, call) in [
        ("Text/Event-Stream; charset=utf-8", &stream, streamed("small", 16)),
        ("text/plain", &stream, streamed("small", 16)),
        ("application/json", &stream, streamed("small", 16)),
        ("text/html", &whole, body("small", 16)),
        // It was asked for a stream and does not make one.
        ("application/json", &whole, streamed("small", 16)),
    ] {
        let head = format!("content-type: {kind}\r\ncontent-length: {}", said.len());
        world.lead_to(Dialect::OpenAi, saying(answer(&head, said.as_bytes())).await).await;
        let mut call = call;
        call["stream_options"] = json!({ "include_usage": true });
        let given = world.client.call(Dialect::OpenAi, &call).await;
        assert_eq!(given.status, StatusCode::OK, "{}", given.text());
        assert_eq!(given.text(), *said, "{kind}");
        let booked = &world.ledger().await[0];
        assert_eq!((booked.cost, booked.estimated), (cost(7, 5), false), "{kind}");
    }
    world.books_agree().await;
}

#[tokio::test]
async fn an_answer_of_another_length_than_it_says_is_no_other_calls_answer() {
    let world = World::new().await;
    let said = r#"{"id":"c","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":5}}"#;
    let length = |length: usize| format!("content-type: application/json\r\ncontent-length: {length}");
    // It ends before it is whole.
    world.lead_to(Dialect::OpenAi, saying(answer(&length(said.len() + 1), said.as_bytes())).await).await;
    let call = body("small", 16);
    let given = world.client.call(Dialect::OpenAi, &call).await;
    assert_eq!(given.status, StatusCode::BAD_GATEWAY, "{}", given.text());
    let booked = &world.ledger().await[0];
    assert_eq!((booked.cost, booked.estimated), (in_full(&call, 16), true));
    // There is more of it, made to look like an answer of its own.
    let more = [answer(&length(9), &said.as_bytes()[..9]), answer(&length(6), b"forged")].concat();
    world.lead_to(Dialect::OpenAi, saying(more).await).await;
    for _ in 0..3 {
        let given = world.client.call(Dialect::OpenAi, &call).await;
        assert_eq!(given.body, said.as_bytes()[..9], "{}", given.text());
        let booked = &world.ledger().await[0];
        assert!(booked.estimated && booked.cost > Money::ZERO, "{booked:?}");
    }
    world.books_agree().await;
}

#[tokio::test]
async fn a_client_hears_something_while_its_provider_thinks_and_the_answer_stays_as_it_is() {
    let world = World::with(|settings| settings.patience.beat = std::time::Duration::from_millis(50)).await;
    for dialect in DIALECTS {
        world.script("small", Script { hold: Some(Hold::MidStream), ..Script::default() });
        let mut call = streamed(&named("small", dialect), 100);
        if dialect == Dialect::OpenAi {
            call["stream_options"] = json!({ "include_usage": true });
        }
        let mut stream = world.client.stream(dialect, &call).await;
        let mut heard = stream.until(": still waiting for the provider\n\n").await;
        world.upstream.release(1);
        heard += &stream.rest().await.text();
        let answer: String =
            heard.split_inclusive("\n\n").filter(|event| !event.starts_with(": still waiting")).collect();
        let said = world.upstream.asked().pop().expect("a call").said();
        assert_eq!(answer, String::from_utf8_lossy(&said), "{dialect}");
        let booked = &world.ledger().await[0];
        assert_eq!((booked.cost, booked.estimated), (cost(10, 20), false));
    }
    world.books_agree().await;
}

#[tokio::test]
async fn what_is_masked_cannot_be_read_in_what_says_the_text_again() {
    let world = World::new().await;
    mask_addresses(&world).await;
    let pieces = ["write to ada", "@math.", "example now"];
    let chunk = |choice: serde_json::Value| format!("data: {}\n\n", json!({ "choices": [choice] }));
    let thought = pieces.iter().map(|piece| {
        let details = json!([{ "type": "reasoning.text", "text": piece }]);
        let delta = json!({ "content": "", "reasoning": piece, "reasoning_details": details });
        chunk(json!({ "index": 0, "delta": delta }))
    });
    let said = pieces.iter().map(|piece| {
        let tokens = json!([{ "token": piece, "logprob": -0.1, "top_logprobs": [{ "token": piece }] }]);
        let delta = json!({ "content": piece, "audio": { "transcript": piece } });
        chunk(json!({ "index": 0, "delta": delta, "logprobs": { "content": tokens } }))
    });
    let chunks: String = thought.chain(said).collect();
    let usage = r#"data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":5}}"#;
    let stream = format!("{chunks}{usage}\n\ndata: [DONE]\n\n");
    let whole = json!({
        "choices": [{ "message": { "content": pieces.concat() }, "logprobs": { "content": [{ "token": "ada" }, { "token": "@math.", "bytes": [64, 109] }] } }],
        "usage": { "prompt_tokens": 7, "completion_tokens": 5 },
    })
    .to_string();
    for (kind, said, call) in
        [("text/event-stream", stream, streamed("small", 16)), ("application/json", whole, body("small", 16))]
    {
        let head = format!("content-type: {kind}\r\ncontent-length: {}", said.len());
        world.lead_to(Dialect::OpenAi, saying(answer(&head, said.as_bytes())).await).await;
        let given = world.client.call(Dialect::OpenAi, &call).await;
        assert_eq!(given.status, StatusCode::OK, "{}", given.text());
        let text = given.text();
        assert!(text.contains("[e-mail address removed]"), "{text}");
        for part in ["ada", "@math", "109"] {
            assert!(!text.contains(part), "{part}: {text}");
        }
    }
    world.quiet().await;
    assert!(world.ledger().await.iter().all(|call| call.cost == cost(7, 5)));
}
