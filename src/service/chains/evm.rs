//! What is asked of nodes of Ethereum and its relatives. What the answers mean is decided in `keywatch_ingest::chain::evm`.

use std::fmt::Write;
use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use keywatch_ingest::chain::evm::rhythm::{At, Pair, Rhythm};
use keywatch_ingest::chain::evm::rpc::parse_quantity;
use keywatch_ingest::chain::evm::state::{self, Looked, Slot, State};
use keywatch_ingest::chain::evm::{
    Block, Decoder, Network, ReadBlock, Receipt, Trace, Watched, delegations, destinations, events, metadata, tokens,
};
use keywatch_ingest::chain::follow::{BlockRef, ReadRef};
use keywatch_ingest::chain::health::Asked;
use keywatch_store::event::Origin;
use keywatch_store::{Event, Instant, line};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::evm_metadata::Told;
use super::evm_vouching::{Unvouched, VOUCHED, Vouching};
use super::follower::chain::{Chain, Fetched, Header};
use super::node::{Class, Node, Trouble};
use super::{evm_balances, evm_destinations, evm_metadata, evm_tokens};
use crate::limits::DESTINATIONS_SECONDS_MAX;
use crate::service::config::chain::Storage;

/// Parts of a block that it may be read without, beside the balances of each token.
const CALLS: &str = "calls";
const STORAGE: &str = "storage";
const CROWD: &str = "everybody";

/// An Ethereum chain and what is watched on it.
pub(crate) struct EvmChain {
    /// Who the events are written under.
    pub(crate) origin: Origin,
    /// The chain.
    pub(crate) network: Network,
    /// What is watched.
    pub(crate) watched: Watched,
    /// Whether nodes are asked for the calls within transactions (`debug_traceBlockByHash`).
    pub(crate) traces: bool,
    /// Which wallets' storage is compared.
    pub(crate) storage: Storage,
    /// Of which tokens it was told what they call themselves.
    pub(crate) told: Told,
    /// Whether blocks are held against their hashes.
    pub(crate) vouching: Vouching,
    /// Which uses of undeclared addresses were told.
    pub(crate) used: evm_destinations::Told,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Hash {
    hash: String,
}

#[derive(Deserialize)]
struct Stamped {
    hash: String,
    timestamp: String,
}

#[derive(Deserialize)]
struct Number {
    number: String,
}

impl EvmChain {
    pub(super) fn decoder(&self) -> Decoder<'_> {
        Decoder { origin: &self.origin, network: &self.network, watched: &self.watched }
    }

    async fn receipts(&self, node: &Node, block: &Block) -> Result<Vec<Receipt>, Trouble> {
        let hash = format!("{:#x}", block.hash);
        match node.ask("eth_getBlockReceipts", json!([hash])).await {
            // Older nodes do not know it: then one by one, in one request.
            Err(trouble) if trouble.class == Class::Rpc => {
                let of = |transaction: &B256| ("eth_getTransactionReceipt", json!([format!("{transaction:#x}")]));
                let questions: Vec<(&str, Value)> = block.transactions.iter().map(|sent| of(&sent.hash)).collect();
                node.ask_many(&questions).await
            }
            answer => answer,
        }
    }

    /// Calls within transactions. Calls may be nested deeper than is read, which nobody shall use to stop a follower: then
    /// `asked` has why.
    async fn traces(&self, node: &Node, block: &Block, asked: &mut Asked) -> Result<Option<Vec<Trace>>, Trouble> {
        if !self.traces || block.transactions.is_empty() {
            return Ok(None);
        }
        let parameters = json!([format!("{:#x}", block.hash), {"tracer": "callTracer"}]);
        match node.ask("debug_traceBlockByHash", parameters).await {
            Err(trouble) if trouble.class == Class::Malformed => {
                asked.fails(CALLS, trouble.to_string());
                Ok(None)
            }
            answer => {
                let traces = answer?;
                asked.answers(CALLS);
                Ok(Some(traces))
            }
        }
    }
}

impl EvmChain {
    /// Reads what stands in contracts and what wallets hold before and after a block. A node that has no state of that age
    /// says so, and blocks are read all the same.
    async fn compare(&self, node: &Node, read: &mut ReadBlock) -> Result<(), Trouble> {
        let ReadBlock { block, receipts, traces, delegations, asked, .. } = &*read;
        let unread = asked.problem().is_some();
        let (wallets, left_out) = match self.storage {
            Storage::Never => return Ok(()),
            Storage::Touched if !unread => {
                let mut touched = state::touched(block, receipts, traces.as_deref(), &self.watched);
                // Somebody else may send what an account signed.
                let signed = delegations.iter().map(|delegation| delegation.authority);
                touched.extend(signed.filter(|authority| self.watched.has(authority)));
                touched.sort_unstable();
                touched.dedup();
                state::bounded(block, receipts, touched)
            }
            // Where calls could not be read, nobody knows whom they reached.
            Storage::Touched => state::bounded(block, receipts, self.watched.addresses()),
            Storage::Always => (self.watched.addresses(), 0),
        };
        let pairs = match self.storage {
            Storage::Always => tokens::all(&self.watched),
            _ => tokens::pairs(block, receipts, traces.as_deref(), unread, &wallets, &self.watched),
        };
        let crowd = crowded(left_out, pairs.left_out);
        let looked = self.looked(node, block, wallets).await;
        match crowd {
            Some(problem) => read.asked.fails(CROWD, problem),
            None => read.asked.answers(CROWD),
        }
        match looked {
            Ok(looked) => {
                if !looked.is_empty() {
                    read.asked.answers(STORAGE);
                }
                read.looked = looked;
            }
            Err(trouble) if matches!(trouble.class, Class::Rpc | Class::Missing) => {
                read.asked.fails(STORAGE, trouble.to_string());
                return Ok(());
            }
            Err(trouble) => return Err(trouble),
        }
        read.held = evm_tokens::held(node, &read.block, &pairs.asked, &mut read.asked).await?;
        Ok(())
    }

    async fn looked(&self, node: &Node, block: &Block, wallets: Vec<Address>) -> Result<Vec<Looked>, Trouble> {
        let mut looked = Vec::with_capacity(wallets.len());
        for wallet in wallets {
            let before = self.state(node, &wallet, &block.parent_hash).await?;
            let after = self.state(node, &wallet, &block.hash).await?;
            looked.push(Looked { wallet, before, after });
        }
        Ok(looked)
    }

    async fn state(&self, node: &Node, wallet: &Address, block: &B256) -> Result<State, Trouble> {
        let at = json!({ "blockHash": format!("{block:#x}") });
        let wallet_text = format!("{wallet:#x}");
        let slot = |slot: &Slot| ("eth_getStorageAt", json!([wallet_text, format!("{:#x}", slot.slot), at]));
        let mut questions: Vec<(&str, Value)> = state::slots(self.watched.is_safe(wallet)).map(slot).collect();
        questions.extend(["eth_getBalance", "eth_getCode"].map(|method| (method, json!([wallet_text, at]))));
        let mut answers: Vec<String> = node.ask_each(&questions).await?;
        let malformed = |problem: String| node.trouble(Class::Malformed, problem);
        let code = answers.pop().unwrap_or_default();
        let code = code.parse::<Bytes>().map_err(|error| malformed(format!("{error}")))?;
        let word = |text: &String| text.parse::<U256>().map_err(|error| malformed(format!("{error}")));
        let mut words = answers.iter().map(word).collect::<Result<Vec<U256>, Trouble>>()?;
        let balance = words.pop().unwrap_or_default();
        let (values, delegate) = (words.into_iter().map(B256::from).collect(), delegations::designated(&code));
        Ok(State { values, code: keccak256(&code), delegate, balance })
    }
}

/// A hash as events have it. What a node answers in its place may be of any length, and goes into records.
fn hash_of(node: &Node, said: &str) -> Result<String, Trouble> {
    let problem = |_| node.trouble(Class::Malformed, "the hash that it names of a block is none".to_owned());
    Ok(format!("{:#x}", said.parse::<B256>().map_err(problem)?))
}

/// Why not everything that a block touched is compared.
fn crowded(wallets: usize, balances: usize) -> Option<String> {
    (wallets + balances > 0).then(|| {
        format!("it touches more than is compared; left out are {wallets} wallets and {balances} balances of tokens")
    })
}

impl Chain for EvmChain {
    type Block = ReadBlock;

    fn name(&self) -> &str {
        &self.network.name
    }

    fn origin(&self) -> &Origin {
        &self.origin
    }

    async fn check(&self, node: &Node) -> Result<(), Trouble> {
        let answer: String = node.ask("eth_chainId", json!([])).await?;
        let id = parse_quantity(&answer).map_err(|problem| node.trouble(Class::Malformed, problem))?;
        if id == self.network.id {
            return Ok(());
        }
        let Network { name, id: expected, .. } = &self.network;
        Err(node.trouble(Class::OtherChain, format!("it is a node of chain {id}; {name} is chain {expected}")))
    }

    async fn head(&self, node: &Node) -> Result<u64, Trouble> {
        let answer: String = node.ask("eth_blockNumber", json!([])).await?;
        parse_quantity(&answer).map_err(|problem| node.trouble(Class::Malformed, problem))
    }

    async fn hash_at(&self, node: &Node, height: u64) -> Result<Option<String>, Trouble> {
        let answer: Option<Hash> = node.ask_for("eth_getBlockByNumber", json!([format!("{height:#x}"), false])).await?;
        answer.map(|block| hash_of(node, &block.hash)).transpose()
    }

    async fn header(&self, node: &Node, height: u64) -> Result<Option<Header>, Trouble> {
        let asked = json!([format!("{height:#x}"), false]);
        let Some(block) = node.ask_for::<Stamped>("eth_getBlockByNumber", asked).await? else { return Ok(None) };
        let time = parse_quantity(&block.timestamp).map_err(|problem| node.trouble(Class::Malformed, problem))?;
        Ok(Some(Header { hash: hash_of(node, &block.hash)?, time: events::seconds(time) }))
    }

    async fn finalized(&self, node: &Node) -> Result<Option<u64>, Trouble> {
        // Nodes of chains that have no such blocks answer nothing, or that they do not know the word.
        match node.ask_for::<Number>("eth_getBlockByNumber", json!(["finalized", false])).await {
            Err(trouble) if trouble.class == Class::Rpc => Ok(None),
            answer => {
                let height = answer?.map(|block| parse_quantity(&block.number));
                height.transpose().map_err(|problem| node.trouble(Class::Malformed, problem))
            }
        }
    }

    async fn fetch(&self, node: &Node, height: u64) -> Result<Option<Fetched<ReadBlock>>, Trouble> {
        let asked = node.ask_for("eth_getBlockByNumber", json!([format!("{height:#x}"), true])).await?;
        let Some(block) = asked else {
            if self.vouching.is_stuck(height, tokio::time::Instant::now()) {
                let problem =
                    format!("it has no block {height}, of which others have one that its hash does not stand for");
                return Err(node.trouble(Class::Missing, problem));
            }
            return Ok(None);
        };
        let block: Block = block;
        if block.number != height {
            let problem = format!("it was asked for block {height} and answers block {}", block.number);
            return Err(node.trouble(Class::Malformed, problem));
        }
        let receipts = self.receipts(node, &block).await?;
        // That a node does not have all receipts yet is no lie; it is said where the parts are put together.
        let is_whole = receipts.len() == block.transactions.len();
        let judged = if is_whole { self.vouching.judge(node.name(), &block, &receipts) } else { Ok(None) };
        let unvouched = judged.map_err(|Unvouched(problem)| node.trouble(Class::Unvouched, problem))?;
        let mut asked = Asked::default();
        let traces = self.traces(node, &block, &mut asked).await?;
        let at = BlockRef {
            height,
            hash: format!("{:#x}", block.hash),
            parent: format!("{:#x}", block.parent_hash),
            time: events::seconds(block.timestamp),
        };
        let read = ReadBlock::new(block, receipts, traces);
        let mut block = read.map_err(|problem| node.trouble(Class::Malformed, problem))?;
        block.asked = asked;
        self.compare(node, &mut block).await?;
        match unvouched {
            Some(problem) => block.asked.fails(VOUCHED, problem),
            None => block.asked.answers(VOUCHED),
        }
        if self.storage != Storage::Never {
            let moved = metadata::moved(&block.receipts, &self.watched, &self.network.name);
            block.metadata = evm_metadata::read(node, &self.told, &block, moved).await;
            let told = self.decoder().block(&block, 0);
            block.is_quiet = told.is_empty();
            let uses = destinations::uses(&told, &self.watched, &self.network.name);
            let patience = Duration::from_secs(DESTINATIONS_SECONDS_MAX);
            block.destinations = evm_destinations::read(node, &self.used, &block.block, uses, patience).await;
        }
        Ok(Some(Fetched { at, block }))
    }

    fn mark(&self, fetched: &Fetched<ReadBlock>) -> String {
        let mut hasher = Sha256::new();
        hasher.update(fetched.block.block.receipts_root);
        // Why a node could not tell something names the node, and is no part of what nodes have to say alike; nor is what a
        // token calls itself, or what an address was, which some nodes cannot tell of an old block.
        let apart = ["source.status", "chain.asset", "chain.destination"];
        for event in self.events(fetched, 0).iter().filter(|event| !apart.contains(&event.kind())) {
            hasher.update(line::write(event));
        }
        let mut mark = format!("{} ", fetched.at.hash);
        for byte in &hasher.finalize()[..8] {
            write!(mark, "{byte:02x}").expect("a text takes everything");
        }
        mark
    }

    fn events(&self, fetched: &Fetched<ReadBlock>, epoch: u64) -> Vec<Event> {
        // Most blocks are about nobody who is watched, and are looked through once.
        if fetched.block.is_quiet { Vec::new() } else { self.decoder().block(&fetched.block, epoch) }
    }

    fn news(&self, fetched: &Fetched<ReadBlock>, epoch: u64) -> Vec<Event> {
        let mut events = self.events(fetched, epoch);
        self.used.leave_out(&mut events);
        events
    }

    fn rewind(&self, fork: u64) {
        self.used.rewind(fork);
    }

    fn asked(&self, fetched: &Fetched<ReadBlock>) -> Asked {
        fetched.block.asked.clone()
    }

    fn asks(&self, part: &str) -> bool {
        let compares = self.storage != Storage::Never && !self.watched.is_empty();
        match part {
            CALLS => self.traces,
            VOUCHED => self.vouching.is_on(),
            STORAGE | CROWD => compares,
            token => compares && self.watched.tokens().iter().any(|watched| evm_tokens::part(watched) == token),
        }
    }

    fn next_balances(&self, rhythm: &Rhythm) -> (Vec<Pair>, usize) {
        rhythm.next(&self.watched)
    }

    async fn balances(&self, node: &Node, hash: &str, pairs: &[Pair]) -> Result<Vec<Option<U256>>, Trouble> {
        evm_balances::read(node, hash, pairs).await
    }

    fn explain(&self, rhythm: &mut Rhythm, events: &[Event]) {
        rhythm.take(&self.decoder(), events);
        self.told.take(events);
    }

    fn weigh(&self, rhythm: &mut Rhythm, at: &ReadRef, read: &[(Pair, Option<U256>)], time: Instant) -> Vec<Event> {
        let Ok(hash) = at.hash.parse() else { return Vec::new() };
        let at = At { height: at.height, hash, epoch: at.epoch, time };
        let mut events = rhythm.weigh(&self.decoder(), &at, read);
        events.extend(rhythm.held(&self.decoder(), &at, read));
        events
    }

    async fn tells(&self, node: &Node, hash: &str, part: &str) -> Result<bool, Trouble> {
        let (Some(wallet), Ok(block)) = (self.watched.addresses().first().copied(), hash.parse::<B256>()) else {
            return Ok(false);
        };
        match part {
            // Those are a matter of the next block.
            CALLS | CROWD | VOUCHED => Ok(false),
            STORAGE => match self.state(node, &wallet, &block).await {
                Err(trouble) if matches!(trouble.class, Class::Rpc | Class::Missing) => Ok(false),
                state => state.map(|_| true),
            },
            token => match token.parse::<Address>() {
                Ok(token) => evm_tokens::tells(node, &(wallet, token), &block).await,
                Err(_) => Ok(false),
            },
        }
    }
}
