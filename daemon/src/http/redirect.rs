//! The loopback listener that a browser is sent back to (RFC 8252, 7.3), while a sign-in waits.
//!
//! Another user of the machine is not listened to, where the kernel says who somebody is. But any web
//! page and any program of this user can send requests here: only one path, one method and one state
//! have an effect, once; all else gets a page that says nothing. The address that carries the
//! code is answered by a redirect to one that does not, so that no code stays in a browser's history.

use std::{
    convert::Infallible,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use sso_agent_core::callback::{Callback, Expected};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, oneshot, watch},
    task::{AbortHandle, JoinSet},
};

use super::{
    links::{Followed, Links, START},
    pages::{self, Page},
};
use crate::peer;

#[cfg(feature = "fuzzing")]
mod fuzzing;
#[cfg(test)]
mod tests;

#[cfg(feature = "fuzzing")]
pub(super) use self::fuzzing::converse;

const HEADERS_IN: Duration = Duration::from_secs(10);
const LARGEST_REQUEST: usize = 16 * 1024;
const CONNECTIONS: usize = 64;

/// How long the last page waits for the browser to fetch it.
const LAST_PAGE: Duration = Duration::from_secs(5);

const DONE: &str = "/done/";

/// A port on every loopback address that the redirect URL may mean.
#[derive(Debug)]
pub(crate) struct Listener {
    sockets: Vec<TcpListener>,
    port: u16,
}

impl Listener {
    /// Takes a port on 127.0.0.1 and, where there is IPv6, on `::1`: on both or on none, or somebody
    /// else could listen where the browser looks first. Port 0 is any.
    pub(crate) async fn bind(port: u16) -> io::Result<Self> {
        let first = TcpListener::bind(("127.0.0.1", port)).await?;
        let port = first.local_addr()?.port();
        let sockets = match TcpListener::bind(("::1", port)).await {
            Ok(second) => vec![first, second],
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
            Err(_) => vec![first],
        };
        Ok(Self { sockets, port })
    }

    /// The port it got.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Serves until what this gives is dropped, or its last page was seen.
    pub(crate) fn serve(
        self,
        path: &str,
        expected: Expected,
        links: Links,
        started: impl Fn() + Send + Sync + 'static,
    ) -> Waiting {
        let (returned, callback) = oneshot::channel();
        let site = Arc::new(Site {
            names: ["localhost", "127.0.0.1", "[::1]"].map(|name| format!("{name}:{}", self.port)),
            path: path.to_owned(),
            last: format!("{DONE}{}", crate::random::name()),
            expected,
            links,
            started: Box::new(started),
            returned: Mutex::new(Some(returned)),
            page: watch::Sender::new(None),
            was_seen: AtomicBool::new(false),
            seen: Notify::new(),
        });
        let task = tokio::spawn(run(self.sockets, site.clone())).abort_handle();
        Waiting { callback, site, task }
    }
}

/// A listener at work.
pub(crate) struct Waiting {
    callback: oneshot::Receiver<Callback>,
    site: Arc<Site>,
    task: AbortHandle,
}

impl Waiting {
    /// Waits for the redirect of this sign-in. The browser waits with it, for [`show`](Self::show).
    pub(crate) async fn callback(&mut self) -> Option<Callback> {
        (&mut self.callback).await.ok()
    }

    /// Lets the browser see how it ended, and goes away soon after.
    pub(crate) fn show(self, page: Page) {
        self.site.page.send_replace(Some(page));
        let (site, task) = (self.site.clone(), self.task.clone());
        tokio::spawn(async move {
            // Whether the person looks or not.
            let _ = tokio::time::timeout(LAST_PAGE, site.seen.notified()).await;
            task.abort();
        });
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.site.page.borrow().is_none() {
            self.task.abort();
        }
    }
}

/// What the listener knows.
struct Site {
    names: [String; 3],
    path: String,
    last: String,
    expected: Expected,
    links: Links,
    started: Box<dyn Fn() + Send + Sync>,
    returned: Mutex<Option<oneshot::Sender<Callback>>>,
    page: watch::Sender<Option<Page>>,
    was_seen: AtomicBool,
    seen: Notify,
}

async fn run(sockets: Vec<TcpListener>, site: Arc<Site>) {
    let mut loops = JoinSet::new();
    for socket in sockets {
        loops.spawn(accept(socket, site.clone()));
    }
    while loops.join_next().await.is_some() {}
}

async fn accept(socket: TcpListener, site: Arc<Site>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.len() >= CONNECTIONS {
            connections.join_next().await;
        }
        match socket.accept().await {
            Ok((stream, _)) => {
                connections.spawn(connection(stream, site.clone()));
            }
            // Out of descriptors, or the peer is gone already: no reason to spin.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, site: Arc<Site>) {
    if !peer::may_be_ours(&stream).await {
        return;
    }
    serve(TokioIo::new(stream), site).await;
}

/// Answers what comes over one connection.
async fn serve(stream: impl hyper::rt::Read + hyper::rt::Write + Unpin, site: Arc<Site>) {
    let service = service_fn(|request: Request<hyper::body::Incoming>| {
        let site = site.clone();
        async move { Ok::<_, Infallible>(site.answer(request.method(), request.uri(), request.headers()).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_IN)
        .max_buf_size(LARGEST_REQUEST)
        .keep_alive(false)
        .serve_connection(stream, service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a browser connection broke");
    }
    if site.was_seen.load(Ordering::Acquire) {
        site.seen.notify_one();
    }
}

impl Site {
    async fn answer(&self, method: &Method, uri: &http::Uri, headers: &HeaderMap) -> Response<Full<Bytes>> {
        if let Some(refused) = self.refuses(method, headers) {
            return empty(refused);
        }
        if let Some(nonce) = uri.path().strip_prefix(START) {
            return self.start(nonce);
        }
        if uri.path() == self.last {
            return self.last_page();
        }
        if uri.path() == self.path {
            return self.came_back(uri.query().unwrap_or_default()).await;
        }
        page(&Page::NotFound)
    }

    /// What no browser sends that was redirected here: another host's name (DNS rebinding), a script's
    /// request, a proxy's.
    fn refuses(&self, method: &Method, headers: &HeaderMap) -> Option<StatusCode> {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let ours = self.names.iter().any(|name| name.eq_ignore_ascii_case(host));
        let passed_on = ["x-forwarded-for", "x-forwarded-host", "forwarded", "via"];
        if !ours {
            Some(StatusCode::MISDIRECTED_REQUEST)
        } else if headers.contains_key(header::ORIGIN)
            || passed_on.iter().any(|name| headers.contains_key(*name))
        {
            Some(StatusCode::FORBIDDEN)
        } else if method != Method::GET {
            Some(StatusCode::METHOD_NOT_ALLOWED)
        } else {
            None
        }
    }

    fn start(&self, nonce: &str) -> Response<Full<Bytes>> {
        match self.links.follow(nonce) {
            Followed::To(url) => {
                (self.started)();
                sent_to(StatusCode::FOUND, &url, String::new())
            }
            Followed::Used => page(&Page::Used),
            Followed::Unknown => page(&Page::NotFound),
        }
    }

    async fn came_back(&self, query: &str) -> Response<Full<Bytes>> {
        let params: Vec<(String, String)> =
            url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let Some(callback) =
            self.expected.judge(params.iter().map(|(name, value)| (name.as_str(), value.as_str())))
        else {
            return page(&Page::NotFound);
        };
        let Some(returned) = self.returned.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return page(&Page::Used);
        };
        // Whoever waited may have hung up; then this connection ends with the listener.
        let _ = returned.send(callback);
        let mut shown = self.page.subscribe();
        let html = match shown.wait_for(Option::is_some).await {
            Ok(shown) => shown.as_ref().map(Page::html).unwrap_or_default(),
            Err(_) => String::new(),
        };
        sent_to(StatusCode::SEE_OTHER, &self.last, html)
    }

    fn last_page(&self) -> Response<Full<Bytes>> {
        let shown = self.page.borrow();
        let Some(last) = shown.as_ref() else { return page(&Page::NotFound) };
        self.was_seen.store(true, Ordering::Release);
        page(last)
    }
}

fn page(page: &Page) -> Response<Full<Bytes>> {
    let status = StatusCode::from_u16(page.status()).unwrap_or(StatusCode::OK);
    respond(status, None, page.html())
}

fn sent_to(status: StatusCode, location: &str, html: String) -> Response<Full<Bytes>> {
    respond(status, Some(location), html)
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    respond(status, None, String::new())
}

fn respond(status: StatusCode, location: Option<&str>, html: String) -> Response<Full<Bytes>> {
    let mut response = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "text/html; charset=utf-8")
        .header(header::CONTENT_SECURITY_POLICY, pages::policy())
        .header(header::CACHE_CONTROL, "no-store")
        .header(header::REFERRER_POLICY, "no-referrer")
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(header::X_FRAME_OPTIONS, "DENY")
        .header("cross-origin-opener-policy", "same-origin");
    if let Some(location) = location {
        response = response.header(header::LOCATION, location);
    }
    response.body(Full::from(html)).unwrap_or_else(|_| Response::new(Full::default()))
}
