//! How often each operator has signed in of late. A sign-in is a record of every system that the operator sees, so that whoever
//! has a token that is right could fill the log with nothing else. Takes the time as an argument.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::limits::{PAGE_SIGN_IN_OPERATORS_MAX, PAGE_SIGN_INS_OF_OPERATOR_MAX, PAGE_SIGN_INS_SECONDS};

/// The time over which they are counted.
const SPAN: Duration = Duration::from_secs(PAGE_SIGN_INS_SECONDS);

/// Sign-ins of each operator.
#[derive(Default)]
pub(super) struct Frequency(Mutex<BTreeMap<String, Counted>>);

/// Those of one since the first that is counted.
#[derive(Clone, Copy)]
struct Counted {
    since: Instant,
    count: usize,
}

impl Counted {
    fn left(&self, now: Instant) -> Duration {
        SPAN.saturating_sub(now.saturating_duration_since(self.since))
    }
}

impl Frequency {
    /// One more sign-in of this operator; otherwise when to come back.
    pub(super) fn signs_in(&self, operator: &str, now: Instant) -> Result<(), Duration> {
        let mut counted = self.lock();
        counted.retain(|_, counted| !counted.left(now).is_zero());
        if counted.len() >= PAGE_SIGN_IN_OPERATORS_MAX && !counted.contains_key(operator) {
            let oldest = counted.iter().min_by_key(|(_, counted)| counted.since).map(|(name, _)| name.clone());
            if let Some(name) = oldest {
                counted.remove(&name);
            }
        }
        let own = counted.entry(operator.to_owned()).or_insert(Counted { since: now, count: 0 });
        if own.count >= PAGE_SIGN_INS_OF_OPERATOR_MAX {
            return Err(own.left(now));
        }
        own.count += 1;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Counted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p7_an_operator_signs_in_so_often_and_keeps_nobody_else_out() {
        let (frequency, begun) = (Frequency::default(), Instant::now());
        for _ in 0..PAGE_SIGN_INS_OF_OPERATOR_MAX {
            assert_eq!(frequency.signs_in("mallory", begun), Ok(()));
        }
        let later = begun + Duration::from_secs(1);
        assert_eq!(frequency.signs_in("mallory", later), Err(SPAN.checked_sub(Duration::from_secs(1)).unwrap()));
        assert_eq!(frequency.signs_in("ann", later), Ok(()));
        assert_eq!(frequency.signs_in("mallory", begun + SPAN), Ok(()));
        for other in 0..2 * PAGE_SIGN_IN_OPERATORS_MAX {
            assert_eq!(frequency.signs_in(&other.to_string(), begun + SPAN), Ok(()));
        }
        assert_eq!(frequency.lock().len(), PAGE_SIGN_IN_OPERATORS_MAX);
    }
}
