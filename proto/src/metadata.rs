//! `metadata.url`: where SDKs find the metadata service for a session.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::{secret, session::Target};

/// For which session, and with which scopes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Named")]
pub struct MetadataGet {
    /// Which session is meant.
    #[serde(flatten)]
    pub target: Target,
    /// Scopes that its tokens must have; all that were granted when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
}

/// The same name by name: what is flattened lets every other name pass.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Named {
    host: Option<String>,
    profile: Option<String>,
    session: Option<String>,
    label: Option<String>,
    account_id: Option<String>,
    scopes: Vec<String>,
}

impl From<Named> for MetadataGet {
    fn from(named: Named) -> Self {
        let Named { host, profile, session, label, account_id, scopes } = named;
        Self { target: Target { host, profile, session, label, account_id }, scopes }
    }
}

/// The answer of `metadata.url`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MetadataUrl {
    /// For `DATABRICKS_METADATA_SERVICE_URL`. Whoever of this user's programs knows it gets tokens.
    #[serde(with = "secret::on_wire")]
    pub url: SecretString,
    /// For `DATABRICKS_HOST`.
    pub host: String,
    /// For `DATABRICKS_ACCOUNT_ID`, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// The session that it serves.
    pub session: String,
}
