//! What the explorer shows, as a file: the same server function with the same permit, written as
//! comma-separated values.

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use domain::explore::Explored;
use serde::Deserialize;

use crate::http::Console;

/// The largest answer: of thousands of things, a line for each of some hundred days.
const ANSWER_MAX: usize = 128 << 20;

/// The server function that answers.
const FUNCTION: &str = "/console/explore/table";

/// The parts of an address that say whose calls are counted; the others are arguments by themselves.
const FILTERS: [&str; 11] = [
    "group",
    "directly",
    "view",
    "application",
    "key",
    "user",
    "model",
    "tier",
    "provider",
    "use_case",
    "feature",
];

/// What the function answers, as far as it goes into the file.
#[derive(Deserialize)]
struct Answer {
    explored: Explored,
    csv: String,
}

/// Serves `/explore.csv` with the query of `/explore`.
pub async fn csv(console: &Console, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    let asked: Vec<(String, String)> =
        serde_urlencoded::from_str(parts.uri.query().unwrap_or_default()).unwrap_or_default();
    let fields: Vec<(String, String)> = asked
        .into_iter()
        .map(|(name, value)| {
            if FILTERS.contains(&name.as_str()) { (format!("filters[{name}]"), value) } else { (name, value) }
        })
        .filter(|(name, _)| name != "all")
        .chain([("all".to_owned(), "true".to_owned())])
        .collect();
    let Ok(body) = serde_urlencoded::to_string(fields) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    parts.method = Method::POST;
    parts.uri = Uri::from_static(FUNCTION);
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    let answer = console.server_function(Request::from_parts(parts, Body::from(body))).await;
    let status = answer.status();
    let Ok(bytes) = to_bytes(answer.into_body(), ANSWER_MAX).await else {
        let sentence = "That is too much for one file. Choose fewer days, or longer steps.\n";
        return (StatusCode::PAYLOAD_TOO_LARGE, sentence).into_response();
    };
    if !status.is_success() {
        let error: Result<app::error::AppError, _> = serde_json::from_slice(&bytes);
        let sentence = error.map_or_else(|_| "This did not work.".to_owned(), |error| error.sentence());
        return (status, sentence + "\n").into_response();
    }
    let Ok(Answer { explored, csv }) = serde_json::from_slice(&bytes) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let name = format!(
        "{}-by-{}-{}-{}.csv",
        explored.measure,
        explored.by,
        explored.period.from,
        explored.period.last()
    );
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    (headers, csv).into_response()
}
