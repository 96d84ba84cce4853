//! Step 4: the call upstream, with our credential in place of the caller's secret.

use std::{
    borrow::Cow,
    collections::{HashMap, VecDeque},
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use domain::{access::ProviderFacts, providers::Dialect};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, builderstates::WantsSchemes};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use parking_lot::Mutex;

use crate::{
    address::{Guarded, Vetted},
    authorize::Authorized,
    unreached,
    wire::{Route, refusal::Kind, request::Patch},
};

#[cfg(test)]
mod at_once;
#[cfg(test)]
mod http2;

/// How often a connection is tried for, and how long is waited in between. Nothing has been sent by
/// then, so trying again cannot be charged twice.
const CONNECTIONS: u32 = 2;
const BETWEEN: Duration = Duration::from_millis(100);

pub type HttpClient = Client<HttpsConnector<Guarded>, Pieces>;

/// Pooled connections to providers: one pool that goes anywhere public, one that may also stay on
/// this machine; and such a pair for every time that providers give to a connection.
#[derive(Clone, Debug)]
pub struct Clients {
    public: HttpClient,
    private: HttpClient,
    usual: Duration,
    others: Arc<Mutex<HashMap<(bool, Duration), HttpClient>>>,
}

impl Clients {
    pub fn new(connection: Duration) -> Self {
        Self {
            public: client(false, connection),
            private: client(true, connection),
            usual: connection,
            others: Arc::default(),
        }
    }

    fn get(&self, allow_private: bool, connection: Duration) -> Cow<'_, HttpClient> {
        if connection == self.usual {
            return Cow::Borrowed(if allow_private { &self.private } else { &self.public });
        }
        // Whole seconds up to a minute: there are few.
        let mut others = self.others.lock();
        let made = others.entry((allow_private, connection));
        Cow::Owned(made.or_insert_with(|| client(allow_private, connection)).clone())
    }
}

pub fn client(allow_private: bool, connection: Duration) -> HttpClient {
    pooled(HttpsConnectorBuilder::new().with_webpki_roots(), allow_private, connection)
}

fn tcp(allow_private: bool, connection: Duration) -> Guarded {
    let mut tcp = HttpConnector::new_with_resolver(Vetted { allow_private });
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(connection));
    tcp.set_keepalive(Some(Duration::from_secs(60)));
    Guarded::new(tcp, allow_private)
}

fn pooled(tls: HttpsConnectorBuilder<WantsSchemes>, allow_private: bool, connection: Duration) -> HttpClient {
    let tcp = tcp(allow_private, connection);
    let tls = tls.https_or_http().enable_all_versions().wrap_connector(tcp);
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(90))
        .build(tls)
}

/// A request body in pieces that are not put together.
#[derive(Debug, Default)]
pub struct Pieces(VecDeque<Bytes>);

impl FromIterator<Bytes> for Pieces {
    fn from_iter<I: IntoIterator<Item = Bytes>>(pieces: I) -> Self {
        Self(pieces.into_iter().filter(|piece| !piece.is_empty()).collect())
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.iter().map(|piece| piece.len() as u64).sum())
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub struct Failure {
    /// What the caller is told.
    pub kind: Kind,
    /// Whether the provider may have begun to work, and to charge.
    pub may_be_billed: bool,
    /// Whether it is the provider that is down, whatever was sent.
    pub is_down: bool,
    /// For the log.
    pub cause: String,
}

/// Headers of the caller that do not travel: those of one connection only, those that name
/// somebody, and those that would spend on another account of the provider.
const OURS: [&str; 16] = [
    "authorization",
    "x-api-key",
    "api-key",
    "cookie",
    "host",
    "content-length",
    "accept-encoding",
    "connection",
    "keep-alive",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "openai-organization",
    "openai-project",
];

fn travels(name: &HeaderName) -> bool {
    let name = name.as_str();
    !OURS.contains(&name)
        && !name.starts_with("x-bursar-")
        && !name.starts_with("x-forwarded-")
        && name != "forwarded"
}

/// A credential as the header of its dialect, with a value that does not print; none when it cannot be
/// one.
pub fn credential_header(dialect: Dialect, credential: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = match dialect {
        Dialect::Anthropic => (HeaderName::from_static("x-api-key"), HeaderValue::from_str(credential)),
        Dialect::OpenAi => (header::AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {credential}"))),
    };
    let mut value = value.ok()?;
    value.set_sensitive(true);
    Some((name, value))
}

/// Where a route is at a provider; none when its address cannot be read.
pub fn uri(provider: &ProviderFacts, route: Route, query: Option<&str>) -> Option<Uri> {
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}{}{query}", provider.base_url, route.path()).parse().ok()
}

/// The field OpenAI's own models want the maximum in; other servers know the older one.
fn max_field(route: Route, base_url: &str) -> &'static str {
    match route {
        Route::Responses => "max_output_tokens",
        Route::ChatCompletions if is_openai(base_url) => "max_completion_tokens",
        _ => "max_tokens",
    }
}

fn is_openai(base_url: &str) -> bool {
    let host = base_url.split('/').nth(2).unwrap_or_default();
    let within = |domain: &str| {
        host.strip_suffix(domain).is_some_and(|rest| matches!(rest, "") || rest.ends_with('.'))
    };
    within("openai.com") || within("azure.com")
}

fn build(
    authorized: &Authorized,
    max_output: Option<u64>,
    query: Option<&str>,
    caller: &HeaderMap,
) -> Result<(Request<Pieces>, bool), Failure> {
    let broken = |cause: &str| Failure {
        kind: Kind::UpstreamError,
        may_be_billed: false,
        is_down: false,
        cause: cause.to_owned(),
    };
    let route = authorized.route;
    let (model, provider) =
        authorized.model().zip(authorized.provider()).ok_or_else(|| broken("the model is gone"))?;
    let destination = authorized.caller.snapshot.destinations.get(&model.provider);
    let known = || destination.and_then(|destination| destination.uris[route as usize].clone());
    let uri = if query.is_none() { known() } else { uri(provider, route, query) };
    let uri = uri.ok_or_else(|| broken("the provider's address cannot be read"))?;
    let patch = Patch {
        model: &model.upstream,
        max_output,
        max_field: max_field(route, &provider.base_url),
        bounds_tools: authorized.prices().is_some_and(|prices| authorized.request.tools.cost(prices)),
    };
    let body: Pieces = authorized.request.patched(&patch).into_iter().collect();
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.reserve(caller.len() + 2);
    for (name, value) in caller.iter().filter(|(name, _)| travels(name)) {
        headers.append(name.clone(), value.clone());
    }
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if let Some((name, value)) = destination.and_then(|destination| destination.credential.clone()) {
        headers.insert(name, value);
    }
    Ok((request, provider.allow_private_address))
}

/// Sends the call; comes back with the head of the answer.
pub async fn forward(
    clients: &Clients,
    (connection, head): (Duration, Duration),
    authorized: &Authorized,
    max_output: Option<u64>,
    query: Option<&str>,
    caller: &HeaderMap,
) -> Result<Response<Incoming>, Failure> {
    let answer = connect_and_send(clients, connection, authorized, max_output, query, caller);
    match tokio::time::timeout(head, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(Failure {
            kind: Kind::UpstreamTimeout,
            may_be_billed: true,
            is_down: true,
            cause: format!("no answer within {} s", head.as_secs()),
        }),
    }
}

async fn connect_and_send(
    clients: &Clients,
    connection: Duration,
    authorized: &Authorized,
    max_output: Option<u64>,
    query: Option<&str>,
    caller: &HeaderMap,
) -> Result<Response<Incoming>, Failure> {
    let mut tries = 0;
    loop {
        tries += 1;
        let (request, allow_private) = build(authorized, max_output, query, caller)?;
        match clients.get(allow_private, connection).request(request).await {
            Ok(response) => return Ok(response),
            Err(error) if error.is_connect() && tries < CONNECTIONS => tokio::time::sleep(BETWEEN).await,
            Err(error) => {
                return Err(Failure {
                    kind: Kind::UpstreamError,
                    // Without a connection nothing was sent.
                    may_be_billed: !error.is_connect(),
                    is_down: error.is_connect(),
                    cause: chain(&error),
                });
            }
        }
    }
}

/// An error with its causes, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text += &format!(": {next}");
        cause = next.source();
    }
    text
}

/// Headers of an answer that go on to the caller. The provider's own rate limits are about our
/// account, not about the caller's: they travel under another name.
pub fn answer_headers(upstream: &HeaderMap) -> HeaderMap {
    const DROPPED: [&str; 16] = [
        "connection",
        "keep-alive",
        "transfer-encoding",
        "trailer",
        "upgrade",
        "set-cookie",
        "content-length",
        "alt-svc",
        // Where else to go: nobody is led past what is decided and counted here.
        "location",
        "refresh",
        // Whose account it is there, and how to show oneself: ours.
        "openai-organization",
        "openai-project",
        "anthropic-organization-id",
        "www-authenticate",
        "proxy-authenticate",
        "authentication-info",
    ];
    let mut headers = HeaderMap::with_capacity(upstream.len() + 8);
    for (name, value) in upstream {
        let text = name.as_str();
        if DROPPED.contains(&text) || text.starts_with("access-control-") || text.starts_with("x-bursar-") {
            continue;
        }
        let about_our_account = text.starts_with("x-ratelimit-")
            || text.starts_with("anthropic-ratelimit-")
            || text == "x-request-id";
        if about_our_account {
            if let Ok(renamed) =
                HeaderName::from_bytes(format!("x-upstream-{}", text.trim_start_matches("x-")).as_bytes())
            {
                headers.append(renamed, value.clone());
            }
        } else {
            headers.append(name.clone(), value.clone());
        }
    }
    headers
}

/// What trying a provider out found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The status it answered with; none when it did not.
    pub status: Option<u16>,
    /// One sentence for the admin.
    pub sentence: String,
    /// The models it lists.
    pub models: Vec<String>,
}

/// How much of a provider's list is read at once, and how many pages of it.
const LIST_MAX: usize = 8 << 20;
const PAGES_MAX: usize = 20;

/// Asks a provider for its models: whether it is there, and takes the credential.
pub async fn probe(
    base_url: &str,
    dialect: Dialect,
    credential: Option<&str>,
    allow_private: bool,
    patience: Duration,
) -> Probe {
    let credential = credential.and_then(|text| credential_header(dialect, text));
    let mut models = Vec::new();
    let asking = async {
        let mut after = None;
        for _ in 0..PAGES_MAX {
            let page = ask_for_models(
                base_url,
                dialect,
                credential.as_ref(),
                (allow_private, patience),
                after.as_deref(),
            );
            let (status, list) = page.await?;
            let Some(list) = list else { return Ok::<_, String>((status, false)) };
            models.extend(list.data.into_iter().map(|item| item.id));
            after = list.last_id.filter(|_| list.has_more);
            if after.is_none() {
                return Ok((status, true));
            }
        }
        Ok((StatusCode::OK, true))
    };
    let (status, sentence) = match tokio::time::timeout(patience, asking).await {
        Err(_) => {
            let host = base_url.split('/').nth(2).unwrap_or(base_url);
            let waited = seconds(patience);
            (None, format!("{host} did not answer within {waited}. Check the base URL, or try again later."))
        }
        Ok(Err(cause)) => (None, cause),
        Ok(Ok((status, is_list))) => {
            let sentence = match status.as_u16() {
                200..=299 if !is_list => "Something answers there, but not with a list of models: check the path, it usually ends in /v1.".to_owned(),
                200..=299 if models.is_empty() => "It answers and takes the credential, but lists no models.".to_owned(),
                200..=299 if models.len() == 1 => "It answers and offers 1 model.".to_owned(),
                200..=299 => format!("It answers and offers {} models.", models.len()),
                401 | 403 => format!("It answers, but refuses the credential (status {}).", status.as_u16()),
                404 => "Something answers there, but has no list of models: check the path, it usually ends in /v1.".to_owned(),
                other => format!("It answers with status {other}."),
            };
            (Some(status.as_u16()).filter(|status| is_list || !(200..=299).contains(status)), sentence)
        }
    };
    // Half a list would say of the other half that it is not offered any more.
    let whole = status.is_some_and(|status| (200..=299).contains(&status));
    Probe { status, sentence, models: if whole { models } else { Vec::new() } }
}

/// `1 second`, `15 seconds`.
fn seconds(patience: Duration) -> String {
    match patience.as_secs_f32() {
        1.0 => "1 second".to_owned(),
        other => format!("{other} seconds"),
    }
}

/// A list of models as both dialects write it, one of several pages where it says so.
#[derive(serde::Deserialize)]
struct List {
    data: Vec<Item>,
    #[serde(default)]
    has_more: bool,
    #[serde(default)]
    last_id: Option<String>,
}

#[derive(serde::Deserialize)]
struct Item {
    id: String,
}

/// One page of a provider's list; none where it answers with something else.
async fn ask_for_models(
    base_url: &str,
    dialect: Dialect,
    credential: Option<&(HeaderName, HeaderValue)>,
    (allow_private, patience): (bool, Duration),
    after: Option<&str>,
) -> Result<(StatusCode, Option<List>), String> {
    // Anthropic shows twenty at a time unless it is asked for more.
    let mut query = if dialect == Dialect::Anthropic { "?limit=1000".to_owned() } else { String::new() };
    if let Some(after) = after {
        let sign = if query.is_empty() { '?' } else { '&' };
        query += &format!("{sign}after_id={after}");
    }
    let uri = format!("{base_url}/models{query}").parse::<Uri>();
    let uri = uri.map_err(|_| "The address cannot be read.".to_owned())?;
    let mut request = Request::new(Pieces::default());
    *request.uri_mut() = uri.clone();
    if dialect == Dialect::Anthropic {
        request.headers_mut().insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
    }
    if let Some((name, value)) = credential {
        request.headers_mut().insert(name.clone(), value.clone());
    }
    let asking = client(allow_private, patience).request(request);
    let response = asking.await.map_err(|error| unreached::words(&uri, &error))?;
    let status = response.status();
    let body = http_body_util::Limited::new(response.into_body(), LIST_MAX).collect().await;
    let body = body.map_err(|_| "Its answer broke off, or is larger than a list of models.".to_owned())?;
    Ok((status, serde_json::from_slice(&body.to_bytes()).ok()))
}
