//! Assets of a custody platform by its own ids: their chain and decimals. Only those that are certain.

/// An asset.
pub(crate) struct Asset {
    id: &'static str,
    pub(crate) chain: &'static str,
    pub(crate) decimals: usize,
}

const ASSETS: &[Asset] = &[
    asset("BTC", "bitcoin", 8),
    asset("ETH", "ethereum", 18),
    asset("USDT_ERC20", "ethereum", 6),
    asset("USDC", "ethereum", 6),
    asset("DAI", "ethereum", 18),
    asset("WBTC", "ethereum", 8),
    asset("ETH-AETH", "arbitrum", 18),
    asset("ETH-OPT", "optimism", 18),
    asset("BASECHAIN_ETH", "base", 18),
    asset("BNB_BSC", "bnb", 18),
    asset("MATIC_POLYGON", "polygon", 18),
    asset("AVAX", "avalanche", 18),
    asset("SOL", "solana", 9),
    asset("LTC", "litecoin", 8),
    asset("DOGE", "dogecoin", 8),
    asset("XRP", "xrp", 6),
    asset("TRX", "tron", 6),
];

const fn asset(id: &'static str, chain: &'static str, decimals: usize) -> Asset {
    Asset { id, chain, decimals }
}

pub(crate) fn find(id: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.id == id)
}

/// An amount of the asset, written as a decimal number, as digits of base units; `None` for what is none or has more
/// decimals than the asset.
pub(crate) fn base_units(text: &str, decimals: usize) -> Option<String> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction = fraction.trim_end_matches('0');
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > decimals || text.len() > 128 {
        return None;
    }
    Some(format!("{whole}{fraction:0<decimals$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_become_base_units_exactly() {
        for (text, decimals, units) in [
            ("401346.768858404", 18, Some("401346768858404000000000")),
            ("0.00000001", 8, Some("000000001")),
            ("12", 6, Some("12000000")),
            ("12.500000000", 6, Some("12500000")),
            ("0.000000001", 8, None),
            ("-1", 8, None),
            ("1e3", 8, None),
            ("NaN", 8, None),
            ("", 8, None),
            (".5", 8, None),
        ] {
            assert_eq!(base_units(text, decimals).as_deref(), units, "{text}");
        }
    }
}
