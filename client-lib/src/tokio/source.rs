//! A token that is always at hand, over tokio.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
};

use ::tokio::sync::Mutex;
use secrecy::SecretString;
use sso_agent_proto::token::{Token, TokenGet};

use super::Agent;
use crate::{
    Error, Result,
    cache::{Cache, Now},
    source::header,
};

/// Hands out a token from memory, and asks the agent for another when it is nearly over. One task
/// asks, the others wait for its answer.
///
/// ```no_run
/// use sso_agent_client::{TokenRequest, tokio::TokenSource};
///
/// # async fn example() -> Result<(), sso_agent_client::Error> {
/// let tokens = TokenSource::new(TokenRequest::host("https://adb-1.azuredatabricks.net"));
/// let (name, value) = tokens.header().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TokenSource {
    /// Of the agent; the user's own when `None`.
    socket: Option<PathBuf>,
    state: Mutex<State>,
    /// How many fetches have ended.
    fetches: AtomicU64,
}

#[derive(Debug)]
struct State {
    cache: Cache,
    last_failure: Option<Error>,
}

impl TokenSource {
    /// Tokens of this user's agent, which is started when it is not running.
    pub fn new(request: impl Into<TokenGet>) -> Self {
        let state = State { cache: Cache::new(request.into()), last_failure: None };
        Self { socket: None, state: Mutex::new(state), fetches: AtomicU64::new(0) }
    }

    /// Tokens of the agent at a socket of one's own choice.
    pub fn at(socket: impl Into<PathBuf>, request: impl Into<TokenGet>) -> Self {
        Self { socket: Some(socket.into()), ..Self::new(request) }
    }

    /// Gives a token that stays valid for another minute, or for half of its life.
    ///
    /// While the agent cannot give another, the one at hand is handed out until it ends.
    ///
    /// # Errors
    /// As of [`Agent::token`].
    pub async fn token(&self) -> Result<Token> {
        let before = self.fetches.load(Ordering::Acquire);
        let mut state = self.state.lock().await;
        if let Some(token) = state.cache.ready(Now::read()) {
            return Ok(token);
        }
        // Somebody else's fetch ended while this task waited for the lock.
        if self.fetches.load(Ordering::Acquire) != before
            && let Some(error) = &state.last_failure
        {
            return Err(error.clone());
        }
        let outcome = self.fetch(state.cache.request()).await;
        state.last_failure = outcome.as_ref().err().cloned();
        self.fetches.fetch_add(1, Ordering::AcqRel);
        state.cache.fetched(outcome, Now::read())
    }

    /// Gives the header of a request: its name, and its value with the token in it.
    ///
    /// # Errors
    /// As of [`Self::token`].
    pub async fn header(&self) -> Result<(&'static str, SecretString)> {
        self.token().await.map(|token| header(&token))
    }

    /// Says that a server turned the token with this id down, so that another is fetched.
    pub async fn refused(&self, token_id: &str) {
        self.state.lock().await.cache.refuse(token_id);
    }

    async fn fetch(&self, request: TokenGet) -> Result<Token> {
        let agent = match &self.socket {
            Some(socket) => Agent::connect_to(socket).await?,
            None => Agent::connect().await?,
        };
        agent.token(request).await
    }
}
