//! The one place that prints: results to stdout, everything else to stderr, failures as the CLI has them.

use std::{
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    process::ExitCode,
};

use serde::Serialize;

/// Why a command failed: what stands behind `Error: `, or nothing when nobody is there to be told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fail(pub(crate) Option<String>);

/// All failures of the CLI exit with this.
const FAILED: u8 = 1;

impl Fail {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(Some(message.into()))
    }
}

/// What the agent said, in one line.
impl From<sso_agent_client::Error> for Fail {
    fn from(error: sso_agent_client::Error) -> Self {
        Self::new(clean(&format!("{error}. {}", error.hint())))
    }
}

/// Says why, and gives the code.
pub(crate) fn fail(fail: &Fail) -> ExitCode {
    match &fail.0 {
        Some(message) => {
            note(&format!("Error: {message}"));
            ExitCode::from(FAILED)
        }
        None => ExitCode::SUCCESS,
    }
}

/// A result, as it is.
pub(crate) fn text(text: impl AsRef<[u8]>) -> Result<(), Fail> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_ref()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Fail(None)),
        other => other.map_err(|error| Fail::new(format!("the result cannot be written: {error}"))),
    }
}

/// As Go prints JSON: indented by two, without a line ending behind it.
pub(crate) fn json(value: &impl Serialize) -> Result<String, Fail> {
    serde_json::to_string_pretty(value).map_err(|error| Fail::new(error.to_string()))
}

/// Something for a person.
pub(crate) fn note(text: &str) {
    // Whoever closed stderr does not want to know.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Asks the person, if there is one; an empty answer is the default.
pub(crate) fn ask(question: &str, default: &str) -> Option<String> {
    if !io::stdin().is_terminal() {
        return None;
    }
    let _ = write!(io::stderr(), "{question}: ");
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).ok()?;
    let answer = answer.trim();
    Some(if answer.is_empty() { default } else { answer }.to_owned())
}

/// Whether somebody could be asked.
pub(crate) fn is_asked() -> bool {
    io::stdin().is_terminal()
}

/// Without what would steer a terminal.
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
