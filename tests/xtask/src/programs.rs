//! Programs of tests: built by cargo, run by us, so that several can be run at once.

use crate::workspace::cargo;
use anyhow::{Context, Result};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One program of tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// For a person: `login`, or `sso-agent (lib)`.
    pub name: String,
    /// Where cargo put it.
    pub file: PathBuf,
    /// The folder of its package, in which cargo would run it.
    pub folder: PathBuf,
    /// Whether it is a file below `tests`, not the tests inside a library or a program.
    pub outer: bool,
}

impl Program {
    /// The command that runs it as `cargo test` does.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.file);
        command.current_dir(&self.folder).env("CARGO_MANIFEST_DIR", &self.folder);
        command
    }
}

/// Builds what this `cargo test` would run, and gives it in cargo's order.
///
/// # Errors
/// It does not build.
pub fn build(cargo_test: &mut Command) -> Result<Vec<Program>> {
    cargo_test.args(["--no-run", "--message-format", "json-render-diagnostics"]);
    let output = cargo_test.stderr(Stdio::inherit()).output().context("cannot run cargo")?;
    anyhow::ensure!(output.status.success(), "the tests do not build");
    Ok(String::from_utf8_lossy(&output.stdout).lines().filter_map(of_message).collect())
}

/// `cargo test`, of which [`build`] takes what is to be built.
pub fn cargo_test() -> Command {
    let mut command = cargo();
    command.arg("test");
    command
}

/// Reads one of cargo's messages; most are about something else.
fn of_message(line: &str) -> Option<Program> {
    let message: Value = serde_json::from_str(line).ok()?;
    if message["profile"]["test"] != true {
        return None;
    }
    let folder = Path::new(message["manifest_path"].as_str()?).parent()?.to_owned();
    let target = &message["target"];
    let name = target["name"].as_str()?;
    let kind = target["kind"][0].as_str()?;
    let outer = kind == "test";
    let name = if outer { name.to_owned() } else { format!("{name} ({kind})") };
    Some(Program { name, file: message["executable"].as_str()?.into(), folder, outer })
}

#[cfg(test)]
mod tests {
    use super::{Program, of_message};
    use serde_json::json;

    #[test]
    fn a_program_of_tests_is_told_from_all_else_that_cargo_says() {
        let message = |kind: &str, test: bool, file: Option<&str>| {
            json!({"reason": "compiler-artifact", "manifest_path": "/src/tests/Cargo.toml",
                "target": {"kind": [kind], "name": "login"}, "profile": {"test": test}, "executable": file})
            .to_string()
        };
        let program = |name: &str, outer| Program {
            name: name.to_owned(),
            file: "/target/debug/deps/login-1".into(),
            folder: "/src/tests".into(),
            outer,
        };
        let file = Some("/target/debug/deps/login-1");
        assert_eq!(of_message(&message("test", true, file)), Some(program("login", true)));
        assert_eq!(of_message(&message("lib", true, file)), Some(program("login (lib)", false)));
        assert_eq!(of_message(&message("bin", false, file)), None, "a program, not its tests");
        assert_eq!(of_message(&message("lib", true, None)), None);
        assert_eq!(of_message(r#"{"reason": "build-finished", "success": true}"#), None);
        assert_eq!(of_message("not JSON"), None);
    }
}
