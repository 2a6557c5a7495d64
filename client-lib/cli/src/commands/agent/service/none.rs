//! A system without anything that starts the agent by itself: commands do, when they need it.

use std::process::Command;

use super::{Installed, Standing, Written};
use crate::exit::Failure;

/// There is none.
#[derive(Debug)]
pub(in crate::commands::agent) enum Manager {}

impl Manager {
    pub(in crate::commands::agent) const BY: &str = "by nobody";

    pub(in crate::commands::agent) fn in_charge() -> Option<Self> {
        None
    }

    pub(in crate::commands::agent) fn start(&self) -> Result<(), Failure> {
        match *self {}
    }

    pub(in crate::commands::agent) fn stop(&self) -> Result<(), Failure> {
        match *self {}
    }

    pub(in crate::commands::agent) fn log(&self, _: Option<usize>) -> Option<Command> {
        match *self {}
    }
}

pub(in crate::commands::agent) fn what_is_written() -> Result<Vec<Written>, Failure> {
    Err(nothing())
}

pub(in crate::commands::agent) fn install() -> Result<Installed, Failure> {
    Err(nothing())
}

pub(in crate::commands::agent) fn uninstall() -> Result<&'static str, Failure> {
    Err(nothing())
}

pub(super) fn standing() -> Option<Standing> {
    None
}

fn nothing() -> Failure {
    Failure::failed("nothing on this system is known to start the agent", "use `sso agent start`")
}
