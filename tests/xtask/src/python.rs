//! The Python package (`client-lib/python`): its tests, its types, and the tools for both.

use crate::parts;
use crate::tally::{self, Tally};
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The virtual environment among the parts.
const VENV: &str = "python";

/// Where the package is.
const PACKAGE: &str = "client-lib/python";

/// What goes into the environment: the tools, and the SDK that the credentials are for.
const REQUIREMENTS: [&str; 2] =
    ["client-lib/python/tests/requirements.txt", "tests/databricks-sdk/requirements.txt"];

/// The package is typed for each of these, though it runs on one of them here.
const SYSTEMS: [&str; 3] = ["linux", "darwin", "win32"];

/// Makes the environment, unless it is there.
pub fn fetch(workspace: &Workspace, parts: &Path) -> Result<()> {
    let files = REQUIREMENTS.map(|file| workspace.root.join(file));
    let mut recipe = String::new();
    for file in &files {
        recipe += &fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    }
    let venv = parts.join(VENV);
    parts::once(&venv.join(".fetched"), &recipe, || {
        parts::done(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"];
        let mut pip = Command::new(venv.join("bin/python"));
        pip.args(install);
        for file in &files {
            pip.arg("-r").arg(file);
        }
        parts::done(&mut pip)
    })
}

/// Runs the tests, which build the wheel too, and checks the types.
pub fn check(workspace: &Workspace) -> Result<Tally> {
    let python = workspace.parts().join(VENV).join("bin/python");
    anyhow::ensure!(
        python.exists(),
        "the Python tools are missing; `cargo xtask test --step parts` fetches them"
    );
    let mut sum = tally::run(command(workspace, &python).args(["-m", "pytest"]))?;
    for system in SYSTEMS {
        let mut mypy = command(workspace, &python);
        mypy.args(["-m", "mypy", "--platform", system, "--cache-dir"]);
        mypy.arg(workspace.parts().join("mypy"));
        if system != "linux" {
            // The tests are for the systems that have Unix sockets.
            mypy.arg("src");
        }
        sum = sum.and(tally::run(&mut mypy)?);
    }
    Ok(sum)
}

/// Python in the package's folder, which it leaves as it is.
fn command(workspace: &Workspace, python: &PathBuf) -> Command {
    let mut command = Command::new(python);
    command.current_dir(workspace.root.join(PACKAGE));
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("SSO_TEST_ALL_PARTS", "1");
    command
}
