//! Followers of chains against real nodes: what they say, across restarts, reorganisations and nodes that fail.
//!
//! | module | what it proves |
//! |---|---|
//! | [`ethereum`] | blocks of a real node: nothing skipped, nothing told twice, reorganisations taken back |
//! | [`geth`] | the same for geth, as far as anvil only imitates it |
//! | [`bitcoin`] | the same for Bitcoin, and the shape of a real theft |
//! | [`bcoin`] | the same for another node of Bitcoin |
//! | [`descriptors`] | a wallet of Bitcoin with many addresses |
//! | [`safe`] | what owners of a Safe sign with |
//! | [`tokens`] | balances of tokens that move otherwise than they say |
//! | [`destinations`] | addresses that a wallet uses and nobody declared |
//! | [`poisoning`] | what strangers have written into a wallet's history, and a payment to who did |
//! | [`finality`] | final blocks, and what leaves them |
//! | [`retractions`] | alerts whose events are taken back, found again, or gone for good |
//! | [`added`] | wallets that are added while their chain is followed |
//! | [`many`] | very many wallets |
//! | [`pools`] | transactions that wait for their block |
//! | [`heads`] | nodes that announce their blocks |
//! | [`announcements`] | nodes of Bitcoin that announce their blocks over `ZeroMQ` |
//! | [`lag`] | a node that answers and has stopped |
//! | [`memory`] | what a follower keeps of many blocks |
//! | [`figures`], [`figures_of_hashes`] | measurements, which are run by hand |
//! | [`endpoints`] | several nodes: one that is down, one that lies |
//! | [`vouching`] | nodes that answer with what the hash of a block does not stand for |
//!
//! [`watcher`] is a machine on which keywatch follows a chain, [`door`] and [`looks`] what stands between it and a node,
//! [`publisher`] what announces like Bitcoin Core, [`generated`] a node with blocks of Ethereum's size.

mod added;
mod announcements;
mod bcoin;
mod bitcoin;
mod descriptors;
mod destinations;
mod door;
mod endpoints;
mod ethereum;
mod figures;
mod figures_of_hashes;
mod finality;
mod generated;
mod geth;
mod heads;
mod lag;
mod looks;
mod many;
mod memory;
mod poisoning;
mod pools;
mod publisher;
mod retractions;
mod safe;
mod tokens;
mod vouching;
pub(crate) mod watcher;
