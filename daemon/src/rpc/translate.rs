//! The words of the protocol and the words of the core, one into the other, and nothing else.

use std::time::Duration;

use sso_agent_core::{
    host::{Host, HostError},
    login::Step,
    refusal::{OAuthError, Refusal},
    session::{Doing, Session},
    time::Now,
    words::{Label, Need, Renewable, SessionId},
};
use sso_agent_proto::{
    DEFAULT_MIN_VALID_S, DEFAULT_WAIT_S,
    fault::{Fault, Kind},
    session as wire,
    token::TokenGet,
};

use crate::clock;

/// How long a person may take to sign in.
pub(crate) const LOGIN_TIMEOUT_S: u64 = 300;

/// Nobody waits longer than a day.
const LONGEST_WAIT_S: u64 = 24 * 3600;

/// Reads what a token must be like; one younger than `youth` is new.
pub(crate) fn need(ask: &TokenGet, youth: Duration) -> Need {
    Need {
        min_valid: seconds(ask.min_valid_s.unwrap_or(DEFAULT_MIN_VALID_S)),
        // Who names no time is better served by a short one than by none, while no other can be had.
        required: seconds(ask.min_valid_s.unwrap_or_default()),
        youth: ask.force_refresh.then_some(youth),
        not: ask.refused.clone(),
    }
}

/// Reads how long somebody will wait for it.
pub(crate) fn wait(ask: &TokenGet) -> Duration {
    seconds(ask.wait_s.unwrap_or(DEFAULT_WAIT_S))
}

/// Tells how far a sign-in is; where to go is told otherwise.
pub(crate) fn step(step: Step) -> wire::Step {
    match step {
        Step::Authorize | Step::Waiting => wire::Step::Waiting,
        Step::Exchanging => wire::Step::Exchanging,
    }
}

/// Tells how a session is doing.
pub(crate) fn session(session: &Session, now: Now) -> wire::Session {
    let about = session.about();
    wire::Session {
        id: about.id.to_string(),
        host: about.host.url().to_owned(),
        label: about.label.as_str().to_owned(),
        cloud: about.host.cloud().map(|cloud| cloud.name().to_owned()),
        account_id: about.host.account_id().map(str::to_owned),
        issuer: about.issuer.clone(),
        client_id: about.client_id.clone(),
        user: about.user.clone(),
        scopes: about.scopes.clone(),
        state: state(session, now),
        expires_at: session.lease().map(|lease| clock::timestamp(now.wall + lease.expires.left(now))),
        next_refresh_at: session.next_renewal().map(|at| clock::timestamp(now.wall + at.left(now))),
        last_error: session.last_error(),
        refreshable: session.renewable() != Renewable::Never,
        web: None,
    }
}

/// Tells its state alone.
pub(crate) fn state(session: &Session, now: Now) -> wire::State {
    match session.doing(now) {
        Doing::Active => wire::State::Active,
        Doing::Refreshing => wire::State::Refreshing,
        Doing::Retrying => wire::State::Retrying,
        Doing::LoginRequired => wire::State::LoginRequired,
    }
}

/// Tells why not, and what to do about it.
pub(crate) fn fault(refusal: &Refusal) -> Fault {
    match refusal {
        Refusal::LoginRequired { at, why, said } => {
            let (message, place) = match at.as_str() {
                "" => (why.clone(), "HOST".to_owned()),
                at => (format!("{at}: {why}"), login_args(at)),
            };
            let hint = format!("sign in: sso login {place}");
            said_by(Fault::new(Kind::LoginRequired, message, hint), said.as_ref())
        }
        Refusal::ConsentRequired { why, said } => {
            let hint = "send the user to sign in again: consent.start";
            said_by(Fault::new(Kind::LoginRequired, why, hint), said.as_ref())
        }
        Refusal::Denied { why, hint } => Fault::new(Kind::Denied, why, *hint),
        Refusal::Unknown { what } => {
            Fault::new(Kind::UnknownHost, what, "`sso status` shows who is signed in where")
        }
        Refusal::Ambiguous { profiles, .. } if profiles.len() > 1 => Fault::new(
            Kind::Ambiguous,
            format!("more than one profile fits: {}", profiles.join(", ")),
            "name one with --profile",
        ),
        Refusal::Ambiguous { sessions, .. } => {
            let names: Vec<&str> = sessions.iter().map(SessionId::as_str).collect();
            Fault::new(
                Kind::Ambiguous,
                format!("more than one session fits: {}", names.join(", ")),
                "name the account with --as, or the profile with --profile",
            )
        }
        Refusal::Unavailable { why, retry_after } => {
            let seconds = retry_after.as_secs().max(1);
            let mut fault =
                Fault::new(Kind::IssuerUnavailable, why, format!("it is worth another try in {seconds} s"));
            fault.data.retry_after_s = Some(seconds);
            fault
        }
        Refusal::Rejected(said) => {
            let hint = "check the client and the scopes, then sign in again with `sso login`";
            said_by(Fault::new(Kind::IssuerRejected, format!("the issuer refused: {said}"), hint), Some(said))
        }
        Refusal::Timeout => Fault::new(Kind::Timeout, "it took too long", "try again, or allow more time"),
        Refusal::Cancelled { why } => Fault::new(Kind::Cancelled, why, "try again when you are ready"),
        Refusal::StoreFailed { why } => Fault::new(
            Kind::StoreFailed,
            why,
            "see that the state folder can be written: `sso agent logs` says more",
        ),
        Refusal::Unsupported { why } => {
            Fault::new(Kind::Unsupported, why, "`sso login --help` shows what there is")
        }
    }
}

/// With what the issuer said.
pub(crate) fn said_by(mut fault: Fault, said: Option<&OAuthError>) -> Fault {
    fault.data.oauth_error = said.map(|said| said.error.clone());
    fault.data.oauth_error_description = said.and_then(|said| said.description.clone());
    fault
}

/// What to type behind `sso login` for a host, with its label behind a `#`.
fn login_args(at: &str) -> String {
    match at.split_once('#') {
        Some((host, label)) => format!("{host} --as {label}"),
        None => at.to_owned(),
    }
}

/// Reads a host.
pub(crate) fn host(typed: &str, account_id: Option<&str>) -> Result<Host, Fault> {
    Host::parse(typed, account_id).map_err(|error| {
        let hint = match error {
            HostError::AccountMissing(_) | HostError::BadAccount(_) => {
                "the account console shows the account id, a UUID"
            }
            HostError::NotAHost(_) | HostError::NotSecure(_) | HostError::Credentials => {
                "a host looks like adb-1.2.azuredatabricks.net or https://issuer.example.com/path"
            }
        };
        Fault::new(Kind::UnknownHost, error.to_string(), hint)
    })
}

/// Reads a label.
pub(crate) fn label(text: &str) -> Result<Label, Fault> {
    Label::parse(text).map_err(|error| {
        Fault::new(Kind::UnknownHost, error.to_string(), "`sso status` shows the labels that are in use")
    })
}

/// So many seconds, or as many as anybody waits.
pub(crate) fn seconds(n: u64) -> Duration {
    Duration::from_secs(n.min(LONGEST_WAIT_S))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_says_what_to_do_next() {
        let said = OAuthError { error: "invalid_grant".into(), description: None };
        let at = "a.example#work".to_owned();
        let refusals = [
            Refusal::LoginRequired { at, why: "x".into(), said: Some(said.clone()) },
            Refusal::Unknown { what: "x".into() },
            Refusal::ConsentRequired { why: "x".into(), said: None },
            Refusal::Denied { why: "x".into(), hint: "y" },
            Refusal::Ambiguous { sessions: vec![], profiles: vec![] },
            Refusal::Ambiguous { sessions: vec![], profiles: vec!["a".into(), "b".into()] },
            Refusal::Unavailable { why: "x".into(), retry_after: Duration::ZERO },
            Refusal::Rejected(said),
            Refusal::Timeout,
            Refusal::Cancelled { why: "x".into() },
            Refusal::StoreFailed { why: "x".into() },
            Refusal::Unsupported { why: "x".into() },
        ];
        for refusal in &refusals {
            let fault = fault(refusal);
            assert!(!fault.message.is_empty() && !fault.data.hint.is_empty(), "{fault:?}");
        }
        assert_eq!(fault(&refusals[0]).data.hint, "sign in: sso login a.example --as work");
        assert_eq!(fault(&refusals[0]).data.oauth_error.as_deref(), Some("invalid_grant"));
        assert_eq!(fault(&refusals[5]).message, "more than one profile fits: a, b");
        assert_eq!(fault(&refusals[6]).data.retry_after_s, Some(1));
    }
}
