//! The pieces of a segment, sixteen of equal size, and stretches of them in one byte: where in a segment a name stands.

/// From one piece to another, both of them among those that are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pieces {
    first: u8,
    last: u8,
}

impl Pieces {
    /// How many a segment has.
    pub(super) const COUNT: usize = 16;

    /// The whole segment.
    pub(super) const ALL: Pieces = Pieces { first: 0, last: 15 };

    /// One alone.
    pub(super) fn one(piece: usize) -> Pieces {
        let piece = u8::try_from(piece.min(Pieces::COUNT - 1)).unwrap_or(15);
        Pieces { first: piece, last: piece }
    }

    /// The piece of a record of `records`.
    pub(super) fn of_record(record: usize, records: usize) -> Pieces {
        Pieces::one(record * Pieces::COUNT / records.max(1))
    }

    /// The records of `records` that they hold: the first, and the one after the last.
    pub(super) fn records(self, records: u64) -> (u64, u64) {
        let begin = |piece: u64| (piece * records).div_ceil(Pieces::COUNT as u64);
        (begin(u64::from(self.first)), begin(u64::from(self.last) + 1))
    }

    /// What covers both.
    pub(super) fn and(self, other: Pieces) -> Pieces {
        Pieces { first: self.first.min(other.first), last: self.last.max(other.last) }
    }

    /// What both have; `None` where that is nothing.
    pub(super) fn common(self, other: Pieces) -> Option<Pieces> {
        let (first, last) = (self.first.max(other.first), self.last.min(other.last));
        (first <= last).then_some(Pieces { first, last })
    }

    pub(super) fn to_byte(self) -> u8 {
        (self.first << 4) | self.last
    }

    /// `None` where it is no stretch.
    pub(super) fn from_byte(byte: u8) -> Option<Pieces> {
        let (first, last) = (byte >> 4, byte & 15);
        (first <= last).then_some(Pieces { first, last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_lies_in_its_piece_and_pieces_leave_nothing_out() {
        for records in [1, 5, 16, 17, 100, 8191, 8192, 8193] {
            for record in 0..records {
                let (first, end) = Pieces::of_record(record, records).records(records as u64);
                assert!((first..end).contains(&(record as u64)), "{record} of {records}");
            }
            assert_eq!(Pieces::ALL.records(records as u64), (0, records as u64));
        }
    }

    #[test]
    fn a_stretch_survives_its_byte_and_meets_others() {
        let (early, late) = (Pieces::one(2), Pieces::one(9));
        let both = early.and(late);
        for pieces in [early, both, Pieces::ALL] {
            assert_eq!(Pieces::from_byte(pieces.to_byte()), Some(pieces));
        }
        assert_eq!((both.common(late), early.common(late)), (Some(late), None));
        assert_eq!(Pieces::from_byte(0x10), None);
    }
}
