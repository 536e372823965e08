//! A file that grows, followed from where it was left: by its name, through renames, copies and truncations, with every
//! line once. What cannot be found again is said.
//!
//! A file that was renamed is read to its end through the file that is open; one that was rotated while nobody looked is
//! looked for beside its name. Then come those that changed after it, in their order, and then the one that has the name.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::condition::Condition;
use super::lines::{cut, is_blank, rest_of_line};
use super::place::{Identity, Mark, Place, beside, modified_ns};
use super::spool::Batch;
use crate::limits::AGENT_BATCH_BYTES_MAX;

/// A file that is followed.
pub(super) struct Tail {
    path: PathBuf,
    name: String,
    /// Where it was left, until it is found again.
    left: Option<Place>,
    open: Option<Open>,
    /// Whether something is wrong while there is no such file.
    expected: bool,
    /// Rotated files that were read to their end since the one of that name was.
    read: BTreeSet<Identity>,
    /// How long a file that was rotated away may still grow; `None` where all files end as they are.
    patience: Option<Duration>,
}

/// What a look has brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Lines.
    Lines(Batch),
    /// No lines, but there may be some at once.
    Again,
    /// Nothing for now.
    Nothing,
}

struct Open {
    path: PathBuf,
    file: File,
    identity: Identity,
    offset: u64,
    inside_line: bool,
    mark: Mark,
    /// Since when it has not the name any more and does not grow.
    quiet_since: Option<Instant>,
}

impl Tail {
    /// Follows the file of that name from where it was left, from its beginning if it never was read. Something is wrong while
    /// an `expected` one is not there.
    pub(super) fn new(path: &Path, expected: bool, left: Option<Place>, patience: Option<Duration>) -> Tail {
        let name = path.display().to_string();
        Tail { path: path.to_owned(), name, left, open: None, expected, read: BTreeSet::new(), patience }
    }

    /// What it is called.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Looks for lines.
    ///
    /// # Errors
    /// The file cannot be read; it is looked at again next time.
    pub(super) fn look(&mut self, now: Instant, condition: &Condition) -> io::Result<Look> {
        let Some(mut open) = self.open.take() else { return self.begin(condition) };
        let look = self.look_at(&mut open, now, condition);
        // Unless another one was opened in its place.
        self.open.get_or_insert(open);
        look
    }

    fn look_at(&mut self, open: &mut Open, now: Instant, condition: &Condition) -> io::Result<Look> {
        let length = open.file.metadata()?.len();
        if length < open.offset || (length > open.offset && !open.mark.is_in(&open.file, open.offset)) {
            let left = open.place()?;
            return self.find_again(&left, condition);
        }
        match open.read(length, self.patience.is_none())? {
            Look::Nothing => self.after(open, now, condition),
            found => Ok(self.named(found)),
        }
    }

    /// At the end of a file: whether another one has its name.
    fn after(&mut self, open: &mut Open, now: Instant, condition: &Condition) -> io::Result<Look> {
        let named = match std::fs::metadata(&self.path) {
            Ok(metadata) => Some(Identity::from(&metadata)),
            // Renamed, and the new one is not there yet.
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        condition.right(&self.name);
        if named == Some(open.identity) || (named.is_none() && open.path == self.path) {
            open.quiet_since = None;
            return Ok(Look::Nothing);
        }
        if now.saturating_duration_since(*open.quiet_since.get_or_insert(now)) < self.patience.unwrap_or_default() {
            return Ok(Look::Nothing);
        }
        // Nobody writes there any more, so that what stands at its end is a line.
        let length = open.file.metadata()?.len();
        let last = open.read(length, true)?;
        if last != Look::Nothing {
            return Ok(self.named(last));
        }
        self.read.insert(open.identity);
        self.open_after(modified_ns(&open.file.metadata()?))
    }

    /// Opens what was left, or the beginning.
    fn begin(&mut self, condition: &Condition) -> io::Result<Look> {
        let Some(left) = self.left.clone() else { return self.open_named(condition) };
        let look = self.find_again(&left, condition)?;
        self.left = None;
        Ok(look)
    }

    /// Goes on at `left`, wherever that is now.
    fn find_again(&mut self, left: &Place, condition: &Condition) -> io::Result<Look> {
        match File::open(&self.path) {
            // It is there and may not be read: that is another matter than being gone.
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        if let Some(found) = left.find(&self.path) {
            self.open = Some(Open::at(&found, left.offset, left.inside_line)?);
            return Ok(Look::Again);
        }
        condition.notice(format!(
            "{} was truncated or replaced after {} bytes of it had been read, and no copy of it is there: lines that were \
             written just before may be missing",
            self.name, left.offset
        ));
        self.open_after(left.modified_ns)
    }

    /// Opens the oldest file that changed since, and was not read; the one that has the name if there is none.
    fn open_after(&mut self, modified_ns: u64) -> io::Result<Look> {
        let next = beside(&self.path)
            .into_iter()
            .find(|rotated| rotated.modified_ns >= modified_ns && !self.read.contains(&rotated.identity));
        if let Some(rotated) = next {
            self.open = Some(Open::at(&rotated.path, 0, false)?);
            return Ok(Look::Again);
        }
        self.read.clear();
        self.open = match Open::at(&self.path, 0, false) {
            Ok(open) => Some(open),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(if self.open.is_some() { Look::Again } else { Look::Nothing })
    }

    fn open_named(&mut self, condition: &Condition) -> io::Result<Look> {
        match Open::at(&self.path, 0, false) {
            Ok(open) => {
                condition.right(&self.name);
                self.open = Some(open);
                Ok(Look::Again)
            }
            Err(error) if error.kind() == ErrorKind::NotFound && !self.expected => Ok(Look::Nothing),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                condition.wrong(&self.name, &format!("{} is not there yet", self.name));
                Ok(Look::Nothing)
            }
            Err(error) => Err(error),
        }
    }

    fn named(&self, look: Look) -> Look {
        match look {
            Look::Lines(Batch { input: Some((_, place)), lines }) => {
                Look::Lines(Batch { input: Some((self.name.clone(), place)), lines })
            }
            other => other,
        }
    }
}

impl Open {
    fn at(path: &Path, offset: u64, inside_line: bool) -> io::Result<Open> {
        let file = File::open(path)?;
        let (identity, mark) = (Identity::from(&file.metadata()?), Mark::of(&file, offset)?);
        Ok(Open { path: path.to_owned(), file, identity, offset, inside_line, mark, quiet_since: None })
    }

    /// Reads on in a file of that length.
    fn read(&mut self, length: u64, ended: bool) -> io::Result<Look> {
        let there = length.saturating_sub(self.offset);
        if there == 0 {
            return Ok(Look::Nothing);
        }
        let mut bytes = vec![0; usize::try_from(there).unwrap_or(usize::MAX).min(AGENT_BATCH_BYTES_MAX)];
        self.file.read_exact_at(&mut bytes, self.offset)?;
        if self.inside_line {
            let (passed, ended) = rest_of_line(&bytes);
            self.inside_line = !ended;
            self.advance(passed)?;
            return Ok(Look::Again);
        }
        let Some(cut) = cut(&bytes, ended) else { return Ok(Look::Nothing) };
        bytes.truncate(cut.end);
        self.inside_line = cut.inside_line;
        self.advance(cut.end)?;
        if is_blank(&bytes) {
            return Ok(Look::Again);
        }
        Ok(Look::Lines(Batch { input: Some((String::new(), self.place()?)), lines: bytes }))
    }

    fn advance(&mut self, bytes: usize) -> io::Result<()> {
        self.quiet_since = None;
        self.offset += bytes as u64;
        self.mark = Mark::of(&self.file, self.offset)?;
        Ok(())
    }

    fn place(&self) -> io::Result<Place> {
        Ok(Place {
            identity: self.identity,
            offset: self.offset,
            inside_line: self.inside_line,
            mark: self.mark.clone(),
            modified_ns: modified_ns(&self.file.metadata()?),
        })
    }
}

#[cfg(test)]
mod tests;
