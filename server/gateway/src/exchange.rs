//! A call goes to one model: decided, reserved, sent, and handed on. However this ends, the books
//! are closed.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{body::Body, response::Response};
use domain::{
    ids::{CallId, ModelId, PolicyId},
    spend::Outcome,
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

use crate::{
    Gateway,
    authenticate::Caller,
    authorize::{Authorized, authorize},
    forward::{self, Failure, forward},
    headroom,
    meter::Metered,
    prompts::Listener,
    reserve::{Held, reserve},
    settle::Books,
    wire::{
        Route,
        answer::Seen,
        refusal::{Kind, Refusal},
        request::Request,
    },
};

/// An answer that is not a stream and larger than this is cut off.
const ANSWER_MAX: usize = 64 << 20;

/// What a call brings along, whichever model it goes to.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    pub route: Route,
    pub query: Option<&'a str>,
    pub headers: &'a HeaderMap,
    /// How long the head of the answer is waited for.
    pub head: Duration,
    pub started: Instant,
}

/// How it went.
#[derive(Debug)]
pub enum Turn {
    /// There is an answer, and the client gets it.
    Answered(Response),
    /// The provider was down, overloaded or not ours to ask, and nothing has been said: another
    /// model may answer. This is what the client gets if none does.
    Failed(Result<Response, Refusal>, String),
    /// The provider was not asked.
    Refused(Refusal),
}

impl Turn {
    /// What the client gets if nobody else is asked.
    pub fn answer(self) -> Result<Response, Refusal> {
        match self {
            Self::Answered(response) => Ok(response),
            Self::Failed(answer, _) => answer,
            Self::Refused(refusal) => Err(refusal),
        }
    }

    /// Looks at a refusal.
    #[must_use]
    pub fn inspect_refused(self, look: impl FnOnce(&Refusal)) -> Self {
        if let Self::Refused(refusal) = &self {
            look(refusal);
        }
        self
    }

    fn failed(refusal: Refusal) -> Self {
        let reason = refusal.kind.code().to_owned();
        Self::Failed(Err(refusal), reason)
    }
}

/// Statuses after which another model may answer: those the official SDKs try again after (408,
/// 409, 429, everything from 500 on, with Anthropic's 529 among them). A 400 or a 404 is about the
/// call itself and goes to the client.
fn another_may_answer(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 409 | 429 | 500..)
}

/// Statuses of a provider that is down or overloaded, whatever it was sent.
fn is_down(status: StatusCode) -> bool {
    matches!(status.as_u16(), 502 | 503 | 504 | 529)
}

/// Takes a call to a model, step by step.
pub async fn attempt(
    gateway: &Arc<Gateway>,
    caller: Caller,
    request: Request,
    (model, policy): (ModelId, Option<PolicyId>),
    sent: Sent<'_>,
) -> Turn {
    let authorized = match authorize(gateway, caller, request, sent.route, model, policy) {
        Ok(authorized) => authorized,
        Err(refusal) => return Turn::Refused(refusal),
    };
    if let Err(refusal) = is_well(gateway, &authorized) {
        return Turn::failed(refusal);
    }
    if sent.route == Route::CountTokens {
        return count(gateway, authorized, sent).await;
    }
    match reserve(gateway, authorized, sent.started).await {
        Ok(held) => exchange(gateway, held, sent).await,
        Err(refusal) => Turn::Refused(refusal),
    }
}

/// Whether the provider has answered lately. One that has not is left alone before anything is held.
fn is_well(gateway: &Gateway, authorized: &Authorized) -> Result<(), Refusal> {
    let Some(model) = authorized.model() else { return Ok(()) };
    let Err(left) = gateway.health.check(model.provider, Instant::now()) else { return Ok(()) };
    let message = "The provider did not answer the last calls and is left alone for a moment.";
    let mut refusal = Refusal::new(Kind::UpstreamError, authorized.caller.id, message);
    refusal.retry_after = Some(left.as_secs().max(1));
    Err(refusal)
}

/// Sends; tells how the provider is.
async fn ask(
    gateway: &Gateway,
    authorized: &Authorized,
    max_output: Option<u64>,
    sent: Sent<'_>,
) -> Result<http::Response<Incoming>, Failure> {
    let Sent { query, headers, head, .. } = sent;
    let answer = forward(&gateway.upstream, head, authorized, max_output, query, headers).await;
    let Some(provider) = authorized.model().map(|model| model.provider) else { return answer };
    match &answer {
        Ok(answer) if !is_down(answer.status()) => gateway.health.answered(provider),
        Err(failure) if !failure.is_down => {}
        _ => gateway.health.failed(provider, Instant::now()),
    }
    if let Ok(answer) = &answer
        && another_may_answer(answer.status())
        && let Some(pause) = pause(answer.headers())
    {
        gateway.health.rest(authorized.model, pause, Instant::now());
    }
    answer
}

/// `Retry-After` in seconds; dates are rare, and a policy goes on without them.
fn pause(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

fn unanswered(id: CallId, failure: &Failure) -> Refusal {
    tracing::warn!(call = %id, cause = failure.cause, "the provider did not answer");
    let message = match failure.kind {
        Kind::UpstreamTimeout => "The provider did not answer in time.",
        _ => "The provider cannot be reached.",
    };
    Refusal::new(failure.kind, id, message)
}

/// A provider that refuses our credential: that is not the caller's.
fn credential_refused(id: CallId, status: StatusCode) -> Option<Refusal> {
    if !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        return None;
    }
    tracing::error!(call = %id, %status, "a provider refuses our credential");
    let message =
        "The provider refused Bursar's own credential. An admin has to look at the provider's page.";
    Some(Refusal::new(Kind::UpstreamError, id, message))
}

/// Sends a held call and hands its answer on.
async fn exchange(gateway: &Arc<Gateway>, held: Held, sent: Sent<'_>) -> Turn {
    let Held { authorized, mut books, max_output, lowered, levels } = held;
    let id = books.id();
    let listener = Listener::of(gateway, &authorized);
    let upstream = match ask(gateway, &authorized, max_output, sent).await {
        Ok(upstream) => upstream,
        Err(failure) => {
            if failure.may_be_billed {
                books.close_doubtful();
            } else {
                books.release();
            }
            return Turn::failed(unanswered(id, &failure));
        }
    };
    let status = upstream.status();
    books.answered(status.as_u16());
    if let Some(refusal) = credential_refused(id, status) {
        books.close_error();
        return Turn::failed(refusal);
    }
    let (parts, body) = upstream.into_parts();
    let mut headers = head(&parts.headers, &authorized, id);
    if let Some(most) = max_output.filter(|_| lowered) {
        headers.insert("x-bursar-max-tokens", HeaderValue::from(most));
    }
    headroom::rate_headers(sent.route.dialect(), &levels, &mut headers);
    let body = if status.is_success() && is_stream(&parts.headers) {
        let hides = sent.route == Route::ChatCompletions && !authorized.request.wants_usage;
        Body::new(Metered::new(Arc::clone(gateway), body, books, hides, listener))
    } else {
        match whole(body, books, status, gateway.settings.patience.head, listener).await {
            Ok(body) => body,
            Err(refusal) => return Turn::failed(refusal),
        }
    };
    finish(status, headers, body)
}

/// Counts tokens: decided like a call, and free.
async fn count(gateway: &Gateway, authorized: Authorized, sent: Sent<'_>) -> Turn {
    let id = authorized.caller.id;
    let upstream = match ask(gateway, &authorized, None, sent).await {
        Ok(upstream) => upstream,
        Err(failure) => return Turn::failed(unanswered(id, &failure)),
    };
    let status = upstream.status();
    if let Some(refusal) = credential_refused(id, status) {
        return Turn::failed(refusal);
    }
    let (parts, body) = upstream.into_parts();
    let headers = head(&parts.headers, &authorized, id);
    match collect(body, gateway.settings.patience.head).await {
        Ok(body) => finish(status, headers, Body::from(body)),
        Err(cause) => Turn::failed(broken_off(id, &cause)),
    }
}

fn finish(status: StatusCode, headers: HeaderMap, body: Body) -> Turn {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    if another_may_answer(status) {
        Turn::Failed(Ok(response), format!("upstream_{}", status.as_u16()))
    } else {
        Turn::Answered(response)
    }
}

fn is_stream(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|kind| kind.starts_with("text/event-stream"))
}

/// The head of an answer: the provider's, the call's id, and which model a policy chose.
fn head(upstream: &HeaderMap, authorized: &Authorized, id: CallId) -> HeaderMap {
    let mut headers = forward::answer_headers(upstream);
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        headers.insert("x-request-id", value);
    }
    if authorized.policy.is_some()
        && let Some(value) = authorized.model().and_then(|model| HeaderValue::from_str(&model.name).ok())
    {
        headers.insert("x-bursar-model", value);
    }
    headers
}

async fn collect(body: Incoming, within: Duration) -> Result<bytes::Bytes, String> {
    match tokio::time::timeout(within, Limited::new(body, ANSWER_MAX).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("not whole within {} s", within.as_secs())),
    }
}

fn broken_off(id: CallId, cause: &str) -> Refusal {
    tracing::warn!(call = %id, cause, "an answer broke off");
    Refusal::new(Kind::UpstreamError, id, "The provider broke off in the middle of its answer.")
}

/// An answer that is not a stream: read whole, booked, then handed on.
async fn whole(
    body: Incoming,
    mut books: Books,
    status: StatusCode,
    within: Duration,
    listener: Option<Box<Listener>>,
) -> Result<Body, Refusal> {
    let (id, route) = (books.id(), books.route());
    let collected = collect(body, within).await;
    books.first_byte();
    let bytes = match collected {
        Ok(bytes) => bytes,
        Err(cause) => {
            books.close_doubtful();
            return Err(broken_off(id, &cause));
        }
    };
    if let Some(mut listener) = listener {
        listener.hear(&bytes);
    }
    if status.is_success() {
        let mut seen = Seen::new(route, false);
        seen.whole(&bytes);
        books.close(&seen, Outcome::Ok);
    } else {
        books.close_error();
    }
    Ok(Body::from(bytes))
}
