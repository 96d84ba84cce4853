//! A bare reverse proxy on hyper: what any gateway has to cost, for comparison.
//!
//! It passes heads and bodies on as they come, with pooled connections to the upstream, and does
//! nothing else. Leaner would not be fair: a proxy that does not take hop-by-hop headers off, or
//! does not reuse connections, is not one.

use std::net::SocketAddr;

use http::{HeaderMap, Request, Response, StatusCode, Uri, header, uri::Authority};
use http_body_util::{Either, Empty};
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use tokio::net::TcpListener;

type Answer = Response<Either<Incoming, Empty<Bytes>>>;

/// Passes everything that comes to the listener on to `upstream`, for ever.
///
/// # Errors
/// When the upstream's address cannot be written as one.
pub async fn run(listener: TcpListener, upstream: SocketAddr) -> Result<(), http::uri::InvalidUri> {
    let authority: Authority = upstream.to_string().parse()?;
    let mut tcp = HttpConnector::new();
    tcp.set_nodelay(true);
    let client: Client<HttpConnector, Incoming> = Client::builder(TokioExecutor::new()).build(tcp);
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let (client, authority) = (client.clone(), authority.clone());
        tokio::spawn(async move {
            let service = service_fn(|request| pass(client.clone(), authority.clone(), request));
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn pass(
    client: Client<HttpConnector, Incoming>,
    authority: Authority,
    mut request: Request<Incoming>,
) -> Result<Answer, http::Error> {
    let path = request.uri().path_and_query().cloned();
    let mut uri = Uri::builder().scheme("http").authority(authority);
    if let Some(path) = path {
        uri = uri.path_and_query(path);
    }
    *request.uri_mut() = uri.build()?;
    request.headers_mut().remove(header::HOST);
    take_off(request.headers_mut());
    match client.request(request).await {
        Ok(mut answer) => {
            take_off(answer.headers_mut());
            Ok(answer.map(Either::Left))
        }
        Err(_) => Response::builder().status(StatusCode::BAD_GATEWAY).body(Either::Right(Empty::new())),
    }
}

/// Headers of one connection only.
fn take_off(headers: &mut HeaderMap) {
    for name in [header::CONNECTION, header::TE, header::TRAILER, header::TRANSFER_ENCODING, header::UPGRADE]
    {
        headers.remove(name);
    }
    headers.remove("keep-alive");
}
