//! The whole call in one place, and the routes.

use std::{sync::Arc, time::Instant};

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, RawQuery, Request, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use domain::{ids::CallId, keys::Features};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use http_body_util::{BodyExt, Limited};
use tokio_util::sync::CancellationToken;

use crate::{
    Gateway,
    authenticate::{Caller, authenticate},
    authorize,
    exchange::{Sent, attempt},
    goes_on::GoesOn,
    guard, headroom,
    hops::{Asked, hops},
    kept_answers, linger,
    routing::{Plan, plan},
    wire::{
        self, Route, models,
        refusal::{Kind, Refusal},
        request,
    },
};

/// Anthropic's own limit; OpenAI's is lower.
const BODY_MAX: usize = 32 << 20;

/// The routes. A route that is not here is not metered, so it does not exist.
pub fn router(gateway: Arc<Gateway>) -> Router {
    let mut router = Router::new();
    for route in Route::ALL {
        let handler = move |State(gateway): State<Arc<Gateway>>, query: RawQuery, request: Request| {
            call(gateway, route, query, request)
        };
        router = router.route(route.full_path(), post(handler));
    }
    router
        .route("/v1/models", get(list_models))
        .route("/v1/models/{*id}", get(get_model))
        .route("/v1/me/limits", get(get_limits))
        .route("/v1", axum::routing::any(unknown_route))
        .route("/v1/{*rest}", axum::routing::any(unknown_route))
        .method_not_allowed_fallback(unknown_route)
        .with_state(gateway)
}

async fn call(gateway: Arc<Gateway>, route: Route, RawQuery(query): RawQuery, request: Request) -> Response {
    match pass(Arc::clone(&gateway), route, query, request).await {
        Ok(response) => response,
        Err(refusal) => gateway.say(refusal, route.dialect()),
    }
}

/// A call, step by step.
async fn pass(
    gateway: Arc<Gateway>,
    route: Route,
    query: Option<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let started = Instant::now();
    let (parts, body) = request.into_parts();
    let caller = match authenticate(&gateway, &parts.headers).await {
        Ok(caller) => caller,
        Err(refusal) => {
            linger::read_on(body, &parts.headers);
            return Err(refusal);
        }
    };
    let id = caller.id;
    let unread = |refusal: &Refusal| gateway.refused(&caller, "", Features::default(), refusal);
    let body = read_body(body, &parts.headers, id).await.inspect_err(unread)?;
    let mut request = request::Request::read(route, body)
        .map_err(|bad| Refusal::new(Kind::BadRequest, id, bad.message).about(bad.param))
        .inspect_err(unread)?;
    labels(&parts.headers, &mut request);
    if caller.application().is_some_and(|application| !application.handling.guardrails.is_empty()) {
        let (asked, features) = (request.model.clone().unwrap_or_default(), request.features);
        request = guard::look(&gateway, &caller, route, request)
            .await
            .inspect_err(|refusal| gateway.refused(&caller, &asked, features, refusal))?;
    }
    let features = request.features;
    if request.previous_answer.is_some() || request.conversation.is_some() {
        kept_answers::check(&gateway, &caller, &request).await.inspect_err(|refusal| {
            gateway.refused(&caller, request.model.as_deref().unwrap_or_default(), features, refusal);
        })?;
    }
    let refused = caller.clone();
    let (name, plan) = plan(&gateway, &caller, &request).inspect_err(|refusal| {
        gateway.refused(&refused, request.model.as_deref().unwrap_or_default(), features, refusal);
    })?;
    // Only a policy has somebody else to ask, or not to ask once the client has left.
    let left = matches!(plan, Plan::Policy { .. }).then(CancellationToken::new);
    let _leaving = left.clone().map(CancellationToken::drop_guard);
    let tracker = gateway.open.clone();
    // From here on money may be held: the client's leaving cannot stop it.
    let going = GoesOn::new(&tracker, async move {
        let sent = Sent { route, query: query.as_deref(), headers: &parts.headers, head: None, started };
        match plan {
            Plan::Model(model) => attempt(&gateway, caller, request, (model, None), sent)
                .await
                .answer()
                .inspect_err(|refusal| gateway.refused(&refused, &name, features, refusal)),
            Plan::Policy { id, models, rest } => {
                let asked = Asked { caller, request, policy: (id, name), models, rest, left };
                // Beside the call, which would otherwise be as large as all the hops it rarely takes.
                Box::pin(hops(&gateway, asked, sent)).await
            }
        }
    });
    going.await.unwrap_or_else(|| {
        tracing::error!(call = %id, "a call ended in a defect");
        Err(Refusal::new(Kind::Unavailable, id, "Bursar met a defect while serving this call."))
    })
}

/// The headers a call may carry labels in.
static USE_CASE: HeaderName = HeaderName::from_static("x-bursar-use-case");
static SESSION: HeaderName = HeaderName::from_static("x-bursar-session");

/// Labels in headers win over those in the body.
fn labels(headers: &HeaderMap, request: &mut request::Request) {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    request.use_case = text(&USE_CASE).or_else(|| request.use_case.take());
    request.session = text(&SESSION).or_else(|| request.session.take());
}

async fn read_body(mut body: Body, headers: &HeaderMap, id: CallId) -> Result<Bytes, Refusal> {
    let too_large = || {
        let message = format!("The body is larger than {} MB.", BODY_MAX >> 20);
        Refusal::new(Kind::TooLarge, id, message)
    };
    let announced =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > BODY_MAX) {
        linger::read_on(body, headers);
        return Err(too_large());
    }
    match Limited::new(&mut body, BODY_MAX).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            linger::read_on(body, headers);
            Err(too_large())
        }
        Err(_) => Err(Refusal::new(Kind::BadRequest, id, "The body broke off.")),
    }
}

/// The caller of a route that is about no model.
async fn known_caller(gateway: &Gateway, headers: &HeaderMap) -> Result<Caller, Refusal> {
    let caller = authenticate(gateway, headers).await?;
    authorize::person(&caller)
        .inspect_err(|refusal| gateway.refused(&caller, "", Features::default(), refusal))?;
    Ok(caller)
}

async fn list_models(
    State(gateway): State<Arc<Gateway>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let dialect = wire::dialect_of(&headers);
    match known_caller(&gateway, &headers).await {
        Ok(caller) => {
            let requestable =
                query.is_some_and(|query| query.split('&').any(|pair| pair == "include=requestable"));
            let listed = authorize::list(&caller, requestable);
            with_id(caller.id, Json(models::list(dialect, &listed)).into_response())
        }
        Err(refusal) => gateway.say(refusal, dialect),
    }
}

async fn get_model(
    State(gateway): State<Arc<Gateway>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    let dialect = wire::dialect_of(&headers);
    let caller = match known_caller(&gateway, &headers).await {
        Ok(caller) => caller,
        Err(refusal) => return gateway.say(refusal, dialect),
    };
    match authorize::list(&caller, false).iter().find(|model| model.name == name) {
        Some(model) => with_id(caller.id, Json(models::one(dialect, model)).into_response()),
        None => {
            let refusal = authorize::no_such_model(&caller, &name);
            gateway.refused(&caller, &name, Features::default(), &refusal);
            gateway.say(refusal, dialect)
        }
    }
}

async fn get_limits(State(gateway): State<Arc<Gateway>>, headers: HeaderMap) -> Response {
    let dialect = wire::dialect_of(&headers);
    let caller = match known_caller(&gateway, &headers).await {
        Ok(caller) => caller,
        Err(refusal) => return gateway.say(refusal, dialect),
    };
    match headroom::limits(&gateway, &caller).await {
        Ok(limits) => with_id(caller.id, Json(limits).into_response()),
        Err(error) => {
            tracing::warn!(%error, call = %caller.id, "limits cannot be read");
            let message = "Bursar cannot read your limits right now.";
            let refusal = Refusal::new(Kind::Unavailable, caller.id, message);
            gateway.refused(&caller, "", Features::default(), &refusal);
            gateway.say(refusal, dialect)
        }
    }
}

async fn unknown_route(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    linger::read_on(body, &parts.headers);
    let routes: Vec<&str> = Route::ALL.iter().map(|route| route.full_path()).collect();
    let message = format!(
        "There is no such route here. Bursar serves {}, /v1/models and /v1/me/limits.",
        routes.join(", ")
    );
    let refusal = Refusal::new(Kind::UnknownRoute, store::clock::id(), message);
    gateway.say(refusal, wire::dialect_of(&parts.headers))
}

fn with_id(id: CallId, mut response: Response) -> Response {
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert("x-request-id", value);
    }
    response
}
