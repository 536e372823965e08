//! A mapping file as it is written, in TOML, each part with its place in the text. What it means stands in the table that
//! it becomes; whether it makes sense is checked elsewhere.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use toml::Spanned;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) name: Spanned<String>,
    pub(super) title: Option<String>,
    pub(super) wrapper: Option<Spanned<String>>,
    pub(super) select: Option<Spanned<String>>,
    pub(super) id: Vec<Spanned<String>>,
    pub(super) time: Spanned<String>,
    #[serde(default)]
    pub(super) hidden: Vec<String>,
    #[serde(default)]
    pub(super) columns: PathsText,
    #[serde(default)]
    pub(super) facts: FactsText,
    pub(super) cases: Vec<CaseText>,
}

/// Columns and the paths that fill them.
pub(super) type PathsText = BTreeMap<Spanned<String>, Spanned<String>>;

/// Facts by name.
pub(super) type FactsText = BTreeMap<Spanned<String>, Spanned<FactText>>;

/// One of `[[cases]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseText {
    pub(super) is: Option<Vec<String>>,
    #[serde(default)]
    pub(super) and: BTreeMap<Spanned<String>, Vec<String>>,
    pub(super) kind: Option<Spanned<String>>,
    pub(super) skip: Option<Spanned<bool>>,
    pub(super) outcome: Option<Spanned<FactText>>,
    #[serde(default)]
    pub(super) columns: PathsText,
    #[serde(default)]
    pub(super) facts: FactsText,
    pub(super) done_to: Option<Spanned<String>>,
}

/// A fact: `"path"`, `{ is = "word" }`, or `{ from = "path", words = { THEIRS = "ours" }, otherwise = "ours" }`.
#[derive(Debug)]
pub(super) enum FactText {
    At(String),
    Is(String),
    By(WordsText),
}

/// A word for each word of the source, in the order of the file.
#[derive(Debug)]
pub(super) struct WordsText {
    pub(super) from: String,
    pub(super) words: Vec<(String, String)>,
    pub(super) otherwise: Option<String>,
}

/// A fact that is a table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FactTable {
    is: Option<String>,
    from: Option<String>,
    words: Option<BTreeMap<Spanned<String>, String>>,
    otherwise: Option<String>,
}

const FACT: &str = "a path, { is = \"word\" } or { from = \"path\", words = { theirs = \"ours\" } }";

impl<'de> Deserialize<'de> for FactText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<FactText, D::Error> {
        deserializer.deserialize_any(FactVisitor)
    }
}

struct FactVisitor;

impl<'de> Visitor<'de> for FactVisitor {
    type Value = FactText;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(FACT)
    }

    fn visit_str<E>(self, path: &str) -> Result<FactText, E> {
        Ok(FactText::At(path.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<FactText, A::Error> {
        match FactTable::deserialize(MapAccessDeserializer::new(members))? {
            FactTable { is: Some(word), from: None, words: None, otherwise: None } => Ok(FactText::Is(word)),
            FactTable { is: None, from: Some(from), words: Some(words), otherwise } => {
                let mut pairs: Vec<_> = words.into_iter().collect();
                pairs.sort_by_key(|(theirs, _)| theirs.span().start);
                let words = pairs.into_iter().map(|(theirs, ours)| (theirs.into_inner(), ours)).collect();
                Ok(FactText::By(WordsText { from, words, otherwise }))
            }
            _ => Err(serde::de::Error::custom(format!("must be {FACT}"))),
        }
    }
}
