//! How to sign in at a server that was found: as which client, for what, and back to where.
//!
//! What the person said counts first, then what the provider's entry says, then what such servers have
//! in common.

use std::{collections::BTreeMap, ops::RangeInclusive};

use sso_agent_core::{azure, discovery::Flavor};

use super::{
    discover::{Found, Sought, Via},
    providers::{Provider, Redirect, Secret, named},
};

/// What the person said.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wishes<'a> {
    pub(crate) client_id: Option<&'a str>,
    pub(crate) scopes: &'a [String],
    pub(crate) port: Option<u16>,
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Manner {
    /// `None` if the person has to name one; `register` says where to get it.
    pub(crate) client_id: Option<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) redirect: Redirect,
    /// Where to listen, in this order; 0 is any.
    pub(crate) ports: RangeInclusive<u16>,
    /// What the authorization address needs besides.
    pub(crate) extra: BTreeMap<String, String>,
    /// Whether it cannot be done without a client secret.
    pub(crate) needs_secret: bool,
    /// What it is called, for people.
    pub(crate) title: String,
    pub(crate) register: String,
}

impl Manner {
    /// How to sign in at `found`, which was `sought`.
    pub(crate) fn at(sought: &Sought<'_>, found: &Found, wishes: Wishes<'_>) -> Option<Self> {
        let entry = entry(sought, found)?;
        let stock = stock_client(sought, found, entry);
        let client_id = wishes.client_id.map(str::to_owned).or(stock.clone());
        let scopes = match sought.via {
            Via::Host => entry.scopes_for(&found.metadata, wishes.scopes),
            Via::Entra => azure::scopes(sought.host, wishes.scopes),
            Via::EntraPrincipal { .. } => found.metadata.scopes_for_machine(wishes.scopes),
        };
        let databricks = found.metadata.flavor == Flavor::Databricks && client_id == stock;
        // Who registers an application with Entra for Databricks' own programs gives it the same addresses.
        let few = Flavor::Databricks.stock_ports().filter(|_| databricks || sought.via == Via::Entra);
        let ports = match (wishes.port.or(entry.port), few) {
            (Some(port), _) => port..=port,
            (None, Some(few)) => few,
            (None, None) => 0..=0,
        };
        Some(Self {
            client_id,
            scopes,
            redirect: entry.redirect.clone(),
            ports,
            extra: entry.authorize.clone(),
            needs_secret: entry.secret == Secret::Required,
            title: entry.title.clone(),
            register: entry.register.clone(),
        })
    }
}

/// The entry that counts. What was found decides between Databricks and the rest, not the name alone.
fn entry(sought: &Sought<'_>, found: &Found) -> Option<&'static Provider> {
    match (sought.via, found.metadata.flavor, sought.provider()) {
        (Via::Entra | Via::EntraPrincipal { .. }, _, _) => named("entra"),
        (Via::Host, Flavor::Databricks, _) => named("databricks"),
        (Via::Host, Flavor::Generic, Some(known)) if !known.is_databricks() => Some(known),
        (Via::Host, Flavor::Generic, _) => named("generic"),
    }
}

/// The client that such a server knows. One on this machine counts as a stand-in for a workspace.
fn stock_client(sought: &Sought<'_>, found: &Found, entry: &Provider) -> Option<String> {
    let stand_in = sought.via == Via::Host && sought.host.is_loopback();
    let flavor = if stand_in { Flavor::Databricks } else { found.metadata.flavor };
    entry.client_id.clone().or_else(|| flavor.stock_client().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issuer::{discover::By, testing::metadata};
    use sso_agent_core::{
        discovery::{Facts, Metadata},
        host::Host,
    };

    fn found(flavor: Flavor) -> Found {
        let metadata = Metadata { flavor, ..metadata("https://i.example") };
        Found { metadata, facts: Facts::default(), by: By::Shape }
    }

    fn manner(typed: &str, via: Via<'_>, flavor: Flavor, wishes: Wishes<'_>) -> Manner {
        let host = Host::parse(typed, None).unwrap();
        Manner::at(&Sought { via, ..Sought::at(&host) }, &found(flavor), wishes).unwrap()
    }

    #[test]
    fn a_workspace_is_signed_in_to_as_its_own_programs_do() {
        let workspace = "adb-1.7.azuredatabricks.net";
        let plain = manner(workspace, Via::Host, Flavor::Databricks, Wishes::default());
        assert_eq!(plain.client_id.as_deref(), Some("databricks-cli"));
        assert_eq!(plain.scopes, ["all-apis", "offline_access"]);
        assert_eq!((plain.ports, plain.redirect.uri(8020)), (8020..=8040, "http://localhost:8020".into()));
        assert!(!plain.needs_secret && plain.extra.is_empty());

        let own = Wishes { client_id: Some("own"), ..Wishes::default() };
        assert_eq!(manner(workspace, Via::Host, Flavor::Databricks, own).ports, 0..=0);
        let port = Wishes { port: Some(8031), ..Wishes::default() };
        assert_eq!(manner(workspace, Via::Host, Flavor::Databricks, port).ports, 8031..=8031);
    }

    #[test]
    fn a_workspace_is_signed_in_to_through_entra_with_a_client_of_ones_own() {
        let scopes = ["x/user_impersonation".to_owned()];
        let wishes = Wishes { client_id: Some("app"), scopes: &scopes, port: None };
        let entra = manner("adb-1.7.azuredatabricks.net", Via::Entra, Flavor::Generic, wishes);
        assert_eq!(entra.scopes, ["x/user_impersonation", "offline_access"]);
        assert_eq!((entra.ports, entra.redirect.uri(8020)), (8020..=8040, "http://localhost:8020".into()));
        let unnamed = manner("adb-1.7.azuredatabricks.net", Via::Entra, Flavor::Generic, Wishes::default());
        assert_eq!(unnamed.client_id, None);
        assert_eq!(unnamed.scopes[0], "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d/user_impersonation");
    }

    #[test]
    fn each_provider_is_signed_in_to_in_its_own_way() {
        let at = |typed| manner(typed, Via::Host, Flavor::Generic, Wishes::default());
        let github = at("github.com");
        assert!(github.needs_secret && github.client_id.is_none() && github.scopes == ["read:user"]);
        assert_eq!((github.ports, github.redirect.uri(9)), (0..=0, "http://127.0.0.1:9/callback".into()));
        let google = at("accounts.google.com");
        assert_eq!(google.extra["access_type"], "offline");
        assert_eq!(at("dev-1.okta.com").ports, 8020..=8020, "it compares the port as well");
        let other = at("i.example");
        assert_eq!((other.client_id, other.scopes), (None, vec!["openid".into(), "offline_access".into()]));
        assert!(other.register.contains("redirect URI"));
    }

    #[test]
    fn a_server_on_this_machine_counts_as_a_stand_in() {
        let here = manner("http://127.0.0.1:8", Via::Host, Flavor::Generic, Wishes::default());
        assert_eq!(here.client_id.as_deref(), Some("databricks-cli"));
        assert_eq!((here.ports, here.redirect.uri(9)), (0..=0, "http://127.0.0.1:9/callback".into()));
        let workspace = manner("http://127.0.0.1:8", Via::Host, Flavor::Databricks, Wishes::default());
        assert_eq!((workspace.ports, workspace.redirect.uri(9)), (8020..=8040, "http://localhost:9".into()));
    }

    #[test]
    fn what_was_found_decides_and_not_the_name_alone() {
        let host = Host::parse("data.acme.example", Some("acc-1")).unwrap();
        let generic = Manner::at(&Sought::at(&host), &found(Flavor::Generic), Wishes::default()).unwrap();
        assert_eq!(generic.client_id, None, "the stock client is for Databricks alone");
        let gitlab = Sought { provider: named("gitlab"), ..Sought::at(&host) };
        let manner = Manner::at(&gitlab, &found(Flavor::Databricks), Wishes::default()).unwrap();
        assert_eq!(manner.title, "Databricks");
    }
}
