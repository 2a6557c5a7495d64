//! What cargo knows about this workspace: where it is, where it builds, which tests it has.

use crate::programs::Program;
use anyhow::{Context, Result};
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The package whose tests run the programs from outside.
pub const END_TO_END: &str = "sso-agent-tests";

/// The workspace as `cargo metadata` describes it.
pub struct Workspace {
    /// The folder of the top-level manifest.
    pub root: PathBuf,
    /// Where cargo builds.
    pub target: PathBuf,
    /// Integration tests of single packages.
    pub inner_tests: Vec<String>,
    /// Tests that run the programs from outside.
    pub end_to_end: Vec<String>,
}

impl Workspace {
    /// Asks cargo.
    pub fn read() -> Result<Self> {
        let output = cargo()
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .stderr(Stdio::inherit())
            .output()
            .context("cannot run cargo")?;
        anyhow::ensure!(output.status.success(), "cargo metadata: {}", output.status);
        let metadata: Value = serde_json::from_slice(&output.stdout)?;
        Ok(Self {
            root: path(&metadata, "workspace_root")?,
            target: path(&metadata, "target_directory")?,
            inner_tests: tests(&metadata, |package| package != END_TO_END),
            end_to_end: tests(&metadata, |package| package == END_TO_END),
        })
    }

    /// Whether this is a test that runs the programs from outside.
    pub fn is_end_to_end(&self, program: &Program) -> bool {
        program.outer && program.folder == self.root.join("tests")
    }

    /// Those of the end-to-end tests that are not for Unix alone, as their files say.
    pub fn anywhere(&self) -> Vec<&str> {
        let source = |name: &str| std::fs::read_to_string(self.root.join(format!("tests/tests/{name}.rs")));
        let anywhere = |name: &&str| source(name).is_ok_and(|text| !text.contains("\n#![cfg(unix)]\n"));
        self.end_to_end.iter().map(String::as_str).filter(anywhere).collect()
    }

    /// Where fetched parts are kept between runs.
    pub fn parts(&self) -> PathBuf {
        self.target.join("e2e")
    }
}

/// The cargo that started us, or the one on the path.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.stdin(Stdio::null());
    command
}

/// What the compiler says to these arguments.
///
/// # Errors
/// It cannot be run, or does not like them.
pub fn rustc(args: &[&str]) -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).args(args).output().context("cannot run rustc")?;
    anyhow::ensure!(output.status.success(), "rustc {}: {}", args.join(" "), output.status);
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The machine that this is, as the compiler calls it.
///
/// # Errors
/// The compiler cannot be asked.
pub fn host() -> Result<String> {
    let text = rustc(&["-vV"])?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc does not say what machine this is")
}

fn path(metadata: &Value, key: &str) -> Result<PathBuf> {
    metadata[key].as_str().map(PathBuf::from).with_context(|| format!("cargo metadata says no {key}"))
}

fn tests(metadata: &Value, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let mut names: Vec<String> = packages
        .filter(|package| package["name"].as_str().is_some_and(&wanted))
        .flat_map(|package| package["targets"].as_array().into_iter().flatten())
        .filter(|target| target["kind"].as_array().is_some_and(|kinds| kinds.contains(&"test".into())))
        .filter_map(|target| target["name"].as_str().map(str::to_owned))
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::tests;
    use serde_json::json;

    #[test]
    fn end_to_end_tests_are_told_from_those_of_single_packages() {
        let metadata = json!({"packages": [
            {"name": "sso-agent-proto", "targets": [{"name": "golden", "kind": ["test"]}, {"name": "proto", "kind": ["lib"]}]},
            {"name": "sso-agent-tests", "targets": [{"name": "login", "kind": ["test"]}, {"name": "herd", "kind": ["test"]}]},
        ]});
        assert_eq!(tests(&metadata, |package| package == super::END_TO_END), ["herd", "login"]);
        assert_eq!(tests(&metadata, |package| package != super::END_TO_END), ["golden"]);
    }
}
