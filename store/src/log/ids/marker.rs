//! Through which batch of the log a topic's index reaches: a small sealed file, put in place as a whole.
//!
//! Before a generation goes to the index the file says where it ends, and after it that it is there. So an index may hold
//! ids of a log that has lost its end since, and that is seen: what was begun is no batch of that log.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Topic;
use crate::log::hash_chain::{Hash, Key};

/// A place between two batches: a position and the hash of the batch before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) position: u64,
    pub(crate) hash: Hash,
}

/// Batches that hold ids of a system: the first of them, and the log times of its first and last record in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stretch {
    pub(crate) from: u64,
    pub(crate) since: i64,
    pub(crate) until: i64,
}

/// What the file says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marker {
    /// Every id of a record before it that is remembered is in the index.
    pub(crate) done: Place,
    /// Ids of records before it may be.
    pub(crate) begun: Place,
    /// Where each system's remembered ids lie in the log, as of `done`.
    pub(crate) stretches: BTreeMap<String, Vec<Stretch>>,
}

/// The marker of a topic; `None` where there is none that carries the MAC of the writer's key.
pub(super) fn read(directory: &Path, topic: Topic, key: &Key) -> Option<Marker> {
    let sealed = fs::read(file(directory, topic)).ok()?;
    serde_json::from_slice(key.open_value(name(topic).as_bytes(), &sealed)?).ok()
}

/// Writes the marker of a topic durably in place of the one before.
pub(super) fn write(directory: &Path, topic: Topic, marker: &Marker, key: &Key) -> std::io::Result<()> {
    let json = serde_json::to_vec(marker)?;
    let draft = directory.join(format!("{}.unfinished", topic.name()));
    let mut out = File::create(&draft)?;
    out.write_all(&key.seal_value(name(topic).as_bytes(), &json))?;
    out.sync_all()?;
    fs::rename(&draft, file(directory, topic))?;
    File::open(directory)?.sync_all()
}

/// Takes the marker of a topic away, so that its index counts for nothing at the next start.
pub(super) fn remove(directory: &Path, topic: Topic) -> std::io::Result<()> {
    fs::remove_file(file(directory, topic))
}

fn file(directory: &Path, topic: Topic) -> PathBuf {
    directory.join(format!("{}.marker", topic.name()))
}

fn name(topic: Topic) -> String {
    format!("ids/{}", topic.name())
}
