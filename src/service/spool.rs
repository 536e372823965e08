//! What a process that only takes events in does while the cluster takes nothing: it keeps them on its own disk, up to a
//! size, and hands them over in their order when the cluster is back. Readers do not see it.
//!
//! While something is in the spool, everything goes through it, so that the order of a source stays. After a crash of this
//! process the spool is handed over from its beginning again: what was handed over already are repeats, which readers skip.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::Context;
use keywatch_store::log::embedded::{EmbeddedLog, Options};
use keywatch_store::{Clock, Error, Event, Instant, Log, LogWriter, Position, Topic, Written, line};

use crate::clock;
use crate::limits::{SPOOL_PIECE_RECORDS_MAX, SPOOL_WAIT_MILLISECONDS};
use crate::service::metrics::Metrics;

/// A writer with a spool before it.
pub(crate) struct Spool {
    writer: Arc<dyn LogWriter>,
    directory: PathBuf,
    bytes_max: u64,
    /// What is kept; `None` while nothing is.
    kept: Mutex<Option<Kept>>,
    metrics: Arc<Metrics>,
}

/// A spool that is not empty.
struct Kept {
    log: Arc<EmbeddedLog>,
    bytes: u64,
    handed_over: Position,
    since: Instant,
}

impl Spool {
    /// Puts a spool before a writer. What a process before left in it is handed over first.
    ///
    /// # Errors
    /// What was left cannot be read, or there is no thread.
    pub(crate) fn before(
        writer: Arc<dyn LogWriter>,
        directory: &Path,
        bytes_max: u64,
        metrics: Arc<Metrics>,
    ) -> anyhow::Result<Arc<Spool>> {
        remove(&done(directory))?;
        let kept = if directory.is_dir() { Some(Kept::open(directory)?) } else { None };
        let spool = Spool { writer, directory: directory.to_owned(), bytes_max, kept: Mutex::new(kept), metrics };
        let spool = Arc::new(spool);
        spool.show(spool.kept().as_ref());
        let handing_over = Arc::downgrade(&spool);
        thread::Builder::new()
            .name("spool".to_owned())
            .spawn(move || hand_over(&handing_over))
            .context("cannot start a thread")?;
        Ok(spool)
    }

    fn kept(&self) -> MutexGuard<'_, Option<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, events: Vec<Event>) -> Result<Written, Error> {
        let (count, bytes) = (events.len(), size(&events));
        let mut kept = self.kept();
        let used = kept.as_ref().map_or(0, |kept| kept.bytes);
        if used.saturating_add(bytes) > self.bytes_max {
            let problem = format!("nothing is taken, and the spool holds {used} of {} bytes", self.bytes_max);
            return Err(Error::Unreachable { brokers: "the brokers of log.kafka".to_owned(), problem });
        }
        let open = match kept.take() {
            Some(open) => open,
            None => Kept::open(&self.directory)?,
        };
        let open = kept.insert(open);
        open.log.append(Topic::Events, events)?;
        open.bytes += bytes;
        self.show(kept.as_ref());
        Ok(Written::Sent(count))
    }

    fn show(&self, kept: Option<&Kept>) {
        let left = kept.map_or(0, |kept| kept.log.end(Topic::Events).0 - kept.handed_over.0);
        let bytes = kept.map_or(0, |kept| kept.bytes);
        for (gauge, value) in [(&self.metrics.spool_records, left), (&self.metrics.spool_bytes, bytes)] {
            gauge.with_label_values::<&str>(&[]).set(i64::try_from(value).unwrap_or(i64::MAX));
        }
        let since = kept.map_or(0, |kept| kept.since.unix_seconds());
        self.metrics.spool_since.with_label_values::<&str>(&[]).set(since);
    }

    /// Hands the next piece over; whether there was one.
    fn hand_over_piece(&self) -> Result<bool, Error> {
        let Some((log, from)) = self.kept().as_ref().map(|kept| (Arc::clone(&kept.log), kept.handed_over)) else {
            return Ok(false);
        };
        let events = log.read(Topic::Events, from, SPOOL_PIECE_RECORDS_MAX)?;
        let to = from.plus(events.len());
        if !events.is_empty() {
            self.writer.write(Topic::Events, events)?;
        }
        let mut kept = self.kept();
        let is_empty = log.end(Topic::Events) == to;
        drop(log);
        if is_empty {
            // Closed before its directory goes, which is at once: half of one could not be opened after a crash.
            *kept = None;
            let done = done(&self.directory);
            remove(&done)?;
            fs::rename(&self.directory, &done).map_err(|error| cannot_write(&self.directory, &error))?;
            remove(&done)?;
        } else if let Some(kept) = kept.as_mut() {
            kept.handed_over = to;
        }
        self.show(kept.as_ref());
        Ok(true)
    }
}

impl LogWriter for Spool {
    fn write(&self, topic: Topic, events: Vec<Event>) -> Result<Written, Error> {
        let is_direct = self.kept().is_none();
        if topic != Topic::Events {
            return self.writer.write(topic, events);
        }
        if is_direct {
            match self.writer.write(topic, events.clone()) {
                Err(error @ Error::Unreachable { .. }) => {
                    tracing::warn!(%error, "the cluster takes nothing; events are kept in the spool");
                }
                written => return written,
            }
        }
        self.keep(events)
    }
}

impl Kept {
    /// Opens a spool, or makes one.
    fn open(directory: &Path) -> Result<Kept, Error> {
        let since = made(directory).unwrap_or_else(clock::now);
        // Its times are nobody's: readers give those of the brokers.
        let log = EmbeddedLog::open(directory, Options::new(Clock::Recorded))?;
        let (mut bytes, mut position) = (0, Position::default());
        loop {
            let events = log.read(Topic::Events, position, SPOOL_PIECE_RECORDS_MAX)?;
            if events.is_empty() {
                return Ok(Kept { log: Arc::new(log), bytes, handed_over: Position::default(), since });
            }
            bytes += size(&events);
            position = position.plus(events.len());
        }
    }
}

/// What a spool is called once it was handed over.
fn done(directory: &Path) -> PathBuf {
    directory.with_extension("done")
}

fn remove(directory: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(cannot_write(directory, &error)),
        _ => Ok(()),
    }
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Error {
    Error::CannotWrite { path: path.to_owned(), problem: error.to_string() }
}

/// When a spool was made that is there, where the file system says so.
fn made(directory: &Path) -> Option<Instant> {
    let made = fs::metadata(directory).ok()?.created().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(Instant(i64::try_from(made.as_nanos()).ok()?))
}

fn size(events: &[Event]) -> u64 {
    events.iter().map(|event| line::write(event).len() as u64).sum()
}

/// As long as somebody has the spool.
fn hand_over(spool: &Weak<Spool>) {
    let mut was_reported = false;
    while let Some(spool) = spool.upgrade() {
        match spool.hand_over_piece() {
            Ok(true) => {
                was_reported = false;
                continue;
            }
            Ok(false) => {}
            Err(error) => {
                if !std::mem::replace(&mut was_reported, true) {
                    tracing::warn!(%error, "what is in the spool could not be handed over; it is tried again");
                }
            }
        }
        drop(spool);
        thread::sleep(Duration::from_millis(SPOOL_WAIT_MILLISECONDS));
    }
}

#[cfg(test)]
mod tests {
    use keywatch_store::event::Origin;
    use keywatch_store::log::faulty::FaultyWriter;

    use super::*;

    fn events(ids: std::ops::Range<u32>) -> Vec<Event> {
        let origin = Origin { system: "cold".to_owned(), source: "idp".to_owned() };
        let event = |id: u32| Event::builder(&origin, &id.to_string(), "source.heartbeat", Instant(5)).build();
        ids.map(|id| event(id).unwrap()).collect()
    }

    fn wait(what: &str, is_so: impl Fn() -> bool) {
        let begun = std::time::Instant::now();
        while !is_so() {
            assert!(begun.elapsed() < Duration::from_mins(1), "{what}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn p2_what_is_kept_while_the_cluster_is_away_goes_over_in_its_order_also_by_the_next_process() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("spool");
        let (cluster, metrics) = (Arc::new(FaultyWriter::default()), Metrics::new());
        let start =
            || Spool::before(Arc::<FaultyWriter>::clone(&cluster), &place, 1 << 20, Arc::clone(&metrics)).unwrap();
        let kept = || metrics.spool_records.with_label_values::<&str>(&[]).get();
        let spool = start();
        spool.write(Topic::Events, events(0..3)).unwrap();
        assert!(!place.exists(), "nothing is kept while the cluster takes it");
        cluster.set_away_for(usize::MAX);
        spool.write(Topic::Events, events(3..6)).unwrap();
        assert_eq!(kept(), 3);
        let since = || metrics.spool_since.with_label_values::<&str>(&[]).get();
        let (first, now) = (since(), clock::now().unix_seconds());
        assert!((now - 60..=now).contains(&first), "{first} and {now}");
        drop(spool);
        wait("the thread lets it go", || EmbeddedLog::open(&place, Options::new(Clock::Recorded)).is_ok());

        let spool = start();
        spool.write(Topic::Events, events(6..8)).unwrap();
        assert_eq!(kept(), 5);
        assert!((first - 1..=first + 60).contains(&since()), "a restart makes it no younger");
        cluster.set_away_for(0);
        spool.write(Topic::Events, events(8..9)).unwrap();
        wait("it is handed over", || kept() == 0 && !place.exists());
        assert_eq!(since(), 0);
        let expected: Vec<_> = events(0..9).iter().map(Event::event_id).collect();
        assert_eq!(cluster.ids(), expected);
    }

    #[test]
    fn what_a_crash_left_of_a_spool_that_was_handed_over_keeps_nobody_from_starting() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("spool");
        fs::create_dir(done(&place)).unwrap();
        fs::write(done(&place).join("0.journal"), "half").unwrap();
        let cluster = Arc::new(FaultyWriter::default());
        let spool = Spool::before(Arc::<FaultyWriter>::clone(&cluster), &place, 1 << 20, Metrics::new()).unwrap();
        assert!(!done(&place).exists());
        spool.write(Topic::Events, events(0..1)).unwrap();
        assert_eq!(cluster.ids().len(), 1);
    }

    #[test]
    fn a_full_spool_takes_nothing_and_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let cluster = Arc::new(FaultyWriter::away_for(usize::MAX));
        let bytes_max = size(&events(0..4));
        let spool = Spool::before(cluster, &directory.path().join("spool"), bytes_max, Metrics::new()).unwrap();
        spool.write(Topic::Events, events(0..4)).unwrap();
        let refused = spool.write(Topic::Events, events(4..5)).unwrap_err();
        assert!(
            matches!(refused, Error::Unreachable { .. }) && refused.to_string().contains("the spool holds"),
            "{refused}"
        );
    }
}
