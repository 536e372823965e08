//! Exponential decay in integers: `2^(−elapsed/half_life)`, the same on every machine.
//!
//! Whole half-lives are shifts. For the rest, `r` in `[0, 1)` as 64 bits: its first 16 bits by four tables of sixteen
//! constants, the other 48 by the series of `e^(−r·ln 2)` to its third term. Each of the nine roundings costs at most
//! one unit of 2⁻⁶³, so that a factor, which is at least one half, is right to 2⁻⁵⁹ of itself.

use ruint::Uint;

/// `2^(−elapsed/half_life)`, as `factor/2^63` shifted right by `halvings`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Halving {
    halvings: usize,
    factor: u64,
}

/// One, in units of 2⁻⁶³.
const ONE: u64 = 1 << 63;

/// ln 2, in units of 2⁻⁶⁴.
const LN_2: u64 = 0xb172_17f7_d1cf_79ab;

/// `2^(−digit/16^(place+1))` in units of 2⁻⁶³, rounded to nearest.
#[rustfmt::skip]
const POWERS: [[u64; 16]; 4] = [
    [
        0x8000_0000_0000_0000, 0x7a92_be8a_9243_6616, 0x7560_6373_ee92_1c97, 0x7066_6f76_154a_7089,
        0x6ba2_7e65_6b4e_b57a, 0x6712_460a_8fc2_4072, 0x62b3_9508_aa83_6d6f, 0x5e84_51cf_ac06_1b5f,
        0x5a82_7999_fcef_3242, 0x56ac_1f75_2150_a563, 0x52ff_6b54_d8a8_9c75, 0x4f7a_9930_48d0_88d7,
        0x4c1b_f828_c6dc_54b8, 0x48e1_e9b9_d588_e19b, 0x45ca_e0f1_f545_eb73, 0x42d5_61b3_e624_3d8a,
    ],
    [
        0x8000_0000_0000_0000, 0x7fa7_65ac_a88f_6453, 0x7f4f_08ae_3dc7_c426, 0x7ef6_e8da_4b54_4f9a,
        0x7e9f_0606_7a43_60ba, 0x7e47_6008_90f2_23de, 0x7def_f6b6_72f8_4e24, 0x7d98_c9e6_2113_e1fa,
        0x7d41_d96d_b915_019d, 0x7ceb_2523_75c9_cf9b, 0x7c94_acdd_aeea_5d3a, 0x7c3e_7072_d904_a6ce,
        0x7be8_6fb9_8568_9ddc, 0x7b92_aa88_6214_411c, 0x7b3d_20b6_399f_c237, 0x7ae7_d219_f329_b948,
    ],
    [
        0x8000_0000_0000_0000, 0x7ffa_748d_ff8d_c61f, 0x7ff4_e959_7bed_93ab, 0x7fef_5e62_7275_8c21,
        0x7fe9_d3a8_e07b_f086, 0x7fe4_492c_c357_1f68, 0x7fde_beee_185d_94dd, 0x7fd9_34ec_dce5_ea7d,
        0x7fd3_ab29_0e46_d769, 0x7fce_21a2_a9d7_3041, 0x7fc8_9859_aced_e72a, 0x7fc3_0f4e_14e2_0bc6,
        0x7fbd_867f_df0a_cb3b, 0x7fb7_fdef_08bf_7027, 0x7fb2_759b_8f57_62aa, 0x7fac_ed85_702a_285d,
    ],
    [
        0x8000_0000_0000_0000, 0x7fff_a747_12c3_cdfd, 0x7fff_4e8e_6306_ed59, 0x7ffe_f5d5_f0c9_3372,
        0x7ffe_9d1d_bc0a_75aa, 0x7ffe_4465_c4ca_895f, 0x7ffd_ebae_0b09_43f2, 0x7ffd_92f6_8ec6_7ac3,
        0x7ffd_3a3f_5002_0332, 0x7ffc_e188_4ebb_b29f, 0x7ffc_88d1_8af3_5e6b, 0x7ffc_301b_04a8_dbf6,
        0x7ffb_d764_bbdc_00a2, 0x7ffb_7eae_b08c_a1cd, 0x7ffb_25f8_e2ba_94db, 0x7ffa_cd43_5265_af2b,
    ],
];

impl Halving {
    /// What is left after `elapsed_ns`; `half_life_ns` is not zero.
    pub(super) fn after(elapsed_ns: u64, half_life_ns: u64) -> Halving {
        let halvings = usize::try_from(elapsed_ns / half_life_ns).unwrap_or(usize::MAX);
        let rest = (u128::from(elapsed_ns % half_life_ns) << 64) / u128::from(half_life_ns);
        Halving { halvings, factor: power(low_limb(rest)) }
    }

    /// That part of `value`, rounded to nearest.
    pub(super) fn of<const BITS: usize, const LIMBS: usize>(self, value: Uint<BITS, LIMBS>) -> Uint<BITS, LIMBS> {
        if self.halvings >= BITS || value.is_zero() {
            return Uint::ZERO;
        }
        let scaled = Uint::from_limbs(scale(*value.as_limbs(), self.factor));
        let carry = self.halvings.checked_sub(1).is_some_and(|bit| scaled.bit(bit));
        (scaled >> self.halvings) + Uint::from(u64::from(carry))
    }

    /// That part of a number in two's complement, its magnitude rounded to nearest.
    pub(super) fn of_signed<const BITS: usize, const LIMBS: usize>(
        self,
        value: Uint<BITS, LIMBS>,
    ) -> Uint<BITS, LIMBS> {
        if value.bit(BITS - 1) { self.of(value.wrapping_neg()).wrapping_neg() } else { self.of(value) }
    }
}

/// `2^(−rest/2^64)` in units of 2⁻⁶³.
fn power(rest: u64) -> u64 {
    let mut product = series(rest & (u64::MAX >> 16));
    for (place, powers) in POWERS.iter().enumerate() {
        let digit = usize::from((rest >> (60 - 4 * place)).to_le_bytes()[0] & 15);
        product = multiply(product, powers[digit]);
    }
    product
}

/// `2^(−rest/2^64)` for a rest below 2⁴⁸: 1 − z + z²/2 − z³/6 with z = rest·ln 2. The fourth term is below 2⁻⁷⁰.
fn series(rest: u64) -> u64 {
    let z = (u128::from(rest) * u128::from(LN_2)) >> 64;
    let squared = (z * z) >> 64;
    let cubed = (squared * z) >> 64;
    let sum = (1_u128 << 64) - z + squared / 2 - cubed / 6;
    low_limb((sum + 1) >> 1)
}

/// The product of two numbers in units of 2⁻⁶³, rounded to nearest.
fn multiply(left: u64, right: u64) -> u64 {
    if right == ONE {
        return left;
    }
    low_limb((u128::from(left) * u128::from(right) + (1 << 62)) >> 63)
}

/// `limbs · factor / 2^63`, rounded to nearest; as `factor` is at most one, it fits.
fn scale<const LIMBS: usize>(mut limbs: [u64; LIMBS], factor: u64) -> [u64; LIMBS] {
    if factor == ONE {
        return limbs;
    }
    let mut carry = 1_u128 << 62;
    let mut below = 0;
    for index in 0..LIMBS {
        let product = u128::from(limbs[index]) * u128::from(factor) + carry;
        let limb = low_limb(product);
        if index > 0 {
            limbs[index - 1] = below | (limb << 1);
        }
        below = limb >> 63;
        carry = product >> 64;
    }
    limbs[LIMBS - 1] = below | (low_limb(carry) << 1);
    limbs
}

fn low_limb(number: u128) -> u64 {
    (number & u128::from(u64::MAX)).try_into().expect("masked to 64 bits")
}

#[cfg(test)]
#[expect(clippy::cast_precision_loss, reason = "compared with floats within their precision")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn as_float(halving: Halving) -> f64 {
        halving.factor as f64 / ONE as f64 * (-(halving.halvings as f64)).exp2()
    }

    #[test]
    fn whole_half_lives_are_exact() {
        for halvings in 0..200 {
            let halving = Halving::after(halvings * 7, 7);
            assert_eq!(halving.factor, ONE);
            let value = Uint::<320, 5>::from(1) << 300;
            assert_eq!(halving.of(value), value >> halvings);
        }
        assert_eq!(Halving::after(u64::MAX, 1).of(Uint::<192, 3>::MAX), Uint::ZERO);
    }

    proptest! {
        #[test]
        fn a_factor_is_that_of_real_numbers(half_life in 1_u64..40_000_000_000_000_000, elapsed in 0_u64..80_000_000_000_000_000) {
            let exact = (-(elapsed as f64) / half_life as f64).exp2();
            let error = (as_float(Halving::after(elapsed, half_life)) - exact).abs();
            // The exponent itself, as a float, is right to 2⁻⁵² of itself.
            prop_assert!(error <= exact * 3e-16 * (2.0 + elapsed as f64 / half_life as f64), "{error} of {exact}");
        }

        /// 2^−a · 2^−b = 2^−(a+b), to well beyond what floats can tell.
        #[test]
        fn factors_multiply(left in 0..=u64::MAX / 2, right in 0..=u64::MAX / 2) {
            let product = multiply(power(left), power(right));
            prop_assert!(product.abs_diff(power(left + right)) <= 16, "{}", product.abs_diff(power(left + right)));
        }

        #[test]
        fn a_part_of_a_wide_number_is_that_of_a_narrow_one(value: u64, factor in ONE / 2..=ONE, shift in 0_usize..190) {
            let expected = (u128::from(value) * u128::from(factor) + (1 << 62)) >> 63;
            let wide = Uint::<256, 4>::from(value) << shift;
            let scaled = Uint::<256, 4>::from_limbs(scale(wide.into_limbs(), factor));
            let back = if shift == 0 { scaled } else { (scaled + (Uint::from(1) << (shift - 1))) >> shift };
            prop_assert!(back.abs_diff(Uint::from(expected)) <= Uint::from(1));
        }

        #[test]
        fn signs_are_symmetric(value: u128, factor in ONE / 2..=ONE, halvings in 0_usize..130) {
            let halving = Halving { halvings, factor };
            let value = Uint::<192, 3>::from(value);
            prop_assert_eq!(halving.of_signed(value.wrapping_neg()), halving.of(value).wrapping_neg());
        }
    }
}
