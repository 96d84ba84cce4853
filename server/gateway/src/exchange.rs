//! A call goes to one model: decided, reserved, sent, and handed on. However this ends, the books
//! are closed.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use domain::{
    ids::{CallId, ModelId, PolicyId},
    money::Money,
    policies::Trouble,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

use crate::{
    Gateway,
    authenticate::Caller,
    authorize::{Authorized, authorize},
    cache::{self, Kept, Slot},
    forward::{self, Failure, forward},
    guard, headroom,
    in_flight::Ending,
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

/// Says whether an answer is an old one, where the key keeps answers.
const CACHE: &str = "x-bursar-cache";

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What a call brings along, whichever model it goes to.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    pub route: Route,
    pub query: Option<&'a str>,
    pub headers: &'a HeaderMap,
    /// How long a policy waits for the head of the answer, if less than the provider's own.
    pub head: Option<Duration>,
    pub started: Instant,
}

/// How it went.
#[derive(Debug)]
pub enum Turn {
    /// There is an answer, and the client gets it.
    Answered(Response),
    /// The provider was down, overloaded or not ours to ask, and nothing has been said: another
    /// model may answer. This is what the client gets if none does.
    Failed(Failed),
    /// The provider was not asked.
    Refused(Refusal),
}

/// A failure before anything was said.
#[derive(Debug)]
pub struct Failed {
    /// What the client gets if nobody else answers.
    pub answer: Result<Response, Refusal>,
    /// For `x-bursar-skipped`.
    pub reason: String,
    /// What went wrong.
    pub trouble: Trouble,
    /// Whether the same model may be tried again, because nothing can have been executed.
    pub again: bool,
}

impl Turn {
    /// What the client gets if nobody else is asked.
    pub fn answer(self) -> Result<Response, Refusal> {
        match self {
            Self::Answered(response) => Ok(response),
            Self::Failed(failed) => failed.answer,
            Self::Refused(refusal) => Err(refusal),
        }
    }

    fn failed(refusal: Refusal, trouble: Trouble, again: bool) -> Self {
        let reason = format!("upstream_{trouble}");
        Self::Failed(Failed { answer: Err(refusal), reason, trouble, again })
    }

    /// There was no answer.
    fn unanswered(id: CallId, failure: &Failure, booked: bool) -> Self {
        let trouble = match failure.kind {
            Kind::UpstreamTimeout => Trouble::Timeout,
            _ => Trouble::Connection,
        };
        let refusal = Refusal { booked, ..unanswered(id, failure) };
        Self::failed(refusal, trouble, !failure.may_be_billed)
    }
}

/// Statuses that say that nothing was executed: a call may be sent once more.
const fn untouched(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 503 | 529)
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
    let authorized = match authorize(&gateway.settings.public_url, caller, request, sent.route, model, policy)
    {
        Ok(authorized) => authorized,
        Err(refusal) => return Turn::Refused(refusal),
    };
    let slot = cache::slot(gateway, &authorized, &sent);
    if let Some(kept) = slot.as_ref().and_then(|slot| gateway.cache.get(slot)) {
        return replay(gateway, authorized, &kept, sent).await;
    }
    if let Err(refusal) = is_well(gateway, &authorized) {
        return Turn::failed(refusal, Trouble::Connection, false);
    }
    if sent.route == Route::CountTokens {
        return Box::pin(count(gateway, authorized, sent)).await;
    }
    match reserve(gateway, authorized, sent.started, false).await {
        Ok(held) => exchange(gateway, held, sent, slot).await,
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
    let patience = gateway.settings.patience.with(authorized.provider());
    let head = head.map_or(patience.head, |head| head.min(patience.head)).min(patience.total);
    let waits = (patience.connection, head);
    let answer = forward(&gateway.upstream, waits, authorized, max_output, query, headers).await;
    let Some(provider) = authorized.model().map(|model| model.provider) else { return answer };
    match &answer {
        Ok(answer) if !is_down(answer.status()) => gateway.health.answered(provider),
        Err(failure) if !failure.is_down => {}
        _ => gateway.health.failed(provider, Instant::now()),
    }
    if let Ok(answer) = &answer
        && Trouble::of_status(answer.status().as_u16()).is_some()
        && let Some(pause) = pause(answer.headers())
    {
        gateway.health.rest(authorized.model, pause, Instant::now());
    }
    answer
}

/// `Retry-After` in seconds; dates are rare, and a policy goes on without them.
pub fn pause(headers: &HeaderMap) -> Option<Duration> {
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

/// A provider that answers with another address. It is not followed, and not told either: clients would follow it,
/// with what they have to say, past everything that is decided and counted here.
fn sent_elsewhere(id: CallId, status: StatusCode) -> Refusal {
    tracing::error!(call = %id, %status, "a provider answers with another address");
    let message = "The provider answered with another address, which Bursar does not follow. \
                   An admin has to look at the provider's page.";
    Refusal::new(Kind::UpstreamError, id, message)
}

/// Sends a held call and hands its answer on.
async fn exchange(gateway: &Arc<Gateway>, held: Held, sent: Sent<'_>, slot: Option<Slot>) -> Turn {
    let Held { authorized, mut books, max_output, lowered, levels } = held;
    let id = books.id();
    let patience = gateway.settings.patience.with(authorized.provider());
    let until = Instant::now() + patience.total;
    let listener = Listener::of(gateway, &authorized);
    let answered = tokio::select! {
        biased;
        answered = ask(gateway, &authorized, max_output, sent) => answered,
        ending = ended(&books) => return end(books, ending),
    };
    let upstream = match answered {
        Ok(upstream) => upstream,
        Err(failure) => {
            if failure.may_be_billed {
                books.close_doubtful();
            } else {
                books.release();
            }
            return Turn::unanswered(id, &failure, failure.may_be_billed);
        }
    };
    let status = upstream.status();
    books.answered(status.as_u16());
    if let Some(refusal) = credential_refused(id, status) {
        books.close_error();
        return Turn::failed(refusal.booked(), Trouble::Credential, false);
    }
    if status.is_redirection() {
        books.close_error();
        return Turn::failed(sent_elsewhere(id, status).booked(), Trouble::Connection, false);
    }
    let (parts, body) = upstream.into_parts();
    let mut headers = head(&parts.headers, &authorized, id);
    if let Some(most) = max_output.filter(|_| lowered) {
        headers.insert("x-bursar-max-tokens", HeaderValue::from(most));
    }
    headroom::rate_headers(sent.route.dialect(), &levels, &mut headers);
    if slot.is_some() {
        headers.insert(CACHE, HeaderValue::from_static("miss"));
    }
    let coded = is_coded(&parts.headers);
    // An answer that was made shorter than asked for, or that is no plain yes, is not given again.
    let slot = slot.filter(|_| !lowered && !coded && status == StatusCode::OK);
    let body = if status.is_success() && is_stream(&parts.headers) && !coded {
        let times = ((patience.beat, patience.silence), until);
        let metered = Metered::new(Arc::clone(gateway), body, books, &authorized.request, slot, times);
        let watch = guard::streamed::Watch::of(&gateway.store, &authorized.caller, sent.route);
        Body::new(metered.heard_by(listener).watched_by(watch))
    } else {
        let within = until.saturating_duration_since(Instant::now()).min(patience.head);
        let how = Whole { status, coded, within, listener };
        match whole(gateway, &authorized.caller, body, books, how).await {
            Ok((body, cost)) => {
                if let Some(slot) = &slot {
                    gateway.cache.keep_whole(slot, &headers, &body, cost);
                }
                Body::from(body)
            }
            Err(turn) => return *turn,
        }
    };
    finish(status, headers, body)
}

/// Gives an answer again: decided and counted like any call, and free.
async fn replay(gateway: &Arc<Gateway>, authorized: Authorized, kept: &Kept, sent: Sent<'_>) -> Turn {
    let Held { authorized, mut books, levels, .. } =
        match reserve(gateway, authorized, sent.started, true).await {
            Ok(held) => held,
            Err(refusal) => return Turn::Refused(refusal),
        };
    let mut headers = head(&HeaderMap::new(), &authorized, books.id());
    headers.insert(header::CONTENT_TYPE, kept.content_type.clone());
    headers.insert(CACHE, HeaderValue::from_static("hit"));
    headroom::rate_headers(sent.route.dialect(), &levels, &mut headers);
    books.answered(StatusCode::OK.as_u16());
    books.first_byte();
    books.close_cached(kept.cost);
    finish(StatusCode::OK, headers, Body::from(kept.body.clone()))
}

/// Waits until the call is to end. Owns its seat: the books go on meanwhile.
fn ended(books: &Books) -> impl Future<Output = Ending> + use<> {
    let seat = Arc::clone(books.seat());
    async move { seat.ended().await }
}

/// Ends a call that has said nothing yet. Nobody else is asked for it.
fn end(books: Books, ending: Ending) -> Turn {
    let (refusal, dialect) = (ending.refusal(books.id()), books.route().dialect());
    books.close_ended();
    Turn::Answered(refusal.into_response(dialect))
}

/// Counts tokens: decided like a call, and free.
async fn count(gateway: &Gateway, authorized: Authorized, sent: Sent<'_>) -> Turn {
    let id = authorized.caller.id;
    let upstream = match ask(gateway, &authorized, None, sent).await {
        Ok(upstream) => upstream,
        Err(failure) => return Turn::unanswered(id, &failure, false),
    };
    let status = upstream.status();
    if let Some(refusal) = credential_refused(id, status) {
        return Turn::failed(refusal, Trouble::Credential, false);
    }
    if status.is_redirection() {
        return Turn::failed(sent_elsewhere(id, status), Trouble::Connection, false);
    }
    let (parts, body) = upstream.into_parts();
    let headers = head(&parts.headers, &authorized, id);
    let patience = gateway.settings.patience.with(authorized.provider());
    match collect(body, patience.head.min(patience.total)).await {
        Ok(body) => finish(status, headers, Body::from(body)),
        Err(cause) => Turn::failed(broken_off(id, &cause), Trouble::Connection, false),
    }
}

fn finish(status: StatusCode, headers: HeaderMap, body: Body) -> Turn {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    let Some(trouble) = Trouble::of_status(status.as_u16()) else { return Turn::Answered(response) };
    let reason = format!("upstream_{}", status.as_u16());
    Turn::Failed(Failed { answer: Ok(response), reason, trouble, again: untouched(status) })
}

fn is_stream(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.as_bytes().get(..STREAM.len()))
        .is_some_and(|kind| kind.eq_ignore_ascii_case(STREAM))
}

/// What a stream of events is called.
const STREAM: &[u8] = b"text/event-stream";

/// Whether an answer came in a coding, which nobody asked for and nobody here can read.
fn is_coded(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::CONTENT_ENCODING).into_iter();
    codings.any(|value| !value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity"))
}

/// The head of an answer: the provider's, the call's id, which model a policy chose, and what of the request
/// was left out.
fn head(upstream: &HeaderMap, authorized: &Authorized, id: CallId) -> HeaderMap {
    let mut headers = forward::answer_headers(upstream);
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        headers.insert(&REQUEST_ID, value);
    }
    if authorized.policy.is_some()
        && let Some(value) = authorized.model().and_then(|model| HeaderValue::from_str(&model.name).ok())
    {
        headers.insert("x-bursar-model", value);
    }
    let left_out = &authorized.request.left_out;
    if !left_out.is_empty()
        && let Ok(value) = HeaderValue::from_str(&left_out.join(", "))
    {
        headers.insert("x-bursar-tools-left-out", value);
    }
    if let Err(label) = authorized.use_case() {
        // A name that no header can carry is left out without being named.
        let value = HeaderValue::from_str(label);
        let value = value.unwrap_or_else(|_| HeaderValue::from_static("unknown"));
        headers.insert("x-bursar-use-case-left-out", value);
    }
    headers
}

async fn collect(body: Incoming, within: Duration) -> Result<Bytes, String> {
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

/// How an answer is that is read whole.
struct Whole {
    status: StatusCode,
    /// Whether it came in a coding.
    coded: bool,
    /// How long it may take.
    within: Duration,
    listener: Option<Box<Listener>>,
}

/// An answer that is not a stream: read whole, booked, then handed on.
async fn whole(
    gateway: &Gateway,
    caller: &Caller,
    body: Incoming,
    mut books: Books,
    Whole { status, coded, within, listener }: Whole,
) -> Result<(Bytes, Money), Box<Turn>> {
    let (id, route) = (books.id(), books.route());
    let collected = tokio::select! {
        biased;
        collected = collect(body, within) => collected,
        ending = ended(&books) => return Err(Box::new(end(books, ending))),
    };
    books.first_byte();
    let bytes = match collected {
        Ok(bytes) => bytes,
        Err(cause) => {
            books.close_doubtful();
            let refusal = broken_off(id, &cause).booked();
            return Err(Box::new(Turn::failed(refusal, Trouble::Connection, false)));
        }
    };
    if coded && status.is_success() {
        tracing::warn!(call = %id, "an answer came in a coding that was not asked for");
        books.close_unread();
        if guard::looks_back(caller) {
            let message =
                "The provider answered in a coding that was not asked for, so this key cannot look into it.";
            let refusal = Refusal::new(Kind::UpstreamError, id, message).booked();
            return Err(Box::new(Turn::Answered(refusal.into_response(route.dialect()))));
        }
        return Ok((bytes, Money::ZERO));
    }
    let mut goes_on = Ok(bytes.clone());
    if let Some(answer) = guard::look_back(gateway, caller, &bytes).await {
        books.found(&answer.found);
        goes_on = answer.body;
    }
    if let (Some(mut listener), Ok(bytes)) = (listener, &goes_on) {
        listener.hear(bytes);
    }
    let cost = if status.is_success() {
        let mut seen = Seen::new(route, false);
        seen.whole(&bytes);
        books.close_whole(&seen).await
    } else {
        books.close_error();
        Money::ZERO
    };
    // Paid for, and booked: nobody else is asked.
    let refused = |refusal: Box<Refusal>| Box::new(Turn::Answered(refusal.into_response(route.dialect())));
    goes_on.map(|bytes| (bytes, cost)).map_err(refused)
}
