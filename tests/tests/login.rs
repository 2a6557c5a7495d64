//! A person signs in once; the command line does what its page of promises says, exit codes included.

#![cfg(unix)]

use serde_json::json;
use sso_agent_tests::{Agent, Finished, Provider, Sandbox, need, token};

const NO_PROVIDER: &str = "the OpenID provider is missing";

#[test]
fn a_person_signs_in_uses_tokens_and_signs_out() {
    let sandbox = Sandbox::new();
    let provider = need!("sign-in", Provider::start(3600), NO_PROVIDER);
    let _agent = Agent::start(&sandbox);

    let login = sandbox.sso(["login", &provider.url]);
    login.ok();
    assert_eq!(provider.count("authorizations"), 1);

    let raw = sandbox.sso(["token", &provider.url]);
    assert!(token::is_alive(raw.ok()), "{raw:?}");
    assert_eq!(raw.stdout.lines().count(), 1);
    assert_eq!(provider.judge(raw.ok()), 200);
    assert_eq!(sandbox.sso(["token"]).ok(), raw.ok(), "with one session the host may be left out");

    let header = sandbox.sso(["token", &provider.url, "-o", "header"]);
    assert_eq!(header.ok(), format!("Authorization: Bearer {}", raw.ok()));

    let object = sandbox.sso(["token", &provider.url, "-o", "json"]);
    object.ok();
    assert_eq!(object.json()["access_token"], raw.ok());
    assert_eq!(object.json()["token_type"], "Bearer");
    assert!(object.json()["expiry"].as_str().unwrap().contains('T'), "{object:?}");

    let status = sandbox.sso(["status", "--json"]);
    status.ok();
    let session = &status.json()["sessions"][0];
    assert_eq!(session["id"], provider.session());
    assert_eq!(session["host"], provider.url.as_str());
    assert_eq!(session["state"], "active");
    assert_eq!(session["user"], "ada@example.com");
    assert_eq!(session["client_id"], "databricks-cli");
    assert!(!status.stdout.contains(raw.ok()));

    let child = sandbox.sso(["exec", "--", "env"]);
    assert!(child.ok().lines().any(|line| line == format!("DATABRICKS_HOST={}", provider.url)));
    assert!(child.stdout.lines().any(|line| line == format!("DATABRICKS_TOKEN={}", raw.ok())));
    let named = sandbox.sso(["exec", "--env", "MY_TOKEN", "--", "sh", "-c", "echo \"$MY_TOKEN\""]);
    assert_eq!(named.ok(), raw.ok());
    sandbox.sso(["exec", "--", "sh", "-c", "exit 42"]).failed_with(42);

    sandbox.sso(["logout", &provider.url]).ok();
    assert_eq!(provider.count("revocations"), 1);
    assert_eq!(sandbox.sso(["status", "--json"]).json()["sessions"], json!([]));
}

#[test]
fn every_way_to_fail_has_its_exit_code() {
    let sandbox = Sandbox::new();
    let provider = need!("exit codes", Provider::start(4), NO_PROVIDER);

    sandbox.sso(["token", "--no-such-option"]).failed_with(2);
    let unreachable = sandbox.sso(["token", &provider.url]);
    unreachable.failed_with(3);
    assert_two_lines(&unreachable);

    let _agent = Agent::start(&sandbox);
    let nobody = sandbox.sso(["token", "https://nobody-signed-in-here.example"]);
    nobody.failed_with(4);
    assert_two_lines(&nobody);
    sandbox.sso(["token", "--profile", "no-such-profile"]).failed_with(7);

    sandbox.sso(["login", &provider.url]).ok();
    let last = sandbox.sso(["token", &provider.url]).ok().to_owned();
    provider.set(&json!({"token_fault": {"status": 400, "content_type": "application/json",
        "body": r#"{"error":"invalid_grant","error_description":"the administrator ended this session"}"#}}));
    token::outlive(&last);
    let rejected = sandbox.sso(["token", &provider.url]);
    rejected.failed_with(4);
    assert_two_lines(&rejected);

    let json = sandbox.sso(["--json", "token", &provider.url]);
    json.failed_with(4);
    let text = if json.stdout.is_empty() { &json.stderr } else { &json.stdout };
    let error: serde_json::Value = serde_json::from_str(text).unwrap();
    assert_eq!(error["error"]["kind"], "login_required");
    assert!(error["error"]["hint"].is_string());
}

#[test]
fn an_issuer_that_is_down_is_told_from_one_that_refuses() {
    let sandbox = Sandbox::new();
    let provider = need!("an issuer that is down", Provider::start(6), NO_PROVIDER);
    let _agent = Agent::start(&sandbox);
    sandbox.sso(["login", &provider.url]).ok();
    let first = sandbox.sso(["token"]).ok().to_owned();

    provider.set(&json!({"token_fault": {"status": 200, "content_type": "text/html", "body": "<p>Welcome to the hotel"}}));
    assert_eq!(sandbox.sso(["token"]).ok(), first, "a token that lives is served while refreshing fails");
    token::outlive(&first);
    let down = sandbox.sso(["token", &provider.url]);
    down.failed_with(5);
    assert_two_lines(&down);

    provider.set(&json!({"token_fault": null, "access_token_ttl_s": 3600}));
    assert!(
        token::is_alive(sandbox.sso(["token", "--force-refresh"]).ok()),
        "it comes back without a sign-in"
    );
    assert_eq!(provider.count("authorizations"), 1);
}

#[track_caller]
fn assert_two_lines(finished: &Finished) {
    assert_eq!(finished.stdout, "");
    let lines = finished.stderr.lines().filter(|line| !line.is_empty()).count();
    assert_eq!(lines, 2, "what happened, and what to do next: {}", finished.stderr);
}
