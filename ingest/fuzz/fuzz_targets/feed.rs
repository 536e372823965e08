//! A body of the feed that `KEYWATCH_FUZZ_FEED` names, else of the one that the first byte chooses.
#![no_main]

use std::sync::LazyLock;

use keywatch_ingest::{Feed, feeds};
use libfuzzer_sys::fuzz_target;

static CHOSEN: LazyLock<Option<&'static dyn Feed>> = LazyLock::new(|| {
    let name = std::env::var("KEYWATCH_FUZZ_FEED").ok()?;
    Some(feeds::find(&name).expect("KEYWATCH_FUZZ_FEED names a feed"))
});

fuzz_target!(|bytes: &[u8]| match *CHOSEN {
    Some(feed) => keywatch_ingest_fuzz::feed(feed, bytes),
    None => keywatch_ingest_fuzz::any_feed(bytes),
});
