//! A topic's ids beyond those that its admission holds: a generation on its way to the disk, then the disk.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;

use super::disk::IdDisk;
use super::marker::{Marker, Place, Stretch};
use crate::log::admission::{Seen, SeenEvent, SystemKey};
use crate::log::hash_chain::Key;
use crate::{Error, EventId, Instant, Topic};

/// Ids that are handed over together.
pub(crate) struct Generation {
    /// What was said under each.
    pub(crate) ids: Seen,
    /// The end of the last batch that holds one of them; every id before it is among them or was handed over.
    pub(crate) through: Place,
    /// Where each system's remembered ids lie in the log.
    pub(crate) stretches: BTreeMap<String, Vec<Stretch>>,
    /// Log time of the last record of each system.
    pub(crate) times: Vec<(SystemKey, Instant)>,
}

/// The ids of a topic.
pub(crate) struct TopicIds {
    topic: Topic,
    disk: Arc<IdDisk>,
    key: Key,
    done: Place,
    on_its_way: Option<OnItsWay>,
}

struct OnItsWay {
    ids: Arc<Seen>,
    through: Place,
    writing: JoinHandle<Result<(), Error>>,
}

impl TopicIds {
    /// Those in an index that reaches to `done`.
    pub(crate) fn new(topic: Topic, disk: Arc<IdDisk>, key: Key, done: Place) -> TopicIds {
        TopicIds { topic, disk, key, done, on_its_way: None }
    }

    /// Every remembered id of a record before it is here.
    #[cfg(test)]
    pub(super) fn done(&self) -> Place {
        self.done
    }

    /// What was said under an id, forgotten or not.
    ///
    /// # Errors
    /// [`Error::Storage`] when the index is damaged; the next start makes it again.
    pub(crate) fn find(&self, id: EventId) -> Result<Option<SeenEvent>, Error> {
        if let Some(said) = self.on_its_way.as_ref().and_then(|generation| generation.ids.get(&id)) {
            return Ok(Some(*said));
        }
        self.disk.find(self.topic, id, &self.key)
    }

    /// Takes a generation over. Waits for the one before, so that no more than one is on its way.
    ///
    /// # Errors
    /// The generation before could not be written, or no thread be started.
    pub(crate) fn put(&mut self, generation: Generation) -> Result<(), Error> {
        self.settle()?;
        let Generation { ids, through, stretches, times } = generation;
        let ids = Arc::new(ids);
        let (disk, written, topic, key) = (Arc::clone(&self.disk), Arc::clone(&ids), self.topic, self.key.clone());
        let done = self.done;
        let write = move || {
            disk.mark(topic, &Marker { done, begun: through, stretches: stretches.clone() }, &key)?;
            disk.put(topic, &written, through, times, &key)?;
            disk.mark(topic, &Marker { done: through, begun: through, stretches }, &key)
        };
        let thread = std::thread::Builder::new().name("log-ids".to_owned()).spawn(write);
        let writing = thread.map_err(|error| self.disk.cannot_write(&error))?;
        self.on_its_way = Some(OnItsWay { ids, through, writing });
        Ok(())
    }

    /// Lets a generation go from memory if it has arrived.
    ///
    /// # Errors
    /// It could not be written.
    pub(crate) fn tidy(&mut self) -> Result<(), Error> {
        match &self.on_its_way {
            Some(generation) if generation.writing.is_finished() => self.settle(),
            _ => Ok(()),
        }
    }

    /// Waits until nothing is on its way.
    ///
    /// # Errors
    /// It could not be written.
    pub(crate) fn settle(&mut self) -> Result<(), Error> {
        let Some(OnItsWay { through, writing, .. }) = self.on_its_way.take() else { return Ok(()) };
        let ended = writing.join();
        ended.unwrap_or_else(|_| Err(self.disk.broke_off()))?;
        self.done = through;
        Ok(())
    }
}

impl Drop for TopicIds {
    fn drop(&mut self) {
        if let Err(error) = self.settle() {
            tracing::error!(%error, "ids are not in the index; the next start reads them from the log");
        }
    }
}
