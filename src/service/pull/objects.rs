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
    /// Asking again may help.
    Later(String),
}

impl Unread {
    /// The words alone.
    pub(crate) fn into_words(self) -> String {
        match self {
            Unread::No(words) | Unread::Later(words) => words,
        }
    }
}
