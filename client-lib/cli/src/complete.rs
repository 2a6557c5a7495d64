//! Completions: the shell asks this program, and hosts come from the agent.

use std::{ffi::OsStr, io};

use clap::CommandFactory as _;
use clap_complete::{CompleteEnv, CompletionCandidate, env::Shells};
use sso_agent_client::blocking::Agent;

use crate::args::Cli;

/// How the shell asks: the name of the shell stands in it.
const VARIABLE: &str = "SSO_COMPLETE";

/// Answers and exits if it is the shell that asks.
pub(crate) fn answer_the_shell() {
    CompleteEnv::with_factory(Cli::command).var(VARIABLE).complete();
}

/// What a shell has to read at its start.
pub(crate) fn script(shell: &str, to: &mut dyn io::Write) -> io::Result<()> {
    let shells = Shells::builtins();
    let shell = shells.completer(shell).ok_or(io::ErrorKind::Unsupported)?;
    shell.write_registration(VARIABLE, "sso", "sso", "sso", to)
}

/// The hosts of all sessions. Pressing a key starts no agent.
pub(crate) fn hosts(typed: &OsStr) -> Vec<CompletionCandidate> {
    let Ok(sessions) = Agent::connect_running().and_then(|mut agent| agent.sessions()) else {
        return Vec::new();
    };
    let typed = typed.to_string_lossy();
    let bare = |host: &str| host.trim_start_matches("https://").to_owned();
    sessions
        .into_iter()
        .map(|session| if typed.contains("://") { session.host } else { bare(&session.host) })
        .filter(|host| host.starts_with(&*typed))
        .map(CompletionCandidate::new)
        .collect()
}

/// The profiles that the agent knows, and where each leads.
pub(crate) fn profiles(typed: &OsStr) -> Vec<CompletionCandidate> {
    let Ok(known) = Agent::connect_running().and_then(|mut agent| agent.profiles()) else {
        return Vec::new();
    };
    let typed = typed.to_string_lossy();
    known
        .profiles
        .into_iter()
        .filter(|profile| profile.name.starts_with(&*typed))
        .map(|profile| CompletionCandidate::new(profile.name).help(profile.host.map(Into::into)))
        .collect()
}
