//! `cargo xtask check-platforms`: the systems that are not this one, as far as they can be had here.
//!
//! Everything that is for them is type-checked for macOS; for Windows it is built, and its tests run under
//! Wine. What that takes is kept below `target`, and a machine on which it cannot be had hears what is
//! missing.

mod macos;
mod target;
mod windows;

use crate::tally::{self, Tally};
use crate::workspace::{END_TO_END, Workspace, cargo};
use anyhow::{Result, bail};
use std::path::PathBuf;
use std::process::Command;

/// What runs on every system: the agent, its clients, the command line, what they share, and this.
const PACKAGES: &[&str] =
    &["sso-agent-os", "sso-agent-proto", "sso-agent-core", "sso-agent-client", "sso", "sso-agent", "xtask"];

/// A system, as the compiler calls it.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    triple: &'static str,
    /// Whether a standard library to check against will do, which is built in a third of the time.
    types_only: bool,
}

/// The systems in question.
const TARGETS: [(&str, Target); 2] = [("macos", macos::TARGET), ("windows", windows::TARGET)];

/// Where the parts for other systems are, and whether more may be fetched.
#[derive(Debug)]
pub struct Kept {
    folder: PathBuf,
    install: bool,
    /// For which a standard library is needed.
    targets: Vec<Target>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Report {
    /// What was checked and run, if anything was.
    pub tally: Option<Tally>,
    /// Which systems were left out, and why.
    pub missing: Vec<String>,
}

/// What is to be done; everything, if nothing is said.
#[derive(Debug, Default)]
pub struct Asked {
    /// This system alone.
    pub only: Option<String>,
    /// Make do with what is there.
    pub no_install: bool,
    /// Build, and run nothing.
    pub no_run: bool,
}

/// Checks what the arguments name, and says whether all of it went well.
///
/// # Errors
/// What is wrong with the arguments.
pub fn run(args: &[String], usage: &str) -> Result<bool> {
    let asked = Asked::read(args, usage)?;
    let report = check(&Workspace::read()?, &asked)?;
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
pub fn check(workspace: &Workspace, asked: &Asked) -> Result<Report> {
    let wanted = TARGETS.iter().filter(|(system, _)| asked.only.as_ref().is_none_or(|only| only == system));
    let targets = wanted.clone().map(|(_, target)| *target).collect();
    let folder = workspace.target.join("platforms-parts");
    let kept = Kept { folder, install: !asked.no_install, targets };
    std::fs::create_dir_all(&kept.folder)?;
    let mut report = Report::default();
    let flags = match target::flags(&kept) {
        Ok(flags) => format!("{flags} -D warnings"),
        Err(error) => {
            report.missing.extend(wanted.map(|(system, _)| format!("{system}: {error:#}")));
            return Ok(report);
        }
    };
    for (system, _) in wanted {
        println!("-- {system}");
        let done = match *system {
            "macos" => Ok(macos::check(workspace, &kept, &flags)),
            _ => windows::Parts::ready(&kept).map(|parts| parts.check(workspace, &flags, !asked.no_run)),
        };
        match done {
            Ok(tally) => {
                let tally = tally.unwrap_or_else(|error| {
                    println!("{error:#}");
                    Tally::one(false)
                });
                report.tally = Some(report.tally.unwrap_or_default().and(tally));
            }
            Err(error) => report.missing.push(format!("{system}: {error:#}")),
        }
    }
    Ok(report)
}

/// Where cargo builds for other systems: not where this one's builds are, which may be under way.
fn build_folder(workspace: &Workspace) -> PathBuf {
    workspace.target.join("platforms")
}

/// Builds, checks and tests what runs on every system, on this one.
///
/// # Errors
/// Cargo cannot be run.
pub fn here() -> Result<bool> {
    let workspace = Workspace::read()?;
    let mut clippy = cargo_with("clippy", &["--all-targets"], packages());
    clippy.args(["--", "-D", "warnings"]);
    let test = cargo_with("test", &["--no-fail-fast"], packages());
    let anywhere = workspace.anywhere();
    let outer = end_to_end().into_iter().chain(named(&anywhere));
    let outer = cargo_with("test", &["--no-fail-fast"], outer);
    let mut commands = [cargo_with("build", &["--bins"], packages()), clippy, test, outer];
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

/// The package of the end-to-end tests.
fn end_to_end() -> [&'static str; 2] {
    ["--package", END_TO_END]
}

/// The options that name these tests.
fn named<'a>(names: &'a [&str]) -> impl Iterator<Item = &'a str> {
    names.iter().flat_map(|&test| ["--test", test])
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
