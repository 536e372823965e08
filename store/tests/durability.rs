//! What the embedded log keeps when its process is killed, when the disk is full, and when its files are changed.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{event, open, read_all, saying};
use fjall::{Database, KeyspaceCreateOptions, PersistMode};
use keywatch_store::error::Remedy;
use keywatch_store::limits::REPEAT_HORIZON_NS;
use keywatch_store::log::embedded::{EmbeddedLog, Options};
use keywatch_store::log::hash_chain::{Head, Key};
use keywatch_store::{Clock, Error, Event, EventId, Log, Position, Topic};

/// Where the child process appends.
const DIRECTORY: &str = "KEYWATCH_TEST_DIRECTORY";

/// The event that stands at `number`, in a log to which only these were appended.
fn numbered(topic: Topic, number: u64) -> Event {
    saying("s", &format!("{}/{number}", topic.name()), i64::try_from(number).unwrap() + 1, &"z".repeat(300))
}

/// What a child said before it died.
#[derive(Debug, Default)]
struct Said {
    /// For each topic, the end of what was acknowledged.
    acknowledged: [u64; 2],
    failure: Option<String>,
}

/// Appends numbered events to both topics from two threads until it is killed or cannot write, saying what was
/// acknowledged. It begins a few events before the end, as a source does that has missed an answer.
#[test]
#[ignore = "the child process of the tests below"]
#[expect(clippy::disallowed_methods, reason = "a test's child gets its directory through the environment")]
fn child_appends_until_it_is_stopped() {
    let log = open(Path::new(&std::env::var(DIRECTORY).unwrap()));
    std::thread::scope(|scope| {
        for (topic_number, topic) in Topic::ALL.into_iter().enumerate() {
            let log = &log;
            scope.spawn(move || {
                let mut next = log.end(topic).0.saturating_sub(5);
                for round in 1.. {
                    let end = next + round % 9;
                    let appended = log.append(topic, (next..end).map(|number| numbered(topic, number)).collect());
                    let said = match &appended {
                        Ok(_) => format!("acknowledged {topic_number} {end}\n"),
                        Err(error) => format!("failed {error}\n"),
                    };
                    std::io::stdout().lock().write_all(said.as_bytes()).unwrap();
                    if appended.is_err() {
                        return;
                    }
                    next = end;
                }
            });
        }
    });
}

/// Starts the child below `launcher`, kills it at `kill_after` from its first word on, and hears what it said.
fn run_child(launcher: &[&str], directory: &Path, kill_after: Option<Duration>) -> Said {
    let program = std::env::current_exe().unwrap();
    let arguments = ["--exact", "durability::child_appends_until_it_is_stopped", "--ignored", "--test-threads=1"];
    let mut command = match launcher {
        [] => Command::new(program),
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            command.args(rest).arg(program);
            command
        }
    };
    let mut child = command.args(arguments).env(DIRECTORY, directory).stdout(Stdio::piped()).spawn().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let (heard, first_word) = std::sync::mpsc::sync_channel(1);
    let listener = std::thread::spawn(move || {
        let mut said = Said::default();
        for line in output.lines() {
            let line = line.unwrap();
            let words: Vec<&str> = line.split(' ').collect();
            match words.as_slice() {
                ["acknowledged", topic, end] => {
                    said.acknowledged[topic.parse::<usize>().unwrap()] = end.parse().unwrap();
                }
                ["failed", ..] => said.failure = Some(line.clone()),
                _ => continue,
            }
            let _ = heard.try_send(());
        }
        said
    });
    if let Some(delay) = kill_after {
        first_word.recv_timeout(Duration::from_secs(30)).unwrap();
        // The moment of death is the point here; nothing is awaited.
        std::thread::sleep(delay);
        child.kill().unwrap();
    }
    child.wait().unwrap();
    listener.join().unwrap()
}

/// Everything acknowledged is there once, in order, without a hole, and verifies; returns the ends.
fn check_numbered(directory: &Path, acknowledged: [u64; 2]) -> [u64; 2] {
    let log = open(directory);
    let mut ends = [0; 2];
    for (index, topic) in Topic::ALL.into_iter().enumerate() {
        let kept = read_all(&log, topic, Position(0), 1000);
        for (number, event) in kept.iter().enumerate() {
            assert_eq!(*event, numbered(topic, number as u64));
        }
        ends[index] = log.end(topic).0;
        assert_eq!(ends[index], kept.len() as u64);
        assert!(ends[index] >= acknowledged[index], "{} acknowledged, {} kept", acknowledged[index], ends[index]);
        assert_eq!(log.verify(topic, |_| ()).unwrap().end, Position(ends[index]));
    }
    ends
}

#[test]
fn p2_nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let mut ends = [0; 2];
    for round in 0..40_u64 {
        let delay = Duration::from_micros(round * 7919 * 31 % 60_000);
        let said = run_child(&[], directory.path(), Some(delay));
        assert_eq!(said.failure, None);
        let kept = check_numbered(directory.path(), said.acknowledged);
        assert!(kept[0] >= ends[0] && kept[1] >= ends[1], "{ends:?} then {kept:?}");
        ends = kept;
    }
    // One commit a round: on a busy disk two syncs take most of the time that a child lives.
    assert!(ends[0] > 40 && ends[1] > 40, "the child hardly ran: {ends:?}");
}

/// A directory on a disk of a few megabytes: a file system of its own where that may be made, otherwise one where no
/// file may grow beyond a few megabytes.
struct SmallDisk {
    directory: PathBuf,
    mounted: bool,
}

impl SmallDisk {
    fn new(directory: &Path) -> SmallDisk {
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=6m", "tmpfs"]).arg(directory).output();
        SmallDisk { directory: directory.to_owned(), mounted: mount.is_ok_and(|output| output.status.success()) }
    }

    fn launcher(&self) -> &'static [&'static str] {
        if self.mounted { &[] } else { &["sh", "-c", "trap '' XFSZ; ulimit -f 4000; exec \"$@\"", "sh"] }
    }

    fn grow(&self) {
        if self.mounted {
            let grown = Command::new("mount").args(["-o", "remount,size=200m"]).arg(&self.directory).status().unwrap();
            assert!(grown.success());
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if self.mounted {
            let _ = Command::new("umount").arg(&self.directory).status();
        }
    }
}

#[test]
fn p2_a_full_disk_is_an_error_and_loses_nothing_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let disk = SmallDisk::new(directory.path());
    // The storage crate reserves its journal when it makes one, which is not what shall fail here.
    drop(open(directory.path()));
    let said = run_child(disk.launcher(), directory.path(), None);
    let failure = said.failure.expect("the disk filled up");
    let complaint = if disk.mounted { "No space left on device" } else { "File too large" };
    assert!(failure.contains("cannot write the log") && failure.contains(complaint), "{failure}");
    assert!(said.acknowledged[0] > 100, "{:?}", said.acknowledged);
    disk.grow();
    let ends = check_numbered(directory.path(), said.acknowledged);
    let log = open(directory.path());
    let again: Vec<Event> = (said.acknowledged[0]..ends[0] + 3).map(|number| numbered(Topic::Events, number)).collect();
    assert_eq!(log.append(Topic::Events, again).unwrap().written.len(), 3);
    drop(log);
    check_numbered(directory.path(), [ends[0] + 3, ends[1]]);
}

/// The files of a closed log, as somebody with the disk in hand sees them.
struct Files {
    database: Database,
}

impl Files {
    fn open(directory: &Path) -> Files {
        Files { database: Database::builder(directory.join("data")).open().unwrap() }
    }

    fn change(&self, keyspace: &str, name: &[u8], change: impl FnOnce(&mut Vec<u8>)) {
        let keyspace = self.database.keyspace(keyspace, KeyspaceCreateOptions::default).unwrap();
        let mut value = keyspace.get(name).unwrap().expect("there is such a value").to_vec();
        change(&mut value);
        keyspace.insert(name, value).unwrap();
        self.database.persist(PersistMode::SyncAll).unwrap();
    }

    fn remove(&self, keyspaces: &[&str], name: &[u8]) {
        for keyspace in keyspaces {
            let keyspace = self.database.keyspace(keyspace, KeyspaceCreateOptions::default).unwrap();
            assert!(keyspace.contains_key(name).unwrap());
            keyspace.remove(name).unwrap();
        }
        self.database.persist(PersistMode::SyncAll).unwrap();
    }
}

/// The name of the events topic's batch that begins at `first`.
fn batch(first: u64) -> [u8; 9] {
    let mut name = [0; 9];
    name[1..].copy_from_slice(&first.to_be_bytes());
    name
}

/// Signs a head anew with a key that is not the log's.
fn forge(head: &mut Vec<u8>, log_key: &Key, change: impl FnOnce(&mut Head)) {
    let mut opened = Head::open(head, "keywatch", log_key).unwrap();
    change(&mut opened);
    *head = opened.seal(&Key::new(&[0; 32])).0;
}

fn log_key(directory: &Path) -> Key {
    let text = std::fs::read_to_string(directory.join("keywatch.key")).unwrap();
    let mut secret = [0; 32];
    hex::decode_to_slice(text.trim(), &mut secret).unwrap();
    Key::new(&secret)
}

type Tampering = fn(&Files, &Key);

#[test]
fn p6_whatever_is_changed_is_found_with_its_position() {
    let cases: &[(&str, Tampering, u64, &str)] = &[
        (
            "a byte of a line",
            |files, _| files.change("lines", &batch(4), |lines| lines[60] ^= 1),
            4,
            "lines do not match",
        ),
        (
            "a byte of a head",
            |files, _| files.change("heads", &batch(4), |head| head[70] ^= 1),
            4,
            "hash does not match",
        ),
        (
            "a record's id, signed anew",
            |files, key| {
                let other_id = |head: &mut Head| head.rows[0].id = EventId([9; 16]);
                files.change("heads", &batch(4), |head| forge(head, key, other_id));
            },
            4,
            "MAC is not that of writer role `keywatch`",
        ),
        (
            "nothing but the signature",
            |files, key| files.change("heads", &batch(4), |head| forge(head, key, |_| ())),
            4,
            "MAC is not that",
        ),
        (
            "the writer's name",
            |files, key| files.change("heads", &batch(4), |head| forge(head, key, |head| head.role = "guest".into())),
            4,
            "writer role `guest` is unknown",
        ),
        ("a batch removed", |files, _| files.remove(&["heads", "lines"], &batch(4)), 4, "missing"),
        ("the first batch removed", |files, _| files.remove(&["heads", "lines"], &batch(0)), 0, "missing"),
        ("the lines of a batch removed", |files, _| files.remove(&["lines"], &batch(4)), 4, "missing"),
        ("the last batch cut off", |files, _| files.remove(&["heads", "lines"], &batch(8)), 10, "link does not match"),
        (
            "a batch put in another's place",
            |files, _| {
                for keyspace in ["heads", "lines"] {
                    let mut other = Vec::new();
                    files.change(keyspace, &batch(6), |value| other.clone_from(value));
                    files.change(keyspace, &batch(4), |value| *value = other);
                }
            },
            4,
            "malformed",
        ),
        ("the end of the topic", |files, _| files.change("state", b"tip/events", |tip| tip[7] -= 2), 0, "`tip/events`"),
        (
            "a system's time",
            |files, _| files.change("state", b"system/events/s", |place| place[0] = 1),
            0,
            "`system/events/s`",
        ),
    ];
    for (what, tamper, position, problem) in cases {
        let directory = tempfile::tempdir().unwrap();
        five_batches(directory.path());
        let key = log_key(directory.path());
        tamper(&Files::open(directory.path()), &key);
        let found = first_problem(directory.path()).expect_err(what);
        assert!(matches!(found, Error::Tampered { position: at, .. } if at == *position), "{what}: {found}");
        assert!(found.to_string().contains(problem), "{what}: {found}");
        assert_eq!(found.remedy(), Remedy::Stop);
    }
}

#[test]
fn p6_a_reader_that_starts_behind_a_removed_batch_notices_too() {
    let directory = tempfile::tempdir().unwrap();
    five_batches(directory.path());
    Files::open(directory.path()).remove(&["heads", "lines"], &batch(4));
    let log = open(directory.path());
    assert_eq!(log.read(Topic::Events, Position(0), 4).unwrap().len(), 4);
    for (from, problem) in [(4, "missing"), (5, "missing"), (6, "link does not match")] {
        let found = log.read(Topic::Events, Position(from), 1).unwrap_err();
        assert!(found.to_string().contains(problem), "{from}: {found}");
    }
    assert_eq!(log.read(Topic::Events, Position(8), 1).unwrap().len(), 1);
}

/// Batches at 0, 2, 4, 6 and 8, further apart than the horizon, so that opening needs the last one only.
fn five_batches(directory: &Path) {
    let log = open(directory);
    for first in [0, 2, 4, 6, 8] {
        let time = 1 + first * REPEAT_HORIZON_NS;
        let events = [event("s", &first.to_string(), time), event("s", &format!("{first}+1"), time)];
        log.append(Topic::Events, events.to_vec()).unwrap();
    }
}

/// Opens, reads in small steps, and verifies; both must come to the same judgement.
fn first_problem(directory: &Path) -> Result<(), Error> {
    let log = EmbeddedLog::open(directory, Options::new(Clock::Recorded))?;
    let mut position = Position(0);
    let read = loop {
        match log.read(Topic::Events, position, 3) {
            Ok(events) if events.is_empty() => break Ok(()),
            Ok(events) => position = position.plus(events.len()),
            // The step may hold good records before the bad batch.
            Err(Error::Tampered { position: bad, .. }) if bad > position.0 => {
                let before = usize::try_from(bad - position.0).unwrap();
                assert_eq!(log.read(Topic::Events, position, before)?.len(), before);
                position = Position(bad);
            }
            Err(error) => break Err(error),
        }
    };
    let verified = log.verify(Topic::Events, |_| ());
    assert_eq!(read.as_ref().err().map(Error::to_string), verified.as_ref().err().map(Error::to_string));
    read
}
