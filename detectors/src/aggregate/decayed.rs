//! Baselines that forget: a row counts 1 when it comes and half as much after each half-life. What is kept a key is
//! the sum of the weights and, for mean and deviation, the weighted sum of the values and of their squares, all in
//! units of 2⁻¹²⁸. The three decay by the very same factors, so that an error of a factor shifts weights and cancels
//! in mean and deviation; values are taken relative to the first one, so that what never varied has no deviation.

use ruint::Uint;

use super::Sliding;
use super::halving::Halving;
use super::rational::{Wide, ordered_bits, power_of_ten, root_of_quotient};
use super::saved::{Reader, Writer};
use crate::window::value::Value;

/// Sum of weights: below 2^63 rows.
type Weight = Uint<192, 3>;
/// Weighted sum of differences below 2^128, in two's complement.
type Sum = Uint<320, 5>;
/// Weighted sum of their squares.
type Squares = Uint<448, 7>;

/// Binary places of all three.
const PLACES: usize = 128;

/// ln 2, in units of 2⁻¹²⁸.
const LN_2: u128 = 0xb172_17f7_d1cf_79ab_c9e3_b398_03f2_f6af;

/// Nanoseconds of an hour.
const HOUR_NS: u64 = 3_600_000_000_000;

/// Decimal places of counts and rates.
pub(super) const COUNT_SCALE: u8 = 6;

/// A decayed count, or the rate that would keep it as it is.
#[derive(Debug)]
pub(super) struct DecayedCount {
    half_life_ns: u64,
    /// Events an hour, else events.
    is_rate: bool,
    weight: Weight,
    /// The latest time of a row that counted, as of which the weight is.
    as_of: i64,
    /// The latest time of any row.
    seen: i64,
}

impl DecayedCount {
    pub(super) fn new(half_life_ns: u64, is_rate: bool) -> DecayedCount {
        DecayedCount { half_life_ns, is_rate, weight: Weight::ZERO, as_of: i64::MIN, seen: i64::MIN }
    }

    fn weight_at(&self, time: i64) -> Weight {
        elapsed(self.as_of, time).map_or(self.weight, |ns| Halving::after(ns, self.half_life_ns).of(self.weight))
    }
}

/// Nanoseconds from one to the other, if the other is later. Nothing has a weight before the first time.
fn elapsed(from: i64, to: i64) -> Option<u64> {
    (from < to).then(|| from.abs_diff(to))
}

fn time_of(value: Option<&Option<Value>>) -> Option<i64> {
    match value {
        Some(Some(Value::Number(time))) => i64::try_from(*time).ok(),
        _ => None,
    }
}

impl Sliding for DecayedCount {
    fn enter(&mut self, _time: i64, args: &[Option<Value>]) {
        let Some(time) = time_of(args.first()) else { return };
        self.seen = self.seen.max(time);
        if matches!(args.get(2), None | Some(Some(Value::Boolean(true)))) {
            self.weight = self.weight_at(time) + (Weight::from(1) << PLACES);
            self.as_of = self.as_of.max(time);
        }
    }

    fn leave(&mut self, _time: i64, _args: &[Option<Value>]) {}

    fn answer(&mut self, time: i64) -> Result<Option<Value>, String> {
        let weight = Wide::from(self.weight_at(self.seen.max(time)));
        let scaled = weight * power_of_ten(u32::from(COUNT_SCALE));
        let answer = if self.is_rate {
            let hourly = scaled * Wide::from(LN_2) * Wide::from(HOUR_NS);
            nearest(hourly, Wide::from(self.half_life_ns) << (2 * PLACES))
        } else {
            nearest(scaled, Wide::from(1) << PLACES)
        };
        Ok(Some(Value::Number(saturated(answer))))
    }

    fn bytes(&self) -> usize {
        size_of_val(self)
    }

    fn save(&self) -> Vec<u8> {
        Writer::default().wide(self.weight).number(self.as_of).number(self.seen).end()
    }

    fn load(&mut self, saved: &[u8]) -> Result<(), String> {
        let mut reader = Reader::new(saved);
        (self.weight, self.as_of, self.seen) = (reader.wide()?, reader.number()?, reader.number()?);
        reader.end()
    }
}

/// What is asked of a decayed distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// With so many decimal places more than the values.
    Mean { places: u32 },
    /// Of values with so many decimal places.
    Deviation { scale: u32 },
}

/// Mean or standard deviation of values that lose weight as they age.
#[derive(Debug)]
pub(super) struct DecayedMoments {
    half_life_ns: u64,
    moment: Moment,
    /// The first value, from which all are measured.
    origin: i128,
    as_of: i64,
    weight: Weight,
    sum: Sum,
    squares: Squares,
}

impl DecayedMoments {
    pub(super) fn new(half_life_ns: u64, moment: Moment) -> DecayedMoments {
        let (weight, sum, squares) = (Weight::ZERO, Sum::ZERO, Squares::ZERO);
        DecayedMoments { half_life_ns, moment, origin: 0, as_of: i64::MIN, weight, sum, squares }
    }

    fn decay_to(&mut self, time: i64) {
        let Some(elapsed_ns) = elapsed(self.as_of, time) else { return };
        let halving = Halving::after(elapsed_ns, self.half_life_ns);
        self.weight = halving.of(self.weight);
        self.sum = halving.of_signed(self.sum);
        self.squares = halving.of(self.squares);
        self.as_of = time;
    }

    fn add(&mut self, value: i128) {
        let difference = value.abs_diff(self.origin);
        let scaled = Sum::from(difference) << PLACES;
        let square = Squares::from(difference).wrapping_mul(Squares::from(difference));
        self.weight += Weight::from(1) << PLACES;
        self.sum = if value < self.origin { self.sum.wrapping_sub(scaled) } else { self.sum.wrapping_add(scaled) };
        self.squares += square << PLACES;
    }

    /// Whether the weighted sum is below zero, and its magnitude.
    fn signed_sum(&self) -> (bool, Wide) {
        let is_negative = self.sum.bit(Sum::BITS - 1);
        (is_negative, Wide::from(if is_negative { self.sum.wrapping_neg() } else { self.sum }))
    }

    fn mean(&self, places: u32) -> i128 {
        let (is_negative, sum) = self.signed_sum();
        let difference = saturated(nearest(sum * power_of_ten(places), Wide::from(self.weight)));
        let origin = self.origin.saturating_mul(10_i128.saturating_pow(places));
        if is_negative { origin.saturating_sub(difference) } else { origin.saturating_add(difference) }
    }

    fn deviation(&self, scale: u32) -> f64 {
        let (weight, (_, sum)) = (Wide::from(self.weight), self.signed_sum());
        let spread = (weight * Wide::from(self.squares)).saturating_sub(sum * sum);
        root_of_quotient(spread, weight * weight * power_of_ten(2 * scale))
    }
}

impl Sliding for DecayedMoments {
    fn enter(&mut self, _time: i64, args: &[Option<Value>]) {
        let [Some(Value::Number(value)), time, ..] = args else { return };
        let Some(time) = time_of(Some(time)) else { return };
        if self.weight.is_zero() {
            self.origin = *value;
        }
        self.decay_to(time);
        self.add(*value);
    }

    fn leave(&mut self, _time: i64, _args: &[Option<Value>]) {}

    fn answer(&mut self, _time: i64) -> Result<Option<Value>, String> {
        if self.weight.is_zero() {
            return Ok(None);
        }
        Ok(Some(Value::Number(match self.moment {
            Moment::Mean { places } => self.mean(places),
            Moment::Deviation { scale } => ordered_bits(self.deviation(scale)),
        })))
    }

    fn bytes(&self) -> usize {
        size_of_val(self)
    }

    fn save(&self) -> Vec<u8> {
        let writer = Writer::default().number(self.origin).number(self.as_of);
        writer.wide(self.weight).wide(self.sum).wide(self.squares).end()
    }

    fn load(&mut self, saved: &[u8]) -> Result<(), String> {
        let mut reader = Reader::new(saved);
        (self.origin, self.as_of) = (reader.number()?, reader.number()?);
        (self.weight, self.sum, self.squares) = (reader.wide()?, reader.wide()?, reader.wide()?);
        reader.end()
    }
}

/// The whole number nearest to a quotient; halves go up.
fn nearest(numerator: Wide, denominator: Wide) -> Wide {
    (numerator + (denominator >> 1)) / denominator
}

fn saturated(number: Wide) -> i128 {
    i128::try_from(number).unwrap_or(i128::MAX)
}
