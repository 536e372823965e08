//! Any bytes as a block of an Ethereum chain with its receipts and traces.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| keywatch_ingest_fuzz::evm(bytes));
