//! Rules that are put into shadow, switched off and on again while keywatch runs: lowered by two people, raised by one. Each is a
//! record before anything follows from it, and everybody who is told of anything is told of what is lowered.

use keywatch_store::{Event, Instant, Topic};

use super::Executor;
use crate::error::Error;
use crate::lifecycle::action::derive_id;
use crate::lifecycle::compromise::problem_of_reason;
use crate::lifecycle::operation;
use crate::lifecycle::switch::{Switch, SwitchRequest};
use crate::lifecycle::switch_findings;

impl Executor {
    /// Asks that a rule is put into shadow or switched off. It waits for a second person.
    ///
    /// # Errors
    /// [`Error::Refused`] with what is wrong, or [`Error::Log`].
    pub async fn lower(&self, request: SwitchRequest, by: &str, now: Instant) -> Result<Switch, Error> {
        let id = derive_id(&["switch", &request.system, &request.rule, by, &now.to_string()]);
        {
            let _turn = self.turn().await?;
            let at = self.shared.alert_log.time_of(&request.system);
            // Log time has not begun where nothing was ever written, and stands still between two records.
            let latest = at.max(now);
            let refuses = || self.with_state(|state| state.switches().refuses(&request, latest));
            if let Some(problem) = request.problem(latest).or_else(refuses) {
                return Err(Error::Refused { problem });
            }
            let switch = Switch { id: id.clone(), request, by: by.to_owned(), at, approved: None, ended: None };
            self.shared.alert_log.append(Topic::Conclusions, vec![operation::switch_asked(&switch, now)])?;
        }
        self.tell_switch(&id).await
    }

    /// A second person agrees; from then on it holds.
    ///
    /// # Errors
    /// [`Error::NoIncident`] where there is none, [`Error::Refused`] where it is not theirs to agree to, or [`Error::Log`].
    pub async fn approve_switch(&self, id: &str, by: &str, now: Instant) -> Result<Switch, Error> {
        {
            let _turn = self.turn().await?;
            let switch = self.switch_of(id)?;
            if self.shared.policy().is_same_person(&switch.by, by) {
                let problem = "this needs two people: another one has to agree".to_owned();
                return Err(Error::Refused { problem });
            }
            if !switch.waits(self.shared.alert_log.time_of(&switch.request.system).max(now)) {
                return Err(Error::Refused { problem: "this waits for nobody".to_owned() });
            }
            let record = operation::about_switch("protection.switch_approved", &switch, by, None, now);
            self.shared.alert_log.append(Topic::Conclusions, vec![record])?;
        }
        self.tell_switch(id).await
    }

    /// Switches a rule on again, at once: ends what holds of it, and what waits for a second person. What the configuration
    /// lowers stays lowered.
    ///
    /// # Errors
    /// [`Error::Refused`] where nothing has switched it, or the reason is missing, or [`Error::Log`].
    pub async fn raise(
        &self,
        (system, rule): (&str, &str),
        by: &str,
        reason: &str,
        now: Instant,
    ) -> Result<Vec<Switch>, Error> {
        let _turn = self.turn().await?;
        // In log time, which says what holds: a clock that is ahead must not keep a rule off.
        let at = self.shared.alert_log.time_of(system);
        let standing: Vec<Switch> = self.with_state(|state| {
            let own = state.switches().iter().filter(|switch| switch.is_of(system, rule));
            own.filter(|switch| switch.waits(at) || switch.is_active(at)).cloned().collect()
        });
        let nothing = || format!("nobody has switched {rule} in {system}: it is as the configuration has it");
        let problem = problem_of_reason(reason).or_else(|| standing.is_empty().then(nothing));
        if let Some(problem) = problem {
            return Err(Error::Refused { problem });
        }
        let record =
            |switch: &Switch| operation::about_switch("protection.switch_ended", switch, by, Some(reason), now);
        let records: Vec<Event> = standing.iter().map(record).collect();
        self.shared.alert_log.append(Topic::Conclusions, records)?;
        standing.iter().map(|switch| self.switch_of(&switch.id)).collect()
    }

    async fn tell_switch(&self, id: &str) -> Result<Switch, Error> {
        let switch = self.switch_of(id)?;
        // Of the step before, people were told.
        if let Some(finding) = switch_findings::about(&switch).last() {
            self.take_own(&finding).await?;
        }
        Ok(switch)
    }

    fn switch_of(&self, id: &str) -> Result<Switch, Error> {
        let found = self.with_state(|state| state.switches().get(id).cloned());
        found.ok_or_else(|| Error::NoIncident { name: id.to_owned() })
    }
}
