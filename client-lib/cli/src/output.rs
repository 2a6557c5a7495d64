//! The one place that prints: results to stdout, everything else to stderr.
//!
//! A reader that went away is no failure of ours, and nothing that the agent or an issuer sent may
//! steer the terminal.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write};

use anstyle::{AnsiColor, Style};
use secrecy::zeroize::Zeroizing;
use serde::Serialize;

use crate::exit::{Failure, Told};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();
const LONGEST_ANSWER: u64 = 1024;

/// How results are printed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// A result, as JSON or in words.
    pub(crate) fn result(
        &self,
        value: &impl Serialize,
        words: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        if self.json { self.json(value) } else { self.text(&words()) }
    }

    fn json(&self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value).map_err(|error| unwritten(&error.into()))?;
        self.text(&text)
    }

    /// One of many results, as one line.
    pub(crate) fn row(&self, value: &impl Serialize, words: impl FnOnce() -> String) -> Result<(), Failure> {
        if !self.json {
            return self.text(&words());
        }
        let text = serde_json::to_string(value).map_err(|error| unwritten(&error.into()))?;
        self.text(&text)
    }

    /// A result in words; colours show on a terminal only.
    pub(crate) fn text(&self, text: &str) -> Result<(), Failure> {
        let mut stdout = anstream::stdout().lock();
        let end = if text.ends_with('\n') { "" } else { "\n" };
        delivered(write!(stdout, "{text}{end}").and_then(|()| stdout.flush()))
    }

    /// Bytes as they are.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        delivered(stdout.write_all(bytes).and_then(|()| stdout.flush()))
    }

    /// A secret, past all buffers that nobody wipes.
    pub(crate) fn secret(&self, line: &Zeroizing<Vec<u8>>) -> Result<(), Failure> {
        delivered(unbuffered().and_then(|mut stdout| stdout.write_all(line)))
    }

    /// Something that the person needs to know and no program reads.
    #[expect(clippy::unused_self, reason = "printing goes through here")]
    pub(crate) fn note(&self, text: &str) {
        // Whoever closed stderr does not want to know.
        let _ = writeln!(anstream::stderr(), "{text}");
    }

    /// Asks a person yes or no, which is no unless they say otherwise.
    #[expect(clippy::unused_self, reason = "printing goes through here")]
    pub(crate) fn ask(&self, question: &str) -> bool {
        let mut stderr = anstream::stderr();
        let _ = write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush());
        let mut line = String::new();
        let read = io::stdin().lock().take(LONGEST_ANSWER).read_line(&mut line);
        read.is_ok() && is_yes(&line)
    }

    /// How far something is, for who looks on.
    pub(crate) fn progress(&self, text: &str) {
        if io::stderr().is_terminal() {
            self.note(text);
        }
    }

    pub(crate) fn failure(&self, told: &Told) {
        if self.json {
            let text = serde_json::json!({ "error": told }).to_string();
            return self.note(&text);
        }
        let mut text = format!("{ERROR}error:{ERROR:#} {}", clean(&told.message));
        if !told.hint.is_empty() {
            text += &format!("\n{HINT}hint:{HINT:#} {}", clean(&told.hint));
        }
        self.note(&text);
    }
}

/// Whether a person is there to be asked.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

fn is_yes(answer: &str) -> bool {
    ["y", "yes"].iter().any(|yes| answer.trim().eq_ignore_ascii_case(yes))
}

/// Whether a person looks at the results.
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether what is printed, or said, stays on a screen.
pub(crate) fn is_seen() -> bool {
    io::stdout().is_terminal() || io::stderr().is_terminal()
}

/// Without what would steer a terminal.
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(unix)]
fn unbuffered() -> io::Result<impl Write> {
    use std::os::fd::AsFd as _;
    io::stdout().as_fd().try_clone_to_owned().map(std::fs::File::from)
}

#[cfg(not(unix))]
fn unbuffered() -> io::Result<impl Write> {
    Ok(io::stdout().lock())
}

fn delivered(outcome: io::Result<()>) -> Result<(), Failure> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::Silent(0)),
        other => other.map_err(|error| unwritten(&error)),
    }
}

fn unwritten(error: &io::Error) -> Failure {
    Failure::failed(format!("the result cannot be written: {error}"), "see where stdout goes to")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        assert!(is_yes("y\n") && is_yes(" YES ") && !is_yes("") && !is_yes("n\n") && !is_yes("yesterday"));
    }

    #[test]
    fn what_others_wrote_does_not_steer_the_terminal() {
        assert_eq!(clean("a\x1b[2J\nb"), "a [2J b");
    }
}
