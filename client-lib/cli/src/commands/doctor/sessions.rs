//! One session: how it is doing, and what only a person can do about it.

use jiff::Timestamp;
use sso_agent_client::proto::session::{Session, State};

use super::{super::time, Finding};

/// The client that `sso login` takes when none is named.
const STOCK_CLIENT: &str = "databricks-cli";

pub(super) fn check(session: &Session, now: Timestamp) -> Finding {
    let why = session.last_error.as_deref().unwrap_or("it does not say why");
    let told = format!("{}: {}", session.id, session.state.name().replace('_', " "));
    match session.state {
        State::Active | State::Refreshing => Finding::ok("session", format!("{told}{}", ends(session, now))),
        State::Retrying => {
            let hint = "the agent goes on trying by itself; see the network, and what the issuer says above";
            Finding::warn("session", format!("{told}{}: {why}", ends(session, now)), hint)
        }
        State::LoginRequired => {
            Finding::fail("session", format!("{told}: {why}"), format!("sign in: {}", sign_in(session)))
        }
    }
}

fn ends(session: &Session, now: Timestamp) -> String {
    match session.expires_at.map(|at| time::left(at, now)) {
        Some(Some(left)) => format!(", its token is good for {left}"),
        Some(None) => ", its token is over".to_owned(),
        None => String::new(),
    }
}

/// What to type to have this very session again.
fn sign_in(session: &Session) -> String {
    let mut command = format!("sso login {}", session.host);
    let options = [
        ("as", Some(session.label.as_str()).filter(|label| !label.is_empty())),
        ("account-id", session.account_id.as_deref()),
        ("client-id", Some(session.client_id.as_str()).filter(|id| *id != STOCK_CLIENT)),
    ];
    for (name, value) in options {
        command += &value.map(|value| format!(" --{name} {value}")).unwrap_or_default();
    }
    command
}

#[cfg(test)]
mod tests {
    use super::{super::Status, *};

    fn session(state: &str, changes: serde_json::Value) -> Session {
        let mut session = serde_json::json!({
            "id": "h", "host": "https://h", "label": "", "cloud": null, "issuer": "https://h",
            "client_id": STOCK_CLIENT, "user": null, "scopes": [], "state": state,
            "expires_at": "2026-01-01T00:59:00Z", "next_refresh_at": null, "last_error": null,
        });
        for (name, value) in changes.as_object().unwrap() {
            session[name] = value.clone();
        }
        serde_json::from_value(session).unwrap()
    }

    fn checked(state: &str, changes: serde_json::Value) -> Finding {
        check(&session(state, changes), "2026-01-01T00:00:00Z".parse().unwrap())
    }

    #[test]
    fn a_session_that_works_says_for_how_long() {
        let finding = checked("active", serde_json::json!({}));
        assert_eq!(finding, Finding::ok("session", "h: active, its token is good for 59m"));
    }

    #[test]
    fn a_session_that_is_retried_says_why_and_needs_nobody() {
        let finding = checked("retrying", serde_json::json!({"last_error": "no route"}));
        assert_eq!(finding.status, Status::Warn);
        assert_eq!(finding.message, "h: retrying, its token is good for 59m: no route");
    }

    #[test]
    fn a_session_that_is_over_says_what_to_type() {
        let finding = checked("login_required", serde_json::json!({"last_error": "revoked"}));
        assert_eq!((finding.status, finding.message.as_str()), (Status::Fail, "h: login required: revoked"));
        assert_eq!(finding.hint, "sign in: sso login https://h");
        let of_work = serde_json::json!({"label": "work", "account_id": "a-1", "client_id": "mine"});
        assert_eq!(
            checked("login_required", of_work).hint,
            "sign in: sso login https://h --as work --account-id a-1 --client-id mine"
        );
    }
}
