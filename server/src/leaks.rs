//! `POST /api/v1/secrets/leaked`: whoever finds a secret has it killed. No sign-in, no secret of their
//! own; the answer never says whether it was one of ours.

use app::{backend::may_report, frame::Asked};
use axum::{
    Extension,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use store::Store;

/// The largest report: a secret is 45 characters.
pub const BODY_MAX: usize = 4 << 10;

#[derive(Deserialize)]
struct Report {
    secret: String,
}

/// The secret in a report: `{"secret": "bsr_live_…"}`, or nothing but the secret itself.
fn secret(headers: &HeaderMap, body: &[u8]) -> Option<String> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if kind.starts_with("application/json") {
        return serde_json::from_slice::<Report>(body).ok().map(|report| report.secret);
    }
    std::str::from_utf8(body).ok().map(str::to_owned)
}

/// Takes a report. 202 for every secret, known or not; 429 when there are too many reports, 503 when
/// the database does not answer: then the reporter tries again.
pub async fn report(
    State(store): State<Store>,
    asked: Option<Extension<Asked>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !may_report() {
        return (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "1")], "Too many reports at once.\n")
            .into_response();
    }
    let Some(secret) = secret(&headers, &body) else {
        let how =
            "Send {\"secret\": \"bsr_live_…\"} as application/json, or the secret alone as text/plain.\n";
        return (StatusCode::BAD_REQUEST, how).into_response();
    };
    let whence = asked.as_ref().map(|asked| (asked.id.as_str(), asked.address.as_deref()));
    match store::leaks::report_from(&store, &secret, whence).await {
        Ok(_) => (StatusCode::ACCEPTED, "Thank you. If it is one of ours, it is dead now.\n").into_response(),
        Err(error) => {
            tracing::warn!(%error, "a leak report could not be taken");
            (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], "Try again in a moment.\n")
                .into_response()
        }
    }
}
