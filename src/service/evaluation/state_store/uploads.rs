//! The thread that sends snapshots to the bucket. Whoever writes them does not wait for it: of what has not been sent yet the
//! newest is sent, and what could not be sent goes with the next snapshot, or once more at the end.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use keywatch_store::Position;
use tokio::runtime::{Builder, Runtime};

use super::remote::Remote;
use crate::limits::STATE_END_SECONDS_MAX;
use crate::service::evaluation::snapshot_files::SnapshotFiles;
use crate::service::metrics::Metrics;

/// What is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// By windows.
    Windows,
    /// By alerting.
    Alerting,
}

impl State {
    /// The word for it in metrics.
    pub(super) fn name(self) -> &'static str {
        match self {
            State::Windows => "windows",
            State::Alerting => "alerting",
        }
    }
}

/// A state, where it is written and where it is sent.
pub(super) struct Kept {
    /// In the bucket.
    pub(super) remote: Remote,
    /// In the directory.
    pub(super) files: SnapshotFiles,
}

/// What is to be sent. The thread ends when this is dropped.
pub(crate) struct Uploads {
    queue: Arc<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    /// The newest of each state that is not there yet.
    due: BTreeMap<State, Position>,
    /// What was tried in vain.
    failed: BTreeMap<State, Position>,
    is_sending: bool,
    is_ending: bool,
    /// Whether that was tried once more, as it is at the end.
    is_retried: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next one to send; `None` once nothing more comes.
    fn next(&self) -> Option<(State, Position)> {
        let is_idle = |waiting: &mut Waiting| waiting.due.is_empty() && !waiting.is_ending;
        let mut waiting = self.changed.wait_while(self.lock(), is_idle).unwrap_or_else(PoisonError::into_inner);
        if waiting.due.is_empty() && !waiting.is_retried {
            waiting.is_retried = true;
            waiting.due = std::mem::take(&mut waiting.failed);
        }
        let next = waiting.due.pop_first();
        waiting.is_sending = next.is_some();
        next
    }

    fn sent(&self, state: State, position: Position, is_there: bool) {
        let mut waiting = self.lock();
        waiting.is_sending = false;
        if is_there {
            waiting.failed.remove(&state);
        } else {
            waiting.failed.insert(state, position);
        }
        self.changed.notify_all();
    }
}

impl Uploads {
    /// Starts the thread.
    ///
    /// # Errors
    /// There is none to be had.
    pub(super) fn start(kept: BTreeMap<State, Kept>, metrics: Arc<Metrics>) -> anyhow::Result<Uploads> {
        // The first of a series that is new is not seen.
        kept.keys().for_each(|state| drop(metrics.state_store.with_label_values(&[state.name(), "failed"])));
        let runtime = Builder::new_current_thread().enable_all().build().context("cannot wait for a bucket")?;
        let queue = Arc::new(Queue::default());
        let of_thread = Arc::clone(&queue);
        let sending = thread::Builder::new().name("state-upload".to_owned());
        sending.spawn(move || send(&of_thread, &kept, &runtime, &metrics)).context("cannot start a thread")?;
        Ok(Uploads { queue })
    }

    /// A snapshot was written: it takes the place of what has not been sent of that state.
    pub(crate) fn offer(&self, state: State, position: Position) {
        let mut waiting = self.queue.lock();
        waiting.failed.remove(&state);
        waiting.due.insert(state, position);
        self.queue.changed.notify_all();
    }

    /// Tries once more what failed, and waits until all is sent, for a bounded time. It blocks.
    pub(crate) fn end(self) {
        self.end_within(Duration::from_secs(STATE_END_SECONDS_MAX));
    }

    /// As [`Uploads::end`]; whether nothing is left.
    pub(super) fn end_within(self, time: Duration) -> bool {
        let mut waiting = self.queue.lock();
        waiting.is_ending = true;
        self.queue.changed.notify_all();
        let is_busy = |waiting: &mut Waiting| {
            waiting.is_sending || !waiting.due.is_empty() || !waiting.is_retried && !waiting.failed.is_empty()
        };
        let (waiting, _) =
            self.queue.changed.wait_timeout_while(waiting, time, is_busy).unwrap_or_else(PoisonError::into_inner);
        let is_done = waiting.failed.is_empty() && waiting.due.is_empty() && !waiting.is_sending;
        if !is_done {
            tracing::error!(
                seconds = time.as_secs(),
                "what was remembered last did not get into the bucket of log.state: whoever takes the partition over goes on \
                 from what lies there, which takes longer"
            );
        }
        is_done
    }
}

impl Drop for Uploads {
    fn drop(&mut self) {
        let mut waiting = self.queue.lock();
        waiting.due.clear();
        (waiting.is_ending, waiting.is_retried) = (true, true);
        self.queue.changed.notify_all();
    }
}

fn send(queue: &Queue, kept: &BTreeMap<State, Kept>, runtime: &Runtime, metrics: &Metrics) {
    while let Some((state, position)) = queue.next() {
        let Some(Kept { remote, files }) = kept.get(&state) else { continue };
        let uploaded = runtime.block_on(remote.upload(&files.path(position), position));
        let outcome = if uploaded.is_ok() { "uploaded" } else { "failed" };
        metrics.state_store.with_label_values(&[state.name(), outcome]).inc();
        if let Err(error) = &uploaded {
            tracing::error!(
                place = remote.shown,
                position = position.0,
                error = format!("{error:#}"),
                "what is remembered cannot be sent to the bucket; it is tried again with the next"
            );
        }
        queue.sent(state, position, uploaded.is_ok());
    }
}
