//! `sso logout`.

use serde::Serialize;
use sso_agent_client::{
    blocking::Agent,
    proto::session::{Session, Target},
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
        agent.sessions()?
    } else {
        let target = Target { host: args.host, label: args.label, ..Target::default() };
        vec![agent.session(target)?]
    };
    let mut all = All { sessions: Vec::new() };
    for Session { id, .. } in sessions {
        let target = Target { session: Some(id.clone()), ..Target::default() };
        let revoked = agent.logout(target)?.revoked;
        all.sessions.push(Ended { session: id, revoked });
    }
    output.result(&all, || words(&all))
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
