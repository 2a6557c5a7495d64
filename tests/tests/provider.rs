//! The whole story on real parts: the certified provider at a workspace's addresses, a person in real
//! Chromium, the Databricks SDK as it is, a thousand programs at once, and an agent that is killed
//! between any two of these.

#![cfg(unix)]

use serde_json::json;
use sso_agent_tests::browser::Chromium;
use sso_agent_tests::herd::Herd;
use sso_agent_tests::{Agent, Finished, Provider, Sandbox, need, parts, token};

#[test]
fn one_sign_in_in_a_browser_serves_sdk_and_herd_through_kills() {
    let story = "the story";
    let mut sandbox = Sandbox::new();
    let provider = need!(story, Provider::start(8), "the OpenID provider is missing");
    let chromium = need!(story, Chromium::install(&mut sandbox, "grace@example.com"), "Chromium is missing");
    let python = need!(story, parts::fetched("venv"), "the Databricks SDK is missing").join("bin/python");

    Agent::start(&sandbox).kill();
    let agent = Agent::start(&sandbox);
    sandbox.sso(["login", &provider.url]).ok();
    assert_the_last_page_is_fit_to_be_seen(&chromium, &provider);
    agent.kill();

    let agent = Agent::start(&sandbox);
    let script = parts::source().join("tests/databricks-sdk/list_clusters.py");
    let list = |sandbox: &Sandbox| {
        let mut exec = sandbox.sso_command();
        Finished::of(exec.arg("exec").arg("--").arg(&python).arg(&script))
    };
    let clusters = list(&sandbox);
    assert_eq!(
        clusters.ok().lines().collect::<Vec<_>>(),
        ["grace@example.com pat", "shared-autoscaling RUNNING", "nightly-jobs TERMINATED"]
    );
    agent.kill();

    let agent = Agent::start(&sandbox);
    let old = sandbox.sso(["token"]).ok().to_owned();
    agent.kill();
    token::outlive(&old);
    provider.reset();
    provider.set(&json!({"access_token_ttl_s": 3600, "token_delay_ms": 300}));
    let herd = Herd::gather(&sandbox, 200, &["token", &provider.url]);
    let agent = Agent::start(&sandbox);
    let tokens = herd.release().finish();
    assert!(tokens.iter().all(|one| one.ok() == tokens[0].ok() && token::is_alive(one.ok())));
    assert_eq!((provider.count("refreshes"), provider.count("token_requests")), (1, 1));
    agent.kill();

    let _agent = Agent::start(&sandbox);
    list(&sandbox).ok();
    assert_eq!(provider.count("token_requests"), 1, "a start with a valid token asks nobody");
    assert_eq!(provider.count("authorizations"), 0, "nobody had to sign in again");
    assert_eq!((provider.count("replays"), provider.count("api_refused")), (0, 0));
}

fn assert_the_last_page_is_fit_to_be_seen(chromium: &Chromium, provider: &Provider) {
    let page = chromium.page();
    let text = page["text"].as_str().unwrap_or_default();
    assert_eq!(page["asked"], json!([provider.url]), "one place asked to sign in");
    assert!(
        page["origin"].as_str().is_some_and(|origin| origin.starts_with("http://localhost:80")),
        "{page}"
    );
    assert!(text.contains(provider.session()), "it says where: {page}");
    assert!(text.contains("grace@example.com"), "it says who: {page}");
    assert!(text.contains("close"), "it says that it can be closed: {page}");
    let [light, dark] = chromium.pictures();
    assert_ne!(light, dark, "it follows the desktop's colours");
}
