//! Any bytes as a body of a feed: of the one that `KEYWATCH_FUZZ_FEED` names, else of the one that the first byte chooses.
#![no_main]

use std::sync::LazyLock;

use keywatch_ingest::{Context, Feed, feeds};
use keywatch_store::event::Origin;
use keywatch_store::{Instant, kinds, line};
use libfuzzer_sys::fuzz_target;

static CHOSEN: LazyLock<Vec<&'static dyn Feed>> = LazyLock::new(|| match std::env::var("KEYWATCH_FUZZ_FEED") {
    Ok(name) => vec![feeds::find(&name).expect("KEYWATCH_FUZZ_FEED names a feed")],
    Err(_) => feeds::all().collect(),
});

fuzz_target!(|bytes: &[u8]| {
    let (first, body) = match (CHOSEN.len(), bytes.split_first()) {
        (1, _) => (0, bytes),
        (_, Some((first, body))) => (usize::from(*first), body),
        (_, None) => return,
    };
    let feed = CHOSEN[first % CHOSEN.len()];
    let origin = Origin { system: "cold".into(), source: "idp".into() };
    let reading = feed.read(&Context { origin: &origin, inventory: None }, body);
    for event in &reading.events {
        assert_eq!(&line::read(line::write(event).as_bytes()).expect("a line that was written can be read"), event);
        assert_eq!(kinds::find(event.kind()).map(|kind| kind.writer), Some(kinds::Writer::Source));
        assert_eq!((event.system(), event.source()), ("cold", "idp"));
    }
    for reject in &reading.rejects {
        let kept = reject.into_event(&origin, feed.name(), Instant(1));
        line::read(line::write(&kept).as_bytes()).expect("a reject can be kept");
    }
    assert!(reading.rejects.len() <= reading.records);
});
