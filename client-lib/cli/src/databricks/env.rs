//! `databricks auth env`: what configures a tool, as variables of an environment.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, zeroize::Zeroizing};
use serde::Serialize;

use crate::{
    args::{Format, Said},
    attributes::Attributes,
    file::Loaded,
    say::{self, Fail},
};

/// Where one stands, the CLI puts a value in quotes.
const SPECIAL: &[char] = &[
    ' ', '\t', '"', '\\', '$', '`', '!', '#', '&', '|', ';', '(', ')', '{', '}', '[', ']', '<', '>', '?',
    '*', '~', '\'',
];

#[derive(Serialize)]
struct Shown<'a> {
    env: BTreeMap<&'a str, &'a str>,
}

pub(crate) fn run(said: &Said) -> Result<(), Fail> {
    let file = Loaded::here()?;
    let attributes = Attributes::collect(said, &file)?;
    let shown = || attributes.values.iter().map(|value| (value.variable, value.value.expose_secret()));
    // The CLI prints JSON unless text is asked for in so many words.
    let text = match said.output {
        Some(Format::Text) => shown().map(|(name, value)| format!("{name}={}\n", quoted(value))).collect(),
        Some(Format::Json) | None => say::json(&Shown { env: shown().collect() })?,
    };
    say::text(&*Zeroizing::new(text.into_bytes()))
}

fn quoted(value: &str) -> String {
    match value {
        "" => "''".to_owned(),
        plain if !plain.contains(SPECIAL) => plain.to_owned(),
        _ => format!("'{}'", value.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        assert_eq!(["", "plain-1.x", "a b", "it's"].map(quoted), ["''", "plain-1.x", "'a b'", "'it'\\''s'"]);
    }
}
