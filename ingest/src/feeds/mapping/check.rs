//! What is wrong with a mapping file, all of it at once, each with its line and key.
//!
//! Here stands what a mapping may not say: it fills no column that the credential or the log fills, it makes no kind that
//! keywatch writes, and no outcome that the kind does not have. It reads no record.

use std::ops::Range;

use keywatch_store::kinds::{self, Kind, Writer};
use keywatch_store::schema::COLUMNS;
use toml::Spanned;

use super::file::{CaseText, FactText, FactsText, File, PathsText};
use crate::feeds::table::{Column, path};
use crate::limits;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) line: usize,
    pub(super) key: String,
    pub(super) reason: String,
}

/// Facts that a table keeps for itself.
const OWN_FACTS: [&str; 2] = ["record", "left_out"];

/// Reads the text.
pub(super) fn read(text: &str) -> Result<File, Vec<Wrong>> {
    if text.len() > limits::MAPPING_BYTES_MAX {
        let reason = format!("{} bytes, at most {}", text.len(), limits::MAPPING_BYTES_MAX);
        return Err(vec![Wrong { line: 1, key: "file".to_owned(), reason }]);
    }
    toml::from_str(text).map_err(|error| {
        let span = error.span().unwrap_or_default();
        let missing = error.message().strip_prefix("missing field `").and_then(|rest| rest.split_once('`'));
        let key = missing.map_or_else(|| key_at(text, &span), |(field, _)| field.to_owned());
        vec![Wrong { line: line(text, &span), key, reason: error.message().to_owned() }]
    })
}

fn line(text: &str, span: &Range<usize>) -> usize {
    text.as_bytes().iter().take(span.start).filter(|byte| **byte == b'\n').count() + 1
}

/// The key of the line that a parser's error points at.
fn key_at(text: &str, span: &Range<usize>) -> String {
    let line = text.lines().nth(line(text, span) - 1).unwrap_or_default();
    let key = line.split('=').next().unwrap_or_default().trim();
    if key.is_empty() { "file".to_owned() } else { crate::reject::capped(key, limits::NAME_BYTES_MAX) }
}

/// Everything that is wrong, in the order of the file.
pub(super) fn all(text: &str, file: &File) -> Vec<Wrong> {
    let mut check = Check { text, wrong: Vec::new() };
    check.name(&file.name);
    for part in &file.id {
        if part.get_ref() != path::RECORD_HASH {
            check.path("id", part);
        }
    }
    check.ensure(!file.id.is_empty(), &(0..0), "id", || "names no field; `#` is a hash of the record".to_owned());
    check.path("time", &file.time);
    file.select.iter().for_each(|select| check.path("select", select));
    if let Some(wrapper) = &file.wrapper {
        let empty = wrapper.get_ref().is_empty();
        check.ensure(!empty, &wrapper.span(), "wrapper", || "is empty; leave it out".to_owned());
    }
    check.columns("columns", &file.columns);
    check.facts("facts", &file.facts);
    let makes_events = file.cases.iter().any(|case| case.kind.is_some());
    check.ensure(makes_events, &(0..0), "cases", || "none has a kind, so that no event would be made".to_owned());
    let count = file.cases.len();
    check.ensure(count <= limits::MAPPING_CASES_MAX, &(0..0), "cases", || {
        format!("{count}, at most {}", limits::MAPPING_CASES_MAX)
    });
    for (index, case) in file.cases.iter().enumerate() {
        check.case(&format!("cases[{index}]"), case, file.select.is_some());
    }
    check.wrong.sort_by_key(|wrong| wrong.line);
    check.wrong
}

struct Check<'a> {
    text: &'a str,
    wrong: Vec<Wrong>,
}

impl Check<'_> {
    fn ensure(&mut self, holds: bool, span: &Range<usize>, key: &str, reason: impl FnOnce() -> String) {
        if !holds {
            self.wrong.push(Wrong { line: line(self.text, span), key: key.to_owned(), reason: reason() });
        }
    }

    fn name(&mut self, name: &Spanned<String>) {
        let text = name.get_ref();
        let fits = !text.is_empty()
            && text.len() <= limits::NAME_BYTES_MAX
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte));
        self.ensure(fits, &name.span(), "name", || {
            format!("`{text}`: lower-case letters, digits, `_` and `-`, at most {}", limits::NAME_BYTES_MAX)
        });
        let built_in = super::super::find(text).is_ok();
        self.ensure(!built_in, &name.span(), "name", || format!("`{text}` is a feed that is built in; choose another"));
    }

    fn path(&mut self, key: &str, text: &Spanned<String>) {
        self.path_at(key, text.get_ref(), &text.span());
    }

    fn path_at(&mut self, key: &str, text: &str, span: &Range<usize>) {
        if let Err(reason) = path::check(text) {
            self.ensure(false, span, key, || format!("`{text}`: {reason}"));
        }
    }

    fn columns(&mut self, key: &str, columns: &PathsText) {
        for (name, path) in columns {
            let column = name.get_ref();
            if Column::find(column).is_none() {
                self.ensure(false, &name.span(), &format!("{key}.{column}"), || not_to_be_filled(column));
            }
            self.path(&format!("{key}.{column}"), path);
        }
    }

    fn facts(&mut self, key: &str, facts: &FactsText) {
        let count = facts.len();
        self.ensure(count <= limits::MAPPING_FACTS_MAX, &(0..0), key, || {
            format!("{count}, at most {}", limits::MAPPING_FACTS_MAX)
        });
        for (name, fact) in facts {
            let key = format!("{key}.{}", name.get_ref());
            let fits = !name.get_ref().is_empty()
                && name
                    .get_ref()
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
            self.ensure(fits, &name.span(), &key, || "lower-case letters, digits and `_`".to_owned());
            let own = OWN_FACTS.contains(&name.get_ref().as_str());
            self.ensure(!own, &name.span(), &key, || "keywatch keeps the record under this name".to_owned());
            self.fact(&key, fact);
        }
    }

    fn fact(&mut self, key: &str, fact: &Spanned<FactText>) {
        match fact.get_ref() {
            FactText::At(path) => self.path_at(key, path, &fact.span()),
            FactText::By(words) => self.path_at(&format!("{key}.from"), &words.from, &fact.span()),
            FactText::Is(_) => {}
        }
    }

    fn case(&mut self, key: &str, case: &CaseText, selects: bool) {
        let place = case.kind.as_ref().map(Spanned::span).or(case.skip.as_ref().map(Spanned::span)).unwrap_or_default();
        self.ensure(selects == case.is.is_some(), &place, &format!("{key}.is"), || match selects {
            true => "is missing: the words at `select` that this case is for".to_owned(),
            false => "there is no `select`, whose words it could mean".to_owned(),
        });
        for (path, words) in &case.and {
            let key = format!("{key}.and.{}", path.get_ref());
            self.path(&key, path);
            self.ensure(!words.is_empty(), &path.span(), &key, || "names no word, so that nothing fits".to_owned());
        }
        let skips = case.skip.as_ref().is_some_and(|skip| *skip.get_ref());
        self.ensure(skips != case.kind.is_some(), &place, key, || "needs either `kind` or `skip = true`".to_owned());
        self.columns(&format!("{key}.columns"), &case.columns);
        self.facts(&format!("{key}.facts"), &case.facts);
        case.done_to.iter().for_each(|path| self.path(&format!("{key}.done_to"), path));
        if let Some(kind) = &case.kind {
            let found = self.kind(&format!("{key}.kind"), kind);
            if let Some((outcome, kind)) = case.outcome.as_ref().zip(found) {
                self.outcome(&format!("{key}.outcome"), outcome, kind);
            }
        }
    }

    fn kind(&mut self, key: &str, name: &Spanned<String>) -> Option<&'static Kind> {
        let found = kinds::find(name.get_ref());
        let reason = match found.map(|kind| kind.writer) {
            Some(Writer::Source) => return found,
            Some(_) => format!("`{}` is written by keywatch alone", name.get_ref()),
            None => format!("`{}` is no kind of event; docs/events.md lists them", name.get_ref()),
        };
        self.ensure(false, &name.span(), key, || reason);
        None
    }

    /// Every word that can come out is one of the kind's.
    fn outcome(&mut self, key: &str, outcome: &Spanned<FactText>, kind: &Kind) {
        self.fact(key, outcome);
        let said: Vec<&str> = match outcome.get_ref() {
            FactText::At(_) => {
                self.ensure(false, &outcome.span(), key, || {
                    "has to be { is = … } or { from = …, words = … }: the words of an outcome are keywatch's".to_owned()
                });
                return;
            }
            FactText::Is(word) => vec![word],
            FactText::By(words) => {
                words.words.iter().map(|(_, ours)| ours.as_str()).chain(words.otherwise.as_deref()).collect()
            }
        };
        for word in said.into_iter().filter(|word| !kind.outcomes.contains(word)) {
            self.ensure(false, &outcome.span(), key, || match kind.outcomes {
                [] => format!("`{}` has no outcome", kind.name),
                known => format!("`{word}` is no outcome of `{}`; it has {}", kind.name, known.join(", ")),
            });
        }
    }
}

fn not_to_be_filled(column: &str) -> String {
    let known = || Column::ALL.map(Column::name).join(", ");
    match column {
        "system" | "source" => format!("`{column}` comes from the credential and is never read from a record"),
        "kind" | "outcome" => format!("`{column}` belongs into a case"),
        "event_time" => "write `time = \"path\"` at the top".to_owned(),
        "detail" => "what is no column stands in `facts`".to_owned(),
        other if COLUMNS.iter().any(|(name, ..)| *name == other) => {
            format!("keywatch fills `{other}` itself; a mapping may fill {}", known())
        }
        _ => format!("there is no such column; a mapping may fill {}", known()),
    }
}
