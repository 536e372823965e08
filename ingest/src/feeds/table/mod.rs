//! A feed that is mostly a table: which of a record's fields fill which columns, and which kind of event its words make.
//!
//! A [`Table`] says it all in constants, so that a feed reads like the page that is made of it ([`page`]). One record is
//! read in this order: `unfold` takes apart what holds several (code, where a format needs it); the word at `select`
//! chooses the first [`Case`] that fits, and a word that no case has is skipped and counted; identity, time, columns and
//! facts are filled from their paths; `finish` adds what no table can say. The record itself, secrets masked, stands in
//! `detail.record` up to [`crate::limits::KEPT_BYTES_MAX`], so that a field that nobody knew of is not lost.
//!
//! What is missing or of a wrong type where it is needed rejects the record by the name of the field. A column whose field
//! is absent stays empty.
//!
//! A condition whose only words are nothing and `*` asks whether something is there, of whatever type: nothing fits an
//! absent field, `*` any other. Every other condition, and every word for a word, reads a text, number or boolean: an
//! array or object there rejects the record, since it is neither absent nor one of the words. A path that leads through
//! something without members leads nowhere, which is absent. Of alternatives, the first that is there counts.
//!
//! It does not know whether a record is genuine, and compares no record with another.

mod countries;
mod draft;
mod kept;
pub mod page;
pub(crate) mod parts;
pub(crate) mod path;
pub(crate) mod value;

use std::collections::BTreeSet;

use keywatch_store::Event;
use serde_json::Value;

pub(crate) use draft::Draft;

use crate::feeds::json;
use crate::feeds::read::{self, Part, Unfolded};
use crate::reject::capped;
use crate::{Context, Feed, Problem, Reading, mask};

/// A feed as a table.
pub struct Table {
    /// The name in URLs, on the command line and in the inventory.
    pub name: &'static str,
    /// What its page says in words.
    pub about: About,
    /// The member of a page or delivery that holds the records as an array.
    pub wrapper: Option<&'static str>,
    /// Reads records that are no JSON objects: tokens, lines of text.
    pub decode: Option<Decode>,
    /// Takes a record apart that holds several, or brings it into the shape that the paths expect.
    pub unfold: Option<Unfold>,
    /// Where the word stands that chooses the case.
    pub select: &'static str,
    /// What the words mean; the first case that fits counts.
    pub cases: &'static [Case],
    /// Where the parts of the source's own id for a record stand; `#` is a hash of the record.
    pub id: &'static [&'static str],
    /// Where the time stands: RFC 3339, or seconds, milliseconds, microseconds or nanoseconds since 1970.
    pub time: &'static str,
    /// Columns and the paths that fill them.
    pub columns: &'static [(Column, &'static str)],
    /// Facts in the detail.
    pub facts: &'static [(&'static str, Fact)],
    /// Names of members whose values are personal and are hidden in what is kept of a record, refused ones too.
    pub hidden: &'static [&'static str],
    /// What no table can say.
    pub finish: Option<Finish>,
    /// A record as the source sends it, which gives one event.
    pub example: &'static str,
}

/// Reads the bytes of one record.
pub type Decode = fn(&[u8]) -> Result<Value, Problem>;

/// Takes a record apart. A part that is a text is a record by itself, which the table's `decode` reads.
pub type Unfold = fn(Value) -> Result<Vec<Value>, Problem>;

/// Completes an event.
pub(crate) type FinishFn = fn(&Context<'_>, &Value, &mut Draft) -> Result<(), Problem>;

/// Completes an event with what is known beside the record.
pub(crate) type Complete<'a> = dyn Fn(&Value, &mut Draft) -> Result<(), Problem> + 'a;

/// Completes an event of a table.
#[derive(Clone, Copy)]
pub struct Finish(pub(crate) FinishFn);

/// What the page of a feed says in words.
pub struct About {
    /// The name people use.
    pub title: &'static str,
    /// What it is and what keywatch makes of it.
    pub what: &'static str,
    /// Whose format it is, and where it is specified.
    pub format: &'static str,
    /// How it comes: transport, order, repeats, what may be lost.
    pub delivery: &'static str,
    /// What is easily misread, and how it is read here.
    pub traps: &'static [&'static str],
}

/// A column that a path can fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "docs/events.md says what the columns mean")]
pub enum Column {
    Actor,
    Session,
    Device,
    Ip,
    Country,
    Asn,
    Wallet,
    Key,
    Request,
    Decision,
    Tx,
    Chain,
    Asset,
    FromAddress,
    ToAddress,
    Amount,
    AmountUsd,
    Reason,
}

/// Where a fact comes from.
#[derive(Clone, Copy, Debug)]
pub enum Fact {
    /// Always this.
    Is(&'static str),
    /// What stands at this path.
    At(&'static str),
    /// A word for the word at a path.
    By(Words),
}

/// A word for each word of the source.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// Where the source's word stands.
    pub from: &'static str,
    /// Its word (`*` for any rest, nothing for an absent one) and ours.
    pub words: &'static [(&'static str, &'static str)],
    /// Our word for all others.
    pub otherwise: Option<&'static str>,
}

/// What a record with certain words becomes.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub(super) is: &'static [&'static str],
    pub(super) and: &'static [(&'static str, &'static [&'static str])],
    /// The kind; `None` for what is passed over.
    pub(super) kind: Option<&'static str>,
    pub(super) outcome: Option<Fact>,
    pub(super) columns: &'static [(Column, &'static str)],
    pub(super) facts: &'static [(&'static str, Fact)],
    /// Where the person stands that it was done to.
    pub(super) done_to: Option<&'static str>,
}

/// Records whose selecting word is one of `is` become events of `kind`.
#[must_use]
pub const fn on(is: &'static [&'static str], kind: &'static str) -> Case {
    Case { kind: Some(kind), ..pass(is) }
}

/// Records whose selecting word is one of `is` are nothing of the feed's.
#[must_use]
pub const fn pass(is: &'static [&'static str]) -> Case {
    Case { is, and: &[], kind: None, outcome: None, columns: &[], facts: &[], done_to: None }
}

impl Case {
    /// Only where each path holds one of its words: `""` for an absent field, `*` for one that is there.
    #[must_use]
    pub const fn and(mut self, conditions: &'static [(&'static str, &'static [&'static str])]) -> Case {
        self.and = conditions;
        self
    }

    /// How it went.
    #[must_use]
    pub const fn outcome(mut self, outcome: Fact) -> Case {
        self.outcome = Some(outcome);
        self
    }

    /// Columns besides those of the table, or other paths for them.
    #[must_use]
    pub const fn columns(mut self, columns: &'static [(Column, &'static str)]) -> Case {
        self.columns = columns;
        self
    }

    /// Facts besides those of the table.
    #[must_use]
    pub const fn says(mut self, facts: &'static [(&'static str, Fact)]) -> Case {
        self.facts = facts;
        self
    }

    /// It happened to the person at `path`, who is the event's actor. If somebody else did it, that is `detail.by`, and
    /// session, device and address are not the person's.
    #[must_use]
    pub const fn done_to(mut self, path: &'static str) -> Case {
        self.done_to = Some(path);
        self
    }

    fn fits(&self, word: &str, record: &Value) -> Result<bool, Problem> {
        if !one_of(self.is, word) {
            return Ok(false);
        }
        for (path, words) in self.and {
            if !holds(record, path, words)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn one_of(patterns: &[&str], word: &str) -> bool {
    patterns.iter().any(|pattern| path::matches(pattern, word))
}

/// Whether a path holds one of the words.
fn holds(record: &Value, path: &str, words: &[&str]) -> Result<bool, Problem> {
    if words.iter().all(|word| matches!(*word, "" | "*")) {
        let wanted = if path::find(record, path).is_some() { "*" } else { "" };
        return Ok(words.contains(&wanted));
    }
    match value::text(record, path)? {
        Some(word) => Ok(one_of(words, word)),
        None => Ok(words.contains(&"")),
    }
}

impl Feed for Table {
    fn name(&self) -> &'static str {
        self.name
    }

    fn makes(&self) -> BTreeSet<&'static str> {
        self.kinds()
    }

    fn read(&self, context: &Context<'_>, body: &[u8]) -> Reading {
        self.read_and(context, body, &|_, _| Ok(()))
    }
}

impl Table {
    /// Reads a body, and has each event completed by what the caller knows of the installation.
    pub(crate) fn read_and(&self, context: &Context<'_>, body: &[u8], complete: &Complete<'_>) -> Reading {
        let decode = |bytes: &[u8]| match self.decode {
            Some(decode) if bytes.first() != Some(&b'{') => decode(bytes),
            _ => json::parse(bytes),
        };
        let read = |part: &Value| -> Result<Vec<Event>, Problem> {
            Ok(self.event(context, part, complete)?.into_iter().collect())
        };
        let mut reading = read::read_parts(body, self.wrapper, decode, |record| self.unfolded(record), read);
        if !self.hidden.is_empty() {
            for reject in &mut reading.rejects {
                // A mask may be longer than what it hides.
                let masked = mask::text_and(&reject.raw, self.hidden);
                reject.raw = capped(&masked, keywatch_store::limits::REJECT_RAW_BYTES_MAX);
            }
        }
        reading
    }

    /// The kinds of events that it makes.
    #[must_use]
    pub fn kinds(&self) -> BTreeSet<&'static str> {
        self.cases.iter().filter_map(|case| case.kind).collect()
    }

    fn unfolded(&self, record: Value) -> Result<Unfolded, Problem> {
        if !record.is_object() {
            return Err(Problem::new("record", "must be an object"));
        }
        let Some(unfold) = self.unfold else { return Ok(Unfolded::Whole(record)) };
        let parts = unfold(record)?.into_iter();
        Ok(Unfolded::Parts(if self.decode.is_some() {
            parts.flat_map(|part| self.part(part)).collect()
        } else {
            parts.map(Ok).collect()
        }))
    }

    /// A part as it is, or the parts of one that is a record by itself.
    fn part(&self, part: Value) -> Vec<Part> {
        let (Value::String(text), Some(decode)) = (&part, self.decode) else { return vec![Ok(part)] };
        match decode(text.as_bytes()).and_then(|record| self.unfolded(record)) {
            Ok(Unfolded::Whole(record)) => vec![Ok(record)],
            Ok(Unfolded::Parts(parts)) => parts,
            Err(problem) => vec![Err((problem, text.clone().into_bytes()))],
        }
    }

    /// The first case that fits.
    fn case(&self, word: &str, record: &Value) -> Result<Option<&'static Case>, Problem> {
        for case in self.cases {
            if case.fits(word, record)? {
                return Ok(Some(case));
            }
        }
        Ok(None)
    }

    fn event(&self, context: &Context<'_>, record: &Value, complete: &Complete<'_>) -> Result<Option<Event>, Problem> {
        let word = value::need(record, self.select)?;
        let Some(case) = self.case(word, record)? else { return Ok(None) };
        let Some(kind) = case.kind else { return Ok(None) };
        let kept = kept::of(record, self.hidden);
        let id = value::identity_of(record, kept.whole(), self.id)?;
        let mut draft = Draft::new(context, &id, kind, value::need_time(record, self.time)?);
        for (column, path) in self.columns.iter().chain(case.columns) {
            draft.fill(*column, record, path)?;
        }
        for (name, fact) in self.facts.iter().chain(case.facts) {
            draft.say(name, record, fact, self.hidden)?;
        }
        if let Some(path) = case.done_to {
            draft.done_to(value::text(record, path)?);
        }
        let outcome = case.outcome.as_ref().map(|outcome| value::word(record, outcome)).transpose()?;
        draft.outcome(outcome.flatten());
        if let Some(Finish(finish)) = self.finish {
            finish(context, record, &mut draft)?;
        }
        complete(record, &mut draft)?;
        draft.keep(kept);
        draft.event(context).map(Some)
    }
}

#[cfg(test)]
mod tests;
