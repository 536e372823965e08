//! The shapes of what an Ethereum node answers, as far as the follower reads them.
//!
//! Source of the format: the Ethereum JSON-RPC specification (ethereum/execution-apis), `eth_getBlockByNumber` with full
//! transactions, `eth_getBlockReceipts`, and the output of geth's `callTracer`. Members that nobody needs are passed over.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use alloy::primitives::{Address, B256, Bytes, U256};
use serde::de::{DeserializeOwned, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A block with its transactions in full.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Block {
    /// Its hash.
    #[serde(deserialize_with = "parsed")]
    pub hash: B256,
    /// The hash of the block before it.
    #[serde(deserialize_with = "parsed")]
    pub parent_hash: B256,
    /// Height.
    #[serde(deserialize_with = "quantity")]
    pub number: u64,
    /// Unix seconds.
    #[serde(deserialize_with = "quantity")]
    pub timestamp: u64,
    /// Root of the trie of receipts.
    #[serde(deserialize_with = "parsed")]
    pub receipts_root: B256,
    /// What it asks of everybody for a unit of gas (EIP-1559), in wei; chains before that, or without it, say none.
    #[serde(default, deserialize_with = "lenient")]
    pub base_fee_per_gas: Option<U256>,
    /// Transactions, in their order.
    pub transactions: Vec<Transaction>,
    /// Withdrawals of validators (EIP-4895).
    #[serde(default)]
    pub withdrawals: Vec<Withdrawal>,
    /// Hash of the headers of uncles.
    #[serde(default, deserialize_with = "lenient")]
    pub sha3_uncles: Option<B256>,
    /// Who is paid for the block.
    #[serde(default, deserialize_with = "lenient")]
    pub miner: Option<Address>,
    /// Root of the state after it.
    #[serde(default, deserialize_with = "lenient")]
    pub state_root: Option<B256>,
    /// Root of the trie of transactions.
    #[serde(default, deserialize_with = "lenient")]
    pub transactions_root: Option<B256>,
    /// Filter over what its contracts said.
    #[serde(default, deserialize_with = "lenient")]
    pub logs_bloom: Option<Bytes>,
    /// Work that was to be done for it; 0 since the Merge.
    #[serde(default, deserialize_with = "lenient")]
    pub difficulty: Option<U256>,
    /// Gas that it had room for.
    #[serde(default, deserialize_with = "lenient")]
    pub gas_limit: Option<U256>,
    /// Gas that its transactions used.
    #[serde(default, deserialize_with = "lenient")]
    pub gas_used: Option<U256>,
    /// Up to 32 bytes of its maker.
    #[serde(default, deserialize_with = "lenient")]
    pub extra_data: Option<Bytes>,
    /// Randomness of the beacon chain since the Merge.
    #[serde(default, deserialize_with = "lenient")]
    pub mix_hash: Option<B256>,
    /// Eight bytes, which are 0 since the Merge.
    #[serde(default, deserialize_with = "lenient")]
    pub nonce: Option<Bytes>,
    /// Root of the trie of withdrawals (EIP-4895).
    #[serde(default, deserialize_with = "lenient")]
    pub withdrawals_root: Option<B256>,
    /// Gas of its blobs (EIP-4844).
    #[serde(default, deserialize_with = "lenient")]
    pub blob_gas_used: Option<U256>,
    /// Gas of blobs beyond the target so far (EIP-4844).
    #[serde(default, deserialize_with = "lenient")]
    pub excess_blob_gas: Option<U256>,
    /// Root of the beacon block before it (EIP-4788).
    #[serde(default, deserialize_with = "lenient")]
    pub parent_beacon_block_root: Option<B256>,
    /// Hash of what it asks of the beacon chain (EIP-7685).
    #[serde(default, deserialize_with = "lenient")]
    pub requests_hash: Option<B256>,
}

/// A transaction.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Transaction {
    /// Its hash.
    #[serde(deserialize_with = "parsed")]
    pub hash: B256,
    /// Who sent it.
    #[serde(deserialize_with = "parsed")]
    pub from: Address,
    /// What it calls or pays; nothing where it makes a contract.
    #[serde(default, deserialize_with = "optional")]
    pub to: Option<Address>,
    /// Base units of the chain's own asset.
    #[serde(deserialize_with = "parsed")]
    pub value: U256,
    /// Call data.
    #[serde(deserialize_with = "parsed")]
    pub input: Bytes,
    /// The sender's nonce.
    #[serde(deserialize_with = "quantity")]
    pub nonce: u64,
    /// First half of the sender's signature; absent or zero where a chain makes transactions without one.
    #[serde(default, deserialize_with = "optional")]
    pub r: Option<U256>,
    /// Its second half.
    #[serde(default, deserialize_with = "optional")]
    pub s: Option<U256>,
    /// Accounts that say whose code is to run as themselves (EIP-7702).
    #[serde(default)]
    pub authorization_list: Option<Vec<Authorization>>,
    /// Its type (EIP-2718); nodes from before there were types say none.
    #[serde(rename = "type", default, deserialize_with = "lenient")]
    pub kind: Option<U256>,
    /// Chain it is for.
    #[serde(default, deserialize_with = "lenient")]
    pub chain_id: Option<U256>,
    /// Gas that it may use.
    #[serde(default, deserialize_with = "lenient")]
    pub gas: Option<U256>,
    /// Price of a unit of it, of types 0 and 1.
    #[serde(default, deserialize_with = "lenient")]
    pub gas_price: Option<U256>,
    /// Of that price the most for the block's maker (EIP-1559).
    #[serde(default, deserialize_with = "lenient")]
    pub max_priority_fee_per_gas: Option<U256>,
    /// The most that it pays for a unit of gas (EIP-1559).
    #[serde(default, deserialize_with = "lenient")]
    pub max_fee_per_gas: Option<U256>,
    /// The most that it pays for a unit of gas of blobs (EIP-4844).
    #[serde(default, deserialize_with = "lenient")]
    pub max_fee_per_blob_gas: Option<U256>,
    /// What it says it will reach (EIP-2930).
    #[serde(default, deserialize_with = "lenient_list")]
    pub access_list: Option<Vec<Access>>,
    /// Hashes of its blobs (EIP-4844).
    #[serde(default, deserialize_with = "lenient_list")]
    pub blob_versioned_hashes: Option<Vec<Word>>,
    /// Which of two keys signed.
    #[serde(default, deserialize_with = "lenient")]
    pub y_parity: Option<U256>,
    /// The same with the chain in it, of type 0.
    #[serde(default, deserialize_with = "lenient")]
    pub v: Option<U256>,
}

/// An account that a transaction says it will reach, and what of its storage (EIP-2930).
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Access {
    /// The account.
    #[serde(deserialize_with = "parsed")]
    pub address: Address,
    /// Slots of its storage.
    #[serde(deserialize_with = "list")]
    pub storage_keys: Vec<B256>,
}

/// 32 bytes of a list.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Word(#[serde(deserialize_with = "parsed")] pub B256);

/// An account's word that the code at an address is to run as itself from now on (EIP-7702).
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Authorization {
    /// Chain it is for, or 0 for all.
    #[serde(deserialize_with = "parsed")]
    pub chain_id: U256,
    /// Where the code is.
    #[serde(deserialize_with = "parsed")]
    pub address: Address,
    /// The account's number that it uses.
    #[serde(deserialize_with = "quantity")]
    pub nonce: u64,
    /// Which of two keys signed.
    #[serde(default, deserialize_with = "optional")]
    pub y_parity: Option<U256>,
    /// The same as some nodes write it, also as 27 or 28.
    #[serde(default, deserialize_with = "optional")]
    pub v: Option<U256>,
    /// First half of the signature.
    #[serde(deserialize_with = "parsed")]
    pub r: U256,
    /// Its second half.
    #[serde(deserialize_with = "parsed")]
    pub s: U256,
}

impl Authorization {
    /// Whether it was the second of the two keys; nothing where that is not said.
    pub(super) fn parity(&self) -> Option<bool> {
        let said = self.y_parity.map_or_else(|| self.v.map(|v| (v, true)), |parity| Some((parity, false)));
        match said.map(|(said, is_v)| (u64::try_from(said), is_v))? {
            (Ok(0), _) | (Ok(27), true) => Some(false),
            (Ok(1), _) | (Ok(28), true) => Some(true),
            _ => None,
        }
    }
}

impl Transaction {
    /// Both halves of the sender's signature, each as 64 hexadecimal digits.
    pub(super) fn signature(&self) -> Option<(String, String)> {
        let (r, s) = self.r.zip(self.s).filter(|(r, s)| !r.is_zero() && !s.is_zero())?;
        Some((format!("{r:064x}"), format!("{s:064x}")))
    }
}

/// A payment of the beacon chain to an account.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Withdrawal {
    /// Its number.
    #[serde(deserialize_with = "quantity")]
    pub index: u64,
    /// The account.
    #[serde(deserialize_with = "parsed")]
    pub address: Address,
    /// 10^9 base units each.
    #[serde(deserialize_with = "parsed")]
    pub amount: U256,
    /// The validator.
    #[serde(default, deserialize_with = "lenient")]
    pub validator_index: Option<U256>,
}

/// What became of a transaction.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// The transaction.
    #[serde(deserialize_with = "parsed")]
    pub transaction_hash: B256,
    /// The block.
    #[serde(deserialize_with = "parsed")]
    pub block_hash: B256,
    /// 1 succeeded, 0 failed; absent before Byzantium.
    #[serde(default, deserialize_with = "optional")]
    pub status: Option<U256>,
    /// Gas used.
    #[serde(deserialize_with = "parsed")]
    pub gas_used: U256,
    /// Price of a unit of gas.
    #[serde(default, deserialize_with = "optional")]
    pub effective_gas_price: Option<U256>,
    /// Gas of blobs (EIP-4844).
    #[serde(default, deserialize_with = "optional")]
    pub blob_gas_used: Option<U256>,
    /// Price of a unit of it.
    #[serde(default, deserialize_with = "optional")]
    pub blob_gas_price: Option<U256>,
    /// What a rollup charges besides for its parent chain.
    #[serde(default, deserialize_with = "optional")]
    pub l1_fee: Option<U256>,
    /// The contract made.
    #[serde(default, deserialize_with = "optional")]
    pub contract_address: Option<Address>,
    /// What contracts said.
    pub logs: Vec<Log>,
    /// Type of its transaction (EIP-2718).
    #[serde(rename = "type", default, deserialize_with = "lenient")]
    pub kind: Option<U256>,
    /// Gas used by it and those before it in the block.
    #[serde(default, deserialize_with = "lenient")]
    pub cumulative_gas_used: Option<U256>,
    /// Filter over what contracts said.
    #[serde(default, deserialize_with = "lenient")]
    pub logs_bloom: Option<Bytes>,
    /// Root of the state after it, before Byzantium.
    #[serde(default, deserialize_with = "lenient")]
    pub root: Option<B256>,
}

/// What a contract said.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Log {
    /// The contract.
    #[serde(deserialize_with = "parsed")]
    pub address: Address,
    /// The event's signature and its indexed parameters.
    #[serde(deserialize_with = "list")]
    pub topics: Vec<B256>,
    /// The other parameters.
    #[serde(deserialize_with = "parsed")]
    pub data: Bytes,
    /// Its number in the block.
    #[serde(deserialize_with = "quantity")]
    pub log_index: u64,
}

/// A call within a transaction, with the calls that it made.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct CallFrame {
    /// `CALL`, `DELEGATECALL`, `STATICCALL`, `CREATE`, `SELFDESTRUCT` …
    #[serde(rename = "type", default)]
    pub kind: String,
    /// Who called.
    #[serde(default, deserialize_with = "optional")]
    pub from: Option<Address>,
    /// What was called.
    #[serde(default, deserialize_with = "optional")]
    pub to: Option<Address>,
    /// Base units that went with it.
    #[serde(default, deserialize_with = "optional")]
    pub value: Option<U256>,
    /// Call data.
    #[serde(default, deserialize_with = "optional")]
    pub input: Option<Bytes>,
    /// Why it failed; what it and its calls did is then undone.
    #[serde(default)]
    pub error: Option<String>,
    /// Its calls.
    #[serde(default)]
    pub calls: Vec<CallFrame>,
}

/// The trace of one transaction of a block.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trace {
    /// The transaction, where the node says it.
    #[serde(default, deserialize_with = "optional")]
    pub tx_hash: Option<B256>,
    /// Its outermost call.
    pub result: CallFrame,
}

impl Receipt {
    /// Whether it succeeded; before Byzantium nothing said so.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.status.is_none_or(|status| !status.is_zero())
    }

    /// What the sender paid for it, base units.
    #[must_use]
    pub fn fee(&self) -> U256 {
        let product =
            |gas: Option<U256>, price: Option<U256>| gas.unwrap_or_default().saturating_mul(price.unwrap_or_default());
        product(Some(self.gas_used), self.effective_gas_price)
            .saturating_add(product(self.blob_gas_used, self.blob_gas_price))
            .saturating_add(self.l1_fee.unwrap_or_default())
    }
}

/// A text that has a form of its own, as an address.
struct Text<T>(PhantomData<T>);

impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("hexadecimal digits behind 0x")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(|problem| E::custom(format_args!("{problem}")))
    }
}

fn parsed<'de, D: Deserializer<'de>, T: FromStr<Err: fmt::Display>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_str(Text(PhantomData))
}

/// A wrapper that serde can put into options and lists.
struct Parsed<T>(T);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer).map(Parsed)
    }
}

fn optional<'de, D: Deserializer<'de>, T: FromStr<Err: fmt::Display>>(deserializer: D) -> Result<Option<T>, D::Error> {
    Ok(Option::<Parsed<T>>::deserialize(deserializer)?.map(|Parsed(value)| value))
}

/// What is only needed to prove something: where a node writes it in another form, it is not there, and the block is read.
struct Lenient<T>(PhantomData<T>);

impl<'de, T: FromStr> Visitor<'de> for Lenient<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Option<T>, E> {
        Ok(text.parse().ok())
    }

    fn visit_unit<E: Error>(self) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Option<T>, A::Error> {
        while sequence.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<T>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

fn lenient<'de, D: Deserializer<'de>, T: FromStr>(deserializer: D) -> Result<Option<T>, D::Error> {
    deserializer.deserialize_any(Lenient(PhantomData))
}

fn lenient_list<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<Vec<T>>, D::Error> {
    // Not as values, of which a list of very many empty ones takes ten times as much as its text.
    let text = Box::<RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(text.get()).ok())
}

fn list<'de, D: Deserializer<'de>, T: FromStr<Err: fmt::Display>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    struct List<T>(PhantomData<T>);
    impl<'de, T: FromStr<Err: fmt::Display>> Visitor<'de> for List<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of hexadecimal texts")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Vec<T>, A::Error> {
            let mut items = Vec::with_capacity(4);
            while let Some(Parsed(item)) = sequence.next_element()? {
                items.push(item);
            }
            Ok(items)
        }
    }
    deserializer.deserialize_seq(List(PhantomData))
}

/// A number that fits 64 bits, hexadecimal behind `0x`.
///
/// # Errors
/// What is wrong with the text.
pub fn parse_quantity(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix("0x").ok_or_else(|| format!("`{text}` is no quantity"))?;
    u64::from_str_radix(digits, 16).map_err(|problem| format!("`{text}`: {problem}"))
}

fn quantity<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    struct Quantity;
    impl Visitor<'_> for Quantity {
        type Value = u64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a quantity, hexadecimal behind 0x")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
            parse_quantity(text).map_err(E::custom)
        }
    }
    deserializer.deserialize_str(Quantity)
}
