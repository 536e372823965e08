//! Everything about a name, and the hand-over of a shift.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::Json;
use keywatch_alerting::{Alert, AlertState, Compromises, Incident, Status, Verdict};
use keywatch_store::event::TextColumn;
use keywatch_store::{Event, Instant, Topic};
use serde_json::{Value, json};

use super::history::scan;
use super::views::AlertCounts;
use super::{Answer, Api, Caller, Refusal, parameters, parsed, views};
use crate::clock;
use crate::limits::{ABOUT_EVENTS_MAX, ABOUT_NS, HANDOVER_NS};
use crate::service::operators::Operator;

/// `GET /v1/about/{name}`: what the log has of a session, person, device, request, wallet, address, transaction or
/// decision of that name since `since`, and the incidents that name it.
pub(super) async fn about(
    State(api): State<Arc<Api>>,
    Extension(operator): Caller,
    Path(name): Path<String>,
    uri: Uri,
) -> Answer {
    let parameters = parameters(&uri, &["since"])?;
    let now = clock::now();
    let since: Instant = parsed(&parameters, "since")?.unwrap_or(Instant(now.0 - ABOUT_NS));
    api.away(move |api| {
        let mut mentions = Mentions::default();
        let scanned = scan(api.log.as_ref(), Topic::Events, since, |event| {
            if operator.sees(event.system()) && event.kind() != "tick" {
                mentions.take(event, &name);
            }
            true
        })?;
        let incidents = api.executor.with_state(|state| incidents_naming(state, &operator, &name));
        let named = incidents.as_array().into_iter().flatten().filter_map(|incident| incident["system"].as_str());
        let systems: BTreeSet<&str> = mentions.systems.keys().map(String::as_str).chain(named).collect();
        for system in systems {
            api.executor.record_read(system, &operator.name, "about", &name, now)?;
        }
        let compromises = api.executor.with_state(|state| state.compromises().clone());
        let mut view = mentions.view(&name, &compromises);
        view["since"] = json!(since);
        view["looked_from"] = json!(scanned.from);
        view["complete"] = Value::from(scanned.complete);
        view["incidents"] = incidents;
        Ok(Json(view))
    })
    .await
}

/// Where a name stands in events.
#[derive(Default)]
struct Mentions {
    events: u64,
    first: Option<Instant>,
    last: Option<Instant>,
    kinds: BTreeMap<String, u64>,
    columns: BTreeMap<&'static str, u64>,
    systems: BTreeMap<String, u64>,
    newest: std::collections::VecDeque<Event>,
}

/// The columns in which something is looked for.
const NAMES: [TextColumn; 9] = [
    TextColumn::Actor,
    TextColumn::Session,
    TextColumn::Device,
    TextColumn::Wallet,
    TextColumn::Request,
    TextColumn::Decision,
    TextColumn::Tx,
    TextColumn::FromAddress,
    TextColumn::ToAddress,
];

impl Mentions {
    fn take(&mut self, event: &Event, name: &str) {
        let mut named = NAMES.into_iter().filter(|column| event.text(*column) == Some(name)).peekable();
        if named.peek().is_none() {
            return;
        }
        for column in named {
            *self.columns.entry(column.name()).or_default() += 1;
        }
        self.events += 1;
        self.first = self.first.or(Some(event.time()));
        self.last = Some(event.time());
        *self.kinds.entry(event.kind().to_owned()).or_default() += 1;
        *self.systems.entry(event.system().to_owned()).or_default() += 1;
        self.newest.push_back(event.clone());
        if self.newest.len() > ABOUT_EVENTS_MAX {
            self.newest.pop_front();
        }
    }

    fn view(&self, name: &str, compromises: &Compromises) -> Value {
        let newest = self.newest.iter().rev().map(|event| {
            let mut view = views::event(event);
            views::add_taint(&mut view, event, compromises);
            view
        });
        json!({
            "name": name,
            "events": self.events,
            "first": self.first,
            "last": self.last,
            "as": self.columns,
            "kinds": self.kinds,
            "systems": self.systems,
            "newest": newest.collect::<Vec<_>>(),
        })
    }
}

fn incidents_naming(state: &AlertState, operator: &Operator, name: &str) -> Value {
    let names = |incident: &&Incident| {
        operator.sees(&incident.system)
            && (incident.names.iter().any(|(_, named)| named == name)
                || state.alerts_of(incident).any(|alert| alert.entity == name))
    };
    let counts = AlertCounts::of(state);
    state.incidents().iter().filter(names).map(|incident| views::incident(&counts, incident)).collect()
}

/// `GET /v1/handover`: what a shift leaves to the next.
pub(super) async fn handover(State(api): State<Arc<Api>>, Extension(operator): Caller, uri: Uri) -> Answer {
    let parameters = parameters(&uri, &["since", "until"])?;
    let until: Instant = parsed(&parameters, "until")?.unwrap_or_else(clock::now);
    let since: Instant = parsed(&parameters, "since")?.unwrap_or(Instant(until.0.saturating_sub(HANDOVER_NS)));
    if since >= until {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "`since` is before `until`"));
    }
    api.away(move |api| Ok(Json(api.executor.with_state(|state| report(state, &operator, since, until))))).await
}

fn report(state: &AlertState, operator: &Operator, since: Instant, until: Instant) -> Value {
    let within = |time: Instant| since <= time && time < until;
    let all: Vec<&Incident> = state.incidents().iter().filter(|incident| operator.sees(&incident.system)).collect();
    let counts = AlertCounts::of(state);
    let views = |chosen: &dyn Fn(&Incident) -> bool| -> Vec<Value> {
        let mut chosen: Vec<&Incident> = all.iter().copied().filter(|incident| chosen(incident)).collect();
        chosen.sort_by_key(|incident| (std::cmp::Reverse(incident.severity), incident.opened, &incident.id));
        chosen.into_iter().map(|incident| views::incident(&counts, incident)).collect()
    };
    let acts: Vec<Value> = all
        .iter()
        .flat_map(|incident| incident.handling.entries.iter().map(move |entry| (incident, entry)))
        .filter(|(_, entry)| within(entry.at))
        .map(|(incident, entry)| {
            let mut act = json!(entry);
            act["incident"] = Value::from(incident.id.as_str());
            act
        })
        .collect();
    let silences = state.silences().iter().filter(|silence| operator.sees(&silence.request.system));
    let silences: Vec<Value> =
        silences.filter(|silence| silence.holds(until)).map(|silence| views::silence(silence, until)).collect();
    let switches = state.switches().iter().filter(|switch| operator.sees(&switch.request.system));
    let switches: Vec<Value> =
        switches.filter(|switch| switch.holds(until) || switch.waits(until)).map(|switch| switch.view(until)).collect();
    json!({
        "since": since,
        "until": until,
        "unresolved": views(&|incident| incident.handling.status != Status::Resolved && incident.paging.pages > 0),
        "opened": views(&|incident| within(incident.opened)),
        "resolved": views(&|incident| incident.handling.resolved.as_ref().is_some_and(|(.., at)| within(*at))),
        "acts": acts,
        "silences": silences,
        "switches": switches,
        "rules": rules(state, operator, &within),
    })
}

/// What each rule cost: alerts and findings that came in the span, and the verdicts on them.
fn rules(state: &AlertState, operator: &Operator, within: &dyn Fn(Instant) -> bool) -> Value {
    let mut rules: BTreeMap<&str, Vec<&Alert>> = BTreeMap::new();
    for alert in state.alerts().filter(|alert| operator.sees(&alert.system) && within(alert.last)) {
        rules.entry(&alert.rule).or_default().push(alert);
    }
    let view = |(rule, alerts): (&str, Vec<&Alert>)| {
        let (retracted, judged): (Vec<&Alert>, Vec<&Alert>) =
            alerts.iter().copied().partition(|alert| alert.is_closed_by_keywatch());
        let verdicts = |wanted: Verdict| judged.iter().filter(|alert| alert.verdict == Some(wanted)).count();
        let findings: u64 = alerts.iter().map(|alert| 1 + alert.suppressed).sum();
        json!({
            "rule": rule,
            "alerts": alerts.len(),
            "findings": findings,
            "true": verdicts(Verdict::True),
            "false": verdicts(Verdict::False),
            "benign": verdicts(Verdict::Benign),
            "test": verdicts(Verdict::Test),
            "retracted": retracted.len(),
        })
    };
    rules.into_iter().map(view).collect()
}
