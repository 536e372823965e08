//! What was read and is not acknowledged yet, on disk: a file a batch, written whole or not at all before it is sent, and
//! deleted once keywatch has it. Each names the place in its input up to which it reaches, so that an agent that was killed
//! goes on exactly there.
//!
//! A batch that was sent and whose answer was lost is sent again as it was, byte for byte, so that its events have the same
//! ids. Knows neither the network nor what the lines mean.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File, TryLockError};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;
use tokio::sync::Notify;

use super::condition::Condition;
use super::place::Place;
use crate::limits::{AGENT_BATCH_BYTES_MAX, AGENT_BLOCK_BYTES, AGENT_HEAD_BYTES_MAX};

const EXTENSION: &str = "batch";
const PLACES: &str = "places.json";

/// Lines of one input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    /// The file that they are of, and the place behind them; nothing for standard input.
    pub(super) input: Option<(String, Place)>,
    /// The lines.
    pub(super) lines: Vec<u8>,
}

/// The first line of a batch on disk.
#[derive(Serialize, Deserialize)]
struct Head {
    input: Option<(String, Place)>,
}

/// Batches on disk, in the order in which they were read.
pub(super) struct Spool {
    directory: PathBuf,
    bytes_max: u64,
    state: Mutex<State>,
    /// Rung when there is more room, or reading is to end.
    room: Condvar,
    /// Rung when there is one more, or the end of them.
    more: Notify,
    /// Held so that no other agent works in the directory.
    _lock: File,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    bytes: u64,
    next: u64,
    /// Places behind what was read.
    read: BTreeMap<String, Place>,
    /// Places behind what keywatch has.
    acknowledged: BTreeMap<String, Place>,
    finished: bool,
    stopped: bool,
}

struct Waiting {
    number: u64,
    bytes: u64,
    input: Option<(String, Place)>,
}

impl Spool {
    /// The one of a directory, which is made where there is none; it holds at most `bytes_max` bytes.
    ///
    /// # Errors
    /// The directory cannot be written, another agent works in it, or what it holds is damaged.
    pub(super) fn open(directory: &Path, bytes_max: u64) -> anyhow::Result<Spool> {
        fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
        let lock =
            File::create(directory.join("lock")).with_context(|| format!("cannot write {}", directory.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("{} is in use by another agent; give each its own --state", directory.display())
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", directory.display()));
            }
        }
        let mut state = State { acknowledged: read_places(&directory.join(PLACES))?, ..State::default() };
        state.read = state.acknowledged.clone();
        for number in numbers(directory)? {
            let path = path(directory, number);
            let input = read_head(&path)?.1;
            let bytes = cost(fs::metadata(&path)?.len());
            state.read.extend(input.clone());
            state.bytes += bytes;
            state.next = number + 1;
            state.waiting.push_back(Waiting { number, bytes, input });
        }
        let (state, room, more) = (Mutex::new(state), Condvar::new(), Notify::new());
        Ok(Spool { directory: directory.to_owned(), bytes_max, state, room, more, _lock: lock })
    }

    /// The place of an input behind all that was read of it.
    pub(super) fn place(&self, input: &str) -> Option<Place> {
        self.lock().read.get(input).cloned()
    }

    /// Keeps a batch; waits for room, and says so. False if there was none and reading is to end.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub(super) fn push(&self, batch: &Batch, condition: &Condition) -> anyhow::Result<bool> {
        let mut bytes = serde_json::to_vec(&Head { input: batch.input.clone() })?;
        bytes.push(b'\n');
        bytes.extend_from_slice(&batch.lines);
        let takes = cost(bytes.len() as u64);
        let mut state = self.lock();
        let is_full = |state: &State| state.bytes + takes > self.bytes_max && !state.waiting.is_empty();
        while is_full(&state) && !state.stopped {
            let full = format!(
                "the buffer of {} MiB is full: nothing more is read until keywatch takes it",
                self.bytes_max >> 20
            );
            condition.wrong("buffer", &full);
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if is_full(&state) {
            return Ok(false);
        }
        condition.right("buffer");
        let number = state.next;
        drop(state);
        // One thread reads, so that nobody else takes the number meanwhile.
        write_whole(&path(&self.directory, number), &bytes)?;
        let mut state = self.lock();
        state.next = number + 1;
        state.bytes += takes;
        state.read.extend(batch.input.clone());
        state.waiting.push_back(Waiting { number, bytes: takes, input: batch.input.clone() });
        drop(state);
        self.more.notify_one();
        Ok(true)
    }

    /// The oldest batch that is not acknowledged, as soon as there is one; `None` once no more will come. It stays until it
    /// is [done](Self::done).
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) async fn next(&self) -> anyhow::Result<Option<(u64, Vec<u8>)>> {
        loop {
            let more = self.more.notified();
            {
                let state = self.lock();
                match state.waiting.front() {
                    Some(waiting) => {
                        let path = path(&self.directory, waiting.number);
                        return Ok(Some((waiting.number, read_head(&path)?.0)));
                    }
                    None if state.finished => return Ok(None),
                    None => {}
                }
            }
            more.await;
        }
    }

    /// keywatch has the oldest batch, which has that number.
    ///
    /// # Errors
    /// The directory cannot be written. The batch is sent again then, which makes no double.
    pub(super) fn done(&self, number: u64) -> anyhow::Result<()> {
        let mut state = self.lock();
        ensure!(
            state.waiting.front().is_some_and(|waiting| waiting.number == number),
            "batch {number} is not the oldest"
        );
        let Some(waiting) = state.waiting.pop_front() else { return Ok(()) };
        state.bytes -= waiting.bytes;
        if let Some((input, place)) = waiting.input {
            state.acknowledged.insert(input, place);
            // Before the batch goes, which has said so until now.
            write_whole(&self.directory.join(PLACES), &serde_json::to_vec_pretty(&state.acknowledged)?)?;
        }
        fs::remove_file(path(&self.directory, number))?;
        drop(state);
        self.room.notify_all();
        Ok(())
    }

    /// Batches that wait, and the bytes that they take.
    pub(super) fn waiting(&self) -> (usize, u64) {
        let state = self.lock();
        (state.waiting.len(), state.bytes)
    }

    /// No more will come.
    pub(super) fn finish(&self) {
        self.lock().finished = true;
        self.more.notify_one();
    }

    /// Reading is to end.
    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.room.notify_all();
    }

    /// Waits so long, or until reading is to end; says whether it is.
    pub(super) fn pause(&self, wait: Duration) -> bool {
        let waited = self.room.wait_timeout_while(self.lock(), wait, |state| !state.stopped);
        waited.unwrap_or_else(PoisonError::into_inner).0.stopped
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:020}.{EXTENSION}"))
}

/// What a file takes of the disk.
fn cost(bytes: u64) -> u64 {
    bytes.next_multiple_of(AGENT_BLOCK_BYTES)
}

fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let directory = path.parent().context("a file of the spool stands in its directory")?;
    let written = || -> anyhow::Result<()> {
        let mut file = NamedTempFile::new_in(directory)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(File::open(directory)?.sync_all()?)
    };
    written().with_context(|| format!("cannot write {}", path.display()))
}

fn numbers(directory: &Path) -> anyhow::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = PathBuf::from(entry?.file_name());
        // What was being written when an agent was killed.
        if name.to_str().is_some_and(|name| name.starts_with(".tmp")) {
            fs::remove_file(directory.join(&name))?;
            continue;
        }
        let is_batch = name.extension().is_some_and(|extension| extension == EXTENSION);
        let number: Option<u64> = name.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
        numbers.extend(number.filter(|_| is_batch));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn read_places(path: &Path) -> anyhow::Result<BTreeMap<String, Place>> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .with_context(|| format!("{} is damaged; without it everything is sent again", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// A batch on disk: its lines, and the input with the place behind them.
type Kept = (Vec<u8>, Option<(String, Place)>);

fn read_head(path: &Path) -> anyhow::Result<Kept> {
    let whole = || -> anyhow::Result<Kept> {
        let mut file = BufReader::new(File::open(path)?);
        let mut head = Vec::new();
        file.by_ref().take(AGENT_HEAD_BYTES_MAX).read_until(b'\n', &mut head)?;
        let head: Head = serde_json::from_slice(&head)?;
        let mut lines = Vec::new();
        file.take(AGENT_BATCH_BYTES_MAX as u64 + 1).read_to_end(&mut lines)?;
        Ok((lines, head.input))
    };
    whole().with_context(|| format!("{} is damaged; move it away to go on without its lines", path.display()))
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn batch(input: &str, offset: u64, lines: &[u8]) -> Batch {
        Batch { input: Some((input.to_owned(), Place { offset, ..Place::default() })), lines: lines.to_vec() }
    }

    fn offset(spool: &Spool, input: &str) -> Option<u64> {
        spool.place(input).map(|place| place.offset)
    }

    #[tokio::test]
    async fn p2_a_killed_agent_goes_on_where_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let condition = Condition::default();
        let open = || Spool::open(directory.path(), 1 << 20).unwrap();
        let spool = open();
        assert!(Spool::open(directory.path(), 1 << 20).is_err(), "two agents in one directory");
        for (input, offset, lines) in [("a", 2, b"1\n"), ("b", 2, b"2\n"), ("a", 4, b"3\n")] {
            assert!(spool.push(&batch(input, offset, lines), &condition).unwrap());
        }
        let (number, lines) = spool.next().await.unwrap().unwrap();
        assert_eq!((number, lines.as_slice()), (0, b"1\n".as_slice()));
        spool.done(number).unwrap();
        drop(spool);

        let spool = open();
        assert_eq!((offset(&spool, "a"), offset(&spool, "b"), offset(&spool, "c")), (Some(4), Some(2), None));
        for expected in [b"2\n", b"3\n"] {
            let (number, lines) = spool.next().await.unwrap().unwrap();
            assert_eq!(lines, expected);
            spool.done(number).unwrap();
        }
        assert!(spool.next().now_or_never().is_none(), "there is nothing yet");
        spool.finish();
        assert!(spool.next().await.unwrap().is_none());
        drop(spool);

        let spool = open();
        assert_eq!((offset(&spool, "a"), offset(&spool, "b"), spool.waiting()), (Some(4), Some(2), (0, 0)));
    }

    #[tokio::test]
    async fn p7_a_full_spool_stops_who_reads_and_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let condition = Condition::default();
        let spool = Spool::open(directory.path(), 2 * AGENT_BLOCK_BYTES).unwrap();
        for offset in [1, 2] {
            assert!(spool.push(&batch("a", offset, b"x\n"), &condition).unwrap());
        }
        std::thread::scope(|scope| {
            let third = scope.spawn(|| spool.push(&batch("a", 3, b"x\n"), &condition).unwrap());
            while condition.problem().0.is_none() {
                assert!(!third.is_finished(), "there was no room");
                std::thread::yield_now();
            }
            spool.done(0).unwrap();
            assert!(third.join().unwrap());
        });
        assert_eq!((condition.problem().0, offset(&spool, "a")), (None, Some(3)));
        spool.stop();
        assert!(!spool.push(&batch("a", 4, b"x\n"), &condition).unwrap());
        assert_eq!(offset(&spool, "a"), Some(3));
    }
}
