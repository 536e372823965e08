//! Snapshots of alerting's state on disk, beside those of window state and at the same positions: what a start would
//! otherwise have to read all of the log for.
//!
//! A file is `<position>.json` ([`SnapshotFiles`]): what [`Executor::save`] wrote, then what the evaluation itself has to
//! know, with the id of the record before each position of the log that the state reaches to. The findings of every record
//! before the position of the file have been acted upon.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, ensure};
use keywatch_alerting::{Executor, Saved};
use keywatch_store::{EventId, Log, Position};
use serde::{Deserialize, Serialize};

use crate::service::evaluation::history::History;
use crate::service::evaluation::snapshot_files::{SnapshotFiles, id_before};
use crate::service::evaluation::snapshots::LogTooShort;

/// Name of the directory of snapshots within that of the log.
pub(crate) const DIRECTORY: &str = "alerting-state";

/// Its name where another process responds: that state does not know of responses, and nobody who responds is to go on from it.
pub(crate) const FINDING_DIRECTORY: &str = "finding-state";

/// Between the two parts; JSON holds none outside of texts.
const SEPARATOR: u8 = b'\n';

/// The directory of a log's snapshots.
#[derive(Clone, Debug)]
pub(crate) struct AlertingSnapshots {
    files: SnapshotFiles,
}

/// What goes on from what was kept.
#[derive(Default)]
pub(crate) struct RestoredAlerting {
    /// Alerting's state.
    pub(crate) saved: Saved,
    /// What else is known of the log.
    pub(crate) history: History,
    /// Whether there was one.
    pub(crate) restored: bool,
    /// Snapshots that could not be used.
    pub(crate) rejected: usize,
}

/// The second part of a file.
#[derive(Serialize, Deserialize)]
struct Beside {
    /// For each position that the state reaches to, the record before.
    of: Vec<Option<EventId>>,
    /// The digest of each system's last activation before the position.
    activations: BTreeMap<String, String>,
}

impl AlertingSnapshots {
    /// Those in a directory, which is made when the first is written.
    pub(crate) fn at(directory: &Path) -> AlertingSnapshots {
        AlertingSnapshots { files: SnapshotFiles::at(directory, "json") }
    }

    /// Their files.
    pub(crate) fn files(&self) -> &SnapshotFiles {
        &self.files
    }

    /// Writes the state of alerting, which has acted upon the findings of all records before `position`.
    ///
    /// # Errors
    /// The directory cannot be written, or the log not be read.
    pub(crate) fn write(
        &self,
        executor: &Executor,
        log: &dyn Log,
        position: Position,
        activations: &BTreeMap<String, String>,
    ) -> anyhow::Result<()> {
        self.files.write(position, |out| {
            let folded = executor.save(&mut *out)?;
            out.write_all(&[SEPARATOR])?;
            let ids = folded.reaches().map(|(topic, position)| id_before(log, topic, position));
            let of = ids.into_iter().collect::<anyhow::Result<_>>()?;
            Ok(serde_json::to_writer(out, &Beside { of, activations: activations.clone() })?)
        })
    }

    /// The newest state that is whole and belongs to this log. Whatever is wrong with a snapshot only costs time. But a
    /// snapshot also vouches for the log: what it has seen must be there, unless the log is known to lack records.
    ///
    /// # Errors
    /// [`LogTooShort`], or the directory cannot be read.
    pub(crate) fn restore(&self, log: &dyn Log) -> anyhow::Result<RestoredAlerting> {
        let mut rejected = 0;
        for position in self.files.positions()? {
            match self.read(log, position) {
                Ok((saved, history)) => {
                    tracing::info!(position = position.0, "alerting's state is restored");
                    return Ok(RestoredAlerting { saved, history, restored: true, rejected });
                }
                Err(error) if error.is::<LogTooShort>() && !log.lacks_records() => return Err(error),
                Err(error) => {
                    rejected += 1;
                    let path = self.files.path(position);
                    tracing::warn!(path = %path.display(), error = format!("{error:#}"), "a snapshot is left aside");
                }
            }
        }
        Ok(RestoredAlerting { rejected, ..RestoredAlerting::default() })
    }

    fn read(&self, log: &dyn Log, position: Position) -> anyhow::Result<(Saved, History)> {
        let (file, bytes) = self.files.read(position)?;
        let mut content = Vec::with_capacity(usize::try_from(bytes)?);
        file.take(bytes).read_to_end(&mut content)?;
        let end = content.iter().rposition(|byte| *byte == SEPARATOR).context("it is cut off")?;
        let beside: Beside = serde_json::from_slice(&content[end + 1..])?;
        let saved = Saved::read(&content[..end])?;
        ensure!(beside.of.len() == saved.folded.reaches().len(), "it does not say what log it is of");
        for ((topic, reached), id) in saved.folded.reaches().into_iter().zip(beside.of) {
            let log_end = log.end(topic);
            if reached > log_end {
                return Err(LogTooShort {
                    snapshot: self.files.path(position),
                    position: reached,
                    log_end,
                    bucket: None,
                }
                .into());
            }
            ensure!(id_before(log, topic, reached)? == id, "it is of another log");
        }
        Ok((saved, History::since(position, beside.activations)))
    }
}
