//! `token.get` over HTTP, beside hyper alone.

use anyhow::{Context as _, Result};

use super::{
    Rig,
    throughput::{Asked, side_by_side},
};
use crate::{load, report::Report};

pub(super) fn measure(rig: &mut Rig<'_>, report: &Report) -> Result<()> {
    let pair = rig.pair()?;
    let socket = pair.home.http_socket();
    let request = load::http_get(&pair.host);
    let length = load::length_of_body(&socket, &request)?;
    let hyper = pair.home.hyper(&rig.plan.programs.hyper, length).context("the bare server")?;
    rig.on_two_cores(&[&pair.agent, &hyper])?;
    let ours = Asked { socket: &socket, server: pair.agent.pid(), request: &request };
    let floor = Asked { socket: &hyper.socket, server: hyper.pid(), request: &request };
    side_by_side(rig.plan, report, &ours, ("hyper", &floor), [0.85, 0.85])
}
