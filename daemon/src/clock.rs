//! The only reader of clocks.

use std::time::Duration;

use jiff::Timestamp;
use sso_agent_core::time::Now;

/// Reads both clocks.
pub(crate) fn now() -> Now {
    Now { steady: steady(), wall: wall() }
}

/// A moment on the wall clock, to the second, for the wire.
pub(crate) fn timestamp(wall: Duration) -> Timestamp {
    let seconds = i64::try_from(wall.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}

#[expect(clippy::disallowed_methods, reason = "this is the door")]
fn wall() -> Duration {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default()
}

/// Counts sleep, which `Instant` does not on Linux.
#[cfg(target_os = "linux")]
fn steady() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Counts sleep on Windows; where it does not, the wall clock ends deadlines after a sleep.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::disallowed_methods, reason = "this is the door")]
fn steady() -> Duration {
    use std::{sync::OnceLock, time::Instant};
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}
