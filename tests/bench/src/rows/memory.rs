//! What an agent costs that has nothing to do.

use std::{thread, time::Duration};

use anyhow::Result;
use serde_json::json;

use super::Rig;
use crate::{
    home::Server,
    load, proc,
    report::{Report, Target},
    spread::Spread,
    stored::Stored,
};

/// Threads for work that blocks stay for 10 s.
const SETTLES: Duration = Duration::from_secs(12);

const KIB_PER_MIB: f64 = 1024.0;

pub(super) fn measure(rig: &mut Rig<'_>, report: &Report) -> Result<()> {
    let (plan, many) = (rig.plan, rig.plan.many());
    let stored = rig.stored(report)?;
    let mut sizes = Vec::new();
    for count in [1, 100, many] {
        let home = stored.copy(count)?;
        let agent = home.agent(&plan.programs.agent)?;
        renew_one(stored, &agent)?;
        thread::sleep(SETTLES);
        let pss = proc::pss(agent.pid())?;
        let own = proc::anonymous(agent.pid())?;
        let target = if count == 1 { Target::AtMost(4.8) } else { Target::None };
        let mib = |kib: f64| Spread::once(kib / KIB_PER_MIB);
        report.figure(&format!("{count} sessions, PSS after one refresh"), "MiB", mib(pss), target);
        report.figure(&format!("{count} sessions, of that its own"), "MiB", mib(own), Target::None);
        sizes.push((count as f64, pss));
        if count == 1 {
            idle(&agent, report, Duration::from_secs(if plan.quick { 10 } else { 60 }))?;
            let echo = home.echo(&plan.programs.echo, 1800)?;
            load::ask(&echo.socket, &load::token_get("h", &json!({})))?;
            report.figure("JSON echo, PSS", "MiB", mib(proc::pss(echo.pid())?), Target::None);
        }
        agent.stop()?;
    }
    if let [(few, small), .., (lots, large)] = sizes[..] {
        let each = (large - small) / (lots - few);
        report.figure("growth per session", "KiB", Spread::once(each), Target::AtMost(2.5));
    }
    Ok(())
}

/// Gets a token refused, and so another one.
fn renew_one(stored: &Stored, agent: &Server) -> Result<()> {
    let request = stored.requests(&agent.socket)?.swap_remove(0);
    let reply = load::ask(&agent.socket, &request)?;
    load::token(&reply)?;
    let mut again: serde_json::Value = serde_json::from_slice(&request)?;
    again["params"]["refused"] = reply["result"]["token_id"].clone();
    let renewed = load::ask(&agent.socket, format!("{again}\n").as_bytes())?;
    load::token(&renewed).map(drop)
}

fn idle(agent: &Server, report: &Report, time: Duration) -> Result<()> {
    let (naps, cpu) = (proc::naps(agent.pid())?, proc::cpu(agent.pid())?);
    thread::sleep(time);
    let minutes = time.as_secs_f64() / 60.0;
    let naps = (proc::naps(agent.pid())? - naps) / minutes;
    let cpu = (proc::cpu(agent.pid())?.saturating_sub(cpu)).as_secs_f64() * 1000.0 / minutes;
    report.figure("wake-ups a minute", "", Spread::once(naps), Target::AtMost(3.0));
    report.figure("CPU a minute", "ms", Spread::once(cpu), Target::None);
    Ok(())
}
