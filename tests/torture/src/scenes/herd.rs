//! A thousand clients at one instant, on a token that has run out.
//!
//! The agent would renew in time, so the token lives for less than the shortest time between two renewals
//! that nobody asks for.

use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::process::Signal;
use serde_json::json;
use sso_agent::demo::{Fault, Issuer, Options};
use sso_agent_tests::{Agent, parts};

use super::Stage;
use crate::callers::{self, Heard};
use crate::house::{House, strict};
use crate::report::{Report, Target};

const CLIENTS: u32 = 1000;
const SHORT: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
/// What the provider takes.
const LATENCY: Duration = Duration::from_millis(500);
/// What a herd waits for a provider that is down, and how often it is tried meanwhile: at once, after
/// about 1 s, and after about 2 more.
const PATIENCE: Duration = Duration::from_secs(3);
const TRIES: f64 = 3.0;
/// How late an answer may be.
const LATE: Duration = Duration::from_millis(250);

pub(super) fn play(stage: &Stage<'_>, report: &mut Report) -> Result<()> {
    let house = House::new(Options { latency: LATENCY, ..strict(HOUR) })?;
    let agent = house.agent()?;
    house.sign_in()?;
    let herd = Herd { house: &house, agent: &agent };
    let mut runs = Runs::default();
    for _ in 0..stage.plan.times(100, 3) {
        runs.take(&house.issuer, CLIENTS, || herd.awake(CLIENTS))?;
    }
    runs.report(report, "1000 clients");
    let mut runs = Runs::default();
    for _ in 0..stage.plan.times(20, 1) {
        runs.take(&house.issuer, CLIENTS, || herd.without_its_leader())?;
    }
    runs.report(report, "the first is killed");
    let mut runs = Runs::default();
    let host = stage.plan.times(10_000, 3_000);
    runs.take(&house.issuer, host, || herd.awake(host))?;
    runs.report(report, &format!("{host} clients"));
    for _ in 0..stage.plan.times(5, 1) {
        herd.refused(report)?;
    }
    let counters = house.issuer.counters();
    report.count("refreshes at once, ever", counters.max_in_flight, Target::AtMost(1.0));
    report.none("refresh tokens sent twice", counters.replays);
    Ok(())
}

struct Herd<'a> {
    house: &'a House,
    agent: &'a Agent,
}

impl Herd<'_> {
    /// Has the agent fetch a token that does not last; what comes next lasts.
    fn shorten(&self) -> Result<Instant> {
        let (_, id) = self.house.token(&json!({}))?;
        self.house.issuer.set_lifetime(SHORT);
        self.house.token(&json!({ "refused": id }))?;
        self.house.issuer.set_lifetime(HOUR);
        Ok(Instant::now() + SHORT + Duration::from_millis(100))
    }

    /// All ask while the agent sleeps, as a whole machine does, and wakes up when its token has run out.
    fn awake(&self, size: u32) -> Result<Heard> {
        let herd = callers::gather(self.house, size)?;
        let over = self.shorten()?;
        self.agent.signal(Signal::STOP);
        thread::sleep(over.saturating_duration_since(Instant::now()));
        let wake = || {
            self.agent.signal(Signal::CONT);
            Ok(())
        };
        callers::ask_at_once(herd, &self.house.request(&json!({})), wake)
    }

    /// One program asks and causes the refresh, the others join it, the one is killed.
    fn without_its_leader(&self) -> Result<Heard> {
        let herd = callers::gather(self.house, CLIENTS)?;
        let over = self.shorten()?;
        thread::sleep(over.saturating_duration_since(Instant::now()));
        let mut leader = self.house.sandbox.command(parts::program("sso"));
        leader.args(["token", &self.house.host]).stdout(Stdio::null()).stderr(Stdio::null());
        let mut leader = leader.spawn().context("cannot run sso")?;
        let begun = self.house.issuer.wait_until(PATIENCE, |counters| counters.in_flight > 0);
        begun.context("the first client caused no refresh")?;
        let heard = callers::ask_at_once(herd, &self.house.request(&json!({})), || Ok(leader.kill()?))?;
        leader.wait()?;
        Ok(heard)
    }

    /// All ask, and the provider says 503.
    fn refused(&self, report: &mut Report) -> Result<()> {
        let herd = callers::gather(self.house, CLIENTS)?;
        let over = self.shorten()?;
        self.agent.signal(Signal::STOP);
        thread::sleep(over.saturating_duration_since(Instant::now()));
        let before = self.house.issuer.counters().refreshes;
        self.house.issuer.inject(Fault::Status {
            code: 503,
            retry_after: None,
            content_type: "text/plain".to_owned(),
            body: "down".to_owned(),
        });
        let request = self.house.request(&json!({ "wait_s": PATIENCE.as_secs() }));
        let heard = callers::ask_at_once(herd, &request, || {
            self.agent.signal(Signal::CONT);
            Ok(())
        })?;
        let refreshes = self.house.issuer.counters().refreshes - before;
        self.house.issuer.clear_faults();
        let late = heard.last.saturating_sub(PATIENCE);
        report.count("503: requests at the provider in 3 s", refreshes, Target::AtMost(TRIES));
        report.none("503: answers other than that it is unavailable", {
            heard.granted + heard.other_than(&["issuer_unavailable", "timeout"])
        });
        let most = LATE.as_secs_f64() * 1000.0;
        let late = late.as_secs_f64() * 1000.0;
        report.figure("503: last answer after the deadline", "ms", late, Stage::time(most));
        Ok(())
    }
}

#[derive(Debug, Default)]
struct Runs {
    rounds: u64,
    /// Beyond the one of each round, or short of it.
    odd_refreshes: u64,
    unanswered: u64,
    odd_tokens: u64,
    slowest: Duration,
}

impl Runs {
    fn take(&mut self, issuer: &Issuer, size: u32, round: impl FnOnce() -> Result<Heard>) -> Result<()> {
        // The token that does not last is the first.
        let before = issuer.counters().refreshes + 1;
        let heard = round()?;
        self.rounds += 1;
        self.odd_refreshes += (issuer.counters().refreshes - before).abs_diff(1);
        self.unanswered += u64::from(size) - heard.granted;
        self.odd_tokens += (heard.ids.len() as u64).abs_diff(1);
        self.slowest = self.slowest.max(heard.last);
        Ok(())
    }

    fn report(&self, report: &mut Report, what: &str) {
        report.count(&format!("{what}: rounds"), self.rounds, Target::None);
        report.none(&format!("{what}: requests beside the one of each round"), self.odd_refreshes);
        report.none(&format!("{what}: clients without a token"), self.unanswered);
        report.none(&format!("{what}: tokens beside the one of each round"), self.odd_tokens);
        let over = self.slowest.saturating_sub(LATENCY).as_secs_f64() * 1000.0;
        report.figure(&format!("{what}: last told, after the provider's 500 ms"), "ms", over, Target::None);
    }
}
