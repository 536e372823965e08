//! A split-block Bloom filter of names: one lookup touches 32 bytes. It may say that a name is there which is not, about
//! once in a thousand, and never the other way round.

use xxhash_rust::xxh3::xxh3_64;

const BITS_PER_NAME: usize = 17;
const BLOCK_BYTES: usize = 32;
const WORDS: usize = 8;

/// Odd constants that spread one hash over the eight words of a block, those of the Parquet format.
const SALTS: [u32; WORDS] =
    [0x47b6_137b, 0x4497_4d91, 0x8824_ad5b, 0xa2b7_289d, 0x7054_95c7, 0x2df1_424b, 0x9efc_4947, 0x5c6b_fb31];

/// The hash of a name, by which filters know it.
pub(super) fn hash(name: &str) -> u64 {
    xxh3_64(name.as_bytes())
}

/// The filter; without bytes it may hold anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filter(Box<[u8]>);

impl Filter {
    /// Of distinct hashes.
    pub(super) fn of(hashes: impl ExactSizeIterator<Item = u64>) -> Filter {
        let blocks = (hashes.len() * BITS_PER_NAME).div_ceil(8 * BLOCK_BYTES).max(1);
        let mut filter = Filter(vec![0; blocks * BLOCK_BYTES].into());
        for hash in hashes {
            let start = filter.block(hash);
            for (word, bit) in bits(hash).into_iter().enumerate() {
                filter.0[start + word * 4 + bit / 8] |= 1 << (bit % 8);
            }
        }
        filter
    }

    /// As it was kept; `None` when it is not made of whole blocks.
    pub(super) fn kept(bytes: &[u8]) -> Option<Filter> {
        bytes.len().is_multiple_of(BLOCK_BYTES).then(|| Filter(bytes.into()))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.len()
    }

    /// Whether the name with that hash may be in it.
    pub(super) fn may_hold(&self, hash: u64) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let start = self.block(hash);
        bits(hash).into_iter().enumerate().all(|(word, bit)| self.0[start + word * 4 + bit / 8] & (1 << (bit % 8)) != 0)
    }

    /// Where the block of a hash begins.
    fn block(&self, hash: u64) -> usize {
        let blocks = (self.0.len() / BLOCK_BYTES) as u64;
        usize::try_from(((hash >> 32) * blocks) >> 32).unwrap_or(0) * BLOCK_BYTES
    }
}

/// The bit of each word.
fn bits(hash: u64) -> [usize; WORDS] {
    let [_, _, _, _, low @ ..] = hash.to_be_bytes();
    let low = u32::from_be_bytes(low);
    SALTS.map(|salt| (low.wrapping_mul(salt) >> 27) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_it_is_found_and_little_else() {
        let names: Vec<u64> = (0..10_000).map(|number| hash(&format!("session-{number}"))).collect();
        let filter = Filter::of(names.iter().copied());
        assert!(names.iter().all(|name| filter.may_hold(*name)));
        let strangers = (0..100_000).filter(|number| filter.may_hold(hash(&format!("other-{number}")))).count();
        assert!(strangers < 300, "{strangers} of 100000");
        assert!(Filter::default().may_hold(1), "without bytes nothing is ruled out");
        assert_eq!(Filter::kept(filter.as_bytes()), Some(filter));
        assert_eq!(Filter::kept(&[0; 31]), None);
    }
}
