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

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hash, Hasher};

use hashbrown::hash_map::Entry;
use sha2::{Digest, Sha256};

use crate::event::{EventId, Origin, TextColumn};
use crate::inventory::Inventory;
use crate::limits::{LATENESS_TOLERANCE_NS, REPEAT_HORIZON_NS};
use crate::{Clock, Event, Instant, kinds, line};

/// First 16 bytes of SHA-256 over what an event says, log time and lateness left out.
pub type Fingerprint = [u8; 16];

/// A hash of what an event says that is keyed anew in each process: as good as a [`fingerprint`] for telling a repeat from a
/// conflict while the process lasts, at a tenth of the time. A log, whose fingerprints last, has no use for it.
#[derive(Clone, Debug, Default)]
pub struct ContentHash(hashbrown::DefaultHashBuilder);

impl ContentHash {
    /// The hash of an event, log time and lateness left out.
    #[must_use]
    pub fn of(&self, event: &Event) -> Fingerprint {
        let mut hasher = self.0.build_hasher();
        (event.event_id(), event.event_time(), event.asn(), event.amount_usd_cents()).hash(&mut hasher);
        event.amount().hash(&mut hasher);
        TextColumn::ALL.iter().for_each(|column| event.text(*column).hash(&mut hasher));
        event.detail().as_str().hash(&mut hasher);
        u128::from(hasher.finish()).to_be_bytes()
    }
}

/// What was said under each id; looked at for every event, and hashbrown's hash is quicker than the standard one.
type Seen = hashbrown::HashMap<EventId, Fingerprint>;

/// The state of the fold.
#[derive(Debug)]
pub struct Admission {
    clock: Clock,
    systems: hashbrown::HashMap<String, SystemState>,
    seen: Seen,
    /// What the event at hand says; kept for its room.
    said: String,
    /// What tells contents apart in place of the fingerprint.
    content: Option<ContentHash>,
}

#[derive(Debug, Default)]
struct SystemState {
    time: Instant,
    /// Declared delay of each source, nanoseconds.
    delays: HashMap<String, i64>,
    /// Ids in the order they were admitted, with the log time at which they are forgotten.
    forget_order: VecDeque<(Instant, EventId)>,
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
        Admission { clock, systems: hashbrown::HashMap::new(), seen: Seen::new(), said: String::new(), content: None }
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
    pub fn admit_known(&mut self, mut event: Event, fingerprint: Fingerprint, now: Instant) -> Admitted {
        match self.judge(&mut event, fingerprint, now) {
            Verdict::New => Admitted::New(Box::new(event)),
            Verdict::Repeat => Admitted::Repeat,
            Verdict::Conflict(conflict) => Admitted::Conflict(conflict),
        }
    }

    /// As [`Admission::admit_known`], for an event that is not moved.
    pub fn judge(&mut self, event: &mut Event, fingerprint: Fingerprint, now: Instant) -> Verdict {
        match self.seen.entry(event.event_id()) {
            Entry::Occupied(kept) if *kept.get() == fingerprint => return Verdict::Repeat,
            Entry::Occupied(_) => return self.conflict(event, now),
            Entry::Vacant(place) => place.insert(fingerprint),
        };
        self.accept(event, now);
        Verdict::New
    }

    /// Takes in a record that stands in the log already: the fold that rebuilds this state on opening.
    pub fn replay(&mut self, event: &Event) {
        let fingerprint = self.fingerprint(event);
        self.seen.insert(event.event_id(), fingerprint);
        let state = self.systems.entry(event.system().to_owned()).or_default();
        state.remember(event, &mut self.seen);
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
        self.systems.insert(system.to_owned(), SystemState { time, delays, forget_order: VecDeque::new() });
    }

    /// Takes up the id of a record of a resumed system, in the order of the log; `false` when it is forgotten by now.
    pub(crate) fn recall(&mut self, system: &str, time: Instant, id: EventId, fingerprint: Fingerprint) -> bool {
        let Some(state) = self.systems.get_mut(system) else { return false };
        let forget_at = time.saturating_add(REPEAT_HORIZON_NS);
        if forget_at < state.time {
            return false;
        }
        self.seen.insert(id, fingerprint);
        state.forget_order.push_back((forget_at, id));
        true
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
        self.systems.keys().map(String::as_str)
    }

    /// The clock of the log.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Gives an event whose id stands among the seen ones its log time, and its system the event.
    fn accept(&mut self, event: &mut Event, now: Instant) {
        let proposed = match self.clock {
            Clock::Wall => now,
            Clock::Recorded => event.time(),
        };
        let state = match self.systems.get_mut(event.system()) {
            Some(state) => state,
            None => self.systems.entry(event.system().to_owned()).or_default(),
        };
        event.set_time(proposed.max(state.time.saturating_add(1)));
        if let Some(delay) = state.delays.get(event.source()) {
            let lag = event.time().0.saturating_sub(event.event_time().0);
            event.set_late(event.late() || lag > delay.saturating_add(LATENESS_TOLERANCE_NS));
        }
        if event.late() && !may_be_late(event.kind()) {
            event.set_late(false);
        }
        state.remember(event, &mut self.seen);
    }

    fn conflict(&mut self, event: &Event, now: Instant) -> Verdict {
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
        if self.seen.get(&conflict.event_id()) == Some(&fingerprint) {
            return Verdict::Repeat;
        }
        self.seen.insert(conflict.event_id(), fingerprint);
        self.accept(&mut conflict, now);
        Verdict::Conflict(Box::new(conflict))
    }
}

/// What a source says about itself or the world may be late, what keywatch says about it may not.
fn may_be_late(kind: &str) -> bool {
    kind != "source.reject" && kinds::find(kind).is_some_and(|kind| kind.writer == kinds::Writer::Source)
}

impl SystemState {
    /// Takes in the system's next record and lets those ids go that are beyond the horizon now.
    fn remember(&mut self, event: &Event, seen: &mut Seen) {
        self.time = self.time.max(event.time());
        if event.kind() == "inventory.activated" {
            self.delays =
                Inventory::from_activation(event).map(|inventory| inventory.delays(event.system())).unwrap_or_default();
        }
        self.forget_order.push_back((event.time().saturating_add(REPEAT_HORIZON_NS), event.event_id()));
        while let Some((_, id)) = self.forget_order.pop_front_if(|(forget_at, _)| *forget_at < self.time) {
            seen.remove(&id);
        }
    }
}

/// What an event says, apart from when the log took it.
#[must_use]
pub fn fingerprint(event: &Event) -> Fingerprint {
    let mut said = String::with_capacity(1024);
    line::push_said(&mut said, event);
    digest(&said)
}

pub(crate) fn fingerprint_of(said: &line::Template) -> Fingerprint {
    digest(said.as_str())
}

fn digest(said: &str) -> Fingerprint {
    let digest = Sha256::digest(said.as_bytes());
    let mut fingerprint = [0; 16];
    fingerprint.copy_from_slice(&digest[..16]);
    fingerprint
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(system: &str, id: &str, time: i64) -> Event {
        let mut event = Event::builder(
            &Origin { system: system.into(), source: "a".into() },
            id,
            "source.heartbeat",
            Instant(time),
        );
        event.time(Instant(time));
        event.build().unwrap()
    }

    fn time_of(admitted: Admitted) -> i64 {
        match admitted {
            Admitted::New(event) | Admitted::Conflict(event) => event.time().0,
            Admitted::Repeat => panic!("a repeat has no time"),
        }
    }

    #[test]
    fn time_strictly_increases_within_a_system_and_systems_do_not_move_each_other() {
        let mut admission = Admission::new(Clock::Recorded);
        assert_eq!(time_of(admission.admit(event("s", "1", 100), Instant(0))), 100);
        assert_eq!(time_of(admission.admit(event("s", "2", 100), Instant(0))), 101);
        assert_eq!(time_of(admission.admit(event("s", "3", 7), Instant(0))), 102);
        assert_eq!(time_of(admission.admit(event("other", "1", 50), Instant(0))), 50);
    }

    #[test]
    fn a_wall_clock_ignores_what_the_record_claims() {
        let mut admission = Admission::new(Clock::Wall);
        assert_eq!(time_of(admission.admit(event("s", "1", 9_999), Instant(100))), 100);
        assert_eq!(time_of(admission.admit(event("s", "2", 9_999), Instant(90))), 101);
    }

    #[test]
    fn repeats_are_skipped_and_conflicts_kept_once() {
        let mut admission = Admission::new(Clock::Recorded);
        admission.admit(event("s", "1", 100), Instant(0));
        assert_eq!(admission.admit(event("s", "1", 100), Instant(0)), Admitted::Repeat);
        let mut other = event("s", "1", 100).to_builder();
        let other = other.reason("changed").build().unwrap();
        let Admitted::Conflict(conflict) = admission.admit(other.clone(), Instant(0)) else { panic!("no conflict") };
        assert_eq!(conflict.kind(), "source.conflict");
        assert_eq!(admission.admit(other, Instant(0)), Admitted::Repeat);
    }

    #[test]
    fn a_content_hash_differs_where_the_fingerprint_does() {
        let content = ContentHash::default();
        let one = event("s", "1", 100);
        let mut later = one.clone();
        later.set_time(Instant(101));
        later.set_late(true);
        assert_eq!((content.of(&one), fingerprint(&one)), (content.of(&later), fingerprint(&later)));
        for other in [
            one.changed(|event| event.reason("")),
            one.changed(|event| event.actor("ab").session("c")),
            one.changed(|event| event.actor("a").session("bc")),
            one.changed(|event| event.asn(0)),
            one.changed(|event| event.amount(crate::Amount::from_u128(0))),
            one.changed(|event| event.detail(&serde_json::json!({ "a": 1 }))),
        ] {
            assert_ne!(content.of(&one), content.of(&other));
            assert_ne!(fingerprint(&one), fingerprint(&other));
        }
    }

    #[test]
    fn a_passing_admission_judges_as_a_log_does() {
        let content = ContentHash::default();
        let (mut passing, mut kept) = (Admission::passing(Clock::Recorded, content), Admission::new(Clock::Recorded));
        let changed = event("s", "1", 100).changed(|event| event.reason("changed"));
        let mut events = vec![event("s", "1", 100), event("s", "1", 100), changed.clone(), changed, event("s", "2", 7)];
        // The conflict itself, read back from where a log wrote it, is a repeat.
        let Admitted::Conflict(conflict) = kept_after(&events[..2]).admit(events[2].clone(), Instant(0)) else {
            panic!("no conflict")
        };
        events.push(*conflict);
        for event in events {
            assert_eq!(passing.admit(event.clone(), Instant(0)), kept.admit(event, Instant(0)));
        }
    }

    fn kept_after(events: &[Event]) -> Admission {
        let mut admission = Admission::new(Clock::Recorded);
        events.iter().for_each(|event| drop(admission.admit(event.clone(), Instant(0))));
        admission
    }

    #[test]
    fn an_id_is_forgotten_after_the_horizon_of_its_own_system() {
        let mut admission = Admission::new(Clock::Recorded);
        admission.admit(event("s", "1", 100), Instant(0));
        admission.admit(event("other", "2", 101 + 2 * REPEAT_HORIZON_NS), Instant(0));
        assert_eq!(admission.admit(event("s", "1", 100), Instant(0)), Admitted::Repeat);
        admission.admit(event("s", "3", 101 + REPEAT_HORIZON_NS), Instant(0));
        assert!(matches!(admission.admit(event("s", "1", 100), Instant(0)), Admitted::New(_)));
    }
}
