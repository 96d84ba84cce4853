//! Where a call may go: names are looked up once, private addresses are left out, and the
//! connection is made to the address that was looked at.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    vec,
};

use hyper_util::client::legacy::connect::dns::Name;
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
                let why = format!("{name} leads to a private address, which this provider does not allow");
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
            }
            Ok(addresses.into_iter())
        })
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
