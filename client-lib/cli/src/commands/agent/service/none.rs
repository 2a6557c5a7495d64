//! A system without anything that starts the agent by itself: commands do, when they need it.

pub(in crate::commands::agent) use super::nobody::Manager;
use super::{Installed, Standing, Written};
use crate::exit::Failure;

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
