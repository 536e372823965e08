//! Chains by name: their ids (EIP-155), the asset of their fees, and tokens that are well known.

use super::address::canonical;

/// A chain of the Ethereum family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The name events and the inventory use.
    pub name: &'static str,
    /// Chain id (EIP-155).
    pub id: u64,
    /// Symbol of the chain's own asset.
    pub asset: &'static str,
}

/// The chains whose Safe hashes can be recomputed.
pub const CHAINS: &[Chain] = &[
    chain("ethereum", 1, "ETH"),
    chain("optimism", 10, "ETH"),
    chain("bnb", 56, "BNB"),
    chain("gnosis", 100, "XDAI"),
    chain("unichain", 130, "ETH"),
    chain("polygon", 137, "POL"),
    chain("sonic", 146, "S"),
    chain("worldchain", 480, "ETH"),
    chain("zksync", 324, "ETH"),
    chain("polygon-zkevm", 1101, "ETH"),
    chain("mantle", 5000, "MNT"),
    chain("base", 8453, "ETH"),
    chain("arbitrum", 42161, "ETH"),
    chain("celo", 42220, "CELO"),
    chain("avalanche", 43114, "AVAX"),
    chain("linea", 59144, "ETH"),
    chain("berachain", 80094, "BERA"),
    chain("blast", 81457, "ETH"),
    chain("scroll", 534_352, "ETH"),
    chain("holesky", 17000, "ETH"),
    chain("sepolia", 11_155_111, "ETH"),
];

const fn chain(name: &'static str, id: u64, asset: &'static str) -> Chain {
    Chain { name, id, asset }
}

/// Tokens of Ethereum's main chain that are named by symbol: contract in lower case, symbol.
const TOKENS: &[(&str, &str)] = &[
    ("0xdac17f958d2ee523a2206206994597c13d831ec7", "USDT"),
    ("0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48", "USDC"),
    ("0x6b175474e89094c44da98b954eedeac495271d0f", "DAI"),
    ("0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2", "WETH"),
    ("0x2260fac5e5542a773aa44fbcfedf7c193bc2c599", "WBTC"),
    ("0xae7ab96520de3a18e5e111b5eaab095312d7fe84", "stETH"),
    ("0xd5f7838f5c461feff7fe49ea5ebaf7728bb0adfa", "mETH"),
    ("0xe6829d9a7ee3040e1276fa75293bde931859e8fa", "cmETH"),
];

/// Looks a chain up by name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Chain> {
    CHAINS.iter().find(|chain| chain.name.eq_ignore_ascii_case(name))
}

/// The contract of a token that an asset names: a well-known symbol, or the contract itself.
#[must_use]
pub fn contract(chain: &str, asset: &str) -> Option<String> {
    let known = TOKENS.iter().find(|(_, symbol)| chain.eq_ignore_ascii_case("ethereum") && *symbol == asset);
    let address = known.map_or(asset, |(address, _)| *address);
    (address.len() == 42 && address.starts_with("0x")).then(|| canonical(address))
}

/// The asset that a token contract stands for: its symbol when it is well known, else the contract in lower case.
#[must_use]
pub fn token(chain: &str, contract: &str) -> String {
    let contract = canonical(contract);
    let known = TOKENS.iter().find(|(address, _)| chain == "ethereum" && *address == contract);
    known.map_or(contract, |(_, symbol)| (*symbol).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_ids_are_unique() {
        for (index, chain) in CHAINS.iter().enumerate() {
            assert!(CHAINS[..index].iter().all(|other| other.name != chain.name && other.id != chain.id));
        }
    }

    #[test]
    fn well_known_tokens_have_their_symbol_on_their_own_chain() {
        assert_eq!(token("ethereum", "0xD5F7838F5C461fefF7FE49ea5ebaF7728bB0ADfa"), "mETH");
        assert_eq!(
            token("base", "0xD5F7838F5C461fefF7FE49ea5ebaF7728bB0ADfa"),
            canonical("0xD5F7838F5C461fefF7FE49ea5ebaF7728bB0ADfa")
        );
        let usdt = "0xdac17f958d2ee523a2206206994597c13d831ec7";
        assert_eq!(contract("Ethereum", "USDT").as_deref(), Some(usdt));
        assert_eq!(contract("base", usdt).as_deref(), Some(usdt));
        assert_eq!((contract("base", "USDT"), contract("ethereum", "ETH")), (None, None));
    }
}
