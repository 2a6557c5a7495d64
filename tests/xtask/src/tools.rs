//! Programs of cargo's that a step needs: found where they are installed, or installed below `target`, where
//! nobody else's are touched and the next run finds them.

use crate::workspace::{Workspace, cargo};
use anyhow::{Context, Result};
use std::path::PathBuf;

/// Finds the program of this name, or installs the package of that name.
///
/// # Errors
/// It is not there, and the registry or its build failed.
pub fn tool(workspace: &Workspace, name: &str) -> Result<PathBuf> {
    if let Some(found) = installed(workspace, name) {
        return Ok(found);
    }
    println!("installing {name}");
    let root = workspace.target.join("tools");
    let status = cargo().args(["install", "--locked", "--root"]).arg(root).arg(name).status();
    anyhow::ensure!(
        status.with_context(|| format!("cannot install {name}"))?.success(),
        "{name} is not installed and cannot be (cargo install {name})"
    );
    Ok(own(workspace).join(name))
}

/// The program of this name, if it is installed.
pub fn installed(workspace: &Workspace, name: &str) -> Option<PathBuf> {
    on_path(name).or_else(|| Some(own(workspace).join(name)).filter(|program| program.is_file()))
}

/// A program of the system.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|program| program.is_file())
}

fn own(workspace: &Workspace) -> PathBuf {
    workspace.target.join("tools/bin")
}
