//! What of a log stands from a time on: the records since then and, before the first of each system, what it had declared by
//! then, without which neither rules nor alerting would know its wallets. Knows no log.

use std::collections::BTreeMap;

use keywatch_store::{Event, Instant};

/// Leaves out what is earlier.
#[derive(Debug)]
pub(super) struct Since {
    from: Instant,
    /// Of each system of which nothing later has come, the last activation, and the sources that it expects.
    declared: BTreeMap<String, Vec<Event>>,
}

impl Since {
    /// From that log time on.
    pub(super) fn new(from: Instant) -> Since {
        Since { from, declared: BTreeMap::new() }
    }

    /// Which of the next records are to be taken, with what stands before them.
    pub(super) fn take(&mut self, events: Vec<Event>) -> Vec<Event> {
        let mut taken = Vec::with_capacity(events.len());
        for event in events {
            if event.time() >= self.from {
                taken.extend(self.declared.remove(event.system()).unwrap_or_default());
                taken.push(event);
            } else if event.kind() == "inventory.activated" {
                self.declared.insert(event.system().to_owned(), vec![event]);
            } else if event.kind() == "source.expected"
                && let Some(declared) = self.declared.get_mut(event.system())
            {
                declared.push(event);
            }
        }
        taken
    }

    /// What is declared of systems of which nothing has come since.
    pub(super) fn end(self) -> Vec<Event> {
        self.declared.into_values().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use keywatch_store::event::Origin;

    use super::*;

    fn event(system: &str, kind: &str, time: i64) -> Event {
        let origin = Origin { system: system.to_owned(), source: "a".to_owned() };
        let mut event = Event::builder(&origin, &format!("{kind} {time}"), kind, Instant(time));
        event.time(Instant(time));
        event.build_own()
    }

    #[test]
    fn what_was_declared_last_stands_before_what_came_since() {
        let activated = |system, time| event(system, "inventory.activated", time);
        let heard = |system, time| event(system, "source.heartbeat", time);
        let mut since = Since::new(Instant(10));
        let expected = |system, time| event(system, "source.expected", time);
        let of_cold = vec![activated("cold", 3), expected("cold", 4)];
        let first = vec![activated("cold", 1), expected("cold", 2), activated("warm", 1), heard("hot", 9)];
        assert!(since.take([first, of_cold.clone()].concat()).is_empty());
        let next = vec![heard("cold", 10), heard("hot", 11), activated("cold", 12), heard("cold", 13)];
        let taken = since.take(next.clone());
        assert_eq!(taken, [of_cold, next].concat());
        assert_eq!(since.end(), [activated("warm", 1)]);
    }
}
