//! Any bytes as a compressed body: no more than the cap comes out.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| keywatch_ingest_fuzz::body(bytes));
