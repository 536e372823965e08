//! The index against what it has to answer, with tables merged.

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::limits::REPEAT_HORIZON_NS;
use crate::log::admission::{Seen, SeenEvent, SystemKey};
use crate::log::hash_chain::Key;
use crate::{EventId, Instant, Topic};

const SYSTEM: SystemKey = SystemKey(7);

fn key() -> Key {
    Key::new(&[1; 32])
}

fn id(number: u64) -> EventId {
    EventId::derive("s", "source", &number.to_string())
}

fn said(number: u64) -> SeenEvent {
    let time = Instant(i64::try_from(number).unwrap());
    SeenEvent { fingerprint: u128::from(number).to_be_bytes(), time, system: SYSTEM }
}

fn ids(disk: &Arc<IdDisk>, key: Key) -> TopicIds {
    TopicIds::new(Topic::Events, Arc::clone(disk), key, Place::default())
}

fn put(ids: &mut TopicIds, numbers: std::ops::Range<u64>, now: i64) {
    let through = Place { position: numbers.end, hash: [3; 32] };
    let seen: Seen = numbers.map(|number| (id(number), said(number))).collect();
    ids.put(Generation { ids: seen, through, stretches: [].into(), times: vec![(SYSTEM, Instant(now))] }).unwrap();
}

fn open(directory: &Path) -> Arc<IdDisk> {
    Arc::new(IdDisk::open(&directory.join("ids")).unwrap())
}

#[test]
fn what_was_said_is_found_on_its_way_on_disk_and_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let disk = open(directory.path());
    let mut events = ids(&disk, key());
    for first in [0, 1_000, 2_000] {
        put(&mut events, first..first + 1_000, 0);
        for number in (0..first + 1_000).step_by(97) {
            assert_eq!(events.find(id(number)).unwrap(), Some(said(number)));
        }
        assert_eq!(events.find(id(first + 1_000)).unwrap(), None);
    }
    events.settle().unwrap();
    let done = Place { position: 3_000, hash: [3; 32] };
    assert_eq!(events.done(), done);
    let conclusions = TopicIds::new(Topic::Conclusions, Arc::clone(&disk), key(), Place::default());
    assert_eq!(conclusions.find(id(5)).unwrap(), None, "topics do not share ids");
    drop((events, conclusions, disk));

    let disk = open(directory.path());
    let marker = disk.marker(Topic::Events, &key()).unwrap();
    assert_eq!((marker.done, marker.begun), (done, done));
    assert_eq!(disk.marker(Topic::Events, &Key::new(&[2; 32])), None, "of another writer");
    assert_eq!(ids(&disk, key()).find(id(2_500)).unwrap(), Some(said(2_500)));
}

#[test]
fn p6_an_entry_without_the_writers_mac_is_not_believed_and_the_index_is_made_again() {
    let directory = tempfile::tempdir().unwrap();
    let disk = open(directory.path());
    let mut forged = ids(&disk, Key::new(&[2; 32]));
    put(&mut forged, 0..10, 0);
    forged.settle().unwrap();
    let found = ids(&disk, key()).find(id(5)).unwrap_err();
    assert!(found.to_string().contains("does not carry the writer's MAC; start again"), "{found}");
    assert_eq!(disk.marker(Topic::Events, &Key::new(&[2; 32])), None, "its marker is gone");
}

#[test]
fn p7_what_is_forgotten_leaves_the_disk_when_tables_are_merged() {
    let directory = tempfile::tempdir().unwrap();
    let disk = open(directory.path());
    let mut events = ids(&disk, key());
    put(&mut events, 0..20_000, 0);
    events.settle().unwrap();
    disk.merge(Topic::Events);
    let full = disk.bytes(Topic::Events);
    put(&mut events, 20_000..20_100, 20_000 + REPEAT_HORIZON_NS);
    events.settle().unwrap();
    disk.merge(Topic::Events);
    let left = disk.bytes(Topic::Events);
    assert!(left * 20 < full, "{left} of {full} bytes");
    assert_eq!(events.find(id(19_999)).unwrap(), None);
    assert_eq!(events.find(id(20_000)).unwrap(), Some(said(20_000)));
}
