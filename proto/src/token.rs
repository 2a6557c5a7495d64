//! `token.get`.

use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::{secret, session::Target};

/// Which token, how fresh, and how long to wait for it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenGet {
    /// A host as a person would type it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The name of a profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The id of a session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Which of several accounts at the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Which Databricks account, at an account console.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// Of a web app's user, as `consent.finish` gave it; nothing else is needed with it. One that is empty or
    /// `null` is good for nothing: it never means whoever owns the agent.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "secret::on_wire_or_empty")]
    pub handle: Option<SecretString>,
    /// Scopes that the token must have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// How long the token stays valid at least, in seconds.
    ///
    /// When absent it is 60, but what is left of a token is handed out while no new one can be had.
    /// Half of the issuer's lifetime at the most, or a short-lived token could never be handed out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_valid_s: Option<u64>,
    /// Not a token older than 30 s; joins a refresh that is under way.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force_refresh: bool,
    /// The `token_id` that a server turned down: any other token will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// How long to wait for a refresh, in seconds; 30 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_s: Option<u64>,
}

impl TokenGet {
    /// Whether it says more about the session than a handle does.
    pub fn names_a_place(&self) -> bool {
        let said = [&self.host, &self.profile, &self.session, &self.label, &self.account_id];
        said.iter().any(|said| said.is_some())
    }

    /// Which session is meant.
    pub fn target(&self) -> Target {
        Target {
            host: self.host.clone(),
            profile: self.profile.clone(),
            session: self.session.clone(),
            label: self.label.clone(),
            account_id: self.account_id.clone(),
        }
    }
}

/// An access token, the only secret that leaves the agent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Token {
    /// What goes behind `Bearer`.
    #[serde(with = "secret::on_wire")]
    pub access_token: SecretString,
    /// `Bearer` nearly always (RFC 6749, 7.1).
    pub token_type: String,
    /// Tells tokens apart without telling them; goes into `refused` and the audit trail.
    pub token_id: String,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Seconds until then.
    pub expires_in_s: u64,
    /// What it is good for.
    pub scopes: Vec<String>,
    /// The session it comes from.
    pub session: String,
}
