//! A quantile of all values so far, by high dynamic range histograms: counters of buckets that are a sixteenth of
//! their value wide, at least. Integers only, so that it is the same on every machine.
//!
//! A histogram counts 64-bit values. Larger ones, and those below zero, have histograms of their own, of coarser
//! units, which are made when the first such value comes. A counter that is full, at 2^32 − 1, takes no more rows.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::Sliding;
use super::saved::{Reader, Writer};
use crate::window::value::Value;

/// Parts of one in which a rank is given.
pub(super) const RANK_ONE: u64 = 1_000_000;

/// Decimal digits that a histogram tells apart: one, which makes sixteen to thirty-two buckets an octave.
const DIGITS: u8 = 1;

/// Values below 2^62 are counted as they are, those below 2^118 in units of 2^56, all others in units of 2^112.
const CLASS_BITS: u32 = 62;
const UNIT_BITS: u32 = 56;

/// What is kept of the rows so far.
#[derive(Debug)]
pub(super) struct Quantile {
    /// In millionths.
    rank: u64,
    count: u64,
    min: i128,
    max: i128,
    /// By class: 1, 2, 3 for ever larger values, and the same below zero.
    histograms: BTreeMap<i8, Histogram<u32>>,
}

/// The class of a magnitude, and the magnitude in its units.
fn classify(magnitude: u128) -> (i8, u64) {
    let is_above = |class: u32| magnitude >> (CLASS_BITS + class * UNIT_BITS) > 0;
    let class = u8::from(is_above(0)) + u8::from(is_above(1));
    let units = magnitude >> (UNIT_BITS * u32::from(class));
    (class.cast_signed() + 1, u64::try_from(units).expect("below 2^62 by its class"))
}

impl Quantile {
    /// `rank` in millionths, from 0 to [`RANK_ONE`].
    pub(super) fn new(rank: u64) -> Quantile {
        Quantile { rank, count: 0, min: i128::MAX, max: i128::MIN, histograms: BTreeMap::new() }
    }

    fn count_up(&mut self, class: i8, units: u64, times: u32) -> Result<(), String> {
        let histogram = match self.histograms.entry(class) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(vacant) => {
                vacant.insert(Histogram::new(DIGITS).map_err(|error| error.to_string())?)
            }
        };
        histogram.record_n(units, times).map_err(|error| error.to_string())
    }

    /// The largest value of the bucket that holds the `ordinal`-th smallest.
    fn bucket_end(&self, ordinal: u64) -> i128 {
        let mut left = ordinal;
        for (class, histogram) in &self.histograms {
            if left > histogram.len() {
                left -= histogram.len();
                continue;
            }
            return if *class > 0 {
                scaled(*class, u128::from(at(histogram, left)) + 1).saturating_sub(1)
            } else {
                let magnitude = at(histogram, histogram.len() + 1 - left);
                -scaled(-class, u128::from(histogram.lowest_equivalent(magnitude)))
            };
        }
        self.max
    }
}

fn scaled(class: i8, units: u128) -> i128 {
    let shift = UNIT_BITS * u32::from(class.unsigned_abs() - 1);
    units.checked_mul(1 << shift).and_then(|value| i128::try_from(value).ok()).unwrap_or(i128::MAX)
}

/// The largest value of the bucket that holds the `ordinal`-th smallest. The rank is half a row below it, so that no
/// rounding of the one multiplication inside can reach its neighbours.
#[expect(clippy::cast_precision_loss, reason = "rows of a key are far below 2^50")]
fn at(histogram: &Histogram<u32>, ordinal: u64) -> u64 {
    histogram.value_at_quantile((ordinal as f64 - 0.5) / histogram.len() as f64)
}

impl Sliding for Quantile {
    fn enter(&mut self, _time: i64, args: &[Option<Value>]) {
        let Some(Some(Value::Number(value))) = args.first() else { return };
        let (class, units) = classify(value.unsigned_abs());
        let class = if *value < 0 { -class } else { class };
        if self.histograms.get(&class).is_some_and(|histogram| histogram.count_at(units) == u32::MAX) {
            return;
        }
        self.count_up(class, units, 1).expect("a resizing histogram takes any 64-bit value");
        (self.min, self.max) = (self.min.min(*value), self.max.max(*value));
        self.count += 1;
    }

    fn leave(&mut self, _time: i64, _args: &[Option<Value>]) {}

    fn answer(&mut self, _time: i64) -> Result<Option<Value>, String> {
        if self.count == 0 {
            return Ok(None);
        }
        let ordinal = (u128::from(self.count) * u128::from(self.rank)).div_ceil(u128::from(RANK_ONE)).max(1);
        let ordinal = u64::try_from(ordinal).expect("at most the count");
        Ok(Some(Value::Number(self.bucket_end(ordinal).clamp(self.min, self.max))))
    }

    fn bytes(&self) -> usize {
        let counters = |histogram: &Histogram<u32>| histogram.distinct_values() * size_of::<u32>();
        let heap: usize =
            self.histograms.values().map(|histogram| size_of::<Histogram<u32>>() + counters(histogram)).sum();
        size_of_val(self) + heap
    }

    fn save(&self) -> Vec<u8> {
        let writer = Writer::default().number(self.count).number(self.min).number(self.max);
        let writer = writer.number(self.histograms.len() as u64);
        let save = |writer: Writer, (class, histogram): (&i8, &Histogram<u32>)| {
            let buckets: Vec<_> = histogram.iter_recorded().collect();
            let writer = writer.number(*class).number(buckets.len() as u64);
            buckets.iter().fold(writer, |writer, bucket| {
                writer.number(bucket.value_iterated_to()).number(bucket.count_at_value())
            })
        };
        self.histograms.iter().fold(writer, save).end()
    }

    fn load(&mut self, saved: &[u8]) -> Result<(), String> {
        let mut reader = Reader::new(saved);
        (self.count, self.min, self.max) = (reader.number()?, reader.number()?, reader.number()?);
        for _ in 0..reader.number::<u64>()? {
            let class = reader.number()?;
            for _ in 0..reader.number::<u64>()? {
                let (units, times) = (reader.number()?, reader.number()?);
                self.count_up(class, units, times)?;
            }
        }
        reader.end()
    }
}
