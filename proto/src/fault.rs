//! How a request fails: one kind per thing that is done about it.

use serde::{Deserialize, Serialize};

/// What went wrong, named after what the asker does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A person has to sign in.
    LoginRequired,
    /// No such host, profile or session is known.
    UnknownHost,
    /// The issuer or the network does not answer now; try again.
    IssuerUnavailable,
    /// The issuer answered and will not, for a reason that trying again does not mend.
    IssuerRejected,
    /// Policy says no.
    Denied,
    /// The agent is locked.
    Locked,
    /// It took longer than the asker wanted to wait.
    Timeout,
    /// Whoever asked took it back.
    Cancelled,
    /// More than one session fits; say which.
    Ambiguous,
    /// Not in this version, or not with this host.
    Unsupported,
    /// What had to be kept could not be written.
    StoreFailed,
}

impl Kind {
    /// Every kind there is.
    pub const ALL: [Self; 11] = [
        Self::LoginRequired,
        Self::UnknownHost,
        Self::IssuerUnavailable,
        Self::IssuerRejected,
        Self::Denied,
        Self::Locked,
        Self::Timeout,
        Self::Cancelled,
        Self::Ambiguous,
        Self::Unsupported,
        Self::StoreFailed,
    ];

    /// What a command that failed this way exits with.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::LoginRequired => 4,
            Self::IssuerUnavailable | Self::Timeout => 5,
            Self::Denied | Self::Locked => 6,
            Self::UnknownHost => 7,
            Self::Ambiguous => 2,
            Self::IssuerRejected | Self::Cancelled | Self::Unsupported | Self::StoreFailed => 1,
        }
    }

    /// The HTTP status of the same failure.
    pub fn http_status(self) -> u16 {
        match self {
            Self::LoginRequired => 401,
            Self::Denied | Self::Locked => 403,
            Self::UnknownHost => 404,
            Self::Ambiguous | Self::Cancelled => 409,
            Self::Unsupported => 501,
            Self::IssuerRejected => 502,
            Self::IssuerUnavailable => 503,
            Self::Timeout => 504,
            Self::StoreFailed => 507,
        }
    }

    /// As it stands on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::LoginRequired => "login_required",
            Self::UnknownHost => "unknown_host",
            Self::IssuerUnavailable => "issuer_unavailable",
            Self::IssuerRejected => "issuer_rejected",
            Self::Denied => "denied",
            Self::Locked => "locked",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Ambiguous => "ambiguous",
            Self::Unsupported => "unsupported",
            Self::StoreFailed => "store_failed",
        }
    }
}

/// A failure as a person and a program see it. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// One line: what happened.
    pub message: String,
    /// The rest of it.
    pub data: Box<Data>,
}

/// The `data` of an application error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Data {
    /// See [`Kind`].
    pub kind: Kind,
    /// One line: what to do next.
    pub hint: String,
    /// When it is worth trying again, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
    /// The issuer's `error` (RFC 6749, 5.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth_error: Option<String>,
    /// The issuer's `error_description`, control characters removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth_error_description: Option<String>,
}

impl Fault {
    /// A failure with what happened and what to do next.
    pub fn new(kind: Kind, message: impl Into<String>, hint: impl Into<String>) -> Self {
        let data = Data {
            kind,
            hint: hint.into(),
            retry_after_s: None,
            oauth_error: None,
            oauth_error_description: None,
        };
        Self { message: message.into(), data: Box::new(data) }
    }

    /// See [`Kind`].
    pub fn kind(&self) -> Kind {
        self.data.kind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_named_alike_everywhere_and_fails() {
        for kind in Kind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
            assert!((1..=7).contains(&kind.exit_code()));
            assert!((400..=599).contains(&kind.http_status()));
        }
    }

    #[test]
    fn the_exit_codes_are_the_promised_ones() {
        let code = |kind: Kind| kind.exit_code();
        assert_eq!(
            [Kind::LoginRequired, Kind::IssuerUnavailable, Kind::Denied, Kind::Locked, Kind::UnknownHost]
                .map(code),
            [4, 5, 6, 6, 7]
        );
    }
}
