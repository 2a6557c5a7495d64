//! `sso logout`.

use serde::Serialize;
use sso_agent_client::{
    Error,
    blocking::Agent,
    proto::{
        fault::Kind,
        session::{Session, Target},
    },
};

use crate::{
    args,
    exit::Failure,
    output::{Output, clean},
};

#[derive(Serialize)]
struct Ended {
    session: String,
    revoked: bool,
}

#[derive(Serialize)]
struct All {
    sessions: Vec<Ended>,
}

pub(super) fn run(args: args::Logout, output: &Output) -> Result<(), Failure> {
    let mut agent = Agent::connect()?;
    let sessions = if args.all {
        let mut all = agent.sessions()?;
        all.extend(agent.web_sessions(None)?);
        all
    } else {
        vec![find(&mut agent, target(args.host, args.label))?]
    };
    let mut all = All { sessions: Vec::new() };
    for Session { id, .. } in sessions {
        let target = Target { session: Some(id.clone()), ..Target::default() };
        let revoked = agent.logout(target)?.revoked;
        all.sessions.push(Ended { session: id, revoked });
    }
    output.result(&all, || words(&all))
}

/// The user of a web app goes by an id, which no host looks like.
fn target(host: Option<String>, label: Option<String>) -> Target {
    match host {
        Some(id) if id.contains("#~") => Target { session: Some(id), ..Target::default() },
        host => Target { host, label, ..Target::default() },
    }
}

/// Where nobody is signed in, a sign-in is not what helps: the refusal of a logout says so.
fn find(agent: &mut Agent, target: Target) -> Result<Session, Error> {
    agent.session(target.clone()).map_err(|error| match error.kind() {
        Some(Kind::LoginRequired) => agent.logout(target).err().unwrap_or(error),
        _ => error,
    })
}

fn words(all: &All) -> String {
    if all.sessions.is_empty() {
        return "There was no session".to_owned();
    }
    let line = |ended: &Ended| {
        let revoked =
            if ended.revoked { "revoked" } else { "forgotten; the issuer did not confirm a revocation" };
        format!("Signed out of {}: {revoked}", clean(&ended.session))
    };
    all.sessions.iter().map(line).collect::<Vec<_>>().join("\n")
}
