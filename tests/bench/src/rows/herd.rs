//! A thousand clients at one instant, on a token that has run out.
//!
//! The agent would renew in time, so it is stopped, as a machine that sleeps stops it, until the token
//! is over and all have asked; their time begins when it goes on.

use std::{os::unix::net::UnixStream, thread, time::Duration};

use anyhow::{Context as _, Result};
use rustix::process::Signal;
use serde_json::{Value, json};
use sso_agent::demo::{Fault, Issuer};

use super::Rig;
use crate::{
    home::{Home, Server},
    load::{self, Told},
    report::{Report, Target},
    spread::Spread,
    stored,
};

const CLIENTS: usize = 1_000;

/// What the issuer takes.
const ISSUER: Duration = Duration::from_millis(200);

/// What a herd waits for an issuer that is down.
const PATIENCE_S: u64 = 3;

const HOUR: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(1_000);

pub(super) fn measure(rig: &mut Rig<'_>, report: &Report) -> Result<()> {
    let herd = Herd::new(rig)?;
    let times = rig.plan.times(5, 2);
    let mut up = Runs::default();
    for _ in 0..times {
        up.take(&herd, &json!({}), None)?;
    }
    let mut down = Runs::default();
    for _ in 0..rig.plan.times(2, 1) {
        down.take(&herd, &json!({ "wait_s": PATIENCE_S }), Some(unavailable()))?;
    }
    let over =
        |last: &[f64], by: Duration| Spread::of(last.iter().map(|last| last - by.as_secs_f64() * 1000.0));
    let nothing = "no herd came";
    report.figure("refreshes", "", up.refreshes()?, Target::AtMost(1.0));
    report.figure("refused", "", up.refused()?, Target::AtMost(0.0));
    report.figure(
        "first client after the issuer's 200 ms",
        "ms",
        over(&up.first, ISSUER).context(nothing)?,
        Target::None,
    );
    report.figure(
        "last client after the issuer's 200 ms",
        "ms",
        over(&up.last, ISSUER).context(nothing)?,
        Target::AtMost(60.0),
    );
    // At once, after about 1 s, and after about 2 more.
    report.figure("issuer down: refreshes in 3 s", "", down.refreshes()?, Target::AtMost(3.0));
    report.figure(
        "issuer down: at once",
        "",
        Spread::once(herd.issuer.counters().max_in_flight as f64),
        Target::AtMost(1.0),
    );
    let patience = Duration::from_secs(PATIENCE_S);
    report.figure(
        "issuer down: last told after its deadline",
        "ms",
        over(&down.last, patience).context(nothing)?,
        Target::AtMost(60.0),
    );
    report.figure(
        "issuer: refresh tokens replayed",
        "",
        Spread::once(herd.issuer.counters().replays as f64),
        Target::AtMost(0.0),
    );
    Ok(())
}

fn unavailable() -> Fault {
    let (content_type, body) = ("text/plain".to_owned(), "down".to_owned());
    Fault::Status { code: 503, retry_after: None, content_type, body }
}

struct Herd {
    issuer: Issuer,
    agent: Server,
    _home: Home,
}

impl Herd {
    fn new(rig: &Rig<'_>) -> Result<Self> {
        let (home, issuer) = (Home::new()?, stored::issuer(true, ISSUER)?);
        let agent = home.agent(&rig.plan.programs.agent)?;
        stored::sign_in(&agent.socket, &issuer.url(), "")?;
        Ok(Self { issuer, agent, _home: home })
    }

    /// Lets the token run out, and then everybody ask.
    fn run(&self, more: &Value) -> Result<(Told, u64)> {
        let (socket, host) = (&self.agent.socket, self.issuer.url());
        let herd = (0..CLIENTS).map(|_| UnixStream::connect(socket)).collect::<Result<Vec<_>, _>>()?;
        self.agent.signal(Signal::STOP)?;
        thread::sleep(SHORT + Duration::from_millis(100));
        self.issuer.set_lifetime(HOUR);
        let before = self.issuer.counters().refreshes;
        let told = load::at_once(herd, &load::token_get(&host, more), || self.agent.signal(Signal::CONT))?;
        Ok((told, self.issuer.counters().refreshes - before))
    }

    /// Has the agent fetch a token that does not last.
    fn shorten(&self) -> Result<()> {
        let (socket, host) = (&self.agent.socket, self.issuer.url());
        self.issuer.set_lifetime(SHORT);
        let reply = load::ask(socket, &load::token_get(&host, &Value::Null))?;
        load::token(&reply)?;
        let refused = json!({ "refused": reply["result"]["token_id"] });
        load::token(&load::ask(socket, &load::token_get(&host, &refused))?).map(drop)
    }
}

#[derive(Default)]
struct Runs {
    first: Vec<f64>,
    last: Vec<f64>,
    refreshes: Vec<f64>,
    refused: Vec<f64>,
}

impl Runs {
    fn take(&mut self, herd: &Herd, more: &Value, fault: Option<Fault>) -> Result<()> {
        herd.shorten()?;
        fault.into_iter().for_each(|fault| herd.issuer.inject(fault));
        let (told, refreshes) = herd.run(more)?;
        herd.issuer.clear_faults();
        self.first.push(told.first.as_secs_f64() * 1000.0);
        self.last.push(told.last.as_secs_f64() * 1000.0);
        self.refreshes.push(refreshes as f64);
        self.refused.push((CLIENTS - told.granted) as f64);
        Ok(())
    }

    fn refreshes(&self) -> Result<Spread> {
        Spread::of(self.refreshes.iter().copied()).context("no herd came")
    }

    fn refused(&self) -> Result<Spread> {
        Spread::of(self.refused.iter().copied()).context("no herd came")
    }
}
