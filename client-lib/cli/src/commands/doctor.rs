//! `sso doctor`: looks at all that a sign-in and a token need, and says what to do about each finding.
//!
//! It looks and changes nothing: no agent is started, no folder made. What cannot be seen from here, such
//! as an issuer's certificate, is not claimed to be well.

mod agent;
mod machine;
mod network;
mod places;
mod service;
mod sessions;
mod stand_in;

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;
use serde::Serialize;
use sso_agent_client::{autostart, proto::places::Places};

use crate::{
    exit::{FAILED, Failure},
    output::{Output, clean},
};

/// What came of one check.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Finding {
    check: &'static str,
    status: Status,
    message: String,
    /// What to do; empty where all is well.
    hint: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    /// Works, but a person may want it otherwise.
    Warn,
    /// Something does not work until somebody acts.
    Fail,
}

impl Finding {
    fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self { check, status: Status::Ok, message: message.into(), hint: String::new() }
    }

    fn warn(check: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { check, status: Status::Warn, message: message.into(), hint: hint.into() }
    }

    fn fail(check: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { check, status: Status::Fail, message: message.into(), hint: hint.into() }
    }
}

pub(super) fn run(output: &Output) -> Result<(), Failure> {
    let findings = examine();
    output.result(&findings, || words(&findings))?;
    match findings.iter().any(|finding| finding.status == Status::Fail) {
        true => Err(Failure::Silent(FAILED)),
        false => Ok(()),
    }
}

/// In the order in which a person would look.
fn examine() -> Vec<Finding> {
    let var = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let now = Timestamp::now();
    let program = autostart::program();
    let mut findings = vec![machine::program(program.as_deref()), machine::clock(now)];
    match Places::from_env() {
        Ok(places) => {
            findings.extend(places::check(&places));
            let (of_agent, said) = agent::check(&places, now);
            findings.extend(of_agent);
            findings.push(machine::proxy(said.as_ref().map(|said| said.proxy.as_deref()), var));
            let agent::Said { sessions, proxy } = said.unwrap_or_default();
            findings.extend(sessions.iter().map(|session| sessions::check(session, now)));
            findings.extend(network::check(&sessions, proxy.as_deref()));
        }
        Err(error) => {
            findings.push(Finding::fail("places", error.to_string(), "correct the environment variable"));
        }
    }
    findings.extend(machine::certificates(var));
    findings.push(machine::browser(var));
    findings.push(stand_in::check());
    findings.extend(service::check(program.as_deref()));
    findings
}

fn words(findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.check.len()).max().unwrap_or_default();
    findings.iter().map(|finding| line(finding, width)).collect()
}

fn line(finding: &Finding, width: usize) -> String {
    let (mark, style) = mark(finding.status);
    let message = clean(&finding.message);
    let mut text = format!("{style}{mark}{style:#}  {:width$}  {message}\n", finding.check);
    if !finding.hint.is_empty() {
        text += &format!("{:6}{:width$}  → {}\n", "", "", clean(&finding.hint));
    }
    text
}

fn mark(status: Status) -> (&'static str, Style) {
    match status {
        Status::Ok => ("ok  ", AnsiColor::Green.on_default()),
        Status::Warn => ("warn", AnsiColor::Yellow.on_default()),
        Status::Fail => ("FAIL", AnsiColor::Red.on_default().bold()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_check_is_a_line_and_what_to_do_stands_below() {
        let findings = [
            Finding::ok("agent", "runs"),
            Finding::warn("key", "in a \u{1b}[2Jfile", "do this"),
            Finding::fail("clock", "is wrong", "set it"),
        ];
        let text = anstream::adapter::strip_str(&words(&findings)).to_string();
        assert_eq!(
            text,
            "ok    agent  runs\n\
             warn  key    in a  [2Jfile\n             → do this\n\
             FAIL  clock  is wrong\n             → set it\n"
        );
    }

    #[test]
    fn a_program_reads_the_same_words() {
        let finding = Finding::warn("key", "m", "h");
        let json = serde_json::json!({"check": "key", "status": "warn", "message": "m", "hint": "h"});
        assert_eq!(serde_json::to_value(finding).unwrap(), json);
    }
}
