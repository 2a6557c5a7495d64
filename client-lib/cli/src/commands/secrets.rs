//! Secrets that a person brings, where no list of processes shows them.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};

use secrecy::{SecretString, zeroize::Zeroizing};

use crate::{exit::Failure, output::Output};

const LONGEST: usize = 16 * 1024;

/// One line from stdin.
pub(super) fn from_stdin(what: &str, output: &Output) -> Result<SecretString, Failure> {
    if io::stdin().is_terminal() {
        output.note(&format!("Paste the {what} and press Enter (it shows on the screen):"));
    }
    let mut line = Zeroizing::new(String::with_capacity(LONGEST));
    let read = io::stdin().lock().take(LONGEST as u64).read_line(&mut line);
    read.map_err(|error| {
        Failure::failed(format!("stdin cannot be read: {error}"), format!("pipe the {what} in"))
    })?;
    match line.trim() {
        "" => Err(Failure::usage(format!("there is no {what} on stdin"), "pipe it in: `… < secret.txt`")),
        secret => Ok(secret.into()),
    }
}

/// Asks a person, who sees nothing of what they type; where no person is, it comes by stdin.
pub(super) fn typed(what: &str, question: &str, output: &Output) -> Result<SecretString, Failure> {
    if !io::stdin().is_terminal() {
        return from_stdin(what, output);
    }
    let typed = rpassword::prompt_password(question).map(Zeroizing::new);
    let typed = typed.map_err(|error| {
        Failure::failed(format!("the terminal cannot be read: {error}"), format!("pipe the {what} in"))
    })?;
    match typed.as_str() {
        "" => Err(Failure::usage(format!("no {what} was typed"), "try again")),
        typed => Ok(typed.into()),
    }
}
