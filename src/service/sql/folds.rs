//! Alerts, incidents and responses as rows. What they come to is alerting's own fold, over the whole log: [`History`].

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use keywatch_alerting::lifecycle::handling::Handling;
use keywatch_alerting::response::intent::{Degree, Progress};
use keywatch_alerting::{AlertSummary, History, Incident, Shared, Unconfirmed};
use keywatch_store::{Event, Instant};
use serde_json::{Value, json};

use super::made::{Row, Rows, batch};
use super::tables::{ALERTS, INCIDENTS, Made, RESPONSES};

/// Bytes that an alert, an incident or a response takes with its row, roughly.
const ROW_BYTES: usize = 4096;

/// What of a history is shown.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shown {
    /// `alerts`.
    Alerts,
    /// `incidents`.
    Incidents,
    /// `responses`.
    Responses,
}

/// Rows of one of these tables; all of them at the end.
pub(super) struct Folded {
    shown: Shown,
    schema: SchemaRef,
    history: History,
    steps: Vec<Steps>,
    step_of: BTreeMap<String, usize>,
}

/// When a response came how far, by the names of the columns, and what the last record said.
struct Steps {
    id: String,
    at: BTreeMap<&'static str, Instant>,
    reason: Option<String>,
}

impl Shown {
    /// The table.
    pub(super) fn table(self) -> &'static Made {
        match self {
            Shown::Alerts => &ALERTS,
            Shown::Incidents => &INCIDENTS,
            Shown::Responses => &RESPONSES,
        }
    }
}

impl Folded {
    /// Nothing yet.
    pub(super) fn new(shown: Shown, schema: SchemaRef) -> Folded {
        Folded { shown, schema, history: History::default(), steps: Vec::new(), step_of: BTreeMap::new() }
    }

    fn note(&mut self, event: &Event) {
        let Some(column) = step(event.kind()) else { return };
        let Some(id) = event.detail().value()["response_id"].as_str().map(str::to_owned) else { return };
        let place = *self.step_of.entry(id.clone()).or_insert(self.steps.len());
        if place == self.steps.len() {
            self.steps.push(Steps { id, at: BTreeMap::new(), reason: None });
        }
        let Some(steps) = self.steps.get_mut(place) else { return };
        steps.at.insert(column, event.time());
        steps.reason = event.reason().map(str::to_owned);
    }
}

/// The column that says when.
fn step(kind: &str) -> Option<&'static str> {
    ["proposed", "approved", "rejected", "requested", "published", "verified", "failed", "undone"]
        .into_iter()
        .find(|step| kind.strip_prefix("response.") == Some(*step))
}

impl Rows for Folded {
    fn take(&mut self, event: &Event) {
        self.history.apply(event);
        if matches!(self.shown, Shown::Responses) {
            self.note(event);
        }
    }

    fn bytes(&self) -> usize {
        self.history.count() * ROW_BYTES
    }

    fn rows(&mut self, end: bool) -> anyhow::Result<Option<RecordBatch>> {
        if !end {
            return Ok(None);
        }
        let history = &self.history;
        let rows: Vec<Row> = match self.shown {
            Shown::Alerts => history.alerts().into_iter().map(|alert| alert_row(history, alert)).collect(),
            Shown::Incidents => {
                history.incidents().into_iter().map(|incident| incident_row(history, incident)).collect()
            }
            Shown::Responses => {
                let known = self.steps.iter().filter_map(|steps| Some((steps, history.response(&steps.id)?)));
                known.map(|(steps, progress)| response_row(steps, progress)).collect()
            }
        };
        batch(self.shown.table(), &self.schema, &rows).map(Some)
    }
}

fn alert_row(history: &History, counted: &AlertSummary) -> Row {
    let AlertSummary { alert, first, findings, amount, notified, failed } = counted;
    let incident = history.incident(&alert.incident);
    row(json!({
        "alert_id": alert.alert_id, "incident": history.resolve(&alert.incident), "system": alert.system,
        "rule": alert.rule, "entity": alert.entity, "severity": alert.severity, "title": alert.title,
        "status": incident.map(|incident| alert.status(incident)), "verdict": alert.verdict,
        "assignee": incident.and_then(|incident| incident.handling.assignee.as_deref()),
        "opened": alert.opened, "last": alert.last, "findings": findings, "pages": alert.deliveries,
        "suppressed": alert.suppressed, "notified": notified, "failed": failed, "session": first.session,
        "wallet": first.wallet, "request": first.request, "tx": first.tx,
        "amount": amount.map(|amount| amount.to_string()),
        "unconfirmed": alert.grounds.unconfirmed.as_ref().map(|unconfirmed| unconfirmed.since),
        "unconfirmed_because": alert.grounds.unconfirmed.as_ref().map(Unconfirmed::sentence),
    }))
}

fn incident_row(history: &History, incident: &Incident) -> Row {
    let alerts = history.alerts_of(incident);
    let rules: BTreeSet<&str> = alerts.iter().map(|counted| counted.alert.rule.as_str()).collect();
    let amount = alerts.iter().filter_map(|counted| counted.amount).max();
    let named = |kind: Shared| {
        let names = incident.names.iter().filter(|(of, _)| *of == kind).map(|(_, name)| name.as_str());
        names.collect::<Vec<_>>().join(",")
    };
    let Handling { status, assignee, acknowledged, resolved, acts, .. } = &incident.handling;
    let resolved = resolved.as_ref();
    row(json!({
        "incident": incident.id, "system": incident.system, "status": status, "severity": incident.severity,
        "title": incident.title, "opened": incident.opened, "last": incident.last, "alerts": alerts.len(),
        "findings": incident.findings, "rules": rules.into_iter().collect::<Vec<_>>().join(","),
        "pages": incident.paging.pages, "paged": incident.paging.last, "assignee": assignee,
        "acknowledged": acknowledged.as_ref().map(|(_, at)| at),
        "acknowledged_by": acknowledged.as_ref().map(|(by, _)| by),
        "resolved": resolved.map(|(_, _, _, at)| at), "resolved_by": resolved.map(|(_, _, by, _)| by),
        "verdict": resolved.map(|(verdict, ..)| verdict), "reason": resolved.map(|(_, reason, ..)| reason),
        "acts": acts, "sessions": named(Shared::Session), "wallets": named(Shared::Wallet),
        "destinations": named(Shared::Destination), "requests": named(Shared::Request),
        "transactions": named(Shared::Tx), "amount": amount.map(|amount| amount.to_string()),
    }))
}

fn response_row(steps: &Steps, progress: &Progress) -> Row {
    let Progress { response, approvals, aftermath, failures, .. } = progress;
    let further: Vec<String> = aftermath.recorded.iter().map(Degree::to_string).collect();
    let approved_by: BTreeSet<&str> = approvals.iter().chain(&response.approved_by).map(String::as_str).collect();
    let mut all = row(json!({
        "response_id": response.id, "incident": response.incident, "alert_id": response.alert_id,
        "finding_id": response.finding_id, "system": response.system, "rule": response.rule,
        "severity": response.severity, "status": progress.status(), "further": further.join(","),
        "decided": response.decided, "failures": failures, "why": response.why, "reason": steps.reason,
        "targets": json!(response.targets).to_string(),
        "approved_by": approved_by.into_iter().collect::<Vec<_>>().join(","),
    }));
    all.extend(steps.at.iter().map(|(column, at)| ((*column).to_owned(), json!(at))));
    all
}

fn row(value: Value) -> Row {
    match value {
        Value::Object(row) => row,
        _ => Row::new(),
    }
}
