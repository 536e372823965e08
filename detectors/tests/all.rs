//! The tests of the engine from outside, as one binary: each further one would be linked with all of DataFusion.
//!
//! `cargo test --release -p keywatch-detectors --test all NAME::` runs one of its modules.

#![allow(clippy::unwrap_used, reason = "a test panics by design")]

mod amended;
mod canaries;
mod early;
mod isolation;
mod language;
mod limits;
mod oracle;
mod postures;
mod shipped_rules;
mod silence;
mod snapshots;
mod support;
mod teaching;
mod windows;
