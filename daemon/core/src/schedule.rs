//! When to refresh and how long to pause: pure arithmetic.

use std::{collections::VecDeque, time::Duration};

use crate::{
    time::{Deadline, Now},
    words::Lease,
};

/// How long a renewal may take before it counts as failed. Longer than the deadline of the exchange
/// itself (30 s, and once more if its answer is lost) and the wait for a place before it (8 s), so that two posts of one refresh token never overlap.
pub const RENEWAL_GIVE_UP: Duration = Duration::from_secs(75);

/// SDKs call a token stale for its last 20 minutes, or for the last half of a shorter life.
const STALE: Duration = Duration::from_secs(20 * 60);

/// However short a token lives, nobody fetches the next one sooner by himself.
const SOONEST: Duration = Duration::from_secs(3);

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// While somebody waits for a token that is no longer good, and the issuer is not asked too much by it: give
/// or take a fifth it is less than 5 s, in which a network that came back is to be noticed.
const LONGEST_PAUSE_WITH_WAITERS: Duration = Duration::from_secs(4);

/// What an issuer may ask for by `Retry-After` (RFC 9110, 10.2.3).
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// After an answer that trying again does not mend, such as `invalid_client`.
pub const PAUSE_AFTER_REFUSAL: Duration = Duration::from_secs(3600);

/// Says when to refresh a token.
///
/// Early enough that no SDK calls it stale first. Up to a tenth of its life earlier still, so that a
/// fleet that signed in together does not come back together; `spread` is uniform in `0..1000`.
pub fn refresh_at(lease: &Lease, spread: u32) -> Deadline {
    let stale = STALE.min(lease.lifetime / 2);
    let due = lease.expires.minus(stale + lease.lifetime / 10_000 * spread);
    let soonest = lease.obtained.after(SOONEST);
    if due.left(lease.obtained) < soonest.left(lease.obtained) { soonest } else { due }
}

/// Says how long to pause after the `failures`-th failure in a row (from 1), give or take a fifth.
pub fn pause(failures: u32, somebody_waits: bool, spread: u32) -> Duration {
    let doubled = FIRST_PAUSE * 2u32.saturating_pow(failures.saturating_sub(1).min(10));
    let longest = if somebody_waits { LONGEST_PAUSE_WITH_WAITERS } else { LONGEST_PAUSE };
    doubled.min(longest) * (800 + spread * 2 / 5) / 1000
}

/// While somebody waits, an issuer that answers to no use is asked again after so long at most, as long as it is not
/// asked too often: whoever comes when it is well again hears so within the time that clients wait.
pub const PAUSE_OF_UNWELL_WITH_WAITERS: Duration = Duration::from_secs(15);

/// So often an issuer that answers to no use may be asked in this time.
const MOST_OF_NO_USE: usize = 10;
const IN_THIS_TIME: Duration = Duration::from_secs(600);

/// Counts what was asked of an issuer to no use, so that one that is unwell is not kept so.
#[derive(Debug, Default)]
pub struct OfNoUse {
    /// On the steady clock, the oldest first.
    at: VecDeque<Duration>,
}

impl OfNoUse {
    /// Notes that it was asked now.
    pub fn note(&mut self, now: Now) {
        self.at.push_back(now.steady);
        self.forget_old(now);
    }

    /// It is well.
    pub fn clear(&mut self) {
        self.at = VecDeque::new();
    }

    /// Says how long to pause, instead of `pause`: the last of those that are left are spread over the time
    /// that is left.
    pub fn pause(&mut self, pause: Duration, now: Now) -> Duration {
        self.forget_old(now);
        let Some(oldest) = self.at.front() else { return pause };
        let left = (*oldest + IN_THIS_TIME).saturating_sub(now.steady);
        let more = MOST_OF_NO_USE.saturating_sub(self.at.len()) as u32;
        if more > 3 { pause } else { pause.max(left / (more + 1)) }
    }

    fn forget_old(&mut self, now: Now) {
        while self.at.front().is_some_and(|at| *at + IN_THIS_TIME <= now.steady) {
            self.at.pop_front();
        }
    }
}

/// Says how long to pause when the issuer named a time.
pub fn pause_as_asked(retry_after: Duration, otherwise: Duration) -> Duration {
    retry_after.min(LONGEST_RETRY_AFTER).max(otherwise)
}

/// So many renewals that nobody waits for may begin at once …
const AT_ONCE: u32 = 16;

/// … and then one in this time: ten thousand sessions take three minutes and a half.
const EVERY: Duration = Duration::from_millis(20);

/// A line for renewals that nobody waits for, so that an issuer does not see all of them at once when many
/// are due: after a start, or when a machine wakes up.
#[derive(Debug, Clone, Copy, Default)]
pub struct Line {
    /// When the next may begin without having to wait, on the steady clock.
    next: Duration,
}

impl Line {
    /// Takes a place in the line: `None` may begin now, anybody else then.
    pub fn take(&mut self, now: Now) -> Option<Deadline> {
        let place = self.next.max(now.steady.saturating_sub(EVERY * (AT_ONCE - 1)));
        self.next = place + EVERY;
        (place > now.steady).then(|| now.after(place - now.steady))
    }
}

/// A small generator inside each session: reproducible in a simulation, seeded by the daemon.
#[derive(Debug, Clone, Copy)]
pub struct Spread(u64);

impl Spread {
    /// A generator that repeats itself for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number, uniform in `0..1000` (SplitMix64, Steele et al. 2014).
    pub fn draw(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % 1000) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Now = Now { steady: Duration::ZERO, wall: Duration::ZERO };

    fn due(lifetime: u64, spread: u32) -> Duration {
        let lifetime = Duration::from_secs(lifetime);
        let lease = Lease {
            access_token: "t".into(),
            token_type: "Bearer".into(),
            token_id: "id".into(),
            scopes: vec![],
            obtained: START,
            lifetime,
            expires: START.after(lifetime),
        };
        refresh_at(&lease, spread).wall()
    }

    #[test]
    fn many_that_are_due_at_once_begin_one_after_the_other() {
        let now = Now { steady: Duration::from_secs(100), wall: Duration::from_secs(100) };
        let mut line = Line::default();
        let places: Vec<_> = (0..10_000).map(|_| line.take(now).map(|at| at.left(now))).collect();
        assert_eq!(places.iter().filter(|place| place.is_none()).count(), 16);
        assert_eq!(places[16], Some(EVERY));
        let last = places[9_999].unwrap();
        assert!(last < Duration::from_secs(210), "{last:?}");
        let much_later = Now { steady: Duration::from_secs(400), ..now };
        assert!(line.take(much_later).is_none());
    }

    #[test]
    fn a_long_lived_token_is_refreshed_before_its_last_twenty_minutes() {
        assert_eq!(due(3600, 0), Duration::from_secs(2400));
        assert!(due(3600, 999) >= Duration::from_secs(2040));
    }

    #[test]
    fn a_short_lived_token_is_refreshed_in_its_first_half() {
        assert_eq!(due(600, 0), Duration::from_secs(300));
        assert!(due(600, 999) >= Duration::from_secs(240));
        assert!(due(10, 999) >= Duration::from_secs(4) && due(10, 0) == Duration::from_secs(5));
        assert_eq!([due(1, 0), due(1, 999)], [SOONEST; 2], "an issuer cannot make us ask all the time");
    }

    #[test]
    fn pauses_double_up_to_a_minute_and_to_less_than_five_seconds_while_somebody_waits() {
        let middle = |failures, waits| pause(failures, waits, 500);
        assert_eq!([1, 2, 3, 7, 99].map(|n| middle(n, false).as_secs()), [1, 2, 4, 60, 60]);
        assert_eq!([1, 2, 3, 4, 99].map(|n| middle(n, true).as_secs()), [1, 2, 4, 4, 4]);
        assert!(pause(99, true, 999) < Duration::from_secs(5));
        assert!(
            pause(1, false, 0) >= Duration::from_millis(800)
                && pause(1, false, 999) < Duration::from_millis(1200)
        );
    }

    #[test]
    fn f04_an_issuer_that_is_unwell_is_asked_ten_times_in_ten_minutes_at_most() {
        for spread in [0, 500, 999] {
            let (mut asked, mut steady, mut counted) = (Vec::new(), Duration::ZERO, OfNoUse::default());
            for failures in 1..200 {
                let now = Now { steady, wall: steady };
                counted.note(now);
                asked.push(steady);
                steady += counted.pause(pause(failures, false, spread), now);
            }
            for first in &asked {
                let window = *first..*first + IN_THIS_TIME;
                let count = asked.iter().filter(|at| window.contains(at)).count();
                assert!(count <= MOST_OF_NO_USE, "{count} from {first:?}");
            }
            let longest = asked.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
            assert!(longest < Duration::from_secs(200), "{longest:?}");
        }
    }

    #[test]
    fn the_issuer_may_ask_for_an_hour_at_the_most() {
        let asked = |s| pause_as_asked(Duration::from_secs(s), Duration::from_secs(1)).as_secs();
        assert_eq!([0, 30, 999_999].map(asked), [1, 30, 3600]);
    }

    #[test]
    fn the_spread_covers_its_range() {
        let mut spread = Spread::seeded(7);
        let drawn: Vec<u32> = (0..1000).map(|_| spread.draw()).collect();
        assert!(
            drawn.iter().all(|n| *n < 1000)
                && drawn.iter().any(|n| *n < 50)
                && drawn.iter().any(|n| *n > 950)
        );
    }
}
