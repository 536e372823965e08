//! Followers of chains: what talks to nodes, and the loop that puts what they answer into the log.
//!
//! | module | what it does |
//! |---|---|
//! | [`node`] | one node over JSON-RPC: requests, a budget for them, and what can go wrong |
//! | [`endpoints`] | several nodes of one chain: failover, and a quorum that has to agree |
//! | [`bitcoin`] | what is asked of nodes of Bitcoin |
//! | [`evm`] | what is asked of nodes of Ethereum and its relatives |
//! | [`evm_tokens`] | what is asked of them about balances of tokens |
//! | [`evm_metadata`] | what is asked of them about what tokens call themselves |
//! | [`evm_destinations`] | what is asked of them about addresses that nobody declared |
//! | [`evm_balances`] | what is asked of them about balances at a rhythm |
//! | [`evm_vouching`] | blocks of theirs held against their hashes |
//! | [`evm_pool`], [`bitcoin_pool`] | what is asked of their pools |
//! | [`follower`] | the loop: the next block, a reorganisation, the append; old blocks of wallets that are added |
//! | [`heads`] | what wakes the loop when a node announces a block |
//! | [`zmq`], [`zmtp`] | what wakes it and the pool's when a node of Bitcoin announces something, and the protocol of that |
//! | [`pool`] | the loop over the pools of nodes: what waits, what was replaced, what is gone |
//! | [`position`] | where a follower stands, read back from the log |
//! | [`writing`] | how what they read gets into the log, also when a cluster is away |
//! | [`watching`] | what is watched, made anew when the inventory changes |
//! | [`start`] | followers as the configuration names them |
//!
//! What a block means and whether it continues the one before it is decided in `keywatch_ingest::chain`; here is only asked,
//! waited and written.

pub(crate) mod bitcoin;
pub(crate) mod bitcoin_pool;
pub(crate) mod endpoints;
pub(crate) mod evm;
mod evm_balances;
mod evm_destinations;
mod evm_metadata;
pub(crate) mod evm_pool;
mod evm_tokens;
mod evm_vouching;
pub(crate) mod follower;
mod heads;
pub(crate) mod node;
pub(crate) mod pool;
pub(crate) mod position;
pub(crate) mod start;
pub(crate) mod watching;
pub(crate) mod writing;
mod zmq;
mod zmtp;
