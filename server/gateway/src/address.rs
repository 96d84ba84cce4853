//! Where a call may go: names are looked up once, private addresses are left out, and the
//! connection is made to the address that was looked at. An address that is written out is no name, and is
//! looked at by itself.

use std::{
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    task::{Context, Poll},
    vec,
};

use http::Uri;
use hyper_util::client::legacy::connect::{HttpConnector, dns::Name};
use tower::Service;

/// A resolver that only gives addresses calls may go to.
#[derive(Clone, Copy, Debug)]
pub struct Vetted {
    /// Whether this machine and private networks are among them.
    pub allow_private: bool,
}

impl Service<Name> for Vetted {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let allow_private = self.allow_private;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await.map_err(unknown)?;
            let addresses: Vec<SocketAddr> = found
                .filter(|address| allow_private || !store::providers::is_private(address.ip()))
                .collect();
            if addresses.is_empty() {
                return Err(private(name.as_str()));
            }
            Ok(addresses.into_iter())
        })
    }
}

fn private(host: &str) -> io::Error {
    let why = format!("{host} leads to a private address, which this provider does not allow");
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}

/// A connector that also looks at addresses that are written out in place of a name: what it connects by asks
/// no resolver for these.
#[derive(Clone, Debug)]
pub struct Guarded {
    tcp: HttpConnector<Vetted>,
    allow_private: bool,
}

impl Guarded {
    /// Around a connector whose resolver allows the same.
    pub const fn new(tcp: HttpConnector<Vetted>, allow_private: bool) -> Self {
        Self { tcp, allow_private }
    }
}

/// What goes wrong before there is a connection.
type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Service<Uri> for Guarded {
    type Response = <HttpConnector<Vetted> as Service<Uri>>::Response;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Failure>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Service::poll_ready(&mut self.tcp, context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let host = uri.host().unwrap_or_default();
        let written_out: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
        if !self.allow_private && written_out.is_some_and(store::providers::is_private) {
            let refused = private(host);
            return Box::pin(async move { Err(refused.into()) });
        }
        let connecting = self.tcp.call(uri);
        Box::pin(async move { connecting.await.map_err(Into::into) })
    }
}

/// A name that nothing has. The system gives that no kind of its own; what has a number is a failure of the
/// system itself.
fn unknown(error: io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(_) => error,
        None => io::Error::new(io::ErrorKind::NotFound, error),
    }
}
