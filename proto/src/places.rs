//! Where the agent and its clients meet, and where the agent keeps things.
//!
//! Both sides ask here, so both come to the same answer. Only the environment is read; who may use
//! what is found is checked by whoever opens it.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

/// Overrides the socket.
pub const SOCK: &str = "SSO_AGENT_SOCK";
/// Overrides the HTTP socket.
pub const HTTP_SOCK: &str = "SSO_AGENT_HTTP_SOCK";
/// Overrides the config file.
pub const CONFIG: &str = "SSO_AGENT_CONFIG";
/// Overrides the state folder.
pub const STATE: &str = "SSO_AGENT_STATE";

/// Names another file of the Databricks tools' profiles.
pub const DATABRICKS_CONFIG: &str = "DATABRICKS_CONFIG_FILE";

/// What a new config file says: each setting, with its comment, switched off. A line that switches a
/// setting on begins with `#` and no space behind it.
pub const CONFIG_TEMPLATE: &str = include_str!("config_template.toml");

/// The longest path of a Unix socket, in bytes: `sun_path` without its final NUL, the shorter of
/// Linux's 107 and the 103 of macOS.
pub const MAX_SOCKET_PATH: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// All places of one agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// Where JSON-RPC is spoken.
    pub socket: PathBuf,
    /// Where HTTP is spoken.
    pub http_socket: PathBuf,
    /// What the user wishes.
    pub config: PathBuf,
    /// Where sealed sessions, the lock and the log are.
    pub state: PathBuf,
}

/// There is no place to be found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// Neither `HOME` nor the user database names one.
    #[error("this user has no home folder; set {SOCK}, {STATE} and {CONFIG}")]
    NoHome,
    /// Windows does not say who this user is, after whom the pipe is named.
    #[error(
        "this user's SID is not known; set {SOCK} to the name of a pipe, such as \\\\.\\pipe\\sso-agent-NAME"
    )]
    NoUser,
    /// Clients meet the agent at a pipe there.
    #[error("{path:?} is no named pipe; set {SOCK} to one, such as \\\\.\\pipe\\sso-agent-NAME")]
    NoPipe {
        /// What was named.
        path: PathBuf,
    },
    /// The kernel could not take it.
    #[error(
        "the socket path {path:?} has {length} bytes, more than the {MAX_SOCKET_PATH} that a socket may have; set {SOCK} to a shorter one"
    )]
    TooLong {
        /// The path.
        path: PathBuf,
        /// Of it, in bytes.
        length: usize,
    },
    /// An override is empty or names nothing.
    #[error("{variable} is set to {value:?}, which is no usable path")]
    BadOverride {
        /// Its name.
        variable: &'static str,
        /// As it was found.
        value: OsString,
    },
}

impl Places {
    /// The places of this process's user and environment.
    ///
    /// # Errors
    /// See [`PlaceError`].
    pub fn from_env() -> Result<Self, PlaceError> {
        Self::find(|name| std::env::var_os(name), Defaults::of_user)
    }

    /// The places of an agent that has a folder to itself, as in a demo.
    ///
    /// # Errors
    /// Windows does not say who this user is, or the path is too long for a socket.
    pub fn within(folder: &Path) -> Result<Self, PlaceError> {
        let socket = meeting::within(folder)?;
        let http_socket = meeting::for_http(&socket);
        meeting::fits(&http_socket)?;
        Ok(Self { socket, http_socket, config: folder.join("config.toml"), state: folder.join("state") })
    }

    fn find(
        var: impl Fn(&str) -> Option<OsString>,
        defaults: impl Fn() -> Option<Defaults>,
    ) -> Result<Self, PlaceError> {
        let chosen = |name: &'static str| match var(name) {
            None => Ok(None),
            Some(value) => match std::path::absolute(Path::new(&value)) {
                Ok(path) => Ok(Some(path)),
                Err(_) => Err(PlaceError::BadOverride { variable: name, value }),
            },
        };
        let default = |part: fn(Defaults) -> PathBuf| defaults().map(part).ok_or(PlaceError::NoHome);
        let state = match chosen(STATE)? {
            Some(path) => path,
            None => default(|user| user.state)?.join("sso-agent"),
        };
        let config = match chosen(CONFIG)? {
            Some(path) => path,
            None => default(|user| user.config)?.join("sso-agent").join("config.toml"),
        };
        let socket = match chosen(SOCK)? {
            Some(path) => path,
            None => meeting::place(&var, &state)?,
        };
        let http_socket = match chosen(HTTP_SOCK)? {
            Some(path) => path,
            None => meeting::for_http(&socket),
        };
        meeting::fits(&socket)?;
        meeting::fits(&http_socket)?;
        Ok(Self { socket, http_socket, config, state })
    }
}

/// This user's home folder. On Windows `USERPROFILE` names it, as for the Databricks tools.
pub fn home() -> Option<PathBuf> {
    let named = if cfg!(windows) { std::env::var_os("USERPROFILE") } else { None };
    let named = named.map(PathBuf::from).filter(|home| home.is_absolute());
    named.or_else(|| directories::BaseDirs::new().map(|user| user.home_dir().to_owned()))
}

/// Where the Databricks tools keep their profiles: `~/.databrickscfg`, or what
/// [`DATABRICKS_CONFIG`] names.
pub fn databricks_config() -> Option<PathBuf> {
    databricks_config_of(std::env::var_os(DATABRICKS_CONFIG), home())
}

fn databricks_config_of(named: Option<OsString>, home: Option<PathBuf>) -> Option<PathBuf> {
    match named.filter(|named| !named.is_empty()).map(PathBuf::from) {
        Some(named) => match (named.strip_prefix("~"), home) {
            (Ok(rest), Some(home)) => Some(home.join(rest)),
            (Ok(_) | Err(_), _) => std::path::absolute(&named).ok(),
        },
        None => home.map(|home| home.join(".databrickscfg")),
    }
}

/// Sockets are in a folder of the user's own, never the shared temp dir.
#[cfg(unix)]
mod meeting {
    use super::{OsString, Path, PathBuf, PlaceError};

    pub(super) fn place(
        var: &impl Fn(&str) -> Option<OsString>,
        state: &Path,
    ) -> Result<PathBuf, PlaceError> {
        let folder = runtime(var).map_or_else(|| state.join("run"), |folder| folder.join("sso-agent"));
        Ok(folder.join("agent.sock"))
    }

    #[expect(clippy::unnecessary_wraps, reason = "other systems may not say who we are")]
    pub(super) fn within(folder: &Path) -> Result<PathBuf, PlaceError> {
        Ok(folder.join("agent.sock"))
    }

    /// Beside it.
    pub(super) fn for_http(socket: &Path) -> PathBuf {
        socket.with_file_name("http.sock")
    }

    pub(super) fn fits(socket: &Path) -> Result<(), PlaceError> {
        let length = socket.as_os_str().len();
        if length > super::MAX_SOCKET_PATH {
            return Err(PlaceError::TooLong { path: socket.to_owned(), length });
        }
        Ok(())
    }

    #[cfg(target_os = "macos")]
    fn runtime(_: &impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
        // Some shells set TMPDIR to a folder that everybody shares.
        sso_agent_os::user_temp_dir()
    }

    #[cfg(not(target_os = "macos"))]
    fn runtime(var: &impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
        // The XDG base directory specification: a relative path is invalid and to be ignored.
        var("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|folder| folder.is_absolute())
    }
}

/// Pipes have names, and no folders; the user's SID keeps those of several users apart.
#[cfg(windows)]
mod meeting {
    use sso_agent_os::user::User;

    use super::{OsString, Path, PathBuf, PlaceError};

    pub(super) fn place(_: &impl Fn(&str) -> Option<OsString>, _: &Path) -> Result<PathBuf, PlaceError> {
        named("")
    }

    /// After the folder, which is nobody else's.
    pub(super) fn within(folder: &Path) -> Result<PathBuf, PlaceError> {
        named(&format!("-{}", folder.to_string_lossy().replace(['\\', '/', ':'], "-")))
    }

    fn named(which: &str) -> Result<PathBuf, PlaceError> {
        let user = User::me().map_err(|_| PlaceError::NoUser)?;
        Ok(PathBuf::from(format!(r"\\.\pipe\sso-agent-{user}{which}")))
    }

    /// The same name, and what is spoken there.
    pub(super) fn for_http(pipe: &Path) -> PathBuf {
        let mut name = pipe.as_os_str().to_owned();
        name.push("-http");
        PathBuf::from(name)
    }

    pub(super) fn fits(pipe: &Path) -> Result<(), PlaceError> {
        let name = pipe.to_string_lossy().to_ascii_lowercase();
        let is_one = name.strip_prefix(r"\\.\pipe\").is_some_and(|name| !name.is_empty());
        if is_one { Ok(()) } else { Err(PlaceError::NoPipe { path: pipe.to_owned() }) }
    }
}

struct Defaults {
    config: PathBuf,
    state: PathBuf,
}

impl Defaults {
    /// Windows has no state folder, and its config folder roams: the local ones are right for secrets.
    fn of_user() -> Option<Self> {
        let user = directories::BaseDirs::new()?;
        Some(Self {
            config: user.config_local_dir().to_owned(),
            state: user.state_dir().unwrap_or_else(|| user.data_local_dir()).to_owned(),
        })
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn places(vars: &[(&str, &str)]) -> Result<Places, PlaceError> {
        let var = |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| OsString::from(v));
        Places::find(var, || {
            Some(Defaults { config: "/home/u/.config".into(), state: "/home/u/.local/state".into() })
        })
    }

    #[test]
    fn the_defaults_are_the_promised_ones() {
        let places = places(&[("XDG_RUNTIME_DIR", "/run/user/7")]).unwrap();
        assert_eq!(places.socket, Path::new("/run/user/7/sso-agent/agent.sock"));
        assert_eq!(places.http_socket, Path::new("/run/user/7/sso-agent/http.sock"));
        assert_eq!(places.config, Path::new("/home/u/.config/sso-agent/config.toml"));
        assert_eq!(places.state, Path::new("/home/u/.local/state/sso-agent"));
    }

    #[test]
    fn without_a_runtime_folder_the_socket_is_beside_the_state() {
        for vars in [&[][..], &[("XDG_RUNTIME_DIR", "relative")], &[("XDG_RUNTIME_DIR", "")]] {
            assert_eq!(
                places(vars).unwrap().socket,
                Path::new("/home/u/.local/state/sso-agent/run/agent.sock")
            );
        }
    }

    #[test]
    fn overrides_win_and_the_http_socket_follows_the_socket() {
        let places =
            places(&[(SOCK, "/a/b.sock"), (STATE, "/s"), ("XDG_RUNTIME_DIR", "/run/user/7")]).unwrap();
        assert_eq!(places.http_socket, Path::new("/a/http.sock"));
        assert_eq!(places.state, Path::new("/s"));
    }

    #[test]
    fn a_path_that_no_socket_can_have_is_an_error() {
        let long = format!("/{}", "x".repeat(MAX_SOCKET_PATH));
        assert!(matches!(places(&[(SOCK, &long)]), Err(PlaceError::TooLong { length: 108, .. })));
        assert!(matches!(places(&[(SOCK, "")]), Err(PlaceError::BadOverride { variable: SOCK, .. })));
    }

    #[test]
    fn the_databricks_tools_have_their_profiles_where_they_say() {
        let at = |named: Option<&str>| databricks_config_of(named.map(Into::into), Some("/home/u".into()));
        assert_eq!(at(None).as_deref(), Some(Path::new("/home/u/.databrickscfg")));
        assert_eq!(at(Some("")).as_deref(), Some(Path::new("/home/u/.databrickscfg")));
        assert_eq!(at(Some("~/cfg")).as_deref(), Some(Path::new("/home/u/cfg")));
        assert_eq!(at(Some("/etc/cfg")).as_deref(), Some(Path::new("/etc/cfg")));
    }

    #[test]
    fn without_a_home_overrides_are_enough() {
        let var = |name: &str| [SOCK, STATE, CONFIG].contains(&name).then(|| OsString::from("/x"));
        assert!(Places::find(var, || None).is_ok());
        assert_eq!(Places::find(|_| None, || None), Err(PlaceError::NoHome));
    }
}

#[cfg(all(test, windows))]
mod tests {
    use super::*;

    fn places(vars: &[(&str, &str)]) -> Result<Places, PlaceError> {
        let var = |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| OsString::from(v));
        Places::find(var, || Some(Defaults { config: r"C:\Users\u\L".into(), state: r"C:\Users\u\L".into() }))
    }

    #[test]
    fn the_pipe_carries_the_sid_of_its_user() {
        let places = places(&[]).unwrap();
        let socket = places.socket.to_str().unwrap();
        assert!(socket.starts_with(r"\\.\pipe\sso-agent-S-1-5-"), "{socket}");
        assert_eq!(places.http_socket.to_str().unwrap(), format!("{socket}-http"));
        assert_eq!(places.config, Path::new(r"C:\Users\u\L\sso-agent\config.toml"));
        assert_eq!(places.state, Path::new(r"C:\Users\u\L\sso-agent"));
    }

    #[test]
    fn only_a_pipe_is_where_an_agent_can_be_met() {
        assert_eq!(places(&[(SOCK, r"\\.\PIPE\x")]).unwrap().socket, Path::new(r"\\.\PIPE\x"));
        for other in [r"C:\x\agent.sock", "agent.sock", r"\\server\pipe\x", r"\\.\pipe\"] {
            assert!(matches!(places(&[(SOCK, other)]), Err(PlaceError::NoPipe { .. })), "{other}");
        }
    }
}
