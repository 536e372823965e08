//! Amounts as people say them: `30,000 ETH` in place of base units, where the inventory declares the asset.
//!
//! It changes what is read and never what is compared: events and findings keep base units.

use super::System;

/// Digits behind the point that are shown of an amount of one or more.
const FRACTION_DIGITS: usize = 6;

/// The own assets of Bitcoin and Ethereum, which nobody needs to declare: name and decimals.
const NATIVE: [(&str, usize); 2] = [("BTC", 8), ("ETH", 18)];

/// The own assets of other chains: name, chain and decimals. The same name on another chain is another asset, with decimals of
/// its own.
const NATIVE_OF_CHAINS: [(&str, &str, usize); 18] = [
    ("AVAX", "avalanche", 18),
    ("BCH", "bitcoin-cash", 8),
    ("BERA", "berachain", 18),
    ("BNB", "bnb", 18),
    ("BNB", "bsc", 18),
    ("CELO", "celo", 18),
    ("DOGE", "dogecoin", 8),
    ("ETC", "ethereum-classic", 18),
    ("FIL", "filecoin", 18),
    ("LTC", "litecoin", 8),
    ("MNT", "mantle", 18),
    ("POL", "polygon", 18),
    ("S", "sonic", 18),
    ("SOL", "solana", 9),
    ("TRX", "tron", 6),
    ("XDAI", "gnosis", 18),
    ("XRP", "xrp", 6),
    ("XTZ", "tezos", 6),
];

/// An amount in base units of `asset`, as people say it: by the symbol and decimals that the inventory declares for it, or
/// those of a chain's own asset. Where none are known, or several and no `chain` says which, it stays in base units.
///
/// ```
/// assert_eq!(keywatch_store::inventory::amount_in_words(None, "30000000000000000000000", "ETH", None), "30,000 ETH");
/// ```
#[must_use]
pub fn amount_in_words(system: Option<&System>, digits: &str, asset: &str, chain: Option<&str>) -> String {
    let counted = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    match units(system, asset, chain) {
        Some((symbol, decimals)) if counted => format!("{} {symbol}", shifted(digits, decimals)),
        _ => format!("{digits} base units of {asset}"),
    }
}

/// The same, where a token that the inventory does not declare says of itself how it is called and how many decimals it has:
/// `1,000 USDC?0xa0b8…eb48`. That is foreign text, since anybody can make a token that calls itself USDC. So a question mark and
/// the ends of the contract's address stand behind it, which no asset that is declared has.
#[must_use]
pub fn amount_as_said(
    system: Option<&System>,
    digits: &str,
    asset: &str,
    chain: Option<&str>,
    said: Option<(&str, usize)>,
) -> String {
    let counted = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let unknown = counted && !is_declared(system, asset, chain) && units(system, asset, chain).is_none();
    match (said.filter(|_| unknown), short(asset)) {
        (Some((symbol, decimals)), Some(contract)) => format!("{} {symbol}?{contract}", shifted(digits, decimals)),
        _ => amount_in_words(system, digits, asset, chain),
    }
}

/// Whether the inventory says something of an asset, however it writes a contract's letters.
fn is_declared(system: Option<&System>, asset: &str, chain: Option<&str>) -> bool {
    let rows = system.map(|system| system.assets.as_slice()).unwrap_or_default();
    let here = |row: &&super::Asset| chain.is_none_or(|chain| row.chain.eq_ignore_ascii_case(chain));
    rows.iter().filter(here).any(|row| row.asset.eq_ignore_ascii_case(asset))
}

/// Both ends of a contract's address, where it is one.
fn short(asset: &str) -> Option<String> {
    let digits = asset.strip_prefix("0x")?;
    let is_address = digits.len() == 40 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_address.then(|| format!("0x{}…{}", &digits[..4], &digits[36..]))
}

/// Symbol and decimals of an asset.
fn units<'a>(system: Option<&'a System>, asset: &'a str, chain: Option<&str>) -> Option<(&'a str, usize)> {
    let rows = system.map(|system| system.assets.as_slice()).unwrap_or_default();
    let here = |row: &&super::Asset| chain.is_none_or(|chain| row.chain.eq_ignore_ascii_case(chain));
    let mut declared = rows.iter().filter(|row| row.asset == asset).filter(here).map(|row| {
        let symbol = if row.symbol.is_empty() { row.asset.as_str() } else { row.symbol.as_str() };
        (symbol, usize::try_from(row.decimals).unwrap_or_default())
    });
    match declared.next() {
        Some(first) => declared.all(|other| other == first).then_some(first),
        None => native(asset, chain).map(|decimals| (asset, decimals)),
    }
}

/// Decimals of a chain's own asset, where they are known.
fn native(asset: &str, chain: Option<&str>) -> Option<usize> {
    let here = |name: &str| chain.is_some_and(|chain| chain.eq_ignore_ascii_case(name));
    let of_chain = NATIVE_OF_CHAINS.iter().find(|(name, own, _)| *name == asset && here(own));
    let anywhere = || NATIVE.iter().find(|(name, _)| *name == asset).map(|(_, decimals)| *decimals);
    of_chain.map(|(_, _, decimals)| *decimals).or_else(anywhere)
}

/// Digits with a point before the last `decimals` of them, a comma every three before it. `about` says that something small
/// was left out.
fn shifted(digits: &str, decimals: usize) -> String {
    let padded = format!("{digits:0>width$}", width = decimals + 1);
    let (whole, fraction) = padded.split_at(padded.len() - decimals);
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let cut = !whole.is_empty() && fraction.len() > FRACTION_DIGITS;
    let fraction = if cut { fraction[..FRACTION_DIGITS].trim_end_matches('0') } else { fraction };
    let about = if cut { "about " } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{about}{}{point}{fraction}", grouped(if whole.is_empty() { "0" } else { whole }))
}

/// Whole digits with a comma every three.
#[must_use]
pub fn grouped(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Inventory;

    const TOML: &str = r#"
        [[systems]]
        id = "cold"
        [[systems.assets]]
        asset = "0xdac17f958d2ee523a2206206994597c13d831ec7"
        chain = "ethereum"
        symbol = "USDT"
        decimals = 6
        [[systems.assets]]
        asset = "USDC"
        chain = "ethereum"
        decimals = 6
        [[systems.assets]]
        asset = "USDC"
        chain = "bnb"
        decimals = 18
    "#;

    #[test]
    fn an_amount_is_said_in_the_units_that_are_declared() {
        let inventory = Inventory::parse("i.toml", TOML).unwrap();
        let contract = "0xdac17f958d2ee523a2206206994597c13d831ec7";
        for (digits, asset, chain, said) in [
            ("1234567890123", contract, Some("ethereum"), "1,234,567.890123 USDT"),
            ("1234567890123", contract, None, "1,234,567.890123 USDT"),
            (
                "1234567890123",
                contract,
                Some("bnb"),
                "1234567890123 base units of 0xdac17f958d2ee523a2206206994597c13d831ec7",
            ),
            ("2500000", "USDC", Some("ethereum"), "2.5 USDC"),
            ("2500000", "USDC", Some("BNB"), "0.0000000000025 USDC"),
            // One name, two tokens: nobody says which.
            ("2500000", "USDC", None, "2500000 base units of USDC"),
            ("401346768858404671833410", "ETH", Some("ethereum"), "about 401,346.768858 ETH"),
            ("1000000000000000001", "ETH", None, "about 1 ETH"),
            ("1", "BTC", None, "0.00000001 BTC"),
            ("0", "BTC", None, "0 BTC"),
            ("unknown", "BTC", None, "unknown base units of BTC"),
            ("7", "GALA", None, "7 base units of GALA"),
            ("2500000000", "SOL", Some("solana"), "2.5 SOL"),
            ("1500000000000000000", "BNB", Some("BNB"), "1.5 BNB"),
            // A token of that name on another chain has decimals of its own, and so it may be where no chain is told.
            ("150000000", "BNB", Some("solana"), "150000000 base units of BNB"),
            ("2500000000", "SOL", None, "2500000000 base units of SOL"),
        ] {
            assert_eq!(amount_in_words(inventory.system("cold"), digits, asset, chain), said);
        }
        assert_eq!(amount_in_words(None, "450290000000", "BTC", Some("bitcoin")), "4,502.9 BTC");
    }

    #[test]
    fn what_a_token_says_of_itself_counts_only_where_nothing_is_declared_and_is_marked() {
        let inventory = Inventory::parse("i.toml", TOML).unwrap();
        let (known, other) =
            ("0xdac17f958d2ee523a2206206994597c13d831ec7", "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48");
        let told = |digits: &str, asset: &str, chain: &str, said: Option<(&str, usize)>| {
            amount_as_said(inventory.system("cold"), digits, asset, Some(chain), said)
        };
        let fake = Some(("USDT", 0));
        assert_eq!(told("1000000000", other, "ethereum", Some(("USDC", 6))), "1,000 USDC?0xa0b8…eb48");
        assert_eq!(told("2500000", known, "ethereum", fake), "2.5 USDT", "what is declared wins");
        let capitals = format!("0x{}", known[2..].to_uppercase());
        assert_eq!(told("7", &capitals, "ethereum", fake), format!("7 base units of {capitals}"));
        assert_eq!(told("7", known, "base", fake), "7 USDT?0xdac1…1ec7", "of another chain nothing is declared");
        assert_eq!(told("7", "ETH", "ethereum", fake), "0.000000000000000007 ETH");
        assert_eq!(told("7", "GALA", "ethereum", fake), "7 base units of GALA", "no contract, no mark");
        assert_eq!(told("7", other, "ethereum", None), format!("7 base units of {other}"));
    }
}
