//! Any bytes as a signed request: none is genuine.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| keywatch_ingest_fuzz::signature(bytes));
