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
use store::ledger::Observer;
use tokio_util::sync::CancellationToken;

use crate::{
    Gateway,
    authenticate::{Caller, authenticate},
    authorize,
    exchange::{Sent, attempt},
    goes_on::GoesOn,
    guard, headroom,
    hops::{Asked, hops},
    kept_answers,
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
    let dialect = route.dialect();
    match pass(gateway, route, query, request).await {
        Ok(response) => response,
        Err(refusal) => refusal.into_response(dialect),
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
    let caller = authenticate(&gateway, &parts.headers).await?;
    let id = caller.id;
    let body = read_body(body, &parts.headers, id).await?;
    let mut request = request::Request::read(route, body)
        .map_err(|bad| Refusal::new(Kind::BadRequest, id, bad.message).about(bad.param))?;
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
                .inspect_refused(|refusal| gateway.refused(&refused, &name, features, refusal))
                .answer(),
            Plan::Policy { id, models } => {
                let asked = Asked { caller, request, policy: (id, name), models, left };
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

async fn read_body(body: Body, headers: &HeaderMap, id: CallId) -> Result<Bytes, Refusal> {
    let too_large = || {
        let message = format!("The body is larger than {} MB.", BODY_MAX >> 20);
        Refusal::new(Kind::TooLarge, id, message)
    };
    let announced =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > BODY_MAX) {
        return Err(too_large());
    }
    match Limited::new(body, BODY_MAX).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(too_large()),
        Err(_) => Err(Refusal::new(Kind::BadRequest, id, "The body broke off.")),
    }
}

impl Gateway {
    /// Takes a refusal down, with what the call would have used of its key, without keeping the caller
    /// waiting.
    pub(crate) fn refused(&self, caller: &Caller, model: &str, features: Features, refusal: &Refusal) {
        // What concerns a request's form, or our own trouble, is nobody's limit or rule.
        if !matches!(refusal.kind, Kind::BadRequest | Kind::Unavailable) {
            self.booking.push_refusal(record(caller, model, features, refusal, None));
        }
    }

    /// Takes down what an observed rule or limit would have refused.
    pub(crate) fn observed(
        &self,
        authorized: &authorize::Authorized,
        refusal: &Refusal,
        observer: Option<Observer>,
    ) {
        // A limit that is gone meanwhile has nobody to tell.
        if observer.is_some() {
            let name = authorized.model().map_or("", |model| &model.name);
            let features = authorized.request.features;
            self.booking.push_refusal(record(&authorized.caller, name, features, refusal, observer));
        }
    }
}

fn record(
    caller: &Caller,
    model: &str,
    features: Features,
    refusal: &Refusal,
    observer: Option<Observer>,
) -> store::ledger::Refusal {
    let facts = &caller.snapshot.facts;
    let group = caller.application().and_then(|application| facts.groups.get(&application.group));
    let user = caller.secret.user.and_then(|id| facts.users.get(&id));
    store::ledger::Refusal {
        id: caller.id,
        org: facts.org,
        at: caller.now,
        application: caller.secret.application,
        secret: caller.secret.id,
        path: group.map(|group| group.path.clone()).unwrap_or_default(),
        user: caller.secret.user,
        member_of: user.map(|user| store::ledger::member_of(facts, user, caller.now)).unwrap_or_default(),
        model: model.chars().take(100).collect(),
        model_id: facts.model_names.get(model).copied(),
        features,
        status: refusal.status.as_u16(),
        code: refusal.kind.code().to_owned(),
        message: refusal.message.clone(),
        detail: serde_json::to_value(&refusal.detail).unwrap_or_default(),
        observer,
    }
}

/// The caller of a route that is about no model.
async fn known_caller(gateway: &Gateway, headers: &HeaderMap) -> Result<Caller, Refusal> {
    let caller = authenticate(gateway, headers).await?;
    authorize::person(&caller)?;
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
        Err(refusal) => refusal.into_response(dialect),
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
        Err(refusal) => return refusal.into_response(dialect),
    };
    match authorize::list(&caller, false).iter().find(|model| model.name == name) {
        Some(model) => with_id(caller.id, Json(models::one(dialect, model)).into_response()),
        None => {
            let message = "There is no such model for this key. GET /v1/models lists what there is.";
            Refusal::new(Kind::ModelNotFound, caller.id, message).about(Some("model")).into_response(dialect)
        }
    }
}

async fn get_limits(State(gateway): State<Arc<Gateway>>, headers: HeaderMap) -> Response {
    let dialect = wire::dialect_of(&headers);
    let caller = match known_caller(&gateway, &headers).await {
        Ok(caller) => caller,
        Err(refusal) => return refusal.into_response(dialect),
    };
    match headroom::limits(&gateway, &caller).await {
        Ok(limits) => with_id(caller.id, Json(limits).into_response()),
        Err(error) => {
            tracing::warn!(%error, call = %caller.id, "limits cannot be read");
            Refusal::new(Kind::Unavailable, caller.id, "Bursar cannot read your limits right now.")
                .into_response(dialect)
        }
    }
}

async fn unknown_route(headers: HeaderMap) -> Response {
    let routes: Vec<&str> = Route::ALL.iter().map(|route| route.full_path()).collect();
    let message = format!(
        "There is no such route here. Bursar serves {}, /v1/models and /v1/me/limits.",
        routes.join(", ")
    );
    Refusal::new(Kind::UnknownRoute, store::clock::id(), message).into_response(wire::dialect_of(&headers))
}

fn with_id(id: CallId, mut response: Response) -> Response {
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert("x-request-id", value);
    }
    response
}
