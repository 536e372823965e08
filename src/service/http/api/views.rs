//! The JSON of incidents, alerts, events and silences, as the API answers it.

use std::collections::HashMap;

use keywatch_alerting::lifecycle::handling::Handling;
use keywatch_alerting::response::wording::{name_targets, short_session};
use keywatch_alerting::{Alert, AlertState, Compromises, Incident, Shared, Silence, Unconfirmed};
use keywatch_store::event::TextColumn;
use keywatch_store::inventory::{Quotes, System};
use keywatch_store::{Event, Instant};
use serde_json::{Value, json};

/// How many alerts each incident has, and how many of them are unconfirmed, by its id of today: counted once, and not for each
/// incident of a list.
pub(super) struct AlertCounts<'a>(HashMap<&'a str, [usize; 2]>);

impl<'a> AlertCounts<'a> {
    /// Of all incidents.
    pub(super) fn of(state: &'a AlertState) -> AlertCounts<'a> {
        let mut counts: HashMap<&str, [usize; 2]> = HashMap::new();
        for alert in state.alerts() {
            let [all, unconfirmed] = counts.entry(state.incidents().resolve(&alert.incident)).or_default();
            *all += 1;
            *unconfirmed += usize::from(alert.grounds.unconfirmed.is_some());
        }
        AlertCounts(counts)
    }
}

/// An incident in a list. Session ids are often bearer secrets: a list shows enough to recognise one.
pub(super) fn incident(counts: &AlertCounts<'_>, incident: &Incident) -> Value {
    let Handling { assignee, acknowledged, resolved, acts, .. } = &incident.handling;
    let [alerts, unconfirmed] = counts.0.get(incident.id.as_str()).copied().unwrap_or_default();
    json!({
        "id": incident.id,
        "system": incident.system,
        "status": incident.handling.status,
        "severity": incident.severity,
        "title": incident.title,
        "opened": incident.opened,
        "last": incident.last,
        "findings": incident.findings,
        "alerts": alerts,
        "unconfirmed": unconfirmed,
        "pages": incident.paging.pages,
        "paged_at": incident.paging.last,
        "next_page_at": incident.paging.waiting.as_ref().map(|waiting| waiting.due),
        "assignee": assignee,
        "acknowledged": acknowledged.as_ref().map(|(by, at)| json!({ "by": by, "at": at })),
        "resolved": resolved.as_ref().map(|(verdict, reason, by, at)| {
            json!({ "verdict": verdict, "reason": reason, "by": by, "at": at })
        }),
        "acts": acts,
        "wallets": names(incident, Shared::Wallet),
        "destinations": names(incident, Shared::Destination),
        "requests": names(incident, Shared::Request),
        "transactions": names(incident, Shared::Tx),
        "sessions": names(incident, Shared::Session).iter().map(|name| short_session(name)).collect::<Vec<_>>(),
    })
}

/// What the findings of an incident name, of one kind.
pub(super) fn names(incident: &Incident, kind: Shared) -> Vec<&str> {
    let of_kind = incident.names.iter().filter(|(of, _)| *of == kind);
    of_kind.map(|(_, name)| name.as_str()).collect()
}

/// An alert in a list.
pub(super) fn alert(alert: &Alert, incident: &Incident, compromises: &Compromises) -> Value {
    json!({
        "id": alert.alert_id,
        "incident": incident.id,
        "system": alert.system,
        "rule": alert.rule,
        "entity": alert.entity,
        "severity": alert.severity,
        "title": alert.title,
        "status": alert.status(incident),
        "verdict": alert.verdict,
        "assignee": incident.handling.assignee,
        "opened": alert.opened,
        "last": alert.last,
        "counted": alert.suppressed,
        "pages": alert.deliveries,
        "rests_on_tainted": compromises.rests(&alert.system, &alert.anchors),
        "unconfirmed": alert.grounds.unconfirmed.as_ref().map(unconfirmed),
    })
}

/// What an alert saw was taken back.
pub(super) fn unconfirmed(unconfirmed: &Unconfirmed) -> Value {
    let Unconfirmed { chain, block, epoch, agreed, quorum, since, is_final, .. } = unconfirmed;
    json!({
        "says": unconfirmed.sentence(),
        "chain": chain,
        "block": block,
        "epoch": epoch,
        "agreed": agreed,
        "quorum": quorum,
        "since": since,
        "final": is_final,
    })
}

/// Responses of an incident, oldest first.
pub(super) fn responses(state: &AlertState, incident: &Incident) -> Vec<Value> {
    let mut all: Vec<_> = state.responses_of(&incident.id).collect();
    all.sort_by_key(|progress| (progress.response.decided, &progress.response.id));
    let view = |progress: &&keywatch_alerting::response::intent::Progress| {
        let response = &progress.response;
        json!({
            "id": response.id,
            "status": progress.status(),
            "targets": name_targets(&response.targets),
            "why": response.why,
            "rule": response.rule,
            "decided": response.decided,
            "approved_by": response.approved_by,
        })
    };
    all.iter().map(view).collect()
}

/// A silence.
pub(super) fn silence(silence: &Silence, now: Instant) -> Value {
    let status = match silence {
        Silence { ended_by: Some(_), .. } => "ended",
        silence if silence.is_waiting() => "waiting for a second person",
        silence if silence.holds(now) => "active",
        _ => "expired",
    };
    let matcher = &silence.request.matcher;
    let mut shown = json!(matcher);
    if let Some(session) = &matcher.session {
        shown["session"] = Value::from(short_session(session));
    }
    json!({
        "id": silence.id,
        "system": silence.request.system,
        "status": status,
        "matcher": shown,
        "reason": silence.request.reason,
        "criticals": silence.request.criticals,
        "by": silence.by,
        "at": silence.at,
        "until": silence.request.until,
        "approved_by": silence.approved_by,
        "ended_by": silence.ended_by,
        "allows": silence.allows,
        "wider": silence.allows.as_ref().map(|allowed| allowed.wider(matcher)).unwrap_or_default(),
        "covered": silence.covered,
    })
}

/// What is shown of an event where it is there, before its amount.
const SHOWN: [TextColumn; 13] = [
    TextColumn::Actor,
    TextColumn::Session,
    TextColumn::Device,
    TextColumn::Wallet,
    TextColumn::Request,
    TextColumn::Decision,
    TextColumn::Tx,
    TextColumn::Chain,
    TextColumn::Asset,
    TextColumn::FromAddress,
    TextColumn::ToAddress,
    TextColumn::Outcome,
    TextColumn::Reason,
];

/// An event; columns that are empty are left out.
pub(super) fn event(event: &Event) -> Value {
    let mut view = json!({
        "event_id": event.event_id().to_string(),
        "time": event.time(),
        "event_time": event.event_time(),
        "kind": event.kind(),
        "source": event.source(),
        "late": event.late(),
    });
    for (column, text) in SHOWN.iter().filter_map(|column| Some((column, event.text(*column)?))) {
        view[column.name()] = Value::from(text);
    }
    if let Some(amount) = event.amount() {
        view["amount"] = Value::from(amount.to_string());
    }
    view
}

/// Adds to an event that somebody else may have written it.
pub(super) fn add_taint(view: &mut Value, event: &Event, compromises: &Compromises) {
    if compromises.is_tainted(event) {
        view["tainted"] = Value::from(true);
    }
}

/// What a system declares of assets, and what is quoted for them around an incident.
#[derive(Clone, Copy)]
pub(super) struct Units<'a> {
    pub(super) system: Option<&'a System>,
    pub(super) quotes: &'a Quotes,
}

/// Adds to the view of an event what people call its amount, in the units that its system declares, with the value that it had at
/// the event's log time where the asset has a price.
pub(super) fn add_amount_in_words(view: &mut Value, event: &Event, units: Units<'_>) {
    if let (Some(amount), Some(asset)) = (event.amount(), event.asset()) {
        let (digits, chain) = (amount.to_string(), event.chain());
        let words = units.quotes.amount_with_value(units.system, &digits, asset, chain, event.time());
        view["amount_in_words"] = Value::from(words);
    }
}
