//! The tests of alerting from outside, as one binary: each further one would be linked with all of HTTP and TLS.
//!
//! `cargo test --release -p keywatch-alerting --test all NAME::` runs one of its modules.

#![allow(clippy::unwrap_used, reason = "a test panics by design")]

mod aftermath;
mod allowances;
mod attacks;
mod compromises;
mod emergencies;
mod escalation;
mod flood;
mod heartbeats;
mod joins;
mod opa_api;
mod operators;
mod outage;
mod p4_delivery;
mod p5_revocation;
mod plan;
mod policies;
mod real_alertmanager;
mod receiver_kinds;
mod receivers;
mod restarts;
mod retractions;
mod sprees;
mod succession;
mod support;
mod switches;
mod undo;
mod untold;
mod ways;
