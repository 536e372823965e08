//! Alerts, incidents and responses of a whole log, however old: the folds of the state that decides, without what makes it
//! forget. For questions; nothing is decided on it, so that it does not know where a further finding would belong.

use std::collections::HashMap;

use keywatch_store::{Event, Finding};
use serde::Deserialize;

use crate::lifecycle::action::AlertRecord;
use crate::lifecycle::alert::Alert;
use crate::lifecycle::incident::{Incident, Incidents};
use crate::lifecycle::member::amount;
use crate::lifecycle::operation::{self, Operation};
use crate::lifecycle::retraction;
use crate::response::intent::Progress;
use crate::response::last_inputs::LastInputs;
use crate::response::responses::Responses;

/// Everything that alerting said in a log.
#[derive(Debug, Default)]
pub struct History {
    incidents: Incidents,
    /// Of alerts, by id, with the place of each among those that were opened.
    alerts: HashMap<String, (usize, AlertSummary)>,
    /// Incident → ids of alerts that were in it at some time.
    of_incident: HashMap<String, Vec<String>>,
    responses: Responses,
    inputs: LastInputs,
}

/// An alert, and what its records come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertSummary {
    /// The alert.
    pub alert: Alert,
    /// The finding that opened it.
    pub first: Finding,
    /// Its findings.
    pub findings: u64,
    /// Largest amount of a finding, base units.
    pub amount: Option<i128>,
    /// Notifications that a destination took.
    pub notified: u64,
    /// Notifications that a destination did not take.
    pub failed: u64,
}

#[derive(Deserialize)]
struct Delivery {
    alert_id: String,
}

impl History {
    /// Takes in one record of either topic; kinds that do not concern alerting are passed over.
    pub fn apply(&mut self, event: &Event) {
        match event.kind() {
            "alert.opened" | "alert.updated" | "alert.suppressed" => self.recorded(event),
            "alert.notified" | "alert.failed" => self.delivered(event),
            "incident.paged" => self.paged(event),
            "alert.acknowledged" | "alert.assigned" | "alert.commented" | "alert.resolved" | "alert.reopened" => {
                self.operated(event);
            }
            "alert.unconfirmed" | "alert.confirmed" => self.was_retracted(event),
            kind if kind.starts_with("response.") => self.responses.apply(event, &mut self.inputs),
            _ => {}
        }
    }

    fn recorded(&mut self, event: &Event) {
        let Ok(record) = AlertRecord::deserialize(event.detail().value()) else { return };
        self.incidents.take_in(&record);
        let place = self.alerts.len();
        let (_, counted) =
            self.alerts.entry(record.alert_id.clone()).or_insert_with(|| (place, AlertSummary::begun(&record)));
        let of_incident = self.of_incident.entry(record.incident.clone()).or_default();
        if counted.findings == 0 || counted.alert.incident != record.incident {
            of_incident.push(record.alert_id.clone());
        }
        counted.alert.take_in(&record, event.kind() == "alert.suppressed");
        counted.findings += 1;
        counted.amount = counted.amount.max(amount(&record.finding));
    }

    fn paged(&mut self, event: &Event) {
        let Ok(record) = AlertRecord::deserialize(event.detail().value()) else { return };
        if let Some(incident) = self.incidents.get_mut(&record.incident) {
            incident.paging.told(&record);
        }
    }

    fn delivered(&mut self, event: &Event) {
        let Ok(delivery) = Delivery::deserialize(event.detail().value()) else { return };
        let Some((_, counted)) = self.alerts.get_mut(&delivery.alert_id) else { return };
        let count = if event.kind() == "alert.notified" { &mut counted.notified } else { &mut counted.failed };
        *count += 1;
    }

    fn operated(&mut self, event: &Event) {
        let Ok(operation) = Operation::deserialize(event.detail().value()) else { return };
        let Some(incident) = self.incidents.get(&operation.incident) else { return };
        let ids: Vec<String> = self.ids_of(incident).into_iter().map(str::to_owned).collect();
        // Taken out for a moment: only these are looked at, of the many that a long log has.
        let mut taken: Vec<_> = ids.iter().filter_map(|id| self.alerts.remove_entry(id)).collect();
        let alerts = taken.iter_mut().map(|(_, (_, counted))| &mut counted.alert);
        operation::handle(&mut self.incidents, alerts, event.time(), operation);
        self.alerts.extend(taken);
    }

    fn was_retracted(&mut self, event: &Event) {
        if let Some(said) = retraction::said(event)
            && let Some((_, counted)) = self.alerts.get_mut(&said.alert_id)
        {
            counted.alert.stands(said.at, said.unconfirmed);
        }
    }

    /// Ids of alerts that were in an incident or in one that turned out to be it, each once.
    fn ids_of(&self, incident: &Incident) -> Vec<&str> {
        let names = std::iter::once(&incident.id).chain(&incident.merged);
        let ids = names.filter_map(|name| self.of_incident.get(name)).flatten();
        let mut ids: Vec<&str> = ids.map(String::as_str).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Every alert, in the order in which they were opened.
    #[must_use]
    pub fn alerts(&self) -> Vec<&AlertSummary> {
        let mut all: Vec<&(usize, AlertSummary)> = self.alerts.values().collect();
        all.sort_unstable_by_key(|(place, _)| *place);
        all.into_iter().map(|(_, counted)| counted).collect()
    }

    /// Every incident that did not turn out to be another, in the order in which they began.
    #[must_use]
    pub fn incidents(&self) -> Vec<&Incident> {
        let mut all: Vec<&Incident> = self.incidents.iter().collect();
        all.sort_by_key(|incident| (incident.opened, &incident.id));
        all
    }

    /// The incident of that id, or the one that it turned out to be.
    #[must_use]
    pub fn incident(&self, id: &str) -> Option<&Incident> {
        self.incidents.get(id)
    }

    /// The id of what an incident turned out to be; its own where it is itself.
    #[must_use]
    pub fn resolve<'a>(&'a self, id: &'a str) -> &'a str {
        self.incidents.resolve(id)
    }

    /// Alerts of an incident, in the order in which they were opened.
    #[must_use]
    pub fn alerts_of(&self, incident: &Incident) -> Vec<&AlertSummary> {
        let is_of = |alert: &Alert| alert.incident == incident.id || incident.merged.contains(&alert.incident);
        let mut all: Vec<_> = self.ids_of(incident).into_iter().filter_map(|id| self.alerts.get(id)).collect();
        all.retain(|(_, counted)| is_of(&counted.alert));
        all.sort_unstable_by_key(|(place, _)| *place);
        all.into_iter().map(|(_, counted)| counted).collect()
    }

    /// How far a response has come.
    #[must_use]
    pub fn response(&self, id: &str) -> Option<&Progress> {
        self.responses.get(id)
    }

    /// How many alerts, incidents and responses there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.alerts.len() + self.incidents.iter().count() + self.responses.iter().count()
    }
}

impl AlertSummary {
    fn begun(record: &AlertRecord) -> AlertSummary {
        AlertSummary {
            alert: Alert::begun(record),
            first: record.finding.clone(),
            findings: 0,
            amount: None,
            notified: 0,
            failed: 0,
        }
    }
}
