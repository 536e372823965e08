//! A block with everything that was read of it, and the check that its parts belong together.

use super::delegations::{self, Delegation};
use super::destinations::Seen;
use super::metadata::Metadata;
use super::rpc::{Block, Receipt, Trace, Transaction};
use super::state::Looked;
use super::tokens::Held;
use crate::chain::health::Asked;

/// A block with what became of its transactions; the parts are known to belong together.
#[derive(Clone, Debug)]
pub struct ReadBlock {
    /// The block.
    pub block: Block,
    /// One for each transaction, in their order.
    pub receipts: Vec<Receipt>,
    /// One for each transaction, in their order, where the node traces.
    pub traces: Option<Vec<Trace>>,
    /// Accounts that let code run as themselves, as its transactions say.
    pub delegations: Vec<Delegation>,
    /// Contracts that may have changed, as they were before the block and are after it.
    pub looked: Vec<Looked>,
    /// What wallets hold of watched tokens, where it may have changed.
    pub held: Vec<Held>,
    /// What tokens say of themselves that moved, where they were asked.
    pub metadata: Vec<Metadata>,
    /// What nodes know of undeclared addresses that wallets use, where they were asked.
    pub destinations: Vec<Seen>,
    /// What became of the questions about calls, what stands in contracts, and what wallets hold.
    pub asked: Asked,
    /// Whether it was looked through when all of that was there, and nothing is told of it.
    pub is_quiet: bool,
}

impl ReadBlock {
    /// Takes the parts of a block.
    ///
    /// # Errors
    /// They do not belong together: what the node said, and what was expected.
    pub fn new(block: Block, receipts: Vec<Receipt>, traces: Option<Vec<Trace>>) -> Result<ReadBlock, String> {
        let expected = block.transactions.len();
        if receipts.len() != expected {
            return Err(format!("block {} has {expected} transactions, and {} receipts", block.number, receipts.len()));
        }
        for (transaction, receipt) in block.transactions.iter().zip(&receipts) {
            if receipt.transaction_hash != transaction.hash || receipt.block_hash != block.hash {
                return Err(format!(
                    "block {} ({:#x}): the receipt of {:#x} is of transaction {:#x} in block {:#x}",
                    block.number, block.hash, transaction.hash, receipt.transaction_hash, receipt.block_hash
                ));
            }
        }
        if let Some(traces) = &traces {
            if traces.len() != expected {
                return Err(format!("block {} has {expected} transactions, and {} traces", block.number, traces.len()));
            }
            let other = |(trace, tx): &(&Trace, &Transaction)| trace.tx_hash.is_some_and(|hash| hash != tx.hash);
            if let Some((_, transaction)) = traces.iter().zip(&block.transactions).find(other) {
                return Err(format!("block {}: the trace of {:#x} is another's", block.number, transaction.hash));
            }
        }
        let delegations = delegations::delegations(&block);
        Ok(ReadBlock {
            block,
            receipts,
            traces,
            delegations,
            looked: Vec::new(),
            held: Vec::new(),
            metadata: Vec::new(),
            destinations: Vec::new(),
            asked: Asked::default(),
            is_quiet: false,
        })
    }
}
