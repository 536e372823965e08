//! Alerts whose events were taken back, written down with the record that takes them back: which is told before which hangs on the
//! log and not on how many records are read at once.

use keywatch_store::{Event, Instant, Topic};

use super::Executor;
use crate::error::Error;

impl Executor {
    /// Writes down which alerts of a system stand on nothing any more by log time `until`, and resolves those that this closes.
    ///
    /// # Errors
    /// [`Error::Log`].
    pub(super) async fn tell_retracted(&self, system: &str, until: Instant) -> Result<(), Error> {
        let due = self.with_state(|state| state.retractions(system, until));
        for (alert_id, change) in due {
            self.page_waiting(system, change.at).await?;
            let _turn = self.turn().await?;
            let records: Vec<Event> = self.with_state(|state| state.retraction_records(&alert_id, &change));
            let written = self.shared.alert_log.append(Topic::Conclusions, records)?;
            if written.len() > 1 {
                self.shared.outbox.dispatch();
            }
        }
        Ok(())
    }
}
