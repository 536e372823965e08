//! What the writer publishes and readers see: ends, heads, times, and why the writer stopped.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::state::ChainLink;
use crate::log::TopicHead;
use crate::{Error, Instant, Position, Topic};

#[derive(Debug)]
pub(super) struct Shared {
    view: Mutex<View>,
    changed: Condvar,
}

#[derive(Debug)]
pub(super) struct View {
    pub(super) topics: [TopicView; 2],
    /// Log time of the last record of each system in the events topic.
    pub(super) times: BTreeMap<String, Instant>,
    stopped: Option<Stopped>,
}

/// The kept stretch of a topic.
#[derive(Clone, Copy, Debug)]
pub(super) struct TopicView {
    pub(super) kept: ChainLink,
    pub(super) tip: ChainLink,
    /// The latest log time in the last batch.
    pub(super) latest: Instant,
}

impl TopicView {
    pub(super) fn head(&self) -> TopicHead {
        TopicHead { position: self.tip.position, time: self.latest, hash: self.tip.hash }
    }
}

/// Why no further append is taken.
#[derive(Clone, Debug)]
enum Stopped {
    CannotWrite(String),
    ClockJump(i64),
    Closed,
}

impl Shared {
    pub(super) fn new(topics: [TopicView; 2], times: BTreeMap<String, Instant>) -> Shared {
        Shared { view: Mutex::new(View { topics, times, stopped: None }), changed: Condvar::new() }
    }

    pub(super) fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn topic(&self, topic: Topic) -> TopicView {
        self.view().topics[topic.index()]
    }

    /// Changes what readers see and wakes those that wait.
    pub(super) fn publish(&self, change: impl FnOnce(&mut View)) {
        change(&mut self.view());
        self.changed.notify_all();
    }

    /// Notes why the writer stops; the first reason stands.
    pub(super) fn stop(&self, why: &Error) {
        let stopped = match why {
            Error::ClockJump { jump_ms } => Stopped::ClockJump(*jump_ms),
            Error::Closed => Stopped::Closed,
            Error::CannotWrite { problem, .. } => Stopped::CannotWrite(problem.clone()),
            other => Stopped::CannotWrite(other.to_string()),
        };
        self.publish(|view| view.stopped = view.stopped.take().or(Some(stopped)));
    }

    /// Why the writer stopped, as the error of an append.
    pub(super) fn why_stopped(&self, path: &Path) -> Error {
        match self.view().stopped.clone() {
            Some(Stopped::CannotWrite(problem)) => Error::CannotWrite { path: path.to_owned(), problem },
            Some(Stopped::ClockJump(jump_ms)) => Error::ClockJump { jump_ms },
            Some(Stopped::Closed) | None => Error::Closed,
        }
    }

    /// Waits until a topic ends beyond `position`, the writer stops, or the timeout passes; the end then.
    pub(super) fn wait_past(&self, topic: Topic, position: Position, timeout: Duration) -> Position {
        let not_yet = |view: &mut View| view.topics[topic.index()].tip.position <= position && view.stopped.is_none();
        let waited = self.changed.wait_timeout_while(self.view(), timeout, not_yet);
        let (view, _) = waited.unwrap_or_else(PoisonError::into_inner);
        view.topics[topic.index()].tip.position
    }
}
