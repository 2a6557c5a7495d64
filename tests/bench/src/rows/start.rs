//! From nothing to the first token, and how the number of sessions shows later.

use anyhow::{Context as _, Result};

use super::Rig;
use crate::{
    home::{Home, Server},
    load::{self, Connection},
    plan::Plan,
    proc,
    report::{Report, Target},
    spread::Spread,
    stored::Stored,
};

pub(super) fn measure(rig: &mut Rig<'_>, report: &Report) -> Result<()> {
    let (plan, many) = (rig.plan, rig.plan.many());
    let stored = rig.stored(report)?;
    for (count, times) in [(1, plan.times(30, 8)), (100, plan.times(20, 4)), (many, plan.times(12, 4))] {
        let home = stored.copy(count)?;
        let (mut ours, mut floor) = (Starts::default(), Starts::default());
        let request = first_request(plan, stored, &home)?;
        for _ in 0..times {
            floor.take(home.echo(&plan.programs.echo, 1800)?, &request)?;
            ours.take(home.agent(&plan.programs.agent)?, &request)?;
        }
        let (accept, token) = if count == many {
            (Target::None, Target::None)
        } else {
            (Target::AtMost(4.0), Target::AtMost(6.0))
        };
        let what = format!("{count} sessions, until it accepts");
        report.pair(&what, "ms", &ours.accept, ("echo", &floor.accept), accept)?;
        let what = format!("{count} sessions, until the first token");
        report.pair(&what, "ms", &ours.token, ("echo", &floor.token), token)?;
        if count == many {
            let figure = |figures: &[f64]| Spread::of(figures.iter().copied()).context("nothing started");
            report.figure(&what, "ms", figure(&ours.token)?, Target::AtMost(50.0));
            report.figure(
                &format!("{count} sessions, CPU until then"),
                "ms",
                figure(&ours.cpu)?,
                Target::None,
            );
        }
    }
    let (one, all) = (stored.copy(1)?, stored.copy(many)?);
    let few = (one.agent(&plan.programs.agent)?, 1);
    let lots = (all.agent(&plan.programs.agent)?, many);
    let few = (stored.requests(&few.0.socket)?, few.0);
    let lots = (stored.requests(&lots.0.socket)?, lots.0);
    rig.on_one_core(&[&few.1, &lots.1])?;
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..plan.times(15, 5) {
        let p50 = |(requests, server): &(Vec<Vec<u8>>, Server)| {
            load::in_turn(&server.socket, requests, Connection::Kept, 5000).map(|(p50, _)| p50)
        };
        floor.push(p50(&few)?);
        ours.push(p50(&lots)?);
    }
    let what = format!("open connection, p50, {many} sessions in no order");
    report.pair(&what, "µs", &ours, ("1 session", &floor), Target::AtMost(1.1))
}

fn first_request(plan: &Plan, stored: &Stored, home: &Home) -> Result<Vec<u8>> {
    let server = home.agent(&plan.programs.agent)?;
    let request = stored.requests(&server.socket)?.swap_remove(0);
    server.stop()?;
    Ok(request)
}

#[derive(Default)]
struct Starts {
    accept: Vec<f64>,
    token: Vec<f64>,
    cpu: Vec<f64>,
}

impl Starts {
    fn take(&mut self, server: Server, request: &[u8]) -> Result<()> {
        load::token(&load::ask(&server.socket, request)?)?;
        self.token.push(server.started.elapsed().as_secs_f64() * 1000.0);
        self.cpu.push(proc::cpu_of_all(server.pid())?.as_secs_f64() * 1000.0);
        self.accept.push(server.to_accept.as_secs_f64() * 1000.0);
        server.stop()
    }
}
