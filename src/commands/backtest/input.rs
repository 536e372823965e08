//! What history is read from: incident directories, files of event lines, standard input, embedded logs; and what such a log says
//! that it lacks.
//!
//! It finds out which of these a path is, and what stands beside it; it reads no event.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use keywatch_store::log::embedded::{EmbeddedLog, Options};
use keywatch_store::log::kafka::lacking;
use keywatch_store::{Clock, Error, Inventory, Position, Topic};

use crate::event_files::DeclaredInventory;
use crate::incident::Incident;

/// One stretch of history.
pub(super) struct Input {
    /// How errors name it.
    pub(super) name: String,
    /// Bytes that it has, where that is known.
    pub(super) bytes: Option<u64>,
    /// Its form.
    pub(super) form: Form,
}

/// The form of one stretch of history.
pub(super) enum Form {
    /// Event lines of a file, or of standard input where there is none, and the inventory beside them.
    Lines(Option<PathBuf>, DeclaredInventory),
    /// The directory of an embedded log.
    Log(PathBuf),
}

/// What the paths are, in their order. `inventory` goes over what stands beside event lines.
///
/// # Errors
/// Names the path and what was looked for in it.
pub(super) fn find_all(paths: &[PathBuf], inventory: Option<&Inventory>) -> anyhow::Result<Vec<Input>> {
    let standard = paths.iter().filter(|path| *path == Path::new("-")).count();
    ensure!(standard <= 1, "standard input (`-`) can be read only once");
    paths.iter().map(|path| find(path, inventory)).collect()
}

fn find(path: &Path, inventory: Option<&Inventory>) -> anyhow::Result<Input> {
    if path == Path::new("-") {
        let declared = inventory.cloned().map(DeclaredInventory::overriding).unwrap_or_default();
        return Ok(Input { name: "standard input".to_owned(), bytes: None, form: Form::Lines(None, declared) });
    }
    let name = path.display().to_string();
    let about = fs::metadata(path).with_context(|| format!("cannot read {name}"))?;
    if !about.is_dir() {
        let declared = inventory.cloned().map(DeclaredInventory::overriding).unwrap_or_default();
        let bytes = about.is_file().then_some(about.len());
        return Ok(Input { name, bytes, form: Form::Lines(Some(path.to_owned()), declared) });
    }
    let file = path.join("events.jsonl");
    if let Ok(about) = fs::metadata(&file) {
        let declared = match inventory {
            Some(inventory) => DeclaredInventory::overriding(inventory.clone()),
            None => DeclaredInventory::fallback(Incident::at(path).inventory()?),
        };
        let name = file.display().to_string();
        return Ok(Input { name, bytes: Some(about.len()), form: Form::Lines(Some(file), declared) });
    }
    if path.join("LOCK").is_file() && path.join("data").is_dir() {
        return Ok(Input { name, bytes: Some(size(&path.join("data"))), form: Form::Log(path.to_owned()) });
    }
    bail!("{name} holds neither an events.jsonl nor a log that keywatch wrote (LOCK and data)")
}

/// Opens the log of a directory with the clock that it was made with.
///
/// # Errors
/// It is in use, or does not verify.
pub(crate) fn open_log(path: &Path) -> anyhow::Result<EmbeddedLog> {
    match EmbeddedLog::open(path, Options::new(Clock::Wall)) {
        Err(Error::OtherClock { found, .. }) => Ok(EmbeddedLog::open(path, Options::new(found))?),
        // A storage that takes a lock for its only process cannot be read beside it.
        Err(Error::InUse { path }) => bail!(
            "{} is open in another keywatch, and a log is read by one process at a time; stop that one for as long as it \
             takes to copy the directory, and name the copy",
            path.display()
        ),
        opened => Ok(opened?),
    }
}

/// What a log in a directory lacks that ends there, in the order of its topics: one that is a copy of a log on Kafka knows what it
/// has passed by. As people are told.
///
/// # Errors
/// What is known of the copy cannot be read.
pub(crate) fn lacks(directory: &Path, ends: [Position; 2]) -> anyhow::Result<Vec<String>> {
    let said = |(topic, offset): (Topic, i64)| {
        format!(
            "{}: this copy of a log on Kafka lacks what a later version wrote there, from offset {offset} on; have it made anew by \
             a version that can read that",
            topic.name()
        )
    };
    Ok(lacking(directory, ends)?.into_iter().map(said).collect())
}

/// Bytes of all files of a directory. It only moves a bar, so what cannot be read counts nothing.
fn size(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(about) if about.is_dir() => size(&entry.path()),
        Ok(about) => about.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_log_that_is_open_it_says_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let (log, copy) = (directory.path().join("log"), directory.path().join("copy"));
        let running = EmbeddedLog::open(&log, Options::new(Clock::Recorded)).unwrap();
        let refused = open_log(&log).unwrap_err().to_string();
        assert!(refused.contains("is open in another keywatch") && refused.contains("name the copy"), "{refused}");
        drop(running);
        copy_all(&log, &copy);
        let _running = EmbeddedLog::open(&log, Options::new(Clock::Recorded)).unwrap();
        assert!(open_log(&copy).is_ok(), "a copy is another log");
    }

    #[test]
    fn a_copy_of_a_log_on_kafka_says_what_it_lacks() {
        let directory = tempfile::tempdir().unwrap();
        let ends = |events| [Position(events), Position(0)];
        assert!(lacks(directory.path(), ends(1)).unwrap().is_empty(), "it is no copy");
        let steps = r#"[{"from":0,"to":5,"end":0,"lacks_from":3},{"from":0,"to":0,"end":0}]"#;
        let topics = r#"["k.events","k.conclusions"]"#;
        let progress = format!(r#"{{"cluster":"c","topics":{topics},"partitions":1,"partition":0,"steps":{steps}}}"#);
        fs::write(directory.path().join("kafka-progress.json"), progress).unwrap();
        let [said]: [String; 1] = lacks(directory.path(), ends(1)).unwrap().try_into().unwrap();
        assert!(said.starts_with("events:") && said.contains("from offset 3 on"), "{said}");
        assert!(lacks(directory.path(), ends(0)).unwrap().is_empty(), "the step was not taken");
    }

    fn copy_all(from: &Path, to: &Path) {
        fs::create_dir(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let (path, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
            if path.is_dir() { copy_all(&path, &to) } else { fs::copy(&path, &to).map(drop).unwrap() }
        }
    }
}
