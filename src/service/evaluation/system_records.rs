//! What is written into the log about each system without a source: what is declared of it, and that time passes.

use std::collections::{BTreeMap, HashSet};

use keywatch_store::event::Origin;
use keywatch_store::{Event, Instant, Inventory, Log, Position, Topic};

use crate::limits::PIPELINE_RECORDS_MAX;

/// The activations that the log lacks: of every system whose declaration differs from the last one in the log.
///
/// # Errors
/// The log cannot be read.
pub(crate) fn activations(log: &dyn Log, inventory: &Inventory, now: Instant) -> anyhow::Result<Vec<Event>> {
    let mut last: BTreeMap<String, String> = BTreeMap::new();
    let mut position = Position::default();
    loop {
        let events = log.read(Topic::Events, position, PIPELINE_RECORDS_MAX)?;
        if events.is_empty() {
            break;
        }
        position = position.plus(events.len());
        for event in events.iter().filter(|event| event.kind() == "inventory.activated") {
            last.insert(event.system().to_owned(), digest(event));
        }
    }
    let activated = inventory.activation(now);
    let changed: HashSet<String> = activated
        .iter()
        .filter(|event| event.kind() == "inventory.activated" && last.get(event.system()) != Some(&digest(event)))
        .map(|event| event.system().to_owned())
        .collect();
    Ok(activated.into_iter().filter(|event| changed.contains(event.system())).collect())
}

fn digest(event: &Event) -> String {
    event.detail().value()["sha256"].as_str().unwrap_or_default().to_owned()
}

/// The tick of a system at `now`: log time goes on although nothing happens.
pub(crate) fn tick(system: &str, now: Instant) -> Event {
    let origin = Origin { system: system.to_owned(), source: "keywatch".to_owned() };
    let mut event = Event::builder(&origin, &format!("tick/{now}"), "tick", now);
    event.time(now);
    event.build_own()
}
