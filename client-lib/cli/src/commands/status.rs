//! `sso status`: every session, and what a person should know of the agent that keeps them.

use comfy_table::{Cell, Color};
use jiff::Timestamp;
use serde::Serialize;
use sso_agent_client::{
    blocking::Agent,
    proto::{
        agent::{Info, Key},
        session::{Session, State, Target},
    },
};

use super::{
    table::{self, NONE},
    time, watch,
};
use crate::{
    args,
    exit::Failure,
    output::{Output, clean},
};

const HEADER: [&str; 7] = ["HOST", "LABEL", "USER", "STATE", "EXPIRES IN", "NEXT REFRESH", "LAST ERROR"];
const WEB_HEADER: [&str; 7] = ["SESSION", "APP", "USER", "STATE", "EXPIRES IN", "NEXT REFRESH", "IDLE IN"];

/// What is shown.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    agent: Info,
    sessions: Vec<Session>,
}

impl Shown {
    /// The id of the session that was asked for.
    pub(super) fn only_id(&self) -> String {
        self.sessions.first().map(|session| session.id.clone()).unwrap_or_default()
    }
}

pub(super) fn run(args: args::Status, output: &Output) -> Result<(), Failure> {
    let mut agent = Agent::connect()?;
    if args.watch {
        return watch::run(agent, args.host, output);
    }
    if args.web {
        let sessions = web_sessions(&mut agent, args.host.clone())?;
        let shown = Shown { sessions, agent: agent.info()? };
        let at = args.host.as_deref();
        return output.result(&shown, || web_words(&shown.sessions, at, Timestamp::now()));
    }
    let shown = fetch(&mut agent, args.host.as_deref())?;
    output.result(&shown, || words(&shown, Timestamp::now()))
}

pub(super) fn fetch(agent: &mut Agent, host: Option<&str>) -> Result<Shown, Failure> {
    let sessions = match host {
        None => agent.sessions()?,
        Some(host) => {
            vec![agent.session(Target { host: Some(host.to_owned()), ..Target::default() })?]
        }
    };
    Ok(Shown { agent: agent.info()?, sessions })
}

pub(super) fn words(shown: &Shown, now: Timestamp) -> String {
    let mut text = match shown.sessions.as_slice() {
        [] => "No sessions. Sign in with `sso login HOST`.\n".to_owned(),
        sessions => table::lines(HEADER, sessions.iter().map(|session| row(session, now))),
    };
    for remark in remarks(&shown.agent) {
        text += &format!("\n{remark}");
    }
    text
}

/// The users at a host, all of them, or the one with that id.
fn web_sessions(agent: &mut Agent, which: Option<String>) -> Result<Vec<Session>, Failure> {
    match which {
        Some(id) if id.contains("#~") => {
            Ok(vec![agent.session(Target { session: Some(id), ..Target::default() })?])
        }
        host => Ok(agent.web_sessions(host)?),
    }
}

fn web_words(sessions: &[Session], at: Option<&str>, now: Timestamp) -> String {
    match sessions {
        [] => match at {
            Some(host) => format!("No web app has signed anybody in at {}.\n", clean(host)),
            None => "No web app has signed anybody in.\n".to_owned(),
        },
        sessions => table::lines(WEB_HEADER, sessions.iter().map(|session| web_row(session, now))),
    }
}

fn row(session: &Session, now: Timestamp) -> [Cell; 7] {
    [
        Cell::new(clean(&session.host)),
        Cell::new(or_none(Some(&session.label))),
        Cell::new(or_none(session.user.as_deref())),
        Cell::new(session.state.name()).fg(colour(session.state)),
        Cell::new(until(session.expires_at, "expired", now)),
        Cell::new(until(session.next_refresh_at, "now", now)),
        Cell::new(or_none(session.last_error.as_deref())),
    ]
}

fn web_row(session: &Session, now: Timestamp) -> [Cell; 7] {
    let web = session.web.as_ref();
    let by = web.and_then(|web| web.app.as_deref()).unwrap_or(&session.client_id);
    let refreshed = match session.next_refresh_at {
        None if !session.refreshable => "never: no refresh token".to_owned(),
        at => until(at, "now", now),
    };
    [
        Cell::new(clean(&session.id)),
        Cell::new(or_none(Some(by))),
        Cell::new(or_none(session.user.as_deref())),
        Cell::new(session.state.name()).fg(colour(session.state)),
        Cell::new(until(session.expires_at, "expired", now)),
        Cell::new(refreshed),
        Cell::new(until(web.map(|web| web.idle_at), "now", now)),
    ]
}

fn or_none(text: Option<&str>) -> String {
    match text.map(clean) {
        Some(text) if !text.is_empty() => text,
        _ => NONE.to_owned(),
    }
}

fn until(at: Option<Timestamp>, over: &str, now: Timestamp) -> String {
    match at {
        Some(at) => time::left(at, now).unwrap_or_else(|| over.to_owned()),
        None => NONE.to_owned(),
    }
}

fn colour(state: State) -> Color {
    match state {
        State::Active => Color::Green,
        State::Refreshing => Color::Cyan,
        State::Retrying => Color::Yellow,
        State::LoginRequired => Color::Red,
    }
}

fn remarks(agent: &Info) -> Vec<String> {
    let mut remarks = Vec::new();
    match agent.key {
        Key::File => remarks.push(
            "The sessions are sealed with a key file: it protects copies and backups, not the account."
                .to_owned(),
        ),
        Key::None => remarks.push("The agent is ephemeral: it keeps nothing on disk.".to_owned()),
        Key::Keyring | Key::Credential | Key::Passphrase => {}
    }
    remarks.extend(agent.key_problem.as_deref().map(|what| format!("Key: {}.", clean(what))));
    if agent.web_sessions > 0 {
        let count = agent.web_sessions;
        remarks.push(format!("Web apps have signed in {count} users: `sso status --web`."));
    }
    if agent.locked {
        remarks.push("The agent is locked and hands out no tokens: `sso unlock`.".to_owned());
    }
    remarks.extend(
        agent
            .config_problems
            .iter()
            .map(|problem| format!("A config file is not in force: {}", clean(problem))),
    );
    remarks.extend(
        agent.unreadable.iter().map(|what| format!("Left alone, for it cannot be read: {}", clean(what))),
    );
    remarks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(key: &str, sessions: serde_json::Value) -> Shown {
        let agent = serde_json::json!({
            "version": "0.1.0", "protocol": 1, "pid": 7, "started_at": "2026-01-01T00:00:00Z", "sessions": 1,
            "locked": false, "methods": [], "key": key, "unreadable": ["sessions/x: of a newer version"],
        });
        Shown {
            agent: serde_json::from_value(agent).unwrap(),
            sessions: serde_json::from_value(sessions).unwrap(),
        }
    }

    fn plain(shown: &Shown) -> String {
        anstream::adapter::strip_str(&words(shown, "2026-01-01T00:00:00Z".parse().unwrap())).to_string()
    }

    #[test]
    fn a_session_is_a_line() {
        let session = serde_json::json!([{
            "id": "adb-1.azuredatabricks.net", "host": "https://adb-1.azuredatabricks.net", "label": "",
            "cloud": "azure", "issuer": "i", "client_id": "c", "user": "me@example.com", "scopes": [],
            "state": "active", "expires_at": "2026-01-01T00:59:03Z", "next_refresh_at": "2025-01-01T00:00:00Z",
            "last_error": "bad\u{1b}[2Jthing",
        }]);
        let text = plain(&shown("keyring", session));
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0].split_whitespace().next(), Some("HOST"));
        assert_eq!(
            lines[1].split_whitespace().collect::<Vec<_>>(),
            [
                "https://adb-1.azuredatabricks.net",
                "-",
                "me@example.com",
                "active",
                "59m",
                "3s",
                "now",
                "bad",
                "[2Jthing"
            ]
        );
        assert_eq!(lines[0].find("STATE"), lines[1].find("active"), "{text}");
    }

    #[test]
    fn the_user_of_a_web_app_is_a_line_that_says_whether_it_can_be_refreshed() {
        let sessions = serde_json::json!([{
            "id": "a.example#~01", "host": "https://a.example", "label": "", "cloud": null, "issuer": "i",
            "client_id": "c", "user": "ada@example.com", "scopes": [], "state": "active",
            "expires_at": "2026-01-01T00:59:03Z", "next_refresh_at": null, "last_error": null, "refreshable": false,
            "web": {"app": "shop", "last_used_at": "2026-01-01T00:00:00Z", "idle_at": "2026-01-08T00:00:00Z"},
        }]);
        let sessions: Vec<Session> = serde_json::from_value(sessions).unwrap();
        let text = web_words(&sessions, None, "2026-01-01T00:00:00Z".parse().unwrap());
        let text = anstream::adapter::strip_str(&text).to_string();
        let row = text.lines().nth(1).unwrap();
        for part in ["a.example#~01", "shop", "ada@example.com", "never: no refresh token"] {
            assert!(row.contains(part), "{row}");
        }
    }

    #[test]
    fn what_the_key_protects_and_what_is_unreadable_is_said_plainly() {
        let text = plain(&shown("file", serde_json::json!([])));
        assert!(text.starts_with("No sessions."));
        assert!(text.contains("protects copies and backups, not the account"));
        assert!(text.contains("sessions/x: of a newer version"));
    }
}
