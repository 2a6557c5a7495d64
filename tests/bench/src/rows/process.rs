//! A whole process that prints a token: what a shell script pays.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use super::{Pair, Rig};
use crate::{
    proc,
    report::{Report, Target},
};

/// What to say to a program that prints a token.
const TOKEN: &[&str] = &["token"];
const AUTH_TOKEN: &[&str] = &["auth", "token", "--host"];

pub(super) fn measure(rig: &mut Rig<'_>, report: &Report) -> Result<()> {
    let pair = rig.pair()?;
    rig.on_one_core(&[&pair.agent])?;
    let programs = &rig.plan.programs;
    let mut contest = Contest::default();
    let dynamic = contest.enter("clap, dynamic", &pair, &programs.clap, TOKEN)?;
    let ours = contest.enter("sso token, dynamic", &pair, &programs.sso, TOKEN)?;
    let optional = |contest: &mut Contest, name, program: &Option<_>| {
        program.as_deref().map(|program: &Path| contest.enter(name, &pair, program, TOKEN)).transpose()
    };
    let floor = optional(&mut contest, "static C", &programs.floor)?;
    let clap_static = optional(&mut contest, "clap, static", &programs.clap_static)?;
    let ours_static = optional(&mut contest, "sso token, static", &programs.sso_static)?;
    contest.run(rig.plan.times(300, 40))?;

    let versus = |ours, floor, target| contest.versus(report, ours, floor, target);
    if let (Some(ours), Some(floor)) = (ours_static, floor) {
        versus(ours, floor, Target::AtMost(3.0))?;
    }
    if let (Some(ours), Some(clap)) = (ours_static, clap_static) {
        versus(ours, clap, Target::AtMost(1.15))?;
    }
    if let Some(floor) = floor {
        versus(ours, floor, Target::AtMost(4.0))?;
        versus(dynamic, floor, Target::None)?;
    }
    versus(ours, dynamic, Target::None)?;
    if floor.is_none() || ours_static.is_none() {
        report.note("no static programs: they want a C compiler and glibc's static archive");
    }
    Ok(())
}

/// The stand-in for the Databricks CLI, which an SDK starts for every token.
pub(super) fn measure_stand_in(rig: &mut Rig<'_>, report: &Report) -> Result<()> {
    let pair = rig.pair()?;
    rig.on_one_core(&[&pair.agent])?;
    let programs = &rig.plan.programs;
    let mut contest = Contest::default();
    let ours = contest.enter("databricks auth token, dynamic", &pair, &programs.databricks, AUTH_TOKEN)?;
    let Some(floor) = &programs.floor else {
        report.note("no floor: it wants a C compiler and glibc's static archive");
        return Ok(());
    };
    let floor = contest.enter("static C", &pair, floor, TOKEN)?;
    let ours_static = match &programs.databricks_static {
        Some(program) => Some(contest.enter("databricks auth token, static", &pair, program, AUTH_TOKEN)?),
        None => None,
    };
    contest.run(rig.plan.times(300, 40))?;
    for ours in ours_static.into_iter().chain([ours]) {
        let (ours, floor) = (&contest.runners[ours], &contest.runners[floor]);
        report.pair(ours.name, "ms", &ours.took, (floor.name, &floor.took), Target::None)?;
        let what = format!("{}, CPU", ours.name);
        report.pair(&what, "ms", &ours.cpu, (floor.name, &floor.cpu), Target::None)?;
    }
    Ok(())
}

/// Programs that do the same, run in turn.
#[derive(Default)]
pub(super) struct Contest {
    runners: Vec<Runner>,
}

struct Runner {
    name: &'static str,
    command: Command,
    took: Vec<f64>,
    cpu: Vec<f64>,
}

impl Contest {
    /// Another program, which must print the token when it gets these words and the host; gives its number.
    fn enter(&mut self, name: &'static str, pair: &Pair, program: &Path, words: &[&str]) -> Result<usize> {
        let mut command = pair.home.command(program);
        command.args(words).arg(&pair.host);
        self.enter_command(name, command, 1000)
    }

    /// Another command, which must print so much; gives its number.
    pub(super) fn enter_command(
        &mut self,
        name: &'static str,
        mut command: Command,
        least: usize,
    ) -> Result<usize> {
        let printed = command.stdout(Stdio::piped()).output().with_context(|| name.to_owned())?;
        ensure!(printed.status.success() && printed.stdout.len() >= least, "{name} prints no token");
        command.stdout(Stdio::null());
        self.runners.push(Runner { name, command, took: Vec::new(), cpu: Vec::new() });
        Ok(self.runners.len() - 1)
    }

    /// Runs all of them in turn, so often.
    pub(super) fn run(&mut self, times: usize) -> Result<()> {
        for _ in 0..times {
            for runner in &mut self.runners {
                let start = Instant::now();
                let mut child = runner.command.spawn()?;
                let pid = Pid::from_child(&child);
                // Ended, and still there to be asked what it cost.
                waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)?;
                runner.took.push(start.elapsed().as_secs_f64() * 1000.0);
                runner.cpu.push(proc::cpu(pid)?.as_secs_f64() * 1000.0);
                ensure!(child.wait()?.success(), "{} failed", runner.name);
            }
        }
        Ok(())
    }

    /// Reports one beside another.
    pub(super) fn versus(&self, report: &Report, ours: usize, floor: usize, target: Target) -> Result<()> {
        let (ours, floor) = (&self.runners[ours], &self.runners[floor]);
        report.pair(ours.name, "ms", &ours.took, (floor.name, &floor.took), target)?;
        let what = format!("{}, CPU", ours.name);
        report.pair(&what, "ms", &ours.cpu, (floor.name, &floor.cpu), Target::None)
    }
}
