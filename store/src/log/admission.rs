//! Admission: the fold that every event passes on its way into the log, the same in every backend.
//!
//! It skips repeats, turns the same id with other content into a `source.conflict`, gives log time and marks late
//! events. It is a pure fold over the records before and the clock's reading passed in, so that a log copied record by
//! record has the same times, repeats and conflicts.
//!
//! Log time is kept per system: what another system in the same partition does moves nobody's time. A record gets
//! `max(proposed, time of the system's last record + 1 ns)`, where `proposed` is the reading of the clock (wall) or the
//! time that the record carries (recorded). keywatch's own records in a recorded log carry no time and so take the
//! system's current time, moved on by 1 ns.

mod fingerprints;

use std::collections::HashMap;
use std::convert::Infallible;

use hashbrown::hash_map::Entry;

use crate::event::{EventId, Origin};
use crate::inventory::Inventory;
use crate::limits::{LATENESS_TOLERANCE_NS, SEEN_SWEEP_IDS_MIN};
use crate::{Clock, Event, Instant, kinds, line};

use fingerprints::digest;
pub(crate) use fingerprints::fingerprint_of;
pub use fingerprints::{ContentHash, Fingerprint, SeenEvent, SystemKey, fingerprint};

/// What was said under each id; looked at for every event, and hashbrown's hash is quicker than the standard one.
pub(crate) type Seen = hashbrown::HashMap<EventId, SeenEvent>;

/// The state of the fold.
#[derive(Debug)]
pub struct Admission {
    clock: Clock,
    systems: Systems,
    seen: Seen,
    /// Ids in `seen` at which those that are forgotten are let go.
    sweep_at: usize,
    /// What the event at hand says; kept for its room.
    said: String,
    /// What tells contents apart in place of the fingerprint.
    content: Option<ContentHash>,
}

/// The systems of a topic.
#[derive(Debug, Default)]
struct Systems {
    by_name: hashbrown::HashMap<String, usize>,
    by_key: hashbrown::HashMap<SystemKey, usize>,
    states: Vec<SystemState>,
}

#[derive(Debug)]
struct SystemState {
    key: SystemKey,
    time: Instant,
    /// Declared delay of each source, nanoseconds.
    delays: HashMap<String, i64>,
}

/// What became of one event.
#[derive(Debug, PartialEq, Eq)]
pub enum Admitted {
    /// To be written, with its log time.
    New(Box<Event>),
    /// The same id and content stands in the log within the horizon.
    Repeat,
    /// The same id stands there with other content; this `source.conflict` is to be written instead.
    Conflict(Box<Event>),
}

/// What became of one event that stays where it is.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It has its log time and is to be written.
    New,
    /// See [`Admitted::Repeat`].
    Repeat,
    /// See [`Admitted::Conflict`].
    Conflict(Box<Event>),
}

impl Admission {
    /// An empty log's admission.
    #[must_use]
    pub fn new(clock: Clock) -> Admission {
        Admission {
            clock,
            systems: Systems::default(),
            seen: Seen::new(),
            sweep_at: SEEN_SWEEP_IDS_MIN,
            said: String::new(),
            content: None,
        }
    }

    /// The admission of a history that is read and not kept. The fingerprints that it is given are those of `content`.
    #[must_use]
    pub fn passing(clock: Clock, content: ContentHash) -> Admission {
        Admission { content: Some(content), ..Admission::new(clock) }
    }

    /// Decides on one event. `now` is the wall clock's reading and is not looked at by a recorded clock.
    pub fn admit(&mut self, event: Event, now: Instant) -> Admitted {
        let fingerprint = self.fingerprint(&event);
        self.admit_known(event, fingerprint, now)
    }

    /// As [`Admission::admit`], where the caller has the event's [`fingerprint`] already: it needs no state, so that
    /// several threads can take it beforehand.
    pub fn admit_known(&mut self, event: Event, fingerprint: Fingerprint, now: Instant) -> Admitted {
        let Ok(admitted) = self.admit_beside(event, fingerprint, now, nowhere);
        admitted
    }

    /// As [`Admission::admit_known`], where some ids are kept elsewhere: `older` knows what was said under those.
    ///
    /// # Errors
    /// Those of `older`; nothing has changed then.
    pub(crate) fn admit_beside<E>(
        &mut self,
        mut event: Event,
        fingerprint: Fingerprint,
        now: Instant,
        older: impl Fn(EventId) -> Result<Option<SeenEvent>, E>,
    ) -> Result<Admitted, E> {
        Ok(match self.judge_beside(&mut event, fingerprint, now, older)? {
            Verdict::New => Admitted::New(Box::new(event)),
            Verdict::Repeat => Admitted::Repeat,
            Verdict::Conflict(conflict) => Admitted::Conflict(conflict),
        })
    }

    /// As [`Admission::admit_known`], for an event that is not moved.
    pub fn judge(&mut self, event: &mut Event, fingerprint: Fingerprint, now: Instant) -> Verdict {
        let Ok(verdict) = self.judge_beside(event, fingerprint, now, nowhere);
        verdict
    }

    fn judge_beside<E>(
        &mut self,
        event: &mut Event,
        fingerprint: Fingerprint,
        now: Instant,
        older: impl Fn(EventId) -> Result<Option<SeenEvent>, E>,
    ) -> Result<Verdict, E> {
        match self.take_in(event, fingerprint, now, &older)? {
            None => Ok(Verdict::New),
            Some(same) if same == fingerprint => Ok(Verdict::Repeat),
            Some(_) => self.conflict(event, now, older),
        }
    }

    /// Gives an event whose id is not remembered its log time, and its system the event; otherwise what was said.
    fn take_in<E>(
        &mut self,
        event: &mut Event,
        fingerprint: Fingerprint,
        now: Instant,
        older: impl Fn(EventId) -> Result<Option<SeenEvent>, E>,
    ) -> Result<Option<Fingerprint>, E> {
        match self.seen.entry(event.event_id()) {
            Entry::Occupied(said) if self.systems.remembers(said.get()) => return Ok(Some(said.get().fingerprint)),
            Entry::Occupied(mut forgotten) => {
                forgotten.insert(self.systems.accept(event, fingerprint, self.clock, now));
            }
            Entry::Vacant(place) => {
                if let Some(said) = older(event.event_id())?.filter(|said| self.systems.remembers(said)) {
                    return Ok(Some(said.fingerprint));
                }
                place.insert(self.systems.accept(event, fingerprint, self.clock, now));
            }
        }
        if self.seen.len() >= self.sweep_at {
            self.sweep();
        }
        Ok(None)
    }

    /// Lets those ids go that no record can meet any more.
    fn sweep(&mut self) {
        self.seen.retain(|_, said| self.systems.remembers(said));
        self.sweep_at = SEEN_SWEEP_IDS_MIN.max(self.seen.len() / 2 * 3);
    }

    /// As [`fingerprint`], in a text that is kept for the next event.
    fn fingerprint(&mut self, event: &Event) -> Fingerprint {
        if let Some(content) = &self.content {
            return content.of(event);
        }
        self.said.clear();
        line::push_said(&mut self.said, event);
        digest(&self.said)
    }

    /// Takes up a system where a closed log left it: the time of its last record and its sources' delays.
    pub(crate) fn resume(&mut self, system: &str, time: Instant, delays: HashMap<String, i64>) {
        let state = self.systems.state(system);
        (state.time, state.delays) = (time, delays);
    }

    /// Takes up the id of a record of a resumed system; `false` when it is forgotten by now.
    pub(crate) fn recall(&mut self, system: &str, time: Instant, id: EventId, fingerprint: Fingerprint) -> bool {
        let Some(state) = self.systems.get(system) else { return false };
        let said = SeenEvent { fingerprint, time, system: state.key };
        let is_remembered = said.is_remembered(state.time);
        if is_remembered {
            self.seen.insert(id, said);
        }
        is_remembered
    }

    /// Ids that are remembered here.
    pub(crate) fn ids(&self) -> usize {
        self.seen.len()
    }

    /// Hands over the ids that are remembered here; who takes them must answer for them from now on.
    pub(crate) fn take_ids(&mut self) -> Seen {
        let room = self.seen.len();
        std::mem::replace(&mut self.seen, Seen::with_capacity(room))
    }

    /// The declared delay of each source of a system, nanoseconds.
    pub(crate) fn delays(&self, system: &str) -> Option<&HashMap<String, i64>> {
        self.systems.get(system).map(|state| &state.delays)
    }

    /// Log time of the last record of a system.
    #[must_use]
    pub fn time_of(&self, system: &str) -> Option<Instant> {
        self.systems.get(system).map(|state| state.time)
    }

    /// The systems that have a record.
    pub fn systems(&self) -> impl Iterator<Item = &str> {
        self.systems.by_name.keys().map(String::as_str)
    }

    /// Log time of the last record of every system.
    pub(crate) fn times(&self) -> impl Iterator<Item = (SystemKey, Instant)> {
        self.systems.states.iter().map(|state| (state.key, state.time))
    }

    /// The clock of the log.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.clock
    }

    fn conflict<E>(
        &mut self,
        event: &Event,
        now: Instant,
        older: impl Fn(EventId) -> Result<Option<SeenEvent>, E>,
    ) -> Result<Verdict, E> {
        let origin = Origin { system: event.system().to_owned(), source: event.source().to_owned() };
        let said = line::write(event);
        let source_id = format!("conflict/{}/{}", event.event_id(), hex::encode(fingerprint(event)));
        let mut conflict = Event::builder(&origin, &source_id, "source.conflict", event.event_time());
        conflict.time(event.time()).reason(format!("{} was said again with other content", event.kind()));
        conflict.detail(&serde_json::json!({
            "conflicting_event": event.event_id().to_string(),
            "line": said.chars().take(crate::limits::REJECT_RAW_BYTES_MAX).collect::<String>(),
        }));
        let mut conflict = conflict.build_own();
        let fingerprint = self.fingerprint(&conflict);
        match self.take_in(&mut conflict, fingerprint, now, older)? {
            Some(same) if same == fingerprint => Ok(Verdict::Repeat),
            None => Ok(Verdict::Conflict(Box::new(conflict))),
            Some(_) => {
                // Its id is made of what it says; somebody else's event stands under it, and it is kept all the same.
                let said = self.systems.accept(&mut conflict, fingerprint, self.clock, now);
                self.seen.insert(conflict.event_id(), said);
                Ok(Verdict::Conflict(Box::new(conflict)))
            }
        }
    }
}

/// Where no ids are kept elsewhere.
#[expect(clippy::unnecessary_wraps, reason = "the shape of a look that can fail")]
fn nowhere(_: EventId) -> Result<Option<SeenEvent>, Infallible> {
    Ok(None)
}

/// What a source says about itself or the world may be late, what keywatch says about it may not.
fn may_be_late(kind: &str) -> bool {
    kind != "source.reject" && kinds::find(kind).is_some_and(|kind| kind.writer == kinds::Writer::Source)
}

impl Systems {
    fn get(&self, system: &str) -> Option<&SystemState> {
        self.by_name.get(system).map(|number| &self.states[*number])
    }

    /// The state of a system, which begins with its first record.
    fn state(&mut self, system: &str) -> &mut SystemState {
        let number = if let Some(number) = self.by_name.get(system) {
            *number
        } else {
            let (number, key) = (self.states.len(), SystemKey::of(system));
            self.by_name.insert(system.to_owned(), number);
            self.by_key.insert(key, number);
            self.states.push(SystemState { key, time: Instant::default(), delays: HashMap::new() });
            number
        };
        &mut self.states[number]
    }

    /// Whether an id is within the horizon of its system. One of a system without records is.
    fn remembers(&self, said: &SeenEvent) -> bool {
        self.by_key.get(&said.system).is_none_or(|number| said.is_remembered(self.states[*number].time))
    }

    /// Gives an event its log time, and its system the event.
    fn accept(&mut self, event: &mut Event, fingerprint: Fingerprint, clock: Clock, now: Instant) -> SeenEvent {
        let proposed = match clock {
            Clock::Wall => now,
            Clock::Recorded => event.time(),
        };
        let state = self.state(event.system());
        event.set_time(proposed.max(state.time.saturating_add(1)));
        if let Some(delay) = state.delays.get(event.source()) {
            let lag = event.time().0.saturating_sub(event.event_time().0);
            event.set_late(event.late() || lag > delay.saturating_add(LATENESS_TOLERANCE_NS));
        }
        if event.late() && !may_be_late(event.kind()) {
            event.set_late(false);
        }
        state.remember(event);
        SeenEvent { fingerprint, time: event.time(), system: state.key }
    }
}

impl SystemState {
    /// Takes in the system's next record.
    fn remember(&mut self, event: &Event) {
        self.time = self.time.max(event.time());
        if event.kind() == "inventory.activated" {
            self.delays =
                Inventory::from_activation(event).map(|inventory| inventory.delays(event.system())).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests;
