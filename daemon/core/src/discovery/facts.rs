//! What Databricks says about a host (`databricks-config`), besides where its sign-in is.

use crate::host::{Cloud, Host, Kind};

/// What Databricks says about a host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostConfig {
    /// The root of its OAuth server, perhaps with `{account_id}` in it.
    pub oidc_endpoint: Option<String>,
    /// The rest.
    pub facts: Facts,
}

/// What is known of a host. Nothing is decided by it but what is shown and which audience a federated
/// token must have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// What it is.
    pub host_type: Option<HostType>,
    /// Its account.
    pub account_id: Option<String>,
    /// Its workspace; none at an account's own host.
    pub workspace_id: Option<String>,
    /// Where it runs.
    pub cloud: Option<Cloud>,
    /// Whom a token must be for that is exchanged there.
    pub audiences: Vec<String>,
}

/// What a Databricks host is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostType {
    /// One workspace.
    Workspace,
    /// An account console.
    Account,
    /// An account and all its workspaces.
    Unified,
}

impl HostType {
    /// As Databricks calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Workspace => "workspace",
            Self::Account => "account",
            Self::Unified => "unified",
        }
    }

    /// Reads what Databricks calls it, in any case.
    pub fn named(text: &str) -> Option<Self> {
        let all = [Self::Workspace, Self::Account, Self::Unified];
        all.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(text))
    }
}

impl Facts {
    /// Adds what the name of the host tells, where it did not say itself.
    #[must_use]
    pub fn about(self, host: &Host) -> Self {
        let by_name = match host.kind() {
            Kind::Workspace(_) => Some(HostType::Workspace),
            Kind::Account(..) => Some(HostType::Account),
            Kind::Unified(_) => Some(HostType::Unified),
            Kind::Other => None,
        };
        Self {
            host_type: self.host_type.or(by_name),
            account_id: host.account_id().map(str::to_owned).or(self.account_id),
            cloud: self.cloud.or(host.cloud()),
            ..self
        }
    }

    /// Whom a token must be for that is exchanged there: what it says, or its account.
    pub fn audience(&self) -> Option<&str> {
        let account = || self.account_id.as_deref().filter(|_| self.workspace_id.is_none());
        self.audiences.first().map(String::as_str).or_else(account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_host_says_of_itself_counts_and_its_name_tells_the_rest() {
        let host = Host::parse("acme.databricks.com", Some("acc-1")).unwrap();
        let said = Facts { cloud: Some(Cloud::Gcp), account_id: Some("acc-2".into()), ..Facts::default() };
        let facts = said.about(&host);
        assert_eq!((facts.host_type, facts.cloud), (Some(HostType::Unified), Some(Cloud::Gcp)));
        assert_eq!(facts.account_id.as_deref(), Some("acc-1"), "the one that tokens are asked for");

        let host = Host::parse("adb-1.7.azuredatabricks.net", None).unwrap();
        let facts = Facts::default().about(&host);
        assert_eq!((facts.host_type, facts.cloud), (Some(HostType::Workspace), Some(Cloud::Azure)));
        assert_eq!(HostType::named("UNIFIED"), Some(HostType::Unified));
        assert_eq!(HostType::named("spog"), None);
    }

    #[test]
    fn a_federated_token_is_for_whom_the_host_says_or_for_its_account() {
        let account = Facts { account_id: Some("acc-1".into()), ..Facts::default() };
        assert_eq!(account.audience(), Some("acc-1"));
        let workspace = Facts { workspace_id: Some("7".into()), ..account.clone() };
        assert_eq!(workspace.audience(), None);
        let said = Facts { audiences: vec!["a".into(), "b".into()], ..workspace };
        assert_eq!(said.audience(), Some("a"));
    }
}
