//! The head file: where each topic ends, kept apart from the storage that it vouches for.
//!
//! It is written after each commit of the storage and before anybody is answered, so that whatever was acknowledged is
//! before the head. A log that goes on behind its head was killed between the two and is whole; one that ends before it
//! is not.
//!
//! ```text
//! file = slot · zeroes up to 4096 · slot                       (integers are big-endian)
//! slot = "keywatch head 1\n" · number u64 · clock u8
//!      · for events and conclusions: position u64 · latest log time i64 · hash of the last batch [32]
//!      · MAC [32], as of a value named `head`
//! ```
//!
//! The slots are written in turn and stand in blocks of their own: a write that is torn leaves the one before.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
#[cfg(unix)]
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::damage::FileDamage;
use super::directory::{cannot_write, sync_directory};
use crate::log::TopicHead;
use crate::log::hash_chain::Key;
use crate::{Clock, Error, Instant, Position};

const MAGIC: &[u8] = b"keywatch head 1\n";
const NAME: &[u8] = b"head";
const TOPIC_BYTES: usize = 8 + 8 + 32;
const SLOT_BYTES: usize = MAGIC.len() + 8 + 1 + 2 * TOPIC_BYTES + 32;
const SLOT_DISTANCE: usize = 4096;

/// What the head file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Heads {
    pub(super) clock: Clock,
    pub(super) topics: [TopicHead; 2],
}

/// The head file, open for writing.
#[derive(Debug)]
pub(super) struct HeadFile {
    file: File,
    path: PathBuf,
    key: Key,
    clock: Clock,
    /// Number of the next slot to be written.
    next: u64,
}

/// Where it lies in a log's directory.
pub(super) fn path(directory: &Path) -> PathBuf {
    directory.join("head")
}

/// What the head file says; `None` when there is none.
///
/// # Errors
/// Neither slot is what the log's writer wrote.
pub(super) fn read(directory: &Path, key: &Key) -> Result<Option<Heads>, FileDamage> {
    Ok(newest(&path(directory), key)?.map(|(_, heads)| heads))
}

fn newest(path: &Path, key: &Key) -> Result<Option<(u64, Heads)>, FileDamage> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(FileDamage::unreadable(path, &error)),
    };
    let slots = [0, SLOT_DISTANCE].map(|at| bytes.get(at..at + SLOT_BYTES).and_then(|slot| open(slot, key)));
    let newest = slots.into_iter().flatten().max_by_key(|(number, _)| *number);
    newest
        .map(Some)
        .ok_or_else(|| FileDamage::new(path, "neither of its two entries carries the MAC of this log's writer"))
}

impl HeadFile {
    /// Opens the file, or makes it with `heads`.
    pub(super) fn open(directory: &Path, key: &Key, heads: &Heads) -> Result<HeadFile, Error> {
        let path = path(directory);
        let newest = newest(&path, key).map_err(|damage| super::damage::Damage::from(damage).of(directory))?;
        let failed = |error: std::io::Error| cannot_write(&path, &error);
        let number = if let Some((number, _)) = newest {
            number
        } else {
            create(&path, &seal(0, heads, key)).map_err(failed)?;
            0
        };
        let file = OpenOptions::new().write(true).open(&path).map_err(failed)?;
        let mut file = HeadFile { file, path, key: key.clone(), clock: heads.clock, next: number + 1 };
        file.write(heads.topics)?;
        Ok(file)
    }

    /// Notes where the topics end; it is durable when this returns.
    pub(super) fn write(&mut self, topics: [TopicHead; 2]) -> Result<(), Error> {
        let slot = seal(self.next, &Heads { clock: self.clock, topics }, &self.key);
        let at = self.next % 2 * SLOT_DISTANCE as u64;
        let written = self.file.write_all_at(&slot, at).and_then(|()| self.file.sync_data());
        written.map_err(|error| cannot_write(&self.path, &error))?;
        self.next += 1;
        Ok(())
    }
}

/// Makes the file with one entry in both slots; it appears whole or not at all.
fn create(path: &Path, slot: &[u8]) -> std::io::Result<()> {
    let draft = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    options.mode(0o600);
    let file = options.open(&draft)?;
    file.set_len(2 * SLOT_DISTANCE as u64)?;
    file.write_all_at(slot, 0)?;
    file.write_all_at(slot, SLOT_DISTANCE as u64)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    sync_directory(path)
}

fn seal(number: u64, heads: &Heads, key: &Key) -> Vec<u8> {
    let mut slot = MAGIC.to_vec();
    slot.extend(number.to_be_bytes());
    slot.push(match heads.clock {
        Clock::Wall => 0,
        Clock::Recorded => 1,
    });
    for topic in &heads.topics {
        slot.extend(topic.position.0.to_be_bytes());
        slot.extend(topic.time.0.to_be_bytes());
        slot.extend(topic.hash);
    }
    key.seal_value(NAME, &slot)
}

fn open(slot: &[u8], key: &Key) -> Option<(u64, Heads)> {
    let content = key.open_value(NAME, slot)?.strip_prefix(MAGIC)?;
    let (number, content) = content.split_first_chunk()?;
    let (clock, mut content) = content.split_first()?;
    let clock = match clock {
        0 => Clock::Wall,
        1 => Clock::Recorded,
        _ => return None,
    };
    let mut topics = [TopicHead::START; 2];
    for topic in &mut topics {
        let (position, rest) = content.split_first_chunk()?;
        let (time, rest) = rest.split_first_chunk()?;
        let (hash, rest) = rest.split_first_chunk()?;
        *topic = TopicHead {
            position: Position(u64::from_be_bytes(*position)),
            time: Instant(i64::from_be_bytes(*time)),
            hash: *hash,
        };
        content = rest;
    }
    Some((u64::from_be_bytes(*number), Heads { clock, topics }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heads(position: u64) -> Heads {
        let head =
            TopicHead { position: Position(position), time: Instant(7), hash: [u8::try_from(position).unwrap(); 32] };
        Heads { clock: Clock::Wall, topics: [head, TopicHead::START] }
    }

    #[test]
    fn any_byte_of_the_newest_entry_may_be_lost_and_the_one_before_stands() {
        let directory = tempfile::tempdir().unwrap();
        let key = Key::new(&[1; 32]);
        let mut file = HeadFile::open(directory.path(), &key, &heads(0)).unwrap();
        for position in 1..=5 {
            file.write(heads(position).topics).unwrap();
            assert_eq!(read(directory.path(), &key), Ok(Some(heads(position))));
        }
        let path = path(directory.path());
        let bytes = fs::read(&path).unwrap();
        // Opening wrote number 1, so that the fifth is number 6, in the first slot.
        for at in 0..SLOT_BYTES {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            fs::write(&path, &changed).unwrap();
            assert_eq!(read(directory.path(), &key), Ok(Some(heads(4))), "byte {at}");
            changed[at + SLOT_DISTANCE] ^= 1;
            fs::write(&path, &changed).unwrap();
            assert!(read(directory.path(), &key).is_err(), "byte {at} of both");
        }
        fs::write(&path, &bytes).unwrap();
        assert!(read(directory.path(), &Key::new(&[2; 32])).is_err(), "another writer's");
    }
}
