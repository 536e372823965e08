//! An alert whose events were taken back: it is *unconfirmed* until the rule finds it again in another block, and once what came
//! instead is final, what it saw has not happened. What of this closes it stands here; nothing of it undoes a response.

use keywatch_store::event::Origin;
use keywatch_store::{Event, Instant, Severity};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::lifecycle::action::{AlertRecord, Cause, SOURCE, derive_id};
use crate::lifecycle::alert::Alert;
use crate::lifecycle::grounds::Unconfirmed;
use crate::lifecycle::handling::{Act, Entry, Status, Verdict};
use crate::lifecycle::incident::Incident;
use crate::lifecycle::on_chain::Change;
use crate::lifecycle::operation::Operation;
use crate::lifecycle::record as records_of;
use crate::lifecycle::state::AlertState;

/// The detail of an `alert.unconfirmed` or `alert.confirmed` record.
#[derive(Serialize, Deserialize)]
pub(crate) struct Said {
    /// The alert.
    pub(crate) alert_id: String,
    incident: String,
    /// Log time of what it follows from.
    pub(crate) at: Instant,
    /// What was taken back; nothing where it stands again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unconfirmed: Option<Unconfirmed>,
}

impl AlertState {
    /// What is to be said by log time `until` of alerts of a system, each with its id, in the order of log time.
    pub(crate) fn retractions(&self, system: &str, until: Instant) -> Vec<(String, Change)> {
        if !self.on_chain().has_taken_back(system) {
            return Vec::new();
        }
        let of_system = self.alerts().filter(|alert| alert.system == system && !alert.grounds.events().is_empty());
        let mut due: Vec<(String, Change)> = of_system
            .flat_map(|alert| {
                let changes = self.on_chain().changes(alert, until);
                changes.into_iter().map(move |change| (alert.alert_id.clone(), change))
            })
            .collect();
        due.sort_by_key(|(id, change)| (change.at, id.clone()));
        due
    }

    /// The records of a change of an alert: how it stands, that keywatch resolves it where that closes it, and that it is open again
    /// and told where keywatch had resolved it wrongly.
    ///
    /// A log may take the first of them and fail. What stands in the alert's own record is over: so people are told before it.
    pub(crate) fn retraction_records(&self, alert_id: &str, change: &Change) -> Vec<Event> {
        let Some(alert) = self.alert_by_id(alert_id) else { return Vec::new() };
        let own = record(alert, change);
        let Some(incident) = self.incidents().get(&alert.incident) else { return vec![own] };
        match &change.unconfirmed {
            Some(unconfirmed) if self.may_resolve(alert, unconfirmed) => {
                let act = Act::Resolve { verdict: Verdict::False, reason: unconfirmed.sentence() };
                vec![own, operation(incident, Some(alert_id), act, None, change.at)]
            }
            None if alert.is_closed_by_keywatch() => {
                let mut records = self.opened_again(alert, incident, change.at);
                records.push(own);
                records
            }
            _ => vec![own],
        }
    }

    /// That an incident is open again and told, as far as it is not: keywatch has resolved the alert, and whoever resolved the
    /// others with it, and the incident, had not seen this one.
    fn opened_again(&self, alert: &Alert, incident: &Incident, at: Instant) -> Vec<Event> {
        let key = format!("{}/{at}", alert.alert_id);
        let is_it = |entry: &Entry| entry.by == SOURCE && entry.key.as_ref() == Some(&key);
        let has_begun = incident.handling.entries.iter().any(is_it);
        if !has_begun && incident.handling.status != Status::Resolved {
            return Vec::new();
        }
        let mut records = Vec::new();
        if !has_begun {
            let reason = "What it saw is in a block again.".to_owned();
            records.push(operation(incident, None, Act::Reopen { reason }, Some(key), at));
        }
        let told = self.deliveries().last_told(&incident.id);
        let untold = told.filter(|told| !(has_begun && told.paged == Some(at) && told.causes == [Cause::Reopened]));
        records.extend(untold.map(|told| records_of::paged(&told_again(told, incident, at))));
        records
    }

    /// Whether it is over once what came instead of its events is final: several nodes agree, it is below high, nobody sees to it
    /// or has said or done anything about it, and nothing was done for it.
    fn may_resolve(&self, alert: &Alert, unconfirmed: &Unconfirmed) -> bool {
        let Some(incident) = self.incidents().get(&alert.incident) else { return false };
        let by_people = |entry: &Entry| {
            entry.by != SOURCE && entry.alert_id.as_ref().is_none_or(|alert_id| *alert_id == alert.alert_id)
        };
        let is_untouched = alert.status(incident) == Status::Open
            && incident.handling.assignee.is_none()
            && !incident.handling.entries.iter().any(by_people);
        let has_response =
            || self.responses_of(&incident.id).any(|progress| progress.response.alert_id == alert.alert_id);
        unconfirmed.is_final
            && !unconfirmed.is_one_nodes_word()
            && alert.severity < Severity::High
            && is_untouched
            && !has_response()
    }

    /// Takes in an `alert.unconfirmed` or `alert.confirmed` record.
    pub(crate) fn was_retracted(&mut self, event: &Event) {
        let (_, alerts) = self.handled_mut();
        if let Some(said) = said(event)
            && let Some(alert) = alerts.get_mut(&said.alert_id)
        {
            alert.stands(said.at, said.unconfirmed);
        }
    }
}

/// What an `alert.unconfirmed` or `alert.confirmed` record says.
pub(crate) fn said(event: &Event) -> Option<Said> {
    Said::deserialize(event.detail().value()).ok()
}

/// The page that an incident is open again.
fn told_again(told: &AlertRecord, incident: &Incident, at: Instant) -> AlertRecord {
    AlertRecord {
        key: incident.paging.next_key(&incident.id),
        incident: incident.id.clone(),
        merges: Vec::new(),
        causes: vec![Cause::Reopened],
        notify: true,
        due: None,
        paged: Some(at),
        ..told.clone()
    }
}

fn operation(incident: &Incident, alert_id: Option<&str>, act: Act, key: Option<String>, at: Instant) -> Event {
    let alert_id = alert_id.map(str::to_owned);
    let operation = Operation { incident: incident.id.clone(), alert_id, by: SOURCE.to_owned(), key, act };
    let mut record = operation.record(&incident.system, incident.handling.acts, at);
    record.set_time(at);
    record
}

fn record(alert: &Alert, change: &Change) -> Event {
    let Change { at, unconfirmed } = change;
    let (alert_id, incident) = (alert.alert_id.clone(), alert.incident.clone());
    let said = Said { alert_id, incident, at: *at, unconfirmed: unconfirmed.clone() };
    let events: Vec<String> = alert.grounds.events().iter().map(ToString::to_string).collect();
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    let kind = if unconfirmed.is_some() { "alert.unconfirmed" } else { "alert.confirmed" };
    let id = format!("{kind}/{}/{at}/{}", alert.alert_id, derive_id(&events));
    let origin = Origin { system: alert.system.clone(), source: SOURCE.to_owned() };
    let mut event = Event::builder(&origin, &id, kind, *at);
    event.time(*at).chain(unconfirmed.as_ref().map(|one| one.chain.as_str()));
    event.reason(unconfirmed.as_ref().map(Unconfirmed::sentence)).detail(&json!(said));
    event.build_own()
}
