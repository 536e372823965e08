//! Where a text of a line ends: the signs that matter within one, found for 64 bytes at a time.
//!
//! A line has forty texts of a few bytes each, names and values. To look for the end of each is to begin forty searches,
//! none of which gets into its stride. Here the line is gone through once, in blocks, and an end is a bit in a word.

use wide::u8x16;

/// Bytes of a block: as many as a word has bits.
const BLOCK_BYTES: usize = 64;

/// The quotes, backslashes and control characters of a text, for a reader that goes forward through it.
pub(super) struct Signs<'a> {
    bytes: &'a [u8],
    /// The block that was looked at last, and a bit for each sign of it, that of its first byte lowest.
    block: usize,
    found: u64,
}

impl<'a> Signs<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Signs<'a> {
        Signs { bytes, block: 0, found: signs_at(bytes, 0) }
    }

    /// Where the text that begins at `begin` ends, if a quote ends it: no escape and no control character before.
    #[inline]
    pub(super) fn end_of_text(&mut self, begin: usize) -> Option<usize> {
        let end = self.next(begin);
        (*self.bytes.get(end)? == b'"').then_some(end)
    }

    /// The first sign from `from` on; beyond the end when there is none.
    #[inline]
    fn next(&mut self, from: usize) -> usize {
        self.look_at(from / BLOCK_BYTES);
        let mut ahead = self.found & (!0 << (from % BLOCK_BYTES));
        // What lies beyond the end counts as a sign, so that this comes to one.
        while ahead == 0 {
            self.look_at(self.block + 1);
            ahead = self.found;
        }
        self.block * BLOCK_BYTES + ahead.trailing_zeros() as usize
    }

    #[inline]
    fn look_at(&mut self, block: usize) {
        if block != self.block {
            (self.block, self.found) = (block, signs_at(self.bytes, block));
        }
    }
}

/// The signs of a block; bytes beyond the end are control characters.
fn signs_at(bytes: &[u8], block: usize) -> u64 {
    let rest = bytes.get(block * BLOCK_BYTES..).unwrap_or_default();
    if let Some(whole) = rest.first_chunk() {
        return signs(whole);
    }
    let mut padded = [0; BLOCK_BYTES];
    padded[..rest.len()].copy_from_slice(rest);
    signs(&padded)
}

fn signs(block: &[u8; BLOCK_BYTES]) -> u64 {
    let (quarters, _) = block.as_chunks::<16>();
    let bits = |quarter: &[u8; 16]| {
        let bytes = u8x16::new(*quarter);
        let quotes = bytes.simd_eq(u8x16::splat(b'"')) | bytes.simd_eq(u8x16::splat(b'\\'));
        let control = bytes.simd_eq(bytes.min(u8x16::splat(b' ' - 1)));
        u64::from((quotes | control).to_bitmask())
    };
    quarters.iter().rev().fold(0, |found, quarter| found << 16 | bits(quarter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_at_every_place_is_a_sign_or_none() {
        for byte in 0..=u8::MAX {
            let is_sign = u64::from(byte == b'"' || byte == b'\\' || byte < b' ');
            for place in 0..BLOCK_BYTES {
                let mut block = [b'x'; BLOCK_BYTES];
                block[place] = byte;
                assert_eq!(signs(&block), is_sign << place, "{byte}");
            }
            assert_eq!(signs(&[byte; BLOCK_BYTES]), is_sign * u64::MAX, "{byte}");
        }
    }
}
