//! One router for everything: gateway, console, assets, health.
//!
//! The layers around the console, from the outside in: catch a panic, set the security headers,
//! compress, refuse changes that another site sends, open the session. The gateway stands beside
//! them: its callers have no session and no browser, and its answers are passed on byte for byte.

use std::{net::IpAddr, sync::Arc};

use app::{
    Assets,
    backend::{Backend, Visitor},
    frame::{Asked, Flash, Theme},
    shell,
};
use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{any, get, post},
};
use gateway::Gateway;
use leptos::{
    prelude::{Owner, provide_context},
    reactive::computed::ScopedFuture,
};
use store::Store;
use tower_http::{
    CompressionLevel, catch_panic::CatchPanicLayer, compression::CompressionLayer, csrf::CsrfLayer,
};
use tower_sessions::Session;

use crate::{
    assets, audit, calls, directory, explore, forms, invoices, leaks,
    live::{self, Live},
    reports, sessions,
};

/// The longest error a server function answers with.
const ERROR_MAX: usize = 256 << 10;

/// The console: pages and server functions with what they need.
#[derive(Clone)]
pub struct Console {
    backend: Backend,
}

impl Console {
    /// With what every request has at hand.
    pub const fn new(backend: Backend) -> Self {
        Self { backend }
    }

    /// Everything that is kept.
    pub const fn store(&self) -> &store::Store {
        &self.backend.store
    }

    fn context(&self, request: &Request) -> impl Fn() + Clone + Send + Sync + 'static {
        let backend = self.backend.clone();
        let session = request.extensions().get::<Session>().cloned();
        let flash = request.extensions().get::<Flash>().cloned();
        let number = request.extensions().get::<Asked>().cloned();
        move || {
            provide_context(backend.clone());
            leptos::nonce::provide_nonce();
            if let Some(session) = session.clone() {
                provide_context(session);
            }
            if let Some(request) = number.clone() {
                provide_context(request);
            }
            if let Some(flash) = flash.clone() {
                provide_context(flash);
            }
        }
    }

    /// Renders a page.
    pub async fn page(&self, request: Request) -> Response {
        let theme = app::backend::cookie(request.headers(), "bursar_theme")
            .map_or(Theme::System, |text| Theme::from_text(&text));
        let address = request.extensions().get::<Flash>().map(|flash| flash.page.clone());
        let left = ["bursar_notice", "bursar_undo"];
        let said = left.map(|name| app::backend::cookie(request.headers(), name).map(|_| name));
        let assets = self.assets();
        let context = self.context(&request);
        let policy = Arc::new(std::sync::OnceLock::new());
        let context = {
            let policy = Arc::clone(&policy);
            let visitor = Visitor::default();
            move || {
                context();
                provide_context(visitor.clone());
                if let Some(nonce) = leptos::nonce::use_nonce() {
                    let _ = policy.set(content_security_policy(&nonce));
                }
            }
        };
        let render = leptos_axum::render_app_async_with_context(context, move || {
            shell(assets.clone(), theme, address.clone())
        });
        let mut response = render(request).await;
        // A page that leads elsewhere says so to everybody, not only to those who ask for HTML.
        if response.status() == StatusCode::OK && response.headers().contains_key(header::LOCATION) {
            *response.status_mut() = StatusCode::SEE_OTHER;
        }
        let headers = response.headers_mut();
        headers.remove("serverfnredirect");
        if let Some(Ok(policy)) = policy.get().map(|policy| HeaderValue::from_str(policy)) {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        for name in said.into_iter().flatten() {
            let gone = format!("{name}=; Path=/; Max-Age=0; SameSite=Lax; HttpOnly");
            if let Ok(gone) = HeaderValue::from_str(&gone) {
                headers.append(header::SET_COOKIE, gone);
            }
        }
        response
    }

    /// Runs a server function.
    pub async fn server_function(&self, request: Request) -> Response {
        let context = self.context(&request);
        // Under an owner of its own: it would look for what is not in its context in that of whatever page
        // this thread drew last, and find who asked for that.
        let run = Owner::new_root(None)
            .with(|| ScopedFuture::new(leptos_axum::handle_server_fns_with_context(context, request)));
        let answer = run.await.into_response();
        if answer.status() != StatusCode::INTERNAL_SERVER_ERROR {
            return answer;
        }
        // Fields that cannot be read never reach the function, which would have given its error the
        // status it has.
        let (mut parts, body) = answer.into_parts();
        let Ok(bytes) = axum::body::to_bytes(body, ERROR_MAX).await else {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        if let Ok(error) = serde_json::from_slice::<app::error::AppError>(&bytes)
            && let Ok(status) = StatusCode::from_u16(error.status())
        {
            parts.status = status;
        }
        Response::from_parts(parts, Body::from(bytes))
    }

    fn assets(&self) -> Assets {
        let address = |name| (self.backend.asset)(name);
        Assets {
            css: address("app.css"),
            js: address("app.js"),
            wasm: address("app.wasm"),
            font: address("inter-latin-wght-normal.woff2"),
            icon: address("icon.svg"),
        }
    }
}

/// Only our own files, and inline scripts that carry this answer's number.
fn content_security_policy(nonce: &str) -> String {
    format!(
        "default-src 'none'; script-src 'nonce-{nonce}' 'strict-dynamic' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; \
         connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; manifest-src 'self'"
    )
}

/// Everything that is served.
pub fn router(
    console: Console,
    gateway: &Arc<Gateway>,
    store: &Store,
    live: Live,
    public_url: &str,
) -> Router {
    let csrf = CsrfLayer::new();
    let pages = Router::new()
        .route("/console/{*function}", any(server_function))
        .route("/explore.csv", get(explore_csv))
        .route("/calls.csv", get(calls_csv))
        .fallback(page)
        .with_state(console)
        .merge(Router::new().route("/live", get(live::serve)).with_state(live))
        .merge(
            Router::new()
                .route("/users.csv", get(directory::serve))
                .route("/audit.csv", get(audit::serve))
                .route("/reports.csv", get(reports::groups))
                .route("/reports.focus.csv", get(reports::focus))
                .route("/invoices.csv", get(invoices::serve))
                .with_state(store.clone()),
        )
        // How long a body may be is for `forms` to say: a table of everybody is longer than what is usual.
        .layer(DefaultBodyLimit::disable())
        .layer(sessions::layer(store, public_url))
        .layer(middleware::from_fn(refuse_unsigned_changes))
        .layer(csrf)
        .layer(middleware::from_fn(numbered))
        // What guards changes is in headers, and a secret is shown once: no page holds anything that
        // its compressed length could give away to whoever makes a browser ask again and again.
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest));
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/console", post(|| async { StatusCode::NOT_FOUND }))
        .with_state((store.clone(), Arc::clone(gateway)))
        .route("/assets/{file}", get(assets::serve))
        .merge(gateway.router())
        // Beside the console: who reports has no session, and no page of ours.
        .merge(
            Router::new()
                .route("/api/v1/secrets/leaked", post(leaks::report))
                .layer(DefaultBodyLimit::max(leaks::BODY_MAX))
                .layer(middleware::from_fn(numbered))
                .with_state(store.clone()),
        )
        .merge(pages)
        .layer(middleware::map_response(security_headers))
        .layer(CatchPanicLayer::new())
}

async fn page(State(console): State<Console>, request: Request) -> Response {
    if !matches!(request.method().as_str(), "GET" | "HEAD") {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    console.page(request).await
}

async fn explore_csv(State(console): State<Console>, request: Request) -> Response {
    explore::csv(&console, request).await
}

async fn calls_csv(State(console): State<Console>, request: Request) -> Response {
    calls::csv(console, request).await
}

async fn server_function(State(console): State<Console>, request: Request) -> Response {
    if request.method() == axum::http::Method::GET {
        // Somebody loaded the address a form without script left in the bar.
        return (StatusCode::SEE_OTHER, [(header::LOCATION, "/")]).into_response();
    }
    forms::serve(&console, request).await
}

/// Every request has a number: what fails shows it, and changes are written down with it.
async fn numbered(mut request: Request, next: Next) -> Response {
    let id = store::clock::id::<domain::ids::CallId>().to_string();
    let value = HeaderValue::from_str(&id);
    let address = address(&request);
    request.extensions_mut().insert(Asked { id, address });
    let mut response = next.run(request).await;
    if let Ok(value) = value {
        response.headers_mut().entry("x-request-id").or_insert(value);
    }
    response
}

/// Who a connection is to, at its other end.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// The address a request came from. What is on this machine or in a private network may be a proxy: then
/// the last address that it has written down.
fn address(request: &Request) -> Option<String> {
    let Peer(peer) = request.extensions().get::<Peer>()?;
    let inside = match peer {
        IpAddr::V4(peer) => peer.is_loopback() || peer.is_private(),
        IpAddr::V6(peer) => peer.is_loopback() || peer.is_unique_local(),
    };
    let forwarded =
        || request.headers().get("x-forwarded-for")?.to_str().ok()?.rsplit(',').next()?.trim().parse().ok();
    let address: Option<IpAddr> = if inside { forwarded() } else { None };
    Some(address.unwrap_or(*peer).to_canonical().to_string())
}

/// Browsers say where a change comes from. A change with our cookie and without any word about its
/// origin is not one of theirs.
async fn refuse_unsigned_changes(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let safe = matches!(request.method().as_str(), "GET" | "HEAD" | "OPTIONS");
    let silent = !headers.contains_key("sec-fetch-site") && !headers.contains_key(header::ORIGIN);
    if !safe && silent && headers.contains_key(header::COOKIE) {
        return (StatusCode::FORBIDDEN, "This change does not say where it comes from.\n").into_response();
    }
    next.run(request).await
}

async fn ready(State((store, gateway)): State<(Store, Arc<Gateway>)>) -> Response {
    if !store.ping().await {
        return (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n").into_response();
    }
    match gateway.takes_calls() {
        Ok(()) => format!("ready, {} calls in flight\n", gateway.in_flight()).into_response(),
        Err(error) => {
            let why = format!("no call is let through: {error}; make room in the data folder\n");
            (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
        }
    }
}

async fn security_headers(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
    ] {
        headers.entry(HeaderName::from_static(name)).or_insert(HeaderValue::from_static(value));
    }
    response
}
