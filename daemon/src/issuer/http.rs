//! The one HTTPS client that talks to issuers.
//!
//! What matters is to know whether a request can have arrived: a refresh token that may have been spent
//! is treated differently from one that was not. So every request has a connection of its own, nothing
//! is sent again behind our back, and no redirect is followed, which would take the body elsewhere.

use std::{
    error::Error,
    pin::Pin,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use rustls::ClientConfig;
use sso_agent_core::{callback::clean, host::is_loopback};
use tokio::{
    net::TcpStream,
    sync::OnceCell,
    time::{Sleep, sleep},
};
use tokio_util::task::AbortOnDropHandle;
use tower_service::Service as _;
use url::Url;
use zeroize::Zeroizing;

use super::{discovered::Discoveries, reply::Reply, settings::Settings, trust::trust};

const USER_AGENT: &str = concat!("sso-agent/", env!("CARGO_PKG_VERSION"));

type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;
type BoxError = Box<dyn Error + Send + Sync>;

/// Talks to issuers over TLS, and to this machine without.
#[derive(Debug, Default)]
pub(crate) struct Http {
    way: RwLock<Arc<Way>>,
    discoveries: Discoveries,
}

/// How issuers are reached now.
#[derive(Debug, Default)]
struct Way {
    settings: Settings,
    /// The system's roots, some hundred of them: read when first needed, since many an agent only hands out.
    trust: OnceCell<Arc<ClientConfig>>,
}

/// How long an answer that may be there already gets to be read.
const UNREAD: Duration = Duration::from_secs(1);

/// Whether a request can have arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// It cannot: there was no connection yet.
    No,
    /// It can: it was on its way.
    Maybe,
    /// It has: somebody answered, without doing what was asked.
    Answered,
}

/// A request that got no answer. Names the origin and the cause, never what was sent.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{origin}: {cause}")]
pub(crate) struct SendError {
    pub(crate) sent: Sent,
    pub(crate) origin: String,
    pub(crate) cause: String,
}

impl Http {
    /// A client that reaches issuers in this way.
    pub(crate) fn by(settings: Settings) -> Self {
        let http = Self::default();
        http.adopt(settings);
        http
    }

    /// From the next request on, reaches them in this way.
    pub(crate) fn adopt(&self, settings: Settings) {
        let mut way = self.way.write().unwrap_or_else(PoisonError::into_inner);
        if way.settings != settings {
            *way = Arc::new(Way { settings, trust: OnceCell::new() });
        }
    }

    fn way(&self) -> Arc<Way> {
        self.way.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A client that asks directly, and trusts what the system trusts.
    #[cfg(test)]
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A client that trusts what `config` says.
    #[cfg(test)]
    pub(crate) fn trusting(config: ClientConfig) -> Self {
        let trust = OnceCell::new_with(Some(Arc::new(config)));
        let way = RwLock::new(Arc::new(Way { settings: Settings::default(), trust }));
        Self { way, ..Self::default() }
    }

    /// What it found out about hosts.
    pub(crate) fn discoveries(&self) -> &Discoveries {
        &self.discoveries
    }

    /// Fetches `url`.
    pub(crate) async fn get(&self, url: &str, within: Duration) -> Result<Reply, SendError> {
        let request = Request::get(url).header(header::ACCEPT, "application/json").body(Vec::new());
        match request {
            Ok(request) => self.send(request, within).await,
            Err(_) => Err(not_sent(origin_of(url), "this is no address")),
        }
    }

    /// Sends a request and reads the answer, all of it `within` this time.
    ///
    /// An answer that breaks off is an answer; see [`Reply::cut`].
    pub(crate) async fn send(&self, request: Request<Vec<u8>>, within: Duration) -> Result<Reply, SendError> {
        let uri = request.uri().clone();
        let origin = origin_of(&uri.to_string());
        let request = prepare(request).map_err(|cause| not_sent(origin.clone(), cause))?;
        let late = || match within.as_secs() {
            0 => "no answer in time".to_owned(),
            seconds => format!("no answer within {seconds} s"),
        };
        let mut deadline = std::pin::pin!(sleep(within));
        let stream = tokio::select! {
            stream = self.connect(uri, within) => stream.map_err(|error| not_sent(origin.clone(), causes(&*error))),
            () = &mut deadline => Err(not_sent(origin.clone(), late())),
        }?;
        let maybe = |cause| SendError { sent: Sent::Maybe, origin, cause };
        talk(stream, request, deadline, late).await.map_err(maybe)
    }

    async fn connect(&self, uri: Uri, within: Duration) -> Result<Stream, BoxError> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // A first address that does not answer must leave time for the second.
        tcp.set_connect_timeout(Some(within / 2));
        if uri.scheme_str() == Some("http") {
            return Ok(MaybeHttpsStream::Http(tcp.call(uri).await?));
        }
        let way = self.way();
        let config = way.trust.get_or_try_init(|| trust(way.settings.ca.clone())).await?;
        HttpsConnector::from((tcp, Arc::clone(config))).call(uri).await
    }
}

/// Puts a request into the form that goes over one connection, if its address is one to send secrets to.
fn prepare(request: Request<Vec<u8>>) -> Result<Request<Full<Bytes>>, &'static str> {
    let (mut parts, body) = request.into_parts();
    let url = Url::parse(&parts.uri.to_string()).map_err(|_| "this is no address")?;
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        _ => return Err("only https is safe"),
    }
    let authority = parts.uri.authority().map(::http::uri::Authority::as_str).unwrap_or_default();
    let host = HeaderValue::from_str(authority).map_err(|_| "this is no address")?;
    parts.headers.insert(header::HOST, host);
    parts.headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    parts.headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    parts.uri = parts.uri.path_and_query().map_or(Uri::default(), |path| Uri::from(path.clone()));
    Ok(Request::from_parts(parts, Full::new(Bytes::from_owner(Zeroizing::new(body)))))
}

async fn talk(
    stream: Stream,
    request: Request<Full<Bytes>>,
    deadline: Pin<&mut Sleep>,
    late: impl Fn() -> String,
) -> Result<Reply, String> {
    let handshake = hyper::client::conn::http1::handshake(stream).await;
    let (mut sender, connection) = handshake.map_err(|error| causes(&error))?;
    let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
    // A process that was stopped for a while finds its deadline over and the answer there, unread.
    let mut over = std::pin::pin!(async {
        deadline.await;
        sleep(UNREAD).await;
    });
    let response = tokio::select! {
        biased;
        response = sender.send_request(request) => response.map_err(|error| causes(&error))?,
        () = &mut over => return Err(late()),
    };
    let (head, mut body) = response.into_parts();
    let mut reply = Reply::new(&head);
    while reply.cut.is_none() {
        let frame = tokio::select! {
            biased;
            frame = body.frame() => frame,
            () = &mut over => {
                reply.cut = Some(late());
                break;
            }
        };
        match frame {
            Some(Ok(frame)) => reply.push(frame.data_ref().map(Bytes::as_ref).unwrap_or_default()),
            Some(Err(error)) => reply.cut = Some(causes(&error)),
            None => break,
        }
    }
    Ok(reply)
}

fn not_sent(origin: String, cause: impl Into<String>) -> SendError {
    SendError { sent: Sent::No, origin, cause: cause.into() }
}

pub(super) fn origin_of(url: &str) -> String {
    Url::parse(url).map_or_else(|_| "the issuer".to_owned(), |url| url.origin().ascii_serialization())
}

/// The whole story of an error: what hyper says by itself is no more than `client error`.
fn causes(error: &(dyn Error + 'static)) -> String {
    let story = std::iter::successors(Some(error), |&error| error.source());
    clean(&story.map(ToString::to_string).collect::<Vec<_>>().join(": "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issuer::testing::{Fake, reply};
    use http::StatusCode;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use rustls::{RootCertStore, crypto::aws_lc_rs};
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;

    const SOON: Duration = Duration::from_millis(300);
    const LONG: Duration = Duration::from_secs(20);

    fn post(url: &str) -> Request<Vec<u8>> {
        Request::post(url).body(b"refresh_token=canary".to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_request_arrives_and_its_answer_comes_back() {
        let fake =
            Fake::new(|_| reply(200, "Content-Type: application/json\r\nRetry-After: 7\r\n", "{}")).await;
        let answer = Http::new().send(post(&fake.url("/token?a=1")), LONG).await.unwrap();
        assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, &b"{}"[..]));
        assert_eq!(answer.content_type.as_deref(), Some("application/json"));
        assert_eq!(answer.retry_after, Some(Duration::from_secs(7)));
        let heard = fake.heard();
        assert!(heard[0].starts_with("POST /token?a=1 HTTP/1.1\r\n"), "{heard:?}");
        assert!(heard[0].contains(&format!("user-agent: {USER_AGENT}\r\n")), "{heard:?}");
        assert!(heard[0].ends_with("\r\n\r\nrefresh_token=canary"), "{heard:?}");
    }

    #[tokio::test]
    async fn a_closed_port_was_not_sent_to() {
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let error =
            Http::new().send(post(&format!("http://127.0.0.1:{port}/t?q=canary")), LONG).await.unwrap_err();
        assert_eq!(error.sent, Sent::No);
        let text = error.to_string();
        assert!(text.starts_with(&format!("http://127.0.0.1:{port}: ")), "{text}");
        assert!(text.to_lowercase().contains("refused") && !text.contains("canary"), "{text}");
    }

    #[tokio::test]
    async fn plain_http_leaves_this_machine_never() {
        for url in ["http://192.0.2.1/t", "http://example.com/t", "ftp://127.0.0.1/t"] {
            let error = Http::new().send(post(url), LONG).await.unwrap_err();
            assert_eq!((error.sent, error.cause.as_str()), (Sent::No, "only https is safe"), "{url}");
        }
    }

    #[tokio::test]
    async fn a_hang_after_the_request_may_have_been_heard() {
        let fake = Fake::silent().await;
        let error = Http::new().send(post(&fake.url("/")), SOON).await.unwrap_err();
        assert_eq!(error.sent, Sent::Maybe);
    }

    #[tokio::test]
    async fn a_connection_that_breaks_after_the_request_may_have_been_heard() {
        let fake = Fake::new(|_| String::new()).await;
        let error = Http::new().send(post(&fake.url("/")), LONG).await.unwrap_err();
        assert_eq!(error.sent, Sent::Maybe);
        assert_eq!(fake.heard().len(), 1, "it must not be sent again");
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_is_kept_as_far_as_it_came() {
        let fake = Fake::new(|_| "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"refresh".into()).await;
        let answer = Http::new().send(post(&fake.url("/")), LONG).await.unwrap();
        assert!(answer.cut.is_some());
        assert_eq!(&answer.body[..], b"{\"refresh");
    }

    #[tokio::test]
    async fn an_endless_answer_is_cut() {
        let fake = Fake::new(|_| reply(200, "", &"x".repeat(3 << 20))).await;
        let answer = Http::new().send(post(&fake.url("/")), LONG).await.unwrap();
        assert!(answer.cut.is_some());
        assert_eq!(answer.body.len(), 1 << 20);
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed() {
        let elsewhere = Fake::new(|_| reply(200, "", "")).await;
        let location = format!("Location: {}\r\n", elsewhere.url("/"));
        let fake = Fake::new(move |_| reply(307, &location, "")).await;
        let answer = Http::new().send(post(&fake.url("/")), LONG).await.unwrap();
        assert_eq!(answer.status, StatusCode::TEMPORARY_REDIRECT);
        assert!(elsewhere.heard().is_empty());
    }

    #[tokio::test]
    async fn plain_http_on_a_tls_port_is_not_sent_to() {
        let fake = Fake::new(|_| reply(200, "", "")).await;
        let http = Http::trusting(trust_in(&self_signed().0));
        let error = http.send(post(&fake.url("/").replace("http:", "https:")), LONG).await.unwrap_err();
        assert_eq!(error.sent, Sent::No);
        assert!(!fake.heard().concat().contains("canary"));
    }

    #[tokio::test]
    async fn only_a_trusted_server_hears_the_request() {
        let (certificate, key) = self_signed();
        let (stranger, _) = self_signed();
        let (url, heard) = tls_server(certificate.clone(), key).await;

        let error = Http::trusting(trust_in(&stranger)).send(post(&url), LONG).await.unwrap_err();
        assert_eq!(error.sent, Sent::No);
        assert!(error.cause.contains("certificate"), "{error}");

        let error = Http::new().send(post(&url), LONG).await.unwrap_err();
        assert_eq!(error.sent, Sent::No, "the system does not know it either: {error}");

        let wrong_name = url.replace("localhost", "127.0.0.1");
        let error = Http::trusting(trust_in(&certificate)).send(post(&wrong_name), LONG).await.unwrap_err();
        assert_eq!(error.sent, Sent::No);
        assert_eq!(*heard.lock().unwrap(), "", "nothing may leave before the server is known");

        let answer = Http::trusting(trust_in(&certificate)).send(post(&url), LONG).await.unwrap();
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
        assert!(heard.lock().unwrap().ends_with("canary"));
    }

    fn self_signed() -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        (made.cert.der().clone(), PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into()))
    }

    fn trust_in(certificate: &CertificateDer<'static>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }

    async fn tls_server(
        certificate: CertificateDer<'static>,
        key: PrivateKeyDer<'static>,
    ) -> (String, Arc<std::sync::Mutex<String>>) {
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}/t", listener.local_addr().unwrap().port());
        let heard = Arc::new(std::sync::Mutex::new(String::new()));
        let ear = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(tcp).await else { continue };
                let mut buffer = [0; 4096];
                while let Ok(n @ 1..) = stream.read(&mut buffer).await {
                    ear.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..n]));
                    if ear.lock().unwrap().ends_with("canary") {
                        tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 204 No Content\r\n\r\n")
                            .await
                            .unwrap();
                        break;
                    }
                }
            }
        });
        (url, heard)
    }
}
