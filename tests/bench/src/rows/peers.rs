//! What clients that behave badly do to one that does not.

use std::{io::Write as _, os::unix::net::UnixStream, path::Path};

use anyhow::{Context as _, Result};

use super::Rig;
use crate::{
    load::{self, Connection},
    report::{Report, Target},
};

pub(super) fn measure(rig: &mut Rig<'_>, report: &Report) -> Result<()> {
    let pair = rig.pair()?;
    rig.on_one_core(&[&pair.agent])?;
    let (times, count) = (rig.plan.times(9, 3), rig.plan.times(4000, 2000));
    let crowds = [
        ("beside 1 silent client", 1, &b""[..]),
        ("beside 1 half-written request", 1, b"{\"jsonrpc\":\"2.0\",\"id\""),
        ("beside 1,100 silent clients", 1_100, b""),
    ];
    for (name, size, says) in crowds {
        for (connection, kind) in [(Connection::Kept, "open"), (Connection::NewEachTime, "new")] {
            let (mut beside, mut alone) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
            for _ in 0..times {
                let take = |figures: &mut (Vec<f64>, Vec<f64>)| -> Result<()> {
                    let requests = [pair.request.clone()];
                    let (p50, p99) = load::in_turn(&pair.agent.socket, &requests, connection, count)?;
                    figures.0.push(p50);
                    figures.1.push(p99);
                    Ok(())
                };
                take(&mut alone)?;
                let crowd = crowd(&pair.agent.socket, size, says)?;
                take(&mut beside)?;
                drop(crowd);
            }
            let what = format!("{name}, {kind}, p99");
            report.pair(&what, "µs", &beside.1, ("alone", &alone.1), Target::AtMost(2.0))?;
            report.pair(&what.replace("p99", "p50"), "µs", &beside.0, ("alone", &alone.0), Target::None)?;
        }
    }
    Ok(())
}

fn crowd(socket: &Path, size: usize, says: &[u8]) -> Result<Vec<UnixStream>> {
    let member = |_| {
        let mut member = UnixStream::connect(socket).context("no more clients are let in")?;
        member.write_all(says)?;
        Ok(member)
    };
    (0..size).map(member).collect()
}
