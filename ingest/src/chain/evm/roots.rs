//! Whether a block's hash vouches for what a node answers of it. The hash is that of the header; the header holds the roots of
//! the tries of transactions, receipts and withdrawals; and a transaction's signature says who sent it. So a node can only say
//! something else than the chain by naming another hash, which other nodes do not have.
//!
//! What the hash does not vouch for: the price that a receipt names, and what is asked beside the block, as calls, storage and
//! balances are.
//!
//! Sources: Yellow Paper, section 4.3; EIP-2718, EIP-1559, EIP-4895, EIP-4844, EIP-4788, EIP-7685 for what a header has had since.

use alloy::primitives::{Address, B256, U256, keccak256};
use alloy::trie::root::ordered_trie_root_encoded;

use super::rlp::{put, put_list, put_number};
use super::rpc::{Block, Receipt};
use super::signed::{self, Signed};

/// Holds a block, its transactions and their receipts against the block's hash.
///
/// # Errors
/// They are not what the hash stands for, or are of a form that is not known here.
pub fn check(block: &Block, receipts: &[Receipt]) -> Result<(), String> {
    check_parts(block, receipts).map_err(|problem| format!("block {} ({:#x}): {problem}", block.number, block.hash))
}

/// Holds the sender of each transaction of a block that was checked against its signature. Takes some 0.2 ms each.
///
/// # Errors
/// Somebody else signed, or the transaction is of a form that is not known here.
pub fn check_senders(block: &Block) -> Result<(), String> {
    for sent in &block.transactions {
        let signer = Signed::of(sent).and_then(|signed| signed.signer());
        if signer != Some(sent.from) {
            let (at, hash, from) = (block.number, sent.hash, sent.from);
            return Err(format!("block {at} ({:#x}): {from:#x} did not sign {hash:#x}", block.hash));
        }
    }
    Ok(())
}

fn check_parts(block: &Block, receipts: &[Receipt]) -> Result<(), String> {
    let header = header(block).ok_or("its header lacks what every header has")?;
    if keccak256(&header) != block.hash {
        return Err("its header has another hash".to_owned());
    }
    let mut sent = Vec::with_capacity(block.transactions.len());
    for transaction in &block.transactions {
        let whole = Signed::of(transaction).map(|signed| signed.whole());
        let whole = whole.ok_or_else(|| format!("{:#x} is of a form that is not known", transaction.hash))?;
        if keccak256(&whole) != transaction.hash {
            return Err(format!("{:#x} has another hash", transaction.hash));
        }
        let has_list = transaction.authorization_list.as_ref().is_some_and(|list| !list.is_empty());
        if has_list && signed::kind(transaction.kind) != Some(signed::DELEGATING) {
            return Err(format!("{:#x} is of a type that carries no authorizations", transaction.hash));
        }
        sent.push(whole);
    }
    same("transactions", &sent, block.transactions_root)?;
    makes(block, receipts)?;
    let (mut became, mut gas, mut logs) = (Vec::with_capacity(receipts.len()), U256::ZERO, 0_u64);
    for receipt in receipts {
        let hash = receipt.transaction_hash;
        let whole = whole_receipt(receipt);
        became.push(whole.ok_or_else(|| format!("the receipt of {hash:#x} is of a form that is not known"))?);
        gas = gas.saturating_add(receipt.gas_used);
        if receipt.cumulative_gas_used != Some(gas) {
            return Err(format!("the receipt of {hash:#x} says that it used other gas than it did"));
        }
        for log in &receipt.logs {
            if log.log_index != logs {
                return Err(format!("the receipt of {hash:#x} counts log {} as {logs}", log.log_index));
            }
            logs += 1;
        }
    }
    same("receipts", &became, Some(block.receipts_root))?;
    let Some(root) = block.withdrawals_root else {
        return if block.withdrawals.is_empty() { Ok(()) } else { Err("its hash knows no withdrawals".to_owned()) };
    };
    let paid: Option<Vec<Vec<u8>>> = block
        .withdrawals
        .iter()
        .map(|paid| {
            let mut list = Vec::with_capacity(64);
            put_number(&mut list, U256::from(paid.index));
            put_number(&mut list, paid.validator_index?);
            put(&mut list, paid.address.as_slice());
            put_number(&mut list, paid.amount);
            Some(listed(&list))
        })
        .collect();
    same("withdrawals", &paid.ok_or("a withdrawal names no validator")?, Some(root))
}

/// Holds the address of each contract that a transaction makes against who sends it: no trie has it.
fn makes(block: &Block, receipts: &[Receipt]) -> Result<(), String> {
    for (sent, receipt) in block.transactions.iter().zip(receipts) {
        let (said, made) = (receipt.contract_address, created(sent.from, sent.nonce));
        let is_so = sent.to.is_some() || said == Some(made) || (said.is_none() && !receipt.succeeded());
        if !is_so {
            return Err(format!("the receipt of {:#x} names another contract than it makes", sent.hash));
        }
    }
    Ok(())
}

/// Where a contract stands that an account makes with its transaction of that number (Yellow Paper, section 7).
fn created(from: Address, nonce: u64) -> Address {
    let mut list = Vec::with_capacity(32);
    put(&mut list, from.as_slice());
    put_number(&mut list, U256::from(nonce));
    Address::from_word(keccak256(listed(&list)))
}

/// Holds the root of the trie of `items`, which are numbered, against the header's.
fn same(what: &str, items: &[Vec<u8>], root: Option<B256>) -> Result<(), String> {
    let found = ordered_trie_root_encoded(items);
    if Some(found) == root { Ok(()) } else { Err(format!("its hash stands for other {what}")) }
}

/// The header as it is hashed; `None` where a field is missing that all headers have.
fn header(block: &Block) -> Option<Vec<u8>> {
    let mut list = Vec::with_capacity(768);
    for word in [block.parent_hash, block.sha3_uncles?] {
        put(&mut list, word.as_slice());
    }
    put(&mut list, block.miner?.as_slice());
    for word in [block.state_root?, block.transactions_root?, block.receipts_root] {
        put(&mut list, word.as_slice());
    }
    put(&mut list, block.logs_bloom.as_ref()?);
    for number in
        [block.difficulty?, U256::from(block.number), block.gas_limit?, block.gas_used?, U256::from(block.timestamp)]
    {
        put_number(&mut list, number);
    }
    put(&mut list, block.extra_data.as_ref()?);
    put(&mut list, block.mix_hash?.as_slice());
    put(&mut list, block.nonce.as_ref()?);
    // Each of these came with a fork, and those after it later: one that was left out would let the next stand in its place.
    let forks = [
        block.base_fee_per_gas.is_some(),
        block.withdrawals_root.is_some(),
        block.blob_gas_used.is_some(),
        block.excess_blob_gas.is_some(),
        block.parent_beacon_block_root.is_some(),
        block.requests_hash.is_some(),
    ];
    if forks.windows(2).any(|pair| pair == [false, true]) {
        return None;
    }
    block.base_fee_per_gas.iter().for_each(|fee| put_number(&mut list, *fee));
    block.withdrawals_root.iter().for_each(|root| put(&mut list, root.as_slice()));
    block.blob_gas_used.iter().for_each(|gas| put_number(&mut list, *gas));
    block.excess_blob_gas.iter().for_each(|gas| put_number(&mut list, *gas));
    block.parent_beacon_block_root.iter().for_each(|root| put(&mut list, root.as_slice()));
    block.requests_hash.iter().for_each(|hash| put(&mut list, hash.as_slice()));
    Some(listed(&list))
}

/// A receipt as it stands in the trie.
fn whole_receipt(receipt: &Receipt) -> Option<Vec<u8>> {
    let kind = signed::kind(receipt.kind)?;
    let bytes: usize = receipt.logs.iter().map(|log| log.data.len() + 160).sum();
    let mut list = Vec::with_capacity(bytes + 320);
    match (receipt.status, receipt.root) {
        (Some(status), _) if status <= U256::ONE => put_number(&mut list, status),
        (None, Some(root)) => put(&mut list, root.as_slice()),
        // A root of before Byzantium written as a number is no status.
        _ => return None,
    }
    put_number(&mut list, receipt.cumulative_gas_used?);
    put(&mut list, receipt.logs_bloom.as_ref()?);
    let mut logs = Vec::with_capacity(bytes);
    for log in &receipt.logs {
        let mut said = Vec::with_capacity(log.data.len() + 160);
        put(&mut said, log.address.as_slice());
        let mut topics = Vec::with_capacity(33 * log.topics.len());
        log.topics.iter().for_each(|topic| put(&mut topics, topic.as_slice()));
        put_list(&mut said, &topics);
        put(&mut said, &log.data);
        put_list(&mut logs, &said);
    }
    put_list(&mut list, &logs);
    let mut whole = if kind == 0 { Vec::new() } else { vec![kind] };
    put_list(&mut whole, &list);
    Some(whole)
}

fn listed(list: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(list.len() + 9);
    put_list(&mut out, list);
    out
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;

    /// Blocks of a geth of its own chain, with transactions of every type, one that failed, logs, a blob and a withdrawal.
    fn recorded() -> Vec<Value> {
        include_str!("roots/geth.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn parts(answers: &Value) -> (Block, Vec<Receipt>) {
        let block = Block::deserialize(&answers["block"]).unwrap();
        (block, Vec::deserialize(&answers["receipts"]).unwrap())
    }

    fn checked(answers: &Value) -> Result<(), String> {
        let (block, receipts) = parts(answers);
        check(&block, &receipts).and_then(|()| check_senders(&block))
    }

    #[test]
    fn a_block_is_what_its_hash_stands_for_with_transactions_of_every_type() {
        let mut kinds = Vec::new();
        for answers in recorded() {
            assert_eq!(checked(&answers), Ok(()));
            kinds.extend(parts(&answers).0.transactions.iter().map(|sent| sent.kind.unwrap()));
        }
        kinds.sort_unstable();
        kinds.dedup();
        assert_eq!(kinds, [0, 1, 2, 3, 4].map(U256::from));
    }

    #[test]
    fn whatever_a_node_changes_is_found() {
        let [first, second] = &recorded()[..] else { panic!("two blocks are recorded") };
        let address = json!("0x00000000000000000000000000000000000000aa");
        let changes = [
            (first, "/block/timestamp", json!("0x1")),
            (first, "/block/number", json!("0x99")),
            (first, "/block/parentHash", first["block"]["hash"].clone()),
            (first, "/block/hash", second["block"]["hash"].clone()),
            (first, "/block/receiptsRoot", second["block"]["receiptsRoot"].clone()),
            (first, "/block/transactions/0/value", json!("0x1")),
            (first, "/block/transactions/0/to", address.clone()),
            (first, "/block/transactions/0/from", address.clone()),
            (first, "/block/transactions/0/hash", first["block"]["transactions"][2]["hash"].clone()),
            (first, "/block/transactions/2/accessList", json!([])),
            (first, "/block/transactions/3/input", json!("0x00")),
            (first, "/block/transactions/4/authorizationList", json!([])),
            (first, "/receipts/5/status", json!("0x1")),
            (first, "/receipts/0/status", json!("0x0")),
            (first, "/receipts/0/gasUsed", json!("0x1")),
            (first, "/receipts/1/contractAddress", address.clone()),
            (first, "/receipts/1/contractAddress", Value::Null),
            (first, "/receipts/1/logs", json!([])),
            (first, "/receipts/1/logs/0/data", json!("0x")),
            (first, "/receipts/1/logs/0/address", address.clone()),
            (first, "/receipts/1/logs/0/logIndex", json!("0x1")),
            (second, "/block/transactions/0/blobVersionedHashes", json!([])),
            (second, "/block/withdrawals", json!([])),
            (second, "/block/withdrawals/0/amount", json!("0x65")),
            (second, "/block/withdrawals/0/address", address),
        ];
        for (answers, place, value) in changes {
            let mut changed = answers.clone();
            let field = changed.pointer_mut(place).unwrap_or_else(|| panic!("{place}"));
            assert_ne!(*field, value, "{place}");
            *field = value;
            assert!(checked(&changed).is_err(), "{place}");
        }
        let mut without = first.clone();
        without["block"]["transactions"].as_array_mut().unwrap().pop();
        without["receipts"].as_array_mut().unwrap().pop();
        assert!(checked(&without).unwrap_err().ends_with("its hash stands for other transactions"), "one was left out");
    }

    #[test]
    fn a_transaction_of_another_type_carries_no_authorizations() {
        let mut changed = recorded().remove(0);
        let list = changed["block"]["transactions"][4]["authorizationList"].clone();
        assert_eq!(list.as_array().map(Vec::len), Some(1));
        changed["block"]["transactions"][0]["authorizationList"] = list;
        assert!(checked(&changed).unwrap_err().ends_with("is of a type that carries no authorizations"));
        changed["block"]["transactions"][0]["authorizationList"] = json!([]);
        assert_eq!(checked(&changed), Ok(()), "an empty one says nothing");
    }

    #[test]
    fn what_a_header_lacks_leaves_its_place_to_nothing_else() {
        // As headers were between the forks Shanghai and Cancun.
        let mut before = recorded().remove(1);
        for later in ["blobGasUsed", "excessBlobGas", "parentBeaconBlockRoot", "requestsHash"] {
            before["block"][later] = Value::Null;
        }
        let hash = keccak256(header(&parts(&before).0).unwrap());
        before["block"]["hash"] = json!(format!("{hash:#x}"));
        assert_eq!(checked(&before), Ok(()));
        let mut hiding = before;
        let root = hiding["block"]["withdrawalsRoot"].take();
        hiding["block"]["blobGasUsed"] = root;
        hiding["block"]["withdrawals"] = json!([]);
        assert!(checked(&hiding).unwrap_err().ends_with("its header lacks what every header has"));
    }

    #[test]
    fn what_is_of_an_unknown_form_is_said_and_vouched_for_by_nothing() {
        let first = &recorded()[0];
        for (place, said) in [
            ("/block/stateRoot", "its header lacks what every header has"),
            ("/block/requestsHash", "its header has another hash"),
            ("/block/transactions/3/maxFeePerGas", "is of a form that is not known"),
            ("/receipts/3/logsBloom", "is of a form that is not known"),
        ] {
            for other in [Value::Null, json!(7)] {
                let mut changed = first.clone();
                *changed.pointer_mut(place).unwrap() = other;
                let problem = checked(&changed).unwrap_err();
                assert!(problem.starts_with("block 5 (0x239b") && problem.ends_with(said), "{place}: {problem}");
            }
        }
        let mut changed = first.clone();
        changed["block"]["transactions"][0]["type"] = json!("0x7e");
        assert!(checked(&changed).unwrap_err().ends_with("is of a form that is not known"), "one of a rollup");
    }
}
