//! What comes over sockets and in addresses, as far as it is read by `core` and `proto`.

use secrecy::ExposeSecret as _;
use sso_agent_core::{
    callback::{Callback, Expected, Issuer},
    host::Host,
};
use sso_agent_proto::{
    lines::Lines,
    method::Call,
    rpc::{Incoming, Request},
};
use url::{Url, form_urlencoded};

/// The secret of the sign-in that callbacks are sent to.
#[derive(Debug)]
pub struct State;

impl State {
    /// As it must come back. No fuzzer guesses it, so a corpus says `STATE` for it.
    pub const TEXT: &str = "9pXG2vTgYkq-state-of-this-sign-in";

    /// The input with it filled in.
    pub(crate) fn fill(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).replace("STATE", Self::TEXT)
    }

    /// What a sign-in at an issuer that names itself expects.
    pub(crate) fn expected(iss_required: bool) -> Expected {
        let issuer = Issuer::Named("https://i.example".to_owned());
        Expected { state: Self::TEXT.into(), issuer, iss_required }
    }
}

/// Framing: however the bytes arrive, the same lines come out.
pub(super) fn lines(input: &[u8]) {
    let Some((size, bytes)) = input.split_first() else { return };
    let (mut whole, mut pieces) = (Lines::default(), Lines::default());
    let (mut one, mut other) = (Vec::new(), Vec::new());
    if whole.push(bytes).is_ok() {
        while let Some(line) = whole.take() {
            one.push(line.to_vec());
        }
    }
    for piece in bytes.chunks(usize::from(*size).max(1)) {
        if pieces.push(piece).is_err() {
            return;
        }
        while let Some(line) = pieces.take() {
            other.push(line.to_vec());
        }
    }
    assert_eq!(one, other);
}

/// Any line is a request, understood or refused; what is understood reads the same when we say it.
pub(super) fn request(line: &[u8]) {
    if let Ok(request) = Request::parse(line)
        && let Ok(call) = Call::read(&request.method, request.params.as_deref())
        && let Some(id) = &request.id
    {
        let said = call.line(id);
        let again = Request::parse(said.trim_ascii_end()).expect("our own line is a request");
        let same = Call::read(&again.method, again.params.as_deref()).expect("our own call is one");
        assert_eq!(same.line(id), said);
    }
    let _ = Incoming::parse(line);
}

/// A host has one spelling, the one of the `url` crate, whichever way it is read.
pub(super) fn host(bytes: &[u8]) {
    let Ok(typed) = std::str::from_utf8(bytes) else { return };
    for account in [None, Some("account")] {
        let read = Host::parse(typed, account);
        // A blank in front sends it the long way round.
        assert_eq!(Host::parse(&format!(" {typed}"), account).ok(), read.as_ref().ok().cloned());
        let Ok(host) = read else { continue };
        assert_eq!(Host::parse(host.url(), host.account_id().or(account)).as_ref(), Ok(&host));
        agrees_with_url(typed, &host);
    }
}

fn agrees_with_url(typed: &str, host: &Host) {
    let typed = typed.trim();
    let whole = if typed.contains("://") { typed.to_owned() } else { format!("https://{typed}") };
    let theirs = Url::parse(&whole).expect("what is a host is a URL");
    let ours = Url::parse(host.url()).expect("a host is a URL");
    let name = |url: &Url| url.host_str().map(|name| name.strip_suffix('.').unwrap_or(name).to_owned());
    assert_eq!(name(&ours), name(&theirs));
    assert_eq!((ours.scheme(), ours.port()), (theirs.scheme(), theirs.port()));
    assert!(theirs.username().is_empty() && theirs.password().is_none());
    assert!(ours.path() == "/" || ours.path() == theirs.path().trim_end_matches('/'));
    assert!(ours.query().is_none() && ours.fragment().is_none());
    let safe = ours.scheme() == "https" || ours.scheme() == "http" && host.is_loopback();
    assert!(safe, "{host} is not safe");
    assert!(!host.id().chars().any(|c| c.is_control() || c.is_whitespace()));
}

/// Only who knows the state, and says it once, has any effect.
pub(super) fn callback(bytes: &[u8]) {
    let query = State::fill(bytes);
    let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    for iss_required in [false, true] {
        let expected = State::expected(iss_required);
        let judged = expected.judge(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let states: Vec<&str> =
            pairs.iter().filter(|(name, _)| name == "state").map(|(_, value)| value.as_str()).collect();
        assert_eq!(judged.is_some(), states == [State::TEXT]);
        match judged {
            Some(Callback::Code(code)) => {
                assert!(!code.expose_secret().is_empty());
                let iss: Vec<_> = pairs.iter().filter(|(name, _)| name == "iss").collect();
                assert!(iss.len() <= 1 && (!iss_required || iss.len() == 1));
                assert!(iss.iter().all(|(_, iss)| iss.trim_end_matches('/') == "https://i.example"));
            }
            Some(Callback::Refused(said)) => assert!(!said.to_string().chars().any(char::is_control)),
            Some(Callback::Broken(_)) | None => {}
        }
    }
}
