//! A thousand programs wake up together when the token has just expired.

#![cfg(unix)]

use rustix::process::Signal;
use serde_json::json;
use sso_agent_tests::herd::Herd;
use sso_agent_tests::{Agent, Provider, Sandbox, need, token};

const MEMBERS: usize = 1000;

#[test]
fn a_thousand_processes_on_an_expired_session_cost_one_refresh() {
    let sandbox = Sandbox::new();
    let provider = need!("the herd", Provider::start(8), "the OpenID provider is missing");
    let agent = Agent::start(&sandbox);
    sandbox.sso(["login", &provider.url]).ok();
    let old = sandbox.sso(["token"]).ok().to_owned();

    // Stopped, as in a machine that sleeps: otherwise the agent would have refreshed ahead of time.
    agent.signal(Signal::STOP);
    token::outlive(&old);
    provider.reset();
    provider.set(&json!({"access_token_ttl_s": 3600, "token_delay_ms": 500}));
    let herd = Herd::gather(&sandbox, MEMBERS, &["token", &provider.url]).release();
    agent.signal(Signal::CONT);
    let finished = herd.finish();

    let failed: Vec<_> = finished.iter().filter(|one| one.code != Some(0)).collect();
    assert!(failed.is_empty(), "{} of {MEMBERS} failed, such as {:?}", failed.len(), failed[0]);
    assert!(token::is_alive(finished[0].ok()));
    assert!(finished.iter().all(|one| one.ok() == finished[0].ok()), "all got the same token");
    assert_eq!(provider.count("refreshes"), 1);
    assert_eq!(provider.count("token_requests"), 1);
    assert_eq!(provider.count("replays"), 0);
}
