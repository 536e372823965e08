//! Any bytes as a JSON Web Key Set, and as a secret of Standard Webhooks.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| keywatch_ingest_fuzz::key_set(bytes));
