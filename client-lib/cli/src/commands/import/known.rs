//! What is known of hosts and profiles: from the command line, the environment, the profiles of the
//! Databricks tools and the sessions of the agent. Other tools' files do not say much by themselves.

use std::path::Path;

use sso_agent_client::proto::{
    databrickscfg::{Config, Profile, SETTINGS, Section, scopes},
    session::Session,
};

use super::{find::Skipped, host};
use crate::private;

/// One host and how one signs in there.
#[derive(Debug, Clone, Default)]
pub(super) struct Setting {
    /// Of the profile that says so.
    pub(super) profile: Option<String>,
    pub(super) host: Option<String>,
    pub(super) account_id: Option<String>,
    /// Empty for the usual ones.
    pub(super) scopes: Vec<String>,
    pub(super) group_id: Option<String>,
    /// A client registered with Databricks.
    pub(super) client: Option<Client>,
    /// A client registered with Entra.
    pub(super) azure_client: Option<Client>,
}

/// A client that is not the stock one.
#[derive(Debug, Clone)]
pub(super) struct Client {
    pub(super) id: String,
    pub(super) has_secret: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) settings: Vec<Setting>,
}

impl Known {
    /// What the command line, the environment and the agent say.
    pub(super) fn new(hosts: &[String], sessions: &[Session], var: impl Fn(&str) -> Option<String>) -> Self {
        let named = hosts.iter().map(|host| Setting { host: Some(host.clone()), ..Setting::default() });
        let signed_in = sessions.iter().map(|session| Setting {
            host: Some(session.host.clone()),
            account_id: session.account_id.clone(),
            ..Setting::default()
        });
        let settings = named.chain([environment(var)]).chain(signed_in).collect();
        Self { settings }
    }

    /// Adds the profiles of the Databricks tools; says why if they cannot be read.
    pub(super) fn add_profiles(&mut self, path: &Path) -> Option<Skipped> {
        let read = private::read(path).and_then(|bytes| {
            let parse = |bytes: &[u8]| Config::parse_bytes(bytes).map_err(|error| error.to_string());
            bytes.map(|bytes| parse(&bytes)).transpose()
        });
        match read {
            Ok(config) => {
                let config = config.unwrap_or_default();
                self.settings.extend(config.profiles().map(of_profile));
                None
            }
            Err(why) => Some(Skipped::new(path, format!("no profile is known from it: {why}"))),
        }
    }

    /// The profile of this name.
    pub(super) fn profile(&self, name: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.profile.as_deref() == Some(name))
    }

    /// All hosts, as they were typed.
    pub(super) fn hosts(&self) -> impl Iterator<Item = &str> {
        self.settings.iter().filter_map(|setting| setting.host.as_deref())
    }

    /// The account that is meant at a host: what the profile says of it, or all settings that say anything.
    pub(super) fn account(&self, plain: &str, profile: Option<&str>) -> Option<String> {
        let here =
            |setting: &&Setting| setting.host.as_deref().and_then(host::plain).as_deref() == Some(plain);
        let said = |setting: &Setting| setting.account_id.clone();
        let own = profile.and_then(|name| self.profile(name)).filter(here).and_then(said);
        own.or_else(|| {
            let mut all: Vec<String> = self.settings.iter().filter(here).filter_map(said).collect();
            all.sort();
            all.dedup();
            if all.len() == 1 { all.pop() } else { None }
        })
    }
}

fn environment(var: impl Fn(&str) -> Option<String>) -> Setting {
    let var = |name: &str| var(name).filter(|value| !value.is_empty());
    let client = |id: &str, secret: &str| Some(Client { id: var(id)?, has_secret: var(secret).is_some() });
    Setting {
        profile: None,
        host: var("DATABRICKS_HOST"),
        account_id: var("DATABRICKS_ACCOUNT_ID"),
        scopes: Vec::new(),
        group_id: var("DATABRICKS_GROUP_ID"),
        client: client("DATABRICKS_CLIENT_ID", "DATABRICKS_CLIENT_SECRET"),
        azure_client: client("ARM_CLIENT_ID", "ARM_CLIENT_SECRET"),
    }
}

fn of_profile(section: &Section) -> Setting {
    debug_assert_ne!(section.name(), SETTINGS);
    let profile = Profile::from(section);
    let client = |id: Option<String>, secret| Some(Client { id: id?, has_secret: section.has(secret) });
    Setting {
        profile: Some(profile.name),
        host: profile.host,
        account_id: profile.account_id,
        scopes: section.get("scopes").map(scopes).unwrap_or_default(),
        group_id: section.get("group_id").map(str::to_owned),
        client: client(profile.client_id, "client_secret"),
        azure_client: client(profile.azure_client_id, "azure_client_secret"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_known_where_only_one_is_meant() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cfg");
        let text = "[a]\nhost = accounts.example.com\naccount_id = 1\n[b]\nhost = https://accounts.example.com/\naccount_id = 2\n[c]\nhost = other.example.com\naccount_id = 3\n";
        std::fs::write(&path, text).unwrap();
        let mut known = Known::new(&[], &[], |_| None);
        assert!(known.add_profiles(&path).is_none());
        let console = "https://accounts.example.com";
        assert_eq!(known.account(console, Some("b")).as_deref(), Some("2"));
        assert_eq!(known.account(console, Some("c")), None, "it is about another host");
        assert_eq!(known.account(console, None), None);
        assert_eq!(known.account("https://other.example.com", None).as_deref(), Some("3"));
    }

    #[test]
    fn profiles_that_cannot_be_read_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cfg");
        let mut known = Known::new(&["h".into()], &[], |_| None);
        assert!(known.add_profiles(&path).is_none(), "none is fine");
        std::fs::write(&path, "CANARY\n").unwrap();
        let skipped = known.add_profiles(&path).unwrap();
        assert!(skipped.why.contains("line 1") && !skipped.why.contains("CANARY"), "{skipped:?}");
        assert_eq!(known.hosts().collect::<Vec<_>>(), ["h"]);
    }
}
