//! What is written into the log about each system without a source: what is declared of it, and that time passes.

use std::collections::{BTreeMap, HashSet};

use keywatch_store::event::Origin;
use keywatch_store::{Event, Instant, Inventory};

/// The activations that the log lacks: of every system whose declaration differs from the `last` one in the log, of which
/// the digest is given.
pub(crate) fn activations(last: &BTreeMap<String, String>, inventory: &Inventory, now: Instant) -> Vec<Event> {
    let activated = inventory.activation(now);
    let changed: HashSet<String> = activated
        .iter()
        .filter(|event| event.kind() == "inventory.activated" && last.get(event.system()) != Some(&digest(event)))
        .map(|event| event.system().to_owned())
        .collect();
    activated.into_iter().filter(|event| changed.contains(event.system())).collect()
}

/// Takes what `events` declare into the `last` activations: an inventory may change while the process runs.
pub(crate) fn learn(last: &mut BTreeMap<String, String>, events: &[Event]) {
    for event in events.iter().filter(|event| event.kind() == "inventory.activated") {
        last.insert(event.system().to_owned(), digest(event));
    }
}

/// The digest of what an activation declares.
pub(crate) fn digest(event: &Event) -> String {
    event.detail().value()["sha256"].as_str().unwrap_or_default().to_owned()
}

/// The tick of a system at `now`: log time goes on although nothing happens.
pub(crate) fn tick(system: &str, now: Instant) -> Event {
    let origin = Origin { system: system.to_owned(), source: "keywatch".to_owned() };
    let mut event = Event::builder(&origin, &format!("tick/{now}"), "tick", now);
    event.time(now);
    event.build_own()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_declared_meanwhile_and_taken_back_is_activated_anew() {
        let inventory = |wallet: &str| {
            let text = format!("[[systems]]\nid = 'cold'\n[[systems.wallets]]\nwallet = '{wallet}'\nchain = 'bitcoin'");
            Inventory::parse("i.toml", &text).unwrap()
        };
        let (first, second) = (inventory("one"), inventory("two"));
        let mut last = BTreeMap::new();
        learn(&mut last, &first.activation(Instant(1)));
        assert!(activations(&last, &first, Instant(2)).is_empty(), "the log has it");
        learn(&mut last, &second.activation(Instant(3)));
        assert!(activations(&last, &second, Instant(4)).is_empty());
        assert!(!activations(&last, &first, Instant(4)).is_empty(), "the log has the second");
    }
}
