//! What an alert stands on of what chains said, and that all of it was taken back. Data alone: when it was, `on_chain` says, and what
//! follows from it, `retraction`.

use std::collections::BTreeSet;

use keywatch_store::{EventId, Instant};
use serde::{Deserialize, Serialize};

use crate::limits::ALERT_EVENTS_MAX;

/// What the findings of an alert stand on of what chains said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grounds {
    /// Events of blocks.
    events: BTreeSet<EventId>,
    /// One of them stands on something else, or all on more than is remembered: no reorganisation takes that back.
    stands: bool,
    /// All of it was taken back.
    pub unconfirmed: Option<Unconfirmed>,
    /// Log time up to which it is said how it stands.
    pub(crate) settled: Instant,
}

/// All that an alert stands on was taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unconfirmed {
    /// The chain.
    pub chain: String,
    /// Height of the block that was left, the last of them where there are several.
    pub block: u64,
    /// Reorganisations of the chain by then.
    pub epoch: u64,
    /// How many nodes at least said so.
    pub agreed: u64,
    /// How many had to.
    pub quorum: u64,
    /// Log time since which it is.
    pub since: Instant,
    /// What came instead is final.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// keywatch has resolved the alert for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_resolved: bool,
}

impl Grounds {
    /// Events of blocks that it stands on; none where it stands on something else, too.
    pub(crate) fn events(&self) -> &BTreeSet<EventId> {
        &self.events
    }

    /// Takes in what a finding hangs on, as [`crate::AlertRecord::on_chain`] has it. What is found again is confirmed; whether that
    /// opens again what keywatch had resolved.
    pub(crate) fn take_in(&mut self, on_chain: Option<&BTreeSet<EventId>>) -> bool {
        match on_chain {
            // The same once more, or what only waits for its block, says nothing new.
            Some(events) if events.is_subset(&self.events) => return false,
            Some(events) if !self.stands => {
                self.events.extend(events);
                self.stands = self.events.len() > ALERT_EVENTS_MAX;
            }
            Some(_) => {}
            None => self.stands = true,
        }
        if self.stands {
            self.events.clear();
        }
        self.unconfirmed.take().is_some_and(|before| before.is_resolved)
    }

    /// Takes in how it stands from log time `at` on; whether that opens again what keywatch had resolved.
    pub(crate) fn settle(&mut self, at: Instant, unconfirmed: Option<Unconfirmed>) -> bool {
        self.settled = self.settled.max(at);
        let before = std::mem::replace(&mut self.unconfirmed, unconfirmed);
        self.unconfirmed.is_none() && before.is_some_and(|before| before.is_resolved)
    }
}

impl Unconfirmed {
    /// Whether a single node could have said so: then nothing is resolved by it.
    #[must_use]
    pub fn is_one_nodes_word(&self) -> bool {
        self.agreed.min(self.quorum) < 2
    }

    /// It in one sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Unconfirmed { chain, block, epoch, agreed, .. } = self;
        let what = if self.is_final {
            "What it saw is not on the chain, and that is final"
        } else {
            "Unconfirmed: what it saw is no longer on the chain"
        };
        let who =
            if self.is_one_nodes_word() { "one node says so".to_owned() } else { format!("{agreed} nodes say so") };
        format!("{what}: {chain} has left block {block} (reorganisation {epoch}); {who}.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(names: &[&str]) -> BTreeSet<EventId> {
        names.iter().map(|name| EventId::derive("cold", "node", name)).collect()
    }

    fn unconfirmed(agreed: u64, quorum: u64) -> Unconfirmed {
        let (chain, since) = ("local".to_owned(), Instant(1));
        Unconfirmed { chain, block: 12, epoch: 1, agreed, quorum, since, is_final: false, is_resolved: true }
    }

    #[test]
    fn only_what_is_new_confirms_an_alert_again() {
        let mut grounds = Grounds::default();
        assert!(!grounds.take_in(Some(&events(&["a"]))));
        grounds.unconfirmed = Some(unconfirmed(2, 2));
        assert!(!grounds.take_in(Some(&events(&["a"]))) && grounds.unconfirmed.is_some(), "the same was taken back");
        assert!(!grounds.take_in(Some(&events(&[]))) && grounds.unconfirmed.is_some(), "it waits for its block");
        assert!(grounds.take_in(Some(&events(&["b"]))) && grounds.unconfirmed.is_none());
        assert_eq!(grounds.events(), &events(&["a", "b"]));
        assert!(!grounds.take_in(Some(&events(&["c"]))), "nothing was resolved");
    }

    #[test]
    fn what_stands_on_something_else_or_on_very_much_is_taken_back_by_no_reorganisation() {
        let mut grounds = Grounds::default();
        grounds.take_in(Some(&events(&["a"])));
        grounds.take_in(None);
        grounds.take_in(Some(&events(&["b"])));
        assert!(grounds.events().is_empty());
        let mut grounds = Grounds::default();
        for number in 0..=ALERT_EVENTS_MAX {
            assert_eq!(grounds.events().len(), number);
            grounds.take_in(Some(&events(&[&number.to_string()])));
        }
        assert!(grounds.events().is_empty());
    }

    #[test]
    fn it_is_one_nodes_word_unless_several_had_to_agree() {
        let sentence = |agreed, quorum| unconfirmed(agreed, quorum).sentence();
        assert!(sentence(1, 1).contains("(reorganisation 1); one node says so"));
        assert!(sentence(3, 2).contains("local has left block 12 (reorganisation 1); 3 nodes say so"));
        assert!(unconfirmed(3, 1).is_one_nodes_word() && !unconfirmed(2, 2).is_one_nodes_word());
    }
}
