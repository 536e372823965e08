//! What was told, when it was heard, and the file of it.
//!
//! A source tells an event at its own time; it is heard after the source's usual delay, or at the end of a time in which
//! the source was held up. Lines are written in the order in which they were heard. Log time strictly increases within a
//! system. Within one instant the order is the one of telling.

use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::calendar::{SECOND, rfc3339};
use crate::chance::Chance;
use crate::event::Event;
use crate::names;

const MILLISECOND_NS: i64 = 1_000_000;

/// How a source delivers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Delivery {
    /// Least and most usual delay, milliseconds.
    pub(crate) usual: (i64, i64),
    /// Times in which nothing of it is heard; what was told in them is heard after them.
    pub(crate) held_up: Vec<(i64, i64)>,
}

/// Everything told.
pub(crate) struct Journal {
    chance: Chance,
    systems: Vec<&'static str>,
    deliveries: BTreeMap<(usize, &'static str), Delivery>,
    heard: Vec<Heard>,
}

#[derive(Clone)]
struct Heard {
    at: i64,
    system: usize,
    told: i64,
    id: String,
    body: String,
}

/// An event that stands in the journal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry(usize);

impl Journal {
    /// An empty one.
    pub(crate) fn new(seed: u64, systems: Vec<&'static str>) -> Journal {
        let chance = Chance::of(seed, "journal");
        Journal { chance, systems, deliveries: BTreeMap::new(), heard: Vec::new() }
    }

    /// How a source of a system delivers from now on.
    pub(crate) fn set_delivery(&mut self, system: usize, source: &'static str, delivery: Delivery) {
        self.deliveries.insert((system, source), delivery);
    }

    /// The delivery of a source, to hold it up further.
    pub(crate) fn delivery(&mut self, system: usize, source: &'static str) -> &mut Delivery {
        self.deliveries.entry((system, source)).or_default()
    }

    /// A source tells an event at `at`.
    pub(crate) fn tell(&mut self, system: usize, event: Event, at: i64) -> Entry {
        let heard = self.heard_at(system, event.source, at);
        self.put(system, event, at, heard)
    }

    /// A source tells an event of `at` at last at `later`: by hand, or out of a queue.
    pub(crate) fn tell_late(&mut self, system: usize, event: Event, at: i64, later: i64) -> Entry {
        let heard = self.heard_at(system, event.source, later.max(at));
        self.put(system, event, at, heard)
    }

    /// keywatch's own record, which is heard as it is told.
    pub(crate) fn note(&mut self, system: usize, event: Event, at: i64) {
        self.put(system, event, at, at);
    }

    /// The same event once more, as a source delivers it that had no answer.
    pub(crate) fn tell_again(&mut self, entry: Entry, after: i64) {
        let mut again = self.heard[entry.0].clone();
        again.at += after;
        self.heard.push(again);
    }

    /// An event happens later than was told before, and says other things for it: each text becomes the one beside it.
    pub(crate) fn put_off(&mut self, entry: Entry, by: i64, said: &[(String, String)]) {
        let heard = &mut self.heard[entry.0];
        heard.told += by;
        heard.at += by;
        for (before, after) in said {
            heard.body = heard.body.replace(before.as_str(), after);
        }
    }

    /// Keeps of a system what was heard within a span.
    pub(crate) fn keep(&mut self, system: usize, (from, to): (i64, i64)) {
        self.heard.retain(|heard| heard.system != system || (from..=to).contains(&heard.at));
    }

    /// Events so far.
    pub(crate) fn len(&self) -> usize {
        self.heard.len()
    }

    fn put(&mut self, system: usize, event: Event, told: i64, at: i64) -> Entry {
        let id = names::digits(&mut self.chance, 32);
        self.heard.push(Heard { at, system, told, id, body: event.body() });
        Entry(self.heard.len() - 1)
    }

    fn heard_at(&mut self, system: usize, source: &'static str, told: i64) -> i64 {
        let Some(delivery) = self.deliveries.get(&(system, source)) else { return told };
        let (least, most) = delivery.usual;
        let heard = told + self.chance.between(least, most);
        let held = delivery.held_up.iter().find(|(from, to)| (*from..*to).contains(&heard));
        held.map_or(heard, |(_, to)| to + self.chance.between(SECOND, 90 * SECOND))
    }

    /// Writes the lines.
    ///
    /// # Errors
    /// What writing says.
    pub(crate) fn write(mut self, out: &mut impl Write) -> io::Result<()> {
        self.heard.sort_by_key(|heard| heard.at);
        let mut last = vec![i64::MIN; self.systems.len()];
        for Heard { at, system, told, id, body } in &self.heard {
            let time = (at * MILLISECOND_NS).max(last[*system].saturating_add(1));
            last[*system] = time;
            writeln!(
                out,
                r#"{{"event_id":"{id}","system":"{}","time":"{}","event_time":"{}",{body}}}"#,
                self.systems[*system],
                rfc3339(time),
                rfc3339(told * MILLISECOND_NS)
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_up_is_heard_afterwards_and_log_time_increases() {
        let mut journal = Journal::new(1, vec!["s"]);
        journal.set_delivery(0, "idp", Delivery { usual: (0, 0), held_up: vec![(5_000, 10_000)] });
        journal.tell(0, Event::new("idp", "session.ended"), 6_000);
        let entry = journal.tell(0, Event::new("pdp", "decision"), 7_000);
        journal.tell_again(entry, 0);
        let mut text = Vec::new();
        journal.write(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].contains(r#""time":"1970-01-01T00:00:07Z""#) && lines[0].contains("decision"));
        assert!(lines[1].contains(r#""time":"1970-01-01T00:00:07.000000001Z""#), "{}", lines[1]);
        assert_eq!(lines[0][..46], lines[1][..46], "a repeat has the same id");
        assert!(lines[2].contains(r#""event_time":"1970-01-01T00:00:06Z""#), "{}", lines[2]);
        assert!(!lines[2].contains(r#""time":"1970-01-01T00:00:0"#), "{}", lines[2]);
    }

    #[test]
    fn what_is_put_off_is_told_later_with_what_it_then_says() {
        let mut journal = Journal::new(1, vec!["s"]);
        let entry = journal.tell(0, Event::new("node", "chain.tx").with("nonce", 7), 2_000);
        journal.put_off(entry, 3_000, &[(r#""nonce":7"#.to_owned(), r#""nonce":9"#.to_owned())]);
        let mut text = Vec::new();
        journal.write(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains(r#""event_time":"1970-01-01T00:00:05Z""#) && text.contains(r#"{"nonce":9}"#), "{text}");
    }
}
