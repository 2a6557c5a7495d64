//! `sso exec`: becomes the command, as far as the system knows of such a thing, so that signals and its exit
//! code are the command's own.

use std::{ffi::OsStr, io, process::Command};

use secrecy::ExposeSecret as _;
use sso_agent_client::{
    blocking::Agent,
    proto::{
        fault::Kind,
        session::{Session, Target},
        token::{Token, TokenGet},
    },
};
use sso_agent_os::process::become_it;

use super::{metadata, resolved};
use crate::{
    args::{self, Which},
    exit::Failure,
    output::Output,
    programs,
};

/// The command keeps its token for as long as it runs, so that one about to end is of no use. Within
/// what the agent keeps ahead anyway, so that this costs no refresh.
const MIN_VALID_S: u64 = 15 * 60;

/// How long it is worth waiting for such a one, when another is at hand.
const PATIENCE_S: u64 = 5;

/// As shells and `env` have it.
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;

pub(super) fn run(args: args::Exec, _: &Output) -> Result<(), Failure> {
    let (program, arguments) = args.command.split_first().expect("clap requires a command");
    let mut command = Command::new(programs::typed(program));
    command.args(arguments);
    if args.metadata {
        let found = metadata::ask(&mut Agent::connect()?, args.which, Vec::new())?;
        only_these(&mut command);
        command.envs(metadata::variables(&found));
    } else {
        give_token(&mut command, args.which, &args.names)?;
    }
    Err(not_run(program, &become_it(&mut command)))
}

fn give_token(command: &mut Command, which: Which, names: &[String]) -> Result<(), Failure> {
    let Which { host, profile, label, account_id } = resolved(which);
    let mut agent = Agent::connect()?;
    let token = token(&mut agent, TokenGet { host, profile, label, account_id, ..TokenGet::default() })?;
    if names.is_empty() {
        let target = Target { session: Some(token.session.clone()), ..Target::default() };
        for_databricks(command, &agent.session(target)?, &token);
    } else {
        command.envs(names.iter().map(|name| (name, token.access_token.expose_secret())));
    }
    Ok(())
}

/// A token that lasts, or what there is while no new one can be had.
fn token(agent: &mut Agent, any: TokenGet) -> Result<Token, Failure> {
    let lasting = TokenGet { min_valid_s: Some(MIN_VALID_S), wait_s: Some(PATIENCE_S), ..any.clone() };
    match agent.token(lasting) {
        Err(error) if matches!(error.kind(), Some(Kind::IssuerUnavailable | Kind::Timeout)) => {
            Ok(agent.token(any)?)
        }
        answer => Ok(answer?),
    }
}

/// SDKs refuse two ways to authenticate at once, unless told which one to take; and a profile may
/// name another host.
fn for_databricks(command: &mut Command, session: &Session, token: &Token) {
    only_these(command)
        .env("DATABRICKS_HOST", &session.host)
        .env("DATABRICKS_TOKEN", token.access_token.expose_secret())
        .env("DATABRICKS_AUTH_TYPE", "pat");
    if let Some(account) = &session.account_id {
        command.env("DATABRICKS_ACCOUNT_ID", account);
    }
}

/// Takes out what would be a second way to authenticate, or another place to do it at.
fn only_these(command: &mut Command) -> &mut Command {
    metadata::UNSET.iter().fold(command, |command, name| command.env_remove(name))
}

fn not_run(program: &OsStr, error: &io::Error) -> Failure {
    let name = program.to_string_lossy();
    if error.kind() == io::ErrorKind::NotFound {
        return Failure::new(NOT_FOUND, format!("{name} is not there"), "see how it is spelled, and PATH");
    }
    Failure::new(NOT_EXECUTABLE, format!("{name} cannot be run: {error}"), "see its permissions")
}
