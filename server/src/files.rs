//! What a page shows, for a file of it: asked of the page's own server function, which decides who may
//! see what.

use axum::{
    body::{Body, Bytes, to_bytes},
    http::{HeaderValue, Method, Request, StatusCode, Uri, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::de::DeserializeOwned;

use crate::http::Console;

/// The largest answer: of thousands of things, a line for each of some hundred days.
const ANSWER_MAX: usize = 128 << 20;

/// The parts of an address that say whose calls are counted; the others are arguments by themselves.
const FILTERS: [&str; 12] = [
    "group",
    "without",
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

/// Asks a server function what the page of this address shows. `instead`: arguments that are not taken from
/// the address.
///
/// # Errors
/// What to answer: the function's refusal as a sentence, or that it is too much for one file.
pub async fn ask<T: DeserializeOwned>(
    console: &Console,
    mut parts: Parts,
    function: &'static str,
    instead: &[(&str, &str)],
) -> Result<T, Response> {
    let asked: Vec<(String, String)> =
        serde_urlencoded::from_str(parts.uri.query().unwrap_or_default()).unwrap_or_default();
    let fields: Vec<(String, String)> = asked
        .into_iter()
        .filter(|(name, _)| !instead.iter().any(|(other, _)| name == other))
        .map(|(name, value)| {
            if FILTERS.contains(&name.as_str()) { (format!("filters[{name}]"), value) } else { (name, value) }
        })
        .chain(instead.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
        .collect();
    let body = serde_urlencoded::to_string(fields).map_err(|_| StatusCode::BAD_REQUEST.into_response())?;
    parts.method = Method::POST;
    parts.uri = Uri::from_static(function);
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    let answer = console.server_function(Request::from_parts(parts, Body::from(body))).await;
    let status = answer.status();
    let bytes: Bytes = to_bytes(answer.into_body(), ANSWER_MAX).await.map_err(|_| {
        let sentence = "That is too much for one file. Choose fewer days, or longer steps.\n";
        (StatusCode::PAYLOAD_TOO_LARGE, sentence).into_response()
    })?;
    if !status.is_success() {
        let error: Result<app::error::AppError, _> = serde_json::from_slice(&bytes);
        let sentence = error.map_or_else(|_| "This did not work.".to_owned(), |error| error.sentence());
        return Err((status, sentence + "\n").into_response());
    }
    serde_json::from_slice(&bytes).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// The headers of a table that is saved under this name.
pub fn headers(name: &str) -> [(header::HeaderName, String); 3] {
    [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ]
}
