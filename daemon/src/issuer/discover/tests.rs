//! Hosts that answer in every way that hosts do.

use super::*;
use crate::issuer::testing::{Fake, json, reply};
use sso_agent_core::{
    discovery::{Flavor, HostType},
    host::Cloud,
};

const CONFIG: &str = "/.well-known/databricks-config";
const WORKSPACE: &str = "/oidc/.well-known/oauth-authorization-server";
const OIDC: &str = "/.well-known/openid-configuration";

/// A server that has these documents, with `ROOT` in them for its own address.
async fn serving(documents: &'static [(&'static str, &'static str)]) -> Fake {
    Fake::new(|request| {
        let path = request.split(' ').nth(1).unwrap_or_default();
        let root = request.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
        match documents.iter().find(|(at, _)| *at == path) {
            Some((_, body)) => json(200, &body.replace("ROOT", &format!("http://{root}"))),
            None => reply(404, "Content-Type: text/html\r\n", "<html>"),
        }
    })
    .await
}

async fn found(fake: &Fake, path: &str) -> Result<Metadata, DiscoverError> {
    let host = Host::parse(&fake.url(path), None).unwrap();
    Ok(find(&Http::new(), &Sought::at(&host)).await?.metadata.clone())
}

/// Without memory, and with the patience of a test.
async fn looked(sought: &Sought<'_>) -> Result<Found, DiscoverError> {
    let soon = Duration::from_millis(300);
    look(&Http::new(), sought, Patience { config: soon, document: soon * 2, ..PATIENCE }).await
}

fn asked(fake: &Fake) -> Vec<String> {
    fake.heard().iter().map(|request| request.split(' ').nth(1).unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_workspace_says_where_its_server_is() {
    let fake = serving(&[
        (CONFIG, r#"{"oidc_endpoint":"ROOT/oidc/accounts/{account_id}","account_id":"a-1","cloud":"AWS"}"#),
        (
            "/oidc/accounts/a-1/.well-known/oauth-authorization-server",
            r#"{"issuer":"ROOT/oidc/accounts/a-1","authorization_endpoint":"ROOT/a","token_endpoint":"ROOT/t","code_challenge_methods_supported":["S256"]}"#,
        ),
    ])
    .await;
    let metadata = found(&fake, "").await.unwrap();
    assert_eq!((metadata.flavor, metadata.token_endpoint), (Flavor::Databricks, fake.url("/t")));
}

#[tokio::test]
async fn a_workspace_without_a_config_has_its_document_in_the_old_place() {
    let fake =
        serving(&[(WORKSPACE, r#"{"authorization_endpoint":"ROOT/a","token_endpoint":"ROOT/t"}"#)]).await;
    let metadata = found(&fake, "").await.unwrap();
    assert_eq!((metadata.flavor, metadata.issuer), (Flavor::Databricks, fake.url("/oidc")));
}

#[tokio::test]
async fn an_oidc_issuer_is_found_last() {
    let fake = serving(&[(
        OIDC,
        r#"{"issuer":"ROOT","authorization_endpoint":"ROOT/a","token_endpoint":"ROOT/t","authorization_response_iss_parameter_supported":true}"#,
    )])
    .await;
    let metadata = found(&fake, "").await.unwrap();
    assert_eq!((metadata.flavor, metadata.iss_parameter_supported), (Flavor::Generic, true));
    assert_eq!(asked(&fake).len(), 4);
}

#[tokio::test]
async fn a_host_without_oauth_says_what_was_tried() {
    let fake = serving(&[]).await;
    let error = found(&fake, "/realm").await.unwrap_err();
    assert!(matches!(error, DiscoverError::NotOAuth { .. }));
    let text = error.to_string();
    assert!(text.contains("/realm has no sign-in") && text.contains("; /.well-known/openid"), "{text}");
}

#[tokio::test]
async fn a_server_that_is_unwell_is_not_said_to_lack_oauth() {
    let fake = Fake::new(|request| {
        if request.contains("openid-configuration") {
            reply(404, "", "")
        } else {
            reply(503, "Retry-After: 9\r\n", "")
        }
    })
    .await;
    let Err(DiscoverError::Unreachable { retry_after, cause }) = found(&fake, "/realm").await else {
        panic!()
    };
    assert_eq!(retry_after, Some(Duration::from_secs(9)));
    assert!(
        cause.contains("/.well-known/oauth-authorization-server/realm: 503 Service Unavailable"),
        "{cause}"
    );
    assert!(cause.contains("openid-configuration: 404 Not Found"), "{cause}");
    assert!(!cause.contains("DATABRICKS"), "an issuer with a path is no workspace: {cause}");
}

#[tokio::test]
async fn a_host_that_never_answers_is_given_up_with_advice() {
    let fake = Fake::silent().await;
    let soon = Duration::from_millis(100);
    let patience = Patience { config: soon, document: soon, whole: soon };
    for account in [None, Some("acc-1")] {
        let host = Host::parse(&fake.url(""), account).unwrap();
        let looked = look(&Http::new(), &Sought::at(&host), patience).await;
        let Err(DiscoverError::Unreachable { cause, .. }) = looked else { panic!() };
        assert!(cause.contains("/.well-known/databricks-config: no answer in time"), "{cause}");
        assert!(cause.contains("VPN, proxy") && cause.contains("DATABRICKS_DISCOVERY_URL"), "{cause}");
    }
}

#[tokio::test]
async fn a_door_that_is_closed_is_knocked_at_twice() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let host = Host::parse(&format!("http://127.0.0.1:{port}"), None).unwrap();
    let Err(DiscoverError::Unreachable { cause, .. }) = looked(&Sought::at(&host)).await else { panic!() };
    assert!(cause.starts_with(&format!("http://127.0.0.1:{port}: ")), "{cause}");
    assert!(cause.to_lowercase().contains("refused"), "{cause}");
}

#[test]
fn a_host_that_is_half_silent_keeps_nobody_for_longer_than_fifteen_seconds() {
    let unread = Duration::from_secs(1);
    assert!(PATIENCE.whole + unread < Duration::from_secs(15));
    let left = PATIENCE.whole - PATIENCE.config - unread - PATIENCE.document - unread;
    assert!(left >= Duration::from_secs(2), "a third document gets its turn");
}

#[tokio::test]
async fn whatever_is_wrong_with_the_config_the_next_document_counts() {
    let failures = [
        ("nothing", reply(404, "", "")),
        ("unwell", reply(500, "", "oops")),
        ("a web page", reply(200, "Content-Type: text/html\r\n", "<!doctype html>")),
        ("broken JSON", json(200, "{\"oidc_endpoint\":")),
        ("silence", String::new()),
    ];
    for (what, failure) in failures {
        let fake = Fake::start(move |request| {
            let path = request.split(' ').nth(1).unwrap_or_default();
            let root = request.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
            match path {
                CONFIG => Some(failure.clone()).filter(|answer| !answer.is_empty()),
                WORKSPACE => Some(json(
                    200,
                    &r#"{"authorization_endpoint":"ROOT/a","token_endpoint":"ROOT/t"}"#
                        .replace("ROOT", &format!("http://{root}")),
                )),
                _ => Some(reply(404, "", "")),
            }
        })
        .await;
        let host = Host::parse(&fake.url(""), None).unwrap();
        let found = looked(&Sought::at(&host)).await.unwrap();
        assert_eq!(found.metadata.token_endpoint, fake.url("/t"), "{what}");
        assert_eq!(asked(&fake).len(), 2, "{what}");
    }
}

#[tokio::test]
async fn an_account_has_its_endpoints_whatever_its_host_answers() {
    for answer in [
        || reply(404, "", ""),
        || reply(500, "", ""),
        || reply(200, "Content-Type: text/html\r\n", "<!doctype html>"),
    ] {
        let fake = Fake::new(move |_| answer()).await;
        let host = Host::parse(&fake.url(""), Some("acc-1")).unwrap();
        let found = looked(&Sought::at(&host)).await.unwrap();
        let root = fake.url("/oidc/accounts/acc-1");
        assert_eq!(found.metadata.token_endpoint, format!("{root}/v1/token"));
        assert_eq!((found.metadata.issuer, found.by), (root, By::Shape));
        assert_eq!(found.facts.account_id.as_deref(), Some("acc-1"));
        assert_eq!(asked(&fake).len(), 3);
    }
}

#[tokio::test]
async fn a_unified_host_is_found_by_its_config() {
    let fake = serving(&[
        (
            CONFIG,
            r#"{"oidc_endpoint":"ROOT/oidc/accounts/{account_id}","account_id":"acc-2","cloud":"GCP","host_type":"unified",
                "token_federation_default_oidc_audiences":["acc-2"]}"#,
        ),
        (
            "/oidc/accounts/acc-1/.well-known/oauth-authorization-server",
            r#"{"issuer":"ROOT/oidc/accounts/acc-1","authorization_endpoint":"ROOT/a","token_endpoint":"ROOT/t"}"#,
        ),
    ])
    .await;
    let host = Host::parse(&fake.url(""), Some("acc-1")).unwrap();
    let found = looked(&Sought::at(&host)).await.unwrap();
    assert!(matches!(found.by, By::Document(_)));
    let Facts { host_type, account_id, workspace_id, cloud, audiences } = found.facts;
    assert_eq!((host_type, cloud), (Some(HostType::Unified), Some(Cloud::Gcp)));
    assert_eq!((account_id.as_deref(), workspace_id), (Some("acc-1"), None));
    assert_eq!(audiences, ["acc-2"]);
}

#[tokio::test]
async fn an_account_that_only_the_profile_knows_fills_the_gap() {
    let fake = serving(&[
        (CONFIG, r#"{"oidc_endpoint":"ROOT/oidc/accounts/{account_id}"}"#),
        (
            "/oidc/accounts/acc-3/.well-known/oauth-authorization-server",
            r#"{"authorization_endpoint":"ROOT/a","token_endpoint":"ROOT/t"}"#,
        ),
    ])
    .await;
    let host = Host::parse(&fake.url(""), None).unwrap();
    let sought = Sought::at(&host);
    let missing = looked(&sought).await;
    assert_eq!(missing, Err(DiscoverError::Refused(Unacceptable::AccountMissing)));
    assert!(missing.unwrap_err().to_string().contains("--account-id"));
    assert!(looked(&Sought { account_id: Some("acc-3"), ..sought }).await.is_ok());
}

#[tokio::test]
async fn a_document_that_is_named_is_the_only_one_asked_for() {
    const NAMED: &str = "/x/.well-known/anything";
    let fake = serving(&[(
        NAMED,
        r#"{"issuer":"ROOT/x","authorization_endpoint":"ROOT/a","token_endpoint":"ROOT/t"}"#,
    )])
    .await;
    let workspace = Host::parse("adb-1.7.azuredatabricks.net", None).unwrap();
    let url = fake.url(NAMED);
    let sought = Sought { document: Some(&url), ..Sought::at(&workspace) };
    let found = looked(&sought).await.unwrap();
    assert_eq!((found.metadata.flavor, found.metadata.token_endpoint), (Flavor::Databricks, fake.url("/t")));
    assert_eq!(found.by, By::Document(url.clone()));
    assert_eq!(asked(&fake), [NAMED]);

    let nowhere = fake.url("/nowhere");
    let error = looked(&Sought { document: Some(&nowhere), ..sought }).await.unwrap_err();
    assert!(matches!(error, DiscoverError::NotOAuth { .. }), "{error}");
    assert!(
        error.to_string().contains("at the discovery URL")
            && error.to_string().contains("/nowhere: a web page (404)")
    );
    let plain = looked(&Sought { document: Some("http://example.com/x"), ..sought }).await;
    assert!(matches!(plain, Err(DiscoverError::Refused(Unacceptable::Appointed(_)))));
}

#[tokio::test]
async fn an_announced_server_may_have_the_other_document_only() {
    let fake = serving(&[
        (CONFIG, r#"{"oidc_endpoint":"ROOT/oidc/accounts/acc-1"}"#),
        (
            "/oidc/accounts/acc-1/.well-known/openid-configuration",
            r#"{"authorization_endpoint":"ROOT/a","token_endpoint":"ROOT/t"}"#,
        ),
    ])
    .await;
    let metadata = found(&fake, "").await.unwrap();
    assert_eq!(metadata.issuer, fake.url("/oidc/accounts/acc-1"));
    assert_eq!(asked(&fake).len(), 3);
}

#[tokio::test]
async fn who_has_no_document_at_a_providers_address_is_shown_a_better_one() {
    let fake = serving(&[]).await;
    let error = found(&fake, "/realms/main").await.unwrap_err().to_string();
    assert!(error.ends_with("an address of Keycloak looks like this: https://YOURS/realms/NAME"), "{error}");
}

#[tokio::test]
async fn what_always_was_somewhere_is_not_asked_for() {
    let github = Host::parse("github.com", None).unwrap();
    let found = looked(&Sought::at(&github)).await.unwrap();
    assert_eq!(found.metadata.token_endpoint, "https://github.com/login/oauth/access_token");
}

#[tokio::test]
async fn an_issuer_that_is_known_as_one_is_asked_for_its_own_documents_only() {
    let fake = serving(&[(
        OIDC,
        r#"{"issuer":"ROOT","authorization_endpoint":"ROOT/a","token_endpoint":"ROOT/t"}"#,
    )])
    .await;
    let host = Host::parse(&fake.url(""), None).unwrap();
    let sought = Sought { provider: providers::named("gitlab"), ..Sought::at(&host) };
    assert_eq!(looked(&sought).await.unwrap().metadata.flavor, Flavor::Generic);
    assert_eq!(asked(&fake), ["/.well-known/oauth-authorization-server", OIDC]);
}

#[tokio::test]
async fn a_host_that_may_be_a_workspace_says_so_in_databricks_words() {
    let fake = serving(&[]).await;
    let error = found(&fake, "").await.unwrap_err().to_string();
    assert!(error.contains("databricks OAuth is not supported for this host"), "{error}");
    assert!(
        !found(&fake, "/realm").await.unwrap_err().to_string().contains("databricks"),
        "an issuer is not one"
    );
}

#[tokio::test]
async fn a_document_for_somebody_else_ends_the_search() {
    let fake = serving(&[
        (WORKSPACE, r#"{"authorization_endpoint":"ROOT/a","token_endpoint":"https://evil.example/t"}"#),
        (OIDC, r#"{"issuer":"ROOT","authorization_endpoint":"ROOT/a","token_endpoint":"ROOT/t"}"#),
    ])
    .await;
    assert!(matches!(found(&fake, "").await, Err(DiscoverError::Refused(Unacceptable::Foreign(..)))));
}

#[tokio::test]
async fn what_is_served_for_everything_is_no_document() {
    let fake = Fake::new(|request| {
        if request.contains("databricks-config") {
            reply(200, "Content-Type: text/html\r\n", "<!doctype html>")
        } else if request.contains("/oidc/") {
            json(200, "[]")
        } else {
            json(200, r#"{"message":"no such page"}"#)
        }
    })
    .await;
    assert!(matches!(found(&fake, "").await, Err(DiscoverError::NotOAuth { .. })));
}
