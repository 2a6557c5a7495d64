//! The two requests that bring tokens: by an authorization code, and by a refresh token.
//!
//! `oauth2` makes the request and reads the grant, but its errors have lost the status and kept the
//! body. So the client that it is given remembers what was heard, and [`judge`] goes by that.

use std::{borrow::Cow, future::Future, pin::Pin, sync::OnceLock, time::Duration};

use oauth2::{
    AsyncHttpClient, AuthType, AuthorizationCode, ClientId, ClientSecret, EndpointNotSet, EndpointSet,
    HttpRequest, HttpResponse, PkceCodeVerifier, RedirectUrl, RefreshToken, StandardRevocableToken, TokenUrl,
    basic::{BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse},
};
use secrecy::{ExposeSecret as _, SecretString};
use sso_agent_core::{discovery::Metadata, refusal::OAuthError};

use super::{
    answer::Answer,
    http::{Http, SendError, Sent},
    reply::Reply,
    verdict::{Asked, Outcome, Unreachable, judge},
};

/// For one exchange, shorter than anybody waits for it: two of them with one refresh token must not overlap.
const WITHIN: Duration = Duration::from_secs(20);

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) id: String,
    /// `None` for a public client.
    pub(crate) secret: Option<SecretString>,
}

impl Client {
    /// Whether its secret goes into a header. It goes into the body where that is possible, as all
    /// Databricks clients have it (`client_secret_post`).
    pub(crate) fn uses_basic(&self, metadata: &Metadata) -> bool {
        let methods = metadata.token_endpoint_auth_methods.as_ref();
        self.secret.is_some()
            && methods.is_some_and(|methods| !methods.iter().any(|m| m == "client_secret_post"))
    }
}

/// Trades a code for tokens (RFC 6749, 4.1.3). `redirect_uri` must be the one that it was sent to.
pub(crate) async fn exchange_code(
    http: &Http,
    metadata: &Metadata,
    client: &Client,
    redirect_uri: &str,
    code: &SecretString,
    verifier: &SecretString,
) -> Outcome {
    let (Some(oauth), Ok(redirect)) = (oauth(metadata, client), RedirectUrl::new(redirect_uri.to_owned()))
    else {
        return no_address();
    };
    let recorder = Recorder::new(http);
    let answer = oauth
        .exchange_code(AuthorizationCode::new(code.expose_secret().to_owned()))
        .set_redirect_uri(Cow::Owned(redirect))
        .set_pkce_verifier(PkceCodeVerifier::new(verifier.expose_secret().to_owned()))
        .request_async(&recorder)
        .await;
    without(recorder.judge(Asked::ByCode, answer.ok()), &[Some(code), Some(verifier), client.secret.as_ref()])
}

/// Trades a refresh token for new tokens (RFC 6749, 6), with the scopes that it has.
pub(crate) async fn refresh(
    http: &Http,
    metadata: &Metadata,
    client: &Client,
    refresh_token: &SecretString,
) -> Outcome {
    let Some(oauth) = oauth(metadata, client) else {
        return no_address();
    };
    let recorder = Recorder::new(http);
    let token = RefreshToken::new(refresh_token.expose_secret().to_owned());
    let answer = oauth.exchange_refresh_token(&token).request_async(&recorder).await;
    without(
        recorder.judge(Asked::ByRefreshToken, answer.ok()),
        &[Some(refresh_token), client.secret.as_ref()],
    )
}

/// Takes back out what an issuer repeats of the request: its words go into logs and on screens.
fn without(outcome: Outcome, sent: &[Option<&SecretString>]) -> Outcome {
    let repeats = |text: &str| {
        sent.iter().flatten().any(|secret| {
            let secret = secret.expose_secret();
            let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            !secret.is_empty() && (text.contains(secret) || text.contains(&encoded))
        })
    };
    let mend = |said: OAuthError| OAuthError {
        error: if repeats(&said.error) { "an error that repeats the request".to_owned() } else { said.error },
        description: said.description.filter(|text| !repeats(text)),
    };
    match outcome {
        Outcome::Rejected(said) => Outcome::Rejected(mend(said)),
        Outcome::Refused(said) => Outcome::Refused(mend(said)),
        Outcome::Unreachable(mut found) if repeats(&found.why) => {
            found.why = "the issuer repeated the request".to_owned();
            Outcome::Unreachable(found)
        }
        outcome @ (Outcome::Granted(_) | Outcome::Unreachable(_)) => outcome,
    }
}

type OAuth = oauth2::Client<
    BasicErrorResponse,
    Answer,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

fn oauth(metadata: &Metadata, client: &Client) -> Option<OAuth> {
    let by = if client.uses_basic(metadata) { AuthType::BasicAuth } else { AuthType::RequestBody };
    let endpoint = TokenUrl::new(metadata.token_endpoint.clone()).ok()?;
    let oauth =
        oauth2::Client::new(ClientId::new(client.id.clone())).set_auth_type(by).set_token_uri(endpoint);
    Some(match &client.secret {
        Some(secret) => oauth.set_client_secret(ClientSecret::new(secret.expose_secret().to_owned())),
        None => oauth,
    })
}

fn no_address() -> Outcome {
    let why = "the token endpoint or the redirect address is no URL".to_owned();
    Outcome::Unreachable(Unreachable { retry_after: None, why, sent: Sent::No, salvaged: None })
}

/// Sends one request for `oauth2` and remembers the answer.
struct Recorder<'h> {
    http: &'h Http,
    heard: OnceLock<Result<Reply, SendError>>,
}

/// What `oauth2` hears of a request that got no answer. The rest is in the record.
#[derive(Debug, thiserror::Error)]
#[error("no answer")]
struct NoAnswer;

impl<'h> Recorder<'h> {
    fn new(http: &'h Http) -> Self {
        Self { http, heard: OnceLock::new() }
    }

    async fn record(&self, request: HttpRequest) -> Result<HttpResponse, NoAnswer> {
        let heard = self.http.send(request, WITHIN).await;
        let response = match &heard {
            Ok(reply) => response(reply),
            Err(_) => Err(NoAnswer),
        };
        // It sends one request only, so the record is still empty.
        let _ = self.heard.set(heard);
        response
    }

    fn judge(self, asked: Asked, answer: Option<Answer>) -> Outcome {
        match self.heard.into_inner() {
            Some(heard) => judge(asked, heard, answer),
            None => no_address(),
        }
    }
}

fn response(reply: &Reply) -> Result<HttpResponse, NoAnswer> {
    let mut builder = http::Response::builder().status(reply.status);
    if let Some(kind) = &reply.content_type {
        builder = builder.header(http::header::CONTENT_TYPE, kind);
    }
    builder.body(reply.body.to_vec()).map_err(|_| NoAnswer)
}

impl<'c> AsyncHttpClient<'c> for Recorder<'_> {
    type Error = NoAnswer;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, NoAnswer>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.record(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issuer::testing::{Fake, json, metadata, reply};
    use std::collections::BTreeMap;

    const GRANT: &str =
        r#"{"access_token":"at","token_type":"Bearer","expires_in":60,"refresh_token":"r2","scope":"a b"}"#;

    fn public() -> Client {
        Client { id: "id".into(), secret: None }
    }

    fn confidential() -> Client {
        Client { id: "id".into(), secret: Some("s:&c".into()) }
    }

    fn form(request: &str) -> BTreeMap<String, String> {
        let body = request.split_once("\r\n\r\n").unwrap().1;
        url::form_urlencoded::parse(body.as_bytes()).into_owned().collect()
    }

    fn fields(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    async fn refreshed(fake: &Fake, client: &Client, methods: Option<&[&str]>) -> Outcome {
        let methods = methods.map(|methods| methods.iter().map(|m| (*m).to_owned()).collect());
        let server = Metadata { token_endpoint_auth_methods: methods, ..metadata(&fake.url("")) };
        refresh(&Http::new(), &server, client, &"r1".into()).await
    }

    #[tokio::test]
    async fn a_code_is_exchanged_with_its_verifier() {
        let fake = Fake::new(|_| json(200, GRANT)).await;
        let server = metadata(&fake.url(""));
        let (code, verifier) = ("c".into(), "v".into());
        let outcome =
            exchange_code(&Http::new(), &server, &public(), "http://localhost:8020", &code, &verifier).await;
        let Outcome::Granted(grant) = outcome else { panic!("{outcome:?}") };
        assert_eq!(grant.access_token.expose_secret(), "at");
        assert_eq!(grant.refresh_token.unwrap().expose_secret(), "r2");
        assert_eq!(grant.expires_in, Some(Duration::from_secs(60)));
        assert_eq!(grant.scopes, Some(vec!["a".into(), "b".into()]));
        let heard = fake.heard();
        assert_eq!(
            form(&heard[0]),
            fields(&[
                ("grant_type", "authorization_code"),
                ("code", "c"),
                ("code_verifier", "v"),
                ("redirect_uri", "http://localhost:8020"),
                ("client_id", "id"),
            ])
        );
        assert!(!heard[0].to_lowercase().contains("authorization:"));
    }

    #[tokio::test]
    async fn a_refresh_asks_for_no_scope() {
        let fake = Fake::new(|_| json(200, GRANT)).await;
        assert!(matches!(refreshed(&fake, &public(), None).await, Outcome::Granted(_)));
        assert_eq!(
            form(&fake.heard()[0]),
            fields(&[("grant_type", "refresh_token"), ("refresh_token", "r1"), ("client_id", "id")])
        );
    }

    #[tokio::test]
    async fn a_secret_goes_where_the_server_takes_it() {
        let fake = Fake::new(|_| json(200, GRANT)).await;
        refreshed(&fake, &confidential(), None).await;
        refreshed(&fake, &confidential(), Some(&["client_secret_basic", "client_secret_post"])).await;
        refreshed(&fake, &confidential(), Some(&["client_secret_basic"])).await;
        let heard = fake.heard();
        for request in &heard[..2] {
            assert_eq!(form(request)["client_secret"], "s:&c");
            assert!(!request.contains("authorization: Basic"), "{request}");
        }
        assert!(!form(&heard[2]).contains_key("client_secret"));
        assert!(heard[2].contains("authorization: Basic aWQ6cyUzQSUyNmM=\r\n"), "{}", heard[2]);
    }

    #[tokio::test]
    async fn what_oauth2_cannot_say_is_judged_all_the_same() {
        let fake =
            Fake::new(|_| reply(502, "Content-Type: text/html\r\nRetry-After: 4\r\n", "<html>canary")).await;
        let Outcome::Unreachable(found) = refreshed(&fake, &public(), None).await else { panic!() };
        assert_eq!((found.retry_after, found.sent), (Some(Duration::from_secs(4)), Sent::Answered));

        let fake = Fake::new(|_| json(400, r#"{"error":"invalid_grant"}"#)).await;
        assert!(matches!(refreshed(&fake, &public(), None).await, Outcome::Rejected(_)));

        let fake = Fake::new(|_| json(200, r#"{"refresh_token":"r2","expires_in":"#)).await;
        let Outcome::Unreachable(found) = refreshed(&fake, &public(), None).await else { panic!() };
        assert_eq!(found.salvaged.unwrap().expose_secret(), "r2");
    }

    #[tokio::test]
    async fn an_exchange_can_be_a_task_of_its_own() {
        let fake = Fake::new(|_| String::new()).await;
        let server = metadata(&fake.url(""));
        let task = tokio::spawn(async move { refresh(&Http::new(), &server, &public(), &"r1".into()).await });
        let Outcome::Unreachable(found) = task.await.unwrap() else { panic!() };
        assert_eq!(found.sent, Sent::Maybe);
        assert!(!found.why.contains("r1"), "{}", found.why);
    }

    #[tokio::test]
    async fn an_issuer_that_repeats_the_request_puts_no_secret_on_a_screen() {
        for status in [400, 503] {
            let fake = Fake::new(move |request| {
                let sent = request.split("\r\n\r\n").nth(1).unwrap_or_default().replace('"', "");
                json(
                    status,
                    &format!(r#"{{"error":"invalid_grant","error_description":"bad request: {sent}"}}"#),
                )
            })
            .await;
            let found =
                refresh(&Http::new(), &metadata(&fake.url("")), &public(), &"a+b/CANARY".into()).await;
            assert!(!format!("{found:?}").contains("CANARY"), "{found:?}");
        }
    }
}
