//! Every hard limit of the binary, with its unit in the name (promise P7): here those of all of it, in the folder those of
//! each part. What one body may hold is a limit of ingest.

mod agent;
mod api;
mod chains;
mod commands;
mod doctor;
mod evaluation;
mod front_door;
mod init;
mod kafka;
mod oidc;
mod page;
mod pull;
mod shares;
mod sql;
mod state_store;

pub(crate) use agent::*;
pub(crate) use api::*;
pub(crate) use chains::*;
pub(crate) use commands::*;
pub(crate) use doctor::*;
pub(crate) use evaluation::*;
pub(crate) use front_door::*;
pub(crate) use init::*;
pub(crate) use kafka::*;
pub(crate) use oidc::*;
pub(crate) use page::*;
pub(crate) use pull::*;
pub(crate) use shares::*;
pub(crate) use sql::*;
pub(crate) use state_store::*;

/// Seconds between two looks at the credentials of sources and their files. A change counts from the second look on.
pub(crate) const CREDENTIALS_RELOAD_SECONDS: u64 = 1;

/// Seconds between two looks at the inventory file.
pub(crate) const INVENTORY_RELOAD_SECONDS: u64 = 2;

/// Seconds that open requests get to finish after a signal to stop.
pub(crate) const SHUTDOWN_SECONDS_MAX: u64 = 20;

/// Wallets of a system up to which each has metrics of its own.
pub(crate) const LABELLED_WALLETS_MAX: usize = 1000;

/// How often it is looked whether a log on Kafka has passed by what a later version wrote.
pub(crate) const PASSED_BY_SECONDS: u64 = 5;

/// Bytes of a configuration or inventory file.
pub(crate) const CONFIG_BYTES_MAX: u64 = 16 << 20;
