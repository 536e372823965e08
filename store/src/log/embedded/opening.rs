//! Opening: a log is opened for writing only when it is shown to be whole.
//!
//! 1. The head file says where the log ended when somebody was last answered.
//! 2. The storage's files are looked through before the storage crate may touch them ([`super::files`]): what it could not
//!    read it would cut off or delete.
//! 3. A torn commit at the very end of the last journal is ordinary after a crash. Where it cannot be told from the
//!    journals that the head stands before it, the journal is copied first, and put back if the log turns out too short.
//! 4. The crate opens its files, the ends of the topics are held against the head, and the writer's state is recovered.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Options;
use super::damage::{Damage, FileDamage, Loss};
use super::directory::{self, cannot_write, sync_directory};
use super::disk::Disk;
use super::files::{self, Found, Inspection};
use super::head_file::{self, HeadFile, Heads};
use super::recovery::{Recovered, Recovery};
use super::state::{self, Kind};
use crate::limits::CLOSING_WAIT_MS_MAX;
use crate::log::TopicHead;
use crate::log::hash_chain::Key;
use crate::{Clock, Error, Position, Topic};

/// A log that is whole, with what its writer needs.
pub(super) struct Opened {
    pub(super) disk: Arc<Disk>,
    pub(super) key: Key,
    pub(super) topics: [Recovered; 2],
    pub(super) head_file: HeadFile,
}

/// Opens the log in a locked directory, or makes it.
pub(super) fn open(path: &Path, options: &Options) -> Result<Opened, Error> {
    let key_file = options.key_file.clone().unwrap_or_else(|| directory::key_file(path, &options.role));
    await_closed(path)?;
    let heads = heads(path, &key_file)?;
    JournalCopy::put_back(path)?;
    let inspection = inspect(path, heads.as_ref())?;
    check_files(path, &inspection, heads.as_ref())?;
    let copy = copy_torn(path, &inspection, heads.as_ref())?;
    let opened = open_disk(path, &key_file, options, heads);
    match (&opened, copy) {
        (Err(_), Some(_)) => JournalCopy::put_back(path)?,
        (Ok(_), Some(copy)) => copy.discard()?,
        _ => {}
    }
    opened
}

/// Waits for a log of this process that was closed a moment ago: threads of the storage crate may still be at its files.
/// Nobody else has them open, since the directory is locked.
pub(super) fn await_closed(path: &Path) -> Result<(), Error> {
    for storage in [path.join("data"), directory::ids(path).join("tables")] {
        if let Ok(lock) = fs::File::open(storage.join("lock")) {
            directory::wait_for_lock(&lock, path, CLOSING_WAIT_MS_MAX)?;
        }
    }
    Ok(())
}

/// What the head file says, where there is one.
fn heads(path: &Path, key_file: &Path) -> Result<Option<Heads>, Error> {
    if !head_file::path(path).exists() {
        return Ok(None);
    }
    let key = directory::read_key(key_file)?;
    head_file::read(path, &key).map_err(|file| Damage::from(file).of(path))
}

fn inspect(path: &Path, heads: Option<&Heads>) -> Result<Inspection, Error> {
    let data = path.join("data");
    let found = files::inspect(&data);
    let Found::Log(mut inspection) = found else {
        let losses = losses(heads, |topic, head| vec![Loss::new(topic, Position(0), head.position)]);
        if !losses.is_empty() {
            let files = vec![FileDamage::new(&data, "it is missing or empty")];
            return Err(Damage { losses, files }.of(path));
        }
        if matches!(found, Found::Begun) {
            // The crate cannot take up what it only began.
            fs::remove_dir_all(&data).map_err(|error| cannot_write(&data, &error))?;
        }
        return Ok(Inspection::default());
    };
    if heads.is_some_and(|heads| heads.topics.iter().any(|head| head.position > Position(0))) {
        inspection.expect_keyspaces(&data);
    }
    Ok(inspection)
}

fn losses(heads: Option<&Heads>, of: impl Fn(Topic, &TopicHead) -> Vec<Loss>) -> Vec<Loss> {
    let Some(heads) = heads else { return Vec::new() };
    let mut losses = Vec::new();
    for topic in Topic::ALL {
        let head = &heads.topics[topic.index()];
        let found = of(topic, head).into_iter().filter(|loss| loss.records() > 0);
        losses.extend(found.map(|loss| Loss { before: loss.before.or(Some(head.time)), ..loss }));
    }
    losses
}

/// Refuses damaged files, and a torn end that took records along which somebody was answered for.
fn check_files(path: &Path, inspection: &Inspection, heads: Option<&Heads>) -> Result<(), Error> {
    let mut files = inspection.damage.clone();
    let short = |topic: Topic| {
        heads.is_some_and(|heads| inspection.reaches(topic, &heads.topics[topic.index()]) == Some(false))
    };
    if let Some(torn) = inspection.torn.as_ref().filter(|_| Topic::ALL.into_iter().any(short)) {
        files.push(FileDamage::new(torn, "its last commit does not verify, and the head says that it was finished"));
    }
    if files.is_empty() {
        return Ok(());
    }
    let losses = losses(heads, |topic, head| inspection.losses(topic, head));
    Err(Damage { losses, files }.of(path))
}

/// Copies a torn journal where the journals do not show that the head stands before what is torn.
fn copy_torn(path: &Path, inspection: &Inspection, heads: Option<&Heads>) -> Result<Option<JournalCopy>, Error> {
    let Some(torn) = &inspection.torn else { return Ok(None) };
    let shown = |topic: Topic| match heads.map(|heads| heads.topics[topic.index()]) {
        Some(head) => head.position == Position(0) || inspection.reaches(topic, &head) == Some(true),
        None => false,
    };
    if Topic::ALL.into_iter().all(shown) { Ok(None) } else { JournalCopy::make(path, torn).map(Some) }
}

fn open_disk(path: &Path, key_file: &Path, options: &Options, heads: Option<Heads>) -> Result<Opened, Error> {
    let disk = Arc::new(Disk::open(path)?);
    if !disk.has_value(state::LOG)? {
        directory::create_key(key_file)?;
    }
    let key = directory::read_key(key_file)?;
    let kind = match state::kind(&disk, &key, path)? {
        Some(kind) => kind,
        None => create(&disk, options.clock, &key, heads.as_ref())?,
    };
    if kind.clock != options.clock {
        return Err(Error::OtherClock { path: path.to_owned(), found: kind.clock, wanted: options.clock });
    }
    let recovery = Recovery {
        disk: &disk,
        clock: kind.clock,
        role: &options.role,
        key: &key,
        clocks: &*options.clocks,
        heads: heads.as_ref(),
        recent_ids_max: options.recent_ids_max,
    };
    let topics = recovery.topics(&directory::ids(path))?;
    if heads.is_none() && kind.has_head && topics.iter().any(|topic| topic.tip.position > Position(0)) {
        let problem = "it is missing, and nothing else shows where the log ended";
        return Err(Damage::from(FileDamage::new(&head_file::path(path), problem)).of(path));
    }
    let topic_heads = [topics[0].head(), topics[1].head()];
    let head_file = HeadFile::open(path, &key, &Heads { clock: kind.clock, topics: topic_heads })?;
    if !kind.has_head {
        tracing::info!(path = %path.display(), "a log without a head file got one; from here on it knows its end");
        note_kind(&disk, kind.clock, &key)?;
    }
    Ok(Opened { disk, key, topics, head_file })
}

fn create(disk: &Disk, clock: Clock, key: &Key, heads: Option<&Heads>) -> Result<Kind, Error> {
    let losses = losses(heads, |topic, head| vec![Loss::new(topic, Position(0), head.position)]);
    if !losses.is_empty() {
        return Err(Damage { losses, files: Vec::new() }.of(disk.path()));
    }
    note_kind(disk, clock, key)?;
    Ok(Kind { clock, has_head: true })
}

fn note_kind(disk: &Disk, clock: Clock, key: &Key) -> Result<(), Error> {
    let mut change = disk.change();
    state::put_clock(&mut change, clock, key);
    change.commit()
}

/// A journal as it was before the storage crate opened it, beside the storage.
struct JournalCopy(PathBuf);

impl JournalCopy {
    fn make(path: &Path, journal: &Path) -> Result<JournalCopy, Error> {
        let name = journal.file_name().unwrap_or_default();
        let (draft, copy) = (path.join("torn.new"), path.join(name).with_extension("torn"));
        let made = fs::copy(journal, &draft)
            .and_then(|_| fs::File::open(&draft)?.sync_all())
            .and_then(|()| fs::rename(&draft, &copy))
            .and_then(|()| sync_directory(&copy));
        made.map(|()| JournalCopy(copy.clone())).map_err(|error| cannot_write(&copy, &error))
    }

    /// Puts back whatever an opening left that was broken off or that found the log too short.
    fn put_back(path: &Path) -> Result<(), Error> {
        let failed = |error: std::io::Error| cannot_write(path, &error);
        for entry in fs::read_dir(path).map_err(failed)? {
            let copy = entry.map_err(failed)?.path();
            if copy.extension().is_some_and(|extension| extension == "torn") {
                let name = copy.with_extension("jnl");
                let journal = path.join("data").join(name.file_name().unwrap_or_default());
                fs::rename(&copy, &journal).and_then(|()| sync_directory(&journal)).map_err(failed)?;
            }
        }
        Ok(())
    }

    fn discard(self) -> Result<(), Error> {
        fs::remove_file(&self.0).map_err(|error| cannot_write(&self.0, &error))
    }
}
