//! Seeded chance, in integers only. The generator is PCG 64 (MCG, XSL-RR) of `rand_pcg`, whose values are fixed.

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng, SeedableRng};

/// The one sequence of numbers of a simulation.
#[derive(Clone, Debug)]
pub(crate) struct Chance(Pcg64Mcg);

impl Chance {
    pub(crate) fn seeded(seed: u64) -> Chance {
        Chance(Pcg64Mcg::seed_from_u64(seed))
    }

    /// A number below `bound`, which is at least 1.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        high(self.0.next_u64(), bound)
    }

    /// A number from `low` up to and without `high`.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low).max(1))
    }

    /// Nanoseconds from `low` up to and without `high` seconds.
    pub(crate) fn seconds(&mut self, low: u64, high: u64) -> i64 {
        const SECOND_NS: u64 = 1_000_000_000;
        i64::try_from(self.between(low * SECOND_NS, high * SECOND_NS)).unwrap_or(i64::MAX)
    }

    /// Whether something happens that happens once in `times`.
    pub(crate) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// The upper half of the product: a number below `bound`, without a division.
fn high(number: u64, bound: u64) -> u64 {
    u64::try_from((u128::from(number) * u128::from(bound)) >> 64).unwrap_or(u64::MAX)
}

/// Scatters a number over all 64 bits: the finalizer of `SplitMix64` (Steele, Lea, Flood 2014), one to one.
pub(crate) const fn scatter(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A number that belongs to `number` under `salt`, the same each time.
pub(crate) const fn belonging(salt: u64, number: u64) -> u64 {
    scatter(scatter(salt) ^ number.wrapping_mul(0xd1b5_4a32_d192_ed03))
}

/// As [`belonging`], below `bound`.
pub(crate) fn habit(salt: u64, number: u64, bound: u64) -> u64 {
    high(belonging(salt, number), bound)
}
