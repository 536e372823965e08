//! Any bytes as CloudEvents: headers on the first line, the body behind them.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| keywatch_ingest_fuzz::envelope(bytes));
