//! Clients that are a burden do not slow down those who are not.

#![expect(clippy::unwrap_used, reason = "the helpers of a test may panic as it may")]

use serde_json::{Value, json};
use sso_agent::demo::{Consent, Issuer, Options};
use sso_agent_tests::load::{self, Burden};
use sso_agent_tests::{Agent, Sandbox};

/// An agent with one session, and the params of a `token.get` that it answers at once.
fn signed_in() -> (Sandbox, Issuer, Agent, Value) {
    let sandbox = Sandbox::new();
    let issuer = Issuer::start_in_thread(Options { consent: Consent::Auto, ..Options::default() }).unwrap();
    let agent = Agent::start(&sandbox);
    sandbox.sso(["login", &issuer.url()]).ok();
    let params = json!({"host": issuer.url()});
    (sandbox, issuer, agent, params)
}

// Fault 40, 41, 42: idle, half-open and slow clients.
#[test]
fn f40_f41_f42_idle_half_open_and_slow_clients_do_not_slow_down_an_honest_one() {
    let (sandbox, _issuer, agent, params) = signed_in();
    let burden = Burden { idle: 2000, half_open: 200, slow: 20 };
    let figures = load::trial(&sandbox.socket(), agent.pid(), &params, burden, 500).unwrap();
    println!("{burden:?}: {figures:?}");
    // The full figures are measured by `cargo xtask torture`; here other tests share the machine.
    assert!(figures.burdened.p99_us < 10.0 * figures.quiet.p99_us.max(1000.0), "{figures:?}");
    assert!(figures.rss_mib < 64.0, "{figures:?}");
    assert!(figures.idle_cpu < 0.2, "{figures:?}");
}
