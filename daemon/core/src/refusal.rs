//! Why somebody does not get what they asked for: one variant per thing they can do about it.

use std::time::Duration;

use crate::words::SessionId;

/// What an issuer said, made safe to show (RFC 6749, 5.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthError {
    /// For example `invalid_grant`.
    pub error: String,
    /// For people.
    pub description: Option<String>,
}

impl std::fmt::Display for OAuthError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.description {
            Some(description) => write!(f, "{}: {description}", self.error),
            None => f.write_str(&self.error),
        }
    }
}

impl Refusal {
    /// No session has the handle that was shown.
    pub fn no_such_handle() -> Self {
        let why = "no session has this handle: it has ended, or there never was one".to_owned();
        Self::ConsentRequired { why, said: None }
    }
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Only a sign-in helps.
    LoginRequired {
        /// Where, as [`place`](crate::session::place) has it; empty for anywhere.
        at: String,
        /// In words.
        why: String,
        /// What the issuer said, if it was the issuer.
        said: Option<OAuthError>,
    },
    /// Only a sign-in of the web app's user helps.
    ConsentRequired {
        /// In words.
        why: String,
        /// What the issuer said, if it was the issuer.
        said: Option<OAuthError>,
    },
    /// It is not theirs to have.
    Denied {
        /// In words.
        why: String,
        /// What they can do.
        hint: &'static str,
    },
    /// Nobody knows it.
    Unknown {
        /// What is not known, in words.
        what: String,
    },
    /// More than one session fits.
    Ambiguous {
        /// These.
        sessions: Vec<SessionId>,
        /// The names of the profiles that may be meant, if there are any.
        profiles: Vec<String>,
    },
    /// The issuer or the network does not answer now.
    Unavailable {
        /// In words.
        why: String,
        /// When it will be tried again.
        retry_after: Duration,
    },
    /// The issuer refuses for a reason that waiting does not mend.
    Rejected(OAuthError),
    /// It took longer than the asker would wait.
    Timeout,
    /// It was taken back.
    Cancelled {
        /// In words.
        why: String,
    },
    /// What had to be kept could not be written.
    StoreFailed {
        /// In words.
        why: String,
    },
    /// Not with this host, or not in this version.
    Unsupported {
        /// In words.
        why: String,
    },
}
