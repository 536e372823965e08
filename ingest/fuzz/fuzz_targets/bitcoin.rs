//! Any bytes as a transaction of Bitcoin.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| keywatch_ingest_fuzz::bitcoin(bytes));
