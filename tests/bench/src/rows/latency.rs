//! One client, one core, one request after the other.

use anyhow::Result;

use super::Rig;
use crate::{
    home::Server,
    load::{self, Connection},
    proc,
    report::{Report, Target},
};

pub(super) fn measure(rig: &mut Rig<'_>, report: &Report) -> Result<()> {
    let pair = rig.pair()?;
    rig.on_one_core(&[&pair.agent, &pair.echo])?;
    let (times, count) = (rig.plan.times(15, 5), rig.plan.times(5000, 2000));
    let kinds = [
        (Connection::Kept, "open connection", Target::AtMost(1.2), Target::AtMost(1.3)),
        (Connection::NewEachTime, "new connection", Target::AtMost(1.15), Target::None),
    ];
    for (connection, name, p50, p99) in kinds {
        let (mut ours, mut floor) = (Figures::default(), Figures::default());
        for _ in 0..times {
            floor.take(&pair.echo, &pair.request, connection, count)?;
            ours.take(&pair.agent, &pair.request, connection, count)?;
        }
        report.pair(&format!("{name}, p50"), "µs", &ours.p50, ("JSON echo", &floor.p50), p50)?;
        report.pair(&format!("{name}, p99"), "µs", &ours.p99, ("JSON echo", &floor.p99), p99)?;
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
    p50: Vec<f64>,
    p99: Vec<f64>,
    cpu: Vec<f64>,
}

impl Figures {
    fn take(&mut self, server: &Server, request: &[u8], connection: Connection, count: usize) -> Result<()> {
        let before = proc::cpu(server.pid())?;
        let (p50, p99) = load::in_turn(&server.socket, &[request.to_owned()], connection, count)?;
        let spent = proc::cpu(server.pid())?.saturating_sub(before);
        self.p50.push(p50);
        self.p99.push(p99);
        self.cpu.push(spent.as_secs_f64() * 1e6 / count as f64);
        Ok(())
    }
}
