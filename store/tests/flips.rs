//! Bits are flipped in every file of a log, and ends are cut off, at a few thousand places. What opens must be whole; all
//! else must be an error that names the damage.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{copy_directory, event, open, read_all, saying, write_tables};
use keywatch_store::log::embedded::{EmbeddedLog, Options};
use keywatch_store::{Clock, Error, Event, Log, Position, Topic};

const BATCHES: u64 = 240;

/// Places in one file at which a bit is flipped.
const FLIPS_A_FILE: usize = 100;

/// The first batch that stands in a journal and in no table.
const JOURNALED_FROM: u64 = 100;

/// One change of one file.
#[derive(Clone, Debug)]
struct Change {
    file: PathBuf,
    how: How,
}

#[derive(Clone, Copy, Debug)]
enum How {
    Flip { at: usize, bit: u8 },
    Cut { length: usize },
}

/// A log's directory as its writer left it, and what it holds.
struct Template {
    directory: tempfile::TempDir,
    records: [Vec<Event>; 2],
}

/// The events of a batch: some small, some that are packed, some that are kept apart from their table.
fn batch(topic: Topic, number: u64) -> Vec<Event> {
    let id = |part: u64| format!("{}/{number}/{part}", topic.name());
    let time = |part: u64| i64::try_from(number * 1_000_000 + part + 1).unwrap();
    let system = ["s", "t"][usize::try_from(number % 2).unwrap()];
    match number % 6 {
        0 => (0..90).map(|part| event(system, &id(part), time(part))).collect(),
        1 => vec![saying(system, &id(0), time(0), &"wide ".repeat(700))],
        _ => (0..number % 5).map(|part| saying(system, &id(part), time(part), "said")).collect(),
    }
}

/// A log with tables and journals, closed, or left as the files stand while it is open.
fn template(killed: bool) -> Template {
    let working = tempfile::tempdir().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let fill = |log: &EmbeddedLog, numbers: std::ops::Range<u64>| {
        for number in numbers {
            for topic in Topic::ALL {
                log.append(topic, batch(topic, number)).unwrap();
            }
        }
    };
    fill(&open(working.path()), 0..JOURNALED_FROM);
    write_tables(working.path());
    let log = open(working.path());
    fill(&log, JOURNALED_FROM..BATCHES);
    let records = Topic::ALL.map(|topic| read_all(&log, topic, Position(0), 1000));
    if killed {
        copy_directory(working.path(), directory.path());
        drop(log);
    } else {
        drop(log);
        copy_directory(working.path(), directory.path());
    }
    Template { directory, records }
}

/// Every file with bytes in it, but for what only locks.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(directory.join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            if entry.path().is_dir() {
                folders.push(path);
            } else {
                let bytes = fs::read(entry.path()).unwrap();
                if !bytes.is_empty() {
                    found.insert(path, bytes);
                }
            }
        }
    }
    found
}

/// Flips all over each file, each byte of the small ones, and cuts at both ends and between.
fn changes(directory: &Path) -> Vec<Change> {
    let mut changes = Vec::new();
    for (file, bytes) in files(directory) {
        let used: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
        let journal = file.extension().is_some_and(|extension| extension == "jnl");
        let flips = if journal { 4 * FLIPS_A_FILE } else { FLIPS_A_FILE };
        let places: Vec<usize> = match used.len() {
            few if few <= flips => used,
            // A stride that shares no factor with records of one length.
            many => (0..flips).map(|number| used[number * 7919 * 31 % many]).collect(),
        };
        let flip = |(number, at): (usize, usize)| How::Flip { at, bit: u8::try_from(number * 5 % 8).unwrap() };
        changes.extend(places.into_iter().enumerate().map(|place| Change { file: file.clone(), how: flip(place) }));
        let lengths =
            (0..20).map(|part| bytes.len() * part / 20).chain([1, bytes.len() - 1, bytes.len().saturating_sub(9)]);
        changes.extend(lengths.map(|length| Change { file: file.clone(), how: How::Cut { length } }));
    }
    changes
}

/// Where a change is tried: in memory where that can be had, since nothing here depends on what a sync does.
fn trial() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn make(change: &Change, directory: &Path) {
    let path = directory.join(&change.file);
    let mut bytes = fs::read(&path).unwrap();
    match change.how {
        How::Flip { at, bit } => bytes[at] ^= 1 << bit,
        How::Cut { length } => bytes.truncate(length),
    }
    fs::write(path, bytes).unwrap();
}

/// What became of a change: whole (`true`), or an error that names the damage.
fn judge(directory: &Path, template: &Template) -> Result<bool, String> {
    let options = || Options::new(Clock::Recorded);
    let looked_at = (|| {
        let log = EmbeddedLog::open(directory, options())?;
        for (topic, expected) in Topic::ALL.into_iter().zip(&template.records) {
            let verified = log.verify(topic, |_| ())?;
            let mut events = Vec::new();
            while events.len() < expected.len() {
                let read = log.read(topic, Position(events.len() as u64), 500)?;
                if read.is_empty() {
                    break;
                }
                events.extend(read);
            }
            if verified.end != Position(expected.len() as u64) || events != *expected {
                return Ok(Err(format!("{} of {} records, and no error", events.len(), expected.len())));
            }
        }
        Ok(Ok(true))
    })();
    match looked_at {
        Ok(judged) => judged,
        Err(Error::Damaged { damage, .. }) if !damage.is_empty() => Ok(false),
        Err(Error::Tampered { .. }) => Ok(false),
        // The key is not part of the storage; its error names it.
        Err(error @ Error::Storage { .. }) if error.to_string().contains("restore") => Ok(false),
        Err(error) => Err(format!("an error that names no damage: {error}")),
    }
}

fn judge_all(template: &Template) -> (usize, usize) {
    let changes = changes(template.directory.path());
    let (next, whole) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, |threads| threads.get().min(8)) {
            scope.spawn(|| {
                while let Some(change) = changes.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let trial = trial();
                    copy_directory(template.directory.path(), trial.path());
                    make(change, trial.path());
                    let judged = std::panic::catch_unwind(|| judge(trial.path(), template));
                    match judged.unwrap_or_else(|_| Err("a panic".to_owned())) {
                        Ok(is_whole) => drop(whole.fetch_add(usize::from(is_whole), Ordering::SeqCst)),
                        Err(problem) => wrong.lock().unwrap().push(format!("{change:?}: {problem}")),
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), changes.len(), wrong.join("\n"));
    (changes.len(), whole.into_inner())
}

#[test]
fn p6_whatever_bit_flips_or_end_is_cut_a_closed_log_is_whole_or_names_the_damage() {
    let (changes, whole) = judge_all(&template(false));
    assert!(
        changes > 2000 && whole < changes / 2,
        "{whole} of {changes} went unnoticed because nothing rested on them"
    );
}

#[test]
fn p6_whatever_bit_flips_or_end_is_cut_a_killed_log_is_whole_or_names_the_damage() {
    let (changes, whole) = judge_all(&template(true));
    assert!(
        changes > 2000 && whole < changes / 2,
        "{whole} of {changes} went unnoticed because nothing rested on them"
    );
}
