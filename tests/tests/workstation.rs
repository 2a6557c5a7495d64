//! What a person at a workstation sees of signing in: which browser, which port, how often.

#![cfg(unix)]

use sso_agent_tests::{Agent, Finished, Provider, Sandbox, need, parts, token};
use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::Duration;
use url::Url;

const NO_PROVIDER: &str = "the OpenID provider is missing";
/// Notes where a link leads, and follows it.
const OPENER: &str = r#"#!/bin/sh
url=$(curl --silent --output /dev/null --write-out '%{redirect_url}' "$1")
echo "$url" >> "$OPENED"
exec "$FOLLOW" "$url"
"#;

#[test]
fn a_browser_opens_once_for_the_stock_client_and_never_from_the_background() {
    let sandbox = sandbox_with_opener();
    let provider = need!("the browser", Provider::start(4), NO_PROVIDER);
    let _agent = Agent::start(&sandbox);
    sandbox.sso(["login", &provider.url]).ok();

    let [address] = opened(&sandbox).try_into().expect("one browser");
    let query: HashMap<String, String> = address.query_pairs().into_owned().collect();
    assert_eq!(query["client_id"], "databricks-cli");
    let port = query["redirect_uri"].strip_prefix("http://localhost:").and_then(|port| port.parse().ok());
    assert!(port.is_some_and(|port: u16| (8020..=8040).contains(&port)), "{query:?}");
    assert_eq!((query["response_type"].as_str(), query["code_challenge_method"].as_str()), ("code", "S256"));
    let scopes: Vec<&str> = query["scope"].split(' ').collect();
    assert!(scopes.contains(&"all-apis") && scopes.contains(&"offline_access"), "{scopes:?}");

    let last = sandbox.sso(["token"]).ok().to_owned();
    provider.set(&serde_json::json!({"token_fault": {"status": 400, "content_type": "application/json",
        "body": r#"{"error":"invalid_grant"}"#}}));
    token::outlive(&last);
    sandbox.sso(["token"]).failed_with(4);
    sandbox.databricks(["auth", "token", "--host", &provider.url]).failed_with(1);
    assert_eq!(opened(&sandbox).len(), 1, "only signing in opens a browser");
}

#[test]
fn a_port_that_is_taken_is_passed_over_and_one_that_was_asked_for_is_told_before_a_browser_opens() {
    let mut sandbox = sandbox_with_opener();
    let provider = need!("ports", Provider::start(3600), NO_PROVIDER);
    let _agent = Agent::start(&sandbox);
    // A sign-in of another test may have it for a while.
    let _taken = std::iter::repeat_with(|| {
        std::thread::park_timeout(Duration::from_millis(20));
        TcpListener::bind("127.0.0.1:8020")
    })
    .take(3000)
    .find_map(Result::ok)
    .expect("a sign-in ends");
    sandbox.sso(["login", &provider.url]).ok();
    let address = opened(&sandbox).remove(0);
    assert!(address.as_str().contains("localhost%3A80") && !address.as_str().contains("localhost%3A8020"));

    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port().to_string();
    sandbox.set("OPENED", sandbox.path("never").display().to_string());
    let busy = sandbox.sso(["login", &provider.url, "--as", "second", "--port", &port]);
    assert_ne!(busy.code, Some(0));
    assert!(busy.stderr.contains(&port), "{busy:?}");
    assert!(!sandbox.path("never").exists(), "no browser opened");
}

#[test]
fn without_a_browser_the_address_is_printed_and_the_sign_in_completes() {
    let mut sandbox = Sandbox::new();
    sandbox.set("BROWSER", "none");
    let provider = need!("no browser", Provider::start(3600), NO_PROVIDER);
    let _agent = Agent::start(&sandbox);
    let mut login = sandbox.sso_command();
    login.args(["login", "--no-browser", &provider.url]).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = login.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let address = lines.find(|line| line.trim().starts_with("http://")).expect("an address to open");
    Finished::of(sandbox.command(parts::program("follow")).arg(address.trim())).ok();
    lines.for_each(drop);
    assert!(child.wait().unwrap().success());
    sandbox.sso(["token"]).ok();
}

#[test]
fn sloppily_typed_hosts_are_the_same_session() {
    let sandbox = Sandbox::new();
    let provider = need!("sloppy hosts", Provider::start(3600), NO_PROVIDER);
    let _agent = Agent::start(&sandbox);
    sandbox.sso(["login", &format!("{}/?o=4242424242424242", provider.url)]).ok();
    let first = sandbox.sso(["token", &provider.url]).ok().to_owned();
    for typed in [
        format!("{}/", provider.url),
        provider.url.to_uppercase().replace("HTTP://", "http://"),
        format!("{}?o=1", provider.url),
    ] {
        assert_eq!(sandbox.sso(["token", &typed]).ok(), first, "{typed}");
        assert!(sandbox.databricks(["auth", "token", "--host", &typed]).ok().contains(&first), "{typed}");
    }
}

#[test]
fn the_second_run_does_not_ask_again_even_when_refresh_tokens_may_be_used_once() {
    let sandbox = Sandbox::new();
    let provider = need!("the second run", Provider::start(4), NO_PROVIDER);
    let agent = Agent::start(&sandbox);
    sandbox.sso(["login", &provider.url]).ok();
    let first = sandbox.sso(["token"]).ok().to_owned();
    agent.stop();
    token::outlive(&first);
    let _agent = Agent::start(&sandbox);
    let second = sandbox.sso(["token"]).ok().to_owned();
    token::outlive(&second);
    assert!(token::is_alive(sandbox.sso(["token"]).ok()));
    assert_eq!((provider.count("authorizations"), provider.count("replays")), (1, 0));
}

fn sandbox_with_opener() -> Sandbox {
    let mut sandbox = Sandbox::new();
    let opener = sandbox.path("opener");
    fs::write(&opener, OPENER).expect("a folder of our own");
    fs::set_permissions(&opener, fs::Permissions::from_mode(0o700)).expect("a file of our own");
    sandbox.set("BROWSER", opener.display().to_string());
    sandbox.set("OPENED", sandbox.path("opened").display().to_string());
    sandbox.set("FOLLOW", parts::program("follow").display().to_string());
    sandbox
}

/// The addresses that a browser was sent to.
fn opened(sandbox: &Sandbox) -> Vec<Url> {
    let text = fs::read_to_string(sandbox.path("opened")).unwrap_or_default();
    text.lines().map(|line| Url::parse(line).expect("an address")).collect()
}
