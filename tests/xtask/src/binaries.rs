//! What cargo builds, with the compiler's warnings counted, and programs of tests run from there.

use crate::tally::{self, Tally};
use anyhow::{Context, Result};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

/// One program with tests in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binary {
    /// For a person: the name of its package, of its kind, and its own.
    pub name: String,
    /// The folder of its package, where it expects to be started.
    pub folder: PathBuf,
    /// The file.
    pub program: PathBuf,
}

/// What cargo made.
#[derive(Debug, Default)]
pub struct Built {
    /// The programs with tests, in the order of their names.
    pub tests: Vec<Binary>,
    /// The other programs.
    pub programs: Vec<PathBuf>,
    warnings: u32,
    whole: bool,
}

/// Runs a `cargo` that builds, and prints what the compiler says.
///
/// # Errors
/// Cargo cannot be run.
pub fn build(command: &mut Command) -> Result<Built> {
    command.arg("--message-format=json").stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().context("cannot run cargo")?;
    let mut built = Built::default();
    for line in BufReader::new(child.stdout.take().context("cargo has no stdout")?).lines() {
        built.take(&serde_json::from_str(&line?).unwrap_or_default());
    }
    built.whole = child.wait()?.success();
    built.tests.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(built)
}

/// Runs all of them, each as `command` says, and prints how long each took.
///
/// # Errors
/// One cannot be started.
pub fn run(tests: &[Binary], command: impl Fn(&Binary) -> Command) -> Result<Tally> {
    let mut sum = Tally::default();
    for test in tests {
        println!("-- {}", test.name);
        let start = Instant::now();
        let mut command = command(test);
        command.current_dir(&test.folder).env("CARGO_MANIFEST_DIR", &test.folder);
        sum = sum.and(tally::run(&mut command)?);
        println!("-- {}: {:.1} s", test.name, start.elapsed().as_secs_f32());
    }
    Ok(sum)
}

impl Built {
    /// One thing that went well if all was built without a warning.
    pub fn verdict(&self) -> Tally {
        if self.warnings > 0 {
            println!("{} warning(s), which are failures here", self.warnings);
        }
        Tally::one(self.whole && self.warnings == 0)
    }

    fn take(&mut self, message: &Value) {
        match message["reason"].as_str() {
            Some("compiler-message") => {
                print!("{}", message["message"]["rendered"].as_str().unwrap_or_default());
                // The last line of a program with warnings only counts them; it has no code.
                let counts = message["message"]["code"].is_null();
                self.warnings += u32::from(message["message"]["level"] == "warning" && !counts);
            }
            Some("compiler-artifact") => {
                let Some(program) = message["executable"].as_str().map(PathBuf::from) else { return };
                if message["profile"]["test"] == true {
                    self.tests.extend(Binary::of(message, program));
                } else {
                    self.programs.push(program);
                }
            }
            _ => {}
        }
    }
}

impl Binary {
    fn of(message: &Value, program: PathBuf) -> Option<Self> {
        let folder = PathBuf::from(message["manifest_path"].as_str()?).parent()?.to_owned();
        let (target, package) = (&message["target"], package(message["package_id"].as_str()?)?);
        let name = format!("{package} {} {}", target["kind"][0].as_str()?, target["name"].as_str()?);
        Some(Self { name, folder, program })
    }
}

/// The name in `path+file:///at/xtask#0.1.0` or `path+file:///at/tests#sso-agent-tests@0.1.0`.
fn package(id: &str) -> Option<&str> {
    let (path, version) = id.rsplit_once('#')?;
    Some(version.split_once('@').map_or(path.rsplit('/').next()?, |(name, _)| name))
}

#[cfg(test)]
mod tests {
    use super::{Binary, Built, package};
    use serde_json::json;

    #[test]
    fn a_program_of_tests_is_told_from_one_that_is_tested() {
        let mut built = Built::default();
        built.take(&json!({"reason": "compiler-artifact", "package_id": "path+file:///w/tests#sso-agent-tests@0.1.0",
            "manifest_path": "/w/tests/Cargo.toml", "profile": {"test": true}, "executable": "/w/target/login-1",
            "target": {"kind": ["test"], "name": "login"}}));
        built.take(&json!({"reason": "compiler-artifact", "profile": {"test": false}, "executable": "/w/target/sso"}));
        let name = "sso-agent-tests test login".into();
        let test = Binary { name, folder: "/w/tests".into(), program: "/w/target/login-1".into() };
        assert_eq!(built.tests, [test]);
        assert_eq!(built.programs, [std::path::Path::new("/w/target/sso")]);
        assert_eq!(package("path+file:///w/tests/xtask#0.1.0"), Some("xtask"));
    }

    #[test]
    fn each_warning_counts_once_and_the_line_that_counts_them_does_not() {
        let mut built = Built { whole: true, ..Built::default() };
        let warning =
            |code| json!({"reason": "compiler-message", "message": {"level": "warning", "code": code}});
        built.take(&warning(json!(null)));
        assert_eq!(built.verdict().failed, 0);
        built.take(&warning(json!({"code": "dead_code"})));
        assert_eq!((built.warnings, built.verdict().failed), (1, 1));
    }
}
