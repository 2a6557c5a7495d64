//! A hundred agents at once: one serves, the others say that they are not needed.

use std::fs::File;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use sso_agent_tests::rpc::Connection;
use sso_agent_tests::{Sandbox, parts};

use super::Stage;
use crate::report::{Report, Target};

const AGENTS: usize = 100;
/// What an agent exits with that finds another one at work (`EX_TEMPFAIL`).
const NOT_NEEDED: i32 = 75;
const PATIENCE: Duration = Duration::from_secs(60);
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

pub(super) fn play(stage: &Stage<'_>, report: &mut Report) -> Result<()> {
    let (rounds, mut odd, mut other_codes, mut mute) = (stage.plan.times(50, 3), 0, 0, 0);
    let mut slowest = Duration::ZERO;
    for _ in 0..rounds {
        let start = Instant::now();
        let round = Round::play()?;
        slowest = slowest.max(start.elapsed());
        odd += (round.left.len() as u64).abs_diff(1);
        other_codes += round.other_codes;
        mute += u64::from(!round.serves()?);
        round.end();
    }
    report.count("rounds of 100", rounds.into(), Target::None);
    report.none("agents too many or too few", odd);
    report.none("agents that ended with another code than 75", other_codes);
    report.none("rounds in which the one that is left did not serve", mute);
    report.figure("slowest round, with starting the processes", "s", slowest.as_secs_f64(), Target::None);
    Ok(())
}

struct Round {
    sandbox: Sandbox,
    left: Vec<Child>,
    other_codes: u64,
}

impl Round {
    /// Starts them and waits until all but one have ended, or time is up.
    fn play() -> Result<Self> {
        let sandbox = Sandbox::new();
        let mut left = Vec::new();
        for number in 0..AGENTS {
            let log = File::create(sandbox.path(format!("log/{number}")))?;
            let mut agent = sandbox.command(parts::program("sso-agent"));
            agent.arg("run").env("SSO_AGENT_LOG", "info").stdout(Stdio::null()).stderr(log);
            left.push(agent.spawn().context("cannot run sso-agent")?);
        }
        let mut round = Self { sandbox, left, other_codes: 0 };
        let start = Instant::now();
        while round.left.len() > 1 && start.elapsed() < PATIENCE {
            round.look()?;
            thread::sleep(BETWEEN_LOOKS);
        }
        // Time for the last one to end, which it should not.
        thread::sleep(10 * BETWEEN_LOOKS);
        round.look()?;
        Ok(round)
    }

    fn look(&mut self) -> Result<()> {
        let mut running = Vec::new();
        for mut agent in self.left.drain(..) {
            match agent.try_wait()? {
                Some(status) => self.other_codes += u64::from(status.code() != Some(NOT_NEEDED)),
                None => running.push(agent),
            }
        }
        self.left = running;
        Ok(())
    }

    /// Whether who is left is who answers.
    fn serves(&self) -> Result<bool> {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Ok(mut connection) = Connection::open(&self.sandbox.socket()) {
                let about = connection.call("agent.info", &json!({}))?.unwrap_or(Value::Null);
                return Ok(self.left.iter().any(|agent| about["pid"] == agent.id()));
            }
            thread::sleep(BETWEEN_LOOKS);
        }
        Ok(false)
    }

    fn end(self) {
        for mut agent in self.left {
            let _ = kill_process(Pid::from_child(&agent), Signal::TERM);
            let _ = agent.wait();
        }
    }
}
