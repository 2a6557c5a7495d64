//! The command line, run to its end.

use crate::{Sandbox, parts};
use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

/// Seconds after which a command that hangs is ended; it then exits with 124.
const PATIENCE: &str = "90";

/// What a command left behind.
#[derive(Debug)]
pub struct Finished {
    /// What it exited with; nothing if a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it said.
    pub stderr: String,
}

impl Finished {
    /// Runs any command to its end.
    pub fn of(command: &mut Command) -> Self {
        let Output { status, stdout, stderr } = command.output().expect("the program is there");
        let text = |bytes| String::from_utf8(bytes).expect("programs print UTF-8");
        Self { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }

    /// What it printed, if it went well.
    #[track_caller]
    pub fn ok(&self) -> &str {
        assert_eq!(self.code, Some(0), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self.stdout.trim_end()
    }

    /// What it printed, as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).expect("it printed JSON")
    }

    /// Nothing but what it exited with.
    #[track_caller]
    pub fn failed_with(&self, code: i32) {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
    }
}

impl Sandbox {
    /// `sso` with these arguments.
    pub fn sso<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, args: I) -> Finished {
        Finished::of(self.sso_command().args(args))
    }

    /// `sso`, to be given arguments.
    pub fn sso_command(&self) -> Command {
        let mut command = self.command("timeout");
        command.args(["--kill-after=5", PATIENCE]).arg(parts::program("sso"));
        command
    }

    /// Puts the stand-in for the Databricks CLI into a folder of its own, and gives that folder.
    pub fn shim(&self) -> PathBuf {
        let folder = self.path("shim");
        if !folder.exists() {
            fs::create_dir(&folder).expect("a new folder");
            self.sso(["shim".as_ref(), "install".as_ref(), folder.as_os_str()]).ok();
        }
        folder
    }

    /// The stand-in, to be given arguments.
    pub fn databricks_command(&self) -> Command {
        let mut command = self.command("timeout");
        command.args(["--kill-after=5", PATIENCE]).arg(self.shim().join("databricks"));
        command
    }

    /// The stand-in with these arguments.
    pub fn databricks<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, args: I) -> Finished {
        Finished::of(self.databricks_command().args(args))
    }

    /// Writes `~/.databrickscfg`.
    pub fn write_databrickscfg(&self, text: &str) {
        fs::write(self.path("home/.databrickscfg"), text).expect("a home of our own");
    }
}
