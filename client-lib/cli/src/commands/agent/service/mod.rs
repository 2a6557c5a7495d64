//! What starts the agent by itself: the user's systemd, launchd, or Windows when somebody logs on.
//!
//! Each is one module with the same functions; what it writes is made by a function that needs no such system.

#[cfg(unix)]
mod files;
#[cfg(any(windows, test))]
mod logon_command;
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
mod nobody;
#[cfg(any(target_os = "macos", test))]
mod plist;
#[cfg(target_os = "linux")]
mod units;

#[cfg(target_os = "linux")]
#[path = "systemd.rs"]
mod system;
#[cfg(target_os = "macos")]
#[path = "launchd.rs"]
mod system;
#[cfg(windows)]
#[path = "logon.rs"]
mod system;
#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
#[path = "none.rs"]
mod system;

use std::path::PathBuf;

use serde::Serialize;
use sso_agent_client::{autostart, proto::places};

/// Who runs the agent that this environment means, if it is installed: gets [`start`](Manager::start) and
/// [`stop`](Manager::stop).
pub(super) use self::system::Manager;
pub(super) use self::system::{install, uninstall, what_is_written};
use crate::exit::Failure;

/// One thing that is written, and where: a file, or a value of the registry.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) place: String,
    pub(super) text: String,
}

/// What was done.
#[derive(Debug, Serialize)]
pub(super) struct Installed {
    written: Vec<String>,
    /// Whether all of the sandbox is there, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    hardened: Option<bool>,
    #[serde(skip)]
    pub(super) words: String,
}

/// How it stands with what starts the agent.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::commands) enum Standing {
    Absent,
    /// In words what is there.
    Well(&'static str),
    /// Works otherwise than a person may think.
    Odd {
        message: String,
        hint: String,
    },
    /// Does not work.
    Broken {
        message: String,
        hint: String,
    },
}

impl Standing {
    fn odd(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Odd { message: message.into(), hint: hint.into() }
    }

    fn broken(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Broken { message: message.into(), hint: hint.into() }
    }

    /// What is installed runs this program, or none that can be told.
    fn of_program(program: Option<&std::path::Path>) -> Option<Self> {
        match program {
            None => Some(Self::broken("what is installed does not say what to run", AGAIN)),
            Some(program) if program.is_file() => None,
            Some(program) => {
                let message = format!("what is installed runs {}, which is not there", program.display());
                Some(Self::broken(message, AGAIN))
            }
        }
    }

    fn of_another_version() -> Self {
        let hint = format!("{AGAIN}, or keep it if you changed it on purpose");
        Self::odd("what is installed differs from what this version writes", hint)
    }
}

/// What to do about most of it.
const AGAIN: &str = "run `sso agent install`";

/// `None` where there is no such system.
pub(in crate::commands) fn standing() -> Option<Standing> {
    system::standing()
}

/// A variable by which this environment means another agent than the one that is started by itself: that one
/// knows nothing of it.
pub(in crate::commands) fn elsewhere() -> Option<&'static str> {
    [places::SOCK, places::STATE].into_iter().find(|name| std::env::var_os(name).is_some())
}

fn program() -> Result<PathBuf, Failure> {
    autostart::program().ok_or_else(|| {
        Failure::failed("there is no program sso-agent", "put sso-agent beside this program or on PATH")
    })
}
