//! What the tests of the embedded log share.

use std::path::Path;

use keywatch_store::event::Origin;
use keywatch_store::log::embedded::{EmbeddedLog, Options};
use keywatch_store::{Clock, Event, Instant, Log, Position, Topic};

/// A heartbeat of `system` that its source calls `id` and that carries `time`.
pub(crate) fn event(system: &str, id: &str, time: i64) -> Event {
    let origin = Origin { system: system.into(), source: "source-1".into() };
    let mut event = Event::builder(&origin, id, "source.heartbeat", Instant(time));
    event.time(Instant(time)).build_own()
}

/// The same with another word in it: the id stays, the content differs.
pub(crate) fn saying(system: &str, id: &str, time: i64, reason: &str) -> Event {
    event(system, id, time).changed(|event| event.reason(reason))
}

/// Opens with the recorded clock.
pub(crate) fn open(path: &Path) -> EmbeddedLog {
    EmbeddedLog::open(path, Options::new(Clock::Recorded)).unwrap()
}

/// Everything from `from` on, read `records_max` at a time.
pub(crate) fn read_all(log: &dyn Log, topic: Topic, from: Position, records_max: usize) -> Vec<Event> {
    let mut events = Vec::new();
    loop {
        let read = log.read(topic, from.plus(events.len()), records_max).unwrap();
        if read.is_empty() {
            return events;
        }
        events.extend(read);
    }
}
