//! Any bytes as a digest file of CloudTrail, and as a list of its public keys.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| keywatch_ingest_fuzz::digest(bytes));
