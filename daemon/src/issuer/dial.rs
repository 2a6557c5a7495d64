//! The way to an issuer: its name looked up, a proxy passed, TLS spoken. Whatever fails here, nothing of
//! the request has left.

use std::{error::Error, io, sync::Arc, time::Duration};

use http::Uri;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::{
    HttpConnector,
    proxy::{SocksV5, Tunnel},
};
use rustls::{AlertDescription, CertificateError, ClientConfig};
use sso_agent_core::callback::clean;
use tower_service::Service as _;

use super::{
    lookup::Lookup,
    proxy::{Kind, Proxy, proxy},
    settings::Settings,
};

pub(super) type BoxError = Box<dyn Error + Send + Sync>;

/// A connection to an issuer, through whatever there is on the way.
pub(super) trait Io: hyper::rt::Read + hyper::rt::Write + Send + Unpin {}

impl<T: hyper::rt::Read + hyper::rt::Write + Send + Unpin> Io for T {}

pub(super) type Stream = Box<dyn Io>;

/// Connects without TLS: for this machine.
pub(super) async fn plain(lookup: &Lookup, to: Uri, within: Duration) -> Result<Stream, BoxError> {
    Ok(Box::new(tcp(lookup, within).call(to).await?))
}

/// Connects, through the proxy where the settings name one, and makes sure who is at the other end.
pub(super) async fn secure(
    lookup: &Lookup,
    settings: &Settings,
    trust: &Arc<ClientConfig>,
    to: Uri,
    within: Duration,
) -> Result<Stream, BoxError> {
    let tcp = tcp(lookup, within);
    let Some(proxy) = proxy(settings, &to)? else {
        let stream = HttpsConnector::from((tcp, Arc::clone(trust))).call(to).await;
        return stream.map(|stream| Box::new(stream) as Stream);
    };
    let way = proxy.uri.clone();
    let stream = through(proxy, tcp, trust, to).await;
    stream.map_err(|error| {
        format!("by the proxy {}: {}", way.to_string().trim_end_matches('/'), causes(&*error)).into()
    })
}

async fn through(
    Proxy { uri, kind }: Proxy,
    tcp: HttpConnector<Lookup>,
    trust: &Arc<ClientConfig>,
    to: Uri,
) -> Result<Stream, BoxError> {
    Ok(match kind {
        Kind::Http(auth) => {
            // The proxy itself may want TLS.
            let mut tunnel = Tunnel::new(uri, HttpsConnector::from((tcp, Arc::clone(trust))));
            if let Some(auth) = auth {
                tunnel = tunnel.with_auth(auth);
            }
            Box::new(HttpsConnector::from((tunnel, Arc::clone(trust))).call(to).await?)
        }
        Kind::Socks(auth) => {
            let mut socks = SocksV5::new(uri, tcp);
            if let Some((user, password)) = auth {
                socks = socks.with_auth(user, password);
            }
            Box::new(HttpsConnector::from((socks, Arc::clone(trust))).call(to).await?)
        }
    })
}

fn tcp(lookup: &Lookup, within: Duration) -> HttpConnector<Lookup> {
    let mut tcp = HttpConnector::new_with_resolver(lookup.clone());
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    // A first address that does not answer must leave time for the second.
    tcp.set_connect_timeout(Some(within / 2));
    tcp
}

/// The whole story of an error: what hyper says by itself is no more than `client error`. Where it is about
/// TLS, what is to be done about it comes first.
pub(super) fn causes(error: &(dyn Error + 'static)) -> String {
    let story = std::iter::successors(Some(error), |&error| error.source());
    let mut story: Vec<String> = story.map(ToString::to_string).collect();
    // One that wraps another often says the same.
    story.dedup();
    let story = story.join(": ");
    clean(&match tls(error).and_then(advice) {
        Some(advice) => format!("{advice} ({story})"),
        None => story,
    })
}

/// Whether it is about who the other end is: other roots might know it.
pub(super) fn is_unknown_certificate(error: &(dyn Error + 'static)) -> bool {
    matches!(tls(error), Some(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)))
}

/// What went wrong between us and the other end's TLS. An I/O error hides what it holds from `source`.
fn tls<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = held.map(|held| held as &(dyn Error + 'static)).or_else(|| error.source());
    }
    None
}

#[expect(clippy::wildcard_enum_match_arm, reason = "there are dozens, of which these are seen in the field")]
fn advice(error: &rustls::Error) -> Option<&'static str> {
    Some(match error {
        rustls::Error::InvalidCertificate(why) => match why {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate has expired, or the clock here is wrong"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "its certificate is not valid yet, or the clock here is wrong"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "its certificate is for another name"
            }
            CertificateError::UnknownIssuer => {
                "its certificate is from nobody that this system trusts; a certificate of your own goes into ca_file"
            }
            CertificateError::Revoked => "its certificate was revoked",
            _ => "its certificate cannot be used",
        },
        rustls::Error::InvalidMessage(_) => "what listens there does not speak TLS",
        rustls::Error::PeerIncompatible(_)
        | rustls::Error::AlertReceived(AlertDescription::ProtocolVersion) => {
            "it speaks no TLS that is safe: 1.2 or newer"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
