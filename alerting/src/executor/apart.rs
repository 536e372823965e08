//! Where finding and responding are done by processes of their own: the one records what it finds and decides nothing, the
//! other decides on what it reads. Both fold what the other concludes.

use keywatch_store::log::kafka::PassedBy;
use keywatch_store::{Finding, Instant, Topic};

use super::Executor;
use crate::error::Error;
use crate::lifecycle::record;
use crate::lifecycle::self_monitoring::{finding_refused, messages_passed_by};
use crate::limits::{FINDING_EARLY_NS_MAX, UNPLANNED_MAX};

/// Whether a finding says that it was decided later than it can have been where log time has come to `known`.
#[must_use]
pub fn is_early(finding: &Finding, known: Instant) -> bool {
    finding.decided > known.saturating_add(FINDING_EARLY_NS_MAX)
}

impl Executor {
    /// Folds all that is concluded by now, also by other processes.
    ///
    /// # Errors
    /// [`Error::Log`] when the log cannot be read, or while an append hangs.
    pub fn follow(&self) -> Result<(), Error> {
        self.shared.alert_log.follow()
    }

    /// Tells people that nothing is done about a finding of another process that [`is_early`], and takes it for done with. `at` has
    /// to be the same at each attempt.
    ///
    /// # Errors
    /// [`Error::Log`].
    pub async fn refuse(&self, finding: &Finding, at: Instant) -> Result<(), Error> {
        tracing::error!(
            system = finding.system,
            rule = finding.rule,
            id = finding.id,
            decided = %finding.decided,
            known = %at,
            "a finding is not evaluated: it says that it was decided later than anything can have been"
        );
        let refused = finding_refused(finding, at, &self.shared.policy().systems);
        self.take_own(&refused).await
    }

    /// The same for what stands in the log when a process starts, by the wall clock: [`Executor::resume`] acts on what is left.
    ///
    /// # Errors
    /// [`Error::Log`].
    pub async fn refuse_early(&self, now: Instant) -> Result<(), Error> {
        let early: Vec<Finding> = self.with_state(|state| {
            let known = |finding: &Finding| self.shared.alert_log.time_of(&finding.system).max(now);
            state.unplanned().filter(|finding| is_early(finding, known(finding))).cloned().collect()
        });
        for finding in &early {
            self.refuse(finding, now).await?;
        }
        Ok(())
    }

    /// Tells people that the log here lacks messages of a later version, once an hour of log time of `system` for each partition
    /// of a topic. Who only finds, and `responds` to nothing, records it for who does.
    ///
    /// # Errors
    /// As [`Executor::record`].
    pub async fn tell_passed_by(
        &self,
        system: &str,
        (role, responds): (&str, bool),
        passed: &PassedBy,
    ) -> Result<(), Error> {
        self.follow()?;
        let finding = messages_passed_by(system, role, passed, self.shared.alert_log.time_of(system));
        let is_told = self.with_state(|state| {
            state.is_planned(&finding) || state.unplanned().any(|unplanned| unplanned.id == finding.id)
        });
        match (is_told, responds) {
            (true, _) => Ok(()),
            (false, true) => self.take_own(&finding).await,
            (false, false) => self.record(&finding).await.map(drop),
        }
    }

    /// Records a finding and leaves what it deserves to another process; whether it was not there before.
    ///
    /// # Errors
    /// [`Error::Log`]; [`Error::NobodyResponds`] where as many findings wait for the other process as are remembered.
    pub async fn record(&self, finding: &Finding) -> Result<bool, Error> {
        let _turn = self.turn().await?;
        self.follow()?;
        if self.is_recorded(finding) {
            return Ok(false);
        }
        let is_full = self.with_state(|state| state.unplanned().nth(UNPLANNED_MAX - 1).is_some());
        if is_full {
            return Err(Error::NobodyResponds { findings: UNPLANNED_MAX });
        }
        let written = self.shared.alert_log.append(Topic::Conclusions, vec![record::finding_created(finding)])?;
        if written.iter().any(|event| event.kind() == "finding.created") {
            return Ok(true);
        }
        // It is a repeat, or its id has a record that says something else: what is told of that is not this finding.
        self.follow()?;
        if !self.is_recorded(finding) {
            let Finding { system, rule, id, .. } = finding;
            tracing::error!(
                system,
                rule,
                id,
                "somebody else has written a finding with the id of this one; it is recorded beside it"
            );
            self.shared.alert_log.append(Topic::Conclusions, vec![record::finding_created_beside(finding)])?;
        }
        Ok(true)
    }

    /// Whether it is in the log, as far as alerting remembers.
    fn is_recorded(&self, finding: &Finding) -> bool {
        self.with_state(|state| state.is_planned(finding) || state.is_unplanned(finding))
    }
}
