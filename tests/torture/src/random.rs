//! Moments that nobody planned, and that come again with the same seed.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::time::Duration;

/// A seed that was not used before.
pub(crate) fn seed() -> u64 {
    // Short enough to be typed.
    RandomState::new().build_hasher().finish() >> 32
}

/// SplitMix64 (Steele et al. 2014).
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The same seed gives each scene its own moments.
    pub(crate) fn of(seed: u64, scene: &str) -> Self {
        let mixed = scene.bytes().fold(seed, |mixed, byte| mixed.wrapping_mul(31).wrapping_add(byte.into()));
        Self(mixed)
    }

    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `0..limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.draw() % limit.max(1)
    }

    /// Up to so long, in steps of a microsecond: shorter ones would not be kept.
    pub(crate) fn within(&mut self, longest: Duration) -> Duration {
        Duration::from_micros(self.below(u64::try_from(longest.as_micros()).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_a_scene_and_tells_it_from_the_next() {
        let draws = |seed, scene| {
            let mut random = Random::of(seed, scene);
            [random.draw(), random.draw()]
        };
        assert_eq!(draws(7, "kills"), draws(7, "kills"));
        assert_ne!(draws(7, "kills"), draws(8, "kills"));
        assert_ne!(draws(7, "kills"), draws(7, "all"));
    }
}
