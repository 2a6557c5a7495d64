//! Why a renewal brought no lease, and what of that is remembered until the next one.

use std::time::Duration;

use crate::refusal::OAuthError;

/// Why a renewal brought no lease: one variant per thing that is done about it.
#[derive(Debug, Clone)]
pub enum RenewError {
    /// Worth another try.
    Unreachable {
        /// In words.
        why: String,
        /// When the issuer wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// The refresh token is worthless now.
    Rejected(OAuthError),
    /// The issuer does not like our request; the refresh token may be good.
    Refused(OAuthError),
    /// The new refresh token could not have been kept, so the old one was not spent.
    Store(String),
    /// There is nothing to renew it with, in words.
    Gone(String),
}

/// Why the last renewal failed.
#[derive(Debug, Clone)]
pub(super) enum Problem {
    Unreachable(String),
    Refused(OAuthError),
    Store(String),
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreachable(why) | Self::Store(why) => f.write_str(why),
            Self::Refused(said) => write!(f, "the issuer refused: {said}"),
        }
    }
}
