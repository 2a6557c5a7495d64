//! Where clients find us: a socket in the file system on Unix, a named pipe on Windows.

#[cfg(unix)]
mod missing;
#[cfg(unix)]
#[path = "socket/unix.rs"]
mod system;
#[cfg(windows)]
#[path = "socket/windows.rs"]
mod system;

use std::io;

use sso_agent_os::user::User;

pub(crate) use self::system::{ForHttp, Listening, Socket, for_http, peer};
use crate::store::LockError;

/// Who is at the other end.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) user: User,
    /// Its process, where that is known.
    pub(crate) pid: Option<u32>,
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BindError {
    /// Another agent has it, whose process this is, if it said.
    #[error("another agent has it")]
    Held(Option<u32>),
    /// In words.
    #[error("{0}")]
    Failed(String),
}

impl From<io::Error> for BindError {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<LockError> for BindError {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Held { pid } => Self::Held(pid),
            LockError::Store(error) => Self::Failed(error.to_string()),
        }
    }
}

#[cfg(test)]
mod contract;
