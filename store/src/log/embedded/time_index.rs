//! From which batch on a system's ids are remembered, at a grain of a thousandth of the horizon, so that its memory is
//! bounded however small the batches are.

use std::collections::VecDeque;

use crate::limits::REPEAT_HORIZON_NS;
use crate::log::ids;
use crate::{Instant, Position};

const GRAIN_NS: i64 = REPEAT_HORIZON_NS / 1000;

/// The stretches of a topic that hold one system's remembered ids.
#[derive(Debug, Default)]
pub(super) struct TimeIndex(VecDeque<Stretch>);

#[derive(Debug)]
struct Stretch {
    /// First position of the batch with its first record.
    from: Position,
    since: Instant,
    until: Instant,
}

impl TimeIndex {
    /// Those that were kept.
    pub(super) fn of(kept: &[ids::Stretch]) -> TimeIndex {
        let stretch = |kept: &ids::Stretch| {
            let ids::Stretch { from, since, until } = *kept;
            Stretch { from: Position(from), since: Instant(since), until: Instant(until) }
        };
        TimeIndex(kept.iter().map(stretch).collect())
    }

    /// To be kept.
    pub(super) fn kept(&self) -> Vec<ids::Stretch> {
        let kept = |stretch: &Stretch| {
            let Stretch { from, since, until } = *stretch;
            ids::Stretch { from: from.0, since: since.0, until: until.0 }
        };
        self.0.iter().map(kept).collect()
    }

    /// A record at `time` in the batch that begins at `batch`; in the order of the log.
    pub(super) fn note(&mut self, batch: Position, time: Instant) {
        match self.0.back_mut() {
            Some(last) if time.0.saturating_sub(last.since.0) < GRAIN_NS => last.until = last.until.max(time),
            _ => self.0.push_back(Stretch { from: batch, since: time, until: time }),
        }
    }

    /// Lets go of what is forgotten when the system's time is `now`; the oldest batch still needed.
    pub(super) fn forget(&mut self, now: Instant) -> Option<Position> {
        while self.0.front().is_some_and(|stretch| stretch.until.saturating_add(REPEAT_HORIZON_NS) < now) {
            self.0.pop_front();
        }
        self.0.front().map(|stretch| stretch.from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_batch_needed_follows_the_horizon_and_memory_is_bounded() {
        let mut times = TimeIndex::default();
        let step = GRAIN_NS / 4;
        let mut longest = 0;
        for batch in 0..20_000 {
            let now = Instant(i64::try_from(batch).unwrap() * step);
            times.note(Position(batch), now);
            let needed = times.forget(now).unwrap().0;
            let exact = batch.saturating_sub(4000);
            assert!(needed <= exact && exact - needed <= 4, "{needed} at {batch}");
            longest = longest.max(times.0.len());
        }
        assert!(longest <= 1002, "{longest}");
    }
}
