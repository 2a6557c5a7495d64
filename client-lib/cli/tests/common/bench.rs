//! The stand-in for the Databricks CLI with a home, a file of profiles and an agent.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use super::{Fake, Ran, path};

/// What people have in their file.
pub(crate) const FILE: &str = "; mine\n[DEFAULT]\n\n[work]\nhost = https://h\naccount_id = acc\nauth_type = databricks-cli\n\n[pat]\nhost = https://pat.example\ntoken = dapiCANARY\n\n[robot]\nhost = https://robot.example\nclient_id = c\nclient_secret = CANARY\n\n[one]\nhost = https://two.example\n[two]\nhost = two.example/\naccount_id = b\n";

/// See the head of this file.
pub(crate) struct Bench {
    pub(crate) fake: Fake,
    pub(crate) home: PathBuf,
}

impl Bench {
    pub(crate) fn new(file: &str) -> Self {
        Self::with(Fake::well(), file)
    }

    pub(crate) fn with(fake: Fake, file: &str) -> Self {
        let home = fake.folder.path().join("home");
        fs::create_dir(&home).expect("a folder");
        let bench = Self { fake, home };
        if !file.is_empty() {
            fs::write(bench.file(), file).expect("a file");
        }
        bench
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.home.join(".databrickscfg")
    }

    pub(crate) fn text(&self) -> String {
        fs::read_to_string(self.file()).expect("a file")
    }

    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sso-databricks"));
        let inherited = std::env::vars_os().map(|(name, _)| name);
        for name in inherited.filter(|name| name.to_string_lossy().starts_with("DATABRICKS_")) {
            command.env_remove(name);
        }
        command.args(line.split_whitespace()).env("PATH", path(&[]));
        command.env("HOME", &self.home).env("USERPROFILE", &self.home);
        command.env("SSO_AGENT_SOCK", &self.fake.socket).env("SSO_AGENT_AUTOSTART", "0");
        command.env("BROWSER", "none").stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, line: &str) -> Ran {
        Ran::from(self.command(line).output().expect("it runs"))
    }

    pub(crate) fn run_with(&self, line: &str, vars: &[(&str, &str)]) -> Ran {
        Ran::from(self.command(line).envs(vars.iter().copied()).output().expect("it runs"))
    }
}
