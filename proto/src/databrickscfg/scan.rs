//! What each line of the file is. Reading and editing both go by this, so that they cannot disagree.

use std::collections::HashSet;

use super::{BadConfig, DEFAULT, LIMIT};

/// A text, cut into its lines.
pub(super) struct Scan<'a> {
    /// A byte order mark, or nothing.
    pub(super) mark: &'a str,
    pub(super) lines: Vec<Line<'a>>,
}

/// One line.
pub(super) struct Line<'a> {
    /// All of it, with its line ending.
    pub(super) whole: &'a str,
    pub(super) role: Role<'a>,
}

/// What a line is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role<'a> {
    Blank,
    Comment,
    /// The name of a section.
    Header(&'a str),
    /// Without white space around key and value, and without an inline comment.
    Entry {
        key: &'a str,
        value: &'a str,
    },
    /// More of the value above.
    More(&'a str),
}

impl<'a> Scan<'a> {
    pub(super) fn of(text: &'a str) -> Result<Self, BadConfig> {
        if text.len() > LIMIT {
            return Err(BadConfig::TooLarge { size: text.len() });
        }
        if text.contains('\0') {
            return Err(BadConfig::Binary);
        }
        let body = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mark = &text[..text.len() - body.len()];
        let mut reader = Reader::default();
        let lines = split(body).enumerate().map(|(index, whole)| {
            let role = reader.read(whole, index + 1)?;
            Ok(Line { whole, role })
        });
        Ok(Self { mark, lines: lines.collect::<Result<_, _>>()? })
    }
}

/// What decides on the next line.
#[derive(Default)]
struct Reader {
    section: Option<String>,
    sections: HashSet<String>,
    /// Of the section; `[DEFAULT]` may be there several times, but each of its keys only once.
    keys: HashSet<(String, String)>,
    /// Whether a value stands above that could go on.
    open: bool,
    /// How far in the last entry or section began.
    indent: usize,
}

impl Reader {
    fn read<'a>(&mut self, whole: &'a str, line: usize) -> Result<Role<'a>, BadConfig> {
        let text = whole.trim();
        if text.is_empty() {
            return Ok(Role::Blank);
        }
        if text.starts_with(['#', ';']) {
            return Ok(Role::Comment);
        }
        let indent = whole.chars().take_while(|c| c.is_whitespace()).count();
        if self.open && indent > self.indent {
            return Ok(Role::More(without_comment(text)));
        }
        self.indent = indent;
        match header(text) {
            Some(name) => self.enter(name, line),
            None => self.take(text, line),
        }
    }

    fn enter<'a>(&mut self, name: &'a str, line: usize) -> Result<Role<'a>, BadConfig> {
        if !self.sections.insert(name.to_owned()) && name != DEFAULT {
            return Err(BadConfig::SectionTwice { line });
        }
        self.section = Some(name.to_owned());
        self.open = false;
        Ok(Role::Header(name))
    }

    fn take<'a>(&mut self, text: &'a str, line: usize) -> Result<Role<'a>, BadConfig> {
        let Some(section) = &self.section else { return Err(BadConfig::BeforeFirstSection { line }) };
        let (key, value) = text.split_once(['=', ':']).ok_or(BadConfig::NotASetting { line })?;
        let key = key.trim_end();
        if key.is_empty() {
            return Err(BadConfig::NotASetting { line });
        }
        if !self.keys.insert((section.clone(), key.to_lowercase())) {
            return Err(BadConfig::KeyTwice { line });
        }
        self.open = true;
        Ok(Role::Entry { key, value: without_comment(value.trim_start()) })
    }
}

/// The name in the brackets, whatever stands behind them.
fn header(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('[')?;
    Some(&inside[..inside.rfind(']')?]).filter(|name| !name.is_empty())
}

/// Up to white space with `#` or `;` behind it, as the Go SDK reads it.
pub(super) fn without_comment(value: &str) -> &str {
    let mut after_space = false;
    for (at, c) in value.char_indices() {
        if after_space && matches!(c, '#' | ';') {
            return value[..at].trim_end();
        }
        after_space = c.is_whitespace();
    }
    value
}

/// Lines with their endings: `\n`, `\r\n` or `\r`.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let end = match rest.find(['\n', '\r']) {
            Some(at) if rest[at..].starts_with("\r\n") => at + 2,
            Some(at) => at + 1,
            None if rest.is_empty() => return None,
            None => rest.len(),
        };
        let (line, after) = rest.split_at(end);
        rest = after;
        Some(line)
    })
}
