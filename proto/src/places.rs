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
            None => runtime(&var, &state).join("agent.sock"),
        };
        let http_socket = match chosen(HTTP_SOCK)? {
            Some(path) => path,
            None => socket.with_file_name("http.sock"),
        };
        fits(&socket)?;
        fits(&http_socket)?;
        Ok(Self { socket, http_socket, config, state })
    }
}

/// This user's home folder.
pub fn home() -> Option<PathBuf> {
    directories::BaseDirs::new().map(|user| user.home_dir().to_owned())
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

/// The folder of the sockets: the user's own, never the shared temp dir.
fn runtime(var: &impl Fn(&str) -> Option<OsString>, state: &Path) -> PathBuf {
    let own = if cfg!(target_os = "macos") { "TMPDIR" } else { "XDG_RUNTIME_DIR" };
    match var(own).map(PathBuf::from) {
        // The XDG base directory specification: a relative path is invalid and to be ignored.
        Some(folder) if folder.is_absolute() => folder.join("sso-agent"),
        _ => state.join("run"),
    }
}

fn fits(socket: &Path) -> Result<(), PlaceError> {
    let length = socket.as_os_str().len();
    if cfg!(unix) && length > MAX_SOCKET_PATH {
        return Err(PlaceError::TooLong { path: socket.to_owned(), length });
    }
    Ok(())
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
