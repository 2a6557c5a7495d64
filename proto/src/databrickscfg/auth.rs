//! How a profile signs in: what it says of it, or what its credentials imply.

use std::fmt;

use super::Section;

/// Defines [`AuthType`] from one table of the SDKs' words.
macro_rules! auth_types {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// How a profile signs in, by the names that the SDKs have for it.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum AuthType {
            $($(#[$doc])* $variant,)*
            /// None that is known here.
            Other(String),
        }

        impl AuthType {
            /// Reads a name.
            pub fn named(name: &str) -> Self {
                match name {
                    $($name => Self::$variant,)*
                    _ => Self::Other(name.to_owned()),
                }
            }

            /// As the SDKs call it.
            pub fn name(&self) -> &str {
                match self {
                    $(Self::$variant => $name,)*
                    Self::Other(name) => name,
                }
            }
        }

        #[cfg(test)]
        pub(super) const NAMES: &[&str] = &[$($name),*];
    };
}

auth_types! {
    /// A personal access token.
    Pat = "pat",
    /// User and password; Databricks takes none any more.
    Basic = "basic",
    /// Client id and secret of a service principal.
    OauthM2m = "oauth-m2m",
    /// A person, through the CLI's sign-in.
    DatabricksCli = "databricks-cli",
    /// A person, through a browser that the SDK opens.
    ExternalBrowser = "external-browser",
    /// A server on this machine.
    MetadataService = "metadata-service",
    /// Workload identity: the token is in a variable.
    EnvOidc = "env-oidc",
    /// Workload identity: the token is in a file.
    FileOidc = "file-oidc",
    /// Workload identity of a GitHub action.
    GithubOidc = "github-oidc",
    /// Workload identity of an Azure pipeline.
    AzureDevopsOidc = "azure-devops-oidc",
    /// Whoever is signed in to `az`.
    AzureCli = "azure-cli",
    /// A service principal of Entra.
    AzureClientSecret = "azure-client-secret",
    /// A managed identity of Azure.
    AzureMsi = "azure-msi",
    /// A key of a Google service account.
    GoogleCredentials = "google-credentials",
    /// A Google service account that is impersonated.
    GoogleId = "google-id",
    /// Inside a Databricks notebook.
    Runtime = "runtime",
    /// Inside Databricks model serving.
    ModelServing = "model-serving",
}

impl AuthType {
    /// Which kind of credentials it uses; its own name for one that uses none.
    pub fn kind(&self) -> &str {
        match self {
            Self::OauthM2m => "oauth",
            Self::AzureCli | Self::AzureClientSecret | Self::AzureMsi => "azure",
            Self::GoogleCredentials | Self::GoogleId => "google",
            Self::Pat
            | Self::Basic
            | Self::DatabricksCli
            | Self::ExternalBrowser
            | Self::MetadataService
            | Self::EnvOidc
            | Self::FileOidc
            | Self::GithubOidc
            | Self::AzureDevopsOidc
            | Self::Runtime
            | Self::ModelServing
            | Self::Other(_) => self.name(),
        }
    }

    /// Whether a person signs in, so that one sign-in at the host serves all such profiles.
    pub fn is_person(&self) -> bool {
        matches!(self, Self::DatabricksCli | Self::ExternalBrowser)
    }
}

impl fmt::Display for AuthType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// More than one way to sign in, and no word on which: the SDKs' own text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("validate: more than one authorization method configured: {}", kinds.join(" and "))]
pub struct Conflict {
    /// In the order of their names.
    pub kinds: Vec<&'static str>,
}

/// What is a credential, and of which kind, as the SDKs group them.
const CREDENTIALS: &[(&str, &[&str])] = &[
    (
        "azure",
        &[
            "azure_workspace_resource_id",
            "azure_use_msi",
            "azure_client_secret",
            "azure_client_id",
            "azure_tenant_id",
        ],
    ),
    ("basic", &["username", "password"]),
    ("env-oidc", &["oidc_token_env", "databricks_oidc_token_env"]),
    ("file-oidc", &["oidc_token_filepath", "oidc_token_file", "databricks_id_token_filepath"]),
    ("google", &["google_service_account", "google_credentials"]),
    ("metadata-service", &["metadata_service_url"]),
    ("oauth", &["client_id", "client_secret"]),
    ("pat", &["token"]),
];

impl Section {
    /// Says how this profile signs in. Without a word and without credentials a person does.
    ///
    /// # Errors
    /// [`Conflict`].
    pub fn auth_type(&self) -> Result<AuthType, Conflict> {
        auth_type(|key| self.value(key))
    }
}

/// The same for settings that come from anywhere.
///
/// # Errors
/// [`Conflict`].
pub fn auth_type<'a>(value: impl Fn(&str) -> Option<&'a str>) -> Result<AuthType, Conflict> {
    if let Some(name) = value("auth_type") {
        return Ok(AuthType::named(name));
    }
    let there = |(_, keys): &&(&str, &[&str])| keys.iter().any(|key| value(key).is_some());
    let kinds: Vec<&'static str> = CREDENTIALS.iter().filter(there).map(|(kind, _)| *kind).collect();
    match kinds.as_slice() {
        [] => Ok(AuthType::DatabricksCli),
        [kind] => Ok(implied(kind, value)),
        _ => Err(Conflict { kinds }),
    }
}

/// All keys that are credentials, with their kind.
pub fn credentials() -> impl Iterator<Item = (&'static str, &'static str)> {
    CREDENTIALS.iter().flat_map(|(kind, keys)| keys.iter().map(|key| (*key, *kind)))
}

fn implied<'a>(kind: &str, value: impl Fn(&str) -> Option<&'a str>) -> AuthType {
    match kind {
        "azure" if value("azure_client_secret").is_some() => AuthType::AzureClientSecret,
        "azure" if value("azure_use_msi").is_some_and(is_true) => AuthType::AzureMsi,
        "azure" => AuthType::AzureCli,
        "google" if value("google_credentials").is_some() => AuthType::GoogleCredentials,
        "google" => AuthType::GoogleId,
        "oauth" if value("client_secret").is_some() => AuthType::OauthM2m,
        // A custom app, which a person signs in with.
        "oauth" => AuthType::DatabricksCli,
        _ => AuthType::named(kind),
    }
}

fn is_true(text: &str) -> bool {
    ["1", "t", "true", "y", "yes", "on"].iter().any(|word| text.eq_ignore_ascii_case(word))
}
