//! An alert whose events were taken back: it is *unconfirmed* until the rule finds it again in another block, and once what came
//! instead is final, what it saw has not happened. What of this closes it stands here; nothing of it undoes a response.

use keywatch_store::event::Origin;
use keywatch_store::{Event, Instant, Severity};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::lifecycle::action::{SOURCE, derive_id};
use crate::lifecycle::alert::Alert;
use crate::lifecycle::grounds::Unconfirmed;
use crate::lifecycle::handling::{Act, Status, Verdict};
use crate::lifecycle::on_chain::Change;
use crate::lifecycle::operation::Operation;
use crate::lifecycle::state::AlertState;

/// The detail of the `alert.unconfirmed` record.
#[derive(Serialize, Deserialize)]
struct Said {
    alert_id: String,
    incident: String,
    unconfirmed: Unconfirmed,
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
        due.sort_by_key(|(id, change)| (change.at, change.unconfirmed.is_final, id.clone()));
        due
    }

    /// The records of a change of an alert: that it is unconfirmed, and where that closes it, that keywatch resolves it.
    pub(crate) fn retraction_records(&self, alert_id: &str, change: &Change) -> Vec<Event> {
        let Some(alert) = self.alert_by_id(alert_id) else { return Vec::new() };
        let mut records = vec![record(alert, change)];
        if let Some(incident) = self.incidents().get(&alert.incident)
            && self.may_resolve(alert, &change.unconfirmed)
        {
            let operation = Operation {
                incident: incident.id.clone(),
                alert_id: Some(alert_id.to_owned()),
                by: SOURCE.to_owned(),
                key: None,
                act: Act::Resolve { verdict: Verdict::False, reason: change.unconfirmed.sentence() },
            };
            let mut resolved = operation.record(&alert.system, incident.handling.acts, change.at);
            resolved.set_time(change.at);
            records.push(resolved);
        }
        records
    }

    /// Whether it is over once what came instead of its events is final: several nodes agree, it is below high, nobody sees to it
    /// and nothing was done for it.
    fn may_resolve(&self, alert: &Alert, unconfirmed: &Unconfirmed) -> bool {
        let Some(incident) = self.incidents().get(&alert.incident) else { return false };
        let is_untouched = alert.status(incident) == Status::Open && incident.handling.assignee.is_none();
        let has_response =
            || self.responses_of(&incident.id).any(|progress| progress.response.alert_id == alert.alert_id);
        unconfirmed.is_final
            && !unconfirmed.is_one_nodes_word()
            && alert.severity < Severity::High
            && is_untouched
            && !has_response()
    }

    /// Takes in an `alert.unconfirmed` record.
    pub(crate) fn was_retracted(&mut self, event: &Event) {
        let (_, alerts) = self.handled_mut();
        if let Some((id, unconfirmed)) = said(event)
            && let Some(alert) = alerts.get_mut(&id)
        {
            alert.grounds.unconfirmed = Some(unconfirmed);
        }
    }
}

/// The alert that an `alert.unconfirmed` record is about, and how it stands.
pub(crate) fn said(event: &Event) -> Option<(String, Unconfirmed)> {
    let Said { alert_id, unconfirmed, .. } = Said::deserialize(event.detail().value()).ok()?;
    Some((alert_id, unconfirmed))
}

fn record(alert: &Alert, change: &Change) -> Event {
    let Change { at, unconfirmed } = change;
    let said =
        Said { alert_id: alert.alert_id.clone(), incident: alert.incident.clone(), unconfirmed: unconfirmed.clone() };
    let events: Vec<String> = alert.grounds.events().iter().map(ToString::to_string).collect();
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    let step = if unconfirmed.is_final { "final" } else { "left" };
    let id = format!("unconfirmed/{}/{step}/{}", alert.alert_id, derive_id(&events));
    let origin = Origin { system: alert.system.clone(), source: SOURCE.to_owned() };
    let mut event = Event::builder(&origin, &id, "alert.unconfirmed", *at);
    event.time(*at).chain(unconfirmed.chain.as_str()).reason(unconfirmed.sentence()).detail(&json!(said));
    event.build_own()
}
