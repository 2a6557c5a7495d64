//! A kill at every system call from the request to the answer, of the agent or of the process that spends,
//! its start included: no moment of a refresh is left to chance.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, bail};
use sso_agent::demo::Fault;
use sso_agent_tests::Agent;

use super::Stage;
use crate::house::{House, strict};
use crate::report::{Report, Target};
use crate::trace::{self, End, Victim};

const ROUND_TRIP: Duration = Duration::from_millis(20);
const LIFETIME: Duration = Duration::from_secs(10);
/// Points of the agent that the full form has at the least.
const POINTS: f64 = 60.0;
/// Of how many points the short form takes one.
const EVERY: u32 = 40;

/// Where the agent dies, nothing may be lost: what was sent is heard by the spender. Where whoever knows the
/// answer dies, each loss has its reason, and no token is sent twice but once.
pub(super) fn play(stage: &Stage<'_>, report: &mut Report) -> Result<()> {
    let agent = sweep(stage, Victim::Agent)?;
    let least = if stage.plan.short { 2.0 } else { POINTS };
    report.count("agent: points at which it was killed", agent.points.into(), Target::AtLeast(least));
    report.none("agent: sessions lost", agent.lost.values().sum());
    report.none("agent: refresh tokens sent twice", agent.replays);
    agent.explain(report);
    let spender = sweep(stage, Victim::Child)?;
    report.count("spender: points at which it was killed", spender.points.into(), Target::AtLeast(1.0));
    let lost: u64 = spender.lost.values().sum();
    report.count("spender: sessions that ended, with a reason", lost - spender.mute, Target::None);
    report.none("spender: sessions that ended without one", spender.mute);
    report.count("spender: refresh tokens sent twice", spender.replays, Target::AtMost(lost as f64));
    spender.explain(report);
    Ok(())
}

#[derive(Debug, Default)]
struct Sweep {
    points: u32,
    /// By point and call.
    lost: BTreeMap<String, u64>,
    /// Of these, how many were not told why.
    mute: u64,
    replays: u64,
    example: Option<String>,
}

impl Sweep {
    fn explain(&self, report: &Report) {
        if !self.lost.is_empty() {
            let points: Vec<&str> = self.lost.keys().map(String::as_str).collect();
            report.note(&format!("lost at {}", points.join(", ")));
        }
        if let Some(said) = &self.example {
            report.note(&format!("such as: {said}"));
        }
    }
}

fn sweep(stage: &Stage<'_>, victim: Victim) -> Result<Sweep> {
    let house = House::new(strict(LIFETIME))?;
    let mut agent = house.agent()?;
    house.sign_in()?;
    house.issuer.inject(Fault::SlowAnswer(ROUND_TRIP));
    let mut done = Sweep::default();
    agent.kill();
    agent = house.agent()?;
    let End::Over(calls) = refresh(&house, &agent, victim, u32::MAX)? else { bail!("too many calls") };
    let (step, first) = if stage.plan.short {
        (EVERY, 1 + u32::try_from(stage.random().below(EVERY.into())).unwrap_or_default())
    } else {
        (1, 1)
    };
    for nth in (first..=calls).step_by(step as usize) {
        // Its spender ends with it, so that each refresh begins with the start of one.
        agent.kill();
        agent = house.agent()?;
        let End::Killed(call) = refresh(&house, &agent, victim, nth)? else { continue };
        done.points += 1;
        if victim == Victim::Agent {
            agent.kill();
            agent = house.agent()?;
        }
        if let Some(said) = house.lost()? {
            *done.lost.entry(format!("{nth} (call {call})")).or_default() += 1;
            done.mute += u64::from(!said.contains("interrupted"));
            done.example.get_or_insert(said);
            house.sign_in()?;
        }
    }
    done.replays = house.issuer.counters().replays;
    Ok(done)
}

/// Has a token refreshed while all is watched.
fn refresh(house: &House, agent: &Agent, victim: Victim, nth: u32) -> Result<End> {
    let id = house.settled("")?.map_or_else(|said| bail!("{said}"), Ok)?;
    // Whoever asked from a dead agent gets nothing, which is no matter here.
    let (end, _) = trace::kill_at(agent.pid(), victim, nth, || house.ask_other(&id))?;
    Ok(end)
}
