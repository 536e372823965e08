//! A walk along a topic that does not end at damage: it goes round it and says what is missing.
//!
//! For checking a log and for going on with a loss; ordinary reading ends at the first batch that does not verify.

use super::damage::Loss;
use super::disk::{Disk, Stored};
use super::state::ChainLink;
use crate::log::TopicHead;
use crate::log::hash_chain::{Hash, Head, IntegrityError, Key};
use crate::{Error, Instant, Position, Topic};

/// What the walk meets, in the order of the log.
pub(super) enum Step {
    /// A batch that verifies by itself.
    Batch(WholeBatch),
    /// Records that are missing or do not verify.
    Loss(Loss),
}

/// A batch whose head and lines verify.
pub(super) struct WholeBatch {
    pub(super) head: Head,
    pub(super) hash: Hash,
    pub(super) lines: String,
}

/// How the batches of a log are checked.
#[derive(Clone, Copy)]
pub(super) struct Checks<'a> {
    pub(super) disk: &'a Disk,
    pub(super) role: &'a str,
    /// Without it nothing tells who wrote a batch.
    pub(super) key: Option<&'a Key>,
}

/// A walk under way.
struct Walk<'a, V> {
    checks: Checks<'a>,
    topic: Topic,
    /// Where the chain goes on.
    before: ChainLink,
    /// Where the next batch is looked for.
    next: Position,
    time: Option<Instant>,
    /// Why the records from `before` on are missing, where that is known.
    problem: Option<String>,
    visit: V,
}

impl Checks<'_> {
    /// Goes through a topic from `kept` to its head, and beyond where it goes on. Gives where it ends.
    ///
    /// # Errors
    /// What `visit` gives.
    pub(super) fn walk(
        self,
        topic: Topic,
        kept: ChainLink,
        head: Option<&TopicHead>,
        visit: impl FnMut(Step) -> Result<(), Error>,
    ) -> Result<TopicHead, Error> {
        let mut walk =
            Walk { checks: self, topic, before: kept, next: kept.position, time: None, problem: None, visit };
        while walk.stretch()? {}
        if let Some(head) = head.filter(|head| head.position > walk.before.position) {
            walk.lost_before(head.position, Some(head.time), "the log ends before its head")?;
            walk.before = ChainLink { position: head.position, hash: head.hash };
        }
        let ChainLink { position, hash } = walk.before;
        Ok(TopicHead { position, time: walk.time.unwrap_or_default(), hash })
    }
}

impl<V: FnMut(Step) -> Result<(), Error>> Walk<'_, V> {
    /// Goes on until a batch cannot be read, and then beyond it; `false` at the end.
    fn stretch(&mut self) -> Result<bool, Error> {
        let disk = self.checks.disk;
        for stored in disk.batches(self.topic, self.next) {
            match stored {
                Ok(stored) => self.take(stored)?,
                Err(error) => {
                    self.problem.get_or_insert_with(|| problem_of(&error));
                    return self.beyond();
                }
            }
        }
        Ok(false)
    }

    /// Looks for the next batch whose head can be read.
    fn beyond(&mut self) -> Result<bool, Error> {
        let (disk, topic) = (self.checks.disk, self.topic);
        let Some((first, head)) = disk.next_readable_head(topic, self.next) else { return Ok(false) };
        let lines = disk.lines(topic, first).unwrap_or_else(|error| {
            self.problem.get_or_insert_with(|| problem_of(&error));
            None
        });
        self.take(Stored { first, head, lines })?;
        // Where it was no head, nothing says how far it reaches.
        self.next = self.next.max(first.plus(1));
        Ok(true)
    }

    fn take(&mut self, stored: Stored) -> Result<(), Error> {
        let checked = self.head(&stored);
        let (head, hash) = match checked {
            Ok(checked) => checked,
            Err(failed) => {
                self.problem.get_or_insert_with(|| failed.to_string());
                return Ok(());
            }
        };
        if head.first < self.before.position {
            self.problem.get_or_insert_with(|| "it stands where another batch stands".to_owned());
            return Ok(());
        }
        let earliest = head.rows.iter().map(|row| row.time).min();
        if head.check_link(self.before.position, &self.before.hash).is_err() {
            let why = if head.first > self.before.position { IntegrityError::Missing } else { IntegrityError::Link };
            self.lost_before(head.first, earliest, &why.to_string())?;
        }
        self.before = ChainLink { position: head.end(), hash };
        self.next = head.end();
        match lines_of(&head, stored) {
            Ok(lines) => {
                self.time = head.latest();
                self.problem = None;
                (self.visit)(Step::Batch(WholeBatch { head, hash, lines }))
            }
            Err(failed) => {
                let problem = self.problem.take().unwrap_or_else(|| failed.to_string());
                let loss = Loss::new(self.topic, head.first, head.end()).because(problem);
                let systems = Some(head.systems.iter().cloned().collect());
                let between = loss.between(self.time.or(earliest), head.latest());
                self.time = head.latest();
                (self.visit)(Step::Loss(Loss { systems, ..between }))
            }
        }
    }

    fn head(&self, stored: &Stored) -> Result<(Head, Hash), IntegrityError> {
        let (head, hash) = Head::unsigned(&stored.head)?;
        if let Some(key) = self.checks.key {
            Head::open(&stored.head, self.checks.role, key)?;
        }
        if head.topic != self.topic || head.first != stored.first {
            return Err(IntegrityError::Malformed("it belongs to another place"));
        }
        Ok((head, hash))
    }

    fn lost_before(&mut self, position: Position, before: Option<Instant>, why: &str) -> Result<(), Error> {
        let problem = self.problem.take().unwrap_or_else(|| why.to_owned());
        let loss = Loss::new(self.topic, self.before.position, position).between(self.time, before).because(problem);
        (self.visit)(Step::Loss(loss))
    }
}

fn lines_of(head: &Head, stored: Stored) -> Result<String, IntegrityError> {
    let lines = stored.lines.ok_or(IntegrityError::Missing)?;
    head.check_lines(&lines)?;
    String::from_utf8(lines.to_vec()).map_err(|_| IntegrityError::Malformed("a line is not UTF-8"))
}

fn problem_of(error: &Error) -> String {
    match error {
        Error::Damaged { damage, .. } => damage.to_string(),
        other => other.to_string(),
    }
}
