//! How something said becomes an event of the log: its id, its times, its place in the order.

use keywatch_store::event::{Builder, TextColumn};
use keywatch_store::time::SECOND_NS;
use keywatch_store::{EventId, Instant};
use serde_json::Value;

use crate::campaign::Play;
use crate::people::{Person, Place};
use crate::random::scatter;
use crate::simulation::Simulation;
use crate::system::MDM;

/// Longest time from a record to its arrival, nanoseconds; sources declare 30 s.
const DELAY_NS_MAX: u64 = 2_500_000_000;
/// Sources delivered later than their declared delay and this are late.
const LATE_AFTER_NS: i64 = 31 * SECOND_NS;

/// Where and when something said stands in the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recorded {
    pub(crate) id: EventId,
    pub(crate) time: i64,
}

impl Simulation {
    /// The first events.
    pub(crate) fn activate(&mut self) {
        for event in self.inventory().activation(self.settings.start) {
            let system = self.systems.iter().position(|system| system.id == event.system());
            self.say(system.unwrap_or_default(), self.settings.start.0, event.to_builder());
        }
    }

    /// An event of `source` that says nothing but its kind yet.
    pub(crate) fn event(&self, system: usize, source: &str, kind: &str) -> Builder {
        let mut event = Builder::blank();
        event.system(&self.systems[system].id).source(source).kind(kind);
        event
    }

    /// Puts an event into the log, unless its source is silenced.
    pub(crate) fn say(&mut self, system: usize, at: i64, mut event: Builder) -> Recorded {
        let state = &mut self.systems[system];
        let time = at.max(state.last + 1);
        state.said += 1;
        if event.id() == EventId::default() {
            event.event_id(numbered_id(state.salt, state.said));
        }
        event.time(Instant(time));
        let source = event.get(TextColumn::Source);
        let claimed = event.claimed().unwrap_or_else(|| {
            let delay = self.chance.below(DELAY_NS_MAX);
            let delay = if source == Some("keywatch") { 0 } else { i64::try_from(delay).unwrap_or_default() };
            Instant(at - delay)
        });
        event.event_time(claimed);
        let mut event = event.build_own();
        event.set_late(event.kind().starts_with("session.") && time - claimed.0 > LATE_AFTER_NS);
        let said = Recorded { id: event.event_id(), time };
        if event.source() == MDM {
            if at < state.silent_until {
                return said;
            }
            state.device_word = Some((said.id, time));
        }
        state.last = time;
        self.ready.push_back(event);
        said
    }

    /// Notes that something said is wrong.
    pub(crate) fn mark(&mut self, play: Play, said: Recorded) {
        if let Some(label) = self.under_way.get_mut(&play.attack) {
            if label.events.is_empty() {
                label.from = Instant(said.time);
            }
            label.to = Instant(said.time);
            label.events.push(said.id);
        }
    }
}

/// Fills in who acts, in which session and on which device.
pub(crate) fn by(mut event: Builder, person: Person, session: String) -> Builder {
    event.actor(person.name());
    event.session(session);
    event.device(person.device());
    event
}

/// Fills in from where.
pub(crate) fn from(mut event: Builder, place: Place) -> Builder {
    event.ip(place.ip);
    event.country(place.country);
    event.asn(place.asn);
    event
}

/// Fills in how it went.
pub(crate) fn with_outcome(mut event: Builder, outcome: &str) -> Builder {
    event.outcome(outcome);
    event
}

/// Fills in the rest.
pub(crate) fn with(mut event: Builder, detail: &Value) -> Builder {
    event.detail(detail);
    event
}

/// The id of what a system says as its `number`th. Ids of a real log are hashes of what the source calls its record;
/// here they are numbers scattered one to one, which is as unique and takes a tenth of the time.
fn numbered_id(salt: u64, number: u64) -> EventId {
    let first = scatter(scatter(salt) ^ number).to_be_bytes();
    let second = scatter(salt ^ number.rotate_left(32)).to_be_bytes();
    let mut id = [0; 16];
    id[..8].copy_from_slice(&first);
    id[8..].copy_from_slice(&second);
    EventId(id)
}
