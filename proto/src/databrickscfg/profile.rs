//! What a profile says, by what it is about.

use super::{AuthType, Conflict, Section};

/// Stands for the id of a workspace where the account of a unified host is meant.
pub const NO_WORKSPACE: &str = "none";

/// What a profile says, but for its secrets, which stay in its [`Section`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// As `--profile` takes it.
    pub name: String,
    /// As it stands there.
    pub host: Option<String>,
    /// Of an account console or a unified host.
    pub account_id: Option<String>,
    /// Of a workspace of a unified host, or [`NO_WORKSPACE`].
    pub workspace_id: Option<String>,
    /// The OAuth client, if it is not the stock one.
    pub client_id: Option<String>,
    /// Which scopes to ask for; the usual ones when empty. See [`scopes`].
    pub scopes: Vec<String>,
    /// How it signs in.
    pub auth_type: Result<AuthType, Conflict>,
    /// The client in Entra.
    pub azure_client_id: Option<String>,
    /// The tenant in Entra.
    pub azure_tenant_id: Option<String>,
    /// Of an Azure workspace, which may stand for its host.
    pub azure_workspace_resource_id: Option<String>,
    /// Where the discovery document is, if not at the host.
    pub discovery_url: Option<String>,
    /// Whom a token of workload identity is for.
    pub token_audience: Option<String>,
    /// The variable with such a token.
    pub oidc_token_env: Option<String>,
    /// The file with such a token.
    pub oidc_token_filepath: Option<String>,
    /// The cluster that a tool uses.
    pub cluster_id: Option<String>,
    /// The warehouse that a tool uses.
    pub warehouse_id: Option<String>,
    /// The serverless compute that a tool uses.
    pub serverless_compute_id: Option<String>,
}

impl Profile {
    /// Whether it is for an account instead of a workspace of it.
    pub fn is_account_level(&self) -> bool {
        self.workspace_id.as_deref().is_some_and(|id| id.eq_ignore_ascii_case(NO_WORKSPACE))
    }
}

impl From<&Section> for Profile {
    fn from(section: &Section) -> Self {
        let get = |key: &str| section.get(key).map(str::to_owned);
        let first = |keys: &[&str]| keys.iter().find_map(|key| get(key));
        Self {
            name: section.name().to_owned(),
            host: get("host"),
            account_id: get("account_id"),
            workspace_id: get("workspace_id"),
            client_id: get("client_id"),
            scopes: section.get("scopes").map(scopes).unwrap_or_default(),
            auth_type: section.auth_type(),
            azure_client_id: get("azure_client_id"),
            azure_tenant_id: get("azure_tenant_id"),
            azure_workspace_resource_id: get("azure_workspace_resource_id"),
            discovery_url: get("discovery_url"),
            token_audience: first(&["token_audience", "audience"]),
            oidc_token_env: first(&["oidc_token_env", "databricks_oidc_token_env"]),
            oidc_token_filepath: first(&[
                "oidc_token_filepath",
                "oidc_token_file",
                "databricks_id_token_filepath",
            ]),
            cluster_id: get("cluster_id"),
            warehouse_id: get("warehouse_id"),
            serverless_compute_id: get("serverless_compute_id"),
        }
    }
}

/// Takes a list of scopes apart at commas and white space: each once, in the order of their names.
pub fn scopes(text: &str) -> Vec<String> {
    let words = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty());
    let mut scopes: Vec<String> = words.map(str::to_owned).collect();
    scopes.sort();
    scopes.dedup();
    scopes
}
