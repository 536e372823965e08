//! The storage crate's files, looked through before it may open them: it deletes and cuts off what it cannot read, and
//! evidence with it. Nothing here writes.
//!
//! | module | what it reads |
//! |---|---|
//! | `journal` | the commits that are not yet in tables |
//! | `manifest` | which tables there are, and their checksums |
//!
//! It does not open tables: what the crate reads of them is checked by its own checksums and by the hash chain.

mod journal;
mod manifest;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::damage::{FileDamage, Loss};
use crate::limits::{JOURNAL_FILE_BYTES_MAX, TABLE_SEARCH_BYTES_MAX};
use crate::log::TopicHead;
use crate::log::hash_chain::{Hash, Head};
use crate::{Instant, Position, Topic};

/// What the file `version` holds: the format that this module knows.
const VERSION: &[u8] = b"FJL\x03";

/// Keyspaces that a log has, the crate's own aside.
const KEYSPACES: usize = 3;

/// What stands in the storage crate's directory.
#[derive(Debug)]
pub(super) enum Found {
    /// No directory.
    Nothing,
    /// A directory in which nothing was written yet: creating it was broken off.
    Begun,
    /// A log.
    Log(Inspection),
}

/// What was found in the files of a log.
#[derive(Debug, Default)]
pub(super) struct Inspection {
    /// What is not as it was written.
    pub(super) damage: Vec<FileDamage>,
    /// The last journal, where its last commit may be torn: it was not finished, or somebody changed it since.
    pub(super) torn: Option<PathBuf>,
    keyspaces: usize,
    /// Of each topic, the batches in the journals; gathered only where something is damaged or torn.
    journaled: [Vec<Journaled>; 2],
}

/// A batch whose head stands in a journal.
#[derive(Debug)]
struct Journaled {
    first: Position,
    end: Position,
    hash: Hash,
    earliest: Option<Instant>,
    latest: Option<Instant>,
}

/// Looks through the journals and manifests of a directory.
pub(super) fn inspect(data: &Path) -> Found {
    let mut inspection = Inspection::default();
    let journals = match journals(data) {
        Ok(Some(journals)) => journals,
        Ok(None) => return Found::Nothing,
        Err(damage) => {
            inspection.damage.push(damage);
            return Found::Log(inspection);
        }
    };
    let commits = inspection.read_journals(&journals);
    let tables = inspection.read_manifests(&data.join("keyspaces"));
    match fs::read(data.join("version")) {
        Ok(version) if version == VERSION => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !commits && !tables => {
            return if inspection.damage.is_empty() { Found::Begun } else { Found::Log(inspection) };
        }
        Ok(_) => inspection.damage.push(FileDamage::new(&data.join("version"), "it names a format that is not known")),
        Err(error) => inspection.damage.push(FileDamage::unreadable(&data.join("version"), &error)),
    }
    Found::Log(inspection)
}

/// Holds every file of every keyspace against its checksum; `progress` is told the bytes as they are read.
pub(super) fn check_tables(data: &Path, mut progress: impl FnMut(u64)) -> Vec<FileDamage> {
    let mut damage = Vec::new();
    for keyspace in keyspaces(&data.join("keyspaces")).unwrap_or_default() {
        // What is wrong with a manifest was found by `inspect`.
        for file in manifest::read(&keyspace).unwrap_or_default() {
            damage.extend(file.check(&mut progress).err());
        }
    }
    damage
}

/// The first table that does not match its checksum, among as many as are read in a moment.
pub(super) fn first_damaged_table(data: &Path) -> Option<FileDamage> {
    let mut left = TABLE_SEARCH_BYTES_MAX;
    for keyspace in keyspaces(&data.join("keyspaces")).ok()? {
        for file in manifest::read(&keyspace).unwrap_or_default() {
            let checked = file.check(|bytes| left = left.saturating_sub(bytes));
            if checked.is_err() || left == 0 {
                return checked.err();
            }
        }
    }
    None
}

/// Writes manifests anew where they do not verify but can be read, in a directory that is nobody's evidence; `drop_damaged`
/// leaves tables out that do not match their checksums.
pub(super) fn mend_manifests(data: &Path, drop_damaged: bool) {
    for keyspace in keyspaces(&data.join("keyspaces")).unwrap_or_default() {
        if let Err(error) = manifest::mend(&keyspace, drop_damaged) {
            tracing::debug!(%error, keyspace = %keyspace.display(), "a manifest cannot be mended");
        }
    }
}

/// The commits of a journal that verify, one after the other: a journal without what is damaged.
pub(super) fn sound_commits(bytes: &[u8]) -> Vec<u8> {
    let content = journal::read(bytes, 0, |_, _| ());
    content.commits.into_iter().flat_map(|commit| bytes[commit].iter().copied()).collect()
}

/// The journals, in the order in which they were written; `None` without a directory.
pub(super) fn journals(data: &Path) -> Result<Option<Vec<PathBuf>>, FileDamage> {
    let entries = match fs::read_dir(data) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(FileDamage::unreadable(data, &error)),
    };
    let mut journals = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| FileDamage::unreadable(data, &error))?.path();
        if path.extension().is_some_and(|extension| extension == "jnl") {
            let number = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<u64>().ok());
            journals.push((number.ok_or_else(|| FileDamage::new(&path, "it is no journal by its name"))?, path));
        }
    }
    journals.sort();
    Ok(Some(journals.into_iter().map(|(_, path)| path).collect()))
}

fn keyspaces(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    Ok(entries.into_iter().map(|entry| entry.path()).filter(|path| path.is_dir()).collect())
}

impl Inspection {
    /// Whether there is any commit in them.
    fn read_journals(&mut self, journals: &[PathBuf]) -> bool {
        let (mut sequence, mut commits) = (0, false);
        for (number, path) in journals.iter().enumerate() {
            let bytes = match read_journal(path) {
                Ok(bytes) => bytes,
                Err(damage) => {
                    self.damage.push(damage);
                    continue;
                }
            };
            let content = journal::read(&bytes, sequence, |_, _| ());
            sequence = content.last_sequence;
            commits |= !content.commits.is_empty();
            let torn = number + 1 == journals.len() && content.ends_torn();
            if torn {
                self.torn = Some(path.clone());
            } else {
                let damage = content.bad.iter().map(|bad| FileDamage {
                    file: path.clone(),
                    bytes: Some((bad.bytes.start as u64, bad.bytes.end as u64)),
                    problem: format!("a commit does not verify: {}", bad.problem),
                });
                self.damage.extend(damage);
            }
        }
        if self.torn.is_some() || !self.damage.is_empty() {
            journals.iter().filter_map(|path| read_journal(path).ok()).for_each(|bytes| self.gather(&bytes));
        }
        commits
    }

    fn gather(&mut self, journal: &[u8]) {
        journal::read(journal, 0, |_, put| {
            if put.key.len() != 9 {
                return;
            }
            let Some((head, hash)) = put.value().and_then(|value| Head::unsigned(&value).ok()) else { return };
            self.journaled[head.topic.index()].push(Journaled {
                first: head.first,
                end: head.end(),
                hash,
                earliest: head.rows.iter().map(|row| row.time).min(),
                latest: head.latest(),
            });
        });
    }

    /// Whether any table has been written.
    fn read_manifests(&mut self, folder: &Path) -> bool {
        let Ok(keyspaces) = keyspaces(folder) else { return false };
        let mut tables = false;
        let mut found = 0;
        for keyspace in &keyspaces {
            let Some(_) = keyspace.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<u64>().ok())
            else {
                self.damage.push(FileDamage::new(keyspace, "it is no keyspace by its name"));
                continue;
            };
            match manifest::read(keyspace) {
                Ok(files) => tables |= !files.is_empty(),
                Err(damage) => {
                    tables = true;
                    self.damage.push(damage);
                }
            }
            found += 1;
        }
        let own = folder.join("0");
        if tables && !own.join("current").is_file() {
            self.damage.push(FileDamage::new(&own, "the list of keyspaces is missing"));
        }
        self.keyspaces = found;
        tables
    }

    /// Adds what a log that holds records must have and has not.
    pub(super) fn expect_keyspaces(&mut self, data: &Path) {
        if self.keyspaces <= KEYSPACES {
            let problem = format!("{} of {} keyspaces are missing", KEYSPACES + 1 - self.keyspaces, KEYSPACES + 1);
            self.damage.push(FileDamage::new(&data.join("keyspaces"), problem));
        }
    }

    /// Whether a topic's head is known to stand before what is torn; `None` where the journals hold nothing of the topic.
    pub(super) fn reaches(&self, topic: Topic, head: &TopicHead) -> Option<bool> {
        let journaled = &self.journaled[topic.index()];
        let end = journaled.iter().map(|batch| batch.end).max()?;
        let same = journaled.iter().all(|batch| batch.end != head.position || batch.hash == head.hash);
        Some(end >= head.position && same)
    }

    /// What the journals show to be missing up to a topic's head. What stood in tables is not counted.
    pub(super) fn losses(&self, topic: Topic, head: &TopicHead) -> Vec<Loss> {
        let mut batches: Vec<&Journaled> = self.journaled[topic.index()].iter().collect();
        batches.sort_by_key(|batch| batch.first);
        let mut losses = Vec::new();
        let mut before: Option<&Journaled> = None;
        for batch in batches {
            if let Some(before) = before.filter(|before| before.end < batch.first) {
                losses.push(Loss::new(topic, before.end, batch.first).between(before.latest, batch.earliest));
            }
            before = Some(batch);
        }
        if let Some(last) = before.filter(|last| last.end < head.position) {
            losses.push(Loss::new(topic, last.end, head.position).between(last.latest, Some(head.time)));
        }
        losses
    }
}

fn read_journal(path: &Path) -> Result<Vec<u8>, FileDamage> {
    let unreadable = |error: std::io::Error| FileDamage::unreadable(path, &error);
    let file = fs::File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    if length > JOURNAL_FILE_BYTES_MAX {
        return Err(FileDamage::new(path, "it is longer than a journal becomes"));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    file.take(JOURNAL_FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}
