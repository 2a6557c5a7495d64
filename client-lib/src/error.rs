//! Why a call failed: one variant per thing that the caller does next.

use std::path::Path;

use sso_agent_proto::fault::{Fault, Kind};

/// Why a call failed: [`Error::hint`] tells a person what to do about it, [`Error::advice`] a program. Never
/// holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no agent to talk to, or none that may be trusted: start it, or look at what is in its
    /// place.
    #[error("{message}")]
    Unreachable {
        /// One line: what happened.
        message: String,
        /// One line: what to do next.
        hint: String,
    },
    /// The agent understood and said no; its kind says what helps.
    #[error(transparent)]
    Refused(#[from] Fault),
    /// The user of a web app took longer over the sign-in than a consent is good for.
    #[error(transparent)]
    Expired(Fault),
    /// What answers does not speak this protocol, or not this version of it.
    #[error("{message}")]
    Broken {
        /// One line: what happened.
        message: String,
        /// One line: what to do next.
        hint: String,
    },
}

impl Error {
    /// What the agent refused the call for, if it was the agent that did.
    pub fn kind(&self) -> Option<Kind> {
        match self {
            Self::Refused(fault) | Self::Expired(fault) => Some(fault.kind()),
            Self::Unreachable { .. } | Self::Broken { .. } => None,
        }
    }

    /// One line: what to do next.
    pub fn hint(&self) -> &str {
        match self {
            Self::Refused(fault) | Self::Expired(fault) => &fault.data.hint,
            Self::Unreachable { hint, .. } | Self::Broken { hint, .. } => hint,
        }
    }

    pub(crate) fn unreachable(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Unreachable { message: message.into(), hint: hint.into() }
    }

    pub(crate) fn broken(message: impl Into<String>) -> Self {
        let hint = "the agent may be of another version: run `sso agent restart`".into();
        Self::Broken { message: message.into(), hint }
    }

    /// Nobody listens there.
    pub(crate) fn nobody(socket: &Path) -> Self {
        Self::unreachable(
            format!("no agent is listening at {}", socket.display()),
            "start it with `sso agent start`",
        )
    }

    /// The agent took the request and was gone before it answered.
    pub(crate) fn hung_up() -> Self {
        Self::unreachable(
            "the agent went away before it answered",
            "try again; `sso agent logs` says why it stopped",
        )
    }

    /// The agent is there and says nothing.
    pub(crate) fn silent() -> Self {
        Self::unreachable(
            "the agent did not answer in time",
            "try again; if it stays silent, run `sso agent restart`",
        )
    }
}

impl From<sso_agent_proto::places::PlaceError> for Error {
    fn from(error: sso_agent_proto::places::PlaceError) -> Self {
        Self::unreachable(error.to_string(), "correct the environment variable and try again")
    }
}
