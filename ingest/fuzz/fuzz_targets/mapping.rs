//! Any text as a mapping file. What is accepted makes only kinds that a source may write.
#![no_main]

use keywatch_ingest::feeds::mapping::Mapping;
use keywatch_store::kinds;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(mapping) = Mapping::parse("m.toml", text) {
        for kind in mapping.kinds() {
            assert_eq!(kinds::find(kind).map(|kind| kind.writer), Some(kinds::Writer::Source));
        }
    }
});
