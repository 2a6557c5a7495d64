//! What GitHub says of a workflow that it runs: a token that Databricks takes for one of its own.

use std::time::Duration;

use http::{HeaderValue, Request, StatusCode, header};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::http::Http;

const WITHIN: Duration = Duration::from_secs(20);

/// Why there is no such token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AssertionError {
    /// Worth another try.
    #[error("GitHub does not say now what it runs here: {cause}")]
    Unreachable { retry_after: Option<Duration>, cause: String },
    /// The workflow is set up otherwise.
    #[error("GitHub does not say what it runs here ({0}): the job needs `permissions: id-token: write`")]
    Refused(String),
}

/// Asks the runner's service for a token for `audience`. Where that is and what it wants to see are in
/// the environment of the job (`ACTIONS_ID_TOKEN_REQUEST_URL` and `_TOKEN`).
pub(crate) async fn github_oidc(
    http: &Http,
    request_url: &str,
    request_token: &SecretString,
    audience: &str,
) -> Result<SecretString, AssertionError> {
    let refused = |why: &str| AssertionError::Refused(why.to_owned());
    let audience: String = url::form_urlencoded::byte_serialize(audience.as_bytes()).collect();
    let joint = if request_url.contains('?') { '&' } else { '?' };
    let mut bearer = HeaderValue::try_from(format!("Bearer {}", request_token.expose_secret()))
        .map_err(|_| refused("its request token cannot be sent"))?;
    bearer.set_sensitive(true);
    let request = Request::get(format!("{request_url}{joint}audience={audience}"))
        .header(header::ACCEPT, "application/json")
        .header(header::AUTHORIZATION, bearer)
        .body(Vec::new())
        .map_err(|_| refused("its request URL is no address"))?;
    let unreachable = |retry_after, cause| AssertionError::Unreachable { retry_after, cause };
    let reply = http.send(request, WITHIN).await.map_err(|error| unreachable(None, error.to_string()))?;
    match reply.status {
        StatusCode::OK if reply.cut.is_none() => {
            let said = serde_json::from_slice::<Said>(&reply.body).ok().filter(Said::is_token);
            said.map(|said| said.value.into()).ok_or_else(|| refused("its answer has no token"))
        }
        status if status.is_client_error() && !matches!(status.as_u16(), 408 | 429) => {
            Err(AssertionError::Refused(reply.summary()))
        }
        _ => Err(unreachable(reply.retry_after, reply.summary())),
    }
}

#[derive(Deserialize)]
struct Said {
    value: String,
}

impl Said {
    fn is_token(&self) -> bool {
        !self.value.is_empty() && self.value.bytes().all(|b| b.is_ascii_graphic())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issuer::testing::{Fake, json, reply};

    async fn asked(fake: &Fake, path: &str) -> Result<SecretString, AssertionError> {
        github_oidc(&Http::new(), &fake.url(path), &"CANARY".into(), "https://a.example/oidc/v1/token").await
    }

    #[tokio::test]
    async fn a_workflow_gets_a_token_for_the_audience() {
        let fake = Fake::new(|_| json(200, r#"{"value":"eyJ.x.y","count":1}"#)).await;
        assert_eq!(asked(&fake, "/t?api-version=2.0").await.unwrap().expose_secret(), "eyJ.x.y");
        asked(&fake, "/t").await.unwrap();
        let heard = fake.heard();
        let audience = "audience=https%3A%2F%2Fa.example%2Foidc%2Fv1%2Ftoken";
        assert!(heard[0].starts_with(&format!("GET /t?api-version=2.0&{audience} HTTP")), "{}", heard[0]);
        assert!(heard[1].starts_with(&format!("GET /t?{audience} HTTP")), "{}", heard[1]);
        assert!(heard[0].contains("authorization: Bearer CANARY\r\n"));
    }

    #[tokio::test]
    async fn a_job_without_the_permission_is_told_of_it() {
        let fake = Fake::new(|_| reply(403, "", "CANARY")).await;
        let error = asked(&fake, "/t?x").await.unwrap_err().to_string();
        assert!(error.contains("403 Forbidden") && error.contains("id-token: write"), "{error}");
        assert!(!error.contains("CANARY"));
        for body in ["{}", r#"{"value":""}"#, r#"{"value":7}"#, r#"{"value":"a\nb"}"#, "<html>"] {
            let fake = Fake::new(move |_| json(200, body)).await;
            assert!(matches!(asked(&fake, "/t").await, Err(AssertionError::Refused(_))), "{body}");
        }
        let odd = github_oidc(&Http::new(), "http://127.0.0.1:1/ x", &"t".into(), "a").await;
        assert!(matches!(odd, Err(AssertionError::Refused(_))));
        let torn = github_oidc(&Http::new(), "http://127.0.0.1:1/", &"a\nb".into(), "a").await;
        assert!(matches!(torn, Err(AssertionError::Refused(_))));
    }

    #[tokio::test]
    async fn a_service_that_is_unwell_is_worth_another_try() {
        let fake = Fake::new(|_| reply(502, "Retry-After: 2\r\n", "")).await;
        let error = asked(&fake, "/t").await.unwrap_err();
        let AssertionError::Unreachable { retry_after, .. } = error else { panic!() };
        assert_eq!(retry_after, Some(Duration::from_secs(2)));
        let silent = Fake::new(|_| String::new()).await;
        assert!(matches!(asked(&silent, "/t").await, Err(AssertionError::Unreachable { .. })));
        let plain = github_oidc(&Http::new(), "http://example.com/t", &"CANARY".into(), "a").await;
        assert!(plain.is_err(), "the bearer would travel in the clear");
    }
}
