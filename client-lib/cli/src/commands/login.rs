//! `sso login`. Interrupting it hangs up, which takes the sign-in back.

use std::collections::BTreeMap;

use secrecy::SecretString;
use sso_agent_client::{
    blocking::Agent,
    proto::session::{Flow, Login, Session, Step},
};

use super::{resolved, secrets};
use crate::{
    args, browser,
    exit::Failure,
    output::{Output, clean},
};

/// The variables of workload identity (`env-oidc`, `github-oidc`).
const WORKLOAD_IDENTITY: &[&str] = &[
    "DATABRICKS_OIDC_TOKEN_ENV",
    "DATABRICKS_OIDC_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_URL",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
];

pub(super) fn run(args: args::Login, output: &Output) -> Result<(), Failure> {
    let which = resolved(args.which);
    if which.host.is_none() && which.profile.is_none() && args.issuer.is_none() {
        return Err(Failure::usage("no host is named", "say where: `sso login HOST`"));
    }
    let by_browser = args.no_browser || args.port.is_some();
    let secret =
        if args.client_secret_stdin { Some(secrets::from_stdin("client secret", output)?) } else { None };
    let login = Login {
        host: which.host,
        profile: which.profile,
        label: which.label,
        account_id: which.account_id,
        client_id: args.client_id,
        flow: if secret.is_some() && !by_browser { Flow::ClientCredentials } else { Flow::Browser },
        client_secret: secret,
        scopes: args.scopes,
        redirect_port: args.port,
        timeout_s: Some(args.timeout.as_secs()),
        issuer: args.issuer,
        provider: args.provider,
        discovery_url: variable("DATABRICKS_DISCOVERY_URL"),
        variables: workload_identity(),
    };
    let session = Agent::connect()?.login(login, |step| show(&step, args.no_browser, output))?;
    output.result(&session, || signed_in(&session))
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// What this environment says of a workload identity: the agent has an environment of its own.
pub(super) fn workload_identity() -> BTreeMap<String, SecretString> {
    let renamed = variable("DATABRICKS_OIDC_TOKEN_ENV");
    let names = renamed.as_deref().into_iter().chain(WORKLOAD_IDENTITY.iter().copied());
    names.filter_map(|name| Some((name.to_owned(), variable(name)?.into()))).collect()
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
