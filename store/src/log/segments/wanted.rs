//! What a question asks of time, system, kind and names, as far as segments can tell. It may ask for less than the
//! question does, never for more.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use crate::Event;
use crate::event::TextColumn;

/// The columns whose names segments know.
pub const INDEXED: [TextColumn; 12] = [
    TextColumn::Source,
    TextColumn::Actor,
    TextColumn::Session,
    TextColumn::Device,
    TextColumn::Ip,
    TextColumn::Wallet,
    TextColumn::Key,
    TextColumn::Request,
    TextColumn::Decision,
    TextColumn::Tx,
    TextColumn::FromAddress,
    TextColumn::ToAddress,
];

/// Kinds by name or by how they begin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kinds {
    /// Whole names.
    pub names: BTreeSet<String>,
    /// Beginnings, `chain.` among them.
    pub beginnings: Vec<String>,
}

impl Kinds {
    /// These and no others.
    #[must_use]
    pub fn named(names: &[&str]) -> Kinds {
        Kinds { names: names.iter().map(|name| (*name).to_owned()).collect(), beginnings: Vec::new() }
    }

    /// Whether a kind is one of them.
    #[must_use]
    pub fn holds(&self, kind: &str) -> bool {
        self.names.contains(kind) || self.beginnings.iter().any(|beginning| kind.starts_with(beginning.as_str()))
    }
}

/// What is asked for; all of it together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Log time, nanoseconds.
    pub time: RangeInclusive<i64>,
    /// Event time, nanoseconds.
    pub event_time: RangeInclusive<i64>,
    /// Only these systems.
    pub systems: Option<BTreeSet<String>>,
    /// Only these kinds.
    pub kinds: Option<Kinds>,
    /// In that column, one of these texts.
    pub names: Vec<(TextColumn, BTreeSet<String>)>,
}

impl Default for Wanted {
    fn default() -> Wanted {
        let ever = i64::MIN..=i64::MAX;
        Wanted { time: ever.clone(), event_time: ever, systems: None, kinds: None, names: Vec::new() }
    }
}

impl Wanted {
    /// Leaves of the systems those that are in `allowed`.
    pub fn within(&mut self, allowed: &BTreeSet<String>) {
        self.systems = Some(match self.systems.take() {
            Some(asked) => asked.intersection(allowed).cloned().collect(),
            None => allowed.clone(),
        });
    }

    /// Whether a record is what is asked for.
    #[must_use]
    pub fn holds(&self, event: &Event) -> bool {
        self.time.contains(&event.time().0)
            && self.event_time.contains(&event.event_time().0)
            && self.systems.as_ref().is_none_or(|systems| systems.contains(event.system()))
            && self.kinds.as_ref().is_none_or(|kinds| kinds.holds(event.kind()))
            && self.names.iter().all(|(column, names)| event.text(*column).is_some_and(|name| names.contains(name)))
    }
}
