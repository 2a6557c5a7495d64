//! Finds the authorization server of a host: fetches what the core says, in its order.
//!
//! A document that is not there sends us on to the next. A server that fails says nothing about
//! where its document is, so guessing stops there and the person is told to try again.

use std::{collections::VecDeque, time::Duration};

use serde::{Deserialize, de::DeserializeOwned};
use sso_agent_core::{
    discovery::{self, Document, HostConfig, Metadata, Step, Unacceptable},
    host::Host,
};

use super::{
    http::{Http, SendError, origin_of},
    reply::Reply,
};

/// For one document.
const WITHIN: Duration = Duration::from_secs(10);

/// Why there is no sign-in at a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DiscoverError {
    /// Worth another try.
    #[error("{cause}")]
    Unreachable { retry_after: Option<Duration>, cause: String },
    /// It answers, and is no OAuth server.
    #[error("{host} has no sign-in: there is no OAuth or OIDC document at {tried}")]
    NotOAuth { host: String, tried: String },
    /// It is one that must not be used.
    #[error("{0}")]
    Refused(#[from] Unacceptable),
}

/// Finds the authorization server of `host`.
pub(crate) async fn discover(http: &Http, host: &Host) -> Result<Metadata, DiscoverError> {
    let mut steps = VecDeque::from(discovery::plan(host));
    let mut tried = Vec::new();
    let mut failed = None;
    while let Some(step) = steps.pop_front() {
        let url = match &step {
            Step::Config(url) => url,
            Step::Document(source) => &source.url,
        };
        let reply = match http.get(url, WITHIN).await {
            Ok(reply) => reply,
            // Its other documents are behind the same door.
            Err(error) if error.origin == origin_of(host.url()) => return Err(unreachable(&error)),
            Err(error) => {
                failed.get_or_insert(unreachable(&error));
                continue;
            }
        };
        if let Some(failure) = failure(host, &reply) {
            failed.get_or_insert(failure);
        }
        tracing::debug!(host = host.url(), answer = reply.summary(), "discovery document fetched");
        tried.push(url.strip_prefix(host.url()).unwrap_or(url).to_owned());
        match step {
            Step::Config(_) => {
                let config = document::<HostConfigText>(&reply).map(HostConfig::from).unwrap_or_default();
                if let Some(source) = discovery::root(host, &config)? {
                    // It is often the very one that would come next.
                    steps.retain(|step| !matches!(step, Step::Document(next) if next.url == source.url));
                    steps.push_front(Step::Document(source));
                }
            }
            Step::Document(source) => {
                if let Some(text) = document::<DocumentText>(&reply).filter(DocumentText::says_anything) {
                    return Ok(discovery::accept(host, &source, text.into())?);
                }
            }
        }
    }
    match (failed, discovery::fixed(host)) {
        (Some(failed), _) => Err(failed),
        (None, Some(fixed)) => Ok(fixed),
        (None, None) => Err(DiscoverError::NotOAuth { host: host.url().to_owned(), tried: tried.join(", ") }),
    }
}

fn unreachable(error: &SendError) -> DiscoverError {
    DiscoverError::Unreachable { retry_after: None, cause: error.to_string() }
}

/// Whether the server is unwell, as opposed to having nothing there.
fn failure(host: &Host, reply: &Reply) -> Option<DiscoverError> {
    let unwell = reply.status.is_server_error() || matches!(reply.status.as_u16(), 408 | 429);
    (unwell || reply.cut.is_some()).then(|| DiscoverError::Unreachable {
        retry_after: reply.retry_after,
        cause: format!("{}: {}", host.url(), reply.summary()),
    })
}

/// The JSON object in an answer, if it is one. Its content type may be anything: some file servers say octet-stream.
fn document<T: DeserializeOwned>(reply: &Reply) -> Option<T> {
    let whole = reply.status == ::http::StatusCode::OK && reply.cut.is_none();
    let object = reply.body.trim_ascii_start().starts_with(b"{");
    if whole && object { serde_json::from_slice(&reply.body).ok() } else { None }
}

#[derive(Deserialize)]
struct HostConfigText {
    oidc_endpoint: Option<String>,
    account_id: Option<String>,
}

impl From<HostConfigText> for HostConfig {
    fn from(text: HostConfigText) -> Self {
        Self { oidc_endpoint: text.oidc_endpoint, account_id: text.account_id }
    }
}

#[derive(Deserialize)]
struct DocumentText {
    issuer: Option<String>,
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    revocation_endpoint: Option<String>,
    userinfo_endpoint: Option<String>,
    authorization_response_iss_parameter_supported: Option<bool>,
    scopes_supported: Option<Vec<String>>,
    grant_types_supported: Option<Vec<String>>,
    code_challenge_methods_supported: Option<Vec<String>>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

impl DocumentText {
    /// Some servers answer everything with a JSON object, even what they do not have.
    fn says_anything(&self) -> bool {
        self.issuer.is_some() || self.authorization_endpoint.is_some() || self.token_endpoint.is_some()
    }
}

impl From<DocumentText> for Document {
    fn from(text: DocumentText) -> Self {
        Self {
            issuer: text.issuer,
            authorization_endpoint: text.authorization_endpoint,
            token_endpoint: text.token_endpoint,
            revocation_endpoint: text.revocation_endpoint,
            userinfo_endpoint: text.userinfo_endpoint,
            authorization_response_iss_parameter_supported: text
                .authorization_response_iss_parameter_supported,
            scopes_supported: text.scopes_supported,
            grant_types_supported: text.grant_types_supported,
            code_challenge_methods_supported: text.code_challenge_methods_supported,
            token_endpoint_auth_methods_supported: text.token_endpoint_auth_methods_supported,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issuer::testing::{Fake, json, reply};
    use sso_agent_core::discovery::Flavor;

    const CONFIG: &str = "/.well-known/databricks-config";
    const WORKSPACE: &str = "/oidc/.well-known/oauth-authorization-server";
    const OIDC: &str = "/.well-known/openid-configuration";

    /// A server that has these documents, with `ROOT` in them for its own address.
    async fn serving(documents: &'static [(&'static str, &'static str)]) -> Fake {
        Fake::new(|request| {
            let path = request.split(' ').nth(1).unwrap_or_default();
            let root = request.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
            match documents.iter().find(|(at, _)| *at == path) {
                Some((_, body)) => json(200, &body.replace("ROOT", &format!("http://{root}"))),
                None => reply(404, "Content-Type: text/html\r\n", "<html>"),
            }
        })
        .await
    }

    async fn found(fake: &Fake, path: &str) -> Result<Metadata, DiscoverError> {
        discover(&Http::new(), &Host::parse(&fake.url(path), None).unwrap()).await
    }

    fn asked(fake: &Fake) -> Vec<String> {
        fake.heard().iter().map(|request| request.split(' ').nth(1).unwrap().to_owned()).collect()
    }

    #[tokio::test]
    async fn a_workspace_says_where_its_server_is() {
        let fake = serving(&[
            (CONFIG, r#"{"oidc_endpoint":"ROOT/oidc/accounts/{account_id}","account_id":"a-1","cloud":"AWS"}"#),
            (
                "/oidc/accounts/a-1/.well-known/oauth-authorization-server",
                r#"{"issuer":"ROOT/oidc/accounts/a-1","authorization_endpoint":"ROOT/a","token_endpoint":"ROOT/t","code_challenge_methods_supported":["S256"]}"#,
            ),
        ])
        .await;
        let metadata = found(&fake, "").await.unwrap();
        assert_eq!((metadata.flavor, metadata.token_endpoint), (Flavor::Databricks, fake.url("/t")));
    }

    #[tokio::test]
    async fn a_workspace_without_a_config_has_its_document_in_the_old_place() {
        let fake =
            serving(&[(WORKSPACE, r#"{"authorization_endpoint":"ROOT/a","token_endpoint":"ROOT/t"}"#)]).await;
        let metadata = found(&fake, "").await.unwrap();
        assert_eq!((metadata.flavor, metadata.issuer), (Flavor::Databricks, fake.url("/oidc")));
    }

    #[tokio::test]
    async fn an_oidc_issuer_is_found_last() {
        let fake = serving(&[(
            OIDC,
            r#"{"issuer":"ROOT","authorization_endpoint":"ROOT/a","token_endpoint":"ROOT/t","authorization_response_iss_parameter_supported":true}"#,
        )])
        .await;
        let metadata = found(&fake, "").await.unwrap();
        assert_eq!((metadata.flavor, metadata.iss_parameter_supported), (Flavor::Generic, true));
        assert_eq!(asked(&fake).len(), 4);
    }

    #[tokio::test]
    async fn a_host_without_oauth_says_what_was_tried() {
        let fake = serving(&[]).await;
        let error = found(&fake, "/realm").await.unwrap_err();
        assert!(matches!(error, DiscoverError::NotOAuth { .. }));
        let text = error.to_string();
        assert!(text.contains("/realm has no sign-in") && text.contains(", /.well-known/openid"), "{text}");
    }

    #[tokio::test]
    async fn a_server_that_is_unwell_is_not_said_to_lack_oauth() {
        let fake = Fake::new(|request| {
            if request.contains("openid-configuration") {
                reply(404, "", "")
            } else {
                reply(503, "Retry-After: 9\r\n", "")
            }
        })
        .await;
        let Err(DiscoverError::Unreachable { retry_after, cause }) = found(&fake, "/realm").await else {
            panic!()
        };
        assert_eq!(retry_after, Some(Duration::from_secs(9)));
        assert!(cause.ends_with(": 503 Service Unavailable"), "{cause}");
    }

    #[tokio::test]
    async fn a_host_that_does_not_answer_is_asked_once() {
        let fake = Fake::new(|_| String::new()).await;
        assert!(matches!(found(&fake, "").await, Err(DiscoverError::Unreachable { .. })));
        assert_eq!(asked(&fake).len(), 1);
    }

    #[tokio::test]
    async fn a_document_for_somebody_else_ends_the_search() {
        let fake = serving(&[
            (WORKSPACE, r#"{"authorization_endpoint":"ROOT/a","token_endpoint":"https://evil.example/t"}"#),
            (OIDC, r#"{"issuer":"ROOT","authorization_endpoint":"ROOT/a","token_endpoint":"ROOT/t"}"#),
        ])
        .await;
        assert!(matches!(found(&fake, "").await, Err(DiscoverError::Refused(Unacceptable::Foreign(..)))));
    }

    #[tokio::test]
    async fn what_is_served_for_everything_is_no_document() {
        let fake = Fake::new(|request| {
            if request.contains("databricks-config") {
                reply(200, "Content-Type: text/html\r\n", "<!doctype html>")
            } else if request.contains("/oidc/") {
                json(200, "[]")
            } else {
                json(200, r#"{"message":"no such page"}"#)
            }
        })
        .await;
        assert!(matches!(found(&fake, "").await, Err(DiscoverError::NotOAuth { .. })));
    }
}
