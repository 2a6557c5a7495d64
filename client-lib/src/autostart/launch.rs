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
/// Without these no program runs on Windows, the one that shows notices among them.
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
    sso_agent_os::process::keep_streams();
    command(&program, env::vars_os(), log).and_then(|mut command| command.spawn()).map_err(|error| {
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
    on_its_own(&mut command);
    Ok(command)
}

fn is_passed(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    PASSED.contains(&name)
        || PASSED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || PROXIES.iter().any(|proxy| proxy.eq_ignore_ascii_case(name))
        || (cfg!(windows) && PASSED_ON_WINDOWS.iter().any(|own| own.eq_ignore_ascii_case(name)))
}

fn absolute((name, value): (OsString, OsString)) -> (OsString, OsString) {
    if PLACES.iter().any(|place| name == *place)
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

/// On Unix `--detach` sees to it, with a session of its own.
#[cfg(not(windows))]
fn on_its_own(_: &mut Command) {}

#[cfg(windows)]
fn on_its_own(command: &mut Command) {
    use std::os::windows::process::CommandExt as _;
    const DETACHED_PROCESS: u32 = 0x8;
    const CREATE_NEW_PROCESS_GROUP: u32 = 0x200;
    command.creation_flags(DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP);
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
    fn a_relative_place_means_the_same_to_the_agent() {
        let (_, path) = absolute((places::STATE.into(), "state".into()));
        assert!(Path::new(&path).is_absolute());
        assert_eq!(absolute(("LANG".into(), "C".into())).1, "C");
    }
}
