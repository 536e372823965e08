//! The embedded log: crash-safe, on one machine, in one directory.
//!
//! | module | what it does |
//! |---|---|
//! | `clocks` | the wall clock, the monotonic clock, and the guard between them |
//! | `directory` | the directory, its lock and the writer's key |
//! | `opening` | nothing is opened for writing that is not whole |
//! | `head_file` | where each topic ends, kept apart from what it vouches for |
//! | `files` | the storage crate's files, looked through before it may open them |
//! | `damage` | what is wrong with a log, in words |
//! | `check`, `walk`, `scratch` | looking through a whole log, round its damage, on a scratch copy |
//! | `backup` | a copy that is gone on with in the place of its log |
//! | `acceptance`, `replacement` | going on with a loss, under somebody's name; how what was written takes the damaged log's place |
//! | `disk` | batches and small values on the storage crate; nothing else knows that crate |
//! | `state` | the small values |
//! | `time_index`, `recovery` | which batches hold ids that are still remembered; what a log left, and the index of ids, become the writer's state |
//! | `writer` | group commit |
//! | `reader` | reading and checking |
//! | `retention` | deleting what is old and archived |
//! | `shared` | what the writer publishes and others wait for |
//!
//! It does not know what an event means, and repairs nothing by itself: what does not verify is reported.

mod acceptance;
mod backup;
mod check;
mod clocks;
mod damage;
pub(in crate::log) mod directory;
mod disk;
mod files;
mod head_file;
mod opening;
mod reader;
mod recovery;
mod replacement;
mod retention;
mod scratch;
mod shared;
mod state;
mod time_index;
mod walk;
mod writer;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::limits::{APPEND_EVENTS_MAX, LINE_BYTES_MAX, QUEUE_APPENDS_MAX, RECENT_IDS_MAX};
use crate::log::hash_chain::Key;
use crate::log::segments::Segments;
use crate::log::{BatchPlace, TopicHead};
use crate::{Appended, Clock, Error, Event, Instant, Log, Position, Topic};

pub use acceptance::{Acceptance, Accepted, accept_loss};
pub use backup::{begin_backup, complete_backup};
pub use check::{Progress, Report, TopicReport, check};
pub use clocks::{Clocks, SystemClocks};
pub use damage::{Damage, FileDamage, Loss};
pub use directory::read_key;
pub(in crate::log) use disk::with_keyspaces;
pub use reader::Verified;

use clocks::JumpGuard;
use disk::Disk;
use opening::Opened;
use reader::Reader;
use shared::{Shared, TopicView};
use writer::{Prepared, Request, TopicWriter, Writer};

/// Bytes that a line may grow by when the log fills in time and lateness.
pub(in crate::log) const LOG_FIELDS_BYTES: usize = 64;

/// How a log is opened.
pub struct Options {
    /// The clock; it must be the one the log was created with.
    pub clock: Clock,
    /// The role that writes, and whose key signs each batch.
    pub role: String,
    /// The file with the role's key, 64 hexadecimal digits; `<directory>/<role>.key` when absent. It is drawn and
    /// written when the log is created and the file is not there.
    pub key_file: Option<PathBuf>,
    /// Where the writer reads the time.
    pub clocks: Box<dyn Clocks>,
    /// Ids of a topic that are held in memory before they go to the index on disk.
    pub recent_ids_max: usize,
}

impl Options {
    /// A log with `clock`, written by role `keywatch` on the machine's clocks, its key beside it.
    #[must_use]
    pub fn new(clock: Clock) -> Options {
        let clocks = Box::new(SystemClocks::default());
        Options { clock, role: "keywatch".to_owned(), key_file: None, clocks, recent_ids_max: RECENT_IDS_MAX }
    }
}

/// A [`Log`] in a directory. Dropping it waits for the commit under way and closes it.
pub struct EmbeddedLog {
    disk: Arc<Disk>,
    shared: Arc<Shared>,
    reader: Reader,
    clock: Clock,
    key: Key,
    queue: Option<SyncSender<Request>>,
    writer: Option<JoinHandle<()>>,
    retiring: Mutex<()>,
    /// Unlocks the directory when everything above is gone.
    _lock: File,
}

/// An append that the writer has under way. It is carried out also when nobody waits for it.
pub struct Appending {
    answered: Receiver<Appended>,
    shared: Arc<Shared>,
    path: PathBuf,
}

impl Appending {
    /// Returns when it is durable.
    ///
    /// # Errors
    /// [`Error::CannotWrite`], [`Error::ClockJump`], [`Error::Closed`].
    pub fn wait(self) -> Result<Appended, Error> {
        self.answered.recv().map_err(|_| self.why_stopped())
    }

    fn why_stopped(&self) -> Error {
        self.shared.why_stopped(&self.path)
    }
}

impl EmbeddedLog {
    /// Opens the log in `path`, or creates it there.
    ///
    /// # Errors
    /// [`Error::InUse`] while another process has it open, [`Error::OtherClock`], [`Error::Damaged`] when it ends before
    /// its head or its files are not as they were written, [`Error::Tampered`] when what is needed to go on does not
    /// verify, [`Error::Storage`], [`Error::CannotWrite`].
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<EmbeddedLog, Error> {
        let path = path.as_ref();
        let lock = directory::lock(path)?;
        replacement::finish(path)?;
        let opened = opening::open(path, &options)?;
        start(lock, opened, options)
    }

    /// The position of the oldest record kept.
    #[must_use]
    pub fn oldest(&self, topic: Topic) -> Position {
        self.shared.topic(topic).kept.position
    }

    /// The systems that have a record in the events topic, in order of their names.
    #[must_use]
    pub fn systems(&self) -> Vec<String> {
        self.shared.view().times.keys().cloned().collect()
    }

    /// What its stretches hold, kept beside it. One is enough for a log.
    #[must_use]
    pub fn segments(&self) -> Segments {
        Segments::beside(self.disk.path(), self.key.clone())
    }

    /// Hands events to the writer without waiting until they are durable, so that what is appended next can be prepared
    /// meanwhile. Whoever hands over several has them in that order.
    ///
    /// # Errors
    /// As [`Log::append`], as far as it is known before anything is written.
    pub fn begin_append(&self, topic: Topic, events: Vec<Event>) -> Result<Appending, Error> {
        let events = EmbeddedLog::prepare(events)?;
        let (answer, answered) = sync_channel(1);
        let (shared, path) = (Arc::clone(&self.shared), self.disk.path().to_owned());
        let appending = Appending { answered, shared, path };
        let queue = self.queue.as_ref().ok_or(Error::Closed)?;
        match queue.send(Request { topic, events, answer }) {
            Ok(()) => Ok(appending),
            Err(_) => Err(appending.why_stopped()),
        }
    }

    /// Waits until a topic ends beyond `position`, the writer stops, or `timeout` passes; the end of the topic then.
    #[must_use]
    pub fn wait_past(&self, topic: Topic, position: Position, timeout: Duration) -> Position {
        self.shared.wait_past(topic, position, timeout)
    }

    /// Checks hash, MAC and link of every batch of a topic, from the oldest kept to the end that it has at the call.
    /// `progress` is told the position reached after each batch.
    ///
    /// # Errors
    /// [`Error::Tampered`] at the first batch that does not verify.
    pub fn verify(&self, topic: Topic, progress: impl FnMut(Position)) -> Result<Verified, Error> {
        self.reader.verify(topic, progress)
    }

    fn prepare(events: Vec<Event>) -> Result<Vec<Prepared>, Error> {
        if events.len() > APPEND_EVENTS_MAX {
            let problem = format!("{} events, at most {APPEND_EVENTS_MAX} are taken at once; split it", events.len());
            return Err(Error::line("append", problem));
        }
        let prepare = |event: Event| {
            let prepared = Prepared::new(event);
            match prepared.line_bytes() + LOG_FIELDS_BYTES {
                bytes if bytes > LINE_BYTES_MAX => {
                    Err(Error::line("line", format!("{bytes} bytes, at most {LINE_BYTES_MAX} are accepted")))
                }
                _ => Ok(prepared),
            }
        };
        events.into_iter().map(prepare).collect()
    }
}

impl Log for EmbeddedLog {
    fn append(&self, topic: Topic, events: Vec<Event>) -> Result<Appended, Error> {
        self.begin_append(topic, events)?.wait()
    }

    fn read(&self, topic: Topic, from: Position, records_max: usize) -> Result<Vec<Event>, Error> {
        self.reader.read(topic, from, records_max)
    }

    fn end(&self, topic: Topic) -> Position {
        self.shared.topic(topic).tip.position
    }

    fn head(&self, topic: Topic) -> TopicHead {
        self.shared.topic(topic).head()
    }

    fn oldest(&self, topic: Topic) -> Position {
        EmbeddedLog::oldest(self, topic)
    }

    fn batch_at(&self, topic: Topic, position: Position) -> Result<Option<BatchPlace>, Error> {
        self.reader.batch_at(topic, position)
    }

    fn time_of(&self, system: &str) -> Option<Instant> {
        self.shared.view().times.get(system).copied()
    }

    fn clock(&self) -> Clock {
        self.clock
    }
}

impl Drop for EmbeddedLog {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!(path = %self.disk.path().display(), "the log's writer panicked");
        }
    }
}

impl std::fmt::Debug for EmbeddedLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmbeddedLog")
            .field("path", &self.disk.path())
            .field("shared", &self.shared)
            .finish_non_exhaustive()
    }
}

fn start(lock: File, opened: Opened, options: Options) -> Result<EmbeddedLog, Error> {
    let Options { clock, role, clocks, recent_ids_max, .. } = options;
    let Opened { disk, key, topics: [events, conclusions], head_file } = opened;
    let times = events.admission.systems().filter_map(|name| Some((name.to_owned(), events.admission.time_of(name)?)));
    let topics =
        [&events, &conclusions].map(|topic| TopicView { kept: topic.kept, tip: topic.tip, latest: topic.latest });
    let shared = Arc::new(Shared::new(topics, times.collect()));
    let (queue, waiting) = sync_channel(QUEUE_APPENDS_MAX);
    let writer = Writer {
        disk: Arc::clone(&disk),
        shared: Arc::clone(&shared),
        role: role.clone(),
        key: key.clone(),
        clock,
        guard: JumpGuard::new(&*clocks),
        clocks,
        topics: [TopicWriter::from(events), TopicWriter::from(conclusions)],
        head_file,
        recent_ids_max,
    };
    let thread = std::thread::Builder::new().name("log-writer".to_owned());
    let thread =
        thread.spawn(move || writer.run(&waiting)).map_err(|error| directory::cannot_write(disk.path(), &error))?;
    let reader = Reader::new(Arc::clone(&disk), Arc::clone(&shared), role, key.clone());
    Ok(EmbeddedLog {
        disk,
        shared,
        reader,
        clock,
        key,
        queue: Some(queue),
        writer: Some(thread),
        retiring: Mutex::new(()),
        _lock: lock,
    })
}
