//! Load: closed loops, where each connection calls again as soon as it has its answer, and open
//! ones, where calls come at their time whether the last answer is there or not.
//!
//! In an open loop a call's latency counts from when it was meant to be sent: what waits behind a
//! slow answer is slow too.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use clap::Args;
use http::{Request, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

use crate::Failure;

/// What to send, where, how often.
#[derive(Args, Clone, Debug)]
pub struct Ask {
    /// Whom to call.
    pub address: SocketAddr,
    /// The secret to send.
    #[arg(long, default_value = "none")]
    pub secret: String,
    /// The model to name.
    #[arg(long, default_value = "quick")]
    pub model: String,
    /// Whether to ask for streams.
    #[arg(long)]
    pub streams: bool,
    /// At so many connections.
    #[arg(long, default_value_t = 1)]
    pub connections: usize,
    /// For so long.
    #[arg(long, default_value_t = 5.0)]
    pub seconds: f64,
    /// So many calls over all connections, and no more.
    #[arg(long)]
    pub calls: Option<usize>,
    /// Calls a second over all connections; without it, as fast as answers come.
    #[arg(long)]
    pub rate: Option<f64>,
    /// Only open the streams, say so, and keep them.
    #[arg(long)]
    pub hold: bool,
    /// Only open the connections, ask once for something that is not there, and keep them.
    #[arg(long)]
    pub idle: bool,
}

/// What was measured.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Measured {
    /// Calls that were answered with 200 to their end.
    pub calls: u64,
    /// Calls that were not.
    pub failed: u64,
    /// How long it took.
    pub seconds: f64,
    /// To the end of the answer, in microseconds: half are faster.
    pub p50: f64,
    /// 99 of 100 are faster.
    pub p99: f64,
    /// 999 of 1 000 are faster.
    pub p999: f64,
    /// To the first byte of the answer's body.
    pub first_p50: f64,
}

impl Measured {
    /// Answered calls in a second.
    pub fn rate(&self) -> f64 {
        self.calls as f64 / self.seconds.max(f64::EPSILON)
    }
}

/// One call: to its first byte and to its end, in microseconds; none when it failed.
type Sample = Option<(f64, f64)>;

/// Sends the load and prints what was measured as one line of JSON.
pub async fn run(ask: Ask) -> Result<(), Failure> {
    if ask.hold {
        return hold(ask).await;
    }
    if ask.idle {
        return idle(ask).await;
    }
    let begun = Instant::now();
    let mut connections = JoinSet::new();
    for place in 0..ask.connections {
        let ask = ask.clone();
        connections.spawn(async move { one_connection(&ask, place, begun).await });
    }
    let mut samples = Vec::new();
    while let Some(done) = connections.join_next().await {
        samples.extend(done??);
    }
    println!("{}", serde_json::to_string(&measured(&samples, begun.elapsed()))?);
    Ok(())
}

fn measured(samples: &[Sample], time: Duration) -> Measured {
    let good: Vec<(f64, f64)> = samples.iter().copied().flatten().collect();
    let quantile = |of: fn(&(f64, f64)) -> f64, part: f64| {
        let mut times: Vec<f64> = good.iter().map(of).collect();
        times.sort_by(f64::total_cmp);
        let place = (times.len() as f64 * part) as usize;
        times.get(place.min(times.len().saturating_sub(1))).copied().unwrap_or_default()
    };
    Measured {
        calls: good.len() as u64,
        failed: (samples.len() - good.len()) as u64,
        seconds: time.as_secs_f64(),
        p50: quantile(|sample| sample.1, 0.5),
        p99: quantile(|sample| sample.1, 0.99),
        p999: quantile(|sample| sample.1, 0.999),
        first_p50: quantile(|sample| sample.0, 0.5),
    }
}

async fn one_connection(ask: &Ask, place: usize, begun: Instant) -> Result<Vec<Sample>, Failure> {
    let mut sender = connect(ask.address).await?;
    let (body, end) = (body(ask), begun + Duration::from_secs_f64(ask.seconds));
    let mut samples = Vec::new();
    for turn in 0.. {
        let meant = match ask.rate {
            // This connection's calls are every n-th of all.
            Some(rate) => begun + Duration::from_secs_f64((turn * ask.connections + place) as f64 / rate),
            None => Instant::now(),
        };
        let enough = ask.calls.is_some_and(|calls| turn * ask.connections + place >= calls);
        if meant >= end || enough {
            break;
        }
        if ask.rate.is_some() {
            // Timers go by milliseconds: who calls again at once must not wait for one.
            tokio::time::sleep_until(meant.into()).await;
        }
        let from = if ask.rate.is_some() { meant } else { Instant::now() };
        let sample = call(&mut sender, ask, body.clone(), from).await;
        if sample.is_none() && !sender.is_ready() {
            sender = connect(ask.address).await?;
        }
        samples.push(sample);
    }
    Ok(samples)
}

async fn connect(address: SocketAddr) -> Result<SendRequest<Full<Bytes>>, Failure> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// A call of the usual size: a system prompt and a question.
fn body(ask: &Ask) -> Bytes {
    let body = json!({
        "model": ask.model,
        "max_tokens": 100,
        "stream": ask.streams,
        "messages": [
            { "role": "system", "content": "You are a careful assistant. ".repeat(8) },
            { "role": "user", "content": "What does a bursar do all day, and who pays for it?" },
        ],
    });
    Bytes::from(body.to_string())
}

fn request(ask: &Ask, body: Bytes) -> Result<Request<Full<Bytes>>, http::Error> {
    Request::post("/v1/chat/completions")
        .header(header::HOST, "bursar.test")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::AUTHORIZATION, format!("Bearer {}", ask.secret))
        .header(header::USER_AGENT, "bench")
        .body(Full::new(body))
}

async fn call(sender: &mut SendRequest<Full<Bytes>>, ask: &Ask, body: Bytes, from: Instant) -> Sample {
    let microseconds = || from.elapsed().as_secs_f64() * 1e6;
    sender.ready().await.ok()?;
    let answer = sender.send_request(request(ask, body).ok()?).await.ok()?;
    let good = answer.status().is_success();
    let mut body = answer.into_body();
    let mut first = None;
    while let Some(frame) = body.frame().await {
        frame.ok()?;
        first.get_or_insert_with(microseconds);
    }
    good.then(|| (first.unwrap_or_default(), microseconds()))
}

/// Opens the streams, waits for the first byte of each, says how many there are, and keeps them.
async fn hold(ask: Ask) -> Result<(), Failure> {
    let body = body(&Ask { streams: true, ..ask.clone() });
    let mut open = Vec::new();
    for _ in 0..ask.connections {
        let mut sender = connect(ask.address).await?;
        let mut answer = sender.send_request(request(&ask, body.clone())?).await?;
        if answer.body_mut().frame().await.is_some_and(|frame| frame.is_ok()) && answer.status().is_success()
        {
            open.push((sender, answer));
        }
    }
    println!("{}", open.len());
    std::future::pending().await
}

/// Opens the connections, says how many there are, and keeps them without a word.
async fn idle(ask: Ask) -> Result<(), Failure> {
    let mut open = Vec::new();
    for _ in 0..ask.connections {
        let mut stream = TcpStream::connect(ask.address).await?;
        stream.write_all(b"GET /v1 HTTP/1.1\r\nhost: bursar.test\r\n\r\n").await?;
        if stream.read_u8().await.is_ok() {
            open.push(stream);
        }
    }
    println!("{}", open.len());
    std::future::pending().await
}
