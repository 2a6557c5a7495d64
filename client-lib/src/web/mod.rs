//! A web app whose users sign in: what it keeps in the web session of each is a [`Consent`] until the
//! callback and a [`WebSession`] from then on. The refresh token stays with the agent.
//!
//! The hard part is that both agents do the same here, one at once and the other in a future: what takes
//! an agent takes [`AnyAgent`], and is written once.

use std::fmt;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use sso_agent_proto::{
    consent::{ConsentEnd, ConsentFinish, ConsentFinished, ConsentStart, ConsentStarted},
    method::Call,
    secret,
    session::LoggedOut,
    token::Token,
};

use crate::{AnyAgent, TokenRequest, source::header};

/// Where the users of a web app sign in, as which client, and back to where. Made once, when the app starts.
///
/// ```no_run
/// use sso_agent_client::{Result, WebApp, WebSession, blocking::Agent};
///
/// # fn example(query: Vec<(String, String)>) -> Result<()> {
/// let mut agent = Agent::connect()?;
/// let app = WebApp::new("https://adb-1.azuredatabricks.net")
///     .client_id("2b8a…")
///     .redirect_url("https://app.example.com/callback");
///
/// // For a user without a session: keep the consent in the web session, send the browser to the address.
/// let (address, consent) = app.start(&mut agent)?;
/// // At the redirect URL: keep the user instead.
/// let user: WebSession = consent.finish(&mut agent, query)?;
/// // From then on; and over tokio `user.token(&agent).await?`.
/// let token = user.token(&mut agent)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct WebApp(ConsentStart);

impl WebApp {
    /// An app whose users sign in to a host as a person would type it; the client is the stock one of
    /// Databricks when nothing else is said.
    pub fn new(host: impl Into<String>) -> Self {
        Self(ConsentStart { host: host.into(), ..ConsentStart::default() })
    }

    /// Which Databricks account, at an account console.
    #[must_use]
    pub fn account_id(self, id: impl Into<String>) -> Self {
        Self(ConsentStart { account_id: Some(id.into()), ..self.0 })
    }

    /// The OAuth client that the app has registered.
    #[must_use]
    pub fn client_id(self, id: impl Into<String>) -> Self {
        Self(ConsentStart { client_id: Some(id.into()), ..self.0 })
    }

    /// The secret of a confidential client.
    #[must_use]
    pub fn client_secret(self, secret: impl Into<SecretString>) -> Self {
        Self(ConsentStart { client_secret: Some(secret.into()), ..self.0 })
    }

    /// The name under which the agent keeps the client, secret and all (`sso app create --keep`).
    #[must_use]
    pub fn kept(self, name: impl Into<String>) -> Self {
        Self(ConsentStart { app: Some(name.into()), ..self.0 })
    }

    /// Where the browser comes back to: one of those that are registered. A kept app with just one needs none.
    #[must_use]
    pub fn redirect_url(self, url: impl Into<String>) -> Self {
        Self(ConsentStart { redirect_url: Some(url.into()), ..self.0 })
    }

    /// What to ask for, and nothing else; `all-apis offline_access`, or what such a host has for it, when
    /// not said. Without `offline_access` a session ends with its first token.
    #[must_use]
    pub fn scopes(self, scopes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(ConsentStart { scopes: scopes.into_iter().map(Into::into).collect(), ..self.0 })
    }

    /// What kind of server it is, where the host does not tell: `entra` for an Azure workspace whose users
    /// sign in by an application of Microsoft's.
    #[must_use]
    pub fn provider(self, name: impl Into<String>) -> Self {
        Self(ConsentStart { provider: Some(name.into()), ..self.0 })
    }

    /// Begins a sign-in: gives the address to send the user's browser to, which is good for this browser
    /// only, and what to keep in its web session until the callback.
    ///
    /// # Errors
    /// Each of [`crate::Error`].
    pub fn start<A: AnyAgent>(&self, agent: A) -> A::Outcome<(String, Consent)> {
        agent.ask(Call::ConsentStart(self.0.clone()), |started: ConsentStarted| {
            (started.authorization_url, Consent(started.consent))
        })
    }
}

impl From<ConsentStart> for WebApp {
    fn from(params: ConsentStart) -> Self {
        Self(params)
    }
}

/// A sign-in that waits for its callback: ten minutes at most, and for one callback only.
///
/// A plain string to serde. The agent sealed it, so that the web session may be a cookie; but it has to be
/// that of *this* browser, since it is what tells the browser's own callback from one that was planted.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Consent(#[serde(with = "secret::on_wire")] SecretString);

impl Consent {
    /// Takes the query of the callback, as the web framework parsed it: a map, or a list of pairs, which
    /// is better since it shows what came twice.
    ///
    /// A wrong callback uses nothing up: whoever sends one has not called off the sign-in.
    ///
    /// # Errors
    /// Each of [`crate::Error`], of which [`crate::Error::advice`] says what to do about it.
    pub fn finish<A, N, V>(&self, agent: A, query: impl IntoIterator<Item = (N, V)>) -> A::Outcome<WebSession>
    where
        A: AnyAgent,
        N: Into<String>,
        V: Into<String>,
    {
        let params = Some(query.into_iter().collect());
        finish(agent, ConsentFinish { consent: self.0.clone(), callback_url: None, params })
    }

    /// The same with the whole address that the browser came back to.
    ///
    /// # Errors
    /// As of [`Self::finish`].
    pub fn finish_url<A: AnyAgent>(
        &self,
        agent: A,
        callback: impl Into<SecretString>,
    ) -> A::Outcome<WebSession> {
        let callback_url = Some(callback.into());
        finish(agent, ConsentFinish { consent: self.0.clone(), callback_url, params: None })
    }
}

fn finish<A: AnyAgent>(agent: A, params: ConsentFinish) -> A::Outcome<WebSession> {
    agent.ask::<ConsentFinished, _>(Call::ConsentFinish(params), WebSession::from)
}

impl fmt::Debug for Consent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consent").finish_non_exhaustive()
    }
}

/// One signed-in user of a web app: to be kept in the user's web session, of which it takes little.
///
/// Whoever has it gets the user's tokens from this agent, and from nowhere else.
#[derive(Clone, Serialize, Deserialize)]
pub struct WebSession {
    #[serde(with = "secret::on_wire")]
    handle: SecretString,
    session: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    /// Said only where it is out of the ordinary.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    ends_with_first_token: bool,
}

impl WebSession {
    /// The session's id at the agent, which is not secret.
    pub fn id(&self) -> &str {
        &self.session
    }

    /// Who signed in, as far as the issuer says.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Whether another token follows the first. Without, as where `offline_access` was not asked for, the user
    /// signs in again when it is over.
    pub fn is_refreshable(&self) -> bool {
        !self.ends_with_first_token
    }

    /// A request for a token of this user, to say more of what is wanted, or to make a
    /// [`crate::TokenSource`] of.
    pub fn request(&self) -> TokenRequest {
        TokenRequest::handle(self.handle.clone())
    }

    /// Gives a token of this user.
    ///
    /// # Errors
    /// Each of [`crate::Error`]; [`crate::Error::Refused`] with `login_required` when the session is over.
    pub fn token<A: AnyAgent>(&self, agent: A) -> A::Outcome<Token> {
        agent.ask(Call::TokenGet(self.request().into()), |token: Token| token)
    }

    /// Gives the header of a request: its name, and its value with the token in it.
    ///
    /// # Errors
    /// As of [`Self::token`].
    pub fn header<A: AnyAgent>(&self, agent: A) -> A::Outcome<(&'static str, SecretString)> {
        agent.ask(Call::TokenGet(self.request().into()), |token: Token| header(&token))
    }

    /// Signs the user out: revokes the session at its issuer, where that can be done, and forgets it.
    /// Gives whether it was revoked, which it is not when it was over before.
    ///
    /// # Errors
    /// Each of [`crate::Error`].
    pub fn end<A: AnyAgent>(&self, agent: A) -> A::Outcome<bool> {
        let call = Call::ConsentEnd(ConsentEnd { handle: self.handle.clone() });
        agent.ask(call, |ended: LoggedOut| ended.revoked)
    }
}

impl From<ConsentFinished> for WebSession {
    fn from(finished: ConsentFinished) -> Self {
        Self {
            handle: finished.handle,
            session: finished.session,
            user: finished.user,
            ends_with_first_token: !finished.refreshable,
        }
    }
}

impl fmt::Debug for WebSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSession").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
