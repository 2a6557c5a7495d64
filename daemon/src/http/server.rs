//! One HTTP/1.1 server for all doors: limits, and who is turned away before anything is read.
//!
//! The hard part is who else can make somebody connect: a web page by a name that leads to us (DNS
//! rebinding), a script, a proxy that passes on what it was sent. None of them is a program of this
//! user that means us, and each gives itself away by a header.

use std::{convert::Infallible, future::Future, io, sync::Arc, time::Duration};

use http::{HeaderMap, Request, Response, StatusCode, Uri, header};
use http_body_util::BodyExt as _;
use hyper::{
    body::{Body as _, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use interprocess::local_socket::tokio::Stream;
use sso_agent_proto::secret::Wiped;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

use super::answer::{self, Body};
use crate::{
    peer, process,
    rpc::{
        clients::{Clients, Pulse},
        connection::{LONG, USUAL},
        listen,
        socket::{self, ForHttp, Socket},
    },
};

/// For the head of a request, and for a connection that is kept open between two.
const HEADERS_IN: Duration = Duration::from_secs(10);
const BODY_IN: Duration = Duration::from_secs(10);
const LARGEST_HEAD: usize = 16 * 1024;
const MOST_HEADERS: usize = 64;

/// As on the other socket.
const LARGEST_BODY: usize = 1024 * 1024;

/// What somebody finds behind a door.
pub(crate) trait Site: Send + Sync + 'static {
    /// Whether this is a name by which we are meant here.
    fn is_called(&self, host: &str) -> bool;

    /// Answers a request that was let in.
    fn answer(&self, request: Request<Incoming>) -> impl Future<Output = Response<Body>> + Send;

    /// Counts an answer, whoever gave it.
    fn answered(&self, status: StatusCode);
}

/// Where connections come from.
pub(crate) trait Door: Send + 'static {
    /// Somebody who connected.
    type Caller: Send + 'static;
    /// A connection with our own user.
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// So many at once.
    fn most() -> usize;

    /// The next one.
    fn accept(&mut self) -> impl Future<Output = io::Result<Self::Caller>> + Send;

    /// The connection, if by the kernel's word it is of our own user.
    fn admit(caller: Self::Caller) -> impl Future<Output = Option<Self::Stream>> + Send;
}

impl Door for TcpListener {
    type Caller = TcpStream;
    type Stream = TcpStream;

    fn most() -> usize {
        process::room().tcp
    }

    async fn accept(&mut self) -> io::Result<TcpStream> {
        let (stream, _) = TcpListener::accept(self).await?;
        // An answer is one write; waiting for more of it costs 40 ms.
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }

    async fn admit(caller: TcpStream) -> Option<TcpStream> {
        peer::is_ours(&caller).await.then_some(caller)
    }
}

impl Door for Socket {
    type Caller = Stream;
    type Stream = ForHttp;

    fn most() -> usize {
        process::room().http
    }

    async fn accept(&mut self) -> io::Result<Stream> {
        Socket::accept(self).await
    }

    async fn admit(caller: Stream) -> Option<ForHttp> {
        listen::is_ours(&caller).then(|| socket::for_http(caller))
    }
}

/// Serves until it is stopped; what was asked by then is still answered.
pub(crate) async fn serve<D: Door>(mut door: D, site: Arc<impl Site>, stop: CancellationToken) {
    let mut clients = Clients::with_room_for(D::most());
    loop {
        let accepted = tokio::select! {
            accepted = async {
                clients.room().await;
                door.accept().await
            } => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok(caller) => {
                let (site, stop) = (site.clone(), stop.clone());
                clients.welcome(|pulse| async move {
                    if let Some(stream) = D::admit(caller).await {
                        converse(stream, site, stop, pulse).await;
                    }
                });
            }
            Err(error) => listen::could_not_accept(&error).await,
        }
    }
    drop(door);
    clients.all_gone().await;
}

async fn converse<S>(stream: S, site: Arc<impl Site>, stop: CancellationToken, pulse: Pulse)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = service_fn(|request| {
        let (site, pulse) = (site.clone(), pulse.clone());
        async move {
            pulse.heard(true);
            let response = admit(&*site, request).await;
            // A stream of events goes on for as long as somebody reads it.
            pulse.heard(response.size_hint().exact().is_none());
            Ok::<_, Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_IN)
        .max_headers(MOST_HEADERS)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let served = tokio::select! {
        biased;
        served = connection.as_mut() => served,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "an HTTP connection broke");
    }
}

async fn admit(site: &impl Site, request: Request<Incoming>) -> Response<Body> {
    let response = match refuses(site, request.uri(), request.headers()) {
        Some((status, why)) => answer::error(status, "denied", why, "ask this address directly"),
        None => site.answer(request).await,
    };
    site.answered(response.status());
    response
}

/// What no program sends that means us; and which header says so.
fn refuses(site: &impl Site, uri: &Uri, headers: &HeaderMap) -> Option<(StatusCode, &'static str)> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok()).unwrap_or_default();
    let elsewhere = uri.authority().is_some_and(|authority| !site.is_called(authority.as_str()));
    if !site.is_called(host) || hosts.next().is_some() || elsewhere {
        return Some((StatusCode::MISDIRECTED_REQUEST, "the request is for another host"));
    }
    for (name, value) in headers {
        let name = name.as_str();
        if matches!(name, "origin" | "referer") || name == "sec-fetch-site" && value != "none" {
            return Some((StatusCode::FORBIDDEN, "the request comes from a web page"));
        }
        if passed_on(name) {
            return Some((StatusCode::FORBIDDEN, "the request was passed on by a proxy"));
        }
    }
    None
}

/// Whether a header of this name, in lower case, says that a proxy passed the request on.
pub(crate) fn passed_on(name: &str) -> bool {
    matches!(name, "forwarded" | "via" | "x-real-ip") || name.starts_with("x-forwarded-")
}

/// All of a body, in a buffer that is wiped; or what to answer when it is too long or too slow.
pub(crate) async fn whole(mut body: Incoming) -> Result<Wiped, StatusCode> {
    let read = async {
        let mut whole = Wiped::default();
        let mut long = None;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| StatusCode::BAD_REQUEST)?;
            let Some(data) = frame.data_ref() else { continue };
            if whole.len() + data.len() > LARGEST_BODY {
                return Err(StatusCode::PAYLOAD_TOO_LARGE);
            }
            if long.is_none() && whole.len() + data.len() > USUAL {
                long = Some(LONG.try_acquire().map_err(|_| StatusCode::TOO_MANY_REQUESTS)?);
            }
            // Grown by hand: a `Vec` that grows by itself leaves its old bytes behind unwiped.
            if whole.len() + data.len() > whole.capacity() {
                let mut larger = Vec::with_capacity(2 * (whole.len() + data.len()));
                larger.extend_from_slice(&whole);
                whole = larger.into();
            }
            whole.extend_from_slice(data);
        }
        Ok(whole)
    };
    tokio::time::timeout(BODY_IN, read).await.unwrap_or(Err(StatusCode::REQUEST_TIMEOUT))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    struct Here;

    impl Site for Here {
        fn is_called(&self, host: &str) -> bool {
            host == "localhost"
        }

        async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
            match whole(request.into_body()).await {
                Ok(body) => answer::json(StatusCode::OK, answer::wiped(body)),
                Err(status) => answer::error(status, "k", "m", "h"),
            }
        }

        fn answered(&self, _: StatusCode) {}
    }

    /// Sends all of it, and reads what comes back until the server closes; or closes itself.
    async fn say(bytes: &[u8], closes: bool) -> String {
        let (mut client, server) = tokio::io::duplex(64 * 1024);
        let serving =
            tokio::spawn(converse(server, Arc::new(Here), CancellationToken::new(), Pulse::default()));
        // The server may close in the middle of it.
        let _ = client.write_all(bytes).await;
        if closes {
            let _ = client.shutdown().await;
        }
        let mut heard = Vec::new();
        client.read_to_end(&mut heard).await.unwrap();
        serving.await.unwrap();
        String::from_utf8_lossy(&heard).into_owned()
    }

    #[tokio::test]
    async fn a_request_is_answered_and_never_kept_by_a_cache() {
        let heard = say(b"POST / HTTP/1.0\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}", false).await;
        assert!(heard.starts_with("HTTP/1.0 200 ") && heard.ends_with("\r\n\r\n{}"), "{heard}");
        assert!(heard.contains("cache-control: no-store\r\n"), "{heard}");
    }

    #[tokio::test]
    async fn what_is_too_long_is_refused() {
        let head = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(LARGEST_HEAD));
        assert!(say(head.as_bytes(), false).await.starts_with("HTTP/1.1 431 "));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(MOST_HEADERS + 1));
        assert!(say(many.as_bytes(), false).await.starts_with("HTTP/1.1 431 "));
        let length = LARGEST_BODY + 1;
        let mut body =
            format!("POST / HTTP/1.0\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n").into_bytes();
        body.resize(body.len() + length, b' ');
        assert!(say(&body, false).await.starts_with("HTTP/1.0 413 "));
    }

    #[tokio::test(start_paused = true)]
    async fn half_a_head_and_half_a_body_are_not_waited_for_for_long() {
        for half in [
            "GET / HTTP/1.1\r\nHost: loc",
            "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\nConnection: close\r\n\r\n{",
        ] {
            let (mut client, server) = tokio::io::duplex(4096);
            let serving =
                tokio::spawn(converse(server, Arc::new(Here), CancellationToken::new(), Pulse::default()));
            client.write_all(half.as_bytes()).await.unwrap();
            tokio::time::timeout(HEADERS_IN * 2, serving).await.expect(half).unwrap();
        }
    }

    #[tokio::test]
    async fn who_is_idle_when_the_agent_stops_is_let_go() {
        let (_client, server) = tokio::io::duplex(4096);
        let stop = CancellationToken::new();
        let serving = tokio::spawn(converse(server, Arc::new(Here), stop.clone(), Pulse::default()));
        stop.cancel();
        serving.await.unwrap();
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn any_bytes_are_answered_or_the_connection_is_closed(bytes in proptest::collection::vec(prop_oneof![
            any::<Vec<u8>>(),
            Just(b"GET / HTTP/1.1\r\n".to_vec()),
            Just(b"Host: localhost\r\n".to_vec()),
            Just(b"Content-Length: 1\r\n".to_vec()),
            Just(b"\r\n".to_vec()),
        ], 0..12)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let heard = runtime.block_on(say(&bytes.concat(), true));
            prop_assert!(heard.is_empty() || heard.starts_with("HTTP/1."), "{}", heard);
        }
    }

    fn refused(uri: &'static str, headers: &[(&'static str, &'static str)]) -> Option<u16> {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        // A map made of pairs keeps the last of each name, which is not how requests come in.
        let mut map = HeaderMap::new();
        headers.for_each(|(name, value): (http::HeaderName, http::HeaderValue)| {
            map.append(name, value);
        });
        refuses(&Here, &Uri::from_static(uri), &map).map(|(status, _)| status.as_u16())
    }

    #[test]
    fn a_program_that_means_us_is_let_in() {
        assert_eq!(refused("/", &[("host", "localhost"), ("user-agent", "curl")]), None);
        assert_eq!(refused("/", &[("host", "localhost"), ("sec-fetch-mode", "cors")]), None);
        assert_eq!(refused("http://localhost/", &[("host", "localhost")]), None);
    }

    #[test]
    fn another_hosts_name_is_turned_away() {
        assert_eq!(refused("/", &[("host", "evil.example")]), Some(421));
        assert_eq!(refused("/", &[]), Some(421));
        assert_eq!(refused("/", &[("host", "localhost"), ("host", "evil.example")]), Some(421));
        assert_eq!(refused("http://evil.example/", &[("host", "localhost")]), Some(421));
    }

    #[test]
    fn pages_and_proxies_are_turned_away() {
        for name in
            ["origin", "referer", "forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip"]
        {
            assert_eq!(refused("/", &[("host", "localhost"), (name, "x")]), Some(403), "{name}");
        }
        assert_eq!(refused("/", &[("host", "localhost"), ("sec-fetch-site", "cross-site")]), Some(403));
    }
}
