//! What a damaged log says, what is kept of it, and how one goes on with the loss.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{copy_directory, event, open, read_all, saying, write_tables};
use fjall::{Database, KeyspaceCreateOptions, PersistMode};
use keywatch_store::log::embedded::{
    Acceptance, Accepted, Damage, EmbeddedLog, Loss, Options, Report, accept_loss, check,
};
use keywatch_store::{Clock, Error, Event, Instant, Log, Position, Topic};

/// The events of one batch, ten records that fill a packed entry of the journal.
fn ten(first: u64) -> Vec<Event> {
    let one = |number: u64| {
        saying(
            "s",
            &number.to_string(),
            i64::try_from(number).unwrap() * 1000 + 1,
            &format!("said {number} ").repeat(60),
        )
    };
    (first..first + 10).map(one).collect()
}

/// A closed log of a hundred records in batches of ten.
fn hundred(directory: &Path) -> Vec<Event> {
    let log = open(directory);
    for first in (0..100).step_by(10) {
        log.append(Topic::Events, ten(first)).unwrap();
    }
    log.append(Topic::Conclusions, vec![event("s", "finding", 7)]).unwrap();
    read_all(&log, Topic::Events, Position(0), 1000)
}

/// A closed log of twenty records whose head knows of the first ten, as a crash before the head is written leaves it.
fn ahead_of_its_head(directory: &Path) {
    let log = open(directory);
    log.append(Topic::Events, ten(0)).unwrap();
    drop(log);
    let head = fs::read(directory.join("head")).unwrap();
    let log = open(directory);
    log.append(Topic::Events, ten(10)).unwrap();
    drop(log);
    fs::write(directory.join("head"), head).unwrap();
}

fn journal(directory: &Path) -> PathBuf {
    let data = fs::read_dir(directory.join("data")).unwrap().map(|entry| entry.unwrap().path());
    data.filter(|path| path.extension().is_some_and(|extension| extension == "jnl")).max().unwrap()
}

/// Where in the journal the lines of the batch that begins at `first` stand. It is gone through entry by entry, as
/// `files/journal.rs` of the embedded log describes it: the bytes of a key also stand in what is noted of systems.
fn place_of(directory: &Path, first: u64) -> usize {
    let bytes = fs::read(journal(directory)).unwrap();
    let name = [[0].as_slice(), &first.to_be_bytes()].concat();
    let number = |at: usize, width: usize| {
        bytes[at..at + width].iter().rev().fold(0, |number, byte| (number << 8) | usize::from(*byte))
    };
    let (mut at, mut found) = (0, None);
    loop {
        at += match bytes.get(at) {
            Some(1 | 3) => 13,
            Some(2) => {
                let (key, stored) = (at + 21, number(at + 17, 4));
                let value = key + number(at + 11, 2);
                // The batch's head has the same key; its lines are longer.
                if bytes[key..value] == name[..] {
                    found = found.max(Some((stored, value)));
                }
                value + stored - at
            }
            Some(4) => 9,
            _ => break,
        };
    }
    found.expect("the journal holds this batch").1
}

fn flip(file: &Path, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at] ^= 1;
    fs::write(file, bytes).unwrap();
}

fn refused(directory: &Path) -> Damage {
    match EmbeddedLog::open(directory, Options::new(Clock::Recorded)) {
        Err(Error::Damaged { damage, .. }) => *damage,
        other => panic!("it is damaged, and this came of it: {other:?}"),
    }
}

fn look(directory: &Path) -> Report {
    check(directory, &Options::new(Clock::Recorded), |_| ()).unwrap()
}

fn accept(directory: &Path) -> Accepted {
    let acceptance = Acceptance {
        by: "ann".to_owned(),
        reason: "disk failed".to_owned(),
        systems: vec!["never-seen".to_owned()],
        at: Instant(5),
        made_from_it: vec!["window-state".to_owned()],
    };
    accept_loss(directory, &Options::new(Clock::Recorded), &acceptance, |_| ()).unwrap()
}

fn stretches(losses: &[Loss]) -> Vec<(Topic, u64, u64)> {
    losses.iter().map(|loss| (loss.topic, loss.from.0, loss.to.0)).collect()
}

#[test]
fn p6_one_flipped_bit_in_a_journal_takes_nothing_with_it_that_verifies() {
    let directory = tempfile::tempdir().unwrap();
    let events = hundred(directory.path());
    let damaged = journal(directory.path());
    flip(&damaged, place_of(directory.path(), 40) + 20);
    let as_it_was = fs::read(&damaged).unwrap();

    let damage = refused(directory.path());
    assert_eq!(stretches(&damage.losses), [(Topic::Events, 40, 50)]);
    assert_eq!((damage.losses[0].after, damage.losses[0].before), (Some(Instant(39_001)), Some(Instant(50_001))));
    assert_eq!(damage.files[0].file, damaged);
    assert_eq!(fs::read(&damaged).unwrap(), as_it_was, "nothing was cut off");
    let said = damage.of(directory.path()).to_string();
    for part in ["10 records of the events topic are missing", "positions 40 to 49", "keywatch log check", "--by NAME"]
    {
        assert!(said.contains(part), "{said}");
    }

    let report = look(directory.path());
    assert_eq!((report.topics[0].records, report.topics[0].batches), (90, 9));
    assert_eq!(stretches(&report.damage.losses), [(Topic::Events, 40, 50)]);
    assert_eq!(fs::read(&damaged).unwrap(), as_it_was, "looking changes nothing");

    fs::create_dir(directory.path().join("window-state")).unwrap();
    let accepted = accept(directory.path());
    assert_eq!((accepted.gaps, accepted.salvaged), (2, 50));
    let inside = accepted.set_aside.join("data").join(damaged.file_name().unwrap());
    assert_eq!(fs::read(inside).unwrap(), as_it_was, "the evidence is kept");
    assert!(accepted.set_aside.join("window-state").is_dir() && !directory.path().join("window-state").exists());

    let log = open(directory.path());
    let kept = read_all(&log, Topic::Events, Position(0), 1000);
    assert_eq!((&kept[..40], &kept[42..]), (&events[..40], &events[50..]));
    for (gap, system) in kept[40..42].iter().zip(["never-seen", "s"]) {
        assert_eq!(
            (gap.kind(), gap.system(), gap.actor(), gap.reason()),
            ("source.gap", system, Some("ann"), Some("disk failed"))
        );
        assert_eq!(gap.time(), Instant(50_000), "before what follows");
        let told = gap.detail().as_str();
        for part in [r#""from_position":40"#, r#""to_position":50"#, r#""records":10"#, r#""accepted_by":"ann""#] {
            assert!(told.contains(part), "{told}");
        }
    }
    assert_eq!(log.append(Topic::Events, ten(90)).unwrap().repeats, 10, "ids are known again");
    assert_eq!(log.verify(Topic::Events, |_| ()).unwrap().end, Position(92));
    drop(log);
    assert!(look(directory.path()).damage.is_empty());
}

#[test]
fn p6_heads_noted_before_the_loss_hold_for_the_log_that_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    let mut noted = Vec::new();
    for first in (0..100).step_by(10) {
        log.append(Topic::Events, ten(first)).unwrap();
        noted.push(log.head(Topic::Events));
    }
    drop(log);
    flip(&journal(directory.path()), place_of(directory.path(), 60) + 20);
    accept(directory.path());
    let report = look(directory.path());
    assert_eq!(report.topics[0].batches, 10, "six as they were, one of gaps, three written anew");
    let database = Database::builder(directory.path().join("data")).open().unwrap();
    let heads = database.keyspace("heads", KeyspaceCreateOptions::default).unwrap();
    for (number, noted) in noted[..6].iter().enumerate() {
        let name = [[0].as_slice(), &(number as u64 * 10).to_be_bytes()].concat();
        let head = heads.get(name).unwrap().unwrap();
        assert_eq!(keywatch_store::log::hash_chain::stated_hash(&head), Ok(noted.hash));
    }
}

#[test]
fn p6_a_log_put_back_to_an_earlier_day_is_not_taken_for_whole() {
    let (directory, earlier) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let log = open(directory.path());
    log.append(Topic::Events, ten(0)).unwrap();
    drop(log);
    copy_directory(directory.path(), earlier.path());
    let log = open(directory.path());
    log.append(Topic::Events, ten(10)).unwrap();
    log.append(Topic::Conclusions, vec![event("s", "finding", 7)]).unwrap();
    drop(log);
    fs::remove_dir_all(directory.path().join("data")).unwrap();
    let missing = refused(directory.path());
    assert_eq!(stretches(&missing.losses), [(Topic::Events, 0, 20), (Topic::Conclusions, 0, 1)]);
    copy_directory(&earlier.path().join("data"), &directory.path().join("data"));
    let damage = refused(directory.path());
    assert_eq!(stretches(&damage.losses), [(Topic::Events, 10, 20)]);
    assert_eq!(damage.losses[0].before, Some(Instant(19_001)), "the head knows when");
    let report = look(directory.path());
    assert_eq!(stretches(&report.damage.losses), [(Topic::Conclusions, 0, 1), (Topic::Events, 10, 20)]);
    let accepted = accept(directory.path());
    assert_eq!((accepted.gaps, accepted.salvaged), (4, 0));
    let log = open(directory.path());
    assert_eq!((log.end(Topic::Events), log.end(Topic::Conclusions)), (Position(14), Position(0)));
    drop(log);
    copy_directory(earlier.path(), directory.path());
    assert_eq!(open(directory.path()).end(Topic::Events), Position(10), "a whole copy is whole");
}

#[test]
fn p6_another_log_of_the_same_length_is_not_taken_for_this_one() {
    let (directory, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    hundred(directory.path());
    fs::copy(directory.path().join("keywatch.key"), other.path().join("keywatch.key")).unwrap();
    let log = open(other.path());
    log.append(Topic::Events, (0..100).map(|number| event("s", &format!("other {number}"), number + 1)).collect())
        .unwrap();
    log.append(Topic::Conclusions, vec![event("s", "finding", 7)]).unwrap();
    drop(log);
    fs::copy(directory.path().join("head"), other.path().join("head")).unwrap();
    let found = EmbeddedLog::open(other.path(), Options::new(Clock::Recorded)).unwrap_err();
    assert!(matches!(found, Error::Tampered { position: 100, .. }), "{found}");
    assert!(!look(other.path()).damage.is_empty());
}

#[test]
fn p2_a_log_killed_between_its_commit_and_its_head_is_whole() {
    let directory = tempfile::tempdir().unwrap();
    ahead_of_its_head(directory.path());
    let log = open(directory.path());
    assert_eq!(log.end(Topic::Events), Position(20));
    drop(log);
    assert!(look(directory.path()).damage.is_empty());
}

#[test]
fn a_torn_commit_that_nobody_was_answered_for_is_dropped_without_a_word() {
    let directory = tempfile::tempdir().unwrap();
    ahead_of_its_head(directory.path());
    // The last commit is not all there either.
    let torn = journal(directory.path());
    let bytes = fs::read(&torn).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    fs::write(&torn, &bytes[..used - 40]).unwrap();
    assert!(look(directory.path()).damage.is_empty());
    let log = open(directory.path());
    assert_eq!(log.append(Topic::Events, ten(10)).unwrap().first, Position(10));
    assert_eq!(log.verify(Topic::Events, |_| ()).unwrap().end, Position(20));
}

#[test]
fn a_torn_end_whose_records_were_answered_for_is_damage_and_stays_where_it_is() {
    let directory = tempfile::tempdir().unwrap();
    hundred(directory.path());
    write_tables(directory.path());
    let log = open(directory.path());
    log.append(Topic::Events, ten(100)).unwrap();
    drop(log);
    // All else stands in tables, so that the journal alone does not show where the log should end.
    let torn = journal(directory.path());
    flip(&torn, place_of(directory.path(), 100) + 30);
    let as_it_was = fs::read(&torn).unwrap();
    let damage = refused(directory.path());
    assert_eq!(stretches(&damage.losses), [(Topic::Events, 100, 110)]);
    assert_eq!(fs::read(&torn).unwrap(), as_it_was, "what was torn is put back");
    assert_eq!(stretches(&refused(directory.path()).losses), [(Topic::Events, 100, 110)], "again");
    assert_eq!(accept(directory.path()).salvaged, 0);
    assert_eq!(open(directory.path()).end(Topic::Events), Position(102));
}

#[test]
fn damage_in_a_table_is_named_and_gone_round() {
    let directory = tempfile::tempdir().unwrap();
    let events = hundred(directory.path());
    write_tables(directory.path());
    let keyspaces = fs::read_dir(directory.path().join("data/keyspaces")).unwrap();
    let blobs: Vec<PathBuf> = keyspaces
        .flat_map(|keyspace| fs::read_dir(keyspace.unwrap().path().join("blobs")).into_iter().flatten())
        .map(|blob| blob.unwrap().path())
        .collect();
    let [blob] = blobs.as_slice() else { panic!("{blobs:?}") };
    flip(blob, usize::try_from(fs::metadata(blob).unwrap().len() / 2).unwrap());
    let log = open(directory.path());
    let read = log.verify(Topic::Events, |_| ()).unwrap_err();
    assert!(matches!(&read, Error::Damaged { damage, .. } if damage.files[0].file == *blob), "{read}");
    drop(log);
    let report = look(directory.path());
    let [loss] = report.damage.losses.as_slice() else { panic!("{}", report.damage) };
    assert_eq!((loss.records(), loss.systems.clone().unwrap_or_default()), (10, ["s".to_owned()].into()));
    let accepted = accept(directory.path());
    assert_eq!(accepted.gaps, 1, "the head of the batch still says whose records they were");
    let kept = read_all(&open(directory.path()), Topic::Events, Position(0), 1000);
    let lost = usize::try_from(loss.from.0).unwrap();
    assert_eq!((&kept[..lost], &kept[lost + 1..]), (&events[..lost], &events[lost + 10..]));
}

#[test]
fn a_log_of_before_heads_gets_one_and_then_keeps_it() {
    let directory = tempfile::tempdir().unwrap();
    hundred(directory.path());
    let key = fs::read_to_string(directory.path().join("keywatch.key")).unwrap();
    let mut secret = [0; 32];
    hex::decode_to_slice(key.trim(), &mut secret).unwrap();
    let key = keywatch_store::log::hash_chain::Key::new(&secret);
    let database = Database::builder(directory.path().join("data")).open().unwrap();
    let state = database.keyspace("state", KeyspaceCreateOptions::default).unwrap();
    state.insert("log", key.seal_value(b"log", b"1 recorded")).unwrap();
    database.persist(PersistMode::SyncAll).unwrap();
    drop((state, database));
    fs::remove_file(directory.path().join("head")).unwrap();
    assert_eq!(open(directory.path()).end(Topic::Events), Position(100));
    fs::remove_file(directory.path().join("head")).unwrap();
    let damage = refused(directory.path());
    assert_eq!(damage.files[0].file, directory.path().join("head"));
    let accepted = accept(directory.path());
    assert_eq!((accepted.gaps, accepted.salvaged), (2, 0), "going on without a head is told too");
    assert_eq!(open(directory.path()).end(Topic::Events), Position(102));
}

#[test]
fn a_whole_log_has_no_loss_to_accept() {
    let directory = tempfile::tempdir().unwrap();
    hundred(directory.path());
    let acceptance = Acceptance {
        by: "ann".to_owned(),
        reason: "none".to_owned(),
        systems: Vec::new(),
        at: Instant(5),
        made_from_it: Vec::new(),
    };
    let refused = accept_loss(directory.path(), &Options::new(Clock::Recorded), &acceptance, |_| ()).unwrap_err();
    assert!(refused.to_string().contains("nothing is wrong with this log"), "{refused}");
    assert_eq!(open(directory.path()).end(Topic::Events), Position(100));
}
