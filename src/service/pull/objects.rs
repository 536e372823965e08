//! What lies in a bucket or in a directory that is a copy of one: objects, places, and why one is not read.

use keywatch_store::Instant;

/// A file in a bucket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Object {
    /// When it was written there.
    pub(crate) written: Instant,
    /// Its place below the directory, as a bucket names it.
    pub(crate) key: String,
}

/// What lies in a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// A file.
    File(Object),
    /// A place below it, by its key.
    Directory(String),
}

/// Why an object is not read, in words that stand behind its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// It is not there, or cannot be what it should be.
    No(String),
    /// It has more bytes than are read at once.
    Large(String),
    /// Asking again may help.
    Later(String),
}

/// A part of an object, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Where it begins.
    pub(super) from: u64,
    /// How many there are at most.
    pub(super) bytes_max: usize,
}

impl Part {
    /// As a header of HTTP says it (RFC 9110 §14.2).
    pub(super) fn range(self) -> String {
        format!("bytes={}-{}", self.from, self.from.saturating_add(self.bytes_max as u64).saturating_sub(1))
    }
}

impl Unread {
    /// The words alone.
    pub(crate) fn into_words(self) -> String {
        match self {
            Unread::No(words) | Unread::Large(words) | Unread::Later(words) => words,
        }
    }
}
