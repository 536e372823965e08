//! What alerting knows: a fold over the log and nothing else. Reads no clock.
//!
//! The two topics may be folded in any relation to each other; within a topic their order counts. It is bounded however old
//! the log is: what leaves when stands in `limits.rs`, in log time.

use std::collections::{BTreeMap, BTreeSet};

use keywatch_store::{Event, Finding, Instant};
use serde::{Deserialize, Serialize};

use crate::delivery::deliveries::Deliveries;
use crate::delivery::occasion::PendingNotification;
use crate::lifecycle::action::AlertRecord;
use crate::lifecycle::alert::Alert;
use crate::lifecycle::compromise::Compromises;
use crate::lifecycle::declarations::Declarations;
use crate::lifecycle::doors::Doors;
use crate::lifecycle::handling::Status;
use crate::lifecycle::incident::{Incident, Incidents};
use crate::lifecycle::on_chain::OnChain;
use crate::lifecycle::pairs;
use crate::lifecycle::planned::Planned;
use crate::lifecycle::protection::Protections;
use crate::lifecycle::silence::Silences;
use crate::lifecycle::switch::Switches;
use crate::limits::{INCIDENT_ALERTS_MAX, SWEEP_RECORDS};
use crate::policy::routes::{REFUSED_DECIDED, REFUSED_ID, REFUSED_RULE};
use crate::response::active_sessions::ActiveSessions;
use crate::response::aftermath;
use crate::response::break_glass::BreakGlass;
use crate::response::intent::Progress;
use crate::response::last_inputs::LastInputs;
use crate::response::responses::Responses;

/// System, rule and entity.
pub(crate) type AlertName = (String, String, String);

/// The state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertState {
    /// Alerts by their ids.
    alerts: BTreeMap<String, Alert>,
    /// The last alert of each rule and entity.
    #[serde(with = "pairs")]
    last_alerts: BTreeMap<AlertName, String>,
    incidents: Incidents,
    responses: Responses,
    inputs: LastInputs,
    sessions: ActiveSessions,
    break_glass: BreakGlass,
    deliveries: Deliveries,
    #[serde(with = "pairs")]
    unplanned: BTreeMap<(Instant, String), Finding>,
    planned: Planned,
    silences: Silences,
    compromises: Compromises,
    #[serde(default)]
    doors: Doors,
    on_chain: OnChain,
    protections: Protections,
    declarations: Declarations,
    switches: Switches,
    records: u64,
}

impl AlertState {
    /// Takes in one record of either topic; kinds that do not concern alerting are passed over.
    pub fn apply(&mut self, event: &Event) {
        if aftermath::concerns(event.kind()) {
            let probe = event.decision().is_some_and(|id| self.inputs.is_probe(id));
            self.responses.witness(event, probe);
        }
        match event.kind() {
            "decision" => self.inputs.apply(event),
            "session.started" | "session.ended" | "session.revoked" => self.sessions.apply(event),
            "custody.break_glass" | "custody.person" => self.break_glass.apply(event),
            "finding.created" => self.found(event),
            "alert.opened" | "alert.updated" | "alert.suppressed" => self.recorded(event),
            "alert.notified" | "alert.failed" | "alert.redriven" | "alert.escalated" => {
                self.deliveries.apply(event, &self.incidents);
            }
            "incident.paged" => self.paged(event),
            "alert.acknowledged"
            | "alert.assigned"
            | "alert.commented"
            | "alert.resolved"
            | "alert.reopened"
            | "alert.silenced"
            | "alert.silence_approved"
            | "alert.silence_ended" => self.operated(event),
            "protection.configured" => self.protections.apply(event),
            "protection.switch_asked" | "protection.switch_approved" | "protection.switch_ended" => {
                self.switched(event);
            }
            "inventory.activated" => self.declarations.apply(event),
            "credential.accepted"
            | "credential.compromised"
            | "credential.compromise_asked"
            | "credential.restore_asked"
            | "credential.restored" => self.compromised(event),
            "alert.unconfirmed" | "alert.confirmed" => self.was_retracted(event),
            kind if kind.starts_with("chain.") => self.on_chain.apply(event),
            kind if kind.starts_with("response.") => self.responses.apply(event, &mut self.inputs),
            _ => {}
        }
    }

    fn found(&mut self, event: &Event) {
        let Ok(finding) = Finding::deserialize(event.detail().value()) else { return };
        if finding.rule == REFUSED_RULE {
            // One that an earlier version wrote has it as its entity, and does not say when it was decided.
            let refused = finding.facts.get(REFUSED_ID).unwrap_or(&finding.entity);
            let is_it = |decided: &Instant| match finding.facts.get(REFUSED_DECIDED) {
                Some(refused) => decided.to_string() == *refused,
                None => *decided > finding.decided,
            };
            self.unplanned.retain(|(decided, id), _| id != refused || !is_it(decided));
        }
        if !self.planned.contains(&finding.id) {
            self.unplanned.insert((finding.decided, finding.id.clone()), finding);
        }
    }

    fn recorded(&mut self, event: &Event) {
        let Ok(record) = AlertRecord::deserialize(event.detail().value()) else { return };
        let finding = &record.finding;
        self.unplanned.remove(&(finding.decided, finding.id.clone()));
        self.planned.insert(finding);
        self.incidents.apply(&record);
        if let Some(silence) = &record.silence {
            self.silences.covered(silence);
        }
        self.deliveries.merged(&record.merges, &record.incident);
        let suppressed = event.kind() == "alert.suppressed";
        self.note(&record, suppressed);
        self.records += 1;
        if self.records.is_multiple_of(SWEEP_RECORDS) {
            self.sweep(&finding.system.clone(), finding.decided);
        }
        if record.notify {
            self.tell(record);
        }
    }

    /// What had waited is told.
    fn paged(&mut self, event: &Event) {
        let Ok(record) = AlertRecord::deserialize(event.detail().value()) else { return };
        if let Some(incident) = self.incidents.get_mut(&record.incident) {
            incident.paging.told(&record);
        }
        self.tell(record);
    }

    fn tell(&mut self, record: AlertRecord) {
        let incident = self.incidents.get(&record.incident);
        self.deliveries.paged(record, incident);
    }

    /// A record changed an incident that stood as `before`: whoever was told of it is told of that.
    pub(crate) fn tell_handled(&mut self, name: &str, before: Option<Status>) {
        let incident = self.incidents.get(name);
        if let Some(incident) = incident.filter(|incident| Some(incident.handling.status) != before) {
            self.deliveries.answered(incident);
        }
    }

    fn note(&mut self, record: &AlertRecord, suppressed: bool) {
        let finding = &record.finding;
        let alert = self.alerts.entry(record.alert_id.clone()).or_insert_with(|| Alert::begun(record));
        alert.take_in(record, suppressed);
        self.last_alerts.insert(name(finding), record.alert_id.clone());
    }

    /// Forgets what no later finding of the system can meet. It runs every so many records, so that it happens at the
    /// same place of the log whenever the log is folded.
    fn sweep(&mut self, system: &str, now: Instant) {
        self.incidents.sweep(system, now);
        self.responses.sweep(system, now);
        self.deliveries.sweep(&self.responses, &self.incidents, system, now);
        self.planned.sweep(system, now);
        self.silences.sweep(system, now);
        self.switches.sweep(system, now);
        self.on_chain.sweep(system, now);
        let forgotten = self.forgotten(system, now);
        self.alerts.retain(|id, _| !forgotten.contains(id));
        self.last_alerts.retain(|_, id| !forgotten.contains(id));
    }

    /// Alerts of a system that are quiet and whose incident is forgotten; and of an incident that never ends, the oldest
    /// beyond a limit.
    fn forgotten(&self, system: &str, now: Instant) -> BTreeSet<String> {
        let mut forgotten = BTreeSet::new();
        let mut by_incident: BTreeMap<&str, Vec<&Alert>> = BTreeMap::new();
        for alert in self.alerts.values().filter(|alert| alert.system == system && alert.quiet_until < now) {
            match self.incidents.get(&alert.incident) {
                Some(incident) => by_incident.entry(incident.id.as_str()).or_default().push(alert),
                None => {
                    forgotten.insert(alert.alert_id.clone());
                }
            }
        }
        for mut alerts in by_incident.into_values() {
            alerts.sort_by_key(|alert| std::cmp::Reverse((alert.last, &alert.alert_id)));
            forgotten.extend(alerts.iter().skip(INCIDENT_ALERTS_MAX).map(|alert| alert.alert_id.clone()));
        }
        forgotten
    }

    /// Whether the finding was planned before.
    #[must_use]
    pub fn is_planned(&self, finding: &Finding) -> bool {
        self.planned.contains(&finding.id)
    }

    /// Whether the finding stands in the log, and nothing was decided on it yet.
    #[must_use]
    pub fn is_unplanned(&self, finding: &Finding) -> bool {
        self.unplanned.contains_key(&(finding.decided, finding.id.clone()))
    }

    /// Findings in the log on which nothing was decided yet, in the order they were settled.
    pub fn unplanned(&self) -> impl Iterator<Item = &Finding> {
        self.unplanned.values()
    }

    /// The last alert of the finding's rule and entity.
    #[must_use]
    pub fn alert(&self, finding: &Finding) -> Option<&Alert> {
        self.alerts.get(self.last_alerts.get(&name(finding))?)
    }

    /// The alert of that id.
    #[must_use]
    pub fn alert_by_id(&self, alert_id: &str) -> Option<&Alert> {
        self.alerts.get(alert_id)
    }

    /// What chains said, and which of it was taken back.
    pub(crate) fn on_chain(&self) -> &OnChain {
        &self.on_chain
    }

    /// What the alert of that id shares something with by name, as [`Incidents::witnesses_in`] knows it.
    pub(crate) fn matter_of(&self, alert_id: &str) -> Option<&str> {
        let Alert { system, rule, entity, .. } = self.alerts.get(alert_id)?;
        self.incidents.matter_of(system, rule, entity)
    }

    /// Every alert that is remembered.
    pub fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.values()
    }

    /// Incidents that may still grow.
    #[must_use]
    pub fn incidents(&self) -> &Incidents {
        &self.incidents
    }

    /// The incident of that id, or that of the alert of that id.
    #[must_use]
    pub fn incident_of(&self, name: &str) -> Option<&Incident> {
        self.incidents.get(name).or_else(|| {
            let alert = self.alerts.get(name)?;
            self.incidents.get(&alert.incident)
        })
    }

    /// Alerts of an incident.
    pub fn alerts_of<'a>(&'a self, incident: &'a Incident) -> impl Iterator<Item = &'a Alert> {
        let is_of = move |alert: &&Alert| alert.incident == incident.id || incident.merged.contains(&alert.incident);
        self.alerts.values().filter(is_of)
    }

    /// Responses that were decided in the incident of that id.
    pub fn responses_of<'a>(&'a self, incident: &'a str) -> impl Iterator<Item = &'a Progress> {
        let id = self.incidents.resolve(incident);
        self.responses.iter().filter(move |progress| self.incidents.resolve(&progress.response.incident) == id)
    }

    /// Silences.
    #[must_use]
    pub fn silences(&self) -> &Silences {
        &self.silences
    }

    /// How systems were configured last.
    #[must_use]
    pub fn protections(&self) -> &Protections {
        &self.protections
    }

    /// What systems declare no more.
    #[must_use]
    pub fn declarations(&self) -> &Declarations {
        &self.declarations
    }

    /// Rules that people put into shadow or switched off.
    #[must_use]
    pub fn switches(&self) -> &Switches {
        &self.switches
    }

    pub(crate) fn switches_mut(&mut self) -> &mut Switches {
        &mut self.switches
    }

    /// Sources whose credential somebody else had.
    #[must_use]
    pub fn compromises(&self) -> &Compromises {
        &self.compromises
    }

    fn compromised(&mut self, event: &Event) {
        if event.kind() == "credential.accepted" {
            for door in self.doors.apply(event) {
                self.compromises.settle_door(&door, &self.doors);
            }
        } else if let Some(declared) = self.compromises.apply(event) {
            self.compromises.settle(&declared, &self.doors);
        }
    }

    /// By which credentials processes that take events in recognise sources.
    pub(crate) fn doors(&self) -> &Doors {
        &self.doors
    }

    pub(crate) fn silences_mut(&mut self) -> &mut Silences {
        &mut self.silences
    }

    /// What a record about an incident changes.
    pub(crate) fn handled_mut(&mut self) -> (&mut Incidents, &mut BTreeMap<String, Alert>) {
        (&mut self.incidents, &mut self.alerts)
    }

    /// Responses and revocation documents.
    #[must_use]
    pub fn responses(&self) -> &Responses {
        &self.responses
    }

    /// Sessions that are open.
    #[must_use]
    pub fn sessions(&self) -> &ActiveSessions {
        &self.sessions
    }

    /// Emergency access that is open.
    #[must_use]
    pub fn break_glass(&self) -> &BreakGlass {
        &self.break_glass
    }

    /// Inputs that probes are made of.
    #[must_use]
    pub fn inputs(&self) -> &LastInputs {
        &self.inputs
    }

    /// What a destination has not taken yet, worst first: at most `most`, leaving out the keys that are `under_way`.
    #[must_use]
    pub fn undelivered(
        &self,
        destination: &str,
        under_way: impl Fn(&str) -> bool,
        most: usize,
    ) -> Vec<PendingNotification> {
        self.deliveries.undelivered(destination, (&self.responses, &self.incidents), under_way, most)
    }

    /// Whether anything waits for a destination that is not `under_way`.
    pub(crate) fn is_waiting(&self, destination: &str, under_way: impl Fn(&str) -> bool) -> bool {
        self.deliveries.is_waiting(destination, (&self.responses, &self.incidents), under_way)
    }

    /// How many alerts a destination has not taken yet, and when the oldest of them was decided.
    #[must_use]
    pub fn waiting(&self, destination: &str) -> (usize, Option<Instant>) {
        self.deliveries.waiting(destination)
    }

    /// What was told, is still to be told and was put aside.
    #[must_use]
    pub fn deliveries(&self) -> &Deliveries {
        &self.deliveries
    }

    /// Findings counted on an alert and not told.
    #[must_use]
    pub fn suppressed(&self, alert_id: &str) -> u64 {
        self.alerts.get(alert_id).map_or(0, |alert| alert.suppressed)
    }
}

fn name(finding: &Finding) -> AlertName {
    (finding.system.clone(), finding.rule.clone(), finding.entity.clone())
}
