//! The steps that run the programs from outside: those that may share the machine, then those that may not.

use crate::abreast::{self, Job};
use crate::programs::{self, Program};
use crate::report::Outcome;
use crate::steps::{EVERYTHING, Plan};
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use std::thread;

/// These measure time, memory or the machine, hold something to a time that is short, or take all of the
/// machine themselves; `readme` installs, for which cargo builds the very programs that the others run.
const ALONE: &[&str] = &[
    "burden",
    "callback",
    "canary",
    "chain",
    "faults_provider",
    "force_refresh",
    "go_java",
    "herd",
    "leaks",
    "lifecycle",
    "lock",
    "nspawn",
    "readme",
    "soak",
];

/// These take longest, and are begun first so that none is left over at the end.
const FIRST: &[&str] = &["clients", "web_apps", "consent", "login"];

/// What `--quick` leaves out: these need real parts, or run for minutes.
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

/// Runs those that may share the machine, several at once: they mostly wait.
pub fn abreast(workspace: &Workspace, plan: &Plan) -> Result<Outcome> {
    let mut chosen = chosen(workspace, plan, |name| !ALONE.contains(&name));
    chosen.sort_by_key(|name| FIRST.iter().position(|first| first == name).unwrap_or(FIRST.len()));
    let cores = thread::available_parallelism().map_or(1, usize::from);
    run(workspace, plan, &chosen, cores + 1)
}

/// Runs the others, one after another.
pub fn alone(workspace: &Workspace, plan: &Plan) -> Result<Outcome> {
    run(workspace, plan, &chosen(workspace, plan, |name| ALONE.contains(&name)), 1)
}

fn chosen<'a>(workspace: &'a Workspace, plan: &Plan, wanted: impl Fn(&str) -> bool) -> Vec<&'a str> {
    let all = workspace.end_to_end.iter().map(String::as_str);
    all.filter(|name| wanted(name) && !(plan.quick && LONG.contains(name))).collect()
}

fn run(workspace: &Workspace, plan: &Plan, names: &[&str], width: usize) -> Result<Outcome> {
    if names.is_empty() {
        return Ok(Outcome::Skipped("there are no such tests".into()));
    }
    let mut cargo_test = programs::cargo_test();
    cargo_test.args(EVERYTHING).args(names.iter().flat_map(|name| ["--test", name]));
    let built = programs::build(&mut cargo_test)?;
    let of = |name: &str| {
        let mut ours = built.iter().filter(|program| workspace.is_end_to_end(program));
        let program = ours.find(|program| program.name == name);
        Ok(job(workspace, plan, program.with_context(|| format!("cargo has not built {name}"))?))
    };
    let jobs = names.iter().map(|name| of(name)).collect::<Result<_>>()?;
    abreast::run(jobs, width, &workspace.target.join("xtask/e2e")).map(Outcome::Programs)
}

fn job(workspace: &Workspace, plan: &Plan, program: &Program) -> Job {
    let mut command = program.command();
    command.env("SSO_TEST_PARTS", workspace.parts());
    command.env("SSO_TEST_BIN_DIR", workspace.target.join("debug"));
    if !plan.quick {
        command.env("SSO_TEST_ALL_PARTS", "1");
    }
    // What they measured is worth reading also when they pass.
    command.arg("--show-output");
    Job { name: program.name.clone(), command }
}

#[cfg(all(test, unix))]
mod tests {
    use super::{ALONE, FIRST, LONG};
    use crate::workspace::Workspace;

    #[test]
    fn every_test_that_is_named_here_exists() {
        let workspace = Workspace::read().expect("cargo knows it");
        for name in [ALONE, FIRST, LONG].concat() {
            assert!(workspace.end_to_end.iter().any(|test| test == name), "there is no {name}");
        }
    }
}
