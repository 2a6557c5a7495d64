//! Two clocks, always read and compared together.
//!
//! The steady clock cannot be set and counts sleep; the wall clock is what issuers and disks speak.
//! A deadline is over as soon as *either* says so: being early costs one refresh, being late a
//! dead token.

use std::time::Duration;

/// One reading of both clocks, made by the daemon and passed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Since the machine started, sleep included.
    pub steady: Duration,
    /// Since the Unix epoch.
    pub wall: Duration,
}

impl Now {
    /// The moment `wait` from now.
    pub fn after(self, wait: Duration) -> Deadline {
        Deadline { steady: self.steady.saturating_add(wait), wall: self.wall.saturating_add(wait) }
    }

    /// The moment `wait` from now on the steady clock alone: for what must not come early.
    pub fn steadily_after(self, wait: Duration) -> Deadline {
        Deadline { steady: self.steady.saturating_add(wait), wall: Duration::MAX }
    }

    /// How long ago `earlier` was, by the clock that says longer.
    pub fn since(self, earlier: Now) -> Duration {
        self.steady.saturating_sub(earlier.steady).max(self.wall.saturating_sub(earlier.wall))
    }
}

/// A moment to come, on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    steady: Duration,
    wall: Duration,
}

impl Deadline {
    /// The moment when the steady clock says the one or the wall clock the other.
    pub fn at(steady: Duration, wall: Duration) -> Self {
        Self { steady, wall }
    }

    /// How long until either clock gets there; zero when it is over.
    pub fn left(self, now: Now) -> Duration {
        self.steady.saturating_sub(now.steady).min(self.wall.saturating_sub(now.wall))
    }

    /// Whether either clock got there.
    pub fn is_over(self, now: Now) -> bool {
        self.left(now).is_zero()
    }

    /// The moment `by` before it.
    pub fn minus(self, by: Duration) -> Self {
        Self { steady: self.steady.saturating_sub(by), wall: self.wall.saturating_sub(by) }
    }

    /// Since the Unix epoch: for people and for the disk.
    pub fn wall(self) -> Duration {
        self.wall
    }

    /// On the steady clock: to sort by.
    pub fn steady(self) -> Duration {
        self.steady
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(steady: u64, wall: u64) -> Now {
        Now { steady: Duration::from_secs(steady), wall: Duration::from_secs(wall) }
    }

    #[test]
    fn a_deadline_is_over_when_either_clock_says_so() {
        let deadline = at(100, 1_000_000).after(Duration::from_secs(60));
        assert!(!deadline.is_over(at(159, 1_000_059)));
        assert!(deadline.is_over(at(160, 1_000_000)), "the wall clock was set back");
        assert!(deadline.is_over(at(101, 2_000_000)), "the wall clock was set forward");
    }

    #[test]
    fn what_must_not_come_early_does_not_heed_the_wall_clock() {
        let deadline = at(100, 1_000_000).steadily_after(Duration::from_secs(60));
        assert!(!deadline.is_over(at(159, 9_000_000)));
        assert!(deadline.is_over(at(160, 0)));
    }

    #[test]
    fn no_clock_reading_overflows() {
        let deadline = at(u64::MAX, u64::MAX).after(Duration::MAX);
        assert_eq!(deadline.left(at(0, 0)), Duration::MAX);
        assert_eq!(at(5, 0).since(at(9, 0)), Duration::ZERO);
        assert_eq!(at(0, 0).after(Duration::ZERO).minus(Duration::MAX).wall(), Duration::ZERO);
    }
}
