//! How many keys matter, counted so that the number depends on the log alone: by spans of log time in which keys had
//! their last row, not by what happens to be freed already.

use std::collections::BTreeMap;

/// Spans that the reach of the frames is cut into.
const SPANS: i64 = 32;

/// The count of one ring.
#[derive(Debug)]
pub(super) struct KeyCount {
    reach_ns: Option<i64>,
    /// A span is 2 to this many nanoseconds.
    span_shift: u32,
    lanes: Vec<Lane>,
}

#[derive(Debug, Default)]
struct Lane {
    living: usize,
    /// Keys whose last row is in a span, by the number of the span.
    last_in: BTreeMap<i64, usize>,
    /// Spans before this one are out of reach.
    first_span: Option<i64>,
}

impl Default for KeyCount {
    fn default() -> Self {
        KeyCount::new(None)
    }
}

impl KeyCount {
    pub(super) fn new(reach_ns: Option<i64>) -> KeyCount {
        let span = reach_ns.unwrap_or(i64::MAX).max(SPANS) / SPANS;
        KeyCount { reach_ns, span_shift: span.ilog2(), lanes: Vec::new() }
    }

    /// A key has a row at `time`; `before` is the time of its last one, if it is remembered.
    pub(super) fn count(&mut self, lane: u32, before: Option<i64>, time: i64) {
        let index = lane as usize;
        if self.lanes.len() <= index {
            self.lanes.resize_with(index + 1, Lane::default);
        }
        let (now, shift) = (time >> self.span_shift, self.span_shift);
        // It is counted in that span already, unless the span is gone.
        let is_gone = self.lanes[index].first_span.is_some_and(|first| now < first);
        if before.is_some_and(|before| before >> shift == now && !is_gone) {
            return;
        }
        if let Some(before) = before {
            self.forget(lane, before);
        }
        let lane = &mut self.lanes[index];
        lane.living += 1;
        let keys = lane.last_in.entry(now).or_insert(0);
        *keys += 1;
        if *keys == 1 {
            self.expire(index, time);
        }
    }

    /// A key whose last row was at `last` is no more.
    pub(super) fn forget(&mut self, lane: u32, last: i64) {
        let span = last >> self.span_shift;
        let lane = &mut self.lanes[lane as usize];
        // A span that is gone has been taken off already.
        if let Some(keys) = lane.last_in.get_mut(&span) {
            *keys -= 1;
            lane.living -= 1;
            if *keys == 0 {
                lane.last_in.remove(&span);
            }
        }
    }

    /// Keys with a row in reach of `time`, and at most a span before.
    pub(super) fn living(&mut self, lane: u32, time: i64) -> usize {
        self.expire(lane as usize, time);
        self.lanes.get(lane as usize).map_or(0, |lane| lane.living)
    }

    /// Keys of the lane that has most of them, and perhaps some that are out of reach already.
    pub(super) fn most(&self) -> usize {
        self.lanes.iter().map(|lane| lane.living).max().unwrap_or(0)
    }

    /// No row of a lane comes any more before `time`: takes the spans off that are out of its reach.
    pub(super) fn expire(&mut self, lane: usize, time: i64) {
        let (Some(reach_ns), Some(lane)) = (self.reach_ns, self.lanes.get_mut(lane)) else { return };
        let first = time.saturating_sub(reach_ns) >> self.span_shift;
        while let Some(entry) = lane.last_in.first_entry().filter(|entry| *entry.key() < first) {
            lane.living -= entry.remove();
        }
        lane.first_span = lane.first_span.max(Some(first));
    }

    /// Whether a key whose last row was at `last` is counted no more. Only then may it be freed: a key that comes again
    /// counts once whether it has been freed or not.
    pub(super) fn is_gone(&self, lane: u32, last: i64) -> bool {
        let first = self.lanes.get(lane as usize).and_then(|lane| lane.first_span);
        first.is_some_and(|first| last >> self.span_shift < first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_counted_once_and_until_they_are_out_of_reach() {
        let mut key_count = KeyCount::new(Some(3_200));
        key_count.count(0, None, 10_000);
        key_count.count(0, None, 10_050);
        key_count.count(0, Some(10_000), 11_000);
        key_count.count(1, None, 11_000);
        assert_eq!((key_count.living(0, 11_000), key_count.most()), (2, 2), "of one lane, not of all");
        assert_eq!(key_count.living(0, 13_500), 1, "the second is out of reach");
        key_count.count(0, Some(10_050), 13_600);
        assert_eq!(key_count.living(0, 13_600), 2, "and comes again");
        key_count.forget(0, 13_600);
        assert_eq!((key_count.living(0, 13_600), key_count.living(1, 13_600), key_count.living(2, 0)), (1, 1, 0));
    }
}
