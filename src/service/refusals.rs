//! Credentials that were declared stolen, in a process that takes events in and evaluates nothing: read from the conclusions
//! on Kafka to their end before anything is taken in, and followed from then on, so that a credential is refused here as soon
//! as its declaration is read. Knows neither credentials nor events.
//!
//! What was read is kept beside the spool, so that a start reads only what came since.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use keywatch_alerting::{Compromises, RefusedBySource};
use keywatch_store::log::kafka::{KafkaReader, Settings, Unread};
use keywatch_store::{Clock, Error, Topic};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::limits::{
    REFUSALS_KEPT_MESSAGES, REFUSALS_QUIET_LOOKS_MAX, REFUSALS_RETRY_SECONDS, REFUSALS_WAIT_MILLISECONDS,
};
use crate::service::config::log::LogConfig;
use crate::service::http::credentials::prints::Refused;
use crate::service::readiness::Readiness;

/// The part that is not ready while declarations are not read.
const PART: &str = "declarations of stolen credentials";

/// The file in the data directory.
const FILE: &str = "refusals.json";

/// How long a look waits for a message.
const WAIT: Duration = Duration::from_millis(REFUSALS_WAIT_MILLISECONDS);

/// The declarations, as far as they are read.
pub(crate) struct Refusals {
    reader: KafkaReader,
    settings: Settings,
    file: PathBuf,
    known: Known,
    /// Messages that were read since it was kept.
    unkept: u64,
    /// Whether it was said that there are messages whose role is unknown here.
    is_warned: bool,
}

/// What is kept.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    /// The topic it is of.
    topic: String,
    /// Offset of the next message of each partition.
    next: Vec<i64>,
    compromises: Compromises,
    /// Partitions with a message that was not read: the next start begins with it, since the key of whoever wrote it may be
    /// named by then, or a later version reads it. To take in again what is behind it changes nothing of what is refused.
    #[serde(skip)]
    unread: BTreeSet<u32>,
}

impl Refusals {
    /// Reads the conclusions to where they end now.
    ///
    /// # Errors
    /// They cannot be read: the brokers do not answer, the principal may not, a key is not there.
    pub(crate) fn open(log: &LogConfig, data: &Path) -> anyhow::Result<Refusals> {
        let settings = log.settings(data, Clock::Wall)?;
        let (file, topic) = (data.join(FILE), settings.topic(Topic::Conclusions));
        let known = Known::read(&file, &topic);
        let what = || {
            format!(
                "a process that takes events in reads `{topic}`, to know which credentials were declared stolen; allow its \
                 principal Read there (docs/compromises.md)"
            )
        };
        let reader = KafkaReader::go_on(&settings, Topic::Conclusions, &known.next).with_context(what)?;
        let mut refusals = Refusals { reader, settings, file, known, unkept: 0, is_warned: false };
        let mut quiet = 0;
        while !refusals.reader.is_done() {
            let before = refusals.unkept;
            refusals.look().with_context(what)?;
            quiet = if refusals.unkept == before { quiet + 1 } else { 0 };
            if quiet > REFUSALS_QUIET_LOOKS_MAX && !refusals.reader.is_done() {
                bail!("{}: the brokers give nothing of it", what());
            }
        }
        refusals.keep();
        Ok(refusals)
    }

    /// Fingerprints of all that is refused, by system and source.
    pub(crate) fn refused(&self) -> RefusedBySource {
        self.known.compromises.refused()
    }

    /// Follows the conclusions in a thread of its own until `stopping`, and says each time what is refused from then on.
    ///
    /// # Errors
    /// There is no thread for it.
    pub(crate) fn follow(
        mut self,
        refusing: watch::Sender<Refused>,
        readiness: Arc<Readiness>,
        stopping: watch::Receiver<bool>,
    ) -> anyhow::Result<()> {
        let run = move || {
            while !*stopping.borrow() {
                match self.look() {
                    Ok(true) => {
                        refusing.send_replace(Refused::new(self.refused()));
                        self.keep();
                    }
                    Ok(false) if self.unkept >= REFUSALS_KEPT_MESSAGES => self.keep(),
                    Ok(false) => {}
                    Err(error) => self.begin_again(&error, &readiness),
                }
            }
        };
        thread::Builder::new().name("refusals".to_owned()).spawn(run).context("cannot start a thread")?;
        Ok(())
    }

    /// Takes in what came; whether something was declared or taken back.
    fn look(&mut self) -> Result<bool, Error> {
        let mut has_changed = false;
        for seen in self.reader.read(WAIT)? {
            self.unkept += 1;
            match seen.records {
                Ok(events) => {
                    for event in events.iter().filter(|event| event.kind().starts_with("credential.")) {
                        self.known.compromises.apply(event);
                        has_changed = true;
                    }
                }
                Err(unread) => {
                    self.warn(&unread);
                    self.known.stays_at(seen.partition, seen.offset);
                }
            }
            self.known.reached(seen.partition, seen.offset + 1);
        }
        Ok(has_changed)
    }

    fn warn(&mut self, unread: &Unread) {
        if !self.is_warned {
            self.is_warned = true;
            let topic = &self.known.topic;
            tracing::error!(
                %unread,
                topic,
                "a conclusion is not read, so that a credential that was declared stolen may be taken here; name the key of the \
                 role that writes them in log.other_keys"
            );
        }
    }

    /// The topic cannot be read any more.
    fn begin_again(&mut self, error: &Error, readiness: &Readiness) {
        tracing::error!(%error, "which credentials were declared stolen is not known any more; it is tried again");
        readiness.obstruct(PART, error.to_string());
        thread::sleep(Duration::from_secs(REFUSALS_RETRY_SECONDS));
        if let Ok(reader) = KafkaReader::go_on(&self.settings, Topic::Conclusions, &self.known.next) {
            self.reader = reader;
            self.known.unread.clear();
            readiness.clear(PART);
        }
    }

    /// Without it, the next start reads more.
    fn keep(&mut self) {
        self.unkept = 0;
        if let Err(error) = self.known.write(&self.file) {
            tracing::warn!(error = format!("{error:#}"), "which credentials were declared stolen is not kept");
        }
    }
}

impl Known {
    /// What a process before kept of that topic; nothing where it is damaged or of another one.
    fn read(file: &Path, topic: &str) -> Known {
        let kept = fs::read(file).ok().and_then(|bytes| serde_json::from_slice::<Known>(&bytes).ok());
        let fresh = || Known { topic: topic.to_owned(), ..Known::default() };
        kept.filter(|kept| kept.topic == topic).unwrap_or_else(fresh)
    }

    fn write(&self, file: &Path) -> anyhow::Result<()> {
        let draft = file.with_extension("draft");
        fs::write(&draft, serde_json::to_vec(self)?).with_context(|| draft.display().to_string())?;
        fs::File::open(&draft)?.sync_all()?;
        fs::rename(&draft, file).with_context(|| file.display().to_string())
    }

    /// A message was not read.
    fn stays_at(&mut self, partition: u32, offset: i64) {
        self.reached(partition, offset);
        self.unread.insert(partition);
    }

    fn reached(&mut self, partition: u32, next: i64) {
        if self.unread.contains(&partition) {
            return;
        }
        let Ok(index) = usize::try_from(partition) else { return };
        if self.next.len() <= index {
            self.next.resize(index + 1, 0);
        }
        self.next[index] = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_of_one_topic_and_whole_or_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(FILE);
        let mut known = Known::read(&file, "keywatch.conclusions");
        assert!(known.next.is_empty());
        known.reached(2, 7);
        known.reached(0, 3);
        assert_eq!(known.next, [3, 0, 7]);
        known.write(&file).unwrap();
        assert_eq!(Known::read(&file, "keywatch.conclusions"), known);
        assert!(Known::read(&file, "other.conclusions").next.is_empty());
        fs::write(&file, "{\"topic\": \"keywatch.conclusions\"").unwrap();
        assert!(Known::read(&file, "keywatch.conclusions").next.is_empty());
    }

    #[test]
    fn what_was_not_read_is_read_again_by_the_next_start() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(FILE);
        let mut known = Known::read(&file, "keywatch.conclusions");
        known.reached(0, 3);
        known.reached(1, 4);
        known.stays_at(0, 3);
        known.reached(0, 9);
        known.stays_at(0, 9);
        known.reached(1, 5);
        known.write(&file).unwrap();
        let mut again = Known::read(&file, "keywatch.conclusions");
        assert_eq!(again.next, [3, 5], "the other partition goes on");
        again.reached(0, 4);
        assert_eq!(again.next, [4, 5], "it is read this time");
    }
}
