//! How many sign-ins the log has not taken yet, by operator; see [`super::sign_in`].

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::limits::{PAGE_SESSIONS_MAX, PAGE_SESSIONS_OF_OPERATOR_MAX};

/// How many sign-ins of each operator wait for the log.
#[derive(Default)]
pub(super) struct Unwritten(Mutex<BTreeMap<String, usize>>);

impl Unwritten {
    /// One more of this operator waits; `false` where as many do as may: of one operator, so that nobody keeps others out.
    pub(super) fn begin(&self, operator: &str) -> bool {
        let mut waiting = self.lock();
        let has_room = match waiting.get(operator) {
            Some(own) => *own < PAGE_SESSIONS_OF_OPERATOR_MAX,
            None => waiting.len() < PAGE_SESSIONS_MAX / PAGE_SESSIONS_OF_OPERATOR_MAX,
        };
        if has_room {
            *waiting.entry(operator.to_owned()).or_default() += 1;
        }
        has_room
    }

    /// One of this operator stands in the log.
    pub(super) fn end(&self, operator: &str) {
        let mut waiting = self.lock();
        if let Some(own) = waiting.get_mut(operator) {
            *own -= 1;
            if *own == 0 {
                waiting.remove(operator);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p7_sign_ins_that_wait_are_bounded_and_an_operator_keeps_nobody_else_out() {
        let unwritten = Unwritten::default();
        for _ in 0..PAGE_SESSIONS_OF_OPERATOR_MAX {
            assert!(unwritten.begin("mallory"));
        }
        assert!(!unwritten.begin("mallory") && unwritten.begin("ann"));
        unwritten.end("mallory");
        assert!(unwritten.begin("mallory"));
        for other in 0..PAGE_SESSIONS_MAX {
            unwritten.begin(&other.to_string());
        }
        assert!(unwritten.lock().values().sum::<usize>() <= PAGE_SESSIONS_MAX);
        unwritten.end("ann");
        assert!(!unwritten.lock().contains_key("ann"));
    }
}
