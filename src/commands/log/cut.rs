//! Logs whose beginning is kept no more: what says so in a copy, so that nobody takes it for a whole one. Knows no log.

use std::collections::BTreeSet;
use std::fmt;

use keywatch_store::event::Origin;
use keywatch_store::log::kafka::partition_of;
use keywatch_store::{Event, Instant, Topic};
use serde_json::json;

/// The source under which keywatch's own records stand.
const SOURCE: &str = "keywatch";

/// Where a topic, or a partition of it, begins because what stood before is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// Number of the partition, and how many there are, where the log is on Kafka.
    pub(super) partition: Option<(u32, u32)>,
    /// Position of the first record that is kept; in Kafka offset of the first message.
    pub(super) to: u64,
}

impl Cut {
    /// Whether records of that system are missing for all that is known.
    fn concerns(&self, system: &str) -> bool {
        self.partition.is_none_or(|(number, of)| partition_of(system, of) == number)
    }

    fn cause(&self) -> String {
        match self.partition {
            None => "what was older than the log keeps was deleted before the log was copied".to_owned(),
            Some((number, _)) => format!(
                "brokers had deleted what was older than they keep before the log was copied; positions are offsets of \
                 partition {number}, records are messages"
            ),
        }
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to = self.to;
        match self.partition {
            None => write!(f, "starts at position {to}: what stood before is kept no more"),
            Some((number, _)) => {
                write!(f, "of partition {number} start at offset {to}: what stood before is kept no more")
            }
        }
    }
}

/// Writes a `source.gap` before the first record of each system of which records are missing.
#[derive(Debug)]
pub(super) struct Gaps {
    topic: Topic,
    cuts: Vec<Cut>,
    /// Who copies all the same.
    by: String,
    told: BTreeSet<String>,
    /// Of the conclusions: they are told in the events.
    concluded: Vec<Event>,
}

impl Gaps {
    /// Of a topic with these cuts, which that person accepts.
    pub(super) fn new(topic: Topic, cuts: Vec<Cut>, by: &str) -> Gaps {
        Gaps { topic, cuts, by: by.to_owned(), told: BTreeSet::new(), concluded: Vec::new() }
    }

    /// The next records, with what is to stand before them.
    pub(super) fn take(&mut self, events: Vec<Event>) -> Vec<Event> {
        if self.cuts.is_empty() {
            return events;
        }
        let mut taken = Vec::with_capacity(events.len());
        for event in events {
            if !self.told.contains(event.system()) {
                self.told.insert(event.system().to_owned());
                let gap = self.cuts.iter().find(|cut| cut.concerns(event.system())).map(|cut| self.gap(cut, &event));
                match self.topic {
                    Topic::Events => taken.extend(gap),
                    Topic::Conclusions => self.concluded.extend(gap),
                }
            }
            taken.push(event);
        }
        taken
    }

    /// What is to stand behind the events about missing conclusions.
    pub(super) fn end(self) -> Vec<Event> {
        self.concluded
    }

    /// The same for each copy of the same log.
    fn gap(&self, cut: &Cut, first: &Event) -> Event {
        let origin = Origin { system: first.system().to_owned(), source: SOURCE.to_owned() };
        let time: Instant = first.time().saturating_add(-1);
        let partition = cut.partition.map_or_else(String::new, |(number, of)| format!("{number} of {of}"));
        let id = format!("cut/{}/{partition}/{}/{}", self.topic.name(), cut.to, first.time());
        let mut event = Event::builder(&origin, &id, "source.gap", time);
        event.time(time).actor(&self.by).reason("the log was copied from where it begins");
        event.detail(&json!({
            "topic": self.topic.name(),
            "from_position": 0,
            "to_position": cut.to,
            "records": cut.to,
            "from_time": null,
            "to_time": first.time().to_string(),
            "cause": cut.cause(),
            "accepted_by": self.by,
        }));
        event.build_own()
    }
}

/// Whether the record says that records of the log are missing.
pub(super) fn is_gap(event: &Event) -> bool {
    event.kind() == "source.gap" && event.source() == SOURCE && event.detail().value()["missing"].is_null()
}

/// What such a record says.
pub(super) fn said(gap: &Event) -> String {
    let detail = gap.detail().value();
    let text = |name: &str| detail[name].as_str().unwrap_or("the beginning").to_owned();
    format!(
        "{}: {} records of the {} topic are missing, from {} to {}, and {} went on without them: {}",
        gap.system(),
        detail["records"],
        text("topic"),
        text("from_time"),
        text("to_time"),
        text("accepted_by"),
        text("cause")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(system: &str, time: i64) -> Event {
        let origin = Origin { system: system.to_owned(), source: "a".to_owned() };
        let mut event = Event::builder(&origin, &time.to_string(), "source.heartbeat", Instant(time));
        event.time(Instant(time));
        event.build_own()
    }

    #[test]
    fn before_the_first_record_of_each_system_it_stands_that_earlier_ones_are_missing() {
        let cut = Cut { partition: None, to: 7 };
        let mut gaps = Gaps::new(Topic::Events, vec![cut], "ann");
        let first = gaps.take(vec![event("cold", 10), event("warm", 11), event("cold", 12)]);
        let next = gaps.take(vec![event("warm", 13), event("hot", 14)]);
        let seen: Vec<(&str, i64, bool)> =
            first.iter().chain(&next).map(|event| (event.system(), event.time().0, is_gap(event))).collect();
        let expected = [
            ("cold", 9, true),
            ("cold", 10, false),
            ("warm", 10, true),
            ("warm", 11, false),
            ("cold", 12, false),
            ("warm", 13, false),
            ("hot", 13, true),
            ("hot", 14, false),
        ];
        assert_eq!(seen, expected);
        let said = said(&first[0]);
        assert!(said.starts_with("cold: 7 records of the events topic are missing, from the beginning to"), "{said}");
        assert!(said.contains("ann went on"), "{said}");
        assert!(gaps.end().is_empty());
    }

    #[test]
    fn only_systems_of_a_partition_that_is_cut_lack_records_and_conclusions_are_told_apart() {
        let systems = ["cold", "warm"];
        assert_eq!(systems.map(|system| partition_of(system, 2)), [0, 1]);
        let mut gaps = Gaps::new(Topic::Conclusions, vec![Cut { partition: Some((1, 2)), to: 3 }], "ann");
        let events = systems.map(|system| event(system, 5)).to_vec();
        assert_eq!(gaps.take(events.clone()), events);
        let told = gaps.end();
        assert_eq!(told.iter().map(Event::system).collect::<Vec<_>>(), ["warm"]);
        assert_eq!(told[0].detail().value()["topic"], "conclusions");
        let mut whole = Gaps::new(Topic::Events, Vec::new(), "");
        assert_eq!(whole.take(events.clone()), events);
    }
}
