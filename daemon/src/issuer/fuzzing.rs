//! What issuers answer, for the fuzz targets.

use http::{Response, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use sso_agent_core::{
    discovery::{Metadata, Step, accept, plan, root},
    host::{Host, is_loopback},
};
use std::time::Duration;
use url::Url;

use super::{
    answer::Answer,
    documents::{document, host_config},
    reply::Reply,
    verdict::{Asked, Outcome, Unreachable, judge},
};

const STATUSES: [u16; 8] = [200, 400, 200, 401, 403, 429, 503, 302];
const KINDS: [Option<&str>; 4] =
    [Some("application/json"), None, Some("text/html"), Some("application/json; charset=utf-8")];
const ASKED: [Asked; 3] = [Asked::ByRefreshToken, Asked::ByCode, Asked::AsMachine];

/// The first byte is the status and the content type, the rest is the body.
fn reply(bytes: &[u8]) -> Option<(Reply, &[u8])> {
    let (how, body) = bytes.split_first()?;
    let status = STATUSES.get(usize::from(how & 7)).copied()?;
    let kind = KINDS.get(usize::from(how >> 3 & 3)).copied()?;
    let mut head = Response::builder().status(status);
    if let Some(kind) = kind {
        head = head.header("content-type", kind);
    }
    let mut reply = Reply::new(&head.body(()).ok()?.into_parts().0);
    // As a body comes: in pieces.
    body.chunks(1000).for_each(|piece| reply.push(piece));
    if how & 128 != 0 {
        reply.cut = Some("the connection broke".to_owned());
    }
    Some((reply, body))
}

/// A refresh token that came is kept, whatever else is wrong; only an OAuth error ends a session.
pub(crate) fn token_answer(bytes: &[u8]) {
    let Some((heard, body)) = reply(bytes) else { return };
    let (status, json, cut) = (heard.status, heard.is_json(), heard.cut.is_some());
    let readable = status == StatusCode::OK && (json || heard.content_type.is_none());
    let value = serde_json::from_slice::<Value>(body).ok().filter(Value::is_object);
    for asked in ASKED {
        let answer: Option<Answer> = if readable { serde_json::from_slice(body).ok() } else { None };
        let understood = answer.is_some() && !cut;
        let again = reply(bytes).map(|(reply, _)| reply);
        let Some(again) = again else { return };
        let outcome = judge(asked, Ok(again), answer);
        match &outcome {
            Outcome::Granted(grant) => {
                assert!(understood);
                assert!(grant.access_token.expose_secret().bytes().all(|b| (0x20..=0x7e).contains(&b)));
                let bounds = Duration::from_secs(1)..=Duration::from_secs(24 * 3600);
                assert!(grant.expires_in.is_none_or(|life| bounds.contains(&life)));
                let scopes = grant.scopes.iter().flatten();
                assert!(!scopes.flat_map(|scope| scope.chars()).any(char::is_control));
            }
            Outcome::Rejected(said) | Outcome::Refused(said) => {
                assert!(json && !cut && [200, 400, 401, 403].contains(&status.as_u16()));
                let error = value.as_ref().and_then(|value| value.get("error")).and_then(Value::as_str);
                assert_eq!(error, Some(said.error.as_str()));
                assert!(!said.to_string().chars().any(char::is_control));
                let rejected = matches!(outcome, Outcome::Rejected(_));
                assert!(!(rejected && asked == Asked::AsMachine), "no person can help a machine");
            }
            Outcome::Unreachable(unreachable) => {
                assert!(!unreachable.why.chars().any(char::is_control), "{:?}", unreachable.why);
            }
        }
        let came = value.as_ref().and_then(|value| value.get("refresh_token")).and_then(Value::as_str);
        if let Some(came) = came.filter(|came| !came.is_empty() && understood) {
            assert_eq!(kept(&outcome).map(SecretString::expose_secret), Some(came));
        }
        let plain = || body.windows(15).any(|word| word == b"\"refresh_token\"");
        if let Some(came) = came.filter(|came| !came.is_empty() && !came.contains('\u{fffd}'))
            && status == StatusCode::OK
            && plain()
            && !matches!(outcome, Outcome::Rejected(_) | Outcome::Refused(_))
        {
            assert!(kept(&outcome).is_some(), "{} was lost", came.len());
        }
    }
}

fn kept(outcome: &Outcome) -> Option<&SecretString> {
    match outcome {
        Outcome::Granted(grant) => grant.refresh_token.as_ref(),
        Outcome::Unreachable(Unreachable { salvaged, .. }) => salvaged.as_ref(),
        Outcome::Rejected(_) | Outcome::Refused(_) => None,
    }
}

/// Whatever documents say, codes and refresh tokens go to safe addresses only.
pub(crate) fn discovery(bytes: &[u8]) {
    let Some((which, rest)) = bytes.split_first() else { return };
    let hosts = [
        ("adb-1.7.azuredatabricks.net", None),
        ("https://login.example/tenant", None),
        ("https://lakehouse.example", Some("0d26daa6")),
        ("http://127.0.0.1:8443", None),
    ];
    let Some((typed, account)) = hosts.get(usize::from(which & 3)) else { return };
    let Ok(host) = Host::parse(typed, *account) else { return };
    let body: Vec<u8> = std::iter::once(0).chain(rest.iter().copied()).collect();
    let Some((reply, _)) = reply(&body) else { return };
    for step in plan(&host) {
        match step {
            Step::Config(_) => {
                let Some(config) = host_config(&reply) else { continue };
                if let Ok(Some(source)) = root(&host, None, &config) {
                    is_safe(&host, &source.url);
                    if let Some(said) = document(&reply) {
                        let _ = accept(&host, &source, said).map(|metadata| all_safe(&host, &metadata));
                    }
                }
            }
            Step::Document(source) => {
                let Some(said) = document(&reply) else { continue };
                let _ = accept(&host, &source, said).map(|metadata| all_safe(&host, &metadata));
            }
        }
    }
}

fn all_safe(host: &Host, metadata: &Metadata) {
    let Metadata { authorization_endpoint, token_endpoint, revocation_endpoint, userinfo_endpoint, .. } =
        metadata;
    let more = [revocation_endpoint, userinfo_endpoint].into_iter().flatten();
    for address in [authorization_endpoint, token_endpoint].into_iter().chain(more) {
        is_safe(host, address);
    }
    assert!(!metadata.issuer.chars().any(char::is_control));
}

fn is_safe(host: &Host, address: &str) {
    let url = Url::parse(address).expect("an address that is believed is a URL");
    let here = url.scheme() == "http" && is_loopback(&url) && host.is_loopback();
    assert!(url.scheme() == "https" || here, "{address}");
    assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none(), "{address}");
    assert!(!address.chars().any(|c| c.is_control() || c.is_whitespace()));
}
