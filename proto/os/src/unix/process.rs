//! Limits and flags of a process.

use std::io;

use rustix::{
    io::Errno,
    process::{Pid, test_kill_process},
};

#[cfg(target_os = "linux")]
pub(crate) fn keep_others_out() -> io::Result<()> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

#[cfg(target_os = "macos")]
pub(crate) fn keep_others_out() -> io::Result<()> {
    crate::macos::deny_debuggers()
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
pub(crate) fn keep_others_out() -> io::Result<()> {
    Ok(())
}

/// Only what is given is passed on.
#[expect(clippy::unnecessary_wraps, reason = "other systems have more to do")]
pub(crate) fn keep_own_streams() -> io::Result<()> {
    Ok(())
}

pub(crate) fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_none_or(|pid| test_kill_process(pid) != Err(Errno::SRCH))
}
