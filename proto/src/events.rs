//! `events.subscribe` and the `event` notifications that follow.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What may be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EventKind {
    /// A session has a new access token.
    #[serde(rename = "token.refreshed")]
    TokenRefreshed,
    /// Somebody signed in.
    #[serde(rename = "session.added")]
    SessionAdded,
    /// Somebody signed out.
    #[serde(rename = "session.removed")]
    SessionRemoved,
    /// A session can only be saved by a sign-in.
    #[serde(rename = "session.login_required")]
    SessionLoginRequired,
    /// A refresh failed and will be tried again.
    #[serde(rename = "session.retrying")]
    SessionRetrying,
    /// The agent hands out no more tokens until it is unlocked.
    #[serde(rename = "agent.locked")]
    AgentLocked,
    /// The agent hands out tokens again.
    #[serde(rename = "agent.unlocked")]
    AgentUnlocked,
    /// New settings are in force.
    #[serde(rename = "config.reloaded")]
    ConfigReloaded,
    /// New settings cannot be used; the old ones stay.
    #[serde(rename = "config.invalid")]
    ConfigInvalid,
}

/// Which events are wanted; all of them when empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscribe {
    /// See [`EventKind`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<EventKind>,
}

/// The params of an `event` notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// To which session, if to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// When.
    pub at: Timestamp,
}
