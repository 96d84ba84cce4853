//! What goes to a provider goes at once, by what the system says of the connection.

use tokio::net::TcpListener;
use tower::Service;

use super::*;

#[tokio::test]
async fn a_connection_to_a_provider_waits_for_no_more() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let uri = format!("http://{}", listener.local_addr().expect("its address")).parse().expect("an address");
    let stream = tcp(true, Duration::from_secs(60)).call(uri).await.expect("a connection");
    assert!(stream.inner().nodelay().expect("the system says"));
}
