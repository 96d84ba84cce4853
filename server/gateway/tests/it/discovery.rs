//! Asking a provider for its models, however badly it answers.

use std::time::Duration;

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Path, RawQuery},
    http::{HeaderMap, StatusCode},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use domain::providers::Dialect;
use gateway::{Probe, probe};
use serde_json::{Value, json};

/// How long an answer is waited for that comes.
const PATIENCE: Duration = Duration::from_secs(60);

fn list(first: usize, count: usize) -> Value {
    (first..first + count)
        .map(|number| json!({ "id": format!("model-{number:05}"), "object": "model" }))
        .collect()
}

/// Answers as the path says.
async fn answer(Path(how): Path<String>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let query = query.unwrap_or_default();
    match how.as_str() {
        "html" => Html("<h1>Welcome to the proxy</h1>").into_response(),
        "refuses" => (StatusCode::UNAUTHORIZED, Json(json!({ "error": {} }))).into_response(),
        "broken" => (StatusCode::INTERNAL_SERVER_ERROR, "oops").into_response(),
        "empty" => Json(json!({ "data": [] })).into_response(),
        "endless" => "x".repeat(9 << 20).into_response(),
        "silent" => std::future::pending().await,
        // A head at once, and then letter by letter for ever.
        "dribbles" => {
            let letters = futures_util::stream::unfold((), |()| async {
                tokio::time::sleep(Duration::from_millis(5)).await;
                Some((Ok::<_, std::convert::Infallible>(Bytes::from_static(b" ")), ()))
            });
            Body::from_stream(letters).into_response()
        }
        // Page after page, each in time and all of them too late.
        "lingers" => {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Json(json!({ "data": list(0, 1), "has_more": true, "last_id": "model-00000" })).into_response()
        }
        "many" => Json(json!({ "object": "list", "data": list(0, 10_000) })).into_response(),
        "pages" => {
            assert_eq!(headers["x-api-key"], "sk-ant", "every page is asked for with the credential");
            let after = query.split('&').find_map(|pair| pair.strip_prefix("after_id=model-"));
            let first = after.map_or(0, |number| number.parse::<usize>().expect("a number") + 1);
            let last = first + 999;
            Json(json!({ "data": list(first, 1000), "has_more": last < 9_999, "last_id": format!("model-{last:05}") }))
                .into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

#[tokio::test]
async fn a_provider_that_answers_badly_is_told_apart_and_a_long_list_is_read_whole() {
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let base = format!("http://{}", socket.local_addr().expect("an address"));
    let router = Router::new().route("/{how}/models", get(answer));
    tokio::spawn(async move { axum::serve(socket, router).await });
    let ask = async |how: &str, dialect, credential| -> Probe {
        probe(&format!("{base}/{how}"), dialect, credential, true, PATIENCE).await
    };
    for (how, status, says) in [
        ("html", None, "not with a list of models"),
        ("refuses", Some(401), "refuses the credential (status 401)"),
        ("broken", Some(500), "It answers with status 500."),
        ("empty", Some(200), "lists no models"),
        ("endless", None, "larger than a list of models"),
        ("nothing", Some(404), "has no list of models"),
    ] {
        let probe = ask(how, Dialect::OpenAi, Some("sk-upstream")).await;
        assert_eq!((probe.status, probe.models.len()), (status, 0), "{how}: {}", probe.sentence);
        assert!(probe.sentence.contains(says), "{how}: {}", probe.sentence);
    }
    for (how, dialect) in [("many", Dialect::OpenAi), ("pages", Dialect::Anthropic)] {
        let probe = ask(how, dialect, Some("sk-ant")).await;
        assert_eq!(probe.sentence, "It answers and offers 10000 models.", "{how}");
        assert_eq!(probe.models.last().map(String::as_str), Some("model-09999"), "{how}");
    }
    // Nobody is there.
    let closed = probe("http://127.0.0.1:1/v1", Dialect::OpenAi, None, true, PATIENCE).await;
    assert_eq!(
        closed.sentence,
        "It cannot be reached: nothing takes connections at 127.0.0.1:1. Check the base URL and its port, and whether the provider runs."
    );
    let unknown = probe("http://nowhere.invalid/v1", Dialect::OpenAi, None, true, PATIENCE).await;
    assert!(
        unknown
            .sentence
            .starts_with("It cannot be reached: there is no host nowhere.invalid. Check the base URL"),
        "{}",
        unknown.sentence
    );
    // What answers in the clear is no partner for TLS.
    let clear = probe(&base.replace("http:", "https:"), Dialect::OpenAi, None, true, PATIENCE).await;
    assert!(clear.sentence.contains("no secure connection to 127.0.0.1"), "{}", clear.sentence);
    let private = probe("http://localhost:1/v1", Dialect::OpenAi, None, false, PATIENCE).await;
    assert!(private.sentence.contains("localhost leads to a private address"), "{}", private.sentence);
    // Nor is an address that is written out: that is asked of no resolver.
    let port = base.rsplit(':').next().unwrap_or_default();
    for host in [
        "127.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::7f00:1]",
        "[fec0::1]",
        "10.0.0.1",
        "169.254.169.254",
        "0.0.0.0",
    ] {
        for scheme in ["http", "https"] {
            let address = format!("{scheme}://{host}:{port}/v1");
            let private = probe(&address, Dialect::OpenAi, None, false, PATIENCE).await;
            let says = format!("It cannot be reached: {host} leads to a private address");
            assert!(private.sentence.starts_with(&says), "{address}: {}", private.sentence);
        }
    }
}

#[tokio::test]
async fn a_provider_that_is_slow_is_waited_for_as_long_as_was_said_and_no_longer() {
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let host = socket.local_addr().expect("an address").to_string();
    let base = format!("http://{host}");
    let router = Router::new().route("/{how}/models", get(answer));
    tokio::spawn(async move { axum::serve(socket, router).await });
    for (how, dialect) in
        [("silent", Dialect::OpenAi), ("dribbles", Dialect::OpenAi), ("lingers", Dialect::Anthropic)]
    {
        let address = format!("{base}/{how}");
        let probe = probe(&address, dialect, None, true, Duration::from_millis(500)).await;
        assert_eq!((probe.status, probe.models.len()), (None, 0), "{how}: {}", probe.sentence);
        let says =
            format!("{host} did not answer within 0.5 seconds. Check the base URL, or try again later.");
        assert_eq!(probe.sentence, says, "{how}");
    }
}
