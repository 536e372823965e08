//! Snapshots of window state on disk, beside the log: which position of the log one belongs to, and that it is of this
//! log.
//!
//! A file is `<position>.arrow` ([`SnapshotFiles`]): what [`Engine::save`] wrote, then the id of the record before the
//! position.

use std::fmt;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use keywatch_detectors::{Engine, Retry};
use keywatch_store::{Log, Position, Topic};

use super::snapshot_files::{SnapshotFiles, id_before};

/// Name of the directory of snapshots within that of the log.
pub(crate) const DIRECTORY: &str = "window-state";

const ID_BYTES: u64 = 16;

/// The directory of a log's snapshots.
#[derive(Clone, Debug)]
pub(crate) struct Snapshots {
    files: SnapshotFiles,
}

/// An engine that goes on from what was kept.
pub(crate) struct Restored {
    /// The engine.
    pub(crate) engine: Engine,
    /// Position of the next record that it has to see; the beginning of the log where nothing was kept.
    pub(crate) position: Position,
    /// Rules that were not in the snapshot.
    pub(crate) missing: Vec<String>,
    /// Snapshots that could not be used.
    pub(crate) rejected: usize,
}

/// A whole snapshot has seen records that the log does not hold.
#[derive(Debug)]
pub(crate) struct LogTooShort {
    pub(super) snapshot: PathBuf,
    pub(super) position: Position,
    pub(super) log_end: Position,
    /// Where it lies, with all others of its partition and state, if that is a bucket.
    pub(super) bucket: Option<String>,
}

impl fmt::Display for LogTooShort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LogTooShort { snapshot, position, log_end, bucket } = self;
        write!(
            f,
            "the log ends at {}, but {} was made when it had {} records, so that {} are missing; restore the log from a \
             copy, look at it with `keywatch log check`, or, ",
            log_end.0,
            snapshot.display(),
            position.0,
            position.0 - log_end.0
        )?;
        match bucket {
            None => f.write_str("where the snapshot is of another log, remove it"),
            Some(place) => write!(
                f,
                "where you have made the topics anew and what lies in the bucket is of the log before, let log.state name \
                 another prefix, or delete all that lies below {place} (docs/kafka.md#state-in-a-bucket)"
            ),
        }
    }
}

impl std::error::Error for LogTooShort {}

impl Snapshots {
    /// Those in a directory, which is made when the first is written.
    pub(crate) fn at(directory: &Path) -> Snapshots {
        Snapshots { files: SnapshotFiles::at(directory, "arrow") }
    }

    /// Their files.
    pub(crate) fn files(&self) -> &SnapshotFiles {
        &self.files
    }

    /// Writes the engine's state, which has seen all records before `position`. A crash leaves the older one in place.
    ///
    /// # Errors
    /// The directory cannot be written, or the log not be read.
    pub(crate) fn write(&self, engine: &Engine, log: &dyn Log, position: Position) -> anyhow::Result<()> {
        let Some(id) = id_before(log, Topic::Events, position)? else { return Ok(()) };
        self.files.write(position, |out| {
            engine.save(&mut *out)?;
            Ok(out.write_all(&id.0)?)
        })
    }

    /// An engine from `make` with the newest state that is whole and belongs to this log. Whatever is wrong with a snapshot
    /// only costs time: the rules then go through the log from an older one, or from its beginning. But a snapshot also
    /// vouches for the log: what it has seen must be there, unless the log is known to lack records.
    ///
    /// # Errors
    /// [`LogTooShort`], the directory or the log cannot be read, or `make` fails.
    pub(crate) fn restore(&self, make: impl Fn() -> anyhow::Result<Engine>, log: &dyn Log) -> anyhow::Result<Restored> {
        let mut rejected = 0;
        for position in self.files.positions()? {
            let mut engine = make()?;
            match self.read(&mut engine, log, position) {
                Ok(missing) => {
                    tracing::info!(position = position.0, missing = missing.len(), "window state is restored");
                    return Ok(Restored { engine, position, missing, rejected });
                }
                // Where the log is known to lack records, it is no wonder that others' snapshots reach further.
                Err(error) if error.is::<LogTooShort>() && !log.lacks_records() => return Err(error),
                Err(error) => {
                    rejected += 1;
                    let path = self.files.path(position);
                    tracing::warn!(path = %path.display(), error = format!("{error:#}"), "a snapshot is left aside");
                }
            }
        }
        Ok(Restored { engine: make()?, position: Position::default(), missing: Vec::new(), rejected })
    }

    /// Starts a parked rule from the newest snapshot that was made before its gap and holds it. Where there is none it
    /// starts from the beginning of the log. Gives the position of the snapshot.
    pub(crate) fn restore_rule(&self, retry: &mut Retry, log: &dyn Log) -> Option<Position> {
        let gap_from = retry.gap_from();
        let positions = self.files.positions().unwrap_or_else(|error| {
            tracing::warn!(error = format!("{error:#}"), "a parked rule goes through the whole log");
            Vec::new()
        });
        let mut before_gap = positions.into_iter().filter(|position| *position <= gap_from);
        before_gap.find(|position| self.restore_rule_at(*position, retry, log))
    }

    /// Starts a parked rule from the snapshot of that position; whether that one is whole and holds it.
    pub(crate) fn restore_rule_at(&self, position: Position, retry: &mut Retry, log: &dyn Log) -> bool {
        let restored = self.content(log, position).and_then(|content| Ok(retry.restore(position, content)?));
        restored.unwrap_or_else(|error| {
            let path = self.files.path(position);
            tracing::warn!(path = %path.display(), error = format!("{error:#}"), "a snapshot is left aside");
            false
        })
    }

    fn read(&self, engine: &mut Engine, log: &dyn Log, position: Position) -> anyhow::Result<Vec<String>> {
        Ok(engine.restore(self.content(log, position)?)?)
    }

    /// What the engine wrote, once it is known to be whole and of this log.
    fn content(&self, log: &dyn Log, position: Position) -> anyhow::Result<impl Read + use<>> {
        let (mut file, bytes) = self.files.read(position)?;
        let log_end = log.end(Topic::Events);
        if position > log_end {
            return Err(LogTooShort { snapshot: self.files.path(position), position, log_end, bucket: None }.into());
        }
        let end = bytes.checked_sub(ID_BYTES).context("it is cut off")?;
        let id = id_before(log, Topic::Events, position)?.context("the log does not hold the record before it")?;
        file.seek(SeekFrom::Start(end))?;
        let mut stated = [0; 16];
        file.read_exact(&mut stated)?;
        ensure!(stated == id.0, "it is of another log");
        file.rewind()?;
        Ok(file.take(end))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use keywatch_detectors::{Rule, Settings};
    use keywatch_store::event::Origin;
    use keywatch_store::log::faulty::LackingLog;
    use keywatch_store::log::memory::MemoryLog;
    use keywatch_store::{Event, Instant};

    use super::*;

    const RULE: &str = "/*\nversion: 1\ntitle: t\nseverity: low\nentity: e\nmeaning: m\nrunbook: [look]\nsuppress_for: 1h\n*/\n
        SELECT event_id, actor AS entity, n FROM (SELECT *, count(*) OVER (PARTITION BY actor ORDER BY time RANGE BETWEEN
        UNBOUNDED PRECEDING AND CURRENT ROW) AS n FROM events)";

    fn engine() -> anyhow::Result<Engine> {
        Ok(Engine::new(&[Rule::parse("t/count", RULE)?], &Settings::default())?)
    }

    fn log(name: &str, records: i64) -> MemoryLog {
        let log = MemoryLog::new();
        let records = (1..=records).map(|index| {
            let origin = Origin { system: "cold".to_owned(), source: name.to_owned() };
            let mut event = Event::builder(&origin, &index.to_string(), "decision", Instant(index));
            event.time(Instant(index)).actor("ann").build_own()
        });
        log.append(Topic::Events, records.collect()).unwrap();
        log
    }

    #[test]
    fn the_newest_whole_snapshot_of_this_log_is_taken_and_two_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let (snapshots, log) = (Snapshots::at(&directory.path().join("state")), log("opa", 30));
        let Restored { engine: mut seen, position, missing, rejected } = snapshots.restore(engine, &log).unwrap();
        assert_eq!((position, missing, rejected), (Position(0), Vec::new(), 0), "there is none yet");
        for end in [10, 20, 30] {
            let events = log.read(Topic::Events, Position(end - 10), 10).unwrap();
            seen.run(Position(end - 10), &events).unwrap();
            snapshots.write(&seen, &log, Position(end)).unwrap();
        }
        assert_eq!(snapshots.files.positions().unwrap(), [Position(30), Position(20)]);
        assert_eq!(snapshots.restore(engine, &log).unwrap().position, Position(30));

        let newest = snapshots.files.path(Position(30));
        let mut bytes = fs::read(&newest).unwrap();
        bytes[100] ^= 1;
        fs::write(&newest, bytes).unwrap();
        let Restored { engine: mut seen, position, rejected, .. } = snapshots.restore(engine, &log).unwrap();
        assert_eq!((position, rejected), (Position(20), 1), "the damaged one is left aside");
        let events = log.read(Topic::Events, position, 10).unwrap();
        let found = seen.run(position, &events).unwrap().findings;
        assert_eq!(found[9].finding.facts["n"], "30", "it goes on counting");
    }

    #[test]
    fn a_snapshot_of_another_log_is_left_aside() {
        let directory = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::at(directory.path());
        let mine = log("opa", 10);
        let mut seen = engine().unwrap();
        seen.run(Position(0), &mine.read(Topic::Events, Position(0), 10).unwrap()).unwrap();
        snapshots.write(&seen, &mine, Position(10)).unwrap();
        assert_eq!(snapshots.restore(engine, &log("safe", 10)).unwrap().position, Position(0));
    }

    #[test]
    fn p6_a_log_that_ends_before_its_snapshot_is_not_taken_for_whole() {
        let directory = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::at(directory.path());
        let mut seen = engine().unwrap();
        let whole = log("opa", 10);
        seen.run(Position(0), &whole.read(Topic::Events, Position(0), 10).unwrap()).unwrap();
        snapshots.write(&seen, &whole, Position(10)).unwrap();
        let refused = snapshots.restore(engine, &log("opa", 5)).err().unwrap().to_string();
        assert!(refused.contains("ends at 5") && refused.contains("5 are missing"), "{refused}");
        // A copy that lacks what a later version wrote, of which another process has the whole.
        let Restored { position, rejected, .. } = snapshots.restore(engine, &LackingLog(log("opa", 5))).unwrap();
        assert_eq!((position, rejected), (Position(0), 1), "it is left aside");
        fs::write(snapshots.files.path(Position(10)), "damaged, so that it vouches for nothing").unwrap();
        assert_eq!(snapshots.restore(engine, &log("opa", 5)).unwrap().position, Position(0));
    }
}
