//! Whether the rules have fallen behind the log since they had caught up with it: then nobody should count on them, and `/readyz`
//! says so. Told beside what evaluates, since that may hang in one step.
//!
//! They are behind from five minutes on, and no more once it is less than one: a burst of records is no reason to be taken out of
//! service, and what swings around one bound would be in and out. It knows neither log nor engine.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keywatch_store::Instant;
use tokio::time::{MissedTickBehavior, interval};

use crate::clock;
use crate::limits::{RULES_BEHIND_SECONDS, RULES_BEHIND_SECONDS_OVER, TICK_SECONDS};
use crate::service::readiness::Readiness;

/// The part of `/readyz`.
const LAG: &str = "lag";

/// How far the rules are.
#[derive(Default)]
pub(super) struct Lag(Mutex<State>);

#[derive(Default)]
struct State {
    /// Whether they have caught up since the start; how far they are until then is told otherwise.
    is_live: bool,
    /// From when what they have not seen is; `None` where they have seen all.
    waiting_since: Option<Instant>,
    is_behind: bool,
}

impl Lag {
    /// What may have come since they had seen all is looked at.
    pub(super) fn begin(&self, now: Instant) {
        self.lock().waiting_since.get_or_insert(now);
    }

    /// They have seen everything up to that log time, and there may be more.
    pub(super) fn reached(&self, time: Instant) {
        // Nothing was read since the start: what another process finds may come first.
        if time > Instant::UNASSIGNED {
            self.lock().waiting_since = Some(time);
        }
    }

    /// They have seen everything.
    pub(super) fn caught_up(&self) {
        let mut state = self.lock();
        (state.is_live, state.waiting_since) = (true, None);
    }

    /// That they are behind.
    fn obstacle(&self, now: Instant) -> Option<String> {
        let mut state = self.lock();
        let seconds = state.waiting_since.map_or(0, |since| now.unix_seconds().saturating_sub(since.unix_seconds()));
        let bound = if state.is_behind { RULES_BEHIND_SECONDS_OVER } else { RULES_BEHIND_SECONDS };
        state.is_behind = state.is_live && seconds >= bound;
        state.is_behind.then(|| format!("the rules are {seconds} s behind the log"))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says every second whether they are.
pub(super) async fn watch(lag: Arc<Lag>, readiness: Arc<Readiness>) -> anyhow::Result<()> {
    let mut seconds = interval(Duration::from_secs(TICK_SECONDS));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut was_behind = false;
    loop {
        seconds.tick().await;
        let obstacle = lag.obstacle(clock::now());
        if obstacle.is_some() != was_behind {
            was_behind = obstacle.is_some();
            let said = obstacle.as_deref().unwrap_or("the rules have caught up with the log");
            tracing::warn!("{said}");
        }
        match obstacle {
            Some(why) => readiness.obstruct(LAG, why),
            None => readiness.clear(LAG),
        }
    }
}

#[cfg(test)]
mod tests {
    use keywatch_store::time::SECOND_NS;

    use super::*;

    fn at(second: i64) -> Instant {
        Instant(second * SECOND_NS)
    }

    #[test]
    fn rules_that_fall_behind_are_not_ready_until_they_are_near_again() {
        let lag = Lag::default();
        lag.caught_up();
        lag.begin(at(1_000));
        let is_behind = |second| lag.obstacle(at(second)).is_some();
        assert!(!is_behind(1_000 + RULES_BEHIND_SECONDS - 1));
        assert!(is_behind(1_000 + RULES_BEHIND_SECONDS), "also in one step that hangs");
        let expected = format!("the rules are {RULES_BEHIND_SECONDS} s behind the log");
        assert_eq!(lag.obstacle(at(1_000 + RULES_BEHIND_SECONDS)), Some(expected));
        // One bound would say and unsay it.
        lag.reached(at(1_100));
        lag.begin(at(9_999));
        assert!(is_behind(1_100 + RULES_BEHIND_SECONDS - 1));
        assert!(!is_behind(1_100 + RULES_BEHIND_SECONDS_OVER - 1));
        assert!(!is_behind(1_100 + RULES_BEHIND_SECONDS - 1));
        assert!(is_behind(1_100 + RULES_BEHIND_SECONDS));
        lag.caught_up();
        assert!(!is_behind(99_999), "nothing waits");
    }

    #[test]
    fn a_start_tells_itself_how_far_it_is() {
        let lag = Lag::default();
        lag.begin(at(0));
        lag.reached(at(1));
        assert_eq!(lag.obstacle(at(99_999)), None);
    }

    #[test]
    fn a_step_without_a_record_says_nothing_of_how_far_they_are() {
        let lag = Lag::default();
        lag.caught_up();
        lag.begin(at(1_000_000));
        lag.reached(Instant::UNASSIGNED);
        assert_eq!(lag.obstacle(at(1_000_001)), None);
    }
}
