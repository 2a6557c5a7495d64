//! Half a minute with tokens that live for ten seconds, and clients that never stop asking; nothing goes
//! wrong. `cargo xtask torture` is for what does.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "the helpers of a test may panic as it may")]

use serde_json::json;
use sso_agent_tests::rpc::Connection;
use sso_agent_tests::{Agent, Provider, Sandbox, need, token};
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const LIFETIME_S: u32 = 10;
const LASTS: Duration = Duration::from_secs(36);
const CALLERS: usize = 4;

#[test]
fn nobody_sees_an_expired_token_or_an_error_and_each_renewal_is_one_refresh() {
    let sandbox = Sandbox::new();
    let provider = need!("the soak test", Provider::start(LIFETIME_S), "the OpenID provider is missing");
    let _agent = Agent::start(&sandbox);
    sandbox.sso(["login", &provider.url]).ok();
    let end = Instant::now() + LASTS;
    let seen = Mutex::new(BTreeSet::new());
    let asked = AtomicU64::new(0);
    let note = |token: String| {
        assert!(token::is_alive(&token), "an expired token was handed out");
        asked.fetch_add(1, Ordering::Relaxed);
        seen.lock().unwrap().insert(token);
    };

    thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| {
                while Instant::now() < end {
                    note(ask(&sandbox, &provider));
                }
            });
        }
        scope.spawn(|| {
            while Instant::now() < end {
                note(sandbox.sso(["token", &provider.url]).ok().to_owned());
            }
        });
        scope.spawn(|| {
            while Instant::now() < end {
                assert_eq!(provider.judge(&ask(&sandbox, &provider)), 200, "the workspace takes every token");
            }
        });
    });

    let (renewals, refreshes) = (seen.lock().unwrap().len() as u64 - 1, provider.count("refreshes"));
    println!("{} tokens handed out, {renewals} renewals, {refreshes} refreshes", asked.into_inner());
    assert!(renewals >= LASTS.as_secs() / u64::from(LIFETIME_S), "tokens did change");
    assert!(renewals == refreshes || renewals + 1 == refreshes, "{renewals} renewals, {refreshes} refreshes");
    assert_eq!(provider.count("token_requests"), refreshes + 1, "one exchange, and the refreshes");
    assert_eq!((provider.count("max_inflight"), provider.count("replays")), (1, 0));
    assert_eq!(provider.count("authorizations"), 1);
}

fn ask(sandbox: &Sandbox, provider: &Provider) -> String {
    let mut connection = Connection::open(&sandbox.socket()).unwrap();
    let answer = connection.call("token.get", &json!({"host": provider.url})).unwrap().unwrap();
    answer["access_token"].as_str().unwrap().to_owned()
}
