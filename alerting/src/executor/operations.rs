//! What operators do, performed: checked against the state, written to the log, and only then answered.

use keywatch_store::{Event, Instant, Topic};

use super::Executor;
use crate::error::Error;
use crate::lifecycle::action::derive_id;
use crate::lifecycle::allowance::{self, AllowanceRequest};
use crate::lifecycle::handling::{Act, Status, Verdict};
use crate::lifecycle::incident::Incident;
use crate::lifecycle::operation::{self, Operation};
use crate::lifecycle::self_monitoring::silenced;
use crate::lifecycle::silence::{Allowed, Silence, SilenceRequest};
use crate::policy::plan;

/// What came of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operated {
    /// The incident that it is about.
    pub incident: String,
    /// Whether it changed anything; a repetition does not.
    pub changed: bool,
}

impl Executor {
    /// Does what an operator wants to an incident, or to the incident of an alert; `name` is the id of either. `now` is
    /// the wall clock's.
    ///
    /// # Errors
    /// [`Error::NoIncident`], [`Error::Refused`] with what to do instead, or [`Error::Log`]; then nothing has changed.
    pub async fn operate(
        &self,
        name: &str,
        by: &str,
        key: Option<String>,
        act: Act,
        now: Instant,
    ) -> Result<Operated, Error> {
        let _turn = self.turn().await?;
        let (operation, system, number) = {
            let state = self.shared.alert_log.state();
            let incident = state.incident_of(name).ok_or_else(|| Error::NoIncident { name: name.to_owned() })?;
            let of_alert = state.alerts_of(incident).any(|alert| alert.alert_id == name);
            let operation = Operation {
                incident: incident.id.clone(),
                alert_id: of_alert.then(|| name.to_owned()),
                by: by.to_owned(),
                key,
                act,
            };
            if let Some(problem) = operation.problem() {
                return Err(Error::Refused { problem });
            }
            // What keywatch says of an alert, nobody has said.
            let mut judged = state.alerts_of(incident).filter(|alert| !alert.is_closed_by_keywatch());
            let verdict = judged.find(|alert| alert.alert_id == name).and_then(|alert| alert.verdict);
            if is_done(incident, &operation, verdict).map_err(|problem| Error::Refused { problem })? {
                return Ok(Operated { incident: operation.incident, changed: false });
            }
            (operation, incident.system.clone(), incident.handling.acts)
        };
        self.shared.alert_log.append(Topic::Conclusions, vec![operation.record(&system, number, now)])?;
        self.shared.outbox.dispatch();
        Ok(Operated { incident: operation.incident, changed: true })
    }

    /// Silences findings. One that covers criticals waits for a second person. Whoever is told of anything is told of it.
    ///
    /// # Errors
    /// [`Error::Refused`] with what is wrong, or [`Error::Log`].
    pub async fn silence(&self, request: SilenceRequest, by: &str, now: Instant) -> Result<Silence, Error> {
        let silence = {
            let _turn = self.turn().await?;
            let at = self.shared.alert_log.time_of(&request.system);
            // Log time has not begun where nothing was ever written, and stands still between two records.
            if let Some(problem) = request.problem(at.max(now)) {
                return Err(Error::Refused { problem });
            }
            if self.with_state(|state| state.silences().is_full()) {
                return Err(Error::Refused { problem: "there are too many silences; end some first".to_owned() });
            }
            let id = derive_id(&["silence", &request.system, by, &now.to_string()]);
            let silence = begun(id, request, by, at, None);
            self.shared.alert_log.append(Topic::Conclusions, vec![operation::silenced(&silence, now)])?;
            silence
        };
        self.take_own(&silenced(&silence, None)).await?;
        Ok(silence)
    }

    /// Puts what an alert was last told with on the allow-list: from the verdict on the alert, and only once a second person
    /// agrees. Whoever is told of anything is told of it.
    ///
    /// # Errors
    /// [`Error::Refused`] with what is wrong, or [`Error::Log`].
    pub async fn allow(&self, wanted: &AllowanceRequest, by: &str, now: Instant) -> Result<Silence, Error> {
        let silence = {
            let _turn = self.turn().await?;
            let (request, allowed, at) = {
                let state = self.shared.alert_log.state();
                if state.silences().is_full() {
                    return Err(Error::Refused { problem: "there are too many silences; end some first".to_owned() });
                }
                let system = state.incident_of(&wanted.alert).map(|incident| incident.system.clone());
                let at = self.shared.alert_log.time_of(&system.unwrap_or_default());
                let asked = allowance::asked(&state, wanted, (at, at.max(now)));
                let (request, allowed) = asked.map_err(|problem| Error::Refused { problem })?;
                (request, allowed, at)
            };
            let id = derive_id(&["allowance", &wanted.alert, by, &now.to_string()]);
            let silence = begun(id, request, by, at, Some(allowed));
            self.shared.alert_log.append(Topic::Conclusions, vec![operation::silenced(&silence, now)])?;
            silence
        };
        self.take_own(&silenced(&silence, None)).await?;
        Ok(silence)
    }

    /// A second person agrees to a silence of criticals, or to an entry of the allow-list.
    ///
    /// # Errors
    /// [`Error::NoIncident`] where there is none, [`Error::Refused`] where it is not theirs to agree to, or
    /// [`Error::Log`].
    pub async fn approve_silence(&self, id: &str, by: &str, now: Instant) -> Result<Silence, Error> {
        let silence = {
            let _turn = self.turn().await?;
            let silence = self.silence_of(id)?;
            if self.shared.policy().is_same_person(&silence.by, by) {
                let problem = "this needs two people: another one has to agree".to_owned();
                return Err(Error::Refused { problem });
            }
            if !silence.is_waiting() {
                return Err(Error::Refused { problem: "this silence waits for nobody".to_owned() });
            }
            let record = operation::about_silence("alert.silence_approved", &silence, by, now);
            self.shared.alert_log.append(Topic::Conclusions, vec![record])?;
            self.silence_of(id)?
        };
        self.take_own(&silenced(&silence, Some(by))).await?;
        Ok(silence)
    }

    /// Ends a silence before its time.
    ///
    /// # Errors
    /// [`Error::NoIncident`] where there is none, or [`Error::Log`].
    pub async fn end_silence(&self, id: &str, by: &str, now: Instant) -> Result<Silence, Error> {
        let _turn = self.turn().await?;
        let silence = self.silence_of(id)?;
        if silence.ended_by.is_none() {
            let record = operation::about_silence("alert.silence_ended", &silence, by, now);
            self.shared.alert_log.append(Topic::Conclusions, vec![record])?;
        }
        self.silence_of(id)
    }

    /// Writes down that an operator was shown something.
    ///
    /// # Errors
    /// [`Error::Log`]; then it must not be shown.
    pub fn record_read(&self, system: &str, by: &str, what: &str, name: &str, now: Instant) -> Result<(), Error> {
        self.note(vec![operation::read(system, by, what, name, now)])
    }

    /// Writes down, in each of these systems, that an operator asked something in SQL.
    ///
    /// # Errors
    /// [`Error::Log`]; then it must not be answered.
    pub fn record_question(&self, systems: &[String], by: &str, sql: &str, now: Instant) -> Result<(), Error> {
        self.note(systems.iter().map(|system| operation::asked(system, by, sql, now)).collect())
    }

    /// Writes down, in each of these systems, that an operator signed in, and in which way.
    ///
    /// # Errors
    /// [`Error::Log`]; then whoever signed in does nothing yet. With the same `now` it can be written again, and stands there
    /// once.
    pub fn record_sign_in(&self, systems: &[String], by: &str, way: &str, now: Instant) -> Result<(), Error> {
        self.note(systems.iter().map(|system| operation::signed_in(system, by, way, now)).collect())
    }

    /// Writes down what may well be the first conclusion of its system. A log that keeps the time of its records would have it
    /// at the beginning of time: it is of the time that the events have come to.
    fn note(&self, mut records: Vec<Event>) -> Result<(), Error> {
        let alert_log = &self.shared.alert_log;
        if alert_log.keeps_times() {
            for record in &mut records {
                record.set_time(alert_log.time_of(record.system()));
            }
        }
        alert_log.append(Topic::Conclusions, records)?;
        Ok(())
    }

    /// Tells what has waited long enough at log time `now` of a system, and what was heard of its revocations. Call it once the
    /// findings of all records before were taken.
    ///
    /// # Errors
    /// [`Error::Log`].
    pub async fn page_due(&self, system: &str, now: Instant) -> Result<(), Error> {
        self.tell_aftermath(system, now).await?;
        self.page_waiting(system, now).await
    }

    /// Tells what has waited long enough at log time `now` of a system.
    ///
    /// # Errors
    /// [`Error::Log`].
    pub(super) async fn page_waiting(&self, system: &str, now: Instant) -> Result<(), Error> {
        if self.with_state(|state| plan::due(state, system, now).is_empty()) {
            return Ok(());
        }
        let _turn = self.turn().await?;
        let due = self.with_state(|state| plan::due(state, system, now));
        let records = due.iter().map(crate::lifecycle::record::paged).collect();
        self.shared.alert_log.append(Topic::Conclusions, records)?;
        self.shared.outbox.dispatch();
        Ok(())
    }

    fn silence_of(&self, id: &str) -> Result<Silence, Error> {
        let found = self.with_state(|state| state.silences().get(id).cloned());
        found.ok_or_else(|| Error::NoIncident { name: id.to_owned() })
    }
}

fn begun(id: String, request: SilenceRequest, by: &str, at: Instant, allows: Option<Allowed>) -> Silence {
    Silence { id, request, by: by.to_owned(), at, approved_by: None, ended_by: None, allows, covered: 0 }
}

/// Whether it is done already, or what is to be done instead.
fn is_done(incident: &Incident, operation: &Operation, verdict: Option<Verdict>) -> Result<bool, String> {
    let handling = &incident.handling;
    let same_key = operation.key.is_some()
        && handling.entries.iter().any(|entry| {
            entry.key == operation.key
                && entry.by == operation.by
                && entry.act == operation.act
                && entry.alert_id == operation.alert_id
        });
    if same_key {
        return Ok(true);
    }
    match (&operation.act, handling.status) {
        (Act::Acknowledge, Status::Acknowledged) => Ok(true),
        (Act::Acknowledge | Act::Assign { .. }, Status::Resolved) => {
            Err("the incident is resolved; reopen it first".to_owned())
        }
        (Act::Assign { assignee }, _) => Ok(handling.assignee == *assignee),
        (Act::Resolve { .. }, Status::Resolved) => Err("the incident is resolved already; reopen it first".to_owned()),
        (Act::Resolve { verdict: wanted, .. }, _) => Ok(operation.alert_id.is_some() && verdict == Some(*wanted)),
        (Act::Reopen { .. }, Status::Open | Status::Acknowledged) => Err("the incident is not resolved".to_owned()),
        _ => Ok(false),
    }
}
