//! Which storage crate carries the embedded log: fjall and redb doing the log's own work, on real event lines.
//!
//! Run by hand: `cargo bench -p keywatch-store --bench backends [-- DIRECTORY]`. It prints a table; the decision and the
//! figures behind it stand in `docs/decisions/0001-embedded-log-storage.md`. What the whole log does on the chosen
//! crate is measured by the bench `embedded`.

#![expect(clippy::unwrap_used, reason = "a bench that fails stops")]
#![expect(clippy::print_stdout, reason = "a bench prints its table")]
#![expect(clippy::disallowed_methods, reason = "a bench reads a clock")]
#![expect(clippy::cast_precision_loss, reason = "rates are shown rounded")]
#![expect(clippy::cast_possible_truncation, reason = "filler bytes may be any")]

mod lines;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant as Stopwatch};

use fjall::{KeyspaceCreateOptions, KvSeparationOptions, PersistMode};
use keywatch_store::line;
use redb::{ReadableDatabase, ReadableTable, TableDefinition};

const RECORDS: usize = 1_000_000;
const ROW_BYTES: usize = 46;
const SPELL: Duration = Duration::from_secs(2);

/// What the log asks of its storage: commit a batch (head, lines, a few small values) durably, scan, find.
trait Backend: Sync {
    fn commit(&self, batches: &[Batch]);
    fn scan(&self) -> (usize, usize);
    fn find(&self, position: u64) -> usize;
}

#[derive(Clone)]
struct Batch {
    first: u64,
    head: Vec<u8>,
    lines: Vec<u8>,
}

struct Fjall {
    database: fjall::Database,
    heads: fjall::Keyspace,
    lines: fjall::Keyspace,
    state: fjall::Keyspace,
}

impl Fjall {
    fn open(path: &Path) -> Fjall {
        let database = fjall::Database::builder(path).open().unwrap();
        let heads = database.keyspace("heads", KeyspaceCreateOptions::default).unwrap();
        let separated = || KeyspaceCreateOptions::default().with_kv_separation(Some(KvSeparationOptions::default()));
        let lines = database.keyspace("lines", separated).unwrap();
        let state = database.keyspace("state", KeyspaceCreateOptions::default).unwrap();
        Fjall { database, heads, lines, state }
    }
}

impl Backend for Fjall {
    fn commit(&self, batches: &[Batch]) {
        let mut write = self.database.batch().durability(Some(PersistMode::SyncData));
        for batch in batches {
            write.insert(&self.heads, batch.first.to_be_bytes(), batch.head.as_slice());
            write.insert(&self.lines, batch.first.to_be_bytes(), batch.lines.as_slice());
            write.insert(&self.state, "tip", [0; 80].as_slice());
            write.insert(&self.state, "system", [0; 80].as_slice());
        }
        write.commit().unwrap();
    }

    fn scan(&self) -> (usize, usize) {
        self.lines.iter().fold((0, 0), |(count, bytes), entry| (count + 1, bytes + entry.value().unwrap().len()))
    }

    fn find(&self, position: u64) -> usize {
        let found = self.heads.range(..=position.to_be_bytes()).next_back().unwrap();
        self.lines.get(found.key().unwrap()).unwrap().unwrap().len()
    }
}

const HEADS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("heads");
const LINES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("lines");
const STATE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("state");

struct Redb {
    database: redb::Database,
    quick_repair: bool,
}

impl Redb {
    fn open(path: &Path, quick_repair: bool) -> Redb {
        Redb { database: redb::Database::create(path.join("log.redb")).unwrap(), quick_repair }
    }
}

impl Backend for Redb {
    fn commit(&self, batches: &[Batch]) {
        let mut write = self.database.begin_write().unwrap();
        write.set_quick_repair(self.quick_repair);
        {
            let mut heads = write.open_table(HEADS).unwrap();
            let mut lines = write.open_table(LINES).unwrap();
            let mut state = write.open_table(STATE).unwrap();
            for batch in batches {
                heads.insert(batch.first, batch.head.as_slice()).unwrap();
                lines.insert(batch.first, batch.lines.as_slice()).unwrap();
                state.insert("tip", [0; 80].as_slice()).unwrap();
                state.insert("system", [0; 80].as_slice()).unwrap();
            }
        }
        write.commit().unwrap();
    }

    fn scan(&self) -> (usize, usize) {
        let lines = self.database.begin_read().unwrap().open_table(LINES).unwrap();
        let entries = lines.iter().unwrap();
        entries.fold((0, 0), |(count, bytes), entry| (count + 1, bytes + entry.unwrap().1.value().len()))
    }

    fn find(&self, position: u64) -> usize {
        let read = self.database.begin_read().unwrap();
        let heads = read.open_table(HEADS).unwrap();
        let first = heads.range(..=position).unwrap().next_back().unwrap().unwrap().0.value();
        read.open_table(LINES).unwrap().get(first).unwrap().unwrap().value().len()
    }
}

fn open(name: &str, path: &Path) -> Box<dyn Backend> {
    std::fs::create_dir_all(path).unwrap();
    match name {
        "fjall" => Box::new(Fjall::open(path)),
        "redb" => Box::new(Redb::open(path, false)),
        _ => Box::new(Redb::open(path, true)),
    }
}

fn event_lines(records: usize) -> Vec<String> {
    (0..records).map(|number| line::write(&lines::event(number))).collect()
}

/// A batch of `events` lines at `first`, with a head of the log's size.
fn batch(lines: &[String], first: u64, events: usize) -> Batch {
    let mut text = Vec::new();
    for at in 0..events {
        text.extend_from_slice(lines[(first as usize + at) % lines.len()].as_bytes());
        text.push(b'\n');
    }
    let head = (0..170 + events * ROW_BYTES).map(|at| (at as u64 * first) as u8).collect();
    Batch { first, head, lines: text }
}

fn appends_single(backend: &dyn Backend, lines: &[String], events: usize, next: &mut u64) -> f64 {
    let started = Stopwatch::now();
    let mut records = 0;
    while started.elapsed() < SPELL {
        backend.commit(&[batch(lines, *next, events)]);
        *next += events as u64;
        records += events;
    }
    records as f64 / started.elapsed().as_secs_f64()
}

/// Eight threads queue appends; one writer commits whatever waits as one batch and then answers all.
fn appends_grouped(backend: &dyn Backend, lines: &[String], events: usize, next: &mut u64) -> f64 {
    let (queue, waiting) = sync_channel::<SyncSender<()>>(1024);
    let started = Stopwatch::now();
    let mut records = 0;
    std::thread::scope(|scope| {
        for _ in 0..8 {
            let queue = queue.clone();
            scope.spawn(move || {
                while started.elapsed() < SPELL {
                    let (answer, answered) = sync_channel(1);
                    queue.send(answer).unwrap();
                    answered.recv().unwrap();
                }
            });
        }
        drop(queue);
        while let Ok(answer) = waiting.recv() {
            let mut answers = vec![answer];
            answers.extend(waiting.try_iter());
            backend.commit(&[batch(lines, *next, events * answers.len())]);
            *next += (events * answers.len()) as u64;
            records += events * answers.len();
            for answer in answers {
                answer.send(()).unwrap();
            }
        }
    });
    records as f64 / started.elapsed().as_secs_f64()
}

fn load(backend: &dyn Backend, lines: &[String]) {
    for first in (0..RECORDS).step_by(1000) {
        backend.commit(&[batch(lines, first as u64, 1000)]);
    }
}

fn disk_bytes(path: &Path) -> u64 {
    let entries = std::fs::read_dir(path).unwrap().map(Result::unwrap);
    entries
        .map(|entry| if entry.path().is_dir() { disk_bytes(&entry.path()) } else { entry.metadata().unwrap().len() })
        .sum()
}

fn measure(name: &str, root: &Path, lines: &[String]) {
    let path = root.join(name);
    let backend = open(name, &path.join("appends"));
    let mut next = 0;
    for events in [1, 100, 2048] {
        println!(
            "{name:>12} | 1 thread,  {events:>4} a batch | {:>9.0} appends/s",
            appends_single(&*backend, lines, events, &mut next)
        );
    }
    for events in [1, 100] {
        println!(
            "{name:>12} | 8 threads, {events:>4} a batch | {:>9.0} appends/s",
            appends_grouped(&*backend, lines, events, &mut next)
        );
    }
    drop(backend);
    let path = path.join("million");
    let started = Stopwatch::now();
    let child =
        std::process::Command::new(std::env::current_exe().unwrap()).arg("--load").arg(name).arg(&path).status();
    assert!(!child.unwrap().success(), "the child aborts with the log open");
    println!(
        "{name:>12} | load 1 M and crash | {:>8.1} s, {} MB on disk",
        started.elapsed().as_secs_f64(),
        disk_bytes(&path) >> 20
    );
    for (extra, how) in ["after a crash", "after a close"].into_iter().enumerate() {
        let started = Stopwatch::now();
        let backend = open(name, &path);
        let opened = started.elapsed().as_secs_f64();
        backend.commit(&[batch(lines, (RECORDS + extra) as u64, 1)]);
        let committed = started.elapsed().as_secs_f64();
        println!("{name:>12} | reopen {how} | {opened:>8.3} s, {committed:.3} s with a first commit");
        drop(backend);
    }
    let backend = open(name, &path);
    let started = Stopwatch::now();
    let (batches, bytes) = backend.scan();
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{name:>12} | scan | {:>9.0} batches/s, {:.0} MB/s",
        batches as f64 / seconds,
        bytes as f64 / seconds / 1e6
    );
    let started = Stopwatch::now();
    let found: usize = (0..2000).map(|step| backend.find(step * 7919 * 61 % RECORDS as u64)).sum();
    println!(
        "{name:>12} | find and read | {:>9.0} batches/s ({found} bytes)",
        2000.0 / started.elapsed().as_secs_f64()
    );
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let lines = event_lines(20_000);
    if let [load_flag, name, path] = arguments.as_slice() {
        assert_eq!(load_flag, "--load");
        load(&*open(name, Path::new(path)), &lines);
        std::process::abort();
    }
    let directory = arguments.first().map_or_else(std::env::temp_dir, PathBuf::from);
    let root = tempfile::tempdir_in(directory).unwrap();
    println!("{} bytes a line on average", lines.iter().map(String::len).sum::<usize>() / lines.len());
    for name in ["fjall", "redb", "redb-quick"] {
        measure(name, root.path(), &lines);
    }
}
