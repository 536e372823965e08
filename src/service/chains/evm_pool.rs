//! What is asked of the pools of nodes of Ethereum and its relatives.
//!
//! A node is asked for a filter of new waiting transactions (`eth_newPendingTransactionFilter`), and then for what passed
//! it. What waited before is read from the block that the node would make next. A filter that the node has forgotten is
//! asked for anew. A transaction that only asks a watched Safe is tried with `eth_call`, since anybody can ask.

use std::collections::{HashMap, HashSet};

use alloy::primitives::{Address, B256};
use keywatch_ingest::chain::evm::rpc::{Transaction, parse_quantity};
use keywatch_ingest::chain::evm::sender::{Sender, sender};
use keywatch_ingest::chain::pool::{Turn, Waiting, Whereabouts};
use keywatch_store::{Event, Instant};
use serde::Deserialize;
use serde_json::{Value, json};

use super::evm::EvmChain;
use super::node::{Class, Node, Trouble};
use super::pool::PoolChain;
use crate::limits::{NODE_BATCH_MAX, POOL_LOOKED_MAX};

/// The filter that a node has for us.
#[derive(Default)]
pub(crate) struct Filter {
    id: Option<String>,
    /// Transactions that it showed under another sender than their signature has.
    misattributed: HashSet<B256>,
    /// What is to be recorded of them.
    reports: Vec<Event>,
}

#[derive(Deserialize)]
struct Pending {
    #[serde(default)]
    transactions: Vec<Value>,
}

/// A filter's answer: hashes, or with some nodes whole transactions.
#[derive(Deserialize)]
#[serde(untagged)]
enum Passed {
    Hash(String),
    Whole(Value),
}

impl EvmChain {
    /// What is new in the pool: transactions as the node tells them, and how many there was no room for.
    async fn passed(&self, node: &Node, filter: &mut Filter) -> Result<(Vec<Value>, usize), Trouble> {
        let Some(id) = filter.id.clone() else {
            filter.id = Some(node.ask("eth_newPendingTransactionFilter", json!([])).await?);
            return Ok((Vec::new(), 0));
        };
        let passed: Vec<Passed> = match node.ask("eth_getFilterChanges", json!([id])).await {
            // It keeps filters for some minutes, and none over a restart.
            Err(trouble) if trouble.class == Class::Rpc => {
                filter.id = None;
                return Err(trouble);
            }
            passed => passed?,
        };
        let room = passed.len().min(POOL_LOOKED_MAX);
        let skipped = passed.len() - room;
        let mut whole = Vec::new();
        let mut hashes: Vec<String> = Vec::new();
        for passed in passed.into_iter().take(room) {
            match passed {
                Passed::Hash(hash) => hashes.push(hash),
                Passed::Whole(value) => whole.push(value),
            }
        }
        for piece in hashes.chunks(NODE_BATCH_MAX) {
            let ask = |hash: &String| ("eth_getTransactionByHash", json!([hash]));
            let questions: Vec<(&str, Value)> = piece.iter().map(ask).collect();
            let answers = node.ask_each_alone::<Value>(&questions).await;
            if answers.is_err() {
                // A filter tells each once: what is lost here is looked for in the next block.
                filter.id = None;
            }
            whole.extend(answers?.into_iter().flatten());
        }
        Ok((whole, skipped))
    }

    /// What a node would put into its next block. Not every node tells; then what waited before is not seen.
    async fn next_block(&self, node: &Node) -> Result<Vec<Value>, Trouble> {
        match node.ask_for::<Pending>("eth_getBlockByNumber", json!(["pending", true])).await {
            Ok(block) => Ok(block.map(|block| block.transactions).unwrap_or_default()),
            Err(trouble) if matches!(trouble.class, Class::Rpc | Class::Malformed) => Ok(Vec::new()),
            Err(trouble) => Err(trouble),
        }
    }

    /// Whether a watched Safe would do what it is asked for.
    async fn would_be_done(&self, node: &Node, asked: &Transaction) -> Result<bool, Trouble> {
        let call = json!({
            "from": format!("{:#x}", asked.from),
            "to": asked.to.map(|to| format!("{to:#x}")),
            "value": format!("{:#x}", asked.value),
            "data": asked.input.to_string(),
        });
        match node.ask::<Value>("eth_call", json!([call, "latest"])).await {
            Ok(_) => Ok(true),
            Err(trouble) if trouble.class == Class::Rpc => Ok(false),
            Err(trouble) => Err(trouble),
        }
    }

    /// Whether a node shows a transaction under another sender than its signature has; that is recorded once.
    fn is_misattributed(
        &self,
        node: &Node,
        seen: &mut Filter,
        shown: &Value,
        transaction: &Transaction,
        time: Instant,
    ) -> bool {
        let by = match sender(shown, self.network.id) {
            Sender::Unknown => return false,
            Sender::Signed(by) if by == transaction.from => return false,
            Sender::Signed(by) => format!("{by:#x}"),
            Sender::Nobody => "nobody on this chain".to_owned(),
        };
        if seen.misattributed.len() >= POOL_LOOKED_MAX {
            seen.misattributed.clear();
        }
        if seen.misattributed.insert(transaction.hash) {
            let (name, from) = (node.name(), format!("{:#x}", transaction.from));
            let tx = format!("{:#x}", transaction.hash);
            let id = format!("disagreement/{}/pool/{tx}/{name}/{}", self.network.name, time.nanoseconds());
            let mut event = Event::builder(&self.origin, &id, "chain.disagreement", time);
            event.chain(&self.network.name);
            event.reason(format!("node `{name}` shows a waiting transaction as sent by {from}, signed by {by}: {tx}"));
            let said = json!([{"endpoint": name, "says": from}, {"endpoint": "its signature", "says": by}]);
            seen.reports.push(event.detail(&json!({"transaction": tx, "said": said})).build_own());
        }
        true
    }

    /// What watched accounts signed into a waiting transaction and is not used up, since anybody may send that again: each uses a
    /// number that blocks have not taken of the account yet.
    async fn delegated(&self, node: &Node, transaction: &Transaction, time: Instant) -> Vec<Event> {
        let decoder = self.decoder();
        let mut told = Vec::new();
        for delegation in decoder.delegating(transaction) {
            let next = if delegation.authority == transaction.from {
                // The transaction itself takes one.
                Some(transaction.nonce.saturating_add(1))
            } else {
                next_number(node, &delegation.authority).await
            };
            if next.is_none_or(|next| delegation.nonce >= next) {
                told.push(decoder.will_delegate(transaction, &delegation, time));
            }
        }
        told
    }
}

/// The number that a block takes next of an account; nothing where the node does not tell.
async fn next_number(node: &Node, account: &Address) -> Option<u64> {
    let asked = json!([format!("{account:#x}"), "latest"]);
    let answer = node.ask::<String>("eth_getTransactionCount", asked).await.ok()?;
    parse_quantity(&answer).ok()
}

/// Whether it stands in a block already.
fn is_mined(transaction: &Value) -> bool {
    transaction.get("blockHash").is_some_and(|hash| !hash.is_null())
}

impl PoolChain for EvmChain {
    type Seen = Filter;

    async fn waiting(
        &self,
        node: &Node,
        seen: &mut Filter,
        time: Instant,
        some_wait: bool,
    ) -> Result<(Vec<Waiting>, usize), Trouble> {
        let is_new = seen.id.is_none();
        let (passed, skipped) = self.passed(node, seen).await?;
        // What waited before the filter is in none; nor do all nodes pass one that replaces another through it.
        let next = if is_new || some_wait { self.next_block(node).await? } else { Vec::new() };
        let decoder = self.decoder();
        let mut waiting = Vec::new();
        let mut numbers: HashMap<Address, Option<u64>> = HashMap::new();
        // Some nodes give the transactions of the next block a hash of it.
        let next = next.into_iter().map(|value| (value, false));
        let passed = passed.into_iter().map(|value| {
            let stands = is_mined(&value);
            (value, stands)
        });
        for (value, stands) in passed.chain(next) {
            // Pools hold transactions of kinds that are not known here; blocks are read strictly, and they are in one later.
            let Ok(transaction) = Transaction::deserialize(&value) else { continue };
            if !decoder.is_about_watched(&transaction) || self.is_misattributed(node, seen, &value, &transaction, time)
            {
                continue;
            }
            if decoder.may_be_refused(&transaction) {
                match self.would_be_done(node, &transaction).await {
                    Ok(true) => {}
                    Ok(false) => continue,
                    Err(_) => {
                        // It could not be tried; what else there is is told, and this one is looked for again.
                        seen.id = None;
                        continue;
                    }
                }
            }
            let mut told = decoder.waiting(&transaction, time);
            told.events.extend(self.delegated(node, &transaction, time).await);
            if stands {
                told.events.clear();
            } else if self.watched.has(&transaction.from) {
                let next = match numbers.get(&transaction.from) {
                    Some(next) => *next,
                    None => next_number(node, &transaction.from).await,
                };
                numbers.insert(transaction.from, next);
                let account = format!("{:#x}", transaction.from);
                told.turn = next.map(|next| Turn { account, next, nonce: transaction.nonce });
            }
            waiting.push(told);
        }
        Ok((waiting, skipped))
    }

    fn reports(seen: &mut Filter) -> Vec<Event> {
        std::mem::take(&mut seen.reports)
    }

    async fn whereabouts(&self, node: &Node, tx: &str) -> Result<Whereabouts, Trouble> {
        let answer: Option<Value> = node.ask_for("eth_getTransactionByHash", json!([tx])).await?;
        Ok(if answer.is_some() { Whereabouts::Known } else { Whereabouts::Nowhere })
    }
}
