//! What tests of the whole share: the built binary, a real Open Policy Agent, a real Kafka, real nodes of Ethereum and Bitcoin, a bucket of S3, where tools are, golden files, the clock, the tree.

pub(crate) mod anvil;
pub(crate) mod bcoin;
pub(crate) mod bitcoin;
pub(crate) mod btcd;
pub(crate) mod cerbos;
pub(crate) mod clock;
pub(crate) mod command;
pub(crate) mod geth;
pub(crate) mod golden;
pub(crate) mod installed;
pub(crate) mod kafka;
pub(crate) mod keys;
pub(crate) mod meanwhile;
pub(crate) mod node;
pub(crate) mod opa;
pub(crate) mod revoking;
pub(crate) mod s3;
pub(crate) mod serving;
pub(crate) mod tools;
pub(crate) mod tree;
