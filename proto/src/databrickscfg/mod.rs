//! The file of profiles that all Databricks tools share, `~/.databrickscfg`: text in, values out.
//!
//! The hard part is that each SDK reads it a little differently. The grammar is that of Python's
//! `configparser`, the strictest: `[section]`, `key = value` or `key: value`, keys in any case, full-line
//! comments with `#` or `;`, deeper lines continue a value, `%` means nothing, nothing is inherited from
//! `[DEFAULT]`, and the same section or key twice is an error. Of inline comments the reading is that of
//! the Go SDK and the CLI, since Python's makes them a part of the value that no host can have: white
//! space and then `#` or `;` starts one. A byte order mark and any line endings are fine.
//!
//! [`edit`] changes a file and keeps whatever it is not about.

use std::fmt;

use secrecy::{SecretString, zeroize::Zeroizing};

mod auth;
mod choose;
pub mod edit;
mod profile;
mod scan;

pub use auth::{AuthType, Conflict, auth_type, credentials};
pub use choose::{Choice, NoProfile, PROFILE_VARIABLE, choose};
pub use profile::{NO_WORKSPACE, Profile, scopes};

use scan::{Role, Scan};

/// The largest file that is read, in bytes.
pub const LIMIT: usize = 1024 * 1024;

/// The section that counts where no profile is named.
pub const DEFAULT: &str = "DEFAULT";

/// The section of the tools' own settings, which is no profile.
pub const SETTINGS: &str = "__settings__";

/// What a Databricks tool shows to nobody.
const SECRETS: &[&str] = &[
    "token",
    "password",
    "client_secret",
    "azure_client_secret",
    "google_credentials",
    "metadata_service_url",
    "refresh_token",
    "access_token",
];

/// Says whether the value of this key is one that nobody may see.
pub fn is_secret(key: &str) -> bool {
    SECRETS.iter().any(|secret| key.eq_ignore_ascii_case(secret))
}

/// Why a text is no file of profiles. Never quotes the text, which may hold secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadConfig {
    /// See [`LIMIT`].
    #[error("it has {size} bytes, more than the {LIMIT} that a file of profiles may have")]
    TooLarge {
        /// Of it, in bytes.
        size: usize,
    },
    /// A NUL, or bytes that are no UTF-8.
    #[error("it is binary, not a file of profiles")]
    Binary,
    /// Something stands where only a section can.
    #[error("line {line} stands before the first [section]")]
    BeforeFirstSection {
        /// Counted from 1.
        line: usize,
    },
    /// Neither a section nor a setting.
    #[error("line {line} is neither a [section] nor a key = value")]
    NotASetting {
        /// Counted from 1.
        line: usize,
    },
    /// Which of the two would count?
    #[error("line {line} starts a section that is there already")]
    SectionTwice {
        /// Counted from 1.
        line: usize,
    },
    /// Which of the two would count?
    #[error("line {line} sets a key that its section has already")]
    KeyTwice {
        /// Counted from 1.
        line: usize,
    },
}

/// A file of profiles that was read.
#[derive(Debug, Clone, Default)]
pub struct Config {
    sections: Vec<Section>,
}

impl Config {
    /// Reads a text.
    ///
    /// # Errors
    /// See [`BadConfig`].
    pub fn parse(text: &str) -> Result<Self, BadConfig> {
        let mut config = Self::default();
        let mut current = 0; // the scanner lets no entry stand before a section
        for line in Scan::of(text)?.lines {
            match line.role {
                Role::Header(name) => current = config.place(name),
                Role::Entry { key, value } => config.sections[current].begin(key, value),
                Role::More(value) => config.sections[current].go_on(value),
                Role::Blank | Role::Comment => {}
            }
        }
        Ok(config)
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// See [`BadConfig`].
    pub fn parse_bytes(bytes: &[u8]) -> Result<Self, BadConfig> {
        Self::parse(text(bytes)?)
    }

    /// All profiles, in the order of the file. An empty `[DEFAULT]` is none.
    pub fn profiles(&self) -> impl Iterator<Item = &Section> {
        let counts =
            |section: &&Section| section.name != SETTINGS && !(section.is_default() && section.is_empty());
        self.sections.iter().filter(counts)
    }

    /// The profile of this name. The settings are none.
    pub fn profile(&self, name: &str) -> Option<&Section> {
        self.profiles().find(|section| section.name == name)
    }

    /// What the tools' own settings say.
    pub fn settings(&self) -> Settings<'_> {
        let section = self.sections.iter().find(|section| section.name == SETTINGS);
        let get = |key| section.and_then(|section| section.get(key));
        Settings { default_profile: get("default_profile"), auth_storage: get("auth_storage") }
    }

    /// Where a section that begins has its place. Only `[DEFAULT]` may have begun before.
    fn place(&mut self, name: &str) -> usize {
        let before = if name == DEFAULT { self.sections.iter().position(Section::is_default) } else { None };
        before.unwrap_or_else(|| {
            self.sections.push(Section { name: name.to_owned(), entries: Vec::new() });
            self.sections.len() - 1
        })
    }
}

/// The bytes of a file as text, if that is what they are.
///
/// # Errors
/// [`BadConfig::TooLarge`], [`BadConfig::Binary`].
pub fn text(bytes: &[u8]) -> Result<&str, BadConfig> {
    if bytes.len() > LIMIT {
        return Err(BadConfig::TooLarge { size: bytes.len() });
    }
    std::str::from_utf8(bytes).map_err(|_| BadConfig::Binary)
}

/// What `[__settings__]` says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settings<'a> {
    /// The profile that counts where none is named.
    pub default_profile: Option<&'a str>,
    /// Where the CLI keeps its tokens: `plaintext` or `secure`.
    pub auth_storage: Option<&'a str>,
}

/// One section: a profile, or the settings. Shows its keys only.
#[derive(Clone)]
pub struct Section {
    name: String,
    entries: Vec<(String, Zeroizing<String>)>,
}

impl Section {
    /// As it stands in brackets.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is `[DEFAULT]`.
    pub fn is_default(&self) -> bool {
        self.name == DEFAULT
    }

    /// Whether it sets nothing.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Its keys, in lower case, in the order of the file.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(key, _)| key.as_str())
    }

    /// Whether it says something under this key. A blank value says nothing, as in the SDKs.
    pub fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// What it says under this key; `None` for a secret, which [`Self::secret`] gives.
    pub fn get(&self, key: &str) -> Option<&str> {
        if is_secret(key) { None } else { self.value(key) }
    }

    /// What it says under this key, whatever that is.
    pub fn secret(&self, key: &str) -> Option<SecretString> {
        self.value(key).map(Into::into)
    }

    fn value(&self, key: &str) -> Option<&str> {
        let (_, value) = self.entries.iter().find(|(name, _)| name.eq_ignore_ascii_case(key))?;
        Some(value.trim()).filter(|value| !value.is_empty())
    }

    fn begin(&mut self, key: &str, value: &str) {
        self.entries.push((key.to_lowercase(), Zeroizing::new(value.to_owned())));
    }

    fn go_on(&mut self, value: &str) {
        if let Some((_, so_far)) = self.entries.last_mut() {
            so_far.push('\n');
            so_far.push_str(value);
        }
    }
}

impl fmt::Debug for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] ", self.name)?;
        f.debug_set().entries(self.keys()).finish()
    }
}

#[cfg(test)]
mod tests;
