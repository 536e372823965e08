//! Alerts whose events were taken back, written down with the record that takes them back: which is told before which hangs on the
//! log and not on how many records are read at once.

use std::collections::BTreeSet;

use keywatch_store::{Event, Instant, Topic};

use super::Executor;
use crate::error::Error;
use crate::lifecycle::on_chain::Change;
use crate::lifecycle::state::AlertState;
use crate::limits::RETRACTIONS_AT_ONCE_MAX;
use crate::policy::plan;

impl Executor {
    /// Writes down which alerts of a system stand on nothing any more by log time `until`, and resolves those that this closes.
    /// A node that takes back very much holds nothing up for long: what is merely noted is written together.
    ///
    /// # Errors
    /// [`Error::Log`].
    pub(super) async fn tell_retracted(&self, system: &str, until: Instant) -> Result<(), Error> {
        let due = self.with_state(|state| state.retractions(system, until));
        let mut left = due.as_slice();
        while let Some((_, change)) = left.first() {
            self.page_waiting(system, change.at).await?;
            let _turn = self.turn().await?;
            let (records, told) = self.with_state(|state| next_records(state, system, left));
            let is_more = records.len() > told;
            self.shared.alert_log.append(Topic::Conclusions, records)?;
            if is_more {
                self.shared.outbox.dispatch();
            }
            left = left.get(told..).unwrap_or_default();
        }
        Ok(())
    }
}

/// The records of the first of these changes, and of those after it that hang on nothing that is written or told with the others; of
/// how many changes they are.
fn next_records(state: &AlertState, system: &str, due: &[(String, Change)]) -> (Vec<Event>, usize) {
    let (mut records, mut alerts) = (Vec::new(), BTreeSet::new());
    for (told, (alert_id, change)) in due.iter().enumerate() {
        let further = state.retraction_records(alert_id, change);
        let stands_alone = further.len() > 1;
        let follows = stands_alone
            || !alerts.insert(alert_id)
            || told >= RETRACTIONS_AT_ONCE_MAX
            || !plan::due(state, system, change.at).is_empty();
        if told > 0 && follows {
            return (records, told);
        }
        records.extend(further);
        if stands_alone {
            return (records, 1);
        }
    }
    (records, due.len())
}
