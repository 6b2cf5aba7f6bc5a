//! Chance that can be repeated: the same seed gives the same numbers on every machine.

/// A generator of numbers that nobody needs to be unable to guess (SplitMix64).
#[derive(Clone, Debug)]
pub struct Dice {
    state: u64,
}

impl Dice {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// From `SECONDO_SEED` when it is set, else always the same, so that a run says something about a change and not about
    /// luck; other seeds are for those who look for more. What the seed is, is printed, and kept with a test that fails.
    ///
    /// # Panics
    /// When the variable is no number.
    pub fn seeded() -> (Self, u64) {
        let seed = std::env::var("SECONDO_SEED")
            .map_or(1, |text| text.parse().unwrap_or_else(|_| panic!("SECONDO_SEED={text} is no number")));
        eprintln!("SECONDO_SEED={seed} repeats this run");
        (Self::new(seed), seed)
    }

    /// The next 64 bits.
    pub fn roll(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        assert!(limit > 0, "there is no number below 0");
        usize::try_from(self.roll() % limit as u64).expect("it is below a usize")
    }

    /// A number from `first` to `last`, both included.
    pub fn between(&mut self, first: usize, last: usize) -> usize {
        first + self.below(last - first + 1)
    }

    /// True in so many of a hundred cases.
    pub fn percent(&mut self, of_hundred: usize) -> bool {
        self.below(100) < of_hundred
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// Brings them into any order.
    pub fn shuffle<T>(&mut self, all: &mut [T]) {
        for last in (1..all.len()).rev() {
            let other = self.below(last + 1);
            all.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_again() {
        let rolls = |seed| {
            let mut dice = Dice::new(seed);
            (0..100).map(|_| dice.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(rolls(7), rolls(7));
        assert_ne!(rolls(7), rolls(8));
        assert!(rolls(7).iter().any(|n| *n > 900) && rolls(7).iter().any(|n| *n < 100));
    }

    #[test]
    fn shuffling_loses_nothing() {
        let mut all: Vec<usize> = (0..50).collect();
        Dice::new(1).shuffle(&mut all);
        assert_ne!(all, (0..50).collect::<Vec<_>>());
        all.sort_unstable();
        assert_eq!(all, (0..50).collect::<Vec<_>>());
    }
}
