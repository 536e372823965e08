//! What is known of chains: their names and ids, well-known tokens, the form of addresses.
//!
//! | module | what it holds |
//! |---|---|
//! | [`registry`] | chains by name and id, their own asset, well-known tokens |
//! | [`address`] | the canonical form of an address |
//!
//! The followers of EVM chains and of Bitcoin will be modules here, which ask nodes and give events as a feed does.
//! This part knows no feed and no record.

pub mod address;
pub mod registry;
