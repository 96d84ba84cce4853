//! Why a provider cannot be reached, and what to do, for the person who set its address.

use std::{error::Error, io};

use http::Uri;

/// What stands between us and a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Obstacle {
    /// Nothing has its name.
    Unknown,
    /// Its name leads to an address that calls may not go to.
    Private,
    /// Nothing listens there.
    Refused,
    /// No connection came about in time.
    Silent,
    /// Its certificate is not trusted here.
    Certificate,
    /// It does not speak TLS as it is spoken here, or none at all.
    NotSecure,
    /// Something else.
    Other,
}

/// Why a request to an address failed before there was an answer, as sentences.
pub fn words(uri: &Uri, error: &(dyn Error + 'static)) -> String {
    let host = uri.host().unwrap_or_default();
    let place = uri.authority().map_or(host, |authority| authority.as_str());
    match obstacle(error) {
        Obstacle::Unknown => format!(
            "It cannot be reached: there is no host {host}. Check the base URL; if it is right, the name server of this machine does not know that host."
        ),
        Obstacle::Private => format!(
            "It cannot be reached: {host} leads to a private address, which this provider does not allow. Allow it at its connection, or check the base URL."
        ),
        Obstacle::Refused => format!(
            "It cannot be reached: nothing takes connections at {place}. Check the base URL and its port, and whether the provider runs."
        ),
        Obstacle::Silent => format!(
            "It cannot be reached: {place} took no connection in time. Check the base URL, and whether a firewall is in the way."
        ),
        Obstacle::Certificate => format!(
            "It cannot be reached: the certificate of {host} is not one that is trusted here. Check the base URL, and the certificate."
        ),
        Obstacle::NotSecure => format!(
            "It cannot be reached: no secure connection to {place} came about. Check whether the base URL begins with https:// or with http://."
        ),
        Obstacle::Other => format!(
            "It cannot be reached: the connection to {place} failed. Check the base URL, and whether this machine may go there."
        ),
    }
}

/// The first thing in a chain of errors that says what it is.
fn obstacle(error: &(dyn Error + 'static)) -> Obstacle {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return of_tls(found);
        }
        if let Some(found) = error.downcast_ref::<io::Error>() {
            // What an error was made from is not among its sources.
            let inner =
                found.get_ref().map(|inner| obstacle(inner)).filter(|found| *found != Obstacle::Other);
            if let Some(found) = inner.or_else(|| of_input(found)) {
                return found;
            }
        }
        next = error.source();
    }
    Obstacle::Other
}

fn of_input(error: &io::Error) -> Option<Obstacle> {
    // What our own look-up of names says (`address.rs`) has no number of the system's.
    let our_own = error.raw_os_error().is_none();
    match error.kind() {
        io::ErrorKind::NotFound if our_own => Some(Obstacle::Unknown),
        io::ErrorKind::PermissionDenied if our_own => Some(Obstacle::Private),
        io::ErrorKind::ConnectionRefused => Some(Obstacle::Refused),
        io::ErrorKind::TimedOut => Some(Obstacle::Silent),
        _ => None,
    }
}

fn of_tls(error: &rustls::Error) -> Obstacle {
    match error {
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
            Obstacle::Certificate
        }
        _ => Obstacle::NotSecure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_obstacle_is_said_with_the_host_and_what_to_do() {
        let uri: Uri = "https://models.example:8443/v1/models".parse().expect("an address");
        let tls = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        let unknown = rustls::CertificateError::UnknownIssuer;
        for (error, says) in [
            (io::Error::from(io::ErrorKind::NotFound), "there is no host models.example. Check the base URL"),
            (io::ErrorKind::PermissionDenied.into(), "models.example leads to a private address"),
            (io::ErrorKind::ConnectionRefused.into(), "nothing takes connections at models.example:8443."),
            (io::ErrorKind::TimedOut.into(), "models.example:8443 took no connection in time."),
            (tls(rustls::Error::InvalidCertificate(unknown)), "the certificate of models.example is not one"),
            (tls(rustls::Error::DecryptError), "no secure connection to models.example:8443 came about."),
            (io::Error::other("odd"), "the connection to models.example:8443 failed."),
        ] {
            let words = words(&uri, &error);
            assert!(words.starts_with("It cannot be reached: ") && words.contains(says), "{words}");
            assert!(words.contains("Check") || words.contains("Allow"), "what to do: {words}");
        }
    }
}
