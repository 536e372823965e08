//! What the tests of the embedded log share.

use std::fs;
use std::path::Path;

use fjall::{Database, KeyspaceCreateOptions};
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

/// Has the storage of a closed log write into tables what stands in its journals.
pub(crate) fn write_tables(directory: &Path) {
    let database = Database::builder(directory.join("data")).open().unwrap();
    for name in ["heads", "lines", "state"] {
        database.keyspace(name, KeyspaceCreateOptions::default).unwrap().rotate_memtable_and_wait().unwrap();
    }
}

/// Copies a directory; of the zeroes that a journal is made with it keeps a page.
pub(crate) fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, target) = entry.map(|entry| (entry.path(), to.join(entry.file_name()))).unwrap();
        if path.is_dir() {
            copy_directory(&path, &target);
        } else if path.extension().is_some_and(|extension| extension == "jnl") {
            let mut bytes = fs::read(&path).unwrap();
            let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            bytes.truncate(bytes.len().min(used + 4096));
            fs::write(target, bytes).unwrap();
        } else {
            fs::copy(&path, target).unwrap();
        }
    }
}
