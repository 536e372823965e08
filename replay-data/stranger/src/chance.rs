//! Chance, whole numbers only, so that a seed gives the same bytes on every machine.
//!
//! The generator is xoshiro256** (Blackman, Vigna 2018), seeded by splitmix64. Every module draws from a stream of its own
//! name, so that a further habit in one of them does not move the others.

/// A stream of chance.
#[derive(Clone, Debug)]
pub(crate) struct Chance {
    state: [u64; 4],
}

impl Chance {
    /// The stream of that name.
    pub(crate) fn of(seed: u64, name: &str) -> Chance {
        let mut mixed = name.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        let state = [(); 4].map(|()| {
            mixed = mixed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let once = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let twice = (once ^ (once >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            twice ^ (twice >> 31)
        });
        Chance { state }
    }

    /// Any number.
    pub(crate) fn number(&mut self) -> u64 {
        let [one, two, three, four] = &mut self.state;
        let drawn = two.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let shifted = *two << 17;
        *three ^= *one;
        *four ^= *two;
        *two ^= *three;
        *one ^= *four;
        *three ^= shifted;
        *four = four.rotate_left(45);
        drawn
    }

    /// A number below `end`, which is above zero.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        let wide = u128::from(self.number()) * u128::from(end);
        u64::try_from(wide >> 64).expect("the product's upper half is below `end`")
    }

    /// A number from `first` to `last`, both included.
    pub(crate) fn between(&mut self, first: i64, last: i64) -> i64 {
        first + self.below((last - first).cast_unsigned() + 1).cast_signed()
    }

    /// True in so many cases of a thousand.
    pub(crate) fn thousandths(&mut self, cases: u64) -> bool {
        self.below(1000) < cases
    }

    /// One of several.
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let index = self.below(from.len() as u64);
        &from[usize::try_from(index).expect("an index of the slice")]
    }

    /// An index below `length`; earlier ones far likelier: the second half of each stretch has half of its first.
    pub(crate) fn favourite(&mut self, length: usize) -> usize {
        let mut end = length;
        while end > 8 && self.thousandths(620) {
            end = end * 2 / 5;
        }
        usize::try_from(self.below(end as u64)).expect("an index below the length")
    }

    /// How often something happens that happens `mean` times on average.
    pub(crate) fn count(&mut self, mean: u64) -> u64 {
        (0..mean * 4).filter(|_| self.below(4) == 0).count() as u64
    }

    /// About that much: most draws lie between a third and three times it.
    pub(crate) fn around(&mut self, typical: i64) -> i64 {
        (0..3).fold(typical, |value, _| value * self.between(60, 160) / 100).max(1)
    }

    /// At least `least`, as often below twice it as above; one in n is n times as much, up to `times_most` times.
    pub(crate) fn heavy(&mut self, least: u64, times_most: u64) -> u64 {
        let share = 1 + self.below(100_000);
        (least * 100_000 / share).min(least * times_most)
    }

    /// In another order.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            let other = self.below(end as u64 + 1);
            items.swap(end, usize::try_from(other).expect("an index of the slice"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_stay_within_their_bounds_and_reach_them() {
        let mut chance = Chance::of(1, "test");
        let drawn: Vec<i64> = (0..2000).map(|_| chance.between(-2, 3)).collect();
        assert_eq!((drawn.iter().min(), drawn.iter().max()), (Some(&-2), Some(&3)));
        let heavy: Vec<u64> = (0..20_000).map(|_| chance.heavy(10, 500)).collect();
        assert!(heavy.iter().all(|value| (10..=5000).contains(value)));
        let above_tenfold = heavy.iter().filter(|value| **value > 100).count();
        assert!((1600..2400).contains(&above_tenfold), "{above_tenfold} of 20,000 are above ten times the least");
    }

    #[test]
    fn a_name_and_a_seed_say_everything() {
        let draw = |seed, name| Chance::of(seed, name).number();
        assert_eq!(draw(7, "a"), draw(7, "a"));
        assert!(draw(7, "a") != draw(8, "a") && draw(7, "a") != draw(7, "b"));
    }
}
