//! One request to the metadata service, as the SDKs make it.
//!
//! The path is all that a client has to show, and it is good for one session, one host and one set of
//! scopes. What is refused carries no field that an SDK could take for a token: some look at nothing
//! but that.

use std::{io, sync::Arc};

use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{json, value::RawValue};
use sso_agent_core::host::Host;
use sso_agent_proto::{
    fault::{Fault, Kind},
    rpc::{Code, RpcError},
    secret::Wiped,
    token::TokenGet,
};
use tokio::net::TcpListener;

use super::{
    super::{
        answer::{self, Body, Refused},
        ask,
        metrics::Door,
        server::Site,
    },
    Grant, Metadata,
};
use crate::rpc::service::Shared;

const VERSION: &str = "x-databricks-metadata-version";
const HOST: &str = "x-databricks-host";

/// Python gives up after 10 s.
const WAIT_S: u64 = 8;

/// Behind the port of the metadata service.
pub(super) struct Visits {
    names: [String; 2],
    metadata: Arc<Metadata>,
    service: Shared,
}

impl Visits {
    pub(super) fn at(listener: &TcpListener, metadata: &Arc<Metadata>, service: &Shared) -> io::Result<Self> {
        let port = listener.local_addr()?.port();
        let names = ["127.0.0.1", "localhost"].map(|name| format!("{name}:{port}"));
        Ok(Self { names, metadata: metadata.clone(), service: service.clone() })
    }

    async fn token(&self, grant: &Grant) -> Result<Response<Body>, RpcError> {
        let wish = TokenGet {
            session: Some(grant.session.clone()),
            scopes: grant.scopes.clone(),
            wait_s: Some(WAIT_S),
            ..TokenGet::default()
        };
        let reply = ask::token(&self.service, wish, Door::Metadata).await?;
        let token: Token<'_> = serde_json::from_slice(reply.json())
            .map_err(|_| RpcError::new(Code::Internal, "the token cannot be read"))?;
        Ok(answer::json(StatusCode::OK, answer::wiped(token.written())))
    }
}

impl Site for Visits {
    fn is_called(&self, host: &str) -> bool {
        self.names.iter().any(|name| name.eq_ignore_ascii_case(host))
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        if request.method() != Method::GET {
            let response = answer::plain(StatusCode::METHOD_NOT_ALLOWED, &json!({"bad_method": true}));
            return answer::with(response, header::ALLOW, http::HeaderValue::from_static("GET"));
        }
        if one(request.headers(), VERSION) != Some("1") {
            return answer::plain(StatusCode::BAD_REQUEST, &json!({"bad_version": true}));
        }
        let grant = self.metadata.find(request.uri().path());
        let Some(grant) = grant.filter(|grant| is_for(grant, request.headers())) else {
            return answer::plain(StatusCode::NOT_FOUND, &json!({"not_found": true}));
        };
        self.token(&grant).await.unwrap_or_else(refused)
    }

    fn answered(&self, status: StatusCode) {
        self.service.handle.tally().request(Door::Metadata, status);
    }
}

/// Whether the client wants a token for the host that the path is good for.
fn is_for(grant: &Grant, headers: &HeaderMap) -> bool {
    let named = one(headers, HOST).map(|typed| Host::parse(typed, grant.account_id.as_deref()));
    matches!(named, Some(Ok(host)) if host.url() == grant.host)
}

/// A header that is there once.
fn one<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut all = headers.get_all(name).iter();
    let value = all.next()?.to_str().ok()?;
    all.next().is_none().then_some(value)
}

/// Whoever has to wait is told so in one way, whatever it is that takes long.
fn refused(error: RpcError) -> Response<Body> {
    let late = error.data.as_ref().is_some_and(|data| data.kind == Kind::Timeout);
    let error =
        if late { Fault::new(Kind::IssuerUnavailable, error.message, "try again").into() } else { error };
    let gone = error.data.as_ref().is_some_and(|data| data.kind == Kind::UnknownHost);
    let (status, body) = answer::of_error(error);
    let seconds = body.error.retry_after_s;
    let response = if gone {
        answer::plain(status, &Gone { not_found: true, body })
    } else {
        answer::plain(status, &body)
    };
    answer::retry_after(response, seconds)
}

/// The session of a path is no more.
#[derive(Serialize)]
struct Gone {
    not_found: bool,
    #[serde(flatten)]
    body: Refused,
}

/// What of a token goes on; the secret as it stands, quotes included, so that it is not copied.
#[derive(Deserialize)]
struct Token<'a> {
    #[serde(borrow)]
    access_token: &'a RawValue,
    token_type: String,
    expires_at: Timestamp,
}

/// As the SDKs read it. `expires_on` must be an integer: text, fractions and milliseconds each break
/// one of them.
#[derive(Serialize)]
struct Written<'a> {
    access_token: &'a RawValue,
    token_type: &'a str,
    expires_on: i64,
}

impl Token<'_> {
    fn written(&self) -> Wiped {
        // Python puts the type into the header as it is, and not every server reads all spellings.
        let usual = self.token_type.eq_ignore_ascii_case("bearer");
        let written = Written {
            access_token: self.access_token,
            token_type: if usual { "Bearer" } else { &self.token_type },
            expires_on: self.expires_at.as_second(),
        };
        let mut bytes = Wiped::from(Vec::with_capacity(self.access_token.get().len() + 256));
        // Writing into a buffer does not fail.
        let _ = serde_json::to_writer(&mut *bytes, &written);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(host: &str, account_id: Option<&str>) -> Grant {
        let account_id = account_id.map(str::to_owned);
        Grant { session: "s".into(), host: host.into(), account_id, scopes: vec![] }
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    #[test]
    fn a_host_is_the_same_however_it_is_spelled() {
        let of = |grant: &Grant, typed: &str| is_for(grant, &headers(&[(HOST, typed)]));
        let workspace = grant("https://adb-1.azuredatabricks.net", None);
        for typed in [
            "https://ADB-1.azuredatabricks.net",
            "https://adb-1.azuredatabricks.net/",
            "adb-1.azuredatabricks.net:443",
        ] {
            assert!(of(&workspace, typed), "{typed}");
        }
        for typed in ["https://adb-2.azuredatabricks.net", "http://adb-1.azuredatabricks.net", "", "x y"] {
            assert!(!of(&workspace, typed), "{typed}");
        }
        let account = grant("https://accounts.cloud.databricks.com", Some("a-1"));
        assert!(of(&account, "https://accounts.cloud.databricks.com"));
        assert!(!is_for(&workspace, &headers(&[])));
        assert!(!is_for(&workspace, &headers(&[(HOST, &workspace.host), (HOST, &workspace.host)])));
    }

    #[test]
    fn a_token_is_written_as_the_sdks_read_it() {
        let reply = r#"{"access_token":"t\/1","token_type":"bearer","token_id":"i","expires_at":"2026-01-01T00:00:00.9Z","expires_in_s":1,"scopes":[],"session":"s"}"#;
        let token: Token<'_> = serde_json::from_str(reply).unwrap();
        assert_eq!(
            std::str::from_utf8(&token.written()).unwrap(),
            r#"{"access_token":"t\/1","token_type":"Bearer","expires_on":1767225600}"#
        );
    }

    #[test]
    fn refusals_have_the_statuses_that_sdks_expect() {
        let status = |kind| refused(Fault::new(kind, "m", "h").into());
        assert_eq!(status(Kind::LoginRequired).status(), 401);
        assert_eq!(status(Kind::UnknownHost).status(), 404);
        for kind in [Kind::IssuerUnavailable, Kind::Timeout] {
            assert_eq!(status(kind).status(), 503);
            assert_eq!(status(kind).headers()[header::RETRY_AFTER], "1");
        }
    }
}
