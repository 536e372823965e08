//! Assets, their prices of a day, and amounts as people type them.

use crate::chance::Chance;
use crate::names::Chain;

/// Something of value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asset {
    /// As events name it.
    pub(crate) symbol: &'static str,
    /// Where it moves.
    pub(crate) chain: Chain,
    /// Digits behind the point.
    pub(crate) decimals: u32,
    /// Price of one when the history begins, cents.
    price_cents: u64,
}

const fn asset(symbol: &'static str, chain: Chain, decimals: u32, price_cents: u64) -> Asset {
    Asset { symbol, chain, decimals, price_cents }
}

/// Bitcoin.
pub(crate) const BTC: Asset = asset("BTC", Chain::Bitcoin, 8, 8_450_000);
/// Ether.
pub(crate) const ETH: Asset = asset("ETH", Chain::Ethereum, 18, 221_000);
/// Dollar token on Ethereum.
pub(crate) const USDT: Asset = asset("USDT", Chain::Ethereum, 6, 100);
/// Another.
pub(crate) const USDC: Asset = asset("USDC", Chain::Ethereum, 6, 100);
/// Dollar token on Tron, named apart by its chain.
pub(crate) const TRON_USDT: Asset = asset("USDT", Chain::Tron, 6, 100);
/// Tron's own.
pub(crate) const TRX: Asset = asset("TRX", Chain::Tron, 6, 23);
/// Solana's own.
pub(crate) const SOL: Asset = asset("SOL", Chain::Solana, 9, 13_600);

impl Asset {
    /// Price of one on a day, cents: it drifts by up to six percent.
    pub(crate) fn price(&self, day: i64) -> u64 {
        if self.price_cents == 100 {
            return 100;
        }
        let wave = (day * 7 + i64::from(self.decimals) * 5).rem_euclid(25) - 12;
        let drifted = self.price_cents.cast_signed() * (200 + wave) / 200;
        drifted.cast_unsigned()
    }

    /// Base units worth so many cents.
    pub(crate) fn units(&self, cents: u64, day: i64) -> u128 {
        u128::from(cents) * 10_u128.pow(self.decimals) / u128::from(self.price(day))
    }

    /// Cents that base units are worth.
    pub(crate) fn cents(&self, units: u128, day: i64) -> u64 {
        u64::try_from(units * u128::from(self.price(day)) / 10_u128.pow(self.decimals)).unwrap_or(u64::MAX)
    }

    /// As a person types it: two to five digits that mean something, or everything there is.
    pub(crate) fn as_typed(units: u128, chance: &mut Chance) -> u128 {
        if chance.thousandths(220) {
            return units;
        }
        let digits = units.max(1).ilog10();
        let kept = u32::try_from(chance.between(2, 5)).unwrap_or(3);
        let step = 10_u128.pow((digits + 1).saturating_sub(kept));
        (units / step * step).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cents_become_units_and_back() {
        assert_eq!(USDT.units(12_345, 0), 123_450_000);
        assert_eq!(USDC.cents(123_450_000, 0), 12_345);
        let day = 20_150;
        let half = BTC.units(BTC.price(day) / 2, day);
        assert_eq!(half, 50_000_000);
        let mut chance = Chance::of(1, "money");
        for _ in 0..100 {
            assert!((1..=123_456_789).contains(&Asset::as_typed(123_456_789, &mut chance)));
        }
    }
}
