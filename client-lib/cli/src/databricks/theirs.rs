//! Hands a command to the real CLI further down `PATH`: with its input, its signals, and its exit code,
//! since this process becomes it, as far as the system knows of such a thing.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use sso_agent_os::process::become_it;

use crate::{
    help, marker, programs,
    say::{self, Fail},
};

/// Counts how often one command was handed on: a script named `databricks` may call us again.
const DEPTH: &str = "SSO_AGENT_DATABRICKS_DEPTH";
/// The real CLI may well run terraform, which runs us, which runs it; nothing honest is deeper than this.
const DEEPEST: u32 = 16;

/// Where SDKs look for the CLI first.
const CLI_PATH: &str = "DATABRICKS_CLI_PATH";

pub(crate) fn run(args: &[OsString]) -> Result<(), Fail> {
    let Some(real) = real() else { return absent(args) };
    let depth = env::var(DEPTH).ok().and_then(|depth| depth.parse().ok()).unwrap_or(0_u32) + 1;
    if depth > DEEPEST {
        return Err(Fail::new(format!("{} calls this program again and again", real.display())));
    }
    let mut command = Command::new(&real);
    command.args(args).env(DEPTH, depth.to_string());
    if env::var_os(CLI_PATH).is_some_and(|path| is_ours(Path::new(&path))) {
        command.env(CLI_PATH, &real);
    }
    Err(Fail::new(format!("{} cannot be run: {}", real.display(), become_it(&mut command))))
}

/// The first `databricks` on `PATH` that is none of ours.
fn real() -> Option<PathBuf> {
    programs::on_path(marker::NAME).find(|file| !is_ours(file))
}

fn is_ours(file: &Path) -> bool {
    let canonical = |path: &Path| fs::canonicalize(path).ok();
    let own = env::current_exe().ok().and_then(|own| canonical(&own));
    own.is_some() && own == canonical(file) || marker::is_stand_in(file).unwrap_or(false)
}

/// Without the real CLI there is help for what there is.
fn absent(args: &[OsString]) -> Result<(), Fail> {
    let first = args.first().map(|arg| arg.to_string_lossy()).unwrap_or_default();
    if matches!(&*first, "" | "help" | "-h" | "--help") && args.len() < 2 {
        return say::text(help::ALONE);
    }
    let words: Vec<_> =
        args.iter().map(|arg| arg.to_string_lossy()).take_while(|arg| !arg.starts_with('-')).collect();
    let command = if words.is_empty() { first.into_owned() } else { words.join(" ") };
    Err(Fail::new(format!(
        "`databricks {}` is a command of the Databricks CLI itself, which is not on PATH: this program of sso-agent stands in for `databricks auth` and `databricks version` only. Install it from https://docs.databricks.com/dev-tools/cli/install.html, in a folder of PATH",
        say::clean(&command)
    )))
}
