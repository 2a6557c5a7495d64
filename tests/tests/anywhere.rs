//! The same on every system, over a socket or a named pipe: sign in, many at once, ended and started again.

use sso_agent::demo::{Consent, Issuer, Options, follow};
use sso_agent_client::{TokenRequest, blocking::Agent};
use sso_agent_tests::anywhere::Home;
use std::thread;
use std::time::Duration;

/// Processes at once; each takes Wine a tenth of a second.
const HERD: usize = 24;

fn issuer(lifetime_s: u64) -> Issuer {
    Issuer::start_in_thread(Options {
        lifetime: Duration::from_secs(lifetime_s),
        consent: Consent::Auto,
        ..Options::default()
    })
    .expect("a port of this machine")
}

fn signed_in(issuer: &Issuer) -> Home {
    let home = Home::new();
    let done = home.sign_in(&issuer.url(), |url| {
        follow(url).expect("the demo issuer asks nobody");
    });
    done.ok();
    home
}

#[test]
fn a_person_signs_in_gets_tokens_and_signs_out() {
    let issuer = issuer(3600);
    let home = signed_in(&issuer);
    let token = home.sso(&["token"]).ok().to_owned();
    assert!(issuer.accepts(&token));
    assert_eq!(home.sso(&["token", &issuer.url()]).ok(), token);
    let status = home.sso(&["status", "--json"]).json();
    assert_eq!(status["sessions"][0]["state"], "active", "{status}");
    assert!(home.sso(&["doctor", "--json"]).json().is_array());
    home.sso(&["logout", "--all"]).ok();
    assert!(!issuer.accepts(&token), "it was revoked");
    home.sso(&["token"]).failed_with(4);
    assert!(!home.log().contains(&token), "no token is in the log");
}

#[test]
fn a_session_outlives_its_agent_and_many_who_start_the_next_cost_one_refresh() {
    // Long enough to sign in and stop the agent on a slow machine, and no longer.
    let issuer = issuer(20);
    let home = signed_in(&issuer);
    let old = home.sso(&["token", "--min-valid", "0s"]).ok().to_owned();
    home.sso(&["agent", "stop"]).ok();
    issuer.set_lifetime(Duration::from_secs(3600));
    let before = issuer.counters().granted_refreshes;
    while issuer.accepts(&old) {
        thread::park_timeout(Duration::from_millis(50));
    }
    let herd = home.herd(HERD, &["token", &issuer.url()]);
    let failed: Vec<_> = herd.iter().filter(|one| one.code != Some(0)).collect();
    assert!(failed.is_empty(), "{} of {HERD} failed, such as {:?}\n{}", failed.len(), failed[0], home.log());
    assert!(issuer.accepts(herd[0].ok()));
    assert!(herd.iter().all(|one| one.ok() == herd[0].ok()), "all got the same token");
    let counters = issuer.counters();
    assert_eq!((counters.granted_refreshes - before, counters.replays, counters.sign_ins), (1, 0, 1));
}

#[test]
fn one_agent_serves_and_a_second_one_makes_way() {
    let issuer = issuer(3600);
    let home = signed_in(&issuer);
    home.start("sso-agent", &["run"]).finish().failed_with(75);
    let other = Home::new();
    // Another state, and the same socket: that is the socket's to refuse.
    let mut thief = other.command("sso-agent");
    other.spawn(thief.arg("run").env("SSO_AGENT_SOCK", home.socket())).finish().failed_with(75);
    home.sso(&["token"]).ok();
}

#[test]
fn many_connections_ask_at_once_and_each_gets_its_own_answers() {
    let issuer = issuer(3600);
    let home = signed_in(&issuer);
    let (socket, host) = (home.socket(), issuer.url());
    let ask = || {
        let mut agent = Agent::connect_to(&socket).expect("it serves");
        for _ in 0..20 {
            let token = agent.token(TokenRequest::host(&host)).expect("there is one");
            assert_eq!(token.token_type, "Bearer");
        }
    };
    thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(ask);
        }
    });
    assert_eq!(issuer.counters().refreshes, 0);
}

#[test]
fn a_demo_of_it_all_ends_well() {
    let home = Home::new();
    let shown = home.sso(&["demo", "--clients", "10", "--json"]);
    shown.ok();
    let shown = shown.json();
    assert_eq!((&shown["replays"], &shown["revoked"]), (&0.into(), &true.into()), "{shown}");
}
