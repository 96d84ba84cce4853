//! A client that keeps nothing from the test: every call has a connection of its own, which it can
//! let go of at any moment.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use domain::providers::Dialect;
use gateway::wire::Route;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::TcpStream, task::AbortHandle};

/// Nothing here takes longer, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Both languages, for tests that hold in either.
pub const DIALECTS: [Dialect; 2] = [Dialect::OpenAi, Dialect::Anthropic];

/// The route calls of a dialect go to.
pub fn route(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAi => "/v1/chat/completions",
        Dialect::Anthropic => "/v1/messages",
    }
}

/// A small call in either dialect.
pub fn body(model: &str, max_tokens: u64) -> Value {
    json!({ "model": model, "max_tokens": max_tokens, "messages": [{ "role": "user", "content": "Hi" }] })
}

/// The same as a stream.
pub fn streamed(model: &str, max_tokens: u64) -> Value {
    let mut body = body(model, max_tokens);
    body["stream"] = json!(true);
    body
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// `error.bursar`.
    pub fn bursar(&self) -> Value {
        self.json()["error"]["bursar"].clone()
    }

    /// OpenAI's code of a refusal, or Anthropic's type.
    pub fn code(&self) -> String {
        let error = self.json()["error"].clone();
        error["code"].as_str().or(error["type"].as_str()).unwrap_or_default().to_owned()
    }
}

/// Somebody who calls.
#[derive(Clone, Debug)]
pub struct Client {
    pub address: SocketAddr,
    pub secret: String,
}

impl Client {
    /// The same place with another secret.
    pub fn with(&self, secret: &str) -> Self {
        Self { secret: secret.to_owned(), ..self.clone() }
    }

    /// A request as the dialect's own SDK sends it.
    pub fn request(&self, dialect: Dialect, path: &str) -> http::request::Builder {
        let request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
        match dialect {
            Dialect::OpenAi => request.header(header::AUTHORIZATION, format!("Bearer {}", self.secret)),
            Dialect::Anthropic => {
                request.header("x-api-key", &self.secret).header("anthropic-version", "2023-06-01")
            }
        }
    }

    /// Sends a call to the dialect's route and reads the whole answer.
    pub async fn call(&self, dialect: Dialect, body: &Value) -> Answer {
        self.send(self.request(dialect, route(dialect)), body.to_string()).await
    }

    /// Sends a call to a route as the official SDK of its dialect does.
    pub async fn to(&self, route: Route, body: &Value) -> Answer {
        self.send(self.request(route.dialect(), route.full_path()), body.to_string()).await
    }

    /// Sends anything and reads the whole answer.
    pub async fn send(&self, request: http::request::Builder, body: impl Into<Bytes>) -> Answer {
        self.open(request, body).await.rest().await
    }

    /// Reads a path.
    pub async fn get(&self, dialect: Dialect, path: &str) -> Answer {
        self.send(self.request(dialect, path).method("GET"), "").await
    }

    /// Opens a stream in a dialect.
    pub async fn stream(&self, dialect: Dialect, body: &Value) -> Opened {
        self.open(self.request(dialect, route(dialect)), body.to_string()).await
    }

    /// Sends anything; comes back with the head of the answer.
    pub async fn open(&self, request: http::request::Builder, body: impl Into<Bytes>) -> Opened {
        let request = request.header(header::HOST, "bursar.test").body(Full::new(body.into()));
        let request = request.expect("a request");
        let stream = TcpStream::connect(self.address).await.expect("the gateway listens");
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("a connection");
        let connection = tokio::spawn(async move {
            let _ = connection.await;
        })
        .abort_handle();
        let line = Line(connection);
        let answer = tokio::time::timeout(PATIENCE, sender.send_request(request)).await;
        Opened { answer: answer.expect("an answer in time").expect("an answer"), _line: line }
    }
}

/// A connection that ends with its owner: letting go is hanging up.
struct Line(AbortHandle);

impl Drop for Line {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// An answer whose head is here. Dropped, the client has hung up.
pub struct Opened {
    pub answer: Response<Incoming>,
    _line: Line,
}

impl Opened {
    /// The next piece of the body; none at its end. An error when it breaks off.
    pub async fn next(&mut self) -> Option<Result<Bytes, hyper::Error>> {
        loop {
            let frame = tokio::time::timeout(PATIENCE, self.answer.body_mut().frame()).await;
            match frame.expect("a piece in time")? {
                Ok(frame) => match frame.into_data() {
                    Ok(bytes) => return Some(Ok(bytes)),
                    Err(_) => continue,
                },
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// Reads until these bytes have come.
    pub async fn until(&mut self, mark: &str) -> String {
        let mut seen = Vec::new();
        while let Some(piece) = self.next().await {
            seen.extend_from_slice(&piece.expect("the stream goes on"));
            if String::from_utf8_lossy(&seen).contains(mark) {
                return String::from_utf8_lossy(&seen).into_owned();
            }
        }
        panic!("{mark} never came: {}", String::from_utf8_lossy(&seen));
    }

    /// Everything that still comes.
    pub async fn rest(mut self) -> Answer {
        let mut body = Vec::new();
        while let Some(piece) = self.next().await {
            body.extend_from_slice(&piece.expect("a whole body"));
        }
        let (head, _) = self.answer.into_parts();
        Answer { status: head.status, headers: head.headers, body: body.into() }
    }
}
