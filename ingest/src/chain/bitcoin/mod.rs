//! Bitcoin: blocks and transactions as their bytes are → events of watched wallets.
//!
//! | module | what it holds |
//! |---|---|
//! | [`descriptor`] | wallets with many addresses, which follow from a descriptor |
//! | [`watch`] | the scripts of watched wallets, and which inputs may spend from them |
//! | [`decode`] | transactions in blocks and in a node's pool |
//! | [`balance`] | what blocks change of what wallets hold, and what nodes list |
//!
//! Nothing here asks a node. Which coins have to be known before a block can be told, [`Decoder::wanted`] says.

pub mod balance;
pub mod decode;
pub mod descriptor;
mod signatures;
pub mod watch;

#[cfg(test)]
mod descriptor_tests;
#[cfg(test)]
mod tests;

pub use balance::Heights;
pub use decode::{Coins, Decoder, Place};
pub use watch::{Watched, network};
