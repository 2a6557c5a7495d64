//! What other tools have: sign-ins that can be taken over, and files that are left alone, with the reason.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString, zeroize::Zeroizing};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use sso_agent_client::proto::secret;

use super::{cli_cache, host, known::Known, python_cache};
use crate::private;

/// The client that is known to every Databricks workspace.
pub(super) const STOCK_CLIENT: &str = "databricks-cli";

/// A sign-in that can be taken over.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) source: Source,
    /// In its plain form.
    pub(super) host: String,
    pub(super) account_id: Option<String>,
    pub(super) label: Option<String>,
    pub(super) client_id: String,
    pub(super) provider: Option<&'static str>,
    /// Empty for the host's usual ones.
    pub(super) scopes: Vec<String>,
    pub(super) refresh_token: SecretString,
}

impl Found {
    /// What the agent will call it.
    pub(super) fn session(&self) -> String {
        host::session(&self.host, self.account_id.as_deref(), self.label.as_deref())
    }
}

/// Where a sign-in comes from.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Source {
    pub(super) tool: Tool,
    pub(super) path: PathBuf,
    /// Its entries in a file of several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) keys: Vec<String>,
    /// Of the file as it was read.
    #[serde(skip)]
    pub(super) seen: Seen,
}

impl Source {
    /// The file, if it is still as it was.
    pub(super) fn unchanged(&self) -> Result<Zeroizing<Vec<u8>>, String> {
        let bytes = private::read(&self.path)?.filter(|bytes| Seen::of(bytes) == self.seen);
        bytes.ok_or_else(|| "it changed after it was read".to_owned())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum Tool {
    #[serde(rename = "databricks-cli")]
    Cli,
    #[serde(rename = "databricks-sdk-py")]
    Python,
}

/// Tells the content of a file from any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen([u8; 32]);

impl Seen {
    pub(super) fn of(content: &[u8]) -> Self {
        Self(Sha256::digest(content).into())
    }
}

/// What is left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Skipped {
    pub(super) path: PathBuf,
    /// Its entry in a file of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<String>,
    pub(super) why: String,
}

impl Skipped {
    pub(super) fn new(path: &Path, why: impl Into<String>) -> Self {
        Self { path: path.to_owned(), key: None, why: why.into() }
    }

    pub(super) fn entry(path: &Path, key: impl Into<String>, why: impl Into<String>) -> Self {
        Self { key: Some(key.into()), ..Self::new(path, why) }
    }
}

/// What a search came to.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) found: Vec<Found>,
    pub(super) skipped: Vec<Skipped>,
}

/// What all tools write of a token, as far as it matters here.
#[derive(Debug, Deserialize)]
pub(super) struct Stored {
    #[serde(default, with = "secret::on_wire_option")]
    refresh_token: Option<SecretString>,
}

impl Stored {
    /// The refresh token, if there is one.
    pub(super) fn refresh_token(self) -> Result<SecretString, &'static str> {
        let some = self.refresh_token.filter(|token| !token.expose_secret().is_empty());
        some.ok_or("it holds no refresh token; sign in instead")
    }
}

/// Looks through what the tools of this user have.
pub(super) fn search(home: &Path, known: &Known) -> Findings {
    let mut findings = Findings::default();
    cli_cache::search(&cli_cache::path(home), known, &mut findings);
    let signed_in: Vec<String> = findings.found.iter().map(|found| found.host.clone()).collect();
    python_cache::search(&python_cache::folder(home), known, &signed_in, &mut findings);
    findings
}
