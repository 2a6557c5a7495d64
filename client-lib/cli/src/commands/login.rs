//! `sso login`. Interrupting it hangs up, which takes the sign-in back.

use sso_agent_client::{
    blocking::Agent,
    proto::session::{Flow, Login, Session, Step},
};

use super::resolved;
use crate::{
    args, browser,
    exit::Failure,
    output::{Output, clean},
};

pub(super) fn run(args: args::Login, output: &Output) -> Result<(), Failure> {
    let which = resolved(args.which);
    if which.host.is_none() && which.profile.is_none() {
        return Err(Failure::usage("no host is named", "say where: `sso login HOST`"));
    }
    let login = Login {
        host: which.host,
        profile: which.profile,
        label: which.label,
        account_id: which.account_id,
        client_id: args.client_id,
        client_secret: None,
        scopes: args.scopes,
        flow: Flow::Browser,
        redirect_port: args.port,
        timeout_s: Some(args.timeout.as_secs()),
    };
    let session = Agent::connect()?.login(login, |step| show(&step, args.no_browser, output))?;
    output.result(&session, || signed_in(&session))
}

fn show(step: &Step, no_browser: bool, output: &Output) {
    match step {
        Step::Authorize { url } => {
            let opened = !no_browser && browser::open(url);
            let what = if opened {
                "Your browser opens to sign in. If it does not, visit this address on this machine:"
            } else {
                "To sign in, visit this address in a browser on this machine:"
            };
            output.note(&format!("{what}\n\n    {}\n", clean(url)));
        }
        Step::Waiting => output.progress("Waiting for you to sign in there …"),
        Step::Exchanging => output.progress("Signed in there; fetching the tokens …"),
    }
}

fn signed_in(session: &Session) -> String {
    let account = match session.label.as_str() {
        "" => String::new(),
        label => format!(" ({})", clean(label)),
    };
    let user = session.user.as_deref().map(|user| format!(" as {}", clean(user))).unwrap_or_default();
    format!("Signed in to {}{account}{user}", clean(&session.host))
}
