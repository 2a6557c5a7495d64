//! `kill -9` at random moments, while tokens are refreshed without a pause.
//!
//! The provider is as strict as one can be: it decides the moment it hears, whoever lives to hear the
//! answer, and a refresh token that comes a second time ends the session.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use rustix::process::Signal;
use sso_agent::demo::{Fault, Options};
use sso_agent_tests::Agent;

use super::Stage;
use crate::askers::{Askers, Wish};
use crate::house::{House, strict};
use crate::proc;
use crate::report::{Report, Target};

const LIFETIME: Duration = Duration::from_secs(5);
/// Between the provider's decision and its answer: about that of a server on the same continent.
const ROUND_TRIP: Duration = Duration::from_millis(40);
/// Some eight refreshes.
const LONGEST_LIFE: Duration = Duration::from_millis(500);
/// A session that gives no token for so long is as good as lost.
const PATIENCE: Duration = Duration::from_secs(30);
const ASKERS: usize = 2;

/// The main process alone: what it was about to learn, somebody else has to.
pub(super) fn of_the_agent(stage: &Stage<'_>, report: &mut Report) -> Result<()> {
    let kills = stage.plan.times(2000, 60);
    let done = play(stage, strict(LIFETIME), kills, |_, agent| agent.kill())?;
    done.report(report);
    report.none("refresh tokens sent twice", done.replays);
    report.count("refreshes at the provider at once", done.at_once, Target::AtMost(1.0));
    Ok(())
}

/// Everything that holds a refresh token at once, at a provider that lets a lost answer be asked for again.
pub(super) fn of_everything(stage: &Stage<'_>, report: &mut Report) -> Result<()> {
    let (kills, grace) = (stage.plan.times(1000, 30), Duration::from_secs(10));
    let done = play(stage, Options { grace, ..strict(LIFETIME) }, kills, kill_all)?;
    done.report(report);
    report.none("refresh tokens sent again after the provider's 10 s", done.replays);
    Ok(())
}

/// Stopped first, so that nothing begins between the look and the kill.
fn kill_all(house: &House, agent: Agent) {
    agent.signal(Signal::STOP);
    proc::spenders(&house.sandbox.path("")).into_iter().for_each(proc::kill);
    agent.kill();
    proc::spenders(&house.sandbox.path("")).into_iter().for_each(proc::kill);
}

struct Done {
    kills: u32,
    refreshes: u64,
    served: u64,
    losses: Vec<String>,
    /// In words, if the session gives no token at the end.
    stuck: Option<String>,
    expired: u64,
    replays: u64,
    at_once: u64,
}

impl Done {
    fn report(&self, report: &mut Report) {
        report.count("kills", self.kills.into(), Target::None);
        report.count("refreshes", self.refreshes, Target::AtLeast(f64::from(self.kills)));
        report.count("tokens served", self.served, Target::None);
        report.none("sessions lost", self.losses.len() as u64);
        report.none("sessions that give no token at the end", self.stuck.iter().count() as u64);
        report.none("expired tokens served", self.expired);
        if let Some(how) = &self.stuck {
            report.note(how);
        }
        if let Some(said) = self.losses.first() {
            report.note(&format!("such as: {said}"));
        }
    }
}

fn play(stage: &Stage<'_>, options: Options, kills: u32, kill: impl Fn(&House, Agent)) -> Result<Done> {
    let (house, askers, mut random) = (House::new(options)?, Askers::default(), stage.random());
    let mut agent = house.agent()?;
    house.sign_in()?;
    house.issuer.inject(Fault::SlowAnswer(ROUND_TRIP));
    let (mut losses, mut stuck) = (Vec::new(), None);
    thread::scope(|scope| {
        let _at_the_end = askers.until_the_end();
        for _ in 0..ASKERS {
            scope.spawn(|| askers.keep_asking(&house, Wish::Another));
        }
        for _ in 0..kills {
            losses.extend(live(&house, &askers, random.within(LONGEST_LIFE))?);
            kill(&house, agent);
            agent = house.agent()?;
        }
        losses.extend(live(&house, &askers, 2 * LIFETIME)?);
        let so_far = askers.seen().served;
        if !askers.wait(PATIENCE, |seen| seen.served > so_far) {
            let told = &askers.seen().errors;
            stuck = Some(format!("no token for {PATIENCE:?}, but {told:?}; {}", house.last_words()));
        }
        anyhow::Ok(())
    })?;
    let (counters, seen) = (house.issuer.counters(), askers.seen());
    Ok(Done {
        kills,
        refreshes: counters.granted_refreshes,
        served: seen.served,
        losses,
        stuck,
        expired: seen.expired,
        replays: counters.replays,
        at_once: counters.max_in_flight,
    })
}

/// Lets the agent live for a while; signs in again if the session turns out to be lost, and says so.
fn live(house: &House, askers: &Askers, time: Duration) -> Result<Option<String>> {
    if !askers.wait(time, |seen| seen.lost.is_some()) {
        return Ok(None);
    }
    // What was heard may be older than the last sign-in.
    let said = house.lost()?;
    if said.is_some() {
        house.sign_in()?;
    }
    askers.seen().lost = None;
    Ok(said)
}
