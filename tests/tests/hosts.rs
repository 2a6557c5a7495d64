//! Hosts that say nothing of themselves, or nonsense: each has its way to a sign-in, or a clear word.

#![cfg(unix)]

use serde_json::json;
use sso_agent_tests::{Agent, Finished, Provider, Sandbox, need, token};
use std::time::{Duration, Instant};

const ACCOUNT: &str = "00000000-0000-0000-0000-000000000042";
const NO_PROVIDER: &str = "the OpenID provider is missing";
/// How long a person should wait at most for a host that is half silent.
const PATIENCE: Duration = Duration::from_secs(45);
const WAYS_TO_FAIL: [&str; 4] = ["html", "404", "500", "silence"];

#[test]
fn a_host_without_its_config_is_found_by_its_document() {
    for shape in ["workspace", "account", "unified"] {
        let provider = need!("hosts", Provider::shaped(shape, 3600), NO_PROVIDER);
        for how in WAYS_TO_FAIL {
            provider.set(&json!({"config_answer": how}));
            let sandbox = Sandbox::new();
            let _agent = Agent::start(&sandbox);
            let start = Instant::now();
            login(&sandbox, &provider, shape).ok();
            assert!(start.elapsed() < PATIENCE, "{shape}, {how}: {:?}", start.elapsed());
            let last = sandbox.sso(["token"]);
            assert_eq!(provider.judge(last.ok()), 200, "{shape}, {how}");
        }
    }
}

#[test]
fn an_account_without_any_document_has_its_endpoints_where_they_have_always_been() {
    let provider = need!("accounts", Provider::shaped("account", 3600), NO_PROVIDER);
    for how in ["html", "404", "500"] {
        provider.set(&json!({"config_answer": how, "document_answer": how}));
        let sandbox = Sandbox::new();
        let _agent = Agent::start(&sandbox);
        login(&sandbox, &provider, "account").ok();
        assert!(token::is_alive(sandbox.sso(["token"]).ok()), "{how}");
    }
}

#[test]
fn a_host_that_has_no_sign_in_is_told_from_one_that_is_unwell() {
    let provider = need!("no sign-in", Provider::start(3600), NO_PROVIDER);
    for (how, code) in [("404", 1), ("html", 1), ("500", 5)] {
        provider.set(&json!({"config_answer": how, "document_answer": how}));
        let sandbox = Sandbox::new();
        let _agent = Agent::start(&sandbox);
        let failed = login(&sandbox, &provider, "workspace");
        failed.failed_with(code);
        assert_eq!(failed.stderr.lines().filter(|line| !line.is_empty()).count(), 2, "{how}: {failed:?}");
        assert_eq!(provider.count("authorizations"), 0);
    }
}

#[test]
fn discovery_is_remembered() {
    let provider = need!("discovery", Provider::start(4), NO_PROVIDER);
    let sandbox = Sandbox::new();
    let _agent = Agent::start(&sandbox);
    login(&sandbox, &provider, "workspace").ok();
    let first = sandbox.sso(["token"]).ok().to_owned();
    let asked = (provider.count("config_fetches"), provider.count("document_fetches"));
    token::outlive(&first);
    assert!(token::is_alive(sandbox.sso(["token"]).ok()));
    assert_eq!((provider.count("config_fetches"), provider.count("document_fetches")), asked);
}

fn login(sandbox: &Sandbox, provider: &Provider, shape: &str) -> Finished {
    let mut login = sandbox.sso_command();
    login.args(["login", &provider.url]);
    if shape != "workspace" {
        login.args(["--account-id", ACCOUNT]);
    }
    Finished::of(&mut login)
}
