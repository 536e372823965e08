//! The storage crate's journal, read by ourselves and only read.
//!
//! The crate takes whatever it cannot read for a torn tail and cuts it off, with everything behind it. So a journal is
//! looked through here before the crate may open it. Each commit of this log is synced before the next one begins; hence
//! only the last commit of the last journal can be torn, and whatever else does not verify is damage.
//!
//! ```text
//! journal = commit* zeroes*                                           (integers are little-endian)
//! commit  = 1 · count u32 · sequence u64 · count × entry · 3 · checksum u64 · "FJL" 3
//! entry   = 2 · type u8 · compression u8 · keyspace u64 · key length u16 · value length u32 · stored length u32 · key · value
//!         | 4 · keyspace u64
//! ```
//!
//! The checksum is XXH3 over the entries as they stand there. This is version 3 of the crate's format; `files` refuses to
//! read another.

use std::ops::Range;

use xxhash_rust::xxh3::Xxh3;

const COMMIT: u8 = 1;
const ENTRY: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
const TRAILER: &[u8] = b"FJL\x03";
const LZ4: u8 = 1;

/// A value that a commit puts under a key.
pub(super) struct Put<'a> {
    pub(super) key: &'a [u8],
    stored: &'a [u8],
    value_bytes: usize,
    compressed: bool,
}

impl Put<'_> {
    /// The value, unpacked; `None` where it cannot be.
    pub(super) fn value(&self) -> Option<Vec<u8>> {
        if self.compressed {
            lz4_flex::decompress(self.stored, self.value_bytes).ok()
        } else {
            Some(self.stored.to_vec())
        }
    }
}

/// A stretch of a journal that holds no commit that verifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bad {
    pub(super) bytes: Range<usize>,
    pub(super) problem: &'static str,
}

/// What a journal holds.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// Where the commits stand that verify.
    pub(super) commits: Vec<Range<usize>>,
    /// What stands before, between and behind them, but for the zeroes at the end.
    pub(super) bad: Vec<Bad>,
    /// Sequence number of the last commit.
    pub(super) last_sequence: u64,
}

impl Content {
    /// Whether all that does not verify could be the last commit, torn.
    pub(super) fn ends_torn(&self) -> bool {
        let end = self.commits.last().map_or(0, |commit| commit.end);
        matches!(self.bad.as_slice(), [only] if only.bytes.start == end)
    }
}

/// Goes through a journal. `previous` is the last sequence number of the journal before; they rise without end.
pub(super) fn read<'a>(journal: &'a [u8], previous: u64, mut put: impl FnMut(usize, &Put<'a>)) -> Content {
    let data = &journal[..journal.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)];
    let mut content = Content { last_sequence: previous, ..Content::default() };
    let mut at = 0;
    while at < data.len() {
        match commit(data, at, content.last_sequence) {
            Ok(commit) => {
                commit.puts.iter().for_each(|found| put(at, found));
                content.last_sequence = commit.sequence;
                content.commits.push(at..commit.end);
                at = commit.end;
            }
            Err(problem) => {
                let resumed = (at + 1..data.len())
                    .find(|later| data[*later] == COMMIT && commit(data, *later, content.last_sequence).is_ok());
                let end = resumed.unwrap_or(data.len());
                content.bad.push(Bad { bytes: at..end, problem });
                at = end;
            }
        }
    }
    content
}

struct Commit<'a> {
    sequence: u64,
    puts: Vec<Put<'a>>,
    end: usize,
}

fn commit(data: &[u8], at: usize, previous: u64) -> Result<Commit<'_>, &'static str> {
    let mut bytes = Bytes { data, at };
    if bytes.byte()? != COMMIT {
        return Err("no commit begins here");
    }
    let count = bytes.u32()?;
    let sequence = bytes.u64()?;
    // The checksum does not cover the head of a commit, so its numbers are held against what they can be.
    if (previous != 0 && sequence <= previous) || sequence - previous > SEQUENCE_STEP_MAX {
        return Err("its sequence number does not follow");
    }
    let begin = bytes.at;
    let mut puts = Vec::new();
    for _ in 0..count {
        match bytes.byte()? {
            ENTRY => puts.push(bytes.entry()?),
            CLEAR => drop(bytes.u64()?),
            _ => return Err("an entry is malformed"),
        }
    }
    let entries = &data[begin..bytes.at];
    if bytes.byte()? != END {
        return Err("it does not end where it says");
    }
    let stated = bytes.u64()?;
    if bytes.take(TRAILER.len())? != TRAILER {
        return Err("its end is malformed");
    }
    let mut checksum = Xxh3::new();
    checksum.update(entries);
    if checksum.digest() != stated {
        return Err("its checksum does not match");
    }
    Ok(Commit { sequence, puts, end: bytes.at })
}

/// Sequence numbers are given to commits, flushes and compactions; so many never lie between two commits.
const SEQUENCE_STEP_MAX: u64 = 1 << 40;

struct Bytes<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], &'static str> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.data.len()).ok_or("it is cut off")?;
        let taken = &self.data[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        Ok(self.take(N)?.try_into().expect("so many were taken"))
    }

    fn byte(&mut self) -> Result<u8, &'static str> {
        Ok(self.array::<1>()?[0])
    }

    fn u16(&mut self) -> Result<u16, &'static str> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32, &'static str> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, &'static str> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn entry(&mut self) -> Result<Put<'a>, &'static str> {
        let [_kind, compression] = self.array()?;
        let _keyspace = self.u64()?;
        let key_bytes = usize::from(self.u16()?);
        let value_bytes = self.u32()? as usize;
        let stored_bytes = self.u32()? as usize;
        let key = self.take(key_bytes)?;
        let stored = self.take(stored_bytes)?;
        Ok(Put { key, stored, value_bytes, compressed: compression == LZ4 })
    }
}
