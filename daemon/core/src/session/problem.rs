//! Why a session has no new lease yet.

use std::{fmt, time::Duration};

use crate::refusal::OAuthError;

/// Why a renewal brought no lease: one variant per thing that is done about it.
#[derive(Debug, Clone)]
pub enum RenewError {
    /// There was no way to the issuer. Worth another try.
    Unreachable {
        /// In words.
        why: String,
        /// When the issuer wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// The issuer was asked, and gave no answer that means anything. Worth another try, but not many.
    Unwell {
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

/// What went wrong with the last renewal.
#[derive(Debug, Clone)]
pub(super) enum Problem {
    /// There was no way to the issuer.
    Unreachable(String),
    /// The issuer did not answer, or not in a way that means anything.
    Unwell(String),
    /// The issuer does not like our request.
    Refused(OAuthError),
    /// There was no room to keep what would have come.
    Store(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) | Self::Unwell(why) | Self::Store(why) => f.write_str(why),
            Self::Refused(said) => write!(f, "the issuer refused: {said}"),
        }
    }
}
