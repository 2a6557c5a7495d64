//! `agent.info`, `agent.shutdown`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

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
    /// What is on disk and could not be read, in words; nothing of it was changed.
    pub unreadable: Vec<String>,
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
    /// Nothing is kept on disk.
    None,
}

/// The answer of a method that has nothing to say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Done {}
