//! What the log keeps on disk. Of the log nothing else knows the storage crate, on which the index of ids stands, too.
//!
//! Three keyspaces: `heads` and `lines` hold the two parts of each batch (see [`crate::log::hash_chain`]) under topic and first
//! position; `state` holds small values, each sealed with the role's key under its name. Everything that belongs to one
//! commit is one atomic write of the storage crate, synced before it returns.

use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

use fjall::{
    Database, Guard, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, OwnedWriteBatch, PersistMode, UserValue,
};

use super::damage::{Damage, FileDamage};
use super::files;
use crate::limits::{HEADS_IN_MEMORY_BYTES_MAX, LINES_IN_MEMORY_BYTES_MAX, STATE_IN_MEMORY_BYTES_MAX};
use crate::log::hash_chain::{self, Hash, IntegrityError, Key};
use crate::{Error, Position, Topic};

/// Bytes of journal that are replayed on opening at most.
const JOURNAL_BYTES_MAX: u64 = 128 << 20;

pub(super) struct Disk {
    path: PathBuf,
    database: Database,
    heads: Keyspace,
    lines: Keyspace,
    state: Keyspace,
}

/// A name, or the rest of one, and its value.
type Named = (Vec<u8>, Vec<u8>);

/// How a keyspace is made that holds so many bytes in memory. The storage crate keeps that with the keyspace: one that is there
/// has the bytes with which it was made.
fn in_memory(bytes_max: u64) -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default().max_memtable_size(bytes_max)
}

/// A batch as it lies on disk, unchecked.
pub(super) struct Stored {
    pub(super) first: Position,
    pub(super) head: UserValue,
    /// `None` when the lines are gone.
    pub(super) lines: Option<UserValue>,
}

/// A database with what `open` opens in it. The storage crate meets some damage there with a panic that leaves a lock
/// poisoned, and lets go of a database with such a lock with another panic, which would end the process: that database is
/// never let go of.
pub(in crate::log) fn with_keyspaces<K>(
    database: Database,
    open: impl FnOnce(&Database) -> fjall::Result<K>,
) -> fjall::Result<(Database, K)> {
    match catch_unwind(AssertUnwindSafe(|| open(&database))) {
        Ok(opened) => opened.map(|keyspaces| (database, keyspaces)),
        Err(panic) => {
            std::mem::forget(database);
            resume_unwind(panic)
        }
    }
}

impl Disk {
    pub(super) fn open(directory: &Path) -> Result<Disk, Error> {
        // It meets some damage with a panic.
        let opened = catch_unwind(|| {
            let builder = Database::builder(directory.join("data")).max_journaling_size(JOURNAL_BYTES_MAX);
            let (database, [heads, lines, state]) = with_keyspaces(builder.open()?, |database| {
                let heads = database.keyspace("heads", || in_memory(HEADS_IN_MEMORY_BYTES_MAX))?;
                let lines = database.keyspace("lines", || {
                    in_memory(LINES_IN_MEMORY_BYTES_MAX).with_kv_separation(Some(KvSeparationOptions::default()))
                })?;
                Ok([heads, lines, database.keyspace("state", || in_memory(STATE_IN_MEMORY_BYTES_MAX))?])
            })?;
            Ok(Disk { path: directory.to_owned(), database, heads, lines, state })
        });
        match opened {
            Ok(opened) => opened.map_err(|error: fjall::Error| storage(directory, &error)),
            Err(_) => Err(damaged(directory, "the storage crate broke off on opening it")),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a value stands under `name`, genuine or not.
    pub(super) fn has_value(&self, name: &[u8]) -> Result<bool, Error> {
        self.state.contains_key(name).map_err(|error| self.failed(&error))
    }

    /// The value under `name`.
    pub(super) fn value(&self, name: &[u8], key: &Key) -> Result<Option<Vec<u8>>, Error> {
        let sealed = self.state.get(name).map_err(|error| self.failed(&error))?;
        sealed.map(|sealed| unseal(name, &sealed, key)).transpose()
    }

    /// All values whose name begins with `prefix`, with the rest of their names.
    pub(super) fn values(&self, prefix: &[u8], key: &Key) -> Result<Vec<Named>, Error> {
        let entries = self.state.prefix(prefix).map(|entry| {
            let (name, sealed) = entry.into_inner().map_err(|error| self.failed(&error))?;
            Ok((name[prefix.len()..].to_vec(), unseal(&name, &sealed, key)?))
        });
        entries.collect()
    }

    /// The batch that begins at `position` or is the last to begin before it.
    pub(super) fn first_at_or_before(&self, topic: Topic, position: Position) -> Result<Option<Position>, Error> {
        let found = self.heads.range(name(topic, Position(0))..=name(topic, position)).next_back();
        found.map(|entry| Ok(first_of(&entry.key().map_err(|error| self.failed(&error))?))).transpose()
    }

    /// The last batch's head, and its first position.
    pub(super) fn last_head(&self, topic: Topic) -> Result<Option<(Position, UserValue)>, Error> {
        let range = name(topic, Position(0))..=name(topic, Position(u64::MAX));
        let last = self.heads.range(range).next_back();
        last.map(|entry| self.pair(entry).map(|(key, head)| (first_of(&key), head))).transpose()
    }

    /// The hash that the last batch before `position` states.
    pub(super) fn stated_hash_before(&self, topic: Topic, position: Position) -> Result<Option<Hash>, Error> {
        let Some(entry) = self.heads.range(name(topic, Position(0))..name(topic, position)).next_back() else {
            return Ok(None);
        };
        let (key, head) = self.pair(entry)?;
        hash_chain::stated_hash(&head).map(Some).map_err(|failed| failed.at(first_of(&key)))
    }

    /// The heads from the batch that begins at `first` on.
    pub(super) fn heads(
        &self,
        topic: Topic,
        first: Position,
    ) -> impl Iterator<Item = Result<(Position, UserValue), Error>> + '_ {
        let entries = self.heads.range(name(topic, first)..=name(topic, Position(u64::MAX)));
        entries.map(|entry| self.pair(entry).map(|(key, head)| (first_of(&key), head)))
    }

    /// The batches from the one that begins at `first` on.
    pub(super) fn batches(&self, topic: Topic, first: Position) -> impl Iterator<Item = Result<Stored, Error>> + '_ {
        let range = name(topic, first)..=name(topic, Position(u64::MAX));
        let heads = self.heads.range(range.clone());
        let mut lines = Pairs { entries: self.lines.range(range), waiting: None };
        heads.map(move |entry| {
            let (key, head) = self.pair(entry)?;
            let lines = lines.at(&key).map_err(|error| self.failed(&error))?;
            Ok(Stored { first: first_of(&key), head, lines })
        })
    }

    /// The lines of the batch that begins at `first`.
    pub(super) fn lines(&self, topic: Topic, first: Position) -> Result<Option<UserValue>, Error> {
        self.lines.get(name(topic, first)).map_err(|error| self.failed(&error))
    }

    /// The first head from `from` on that can be read: where one cannot, the crate does not say how far the damage reaches,
    /// so its end is looked for by doubling steps and then halving them.
    pub(super) fn next_readable_head(&self, topic: Topic, from: Position) -> Option<(Position, UserValue)> {
        let readable = |position: u64| self.heads(topic, Position(position)).next().transpose();
        if let Ok(found) = readable(from.0) {
            return found;
        }
        let (mut unreadable, mut step) = (from.0, 1_u64);
        let mut beyond = loop {
            let probe = from.0.saturating_add(step);
            if readable(probe).is_ok() {
                break probe;
            }
            if probe == u64::MAX {
                return None;
            }
            (unreadable, step) = (probe, step.saturating_mul(2));
        };
        while beyond - unreadable > 1 {
            let middle = unreadable + (beyond - unreadable) / 2;
            match readable(middle) {
                Ok(_) => beyond = middle,
                Err(_) => unreadable = middle,
            }
        }
        readable(beyond).ok().flatten()
    }

    pub(super) fn change(&self) -> Change<'_> {
        Change { disk: self, write: self.database.batch().durability(Some(PersistMode::SyncData)) }
    }

    fn pair(&self, entry: Guard) -> Result<(UserValue, UserValue), Error> {
        entry.into_inner().map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &fjall::Error) -> Error {
        storage(&self.path, error)
    }
}

/// What one commit writes; all of it or nothing.
pub(super) struct Change<'a> {
    disk: &'a Disk,
    write: OwnedWriteBatch,
}

impl Change<'_> {
    pub(super) fn put_batch(&mut self, topic: Topic, first: Position, head: Vec<u8>, lines: &[u8]) {
        self.write.insert(&self.disk.heads, name(topic, first), head);
        self.write.insert(&self.disk.lines, name(topic, first), lines);
    }

    pub(super) fn drop_batch(&mut self, topic: Topic, first: Position) {
        self.write.remove(&self.disk.heads, name(topic, first));
        self.write.remove(&self.disk.lines, name(topic, first));
    }

    pub(super) fn put_value(&mut self, name: &[u8], value: &[u8], key: &Key) {
        self.write.insert(&self.disk.state, name, key.seal_value(name, value));
    }

    /// Returns when all of it is durable.
    pub(super) fn commit(self) -> Result<(), Error> {
        let path = self.disk.path.clone();
        self.write.commit().map_err(|error| Error::CannotWrite { path, problem: describe(&error) })
    }
}

/// Walks the lines beside the heads, so that a scan needs no lookup a batch.
struct Pairs {
    entries: fjall::Iter,
    waiting: Option<(UserValue, UserValue)>,
}

impl Pairs {
    /// The value under `key`, if there is one; keys are asked for in rising order.
    fn at(&mut self, key: &[u8]) -> fjall::Result<Option<UserValue>> {
        loop {
            if self.waiting.is_none() {
                self.waiting = self.entries.next().map(Guard::into_inner).transpose()?;
            }
            match self.waiting.take() {
                Some((found, value)) if *found == *key => return Ok(Some(value)),
                Some((found, _)) if *found < *key => {}
                further => {
                    self.waiting = further;
                    return Ok(None);
                }
            }
        }
    }
}

fn name(topic: Topic, first: Position) -> [u8; 9] {
    let mut name = [hash_chain::topic_number(topic); 9];
    name[1..].copy_from_slice(&first.0.to_be_bytes());
    name
}

fn first_of(name: &[u8]) -> Position {
    Position(name.get(1..).and_then(|first| first.try_into().ok()).map_or(u64::MAX, u64::from_be_bytes))
}

fn unseal(name: &[u8], sealed: &[u8], key: &Key) -> Result<Vec<u8>, Error> {
    let value = key.open_value(name, sealed).map(<[u8]>::to_vec);
    value.ok_or_else(|| IntegrityError::Value(String::from_utf8_lossy(name).into_owned()).at(Position(0)))
}

fn storage(path: &Path, error: &fjall::Error) -> Error {
    match io_kind(error) {
        Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::ReadOnlyFilesystem) => {
            Error::CannotWrite { path: path.to_owned(), problem: describe(error) }
        }
        // A file that was cut short shows in many kinds of errors, and the error does not name it.
        Some(_) => match files::first_damaged_table(&path.join("data")) {
            Some(file) => Damage::from(file).of(path),
            None => Error::Storage { path: path.to_owned(), problem: describe(error) },
        },
        None if matches!(error, fjall::Error::Locked) => Error::InUse { path: path.to_owned() },
        None => damaged(path, &describe(error)),
    }
}

/// The storage crate does not say in which file it stumbled; so the file is looked for.
fn damaged(path: &Path, problem: &str) -> Error {
    let data = path.join("data");
    let found = files::first_damaged_table(&data);
    Damage::from(found.unwrap_or_else(|| FileDamage::new(&data, problem))).of(path)
}

fn io_kind(error: &fjall::Error) -> Option<ErrorKind> {
    match error {
        fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => Some(error.kind()),
        _ => None,
    }
}

/// The storage crate prints its errors for programmers.
fn describe(error: &fjall::Error) -> String {
    use fjall::{Error as Crate, LsmError};
    match error {
        Crate::Io(error) | Crate::Storage(LsmError::Io(error)) => error.to_string(),
        Crate::Poisoned => "an earlier write in the background failed, often because the disk was full".into(),
        Crate::JournalRecovery(_) => "a journal does not verify".into(),
        Crate::Storage(LsmError::ChecksumMismatch { .. }) => "a block of a table does not match its checksum".into(),
        Crate::Unrecoverable | Crate::Storage(LsmError::Unrecoverable) => "files of it are missing or damaged".into(),
        Crate::Decompress(_) | Crate::Storage(LsmError::Decompress(_)) => "a value cannot be unpacked".into(),
        Crate::InvalidVersion(_) | Crate::Storage(LsmError::InvalidVersion(_)) => {
            "it is of a format that this keywatch does not know".into()
        }
        Crate::InvalidTag(_) | Crate::InvalidTrailer | Crate::Storage(_) => "a file of it is malformed".into(),
        other => other.to_string(),
    }
}
