//! Which token is wanted.

use std::time::Duration;

use secrecy::SecretString;
use sso_agent_proto::token::TokenGet;

/// Which token is wanted, said step by step.
///
/// ```
/// use std::time::Duration;
/// use sso_agent_client::TokenRequest;
///
/// let request = TokenRequest::host("adb-1.azuredatabricks.net")
///     .label("work")
///     .min_valid(Duration::from_secs(300));
/// ```
#[derive(Debug, Clone, Default)]
pub struct TokenRequest(TokenGet);

impl TokenRequest {
    /// A token of the only session there is.
    pub fn only_session() -> Self {
        Self::default()
    }

    /// A token for a host as a person would type it.
    pub fn host(host: impl Into<String>) -> Self {
        Self(TokenGet { host: Some(host.into()), ..TokenGet::default() })
    }

    /// A token for what a profile names.
    pub fn profile(profile: impl Into<String>) -> Self {
        Self(TokenGet { profile: Some(profile.into()), ..TokenGet::default() })
    }

    /// A token of the session with this id.
    pub fn session(id: impl Into<String>) -> Self {
        Self(TokenGet { session: Some(id.into()), ..TokenGet::default() })
    }

    /// A token of the web app's user with this handle; see [`crate::WebSession`].
    pub fn handle(handle: impl Into<SecretString>) -> Self {
        Self(TokenGet { handle: Some(handle.into()), ..TokenGet::default() })
    }

    /// Which of several accounts at the host.
    #[must_use]
    pub fn label(self, label: impl Into<String>) -> Self {
        Self(TokenGet { label: Some(label.into()), ..self.0 })
    }

    /// Which Databricks account, at an account console.
    #[must_use]
    pub fn account_id(self, id: impl Into<String>) -> Self {
        Self(TokenGet { account_id: Some(id.into()), ..self.0 })
    }

    /// How long the token stays valid at least: a minute when not said, and never more than half of
    /// what the issuer gives.
    #[must_use]
    pub fn min_valid(self, time: Duration) -> Self {
        Self(TokenGet { min_valid_s: Some(whole_seconds(time)), ..self.0 })
    }

    /// How long to wait for a refresh: half a minute when not said.
    #[must_use]
    pub fn wait(self, time: Duration) -> Self {
        Self(TokenGet { wait_s: Some(whole_seconds(time)), ..self.0 })
    }

    /// A token no older than half a minute.
    #[must_use]
    pub fn force_refresh(self) -> Self {
        Self(TokenGet { force_refresh: true, ..self.0 })
    }

    /// Any token but the one with this id, which a server turned down.
    #[must_use]
    pub fn refused(self, token_id: impl Into<String>) -> Self {
        Self(TokenGet { refused: Some(token_id.into()), ..self.0 })
    }
}

/// Rounded up: who asks for half a second does not mean none.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0))
}

impl From<TokenRequest> for TokenGet {
    fn from(request: TokenRequest) -> Self {
        request.0
    }
}

impl From<TokenGet> for TokenRequest {
    fn from(params: TokenGet) -> Self {
        Self(params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_what_is_asked() {
        let asked: TokenGet =
            TokenRequest::host("h").label("work").min_valid(Duration::from_millis(1500)).into();
        assert_eq!(
            serde_json::to_value(asked).unwrap(),
            serde_json::json!({"host": "h", "label": "work", "min_valid_s": 2})
        );
    }
}
