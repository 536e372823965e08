//! What is asked of nodes about addresses that wallets use and nobody declared: code, number and balance before the block, and
//! which block made a contract. Which are asked about, and what the answers mean, is decided in
//! `keywatch_ingest::chain::evm::destinations`.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alloy::primitives::{Address, Bytes};
use keywatch_ingest::chain::evm::Block;
use keywatch_ingest::chain::evm::destinations::{self, Search, Seen, Since, Use};
use keywatch_ingest::chain::evm::rpc::parse_quantity;
use keywatch_ingest::limits::{CONTRACTS_DATED_MAX, DESTINATIONS_ASKED_MAX};
use keywatch_store::Event;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::node::Node;
use crate::limits::{DESTINATIONS_AGAIN_SECONDS, DESTINATIONS_TOLD_MAX};

/// A wallet, whom it uses, and what for.
type Key = (Address, Address, String);

/// When each use was last told: unix seconds of its block, and its height.
#[derive(Default)]
pub(crate) struct Told(Mutex<HashMap<Key, (u64, u64)>>);

#[derive(Deserialize)]
struct Made {
    timestamp: String,
}

impl Told {
    fn held(&self) -> MutexGuard<'_, HashMap<Key, (u64, u64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those of the uses that were not told lately, as many as are asked.
    fn open(&self, uses: Vec<Use>, now: u64) -> Vec<Use> {
        let told = self.held();
        let is_open = |used: &Use| is_due(&told, &(used.wallet, used.destination, used.purpose().to_owned()), now);
        uses.into_iter().filter(is_open).take(DESTINATIONS_ASKED_MAX).collect()
    }

    /// Leaves out of a block's events what was told lately, and takes the rest for told. Blocks are fetched beside each other,
    /// so that one may have been asked for before what another one tells of was known.
    pub(super) fn leave_out(&self, events: &mut Vec<Event>) {
        let mut told = self.held();
        events.retain(|event| {
            let Some((key, now, height)) = key(event) else { return true };
            if !is_due(&told, &key, now) {
                return false;
            }
            // Whoever uses a new address each time makes old ones be told again, and no more.
            if told.len() >= DESTINATIONS_TOLD_MAX {
                told.clear();
            }
            told.insert(key, (now, height));
            true
        });
    }

    /// What was told of blocks above that height is taken back.
    pub(super) fn rewind(&self, fork: u64) {
        self.held().retain(|_, (_, height)| *height <= fork);
    }
}

fn is_due(told: &HashMap<Key, (u64, u64)>, key: &Key, now: u64) -> bool {
    told.get(key).is_none_or(|(at, _)| now >= at.saturating_add(DESTINATIONS_AGAIN_SECONDS))
}

/// Which use an event tells, with the unix seconds and the height of its block.
fn key(event: &Event) -> Option<(Key, u64, u64)> {
    if event.kind() != "chain.destination" {
        return None;
    }
    let detail = event.detail().value();
    let key: Key =
        (event.wallet()?.parse().ok()?, event.to_address()?.parse().ok()?, detail["used"].as_str()?.to_owned());
    let at = u64::try_from(event.event_time().unix_seconds()).unwrap_or_default();
    Some((key, at, detail["block"].as_u64()?))
}

/// What a node knows of those addresses that were not told of lately. One that it cannot tell of, as of a block that is older
/// than its state, is passed over, and so is what takes it longer than `patience` all together: nothing of this holds up a block.
pub(super) async fn read(node: &Node, told: &Told, block: &Block, uses: Vec<Use>, patience: Duration) -> Vec<Seen> {
    let until = Instant::now() + patience;
    let open = told.open(uses, block.timestamp);
    let questions: Vec<(&str, Value)> = open.iter().flat_map(|used| questions(used, block)).collect();
    let answered = timeout_at(until, node.ask_each_alone::<String>(&questions)).await;
    let Ok(Ok(answers)) = answered else { return Vec::new() };
    let answered = open.into_iter().zip(answers.chunks_exact(4));
    let mut seen: Vec<Seen> = answered.filter_map(|(used, answers)| destinations::seen(used, answers)).collect();
    let contracts = (0..seen.len()).filter(|index| seen[*index].is_contract());
    let dated: Vec<usize> = contracts.take(CONTRACTS_DATED_MAX).collect();
    for index in dated {
        let Ok(found) = timeout_at(until, since(node, &seen[index], block)).await else { break };
        seen[index].since = found;
    }
    seen
}

/// Code after the block; code, number and balance before it.
fn questions(used: &Use, block: &Block) -> [(&'static str, Value); 4] {
    let to = format!("{:#x}", used.destination);
    let [after, before] = [block.hash, block.parent_hash].map(|hash| json!({ "blockHash": format!("{hash:#x}") }));
    [
        ("eth_getCode", json!([to, after])),
        ("eth_getCode", json!([to, before])),
        ("eth_getTransactionCount", json!([to, before])),
        ("eth_getBalance", json!([to, before])),
    ]
}

/// Since when the code of a contract stands there, as far as the node has state that old.
async fn since(node: &Node, seen: &Seen, block: &Block) -> Since {
    if seen.code_before.is_empty() {
        return Since { created: Some((block.number, block.timestamp)), known: Some(block.number) };
    }
    let mut search = Search::behind(block.number.saturating_sub(1));
    while let Some(height) = search.asks() {
        let parameters = json!([format!("{:#x}", seen.used.destination), format!("{height:#x}")]);
        let answer: Option<String> = node.ask("eth_getCode", parameters).await.ok();
        let code: Option<Bytes> = answer.and_then(|text| text.parse().ok());
        search.take(height, code.map(|code| code == seen.code_before));
    }
    let (created, known) = search.found();
    let created = match created {
        Some(height) => made(node, height).await.map(|timestamp| (height, timestamp)),
        None => None,
    };
    Since { created, known: Some(known) }
}

/// Unix seconds of a block.
async fn made(node: &Node, height: u64) -> Option<u64> {
    let block: Made = node.ask("eth_getBlockByNumber", json!([format!("{height:#x}"), false])).await.ok()?;
    parse_quantity(&block.timestamp).ok()
}

#[cfg(test)]
mod tests {
    use keywatch_ingest::chain::evm::Watched;
    use keywatch_store::Instant as Time;
    use keywatch_store::event::Origin;
    use tokio::net::TcpListener;

    use super::super::node::NodeSettings;
    use super::*;
    use crate::service::metrics::Metrics;

    fn told_at(height: u64, to: u8, used: &str, seconds: i64) -> Event {
        let origin = Origin { system: "cold".into(), source: "node".into() };
        let time = Time::from_unix_seconds(seconds).unwrap();
        let mut event = Event::builder(&origin, &format!("{height}/{to}/{used}"), "chain.destination", time);
        event.wallet(format!("{:#x}", Address::with_last_byte(1)));
        event.to_address(format!("{:#x}", Address::with_last_byte(to)));
        event.detail(&json!({"used": used, "block": height})).build_own()
    }

    fn left(told: &Told, event: Event) -> bool {
        let origin = Origin { system: "cold".into(), source: "node".into() };
        let other = Event::builder(&origin, "other", "chain.tx", Time(1)).build_own();
        let mut events = vec![other, event];
        told.leave_out(&mut events);
        assert_eq!(events[0].kind(), "chain.tx", "nothing else is left out");
        events.len() == 2
    }

    #[test]
    fn each_use_is_told_once_a_day_and_again_where_its_block_was_left() {
        let told = Told::default();
        assert!(left(&told, told_at(10, 2, "payment", 1_000)));
        assert!(!left(&told, told_at(11, 2, "payment", 1_012)));
        assert!(left(&told, told_at(12, 2, "delegatecall", 1_024)), "a payment excuses no delegatecall");
        assert!(left(&told, told_at(12, 3, "payment", 1_024)));
        told.rewind(11);
        assert!(left(&told, told_at(12, 3, "payment", 1_030)));
        assert!(!left(&told, told_at(12, 2, "payment", 1_030)), "its block is still there");
        let again = 1_000 + i64::try_from(DESTINATIONS_AGAIN_SECONDS).unwrap();
        assert!(left(&told, told_at(9_000, 2, "payment", again)));
    }

    #[tokio::test]
    async fn a_node_that_does_not_answer_holds_up_no_block_for_longer_than_is_borne() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let url = format!("http://{}", silent.local_addr().unwrap()).parse().unwrap();
        let settings = NodeSettings { name: "silent".to_owned(), url, requests_per_second: 1000 };
        let node = Node::new(&settings, "base", Metrics::new()).unwrap();
        let word = format!("{:#x}", Address::repeat_byte(7).into_word());
        let block = json!({
            "hash": word, "parentHash": word, "number": "0x9", "timestamp": "0x1", "receiptsRoot": word, "transactions": [],
        });
        let block: Block = serde_json::from_value(block).unwrap();
        let origin = Origin { system: "cold".into(), source: "node".into() };
        let mut event = Event::builder(&origin, "9", "chain.contract", Time(1));
        event.wallet(format!("{:#x}", Address::repeat_byte(1)));
        let event =
            event.detail(&json!({"change": "owner", "after": format!("{:#x}", Address::repeat_byte(7))})).build_own();
        let uses = destinations::uses(&[event], &Watched::default(), "base");
        assert_eq!(uses.len(), 1);
        let told = Told::default();
        let asked = read(&node, &told, &block, uses, Duration::from_millis(50));
        let seen = tokio::time::timeout(Duration::from_secs(10), asked).await;
        assert_eq!(seen, Ok(Vec::new()));
    }
}
