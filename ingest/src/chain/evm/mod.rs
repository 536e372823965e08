//! Ethereum and its relatives: blocks as a node answers them → events of watched wallets.
//!
//! | module | what it holds |
//! |---|---|
//! | [`rpc`], `fields` | the shapes of a node's answers, and how their members are written |
//! | [`roots`] | whether a block's hash vouches for what a node answered of it |
//! | `signed`, `rlp` | transactions as they are signed and hashed |
//! | [`read`] | a block with all that was read of it, and whether its parts belong together |
//! | [`watch`] | the chain, and the wallets that are watched on it |
//! | [`events`] | what all events say: their source, their place, the forms of addresses and amounts |
//! | [`decode`] | transactions and the native asset |
//! | [`delegations`] | accounts that let code run as themselves |
//! | [`metadata`] | what token contracts say of themselves |
//! | [`destinations`] | addresses that wallets use and nobody declared: their code, and how old it is |
//! | `logs` | what contracts say: tokens, allowances, Safes, control |
//! | [`state`] | storage of watched contracts before and after a block |
//! | `balance` | balances against what is explained |
//! | [`tokens`] | which balances of tokens are asked for, and how |
//! | [`rhythm`] | balances that are read at a rhythm |
//! | `traces` | calls within calls |
//! | [`sender`] | who signed a waiting transaction |
//! | `signatures` | what owners of a Safe signed with |
//! | [`waiting`] | transactions that wait for their block |
//! | [`call`] | what a call does, decoded from its bytes |
//!
//! Nothing here asks a node; the service does, and hands over what it answered.

mod balance;
pub(crate) mod call;
pub mod decode;
pub mod delegations;
pub mod destinations;
pub mod events;
mod fields;
mod logs;
pub mod metadata;
pub mod read;
pub mod rhythm;
mod rlp;
pub mod roots;
pub mod rpc;
pub mod sender;
mod signatures;
mod signed;
pub mod state;
pub mod tokens;
mod traces;
pub mod waiting;
pub mod watch;

#[cfg(test)]
mod tests;

pub use events::Decoder;
pub use read::ReadBlock;
pub use rpc::{Block, Receipt, Trace};
pub use watch::{Network, Watched};
