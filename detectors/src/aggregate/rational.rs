//! One float from exact integers: a quotient, or the root of one, rounded once and correctly. No floating-point
//! operation is involved but scaling by a power of two and, where both are small, the division of IEEE 754, so that the
//! bits are the same everywhere.

use ruint::Uint;

/// Wide enough for every numerator and denominator of this room, with 128 bits to spare for the shift.
pub(super) type Wide = Uint<768, 12>;

/// `numerator / denominator`, rounded to nearest, ties to even. The denominator is not zero.
pub(super) fn quotient(numerator: Wide, denominator: Wide) -> f64 {
    if let (Some(numerator), Some(denominator)) = (small(numerator), small(denominator)) {
        return exactly(numerator) / exactly(denominator);
    }
    let shift = 64 + bits(denominator) - bits(numerator);
    let (whole, rest) = divide(numerator, denominator, shift);
    round(whole, rest, -shift)
}

/// The square root of `numerator / denominator`, rounded to nearest, ties to even.
pub(super) fn root_of_quotient(numerator: Wide, denominator: Wide) -> f64 {
    let shift = 124 + bits(denominator) - bits(numerator);
    let shift = shift + (shift & 1);
    let (whole, rest) = divide(numerator, denominator, shift);
    let root = whole.isqrt();
    round(root, rest || root * root != whole, -shift / 2)
}

/// A non-negative float as the number that a window keeps for it: its bits are in order as they stand.
pub(super) fn ordered_bits(float: f64) -> i128 {
    i128::from(float.to_bits())
}

/// `10^exponent`.
pub(super) fn power_of_ten(exponent: u32) -> Wide {
    Wide::from(10).pow(Wide::from(exponent))
}

fn bits(number: Wide) -> i64 {
    i64::try_from(number.bit_len()).expect("768 bits at most")
}

/// `numerator · 2^shift / denominator` and whether something is left over.
fn divide(numerator: Wide, denominator: Wide, shift: i64) -> (u128, bool) {
    let by = usize::try_from(shift.unsigned_abs()).expect("a difference of bit lengths");
    let (numerator, denominator) =
        if shift >= 0 { (numerator << by, denominator) } else { (numerator, denominator << by) };
    let (whole, rest) = numerator.div_rem(denominator);
    (whole.try_into().expect("the shift leaves at most 127 bits"), !rest.is_zero())
}

/// `whole · 2^exponent` and a little more when `inexact`, to nearest, ties to even.
fn round(whole: u128, inexact: bool, exponent: i64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    let excess = 128 - whole.leading_zeros() - f64::MANTISSA_DIGITS;
    let (mantissa, rest, half) = (whole >> excess, whole & ((1 << excess) - 1), 1 << (excess - 1));
    let up = rest > half || (rest == half && (inexact || mantissa & 1 == 1));
    let mantissa = i64::try_from(mantissa + u128::from(up)).expect("54 bits at most");
    let biased = u64::try_from(1023 + exponent + i64::from(excess)).expect("far above the smallest float");
    exactly(mantissa) * f64::from_bits(biased << 52)
}

/// A number that a float holds exactly.
fn small(number: Wide) -> Option<i64> {
    i64::try_from(number).ok().filter(|number| *number <= 1 << f64::MANTISSA_DIGITS)
}

#[expect(clippy::cast_precision_loss, reason = "at most 2^53, which a float holds exactly")]
fn exactly(mantissa: i64) -> f64 {
    mantissa as f64
}

#[cfg(test)]
#[expect(clippy::cast_precision_loss, clippy::float_cmp, reason = "floats that hold these integers, to the bit")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// IEEE 754 division and root are correctly rounded, so that exact operands must give the same bits.
        #[test]
        fn a_quotient_is_that_of_ieee_754(left in 0_u64..1 << 53, right in 1_u64..1 << 53, shift in 0_usize..300) {
            let (left_wide, right_wide) = (Wide::from(left) << shift, Wide::from(right));
            let expected = left as f64 / right as f64 * 2_f64.powi(i32::try_from(shift).unwrap());
            prop_assert_eq!(quotient(left_wide, right_wide).to_bits(), expected.to_bits());
            prop_assert_eq!(root_of_quotient(Wide::from(left), Wide::from(1)).to_bits(), (left as f64).sqrt().to_bits());
        }

        #[test]
        fn a_root_lies_between_its_neighbours(numerator: u128, denominator in 1_u128..) {
            let root = root_of_quotient(Wide::from(numerator), Wide::from(denominator));
            let approximate = (numerator as f64 / denominator as f64).sqrt();
            prop_assert!((root - approximate).abs() <= approximate * 1e-15);
        }
    }

    #[test]
    fn ties_go_to_even_and_what_is_left_over_breaks_them() {
        let odd = (1_u128 << 53) + 1;
        assert_eq!(quotient(Wide::from(odd), Wide::from(1)), 9_007_199_254_740_992.0);
        assert_eq!(quotient(Wide::from(odd + 2), Wide::from(1)), 9_007_199_254_740_996.0);
        let a_little_more = (Wide::from(odd) << 200) + Wide::from(1);
        assert_eq!(quotient(a_little_more, Wide::from(1) << 200), 9_007_199_254_740_994.0);
        assert_eq!(quotient(Wide::ZERO, Wide::from(3)), 0.0);
        assert_eq!(root_of_quotient(power_of_ten(76), Wide::from(1)), 1e38);
    }
}
