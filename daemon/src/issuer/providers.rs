//! What is special about well-known authorization servers: one data file, `providers.toml`.

use std::{collections::BTreeMap, sync::OnceLock};

use serde::Deserialize;
use sso_agent_core::{
    discovery::{Flavor, Metadata},
    host::Host,
};
use url::Url;

/// An entry of the file, which says what its fields mean.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Provider {
    pub(crate) name: String,
    pub(crate) title: String,
    #[serde(default)]
    hosts: Vec<String>,
    #[serde(default)]
    suffixes: Vec<String>,
    path: Option<String>,
    endpoints: Option<Endpoints>,
    pub(crate) issuer: String,
    scopes: Vec<String>,
    /// What its authorization address needs besides what all do.
    #[serde(default)]
    pub(crate) authorize: BTreeMap<String, String>,
    pub(crate) redirect: Redirect,
    /// The port to listen at, if it must be one.
    pub(crate) port: Option<u16>,
    pub(crate) secret: Secret,
    pub(crate) refresh: Refresh,
    pub(crate) client_id: Option<String>,
    pub(crate) register: String,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Endpoints {
    issuer: String,
    authorization: String,
    token: String,
    userinfo: Option<String>,
}

/// Whether a client that runs on somebody's machine has a secret there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Secret {
    None,
    Optional,
    Required,
}

/// What brings a refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Refresh {
    /// `offline_access`.
    Scope,
    /// A parameter of the authorization address.
    Parameter,
    Always,
    /// Its tokens do not end, or not soon.
    Rarely,
}

/// Where the browser comes back to, once it is known at which port.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Redirect {
    host: String,
    path: String,
}

impl Redirect {
    /// What a browser shows of it, and what goes into `Origin`.
    pub(crate) fn origin(&self, port: u16) -> String {
        format!("http://{}:{port}", self.host)
    }

    /// As the server has to know it. Servers compare it letter by letter, so no slash is added.
    pub(crate) fn uri(&self, port: u16) -> String {
        format!("{}{}", self.origin(port), self.path)
    }

    /// What is asked of the listener.
    pub(crate) fn path(&self) -> &str {
        if self.path.is_empty() { "/" } else { &self.path }
    }
}

impl TryFrom<String> for Redirect {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let bare = text.strip_prefix("http://").ok_or_else(|| format!("{text:?} is not at this machine"))?;
        let (host, path) = bare.find('/').map_or((bare, ""), |at| bare.split_at(at));
        if !["localhost", "127.0.0.1"].contains(&host) {
            return Err(format!("{host:?} is not this machine"));
        }
        Ok(Self { host: host.to_owned(), path: path.to_owned() })
    }
}

impl Provider {
    /// Whether it is a Databricks host, which is found and signed in to in ways of its own.
    pub(crate) fn is_databricks(&self) -> bool {
        self.name == "databricks"
    }

    /// Its server, where there is no document to ask.
    pub(super) fn fixed(&self, host: &Host) -> Option<Metadata> {
        let endpoints = self.endpoints.as_ref()?;
        let origin = Url::parse(host.url()).ok()?.origin().ascii_serialization();
        let at = |template: &str| template.replace("{origin}", &origin);
        let (authorize, token) = (at(&endpoints.authorization), at(&endpoints.token));
        let server = Metadata::at(at(&endpoints.issuer), authorize, token, Flavor::Generic);
        // A token of somebody's own server is nobody else's business.
        let userinfo_endpoint = endpoints.userinfo.clone().filter(|_| self.fits(host));
        Some(Metadata { userinfo_endpoint, ..server })
    }

    /// What to ask for when the person `asked` for this. A wish is taken literally; the default leaves
    /// out what the server says that it does not know.
    pub(crate) fn scopes_for(&self, metadata: &Metadata, asked: &[String]) -> Vec<String> {
        if self.is_databricks() || !asked.is_empty() || self.scopes.is_empty() {
            return metadata.scopes_for(asked);
        }
        let known = metadata.scopes.as_ref();
        let fits = |scope: &&String| known.is_none_or(|known| known.contains(scope));
        self.scopes.iter().filter(fits).cloned().collect()
    }

    fn fits(&self, host: &Host) -> bool {
        let name = host.name();
        self.hosts.iter().any(|known| known == name)
            || self.suffixes.iter().any(|suffix| name.ends_with(suffix.as_str()))
            || self.path.as_ref().is_some_and(|path| host.url().contains(path.as_str()))
    }
}

/// The one that a host's address tells.
pub(crate) fn of(host: &Host) -> Option<&'static Provider> {
    if host.is_databricks() || host.account_id().is_some() {
        return named("databricks");
    }
    all().iter().find(|provider| provider.fits(host))
}

/// The one that a person calls so.
pub(crate) fn named(name: &str) -> Option<&'static Provider> {
    all().iter().find(|provider| provider.name == name)
}

/// All that there are.
pub(crate) fn all() -> &'static [Provider] {
    static ALL: OnceLock<Vec<Provider>> = OnceLock::new();
    ALL.get_or_init(|| read(include_str!("providers.toml")).unwrap_or_default())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    provider: Vec<Provider>,
}

fn read(text: &str) -> Result<Vec<Provider>, toml::de::Error> {
    toml::from_str::<File>(text).map(|file| file.provider)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issuer::{authorize, testing::metadata};
    use std::collections::BTreeSet;

    fn host(typed: &str) -> Host {
        Host::parse(typed, None).unwrap()
    }

    fn at(typed: &str) -> &'static str {
        of(&host(typed)).map_or("unknown", |provider| provider.name.as_str())
    }

    #[test]
    fn every_entry_can_be_used() {
        let all = read(include_str!("providers.toml")).unwrap();
        assert_eq!(all.len(), 8);
        assert_eq!(all.iter().map(|provider| &provider.name).collect::<BTreeSet<_>>().len(), all.len());
        for provider in &all {
            let Provider { name, hosts, suffixes, path, scopes, refresh, register, issuer, .. } = provider;
            let told = !hosts.is_empty() || !suffixes.is_empty() || path.is_some();
            assert!(told || ["databricks", "generic"].contains(&name.as_str()), "{name} is never found");
            assert!(hosts.iter().chain(suffixes).all(|host| *host == host.to_lowercase()), "{name}");
            assert!(
                suffixes.iter().all(|suffix| suffix.starts_with('.')),
                "{name}: another's name could end so"
            );
            let offline = scopes.iter().any(|scope| scope == "offline_access");
            assert!(
                offline == (*refresh == Refresh::Scope) || scopes.is_empty() || name == "keycloak",
                "{name}"
            );
            assert_eq!(provider.authorize.is_empty(), *refresh != Refresh::Parameter, "{name}");
            assert!(!register.is_empty() && !issuer.is_empty() && !provider.title.is_empty(), "{name}");
            assert!(Url::parse(&provider.redirect.uri(1)).is_ok(), "{name}");
            assert!(!name.contains(|c: char| !c.is_ascii_lowercase()), "{name}");
            let fixed = provider.fixed(&host("https://git.example:8443/x"));
            if let Some(fixed) = fixed {
                for url in [&fixed.issuer, &fixed.authorization_endpoint, &fixed.token_endpoint] {
                    assert!(url.starts_with("https://git.example:8443/"), "{name}: {url}");
                }
            }
        }
    }

    #[test]
    fn no_entry_overrides_what_makes_a_sign_in_safe() {
        let own = [
            "state",
            "code_challenge",
            "code_challenge_method",
            "redirect_uri",
            "client_id",
            "scope",
            "response_type",
            "nonce",
        ];
        for provider in all() {
            assert!(own.iter().all(|key| !provider.authorize.contains_key(*key)), "{}", provider.name);
        }
    }

    #[test]
    fn a_provider_is_told_by_its_address() {
        for (typed, name) in [
            ("github.com", "github"),
            ("gitlab.com", "gitlab"),
            ("https://accounts.google.com", "google"),
            ("login.microsoftonline.com/0a1b/v2.0", "entra"),
            ("dev-1.okta.com/oauth2/default", "okta"),
            ("sso.example.com/realms/main", "keycloak"),
            ("http://127.0.0.1:8080/realms/main", "keycloak"),
            ("adb-1.7.azuredatabricks.net", "databricks"),
            ("acme.databricks.com", "databricks"),
            ("example.com", "unknown"),
            ("notgithub.com", "unknown"),
            ("github.com.evil.example", "unknown"),
            ("evilokta.com", "unknown"),
            ("http://127.0.0.1:8080", "unknown"),
        ] {
            assert_eq!(at(typed), name, "{typed}");
        }
        let unified = Host::parse("data.example.com", Some("acc-1")).unwrap();
        assert_eq!(of(&unified).unwrap().name, "databricks");
        assert_eq!(named("gitlab").unwrap().title, "GitLab");
        assert!(named("GitLab").is_none());
    }

    #[test]
    fn github_is_where_it_always_was() {
        let github = named("github").unwrap().fixed(&host("github.com")).unwrap();
        assert_eq!(github.authorization_endpoint, "https://github.com/login/oauth/authorize");
        assert_eq!(github.token_endpoint, "https://github.com/login/oauth/access_token");
        assert_eq!(github.userinfo_endpoint.as_deref(), Some("https://api.github.com/user"));
        let enterprise = named("github").unwrap().fixed(&host("git.example")).unwrap();
        assert_eq!(enterprise.token_endpoint, "https://git.example/login/oauth/access_token");
        assert_eq!(enterprise.userinfo_endpoint, None, "a token stays with its server");
        assert!(named("google").unwrap().fixed(&host("accounts.google.com")).is_none());
    }

    #[test]
    fn what_is_asked_for_by_default_is_what_the_server_knows() {
        let server = metadata("https://i.example");
        let knowing = |scopes: &[&str]| {
            let scopes = Some(scopes.iter().map(|scope| (*scope).to_owned()).collect());
            Metadata { scopes, ..metadata("https://i.example") }
        };
        let okta = named("okta").unwrap();
        assert_eq!(okta.scopes_for(&server, &[]), ["openid", "profile", "offline_access"]);
        assert_eq!(okta.scopes_for(&knowing(&["openid", "email"]), &[]), ["openid"]);
        assert_eq!(okta.scopes_for(&server, &["a".into()]), ["a"], "a wish is taken literally");
        assert_eq!(named("generic").unwrap().scopes_for(&server, &[]), ["openid", "offline_access"]);
        let databricks = Metadata { flavor: Flavor::Databricks, ..server };
        assert_eq!(
            named("databricks").unwrap().scopes_for(&databricks, &["sql".into()]),
            ["sql", "offline_access"]
        );
    }

    #[test]
    fn google_is_asked_for_a_refresh_token_by_parameters() {
        let google = named("google").unwrap();
        let uri = google.redirect.uri(5);
        let server = metadata("https://i.example");
        let made =
            authorize(&server, "id", &uri, &google.scopes_for(&server, &[]), &google.authorize).unwrap();
        let query: BTreeMap<String, String> =
            Url::parse(&made.url).unwrap().query_pairs().into_owned().collect();
        assert_eq!((query["access_type"].as_str(), query["prompt"].as_str()), ("offline", "consent"));
        assert_eq!(query["redirect_uri"], "http://127.0.0.1:5/callback");
    }

    #[test]
    fn a_redirect_is_at_this_machine_and_spelt_as_the_server_knows_it() {
        let read = |text: &str| Redirect::try_from(text.to_owned());
        let bare = read("http://localhost").unwrap();
        assert_eq!((bare.uri(8020).as_str(), bare.path()), ("http://localhost:8020", "/"));
        let with_path = read("http://127.0.0.1/callback").unwrap();
        assert_eq!(
            (with_path.uri(9).as_str(), with_path.path()),
            ("http://127.0.0.1:9/callback", "/callback")
        );
        assert_eq!(with_path.origin(9), "http://127.0.0.1:9");
        for text in
            ["https://localhost", "http://example.com/callback", "http://localhost.example", "localhost"]
        {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_slip_in_the_file_is_found() {
        assert!(read("[[provider]]\nname = \"x\"").is_err());
        let entry = "[[provider]]\nname='x'\ntitle='x'\nissuer='x'\nscopes=[]\nredirect='http://localhost'\nsecret='none'\nrefresh='always'\nregister='x'\n";
        assert!(read(entry).is_ok());
        assert!(read(&format!("{entry}scope = []")).is_err(), "a field that there is not");
    }
}
