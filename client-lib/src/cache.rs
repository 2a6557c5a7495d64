//! The token that a [`crate::TokenSource`] keeps, and when it is of use no more. Asks no clock.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use sso_agent_proto::{
    fault::Kind,
    token::{Token, TokenGet},
};

use crate::Error;

/// The token is fetched anew this long before its end, or at half of its life if that is shorter.
const MARGIN_S: u64 = 60;
/// How long a token that is still valid is handed out without another try after one failed.
const PAUSE: Duration = Duration::from_secs(5);

/// One look at both clocks: the steady one stands still in suspend, the wall's can be set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) steady: Instant,
    pub(crate) wall: Timestamp,
}

impl Now {
    pub(crate) fn read() -> Self {
        Self { steady: Instant::now(), wall: Timestamp::now() }
    }

    fn plus(self, seconds: u64) -> Self {
        let wall = i64::try_from(seconds).ok().map(SignedDuration::from_secs);
        Self {
            steady: self.steady.checked_add(Duration::from_secs(seconds)).unwrap_or(self.steady),
            wall: wall.and_then(|time| self.wall.checked_add(time).ok()).unwrap_or(self.wall),
        }
    }

    /// Before it by both clocks.
    fn is_before(self, end: Self) -> bool {
        self.steady < end.steady && self.wall < end.wall
    }
}

#[derive(Debug)]
struct Held {
    token: Token,
    fresh_until: Now,
    valid_until: Now,
}

/// What is wanted, and what is there of it.
#[derive(Debug)]
pub(crate) struct Cache {
    wanted: TokenGet,
    held: Option<Held>,
    /// Not to be handed out again.
    refused: Option<String>,
    failed_at: Option<Now>,
}

impl Cache {
    pub(crate) fn new(wanted: TokenGet) -> Self {
        Self { refused: wanted.refused.clone(), wanted, held: None, failed_at: None }
    }

    /// The token, when there is no reason to ask for another.
    pub(crate) fn ready(&self, now: Now) -> Option<Token> {
        let held = self.held.as_ref()?;
        let pausing = self.failed_at.is_some_and(|at| now.steady.duration_since(at.steady) < PAUSE);
        let until = if pausing { held.valid_until } else { held.fresh_until };
        now.is_before(until).then(|| held.token.clone())
    }

    /// What to ask the agent for.
    pub(crate) fn request(&self) -> TokenGet {
        TokenGet { refused: self.refused.clone(), ..self.wanted.clone() }
    }

    /// Takes what came of asking, and says what to hand out: an old token that is valid yet rather
    /// than an error, except where the agent does not *want* it to be used.
    pub(crate) fn fetched(&mut self, outcome: Result<Token, Error>, now: Now) -> Result<Token, Error> {
        match outcome {
            Ok(token) => {
                let left = token.expires_in_s;
                let margin = MARGIN_S.min(left / 2);
                self.held = Some(Held {
                    token: token.clone(),
                    fresh_until: now.plus(left - margin),
                    valid_until: now.plus(left),
                });
                (self.refused, self.failed_at) = (None, None);
                Ok(token)
            }
            Err(error) => {
                if matches!(error.kind(), Some(Kind::Denied | Kind::Locked)) {
                    self.held = None;
                }
                self.failed_at = Some(now);
                self.ready(now).ok_or(error)
            }
        }
    }

    /// Drops the token that a server turned down, if it is the one held.
    pub(crate) fn refuse(&mut self, token_id: &str) {
        if self.held.as_ref().is_some_and(|held| held.token.token_id == token_id) {
            self.held = None;
            self.refused = Some(token_id.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sso_agent_proto::fault::Fault;

    fn token(id: &str, expires_in_s: u64) -> Result<Token, Error> {
        Ok(Token {
            access_token: "t".into(),
            token_type: "Bearer".into(),
            token_id: id.into(),
            expires_at: Timestamp::UNIX_EPOCH,
            expires_in_s,
            scopes: Vec::new(),
            session: "s".into(),
        })
    }

    fn failure(kind: Kind) -> Result<Token, Error> {
        Err(Fault::new(kind, "no", "hint").into())
    }

    fn filled(expires_in_s: u64) -> (Cache, Now) {
        let (mut cache, now) = (Cache::new(TokenGet::default()), Now::read());
        cache.fetched(token("a", expires_in_s), now).unwrap();
        (cache, now)
    }

    #[test]
    fn a_token_is_kept_until_a_minute_before_its_end() {
        let (cache, now) = filled(3600);
        assert!(cache.ready(now.plus(3539)).is_some());
        assert!(cache.ready(now.plus(3540)).is_none());
    }

    #[test]
    fn a_short_lived_token_is_kept_for_half_its_life() {
        let (cache, now) = filled(10);
        assert!(cache.ready(now.plus(4)).is_some());
        assert!(cache.ready(now.plus(5)).is_none());
    }

    #[test]
    fn a_token_is_over_by_the_wall_clock_after_suspend() {
        let (cache, now) = filled(3600);
        assert!(cache.ready(Now { wall: now.plus(3600).wall, ..now }).is_none());
    }

    #[test]
    fn a_valid_token_outlives_a_failure_and_the_agent_is_left_alone_for_a_while() {
        let (mut cache, now) = filled(3600);
        let late = now.plus(3550);
        assert!(cache.fetched(failure(Kind::IssuerUnavailable), late).is_ok());
        assert!(cache.ready(late.plus(1)).is_some(), "no new try at once");
        assert!(cache.ready(late.plus(5)).is_none(), "but soon");
        assert!(cache.fetched(failure(Kind::IssuerUnavailable), now.plus(3600)).is_err());
    }

    #[test]
    fn a_locked_agent_takes_the_token_back() {
        let (mut cache, now) = filled(3600);
        assert!(cache.fetched(failure(Kind::Locked), now.plus(3550)).is_err());
        assert!(cache.ready(now).is_none());
    }

    #[test]
    fn a_refused_token_is_named_until_there_is_another() {
        let (mut cache, now) = filled(3600);
        cache.refuse("another");
        assert!(cache.ready(now).is_some());
        cache.refuse("a");
        assert!(cache.ready(now).is_none());
        assert_eq!(cache.request().refused.as_deref(), Some("a"));
        assert!(cache.fetched(failure(Kind::IssuerUnavailable), now).is_err());
        cache.fetched(token("b", 3600), now).unwrap();
        assert_eq!(cache.request().refused, None);
    }
}
