//! Half an hour in which something is always wrong, and clients that never stop asking.
//!
//! Two agents share the troubles of one issuer. One is killed every minute; the other lives all the time,
//! and its memory and descriptors are looked at.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::process::Signal;
use sso_agent::demo::{Issuer, Options};
use sso_agent_tests::{Agent, load};

use self::disk::Disk;
use super::Stage;
use super::trouble::{self, Trouble};
use crate::askers::{Askers, Wish};
use crate::house::{House, strict};
use crate::proc;
use crate::random::Random;
use crate::report::{Report, Target};

mod disk;

/// The provider lets a lost answer be asked for again for so long: some are lost here.
const GRACE: Duration = Duration::from_secs(10);
/// What a process that spends costs the agent while it is there.
const DESCRIPTORS: f64 = 4.0;
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long things are.
#[derive(Debug, Clone, Copy)]
struct Times {
    all: Duration,
    token: Duration,
    /// Between the beginnings of two troubles, each of which lasts half of that.
    trouble: Duration,
    kill: Duration,
}

impl Times {
    fn of(stage: &Stage<'_>) -> Self {
        let s = Duration::from_secs;
        if stage.plan.short {
            Self { all: s(40), token: s(4), trouble: s(4), kill: s(10) }
        } else {
            Self { all: stage.plan.soak, token: s(30), trouble: s(10), kill: s(60) }
        }
    }
}

pub(super) fn play(stage: &Stage<'_>, report: &mut Report) -> Result<()> {
    let times = Times::of(stage);
    let issuer = Issuer::start_in_thread(Options { grace: GRACE, ..strict(times.token) })?;
    let (mortal, steady) = (House::at(issuer.clone()), House::at(issuer.clone()));
    let disk = Disk::under(&mortal.sandbox.state());
    if let Err(error) = &disk {
        report.note(&format!("the disk is never full: {error}"));
    }
    let (seen, seen_of_steady) = (Askers::default(), Askers::default());
    let agents = (mortal.agent()?, steady.agent()?);
    mortal.sign_in()?;
    steady.sign_in()?;
    let mut soak = Soak {
        mortal: &mortal,
        steady: &steady,
        steady_agent: &agents.1,
        disk: disk.as_ref().ok(),
        random: stage.random(),
        times,
        met: BTreeMap::new(),
        kills: 0,
        failed_starts: 0,
        looks: Vec::new(),
    };
    thread::scope(|scope| {
        let _at_the_end = (seen.until_the_end(), seen_of_steady.until_the_end());
        scope.spawn(|| seen.keep_asking(&mortal, Wish::Any));
        scope.spawn(|| seen.keep_asking(&mortal, Wish::Any));
        scope.spawn(|| seen_of_steady.keep_asking(&steady, Wish::Any));
        soak.run(agents.0)
    })?;
    soak.report(report, [&seen, &seen_of_steady]);
    let counters = issuer.counters();
    // A provider that hangs is waited for, for half a minute: with luck of that kind there are few in a short one.
    let least = times.all.as_secs_f64() / times.token.as_secs_f64() / 3.0;
    report.count("refreshes", counters.granted_refreshes, Target::AtLeast(least));
    report.none("refresh tokens sent again after the provider's 10 s", counters.replays);
    Ok(())
}

struct Soak<'a> {
    mortal: &'a House,
    steady: &'a House,
    steady_agent: &'a Agent,
    disk: Option<&'a Disk>,
    random: Random,
    times: Times,
    met: BTreeMap<&'static str, u32>,
    kills: u64,
    failed_starts: u64,
    /// Of the agent that lives all the time: memory in KiB, and descriptors.
    looks: Vec<(f64, f64)>,
}

impl Soak<'_> {
    /// Until time is up; then all troubles end, and both agents have to fetch one more token.
    fn run(&mut self, mut agent: Agent) -> Result<()> {
        let start = Instant::now();
        let mut next_kill = start + self.times.kill;
        while start.elapsed() < self.times.all {
            let end = Instant::now() + self.times.trouble;
            let (name, trouble) = trouble::draw(&mut self.random, self.disk.is_some());
            *self.met.entry(name).or_default() += 1;
            self.begin(&trouble, &agent)?;
            let half = self.times.trouble / 2;
            let before = self.random.within(half);
            self.pass(before)?;
            if Instant::now() >= next_kill {
                next_kill += self.times.kill;
                agent = self.kill(agent)?;
            }
            self.pass(half - before)?;
            self.end(&trouble, &agent);
            self.pass(end.saturating_duration_since(Instant::now()))?;
        }
        self.mortal.issuer.clear_faults();
        for house in [self.mortal, self.steady] {
            let settled = house.settled("").and_then(|id| house.settled(&id.unwrap_or_default()));
            settled.context("one of the agents does not come to")?.ok();
        }
        Ok(())
    }

    fn begin(&self, trouble: &Trouble, agent: &Agent) -> Result<()> {
        let issuer = &self.mortal.issuer;
        match trouble {
            Trouble::Standing(fault) => issuer.inject(fault.clone()),
            Trouble::Once(fault) => issuer.inject_times(fault.clone(), 1),
            Trouble::Offline => issuer.go_offline(),
            Trouble::Asleep => self.signal_all(agent, Signal::STOP),
            Trouble::DiskFull => self.disk.map_or(Ok(()), Disk::fill)?,
        }
        Ok(())
    }

    fn end(&self, trouble: &Trouble, agent: &Agent) {
        match trouble {
            Trouble::Standing(_) | Trouble::Once(_) => self.mortal.issuer.clear_faults(),
            Trouble::Offline => self.mortal.issuer.go_online(),
            Trouble::Asleep => self.signal_all(agent, Signal::CONT),
            Trouble::DiskFull => self.disk.into_iter().for_each(Disk::empty),
        }
    }

    /// As a machine that sleeps: every process of theirs.
    fn signal_all(&self, agent: &Agent, signal: Signal) {
        for house in [self.mortal, self.steady] {
            let spenders = proc::spenders(&house.sandbox.path(""));
            spenders.into_iter().for_each(|pid| proc::signal(pid, signal));
        }
        agent.signal(signal);
        self.steady_agent.signal(signal);
    }

    fn kill(&mut self, agent: Agent) -> Result<Agent> {
        self.kills += 1;
        agent.kill();
        self.mortal.agent().or_else(|error| {
            // Such as on a full disk; it has to come up when there is room again.
            self.failed_starts += 1;
            self.disk.into_iter().for_each(Disk::empty);
            self.mortal.agent().context(error)
        })
    }

    /// Lets time pass, and looks at the agent that lives all the time.
    fn pass(&mut self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            thread::sleep(left.min(LOOK_EVERY));
            let pid = self.steady_agent.pid();
            let descriptors = load::descriptors(pid).map_or(f64::NAN, |count| count as f64);
            self.looks.push((1024.0 * load::rss_mib(pid)?, descriptors));
        }
        Ok(())
    }

    fn report(&self, report: &mut Report, seen: [&Askers; 2]) {
        let met: Vec<String> = self.met.iter().map(|(name, count)| format!("{name} {count}")).collect();
        report.note(&met.join(", "));
        report.figure("length", "s", self.times.all.as_secs_f64(), Target::None);
        report.count("troubles", self.met.values().map(|count| u64::from(*count)).sum(), Target::None);
        report.count("kills", self.kills, Target::AtLeast(1.0));
        report.none("starts that failed", self.failed_starts);
        let sum = |of: fn(&crate::askers::Seen) -> u64| seen.iter().map(|askers| of(&askers.seen())).sum();
        report.count("tokens served", sum(|seen| seen.served), Target::AtLeast(1000.0));
        report.none("expired tokens served", sum(|seen| seen.expired));
        report.none("sign-ins needed", sum(|seen| u64::from(seen.lost.is_some())));
        for askers in seen {
            if let Some(said) = &askers.seen().lost {
                report.note(&format!("such as: {said}"));
            }
            report.note(&format!("errors that were told: {:?}", askers.seen().errors));
        }
        let minutes = self.times.all.as_secs_f64() / 60.0;
        let memory = drift(self.looks.iter().map(|(memory, _)| *memory));
        report.figure("memory: last quarter over second", "KiB", memory, Target::AtMost(1024.0));
        report.figure("memory: slope", "KiB/min", memory / minutes * 2.0, Target::None);
        let descriptors = drift(self.looks.iter().map(|(_, descriptors)| *descriptors));
        report.figure("descriptors: last quarter over second", "", descriptors, Target::AtMost(DESCRIPTORS));
    }
}

/// The median of the last quarter less that of the second: the first is for warming up.
fn drift(figures: impl Iterator<Item = f64>) -> f64 {
    let figures: Vec<f64> = figures.collect();
    let median = |quarter: usize| {
        let from = figures.len() * (quarter - 1) / 4;
        let mut part = figures.get(from..figures.len() * quarter / 4).unwrap_or_default().to_vec();
        part.sort_by(f64::total_cmp);
        part.get(part.len() / 2).copied().unwrap_or(f64::NAN)
    };
    median(4) - median(2)
}

#[cfg(test)]
mod tests {
    use super::drift;

    #[test]
    fn what_grows_is_told_from_what_warms_up() {
        assert_eq!(drift([1.0, 1.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0].into_iter()), 0.0);
        assert_eq!(drift((0..8).map(f64::from)), 4.0);
        assert!(drift(std::iter::empty()).is_nan());
    }
}
