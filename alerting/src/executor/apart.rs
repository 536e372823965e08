//! Where finding and responding are done by processes of their own: the one records what it finds and decides nothing, the
//! other decides on what it reads. Both fold what the other concludes.

use keywatch_store::{Finding, Topic};

use super::Executor;
use crate::error::Error;
use crate::lifecycle::record;
use crate::limits::UNPLANNED_MAX;

impl Executor {
    /// Folds all that is concluded by now, also by other processes.
    ///
    /// # Errors
    /// [`Error::Log`] when the log cannot be read, or while an append hangs.
    pub fn follow(&self) -> Result<(), Error> {
        self.shared.alert_log.follow()
    }

    /// Records a finding and leaves what it deserves to another process; whether it was not there before.
    ///
    /// # Errors
    /// [`Error::Log`]; [`Error::NobodyResponds`] where as many findings wait for the other process as are remembered.
    pub async fn record(&self, finding: &Finding) -> Result<bool, Error> {
        let _turn = self.turn().await?;
        self.follow()?;
        let (is_known, is_full) = self.with_state(|state| {
            let is_known = state.is_planned(finding) || state.is_unplanned(finding);
            (is_known, state.unplanned().nth(UNPLANNED_MAX - 1).is_some())
        });
        if is_known {
            return Ok(false);
        }
        if is_full {
            return Err(Error::NobodyResponds { findings: UNPLANNED_MAX });
        }
        self.shared.alert_log.append(Topic::Conclusions, vec![record::finding_created(finding)])?;
        Ok(true)
    }
}
