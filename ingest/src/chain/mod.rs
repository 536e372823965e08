//! What is known of chains: their names and ids, well-known tokens, the form of addresses.
//!
//! | module | what it holds |
//! |---|---|
//! | [`registry`] | chains by name and id, their own asset, well-known tokens |
//! | [`address`] | the canonical form of an address |
//! | [`finality`] | which blocks are final |
//! | [`follow`] | which blocks were read, and what is recorded of it |
//! | [`holdings`] | what wallets hold, where outputs say all that moves |
//! | [`leaving`] | what is recorded of blocks that a reorganisation leaves |
//! | [`backfill`] | which old blocks are read for wallets that were added |
//! | [`health`] | which parts of blocks could not be read, and when that is over |
//! | `maturity` | which of it cannot be spent yet |
//! | [`pool`] | which waiting transactions were told, replaced each other, or left |
//! | [`bitcoin`] | blocks and waiting transactions of Bitcoin → events |
//! | [`evm`] | blocks of Ethereum and its relatives → events |
//!
//! Followers decide here and ask nobody: the connection to nodes is the service's. This part knows no feed.

pub mod address;
pub mod backfill;
pub mod bitcoin;
pub mod evm;
pub mod finality;
pub mod follow;
pub mod health;
pub mod holdings;
pub mod leaving;
mod maturity;
pub mod pool;
pub mod registry;
