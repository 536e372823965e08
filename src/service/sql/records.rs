//! Where the rows come from: a log with its segments, or files of event lines. Reads, filters by what is wanted, counts;
//! it knows no SQL.

use std::fs::File;
use std::io::BufReader;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, bail};
use keywatch_store::kinds::{KINDS, Writer};
use keywatch_store::log::segments::{Segments, Stretch, Wanted};
use keywatch_store::{Error, Event, Log, Topic};

use crate::event_files::EventLines;
use crate::limits::{SQL_FILE_EVENTS, SQL_PART_STRETCHES_MIN};

/// What is asked.
pub(crate) enum Records {
    /// A log, and what its stretches hold.
    Log(Arc<dyn Log>, Arc<Segments>),
    /// Event lines, file by file, as they stand: no repeat is taken out.
    Files(Vec<PathBuf>),
}

/// What one thread reads.
#[derive(Debug)]
pub(super) enum Part {
    Stretches(Vec<Stretch>),
    Files,
}

/// How far the reading of a query is.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    planned: AtomicU64,
    read: AtomicU64,
    skipped: AtomicU64,
}

impl Reading {
    /// Records that have to be read, as far as that is known beforehand.
    pub(crate) fn planned(&self) -> u64 {
        self.planned.load(Ordering::Relaxed)
    }

    /// Records read.
    pub(crate) fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Records that could not be among the rows and were not read.
    pub(crate) fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }
}

impl Records {
    /// What has to be read, in at most `parts_max` parts, in the order of the log.
    pub(super) fn parts(&self, topic: Topic, wanted: &Wanted, parts_max: usize, reading: &Reading) -> Vec<Part> {
        let Records::Log(log, segments) = self else { return vec![Part::Files] };
        let plan = segments.plan(&**log, topic, wanted);
        let planned = plan.stretches.iter().map(|stretch| stretch.end.0 - stretch.first.0).sum();
        reading.planned.fetch_add(planned, Ordering::Relaxed);
        reading.skipped.fetch_add(plan.skipped, Ordering::Relaxed);
        let parts = plan.stretches.len().div_ceil(SQL_PART_STRETCHES_MIN).clamp(1, parts_max.max(1));
        let each = plan.stretches.len().div_ceil(parts).max(1);
        let mut split: Vec<Part> = plan.stretches.chunks(each).map(|part| Part::Stretches(part.to_vec())).collect();
        if split.is_empty() {
            split.push(Part::Stretches(Vec::new()));
        }
        split
    }

    /// Hands on the records of a part that are wanted, until `each` has enough.
    ///
    /// # Errors
    /// The log does not verify, or a line of a file is no event.
    pub(super) fn read(
        &self,
        topic: Topic,
        part: &Part,
        wanted: &Wanted,
        reading: &Reading,
        mut each: impl FnMut(Vec<Event>) -> anyhow::Result<ControlFlow<()>>,
    ) -> anyhow::Result<()> {
        let mut hand_on = |mut events: Vec<Event>| {
            reading.read.fetch_add(events.len() as u64, Ordering::Relaxed);
            events.retain(|event| wanted.holds(event));
            each(events)
        };
        match (self, part) {
            (Records::Log(log, _), Part::Stretches(stretches)) => {
                for stretch in stretches {
                    if hand_on(read_stretch(&**log, topic, *stretch)?)?.is_break() {
                        break;
                    }
                }
            }
            (Records::Files(files), _) => {
                for file in files {
                    if read_file(file, topic, &mut hand_on)?.is_break() {
                        break;
                    }
                }
            }
            (Records::Log(..), Part::Files) => {}
        }
        Ok(())
    }
}

fn read_stretch(log: &dyn Log, topic: Topic, Stretch { mut first, end }: Stretch) -> anyhow::Result<Vec<Event>> {
    let mut events = Vec::new();
    while first < end {
        let records = usize::try_from(end.0 - first.0).unwrap_or(usize::MAX);
        match log.read(topic, first, records) {
            Ok(read) if read.is_empty() => break,
            Ok(read) => {
                first = first.plus(read.len());
                events.extend(read);
            }
            // Retention has gone past it since the query began.
            Err(Error::Expired { oldest, .. }) if oldest > first.0 => first.0 = oldest,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(events)
}

fn read_file(
    file: &Path,
    topic: Topic,
    hand_on: &mut impl FnMut(Vec<Event>) -> anyhow::Result<ControlFlow<()>>,
) -> anyhow::Result<ControlFlow<()>> {
    let name = file.display();
    let opened = File::open(file).with_context(|| format!("cannot read {name}"))?;
    let mut events = Vec::with_capacity(SQL_FILE_EVENTS);
    for line in EventLines::new(BufReader::with_capacity(1 << 20, opened)) {
        let line = line.with_context(|| format!("cannot read {name}"))?;
        match line.event {
            Ok(event) if topic_of(event.kind()) == topic => events.push(event),
            Ok(_) => {}
            Err(problem) => bail!("{name}:{}: {problem}", line.number),
        }
        if events.len() == SQL_FILE_EVENTS && hand_on(std::mem::take(&mut events))?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    hand_on(events)
}

/// The topic that records of a kind stand in.
fn topic_of(kind: &str) -> Topic {
    let conclusion = KINDS.iter().any(|known| known.name == kind && known.writer == Writer::Conclusion);
    if conclusion { Topic::Conclusions } else { Topic::Events }
}
