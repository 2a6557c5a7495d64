//! What the kernel says of processes.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};

/// Ends a process at once.
pub(crate) fn kill(pid: u32) {
    signal(pid, Signal::KILL);
}

/// Sends a signal to a process; one that has ended is fine.
pub(crate) fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// How many threads it has.
pub(crate) fn threads(pid: u32) -> Result<f64> {
    field(pid, "Threads:")
}

/// The processes that refresh tokens are given to: `sso-agent spend`, children of the agent or, where that
/// has died, of nobody, in this sandbox.
pub(crate) fn spenders(sandbox: &Path) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let mut words = command.split(|byte| *byte == 0);
        let ours = words.next().is_some_and(|program| program.ends_with(b"sso-agent"));
        if ours && words.next() == Some(b"spend") && belongs(&entry.path(), sandbox) {
            found.push(pid);
        }
    }
    found
}

/// Whether a process works in this sandbox: it, or who started it, was started there.
fn belongs(process: &Path, sandbox: &Path) -> bool {
    let place = sandbox.as_os_str().as_encoded_bytes();
    let told = ["environ", "cmdline"].map(|file| fs::read(process.join(file)).unwrap_or_default());
    let said = told.iter().any(|text| text.windows(place.len()).any(|part| part == place));
    said || fs::read_link(process.join("cwd")).is_ok_and(|folder| folder.starts_with(sandbox))
}

fn field(pid: u32, name: &str) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).context("the process has ended")?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let figure = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    figure.with_context(|| format!("there is no {name}"))
}
