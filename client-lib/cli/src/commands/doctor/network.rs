//! Whether hosts can be reached at all: the name resolves, the port answers. No TLS is spoken here, so
//! nothing is said of certificates and of what an issuer would answer.

use std::{
    collections::BTreeSet,
    io,
    net::{TcpStream, ToSocketAddrs as _},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use sso_agent_client::proto::session::Session;
use url::Url;

use super::Finding;

const PATIENCE: Duration = Duration::from_secs(3);

/// So many are tried at a time.
const AT_ONCE: usize = 16;

/// A host name or address, without the brackets of a URL, and a port.
type Place = (String, u16);

/// Where tokens are for, and where they come from; the proxy in place of what is behind it.
pub(super) fn check(sessions: &[Session], proxy: Option<&str>) -> Vec<Finding> {
    let places: Vec<Place> = by(proxy, places(sessions)).into_iter().collect();
    places.chunks(AT_ONCE).flat_map(|places| try_all(places, PATIENCE)).collect()
}

fn places(sessions: &[Session]) -> BTreeSet<Place> {
    let urls = sessions.iter().flat_map(|session| [&session.host, &session.issuer]);
    urls.filter_map(|url| place(&Url::parse(url).ok()?)).collect()
}

/// Which of them a proxy is not asked for is the agent's to know, but for this machine's own.
fn by(proxy: Option<&str>, places: BTreeSet<Place>) -> BTreeSet<Place> {
    let Some(proxy) = proxy.and_then(|proxy| place(&Url::parse(proxy).ok()?)) else { return places };
    let local = |(name, _): &Place| matches!(name.as_str(), "localhost" | "127.0.0.1" | "::1");
    places.into_iter().filter(local).chain([proxy]).collect()
}

fn place(url: &Url) -> Option<Place> {
    let name = url.host_str()?.trim_matches(['[', ']']);
    // As curl has it, for a kind of proxy that has no usual port.
    Some((
        name.to_owned(),
        url.port_or_known_default().or(url.scheme().starts_with("socks").then_some(1080))?,
    ))
}

fn try_all(places: &[Place], patience: Duration) -> Vec<Finding> {
    let started: Vec<_> = places.iter().map(|place| (place, attempt(place.clone(), patience))).collect();
    let give_up = Instant::now() + patience;
    let wait = |answer: mpsc::Receiver<io::Result<()>>| {
        let left = give_up.saturating_duration_since(Instant::now());
        answer.recv_timeout(left).unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    };
    started.into_iter().map(|(place, answer)| judge(place, wait(answer), patience)).collect()
}

/// In a thread that may be left behind: looking a name up knows no deadline.
fn attempt(place: Place, patience: Duration) -> mpsc::Receiver<io::Result<()>> {
    let (told, answer) = mpsc::channel();
    thread::spawn(move || {
        // Whoever waited may have given up.
        let _ = told.send(connect(&place, patience));
    });
    answer
}

fn connect((name, port): &Place, patience: Duration) -> io::Result<()> {
    let mut last = io::Error::other("the name has no address");
    for address in (name.as_str(), *port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, patience) {
            Ok(_) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn judge((name, port): &Place, outcome: io::Result<()>, patience: Duration) -> Finding {
    let place = if name.contains(':') { format!("[{name}]:{port}") } else { format!("{name}:{port}") };
    let why = match outcome {
        Ok(()) => {
            let message = format!("{place}: the name resolves and the port answers (TLS is not tried)");
            return Finding::ok("network", message);
        }
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            format!("no answer within {} s", patience.as_secs())
        }
        Err(error) => error.to_string(),
    };
    let hint = "see the network: cable, VPN, name server, firewall";
    Finding::fail("network", format!("{place} cannot be reached: {why}"), hint)
}

#[cfg(test)]
mod tests {
    use super::{super::Status, *};
    use std::net::TcpListener;

    #[test]
    fn an_open_port_answers_and_a_closed_one_does_not() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let place = ("127.0.0.1".to_owned(), listener.local_addr().unwrap().port());
        let status = || try_all(std::slice::from_ref(&place), PATIENCE)[0].status;
        assert_eq!(status(), Status::Ok);
        drop(listener);
        assert_eq!(status(), Status::Fail);
    }

    #[test]
    fn a_name_server_that_says_nothing_is_not_waited_for() {
        let late = judge(&("h".into(), 443), Err(io::ErrorKind::TimedOut.into()), PATIENCE);
        assert_eq!(late.message, "h:443 cannot be reached: no answer within 3 s");
    }

    #[test]
    fn behind_a_proxy_the_proxy_is_tried() {
        let places = || [("h".to_owned(), 443), ("127.0.0.1".to_owned(), 81)].into();
        let names = |proxy| by(proxy, places()).into_iter().map(|place| place.0).collect::<Vec<_>>();
        assert_eq!(names(Some("http://p:3128")), ["127.0.0.1", "p"]);
        assert_eq!(names(None), ["127.0.0.1", "h"]);
        assert_eq!(place(&Url::parse("socks5h://p").unwrap()), Some(("p".to_owned(), 1080)));
    }

    #[test]
    fn host_and_issuer_at_one_place_are_tried_once() {
        let session = |host: &str, issuer: &str| -> Session {
            serde_json::from_value(serde_json::json!({
                "id": "h", "host": host, "label": "", "cloud": null, "issuer": issuer, "client_id": "c",
                "user": null, "scopes": [], "state": "active", "expires_at": null, "next_refresh_at": null,
                "last_error": null,
            }))
            .unwrap()
        };
        let sessions =
            [session("https://h", "https://h/oidc"), session("http://[::1]:81/x", "https://i:8443/")];
        let found: Vec<Place> = places(&sessions).into_iter().collect();
        assert_eq!(found, [("::1".into(), 81), ("h".into(), 443), ("i".into(), 8443)]);
    }
}
