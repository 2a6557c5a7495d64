//! The command line, run to its end.

use crate::{Finished, Sandbox, parts};
use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// Seconds after which a command that hangs is ended; it then exits with 124.
const PATIENCE: &str = "90";

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
