//! The noise of the rules in honest days that were written without knowing them: held at what was reached.
//!
//! `tests/noise/ten_days.txt` has the alerts of every rule that is not quiet. It is blessed with `UPDATE_EXPECT=1`; a change
//! of it is one that somebody has to mean. A rule that grows louder fails here, and so does one that grows quieter, so that
//! the next one is held to that.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use keywatch_store::{Inventory, line};
use keywatch_stranger::{History, Request, Size, noise};

use crate::support::command::{err, keywatch, out};
use crate::support::golden;

/// Ten days over the end of a month and the change of the clocks.
fn ten_days() -> History {
    History::new(&Request::new(1, "2025-03-24", 10, Size::Exchange).unwrap()).unwrap()
}

fn written(history: History) -> String {
    let mut text = Vec::new();
    history.write(&mut text).unwrap();
    String::from_utf8(text).unwrap()
}

#[test]
fn ten_honest_days_make_no_more_noise_than_was_reached() {
    let directory = tempfile::tempdir().unwrap();
    let history = ten_days();
    fs::write(directory.path().join("inventory.toml"), &history.inventory).unwrap();
    let mut file = BufWriter::new(File::create(directory.path().join("events.jsonl")).unwrap());
    history.write(&mut file).unwrap();
    file.flush().unwrap();
    let done = keywatch(directory.path(), &["backtest", "--format", "json", "."], b"");
    assert_eq!(done.status.code(), Some(0), "{}", err(&done));
    let report: serde_json::Value = serde_json::from_str(&out(&done)).unwrap();
    // An event that is older than what was heard before would have another time than it says.
    assert_eq!((&report["rejects"], &report["moved"], &report["conflicts"]), (&0.into(), &0.into(), &0.into()));
    let table = noise::table(&[out(&done)]).unwrap();
    golden::check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/noise/ten_days.txt"), &table);
}

#[test]
fn a_history_is_made_of_events_and_an_inventory_that_keywatch_understands() {
    let history = History::new(&Request::new(5, "2025-10-20", 8, Size::Exchange).unwrap()).unwrap();
    let inventory = Inventory::parse("inventory.toml", &history.inventory).unwrap();
    let text = written(history);
    let events: Vec<_> = text.lines().map(|text| line::read(text.as_bytes()).unwrap()).collect();
    for event in &events {
        let kind = keywatch_store::kinds::find(event.kind()).unwrap();
        if let Some(outcome) = event.outcome().filter(|_| !kind.outcomes.is_empty()) {
            assert!(kind.outcomes.contains(&outcome), "{} says {outcome}", event.kind());
        }
        let system = inventory.system(event.system()).unwrap();
        let is_declared = system.sources.iter().any(|source| source.source == event.source());
        assert!(is_declared || event.source() == "keywatch", "{} is not declared", event.source());
    }
    // What an activation within the history says is an inventory too.
    let activated: Vec<_> = events.iter().filter(|event| event.kind() == "inventory.activated").collect();
    assert!(!activated.is_empty());
    assert!(activated.iter().all(|event| Inventory::from_activation(event).is_some()));
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_one_others() {
    let three_days = |seed| written(History::new(&Request::new(seed, "2025-03-01", 3, Size::Small).unwrap()).unwrap());
    assert!(three_days(1) == three_days(1), "two histories of one seed differ");
    assert!(three_days(1) != three_days(2), "two seeds give one history");
}
