//! The steps of `cargo xtask test`, in the order in which a person wants to hear of a failure.

use crate::parts;
use crate::platforms;
use crate::python;
use crate::tally::{self, Tally};
use crate::tools;
use crate::torture;
use crate::workflows;
use crate::workspace::{Workspace, cargo};
use anyhow::Result;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Which steps to run.
#[derive(Debug, Default)]
pub struct Plan {
    /// Leave out what needs more than Rust, or minutes.
    pub quick: bool,
    /// Only these, if any.
    pub only: Vec<String>,
}

/// How a step ended.
enum Outcome {
    Ran(Tally),
    /// Not run, and why.
    Skipped(String),
}

struct Step {
    name: &'static str,
    run: fn(&Workspace, &Plan) -> Result<Outcome>,
}

const STEPS: &[Step] = &[
    Step { name: "format", run: format },
    Step { name: "parts", run: fetch_parts },
    Step { name: "build", run: build },
    Step { name: "clippy", run: clippy },
    Step { name: "unit", run: unit },
    Step { name: "doctest", run: doctest },
    Step { name: "doc", run: doc },
    Step { name: "deny", run: deny },
    Step { name: "python", run: python_package },
    Step { name: "workflows", run: read_workflows },
    Step { name: "e2e", run: end_to_end },
    Step { name: "torture", run: short_torture },
    Step { name: "platforms", run: other_platforms },
];

/// What `--quick` leaves out of the end-to-end tests: these need real parts, or run for minutes.
const LONG: &[&str] = &[
    "chain",
    "clients",
    "force_refresh",
    "herd",
    "nspawn",
    "provider",
    "python",
    "seed",
    "soak",
    "web_apps",
];

/// The same for every build, so that no dependency is compiled twice.
const EVERYTHING: &[&str] = &["--workspace", "--all-features", "--locked"];

/// The names of all steps.
pub fn names() -> Vec<&'static str> {
    STEPS.iter().map(|step| step.name).collect()
}

/// Runs what the plan names, prints the list, and says whether all of it passed.
pub fn run(plan: &Plan) -> Result<bool> {
    for name in &plan.only {
        anyhow::ensure!(
            names().contains(&name.as_str()),
            "no such step: {name}; there are {}",
            names().join(", ")
        );
    }
    let workspace = Workspace::read()?;
    let mut report = Vec::new();
    for step in
        STEPS.iter().filter(|step| plan.only.is_empty() || plan.only.iter().any(|name| name == step.name))
    {
        println!("\n== {}", step.name);
        let start = Instant::now();
        let outcome = (step.run)(&workspace, plan).unwrap_or_else(|error| {
            println!("{error:#}");
            Outcome::Ran(Tally::one(false))
        });
        report.push((step.name, start.elapsed(), outcome));
    }
    Ok(summary(&report))
}

fn summary(report: &[(&str, Duration, Outcome)]) -> bool {
    println!("\n== summary");
    let (mut total, mut skipped) = (Tally::default(), 0);
    for (name, took, outcome) in report {
        let took = took.as_secs_f32();
        match outcome {
            Outcome::Ran(tally) => {
                println!("{name:9} {took:7.1} s  {} passed, {} failed", tally.passed, tally.failed);
                total = total.and(*tally);
            }
            Outcome::Skipped(why) => {
                println!("{name:9} {took:7.1} s  not run: {why}");
                skipped += 1;
            }
        }
    }
    if skipped > 0 {
        println!("{skipped} step(s) not run");
    }
    println!("{} passed, {} failed", total.passed, total.failed);
    total.failed == 0
}

fn format(_: &Workspace, _: &Plan) -> Result<Outcome> {
    ran(cargo().args(["fmt", "--all", "--check"]))
}

fn fetch_parts(workspace: &Workspace, plan: &Plan) -> Result<Outcome> {
    if plan.quick {
        return Ok(Outcome::Skipped("--quick".into()));
    }
    let missing = parts::fetch(workspace)?;
    for what in &missing {
        println!("missing: {what}");
    }
    Ok(Outcome::Ran(Tally::one(missing.is_empty())))
}

fn build(_: &Workspace, _: &Plan) -> Result<Outcome> {
    ran(cargo().args(["build", "--bins", "--examples"]).args(EVERYTHING))
}

fn clippy(_: &Workspace, _: &Plan) -> Result<Outcome> {
    ran(cargo().args(["clippy", "--all-targets"]).args(EVERYTHING).args(["--", "-D", "warnings"]))
}

fn unit(workspace: &Workspace, _: &Plan) -> Result<Outcome> {
    let mut command = cargo();
    command.args(["test", "--no-fail-fast", "--lib", "--bins"]).args(EVERYTHING);
    ran(command.args(workspace.inner_tests.iter().flat_map(|name| ["--test", name])))
}

fn doctest(_: &Workspace, _: &Plan) -> Result<Outcome> {
    ran(cargo().args(["test", "--no-fail-fast", "--doc"]).args(EVERYTHING))
}

fn doc(_: &Workspace, _: &Plan) -> Result<Outcome> {
    ran(cargo().args(["doc", "--no-deps"]).args(EVERYTHING).env("RUSTDOCFLAGS", "-D warnings"))
}

fn deny(workspace: &Workspace, plan: &Plan) -> Result<Outcome> {
    if plan.quick {
        return Ok(Outcome::Skipped("--quick".into()));
    }
    // Its build takes minutes, so it is done for those who ask for this step alone.
    if plan.only.is_empty() && tools::installed(workspace, "cargo-deny").is_none() {
        let why = "cargo-deny is not installed: `cargo xtask test --step deny` installs it";
        return Ok(Outcome::Skipped(why.into()));
    }
    let program = tools::tool(workspace, "cargo-deny")?;
    // It looks at every system's packages, also those that no build here has fetched.
    anyhow::ensure!(
        cargo().args(["fetch", "--locked"]).status()?.success(),
        "not all packages can be fetched"
    );
    let mut deny = Command::new(program);
    deny.args(["--offline", "--all-features", "check", "bans", "licenses", "sources"]);
    // Advisories are left out: their database is on the network, and a run must not change with the day.
    ran(deny.current_dir(&workspace.root).stdin(Stdio::null()))
}

fn python_package(workspace: &Workspace, plan: &Plan) -> Result<Outcome> {
    if plan.quick {
        return Ok(Outcome::Skipped("--quick".into()));
    }
    python::check(workspace).map(Outcome::Ran)
}

fn read_workflows(workspace: &Workspace, plan: &Plan) -> Result<Outcome> {
    if plan.quick {
        return Ok(Outcome::Skipped("--quick".into()));
    }
    match workflows::fetch(workspace) {
        Ok(()) => workflows::check(workspace).map(Outcome::Ran),
        Err(error) => Ok(Outcome::Skipped(format!("{error:#}"))),
    }
}

fn other_platforms(workspace: &Workspace, plan: &Plan) -> Result<Outcome> {
    if plan.quick {
        return Ok(Outcome::Skipped("--quick".into()));
    }
    // Its parts take minutes: they are fetched for those who ask for this step alone.
    let report = platforms::check(workspace, None, !plan.only.is_empty())?;
    let missing = report.missing.join("; ");
    let Some(tally) = report.tally else { return Ok(Outcome::Skipped(missing)) };
    if !missing.is_empty() {
        println!("not run: {missing}");
    }
    Ok(Outcome::Ran(tally))
}

fn end_to_end(workspace: &Workspace, plan: &Plan) -> Result<Outcome> {
    let chosen: Vec<&String> =
        workspace.end_to_end.iter().filter(|name| !plan.quick || !LONG.contains(&name.as_str())).collect();
    if chosen.is_empty() {
        return Ok(Outcome::Skipped("there are no end-to-end tests".into()));
    }
    let mut command = cargo();
    command.args(["test", "--no-fail-fast"]).args(EVERYTHING);
    command.args(chosen.iter().flat_map(|name| ["--test", name]));
    command.env("SSO_TEST_PARTS", workspace.parts());
    command.env("SSO_TEST_BIN_DIR", workspace.target.join("debug"));
    if !plan.quick {
        command.env("SSO_TEST_ALL_PARTS", "1");
    }
    // What they measured is worth reading also when they pass.
    ran(command.args(["--", "--show-output"]))
}

fn short_torture(workspace: &Workspace, plan: &Plan) -> Result<Outcome> {
    if plan.quick {
        return Ok(Outcome::Skipped("--quick".into()));
    }
    ran(&mut torture::short(&workspace.target.join("debug")))
}

fn ran(command: &mut Command) -> Result<Outcome> {
    tally::run(command).map(Outcome::Ran)
}
