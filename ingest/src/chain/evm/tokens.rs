//! Which balances of watched tokens are asked for at a block, and how. A token says in logs what moved, and may mean
//! something else: one that takes a fee credits less than it says, one that rebases changes balances and says nothing. So
//! what wallets hold is asked of the token itself, before the block and after it.

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};

use super::rpc::Receipt;
use super::watch::Watched;

/// What a wallet holds of a token on both sides of a block, base units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The wallet.
    pub wallet: Address,
    /// The token's contract.
    pub token: Address,
    /// Before the block.
    pub before: U256,
    /// After it.
    pub after: U256,
}

/// Wallets and watched tokens whose balance may have changed in a block: of wallets that it touched all tokens, of others
/// those tokens that named them in a log.
#[must_use]
pub fn pairs(receipts: &[Receipt], touched: &[Address], watched: &Watched) -> Vec<(Address, Address)> {
    let tokens = watched.tokens();
    let mut pairs: Vec<(Address, Address)> =
        touched.iter().flat_map(|wallet| tokens.iter().map(|token| (*wallet, *token))).collect();
    let logs = receipts.iter().flat_map(|receipt| &receipt.logs);
    for log in logs.filter(|log| tokens.binary_search(&log.address).is_ok()) {
        let data = log.data.chunks_exact(32).map(B256::from_slice);
        let named = log.topics.iter().copied().chain(data).map(Address::from_word);
        pairs.extend(named.filter(|named| watched.has(named)).map(|wallet| (wallet, log.address)));
    }
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

/// The call that asks a token for the balance of a wallet: `balanceOf(address)`.
#[must_use]
pub fn question(wallet: &Address) -> Bytes {
    let (signature, word) = (keccak256(b"balanceOf(address)"), wallet.into_word());
    [&signature[..4], &word[..]].concat().into()
}

/// The balance that a token answers. Where there is no contract yet, or none any more, nothing is answered and nobody holds
/// anything; `None` where the answer is no number.
#[must_use]
pub fn units(answer: &Bytes) -> Option<U256> {
    match answer.len() {
        0 => Some(U256::ZERO),
        32.. => Some(U256::from_be_slice(&answer[..32])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use keywatch_store::inventory::{Asset, System, Wallet};
    use serde_json::json;

    use super::*;

    const WALLET: Address = Address::repeat_byte(0x11);
    const OTHER: Address = Address::repeat_byte(0x22);
    const TOKEN: Address = Address::repeat_byte(0x33);
    const QUIET: Address = Address::repeat_byte(0x44);

    fn watched() -> Watched {
        let wallet =
            |wallet: Address| Wallet { wallet: format!("{wallet:#x}"), chain: "base".into(), ..Wallet::default() };
        let asset = |asset: String, chain: &str| Asset { asset, chain: chain.into(), ..Asset::default() };
        let system = System {
            wallets: vec![wallet(WALLET), wallet(OTHER)],
            // Of another chain, and no contract: neither is asked for.
            assets: vec![
                asset(format!("{TOKEN:#x}"), "Base"),
                asset(format!("{QUIET:#x}"), "base"),
                asset(format!("{OTHER:#x}"), "ethereum"),
                asset("ETH".into(), "base"),
            ],
            ..System::default()
        };
        Watched::of(&system, "base").0
    }

    fn receipt(token: Address, words: &[Address]) -> Receipt {
        let words: Vec<String> = words.iter().map(|word| format!("{:#x}", word.into_word())).collect();
        let log = json!({"address": format!("{token:#x}"), "topics": words, "data": "0x", "logIndex": "0x0"});
        let hash = format!("0x{:064x}", 1);
        let receipt = json!({"transactionHash": hash, "blockHash": hash, "gasUsed": "0x1", "logs": [log]});
        serde_json::from_str(&receipt.to_string()).unwrap()
    }

    #[test]
    fn tokens_are_asked_about_wallets_that_they_name_or_that_the_block_touched() {
        let watched = watched();
        assert_eq!(watched.tokens(), [TOKEN, QUIET]);
        let stranger = Address::repeat_byte(0x55);
        let said = [receipt(TOKEN, &[stranger, OTHER]), receipt(stranger, &[OTHER])];
        assert_eq!(pairs(&said, &[], &watched), [(OTHER, TOKEN)]);
        assert_eq!(pairs(&said, &[OTHER], &watched), [(OTHER, TOKEN), (OTHER, QUIET)]);
        assert_eq!(pairs(&said, &[WALLET], &watched), [(WALLET, TOKEN), (WALLET, QUIET), (OTHER, TOKEN)]);
    }

    #[test]
    fn a_balance_is_asked_for_and_answered_in_the_form_of_contracts() {
        let expected = "0x70a082310000000000000000000000001111111111111111111111111111111111111111";
        assert_eq!(question(&WALLET).to_string(), expected);
        let answer = |bytes: Vec<u8>| units(&Bytes::from(bytes));
        assert_eq!(answer(U256::from(98).to_be_bytes_vec()), Some(U256::from(98)));
        assert_eq!((answer(Vec::new()), answer(vec![1])), (Some(U256::ZERO), None));
    }
}
