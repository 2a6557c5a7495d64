//! A home folder of one's own, and an agent there that answers what it is told to.

use std::{fs, path::PathBuf, process::Command};

use serde_json::Value;

use super::{Answer, Fake, Ran};

/// The agent's settings.
pub(crate) const CONFIG: &str = ".config/sso-agent/config.toml";

pub(crate) struct Home(Fake);

impl Home {
    /// `answer` gets the method and the params.
    pub(crate) fn with_agent(answer: impl Fn(&str, &Value) -> Answer + Send + Sync + 'static) -> Self {
        Self(Fake::judging(answer))
    }

    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        inside.split('/').fold(self.0.folder.path().to_owned(), |path, part| path.join(part))
    }

    /// Writes a file, and its folders.
    pub(crate) fn has(&self, inside: &str, text: &str) -> PathBuf {
        let path = self.path(inside);
        fs::create_dir_all(path.parent().expect("it is in the home")).expect("a folder");
        fs::write(&path, text).expect("a file");
        path
    }

    pub(crate) fn sso(&self, args: &[&str]) -> Command {
        let mut command = self.0.sso(args);
        command.env("HOME", self.0.folder.path()).env("USERPROFILE", self.0.folder.path());
        for name in ["XDG_CONFIG_HOME", "SSO_AGENT_CONFIG", "DATABRICKS_CONFIG_FILE"] {
            command.env_remove(name);
        }
        if !cfg!(target_os = "linux") {
            // Elsewhere the system says where it is by default.
            command.env("SSO_AGENT_CONFIG", self.path(CONFIG));
        }
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran::from(self.sso(args).output().expect("sso runs"))
    }

    /// The params of each request for this method.
    pub(crate) fn asked(&self, method: &str) -> Vec<Value> {
        self.0.asked(method)
    }
}
