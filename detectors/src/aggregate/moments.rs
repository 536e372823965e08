//! Variance and standard deviation over a frame, exactly: how many, their sum and the sum of their squares in wide
//! integers, `n·Σx² − (Σx)²` without rounding, and one float at the end. A row enters and leaves in O(1).

use arrow::datatypes::i256;
use ruint::Uint;

use super::Sliding;
use super::rational::{Wide, ordered_bits, power_of_ten, quotient, root_of_quotient};
use super::saved::{Reader, Writer};
use crate::window::value::Value;

/// Which measure of spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spread {
    /// The standard deviation, which is the root of the variance.
    pub(super) is_root: bool,
    /// By n − 1 instead of n.
    pub(super) is_sample: bool,
}

/// What is kept of the rows in the frame.
#[derive(Debug)]
pub(super) struct Moments {
    spread: Spread,
    /// Decimal places of the argument.
    scale: i8,
    count: u64,
    sum: i256,
    /// Below 2^318: the square of 128 bits, 2^63 times.
    squares: Uint<320, 5>,
}

impl Moments {
    pub(super) fn new(spread: Spread, scale: i8) -> Moments {
        Moments { spread, scale, count: 0, sum: i256::ZERO, squares: Uint::ZERO }
    }
}

fn square(number: i128) -> Uint<320, 5> {
    let magnitude = Uint::<320, 5>::from(number.unsigned_abs());
    magnitude.wrapping_mul(magnitude)
}

fn magnitude(number: i256) -> Wide {
    Wide::from_le_slice(&number.wrapping_abs().to_le_bytes())
}

impl Sliding for Moments {
    fn enter(&mut self, _time: i64, args: &[Option<Value>]) {
        if let [Some(Value::Number(number))] = args {
            self.count += 1;
            self.sum = self.sum.wrapping_add(i256::from_i128(*number));
            self.squares = self.squares.wrapping_add(square(*number));
        }
    }

    fn leave(&mut self, _time: i64, args: &[Option<Value>]) {
        if let [Some(Value::Number(number))] = args {
            self.count -= 1;
            self.sum = self.sum.wrapping_sub(i256::from_i128(*number));
            self.squares = self.squares.wrapping_sub(square(*number));
        }
    }

    fn answer(&mut self, _time: i64) -> Result<Option<Value>, String> {
        let Some(freedom) = self.count.checked_sub(u64::from(self.spread.is_sample)).filter(|freedom| *freedom > 0)
        else {
            return Ok(None);
        };
        let (count, sum) = (Wide::from(self.count), magnitude(self.sum));
        let spread = count * Wide::from(self.squares) - sum * sum;
        let units = power_of_ten(2 * u32::from(self.scale.unsigned_abs()));
        let (numerator, denominator) = if self.scale >= 0 {
            (spread, count * Wide::from(freedom) * units)
        } else {
            (spread * units, count * Wide::from(freedom))
        };
        let answer = if self.spread.is_root { root_of_quotient } else { quotient }(numerator, denominator);
        Ok(Some(Value::Number(ordered_bits(answer))))
    }

    fn bytes(&self) -> usize {
        size_of_val(self)
    }

    fn save(&self) -> Vec<u8> {
        let (low, high) = self.sum.to_parts();
        Writer::default().number(self.count).wide(Uint::<128, 2>::from(low)).number(high).wide(self.squares).end()
    }

    fn load(&mut self, saved: &[u8]) -> Result<(), String> {
        let mut reader = Reader::new(saved);
        self.count = reader.number()?;
        let low: Uint<128, 2> = reader.wide()?;
        self.sum = i256::from_parts(low.to(), reader.number()?);
        self.squares = reader.wide()?;
        reader.end()
    }
}
