//! What every user of the machine can read: the command lines of all processes.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Collects the command line of every process, as any user of the machine may, until it is over.
pub fn watch(over: &AtomicBool) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    while !over.load(Ordering::Relaxed) {
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            if let Some(line) = of(&entry.path()) {
                seen.insert(line);
            }
        }
    }
    seen
}

fn of(process: &Path) -> Option<String> {
    process.file_name()?.to_str()?.parse::<u32>().ok()?;
    let line = fs::read(process.join("cmdline")).ok()?;
    Some(String::from_utf8_lossy(&line).replace('\0', " "))
}
