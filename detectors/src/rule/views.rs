//! Views: what several rules compute alike from `events`, written once. A rule names those that it reads in `uses`; each
//! becomes a `WITH` in front of its SQL, and the view's parameters become the rule's, so that they are set in the
//! configuration like any other.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use include_dir::{Dir, include_dir};
use serde::Deserialize;

use super::header::{Header, Parameter, comment};
use crate::error::Error;

static SHIPPED: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/views");

/// A view as written.
#[derive(Clone, Debug)]
pub struct View {
    /// Its name in SQL, from its file.
    pub name: String,
    /// The front matter.
    pub header: ViewHeader,
    sql: String,
}

/// What a view says of itself.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ViewHeader {
    /// What a row is.
    pub meaning: String,
    /// What it has besides the columns of `events`: name, meaning.
    pub columns: BTreeMap<String, String>,
    /// Parameters by name.
    #[serde(default)]
    pub parameters: BTreeMap<String, Parameter>,
}

/// The views inside this binary, by name.
#[must_use]
pub fn views() -> &'static [View] {
    static VIEWS: LazyLock<Vec<View>> = LazyLock::new(|| {
        let files = SHIPPED.files().filter(|file| file.path().extension().is_some_and(|extension| extension == "sql"));
        let mut views: Vec<View> = files
            .map(|file| {
                let name = file.path().with_extension("").display().to_string();
                let text = file.contents_utf8().expect("a view is text");
                read(name, text).unwrap_or_else(|problem| panic!("a shipped view does not load: {problem}"))
            })
            .collect();
        views.sort_by(|one, other| one.name.cmp(&other.name));
        views
    });
    &VIEWS
}

fn read(name: String, text: &str) -> Result<View, String> {
    let (yaml, sql) = comment(text)?;
    let header = serde_norway::from_str(yaml).map_err(|error| format!("{name}: {error}"))?;
    Ok(View { name, header, sql: sql.to_owned() })
}

/// Puts the views that a rule uses in front of its SQL, and their parameters among its own.
pub(super) fn apply(rule: &str, header: &mut Header, sql: &str) -> Result<String, Error> {
    let mut with = Vec::new();
    for name in &header.uses {
        let view = views().iter().find(|view| view.name == *name).ok_or_else(|| {
            let known: Vec<&str> = views().iter().map(|view| view.name.as_str()).collect();
            let problem = format!("uses: there is no view `{name}`; there are {}", known.join(", "));
            Error::FrontMatter { rule: rule.to_owned(), problem }
        })?;
        for (name, parameter) in &view.header.parameters {
            header.parameters.entry(name.clone()).or_insert_with(|| parameter.clone());
        }
        with.push(format!("{name} AS (\n{}\n)", view.sql));
    }
    if with.is_empty() {
        return Ok(sql.to_owned());
    }
    let own = sql.get(..5).filter(|start| start.eq_ignore_ascii_case("WITH ")).and_then(|_| sql.get(5..));
    Ok(match own {
        Some(rest) => format!("WITH {},\n{rest}", with.join(",\n")),
        None => format!("WITH {}\n{sql}", with.join(",\n")),
    })
}
