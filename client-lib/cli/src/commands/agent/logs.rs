//! `sso agent logs`: the journal where systemd runs the agent, the log file elsewhere.

use std::{fs::File, io::Read as _, path::Path, process::Command};

use super::{systemd::Manager, units};
use crate::{exit::Failure, output::Output};

/// How much of the past is shown before what is added.
const LINES: &str = "--lines=50";
/// As much of a log file as is read at once; the agent's is put aside at 1 MiB.
const LARGEST: u64 = 64 << 20;

pub(super) fn show(follow: bool, output: &Output) -> Result<(), Failure> {
    if Manager::in_charge().is_some() {
        let mut journal = Command::new("journalctl");
        journal.args(["--user", "--unit", units::SERVICE]);
        if follow {
            journal.args(["--follow", LINES]);
        }
        return become_it(journal);
    }
    let log = super::places()?.state.join("agent.log");
    if !log.exists() {
        let message = format!("there is no log at {}", log.display());
        return Err(Failure::failed(message, "an agent in the foreground logs to its own stderr"));
    }
    if follow {
        let mut tail = Command::new("tail");
        tail.args([LINES, "--follow=name", "--retry"]).arg(&log);
        return become_it(tail);
    }
    output.bytes(&read(&log)?)
}

fn read(log: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    File::open(log).and_then(|file| file.take(LARGEST).read_to_end(&mut bytes)).map_err(|error| {
        let message = format!("{} cannot be read: {error}", log.display());
        Failure::failed(message, "see its permissions")
    })?;
    Ok(bytes)
}

fn become_it(mut command: Command) -> Result<(), Failure> {
    let error = super::super::exec::run_as(&mut command).err();
    let why = error.map(|error| error.to_string()).unwrap_or_default();
    let name = command.get_program().to_string_lossy().into_owned();
    Err(Failure::failed(format!("{name} cannot be run: {why}"), "see PATH"))
}
