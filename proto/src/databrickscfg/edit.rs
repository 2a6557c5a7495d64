//! Changes to the file that keep whatever they are not about: comments, order, blank lines, line endings.
//!
//! A text that cannot be read is not changed, and what comes out can be read.

use super::{
    BadConfig, Config, DEFAULT, SETTINGS, Section,
    scan::{Line, Role, Scan, without_comment},
};

/// What a new file begins with, as the CLI has it.
const FALLBACK: &str = "; The profile defined in the DEFAULT section is to be used as a fallback when no profile is explicitly specified.";

/// Why a change is not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadEdit {
    /// What is there cannot be read.
    #[error(transparent)]
    Config(#[from] BadConfig),
    /// It could not stand in brackets.
    #[error("{0:?} cannot be the name of a profile")]
    Name(String),
    /// It would be read back as something else.
    #[error("the value for {0} cannot stand in the file")]
    Value(String),
    /// The rest of the file would be read as something else.
    #[error("the file is written in a way that this change would damage: change it by hand")]
    Damage,
}

/// Sets keys of a profile, or takes them out of it. A profile that is not there is added at the end.
///
/// # Errors
/// See [`BadEdit`].
pub fn set(text: &str, profile: &str, changes: &[(&str, Option<&str>)]) -> Result<String, BadEdit> {
    if profile == SETTINGS {
        return Err(BadEdit::Name(profile.to_owned()));
    }
    set_any(text, profile, changes)
}

/// Says which profile counts where none is named; `None` takes that back.
///
/// # Errors
/// See [`BadEdit`].
pub fn set_default(text: &str, profile: Option<&str>) -> Result<String, BadEdit> {
    set_any(text, SETTINGS, &[("default_profile", profile)])
}

/// Takes a profile out. Of `[DEFAULT]` the brackets stay, as in the CLI.
///
/// # Errors
/// See [`BadEdit`].
pub fn remove(text: &str, profile: &str) -> Result<String, BadEdit> {
    let scan = Scan::of(text)?;
    let (mut out, mut lines) = (scan.mark.to_owned(), scan.lines.as_slice());
    while let Some((line, rest)) = lines.split_first() {
        lines = rest;
        if line.role != Role::Header(profile) || profile == SETTINGS {
            out += line.whole;
            continue;
        }
        if profile == DEFAULT {
            out += line.whole;
        }
        let blank = |line: &&Line<'_>| line.role == Role::Blank;
        lines = &lines[own(lines)..];
        lines = &lines[lines.iter().take_while(blank).count()..];
    }
    checked(text, out, profile)
}

/// How many of the lines behind a header are its section's: up to its last entry.
fn own(lines: &[Line<'_>]) -> usize {
    let section = lines.iter().take_while(|line| !matches!(line.role, Role::Header(_)));
    let entry = |(index, line): (usize, &Line<'_>)| {
        matches!(line.role, Role::Entry { .. } | Role::More(_)).then_some(index + 1)
    };
    section.enumerate().filter_map(entry).last().unwrap_or(0)
}

fn set_any(text: &str, section: &str, changes: &[(&str, Option<&str>)]) -> Result<String, BadEdit> {
    let scan = Scan::of(text)?;
    if !is_name(section) {
        return Err(BadEdit::Name(section.to_owned()));
    }
    if let Some((key, _)) = changes.iter().find(|(key, value)| !is_key(key) || !value.is_none_or(is_value)) {
        return Err(BadEdit::Value((*key).to_owned()));
    }
    let pending = pending(&Config::parse(text)?, section, changes);
    let header = scan.lines.iter().rposition(|line| line.role == Role::Header(section));
    let mut edit = Edit { out: scan.mark.to_owned(), ending: ending(&scan.lines), indent: "", pending };
    match header {
        Some(header) => edit.change(&scan.lines, section, header + own(&scan.lines[header + 1..])),
        None => edit.append(&scan.lines, section),
    }
    checked(text, edit.out, section)
}

/// A change as it is still to be made.
struct Pending<'a> {
    key: &'a str,
    value: Option<&'a str>,
}

/// Without what is so already.
fn pending<'a>(config: &Config, section: &str, changes: &[(&'a str, Option<&'a str>)]) -> Vec<Pending<'a>> {
    let found = config.sections.iter().find(|found| found.name == section);
    let is_so = |key: &str, value: Option<&str>| match found {
        Some(found) if value.is_none() => found.keys().all(|there| !there.eq_ignore_ascii_case(key)),
        Some(found) => found.value(key) == value,
        None => value.is_none(),
    };
    changes
        .iter()
        .filter(|(key, value)| !is_so(key, *value))
        .map(|&(key, value)| Pending { key, value })
        .collect()
}

struct Edit<'a> {
    out: String,
    ending: &'a str,
    /// What new keys begin with.
    indent: &'a str,
    pending: Vec<Pending<'a>>,
}

impl<'a> Edit<'a> {
    /// Writes all lines, with the changes; keys that are not there yet come behind the line `last`.
    ///
    /// A line that begins further in than a key before it belongs to that key: so new keys begin as far
    /// in as what is before and behind them.
    fn change(&mut self, lines: &[Line<'a>], section: &str, last: usize) {
        let next = lines[last + 1..].iter().find(|line| matches!(line.role, Role::Header(_)));
        let before = if matches!(lines[last].role, Role::More(_)) { None } else { Some(&lines[last]) };
        let indents = before.into_iter().chain(next).map(|line| indent(line.whole));
        self.indent = indents.max_by_key(|indent| indent.len()).unwrap_or_default();
        let mut inside = false;
        let mut replaced = false;
        for (index, line) in lines.iter().enumerate() {
            match line.role {
                Role::Header(name) => {
                    inside = name == section;
                    self.out += line.whole;
                }
                Role::Entry { key, .. } => replaced = self.entry(line.whole, key, inside),
                Role::More(_) if replaced => {}
                Role::More(_) | Role::Blank | Role::Comment => self.out += line.whole,
            }
            if index == last {
                self.rest(0);
            }
        }
    }

    /// Says whether the entry was replaced.
    fn entry(&mut self, whole: &str, key: &str, inside: bool) -> bool {
        let found = self.pending.iter().position(|change| change.key.eq_ignore_ascii_case(key));
        let Some(change) = found.filter(|_| inside).map(|index| self.pending.remove(index)) else {
            self.out += whole;
            return false;
        };
        if let Some(value) = change.value {
            self.out += &with_value(whole, value);
        }
        true
    }

    fn append(&mut self, lines: &[Line<'_>], section: &str) {
        for line in lines {
            self.out += line.whole;
        }
        if lines.is_empty() {
            self.line(FALLBACK);
            self.line("[DEFAULT]");
        }
        if !lines.is_empty() || section != DEFAULT {
            if lines.last().is_none_or(|line| line.role != Role::Blank) {
                self.line("");
            }
            self.line(&format!("[{section}]"));
        }
        let width = self.pending.iter().map(|change| change.key.len()).max().unwrap_or_default();
        self.rest(width);
    }

    /// Writes what is still to be set.
    fn rest(&mut self, width: usize) {
        for Pending { key, value } in std::mem::take(&mut self.pending) {
            if let Some(value) = value {
                self.line(&format!("{}{key:width$} = {value}", self.indent));
            }
        }
    }

    /// A new line. The one before may be the last of a file that ends without an ending.
    fn line(&mut self, text: &str) {
        if !self.out.is_empty() && !self.out.ends_with(['\n', '\r', '\u{feff}']) {
            self.out += self.ending;
        }
        self.out += text;
        self.out += self.ending;
    }
}

/// The same line with another value; an inline comment stays.
fn with_value(whole: &str, value: &str) -> String {
    let line = whole.trim_end();
    let Some(delimiter) = line.find(['=', ':']) else { return whole.to_owned() };
    let behind = &line[delimiter + 1..];
    let old = behind.trim_start();
    let space = if behind.len() > old.len() { &behind[..behind.len() - old.len()] } else { " " };
    let tail = &old[without_comment(old).len()..];
    format!("{}{space}{value}{tail}{}", &line[..=delimiter], &whole[line.len()..])
}

/// The line ending of a file is that of its first line.
fn ending<'a>(lines: &[Line<'a>]) -> &'a str {
    let of_line = lines.first().map(|line| &line.whole[line.whole.trim_end_matches(['\n', '\r']).len()..]);
    // An entry that is the last line may have none, and several blank ones in a row are one each.
    of_line.filter(|ending| !ending.is_empty()).unwrap_or("\n")
}

fn indent(line: &str) -> &str {
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

/// Sees that what comes out can be read, and that all but one section is read as before.
fn checked(before: &str, after: String, changed: &str) -> Result<String, BadEdit> {
    let (old, new) = (Config::parse(before)?, Config::parse(&after)?);
    let others = |config: &Config| -> Vec<Section> {
        let not_changed = |section: &&Section| section.name != changed && !is_fallback(section);
        config.sections.iter().filter(not_changed).cloned().collect()
    };
    let same = |(one, other): (&Section, &Section)| one.name == other.name && one.entries == other.entries;
    let (old, new) = (others(&old), others(&new));
    if old.len() == new.len() && old.iter().zip(&new).all(same) { Ok(after) } else { Err(BadEdit::Damage) }
}

/// The brackets that a new file begins with.
fn is_fallback(section: &Section) -> bool {
    section.name == DEFAULT && section.entries.is_empty()
}

fn is_name(name: &str) -> bool {
    is_plain(name) && !name.contains(['[', ']'])
}

fn is_key(key: &str) -> bool {
    is_plain(key) && !key.contains(['=', ':']) && !key.starts_with(['#', ';', '['])
}

fn is_value(value: &str) -> bool {
    is_plain(value) && without_comment(value) == value
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.trim() == text && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests;
