//! The issuer's own clock: it stands for a machine elsewhere, whose time is not ours.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// Goes on steadily from the wall time at which it was started, and can be put forward.
#[derive(Debug)]
pub(super) struct Clock {
    started: Instant,
    started_at: Duration,
    ahead_ms: AtomicU64,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "an outside server has a clock of its own")]
    pub(super) fn start() -> Self {
        let started_at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { started: Instant::now(), started_at, ahead_ms: AtomicU64::new(0) }
    }

    /// Since the epoch.
    pub(super) fn now(&self) -> Duration {
        let ahead = Duration::from_millis(self.ahead_ms.load(Ordering::Relaxed));
        self.started_at + self.started.elapsed() + ahead
    }

    pub(super) fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.ahead_ms.fetch_add(by, Ordering::Relaxed);
    }
}
