//! A block of a chain of Bitcoin → events of watched wallets: what they spend, to whom, with which change and fee, and what
//! they receive. The same for a transaction that waits in the pool of a node.
//!
//! A transaction may spend coins of several wallets. Each has its `chain.tx`; what leaves is told once, as transfers of the
//! wallet that puts in most.

use std::collections::{BTreeMap, HashMap, HashSet};

use bitcoin::{Address, Block, Network, OutPoint, Script, Transaction, TxOut, Txid};
use keywatch_store::event::{Builder, Origin};
use keywatch_store::{Amount, Event, Instant};
use serde_json::{Value, json};

use super::signatures;
use super::watch::{Watched, shown_by};

/// Coins by where they were made, for the inputs that have to be known.
pub type Coins = HashMap<OutPoint, TxOut>;

/// Reads blocks and transactions for one source.
#[derive(Clone, Copy, Debug)]
pub struct Decoder<'a> {
    /// Who the events are written under.
    pub origin: &'a Origin,
    /// The chain, as events name it.
    pub chain: &'a str,
    /// Its network.
    pub network: Network,
    /// What is watched on it.
    pub watched: &'a Watched,
}

/// Where in the chain a transaction stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a block.
    Block {
        /// Its height.
        height: u64,
        /// Its hash.
        hash: String,
        /// The cursor's epoch.
        epoch: u64,
    },
    /// In the pool of a node, waiting.
    Pool,
}

/// What a wallet puts into a transaction.
#[derive(Default)]
struct Spent {
    inputs: usize,
    units: u64,
}

impl Decoder<'_> {
    /// Coins that have to be known before a block is read: those of every transaction that may spend from a watched wallet,
    /// what is made in the block itself left out.
    #[must_use]
    pub fn wanted(&self, transactions: &[Transaction]) -> Vec<OutPoint> {
        let made: HashSet<Txid> = transactions.iter().map(Transaction::compute_txid).collect();
        self.spent(transactions).filter(|outpoint| !made.contains(&outpoint.txid)).collect()
    }

    /// The coins of every transaction that may spend from a watched wallet.
    fn spent(&self, transactions: &[Transaction]) -> impl Iterator<Item = OutPoint> {
        let may = |spending: &&Transaction| spending.input.iter().any(|input| self.watched.may_spend(input));
        let spending = transactions.iter().filter(|spending| !spending.is_coinbase()).filter(may);
        spending.flat_map(|spending| spending.input.iter().map(|input| input.previous_output))
    }

    /// The events of a block, in its order. `coins` holds at least what [`Decoder::wanted`] names.
    #[must_use]
    pub fn block(&self, block: &Block, place: &Place, coins: &Coins) -> Vec<Event> {
        let time = Instant::from_unix_seconds(i64::from(block.header.time)).unwrap_or(Instant::UNASSIGNED);
        let wanted: HashSet<OutPoint> = self.spent(&block.txdata).collect();
        let mut made = Coins::new();
        let mut events = Vec::new();
        for transaction in &block.txdata {
            let coin = |at: &OutPoint| coins.get(at).or_else(|| made.get(at)).cloned();
            self.transaction(transaction, place, time, &coin, &mut events);
            let id = transaction.compute_txid();
            let outputs = (0..).zip(&transaction.output).map(|(index, output)| (OutPoint::new(id, index), output));
            made.extend(outputs.filter(|(at, _)| wanted.contains(at)).map(|(at, output)| (at, output.clone())));
        }
        events
    }

    /// The events of one transaction.
    pub fn transaction(
        &self,
        transaction: &Transaction,
        place: &Place,
        time: Instant,
        coin: &dyn Fn(&OutPoint) -> Option<TxOut>,
        events: &mut Vec<Event>,
    ) {
        let coins: Vec<Option<TxOut>> = transaction.input.iter().map(|input| coin(&input.previous_output)).collect();
        let mut spent: BTreeMap<&str, Spent> = BTreeMap::new();
        for output in coins.iter().flatten() {
            if let Some(wallet) = self.watched.wallet(&output.script_pubkey) {
                let spent = spent.entry(wallet).or_default();
                spent.inputs += 1;
                // A node is believed, and may lie: a sum never ends the process.
                spent.units = spent.units.saturating_add(output.value.to_sat());
            }
        }
        // Coins of strangers are not looked up: who pays is what the first input shows of itself.
        let shown = transaction.input.first().filter(|_| !transaction.is_coinbase()).and_then(shown_by);
        let first = coins.iter().flatten().next().map(|output| output.script_pubkey.clone()).or(shown);
        let first = first.map(|script| self.address(&script));
        let spender = spent.iter().max_by_key(|(_, spent)| spent.units).map(|(wallet, _)| *wallet);
        let told = Told { decoder: self, transaction, place, time, coins: &coins };
        for (wallet, spent) in &spent {
            events.push(told.spending(wallet, spent));
        }
        for (index, coin) in coins.iter().enumerate() {
            let wallet = coin.as_ref().and_then(|coin| self.watched.wallet(&coin.script_pubkey));
            events.extend(wallet.into_iter().flat_map(|wallet| told.signatures(wallet, index)));
        }
        for (index, output) in transaction.output.iter().enumerate() {
            let to = self.watched.wallet(&output.script_pubkey);
            if let Some(spender) = spender.filter(|_| to.is_none_or(|to| !spent.contains_key(to))) {
                events.push(told.transfer("out", spender, Some(spender.to_owned()), index, output));
            }
            if let Some(to) = to.filter(|to| !spent.contains_key(to)) {
                events.push(told.transfer("in", to, first.clone(), index, output));
            }
        }
    }

    /// An address of the network, or the script in hexadecimal where there is none for it.
    fn address(&self, script: &Script) -> String {
        Address::from_script(script, self.network)
            .map_or_else(|_| script.to_hex_string(), |address| address.to_string())
    }
}

struct Told<'a> {
    decoder: &'a Decoder<'a>,
    transaction: &'a Transaction,
    place: &'a Place,
    time: Instant,
    coins: &'a [Option<TxOut>],
}

impl Told<'_> {
    /// The `chain.tx` of a wallet. Its amount is the largest output that is no change, and goes where that goes.
    fn spending(&self, wallet: &str, spent: &Spent) -> Event {
        let outputs = &self.transaction.output;
        let is_change = |output: &&TxOut| self.decoder.watched.wallet(&output.script_pubkey) == Some(wallet);
        let change = outputs.iter().filter(is_change).count();
        let largest = outputs.iter().filter(|output| !is_change(output)).max_by_key(|output| output.value);
        let mut event = self.event("chain.tx", wallet, "spent");
        event.from_address(wallet);
        let to = largest.map_or_else(|| wallet.to_owned(), |output| self.decoder.address(&output.script_pubkey));
        event.to_address(to).amount(largest.map(|output| amount(output.value.to_sat())));
        let mut detail = json!({
            "inputs": spent.inputs,
            "outputs": outputs.len(),
            "change_outputs": change,
            "vsize": self.transaction.vsize(),
            "replaceable": self.transaction.is_explicitly_rbf(),
        });
        if let Some(fee) = self.fee() {
            detail["fee"] = json!(fee.to_string());
            detail["fee_rate"] = json!(fee / (self.transaction.vsize() as u64).max(1));
        }
        self.complete(&mut event, detail)
    }

    /// Known only where every coin is, and nothing where the sums are more than there can be.
    fn fee(&self) -> Option<u64> {
        let mut known = self.coins.iter().map(|coin| Some(coin.as_ref()?.value.to_sat()));
        let mut paid = self.transaction.output.iter().map(|output| output.value.to_sat());
        let known = known.try_fold(0_u64, |sum, value| sum.checked_add(value?))?;
        known.checked_sub(paid.try_fold(0_u64, u64::checked_add)?)
    }

    fn transfer(&self, direction: &str, wallet: &str, from: Option<String>, index: usize, output: &TxOut) -> Event {
        let mut event = self.event("chain.transfer", wallet, &format!("{index}/{direction}"));
        event.from_address(from).to_address(self.decoder.address(&output.script_pubkey));
        event.amount(amount(output.value.to_sat()));
        let mut detail = json!({"direction": direction, "output": index});
        if self.transaction.is_coinbase() {
            detail["coinbase"] = json!(true);
        }
        self.complete(&mut event, detail)
    }

    /// What a wallet signed an input with.
    fn signatures(&self, wallet: &str, input: usize) -> Vec<Event> {
        let shown = signatures::of(&self.transaction.input[input]);
        let told = shown.iter().enumerate().map(|(number, signature)| {
            let mut event = self.event("chain.signature", wallet, &format!("{input}/{number}"));
            self.complete(&mut event, json!({"r": signature.r, "s": signature.s, "input": input}))
        });
        told.collect()
    }

    fn event(&self, kind: &str, wallet: &str, id: &str) -> Builder {
        let Decoder { origin, chain, .. } = self.decoder;
        let tx = self.transaction.compute_txid();
        let within = match self.place {
            Place::Block { hash, epoch, .. } => format!("{epoch}/{hash}"),
            // One that waits again after a reorganisation is told again.
            Place::Pool => format!("pool/{}", self.time.nanoseconds()),
        };
        let id = format!("{kind}/{chain}/{within}/{tx}/{wallet}/{id}");
        let mut event = Event::builder(origin, &id, kind, self.time);
        event.wallet(wallet).chain(chain).asset("BTC").tx(tx.to_string());
        event.outcome(if *self.place == Place::Pool { "unconfirmed" } else { "success" });
        event
    }

    fn complete(&self, event: &mut Builder, mut detail: Value) -> Event {
        if let Place::Block { height, hash, epoch } = self.place {
            detail["block"] = json!(height);
            detail["block_hash"] = json!(hash);
            detail["epoch"] = json!(epoch);
        }
        event.detail(&detail).build_own()
    }
}

fn amount(units: u64) -> Amount {
    Amount::from_u128(u128::from(units))
}
