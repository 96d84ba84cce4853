//! A scripted upstream: both dialects, plain and streamed, over a real socket.
//!
//! Whoever tests says by model name what happens to a call, and can ask afterwards what the
//! upstream was asked for and what it served: its own record, which no gateway wrote.

mod answer;
mod responses;
mod script;

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, header};
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::{net::TcpListener, sync::Semaphore, task::AbortHandle};

pub use script::{Ending, Hold, Script, Tokens};

/// A call the upstream was asked for, and what it said.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Path and query.
    pub uri: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// The body of the answer, as far as it has gone out.
    pub said: Arc<Mutex<Vec<u8>>>,
}

impl Asked {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// What was said, as far as it has gone out.
    pub fn said(&self) -> Vec<u8> {
        self.said.lock().clone()
    }
}

/// What the upstream has served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// Calls that came in.
    pub calls: u64,
    /// Input tokens of those that were answered with 200.
    pub input: u64,
    /// Output tokens of those.
    pub output: u64,
    /// The most calls at the same moment.
    pub most_at_once: u64,
    /// Calls right now.
    pub at_once: u64,
}

#[derive(Debug, Default)]
struct Counters {
    calls: AtomicU64,
    input: AtomicU64,
    output: AtomicU64,
    at_once: AtomicU64,
    most_at_once: AtomicU64,
}

#[derive(Debug)]
struct State {
    scripts: Mutex<HashMap<String, Arc<Script>>>,
    default: Arc<Script>,
    /// Kept only for tests: under load it would fill the memory.
    asked: Option<Mutex<Vec<Asked>>>,
    counters: Counters,
    gate: Semaphore,
}

/// A running upstream; gone when dropped.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    state: Arc<State>,
    accepting: AbortHandle,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Upstream {
    /// On a free port of this machine, keeping a record of every call.
    ///
    /// # Errors
    /// When nothing can listen here.
    pub async fn start() -> io::Result<Self> {
        Self::listen(SocketAddr::from(([127, 0, 0, 1], 0)), Script::default(), true).await
    }

    /// At an address, with what happens to calls that nothing else is said about. `keeps`: whether
    /// every call is recorded.
    ///
    /// # Errors
    /// When the address is taken.
    pub async fn listen(address: SocketAddr, default: Script, keeps: bool) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            scripts: Mutex::default(),
            default: Arc::new(default),
            asked: keeps.then(Mutex::default),
            counters: Counters::default(),
            gate: Semaphore::new(0),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&state))).abort_handle();
        Ok(Self { address, state, accepting })
    }

    /// What a provider's base URL is.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on this happens to calls of this model.
    pub fn script(&self, model: &str, script: Script) {
        self.state.scripts.lock().insert(model.to_owned(), Arc::new(script));
    }

    /// Every call so far, in the order they came in.
    pub fn asked(&self) -> Vec<Asked> {
        self.state.asked.as_ref().map(|asked| asked.lock().clone()).unwrap_or_default()
    }

    /// What was served so far.
    pub fn served(&self) -> Served {
        let counters = &self.state.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        Served {
            calls: read(&counters.calls),
            input: read(&counters.input),
            output: read(&counters.output),
            most_at_once: read(&counters.most_at_once),
            at_once: read(&counters.at_once),
        }
    }

    /// Is gone from now on; what it was asked for stays on the record.
    pub async fn stop(&self) {
        self.accepting.abort();
        while tokio::net::TcpStream::connect(self.address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Lets so many calls go on that a script holds.
    pub fn release(&self, calls: usize) {
        self.state.gate.add_permits(calls);
    }

    /// Waits until so many calls have come in.
    pub async fn called(&self, calls: u64) {
        self.until(|served| served.calls >= calls).await;
    }

    /// Waits until the record says so.
    pub async fn until(&self, so: impl Fn(Served) -> bool) {
        while !so(self.served()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// A call that is being served; counted until its answer is out.
struct Running(Arc<State>);

impl Running {
    fn begin(state: Arc<State>) -> Self {
        let counters = &state.counters;
        counters.calls.fetch_add(1, Ordering::SeqCst);
        let now = counters.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        counters.most_at_once.fetch_max(now, Ordering::SeqCst);
        Self(state)
    }

    /// Waits to be let go on.
    async fn hold(&self) {
        if let Ok(permit) = self.0.gate.acquire().await {
            permit.forget();
        }
    }

    fn serve(&self, tokens: Tokens) {
        self.0.counters.input.fetch_add(tokens.input, Ordering::SeqCst);
        self.0.counters.output.fetch_add(tokens.output, Ordering::SeqCst);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.counters.at_once.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    // Connections end with the upstream.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let service = service_fn(|request| serve(Arc::clone(&state), request));
            // A script may want the connection to break.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

type Answer = Response<UnsyncBoxBody<Bytes, io::Error>>;

async fn serve(state: Arc<State>, request: Request<Incoming>) -> io::Result<Answer> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    if head.method == http::Method::GET {
        return Ok(answer::models());
    }
    let running = Running::begin(Arc::clone(&state));
    let call = answer::Call::read(head.uri.path(), &body);
    let said = Arc::new(Mutex::default());
    if let Some(asked) = &state.asked {
        let (uri, said) = (head.uri.to_string(), Arc::clone(&said));
        asked.lock().push(Asked { uri, headers: head.headers, body, said });
    }
    let known = state.scripts.lock().get(&call.model).cloned();
    let script = known.unwrap_or_else(|| Arc::clone(&state.default));
    if !script.before_headers.is_zero() {
        tokio::time::sleep(script.before_headers).await;
    }
    if script.hold == Some(Hold::BeforeHeaders) {
        running.hold().await;
    }
    match script.ending {
        Ending::ResetBeforeHeaders => {
            return Err(io::Error::new(io::ErrorKind::ConnectionReset, "as the script says"));
        }
        Ending::StallBeforeHeaders => std::future::pending().await,
        _ => {}
    }
    let keeps = state.asked.is_some().then_some(said);
    let mut answer = answer::answer(&call, script, running, keeps);
    answer.headers_mut().insert("x-request-id", http::HeaderValue::from_static("upstream-1"));
    answer.headers_mut().insert(header::SERVER, http::HeaderValue::from_static("scripted"));
    Ok(answer)
}
