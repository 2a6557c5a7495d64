//! A hundred kills at random moments, under load, with refresh tokens that may be used once.
//!
//! A session may be lost only where the kill fell between the provider's decision and the agent's fsync:
//! then the agent has nothing but a spent token, and the provider counts its replay.

use serde_json::{Value, json};
use sso_agent_tests::rpc::Connection;
use sso_agent_tests::{Agent, Provider, Sandbox, need, token};
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

const KILLS: u64 = 100;
const LIFETIME_S: u32 = 4;
/// A little more than the time between two refreshes, so that every moment of it is hit.
const LONGEST_LIFE_MS: u64 = 2500;
const CALLERS: usize = 4;
/// A restarted agent serves the last of the old token. The token's own claim is rounded down to a whole
/// second, while `expires_in` counts from the answer, so the two ends differ by less than this.
const ROUNDING_S: u64 = 1;

#[test]
fn sessions_survive_kills_except_between_decision_and_fsync() {
    let sandbox = Sandbox::new();
    let provider = need!("the kills", Provider::start(LIFETIME_S), "the OpenID provider is missing");
    provider.set(&json!({"token_delay_ms": 30}));
    let mut random = Random::new();
    let agent = Agent::start(&sandbox);
    sandbox.sso(["login", &provider.url]).ok();
    agent.kill();

    let (done, served) = (AtomicBool::new(false), AtomicU64::new(0));
    let (report, lost_sessions) = channel();
    let losses = thread::scope(|scope| {
        for _ in 0..CALLERS {
            let report = report.clone();
            scope.spawn(|| keep_asking(&sandbox, &provider, &done, &served, report));
        }
        let _stop = StopAtEnd(&done);
        let mut losses = 0;
        for _ in 0..KILLS {
            let agent = Agent::start(&sandbox);
            losses += live(&sandbox, &provider, &lost_sessions, random.below(LONGEST_LIFE_MS));
            agent.kill();
        }
        let _agent = Agent::start(&sandbox);
        losses + live(&sandbox, &provider, &lost_sessions, 2 * u64::from(LIFETIME_S) * 1000)
    });

    let replays = provider.count("replays");
    println!(
        "{KILLS} kills, {} refreshes, {} tokens handed out: {losses} sign-ins lost, {replays} replays (seed {})",
        provider.count("refreshes"),
        served.into_inner(),
        random.seed
    );
    assert_eq!(
        losses, replays,
        "a session is lost only where its token had been spent (seed {})",
        random.seed
    );
    assert!(losses <= KILLS / 4, "the window is far smaller than that: {losses} (seed {})", random.seed);
}

/// Lets the agent live for a while; signs in again if the session turns out to be lost, and counts that.
fn live(sandbox: &Sandbox, provider: &Provider, lost: &Receiver<()>, ms: u64) -> u64 {
    match lost.recv_timeout(Duration::from_millis(ms)) {
        // A report may be older than the last sign-in.
        Ok(()) if !matches!(ask(sandbox, provider), Ok(Err(_))) => 0,
        Ok(()) => {
            sandbox.sso(["login", &provider.url]).ok();
            while lost.try_recv().is_ok() {}
            1
        }
        Err(RecvTimeoutError::Timeout) => 0,
        Err(RecvTimeoutError::Disconnected) => unreachable!("the callers keep asking"),
    }
}

fn keep_asking(
    sandbox: &Sandbox,
    provider: &Provider,
    done: &AtomicBool,
    served: &AtomicU64,
    report: Sender<()>,
) {
    while !done.load(Ordering::Relaxed) {
        match ask(sandbox, provider) {
            Ok(Ok(answer)) => {
                let token = answer["access_token"].as_str().unwrap_or_default();
                assert!(token::ended_for_s(token) <= ROUNDING_S, "an expired token was handed out");
                served.fetch_add(1, Ordering::Relaxed);
            }
            Ok(Err(error)) => {
                assert_eq!(error["data"]["kind"], "login_required", "{error}");
                let _ = report.send(());
                thread::park_timeout(Duration::from_millis(200));
            }
            // Killed just now; the next one is on its way.
            Err(_) => thread::park_timeout(Duration::from_millis(2)),
        }
    }
}

fn ask(sandbox: &Sandbox, provider: &Provider) -> io::Result<Result<Value, Value>> {
    Connection::open(&sandbox.socket())?.call("token.get", &json!({"host": provider.url}))
}

struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// xorshift64: `SSO_TEST_SEED` repeats a run's moments, as far as a scheduler lets it.
struct Random {
    seed: u64,
    state: u64,
}

impl Random {
    fn new() -> Self {
        let given = std::env::var("SSO_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| RandomState::new().build_hasher().finish()).max(1);
        Self { seed, state: seed }
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % limit
    }
}
