//! The time of a lease that was written down: what is left of it for whoever reads it, perhaps after a
//! restart, perhaps with a clock that was set.

use std::time::Duration;

use crate::time::Now;

/// By so much the steady clock may be ahead of what was written down, in whole seconds, of the wall clock.
const ROUNDED: Duration = Duration::from_secs(1);

/// What is written down of a lease's time, in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept<'a> {
    /// Since the Unix epoch: when it was asked for.
    pub issued_at: u64,
    /// Since the Unix epoch: when it ends.
    pub expires_at: u64,
    /// The steady clock when it was asked for, and which boot of the machine that clock counts from; absent
    /// where that is not known.
    pub steady: Option<(&'a str, u64)>,
}

/// What is left of a lease, and how old it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// How long it is still good.
    pub left: Duration,
    /// Since it was asked for; at least its whole life where nobody can say.
    pub age: Duration,
}

impl Kept<'_> {
    /// All of its life.
    pub fn lifetime(&self) -> Duration {
        Duration::from_secs(self.expires_at.saturating_sub(self.issued_at))
    }

    /// Says what is left of it in this boot of the machine.
    ///
    /// The clock that makes it older counts. A steady clock of the same boot cannot have been set, so it
    /// says enough where the wall clock was set back. Where there is only a wall clock and that is behind the
    /// moment of issue, nobody knows how old the lease is, and it counts as over: that costs one refresh.
    pub fn left(&self, now: Now, boot: Option<&str>) -> Left {
        let by_wall = now.wall.checked_sub(Duration::from_secs(self.issued_at));
        let by_steady = match (self.steady, boot) {
            (Some((then, at)), Some(boot)) if then == boot => {
                Some(now.steady.checked_sub(Duration::from_secs(at)).map(|age| age.saturating_add(ROUNDED)))
            }
            (Some(_) | None, Some(_) | None) => None,
        };
        let age = match (by_steady, by_wall) {
            (Some(Some(steady)), wall) => Some(steady.max(wall.unwrap_or_default())),
            (Some(None), _) => None,
            (None, wall) => wall,
        };
        let lifetime = self.lifetime();
        let age = age.unwrap_or(lifetime);
        Left { left: lifetime.saturating_sub(age), age }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(steady: u64, wall: u64) -> Now {
        Now { steady: Duration::from_secs(steady), wall: Duration::from_secs(wall) }
    }

    fn left(kept: &Kept<'_>, steady: u64, wall: u64) -> u64 {
        kept.left(at(steady, wall), Some("this")).left.as_secs()
    }

    const WALL: Kept<'_> = Kept { issued_at: 10_000, expires_at: 13_600, steady: None };
    const BOTH: Kept<'_> = Kept { steady: Some(("this", 100)), ..WALL };

    #[test]
    fn what_is_left_is_what_was_left_before() {
        assert_eq!([left(&WALL, 5, 11_000), left(&BOTH, 1_100, 11_000)], [2_600, 2_599]);
    }

    // Fault 18: the clock was set while the agent was down.
    #[test]
    fn f18_a_lease_of_the_future_is_over_unless_the_steady_clock_knows_its_age() {
        for set_back in [0, 9_999] {
            assert_eq!(left(&WALL, 5, set_back), 0);
            assert_eq!(left(&BOTH, 1_100, set_back), 2_599);
        }
        let other_boot = Kept { steady: Some(("another", 100)), ..WALL };
        assert_eq!(left(&other_boot, 1_100, 9_999), 0);
        assert_eq!(BOTH.left(at(1_100, 9_999), None).left, Duration::ZERO, "the boot is not known");
    }

    #[test]
    fn f18_the_clock_that_makes_it_older_counts() {
        assert_eq!(left(&BOTH, 1_100, 10_001), 2_599, "set back");
        assert_eq!(left(&BOTH, 200, 13_000), 600, "set forward");
        assert_eq!(left(&BOTH, 200, 4_300_000_000), 0, "2106");
        assert_eq!(left(&BOTH, 99, 10_000), 0, "a steady clock of the same boot never goes back");
    }

    #[test]
    fn nonsense_on_disk_is_over_and_nothing_overflows() {
        let never = Kept { issued_at: u64::MAX, expires_at: 0, steady: Some(("this", u64::MAX)) };
        assert_eq!(left(&never, u64::MAX, u64::MAX), 0);
        let ages = Kept { issued_at: 0, expires_at: u64::MAX, steady: None };
        assert_eq!(left(&ages, 0, u64::MAX), 0);
    }
}
