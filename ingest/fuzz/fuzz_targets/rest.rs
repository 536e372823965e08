//! Any text as the headers with which a service pages and asks for patience.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| keywatch_ingest_fuzz::rest(bytes));
