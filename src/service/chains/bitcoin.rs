//! What is asked of nodes of Bitcoin. What the answers mean is decided in `keywatch_ingest::chain::bitcoin`.
//!
//! Only what Bitcoin Core and btcd answer alike is asked: heights, hashes, and blocks and transactions as bytes. Bytes are
//! checked against the hash that they were asked by, so that a node can withhold and not invent.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;
use std::sync::{Arc, PoisonError, RwLock};

use bitcoin::consensus::encode::deserialize_hex;
use bitcoin::{Block, BlockHash, Network, OutPoint, ScriptBuf, Transaction, TxOut, Txid, constants};
use keywatch_ingest::chain::bitcoin::balance::{self, satoshi};
use keywatch_ingest::chain::bitcoin::{Coins, Decoder, Heights, Place, Watched};
use keywatch_ingest::chain::follow::{BlockRef, ReadRef, Used};
use keywatch_ingest::chain::holdings::{Difference, Held, Listed, Move};
use keywatch_store::event::Origin;
use keywatch_store::{Event, Instant, line};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::follower::chain::{Chain, Fetched, Header as NodeHeader};
use super::node::{Class, Node, Trouble};
use crate::limits::{NODE_BATCH_MAX, SCAN_SECONDS_MAX};

/// What a node says of a height that it does not have: Bitcoin Core, btcd.
const NO_SUCH_HEIGHT: [i64; 2] = [-8, -1];

/// What a node says to a question that it does not know, as JSON-RPC 2.0 has it.
const NO_SUCH_METHOD: i64 = -32601;

/// A chain of Bitcoin and what is watched on it.
pub(crate) struct BitcoinChain {
    /// Who the events are written under.
    pub(crate) origin: Origin,
    /// As events name it.
    pub(crate) name: String,
    /// Its network.
    pub(crate) network: Network,
    /// What is watched; it grows with the addresses of descriptors that are paid.
    watched: RwLock<Arc<Watched>>,
}

/// A block, and the coins that its watched transactions spend.
pub(crate) struct ReadBlock {
    block: Block,
    coins: Coins,
    /// Of the coins that watched wallets spend, as far as the node tells.
    heights: Heights,
    /// What was watched when its coins were asked for.
    watched: Arc<Watched>,
}

impl BitcoinChain {
    /// A chain on which that is watched.
    pub(crate) fn new(origin: Origin, name: String, network: Network, watched: Watched) -> BitcoinChain {
        BitcoinChain { origin, name, network, watched: RwLock::new(Arc::new(watched)) }
    }

    /// What is watched now.
    pub(super) fn watched(&self) -> Arc<Watched> {
        Arc::clone(&self.watched.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What is watched once these transactions are seen.
    fn grown(&self, transactions: &[Transaction]) -> Arc<Watched> {
        let now = self.watched();
        if !now.grows(transactions) {
            return now;
        }
        let mut watched = self.watched.write().unwrap_or_else(PoisonError::into_inner);
        let mut more = Watched::clone(&watched);
        more.grow(transactions);
        *watched = Arc::new(more);
        Arc::clone(&watched)
    }

    pub(super) fn decoder<'a>(&'a self, watched: &'a Watched) -> Decoder<'a> {
        Decoder { origin: &self.origin, chain: &self.name, network: self.network, watched }
    }

    /// Coins from the transactions that made them, for which a node needs an index of transactions; else from the node's
    /// own notes on how to undo the block, which Bitcoin Core tells from version 25 on.
    async fn coins(
        &self,
        node: &Node,
        hash: &str,
        wanted: &[OutPoint],
        watched: &Watched,
    ) -> Result<(Coins, Heights), Trouble> {
        match self.coins_made(node, wanted).await {
            Err(trouble) if trouble.class == Class::Rpc => match coins_undone(node, hash, wanted).await {
                Ok(coins) => Ok(coins),
                Err(_) => Err(trouble),
            },
            coins => {
                let coins = coins?;
                let is_watched = |coin: &TxOut| watched.wallet(&coin.script_pubkey).is_some();
                let own = coins.iter().filter(|(_, coin)| is_watched(coin)).map(|(at, _)| at.txid);
                let ids: BTreeSet<Txid> = own.collect();
                let heights = heights(node, &ids).await?;
                Ok((coins, heights))
            }
        }
    }

    pub(super) async fn coins_made(&self, node: &Node, wanted: &[OutPoint]) -> Result<Coins, Trouble> {
        let mut ids: Vec<Txid> = wanted.iter().map(|outpoint| outpoint.txid).collect();
        ids.sort_unstable();
        ids.dedup();
        let questions: Vec<(&str, Value)> =
            ids.iter().map(|id| ("getrawtransaction", json!([id.to_string(), 0]))).collect();
        let answers: Vec<String> = node.ask_many(&questions).await?;
        let mut made: HashMap<Txid, Transaction> = HashMap::new();
        for (id, answer) in ids.iter().zip(&answers) {
            let transaction: Transaction = deserialize_hex(answer).map_err(|error| malformed(node, &error))?;
            if transaction.compute_txid() != *id {
                return Err(node.trouble(Class::Malformed, format!("it answers another transaction than {id}")));
            }
            made.insert(*id, transaction);
        }
        let coin = |at: &OutPoint| Some((*at, made.get(&at.txid)?.output.get(usize::try_from(at.vout).ok()?)?.clone()));
        let coins: Coins = wanted.iter().filter_map(coin).collect();
        if coins.len() < wanted.len() {
            return Err(node.trouble(Class::Malformed, "a transaction lacks an output that is spent".into()));
        }
        Ok(coins)
    }
}

/// A transaction as far as its place goes (`getrawtransaction` of verbosity 1).
#[derive(Deserialize)]
struct Mined {
    #[serde(default)]
    blockhash: Option<String>,
}

/// A header as far as its place goes (`getblockheader`).
#[derive(Deserialize)]
struct Header {
    height: u64,
}

/// A header as far as its time goes, unix seconds (`getblockheader`).
#[derive(Deserialize)]
struct Stamped {
    time: i64,
}

/// Heights of the blocks that transactions stand in. One that the node does not tell is left out and stops no block.
async fn heights(node: &Node, ids: &BTreeSet<Txid>) -> Result<Heights, Trouble> {
    let ids: Vec<Txid> = ids.iter().copied().collect();
    let mut heights = Heights::new();
    for piece in ids.chunks(NODE_BATCH_MAX) {
        let questions: Vec<(&str, Value)> =
            piece.iter().map(|id| ("getrawtransaction", json!([id.to_string(), 1]))).collect();
        let mined = node.ask_each_alone::<Mined>(&questions).await?;
        let blocks: Vec<(Txid, String)> =
            piece.iter().zip(mined).filter_map(|(id, mined)| Some((*id, mined?.blockhash?))).collect();
        let questions: Vec<(&str, Value)> = blocks.iter().map(|(_, hash)| ("getblockheader", json!([hash]))).collect();
        let headers = node.ask_each_alone::<Header>(&questions).await?;
        let told = blocks.into_iter().zip(headers);
        heights.extend(told.filter_map(|((id, _), header)| Some((id, header?.height))));
    }
    Ok(heights)
}

/// Coins as the node tells them beside the inputs that spend them, with the heights at which they were made. Nothing proves
/// them but the node's word.
async fn coins_undone(node: &Node, hash: &str, wanted: &[OutPoint]) -> Result<(Coins, Heights), Trouble> {
    let block: Value = node.ask("getblock", json!([hash, 3])).await?;
    let lacks = || node.trouble(Class::Missing, "it does not tell the coins that a block spends".into());
    undone(&block, wanted).ok_or_else(lacks)
}

/// The coins that a block of verbosity 3 tells, where all of those that are wanted are among them.
fn undone(block: &Value, wanted: &[OutPoint]) -> Option<(Coins, Heights)> {
    let empty = Vec::new();
    let (mut coins, mut heights) = (Coins::new(), Heights::new());
    for input in block["tx"].as_array().unwrap_or(&empty).iter().flat_map(|tx| tx["vin"].as_array().unwrap_or(&empty)) {
        let read = || {
            let id: Txid = input["txid"].as_str()?.parse().ok()?;
            let at = OutPoint::new(id, u32::try_from(input["vout"].as_u64()?).ok()?);
            let value = satoshi(&input["prevout"]["value"])?;
            let script_pubkey = ScriptBuf::from_hex(input["prevout"]["scriptPubKey"]["hex"].as_str()?).ok()?;
            Some((at, TxOut { value, script_pubkey }))
        };
        let Some((at, coin)) = read() else { continue };
        heights.extend(input["prevout"]["height"].as_u64().map(|height| (at.txid, height)));
        coins.insert(at, coin);
    }
    wanted.iter().all(|at| coins.contains_key(at)).then_some((coins, heights))
}

pub(super) fn malformed(node: &Node, error: &dyn std::fmt::Display) -> Trouble {
    node.trouble(Class::Malformed, format!("its bytes are no block or transaction: {error}"))
}

impl Chain for BitcoinChain {
    type Block = ReadBlock;

    fn name(&self) -> &str {
        &self.name
    }

    fn origin(&self) -> &Origin {
        &self.origin
    }

    async fn check(&self, node: &Node) -> Result<(), Trouble> {
        let first = self.hash_at(node, 0).await?.unwrap_or_default();
        let expected = constants::genesis_block(self.network).block_hash().to_string();
        if first == expected {
            return Ok(());
        }
        Err(node
            .trouble(Class::OtherChain, format!("its chain begins with {first}; {} begins with {expected}", self.name)))
    }

    async fn head(&self, node: &Node) -> Result<u64, Trouble> {
        node.ask("getblockcount", json!([])).await
    }

    async fn hash_at(&self, node: &Node, height: u64) -> Result<Option<String>, Trouble> {
        let hash = match node.ask::<String>("getblockhash", json!([height])).await {
            Err(trouble) if trouble.code.is_some_and(|code| NO_SUCH_HEIGHT.contains(&code)) => return Ok(None),
            answer => answer?,
        };
        // What a node answers in its place may be of any length, and goes into records.
        let problem = |_| node.trouble(Class::Malformed, "the hash that it names of a block is none".to_owned());
        Ok(Some(hash.parse::<BlockHash>().map_err(problem)?.to_string()))
    }

    async fn header(&self, node: &Node, height: u64) -> Result<Option<NodeHeader>, Trouble> {
        let Some(hash) = self.hash_at(node, height).await? else { return Ok(None) };
        let Stamped { time } = node.ask("getblockheader", json!([hash])).await?;
        let time = Instant::from_unix_seconds(time).unwrap_or(Instant::UNASSIGNED);
        Ok(Some(NodeHeader { hash, time }))
    }

    async fn fetch(&self, node: &Node, height: u64) -> Result<Option<Fetched<ReadBlock>>, Trouble> {
        let Some(hash) = self.hash_at(node, height).await? else { return Ok(None) };
        let bytes: String = node.ask("getblock", json!([hash, 0])).await?;
        let block: Block = deserialize_hex(&bytes).map_err(|error| malformed(node, &error))?;
        if block.block_hash().to_string() != hash || !block.check_merkle_root() {
            return Err(node.trouble(Class::Malformed, format!("it answers another block than {hash}")));
        }
        let watched = self.grown(&block.txdata);
        let wanted = self.decoder(&watched).wanted(&block.txdata);
        let (coins, heights) = self.coins(node, &hash, &wanted, &watched).await?;
        let at = BlockRef {
            height,
            parent: block.header.prev_blockhash.to_string(),
            hash,
            time: Instant::from_unix_seconds(i64::from(block.header.time)).unwrap_or(Instant::UNASSIGNED),
        };
        Ok(Some(Fetched { at, block: ReadBlock { block, coins, heights, watched } }))
    }

    fn mark(&self, fetched: &Fetched<ReadBlock>) -> String {
        let mut hasher = Sha256::new();
        self.events(fetched, 0).iter().for_each(|event| hasher.update(line::write(event)));
        // What wallets hold follows from when coins were made, which bytes do not prove.
        hasher.update(format!("{:?}", self.moves(fetched)));
        let mut mark = format!("{} ", fetched.at.hash);
        for byte in &hasher.finalize()[..8] {
            write!(mark, "{byte:02x}").expect("a text takes everything");
        }
        mark
    }

    fn events(&self, fetched: &Fetched<ReadBlock>, epoch: u64) -> Vec<Event> {
        let place = Place::Block { height: fetched.at.height, hash: fetched.at.hash.clone(), epoch };
        let ReadBlock { block, coins, watched, .. } = &fetched.block;
        self.decoder(watched).block(block, &place, coins)
    }

    fn wallets(&self) -> BTreeSet<String> {
        self.watched().names()
    }

    fn moves(&self, fetched: &Fetched<ReadBlock>) -> Vec<Move> {
        let ReadBlock { block, coins, heights, watched } = &fetched.block;
        self.decoder(watched).moves(block, fetched.at.height, coins, heights)
    }

    fn held(&self, at: &ReadRef, wallet: &str, held: &Held, immature: i64, time: Instant) -> Option<Event> {
        Some(self.decoder(&self.watched()).held(at, wallet, held, immature, time))
    }

    fn differs(&self, at: &ReadRef, difference: &Difference, time: Instant) -> Option<Event> {
        Some(self.decoder(&self.watched()).differs(at, difference, time))
    }

    async fn scan(&self, node: &Node) -> Result<Option<Listed>, Trouble> {
        let watched = self.watched();
        let scripts: Vec<String> = watched.scripts().map(|script| format!("raw({})", script.to_hex_string())).collect();
        let answer = match node.ask_within("scantxoutset", json!(["start", scripts]), SCAN_SECONDS_MAX).await {
            Err(trouble) if trouble.code == Some(NO_SUCH_METHOD) => return Ok(None),
            answer => answer?,
        };
        let answer: Value = answer.unwrap_or_default();
        let listed = balance::listed(&answer, &watched);
        listed.map(Some).map_err(|problem| node.trouble(Class::Malformed, problem))
    }

    fn is_outgrown(&self, fetched: &Fetched<ReadBlock>) -> bool {
        !Arc::ptr_eq(&fetched.block.watched, &self.watched())
    }

    fn used(&self) -> Used {
        self.watched().used()
    }

    fn take_used(&self, used: &Used) -> bool {
        // What is known already is most of it, and a copy of very many addresses is not made for it.
        let known = self.used();
        if used.iter().all(|(name, count)| known.get(name).is_some_and(|known| known >= count)) {
            return false;
        }
        let mut watched = self.watched.write().unwrap_or_else(PoisonError::into_inner);
        let mut more = Watched::clone(&watched);
        let has_grown = more.take_used(used);
        if has_grown {
            *watched = Arc::new(more);
        }
        has_grown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MADE: &str = "4d6edbeb62735d45ff1565385a8b0045f066055c9425e21540ea7a8060f08bf2";

    /// Bitcoin Core 29, `getblock` of verbosity 3: a coinbase, and a transaction that spends a coin.
    fn block(prevout: &str) -> Value {
        let text = format!(
            r#"{{"hash":"00","confirmations":3,"height":900,"version":536870912,"merkleroot":"00","time":1,"nTx":2,"tx":[
                {{"txid":"aa","hash":"aa","version":2,"size":1,"vsize":1,"weight":4,"locktime":0,
                  "vin":[{{"coinbase":"03","txinwitness":["00"],"sequence":4294967295}}],"vout":[]}},
                {{"txid":"bb","hash":"bb","version":2,"size":1,"vsize":1,"weight":4,"locktime":0,
                  "vin":[{{"txid":"{MADE}","vout":1,"scriptSig":{{"asm":"","hex":""}},"txinwitness":["00"]{prevout},
                          "sequence":4294967293}}],"vout":[],"fee":0.00001000}}]}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn coins_that_bitcoin_core_tells_beside_a_block_are_read_with_their_heights() {
        let prevout = r#","prevout":{"generated":false,"height":887,"value":0.00000546,"scriptPubKey":{"asm":"0 751e",
            "desc":"addr(bc1q)#00000000","hex":"0014751e76e8199196d454941c45d1b3a323f1433bd6","address":"bc1q",
            "type":"witness_v0_keyhash"}}"#;
        let at = OutPoint::new(MADE.parse().unwrap(), 1);
        let (coins, heights) = undone(&block(prevout), &[at]).unwrap();
        assert_eq!((coins.len(), coins[&at].value.to_sat(), heights[&at.txid]), (1, 546, 887));
        assert!(coins[&at].script_pubkey.is_p2wpkh());
        assert!(undone(&block(prevout), &[OutPoint { vout: 0, ..at }]).is_none(), "not the coin that is wanted");
        // A node that has no notes on how to undo the block any more leaves the coins out.
        assert!(undone(&block(""), &[at]).is_none());
    }

    #[test]
    fn where_a_transaction_stands_is_read_as_bitcoin_core_and_btcd_tell_it() {
        let mined = |text: &str| serde_json::from_str::<Mined>(text).unwrap().blockhash;
        let core = r#"{"txid":"aa","hash":"aa","version":2,"size":1,"vin":[],"vout":[],"hex":"00","blockhash":"00ff",
                       "confirmations":3,"time":1,"blocktime":1}"#;
        assert_eq!(mined(core).as_deref(), Some("00ff"));
        assert_eq!(mined(r#"{"txid":"aa","hex":"00"}"#), None, "one that waits stands in no block");
        let header = r#"{"hash":"00ff","confirmations":3,"height":887,"version":536870912,"versionHex":"20000000",
                         "merkleroot":"00","time":1,"mediantime":1,"nonce":1,"bits":"1d00ffff","target":"00","difficulty":1,
                         "chainwork":"00","nTx":2,"previousblockhash":"00","nextblockhash":"00"}"#;
        assert_eq!(serde_json::from_str::<Header>(header).unwrap().height, 887);
    }
}
