//! Windows: an entry of this user's own in what is run at logon, which needs no administrator. It starts the
//! agent and is done; nobody watches over the agent then but the commands that need it.

use std::path::PathBuf;

use sso_agent_client::autostart;
use windows_registry::CURRENT_USER;

pub(in crate::commands::agent) use super::nobody::Manager;
use super::{Installed, Standing, Written, elsewhere, logon_command};
use crate::exit::Failure;

const KEY: &str = r"Software\Microsoft\Windows\CurrentVersion\Run";
/// Where the Task Manager writes down what its user has switched off.
const SWITCHES: &str = r"Software\Microsoft\Windows\CurrentVersion\Explorer\StartupApproved\Run";
const NAME: &str = "sso-agent";
/// As Windows has it: a longer command is not run.
const LONGEST: usize = 260;

pub(in crate::commands::agent) fn what_is_written() -> Result<Vec<Written>, Failure> {
    Ok(vec![Written { place: place(), text: format!("{}\n", command()?) }])
}

pub(in crate::commands::agent) fn install() -> Result<Installed, Failure> {
    // Nothing comes of the entry without it.
    super::program()?;
    let command = command()?;
    let done = CURRENT_USER.create(KEY).and_then(|key| key.set_string(NAME, &command));
    done.map_err(|error| unwritten(&error))?;
    // Whoever installs it anew wants it on.
    if let Ok(switches) = CURRENT_USER.options().read().write().open(SWITCHES) {
        let _ = switches.remove_value(NAME);
    }
    if elsewhere().is_none() {
        autostart::start(&super::super::places()?)?;
    }
    let words = format!("Installed {}: the agent starts when you log on", place());
    Ok(Installed { written: vec![place()], hardened: None, words })
}

/// Leaves the agent alone: it is not known whether it was the entry that started it.
pub(in crate::commands::agent) fn uninstall() -> Result<&'static str, Failure> {
    if installed().is_some() {
        let key = CURRENT_USER.options().read().write().open(KEY);
        key.and_then(|key| key.remove_value(NAME)).map_err(|error| unwritten(&error))?;
    }
    Ok(
        "Removed the logon entry; an agent that runs goes on until `sso agent stop`, and the sessions are kept",
    )
}

pub(super) fn standing() -> Option<Standing> {
    let Some(found) = installed() else { return Some(Standing::Absent) };
    let program = logon_command::program(&found);
    Some(if let Some(standing) = Standing::of_program(program.as_deref()) {
        standing
    } else if program.is_none_or(|program| logon_command::text(&program) != found) {
        Standing::of_another_version()
    } else if is_switched_off() {
        Standing::odd(
            "the logon entry is installed, and switched off among the startup apps of the Task Manager",
            super::AGAIN,
        )
    } else {
        Standing::Well("the logon entry is installed, and as this version writes it")
    })
}

fn installed() -> Option<String> {
    CURRENT_USER.open(KEY).and_then(|key| key.get_string(NAME)).ok()
}

fn is_switched_off() -> bool {
    let switch = CURRENT_USER.open(SWITCHES).and_then(|key| key.get_value(NAME));
    // Even numbers are on.
    switch.is_ok_and(|switch| switch.first().is_some_and(|first| first % 2 == 1))
}

fn place() -> String {
    format!(r"HKEY_CURRENT_USER\{KEY}\{NAME}")
}

fn command() -> Result<String, Failure> {
    let own: PathBuf = std::env::current_exe()
        .map_err(|error| Failure::failed(format!("this program cannot be found: {error}"), "try again"))?;
    let command = logon_command::text(&own);
    if command.encode_utf16().count() > LONGEST {
        let message =
            format!("Windows runs no command of more than {LONGEST} characters at logon: {command}");
        return Err(Failure::failed(message, "put the programs into a folder with a shorter path"));
    }
    Ok(command)
}

fn unwritten(error: &dyn std::fmt::Display) -> Failure {
    let hint = "see whether you may change what runs when you log on";
    Failure::failed(format!("{} cannot be changed: {error}", place()), hint)
}
