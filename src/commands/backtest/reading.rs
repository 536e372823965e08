//! The reading thread: history → admitted events in batches, through a bounded channel.
//!
//! Lines pass the same admission as on their way into a log: repeats are skipped, contradictions become
//! `source.conflict`, log time is given. A log has admitted its records already, so that they pass it again only where
//! several stretches of history are read as one. What waits in the channel is bounded, so a year needs no more memory
//! than an hour.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant as Stopwatch};

use anyhow::{Context, anyhow, ensure};
use indicatif::ProgressBar;
use keywatch_store::limits::LATENESS_TOLERANCE_NS;
use keywatch_store::log::admission::{Admission, ContentHash, Fingerprint, Verdict};
use keywatch_store::{Clock, Event, Instant, Log, Topic};

use super::input::{Form, Input, lacks, open_log};
use super::parsing::each_line;
use crate::event_files::DeclaredInventory;
use crate::limits::{BACKTEST_READ_BUFFER_BYTES, BACKTEST_REJECTS_SHOWN_MAX};
use crate::output;

/// The first and the last log time of something.
pub(super) type Span = (Instant, Instant);

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// Events that were handed on.
    pub(super) events: u64,
    /// Lines that are no event.
    pub(super) rejects: u64,
    /// Events left out because they were there already.
    pub(super) repeats: u64,
    /// Events that contradict an earlier one of the same id.
    pub(super) conflicts: u64,
    /// Events older than what their system had said before; they were taken as of that time.
    pub(super) moved: u64,
    /// Events of kind `session.started`.
    pub(super) sessions: u64,
    /// What logs say that they lack.
    pub(super) lacks: Vec<String>,
    /// Log time of each input.
    pub(super) inputs: Vec<Span>,
    /// Log time of each system.
    pub(super) systems: HashMap<String, Span>,
    /// Time that reading, parsing and admitting took; what was waited for the rules is left out.
    pub(super) busy: Duration,
}

/// Reads inputs one after the other into a channel.
pub(super) struct Reader {
    out: SyncSender<Vec<Event>>,
    batch: Vec<Event>,
    batch_events: usize,
    admission: Admission,
    /// What tells a repeat from a conflict.
    content: ContentHash,
    several: bool,
    bar: ProgressBar,
    read: Read,
    span: Option<Span>,
    waited: Duration,
}

impl Reader {
    /// Hands on batches of `batch_events` and moves the bar by the bytes read.
    pub(super) fn new(out: SyncSender<Vec<Event>>, batch_events: usize, bar: ProgressBar) -> Reader {
        let batch = Vec::with_capacity(batch_events);
        let content = ContentHash::default();
        let admission = Admission::passing(Clock::Recorded, content.clone());
        let (read, span, waited) = (Read::default(), None, Duration::ZERO);
        Reader { out, batch, batch_events, admission, content, several: false, bar, read, span, waited }
    }

    /// Reads all of it. A line that is no event is reported and counted.
    ///
    /// # Errors
    /// Names the input that cannot be read or holds no event.
    pub(super) fn read_all(mut self, inputs: Vec<Input>) -> anyhow::Result<Read> {
        let begun = Stopwatch::now();
        self.several = inputs.len() > 1;
        for input in inputs {
            match input.form {
                Form::Lines(file, declared) => self.file(&input.name, file.as_deref(), declared)?,
                Form::Log(path) => self.log(&path, input.bytes.unwrap_or_default())?,
            }
            let span = self.span.take().with_context(|| format!("{} holds no event line", input.name))?;
            self.read.inputs.push(span);
        }
        self.send_batch()?;
        self.bar.finish_and_clear();
        self.read.busy = begun.elapsed().saturating_sub(self.waited);
        Ok(self.read)
    }

    fn file(&mut self, name: &str, file: Option<&Path>, declared: DeclaredInventory) -> anyhow::Result<()> {
        let cannot = || format!("cannot read {name}");
        let Some(file) = file else {
            let input = self.bar.wrap_read(io::stdin());
            return self.lines(name, BufReader::with_capacity(BACKTEST_READ_BUFFER_BYTES, input), declared);
        };
        let input = self.bar.wrap_read(File::open(file).with_context(cannot)?);
        self.lines(name, BufReader::with_capacity(BACKTEST_READ_BUFFER_BYTES, input), declared)
    }

    fn lines(&mut self, name: &str, input: impl BufRead + Send, mut declared: DeclaredInventory) -> anyhow::Result<()> {
        let hash = self.content.clone();
        let taken = each_line(input, &hash, |line| {
            match line.event {
                Ok((event, content)) => {
                    for activation in declared.activations_before(&event) {
                        let content = self.content.of(&activation);
                        self.admit(activation, content)?;
                    }
                    self.admit(event, content)?;
                }
                Err(problem) => self.reject(name, line.number, &problem),
            }
            Ok(())
        });
        taken.with_context(|| format!("cannot read {name}"))
    }

    fn log(&mut self, path: &Path, bytes: u64) -> anyhow::Result<()> {
        let log = open_log(path)?;
        for said in lacks(path, Topic::ALL.map(|topic| log.end(topic)))? {
            let said = format!("{}: {said}", path.display());
            self.bar.suspend(|| output::note(&said));
            self.read.lacks.push(said);
        }
        let (first, end) = (log.oldest(Topic::Events), log.end(Topic::Events));
        ensure!(first < end, "{} is a log without events", path.display());
        let bar_begun = self.bar.position();
        let mut position = first;
        while position < end {
            let events = log.read(Topic::Events, position, self.batch_events)?;
            ensure!(!events.is_empty(), "{} ends before its end", path.display());
            position = position.plus(events.len());
            for event in events {
                if self.several {
                    let content = self.content.of(&event);
                    self.admit(event, content)?;
                } else {
                    self.push(event)?;
                }
            }
            let read = u128::from(bytes) * u128::from(position.0 - first.0) / u128::from(end.0 - first.0);
            self.bar.set_position(bar_begun + u64::try_from(read).unwrap_or(bytes));
        }
        Ok(())
    }

    fn admit(&mut self, mut event: Event, content: Fingerprint) -> anyhow::Result<()> {
        let claimed = event.time();
        match self.admission.judge(&mut event, content, Instant::UNASSIGNED) {
            Verdict::New => {}
            Verdict::Conflict(conflict) => {
                self.read.conflicts += 1;
                event = *conflict;
            }
            Verdict::Repeat => {
                self.read.repeats += 1;
                return Ok(());
            }
        }
        self.read.moved += u64::from(event.time().0.saturating_sub(claimed.0) > LATENESS_TOLERANCE_NS);
        self.push(event)
    }

    fn push(&mut self, event: Event) -> anyhow::Result<()> {
        self.read.events += 1;
        self.read.sessions += u64::from(event.kind() == "session.started");
        stretch(self.span.get_or_insert((event.time(), event.time())), event.time());
        if let Some(span) = self.read.systems.get_mut(event.system()) {
            stretch(span, event.time());
        } else {
            self.read.systems.insert(event.system().to_owned(), (event.time(), event.time()));
        }
        self.batch.push(event);
        if self.batch.len() >= self.batch_events { self.send_batch() } else { Ok(()) }
    }

    fn send_batch(&mut self) -> anyhow::Result<()> {
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(self.batch_events));
        let begun = Stopwatch::now();
        // The other end is gone only when it failed, and then its error is the one that is reported.
        let sent = self.out.send(batch).map_err(|_| anyhow!("nobody takes the events any more"));
        self.waited += begun.elapsed();
        sent
    }

    fn reject(&mut self, name: &str, line: usize, problem: &str) {
        self.read.rejects += 1;
        if self.read.rejects <= BACKTEST_REJECTS_SHOWN_MAX {
            self.bar.suspend(|| output::note(&format!("{name} line {line}: {problem}")));
        }
        if self.read.rejects == BACKTEST_REJECTS_SHOWN_MAX {
            self.bar.suspend(|| output::note("further rejects are counted and not shown"));
        }
    }
}

fn stretch(span: &mut Span, time: Instant) {
    span.0 = span.0.min(time);
    span.1 = span.1.max(time);
}
