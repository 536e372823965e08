//! A place in a file that is followed, in a form by which the file is known again after it was renamed, copied or replaced:
//! its device and inode, and a hash of what stands at its beginning and before the place, since inodes are given anew.

use std::fs::{self, File, Metadata};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{ffi::OsStr, io};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::limits::{AGENT_MARK_BYTES, AGENT_ROTATED_FILES_MAX};

/// How far a file was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// Which file.
    pub(super) identity: Identity,
    /// Bytes that were read.
    pub(super) offset: u64,
    /// Whether the line there was cut, and what follows of it is passed over.
    pub(super) inside_line: bool,
    /// Of what stands at the beginning and before the place.
    pub(super) mark: Mark,
    /// When the file had last changed, nanoseconds since 1970.
    pub(super) modified_ns: u64,
}

/// A file of this machine, as long as it is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

/// SHA-256 of the first bytes of a file and of the last ones before a place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Mark(String);

impl From<&Metadata> for Identity {
    fn from(metadata: &Metadata) -> Identity {
        Identity { device: metadata.dev(), inode: metadata.ino() }
    }
}

impl Mark {
    /// Of a file that was read up to `offset`.
    pub(super) fn of(file: &File, offset: u64) -> io::Result<Mark> {
        let mut digest = Sha256::new();
        let mut bytes = vec![0; usize::try_from(offset).unwrap_or(usize::MAX).min(AGENT_MARK_BYTES)];
        for from in [0, offset - bytes.len() as u64] {
            file.read_exact_at(&mut bytes, from)?;
            digest.update(&bytes);
        }
        Ok(Mark(hex::encode(digest.finalize())))
    }

    /// Whether the file still holds there what it held.
    pub(super) fn is_in(&self, file: &File, offset: u64) -> bool {
        Mark::of(file, offset).is_ok_and(|now| now == *self)
    }
}

impl Place {
    /// Whether the file is there and was read up to here: the file itself, or a copy of it.
    fn is_in(&self, path: &Path, or_copy: bool) -> bool {
        let open = || -> io::Result<bool> {
            let file = File::open(path)?;
            let metadata = file.metadata()?;
            let same =
                Identity::from(&metadata) == self.identity || (or_copy && self.offset >= AGENT_MARK_BYTES as u64);
            Ok(same && metadata.len() >= self.offset && self.mark.is_in(&file, self.offset))
        };
        open().unwrap_or(false)
    }

    /// Where what was read up to here is now: under the name it had, or beside it.
    pub(super) fn find(&self, path: &Path) -> Option<PathBuf> {
        let candidates: Vec<PathBuf> =
            [path.to_owned()].into_iter().chain(beside(path).into_iter().map(|rotated| rotated.path)).collect();
        let found = |or_copy| candidates.iter().find(|candidate| self.is_in(candidate, or_copy)).cloned();
        found(false).or_else(|| found(true))
    }
}

/// A file that has the name of another and something behind it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rotated {
    /// When it last changed, nanoseconds since 1970.
    pub(super) modified_ns: u64,
    pub(super) path: PathBuf,
    pub(super) identity: Identity,
}

/// Whether what stands behind a name is a number, a date or `old`. Packed files are none, and neither are those that other
/// programs keep beside a log.
fn is_rotation(end: &str) -> bool {
    let number = end.strip_prefix(['.', '-']).unwrap_or_default();
    let is_part = |letter: char| letter.is_ascii_digit() || ['-', '_', '.', ':', 'T', 'Z'].contains(&letter);
    number == "old" || (number.contains(|letter: char| letter.is_ascii_digit()) && number.chars().all(is_part))
}

/// Files that were rotated away from `path`, the oldest first.
pub(super) fn beside(path: &Path) -> Vec<Rotated> {
    let (Some(name), Some(directory)) = (path.file_name().and_then(OsStr::to_str), path.parent()) else {
        return Vec::new();
    };
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut rotated: Vec<Rotated> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let end = path.file_name()?.to_str()?.strip_prefix(name)?;
            let metadata = fs::metadata(&path).ok()?;
            (is_rotation(end) && metadata.is_file()).then(|| Rotated {
                modified_ns: modified_ns(&metadata),
                identity: Identity::from(&metadata),
                path,
            })
        })
        .collect();
    rotated.sort_unstable();
    // The newest, where somebody keeps more than anybody looks at.
    rotated.split_off(rotated.len().saturating_sub(AGENT_ROTATED_FILES_MAX))
}

/// When a file last changed, nanoseconds since 1970.
pub(super) fn modified_ns(metadata: &Metadata) -> u64 {
    let since = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH).duration_since(UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_files_are_told_from_what_else_stands_there() {
        for rotated in [".1", ".12", "-20261128", "-2026-11-28T10:00:00Z", ".2026-11-28.1", ".old"] {
            assert!(is_rotation(rotated), "{rotated}");
        }
        for other in ["", ".", ".gz", ".1.gz", ".1.zst", ".lock", ".offset", "2", ".2.tmp"] {
            assert!(!is_rotation(other), "{other}");
        }
    }

    #[test]
    fn a_file_is_known_by_what_was_read_of_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        let write = |name: &str, bytes: &[u8]| fs::write(directory.path().join(name), bytes).unwrap();
        let lines = b"a line of twenty by\n".repeat(50);
        write("a.log", &lines);
        let file = File::open(&path).unwrap();
        let metadata = file.metadata().unwrap();
        let mark = Mark::of(&file, 1000).unwrap();
        let place = Place { identity: Identity::from(&metadata), offset: 1000, mark, ..Place::default() };
        assert_eq!(place.find(&path), Some(path.clone()));
        // A copy of it, and more behind.
        write("a.log.1", &[lines.as_slice(), b"more\n"].concat());
        write("a.log", b"");
        assert_eq!(place.find(&path), Some(directory.path().join("a.log.1")));
        // As long, and another.
        let mut other = lines.clone();
        other[995] = b'!';
        write("a.log.1", &other);
        write("a.log", &other);
        assert_eq!(place.find(&path), None);
    }
}
