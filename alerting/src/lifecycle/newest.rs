//! The newest of what is remembered under ids, so that what is known of a log time hangs on the records up to it alone, and not on
//! how many more are folded by the time it is asked.

use std::collections::{BTreeMap, VecDeque};

use keywatch_store::{EventId, Instant};
use serde::{Deserialize, Serialize};

use crate::lifecycle::pairs;

/// At each log time, what came with the last `MAX` records by then. As much again is kept beyond that: so the answer about a log
/// time is the same until `MAX` further records are folded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "T: Serialize", deserialize = "T: Deserialize<'de>"))]
pub(crate) struct Newest<T, const MAX: usize> {
    /// Each with its number.
    #[serde(with = "pairs")]
    by_id: BTreeMap<EventId, (usize, T)>,
    /// Log time and id by number, in the order of the log; the first has the number `gone`.
    order: VecDeque<(Instant, EventId)>,
    gone: usize,
}

impl<T, const MAX: usize> Default for Newest<T, MAX> {
    fn default() -> Self {
        Newest { by_id: BTreeMap::new(), order: VecDeque::new(), gone: 0 }
    }
}

impl<T, const MAX: usize> Newest<T, MAX> {
    /// Takes in what came at log time `at`, which is after all that came before. What is kept under the id already stays.
    pub(crate) fn put(&mut self, id: EventId, at: Instant, one: T) {
        if self.by_id.contains_key(&id) {
            return;
        }
        self.by_id.insert(id, (self.gone + self.order.len(), one));
        self.order.push_back((at, id));
        if self.order.len() <= MAX.saturating_mul(2) {
            return;
        }
        if let Some((_, oldest)) = self.order.pop_front() {
            // It may have left and come again.
            if self.by_id.get(&oldest).is_some_and(|(number, _)| *number == self.gone) {
                self.by_id.remove(&oldest);
            }
            self.gone += 1;
        }
    }

    /// What is remembered under an id at log time `at`; it may have come later.
    pub(crate) fn get(&self, id: &EventId, at: Instant) -> Option<&T> {
        let (number, one) = self.by_id.get(id)?;
        (number + MAX >= self.came_by(at)).then_some(one)
    }

    /// What is kept under an id, whether or not it is remembered at some log time.
    pub(crate) fn kept(&self, id: &EventId) -> Option<&T> {
        self.by_id.get(id).map(|(_, one)| one)
    }

    /// All that is remembered at log time `at`, to be changed by what came then.
    pub(crate) fn each_mut(&mut self, at: Instant) -> impl Iterator<Item = &mut T> {
        let came = self.came_by(at);
        self.by_id.values_mut().filter(move |(number, _)| number + MAX >= came).map(|(_, one)| one)
    }

    /// Whether nothing is kept.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Keeps that alone.
    pub(crate) fn retain(&mut self, stays: impl Fn(&T) -> bool) {
        self.by_id.retain(|_, (_, one)| stays(one));
    }

    /// How many have come by log time `at`.
    fn came_by(&self, at: Instant) -> usize {
        self.gone + self.order.partition_point(|(came, _)| *came <= at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 8;

    fn id(number: i64) -> EventId {
        EventId::derive("cold", "node", &number.to_string())
    }

    /// Which are remembered at `at` once all up to `folded` are folded.
    fn remembered(folded: i64, at: i64) -> Vec<i64> {
        let mut all = Newest::<i64, MAX>::default();
        for number in 0..=folded {
            all.put(id(number), Instant(number), number);
            all.put(id(number), Instant(number), -1);
        }
        assert!(all.by_id.len() <= 2 * MAX && all.order.len() <= 2 * MAX);
        (0..=at).filter(|number| all.get(&id(*number), Instant(at)) == Some(number)).collect()
    }

    #[test]
    fn what_is_remembered_of_a_log_time_is_the_same_however_far_the_fold_is() {
        for at in 0..60 {
            let first = (at - 7).max(0);
            for ahead in 0..8 {
                assert_eq!(remembered(at + ahead, at), (first..=at).collect::<Vec<_>>(), "{at}, {ahead} further ones");
            }
        }
    }

    #[test]
    fn what_left_and_came_again_is_the_newest() {
        let mut all = Newest::<i64, MAX>::default();
        all.put(id(0), Instant(0), 0);
        all.retain(|_| false);
        assert!(all.is_empty());
        for number in 1..=2 * 8 {
            all.put(id(number % 16), Instant(number), number);
        }
        assert_eq!((all.get(&id(0), Instant(16)), all.kept(&id(0))), (Some(&16), Some(&16)));
        assert!(all.get(&id(1), Instant(16)).is_none() && all.get(&id(1), Instant(8)).is_some());
        let text = serde_json::to_string(&all).unwrap();
        assert_eq!(serde_json::from_str::<Newest<i64, MAX>>(&text).unwrap(), all);
    }
}
