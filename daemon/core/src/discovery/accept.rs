//! Which documents are believed.

use url::Url;

use super::{Document, Flavor, HostConfig, Metadata, OAUTH, Source, Unacceptable};
use crate::{
    callback::clean,
    host::{Host, is_loopback},
};

/// Where `config` says that the document is; `None` if it does not say.
///
/// # Errors
/// See [`Unacceptable`].
pub fn root(host: &Host, config: &HostConfig) -> Result<Option<Source>, Unacceptable> {
    const FIELD: &str = "oidc_endpoint";
    let Some(said) = &config.oidc_endpoint else {
        return Ok(None);
    };
    let filled = if said.contains("{account_id}") {
        let account =
            host.account_id().or(config.account_id.as_deref()).ok_or(Unacceptable::AccountMissing)?;
        if !account.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            return Err(Unacceptable::Unsafe("account_id", clean(account)));
        }
        said.replace("{account_id}", account)
    } else {
        said.clone()
    };
    let address = safe(host, FIELD, &filled)?;
    if !is_ours(host, &address) || address.query().is_some() {
        return Err(Unacceptable::Foreign(FIELD, clean(said)));
    }
    let issuer = address.as_str().trim_end_matches('/').to_owned();
    Ok(Some(Source { url: format!("{issuer}{OAUTH}"), issuer, flavor: Flavor::Databricks }))
}

/// Believes a document from `source`, or says why not.
///
/// # Errors
/// See [`Unacceptable`].
pub fn accept(host: &Host, source: &Source, document: Document) -> Result<Metadata, Unacceptable> {
    let required = |field, value: Option<String>| {
        let value = value.ok_or(Unacceptable::Missing(field))?;
        let address = safe(host, field, &value)?;
        match source.flavor {
            Flavor::Databricks if !is_ours(host, &address) => {
                Err(Unacceptable::Foreign(field, clean(&value)))
            }
            Flavor::Databricks | Flavor::Generic => Ok(String::from(address)),
        }
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
        safe(host, "", &value?).ok().map(String::from).filter(|address| together(address))
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
    let address = safe(host, FIELD, &said)?;
    let own = match source.flavor {
        Flavor::Databricks => is_ours(host, &address),
        Flavor::Generic => Url::parse(&source.issuer).is_ok_and(|asked| {
            asked.as_str().trim_end_matches('/') == address.as_str().trim_end_matches('/')
        }),
    };
    if own { Ok(said) } else { Err(Unacceptable::Foreign(FIELD, clean(&said))) }
}

/// Reads an address that secrets may be sent to.
fn safe(host: &Host, field: &'static str, value: &str) -> Result<Url, Unacceptable> {
    let refused = || Unacceptable::Unsafe(field, clean(value));
    if value.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(refused());
    }
    let url = Url::parse(value).map_err(|_| refused())?;
    let scheme = match url.scheme() {
        "https" => is_loopback(&url) <= host.is_loopback(),
        "http" => is_loopback(&url) && host.is_loopback(),
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
    // The account is asked for by the name alone, and any will do to ask for the cloud.
    let cloud = || Host::parse(address.as_str(), Some("any")).is_ok_and(|other| other.cloud().is_some());
    let theirs = || cloud() || address.host_str().is_some_and(|name| name.ends_with(".databricks.com"));
    own || host.cloud().is_some() && theirs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::{Step, plan};
    use proptest::prelude::*;

    const WORKSPACE: &str = "https://adb-1.7.azuredatabricks.net";

    fn host(typed: &str) -> Host {
        Host::parse(typed, Some("acc-1")).unwrap()
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

    fn led_to(typed: &str, oidc_endpoint: &str) -> Result<Option<Source>, Unacceptable> {
        let config = HostConfig { oidc_endpoint: Some(oidc_endpoint.into()), account_id: None };
        root(&host(typed), &config)
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
        assert_eq!(root(&host(WORKSPACE), &HostConfig::default()), Ok(None));
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
        };
        let refused = accept(&host("https://evil.example"), &evil, workspace);
        assert!(matches!(refused, Err(Unacceptable::Foreign("authorization_endpoint", _))), "{refused:?}");
        let config = HostConfig { oidc_endpoint: Some(format!("{WORKSPACE}/oidc")), account_id: None };
        assert!(matches!(root(&host("https://evil.example"), &config), Err(Unacceptable::Foreign(..))));
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
        let endpoint = Some(format!("{WORKSPACE}/oidc/accounts/{{account_id}}"));
        let at = |account_id: Option<&str>| {
            let config =
                HostConfig { oidc_endpoint: endpoint.clone(), account_id: account_id.map(Into::into) };
            root(&host(WORKSPACE), &config)
        };
        assert!(at(Some("acc-2")).unwrap().unwrap().url.contains("/accounts/acc-2/"));
        assert_eq!(at(None), Err(Unacceptable::AccountMissing));
        assert!(matches!(at(Some("../x")), Err(Unacceptable::Unsafe(..))));
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
        let config = HostConfig { oidc_endpoint: Some("http://localhost:8/oidc".into()), account_id: None };
        let here = host("http://127.0.0.1:8");
        let source = root(&here, &config).unwrap().unwrap();
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
