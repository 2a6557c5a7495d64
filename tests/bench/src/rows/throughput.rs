//! 64 clients who ask as fast as they are answered.

use std::time::Duration;

use anyhow::Result;

use super::Rig;
use crate::{
    home::Server,
    load::{self, Connection},
    proc,
    report::{Report, Target},
};

const CLIENTS: usize = 64;

pub(super) fn measure(rig: &mut Rig<'_>, report: &Report) -> Result<()> {
    let pair = rig.pair()?;
    rig.on_two_cores(&[&pair.agent, &pair.echo])?;
    let (times, time) = (rig.plan.times(9, 3), Duration::from_millis(if rig.plan.quick { 300 } else { 700 }));
    let kinds = [
        (Connection::Kept, "64 open connections", Target::AtLeast(0.75)),
        (Connection::NewEachTime, "64 clients, new connections", Target::AtLeast(0.85)),
    ];
    for (connection, name, target) in kinds {
        let (mut ours, mut floor) = (Figures::default(), Figures::default());
        for _ in 0..times {
            floor.take(&pair.echo, &pair.request, connection, time)?;
            ours.take(&pair.agent, &pair.request, connection, time)?;
        }
        report.pair(name, "/s", &ours.rate, ("JSON echo", &floor.rate), target)?;
        report.pair(
            &format!("{name}, CPU of the server"),
            "µs",
            &ours.cpu,
            ("JSON echo", &floor.cpu),
            Target::None,
        )?;
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
        server: &Server,
        request: &[u8],
        connection: Connection,
        time: Duration,
    ) -> Result<()> {
        let before = proc::cpu(server.pid())?;
        let rate = load::flat_out(&server.socket, request, connection, CLIENTS, time)?;
        let spent = proc::cpu(server.pid())?.saturating_sub(before);
        self.rate.push(rate);
        self.cpu.push(spent.as_secs_f64() * 1e6 / (rate * time.as_secs_f64()));
        Ok(())
    }
}
