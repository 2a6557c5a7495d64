//! Sign-ins that other tools keep in plain files move to the agent and live on there: files as the tools
//! write them, refresh tokens that are good for one use.

#![cfg(unix)]

use serde_json::json;
use sso_agent_tests::clients::OLDER;
use sso_agent_tests::{Agent, Provider, Sandbox, need, parts};
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;

const NO_PROVIDER: &str = "the OpenID provider is missing";

#[test]
fn what_any_release_of_the_python_sdk_keeps_is_found_and_taken_over() {
    let story = "import from the Python SDK";
    let provider = need!(story, Provider::start(3600), NO_PROVIDER);
    let python = need!(story, parts::fetched("venv"), "the Databricks SDK is missing").join("bin/python");
    let older = need!(story, parts::fetched("older"), "the older Databricks SDKs are missing");

    for version in OLDER.into_iter().map(Some).chain([None]) {
        let refresh_token = signed_in(&provider);
        let sandbox = Sandbox::new();
        let _agent = Agent::start(&sandbox);
        let mut keep = sandbox.command(&python);
        keep.arg(parts::source().join("tests/clients/keep_sign_in.py")).args([&provider.url, ""]);
        if let Some(version) = version {
            keep.env("PYTHONPATH", older.join(version));
        }
        let mut keep = keep.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("Python runs");
        keep.stdin.take().expect("a pipe").write_all(refresh_token.as_bytes()).expect("it reads");
        let printed = keep.wait_with_output().expect("our own child").stdout;
        let file = PathBuf::from(String::from_utf8(printed).expect("a path").trim());
        assert!(file.exists(), "{version:?}");

        provider.reset();
        let import = sandbox.sso(["import", &provider.url, "--yes", "--remove"]);
        assert!(import.ok().contains(provider.session()), "{version:?} {import:?}");
        assert_eq!((provider.count("refreshes"), provider.count("replays")), (1, 0), "{version:?}");
        assert!(!file.exists());
        let token = sandbox.sso(["token", &provider.url]);
        assert_eq!(provider.judge(token.ok()), 200, "{version:?}");
    }
}

#[test]
fn what_the_cli_keeps_is_one_session_by_the_name_of_its_profile_and_outlives_the_agent() {
    let provider = need!("import from the CLI", Provider::start(3600), NO_PROVIDER);
    let sandbox = Sandbox::new();
    let agent = Agent::start(&sandbox);
    let token = json!({
        "access_token": "over", "token_type": "Bearer", "refresh_token": signed_in(&provider),
        "expiry": "2020-11-23T17:06:56.596795852Z", "expires_in": 3600,
    });
    let cache = sandbox.path("home/.databricks/token-cache.json");
    fs::create_dir(cache.parent().expect("a folder")).expect("a new folder");
    let host = provider.url.as_str();
    let tokens = json!({ "version": 1, "tokens": { "work": token, host: token } });
    fs::write(&cache, tokens.to_string()).expect("a file");
    let profile = format!("[work]\nhost = {host}\nauth_type = databricks-cli\n");
    fs::write(sandbox.path("home/.databrickscfg"), profile).expect("a file");
    sandbox.sso(["config", "check"]).ok();

    let import = sandbox.sso(["import", "--yes", "--remove", "--json"]);
    import.ok();
    let session = format!("{}#work", provider.session());
    assert_eq!(import.json()["imported"][0]["id"], session);
    assert_eq!(import.json()["found"][0]["session"], session);
    assert!(!cache.exists());
    sandbox.sso(["import", "--yes"]).ok();

    agent.kill();
    let _agent = Agent::start(&sandbox);
    provider.reset();
    let fresh = sandbox.sso(["token", "--profile", "work", "--min-valid", "59m"]);
    assert_eq!(provider.judge(fresh.ok()), 200);
    assert_eq!((provider.count("replays"), provider.count("authorizations")), (0, 0));
}

/// A refresh token that somebody got, and nobody else has.
fn signed_in(provider: &Provider) -> String {
    let before = provider.secrets().len();
    let sandbox = Sandbox::new();
    let _agent = Agent::start(&sandbox);
    sandbox.sso(["login", &provider.url]).ok();
    // A code, its verifier, and what they were exchanged for.
    provider.secrets().swap_remove(before + 2)
}
