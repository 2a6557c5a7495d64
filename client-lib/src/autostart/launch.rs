//! Finds the agent's program and runs it with no more of the environment than it needs.

use std::{
    env,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use sso_agent_proto::places::{self, Places};

use super::log::Log;
use crate::{Error, Result};

/// What the agent is given of the environment. Everything else (tokens of other tools among it) stays
/// out of a process that lives for weeks.
const PASSED: &[&str] = &[
    "HOME",
    "USER",
    "LOGNAME",
    "PATH",
    "LANG",
    "TZ",
    "TMPDIR",
    "DBUS_SESSION_BUS_ADDRESS",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "RUST_BACKTRACE",
    "DATABRICKS_CONFIG_FILE",
];
const PASSED_PREFIXES: &[&str] = &["LC_", "XDG_", "SSO_AGENT_"];
/// In either case, as tools have it.
const PROXIES: &[&str] = &["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"];
/// Without these no program runs on Windows, which has all names in any case: `Path`, `SystemRoot`.
const PASSED_ON_WINDOWS: &[&str] = &[
    "SYSTEMROOT",
    "SYSTEMDRIVE",
    "WINDIR",
    "PROGRAMDATA",
    "PROGRAMFILES",
    "USERPROFILE",
    "APPDATA",
    "LOCALAPPDATA",
    "TEMP",
    "TMP",
    "USERNAME",
    "USERDOMAIN",
];

/// Paths that are relative to where the client was called.
const PLACES: &[&str] = &[places::SOCK, places::HTTP_SOCK, places::CONFIG, places::STATE];

/// Finds the agent's program: beside the one that asks, or on `PATH`.
pub fn program() -> Option<PathBuf> {
    let name = format!("sso-agent{}", env::consts::EXE_SUFFIX);
    let beside = env::current_exe().ok().and_then(|own| Some(own.parent()?.to_owned()));
    let path = env::var_os("PATH").unwrap_or_default();
    beside
        .into_iter()
        .chain(env::split_paths(&path))
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(&name))
        .find(|program| is_executable(program))
}

pub(super) fn agent(places: &Places, log: &Log) -> Result<Child> {
    let program = program().ok_or_else(|| {
        Error::unreachable(
            "no agent is running, and there is no program sso-agent to start one",
            "put sso-agent beside this program or on PATH",
        )
    })?;
    command(&program, env::vars_os(), log).and_then(spawn).map_err(|error| {
        let message = format!("{} cannot be started: {error}", program.display());
        Error::unreachable(message, format!("nobody listens at {}", places.socket.display()))
    })
}

fn command(
    program: &Path,
    environment: impl Iterator<Item = (OsString, OsString)>,
    log: &Log,
) -> std::io::Result<Command> {
    let mut command = Command::new(program);
    command.args(["run", "--detach"]);
    command.env_clear().envs(environment.filter(|(name, _)| is_passed(name)).map(absolute));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log.end()?);
    if cfg!(unix) {
        // So that it keeps no file system busy.
        command.current_dir("/");
    }
    Ok(command)
}

fn is_passed(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    let upper = name.to_ascii_uppercase();
    let named = if cfg!(windows) { &*upper } else { name };
    PASSED.contains(&named)
        || PASSED_PREFIXES.iter().any(|prefix| named.starts_with(prefix))
        || PROXIES.contains(&&*upper)
        || (cfg!(windows) && PASSED_ON_WINDOWS.contains(&named))
}

fn absolute((name, value): (OsString, OsString)) -> (OsString, OsString) {
    if PLACES.iter().any(|place| name.eq_ignore_ascii_case(place))
        && let Ok(path) = std::path::absolute(&value)
    {
        return (name, path.into_os_string());
    }
    (name, value)
}

#[cfg(unix)]
fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(path: &Path) -> bool {
    path.is_file()
}

/// On Unix `--detach` sees to it that it lives on, with a session of its own.
#[cfg(not(windows))]
fn spawn(mut command: Command) -> std::io::Result<Child> {
    command.spawn()
}

/// Without a console, out of reach of its Ctrl-C, and of the job that a terminal or a service puts all it starts
/// into, to end them with it; where the job lets nobody go, it has to do without.
#[cfg(windows)]
fn spawn(mut command: Command) -> std::io::Result<Child> {
    use std::os::windows::process::CommandExt as _;
    const DETACHED_PROCESS: u32 = 0x8;
    const CREATE_NEW_PROCESS_GROUP: u32 = 0x200;
    const CREATE_BREAKAWAY_FROM_JOB: u32 = 0x0100_0000;
    const ALONE: u32 = DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP;
    // Else whoever reads what we print would wait for the agent to end, which is no reason not to start it.
    let _ = sso_agent_os::process::keep_own_streams();
    match command.creation_flags(ALONE | CREATE_BREAKAWAY_FROM_JOB).spawn() {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            command.creation_flags(ALONE).spawn()
        }
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_other_tools_keep_in_the_environment_stays_there() {
        for name in ["HOME", "LC_ALL", "XDG_RUNTIME_DIR", "SSO_AGENT_SOCK", "https_proxy", "NO_PROXY"] {
            assert!(is_passed(OsStr::new(name)), "{name}");
        }
        for name in ["DATABRICKS_TOKEN", "AWS_SECRET_ACCESS_KEY", "LD_PRELOAD", "BROWSER", "COMPLETE"] {
            assert!(!is_passed(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn on_windows_names_count_in_any_case() {
        for name in ["Path", "SystemRoot", "sso_agent_sock"] {
            assert_eq!(is_passed(OsStr::new(name)), cfg!(windows), "{name}");
        }
    }

    #[test]
    fn a_relative_place_means_the_same_to_the_agent() {
        let (_, path) = absolute((places::STATE.into(), "state".into()));
        assert!(Path::new(&path).is_absolute());
        assert_eq!(absolute(("LANG".into(), "C".into())).1, "C");
    }
}
