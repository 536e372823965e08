//! Any bytes as a compressed body: no more than the cap comes out.
#![no_main]

use keywatch_ingest::transport::body;
use libfuzzer_sys::fuzz_target;

const BYTES_MAX: usize = 1 << 20;

fuzz_target!(|bytes: &[u8]| {
    for encoding in [None, Some("gzip")] {
        if let Ok(decoded) = body::decode(encoding, bytes, BYTES_MAX) {
            assert!(decoded.len() <= BYTES_MAX);
        }
    }
});
