//! How a command fails: one line that says what happened, one that says what to do next, and a code.

use std::process::ExitCode;

use clap::error::ErrorKind;
use serde::Serialize;
use sso_agent_client::Error;

use crate::output::Output;

/// What a failed command exits with when nothing more is known.
pub(crate) const FAILED: u8 = 1;
const USAGE: u8 = 2;
const UNREACHABLE: u8 = 3;

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// To be told.
    Told { code: u8, told: Told },
    /// Nobody is there to be told, or everything was said.
    Silent(u8),
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Told {
    pub(crate) kind: &'static str,
    pub(crate) message: String,
    pub(crate) hint: String,
}

impl Failure {
    pub(crate) fn new(code: u8, message: impl Into<String>, hint: impl Into<String>) -> Self {
        let kind = match code {
            USAGE => "usage",
            UNREACHABLE => "agent_unreachable",
            _ => "failed",
        };
        Self::Told { code, told: Told { kind, message: message.into(), hint: hint.into() } }
    }

    pub(crate) fn failed(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(FAILED, message, hint)
    }

    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(USAGE, message, hint)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let (kind, code) = match (&error, error.kind()) {
            (_, Some(kind)) => (kind.name(), kind.exit_code()),
            (Error::Unreachable { .. }, None) => ("agent_unreachable", UNREACHABLE),
            (_, None) => ("failed", FAILED),
        };
        Self::Told { code, told: Told { kind, message: error.to_string(), hint: error.hint().to_owned() } }
    }
}

/// Tells the person, and gives the code.
pub(crate) fn report(failure: &Failure, output: &Output) -> ExitCode {
    match failure {
        Failure::Told { code, told } => {
            output.failure(told);
            ExitCode::from(*code)
        }
        Failure::Silent(code) => ExitCode::from(*code),
    }
}

/// The same for what is no valid command line. Help and version count as such, and are none.
pub(crate) fn report_usage(error: &clap::Error, output: &Output) -> ExitCode {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return match output.text(&error.render().ansi().to_string()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => report(&failure, output),
        };
    }
    if output.is_json() {
        let text = error.render().to_string();
        let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        return report(&Failure::usage(message, "see `sso --help`"), output);
    }
    output.note(error.render().ansi().to_string().trim_end());
    ExitCode::from(USAGE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sso_agent_client::proto::fault::{Fault, Kind};

    #[test]
    fn the_agents_words_and_its_kind_decide() {
        let failure = Failure::from(Error::from(Fault::new(Kind::LoginRequired, "m", "h")));
        let Failure::Told { code, told } = failure else { panic!("silent") };
        assert_eq!(code, 4);
        let error = serde_json::json!({"kind": "login_required", "message": "m", "hint": "h"});
        assert_eq!(serde_json::to_value(told).unwrap(), error);
    }
}
