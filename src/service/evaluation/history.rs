//! What a start has to know of the log beside windows and alerts: which inventory is activated in each system, and which
//! findings were acted upon.

use std::collections::{BTreeMap, HashSet, VecDeque};

use keywatch_detectors::Decided;
use keywatch_store::{Event, Finding, Instant, Position, Topic};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::limits::KNOWN_FINDINGS_MAX;
use crate::service::evaluation::system_records::digest;

/// What was learned of the log.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// The digest of each system's last activation.
    pub(crate) activations: BTreeMap<String, String>,
    /// Findings that were acted upon.
    pub(crate) known: KnownFindings,
}

impl History {
    /// Where the findings of all records before `position` were acted upon; the log since then is still to be learned.
    pub(crate) fn since(position: Position, activations: BTreeMap<String, String>) -> History {
        History { activations, known: KnownFindings { settled: position, ..KnownFindings::default() } }
    }

    /// Learns from a record, in the order of its topic.
    pub(crate) fn learn(&mut self, topic: Topic, event: &Event) {
        match (topic, event.kind()) {
            (Topic::Events, "inventory.activated") => self.activated(event),
            (Topic::Conclusions, "finding.created") => {
                if let Ok(created) = Created::deserialize(event.detail().value()) {
                    self.known.learn(&created, event.system());
                }
            }
            _ => {}
        }
    }

    fn activated(&mut self, event: &Event) {
        self.activations.insert(event.system().to_owned(), digest(event));
    }
}

/// What is learned of a `finding.created` record.
#[derive(Deserialize)]
struct Created {
    id: String,
    decided: Instant,
}

/// Findings that were acted upon by an earlier run: all of a record before a position, and those that the conclusions topic
/// holds since then. Of more than it can hold it keeps the last; what was settled before those counts as known.
#[derive(Debug, Default)]
pub(crate) struct KnownFindings {
    /// Findings of the records before it are known.
    settled: Position,
    keys: HashSet<u128>,
    /// Their keys in the order of the log, with the number of the system and when they were decided.
    order: VecDeque<(usize, Instant, u128)>,
    systems: Vec<String>,
    /// By system, until when findings are known.
    settled_until: BTreeMap<String, Instant>,
}

impl KnownFindings {
    fn learn(&mut self, created: &Created, system: &str) {
        let key = key(&created.id);
        if !self.keys.insert(key) {
            return;
        }
        let number = self.systems.iter().position(|known| known == system).unwrap_or_else(|| {
            self.systems.push(system.to_owned());
            self.systems.len() - 1
        });
        self.order.push_back((number, created.decided, key));
        if self.order.len() > KNOWN_FINDINGS_MAX
            && let Some((number, decided, oldest)) = self.order.pop_front()
        {
            self.keys.remove(&oldest);
            let until = self.settled_until.entry(self.systems[number].clone()).or_default();
            *until = decided.max(*until);
        }
    }

    /// Whether a finding that was decided now was acted upon before; it is not decided a second time.
    pub(crate) fn take(&mut self, decided: &Decided) -> bool {
        let Decided { finding, position, .. } = decided;
        *position < self.settled || self.keys.remove(&key(&finding.id)) || self.is_settled(finding)
    }

    fn is_settled(&self, finding: &Finding) -> bool {
        self.settled_until.get(&finding.system).is_some_and(|until| finding.decided <= *until)
    }

    /// Forgets all: nothing that was acted upon comes again.
    pub(crate) fn clear(&mut self) {
        *self = KnownFindings { settled: self.settled, ..KnownFindings::default() };
    }
}

/// The 128 bits that the id of a finding is.
fn key(finding_id: &str) -> u128 {
    u128::from_str_radix(finding_id, 16).unwrap_or_else(|_| {
        let digest: [u8; 32] = Sha256::digest(finding_id.as_bytes()).into();
        u128::from_be_bytes(*digest.first_chunk().expect("a digest has more than 16 bytes"))
    })
}

#[cfg(test)]
mod tests {
    use keywatch_store::event::Origin;
    use keywatch_store::{EventId, Severity};
    use serde_json::json;

    use super::*;

    fn created(system: &str, number: usize) -> Event {
        let origin = Origin { system: system.to_owned(), source: "keywatch".to_owned() };
        let decided = Instant(i64::try_from(number).unwrap());
        let mut event = Event::builder(&origin, &number.to_string(), "finding.created", decided);
        event.detail(&json!({ "id": format!("{number:032x}"), "decided": decided })).build_own()
    }

    fn history(system: &str, numbers: std::ops::Range<usize>) -> History {
        let mut history = History::since(Position(10), BTreeMap::new());
        numbers.for_each(|number| history.learn(Topic::Conclusions, &created(system, number)));
        history
    }

    fn is_known(history: &mut History, system: &str, number: usize, position: u64) -> bool {
        let anchor = EventId::derive(system, "safe", "1");
        let decided = Instant(i64::try_from(number).unwrap());
        let about = Finding::about("t/rule", Severity::Low, system, "e", anchor, decided);
        let finding = Finding { id: format!("{number:032x}"), source: "safe".into(), ..about };
        history.known.take(&Decided { position: Position(position), finding })
    }

    #[test]
    fn what_a_snapshot_covers_and_what_was_written_since_is_known_once() {
        let mut history = history("cold", 0..3);
        assert!(is_known(&mut history, "cold", 77, 9), "of a record before the snapshot");
        assert!(!is_known(&mut history, "cold", 77, 10));
        assert!(is_known(&mut history, "cold", 1, 12));
        assert!(!is_known(&mut history, "cold", 1, 12), "it does not come again");
        history.known.clear();
        assert!(!is_known(&mut history, "cold", 2, 12) && is_known(&mut history, "cold", 2, 9));
    }

    #[test]
    fn p7_of_more_findings_than_are_held_the_oldest_count_as_known_by_their_time() {
        let more = KNOWN_FINDINGS_MAX + 5;
        let mut history = history("cold", 0..more);
        assert_eq!(history.known.keys.len(), KNOWN_FINDINGS_MAX);
        assert!((0..more).all(|number| is_known(&mut history, "cold", number, 12)));
        assert!(!is_known(&mut history, "cold", more, 12));
        assert!(!is_known(&mut history, "warm", 0, 12), "another system has a time of its own");
    }
}
