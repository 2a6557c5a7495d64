//! `agent.info`, `agent.rekey`, `agent.shutdown`, `agent.lock`, `agent.unlock`.

use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::secret;

/// Who is answering.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// Of the program.
    pub version: String,
    /// See [`crate::PROTOCOL`].
    pub protocol: u32,
    /// Its process.
    pub pid: u32,
    /// Since when it runs.
    pub started_at: Timestamp,
    /// How many sessions it owns.
    pub sessions: usize,
    /// How many users of web apps it owns the sessions of.
    #[serde(default)]
    pub web_sessions: usize,
    /// Whether it refuses to hand out tokens.
    pub locked: bool,
    /// What can be asked.
    pub methods: Vec<String>,
    /// What the sessions on disk are sealed with.
    pub key: Key,
    /// What is the matter with that key, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_problem: Option<String>,
    /// What is on disk and could not be read, in words; nothing of it was changed.
    pub unreadable: Vec<String>,
    /// The proxy that issuers are reached by, without user and password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// Which config files cannot be used, in words; what they said before stays in force.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub config_problems: Vec<String>,
    /// By how many seconds this machine's clock is behind that of the issuer that was heard last; negative if
    /// it is ahead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_behind_s: Option<i64>,
}

/// Where the key that seals the store comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Key {
    /// The keyring of the operating system.
    Keyring,
    /// A file beside the sessions: protects copies and backups of them, not the account.
    File,
    /// A credential that systemd hands to the service.
    Credential,
    /// A file that only a passphrase opens.
    Passphrase,
    /// Nothing is kept on disk.
    None,
}

/// Move everything that is stored to another key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rekey {
    /// Where the key is to be.
    pub to: Key,
    /// Opens the key from then on, if it is to have a passphrase.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "secret::on_wire_option")]
    pub passphrase: Option<SecretString>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rekeyed {
    /// Where the key is now.
    pub key: Key,
    /// So many sessions are sealed with it.
    pub sessions: usize,
    /// So many kept apps are sealed with it.
    pub apps: usize,
    /// What could not be opened and was left as it is, in words; its key is kept.
    pub left: Vec<String>,
}

/// The params of `agent.lock` and `agent.unlock`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Passphrase {
    /// What the agent is locked with; not empty.
    #[serde(with = "secret::on_wire")]
    pub passphrase: SecretString,
}

/// The answer of a method that has nothing to say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Done {}
