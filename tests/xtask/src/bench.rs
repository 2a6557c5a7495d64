//! The figures: latency, throughput, start and memory, each beside a floor.
//!
//! Builds what is measured as it is released, and the floors with the same linkage, then lets
//! `tests/bench` measure. What can only be built where a C compiler and static libraries are is left
//! out where they are not.

use crate::workspace::{Workspace, cargo, host};
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const RELEASE: &[&str] = &["build", "--release", "--locked", "--quiet"];

/// Builds, measures and prints.
pub fn run(args: &[String]) -> Result<()> {
    let workspace = Workspace::read()?;
    eprintln!("building …");
    ran(build(&["--package", "sso-agent", "--bin", "sso-agent"]))?;
    ran(build(&["--package", "sso", "--no-default-features"]))?;
    ran(build(&["--package", "sso-agent-bench"]))?;
    let built = workspace.target.join("release");
    let mut bench = Command::new(built.join("sso-bench"));
    bench.arg("--agent").arg(built.join("sso-agent")).arg("--sso").arg(built.join("sso"));
    bench.arg("--echo").arg(built.join("sso-bench-echo")).arg("--clap").arg(built.join("sso-bench-clap"));
    bench.arg("--databricks").arg(built.join("sso-databricks"));
    bench.arg("--hyper").arg(built.join("sso-bench-hyper"));
    match build_static(&workspace) {
        Ok(built) => {
            bench.arg("--sso-static").arg(built.join("sso"));
            bench.arg("--clap-static").arg(built.join("sso-bench-clap"));
            bench.arg("--databricks-static").arg(built.join("sso-databricks"));
        }
        Err(error) => eprintln!("no static programs: {error:#}"),
    }
    match build_floor(&workspace, &built) {
        Ok(floor) => {
            bench.arg("--floor").arg(floor);
        }
        Err(error) => eprintln!("no floor in C: {error:#}"),
    }
    ran(bench.args(args))
}

/// Programs that hold their C library; gives the folder.
fn build_static(workspace: &Workspace) -> Result<PathBuf> {
    let target = host()?;
    for package in [&["sso"][..], &["sso-agent-bench", "--bin", "sso-bench-clap"]] {
        let mut command = build(&["--no-default-features", "--target", &target, "--package"]);
        ran(command.args(package).env("RUSTFLAGS", "-C target-feature=+crt-static"))?;
    }
    Ok(workspace.target.join(target).join("release"))
}

/// The least that prints a token, in C.
fn build_floor(workspace: &Workspace, built: &Path) -> Result<PathBuf> {
    let program = built.join("sso-bench-floor");
    let source = workspace.root.join("tests/bench/floor/floor.c");
    ran(Command::new("cc").args(["-O2", "-static", "-o"]).arg(&program).arg(source))?;
    Ok(program)
}

fn build(what: &[&str]) -> Command {
    let mut command = cargo();
    command.args(RELEASE).args(what);
    command
}

fn ran(mut command: impl std::borrow::BorrowMut<Command>) -> Result<()> {
    let command = command.borrow_mut();
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("cannot run {name}"))?;
    ensure!(status.success(), "{name} ended with {status}");
    Ok(())
}
