//! Everybody asks for a new token at once, as SDKs do out of habit, and the provider hears of it once.

#![cfg(unix)]

use serde_json::{Value, json};
use sso_agent_tests::herd::Herd;
use sso_agent_tests::{Agent, Finished, Provider, Sandbox, need, parts, token};
use std::time::{Duration, Instant};

const MEMBERS: usize = 200;
/// For so long a token is new enough for those who want a new one.
const WINDOW: Duration = Duration::from_secs(30);

#[test]
fn two_hundred_python_processes_that_force_a_refresh_cost_one() {
    let sandbox = Sandbox::new();
    let provider = need!("forced refreshes", Provider::start(3600), "the OpenID provider is missing");
    let python = need!("forced refreshes", parts::fetched("venv"), "Python is missing").join("bin/python");
    let _agent = Agent::start(&sandbox);
    sandbox.sso(["login", &provider.url]).ok();
    let old = sandbox.sso(["token"]).ok().to_owned();
    let path = format!("{}:{}", sandbox.shim().display(), std::env::var("PATH").unwrap_or_default());
    let herd = Herd::of(&sandbox, MEMBERS, |gate, ready| {
        let mut member = sandbox.command(&python);
        member.env("PATH", &path).arg("-S").arg(parts::source().join("tests/clients/force_refresh.py"));
        member.args([gate, ready]).arg(&provider.url);
        member
    });
    token::grow(&old, WINDOW);
    provider.reset();
    provider.set(&json!({"token_delay_ms": 500}));

    let start = Instant::now();
    let finished = herd.release().finish();
    let took = start.elapsed();

    let failed: Vec<_> = finished.iter().filter(|one| one.code != Some(0)).collect();
    assert!(failed.is_empty(), "{} of {MEMBERS} failed, such as {:?}", failed.len(), failed[0]);
    let tokens: Vec<String> = finished.iter().map(access_token).collect();
    println!(
        "{MEMBERS} forced refreshes at once: {} at the provider, all done in {took:.1?}",
        provider.count("refreshes")
    );
    assert!(took < WINDOW, "a second refresh would be right after {took:?}");
    assert!(tokens.iter().all(|one| *one == tokens[0]), "all got the same token");
    assert!(tokens[0] != old && token::is_alive(&tokens[0]));
    assert_eq!((provider.count("refreshes"), provider.count("token_requests")), (1, 1));
    assert_eq!(provider.count("replays"), 0);
}

#[test]
fn a_token_that_was_just_obtained_is_new_enough_for_a_process_that_asks_twice() {
    let sandbox = Sandbox::new();
    let provider = need!("asking twice", Provider::start(3600), "the OpenID provider is missing");
    let _agent = Agent::start(&sandbox);
    sandbox.sso(["login", &provider.url]).ok();

    let ask =
        || access_token(&sandbox.databricks(["auth", "token", "--host", &provider.url, "--force-refresh"]));
    assert_eq!(ask(), ask(), "as Go does at its start");
    assert_eq!(provider.count("refreshes"), 0);
}

fn access_token(finished: &Finished) -> String {
    finished.ok();
    let said: Value = finished.json();
    said["access_token"].as_str().expect("a token").to_owned()
}
