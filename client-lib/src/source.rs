//! A token that is always at hand.
//!
//! The hard part is many threads at once: one fetches, the others wait for it, and when it fails they
//! share the failure instead of each failing anew.

use std::{
    path::PathBuf,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use secrecy::{ExposeSecret as _, SecretString};
use sso_agent_proto::token::{Token, TokenGet};

use crate::{
    Error, Result,
    blocking::Agent,
    cache::{Cache, Now},
};

/// Hands out a token from memory, and asks the agent for another when it is nearly over.
///
/// ```no_run
/// use sso_agent_client::{TokenRequest, TokenSource};
///
/// # fn main() -> Result<(), sso_agent_client::Error> {
/// let tokens = TokenSource::new(TokenRequest::profile("work"));
/// let token = tokens.token()?;
/// // … and when a server answers 401:
/// tokens.refused(&token.token_id);
/// let another = tokens.token()?;
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
    pub fn token(&self) -> Result<Token> {
        self.token_since(self.fetches.load(Ordering::Acquire))
    }

    /// Shares what came of a fetch that ended after the first `before` of them.
    fn token_since(&self, before: u64) -> Result<Token> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(token) = state.cache.ready(Now::read()) {
            return Ok(token);
        }
        if self.fetches.load(Ordering::Acquire) != before
            && let Some(error) = &state.last_failure
        {
            return Err(error.clone());
        }
        let outcome = self.fetch(state.cache.request());
        state.last_failure = outcome.as_ref().err().cloned();
        self.fetches.fetch_add(1, Ordering::AcqRel);
        state.cache.fetched(outcome, Now::read())
    }

    /// Gives the header of a request: its name, and its value with the token in it.
    ///
    /// # Errors
    /// As of [`Self::token`].
    pub fn header(&self) -> Result<(&'static str, SecretString)> {
        self.token().map(|token| header(&token))
    }

    /// Says that a server turned the token with this id down, so that another is fetched.
    pub fn refused(&self, token_id: &str) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).cache.refuse(token_id);
    }

    fn fetch(&self, request: TokenGet) -> Result<Token> {
        let mut agent = match &self.socket {
            Some(socket) => Agent::connect_to(socket)?,
            None => Agent::connect()?,
        };
        agent.token(request)
    }
}

pub(crate) fn header(token: &Token) -> (&'static str, SecretString) {
    ("Authorization", SecretString::from(["Bearer ", token.access_token.expose_secret()].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{TokenRequest, fake::Fake};

    #[test]
    fn the_agent_is_asked_once_for_many() {
        let fake = Fake::answering(|asked| asked.result(Fake::token("t", 3600)));
        let tokens = TokenSource::at(fake.socket(), TokenRequest::host("h"));
        std::thread::scope(|threads| {
            for _ in 0..8 {
                threads.spawn(|| tokens.token().unwrap());
            }
        });
        assert_eq!(tokens.header().unwrap().1.expose_secret(), "Bearer t");
        assert_eq!(fake.asked().len(), 1);
    }

    #[test]
    fn those_who_waited_share_the_failure() {
        let fake = Fake::answering(|asked| {
            asked.error(r#"{"code":-32000,"message":"no","data":{"kind":"login_required","hint":"x"}}"#)
        });
        let tokens = TokenSource::at(fake.socket(), TokenRequest::host("h"));
        let before = tokens.fetches.load(Ordering::Acquire);
        tokens.token().unwrap_err();
        tokens.token_since(before).unwrap_err();
        assert_eq!(fake.asked().len(), 1);
        tokens.token().unwrap_err();
        assert_eq!(fake.asked().len(), 2, "who comes later tries again");
    }

    #[test]
    fn a_refused_token_is_replaced() {
        let mut count = 0;
        let fake = Fake::answering(move |asked| {
            count += 1;
            asked.result(Fake::token(&format!("t{count}"), 3600))
        });
        let tokens = TokenSource::at(fake.socket(), TokenRequest::host("h"));
        let first = tokens.token().unwrap();
        tokens.refused(&first.token_id);
        assert_eq!(tokens.token().unwrap().token_id, "id-of-t2");
        assert_eq!(fake.asked()[1].params["refused"], "id-of-t1");
    }
}
