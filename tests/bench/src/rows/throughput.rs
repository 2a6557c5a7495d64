//! 64 clients who ask as fast as they are answered.

use std::{path::Path, time::Duration};

use anyhow::Result;
use rustix::process::Pid;

use super::Rig;
use crate::{
    home::Server,
    load::{self, Connection},
    plan::Plan,
    proc,
    report::{Report, Target},
};

const CLIENTS: usize = 64;

pub(super) fn measure(rig: &mut Rig<'_>, report: &Report) -> Result<()> {
    let pair = rig.pair()?;
    rig.on_two_cores(&[&pair.agent, &pair.echo])?;
    let (ours, floor) = (Asked::new(&pair.agent, &pair.request), Asked::new(&pair.echo, &pair.request));
    side_by_side(rig.plan, report, &ours, ("JSON echo", &floor), [0.75, 0.85])
}

/// A server under load, and what it is asked.
pub(super) struct Asked<'a> {
    pub(super) socket: &'a Path,
    pub(super) server: Pid,
    pub(super) request: &'a [u8],
}

impl<'a> Asked<'a> {
    pub(super) fn new(server: &'a Server, request: &'a [u8]) -> Self {
        Self { socket: &server.socket, server: server.pid(), request }
    }
}

/// Answers per second and the server's time for each, over open connections and over new ones.
pub(super) fn side_by_side(
    plan: &Plan,
    report: &Report,
    ours: &Asked<'_>,
    (beside, floor): (&str, &Asked<'_>),
    [kept, new]: [f64; 2],
) -> Result<()> {
    let (times, time) = (plan.times(9, 3), Duration::from_millis(if plan.quick { 300 } else { 700 }));
    let kinds = [
        (Connection::Kept, "64 open connections", kept),
        (Connection::NewEachTime, "64 clients, new connections", new),
    ];
    for (connection, name, at_least) in kinds {
        let (mut of_ours, mut of_floor) = (Figures::default(), Figures::default());
        for _ in 0..times {
            of_floor.take(floor, connection, time)?;
            of_ours.take(ours, connection, time)?;
        }
        report.pair(name, "/s", &of_ours.rate, (beside, &of_floor.rate), Target::AtLeast(at_least))?;
        let cpu = format!("{name}, CPU of the server");
        report.pair(&cpu, "µs", &of_ours.cpu, (beside, &of_floor.cpu), Target::None)?;
    }
    Ok(())
}

#[derive(Default)]
struct Figures {
    rate: Vec<f64>,
    cpu: Vec<f64>,
}

impl Figures {
    fn take(&mut self, asked: &Asked<'_>, connection: Connection, time: Duration) -> Result<()> {
        let before = proc::cpu(asked.server)?;
        let rate = load::flat_out(asked.socket, asked.request, connection, CLIENTS, time)?;
        let spent = proc::cpu(asked.server)?.saturating_sub(before);
        self.rate.push(rate);
        self.cpu.push(spent.as_secs_f64() * 1e6 / (rate * time.as_secs_f64()));
        Ok(())
    }
}
