//! What comes next: a calendar queue. Time is cut into parts of equal width; the part at hand is a heap, near parts are
//! plain lists, later ones are gathered in a map by part. An entry is pushed in O(1) and sorted among the few hundred of
//! its own part when that part comes; entries of one instant keep the order in which they were pushed.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap};

use crate::limits::AGENDA_PARTS_MAX;

/// Things to do at their times.
#[derive(Debug)]
pub(crate) struct Agenda<T> {
    origin: i64,
    width: i64,
    part: i64,
    at_hand: BinaryHeap<Entry<T>>,
    near: Vec<Vec<Entry<T>>>,
    near_entries: usize,
    later: BTreeMap<i64, Vec<Entry<T>>>,
    pushed: u64,
}

#[derive(Debug)]
struct Entry<T> {
    at: i64,
    order: u64,
    thing: T,
}

impl<T> Agenda<T> {
    /// Nothing to do yet; time begins at `origin` and is cut into parts of `width` nanoseconds.
    pub(crate) fn new(origin: i64, width: i64) -> Agenda<T> {
        let near = std::iter::repeat_with(Vec::new).take(AGENDA_PARTS_MAX).collect();
        let (at_hand, later) = (BinaryHeap::new(), BTreeMap::new());
        Agenda { origin, width, part: 0, at_hand, near, near_entries: 0, later, pushed: 0 }
    }

    /// Puts `thing` down for `at`; what is past comes next.
    pub(crate) fn push(&mut self, at: i64, thing: T) {
        self.pushed += 1;
        let entry = Entry { at, order: self.pushed, thing };
        let part = at.saturating_sub(self.origin).div_euclid(self.width);
        if part <= self.part {
            self.at_hand.push(entry);
        } else if part - self.part < parts(AGENDA_PARTS_MAX) {
            self.near[slot(part)].push(entry);
            self.near_entries += 1;
        } else {
            self.later.entry(part).or_default().push(entry);
        }
    }

    /// What comes next, with its time.
    pub(crate) fn pop(&mut self) -> Option<(i64, T)> {
        while self.at_hand.is_empty() {
            self.part = match (self.near_entries, self.later.first_key_value()) {
                (0, None) => return None,
                (0, Some((part, _))) => *part,
                _ => self.part + 1,
            };
            let near = &mut self.near[slot(self.part)];
            self.near_entries -= near.len();
            self.at_hand.extend(near.drain(..));
            if self.later.first_key_value().is_some_and(|(part, _)| *part == self.part) {
                self.at_hand.extend(self.later.pop_first().into_iter().flat_map(|(_, entries)| entries));
            }
        }
        self.at_hand.pop().map(|entry| (entry.at, entry.thing))
    }
}

fn parts(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn slot(part: i64) -> usize {
    usize::try_from(part.rem_euclid(parts(AGENDA_PARTS_MAX))).unwrap_or_default()
}

impl<T> Ord for Entry<T> {
    /// Reversed, since the heap gives its greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Entry<T> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Chance;

    #[test]
    fn everything_comes_in_order_of_time_and_then_of_pushing() {
        let mut chance = Chance::seeded(3);
        let mut agenda = Agenda::new(0, 7);
        for number in 0..500_u64 {
            agenda.push(i64::try_from(chance.below(60_000)).unwrap(), number);
        }
        let (mut popped, mut before) = (0, (0, 0));
        while let Some((at, number)) = agenda.pop() {
            assert!((at, number) >= before, "{number} at {at} after {before:?}");
            (popped, before) = (popped + 1, (at, number));
            if popped < 2_000 {
                agenda.push(at + i64::try_from(chance.below(40_000)).unwrap(), 500 + popped);
            }
        }
        assert_eq!(popped, 2_499);
    }
}
