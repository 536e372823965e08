//! What is asked of the pools of nodes of Bitcoin: the list of what waits, and each transaction in it once.

use std::collections::HashSet;

use bitcoin::consensus::encode::deserialize_hex;
use bitcoin::{OutPoint, ScriptBuf, Transaction, TxOut, Txid};
use keywatch_ingest::chain::bitcoin::balance::satoshi;
use keywatch_ingest::chain::bitcoin::{Coins, Place};
use keywatch_ingest::chain::pool::{Waiting, Whereabouts};
use keywatch_store::{Event, Instant};
use serde_json::{Value, json};

use super::bitcoin::{BitcoinChain, malformed};
use super::node::{Class, Node, Trouble};
use super::pool::PoolChain;
use crate::limits::{NODE_BATCH_MAX, POOL_LOOKED_MAX};

/// What a node says of a transaction that it does not have, Bitcoin Core and btcd alike.
const NO_SUCH_TRANSACTION: i64 = -5;

/// Transactions of a node's pool that were looked at and are still there.
#[derive(Default)]
pub(crate) struct Looked(HashSet<Txid>);

impl BitcoinChain {
    /// The coins that a waiting transaction spends: from the transactions that made them, else from the node's own set of
    /// coins. One that nobody tells is left out; then the fee is not known.
    async fn coins_of(&self, node: &Node, spending: &Transaction) -> Result<Coins, Trouble> {
        let wanted: Vec<OutPoint> = spending.input.iter().map(|input| input.previous_output).collect();
        match self.coins_made(node, &wanted).await {
            Err(trouble) if matches!(trouble.class, Class::Rpc | Class::Missing) => {}
            coins => return coins,
        }
        // A node without an index of transactions knows those that wait, and of the others their coins.
        let mut coins = self.coins_waiting(node, &wanted).await?;
        for at in wanted {
            if coins.contains_key(&at) {
                continue;
            }
            let question = json!([at.txid.to_string(), at.vout, false]);
            let Some(answer) = node.ask_for::<Value>("gettxout", question).await? else { continue };
            let read = || {
                let value = satoshi(&answer["value"])?;
                Some(TxOut { value, script_pubkey: ScriptBuf::from_hex(answer["scriptPubKey"]["hex"].as_str()?).ok()? })
            };
            coins.extend(read().map(|coin| (at, coin)));
        }
        Ok(coins)
    }

    /// Coins of those transactions that the node tells, each for itself.
    async fn coins_waiting(&self, node: &Node, wanted: &[OutPoint]) -> Result<Coins, Trouble> {
        let mut ids: Vec<Txid> = wanted.iter().map(|at| at.txid).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut made = Vec::new();
        for piece in ids.chunks(NODE_BATCH_MAX) {
            made.extend(self.read(node, piece).await?);
        }
        let outputs = made.iter().flat_map(|transaction| {
            let id = transaction.compute_txid();
            (0..).zip(&transaction.output).map(move |(index, output)| (OutPoint::new(id, index), output.clone()))
        });
        Ok(outputs.filter(|(at, _)| wanted.contains(at)).collect())
    }

    async fn read(&self, node: &Node, ids: &[Txid]) -> Result<Vec<Transaction>, Trouble> {
        let ask = |id: &Txid| ("getrawtransaction", json!([id.to_string(), 0]));
        let questions: Vec<(&str, Value)> = ids.iter().map(ask).collect();
        // One that has left meanwhile is an error of its own; it is no longer to be told.
        let mut read = Vec::with_capacity(ids.len());
        for answer in node.ask_each_alone::<String>(&questions).await?.into_iter().flatten() {
            read.push(deserialize_hex(&answer).map_err(|error| malformed(node, &error))?);
        }
        Ok(read)
    }

    /// What these transactions do with the coins of watched wallets.
    async fn look(&self, node: &Node, ids: &[Txid], time: Instant) -> Result<Vec<Waiting>, Trouble> {
        let mut waiting = Vec::new();
        let watched = self.watched();
        for transaction in self.read(node, ids).await? {
            if transaction.input.iter().any(|input| watched.may_spend(input)) {
                let coins = self.coins_of(node, &transaction).await?;
                waiting.push(self.told(&transaction, &coins, time));
            }
        }
        Ok(waiting)
    }

    fn told(&self, transaction: &Transaction, coins: &Coins, time: Instant) -> Waiting {
        let mut events = Vec::new();
        let coin = |at: &OutPoint| coins.get(at).cloned();
        self.decoder(&self.watched()).transaction(transaction, &Place::Pool, time, &coin, &mut events);
        let spends = |event: &Event| event.kind() == "chain.tx" || event.detail().value()["direction"] == "out";
        events.retain(spends);
        Waiting {
            tx: transaction.compute_txid().to_string(),
            slots: transaction.input.iter().map(|input| input.previous_output.to_string()).collect(),
            events,
            turn: None,
        }
    }
}

impl PoolChain for BitcoinChain {
    type Seen = Looked;

    async fn waiting(
        &self,
        node: &Node,
        seen: &mut Looked,
        time: Instant,
        _some_wait: bool,
    ) -> Result<(Vec<Waiting>, usize), Trouble> {
        let pool: Vec<String> = node.ask("getrawmempool", json!([])).await?;
        let ids = pool.iter().map(|id| id.parse::<Txid>()).collect::<Result<HashSet<Txid>, _>>();
        let ids = ids.map_err(|error| malformed(node, &error))?;
        seen.0.retain(|id| ids.contains(id));
        let new: Vec<Txid> = ids.iter().filter(|id| !seen.0.contains(*id)).copied().take(POOL_LOOKED_MAX).collect();
        let mut waiting = Vec::new();
        for piece in new.chunks(NODE_BATCH_MAX) {
            match self.look(node, piece, time).await {
                Ok(told) => waiting.extend(told),
                // What earlier pieces told is not lost with this one, which comes up again.
                Err(_) if !waiting.is_empty() => break,
                Err(trouble) => return Err(trouble),
            }
            seen.0.extend(piece);
        }
        // The rest is looked at in the next turns.
        Ok((waiting, 0))
    }

    async fn whereabouts(&self, node: &Node, tx: &str) -> Result<Whereabouts, Trouble> {
        match node.ask_for::<Value>("getrawtransaction", json!([tx, 0])).await {
            Ok(Some(_)) => Ok(Whereabouts::Known),
            Ok(None) => Ok(Whereabouts::Nowhere),
            // Any other word, as that it is still starting, says nothing of the transaction.
            Err(trouble) if trouble.code == Some(NO_SUCH_TRANSACTION) => Ok(Whereabouts::Nowhere),
            Err(trouble) => Err(trouble),
        }
    }
}
