//! The index on disk: for each topic a tree of sorted tables, id → what was said. It knows the storage crate, and nothing of
//! the log.
//!
//! A generation comes as one sorted table, past the journal; tables are merged in the background, and an entry whose id is
//! forgotten is left out then. Everything lies in a directory of its own, so that damage to it is no damage to the log.

use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use fjall::compaction::filter::{CompactionFilter, CompactionFilterResult, Context, Factory, ItemAccessor, Verdict};
use fjall::config::{CompressionPolicy, PartitioningPolicy};
use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions};

use super::marker::{self, Marker, Place};
use crate::limits::IDS_CACHE_BYTES_MAX;
use crate::log::admission::{Seen, SeenEvent, SystemKey};
use crate::log::embedded::with_keyspaces;
use crate::log::hash_chain::{Key, topic_number};
use crate::{Error, EventId, Instant, Topic};

/// Where the position that a topic's tables reach to stands, behind all ids.
const REACHES: [u8; 17] = [0xff; 17];

const TAG_BYTES: usize = 8;
const SAID_BYTES: usize = 16 + 8 + 8;

/// Log time of the last record of each system.
type Times = Arc<Mutex<HashMap<SystemKey, Instant>>>;

/// The index of both topics.
pub(crate) struct IdDisk {
    path: PathBuf,
    /// Closed before the directory is unlocked; the keyspaces live in it.
    _database: Database,
    topics: [Keyspace; 2],
    times: [Times; 2],
}

impl IdDisk {
    /// Opens the index in `path`; one that cannot be opened is made anew, empty and without markers.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub(crate) fn open(path: &Path) -> Result<IdDisk, Error> {
        // The storage crate may panic over files that are not as it wrote them.
        let problem = match std::panic::catch_unwind(|| open(path)) {
            Ok(Ok(disk)) => return Ok(disk),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the storage crate broke off".to_owned(),
        };
        tracing::warn!(path = %path.display(), problem, "the index of ids is left aside and made anew from the log");
        IdDisk::create(path)
    }

    /// An empty index in the place of what is in `path`.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub(crate) fn create(path: &Path) -> Result<IdDisk, Error> {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(cannot_write(path, &error.to_string())),
            _ => {}
        }
        fs::create_dir_all(path).map_err(|error| cannot_write(path, &error.to_string()))?;
        open(path).map_err(|error| failed(path, &error))
    }

    /// Through where a topic is indexed, as far as that can be believed.
    pub(crate) fn marker(&self, topic: Topic, key: &Key) -> Option<Marker> {
        marker::read(&self.path, topic, key)
    }

    /// Notes through where a topic is indexed, durably.
    pub(super) fn mark(&self, topic: Topic, marker: &Marker, key: &Key) -> Result<(), Error> {
        marker::write(&self.path, topic, marker, key).map_err(|error| cannot_write(&self.path, &error.to_string()))
    }

    /// What was said under an id, forgotten or not.
    pub(super) fn find(&self, topic: Topic, id: EventId, key: &Key) -> Result<Option<SeenEvent>, Error> {
        let found = self.topics[index(topic)].get(id.0);
        let Some(value) = found.map_err(|error| self.distrust(topic, &error.to_string()))? else { return Ok(None) };
        let said = decode(topic, id, &value, key);
        said.map(Some)
            .ok_or_else(|| self.distrust(topic, &format!("the entry of {id} does not carry the writer's MAC")))
    }

    /// Whether a topic's index holds nothing; one that cannot be read holds something.
    pub(crate) fn is_empty(&self, topic: Topic) -> bool {
        self.topics[index(topic)].is_empty().unwrap_or(false)
    }

    /// The position that a topic's tables reach to.
    pub(crate) fn reaches(&self, topic: Topic) -> u64 {
        let value = self.topics[index(topic)].get(REACHES).ok().flatten();
        value.and_then(|value| (*value).try_into().ok()).map_or(0, u64::from_be_bytes)
    }

    pub(super) fn cannot_write(&self, error: &std::io::Error) -> Error {
        cannot_write(&self.path, &error.to_string())
    }

    pub(super) fn broke_off(&self) -> Error {
        cannot_write(&self.path, "the thread that writes ids broke off; this is a defect of keywatch")
    }

    /// A topic's index is damaged: the next start makes it again.
    fn distrust(&self, topic: Topic, problem: &str) -> Error {
        let removed = marker::remove(&self.path, topic);
        let then = match removed {
            Ok(()) => "start again, it is made again from the log".to_owned(),
            Err(error) => format!("delete this directory ({error}), it is made again from the log"),
        };
        Error::Storage { path: self.path.clone(), problem: format!("the index of ids is damaged: {problem}; {then}") }
    }

    /// Puts the ids of a topic up to a position into its index, durably. `times` are those of the systems; what they forget
    /// may leave.
    pub(super) fn put(
        &self,
        topic: Topic,
        ids: &Seen,
        through: Place,
        times: impl IntoIterator<Item = (SystemKey, Instant)>,
        key: &Key,
    ) -> Result<(), Error> {
        self.times[index(topic)].lock().unwrap_or_else(PoisonError::into_inner).extend(times);
        let mut sorted: Vec<(&EventId, &SeenEvent)> = ids.iter().collect();
        sorted.sort_unstable_by_key(|(id, _)| **id);
        let put = || {
            let mut table = self.topics[index(topic)].start_ingestion()?;
            for (id, said) in sorted {
                table.write(id.0.as_slice(), encode(topic, *id, said, key))?;
            }
            table.write(REACHES.as_slice(), through.position.to_be_bytes().as_slice())?;
            table.finish()
        };
        put().map_err(|error| failed(&self.path, &error))
    }

    /// Bytes on disk.
    #[cfg(test)]
    pub(super) fn bytes(&self, topic: Topic) -> u64 {
        self.topics[index(topic)].disk_space()
    }

    /// Merges all tables of a topic now.
    #[cfg(test)]
    pub(super) fn merge(&self, topic: Topic) {
        self.topics[index(topic)].major_compact().expect("a test's disk can be written");
    }
}

fn open(path: &Path) -> fjall::Result<IdDisk> {
    let times = Topic::ALL.map(|_| Times::default());
    let filtered = times.clone();
    let filters = move |keyspace: &str| {
        let topic = Topic::ALL.into_iter().find(|topic| topic.name() == keyspace)?;
        Some(Arc::new(Forgetting(Arc::clone(&filtered[index(topic)]))) as Arc<dyn Factory>)
    };
    let builder = Database::builder(path.join("tables")).cache_size(IDS_CACHE_BYTES_MAX).worker_threads(1);
    let database = builder.with_compaction_filter_factories(Arc::new(filters)).open()?;
    // Ids are hashes, in which nothing repeats; filters are read in pieces, so that few of them fill the cache.
    let options = || {
        KeyspaceCreateOptions::default()
            .data_block_compression_policy(CompressionPolicy::all(CompressionType::None))
            .filter_block_partitioning_policy(PartitioningPolicy::all(true))
            .index_block_partitioning_policy(PartitioningPolicy::all(true))
    };
    let (database, topics) = with_keyspaces(database, |database| {
        let open = |topic: Topic| database.keyspace(topic.name(), options);
        Ok([open(Topic::Events)?, open(Topic::Conclusions)?])
    })?;
    Ok(IdDisk { path: path.to_owned(), _database: database, topics, times })
}

fn index(topic: Topic) -> usize {
    usize::from(topic_number(topic))
}

/// `fingerprint [16] · log time i64 · system u64 · MAC [8]`, big-endian.
fn encode(topic: Topic, id: EventId, said: &SeenEvent, key: &Key) -> Vec<u8> {
    let mut value = Vec::with_capacity(SAID_BYTES + TAG_BYTES);
    value.extend(said.fingerprint);
    value.extend(said.time.0.to_be_bytes());
    value.extend(said.system.0.to_be_bytes());
    let tag = key.tag_id(&[&[topic_number(topic)], &id.0, &value]);
    value.extend(tag);
    value
}

fn decode(topic: Topic, id: EventId, value: &[u8], key: &Key) -> Option<SeenEvent> {
    let (said, tag) = value.split_at_checked(SAID_BYTES)?;
    let is_genuine = key.tag_id(&[&[topic_number(topic)], &id.0, said]) == tag;
    is_genuine.then(|| parse(said)).flatten()
}

fn parse(said: &[u8]) -> Option<SeenEvent> {
    let (fingerprint, rest) = said.split_first_chunk()?;
    let (time, rest) = rest.split_first_chunk()?;
    let (system, _) = rest.split_first_chunk()?;
    let (time, system) = (Instant(i64::from_be_bytes(*time)), SystemKey(u64::from_be_bytes(*system)));
    Some(SeenEvent { fingerprint: *fingerprint, time, system })
}

/// Leaves out what is forgotten when tables are merged.
struct Forgetting(Times);

impl Factory for Forgetting {
    fn name(&self) -> &'static str {
        "forgotten ids"
    }

    fn make_filter(&self, _: &Context) -> Box<dyn CompactionFilter> {
        Box::new(Forgotten(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()))
    }
}

struct Forgotten(HashMap<SystemKey, Instant>);

impl CompactionFilter for Forgotten {
    fn filter_item(&mut self, item: ItemAccessor<'_>, _: &Context) -> CompactionFilterResult {
        let said = parse(&item.value()?);
        let is_forgotten =
            said.is_some_and(|said| self.0.get(&said.system).is_some_and(|now| !said.is_remembered(*now)));
        // An older entry of the id that this would bring back is forgotten, too.
        Ok(if is_forgotten { Verdict::Destroy } else { Verdict::Keep })
    }
}

fn failed(path: &Path, error: &fjall::Error) -> Error {
    let io = match error {
        fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => Some(error.kind()),
        _ => None,
    };
    let full =
        [ErrorKind::StorageFull, ErrorKind::QuotaExceeded, ErrorKind::ReadOnlyFilesystem, ErrorKind::FileTooLarge];
    if io.is_some_and(|kind| full.contains(&kind)) {
        return cannot_write(path, &error.to_string());
    }
    let problem = format!("the index of ids: {error}; delete this directory and start again, it is made from the log");
    Error::Storage { path: path.to_owned(), problem }
}

fn cannot_write(path: &Path, problem: &str) -> Error {
    Error::CannotWrite { path: path.to_owned(), problem: problem.to_owned() }
}
