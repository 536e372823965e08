//! Ethereum and its relatives: blocks as a node answers them → events of watched wallets.
//!
//! | module | what it holds |
//! |---|---|
//! | [`rpc`] | the shapes of a node's answers, and whether the parts of a block belong together |
//! | [`watch`] | the chain, and the wallets that are watched on it |
//! | [`decode`] | transactions and the native asset |
//! | `logs` | what contracts say: tokens, allowances, Safes, control |
//! | [`state`] | storage of watched contracts before and after a block |
//! | `balance` | balances against what is explained |
//! | [`tokens`] | which balances of tokens are asked for, and how |
//! | [`rhythm`] | balances that are read at a rhythm |
//! | `traces` | calls within calls |
//! | [`waiting`] | transactions that wait for their block |
//! | [`call`] | what a call does, decoded from its bytes |
//!
//! Nothing here asks a node; the service does, and hands over what it answered.

mod balance;
pub(crate) mod call;
pub mod decode;
mod logs;
pub mod rhythm;
pub mod rpc;
pub mod state;
pub mod tokens;
mod traces;
pub mod waiting;
pub mod watch;

#[cfg(test)]
mod tests;

pub use decode::Decoder;
pub use rpc::{Block, ReadBlock, Receipt, Trace};
pub use watch::{Network, Watched};
