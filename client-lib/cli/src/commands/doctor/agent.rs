//! The agent: whether it answers, whether it is of this version, and how it keeps its sessions.

use jiff::{SignedDuration, Timestamp};
use sso_agent_client::{
    Error,
    blocking::Agent,
    proto::{
        PROTOCOL,
        agent::{Info, Key},
        places::Places,
        session::Session,
    },
};

use super::{Finding, machine::SET_THE_CLOCK};

/// More than answers take, and than servers that keep their clocks are apart.
const OFF_S: u64 = 60;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Clocks are set back by a little all the time.
const JITTER: SignedDuration = SignedDuration::from_secs(5);

/// What an agent that answers has to say.
#[derive(Default)]
pub(super) struct Said {
    pub(super) sessions: Vec<Session>,
    /// The proxy that it reaches issuers by.
    pub(super) proxy: Option<String>,
}

/// What there is to say of the agent, and what it says itself, if it answers.
pub(super) fn check(places: &Places, now: Timestamp) -> (Vec<Finding>, Option<Said>) {
    match ask() {
        Ok((info, sessions)) => (judge(&info, places, now), Some(Said { sessions, proxy: info.proxy })),
        Err(error) => (vec![Finding::fail("agent", error.to_string(), error.hint())], None),
    }
}

/// Starts no agent: what is to be found is how things are. (A socket of systemd's starts one by itself.)
fn ask() -> Result<(Info, Vec<Session>), Error> {
    let mut agent = Agent::connect_running()?;
    Ok((agent.info()?, agent.sessions()?))
}

fn judge(info: &Info, places: &Places, now: Timestamp) -> Vec<Finding> {
    let mut findings = vec![version(info, places)];
    findings.extend(start(info, now));
    findings.extend(skew(info));
    findings.extend(info.config_problems.iter().map(|problem| {
        let hint = "what it said before stays in force until then; `sso config check` says more";
        Finding::fail("config", problem.clone(), hint)
    }));
    findings.push(key(info));
    findings.extend(info.unreadable.iter().map(|what| {
        let hint = "nothing of it was changed; where the reason cannot be mended, sign in there again";
        Finding::fail("records", format!("not loaded: {what}"), hint)
    }));
    findings
}

fn version(info: &Info, places: &Places) -> Finding {
    let Info { version, protocol, pid, .. } = info;
    let other = match (*protocol == PROTOCOL, version == VERSION) {
        (false, _) => format!("the agent speaks protocol {protocol}, this sso {PROTOCOL}"),
        (true, false) => format!("the agent is of version {version}, this sso of {VERSION}"),
        (true, true) => {
            let socket = places.socket.display();
            return Finding::ok(
                "agent",
                format!("version {version}, protocol {protocol}, pid {pid}, at {socket}"),
            );
        }
    };
    Finding::warn("agent", other, "install both of one version, then run `sso agent restart`")
}

fn start(info: &Info, now: Timestamp) -> Option<Finding> {
    (info.started_at.duration_since(now) > JITTER).then(|| {
        let message = format!("the agent started at {:.0}, which is still to come", info.started_at);
        Finding::fail("clock", message, "see that the clock is right, then run `sso agent restart`")
    })
}

/// Tokens do not mind a clock that is off, certificates and other programs do.
fn skew(info: &Info) -> Option<Finding> {
    let behind = info.clock_behind_s.filter(|behind| behind.unsigned_abs() > OFF_S)?;
    let way = if behind > 0 { "behind" } else { "ahead of" };
    let message = format!("the clock is {} s {way} that of the last issuer", behind.unsigned_abs());
    Some(Finding::warn("clock", message, SET_THE_CLOCK))
}

/// How the agent ends the words about a key that cannot be used; those about a file in place of a keyring end otherwise.
const NOTHING_KEPT: &str = "nothing new is kept";

fn key(info: &Info) -> Finding {
    if let Some(problem) =
        info.key_problem.as_deref().filter(|why| info.key != Key::File || why.ends_with(NOTHING_KEPT))
    {
        let hint = "unlock it, or move to another key with `sso agent rekey`";
        return Finding::fail("key", crate::output::clean(problem), hint);
    }
    match info.key {
        Key::Keyring => Finding::ok("key", "sealed with a key in the keyring"),
        Key::Credential => Finding::ok("key", "sealed with a credential of systemd"),
        Key::Passphrase => Finding::ok("key", "sealed with a key that a passphrase opens"),
        Key::None => {
            Finding::ok("key", "nothing is sealed: the agent is ephemeral and keeps nothing on disk")
        }
        Key::File => Finding::warn(
            "key",
            "sealed with a key file: protects copies and backups, not the account",
            "to have it in the keyring: unlock that, then `sso agent rekey --to keyring`",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Status, *};

    fn info(changes: serde_json::Value) -> Info {
        let mut info = serde_json::json!({
            "version": VERSION, "protocol": PROTOCOL, "pid": 7, "started_at": "2026-01-01T00:00:00Z",
            "sessions": 0, "locked": false, "methods": [], "key": "keyring", "unreadable": [],
        });
        for (name, value) in changes.as_object().unwrap() {
            info[name] = value.clone();
        }
        serde_json::from_value(info).unwrap()
    }

    fn judged(changes: serde_json::Value) -> Vec<Finding> {
        let [socket, http_socket, config] = ["/r/agent.sock", "/r/http.sock", "/c"].map(Into::into);
        let places = Places { socket, http_socket, config, state: "/s".into() };
        judge(&info(changes), &places, "2026-01-01T00:00:03Z".parse().unwrap())
    }

    fn worst(findings: &[Finding]) -> (&'static str, Status) {
        let worst = findings.iter().find(|finding| finding.status != Status::Ok);
        worst.map_or(("", Status::Ok), |finding| (finding.check, finding.status))
    }

    #[test]
    fn an_agent_of_this_version_with_a_keyring_is_well() {
        let findings = judged(serde_json::json!({}));
        assert_eq!(worst(&findings), ("", Status::Ok));
        assert!(findings[0].message.contains("pid 7, at /r/agent.sock"));
    }

    #[test]
    fn an_agent_of_another_version_is_to_be_restarted() {
        for other in [serde_json::json!({"version": "9.9.9"}), serde_json::json!({"protocol": 2})] {
            let findings = judged(other);
            assert_eq!(worst(&findings), ("agent", Status::Warn));
            assert!(findings[0].hint.contains("sso agent restart"));
        }
    }

    #[test]
    fn what_a_key_file_protects_is_said_plainly_and_how_to_do_without() {
        let findings = judged(serde_json::json!({"key": "file"}));
        assert_eq!(worst(&findings), ("key", Status::Warn));
        assert!(findings[1].message.ends_with("protects copies and backups, not the account"));
        assert!(findings[1].hint.contains("sso agent rekey"));
    }

    #[test]
    fn an_agent_that_will_start_tomorrow_means_a_wrong_clock() {
        let late = serde_json::json!({"started_at": "2026-01-02T00:00:00Z"});
        assert_eq!(worst(&judged(late)), ("clock", Status::Fail));
        let a_little = serde_json::json!({"started_at": "2026-01-01T00:00:05Z"});
        assert_eq!(worst(&judged(a_little)), ("", Status::Ok));
    }

    #[test]
    fn a_clock_that_an_issuer_does_not_share_is_to_be_set() {
        for behind in [90, -4000] {
            let findings = judged(serde_json::json!({"clock_behind_s": behind}));
            assert_eq!(worst(&findings), ("clock", Status::Warn));
        }
        assert_eq!(worst(&judged(serde_json::json!({"clock_behind_s": 59}))), ("", Status::Ok));
    }

    // Fault 52: the error is seen until it is mended.
    #[test]
    fn f52_a_config_file_that_cannot_be_used_is_a_finding() {
        let findings = judged(serde_json::json!({"config_problems": ["/c: line 3: what is this"]}));
        assert_eq!(worst(&findings), ("config", Status::Fail));
    }

    #[test]
    fn every_unreadable_record_is_a_finding_of_its_own() {
        let findings = judged(serde_json::json!({"unreadable": ["a", "b"]}));
        assert_eq!(findings.iter().filter(|finding| finding.check == "records").count(), 2);
        assert_eq!(worst(&findings), ("records", Status::Fail));
    }
}
