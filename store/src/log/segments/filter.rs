//! An xor filter of names (Graf and Lemire): for each it knows in which pieces of its segment it stands, from the first to
//! the last. It may say that a name is there which is not, about once in 100,000, and never the other way round.
//!
//! A name stands for three slots, one in each third of the filter; what these three have in common is 16 bits of the name's
//! hash and 8 bits that say the pieces. Which slots these are depends on a seed that nobody who sends names can
//! foresee: otherwise names could be made up for which no filter can be built.

use xxhash_rust::xxh3::xxh3_64;

use super::pieces::Pieces;

/// Bytes of a slot: two of the hash, one of pieces.
const SLOT_BYTES: usize = 3;
const SEED_BYTES: usize = 8;
/// Slots beyond one a name, in hundredths: with fewer the filter often cannot be built.
const SLOTS_PERCENT: usize = 123;
/// Further slots, for few names.
const SLOTS_MORE: usize = 32;
/// Seeds that are tried; the first seldom fails.
const SEEDS_MAX: u64 = 64;

/// The hash of a name, by which filters know it.
pub(super) fn hash(name: &str) -> u64 {
    xxh3_64(name.as_bytes())
}

/// The filter; without slots it may hold anything anywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    seed: u64,
    slots: Box<[u8]>,
}

impl Filter {
    /// Of distinct hashes and where they stand.
    pub(super) fn of(names: &[(u64, Pieces)], seed: u64) -> Filter {
        let third = (names.len() * SLOTS_PERCENT / 100 + SLOTS_MORE).div_ceil(3);
        let built = (0..SEEDS_MAX).find_map(|more| {
            let filter = Filter { seed: seed.wrapping_add(more), slots: vec![0; 3 * third * SLOT_BYTES].into() };
            filter.filled(names)
        });
        built.unwrap_or_default()
    }

    /// As it was kept; `None` when it is not made of whole thirds.
    pub(super) fn kept(bytes: &[u8]) -> Option<Filter> {
        if bytes.is_empty() {
            return Some(Filter::default());
        }
        let (seed, slots) = bytes.split_first_chunk::<SEED_BYTES>()?;
        let whole = !slots.is_empty() && slots.len().is_multiple_of(3 * SLOT_BYTES);
        whole.then(|| Filter { seed: u64::from_be_bytes(*seed), slots: slots.into() })
    }

    /// To be kept.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        if self.slots.is_empty() {
            return Vec::new();
        }
        [self.seed.to_be_bytes().as_slice(), &self.slots].concat()
    }

    pub(super) fn bytes(&self) -> usize {
        self.slots.len()
    }

    /// The pieces in which the name with that hash may stand; `None` where it stands in none.
    pub(super) fn pieces(&self, hash: u64) -> Option<Pieces> {
        if self.slots.is_empty() {
            return Some(Pieces::ALL);
        }
        let mixed = mix(hash, self.seed);
        let [high, low] = fingerprint(mixed).to_be_bytes();
        let [first, second, third] = self.places(mixed).map(|place| self.slot(place));
        let common = [0, 1, 2].map(|byte| first[byte] ^ second[byte] ^ third[byte]);
        if common[0] == high && common[1] == low { Pieces::from_byte(common[2]) } else { None }
    }

    /// With every name in its slots; `None` where they get in each other's way under this seed.
    fn filled(mut self, names: &[(u64, Pieces)]) -> Option<Filter> {
        let mixed: Vec<u64> = names.iter().map(|(hash, _)| mix(*hash, self.seed)).collect();
        for (name, place) in self.order(&mixed)?.into_iter().rev() {
            let [high, low] = fingerprint(mixed[name]).to_be_bytes();
            let mut value = [high, low, names[name].1.to_byte()];
            for other in self.places(mixed[name]).into_iter().filter(|other| *other != place) {
                let slot = self.slot(other);
                value = [0, 1, 2].map(|byte| value[byte] ^ slot[byte]);
            }
            self.slots[place * SLOT_BYTES..][..SLOT_BYTES].copy_from_slice(&value);
        }
        Some(self)
    }

    /// Names and a slot of each, so that none of the names that follow one in the list has that slot: a name that has a
    /// slot for itself is taken out, which may leave another one alone with one of its own. `None` where that ends early.
    fn order(&self, mixed: &[u64]) -> Option<Vec<(usize, usize)>> {
        // Of each slot how many names it has, and the numbers of these in one.
        let mut slots = vec![(0_u32, 0_usize); self.slots.len() / SLOT_BYTES];
        for (name, mixed) in mixed.iter().enumerate() {
            for place in self.places(*mixed) {
                slots[place] = (slots[place].0 + 1, slots[place].1 ^ name);
            }
        }
        let mut alone: Vec<usize> = (0..slots.len()).filter(|place| slots[*place].0 == 1).collect();
        let mut order = Vec::with_capacity(mixed.len());
        while let Some(place) = alone.pop() {
            let (1, name) = slots[place] else { continue };
            order.push((name, place));
            for place in self.places(mixed[name]) {
                slots[place] = (slots[place].0 - 1, slots[place].1 ^ name);
                if slots[place].0 == 1 {
                    alone.push(place);
                }
            }
        }
        (order.len() == mixed.len()).then_some(order)
    }

    /// The slot of a name in each third.
    fn places(&self, mixed: u64) -> [usize; 3] {
        let third = self.slots.len() / SLOT_BYTES / 3;
        let within = |mixed: u64| {
            let place = (u128::from(mixed) * third as u128) >> 64;
            usize::try_from(place).unwrap_or(0)
        };
        [within(mixed), third + within(mixed.rotate_left(21)), 2 * third + within(mixed.rotate_left(42))]
    }

    fn slot(&self, place: usize) -> [u8; SLOT_BYTES] {
        let mut slot = [0; SLOT_BYTES];
        slot.copy_from_slice(&self.slots[place * SLOT_BYTES..][..SLOT_BYTES]);
        slot
    }
}

/// Another hash for each seed; distinct ones stay distinct. The steps are those that end `MurmurHash3`.
fn mix(hash: u64, seed: u64) -> u64 {
    let mut mixed = hash.wrapping_add(seed);
    mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    mixed ^ (mixed >> 33)
}

/// The bits by which a name is recognised.
fn fingerprint(mixed: u64) -> u16 {
    let [.., high, low] = (mixed ^ (mixed >> 32)).to_be_bytes();
    u16::from_be_bytes([high, low])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<(u64, Pieces)> {
        (0..count).map(|number| (hash(&format!("session-{number}")), Pieces::one(number % Pieces::COUNT))).collect()
    }

    #[test]
    fn what_is_in_it_is_found_where_it_stands_and_hardly_anything_else() {
        let names = names(10_000);
        let filter = Filter::of(&names, 7);
        assert!(filter.bytes() > 0 && filter.bytes() < 10_000 * 4, "{}", filter.bytes());
        assert!(names.iter().all(|(name, pieces)| filter.pieces(*name) == Some(*pieces)));
        let strangers = (0..1_000_000).filter(|number| filter.pieces(hash(&format!("other-{number}"))).is_some());
        // About eight are expected of a million: 16 bits agree, and what remains is no stretch in half of the cases.
        assert!(strangers.count() < 40);
        assert_eq!(Filter::kept(&filter.to_bytes()), Some(filter));
    }

    #[test]
    fn few_names_and_none_make_a_filter_too() {
        for count in 0..200 {
            let names = names(count);
            let filter = Filter::of(&names, 1);
            assert!(filter.bytes() > 0, "{count}");
            assert!(names.iter().all(|(name, pieces)| filter.pieces(*name) == Some(*pieces)), "{count}");
        }
    }

    #[test]
    fn without_slots_nothing_is_ruled_out() {
        assert_eq!(Filter::default().pieces(1), Some(Pieces::ALL));
        assert_eq!(Filter::kept(&Filter::default().to_bytes()), Some(Filter::default()));
        // The same hash twice is what no seed helps against.
        assert_eq!(Filter::of(&[(1, Pieces::ALL), (1, Pieces::ALL)], 1), Filter::default());
        assert_eq!([&[0; 8][..], &[0; 16], &[0; 7]].map(Filter::kept), [None, None, None]);
    }
}
