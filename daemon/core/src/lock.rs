//! Whether the agent is locked, and how long a wrong passphrase holds up the next try.
//!
//! The delay belongs to the agent, not to a connection: whoever comes back by another one waits as long.

use std::time::Duration;

use crate::time::{Deadline, Now};

/// Typing errors cost nothing; guessing soon costs a minute a guess.
const FREE: u32 = 2;

/// The longest that a wrong passphrase holds up the next try.
pub const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// Tokens are handed out.
    Open,
    /// None are.
    Locked {
        /// How many wrong passphrases there were since it was locked.
        wrong: u32,
        /// When the next one is looked at.
        next: Option<Deadline>,
    },
}

impl Lock {
    /// Locked, and nobody has tried to open it.
    pub const LOCKED: Self = Self::Locked { wrong: 0, next: None };

    /// Whether it is locked.
    pub fn is_locked(self) -> bool {
        match self {
            Self::Open => false,
            Self::Locked { .. } => true,
        }
    }

    /// How long the next try waits before anybody looks at it.
    pub fn wait(self, now: Now) -> Duration {
        match self {
            Self::Open | Self::Locked { next: None, .. } => Duration::ZERO,
            Self::Locked { next: Some(next), .. } => next.left(now),
        }
    }

    /// Takes in a passphrase that was wrong.
    #[must_use]
    pub fn refused(self, now: Now) -> Self {
        match self {
            Self::Open => Self::Open,
            Self::Locked { wrong, .. } => {
                let wrong = wrong.saturating_add(1);
                // Setting the wall clock must not make it shorter.
                Self::Locked { wrong, next: Some(now.steadily_after(delay(wrong))) }
            }
        }
    }
}

/// What the `wrong`th wrong passphrase costs: 0, 0, 1, 2, 4 … 60 s.
fn delay(wrong: u32) -> Duration {
    match wrong.checked_sub(FREE + 1) {
        None => Duration::ZERO,
        Some(doublings) => Duration::from_secs(1 << doublings.min(6)).min(LONGEST_DELAY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(steady: u64) -> Now {
        Now { steady: Duration::from_secs(steady), wall: Duration::from_secs(1_000_000 + steady) }
    }

    #[test]
    fn each_wrong_passphrase_costs_more_than_the_one_before() {
        let mut lock = Lock::LOCKED;
        let mut seen = Vec::new();
        for _ in 0..12 {
            lock = lock.refused(at(100));
            seen.push(lock.wait(at(100)).as_secs());
        }
        assert_eq!(seen, [0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
    }

    #[test]
    fn a_delay_passes_with_time_and_not_with_the_wall_clock() {
        let lock = (0..5).fold(Lock::LOCKED, |lock, _| lock.refused(at(100)));
        assert_eq!(lock.wait(at(103)).as_secs(), 1);
        assert_eq!(lock.wait(at(104)), Duration::ZERO);
        let set = Now { wall: Duration::from_secs(9_000_000), ..at(100) };
        assert_eq!(lock.wait(set).as_secs(), 4);
    }

    #[test]
    fn an_open_lock_holds_nobody_up() {
        assert_eq!(Lock::Open.refused(at(1)), Lock::Open);
        assert_eq!(Lock::Open.wait(at(1)), Duration::ZERO);
        assert!(Lock::LOCKED.is_locked() && !Lock::Open.is_locked());
    }

    #[test]
    fn no_number_of_wrong_passphrases_overflows() {
        let lock = Lock::Locked { wrong: u32::MAX, next: None };
        assert_eq!(lock.refused(at(1)).wait(at(1)), LONGEST_DELAY);
    }
}
