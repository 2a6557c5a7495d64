//! The only reader of clocks.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

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

/// Tells this start of the machine from all others, as long as the steady clock counts; nothing where the
/// system does not say.
pub(crate) fn boot() -> Option<&'static str> {
    static BOOT: OnceLock<Option<String>> = OnceLock::new();
    let read = || {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        // A container may have a steady clock of its own in the same boot.
        let of = std::fs::read_to_string("/proc/self/timens_offsets").unwrap_or_default();
        Some(format!("{} {}", id.trim(), of.split_whitespace().collect::<Vec<_>>().join(" ")))
    };
    BOOT.get_or_init(read).as_deref()
}

/// What an issuer's clock said last, less what ours said, in seconds.
static AHEAD: AtomicI64 = AtomicI64::new(UNHEARD);
const UNHEARD: i64 = i64::MIN;

/// An issuer said what time it is (RFC 9110, 6.6.1).
pub(crate) fn heard(date: Timestamp) {
    let ours = timestamp(wall());
    AHEAD.store(date.as_second().saturating_sub(ours.as_second()), Ordering::Relaxed);
}

/// By how many seconds our clock is behind that of the issuer that was heard last; negative if it is ahead.
/// Nothing here is decided by it: lives of tokens are counted from when they were asked for.
pub(crate) fn behind() -> Option<i64> {
    Some(AHEAD.load(Ordering::Relaxed)).filter(|ahead| *ahead != UNHEARD)
}

/// The same, as another process of ours heard it.
pub(crate) fn is_behind(behind: i64) {
    AHEAD.store(behind, Ordering::Relaxed);
}

#[expect(clippy::disallowed_methods, reason = "this is the door")]
fn wall() -> Duration {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default()
}

/// Counts sleep, which `Instant` does not on Linux.
#[cfg(target_os = "linux")]
fn steady() -> Duration {
    read(rustix::time::ClockId::Boottime)
}

/// Counts sleep on macOS, where `Instant` reads another clock (`CLOCK_UPTIME_RAW`), which does not.
#[cfg(all(unix, not(target_os = "linux")))]
fn steady() -> Duration {
    read(rustix::time::ClockId::Monotonic)
}

#[cfg(unix)]
fn read(clock: rustix::time::ClockId) -> Duration {
    let time = rustix::time::clock_gettime(clock);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Counts sleep: it is the performance counter, which goes on in it.
#[cfg(windows)]
#[expect(clippy::disallowed_methods, reason = "this is the door")]
fn steady() -> Duration {
    use std::time::Instant;
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}
