//! Faults and attacks, each injected and survived, with the figures that must come out.
//!
//! Most scenes run the programs (`tests/torture`); those that only need a part of the agent are tests of
//! that part, which run here with as many cases as were asked for.

use crate::workspace::{Workspace, cargo};
use anyhow::{Context, Result, bail, ensure};
use std::path::Path;
use std::process::{Command, Stdio};

/// What the scenes need, as it is released.
const BUILDS: &[&[&str]] = &[
    &["--package", "sso-agent", "--bin", "sso-agent"],
    &["--package", "sso", "--no-default-features"],
    &["--package", "sso-agent-tests", "--bin", "follow"],
    &["--package", "sso-agent-torture"],
];

/// A scene that is a test of one package.
struct Inner {
    scene: &'static str,
    what: &'static str,
    test: &'static [&'static str],
    /// The variable that says how many; none where it is always as many.
    variable: Option<&'static str>,
    full: u32,
    short: u32,
}

const INNER: &[Inner] = &[
    Inner {
        scene: "simulation",
        what: "schedules that break an invariant",
        test: &["--package", "sso-agent-core", "--test", "simulation"],
        variable: Some("SSO_SIM_SCHEDULES"),
        full: 1_000_000,
        short: 20_000,
    },
    Inner {
        scene: "store",
        what: "corruptions that are not survived",
        test: &["--package", "sso-agent", "--lib", "f31_"],
        variable: None,
        full: 100_000,
        short: 100_000,
    },
];

/// Builds, plays what was asked for, and says whether nothing was missed.
pub fn run(args: &[String]) -> Result<bool> {
    let workspace = Workspace::read()?;
    let (mut only, mut short, mut json) = (Vec::new(), false, false);
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        match arg.as_str() {
            "--only" => only.push(rest.next().context("--only wants a scene")?.as_str()),
            "--short" => short = true,
            "--json" => json = true,
            "--seed" | "--minutes" => drop(rest.next().with_context(|| format!("{arg} wants a number"))?),
            _ => bail!("what is {arg}?"),
        }
    }
    let inner = |name: &str| INNER.iter().any(|inner| inner.scene == name);
    let mut well = true;
    if only.is_empty() || !only.iter().copied().all(inner) {
        well &= outer(&workspace, args, &inner)?;
    }
    for inner in INNER.iter().filter(|inner| only.is_empty() || only.contains(&inner.scene)) {
        well &= inner.run(short, json)?;
    }
    Ok(well)
}

/// The short form, with programs that were built already.
pub fn short(programs: &Path) -> Command {
    let mut torture = Command::new(programs.join("sso-torture"));
    torture.arg("--programs").arg(programs).arg("--short");
    torture
}

/// The scenes of the programs: all arguments, less what is not theirs.
fn outer(workspace: &Workspace, args: &[String], inner: &dyn Fn(&str) -> bool) -> Result<bool> {
    eprintln!("building …");
    for build in BUILDS {
        let status = cargo().args(["build", "--release", "--locked", "--quiet"]).args(*build).status()?;
        ensure!(status.success(), "the programs do not build");
    }
    let programs = workspace.target.join("release");
    let mut torture = Command::new(programs.join("sso-torture"));
    torture.arg("--programs").arg(&programs);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match (arg.as_str(), args.as_slice().first()) {
            ("--only", Some(scene)) if inner(scene) => drop(args.next()),
            _ => drop(torture.arg(arg)),
        }
    }
    Ok(torture.stdin(Stdio::null()).status().context("cannot run sso-torture")?.success())
}

impl Inner {
    fn run(&self, short: bool, json: bool) -> Result<bool> {
        let count = if short { self.short } else { self.full };
        if !json {
            println!("\n== {}", self.scene);
        }
        let mut command = cargo();
        command.args(["test", "--release", "--quiet", "--locked", "--all-features"]).args(self.test);
        command.args(["--", "--show-output"]).envs(self.variable.map(|name| (name, count.to_string())));
        let output = command.stderr(Stdio::inherit()).output().context("cannot run cargo")?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        // A filter that fits nothing is no success.
        let well = output.status.success() && !said.contains("ok. 0 passed");
        let (missed, verdict) = (u32::from(!well), if well { "ok" } else { "MISSED" });
        if json {
            let figure = serde_json::json!({ "scene": self.scene, "what": self.what, "of": count,
                "value": missed, "target": "≤ 0", "verdict": verdict });
            println!("{figure}");
        } else {
            if !well {
                println!("{said}");
            }
            let what = format!("{} (of {count}; 1: at least one)", self.what);
            println!("  {what:52} {missed:>14}  {:>10}  {verdict}", "≤ 0");
        }
        Ok(well)
    }
}
