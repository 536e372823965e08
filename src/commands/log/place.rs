//! A log as an argument of the command line names it: a directory, a file of event lines, or a configuration whose log is
//! on Kafka.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use keywatch_store::log::embedded::{EmbeddedLog, Options};
use keywatch_store::log::kafka::{KafkaReader, ReadFrom, Settings, Unread};
use keywatch_store::{Clock, Error, Event, Log, Position, Topic};

use super::cut::Cut;
use crate::event_files::EventLines;
use crate::limits::LOG_PIECE_RECORDS_MAX;
use crate::service::config::{self, Config, Overrides};

/// How long Kafka has for the next message while not everything was read.
const PATIENCE: Duration = Duration::from_mins(1);

/// Where a log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A directory of an embedded log.
    Directory(PathBuf),
    /// A file of event lines, `*.jsonl`; it has one topic, the events.
    Lines(PathBuf),
    /// A configuration, `*.toml`, that names brokers.
    Configuration(PathBuf),
}

impl Place {
    /// What an argument means, by how it ends.
    pub(super) fn of(path: &Path) -> Place {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") if !path.is_dir() => Place::Configuration(path.to_owned()),
            Some("jsonl") if !path.is_dir() => Place::Lines(path.to_owned()),
            _ => Place::Directory(path.to_owned()),
        }
    }
}

/// The configuration of a log on Kafka.
///
/// # Errors
/// It cannot be used, or its log is the embedded one.
pub(super) fn on_kafka(file: &Path) -> anyhow::Result<Config> {
    let (config, _) = config::load(file, &Overrides::default())?;
    ensure!(
        !config.log.kafka.is_empty(),
        "{}: log.kafka names no brokers, so its log is the directory {}",
        file.display(),
        config.data.display()
    );
    Ok(config)
}

/// How the log of a configuration is reached.
///
/// # Errors
/// A file with a secret cannot be read.
pub(super) fn settings(config: &Config, clock: Clock) -> anyhow::Result<Settings> {
    config.log.settings(&config.data, clock)
}

/// Opens a log in a directory, whatever its clock is; none is made where there is none.
///
/// # Errors
/// There is none, or it is open elsewhere, or damaged.
pub(super) fn open(directory: &Path) -> anyhow::Result<EmbeddedLog> {
    ensure!(directory.is_dir(), "{} is no directory with a log", directory.display());
    match EmbeddedLog::open(directory, Options::new(Clock::Wall)) {
        Err(Error::OtherClock { found, .. }) => Ok(EmbeddedLog::open(directory, Options::new(found))?),
        opened => Ok(opened?),
    }
}

/// The records of one topic, piece by piece.
pub(super) enum Records {
    /// Of an embedded log.
    Log(Box<EmbeddedLog>, Topic, Position),
    /// Of a file.
    Lines(PathBuf, EventLines<BufReader<File>>),
    /// Of a topic in Kafka, and what of it was left out.
    Kafka(Box<KafkaReader>, LeftOut),
}

/// Messages that were left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// No role of keywatch wrote them.
    pub(super) foreign: u64,
    /// A role wrote them, and this version cannot read them.
    pub(super) unreadable: u64,
}

impl LeftOut {
    /// One more.
    pub(super) fn count(&mut self, why: &Unread) {
        match why {
            Unread::Foreign(_) => self.foreign += 1,
            Unread::Unreadable(_) => self.unreadable += 1,
        }
    }
}

impl Records {
    /// The records of a topic from the first one on; `None` where the place has no such topic.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(super) fn of(place: &Place, topic: Topic) -> anyhow::Result<Option<Records>> {
        Ok(Some(match place {
            Place::Directory(directory) => {
                let log = open(directory)?;
                let oldest = log.oldest(topic);
                Records::Log(Box::new(log), topic, oldest)
            }
            Place::Lines(_) if topic == Topic::Conclusions => return Ok(None),
            Place::Lines(file) => {
                let opened = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
                Records::Lines(file.clone(), EventLines::new(BufReader::new(opened)))
            }
            Place::Configuration(file) => {
                let config = on_kafka(file)?;
                let reader = KafkaReader::open(&settings(&config, Clock::Wall)?, topic, ReadFrom::Oldest)?;
                Records::Kafka(Box::new(reader), LeftOut::default())
            }
        }))
    }

    /// The records of another topic: of a log in a directory, without that anybody opens it in between. Others stay as they are.
    pub(super) fn turn_to(self, topic: Topic) -> Records {
        match self {
            Records::Log(log, ..) => {
                let oldest = log.oldest(topic);
                Records::Log(log, topic, oldest)
            }
            other => other,
        }
    }

    /// What is missing at the beginning: each part of which earlier records are kept no more.
    pub(super) fn cuts(&self) -> Vec<Cut> {
        match self {
            Records::Log(_, _, Position(0)) | Records::Lines(..) => Vec::new(),
            Records::Log(_, _, oldest) => vec![Cut { partition: None, to: oldest.0 }],
            Records::Kafka(reader, _) => {
                let of = u32::try_from(reader.extents().len()).unwrap_or(u32::MAX);
                let cut = (0..).zip(reader.extents()).filter(|(_, extent)| extent.oldest > 0);
                let to = |oldest: i64| u64::try_from(oldest).unwrap_or(0);
                cut.map(|(number, extent)| Cut { partition: Some((number, of)), to: to(extent.oldest) }).collect()
            }
        }
    }

    /// The next records; none at the end.
    ///
    /// # Errors
    /// A line that is no event, a log that cannot be read.
    pub(super) fn next(&mut self) -> anyhow::Result<Vec<Event>> {
        match self {
            Records::Log(log, topic, position) => {
                let events = log.read(*topic, *position, LOG_PIECE_RECORDS_MAX)?;
                *position = position.plus(events.len());
                Ok(events)
            }
            Records::Lines(file, lines) => {
                let event = |line: std::io::Result<crate::event_files::Line>| {
                    let line = line?;
                    let at = || format!("{} line {}", file.display(), line.number);
                    line.event.map_err(anyhow::Error::msg).with_context(at)
                };
                lines.take(LOG_PIECE_RECORDS_MAX).map(event).collect()
            }
            Records::Kafka(reader, left_out) => next_of_kafka(reader, left_out),
        }
    }

    /// Messages that were left out.
    pub(super) fn left_out(&self) -> LeftOut {
        match self {
            Records::Kafka(_, left_out) => *left_out,
            Records::Log(..) | Records::Lines(..) => LeftOut::default(),
        }
    }
}

fn next_of_kafka(reader: &mut KafkaReader, left_out: &mut LeftOut) -> anyhow::Result<Vec<Event>> {
    while !reader.is_done() {
        let seen = reader.read(PATIENCE)?;
        if seen.is_empty() && !reader.is_done() {
            bail!("the brokers sent nothing for {} s, and not everything was read", PATIENCE.as_secs());
        }
        let mut events = Vec::new();
        for message in seen {
            match message.records {
                Ok(mut of_message) => events.append(&mut of_message),
                Err(why) => left_out.count(&why),
            }
        }
        if !events.is_empty() {
            return Ok(events);
        }
    }
    Ok(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_an_argument_ends_says_what_it_is() {
        assert_eq!(Place::of(Path::new("keywatch-data")), Place::Directory("keywatch-data".into()));
        assert_eq!(Place::of(Path::new("a/keywatch.toml")), Place::Configuration("a/keywatch.toml".into()));
        assert_eq!(Place::of(Path::new("events.jsonl")), Place::Lines("events.jsonl".into()));
    }
}
