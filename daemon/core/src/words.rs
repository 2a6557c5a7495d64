//! The nouns: session ids, leases, tickets.

use std::{sync::Arc, time::Duration};

use secrecy::SecretString;

use crate::{
    host::Host,
    time::{Deadline, Now},
};

/// Between a host and the key of a web app's user. A host's id has no `#`, and a label no `~`; all labels
/// come before it.
const WEB: &str = "#~";

/// Names a session: the host's id, and `#label` behind it when there is a label.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(Arc<str>);

impl SessionId {
    /// The id of the session at `host` with `label`.
    pub fn of(host: &Host, label: &Label) -> Self {
        match label.0.as_str() {
            "" => Self(host.id().into()),
            label => Self([&host.id(), "#", label].concat().into()),
        }
    }

    /// The id of the session of a web app's user at `host`; `key` tells it from all others. No label looks
    /// like it.
    pub fn web(host: &Host, key: &str) -> Self {
        Self([&host.id(), WEB, key].concat().into())
    }

    /// The key of a web app's user, if it is one.
    pub fn web_key(&self) -> Option<&str> {
        self.0.rsplit_once(WEB).map(|(_, key)| key)
    }

    /// Whether only a handle gives the tokens of this session.
    pub fn is_web(&self) -> bool {
        self.web_key().is_some()
    }

    /// As text, to look it up.
    pub fn named(text: &str) -> Self {
        Self(text.into())
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for SessionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Tells several accounts at one host apart; empty by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Label(String);

/// A label that could not be shown or typed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a label has at most 64 letters, digits or any of . _ @ + -")]
pub struct BadLabel;

impl Label {
    /// Reads a label; the empty one is the default.
    ///
    /// # Errors
    /// [`BadLabel`]
    pub fn parse(text: &str) -> Result<Self, BadLabel> {
        let fits = |c: char| c.is_alphanumeric() || "._@+-".contains(c);
        if text.chars().count() <= 64 && text.chars().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadLabel)
        }
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An access token with its deadlines: what may be handed out. It has no room for a refresh token.
#[derive(Debug)]
pub struct Lease {
    /// The token.
    pub access_token: SecretString,
    /// `Bearer` nearly always.
    pub token_type: String,
    /// Tells tokens apart without telling them.
    pub token_id: String,
    /// What it is good for.
    pub scopes: Vec<String>,
    /// When it was asked for.
    pub obtained: Now,
    /// How long the issuer said that it lives.
    pub lifetime: Duration,
    /// When it ends.
    pub expires: Deadline,
}

/// What a token must be like for one asker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Need {
    /// How long it stays valid if that can be had; capped at half the token's life.
    pub min_valid: Duration,
    /// How long it stays valid at the very least, also while no new one can be had; capped likewise.
    pub required: Duration,
    /// Not older than this: whoever asks for a new token means no stale one.
    pub youth: Option<Duration>,
    /// Not this one, which a server turned down.
    pub not: Option<String>,
}

impl Need {
    /// Whether `lease` will do.
    pub fn is_met_by(&self, lease: &Lease, now: Now) -> bool {
        is_good_for(self.min_valid, lease, now) && self.admits(lease, now)
    }

    /// Whether `lease` will do for want of a better one.
    pub fn is_nearly_met_by(&self, lease: &Lease, now: Now) -> bool {
        is_good_for(self.required, lease, now) && self.admits(lease, now)
    }

    fn admits(&self, lease: &Lease, now: Now) -> bool {
        let age = now.since(lease.obtained);
        self.youth.is_none_or(|youth| age < youth) && self.not.as_ref() != Some(&lease.token_id)
    }
}

fn is_good_for(time: Duration, lease: &Lease, now: Now) -> bool {
    let left = lease.expires.left(now);
    !left.is_zero() && left >= time.min(lease.lifetime / 2)
}

/// Who waits for an answer; the daemon knows how to reach them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// One try to renew a session; a later try has a higher number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attempt(pub u64);

/// How a session comes by its next access token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewable {
    /// By a refresh token, which the store holds.
    ByRefreshToken,
    /// By what the client itself can show: its secret, or a token of its platform. Nothing is used up.
    ByCredentials,
    /// Not at all: the issuer gave no refresh token.
    Never,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_part_of_the_id() {
        let host = Host::parse("adb-1.azuredatabricks.net", None).unwrap();
        let id = |label| SessionId::of(&host, &Label::parse(label).unwrap());
        assert_eq!(id("").as_str(), "adb-1.azuredatabricks.net");
        assert_eq!(id("work").as_str(), "adb-1.azuredatabricks.net#work");
        assert_eq!(Label::parse("a#b"), Err(BadLabel));
        assert_eq!(Label::parse("a\nb"), Err(BadLabel));
    }

    #[test]
    fn the_user_of_a_web_app_is_told_from_every_label() {
        let host = Host::parse("adb-1.azuredatabricks.net", None).unwrap();
        let id = SessionId::web(&host, "0123");
        assert_eq!((id.as_str(), id.web_key()), ("adb-1.azuredatabricks.net#~0123", Some("0123")));
        assert!(!SessionId::of(&host, &Label::parse("work").unwrap()).is_web());
        assert!(!SessionId::named("https://i.example/~ada").is_web());
        assert_eq!(Label::parse("~0123"), Err(BadLabel));
    }

    #[test]
    fn more_than_half_a_life_cannot_be_asked_for() {
        let start = Now { steady: Duration::from_secs(9), wall: Duration::from_secs(9_000) };
        let lease = Lease {
            access_token: "t".into(),
            token_type: "Bearer".into(),
            token_id: "id".into(),
            scopes: vec![],
            obtained: start,
            lifetime: Duration::from_secs(10),
            expires: start.after(Duration::from_secs(10)),
        };
        let need = Need { min_valid: Duration::from_secs(60), ..Need::default() };
        let later = |s| Now {
            steady: start.steady + Duration::from_secs(s),
            wall: start.wall + Duration::from_secs(s),
        };
        assert!(need.is_met_by(&lease, later(5)));
        assert!(!need.is_met_by(&lease, later(6)));
        assert!(!Need::default().is_met_by(&lease, later(10)));
    }
}
