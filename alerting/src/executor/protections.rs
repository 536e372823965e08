//! What a start of keywatch lets the rules do: written down where it is not as before, and told where it is less; and
//! inventories that protect less than the ones before.

use std::collections::BTreeMap;

use keywatch_store::{Event, Finding, Instant, Topic};

use super::Executor;
use crate::error::Error;
use crate::lifecycle::protection::Protection;
use crate::limits::SILENCE_UNTOLD_NS;

impl Executor {
    /// Writes down how each system is configured, where the log does not say so, and which is there no more, and tells of what
    /// is less than before. Whoever is told of anything is told of it.
    ///
    /// # Errors
    /// [`Error::Log`].
    pub async fn configured(&self, systems: &BTreeMap<String, Protection>, now: Instant) -> Result<(), Error> {
        let gone = Protection::gone();
        {
            let _turn = self.turn().await?;
            let records: Vec<Event> = self.with_state(|state| {
                let known = state.protections();
                let missing = known.systems().filter(|system| !systems.contains_key(*system));
                let declared = systems.iter().map(|(system, protection)| (system.as_str(), protection));
                let all = declared.chain(missing.map(|system| (system, &gone)));
                all.filter_map(|(system, protection)| known.record(system, protection, now)).collect()
            });
            self.shared.alert_log.append(Topic::Conclusions, records)?;
        }
        let untold = self.with_state(|state| {
            let findings = state.protections().findings().filter(|finding| self.is_recent(finding));
            findings.filter(|finding| !state.is_planned(finding)).collect::<Vec<_>>()
        });
        self.tell_all(&untold).await
    }

    /// Tells of declarations that protect less than the ones before, as far as nobody was told. Call it once an
    /// `inventory.activated` was observed. Whoever is told of anything is told of it.
    ///
    /// # Errors
    /// [`Error::Log`].
    pub async fn declared(&self) -> Result<(), Error> {
        let untold = self.with_state(|state| {
            let findings = state.declarations().findings().filter(|finding| self.is_recent(finding));
            findings.filter(|finding| !state.is_planned(finding)).collect::<Vec<_>>()
        });
        self.tell_all(&untold).await
    }

    /// Whether it is known if the finding was told: what was told of older ones is no longer known.
    pub(super) fn is_recent(&self, finding: &Finding) -> bool {
        finding.decided.saturating_add(SILENCE_UNTOLD_NS) >= self.shared.alert_log.time_of(&finding.system)
    }

    async fn tell_all(&self, untold: &[Finding]) -> Result<(), Error> {
        for finding in untold {
            self.take_own(finding).await?;
        }
        Ok(())
    }
}
