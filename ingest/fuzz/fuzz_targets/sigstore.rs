//! Any bytes as a verification result with its bundle, and as a trust file.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| keywatch_ingest_fuzz::sigstore(bytes));
