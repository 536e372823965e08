//! A feed without code: a table read from a mapping file, which the operator of keywatch writes for a source of their own.
//!
//! | module | what it holds |
//! |---|---|
//! | [`Mapping`] | a file that was checked, and the feed it becomes |
//! | `file` | the file as it is written |
//! | `check` | what is wrong with it, by line and key |
//! | [`installed`] | the feeds of one installation: those built in and those of its files |
//!
//! A mapping means what a [`Table`] means, and can say less: it fills the columns that a path can fill, and neither system,
//! source nor a time of keywatch's, which come from the credential and the log; it makes events of kinds that a source may
//! write, with the outcomes that the kind has. It has no code, so that a file costs what a table costs and no more.
//!
//! It does not know who uses the feed, nor whether what it maps is true.

mod check;
mod file;
pub mod installed;

use std::collections::BTreeSet;

use keywatch_store::kinds;

use self::file::{CaseText, FactText, FactsText, File, WordsText};
use super::table::{About, Case, Column, Fact, Table, Words};

/// Why a mapping file is refused: everything that is wrong with it, a line each.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.problems.join("\n"))]
pub struct Refused {
    /// `FILE:LINE: KEY: REASON`, in the order of the file.
    pub problems: Vec<String>,
}

/// A mapping file in which nothing is wrong.
#[derive(Debug)]
pub struct Mapping {
    file: File,
}

impl Mapping {
    /// Reads and checks the text of a mapping file; `name` is the file's, for what is said of it.
    ///
    /// # Errors
    /// Everything that is wrong, by line and key.
    pub fn parse(name: &str, text: &str) -> Result<Mapping, Refused> {
        let file = check::read(text).and_then(|file| {
            let wrong = check::all(text, &file);
            if wrong.is_empty() { Ok(file) } else { Err(wrong) }
        });
        let told = |wrong: &check::Wrong| format!("{name}:{}: {}: {}", wrong.line, wrong.key, wrong.reason);
        file.map(|file| Mapping { file }).map_err(|wrong| Refused { problems: wrong.iter().map(told).collect() })
    }

    /// The name of the feed.
    pub fn name(&self) -> &str {
        self.file.name.get_ref()
    }

    /// The kinds of events that it makes.
    pub fn kinds(&self) -> BTreeSet<&'static str> {
        self.file.cases.iter().filter_map(kind).collect()
    }

    /// The feed. Its texts stay for the life of the process, as those of the feeds built in do: a mapping is read at the
    /// start, [`crate::limits::MAPPING_BYTES_MAX`] bound each and [`crate::limits::MAPPINGS_MAX`] their number.
    pub fn into_feed(self) -> &'static Table {
        let File { name, title, wrapper, select, id, time, hidden, columns, facts, cases } = self.file;
        let time = kept(time.into_inner());
        let table = Table {
            name: kept(name.into_inner()),
            about: About {
                title: title.map_or("a mapping file", kept),
                what: "",
                format: "a mapping file of this installation",
                delivery: "",
                traps: &[],
            },
            wrapper: wrapper.map(|wrapper| kept(wrapper.into_inner())),
            decode: None,
            unfold: None,
            // Where no word chooses, the one thing that every record has is its time.
            select: select.map_or(time, |select| kept(select.into_inner())),
            cases: all(cases.into_iter().map(case)),
            id: all(id.into_iter().map(|part| kept(part.into_inner()))),
            time,
            columns: columns_of(columns),
            facts: facts_of(facts),
            hidden: all(hidden.into_iter().map(kept)),
            finish: None,
            example: "",
        };
        Box::leak(Box::new(table))
    }
}

/// The kind of a case, as the registry has it.
fn kind(case: &CaseText) -> Option<&'static str> {
    Some(kinds::find(case.kind.as_ref()?.get_ref())?.name)
}

fn case(case: CaseText) -> Case {
    let kind = kind(&case);
    let is = case.is.unwrap_or_else(|| vec!["*".to_owned()]);
    let words = |words: Vec<String>| all(words.into_iter().map(kept));
    Case {
        is: words(is),
        and: all(case.and.into_iter().map(|(path, wanted)| (kept(path.into_inner()), words(wanted)))),
        kind,
        outcome: case.outcome.map(|outcome| fact(outcome.into_inner())),
        columns: columns_of(case.columns),
        facts: facts_of(case.facts),
        done_to: case.done_to.map(|path| kept(path.into_inner())),
    }
}

fn columns_of(columns: file::PathsText) -> &'static [(Column, &'static str)] {
    all(columns.into_iter().filter_map(|(name, path)| Some((Column::find(name.get_ref())?, kept(path.into_inner())))))
}

fn facts_of(facts: FactsText) -> &'static [(&'static str, Fact)] {
    all(facts.into_iter().map(|(name, text)| (kept(name.into_inner()), fact(text.into_inner()))))
}

fn fact(text: FactText) -> Fact {
    match text {
        FactText::At(path) => Fact::At(kept(path)),
        FactText::Is(word) => Fact::Is(kept(word)),
        FactText::By(WordsText { from, words, otherwise }) => {
            let words = words.into_iter().map(|(theirs, ours)| (kept(theirs), kept(ours)));
            Fact::By(Words { from: kept(from), words: all(words), otherwise: otherwise.map(kept) })
        }
    }
}

fn kept(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

fn all<T>(items: impl Iterator<Item = T>) -> &'static [T] {
    Box::leak(items.collect::<Vec<T>>().into_boxed_slice())
}

#[cfg(test)]
mod tests;
