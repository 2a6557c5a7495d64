//! The one HTTPS client that talks to issuers.
//!
//! What matters is to know whether a request can have arrived: a refresh token that may have been spent
//! is treated differently from one that was not. So every request has a connection of its own, nothing
//! is sent again behind our back, and no redirect is followed, which would take the body elsewhere.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Uri, header};
use http_body_util::{BodyExt as _, Full};
use rustls::ClientConfig;
use sso_agent_core::{host::is_loopback, time::Deadline};
use tokio::{
    sync::OnceCell,
    time::{Sleep, sleep},
};
use tokio_util::task::AbortOnDropHandle;
use url::Url;
use zeroize::Zeroizing;

use super::{
    dial::{self, BoxError, Stream, causes},
    discovered::Discoveries,
    lookup::Lookup,
    reply::Reply,
    settings::Settings,
    trust::trust,
};
use crate::clock;

const USER_AGENT: &str = concat!("sso-agent/", env!("CARGO_PKG_VERSION"));

/// For how long endpoints do not want to be asked.
pub(crate) type Waits = Vec<(String, Duration)>;

/// Talks to issuers over TLS, and to this machine without.
#[derive(Debug, Default)]
pub(crate) struct Http {
    way: RwLock<Arc<Way>>,
    lookup: Lookup,
    /// Token endpoints that named a time before which they do not want to be asked again.
    waits: Mutex<HashMap<String, Deadline>>,
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

    /// From the next request on, reaches them in this way; whether it is another one.
    pub(crate) fn adopt(&self, settings: Settings) -> bool {
        let mut way = self.way.write().unwrap_or_else(PoisonError::into_inner);
        let changed = way.settings != settings;
        if changed {
            *way = Arc::new(Way { settings, trust: OnceCell::new() });
        }
        changed
    }

    /// How issuers are reached.
    pub(crate) fn settings(&self) -> Settings {
        self.way().settings.clone()
    }

    fn way(&self) -> Arc<Way> {
        self.way.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A client that asks directly, and trusts what the system trusts.
    #[cfg(test)]
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A client that trusts what `config` says, and goes as `settings` say.
    #[cfg(test)]
    pub(crate) fn trusting(config: ClientConfig, settings: Settings) -> Self {
        let trust = OnceCell::new_with(Some(Arc::new(config)));
        let way = RwLock::new(Arc::new(Way { settings, trust }));
        Self { way, ..Self::default() }
    }

    /// How long `endpoint` still wants not to be asked.
    pub(super) fn wait(&self, endpoint: &str) -> Option<Duration> {
        let now = clock::now();
        let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        waits.retain(|_, until| !until.is_over(now));
        waits.get(endpoint).map(|until| until.left(now))
    }

    /// `endpoint` wants not to be asked for so long.
    pub(super) fn wait_for(&self, endpoint: &str, wait: Duration) {
        let until = clock::now().steadily_after(wait);
        self.waits.lock().unwrap_or_else(PoisonError::into_inner).insert(endpoint.to_owned(), until);
    }

    /// Who does not want to be asked before when.
    pub(crate) fn waits(&self) -> Waits {
        let now = clock::now();
        let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        waits.retain(|_, until| !until.is_over(now));
        waits.iter().map(|(endpoint, until)| (endpoint.clone(), until.left(now))).collect()
    }

    /// Heeds what another process of ours was told.
    pub(crate) fn heed(&self, waits: &Waits) {
        waits.iter().for_each(|(endpoint, left)| self.wait_for(endpoint, *left));
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
            stream = self.connect(uri, within) => stream.map_err(|error: BoxError| not_sent(origin.clone(), causes(&*error))),
            () = &mut deadline => Err(not_sent(origin.clone(), late())),
        }?;
        let maybe = |cause| SendError { sent: Sent::Maybe, origin, cause };
        talk(stream, request, deadline, late).await.map_err(maybe)
    }

    async fn connect(&self, uri: Uri, within: Duration) -> Result<Stream, BoxError> {
        if uri.scheme_str() == Some("http") {
            return dial::plain(&self.lookup, uri, within).await;
        }
        let way = self.way();
        let trusted = way.trust.get_or_try_init(|| trust(way.settings.ca.clone())).await?;
        let stream = dial::secure(&self.lookup, &way.settings, trusted, uri, within).await;
        if stream.as_ref().is_err_and(|error| dial::is_unknown_certificate(&**error)) {
            self.look_again(&way);
        }
        stream
    }

    /// Roots come and go while an agent runs: who was not known may be known by the next time.
    fn look_again(&self, used: &Arc<Way>) {
        let mut way = self.way.write().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&way, used) && !cfg!(test) {
            *way = Arc::new(Way { settings: used.settings.clone(), trust: OnceCell::new() });
        }
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
    parts.headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
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
    Ok(reply.finished())
}

fn not_sent(origin: String, cause: impl Into<String>) -> SendError {
    SendError { sent: Sent::No, origin, cause: cause.into() }
}

pub(super) fn origin_of(url: &str) -> String {
    Url::parse(url).map_or_else(|_| "the issuer".to_owned(), |url| url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issuer::testing::{Fake, reply};
    use http::StatusCode;
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
    async fn f03_an_answer_that_drips_has_no_more_time_than_one_that_does_not() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let write = tokio::io::AsyncWriteExt::write_all;
            write(&mut stream, b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n").await.unwrap();
            while write(&mut stream, b"x").await.is_ok() {
                sleep(Duration::from_millis(20)).await;
            }
        });
        let answer = Http::new().send(post(&url), SOON).await.unwrap();
        let length = answer.body.len();
        assert!(answer.cut.is_some() && (1..200).contains(&length), "{length}");
    }

    #[tokio::test]
    async fn f07_a_gzip_bomb_is_not_unpacked_and_none_is_asked_for() {
        let fake = Fake::new(|_| reply(200, "Content-Encoding: gzip\r\n", &"\u{1f}".repeat(3 << 20))).await;
        let answer = Http::new().send(post(&fake.url("/")), LONG).await.unwrap();
        assert!(answer.cut.is_some() && answer.body.len() <= 1 << 20);
        assert!(fake.heard()[0].contains("accept-encoding: identity\r\n"));
    }

    #[tokio::test]
    async fn f07_an_endless_answer_is_cut() {
        let fake = Fake::new(|_| reply(200, "", &"x".repeat(3 << 20))).await;
        let answer = Http::new().send(post(&fake.url("/")), LONG).await.unwrap();
        assert!(answer.cut.is_some());
        assert_eq!(answer.body.len(), 1 << 20);
    }

    #[tokio::test]
    async fn f12_a_redirect_is_not_followed() {
        for status in [301, 302, 303, 307, 308] {
            let elsewhere = Fake::new(|_| reply(200, "", "")).await;
            let location = format!("Location: {}\r\n", elsewhere.url("/"));
            let fake = Fake::new(move |_| reply(status, &location, "")).await;
            let answer = Http::new().send(post(&fake.url("/")), LONG).await.unwrap();
            assert_eq!(answer.status, status);
            assert!(elsewhere.heard().is_empty());
        }
    }
}
