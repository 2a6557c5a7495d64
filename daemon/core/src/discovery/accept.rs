//! Which documents are believed.

use url::Url;

use super::{Document, Flavor, HostConfig, Metadata, OAUTH, Source, Unacceptable};
use crate::{
    callback::clean,
    host::{Host, is_databricks, is_loopback},
};

/// The document that the person named for `host`, instead of all that would be looked for.
///
/// # Errors
/// [`Unacceptable::Appointed`], if it is at an address that must not be asked.
pub fn appointed(host: &Host, url: &str) -> Result<Source, Unacceptable> {
    let address = safe(true, "", url).map_err(|_| Unacceptable::Appointed(clean(url)))?;
    let path = address.path();
    let (issuer, _) = path.split_once("/.well-known/").unwrap_or((path, ""));
    let like_databricks = issuer.ends_with("/oidc") || issuer.contains("/oidc/accounts/");
    let databricks = like_databricks || host.is_databricks() || host.account_id().is_some();
    let flavor = if databricks { Flavor::Databricks } else { Flavor::Generic };
    let issuer = format!("{}{issuer}", address.origin().ascii_serialization());
    Ok(Source { url: address.into(), issuer, flavor, appointed: true })
}

/// Where `config` says that the document is; `None` if it does not say. The account is the host's, else
/// `account_id`, else the config's own.
///
/// # Errors
/// See [`Unacceptable`].
pub fn root(
    host: &Host,
    account_id: Option<&str>,
    config: &HostConfig,
) -> Result<Option<Source>, Unacceptable> {
    const FIELD: &str = "oidc_endpoint";
    let Some(said) = &config.oidc_endpoint else {
        return Ok(None);
    };
    let filled = if said.contains("{account_id}") {
        let known = host.account_id().or(account_id).or(config.facts.account_id.as_deref());
        let account = known.filter(|account| !account.is_empty()).ok_or(Unacceptable::AccountMissing)?;
        if !account.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            return Err(Unacceptable::Unsafe("account_id", clean(account)));
        }
        said.replace("{account_id}", account)
    } else {
        said.clone()
    };
    let address = safe(host.is_loopback(), FIELD, &filled)?;
    if !is_ours(host, &address) || address.query().is_some() {
        return Err(Unacceptable::Foreign(FIELD, clean(said)));
    }
    let issuer = address.as_str().trim_end_matches('/').to_owned();
    Ok(Some(Source { url: format!("{issuer}{OAUTH}"), issuer, flavor: Flavor::Databricks, appointed: false }))
}

/// Believes a document from `source`, or says why not.
///
/// # Errors
/// See [`Unacceptable`].
pub fn accept(host: &Host, source: &Source, document: Document) -> Result<Metadata, Unacceptable> {
    let here = may_be_here(host, source);
    let required = |field, value: Option<String>| {
        let value = value.ok_or(Unacceptable::Missing(field))?;
        let address = safe(here, field, &value)?;
        let fits = match (source.flavor, source.appointed) {
            (Flavor::Databricks, _) | (Flavor::Generic, true) => speaks_for(host, source, &address),
            (Flavor::Generic, false) => true,
        };
        if fits { Ok(String::from(address)) } else { Err(Unacceptable::Foreign(field, clean(&value))) }
    };
    let methods = document.code_challenge_methods_supported;
    if methods.as_ref().is_some_and(|methods| !methods.iter().any(|method| method == "S256")) {
        return Err(Unacceptable::NoS256);
    }
    let issuer = issuer(host, source, document.issuer)?;
    let authorization_endpoint = required("authorization_endpoint", document.authorization_endpoint)?;
    let token_endpoint = required("token_endpoint", document.token_endpoint)?;
    let together = |address: &str| match source.flavor {
        Flavor::Databricks => same_server(address, &token_endpoint),
        Flavor::Generic => true,
    };
    if !together(&authorization_endpoint) {
        return Err(Unacceptable::Foreign("authorization_endpoint", clean(&authorization_endpoint)));
    }
    let optional = |value: Option<String>| {
        safe(here, "", &value?).ok().map(String::from).filter(|address| together(address))
    };
    Ok(Metadata {
        issuer,
        revocation_endpoint: optional(document.revocation_endpoint),
        userinfo_endpoint: optional(document.userinfo_endpoint),
        authorization_endpoint,
        token_endpoint,
        iss_parameter_supported: document.authorization_response_iss_parameter_supported.unwrap_or(false),
        scopes: document.scopes_supported,
        grant_types: document.grant_types_supported,
        code_challenge_methods: methods,
        token_endpoint_auth_methods: document.token_endpoint_auth_methods_supported,
        flavor: source.flavor,
    })
}

/// The issuer as it names itself, if it may. Behind a Databricks host it may go by another path or name.
fn issuer(host: &Host, source: &Source, said: Option<String>) -> Result<String, Unacceptable> {
    const FIELD: &str = "issuer";
    let said = match (source.flavor, said) {
        (_, Some(said)) => said,
        (Flavor::Databricks, None) => return Ok(source.issuer.clone()),
        (Flavor::Generic, None) => return Err(Unacceptable::Missing(FIELD)),
    };
    let address = safe(may_be_here(host, source), FIELD, &said)?;
    let own = match (source.flavor, source.appointed) {
        (Flavor::Databricks, _) | (Flavor::Generic, true) => speaks_for(host, source, &address),
        (Flavor::Generic, false) => Url::parse(&source.issuer).is_ok_and(|asked| {
            asked.as_str().trim_end_matches('/') == address.as_str().trim_end_matches('/')
        }),
    };
    if own { Ok(said) } else { Err(Unacceptable::Foreign(FIELD, clean(&said))) }
}

/// Whether its addresses may be at this machine: where the host is, or the document that was named for it.
fn may_be_here(host: &Host, source: &Source) -> bool {
    let document = || Url::parse(&source.url).is_ok_and(|url| is_loopback(&url));
    host.is_loopback() || source.appointed && document()
}

/// Whether an address is the host's to give, or the named document's.
fn speaks_for(host: &Host, source: &Source, address: &Url) -> bool {
    is_ours(host, address) || source.appointed && same_server(&source.url, address.as_str())
}

/// Reads an address that secrets may be sent to; `here` if it may be at this machine.
pub(crate) fn safe(here: bool, field: &'static str, value: &str) -> Result<Url, Unacceptable> {
    let refused = || Unacceptable::Unsafe(field, clean(value));
    if value.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(refused());
    }
    let url = Url::parse(value).map_err(|_| refused())?;
    let scheme = match url.scheme() {
        "https" => is_loopback(&url) <= here,
        "http" => is_loopback(&url) && here,
        _ => false,
    };
    let bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    if scheme && bare && url.has_host() { Ok(url) } else { Err(refused()) }
}

/// Whether two addresses are at the same server, this machine counting as one. The stock client is
/// known to every Databricks host, so a code that one of them gives must not go to anybody else
/// (RFC 9700, 4.4).
fn same_server(one: &str, other: &str) -> bool {
    let (Ok(one), Ok(other)) = (Url::parse(one), Url::parse(other)) else { return false };
    one.origin() == other.origin() || (is_loopback(&one) && is_loopback(&other))
}

/// Whether a host may send us there: to itself, under any of this machine's names, or, from one
/// Databricks host, to another.
fn is_ours(host: &Host, address: &Url) -> bool {
    let own = Url::parse(host.url())
        .is_ok_and(|own| own.host_str() == address.host_str() || (is_loopback(&own) && is_loopback(address)));
    let theirs = || address.host_str().is_some_and(is_databricks);
    own || host.is_databricks() && theirs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::{Facts, Step, plan};
    use proptest::prelude::*;

    const WORKSPACE: &str = "https://adb-1.7.azuredatabricks.net";

    fn host(typed: &str) -> Host {
        let account = typed.contains("://accounts.cloud").then_some("acc-1");
        Host::parse(typed, account).unwrap()
    }

    fn last_source(typed: &str) -> Source {
        match plan(&host(typed)).pop() {
            Some(Step::Document(source)) => source,
            other => panic!("{other:?}"),
        }
    }

    fn document(root: &str) -> Document {
        Document {
            issuer: Some(root.to_owned()),
            authorization_endpoint: Some(format!("{root}/v1/authorize")),
            token_endpoint: Some(format!("{root}/v1/token")),
            ..Document::default()
        }
    }

    fn judged(typed: &str, document: Document) -> Result<Metadata, Unacceptable> {
        accept(&host(typed), &last_source(typed), document)
    }

    fn saying(oidc_endpoint: &str) -> HostConfig {
        HostConfig { oidc_endpoint: Some(oidc_endpoint.into()), facts: Facts::default() }
    }

    fn led_to(typed: &str, oidc_endpoint: &str) -> Result<Option<Source>, Unacceptable> {
        root(&host(typed), None, &saying(oidc_endpoint))
    }

    #[test]
    fn the_config_of_a_host_leads_to_its_document() {
        let url = |typed, endpoint| led_to(typed, endpoint).unwrap().unwrap().url;
        let console = "https://accounts.cloud.databricks.com";
        assert_eq!(
            url(console, "https://accounts.cloud.databricks.com/oidc/accounts/{account_id}/"),
            format!("{console}/oidc/accounts/acc-1/.well-known/oauth-authorization-server")
        );
        assert_eq!(
            url("https://data.example.com", "https://data.example.com/oidc"),
            "https://data.example.com/oidc/.well-known/oauth-authorization-server"
        );
        assert_eq!(
            url("http://127.0.0.1:1", "http://localhost:1/oidc"),
            "http://localhost:1/oidc/.well-known/oauth-authorization-server"
        );
        assert_eq!(root(&host(WORKSPACE), None, &HostConfig::default()), Ok(None));
    }

    /// Every Databricks host knows the stock client, so a code of one must not go to anybody else.
    #[test]
    fn a_host_cannot_send_us_to_databricks_and_have_the_code_sent_to_itself() {
        let workspace = Document {
            authorization_endpoint: Some(format!("{WORKSPACE}/oidc/v1/authorize")),
            ..document("https://evil.example/oidc")
        };
        let evil = Source {
            url: "https://evil.example/oidc/.well-known/oauth-authorization-server".into(),
            issuer: "https://evil.example/oidc".into(),
            flavor: Flavor::Databricks,
            appointed: false,
        };
        let refused = accept(&host("https://evil.example"), &evil, workspace);
        assert!(matches!(refused, Err(Unacceptable::Foreign("authorization_endpoint", _))), "{refused:?}");
        let config = saying(&format!("{WORKSPACE}/oidc"));
        let led = root(&host("https://evil.example"), None, &config);
        assert!(matches!(led, Err(Unacceptable::Foreign(..))));
    }

    #[test]
    fn a_refresh_token_is_revoked_where_it_is_spent_or_nowhere() {
        let elsewhere = Document {
            revocation_endpoint: Some("https://evil.example/revoke".into()),
            userinfo_endpoint: Some(format!("{WORKSPACE}/oidc/v1/userinfo")),
            ..document(&format!("{WORKSPACE}/oidc"))
        };
        let accepted = accept(&host(WORKSPACE), &last_source(WORKSPACE), elsewhere).unwrap();
        assert_eq!(accepted.revocation_endpoint, None);
        assert!(accepted.userinfo_endpoint.is_some());
    }

    #[test]
    fn the_config_of_a_host_cannot_lead_elsewhere() {
        for endpoint in [
            "https://evil.example/oidc",
            "https://azuredatabricks.net.evil.example/oidc",
            "https://adb-1.7.azuredatabricks.net/oidc?x=1",
        ] {
            assert!(matches!(led_to(WORKSPACE, endpoint), Err(Unacceptable::Foreign(..))), "{endpoint}");
        }
        for endpoint in [
            "http://adb-1.7.azuredatabricks.net/oidc",
            "https://u@adb-1.7.azuredatabricks.net/oidc",
            "http://127.0.0.1/oidc",
            "https://localhost/oidc",
            "/oidc",
            "javascript:alert(1)",
            "https://adb-1.7.azuredatabricks.net/o\nidc",
        ] {
            assert!(matches!(led_to(WORKSPACE, endpoint), Err(Unacceptable::Unsafe(..))), "{endpoint}");
        }
    }

    #[test]
    fn the_account_comes_from_the_host_or_else_from_its_config() {
        let at = |given: Option<&str>, own: Option<&str>| {
            let facts = Facts { account_id: own.map(Into::into), ..Facts::default() };
            let config = HostConfig { facts, ..saying(&format!("{WORKSPACE}/oidc/accounts/{{account_id}}")) };
            root(&host(WORKSPACE), given, &config)
        };
        assert!(at(None, Some("acc-2")).unwrap().unwrap().url.contains("/accounts/acc-2/"));
        assert!(at(Some("acc-3"), Some("acc-2")).unwrap().unwrap().url.contains("/accounts/acc-3/"));
        assert_eq!(at(None, None), Err(Unacceptable::AccountMissing));
        assert_eq!(at(None, Some("")), Err(Unacceptable::AccountMissing));
        assert!(matches!(at(None, Some("../x")), Err(Unacceptable::Unsafe(..))));
    }

    #[test]
    fn a_document_with_endpoints_is_believed() {
        let found = judged(WORKSPACE, document(&format!("{WORKSPACE}/oidc"))).unwrap();
        assert_eq!(found.token_endpoint, format!("{WORKSPACE}/oidc/v1/token"));
        assert_eq!(found.flavor.stock_client(), Some("databricks-cli"));

        let found = judged("https://i.example/a", document("https://i.example/a")).unwrap();
        assert_eq!((found.flavor, found.flavor.stock_client()), (Flavor::Generic, None));
    }

    #[test]
    fn a_generic_issuer_speaks_for_itself_alone() {
        let says = |issuer: &str| {
            judged(
                "https://i.example/a",
                Document { issuer: Some(issuer.into()), ..document("https://i.example/a") },
            )
        };
        assert!(says("https://i.example/a/").is_ok());
        for issuer in
            ["https://i.example", "https://i.example/b", "https://evil.example/a", "https://i.example/a?x"]
        {
            assert!(matches!(says(issuer), Err(Unacceptable::Foreign("issuer", _))), "{issuer}");
        }
        let silent = Document { issuer: None, ..document("https://i.example/a") };
        assert_eq!(judged("https://i.example/a", silent), Err(Unacceptable::Missing("issuer")));
    }

    #[test]
    fn a_stand_in_may_call_itself_by_another_loopback_name() {
        let here = host("http://127.0.0.1:8");
        let source = root(&here, None, &saying("http://localhost:8/oidc")).unwrap().unwrap();
        assert!(accept(&here, &source, document("http://[::1]:8/oidc")).is_ok());
    }

    #[test]
    fn an_endpoint_must_be_safe() {
        for endpoint in [
            "http://i.example/token",
            "http://127.0.0.1/token",
            "https://127.0.0.1/token",
            "https://a:b@i.example/token",
            "https://i.example/token#x",
            "file:///etc/passwd",
            "token",
            "",
            "https://i.example/\u{1b}[2J",
        ] {
            let bad = Document { token_endpoint: Some(endpoint.into()), ..document("https://i.example") };
            assert!(
                matches!(judged("https://i.example", bad), Err(Unacceptable::Unsafe("token_endpoint", _))),
                "{endpoint}"
            );
        }
        let none = Document { authorization_endpoint: None, ..document("https://i.example") };
        assert_eq!(judged("https://i.example", none), Err(Unacceptable::Missing("authorization_endpoint")));
    }

    #[test]
    fn the_endpoints_of_a_workspace_are_databricks_own() {
        let foreign =
            Document { token_endpoint: Some("https://evil.example/t".into()), ..document(WORKSPACE) };
        assert!(matches!(judged(WORKSPACE, foreign), Err(Unacceptable::Foreign("token_endpoint", _))));
        let google = Document {
            token_endpoint: Some("https://oauth2.example/token".into()),
            ..document("https://accounts.example")
        };
        assert!(judged("https://accounts.example", google).is_ok(), "elsewhere they may be anywhere");
    }

    #[test]
    fn an_unsafe_optional_endpoint_is_left_out() {
        let odd = Document {
            revocation_endpoint: Some("http://i.example/revoke".into()),
            userinfo_endpoint: Some("https://i.example/me".into()),
            ..document("https://i.example")
        };
        let found = judged("https://i.example", odd).unwrap();
        assert_eq!(found.revocation_endpoint, None);
        assert_eq!(found.userinfo_endpoint.as_deref(), Some("https://i.example/me"));
    }

    #[test]
    fn a_server_without_s256_is_refused() {
        let with = |methods: &[&str]| {
            let methods = Some(methods.iter().map(|m| (*m).to_owned()).collect());
            judged(
                "https://i.example",
                Document { code_challenge_methods_supported: methods, ..document("https://i.example") },
            )
        };
        assert_eq!(with(&["plain"]), Err(Unacceptable::NoS256));
        assert_eq!(with(&[]), Err(Unacceptable::NoS256));
        assert!(with(&["plain", "S256"]).is_ok());
    }

    #[test]
    fn a_document_that_was_named_gives_its_own_endpoints_or_the_hosts() {
        let named = "https://sso.example/oidc/accounts/a/.well-known/oauth-authorization-server";
        let judged = |root: &str| {
            let source = appointed(&host(WORKSPACE), named).unwrap();
            accept(&host(WORKSPACE), &source, document(root))
        };
        assert!(judged("https://sso.example/oidc/accounts/a").is_ok());
        assert!(judged(&format!("{WORKSPACE}/oidc")).is_ok());
        assert!(matches!(judged("https://evil.example/oidc"), Err(Unacceptable::Foreign("issuer", _))));
        let torn = Document {
            token_endpoint: Some("https://sso.example/t".into()),
            ..document(&format!("{WORKSPACE}/oidc"))
        };
        let source = appointed(&host(WORKSPACE), named).unwrap();
        let torn = accept(&host(WORKSPACE), &source, torn);
        assert!(matches!(torn, Err(Unacceptable::Foreign("authorization_endpoint", _))), "{torn:?}");
    }

    #[test]
    fn a_document_that_was_named_for_another_issuer_stays_with_it() {
        let issuer = host("https://i.example");
        let source = appointed(&issuer, "https://sso.example/x/.well-known/openid-configuration").unwrap();
        let found = accept(&issuer, &source, document("https://sso.example/x")).unwrap();
        assert_eq!(found.flavor, Flavor::Generic);
        let foreign = accept(&issuer, &source, document("https://evil.example/x"));
        assert!(matches!(foreign, Err(Unacceptable::Foreign(..))));
    }

    #[test]
    fn a_document_may_be_named_at_this_machine_or_over_https_only() {
        let here = "http://127.0.0.1:8/oidc/.well-known/oauth-authorization-server";
        let source = appointed(&host(WORKSPACE), here).unwrap();
        let found = accept(&host(WORKSPACE), &source, document("http://127.0.0.1:8/oidc")).unwrap();
        assert_eq!(
            (found.flavor, found.token_endpoint.as_str()),
            (Flavor::Databricks, "http://127.0.0.1:8/oidc/v1/token")
        );
        for url in ["http://sso.example/x", "ftp://127.0.0.1/x", "x", "", "https://u:p@sso.example/x"] {
            let refused = appointed(&host(WORKSPACE), url);
            assert!(matches!(refused, Err(Unacceptable::Appointed(_))), "{url}");
        }
    }

    proptest! {
        #[test]
        fn no_document_makes_a_secret_travel_in_the_clear(endpoint in ".{0,40}", scheme in "(https?|ftp)?(://)?", name in "[a-z0-9.@:\\[\\]/#?-]{0,20}") {
            for value in [endpoint, format!("{scheme}{name}")] {
                let said = Document { token_endpoint: Some(value), ..document("https://i.example") };
                if let Ok(found) = judged("https://i.example", said) {
                    prop_assert!(found.token_endpoint.starts_with("https://"));
                }
            }
        }
    }
}
