//! A provider that speaks HTTP/2 gets it: many calls at once over one connection.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::{rt::TokioIo, server::conn::auto};
use rustls::{ClientConfig, RootCertStore, ServerConfig, pki_types::PrivatePkcs8KeyDer};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_rustls::TlsAcceptor;

use super::*;

/// Answers over TLS in whichever version is agreed on; counts connections.
async fn provider(versions: &[&[u8]]) -> (u16, ClientConfig, Arc<AtomicUsize>) {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let mut server = ServerConfig::builder_with_provider(ring.clone())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key.into())
        .expect("a server");
    server.alpn_protocols = versions.iter().map(|version| version.to_vec()).collect();
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).expect("a root");
    let client = ClientConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            counted.fetch_add(1, Ordering::Relaxed);
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let stream = acceptor.accept(stream).await.expect("it is agreed");
                let answer = service_fn(|_| async {
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"{}"))))
                });
                let builder = auto::Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection(TokioIo::new(stream), answer).await;
            });
        }
    });
    (port, client, connections)
}

async fn call(client: HttpClient, port: u16) -> http::Version {
    let mut request = Request::new(Pieces::from_iter([Bytes::from_static(b"{}")]));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = format!("https://localhost:{port}/v1/messages").parse().expect("an address");
    let answer = client.request(request).await.expect("an answer");
    let version = answer.version();
    answer.into_body().collect().await.expect("all of it");
    version
}

#[tokio::test]
async fn a_provider_is_called_in_the_newest_version_it_speaks_and_connections_are_kept() {
    for (versions, expected) in [
        (&[&b"h2"[..], b"http/1.1"][..], http::Version::HTTP_2),
        (&[&b"http/1.1"[..]], http::Version::HTTP_11),
    ] {
        let (port, tls, connections) = provider(versions).await;
        let client = pooled(HttpsConnectorBuilder::new().with_tls_config(tls), true, Duration::from_secs(10));
        for _ in 0..3 {
            assert_eq!(call(client.clone(), port).await, expected);
        }
        assert_eq!(connections.load(Ordering::Relaxed), 1, "one after the other needs one connection");
        let mut calls = JoinSet::new();
        for _ in 0..8 {
            calls.spawn(call(client.clone(), port));
        }
        assert!(calls.join_all().await.into_iter().all(|version| version == expected));
        if expected == http::Version::HTTP_2 {
            assert_eq!(connections.load(Ordering::Relaxed), 1, "and so do many at once");
        }
    }
}
