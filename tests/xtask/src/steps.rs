//! The steps of `cargo xtask test`, in the order in which a person wants to hear of a failure.

use crate::abreast::{self, Job};
use crate::beside::{Beside, This};
use crate::e2e;
use crate::parts;
use crate::platforms::{self, Asked};
use crate::programs;
use crate::python;
use crate::report::{self, Outcome, Report};
use crate::tally::{self, Tally};
use crate::tools;
use crate::torture;
use crate::workflows;
use crate::workspace::{Workspace, cargo};
use anyhow::Result;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

/// Which steps to run.
#[derive(Debug, Default)]
pub struct Plan {
    /// Leave out what needs more than Rust, or minutes.
    pub quick: bool,
    /// Only these, if any.
    pub only: Vec<String>,
    /// This is a part of a run that has more steps.
    pub beside: bool,
    /// Where to say once more how they went, for programs.
    pub report: Option<PathBuf>,
}

impl Plan {
    /// Whether somebody asked for just what is being done.
    fn is_for_this_step(&self) -> bool {
        !self.beside && !self.only.is_empty()
    }

    fn has(&self, step: &Step) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == step.name)
    }
}

struct Step {
    name: &'static str,
    run: fn(&Workspace, &Plan) -> Result<Outcome>,
}

/// Steps that are run at once: `here` one after another on this screen, `beside` them the others, as [`Beside`]
/// says. None of these may build in the same folder as those.
struct Row {
    here: &'static [Step],
    beside: &'static [Step],
}

const STEPS: &[Row] = &[
    Row {
        here: &[
            Step { name: "format", run: format },
            Step { name: "build", run: build },
            Step { name: "clippy", run: clippy },
            Step { name: "unit", run: unit },
            Step { name: "doctest", run: doctest },
            Step { name: "doc", run: doc },
            Step { name: "deny", run: deny },
        ],
        beside: &[Step { name: "parts", run: fetch_parts }],
    },
    Row {
        here: &[
            Step { name: "python", run: python_package },
            Step { name: "workflows", run: read_workflows },
            Step { name: "e2e", run: e2e::abreast },
        ],
        beside: &[Step { name: "platforms-build", run: build_for_others }],
    },
    Row {
        here: &[
            Step { name: "e2e-alone", run: e2e::alone },
            Step { name: "torture", run: short_torture },
            Step { name: "platforms", run: other_platforms },
        ],
        beside: &[],
    },
];

/// The same for every build, so that no dependency is compiled twice.
pub const EVERYTHING: &[&str] = &["--workspace", "--all-features", "--locked"];

/// The names of all steps.
pub fn names() -> Vec<&'static str> {
    STEPS.iter().flat_map(|row| row.here.iter().chain(row.beside)).map(|step| step.name).collect()
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
    let this = This::keep(&workspace)?;
    let mut reports = Vec::new();
    for row in STEPS {
        reports.extend(run_row(&this, &workspace, plan, row)?);
    }
    let well = report::summary(&reports);
    if let Some(file) = &plan.report {
        report::write(&reports, file)?;
    }
    Ok(well)
}

fn run_row(this: &This, workspace: &Workspace, plan: &Plan, row: &Row) -> Result<Vec<Report>> {
    let chosen = |steps: &'static [Step]| steps.iter().filter(|step| plan.has(step));
    // Alone, a step has the screen.
    let alone = chosen(row.here).next().is_none();
    let (beside, last) = if alone { (&[][..], row.beside) } else { (row.beside, &[][..]) };
    let beside = chosen(beside).map(|step| Beside::start(this, workspace, step.name, plan));
    let beside = beside.collect::<Result<Vec<_>>>()?;
    let here = chosen(row.here).chain(chosen(last)).map(|step| {
        println!("\n== {}", step.name);
        let start = Instant::now();
        let outcome = (step.run)(workspace, plan).unwrap_or_else(Outcome::broken);
        Report { name: step.name, took: start.elapsed(), outcome }
    });
    let mut reports: Vec<Report> = here.collect();
    reports.extend(beside.into_iter().map(Beside::end));
    Ok(reports)
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
    let mut cargo_test = programs::cargo_test();
    cargo_test.args(EVERYTHING).args(["--lib", "--bins"]);
    cargo_test.args(workspace.inner_tests.iter().flat_map(|name| ["--test", name]));
    let built = programs::build(&mut cargo_test)?;
    // Two packages may have a test of one name, and cargo builds both.
    let inner = built.iter().filter(|program| !workspace.is_end_to_end(program));
    let jobs = inner.map(|program| Job { name: program.name.clone(), command: program.command() });
    let cores = thread::available_parallelism().map_or(1, usize::from);
    abreast::run(jobs.collect(), cores, &workspace.target.join("xtask/unit")).map(Outcome::Programs)
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
    if !plan.is_for_this_step() && tools::installed(workspace, "cargo-deny").is_none() {
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

/// Takes minutes of a processor, while the tests beside it wait.
fn build_for_others(workspace: &Workspace, plan: &Plan) -> Result<Outcome> {
    for_others(workspace, plan, true)
}

fn other_platforms(workspace: &Workspace, plan: &Plan) -> Result<Outcome> {
    for_others(workspace, plan, false)
}

fn for_others(workspace: &Workspace, plan: &Plan, no_run: bool) -> Result<Outcome> {
    if plan.quick {
        return Ok(Outcome::Skipped("--quick".into()));
    }
    // The parts take minutes: they are fetched for those who ask for this step alone.
    let asked = Asked { only: None, no_install: !plan.is_for_this_step(), no_run };
    let report = platforms::check(workspace, &asked)?;
    let missing = report.missing.join("; ");
    let Some(tally) = report.tally else { return Ok(Outcome::Skipped(missing)) };
    Ok(if missing.is_empty() { Outcome::Ran(tally) } else { Outcome::Partly(tally, missing) })
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
