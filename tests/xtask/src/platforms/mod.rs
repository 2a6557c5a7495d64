//! `cargo xtask check-platforms`: the systems that are not this one, as far as they can be had here.
//!
//! Everything that is for them is type-checked for macOS; for Windows it is built, and its tests run under
//! Wine. What that takes is kept below `target`, and a machine on which it cannot be had hears what is
//! missing.

mod macos;
mod target;
mod windows;

use crate::tally::{self, Tally};
use crate::workspace::{Workspace, cargo};
use anyhow::{Result, bail};
use std::path::PathBuf;
use std::process::Command;

/// What runs on every system: the agent, its clients, the command line, and what they share.
const PACKAGES: &[&str] =
    &["sso-agent-os", "sso-agent-proto", "sso-agent-core", "sso-agent-client", "sso", "sso-agent"];

/// The end-to-end tests that run on every system.
const END_TO_END: &[&str] = &["anywhere"];

/// The systems in question, and what the compiler calls them.
const TARGETS: [(&str, &str); 2] = [("macos", macos::TARGET), ("windows", windows::TARGET)];

/// Where the parts for other systems are, and whether more may be fetched.
pub struct Kept {
    folder: PathBuf,
    install: bool,
    /// For which a standard library is needed.
    targets: Vec<&'static str>,
}

/// What came of it.
#[derive(Default)]
pub struct Report {
    /// What was checked and run, if anything was.
    pub tally: Option<Tally>,
    /// Which systems were left out, and why.
    pub missing: Vec<String>,
}

/// What `check-platforms` is asked for; everything, if nothing is said.
#[derive(Default)]
struct Asked {
    only: Option<String>,
    no_install: bool,
}

/// Checks what the arguments name, and says whether all of it went well.
///
/// # Errors
/// What is wrong with the arguments.
pub fn run(args: &[String], usage: &str) -> Result<bool> {
    let asked = Asked::read(args, usage)?;
    let report = check(&Workspace::read()?, asked.only.as_deref(), !asked.no_install)?;
    let tally = report.tally.unwrap_or_default();
    println!("\n{} passed, {} failed", tally.passed, tally.failed);
    for what in &report.missing {
        println!("not run: {what}");
    }
    Ok(tally.failed == 0 && report.missing.is_empty())
}

/// Checks one of the systems, or all, and gives what is missing for the others.
///
/// # Errors
/// The folder for the parts cannot be made, or cargo not be run.
pub fn check(workspace: &Workspace, only: Option<&str>, install: bool) -> Result<Report> {
    let wanted = TARGETS.iter().filter(|(system, _)| only.is_none_or(|only| only == *system));
    let targets = wanted.clone().map(|(_, target)| *target).collect();
    let kept = Kept { folder: workspace.target.join("platforms-parts"), install, targets };
    std::fs::create_dir_all(&kept.folder)?;
    let mut report = Report::default();
    for (system, _) in wanted {
        println!("-- {system}");
        let done = match *system {
            "macos" => macos::Parts::ready(&kept).map(|parts| parts.check()),
            _ => windows::Parts::ready(&kept).map(|parts| parts.check(workspace)),
        };
        match done {
            Ok(tally) => report.tally = Some(report.tally.unwrap_or_default().and(tally?)),
            Err(error) => report.missing.push(format!("{system}: {error:#}")),
        }
    }
    Ok(report)
}

/// Builds, checks and tests what runs on every system, on this one.
///
/// # Errors
/// Cargo cannot be run.
pub fn here() -> Result<bool> {
    let mut clippy = cargo_with("clippy", &["--all-targets"], packages());
    clippy.args(["--", "-D", "warnings"]);
    let test = cargo_with("test", &["--no-fail-fast"], packages());
    let mut commands = vec![cargo_with("build", &["--bins"], packages()), clippy, test];
    commands.push(cargo_with("test", &["--no-fail-fast"], end_to_end()));
    let mut sum = Tally::default();
    for command in &mut commands {
        sum = sum.and(tally::run(command)?);
    }
    println!("\n{} passed, {} failed", sum.passed, sum.failed);
    Ok(sum.failed == 0)
}

fn cargo_with<'a>(verb: &str, how: &[&str], what: impl Iterator<Item = &'a str>) -> Command {
    let mut command = cargo();
    command.args([verb, "--locked", "--all-features"]).args(how).args(what);
    command
}

fn packages() -> impl Iterator<Item = &'static str> {
    PACKAGES.iter().flat_map(|package| ["--package", package])
}

fn end_to_end() -> impl Iterator<Item = &'static str> {
    ["--package", "sso-agent-tests"].into_iter().chain(END_TO_END.iter().flat_map(|test| ["--test", test]))
}

impl Asked {
    fn read(args: &[String], usage: &str) -> Result<Self> {
        let mut asked = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match (arg.as_str(), args.as_slice().first()) {
                ("--no-install", _) => asked.no_install = true,
                ("--only", Some(system)) if TARGETS.iter().any(|(known, _)| known == system) => {
                    asked.only = args.next().cloned();
                }
                _ => bail!("{usage}"),
            }
        }
        Ok(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::Asked;

    fn read(args: &[&str]) -> Option<(Option<String>, bool)> {
        let args: Vec<String> = args.iter().map(|&arg| arg.into()).collect();
        Asked::read(&args, "usage").ok().map(|asked| (asked.only, asked.no_install))
    }

    #[test]
    fn only_systems_that_there_are_can_be_asked_for() {
        assert_eq!(read(&[]), Some((None, false)));
        assert_eq!(read(&["--only", "windows", "--no-install"]), Some((Some("windows".into()), true)));
        assert_eq!(read(&["--only", "plan9"]), None);
        assert_eq!(read(&["--only"]), None);
    }
}
