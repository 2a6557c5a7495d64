//! What goes wrong at a provider and on the way to it, each injected into a running agent whose refresh
//! tokens are good for one use: the session survives, nothing is spent twice, tokens go on being served,
//! and the person is told what is wrong.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "the helpers of a test may panic as it may")]

use serde_json::{Value, json};
use sso_agent::demo::{Consent, Fault, Issuer, Options};
use sso_agent_tests::rpc::Connection;
use sso_agent_tests::{Agent, Sandbox, sandbox};
use std::thread;
use std::time::{Duration, Instant};

/// A cached token is there at once, even on a machine that is busy with other tests.
const AT_ONCE: Duration = Duration::from_secs(1);

struct Story {
    sandbox: Sandbox,
    issuer: Issuer,
    agent: Agent,
}

impl Story {
    /// Signed in, with a token that lives for an hour.
    fn begin() -> Self {
        let sandbox = Sandbox::new();
        let agent = Agent::start(&sandbox);
        let issuer = issuer();
        sandbox.sso(["login", &issuer.url()]).ok();
        Self { sandbox, issuer, agent }
    }

    fn connect(&self) -> Connection {
        Connection::open(&self.sandbox.socket()).unwrap()
    }

    fn ask(&self, more: &Value) -> Result<Value, Value> {
        let mut params = json!({"host": self.issuer.url()});
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.connect().call("token.get", &params).unwrap()
    }

    /// A token for somebody whom a server turned the last one down, or why there is none, within so many seconds.
    fn force(&self, wait_s: u64) -> Result<Value, Value> {
        self.ask(&json!({"refused": self.token_id(), "wait_s": wait_s}))
    }

    fn token_id(&self) -> String {
        text(&self.ask(&json!({})).unwrap(), "token_id")
    }

    /// The token there is.
    #[track_caller]
    fn cached(&self) -> String {
        let start = Instant::now();
        let token = self.ask(&json!({})).unwrap();
        assert!(start.elapsed() < AT_ONCE, "it took {:?}", start.elapsed());
        text(&token, "access_token")
    }

    fn show(&self) -> Value {
        self.connect().call("session.show", &json!({"host": self.issuer.url()})).unwrap().unwrap()
    }

    /// The session is as good as ever.
    #[track_caller]
    fn survives(&self) {
        self.issuer.clear_faults();
        let old = self.cached();
        let new = self.force(40).unwrap();
        assert_ne!(text(&new, "access_token"), old);
        assert!(self.issuer.accepts(&text(&new, "access_token")));
        assert_eq!(self.show()["state"], "active");
        assert_eq!(self.issuer.counters().replays, 0);
    }
}

fn issuer() -> Issuer {
    Issuer::start_in_thread(Options { consent: Consent::Auto, ..Options::default() }).unwrap()
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap().to_owned()
}

fn fault(name: &str) -> Fault {
    Fault::named(name).unwrap()
}

/// While it lasts nobody gets a new token, everybody the old one, and the person hears why.
fn is_weather(name: &str, told: &str) {
    let story = Story::begin();
    let token = story.cached();
    story.issuer.inject(fault(name));
    let error = story.force(0).unwrap_err();
    let kind = error["data"]["kind"].as_str().unwrap();
    assert!(kind == "issuer_unavailable" || kind == "timeout", "{name}: {error}");
    let said = || {
        let shown = story.show();
        (shown["state"] == "retrying").then(|| text(&shown, "last_error"))
    };
    let said = until(said);
    assert!(said.contains(told), "{name}: {said}");
    assert_eq!(story.cached(), token, "{name}");
    let error = story.force(0).unwrap_err();
    assert_eq!(error["data"]["kind"], "issuer_unavailable", "{name}: {error}");
    assert!(error["data"]["retry_after_s"].is_u64(), "{name}: {error}");
    story.survives();
}

fn until<T>(look: impl Fn() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "it does not come");
        thread::park_timeout(Duration::from_millis(20));
    }
}

fn all_at_once(cases: &[(&'static str, &'static str)]) {
    thread::scope(|scope| {
        for (name, told) in cases.iter().copied() {
            scope.spawn(move || is_weather(name, told));
        }
    });
}

#[test]
fn f01_a_provider_that_is_down_costs_nobody_a_token_that_is_good() {
    let story = Story::begin();
    let token = story.cached();
    story.issuer.stop();
    let error = story.force(2).unwrap_err();
    assert_eq!(error["data"]["kind"], "issuer_unavailable", "{error}");
    let shown = story.show();
    assert!(shown["state"] == "retrying" && text(&shown, "last_error").contains("refused"), "{shown}");
    assert_eq!(story.cached(), token);
}

#[test]
fn f02_a_slow_answer_delays_nobody_with_a_token_and_is_banked() {
    let story = Story::begin();
    let token = story.cached();
    story.issuer.inject_times(fault("slow:3"), 1);
    let error = story.force(1).unwrap_err();
    assert_eq!(error["data"]["kind"], "timeout", "{error}");
    assert_eq!(story.cached(), token);
    until(|| (story.cached() != token).then_some(()));
    assert_eq!(story.issuer.counters().refreshes, 1);
    story.survives();
}

#[test]
fn f03_a_provider_that_hangs_has_half_a_minute() {
    let story = Story::begin();
    let token = story.cached();
    story.issuer.inject_times(Fault::Hang, 1);
    let start = Instant::now();
    assert_eq!(story.force(1).unwrap_err()["data"]["kind"], "timeout");
    assert_eq!(story.cached(), token);
    assert!(story.force(50).is_ok());
    assert!(start.elapsed() > Duration::from_secs(29), "the exchange has its time: {:?}", start.elapsed());
    story.survives();
}

#[test]
fn f04_a_provider_that_is_unwell_is_not_asked_more_by_many() {
    all_at_once(&[("500", "(500)"), ("502", "(502)"), ("503", "(503)")]);
    let story = Story::begin();
    story.issuer.inject(fault("500"));
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(6) {
        let asked = json!({"host": story.issuer.url(), "refused": story.token_id(), "wait_s": 1});
        assert!(story.connect().call_many("token.get", &asked, 50).unwrap().iter().all(Result::is_err));
    }
    let refreshes = story.issuer.counters().refreshes;
    assert!((2..=5).contains(&refreshes), "{refreshes} in {:?}", start.elapsed());
    story.survives();
}

#[test]
fn f05_before_the_named_time_nothing_is_sent_and_callers_are_told() {
    let story = Story::begin();
    story.issuer.inject_times(fault("429:5"), 1);
    let start = Instant::now();
    let error = story.force(2).unwrap_err();
    assert!(error["data"]["retry_after_s"].as_u64().is_some_and(|wait| (1..=5).contains(&wait)), "{error}");
    let asked = json!({"host": story.issuer.url(), "refused": story.token_id(), "wait_s": 1});
    assert!(story.connect().call_many("token.get", &asked, 100).unwrap().iter().all(Result::is_err));
    let narrow =
        json!({"host": story.issuer.url(), "scopes": ["offline_access"], "force_refresh": true, "wait_s": 1});
    let _ = story.connect().call("token.get", &narrow).unwrap();
    assert_eq!(story.issuer.counters().refreshes, 1);
    assert!(story.force(30).is_ok());
    assert!(start.elapsed() >= Duration::from_secs(5));
    assert_eq!(story.issuer.counters().refreshes, 2);
    story.survives();
}

#[test]
fn f06_an_answer_that_means_nothing_is_no_sign_out() {
    all_at_once(&[
        ("garbage", "no token response"),
        ("truncated", "no token response"),
        ("html", "a web page (200)"),
        ("empty", "no token response"),
        ("notutf8", "no token response"),
    ]);
}

#[test]
fn f07_a_huge_answer_is_not_read_and_costs_no_memory() {
    let story = Story::begin();
    let before = peak_kib(story.agent.pid());
    for name in ["huge:512", "gzipbomb", "deep"] {
        story.issuer.inject_times(fault(name), 1);
        assert!(story.force(40).is_ok(), "{name}: the next answer is a good one");
    }
    let more = peak_kib(story.agent.pid()) - before;
    println!("{more} KiB more at the peak");
    assert!(more < 32 * 1024, "{more} KiB");
    story.survives();
}

/// The most memory that a process ever had.
fn peak_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

// Fault 09: `nort` is among them.
#[test]
fn f08_odd_fields_cost_no_refresh_token() {
    let story = Story::begin();
    for (name, refreshes) in [
        ("noexp", 1),
        ("strexp", 1),
        ("hugeexp", 1),
        ("dupkeys", 1),
        ("nort", 1),
        // The token is of no use, the refresh token beside it is: the next attempt is by that one.
        ("negexp", 2),
        ("badtype", 2),
        ("crlf", 2),
    ] {
        let before = story.issuer.counters().refreshes;
        story.issuer.inject_times(fault(name), 1);
        let token = story.force(40).unwrap();
        assert!(story.issuer.accepts(&text(&token, "access_token")), "{name}");
        assert!(
            token["expires_in_s"].as_u64().is_some_and(|life| (60..=86_400).contains(&life)),
            "{name}: {token}"
        );
        let counters = story.issuer.counters();
        assert_eq!((counters.refreshes - before, counters.replays), (refreshes, 0), "{name}");
    }
    story.survives();
}

#[test]
fn f10_a_refresh_token_that_is_rejected_is_not_sent_again_and_parked() {
    let story = Story::begin();
    let token = story.cached();
    story.issuer.inject(fault("invalid_grant"));
    let error = story.force(10).unwrap_err();
    assert_eq!(error["data"]["kind"], "login_required", "{error}");
    assert_eq!(error["data"]["oauth_error"], "invalid_grant");
    let sent = story.issuer.counters().refreshes;
    story.issuer.clear_faults();
    assert_eq!(story.cached(), token, "what is left of the old one is served");
    assert_eq!(story.force(0).unwrap_err()["data"]["kind"], "login_required");
    assert_eq!(story.show()["state"], "login_required");
    let records = sandbox::files(&story.sandbox.state().join("sessions")).len();
    assert_eq!(records, 1, "the record is kept");

    let Story { sandbox, issuer, agent } = story;
    agent.kill();
    let story = Story { agent: Agent::start(&sandbox), sandbox, issuer };
    assert_eq!(story.force(5).unwrap_err()["data"]["kind"], "login_required");
    assert_eq!(story.issuer.counters().refreshes, sent, "not one more request with it");
    story.sandbox.sso(["login", &story.issuer.url()]).ok();
    story.survives();
}

#[test]
fn f11_a_client_that_is_refused_is_not_tried_again_before_the_settings_change() {
    let story = Story::begin();
    let token = story.cached();
    story.issuer.inject_times(fault("invalid_client"), 1);
    let error = story.force(5).unwrap_err();
    assert_eq!(error["data"]["kind"], "issuer_rejected", "{error}");
    for _ in 0..20 {
        assert!(story.force(0).is_err());
    }
    assert_eq!(story.cached(), token);
    assert_eq!(story.issuer.counters().refreshes, 1);
    let folder = story.sandbox.path("home/.config/sso-agent");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("config.toml"), "web_session_idle = \"1h\"\n").unwrap();
    assert!(story.issuer.wait_until(Duration::from_secs(30), |counters| counters.refreshes == 2).is_some());
    story.survives();
}

#[test]
fn f12_a_redirect_of_the_token_endpoint_is_not_followed() {
    let story = Story::begin();
    let elsewhere = issuer();
    story.issuer.inject(Fault::Redirect(format!("{}/oidc/v1/token", elsewhere.url())));
    assert_eq!(story.force(1).unwrap_err()["data"]["kind"], "issuer_unavailable");
    assert!(text(&story.show(), "last_error").contains("a redirect (307), which is not followed"));
    assert_eq!(elsewhere.counters().refreshes, 0);
    story.survives();
}

#[test]
fn f17_a_token_that_a_hundred_clients_report_costs_one_refresh() {
    let story = Story::begin();
    let old = text(&story.ask(&json!({})).unwrap(), "token_id");
    let report = json!({"host": story.issuer.url(), "refused": old});
    let answers = story.connect().call_many("token.get", &report, 100).unwrap();
    let new = text(answers[0].as_ref().unwrap(), "token_id");
    assert!(answers.iter().all(|answer| text(answer.as_ref().unwrap(), "token_id") == new) && new != old);
    for _ in 0..100 {
        assert_eq!(text(&story.ask(&json!({"refused": old})).unwrap(), "token_id"), new, "a late report");
    }
    assert_eq!(story.issuer.counters().refreshes, 1);
    story.survives();
}

#[test]
fn a_provider_that_hangs_with_twenty_sessions_delays_no_other() {
    let story = Story::begin();
    let stuck = issuer();
    for n in 0..20 {
        story.sandbox.sso(["login", &stuck.url(), "--as", &format!("l{n}")]).ok();
    }
    stuck.inject(Fault::Hang);
    for n in 0..20 {
        let mut asked = json!({"host": stuck.url(), "label": format!("l{n}")});
        let token = story.connect().call("token.get", &asked).unwrap().unwrap();
        asked["refused"] = token["token_id"].clone();
        asked["wait_s"] = 0.into();
        assert!(story.connect().call("token.get", &asked).unwrap().is_err());
    }
    let start = Instant::now();
    for _ in 0..5 {
        assert!(story.force(10).is_ok());
        story.cached();
    }
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
}

#[test]
fn what_discovery_says_later_moves_no_session() {
    let story = Story::begin();
    story.issuer.inject(Fault::WrongIssuer);
    let before = story.issuer.counters().discoveries;
    assert!(story.force(10).is_ok(), "its token endpoint is the one of its sign-in");
    assert_eq!(story.issuer.counters().discoveries, before);
    story.survives();
}
