//! A home for an agent on any system: Unix, Windows, and Windows programs under Wine.
//!
//! The commands start the agent themselves, and it is asked to end; nothing here knows of signals or modes.

use crate::{Finished, parts};
use std::env;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// What a program needs of the environment to run at all.
const NEEDED: &[&str] =
    &["PATH", "SYSTEMROOT", "SystemRoot", "WINDIR", "TEMP", "TMP", "USERPROFILE", "USERNAME"];

/// For anything here, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(120);

/// Folders and environment of one agent, which ends with it.
#[derive(Debug)]
pub struct Home {
    folder: tempfile::TempDir,
    started: AtomicUsize,
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}

impl Home {
    /// Makes the folder.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("sso-").tempdir();
        let folder = folder.expect("the temporary folder can be written");
        Self { folder, started: AtomicUsize::new(0) }
    }

    /// A place in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where the agent is met.
    pub fn socket(&self) -> PathBuf {
        let name = self.folder.path().file_name().unwrap_or_default().to_string_lossy();
        if cfg!(windows) { format!(r"\\.\pipe\{name}").into() } else { self.path("run").join("agent.sock") }
    }

    /// One of our programs, that sees this home and nothing else of the environment.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(parts::program(&format!("{program}{}", env::consts::EXE_SUFFIX)));
        command
            .env_clear()
            .envs(NEEDED.iter().filter_map(|name| Some((name, env::var_os(name)?))))
            .env("HOME", self.folder.path())
            .env("DATABRICKS_CONFIG_FILE", self.path("databrickscfg"))
            .env("SSO_AGENT_SOCK", self.socket())
            .env("SSO_AGENT_STATE", self.path("state"))
            .env("SSO_AGENT_CONFIG", self.path("config.toml"))
            .env("SSO_AGENT_LOG", "debug")
            .stdin(Stdio::null());
        command
    }

    /// `sso` with these arguments, run to its end.
    pub fn sso(&self, args: &[&str]) -> Finished {
        self.start("sso", args).finish()
    }

    /// Starts one of our programs. What it says goes to files: an agent that it starts may keep a pipe open,
    /// as under Wine.
    pub fn start(&self, program: &str, args: &[&str]) -> Running {
        self.spawn(self.command(program).args(args))
    }

    /// The same with a command that was made before.
    pub fn spawn(&self, command: &mut Command) -> Running {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let [out, err] = ["out", "err"].map(|ending| self.path(&format!("{number}.{ending}")));
        let file = |path| File::create(path).expect("a new file");
        let child = command.stdout(file(&out)).stderr(file(&err)).spawn();
        Running { child: child.expect("room for a process"), out, err }
    }

    /// Signs in at a host; `follow` is the browser.
    pub fn sign_in(&self, host: &str, follow: impl FnOnce(&str)) -> Finished {
        let mut login = self.start("sso", &["login", host, "--no-browser"]);
        let address = loop {
            let said = login.said();
            let line = said.lines().find(|line| line.contains("/start/") || line.contains("state="));
            match line.and_then(|line| line.split_whitespace().find(|word| word.starts_with("http://"))) {
                Some(address) if said.ends_with('\n') => break address.to_owned(),
                Some(_) | None => login.wait_a_little(),
            }
        };
        follow(&address);
        login.finish()
    }

    /// Starts so many of the same, and waits for all of them.
    pub fn herd(&self, size: usize, args: &[&str]) -> Vec<Finished> {
        let members: Vec<Running> = (0..size).map(|_| self.start("sso", args)).collect();
        members.into_iter().map(Running::finish).collect()
    }

    /// What the agents here have logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("state").join("agent.log")).unwrap_or_default()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.sso(&["agent", "stop"]);
    }
}

/// A program that was started.
#[derive(Debug)]
pub struct Running {
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Running {
    /// Waits for its end.
    pub fn finish(mut self) -> Finished {
        let start = Instant::now();
        let code = loop {
            match self.child.try_wait().expect("our own child") {
                Some(status) => break status.code(),
                None if start.elapsed() > PATIENCE => {
                    let _ = self.child.kill();
                    break None;
                }
                None => thread::park_timeout(Duration::from_millis(10)),
            }
        };
        let text = |path| fs::read_to_string(path).expect("programs print UTF-8");
        Finished { code, stdout: text(&self.out), stderr: text(&self.err) }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.err).unwrap_or_default()
    }

    fn wait_a_little(&mut self) {
        let ended = self.child.try_wait().expect("our own child");
        assert!(ended.is_none(), "it ended before it said where to sign in: {}", self.said());
        thread::park_timeout(Duration::from_millis(10));
    }
}
