//! A recorded incident, many times over: each copy happens in a system of its own, and all happen at once.

use std::path::Path;

use keywatch_store::{Event, EventId, Inventory, line};

/// The events of an incident, with the findings that they are known to give.
pub(crate) struct Incident {
    events: Vec<Event>,
    pub(crate) findings: usize,
}

impl Incident {
    pub(crate) fn read(name: &str) -> Incident {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("replay-data").join(name);
        let text = |file: &str| std::fs::read_to_string(directory.join(file)).unwrap();
        let events = text("events.jsonl").lines().map(|text| line::read(text.as_bytes()).unwrap()).collect();
        Incident { events, findings: text("expected.jsonl").lines().count() }
    }

    /// As many whole copies as fit into `events_max`; the first record of each, then the second of each, and so on.
    pub(crate) fn copies(&self, events_max: usize) -> (usize, Vec<Event>) {
        let copies = events_max / self.events.len();
        let all = self.events.iter().flat_map(|event| (0..copies).map(|copy| renamed(event, copy)));
        (copies, all.collect())
    }
}

fn renamed(event: &Event, copy: usize) -> Event {
    let system = format!("{}-{copy}", event.system());
    if let Some(mut inventory) = declared(event) {
        inventory.systems[0].id.clone_from(&system);
        return inventory.activation(event.time()).swap_remove(0);
    }
    let event_id = EventId::derive(&system, event.source(), &event.event_id().to_string());
    event.changed(|copy| copy.event_id(event_id).system(&system))
}

fn declared(event: &Event) -> Option<Inventory> {
    (event.kind() == "inventory.activated").then(|| Inventory::from_activation(event).unwrap())
}
