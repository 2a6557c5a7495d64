//! The loopback listener that a browser is sent back to (RFC 8252, 7.3), while a sign-in waits.
//!
//! Another user of the machine is not listened to, where the kernel says who somebody is. But any web
//! page and any program of this user can send requests here: only one path, one method and one state
//! have an effect, once; all else gets a page that says nothing. The address that carries the
//! code is answered by a redirect to one that does not, so that no code stays in a browser's history.

use std::{
    collections::VecDeque,
    convert::Infallible,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
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
    server,
};
use crate::{peer, process};

#[cfg(feature = "fuzzing")]
mod fuzzing;
#[cfg(test)]
mod tests;

#[cfg(feature = "fuzzing")]
pub(super) use self::fuzzing::converse;

const HEADERS_IN: Duration = Duration::from_secs(10);
const LARGEST_REQUEST: usize = 16 * 1024;

/// How long the last page waits for the browser to fetch it, and the port stays taken for it.
const LAST_PAGE: Duration = Duration::from_millis(1500);

/// `EAFNOSUPPORT`, which has no kind of its own.
const NO_SUCH_FAMILY: i32 = if cfg!(target_os = "linux") {
    97
} else if cfg!(windows) {
    10047
} else {
    47
};

const DONE: &str = "/done/";

/// A port on every loopback address that the redirect URL may mean.
#[derive(Debug)]
pub(crate) struct Listener {
    sockets: Vec<TcpListener>,
    port: u16,
    /// So many connections at once on each address.
    room: usize,
}

impl Listener {
    /// Takes a port on 127.0.0.1 and, where there is IPv6, on `::1`: on both or on none, or somebody
    /// else could listen where the browser looks first. Port 0 is any.
    ///
    /// Nobody shares it: `SO_REUSEPORT` is not set, and `SO_REUSEADDR`, which is, lets nobody have a port
    /// that is listened at, on any address that means us.
    pub(crate) async fn bind(port: u16) -> io::Result<Self> {
        let first = TcpListener::bind(("127.0.0.1", port)).await?;
        let port = first.local_addr()?.port();
        let sockets = match TcpListener::bind(("::1", port)).await {
            Ok(second) => vec![first, second],
            Err(error) if is_without_ipv6(&error) => vec![first],
            Err(error) => return Err(io::Error::new(error.kind(), format!("on [::1]: {error}"))),
        };
        Ok(Self { sockets, port, room: process::room().browser })
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
            seen: Notify::new(),
        });
        let task = tokio::spawn(run(self.sockets, self.room, site.clone())).abort_handle();
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
    seen: Notify,
}

async fn run(sockets: Vec<TcpListener>, room: usize, site: Arc<Site>) {
    let mut loops = JoinSet::new();
    for socket in sockets {
        loops.spawn(accept(socket, room, site.clone()));
    }
    while loops.join_next().await.is_some() {}
}

/// Other users' connections are closed before anything is read, and whoever has been connected longest goes
/// when there are too many: neither keeps the right browser out.
async fn accept(socket: TcpListener, room: usize, site: Arc<Site>) {
    let (mut connections, mut open) = (JoinSet::new(), VecDeque::<AbortHandle>::new());
    loop {
        match socket.accept().await {
            Ok((stream, _)) if peer::may_be_ours(&stream).await => {
                open.retain(|connection| !connection.is_finished());
                if open.len() >= room
                    && let Some(oldest) = open.pop_front()
                {
                    oldest.abort();
                }
                open.push_back(connections.spawn(connection(stream, site.clone())));
            }
            Ok(_) => {}
            // Out of descriptors, or the peer is gone already: no reason to spin.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

/// Whether this machine has no address `::1`.
fn is_without_ipv6(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(NO_SUCH_FAMILY)
}

async fn connection(stream: TcpStream, site: Arc<Site>) {
    if !peer::may_be_ours(&stream).await {
        return;
    }
    serve(TokioIo::new(stream), site).await;
}

/// Answers what comes over one connection.
async fn serve(stream: impl hyper::rt::Read + hyper::rt::Write + Unpin, site: Arc<Site>) {
    // Of this connection: another one may end while this one still writes.
    let showed_last = AtomicBool::new(false);
    let service = service_fn(|request: Request<hyper::body::Incoming>| {
        let (site, showed_last) = (site.clone(), &showed_last);
        async move {
            let response = site.answer(&request).await;
            let is_last = request.uri().path() == site.last && response.status() != StatusCode::NOT_FOUND;
            showed_last.fetch_or(is_last, Ordering::AcqRel);
            Ok::<_, Infallible>(response)
        }
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
    if showed_last.load(Ordering::Acquire) {
        site.seen.notify_one();
    }
}

impl Site {
    async fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        if let Some(refused) = self.refuses(request) {
            return empty(refused);
        }
        let uri = request.uri();
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

    /// What no browser sends that was redirected here: another host's name (DNS rebinding), a script's or a
    /// picture's request, one from within a frame, a proxy's.
    ///
    /// The right redirect comes from another site, and may name it (`Referer`, `Sec-Fetch-Site`).
    fn refuses<B>(&self, request: &Request<B>) -> Option<StatusCode> {
        let headers = request.headers();
        let is_ours = |host: &str| self.names.iter().any(|name| name.eq_ignore_ascii_case(host));
        let mut hosts = headers.get_all(header::HOST).iter();
        let host = hosts.next().and_then(|host| host.to_str().ok()).unwrap_or_default();
        let elsewhere = request.uri().authority().is_some_and(|authority| !is_ours(authority.as_str()));
        if !is_ours(host) || hosts.next().is_some() || elsewhere {
            return Some(StatusCode::MISDIRECTED_REQUEST);
        }
        let is_none_or = |name: &str, right: &str| headers.get(name).is_none_or(|value| value == right);
        let navigates = is_none_or("sec-fetch-mode", "navigate") && is_none_or("sec-fetch-dest", "document");
        let passed_on = headers.keys().any(|name| server::passed_on(name.as_str()));
        if headers.contains_key(header::ORIGIN) || !navigates || passed_on {
            return Some(StatusCode::FORBIDDEN);
        }
        (request.method() != Method::GET).then_some(StatusCode::METHOD_NOT_ALLOWED)
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
