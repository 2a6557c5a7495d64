//! Where the authorization server of a host is: what to ask, in which order, and what an answer may say.
//!
//! The answer decides where codes and refresh tokens are sent, so it is believed only as far as the
//! host that gave it: an address is https (or stays on this machine, if the host does), and an issuer
//! speaks for itself alone (RFC 8414, 3.3).

mod accept;
mod facts;
mod fallback;

use std::ops::RangeInclusive;

use crate::host::{Host, Kind};

pub(crate) use self::accept::safe;
pub use self::accept::{accept, appointed, root};
pub use self::facts::{Facts, HostConfig, HostType};
pub use self::fallback::{Absence, Fallback, Missing, without_document};

const CONFIG: &str = "/.well-known/databricks-config";
const OAUTH: &str = "/.well-known/oauth-authorization-server";
const OIDC: &str = "/.well-known/openid-configuration";

/// Something to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A [`HostConfig`], at this address; [`root`] says where that leads.
    Config(String),
    /// A [`Document`].
    Document(Source),
}

/// A place where a document may be, and who speaks there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The address of the document.
    pub url: String,
    /// Whom it must be about.
    issuer: String,
    flavor: Flavor,
    /// Whether the person said that it is the one.
    appointed: bool,
}

/// What kind of server it is. It decides what is sent where the person did not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavor {
    /// A Databricks host, or something that looks like one.
    Databricks,
    /// Any other.
    Generic,
}

impl Flavor {
    /// The client that every such server knows.
    pub fn stock_client(self) -> Option<&'static str> {
        match self {
            Self::Databricks => Some("databricks-cli"),
            Self::Generic => None,
        }
    }

    /// The ports that the stock client may redirect to, always as `http://localhost:PORT` without a
    /// path: the server knows these spellings and no other. Anywhere else any loopback port will do
    /// (RFC 8252, 7.3).
    pub fn stock_ports(self) -> Option<RangeInclusive<u16>> {
        match self {
            Self::Databricks => Some(8020..=8040),
            Self::Generic => None,
        }
    }
}

/// What an authorization server says about itself (RFC 8414, 2), not yet believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are RFC 8414's")]
pub struct Document {
    pub issuer: Option<String>,
    pub authorization_endpoint: Option<String>,
    pub token_endpoint: Option<String>,
    pub revocation_endpoint: Option<String>,
    pub userinfo_endpoint: Option<String>,
    pub authorization_response_iss_parameter_supported: Option<bool>,
    pub scopes_supported: Option<Vec<String>>,
    pub grant_types_supported: Option<Vec<String>>,
    pub code_challenge_methods_supported: Option<Vec<String>>,
    pub token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

/// An authorization server that may be used. What it did not say is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// As it names itself.
    pub issuer: String,
    /// Where the browser goes.
    pub authorization_endpoint: String,
    /// Where codes and refresh tokens go.
    pub token_endpoint: String,
    /// Where tokens are taken back (RFC 7009).
    pub revocation_endpoint: Option<String>,
    /// Who signed in.
    pub userinfo_endpoint: Option<String>,
    /// Whether its redirects say who they are from (RFC 9207).
    pub iss_parameter_supported: bool,
    /// What it can be asked for.
    pub scopes: Option<Vec<String>>,
    /// For example `refresh_token`.
    pub grant_types: Option<Vec<String>>,
    /// For example `S256`.
    pub code_challenge_methods: Option<Vec<String>>,
    /// For example `client_secret_post`.
    pub token_endpoint_auth_methods: Option<Vec<String>>,
    /// What kind of server it is.
    pub flavor: Flavor,
}

impl Metadata {
    /// A server of which no more is known than where it is.
    pub fn at(
        issuer: String,
        authorization_endpoint: String,
        token_endpoint: String,
        flavor: Flavor,
    ) -> Self {
        Self {
            issuer,
            authorization_endpoint,
            token_endpoint,
            revocation_endpoint: None,
            userinfo_endpoint: None,
            iss_parameter_supported: false,
            scopes: None,
            grant_types: None,
            code_challenge_methods: None,
            token_endpoint_auth_methods: None,
            flavor,
        }
    }

    /// What a machine asks for that was set up to ask for this. It signs in anew, so it needs no
    /// refresh token.
    pub fn scopes_for_machine(&self, asked: &[String]) -> Vec<String> {
        match (self.flavor, asked) {
            (Flavor::Databricks, []) => vec!["all-apis".to_owned()],
            (Flavor::Databricks | Flavor::Generic, asked) => asked.to_vec(),
        }
    }

    /// What to ask for when the person `asked` for this.
    ///
    /// At Databricks `offline_access` always comes with it, since a session without a refresh token
    /// ends within the hour. Elsewhere a wish is taken literally, and the default leaves out what the
    /// server says that it does not know.
    pub fn scopes_for(&self, asked: &[String]) -> Vec<String> {
        const OFFLINE: &str = "offline_access";
        let known = |scope: &&str| self.scopes.as_ref().is_none_or(|known| known.iter().any(|s| s == scope));
        let mut scopes = match (self.flavor, asked) {
            (Flavor::Databricks, []) => vec!["all-apis".to_owned()],
            (Flavor::Generic, []) => {
                return ["openid", OFFLINE].iter().filter(|s| known(s)).map(|s| (*s).to_owned()).collect();
            }
            (Flavor::Databricks | Flavor::Generic, asked) => asked.to_vec(),
        };
        if self.flavor == Flavor::Databricks && !scopes.iter().any(|scope| scope == OFFLINE) {
            scopes.push(OFFLINE.to_owned());
        }
        scopes
    }
}

/// Why a document is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unacceptable {
    /// It cannot be used without.
    #[error("its discovery document has no {0}")]
    Missing(&'static str),
    /// Secrets would travel in the clear, or to an address that means another machine to each of us.
    #[error("its discovery document gives {1:?} as {0}, which is not a safe address")]
    Unsafe(&'static str, String),
    /// It speaks for somebody else.
    #[error("its discovery document gives {1:?} as {0}, which is not its own")]
    Foreign(&'static str, String),
    /// Whoever sees a code could use it.
    #[error("it does not support PKCE with S256, without which a sign-in is not safe")]
    NoS256,
    /// Only the person can say which.
    #[error("it serves several accounts: say which with --account-id")]
    AccountMissing,
    /// A document was named that must not be fetched.
    #[error("the discovery URL {0:?} is not a safe address: it must be https, or at this machine")]
    Appointed(String),
    /// A workspace sends us to somebody who is not Microsoft.
    #[error("it gives {0:?} as its Entra sign-in, which is none of Microsoft's addresses")]
    NotEntra(String),
}

/// What to fetch to find the authorization server of `host`, in this order, until one is found.
///
/// A name that is not Databricks' may still be a workspace (custom domains, stand-ins), but only
/// at its root: an address with a path was copied from an issuer.
pub fn plan(host: &Host) -> Vec<Step> {
    match (host.kind(), path(host.url())) {
        (Kind::Workspace(_) | Kind::Account(..) | Kind::Unified(_), _) => {
            let mut steps = databricks(host);
            steps.push(about(host, format!("{}{OIDC}", oidc_root(host)), Flavor::Databricks));
            steps
        }
        (Kind::Other, "") => [databricks(host), plan_generic(host)].concat(),
        (Kind::Other, _) => plan_generic(host),
    }
}

/// What to fetch from an issuer that is known to be no Databricks host.
pub fn plan_generic(host: &Host) -> Vec<Step> {
    let url = host.url();
    let addresses = match path(url) {
        "" => vec![format!("{url}{OAUTH}"), format!("{url}{OIDC}")],
        path => {
            let origin = url.strip_suffix(path).unwrap_or(url);
            vec![format!("{origin}{OAUTH}{path}"), format!("{url}{OAUTH}"), format!("{url}{OIDC}")]
        }
    };
    addresses.into_iter().map(|address| about(host, address, Flavor::Generic)).collect()
}

fn databricks(host: &Host) -> Vec<Step> {
    vec![
        Step::Config(format!("{}{CONFIG}", host.url())),
        about(host, format!("{}{OAUTH}", oidc_root(host)), Flavor::Databricks),
    ]
}

fn about(host: &Host, url: String, flavor: Flavor) -> Step {
    Step::Document(Source { url, issuer: url_of(host, flavor), flavor, appointed: false })
}

impl Source {
    /// Where the same server has its other document.
    #[must_use]
    pub fn beside(&self) -> Option<Self> {
        let root = self.url.strip_suffix(OAUTH)?;
        Some(Self { url: format!("{root}{OIDC}"), ..self.clone() })
    }

    /// Whether it is the document that a Databricks host is known by, which decides for all.
    pub fn decides(&self) -> bool {
        self.flavor == Flavor::Databricks && self.url.ends_with(OAUTH)
    }
}

/// Where the endpoints of a Databricks host have always been; for when it answers, but has no document.
pub fn fixed(host: &Host) -> Option<Metadata> {
    match host.kind() {
        Kind::Workspace(_) | Kind::Account(..) | Kind::Unified(_) => {}
        Kind::Other => return None,
    }
    let root = oidc_root(host);
    let server = Metadata::at(
        root.clone(),
        format!("{root}/v1/authorize"),
        format!("{root}/v1/token"),
        Flavor::Databricks,
    );
    Some(server)
}

fn oidc_root(host: &Host) -> String {
    match host.account_id() {
        Some(account) => format!("{}/oidc/accounts/{account}", host.url()),
        None => format!("{}/oidc", host.url()),
    }
}

fn url_of(host: &Host, flavor: Flavor) -> String {
    match flavor {
        Flavor::Databricks => oidc_root(host),
        Flavor::Generic => host.url().to_owned(),
    }
}

/// What follows the name and the port.
fn path(url: &str) -> &str {
    let bare = url.split_once("://").map_or(url, |(_, rest)| rest);
    bare.find('/').map_or("", |start| &bare[start..])
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKSPACE: &str = "https://adb-1.7.azuredatabricks.net";

    fn host(typed: &str) -> Host {
        let account = typed.contains("://accounts.").then_some("acc-1");
        Host::parse(typed, account).unwrap()
    }

    fn url(step: Step) -> String {
        match step {
            Step::Config(url) | Step::Document(Source { url, .. }) => url,
        }
    }

    fn asked(typed: &str) -> Vec<String> {
        plan(&host(typed)).into_iter().map(url).collect()
    }

    #[test]
    fn a_databricks_host_is_asked_in_databricks_ways() {
        assert_eq!(
            asked(WORKSPACE),
            [
                format!("{WORKSPACE}/.well-known/databricks-config"),
                format!("{WORKSPACE}/oidc/.well-known/oauth-authorization-server"),
                format!("{WORKSPACE}/oidc/.well-known/openid-configuration"),
            ]
        );
        let console = "https://accounts.cloud.databricks.com";
        assert_eq!(
            asked(console)[1],
            format!("{console}/oidc/accounts/acc-1/.well-known/oauth-authorization-server")
        );
    }

    #[test]
    fn a_unified_host_is_asked_for_its_account() {
        let unified = Host::parse("https://data.acme.example", Some("acc-1")).unwrap();
        let root = "https://data.acme.example/oidc/accounts/acc-1";
        let urls: Vec<String> = plan(&unified).into_iter().map(url).collect();
        assert_eq!(
            urls,
            [
                "https://data.acme.example/.well-known/databricks-config".to_owned(),
                format!("{root}/.well-known/oauth-authorization-server"),
                format!("{root}/.well-known/openid-configuration"),
            ]
        );
        assert_eq!(fixed(&unified).unwrap().token_endpoint, format!("{root}/v1/token"));
    }

    #[test]
    fn an_issuer_that_is_known_as_one_is_not_asked_for_a_workspace() {
        let urls: Vec<String> =
            plan_generic(&Host::parse("accounts.google.com", None).unwrap()).into_iter().map(url).collect();
        assert_eq!(
            urls,
            [
                "https://accounts.google.com/.well-known/oauth-authorization-server",
                "https://accounts.google.com/.well-known/openid-configuration",
            ]
        );
    }

    #[test]
    fn any_other_host_may_be_a_workspace_under_another_name() {
        assert_eq!(
            asked("https://data.example.com"),
            [
                "https://data.example.com/.well-known/databricks-config",
                "https://data.example.com/oidc/.well-known/oauth-authorization-server",
                "https://data.example.com/.well-known/oauth-authorization-server",
                "https://data.example.com/.well-known/openid-configuration",
            ]
        );
    }

    #[test]
    fn an_issuer_with_a_path_is_asked_in_both_forms() {
        assert_eq!(
            asked("https://sso.example.com:8443/realms/Main"),
            [
                "https://sso.example.com:8443/.well-known/oauth-authorization-server/realms/Main",
                "https://sso.example.com:8443/realms/Main/.well-known/oauth-authorization-server",
                "https://sso.example.com:8443/realms/Main/.well-known/openid-configuration",
            ]
        );
    }

    #[test]
    fn only_databricks_hosts_have_fixed_endpoints() {
        let at =
            |typed| fixed(&host(typed)).map(|found| (found.authorization_endpoint, found.token_endpoint));
        let pair = |root: &str| Some((format!("{root}/v1/authorize"), format!("{root}/v1/token")));
        assert_eq!(at(WORKSPACE), pair(&format!("{WORKSPACE}/oidc")));
        let console = "https://accounts.azuredatabricks.net";
        assert_eq!(at(console), pair(&format!("{console}/oidc/accounts/acc-1")));
        assert_eq!(at("https://example.com"), None);
        assert_eq!(at("http://127.0.0.1:1"), None);
    }

    #[test]
    fn a_refresh_token_is_asked_for_where_the_person_did_not_say() {
        let workspace = fixed(&host(WORKSPACE)).unwrap();
        assert_eq!(workspace.scopes_for(&[]), ["all-apis", "offline_access"]);
        assert_eq!(workspace.scopes_for(&["sql".into()]), ["sql", "offline_access"]);
        assert_eq!(workspace.scopes_for(&["offline_access".into(), "sql".into()]), ["offline_access", "sql"]);

        assert_eq!(workspace.scopes_for_machine(&[]), ["all-apis"]);
        assert_eq!(workspace.scopes_for_machine(&["sql".into()]), ["sql"]);

        let mut issuer = Metadata { flavor: Flavor::Generic, ..workspace };
        assert!(issuer.scopes_for_machine(&[]).is_empty());
        assert_eq!(issuer.scopes_for(&[]), ["openid", "offline_access"]);
        assert_eq!(issuer.scopes_for(&["a".into()]), ["a"]);
        issuer.scopes = Some(vec!["openid".into(), "email".into()]);
        assert_eq!(issuer.scopes_for(&[]), ["openid"]);
    }
}
