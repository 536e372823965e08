//! Own responses whose append failed, so that nobody knows whether the log has them. What the log turns out to have is
//! folded where it stands; what it does not have once something later was written never will be there.

use std::collections::HashSet;

use keywatch_store::{Event, EventId, Position};

use crate::limits::RESPONSES_IN_DOUBT_MAX;

/// The responses in doubt.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    ids: HashSet<EventId>,
    /// Where the log ended after the next append that succeeded: those that it has stand before.
    until: Option<Position>,
    /// Records that were seen before these were in doubt, and that were not read again for them yet.
    unread: Option<(Position, Position)>,
}

impl Doubts {
    /// Nobody knows of these any more.
    pub(super) fn add(&mut self, ids: impl IntoIterator<Item = EventId>) {
        for id in ids {
            if self.ids.len() >= RESPONSES_IN_DOUBT_MAX {
                tracing::error!("too many responses are in doubt; the next start sees from the log what it has");
                return;
            }
            self.ids.insert(id);
            self.until = None;
        }
    }

    /// What was seen of the log since then has to be read again: those in doubt were passed over there.
    pub(super) fn passed_over(&mut self, from: Position, to: Position) {
        if from < to {
            let (first, last) = self.unread.unwrap_or((from, to));
            self.unread = Some((first.min(from), last.max(to)));
        }
    }

    /// What has to be read again.
    pub(super) fn unread(&self) -> Option<(Position, Position)> {
        self.unread
    }

    /// That was read again, and what it has is settled.
    pub(super) fn was_read(&mut self, records: (Position, Position)) {
        self.unread = self.unread.filter(|unread| *unread != records);
    }

    /// The log has this one; whether it was in doubt.
    pub(super) fn settle(&mut self, event: &Event) -> bool {
        self.ids.remove(&event.event_id())
    }

    /// An append succeeded, after which the log ends there.
    pub(super) fn wrote(&mut self, written: &[Event], end: Position) {
        if !self.is_empty() {
            for event in written {
                self.ids.remove(&event.event_id());
            }
            self.until.get_or_insert(end);
        }
    }

    /// Everything before `position` was seen.
    pub(super) fn seen(&mut self, position: Position) {
        if self.unread.is_none() && self.until.is_some_and(|until| until <= position) {
            *self = Doubts::default();
        }
    }

    /// Whether it is known of every response whether the log has it.
    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty() && self.unread.is_none()
    }
}

#[cfg(test)]
mod tests {
    use keywatch_store::Instant;
    use keywatch_store::event::Origin;

    use super::*;

    fn response(id: &str) -> Event {
        let origin = Origin { system: "s".to_owned(), source: "keywatch".to_owned() };
        Event::builder(&origin, id, "response.failed", Instant(1)).build_own()
    }

    #[test]
    fn what_the_log_has_is_settled_once_and_what_it_lacks_is_forgotten_behind_a_later_append() {
        let [one, two, three] = ["1", "2", "3"].map(response);
        let mut doubts = Doubts::default();
        doubts.add([&one, &two].map(Event::event_id));
        doubts.seen(Position(9));
        assert!(doubts.settle(&one) && !doubts.settle(&one) && !doubts.settle(&three) && !doubts.is_empty());
        doubts.wrote(std::slice::from_ref(&three), Position(12));
        doubts.seen(Position(11));
        assert!(!doubts.is_empty(), "it may stand in front of what was written then");
        doubts.seen(Position(12));
        assert!(doubts.is_empty());
        doubts.add([two.event_id()]);
        doubts.wrote(&[two], Position(14));
        assert!(doubts.is_empty(), "it was written after all, and is folded by who wrote it");
    }

    #[test]
    fn nothing_is_forgotten_before_what_was_passed_over_is_read_again() {
        let one = response("1");
        let mut doubts = Doubts::default();
        doubts.add([one.event_id()]);
        doubts.passed_over(Position(3), Position(3));
        assert_eq!(doubts.unread(), None);
        doubts.passed_over(Position(3), Position(5));
        doubts.passed_over(Position(4), Position(7));
        assert_eq!(doubts.unread(), Some((Position(3), Position(7))));
        doubts.wrote(&[response("2")], Position(8));
        doubts.seen(Position(9));
        assert!(!doubts.is_empty());
        doubts.was_read((Position(3), Position(5)));
        assert!(doubts.unread().is_some(), "there is more by now");
        assert!(doubts.settle(&one));
        doubts.was_read((Position(3), Position(7)));
        assert!(doubts.is_empty());
    }

    #[test]
    fn p7_no_more_are_remembered_than_the_limit_says() {
        let mut doubts = Doubts::default();
        doubts.add((0..=RESPONSES_IN_DOUBT_MAX).map(|id| response(&id.to_string()).event_id()));
        assert_eq!(doubts.ids.len(), RESPONSES_IN_DOUBT_MAX);
    }
}
