//! The two requests that a person's session lives by: by an authorization code, and by a refresh token.
//!
//! Entra wants to hear where the page is that asks (`Origin`), from some clients, and not from others;
//! which one a client is shows in its error only. So what fails for that is sent once more, the other way.

use std::{borrow::Cow, time::Duration};

use oauth2::{
    AuthType, AuthorizationCode, ClientId, ClientSecret, EndpointNotSet, EndpointSet, PkceCodeVerifier,
    RedirectUrl, RefreshToken, Scope, StandardRevocableToken, TokenUrl,
    basic::{BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse},
};
use secrecy::{ExposeSecret as _, SecretString};
use sso_agent_core::discovery::Metadata;

use super::{
    answer::Answer,
    http::{Http, Sent, origin_of},
    recorder::{Recorder, no_address, without},
    verdict::{Asked, Outcome, Unreachable},
};

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

    fn way(&self, metadata: &Metadata) -> AuthType {
        if self.uses_basic(metadata) { AuthType::BasicAuth } else { AuthType::RequestBody }
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
    let redirect = RedirectUrl::new(redirect_uri.to_owned());
    let (Some(oauth), Ok(redirect)) = (oauth(metadata, client, client.way(metadata)), redirect) else {
        return no_address();
    };
    let send = async |origin: Option<&str>| {
        let recorder = Recorder::from_origin(http, origin);
        let answer = oauth
            .exchange_code(AuthorizationCode::new(code.expose_secret().to_owned()))
            .set_redirect_uri(Cow::Borrowed(&redirect))
            .set_pkce_verifier(PkceCodeVerifier::new(verifier.expose_secret().to_owned()))
            .request_async(&recorder)
            .await;
        recorder.judge(Asked::ByCode, answer.ok())
    };
    let mut outcome = send(None).await;
    if is_about_origin(&outcome) {
        outcome = send(Some(&origin_of(redirect_uri))).await;
    }
    without(outcome, &[Some(code), Some(verifier), client.secret.as_ref()])
}

/// Trades a refresh token for new tokens (RFC 6749, 6), with the scopes that it has, or fewer.
///
/// `redirect_uri` is the one of the sign-in, if it is known: only Entra asks.
pub(crate) async fn refresh(
    http: &Http,
    metadata: &Metadata,
    client: &Client,
    refresh_token: &SecretString,
    scopes: &[String],
    redirect_uri: Option<&str>,
) -> Outcome {
    let Some(oauth) = oauth(metadata, client, client.way(metadata)) else {
        return no_address();
    };
    let endpoint = &metadata.token_endpoint;
    if let Some(wait) = http.wait(endpoint) {
        return not_yet(wait);
    }
    let token = RefreshToken::new(refresh_token.expose_secret().to_owned());
    let send = async |origin: Option<&str>| {
        let recorder = Recorder::from_origin(http, origin);
        let request = oauth.exchange_refresh_token(&token).add_scopes(scopes.iter().cloned().map(Scope::new));
        let answer = request.request_async(&recorder).await;
        recorder.judge(Asked::ByRefreshToken, answer.ok())
    };
    let page = redirect_uri.map(origin_of);
    let first = page.as_deref().filter(|_| metadata.token_endpoint.contains("microsoft"));
    let mut outcome = send(first).await;
    if is_about_origin(&outcome) && page.is_some() {
        outcome = send(if first.is_some() { None } else { page.as_deref() }).await;
    }
    if let Outcome::Unreachable(Unreachable { retry_after: Some(wait), .. }) = &outcome {
        http.wait_for(endpoint, *wait);
    }
    without(outcome, &[Some(refresh_token), client.secret.as_ref()])
}

/// The issuer named a time (`Retry-After`), and it has not come: whoever asks, nothing is sent.
fn not_yet(wait: Duration) -> Outcome {
    let why = format!("the issuer wants not to be asked for {} s more", wait.as_secs() + 1);
    Outcome::Unreachable(Unreachable { retry_after: Some(wait), why, sent: Sent::No, salvaged: None })
}

/// Whether Entra misses an `Origin` (9002327: the client is a page), or minds it (9002326: it is none).
/// The code or the refresh token is as good as before.
fn is_about_origin(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Rejected(said) | Outcome::Refused(said) => {
            ["AADSTS9002327", "AADSTS9002326"].iter().any(|code| said.to_string().contains(code))
        }
        Outcome::Granted(_) | Outcome::Unreachable(_) => false,
    }
}

pub(super) type OAuth = oauth2::Client<
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

/// A client of `oauth2`, if the server has a token endpoint.
pub(super) fn oauth(metadata: &Metadata, client: &Client, by: AuthType) -> Option<OAuth> {
    let endpoint = TokenUrl::new(metadata.token_endpoint.clone()).ok()?;
    let oauth =
        oauth2::Client::new(ClientId::new(client.id.clone())).set_auth_type(by).set_token_uri(endpoint);
    Some(match &client.secret {
        Some(secret) => oauth.set_client_secret(ClientSecret::new(secret.expose_secret().to_owned())),
        None => oauth,
    })
}

#[cfg(test)]
mod tests;
