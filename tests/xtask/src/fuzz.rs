//! `cargo xtask fuzz`: every fuzz target for so many seconds, from its committed corpus.
//!
//! What the fuzzer finds on its way stays below `target`; what breaks a target is shown, and belongs into the
//! corpus once it is mended.

use crate::tools;
use crate::workspace::{Workspace, cargo, host};
use anyhow::{Context, Result};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// No input may take longer, in seconds.
const SLOWEST_S: u32 = 5;

/// Nor make a target larger than this, in MiB: a sanitizer has its share of it.
const LARGEST_MIB: u32 = 1024;

/// As long as a line of sockets may be, and a little more.
const LONGEST: u32 = 1 << 16;

/// What came of one target.
struct Run {
    name: String,
    executions: u64,
    a_second: u64,
    /// What broke it, if anything did.
    broke: Option<PathBuf>,
    status: bool,
}

/// Runs all targets, or those that are named, and says whether all of them held.
///
/// # Errors
/// What is missing, or wrong with the arguments.
pub fn run(args: &[String], usage: &str) -> Result<bool> {
    let (mut seconds, mut only, mut sanitizer) = (60, Vec::new(), "none");
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--seconds" => seconds = args.next().and_then(|s| s.parse().ok()).context(usage.to_owned())?,
            "--asan" => sanitizer = "address",
            name if !name.starts_with('-') => only.push(name.to_owned()),
            _ => anyhow::bail!("{usage}"),
        }
    }
    let workspace = Workspace::read()?;
    let folder = workspace.root.join("tests/fuzz");
    let all = targets(&folder)?;
    for name in &only {
        anyhow::ensure!(all.contains(name), "no such target: {name}; there are {}", all.join(", "));
    }
    let (built, host) = (workspace.target.join("fuzz"), host()?);
    build(&workspace, &folder, &built, sanitizer)?;
    let program = |name: &str| built.join(format!("{host}/release/{name}"));
    let chosen = all.iter().filter(|name| only.is_empty() || only.contains(name));
    let mut runs = Vec::new();
    for name in chosen {
        println!("\n== {name}");
        runs.push(fuzz(&folder, &built, &program(name), name, seconds)?);
    }
    Ok(summary(&runs, sanitizer))
}

fn targets(folder: &Path) -> Result<Vec<String>> {
    let files = std::fs::read_dir(folder.join("fuzz_targets"))?;
    let names = files.filter_map(|file| Some(file.ok()?.path().file_stem()?.to_str()?.to_owned()));
    let mut names: Vec<String> = names.collect();
    names.sort();
    Ok(names)
}

fn build(workspace: &Workspace, folder: &Path, built: &Path, sanitizer: &str) -> Result<()> {
    let fuzzer = tools::tool(workspace, "cargo-fuzz")?;
    let mut command = cargo();
    command.arg("fuzz").args(["build", "--sanitizer", sanitizer, "--fuzz-dir"]).arg(folder);
    command.arg("--target-dir").arg(built).env("PATH", with(&fuzzer)).current_dir(folder);
    if sanitizer != "none" {
        // Sanitizers are for nightly compilers only; this makes a stable one take the flag.
        command.env("RUSTC_BOOTSTRAP", "1");
    }
    anyhow::ensure!(command.status()?.success(), "the targets do not build");
    Ok(())
}

fn with(program: &Path) -> OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = program.parent().map(PathBuf::from).into_iter().chain(std::env::split_paths(&path));
    std::env::join_paths(folders).unwrap_or(path)
}

fn fuzz(folder: &Path, built: &Path, program: &Path, name: &str, seconds: u32) -> Result<Run> {
    let [found, broken] = ["found", "broken"].map(|kind| built.join(kind).join(name));
    for kept in [&found, &broken] {
        std::fs::create_dir_all(kept)?;
    }
    let output = Command::new(program)
        .args([&found, &folder.join("corpus").join(name)])
        .args([format!("-max_total_time={seconds}"), format!("-timeout={SLOWEST_S}")])
        .args([format!("-rss_limit_mb={LARGEST_MIB}"), format!("-max_len={LONGEST}")])
        .args(["-print_final_stats=1".to_owned(), format!("-artifact_prefix={}/", broken.display())])
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", program.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let stat = |what: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix(&format!("stat::{what}:")));
        line.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
    };
    let broke = said.lines().find_map(|line| line.split_once("Test unit written to ")).map(|(_, file)| file);
    if !output.status.success() {
        println!(
            "{}",
            said.lines().rev().take(60).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n")
        );
    }
    Ok(Run {
        name: name.to_owned(),
        executions: stat("number_of_executed_units"),
        a_second: stat("average_exec_per_sec"),
        broke: broke.map(PathBuf::from),
        status: output.status.success(),
    })
}

fn summary(runs: &[Run], sanitizer: &str) -> bool {
    println!("\n== summary (sanitizer: {sanitizer})");
    for Run { name, executions, a_second, broke, status } in runs {
        let how = match (status, broke) {
            (true, _) => "held".to_owned(),
            (false, Some(file)) => format!("BROKE on {}", file.display()),
            (false, None) => "BROKE".to_owned(),
        };
        println!("{name:14} {executions:>12} executions {a_second:>9}/s  {how}");
    }
    let total: u64 = runs.iter().map(|run| run.executions).sum();
    let broken = runs.iter().filter(|run| !run.status).count();
    println!("{total} executions, {broken} target(s) broke");
    broken == 0
}
