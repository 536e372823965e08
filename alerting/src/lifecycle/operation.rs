//! What operators do, as records of the conclusions topic, and what the fold makes of them. Who may do what is decided
//! before: a record here was allowed.

use std::collections::BTreeSet;

use keywatch_store::event::Origin;
use keywatch_store::{Event, Instant};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::lifecycle::action::{SOURCE, derive_id};
use crate::lifecycle::alert::Alert;
use crate::lifecycle::compromise::{Compromise, CompromiseRequest, Compromises};
use crate::lifecycle::handling::{Act, Entry};
use crate::lifecycle::incident::Incidents;
use crate::lifecycle::silence::{Allowed, Silence, SilenceRequest};
use crate::lifecycle::state::AlertState;
use crate::lifecycle::switch::{Switch, SwitchRequest};
use crate::limits::OPERATION_TEXT_BYTES_MAX;

/// What an operator does about an incident, or about one alert of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// The incident.
    pub incident: String,
    /// The alert, where one alone is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert_id: Option<String>,
    /// The operator.
    pub by: String,
    /// What the client calls it, so that a repetition is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What is done.
    #[serde(flatten)]
    pub act: Act,
}

impl Operation {
    /// What is wrong with its texts.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let (name, text) = match &self.act {
            Act::Acknowledge | Act::Assign { assignee: None } => return None,
            Act::Assign { assignee: Some(assignee) } => ("assignee", assignee),
            Act::Comment { comment } => ("comment", comment),
            Act::Resolve { reason, .. } | Act::Reopen { reason } => ("reason", reason),
        };
        if text.trim().is_empty() {
            return Some(format!("`{name}` is empty"));
        }
        let long = text.len() > OPERATION_TEXT_BYTES_MAX;
        long.then(|| format!("`{name}` is longer than {OPERATION_TEXT_BYTES_MAX} bytes"))
    }

    /// The record of it, the `number`th about its incident, done at `now`.
    #[must_use]
    pub fn record(&self, system: &str, number: u64, now: Instant) -> Event {
        let text = match &self.act {
            Act::Acknowledge | Act::Assign { .. } => None,
            Act::Comment { comment } => Some(comment),
            Act::Resolve { reason, .. } | Act::Reopen { reason } => Some(reason),
        };
        let id = format!("operation/{}/{number}", self.incident);
        by_operator(system, &id, self.act.kind(), &self.by, text.map(String::as_str), &json!(self), now)
    }
}

#[derive(Serialize, Deserialize)]
struct Silenced {
    silence_id: String,
    by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request: Option<SilenceRequest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    allows: Option<Allowed>,
}

/// The `alert.silenced` record.
#[must_use]
pub fn silenced(silence: &Silence, now: Instant) -> Event {
    let Silence { id, request, by, allows, .. } = silence;
    let (silence_id, by_whom, allows) = (id.clone(), by.clone(), allows.clone());
    let detail = json!(Silenced { silence_id, by: by_whom, request: Some(request.clone()), allows });
    let source_id = format!("silence/{id}");
    by_operator(&request.system, &source_id, "alert.silenced", by, Some(&request.reason), &detail, now)
}

/// The `alert.silence_approved` or `alert.silence_ended` record.
#[must_use]
pub fn about_silence(kind: &'static str, silence: &Silence, by: &str, now: Instant) -> Event {
    let detail = json!(Silenced { silence_id: silence.id.clone(), by: by.to_owned(), request: None, allows: None });
    by_operator(&silence.request.system, &format!("{kind}/{}", silence.id), kind, by, None, &detail, now)
}

#[derive(Serialize, Deserialize)]
struct Compromised {
    compromise_id: String,
    by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request: Option<CompromiseRequest>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    refused: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    shared_with: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asked_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// The `credential.compromised` record, or, where it waits for a second person, `credential.compromise_asked`.
#[must_use]
pub fn compromised(compromise: &Compromise, now: Instant) -> Event {
    let Compromise { id, request, refused, shared_with, by, asked_by, waits, .. } = compromise;
    let kind = if *waits { "credential.compromise_asked" } else { "credential.compromised" };
    let detail = json!(Compromised {
        compromise_id: id.clone(),
        by: by.clone(),
        request: Some(request.clone()),
        refused: refused.clone(),
        shared_with: shared_with.clone(),
        asked_by: asked_by.clone(),
        reason: None,
    });
    let source_id = format!("compromise/{id}");
    by_operator(&request.system, &source_id, kind, by, Some(&request.reason), &detail, now)
}

/// The `credential.restore_asked` or `credential.restored` record.
#[must_use]
pub fn about_compromise(kind: &'static str, compromise: &Compromise, by: &str, reason: &str, now: Instant) -> Event {
    let detail = json!(Compromised {
        compromise_id: compromise.id.clone(),
        by: by.to_owned(),
        request: None,
        refused: BTreeSet::new(),
        shared_with: BTreeSet::new(),
        asked_by: None,
        reason: Some(reason.to_owned()),
    });
    let source_id = format!("{kind}/{}", compromise.id);
    by_operator(&compromise.request.system, &source_id, kind, by, Some(reason), &detail, now)
}

#[derive(Serialize, Deserialize)]
struct Switched {
    switch_id: String,
    by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request: Option<SwitchRequest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// The `protection.switch_asked` record.
#[must_use]
pub fn switch_asked(switch: &Switch, now: Instant) -> Event {
    let Switch { id, request, by, .. } = switch;
    let (switch_id, by_whom) = (id.clone(), by.clone());
    let detail = json!(Switched { switch_id, by: by_whom, request: Some(request.clone()), reason: None });
    let source_id = format!("switch/{id}");
    by_operator(&request.system, &source_id, "protection.switch_asked", by, Some(&request.reason), &detail, now)
}

/// The `protection.switch_approved` or `protection.switch_ended` record.
#[must_use]
pub fn about_switch(kind: &'static str, switch: &Switch, by: &str, reason: Option<&str>, now: Instant) -> Event {
    let (switch_id, said) = (switch.id.clone(), reason.map(str::to_owned));
    let detail = json!(Switched { switch_id, by: by.to_owned(), request: None, reason: said });
    by_operator(&switch.request.system, &format!("{kind}/{}", switch.id), kind, by, reason, &detail, now)
}

/// The `operator.read` record: an operator was shown something that is nobody's business but theirs.
#[must_use]
pub fn read(system: &str, by: &str, what: &str, name: &str, now: Instant) -> Event {
    let detail = json!({ "by": by, "what": what, "name": name });
    by_operator(system, &format!("read/{by}/{what}/{name}/{now}"), "operator.read", by, None, &detail, now)
}

/// The `operator.read` record of a question in SQL; of a long one the beginning is kept, and which it was.
#[must_use]
pub fn asked(system: &str, by: &str, sql: &str, now: Instant) -> Event {
    let digest = derive_id(&[sql]);
    let end = sql.floor_char_boundary(OPERATION_TEXT_BYTES_MAX);
    let name = if end < sql.len() { format!("{} … ({digest})", &sql[..end]) } else { sql.to_owned() };
    let detail = json!({ "by": by, "what": "sql", "name": name });
    by_operator(system, &format!("read/{by}/sql/{digest}/{now}"), "operator.read", by, None, &detail, now)
}

/// The `operator.signed_in` record: an operator began a session on the page in this way.
#[must_use]
pub fn signed_in(system: &str, by: &str, way: &str, now: Instant) -> Event {
    let detail = json!({ "by": by, "way": way });
    by_operator(system, &format!("signed_in/{by}/{way}/{now}"), "operator.signed_in", by, None, &detail, now)
}

fn by_operator(
    system: &str,
    source_id: &str,
    kind: &str,
    by: &str,
    reason: Option<&str>,
    detail: &Value,
    now: Instant,
) -> Event {
    let origin = Origin { system: system.to_owned(), source: SOURCE.to_owned() };
    let mut event = Event::builder(&origin, source_id, kind, now);
    event.time(Instant::UNASSIGNED);
    event.actor(by);
    event.reason(reason);
    event.detail(detail);
    event.build_own()
}

impl Compromises {
    /// Takes in a record about a credential that somebody else had; other kinds are passed over. The id of what is declared, where
    /// something is.
    pub fn apply(&mut self, event: &Event) -> Option<String> {
        if !event.kind().starts_with("credential.") {
            return None;
        }
        let said = Compromised::deserialize(event.detail().value()).ok()?;
        let Compromised { compromise_id: id, by, request, refused, shared_with, asked_by, reason } = said;
        match (event.kind(), request) {
            (kind @ ("credential.compromised" | "credential.compromise_asked"), Some(request)) => {
                let waits = kind == "credential.compromise_asked";
                let compromise = Compromise::new(id.clone(), request, refused, by, event.time());
                self.declared(Compromise { shared_with, waits, asked_by, ..compromise });
                return Some(id);
            }
            ("credential.restore_asked", _) => {
                self.restore_asked(&id, by, reason.unwrap_or_default(), event.time());
            }
            ("credential.restored", _) => self.restored(&id, by, event.time()),
            _ => {}
        }
        None
    }
}

impl AlertState {
    /// Takes in a record of what an operator did.
    pub(crate) fn operated(&mut self, event: &Event) {
        let detail = event.detail().value();
        match event.kind() {
            "alert.silenced" | "alert.silence_approved" | "alert.silence_ended" => {
                if let Ok(silenced) = Silenced::deserialize(&detail) {
                    self.silence(event, silenced);
                }
            }
            _ => {
                if let Ok(operation) = Operation::deserialize(&detail) {
                    let name = operation.incident.clone();
                    let before = self.incidents().get(&name).map(|incident| incident.handling.status);
                    self.handle(event.time(), operation);
                    self.tell_handled(&name, before);
                }
            }
        }
    }

    /// Takes in a record about a rule that is put into shadow, switched off or on again.
    pub(crate) fn switched(&mut self, event: &Event) {
        let Ok(said) = Switched::deserialize(event.detail().value()) else { return };
        let Switched { switch_id: id, by, request, reason } = said;
        let at = event.time();
        match (event.kind(), request) {
            ("protection.switch_asked", Some(request)) => {
                self.switches_mut().asked(Switch { id, request, by, at, approved: None, ended: None });
            }
            ("protection.switch_approved", _) => self.switches_mut().approved(&id, by, at),
            ("protection.switch_ended", _) => {
                self.switches_mut().ended(&id, by, reason.unwrap_or_default(), at);
            }
            _ => {}
        }
    }

    fn silence(&mut self, event: &Event, silenced: Silenced) {
        let Silenced { silence_id: id, by, request, allows } = silenced;
        match (event.kind(), request) {
            ("alert.silenced", Some(request)) => {
                let at = event.time();
                let (approved_by, ended_by) = (None, None);
                self.silences_mut().asked(Silence { id, request, by, at, approved_by, ended_by, allows, covered: 0 });
            }
            ("alert.silence_approved", _) => self.silences_mut().approved(&id, &by),
            ("alert.silence_ended", _) => self.silences_mut().ended(&id, &by),
            _ => {}
        }
    }

    fn handle(&mut self, at: Instant, operation: Operation) {
        let (incidents, alerts) = self.handled_mut();
        handle(incidents, alerts.values_mut(), at, operation);
    }
}

/// What an operation makes of the incident and of those of `alerts` that are in it.
pub(crate) fn handle<'a>(
    incidents: &mut Incidents,
    alerts: impl Iterator<Item = &'a mut Alert>,
    at: Instant,
    operation: Operation,
) {
    let Operation { incident, alert_id, by, key, act } = operation;
    let entry = Entry { at, by: by.clone(), alert_id: alert_id.clone(), key, act: act.clone() };
    let Some(incident) = incidents.get_mut(&incident) else { return };
    incident.handling.apply(entry);
    let Act::Resolve { verdict, reason } = act else { return };
    let id = incident.id.clone();
    let merged = &incident.merged;
    let mut of_incident: Vec<_> =
        alerts.filter(|alert| alert.incident == id || merged.contains(&alert.incident)).collect();
    let meant = |of: &str| alert_id.as_deref().is_none_or(|meant| meant == of);
    of_incident.iter_mut().filter(|alert| meant(&alert.alert_id)).for_each(|alert| alert.judged(verdict, &by));
    // The last of its alerts resolves an incident.
    if alert_id.is_some() && of_incident.iter().all(|alert| alert.verdict.is_some()) {
        incident.handling.resolve(verdict, reason, by, at);
    }
    if alert_id.is_none() || incident.handling.resolved.is_some() {
        incident.paging.waiting = None;
    }
}
