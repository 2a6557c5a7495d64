//! Sign-ins that lead elsewhere than to a host's own server: Entra, GitHub's tokens for its workflows, and a
//! document that somebody names.

#![cfg(unix)]

use serde_json::json;
use sso_agent_tests::{Agent, Finished, Provider, Sandbox, need, token};

const NO_PROVIDER: &str = "the OpenID provider is missing";
/// An application that is registered at the stand-in's Entra.
const APP: &str = "6128a518-99a9-425b-8333-4cc94f04cacd";

#[test]
fn an_application_of_entra_signs_in_and_renews_and_shows_its_origin_where_that_is_missed() {
    let sandbox = Sandbox::new();
    let provider = need!("Entra", Provider::shaped("azure", 4), NO_PROVIDER);
    let url = &provider.url;
    sandbox.write_databrickscfg(&format!(
        "[entra]\nhost = {url}\nauth_type = external-browser\nazure_client_id = {APP}\n\n[own]\nhost = {url}\n"
    ));
    let agent = Agent::start(&sandbox);
    sandbox.sso(["login", "--profile", "entra"]).ok();
    let first = sandbox.sso(["token", "--profile", "entra"]).ok().to_owned();
    assert_eq!(token::user(&first).as_deref(), Some("ada@example.com"));
    assert_eq!(provider.judge(&first), 200);
    assert_eq!(provider.count("origin_missing"), 1, "it is shown when it is missed, once");
    agent.kill();
    let _agent = Agent::start(&sandbox);
    token::outlive(&first);
    let second = sandbox.sso(["token", "--profile", "entra"]).ok().to_owned();
    assert_eq!(provider.judge(&second), 200);
    assert_eq!(provider.count("origin_missing"), 1, "a renewal shows it from the start");

    sandbox.sso(["login", "--profile", "own"]).ok();
    let status = sandbox.sso(["status", "--json"]).json();
    let issuer = |n: usize| status["sessions"][n]["issuer"].as_str().unwrap().to_owned();
    assert!(issuer(0).contains("microsoft") && issuer(1) == format!("{url}/oidc"), "{status}");
    sandbox.sso(["login", url, "--provider", "entra", "--client-id", APP]).ok();
}

#[test]
fn a_workflow_of_github_is_signed_in_by_what_github_says_of_it() {
    let sandbox = Sandbox::new();
    let provider = need!("GitHub", Provider::start(3600), NO_PROVIDER);
    let url = &provider.url;
    sandbox.write_databrickscfg(&format!("[ci]\nhost = {url}\nauth_type = github-oidc\n"));
    let _agent = Agent::start(&sandbox);
    let mut login = sandbox.sso_command();
    login.args(["login", "--profile", "ci"]);
    login.env("ACTIONS_ID_TOKEN_REQUEST_URL", format!("{url}/github-oidc?api-version=2.0"));
    let said = Finished::of(login.env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "runner-token"));
    said.ok();
    let token = sandbox.sso(["token", "--profile", "ci"]).ok().to_owned();
    assert_eq!((provider.judge(&token), provider.count("token_exchanges")), (200, 1));
    assert!(!sandbox.logs().contains("runner-token"));
}

#[test]
fn a_document_that_is_named_is_the_only_one_asked_for() {
    let provider = need!("a named document", Provider::start(3600), NO_PROVIDER);
    provider.set(&json!({"config_answer": "500"}));
    let sandbox = Sandbox::new();
    let _agent = Agent::start(&sandbox);
    let login = |document: &str| {
        let mut login = sandbox.sso_command();
        Finished::of(login.args(["login", &provider.url]).env("DATABRICKS_DISCOVERY_URL", document))
    };
    let wrong = login(&format!("{}/nowhere", provider.url));
    assert!(wrong.code == Some(1) && wrong.stderr.contains("/nowhere"), "{wrong:?}");
    login(&format!("{}/oidc/.well-known/oauth-authorization-server", provider.url)).ok();
    assert_eq!((provider.count("config_fetches"), provider.count("document_fetches")), (0, 1));
    let foreign = login("https://sso.example.com/.well-known/oauth-authorization-server");
    assert_ne!(foreign.code, Some(0), "{foreign:?}");
}
