//! Which balances of watched tokens are asked for at a block, and how. A token says in logs what moved, and may mean
//! something else: one that takes a fee credits less than it says, one that rebases changes balances and says nothing. So
//! what wallets hold is asked of the token itself, before the block and after it.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};

use super::rpc::{Block, CallFrame, Receipt, Trace, Transaction};
use super::watch::Watched;
use crate::limits::BALANCES_COMPARED_MAX;

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

/// Balances that are asked for at a block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs {
    /// Wallets and tokens, in the order of addresses.
    pub asked: Vec<(Address, Address)>,
    /// How many more there would be.
    pub left_out: usize,
}

/// Selectors of calls after which only the balances of the called token differ: `transfer`, `transferFrom`, `approve`.
const PLAIN: [[u8; 4]; 3] = [[0xa9, 0x05, 0x9c, 0xbb], [0x23, 0xb8, 0x72, 0xdd], [0x09, 0x5e, 0xa7, 0xb3]];

/// What a Safe says of value that somebody sent to it: anybody can make it say so.
static RECEIVED: LazyLock<B256> = LazyLock::new(|| keccak256(b"SafeReceived(address,uint256)"));

/// Wallets and watched tokens whose balance may have changed in a block: where the token named the wallet in a log, where the
/// wallet called it, all tokens of wallets that acted or were called with data, whatever contract they did it through, and of
/// wallets that the block touched the tokens that rebase, or all of them where the block's calls are `unread` and nobody knows
/// which tokens they reached. Whoever sends dust to everybody makes no more of them than there are tokens that say so. What
/// wallets gave or called themselves comes first where there are too many, then those that acted.
#[must_use]
pub fn pairs(
    block: &Block,
    receipts: &[Receipt],
    traces: Option<&[Trace]>,
    unread: bool,
    touched: &[Address],
    watched: &Watched,
) -> Pairs {
    let tokens = watched.tokens();
    let is_token = |address: &Address| tokens.binary_search(address).is_ok();
    let mut first: BTreeSet<(Address, Address)> = BTreeSet::new();
    let mut others: BTreeSet<(Address, Address)> = BTreeSet::new();
    let called = block.transactions.iter().filter_map(|sent| Some((sent.from, sent.to?)));
    first.extend(called.filter(|(from, to)| watched.has(from) && is_token(to)));
    let mut open: Vec<&CallFrame> = traces.into_iter().flatten().map(|trace| &trace.result).collect();
    while let Some(call) = open.pop() {
        let called = call.from.zip(call.to).filter(|(from, to)| watched.has(from) && is_token(to));
        first.extend(called);
        open.extend(&call.calls);
    }
    let logs = receipts.iter().flat_map(|receipt| &receipt.logs);
    for log in logs.filter(|log| is_token(&log.address)) {
        // The first that a transfer names is whoever gives.
        let gives = log.topics.get(1).copied().map(Address::from_word);
        first.extend(gives.filter(|wallet| watched.has(wallet)).map(|wallet| (wallet, log.address)));
        let data = log.data.chunks_exact(32).map(B256::from_slice);
        let named = log.topics.iter().copied().chain(data).map(Address::from_word);
        others.extend(named.filter(|named| watched.has(named)).map(|wallet| (wallet, log.address)));
    }
    let of_all = |wallet: Address| tokens.iter().map(move |token| (wallet, *token));
    let acted = acted(block, receipts, traces, watched);
    let acted: BTreeSet<(Address, Address)> = acted.into_iter().flat_map(of_all).collect();
    others.extend(called_with_data(block, receipts, watched).flat_map(of_all));
    let silent = if unread { tokens } else { watched.rebasing() };
    others.extend(touched.iter().flat_map(|wallet| silent.iter().map(|token| (*wallet, *token))));
    let acted_too = acted.difference(&first).copied();
    let others = others.iter().filter(|pair| !first.contains(*pair) && !acted.contains(*pair)).copied();
    let mut asked: Vec<(Address, Address)> = first.iter().copied().chain(acted_too).chain(others).collect();
    let left_out = asked.len().saturating_sub(BALANCES_COMPARED_MAX);
    asked.truncate(BALANCES_COMPARED_MAX);
    asked.sort_unstable();
    Pairs { asked, left_out }
}

/// Watched wallets that had code run: they sent data or made a contract, spoke in a log, or called something from within where
/// calls are known. The code may have moved any of their tokens, and tokens need not say so.
fn acted(block: &Block, receipts: &[Receipt], traces: Option<&[Trace]>, watched: &Watched) -> BTreeSet<Address> {
    let is_plain = |sent: &Transaction| {
        let selector = sent.input.get(..4).unwrap_or_default();
        let is_token = sent.to.is_some_and(|to| watched.tokens().binary_search(&to).is_ok());
        is_token && PLAIN.iter().any(|plain| plain.as_slice() == selector)
    };
    let sent = succeeded(block, receipts).filter(|sent| watched.has(&sent.from));
    let sent = sent.filter(|sent| (sent.to.is_none() || !sent.input.is_empty()) && !is_plain(sent));
    let mut acted: BTreeSet<Address> = sent.map(|sent| sent.from).collect();
    let logs = receipts.iter().flat_map(|receipt| &receipt.logs).filter(|log| watched.has(&log.address));
    acted.extend(logs.filter(|log| log.topics.first() != Some(&*RECEIVED)).map(|log| log.address));
    // The outermost call is the transaction.
    let mut open: Vec<&CallFrame> = traces.into_iter().flatten().flat_map(|trace| &trace.result.calls).collect();
    while let Some(call) = open.pop() {
        // Neither changes anything, nor does what it calls.
        if call.error.is_some() || call.kind == "STATICCALL" {
            continue;
        }
        let has_data = call.input.as_ref().is_some_and(|input| !input.is_empty());
        acted.extend(call.from.filter(|from| has_data && watched.has(from)));
        open.extend(&call.calls);
    }
    acted
}

/// Watched wallets that a transaction calls with data: where they are contracts, or accounts that delegate to one, that may be
/// an order to move something.
fn called_with_data<'a>(
    block: &'a Block,
    receipts: &'a [Receipt],
    watched: &'a Watched,
) -> impl Iterator<Item = Address> + 'a {
    let called = succeeded(block, receipts).filter(|sent| !sent.input.is_empty());
    called.filter_map(|sent| sent.to).filter(move |to| watched.has(to))
}

/// The transactions of a block but for those that failed, which change nothing.
fn succeeded<'a>(block: &'a Block, receipts: &'a [Receipt]) -> impl Iterator<Item = &'a Transaction> + 'a {
    let sent = block.transactions.iter().enumerate();
    sent.filter(move |(index, _)| receipts.get(*index).is_none_or(Receipt::succeeded)).map(|(_, sent)| sent)
}

/// Every balance of every watched wallet in every watched token.
#[must_use]
pub fn all(watched: &Watched) -> Pairs {
    let of = |wallet: Address| watched.tokens().iter().map(move |token| (wallet, *token));
    Pairs { asked: watched.addresses().into_iter().flat_map(of).collect(), left_out: 0 }
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
                Asset { rebases: true, ..asset(format!("{QUIET:#x}"), "base") },
                asset(format!("{OTHER:#x}"), "ethereum"),
                asset("ETH".into(), "base"),
            ],
            ..System::default()
        };
        Watched::of(&system, "base").0
    }

    fn block(sent: &[(Address, Address)]) -> Block {
        let sent: Vec<_> = sent.iter().map(|(from, to)| (*from, *to, "0x")).collect();
        block_of(&sent)
    }

    fn block_of(sent: &[(Address, Address, &str)]) -> Block {
        let hash = format!("0x{:064x}", 1);
        let transaction = |(from, to, input): &(Address, Address, &str)| {
            json!({
                "hash": hash,
                "from": format!("{from:#x}"),
                "to": format!("{to:#x}"),
                "nonce": "0x0",
                "value": "0x0",
                "input": input,
            })
        };
        let sent: Vec<_> = sent.iter().map(transaction).collect();
        let block = json!({
            "hash": hash,
            "parentHash": hash,
            "number": "0x1",
            "timestamp": "0x1",
            "receiptsRoot": hash,
            "transactions": sent,
        });
        serde_json::from_str(&block.to_string()).unwrap()
    }

    fn receipt(token: Address, words: &[Address]) -> Receipt {
        let words: Vec<String> = words.iter().map(|word| format!("{:#x}", word.into_word())).collect();
        let log = json!({"address": format!("{token:#x}"), "topics": words, "data": "0x", "logIndex": "0x0"});
        let hash = format!("0x{:064x}", 1);
        let receipt = json!({"transactionHash": hash, "blockHash": hash, "gasUsed": "0x1", "logs": [log]});
        serde_json::from_str(&receipt.to_string()).unwrap()
    }

    #[test]
    fn tokens_are_asked_about_wallets_that_they_name_or_that_call_them() {
        let watched = watched();
        assert_eq!((watched.tokens(), watched.rebasing()), (&[TOKEN, QUIET][..], &[QUIET][..]));
        let stranger = Address::repeat_byte(0x55);
        let said = [receipt(TOKEN, &[stranger, OTHER]), receipt(stranger, &[OTHER])];
        let asked = |sent: &[(Address, Address)], said: &[Receipt], traces: Option<&[Trace]>, touched: &[Address]| {
            let pairs = pairs(&block(sent), said, traces, false, touched, &watched);
            assert_eq!(pairs.left_out, 0);
            pairs.asked
        };
        assert_eq!(asked(&[], &said, None, &[]), [(OTHER, TOKEN)]);
        assert_eq!(asked(&[], &said, None, &[WALLET]), [(WALLET, QUIET), (OTHER, TOKEN)], "one that rebases");
        assert_eq!(asked(&[(WALLET, TOKEN)], &[], None, &[]), [(WALLET, TOKEN)], "it says nothing");
        assert!(asked(&[(stranger, TOKEN), (WALLET, OTHER)], &[], None, &[]).is_empty());
        let call = |from, to| CallFrame { from: Some(from), to: Some(to), ..CallFrame::default() };
        let result = CallFrame { calls: vec![call(OTHER, TOKEN)], ..call(stranger, OTHER) };
        assert_eq!(asked(&[], &[], Some(&[Trace { tx_hash: None, result }]), &[]), [(OTHER, TOKEN)]);
        let unread = pairs(&block(&[]), &[], None, true, &[WALLET], &watched);
        assert_eq!(unread.asked, [(WALLET, TOKEN), (WALLET, QUIET)], "whom calls reached is not known");
    }

    #[test]
    fn a_wallet_that_had_code_run_is_compared_in_every_token_though_none_says_anything() {
        let (watched, router) = (watched(), Address::repeat_byte(0x55));
        let all_of = |wallet| -> Vec<(Address, Address)> { vec![(wallet, TOKEN), (wallet, QUIET)] };
        let asked = |from, to, input: &str, said: &[Receipt]| {
            pairs(&block_of(&[(from, to, input)]), said, None, false, &[], &watched).asked
        };
        assert_eq!(asked(WALLET, router, "0x12345678", &[]), all_of(WALLET));
        assert!(asked(WALLET, router, "0x", &[]).is_empty(), "value alone moves no token");
        let mut failed = receipt(router, &[]);
        failed.status = Some(U256::ZERO);
        assert!(asked(WALLET, router, "0x12345678", &[failed]).is_empty(), "what failed changed nothing");
        // A declared token that is called for nothing else than to move or allow its own units.
        assert_eq!(asked(WALLET, TOKEN, "0xa9059cbb", &[]), [(WALLET, TOKEN)]);
        assert_eq!(asked(WALLET, TOKEN, "0x12345678", &[]), all_of(WALLET));
        // A wallet that is a contract, and is told to do something.
        assert_eq!(asked(router, OTHER, "0x12345678", &[]), all_of(OTHER));
        assert_eq!(asked(router, router, "0x12345678", &[receipt(OTHER, &[router])]), all_of(OTHER));
        let mut received = receipt(OTHER, &[]);
        received.logs[0].topics = vec![*RECEIVED];
        assert!(asked(router, router, "0x12345678", &[received]).is_empty(), "dust makes a Safe speak too");
        let call = |from, to, kind: &str| CallFrame {
            kind: kind.to_owned(),
            from: Some(from),
            to: Some(to),
            input: Some(Bytes::from(vec![1, 2, 3, 4])),
            ..CallFrame::default()
        };
        let within = |kind: &str| {
            let result = CallFrame { calls: vec![call(OTHER, router, kind)], ..call(router, router, "CALL") };
            let traces = [Trace { tx_hash: None, result }];
            pairs(&block(&[]), &[], Some(&traces), false, &[], &watched).asked
        };
        assert_eq!((within("CALL"), within("STATICCALL")), (all_of(OTHER), Vec::new()));
    }

    #[test]
    fn dust_to_everybody_is_bounded_and_leaves_out_nobody_who_gave() {
        let crowd: Vec<Address> =
            (0..3000_u64).map(|number| Address::from_word(U256::from(number + 1).into())).collect();
        let wallet =
            |wallet: &Address| Wallet { wallet: format!("{wallet:#x}"), chain: "base".into(), ..Wallet::default() };
        let asset = |asset: Address| Asset { asset: format!("{asset:#x}"), chain: "base".into(), ..Asset::default() };
        let system = System {
            wallets: crowd.iter().map(wallet).collect(),
            assets: vec![asset(TOKEN), asset(QUIET)],
            ..System::default()
        };
        let (watched, stranger) = (Watched::of(&system, "base").0, Address::repeat_byte(0x55));
        let topic = Address::repeat_byte(0x66);
        let mut said: Vec<Receipt> = crowd.iter().map(|to| receipt(TOKEN, &[topic, stranger, *to])).collect();
        let gave = *crowd.last().unwrap();
        said.push(receipt(TOKEN, &[topic, gave, stranger]));
        let pairs = pairs(&block(&[]), &said, None, false, &crowd, &watched);
        assert_eq!((pairs.asked.len(), pairs.left_out), (BALANCES_COMPARED_MAX, 3000 - BALANCES_COMPARED_MAX));
        assert!(pairs.asked.contains(&(gave, TOKEN)), "others are nearer to the front");
        assert_eq!(all(&watched).asked.len(), 6000);
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
