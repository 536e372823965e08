//! Sign-ins that the log does not take. Who signed in so sees what is shown without a record of it, and does nothing until the
//! sign-in stands in the log; it is written again until it does, also where the session is over by then.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keywatch_store::Instant;
use tokio::time::{sleep, timeout};

use super::Page;
use crate::clock;
use crate::limits::{
    PAGE_SESSIONS_MAX, PAGE_SESSIONS_OF_OPERATOR_MAX, PAGE_SIGN_IN_WRITE_AGAIN_SECONDS, PAGE_SIGN_IN_WRITE_SECONDS_MAX,
};
use crate::service::operators::Operator;

/// How many sign-ins of each operator wait for the log.
#[derive(Default)]
pub(super) struct Unwritten(Mutex<BTreeMap<String, usize>>);

impl Unwritten {
    /// One more of this operator waits; `false` where as many do as may: of one operator, so that nobody keeps others out.
    fn begin(&self, operator: &str) -> bool {
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
    fn end(&self, operator: &str) {
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

/// Writes a sign-in down: whether it stands in the log, now or later on. `None` where it does not and too many wait already.
pub(super) async fn write_down(page: &Arc<Page>, operator: &Operator, way: &'static str) -> Option<Arc<AtomicBool>> {
    let (now, within) = (clock::now(), Duration::from_secs(PAGE_SIGN_IN_WRITE_SECONDS_MAX));
    let written = matches!(timeout(within, page.api.record_sign_in(operator, way, now)).await, Ok(Ok(())));
    if !written {
        tracing::error!(operator = operator.name, way, "a sign-in on the page cannot be written down yet");
        if !page.unwritten.begin(&operator.name) {
            return None;
        }
    }
    let is_written = Arc::new(AtomicBool::new(written));
    if !written {
        tokio::spawn(write_again(Arc::clone(page), operator.clone(), way, now, Arc::clone(&is_written)));
    }
    Some(is_written)
}

/// Writes it again until the log has it, as the same record.
async fn write_again(
    page: Arc<Page>,
    operator: Operator,
    way: &'static str,
    now: Instant,
    is_written: Arc<AtomicBool>,
) {
    loop {
        sleep(Duration::from_secs(PAGE_SIGN_IN_WRITE_AGAIN_SECONDS)).await;
        if page.api.record_sign_in(&operator, way, now).await.is_ok() {
            break;
        }
    }
    is_written.store(true, Ordering::Release);
    page.unwritten.end(&operator.name);
    tracing::info!(operator = operator.name, way, "a sign-in on the page is written down now");
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
