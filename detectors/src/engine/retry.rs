//! A parked rule on its way back: a fresh engine of that rule alone goes through the log, from its beginning or from where
//! a snapshot was made before the gap, in pieces that the caller hands over, until it stands where all others do.
//!
//! A piece in which its windows fail again is gone through record by record the next time, and the single record that
//! fails is not shown to the rule from then on. When to try again is the caller's affair.

use std::io::Read;
use std::ops::Range;

use keywatch_store::{Event, Position};

use super::{Decided, Engine, Parked, Skipped};
use crate::error::Error;

/// A parked rule on its way back.
#[derive(Debug)]
pub struct Retry {
    alone: Engine,
    rule: String,
    /// First record that the rule did not evaluate before it was parked.
    gap_from: Position,
    next: Position,
    /// Records among which its windows fail, by position.
    suspects: Option<Range<u64>>,
    /// Whether it came to grief in this attempt.
    has_failed: bool,
}

/// What a piece of the log gave.
#[derive(Debug, Default)]
pub struct Caught {
    /// Findings that the gap withheld. What was decided before it began has been found before.
    pub findings: Vec<Decided>,
    /// Records that the rule could not evaluate.
    pub skipped: Vec<Skipped>,
    /// Set when it failed again and has to wait.
    pub parked: Option<Parked>,
}

impl Retry {
    /// Prepares for the return of a rule that `engine` has parked.
    ///
    /// # Errors
    /// The rule does not load any more, or there is none of that name.
    pub fn new(engine: &Engine, parked: &Parked) -> Result<Retry, Error> {
        let (rule, gap_from) = (parked.rule.clone(), parked.from);
        let alone = engine.alone(&rule)?;
        Ok(Retry { alone, rule, gap_from, next: Position::default(), suspects: None, has_failed: false })
    }

    /// Starts from the beginning of the log again, wiser by what failed.
    ///
    /// # Errors
    /// As [`Retry::new`].
    pub fn again(&mut self) -> Result<(), Error> {
        self.alone = self.fresh()?;
        (self.next, self.has_failed) = (Position::default(), false);
        Ok(())
    }

    /// Starts from what [`Engine::save`] wrote of the rule when it had seen all before `position`, instead of from the
    /// beginning; whether that holds it. To be called before the rule is run.
    ///
    /// # Errors
    /// [`Error::Snapshot`] when it is damaged; the rule then starts from the beginning.
    pub fn restore(&mut self, position: Position, input: impl Read) -> Result<bool, Error> {
        let mut alone = self.fresh()?;
        if position > self.gap_from || !alone.restore(input)?.is_empty() {
            return Ok(false);
        }
        alone.rules.iter_mut().for_each(|loaded| loaded.bisects = true);
        (self.alone, self.next) = (alone, position);
        Ok(true)
    }

    /// An engine that has seen nothing and is not shown what made the rule fail.
    fn fresh(&self) -> Result<Engine, Error> {
        let mut alone = self.alone.alone(&self.rule)?;
        alone.unseen.clone_from(&self.alone.unseen);
        Ok(alone)
    }

    /// Position of the record that it has to see next; what was decided by those before it has been given.
    #[must_use]
    pub fn next(&self) -> Position {
        self.next
    }

    /// Position of the first record of the gap.
    #[must_use]
    pub fn gap_from(&self) -> Position {
        self.gap_from
    }

    /// Takes the next records of the log through the rule. Nothing is run any more once it has failed.
    ///
    /// # Errors
    /// As [`Engine::run`].
    pub fn run(&mut self, events: &[Event]) -> Result<Caught, Error> {
        let mut caught = Caught::default();
        let mut rest = events;
        while !rest.is_empty() && !self.has_failed {
            let (piece, others) = rest.split_at(self.piece(rest.len()));
            self.run_piece(piece, &mut caught)?;
            rest = others;
        }
        Ok(caught)
    }

    /// The engine of the rule, for [`Engine::take_back`].
    #[must_use]
    pub fn into_engine(self) -> Engine {
        self.alone
    }

    /// How many of the next `count` records are run at once: one among suspects, and none across the bounds of what is
    /// looked at otherwise.
    fn piece(&self, count: usize) -> usize {
        let next = self.next.0;
        let suspects = self.suspects.clone().unwrap_or_default();
        if suspects.contains(&next) {
            return 1;
        }
        let bounds = [suspects.start, self.gap_from.0].into_iter().filter(|bound| *bound > next);
        bounds.fold(count, |count, bound| count.min(usize::try_from(bound - next).unwrap_or(count)))
    }

    fn run_piece(&mut self, piece: &[Event], caught: &mut Caught) -> Result<(), Error> {
        let first = self.next;
        let outcome = self.alone.run(first, piece)?;
        let end = first.plus(piece.len());
        // What was found and skipped before the gap was said when it was.
        if first >= self.gap_from {
            caught.findings.extend(outcome.findings);
            caught.skipped.extend(outcome.skipped);
        }
        let Some(parked) = outcome.parked.into_iter().next() else {
            self.next = end;
            return Ok(());
        };
        self.has_failed = true;
        // A rule that is too slow is not so because of one record, and has evaluated the piece.
        if parked.from < end {
            caught.skipped.extend(self.suspect(first, piece, &parked));
        } else {
            self.next = end;
        }
        caught.parked = Some(Parked { from: self.gap_from, ..parked });
        Ok(())
    }

    /// Looks closer at the records of a piece; at a single one no more.
    fn suspect(&mut self, first: Position, piece: &[Event], parked: &Parked) -> Option<Skipped> {
        let [event] = piece else {
            self.suspects = Some(first.0..first.plus(piece.len()).0);
            return None;
        };
        self.alone.unseen.insert(first);
        let (rule, problem) = (self.rule.clone(), parked.problem.clone());
        Some(Skipped {
            rule,
            system: event.system().to_owned(),
            time: event.time(),
            event: Some(event.event_id()),
            problem,
        })
    }
}
