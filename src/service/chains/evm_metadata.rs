//! What is asked of nodes about tokens: what their contracts say of themselves. Which are asked for, and what the answers mean,
//! is decided in `keywatch_ingest::chain::evm::metadata`.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use alloy::primitives::{Address, Bytes};
use keywatch_ingest::chain::evm::ReadBlock;
use keywatch_ingest::chain::evm::metadata::{self, Metadata};
use keywatch_ingest::limits::TOKENS_ASKED_MAX;
use keywatch_store::Event;
use serde_json::{Value, json};

use super::node::Node;
use crate::limits::{METADATA_AGAIN_SECONDS, METADATA_GAS_MAX, METADATA_TOKENS_MAX};

/// When each token was last told, unix seconds of its block.
#[derive(Default)]
pub(crate) struct Told(Mutex<HashMap<Address, u64>>);

impl Told {
    /// Those of the tokens that were not told lately, as many as are asked.
    fn open(&self, tokens: Vec<Address>, now: u64) -> Vec<Address> {
        let told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_open =
            |token: &Address| told.get(token).is_none_or(|at| now >= at.saturating_add(METADATA_AGAIN_SECONDS));
        tokens.into_iter().filter(is_open).take(TOKENS_ASKED_MAX).collect()
    }

    /// Takes what was told of blocks.
    pub(super) fn take(&self, events: &[Event]) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for event in events.iter().filter(|event| event.kind() == "chain.asset") {
            let token: Option<Address> = event.detail().value()["token"].as_str().and_then(|token| token.parse().ok());
            let at = u64::try_from(event.event_time().nanoseconds() / 1_000_000_000).unwrap_or_default();
            // Whoever sends a new token each time makes old ones be asked again, and no more.
            if told.len() >= METADATA_TOKENS_MAX {
                told.clear();
            }
            told.extend(token.map(|token| (token, at)));
        }
    }
}

/// What the tokens say that moved in a block and were not told lately. One that answers nothing is passed over. Anybody makes a
/// token that takes long or answers much: whatever goes wrong with them holds up no block.
pub(super) async fn read(node: &Node, already: &Told, read: &ReadBlock, moved: Vec<Address>) -> Vec<Metadata> {
    let tokens = already.open(moved, read.block.timestamp);
    let at = json!({ "blockHash": format!("{:#x}", read.block.hash) });
    let of = |token: &Address| metadata::questions().map(|data| question(token, &data, &at));
    let questions: Vec<(&str, Value)> = tokens.iter().flat_map(of).collect();
    let Ok(answers) = node.ask_each_alone::<String>(&questions).await else { return Vec::new() };
    let said = tokens.into_iter().zip(answers.chunks_exact(2)).map(|(token, answers)| Metadata {
        token,
        symbol: bytes(answers[0].as_ref()).as_ref().and_then(metadata::symbol),
        decimals: bytes(answers[1].as_ref()).as_ref().and_then(metadata::decimals),
    });
    said.filter(|said| said.symbol.is_some() || said.decimals.is_some()).collect()
}

fn question(token: &Address, data: &Bytes, at: &Value) -> (&'static str, Value) {
    let gas = format!("{METADATA_GAS_MAX:#x}");
    ("eth_call", json!([{"to": format!("{token:#x}"), "data": data.to_string(), "gas": gas}, at]))
}

fn bytes(answer: Option<&String>) -> Option<Bytes> {
    answer.and_then(|text| text.parse().ok())
}

#[cfg(test)]
mod tests {
    use keywatch_store::Instant;
    use keywatch_store::event::Origin;

    use super::*;

    #[test]
    fn tokens_that_were_told_lately_take_no_place_of_others() {
        let token = |index: usize| Address::with_last_byte(u8::try_from(index).unwrap());
        let tokens: Vec<Address> = (1..=TOKENS_ASKED_MAX + 5).map(token).collect();
        let told = Told::default();
        assert_eq!(told.open(tokens.clone(), 1_000), tokens[..TOKENS_ASKED_MAX]);
        let origin = Origin { system: "cold".into(), source: "node".into() };
        let events: Vec<Event> = tokens[..TOKENS_ASKED_MAX]
            .iter()
            .map(|token| {
                let token = format!("{token:#x}");
                let time = Instant::from_unix_seconds(1_000).unwrap();
                Event::builder(&origin, &token, "chain.asset", time).detail(&json!({ "token": token })).build_own()
            })
            .collect();
        told.take(&events);
        assert_eq!(told.open(tokens.clone(), 1_001), tokens[TOKENS_ASKED_MAX..]);
        assert_eq!(told.open(tokens.clone(), 1_000 + METADATA_AGAIN_SECONDS), tokens[..TOKENS_ASKED_MAX]);
    }

    #[test]
    fn a_contract_gets_little_gas_for_its_answer() {
        let (method, asked) =
            question(&Address::repeat_byte(1), &Bytes::from(vec![0xab]), &json!({"blockHash": "0x1"}));
        assert_eq!((method, &asked[0]["gas"], &asked[0]["data"]), ("eth_call", &json!("0xf4240"), &json!("0xab")));
        assert_eq!(asked[1], json!({"blockHash": "0x1"}));
    }
}
