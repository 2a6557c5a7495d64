//! Servers under measurement, each in a folder of its own.

use std::{
    fs::{self, DirBuilder},
    os::unix::{fs::DirBuilderExt as _, net::UnixStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(20);

/// Between two looks at a server that starts.
const LOOK_EVERY: Duration = Duration::from_micros(100);

/// A folder for one agent: state and socket.
#[derive(Debug)]
pub(crate) struct Home(TempDir);

impl Home {
    /// A new one; right under `/tmp`, since a socket's path has to be short.
    pub(crate) fn new() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("sso-bench-").tempdir_in("/tmp")?;
        for name in ["run", "state"] {
            DirBuilder::new().mode(0o700).create(folder.path().join(name))?;
        }
        Ok(Self(folder))
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.0.path().join("run/s")
    }

    pub(crate) fn http_socket(&self) -> PathBuf {
        self.0.path().join("run/http.sock")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.0.path().join("state")
    }

    /// A command that sees this home and nothing else.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("HOME", self.0.path())
            .env("SSO_AGENT_SOCK", self.socket())
            .env("SSO_AGENT_STATE", self.state())
            .env("SSO_AGENT_AUTOSTART", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// The agent of this home, once it can be connected to.
    pub(crate) fn agent(&self, program: &Path) -> Result<Server> {
        let mut command = self.command(program);
        command.arg("run");
        Server::start(command, self.socket())
    }

    /// An echo server that answers with so many bytes.
    pub(crate) fn echo(&self, program: &Path, length: usize) -> Result<Server> {
        self.floor(program, "run/e", length)
    }

    /// An HTTP server that answers with so many bytes.
    pub(crate) fn hyper(&self, program: &Path, length: usize) -> Result<Server> {
        self.floor(program, "run/h", length)
    }

    fn floor(&self, program: &Path, socket: &str, length: usize) -> Result<Server> {
        let socket = self.0.path().join(socket);
        let _ = fs::remove_file(&socket);
        let mut command = self.command(program);
        command.arg(&socket).arg(length.to_string());
        Server::start(command, socket)
    }
}

/// A running server; killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) socket: PathBuf,
    pub(crate) started: Instant,
    /// How long it took until somebody could connect.
    pub(crate) to_accept: Duration,
}

impl Server {
    fn start(mut command: Command, socket: PathBuf) -> Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        let started = Instant::now();
        let child = command.spawn().with_context(|| format!("cannot run {program}"))?;
        let mut server = Self { child, socket, started, to_accept: Duration::ZERO };
        while UnixStream::connect(&server.socket).is_err() {
            let ended = server.child.try_wait()?;
            ensure!(ended.is_none(), "{program} ended instead of serving");
            ensure!(started.elapsed() < PATIENCE, "{program} does not serve");
            std::thread::sleep(LOOK_EVERY);
        }
        server.to_accept = started.elapsed();
        Ok(server)
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill_process(self.pid(), signal)?)
    }

    /// Asks it to end, and waits.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.signal(Signal::TERM)?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
