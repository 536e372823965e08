//! The tests of the store from outside, as one binary: each further one would be linked with Arrow and fjall.
//!
//! `cargo test --release -p keywatch-store --test all NAME::` runs one of its modules.

#![allow(clippy::unwrap_used, reason = "a test panics by design")]

mod damage;
mod durability;
mod embedded;
mod flips;
mod ids;
mod inventories;
mod support;
