//! The log together with the state folded from it. Everything that alerting writes goes through here: a record counts
//! only once it is durable, and the state has it as soon as it is. It decides nothing.
//!
//! Appends to a topic take turns, and each folds what it wrote before the next begins: so the state follows the order of the
//! log. Between the topics the log has no order, and a start folds one after the other. The state is locked for the fold
//! alone; whoever looks at it waits for no append, however long the log takes.

use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keywatch_store::kinds::{self, Writer};
use keywatch_store::log::TopicHead;
use keywatch_store::{Appended, Clock, Error as StoreError, Event, EventId, Instant, Log, Position, Topic};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;

use crate::Error;
use crate::lifecycle::doubts::Doubts;
use crate::lifecycle::saved::{self, Folded, Saved};
use crate::lifecycle::state::AlertState;
use crate::lifecycle::turns::{Turn, Turns};
use crate::limits::{APPEND_SECONDS_MAX, FOLD_RECORDS};

/// The log and its state.
pub struct AlertLog {
    log: Arc<dyn Log>,
    state: Mutex<AlertState>,
    /// How far the state is; locked only while the state is.
    progress: Mutex<Progress>,
    events: Turns,
    conclusions: Turns,
    /// How long an append may last before nobody waits behind it.
    patience: Duration,
}

#[derive(Default)]
struct Progress {
    folded: Folded,
    /// Own responses whose append failed.
    doubts: Doubts,
    /// An append to the conclusions failed, and none has written anything since: the log may have more than the state.
    behind: bool,
}

impl AlertLog {
    /// Folds both topics of `log` from where `saved` ends, or from the oldest record that is kept. `seen` is shown every
    /// record that is read, e.g. to learn the inventory.
    ///
    /// # Errors
    /// [`Error::Log`] when the log cannot be read.
    pub fn open(log: Arc<dyn Log>, saved: Saved, mut seen: impl FnMut(Topic, &Event)) -> Result<AlertLog, Error> {
        let Saved { mut folded, mut state, .. } = saved;
        let responses = folded.responses;
        folded.events = fold(log.as_ref(), Topic::Events, folded.events, |position, event| {
            let is_known = is_response(event) && position < responses;
            if !is_known && !is_conclusion(event) {
                state.apply(event);
            }
            seen(Topic::Events, event);
        })?;
        folded.responses = responses.max(folded.events);
        folded.conclusions = fold(log.as_ref(), Topic::Conclusions, folded.conclusions, |_, event| {
            state.apply(event);
            seen(Topic::Conclusions, event);
        })?;
        Ok(AlertLog {
            log,
            state: Mutex::new(state),
            progress: Mutex::new(Progress { folded, ..Progress::default() }),
            events: Turns::default(),
            conclusions: Turns::default(),
            patience: Duration::from_secs(APPEND_SECONDS_MAX),
        })
    }

    /// The same, where nobody waits behind an append that lasts longer than that.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> AlertLog {
        AlertLog { patience, ..self }
    }

    /// The state. Do not hold it across an await or while appending.
    pub fn state(&self) -> MutexGuard<'_, AlertState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends durably, then folds what the log has written. It blocks, on a thread that tasks run on aside from them.
    ///
    /// # Errors
    /// [`Error::Log`]; then nothing counts as written. Where the log turns out to have it all the same, it is folded as soon as
    /// it is seen, and what is appended again is a repeat.
    pub fn append(&self, topic: Topic, events: Vec<Event>) -> Result<Vec<Event>, Error> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        aside(|| self.append_in_turn(topic, events))
    }

    fn append_in_turn(&self, topic: Topic, events: Vec<Event>) -> Result<Vec<Event>, Error> {
        let turn = self.turn(topic)?;
        let begun = self.log.end(topic);
        let ids: HashSet<EventId> = events.iter().filter(|event| is_response(event)).map(Event::event_id).collect();
        let appended = self.log.append(topic, events);
        turn.has_taken(!appended.as_ref().is_err_and(StoreError::is_outage));
        match appended {
            Ok(appended) => self.fold_appended(topic, appended),
            Err(error) => {
                match topic {
                    Topic::Events => self.doubt(&ids, begun),
                    Topic::Conclusions => self.with_progress(|_, progress| progress.behind = true),
                }
                Err(error.into())
            }
        }
    }

    fn turn(&self, topic: Topic) -> Result<Turn<'_>, Error> {
        let turns = match topic {
            Topic::Events => &self.events,
            Topic::Conclusions => &self.conclusions,
        };
        let busy = |lasted: Duration| StoreError::Busy { seconds: lasted.as_secs() };
        Ok(turns.take(self.patience).map_err(busy)?)
    }

    fn fold_appended(&self, topic: Topic, appended: Appended) -> Result<Vec<Event>, Error> {
        let Appended { first, written, .. } = appended;
        self.with_progress(|state, progress| {
            match topic {
                Topic::Events => {
                    written.iter().for_each(|event| state.apply(event));
                    // On Kafka others write between the records of an append. All responses before its end are folded.
                    let end = self.log.end(topic);
                    progress.folded.responses = progress.folded.responses.max(end);
                    progress.doubts.wrote(&written, end);
                }
                Topic::Conclusions
                    if first == progress.folded.conclusions && first.plus(written.len()) == self.log.end(topic) =>
                {
                    written.iter().for_each(|event| state.apply(event));
                    progress.folded.conclusions = first.plus(written.len());
                }
                // The log has what failed before, of which this may be a repeat, or what another process wrote.
                Topic::Conclusions => self.fold_conclusions(state, &mut progress.folded)?,
            }
            if topic == Topic::Conclusions {
                // What is nothing but repeats may be in the log and not be read back yet.
                progress.behind &= written.is_empty();
            }
            Ok(written)
        })
    }

    /// Folds what the log has of the conclusions by now, also what other processes wrote.
    ///
    /// # Errors
    /// [`Error::Log`] when the log cannot be read, or while an append hangs.
    pub fn follow(&self) -> Result<(), Error> {
        let _turn = self.turn(Topic::Conclusions)?;
        self.with_progress(|state, progress| self.fold_conclusions(state, &mut progress.folded))
    }

    /// Folds the conclusions that the log has beyond those that are folded.
    fn fold_conclusions(&self, state: &mut AlertState, folded: &mut Folded) -> Result<(), Error> {
        let end = fold(self.log.as_ref(), Topic::Conclusions, folded.conclusions, |position, event| {
            state.apply(event);
            folded.conclusions = position.plus(1);
        })?;
        folded.conclusions = folded.conclusions.max(end);
        Ok(())
    }

    /// An append of responses failed that began where the log ended at `begun`. Those that were observed in the log meanwhile
    /// were passed over, since whoever appends them folds them: they are folded now.
    fn doubt(&self, ids: &HashSet<EventId>, begun: Position) {
        self.with_progress(|_, progress| {
            progress.doubts.add(ids.iter().copied());
            progress.doubts.passed_over(begun, progress.folded.events);
        });
        self.read_back();
    }

    /// Folds what is in doubt and was passed over. Where the log cannot be read either, that is tried again with the next records,
    /// and until then no state is kept that would be without it.
    fn read_back(&self) {
        let unread = self.with_progress(|_, progress| progress.doubts.unread());
        let Some((from, to)) = unread else { return };
        match self.responses(from, to) {
            Ok(passed_over) => self.with_progress(|state, progress| {
                let missed = passed_over.iter().filter(|event| progress.doubts.settle(event));
                missed.for_each(|event| state.apply(event));
                progress.doubts.was_read((from, to));
            }),
            Err(error) => {
                tracing::error!(%error, "what the log has of the last responses cannot be read back; it is tried again");
            }
        }
    }

    fn responses(&self, mut from: Position, to: Position) -> Result<Vec<Event>, StoreError> {
        let mut found = Vec::new();
        while from < to {
            let events = self.log.read(Topic::Events, from, FOLD_RECORDS)?;
            if events.is_empty() {
                break;
            }
            from = from.plus(events.len());
            found.extend(events.into_iter().filter(is_response));
        }
        Ok(found)
    }

    /// How long the log has taken nothing of one of the topics.
    pub fn failing(&self) -> Option<Duration> {
        self.events.failing().max(self.conclusions.failing())
    }

    /// Log time of the last record of a system.
    pub fn time_of(&self, system: &str) -> Instant {
        self.log.time_of(system).unwrap_or_default()
    }

    /// Whether the log takes the time of a record from the record.
    pub fn keeps_times(&self) -> bool {
        self.log.clock() == Clock::Recorded
    }

    /// Where the events topic ends.
    pub fn head(&self) -> TopicHead {
        self.log.head(Topic::Events)
    }

    /// Folds records of the events topic from `first` on, as far as they were not. keywatch's own responses are passed
    /// over: they were folded when they were appended, unless that failed.
    pub fn observe(&self, first: Position, events: &[Event]) {
        self.read_back();
        self.with_progress(|state, progress| {
            let known = usize::try_from(progress.folded.events.0.saturating_sub(first.0)).unwrap_or(usize::MAX);
            for event in events.iter().skip(known) {
                let is_new = !is_response(event) || progress.doubts.settle(event);
                if is_new && !is_conclusion(event) {
                    state.apply(event);
                }
            }
            progress.folded.events = progress.folded.events.max(first.plus(events.len()));
            progress.doubts.seen(progress.folded.events);
            if progress.behind
                && let Some(_turn) = self.conclusions.try_take()
                && let Err(error) = self.fold_conclusions(state, &mut progress.folded)
            {
                tracing::warn!(%error, "conclusions cannot be read back; they are with the next one");
            }
        });
    }

    /// Writes the state, so that [`AlertLog::open`] can go on from it; how far it is.
    ///
    /// # Errors
    /// [`Error::Saved`] when it cannot be written, also while it is not known what the log has; [`Error::Log`] while an append
    /// hangs.
    pub fn save(
        &self,
        out: impl Write,
        trust_groups: &BTreeMap<String, BTreeMap<String, String>>,
    ) -> Result<Folded, Error> {
        // A response that is being appended may have been observed and not be folded yet.
        let _turn = self.turn(Topic::Events)?;
        self.with_progress(|state, progress| {
            if !progress.doubts.is_empty() {
                let problem = "the log failed, and what it has of the last responses is not known yet".to_owned();
                return Err(Error::Saved { problem });
            }
            saved::write(out, progress.folded, state, trust_groups)?;
            Ok(progress.folded)
        })
    }

    fn with_progress<T>(&self, work: impl FnOnce(&mut AlertState, &mut Progress) -> T) -> T {
        let mut state = self.state();
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut state, &mut progress)
    }
}

/// Blocks where that holds up no task: on a thread that tasks run on, these go on elsewhere meanwhile.
fn aside<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current() {
        Ok(handle) if handle.runtime_flavor() == RuntimeFlavor::MultiThread => block_in_place(work),
        _ => work(),
    }
}

fn is_response(event: &Event) -> bool {
    event.kind().starts_with("response.")
}

/// Who may write events need not be allowed to conclude: among the events, no conclusion counts.
fn is_conclusion(event: &Event) -> bool {
    kinds::find(event.kind()).is_some_and(|kind| kind.writer == Writer::Conclusion)
}

/// Goes through a topic from a position to its end; the end.
fn fold(
    log: &dyn Log,
    topic: Topic,
    mut from: Position,
    mut each: impl FnMut(Position, &Event),
) -> Result<Position, Error> {
    while from < log.end(topic) {
        match log.read(topic, from, FOLD_RECORDS) {
            Ok(events) if events.is_empty() => break,
            Ok(events) => {
                events.iter().enumerate().for_each(|(index, event)| each(from.plus(index), event));
                from = from.plus(events.len());
            }
            Err(StoreError::Expired { oldest, .. }) if oldest > from.0 => from = Position(oldest),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(from)
}

#[cfg(test)]
mod tests;
