//! All that configures a Databricks tool, and where each value comes from.

use std::{fmt, path::PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use sso_agent_client::proto::databrickscfg::{
    AuthType, Choice, Conflict, PROFILE_VARIABLE, SETTINGS, Section, auth_type, choose, credentials,
};

use crate::{
    args::Said,
    file::Loaded,
    resolve::{self, variable},
    say::Fail,
};

/// The key in the file, and the variable of the environment, in the order of the SDK.
const ATTRIBUTES: &[(&str, &str)] = &[
    ("host", "DATABRICKS_HOST"),
    ("account_id", "DATABRICKS_ACCOUNT_ID"),
    ("workspace_id", "DATABRICKS_WORKSPACE_ID"),
    ("token", "DATABRICKS_TOKEN"),
    ("username", "DATABRICKS_USERNAME"),
    ("password", "DATABRICKS_PASSWORD"),
    ("metadata_service_url", "DATABRICKS_METADATA_SERVICE_URL"),
    ("profile", PROFILE_VARIABLE),
    ("config_file", "DATABRICKS_CONFIG_FILE"),
    ("google_service_account", "DATABRICKS_GOOGLE_SERVICE_ACCOUNT"),
    ("google_credentials", "GOOGLE_CREDENTIALS"),
    ("azure_workspace_resource_id", "DATABRICKS_AZURE_RESOURCE_ID"),
    ("azure_use_msi", "ARM_USE_MSI"),
    ("azure_client_secret", "ARM_CLIENT_SECRET"),
    ("azure_client_id", "ARM_CLIENT_ID"),
    ("azure_tenant_id", "ARM_TENANT_ID"),
    ("azure_environment", "ARM_ENVIRONMENT"),
    ("client_id", "DATABRICKS_CLIENT_ID"),
    ("client_secret", "DATABRICKS_CLIENT_SECRET"),
    ("oidc_token_env", "DATABRICKS_OIDC_TOKEN_ENV"),
    ("oidc_token_filepath", "DATABRICKS_OIDC_TOKEN_FILEPATH"),
    ("token_audience", "DATABRICKS_TOKEN_AUDIENCE"),
    ("discovery_url", "DATABRICKS_DISCOVERY_URL"),
    ("databricks_cli_path", "DATABRICKS_CLI_PATH"),
    ("auth_type", "DATABRICKS_AUTH_TYPE"),
    ("cluster_id", "DATABRICKS_CLUSTER_ID"),
    ("warehouse_id", "DATABRICKS_WAREHOUSE_ID"),
    ("serverless_compute_id", "DATABRICKS_SERVERLESS_COMPUTE_ID"),
];

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Flag(&'static str),
    Environment(&'static str),
    File(PathBuf),
    /// It follows from something else.
    Implied,
}

impl Source {
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Flag(_) => "flag",
            Self::Environment(_) => "environment variable",
            Self::File(_) => "config file",
            Self::Implied => "dynamic configuration",
        }
    }

    pub(crate) fn name(&self) -> String {
        match self {
            Self::Flag(name) | Self::Environment(name) => (*name).to_owned(),
            Self::File(path) => path.display().to_string(),
            Self::Implied => String::new(),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Implied => f.write_str(self.kind()),
            Self::Flag(_) | Self::Environment(_) | Self::File(_) => {
                write!(f, "{} {}", self.name(), self.kind())
            }
        }
    }
}

/// One value.
#[derive(Debug)]
pub(crate) struct Value {
    pub(crate) key: &'static str,
    /// Of the environment that would set it.
    pub(crate) variable: &'static str,
    pub(crate) value: SecretString,
    pub(crate) source: Source,
}

/// All values that are set.
#[derive(Debug)]
pub(crate) struct Attributes {
    pub(crate) values: Vec<Value>,
}

impl Attributes {
    /// Flags win, then the environment, then the file; a profile that was named on the command line beats
    /// the environment.
    pub(crate) fn collect(said: &Said, file: &Loaded) -> Result<Self, Fail> {
        resolve::check(said, &file.config)?;
        let section = section(said, file)?;
        let values = ATTRIBUTES.iter().filter_map(|(key, name)| {
            let flag = flag(said, key);
            let of_file = section.and_then(|section| section.secret(key));
            let of_file = of_file.map(|value| (value, Source::File(file.path.clone())));
            let of_environment = variable(name).map(|value| (value.into(), Source::Environment(name)));
            let rest =
                if said.profile.is_some() { of_file.or(of_environment) } else { of_environment.or(of_file) };
            let (value, source) = flag.or(rest).or_else(|| implied(key, section))?;
            Some(Value { key, variable: name, value, source })
        });
        let mut found = Self { values: values.collect() };
        if let (None, Ok(auth_type)) = (found.get("auth_type"), found.auth_type()) {
            let (value, source) = (auth_type.name().into(), Source::Implied);
            found.values.push(Value { key: "auth_type", variable: "DATABRICKS_AUTH_TYPE", value, source });
        }
        Ok(found)
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.values.iter().find(|value| value.key == key).map(|value| value.value.expose_secret())
    }

    pub(crate) fn auth_type(&self) -> Result<AuthType, Conflict> {
        auth_type(|key| self.get(key))
    }

    /// Whether a value is a credential of a kind that does not count.
    pub(crate) fn is_unused(&self, key: &str, auth_type: &AuthType) -> bool {
        credentials().any(|(credential, kind)| credential == key && kind != auth_type.kind())
    }
}

fn flag(said: &Said, key: &str) -> Option<(SecretString, Source)> {
    let (value, name) = match key {
        "host" => (&said.host, "--host"),
        "account_id" => (&said.account_id, "--account-id"),
        "workspace_id" => (&said.workspace_id, "--workspace-id"),
        "profile" => (&said.profile, "--profile"),
        _ => return None,
    };
    value.as_deref().map(|value| (value.into(), Source::Flag(name)))
}

fn implied(key: &str, section: Option<&Section>) -> Option<(SecretString, Source)> {
    (key == "profile").then_some(section)?.map(|section| (section.name().into(), Source::Implied))
}

/// The profile that counts. The file is left aside where a host or credentials are known already.
fn section<'a>(said: &Said, file: &'a Loaded) -> Result<Option<&'a Section>, Fail> {
    if said.profile.is_none() && variable(PROFILE_VARIABLE).is_none() {
        if let Some(host) = said.host.clone().or_else(|| variable("DATABRICKS_HOST")) {
            let mut found = resolve::at_host(&file.config, &host);
            return Ok(found.next().filter(|_| found.next().is_none()));
        }
        let credential = |(key, name): &(&str, &str)| {
            credentials().any(|(credential, _)| credential == *key) && variable(name).is_some()
        };
        if ATTRIBUTES.iter().any(credential) {
            return Ok(None);
        }
    }
    match choose(&file.config, said.profile.as_deref(), variable) {
        Ok(Choice::Named(section) | Choice::Silent(section)) => Ok(Some(section)),
        Ok(Choice::Nothing) => Ok(None),
        Err(_) if !file.exists && said.profile.as_deref() != Some(SETTINGS) => Ok(None),
        Err(error) => Err(Fail::new(error.message(&file.path))),
    }
}
