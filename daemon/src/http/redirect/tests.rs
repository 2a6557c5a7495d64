use super::*;
use secrecy::ExposeSecret as _;
use sso_agent_core::callback::Issuer;
use std::sync::atomic::AtomicUsize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

struct Browser {
    port: u16,
}

impl Browser {
    async fn send(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.unwrap();
        reply
    }

    async fn get(&self, path: &str) -> String {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: localhost:{}\r\n\r\n", self.port)).await
    }
}

/// A listener that expects the state "right" at `/`, with one link open.
async fn listening() -> (Waiting, Browser, String, Arc<AtomicUsize>) {
    listening_with(Listener::bind(0).await.unwrap())
}

fn listening_with(listener: Listener) -> (Waiting, Browser, String, Arc<AtomicUsize>) {
    let port = listener.port();
    let links = Links::default();
    links.open(format!("http://localhost:{port}"), "https://i.example/authorize?state=right".into());
    let link = links.issue().unwrap();
    let started = Arc::new(AtomicUsize::new(0));
    let count = started.clone();
    let expected = Expected {
        state: "right".into(),
        issuer: Issuer::Named("https://i.example".into()),
        iss_required: false,
    };
    let waiting = listener.serve("/", expected, links, move || {
        count.fetch_add(1, Ordering::Relaxed);
    });
    let path = link.split_once(&format!(":{port}")).unwrap().1.to_owned();
    (waiting, Browser { port }, path, started)
}

fn status(reply: &str) -> &str {
    reply.split(' ').nth(1).unwrap_or_default()
}

fn location(reply: &str) -> &str {
    reply.split("location: ").nth(1).and_then(|rest| rest.split("\r\n").next()).unwrap_or_default()
}

#[tokio::test]
async fn the_link_leads_to_the_issuer_once() {
    let (_waiting, browser, link, started) = listening().await;
    let reply = browser.get(&link).await;
    assert_eq!((status(&reply), location(&reply)), ("302", "https://i.example/authorize?state=right"));
    assert_eq!(status(&browser.get(&link).await), "410");
    assert_eq!(started.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn whatever_is_not_the_redirect_of_this_sign_in_changes_nothing() {
    let (mut waiting, browser, _, started) = listening().await;
    let host = format!("localhost:{}", browser.port);
    for path in [
        "/favicon.ico",
        "/",
        "/?code=c",
        "/?code=c&state=wrong",
        "/?error=access_denied&state=wrong",
        "/callback?code=c&state=right",
        "//?code=c&state=right",
        "/start/guess",
        "/done/guess",
    ] {
        assert_eq!(status(&browser.get(path).await), "404", "{path}");
    }
    let with = |method: &str, host: &str, header: &str| {
        format!("{method} /?code=c&state=right HTTP/1.1\r\nHost: {host}\r\n{header}Content-Length: 0\r\n\r\n")
    };
    for (request, refused) in [
        (with("GET", "evil.example", ""), "421"),
        (with("GET", &host, "Origin: https://evil.example\r\n"), "403"),
        (with("GET", &host, "X-Forwarded-For: 1.2.3.4\r\n"), "403"),
        (with("POST", &host, ""), "405"),
        (with("HEAD", &host, ""), "405"),
        (with("GET", &host, "Host: evil.example\r\n"), "421"),
        (with("GET", &host, "Forwarded: for=1.2.3.4\r\n"), "403"),
        (with("GET", &host, "X-Forwarded-Proto: https\r\n"), "403"),
        (with("GET", &host, "Via: 1.1 proxy\r\n"), "403"),
        (with("GET", &host, "Sec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image\r\n"), "403"),
        (with("GET", &host, "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe\r\n"), "403"),
        (with("GET", &host, "Sec-Fetch-Mode: cors\r\n"), "403"),
    ] {
        assert_eq!(status(&browser.send(&request).await), refused, "{request}");
    }
    assert!(waiting.callback.try_recv().is_err());
    assert_eq!(started.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn the_redirect_counts_once_and_its_code_does_not_stay_in_the_address() {
    let (mut waiting, browser, ..) = listening().await;
    let port = browser.port;
    let first = tokio::spawn(async move { Browser { port }.get("/?code=CANARY&state=right").await });
    let Some(Callback::Code(code)) = waiting.callback().await else { panic!("no code") };
    assert_eq!(code.expose_secret(), "CANARY");
    assert_eq!(status(&browser.get("/?code=other&state=right").await), "410");
    waiting.show(Page::SignedIn { host: "https://h.example".into(), user: Some("ann".into()) });
    let reply = first.await.unwrap();
    assert_eq!(status(&reply), "303");
    assert!(!reply.contains("CANARY"));
    let last = browser.get(location(&reply)).await;
    assert_eq!(status(&last), "200");
    assert!(last.contains("https://h.example") && last.contains("ann"));
    assert!(last.contains("content-security-policy: default-src 'none'"), "{last}");
}

#[tokio::test]
async fn a_sign_in_that_is_called_off_frees_its_port() {
    let (waiting, browser, ..) = listening().await;
    let task = waiting.task.clone();
    drop(waiting);
    while !task.is_finished() {
        tokio::task::yield_now().await;
    }
    Listener::bind(browser.port).await.unwrap();
}

#[tokio::test]
async fn a_port_that_is_taken_on_either_address_is_not_had() {
    let taken = Listener::bind(0).await.unwrap();
    assert!(Listener::bind(taken.port()).await.is_err());
    let Ok(only_v6) = TcpListener::bind(("::1", 0)).await else { return };
    let port = only_v6.local_addr().unwrap().port();
    assert!(Listener::bind(port).await.is_err());
}

#[tokio::test]
async fn a_request_that_is_too_large_is_refused() {
    let (_waiting, browser, ..) = listening().await;
    let reply = browser.get(&format!("/?code={}", "x".repeat(20_000))).await;
    assert!(["431", "414"].contains(&status(&reply)), "{reply}");
}

#[tokio::test]
async fn a_browser_that_comes_from_the_issuers_page_is_let_in() {
    let (mut waiting, browser, ..) = listening().await;
    let request = format!(
        "GET /?code=c&state=right HTTP/1.1\r\nHost: localhost:{}\r\nReferer: https://i.example/consent\r\n\
         Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n\
         Sec-Fetch-User: ?1\r\nUpgrade-Insecure-Requests: 1\r\n\r\n",
        browser.port
    );
    let asking = tokio::spawn(async move { browser.send(&request).await });
    assert!(matches!(waiting.callback().await, Some(Callback::Code(_))));
    waiting.show(Page::NotFound);
    assert_eq!(status(&asking.await.unwrap()), "303");
}

#[tokio::test]
async fn an_address_of_another_host_on_the_request_line_has_no_effect() {
    let (mut waiting, browser, ..) = listening().await;
    let request = format!(
        "GET http://evil.example/?code=c&state=right HTTP/1.1\r\nHost: localhost:{}\r\n\r\n",
        browser.port
    );
    assert_eq!(status(&browser.send(&request).await), "421");
    assert!(waiting.callback.try_recv().is_err());
}

#[tokio::test]
async fn every_page_may_be_shown_and_nothing_else() {
    let (_waiting, browser, link, _) = listening().await;
    for path in ["/nothing", "/?error=%3Cscript%3Ealert(1)&state=wrong", &link, &link] {
        let reply = browser.get(path).await;
        for header in [
            "content-security-policy: default-src 'none'",
            "frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "cache-control: no-store",
            "referrer-policy: no-referrer",
            "x-frame-options: DENY",
        ] {
            assert!(reply.contains(header), "{path}: {header}: {reply}");
        }
        assert!(!reply.contains("alert"), "{reply}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_shares_a_port_that_is_listened_at() {
    use rustix::net::{AddressFamily, SocketType, bind, listen, socket, sockopt};
    let ours = Listener::bind(0).await.unwrap();
    for address in ["127.0.0.1", "0.0.0.0", "::1", "::"] {
        let address: std::net::SocketAddr =
            (address.parse::<std::net::IpAddr>().unwrap(), ours.port()).into();
        if address.is_ipv6() && ours.sockets.len() == 1 {
            continue;
        }
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        for trick in 0..4 {
            let squatter = socket(family, SocketType::STREAM, None).unwrap();
            sockopt::set_socket_reuseaddr(&squatter, trick & 1 == 1).unwrap();
            sockopt::set_socket_reuseport(&squatter, trick & 2 == 2).unwrap();
            if address.is_ipv6() {
                sockopt::set_ipv6_v6only(&squatter, true).unwrap();
            }
            let taken = bind(&squatter, &address).and_then(|()| listen(&squatter, 1));
            assert!(taken.is_err(), "{address} with {trick}");
        }
    }
}

#[tokio::test]
async fn slow_and_half_open_connections_do_not_keep_the_right_one_out() {
    let listener = Listener { room: 3, ..Listener::bind(0).await.unwrap() };
    let (mut waiting, browser, ..) = listening_with(listener);
    let mut crowd = Vec::new();
    for at in 0..8 {
        let mut stream = TcpStream::connect(("127.0.0.1", browser.port)).await.unwrap();
        let half = if at % 2 == 0 { "GET /?code=" } else { "" };
        stream.write_all(half.as_bytes()).await.unwrap();
        crowd.push(stream);
    }
    let asking = tokio::spawn(async move { browser.get("/?code=c&state=right").await });
    // Before any of them is hung up on for its own slowness.
    let callback = tokio::time::timeout(HEADERS_IN - Duration::from_secs(1), waiting.callback()).await;
    assert!(matches!(callback.unwrap(), Some(Callback::Code(_))));
    waiting.show(Page::NotFound);
    assert_eq!(status(&asking.await.unwrap()), "303");
}

#[tokio::test]
async fn the_port_is_free_within_two_seconds_whether_or_not_the_last_page_is_seen() {
    let (mut waiting, browser, ..) = listening().await;
    let port = browser.port;
    let asking = tokio::spawn(async move { browser.get("/?code=c&state=right").await });
    assert!(waiting.callback().await.is_some());
    let task = waiting.task.clone();
    waiting.show(Page::NotFound);
    let ends = async {
        while !task.is_finished() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(2), ends).await.expect("it goes by itself");
    assert_eq!(status(&asking.await.unwrap()), "303");
    Listener::bind(port).await.unwrap();
}
