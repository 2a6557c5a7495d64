//! Until when an answer is awaited.

use std::time::{Duration, Instant};

use sso_agent_proto::{DEFAULT_WAIT_S, method::Call};

/// What the agent answers from memory.
const AT_ONCE: Duration = Duration::from_secs(10);
/// What one request to an issuer may take at the agent.
const ISSUER: Duration = Duration::from_secs(45);
/// Each session is written anew, and waits for the disk.
const REKEY: Duration = Duration::from_secs(10 * 60);
/// How much later than its own deadline the agent may be.
const MARGIN: Duration = Duration::from_secs(5);
/// What a person gets to sign in when the request does not say, in seconds.
const DEFAULT_LOGIN_S: u64 = 300;

/// The end of waiting, if there is one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    pub(crate) const NEVER: Self = Self(None);

    /// A little later than the agent itself gives up, so that the reason comes from there.
    pub(crate) fn of(call: &Call) -> Self {
        let longest = match call {
            Call::TokenGet(get) => Duration::from_secs(get.wait_s.unwrap_or(DEFAULT_WAIT_S)) + MARGIN,
            Call::SessionLogin(login) => {
                Duration::from_secs(login.timeout_s.unwrap_or(DEFAULT_LOGIN_S)) + ISSUER
            }
            Call::AgentRekey(_) => REKEY,
            Call::SessionLogout(_)
            | Call::SessionImport(_)
            | Call::ConsentStart(_)
            | Call::ConsentFinish(_)
            | Call::ConsentEnd(_)
            | Call::App(_) => ISSUER,
            Call::AgentInfo
            | Call::AgentReload
            | Call::ProfileList
            | Call::MetadataUrl(_)
            | Call::AgentShutdown
            | Call::SessionList(_)
            | Call::SessionShow(_)
            | Call::EventsSubscribe(_) => AT_ONCE,
        };
        // A wait beyond what the clock can hold is a wait without an end.
        Self(Instant::now().checked_add(longest))
    }

    #[cfg(test)]
    pub(crate) fn within(time: Duration) -> Self {
        Self(Some(Instant::now() + time))
    }

    /// The time left, `None` when there is no end; `Err` when it is over.
    pub(crate) fn left(self) -> Result<Option<Duration>, Over> {
        let Some(end) = self.0 else { return Ok(None) };
        match end.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(Over),
            left => Ok(Some(left)),
        }
    }
}

/// The time is over.
#[derive(Debug)]
pub(crate) struct Over;

#[cfg(test)]
mod tests {
    use super::*;
    use sso_agent_proto::token::TokenGet;

    #[test]
    fn a_token_is_awaited_a_little_longer_than_the_agent_waits() {
        let call = Call::TokenGet(TokenGet { wait_s: Some(7), ..TokenGet::default() });
        let left = Deadline::of(&call).left().unwrap().unwrap();
        assert!(left > Duration::from_secs(11) && left <= Duration::from_secs(12), "{left:?}");
    }

    #[test]
    fn an_endless_wait_is_no_overflow() {
        let call = Call::TokenGet(TokenGet { wait_s: Some(u64::MAX - 5), ..TokenGet::default() });
        assert!(Deadline::of(&call).left().is_ok());
    }
}
