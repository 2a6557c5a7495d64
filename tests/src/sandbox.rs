//! A home of one's own: folders and an environment in which nothing of the machine's user shows.

use crate::parts;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Folders and environment for one agent and its clients; gone when dropped.
#[derive(Debug)]
pub struct Sandbox {
    folder: tempfile::TempDir,
    more: Vec<(String, String)>,
}

impl Default for Sandbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Sandbox {
    /// Makes the folders; right under `/tmp`, since a socket's path has to be short.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("sso-").tempdir_in("/tmp").expect("/tmp can be written");
        let sandbox = Self { folder, more: Vec::new() };
        for name in ["home", "run", "log"] {
            DirBuilder::new().mode(0o700).create(sandbox.path(name)).expect("a new folder");
        }
        sandbox
    }

    /// Adds a variable to what every program here sees.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.more.push((name.to_owned(), value.into()));
    }

    /// A place in it.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder of the agent's sockets.
    pub fn socket_folder(&self) -> PathBuf {
        self.path("run/sso-agent")
    }

    /// Where the agent listens.
    pub fn socket(&self) -> PathBuf {
        self.socket_folder().join("agent.sock")
    }

    /// Where the agent keeps its sessions.
    pub fn state(&self) -> PathBuf {
        self.path("home/.local/state/sso-agent")
    }

    /// A command that sees this home and nothing else of the environment.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path("home"))
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .env("SSO_AGENT_LOG", "trace")
            .env("SSO_AGENT_AUTOSTART", "0")
            .env("BROWSER", parts::program("follow"))
            .envs(self.more.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    /// All that the agents here have logged.
    pub fn logs(&self) -> String {
        files(&self.path("log"))
            .iter()
            .map(|file| String::from_utf8_lossy(&read(file)).into_owned())
            .collect()
    }
}

/// All files below a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files(&entry.path())),
            Ok(kind) if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
    found.sort();
    found
}

/// What is in a file; nothing if it is gone by now.
pub fn read(file: &Path) -> Vec<u8> {
    fs::read(file).unwrap_or_default()
}
