//! `token.get` over HTTP, beside hyper alone.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result};
use rustix::process::Pid;

use super::Rig;
use crate::{
    load::{self, Connection},
    proc,
    report::{Report, Target},
};

const CLIENTS: usize = 64;

pub(super) fn measure(rig: &mut Rig<'_>, report: &Report) -> Result<()> {
    let pair = rig.pair()?;
    let socket = pair.home.http_socket();
    let request = load::http_get(&pair.host);
    let length = load::length_of_body(&socket, &request)?;
    let hyper = pair.home.hyper(&rig.plan.programs.hyper, length).context("the bare server")?;
    rig.on_two_cores(&[&pair.agent, &hyper])?;
    let (times, time) = (rig.plan.times(9, 3), Duration::from_millis(if rig.plan.quick { 300 } else { 700 }));
    let kinds = [
        (Connection::Kept, "64 open connections", Target::AtLeast(0.85)),
        (Connection::NewEachTime, "64 clients, new connections", Target::AtLeast(0.85)),
    ];
    for (connection, name, target) in kinds {
        let (mut ours, mut floor) = (Figures::default(), Figures::default());
        for _ in 0..times {
            floor.take((&hyper.socket, hyper.pid()), &request, connection, time)?;
            ours.take((&socket, pair.agent.pid()), &request, connection, time)?;
        }
        report.pair(name, "/s", &ours.rate, ("hyper", &floor.rate), target)?;
        let what = format!("{name}, CPU of the server");
        report.pair(&what, "µs", &ours.cpu, ("hyper", &floor.cpu), Target::None)?;
    }
    Ok(())
}

#[derive(Default)]
struct Figures {
    rate: Vec<f64>,
    cpu: Vec<f64>,
}

impl Figures {
    fn take(
        &mut self,
        (socket, server): (&Path, Pid),
        request: &[u8],
        connection: Connection,
        time: Duration,
    ) -> Result<()> {
        let before = proc::cpu(server)?;
        let rate = load::flat_out(socket, request, connection, CLIENTS, time)?;
        let spent = proc::cpu(server)?.saturating_sub(before);
        self.rate.push(rate);
        self.cpu.push(spent.as_secs_f64() * 1e6 / (rate * time.as_secs_f64()));
        Ok(())
    }
}
