//! An incident of `replay-data`: from a directory, or one of those inside the binary.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use include_dir::{Dir, include_dir};
use keywatch_store::{Event, Instant, Inventory, Severity};
use serde::Deserialize;

use crate::event_files::EventLines;

static SHIPPED: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/replay-data");

/// An incident's files, as text.
#[derive(Debug)]
pub(crate) struct Incident {
    /// Folder name.
    pub(crate) name: String,
    /// How errors name its folder.
    place: String,
    from: From,
}

#[derive(Debug)]
enum From {
    Binary,
    Directory(PathBuf),
}

/// What the demo shows about an incident, beside its events.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Story {
    /// One line.
    pub(crate) title: String,
    /// From when on it is played; what is before runs through at once.
    pub(crate) begins: Instant,
    /// When the money left.
    pub(crate) lost_at: Instant,
    /// What was lost, in words.
    pub(crate) lost: String,
    /// What revocation could not have stopped, in sentences.
    pub(crate) beyond: Vec<String>,
}

/// One line of `expected.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expected {
    /// Log time of the anchor.
    pub(crate) time: Instant,
    /// Rule id.
    pub(crate) rule: String,
    /// What it is about.
    pub(crate) entity: String,
    /// How bad it is.
    pub(crate) severity: Severity,
}

/// Events, and the lines that were none: line number and what is wrong.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// What could be read, in order.
    pub(crate) events: Vec<Event>,
    /// What could not.
    pub(crate) rejects: Vec<(usize, String)>,
}

impl Incident {
    /// An incident by folder name from inside the binary, or by path.
    ///
    /// # Errors
    /// Lists the names there are.
    pub(crate) fn find(name: &str) -> anyhow::Result<Incident> {
        if SHIPPED.get_file(format!("{name}/events.jsonl")).is_some() {
            return Ok(Incident { name: name.to_owned(), place: format!("replay-data/{name}"), from: From::Binary });
        }
        if Path::new(name).join("events.jsonl").is_file() {
            return Ok(Incident::at(Path::new(name)));
        }
        bail!("there is no incident `{name}`; there are: {}", names().join(", "))
    }

    /// The incident of a directory.
    pub(crate) fn at(directory: &Path) -> Incident {
        let name = directory.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let place = directory.display().to_string();
        Incident { name, place, from: From::Directory(directory.to_owned()) }
    }

    /// Its events; a line that is none is an error, since an incident is a golden file.
    ///
    /// # Errors
    /// Names file, line and field.
    pub(crate) fn events(&self) -> anyhow::Result<Vec<Event>> {
        let lines = read_lines(self.text("events.jsonl")?.as_bytes());
        if let Some((number, problem)) = lines.rejects.first() {
            bail!("{}/events.jsonl line {number}: {problem}", self.place);
        }
        Ok(lines.events)
    }

    /// What the rules are expected to find.
    ///
    /// # Errors
    /// Names file and line.
    pub(crate) fn expected(&self) -> anyhow::Result<Vec<Expected>> {
        let text = self.text("expected.jsonl")?;
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        lines
            .map(|(number, line)| {
                serde_json::from_str(line).with_context(|| format!("{}/expected.jsonl line {}", self.place, number + 1))
            })
            .collect()
    }

    /// Its inventory, if it has one.
    ///
    /// # Errors
    /// Names line and field.
    pub(crate) fn inventory(&self) -> anyhow::Result<Option<Inventory>> {
        match self.text("inventory.toml") {
            Ok(text) => Ok(Some(Inventory::parse(&format!("{}/inventory.toml", self.place), &text)?)),
            Err(_) => Ok(None),
        }
    }

    /// What one of its sources said, as it said it: one JSON value a line, or one for all. `None` where that is not kept.
    pub(crate) fn of_source(&self, source: &str) -> Option<String> {
        ["jsonl", "json"].iter().find_map(|kind| self.text(&format!("sources/{source}.{kind}")).ok())
    }

    /// What the demo shows.
    ///
    /// # Errors
    /// There is none, or a field is wrong.
    pub(crate) fn story(&self) -> anyhow::Result<Story> {
        toml::from_str(&self.text("story.toml")?).with_context(|| format!("{}/story.toml", self.place))
    }

    fn text(&self, file: &str) -> anyhow::Result<String> {
        let missing = || format!("cannot read {}/{file}", self.place);
        match &self.from {
            From::Directory(directory) => fs::read_to_string(directory.join(file)).with_context(missing),
            From::Binary => {
                let found = SHIPPED.get_file(format!("{}/{file}", self.name)).with_context(missing)?;
                Ok(String::from_utf8_lossy(found.contents()).into_owned())
            }
        }
    }
}

/// The names of the incidents inside the binary.
pub(crate) fn names() -> Vec<String> {
    let incidents = SHIPPED.dirs().filter(|dir| SHIPPED.get_file(dir.path().join("events.jsonl")).is_some());
    incidents.map(|dir| dir.path().display().to_string()).collect()
}

/// Reads event lines; what is no event is kept apart and nothing else is lost.
pub(crate) fn read_lines(bytes: &[u8]) -> Lines {
    let mut lines = Lines::default();
    // A slice is read without errors.
    for line in EventLines::new(bytes).flatten() {
        match line.event {
            Ok(event) => lines.events.push(event),
            Err(problem) => lines.rejects.push((line.number, problem)),
        }
    }
    lines
}
