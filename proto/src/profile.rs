//! `profile.list`: the names that the agent knows hosts by.

use serde::{Deserialize, Serialize};

/// A name for a host and its settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// As `--profile` takes it.
    pub name: String,
    /// What its tokens are for, as a URL, if it says so.
    pub host: Option<String>,
    /// Of a Databricks account console or a unified host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// How it signs in, in the words of the Databricks SDKs: `databricks-cli`, `oauth-m2m`, `pat` …
    pub auth_type: String,
    /// Where it stands.
    pub source: Source,
    /// The id of the session that serves it; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Why no token can be had for it, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Where a profile stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The agent's own config file.
    Config,
    /// The file of the Databricks tools, `~/.databrickscfg` by default.
    Databrickscfg,
}

/// The answer of `profile.list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profiles {
    /// In the order of their names.
    pub profiles: Vec<Profile>,
    /// The one that counts where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// What is wrong with the files themselves, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}
