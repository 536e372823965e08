//! The tests of the whole, as one binary: each further one would be linked with all of DataFusion.
//!
//! `cargo test --release --test all NAME::` runs one of its modules.

#![allow(clippy::unwrap_used, reason = "a test panics by design")]

mod architecture;
mod authzen_gate;
mod backtest;
mod cerbos;
mod chains;
mod cli;
mod compose;
mod compromises;
mod damaged_log;
mod dashboards;
mod demo;
mod docs;
mod doctor;
mod explain;
mod feeds;
mod feeds_and_rules;
mod feeds_at_the_door;
mod front_door;
mod http_ingest;
mod incidents;
mod indicators;
mod init;
mod kafka;
mod noise;
mod oidc;
mod operators;
mod page;
mod pdp_replay;
mod protections;
mod pull;
mod query;
mod real_opa;
mod replay_data;
mod replicated_opa;
mod responses;
mod revocation_bundles;
mod revocation_figures;
mod running;
mod samples;
mod sigstore;
mod simulate;
mod sql;
mod strangers;
mod support;
mod topology;

/// The allocator of the binary, so that what is measured here is what runs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
