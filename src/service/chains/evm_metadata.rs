//! What is asked of nodes about tokens: what their contracts say of themselves. Which are asked for, and what the answers mean,
//! is decided in `keywatch_ingest::chain::evm::metadata`.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use alloy::primitives::{Address, Bytes};
use keywatch_ingest::chain::evm::ReadBlock;
use keywatch_ingest::chain::evm::metadata::{self, Metadata};
use keywatch_store::Event;
use serde_json::{Value, json};

use super::node::{Class, Node, Trouble};
use crate::limits::{METADATA_AGAIN_SECONDS, METADATA_TOKENS_MAX};

/// When each token was last told, unix seconds of its block.
#[derive(Default)]
pub(crate) struct Told(Mutex<HashMap<Address, u64>>);

impl Told {
    /// Those of the tokens that were not told lately.
    fn open(&self, tokens: Vec<Address>, now: u64) -> Vec<Address> {
        let told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_open =
            |token: &Address| told.get(token).is_none_or(|at| now >= at.saturating_add(METADATA_AGAIN_SECONDS));
        tokens.into_iter().filter(is_open).collect()
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

/// What the tokens say that moved in a block and were not told lately. One that answers nothing is passed over.
pub(super) async fn read(
    node: &Node,
    already: &Told,
    read: &ReadBlock,
    moved: Vec<Address>,
) -> Result<Vec<Metadata>, Trouble> {
    let tokens = already.open(moved, read.block.timestamp);
    let at = json!({ "blockHash": format!("{:#x}", read.block.hash) });
    let ask = |token: &Address, data: Bytes| {
        ("eth_call", json!([{"to": format!("{token:#x}"), "data": data.to_string()}, at]))
    };
    let of = |token: &Address| metadata::questions().map(|data| ask(token, data));
    let questions: Vec<(&str, Value)> = tokens.iter().flat_map(of).collect();
    let answers = match node.ask_each_alone::<String>(&questions).await {
        Ok(answers) => answers,
        // An answer that is too long, or no bytes, is a token's doing.
        Err(trouble) if matches!(trouble.class, Class::Malformed | Class::Rpc) => return Ok(Vec::new()),
        Err(trouble) => return Err(trouble),
    };
    let said = tokens.into_iter().zip(answers.chunks_exact(2)).map(|(token, answers)| Metadata {
        token,
        symbol: bytes(answers[0].as_ref()).as_ref().and_then(metadata::symbol),
        decimals: bytes(answers[1].as_ref()).as_ref().and_then(metadata::decimals),
    });
    Ok(said.filter(|said| said.symbol.is_some() || said.decimals.is_some()).collect())
}

fn bytes(answer: Option<&String>) -> Option<Bytes> {
    answer.and_then(|text| text.parse().ok())
}
