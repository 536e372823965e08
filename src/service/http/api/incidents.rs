//! Lists and shows incidents and alerts. A list shortens session ids; whoever is shown all of one is written down.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::Json;
use keywatch_alerting::{Alert, AlertState, Compromises, Executor, Incident, Shared, Status};
use keywatch_store::{Event, EventId, Finding, Instant, Inventory, Log, Severity, Topic};
use serde::Deserialize;
use serde_json::{Value, json};

use super::custody::{self, Wanted};
use super::history::scan;
use super::views::AlertCounts;
use super::{Answer, Api, Caller, Refusal, parameters, parsed, views};
use crate::clock;
use crate::limits::{API_LIST_DEFAULT, API_LIST_MAX, CUSTODY_EVIDENCE_MAX};
use crate::service::operators::Operator;

/// Parameters of a list.
const PARAMETERS: [&str; 8] = ["status", "system", "severity", "assignee", "rule", "limit", "offset", "order"];

/// What a list is to show.
struct Filter {
    status: Option<Status>,
    system: Option<String>,
    severity: Option<Severity>,
    assignee: Option<String>,
    rule: Option<String>,
    limit: usize,
    offset: usize,
    order: Order,
}

/// What comes first in a list.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Order {
    /// The worst.
    #[default]
    Worst,
    /// What began last.
    Newest,
}

impl Filter {
    fn read(uri: &Uri) -> Result<Filter, Refusal> {
        let mut parameters = parameters(uri, &PARAMETERS)?;
        let limit: usize = parsed(&parameters, "limit")?.unwrap_or(API_LIST_DEFAULT);
        if !(1..=API_LIST_MAX).contains(&limit) {
            return Err(Refusal::new(StatusCode::BAD_REQUEST, format!("`limit` is between 1 and {API_LIST_MAX}")));
        }
        Ok(Filter {
            status: parsed(&parameters, "status")?,
            severity: parsed(&parameters, "severity")?,
            system: parameters.remove("system"),
            assignee: parameters.remove("assignee"),
            rule: parameters.remove("rule"),
            limit,
            offset: parsed(&parameters, "offset")?.unwrap_or(0),
            order: parsed(&parameters, "order")?.unwrap_or_default(),
        })
    }

    fn takes(&self, operator: &Operator, incident: &Incident, severity: Severity) -> bool {
        let said = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
        operator.sees(&incident.system)
            && said(&self.system, &incident.system)
            && self.severity.is_none_or(|least| severity >= least)
            && said(&self.assignee, incident.handling.assignee.as_deref().unwrap_or_default())
    }
}

/// `GET /v1/incidents`: worst first, then those that something happened in last.
pub(super) async fn list_incidents(State(api): State<Arc<Api>>, Extension(operator): Caller, uri: Uri) -> Answer {
    let filter = Filter::read(&uri)?;
    api.away(move |api| Ok(Json(api.executor.with_state(|state| listed(state, &operator, &filter))))).await
}

/// The incidents that a filter takes: how many there are, and those of one page.
fn listed(state: &AlertState, operator: &Operator, filter: &Filter) -> Value {
    let of_rule: Option<BTreeSet<&str>> = filter.rule.as_ref().map(|rule| {
        let alerts = state.alerts().filter(|alert| alert.rule == *rule);
        alerts.map(|alert| state.incidents().resolve(&alert.incident)).collect()
    });
    let mut found: Vec<&Incident> = state.incidents().iter().collect();
    found.retain(|incident| {
        filter.takes(operator, incident, incident.severity)
            && filter.status.is_none_or(|status| status == incident.handling.status)
            && of_rule.as_ref().is_none_or(|ids| ids.contains(incident.id.as_str()))
    });
    match filter.order {
        Order::Worst => found.sort_by_key(|incident| {
            (incident.handling.status, Reverse((incident.severity, incident.last)), &incident.id)
        }),
        Order::Newest => found.sort_by_key(|incident| (Reverse(incident.opened), &incident.id)),
    }
    let counts = AlertCounts::of(state);
    let shown = found.iter().skip(filter.offset).take(filter.limit);
    let views: Vec<Value> = shown.map(|incident| views::incident(&counts, incident)).collect();
    json!({ "total": found.len(), "incidents": views })
}

/// `GET /v1/alerts`: worst first, then the newest.
pub(super) async fn list_alerts(State(api): State<Arc<Api>>, Extension(operator): Caller, uri: Uri) -> Answer {
    let filter = Filter::read(&uri)?;
    let list = move |state: &AlertState| {
        let alerts = state.alerts();
        let mut found: Vec<(&Alert, &Incident)> =
            alerts.filter_map(|alert| Some((alert, state.incidents().get(&alert.incident)?))).collect();
        found.retain(|(alert, incident)| {
            filter.takes(&operator, incident, alert.severity)
                && filter.status.is_none_or(|wanted| wanted == alert.status(incident))
                && filter.rule.as_deref().is_none_or(|rule| rule == alert.rule)
        });
        match filter.order {
            Order::Worst => {
                found.sort_by_key(|(alert, _)| (Reverse((alert.severity, alert.last)), &alert.alert_id));
            }
            Order::Newest => found.sort_by_key(|(alert, _)| (Reverse(alert.opened), &alert.alert_id)),
        }
        let shown = found.iter().skip(filter.offset).take(filter.limit);
        let views: Vec<Value> =
            shown.map(|(alert, incident)| views::alert(alert, incident, state.compromises())).collect();
        json!({ "total": found.len(), "alerts": views })
    };
    api.away(move |api| Ok(Json(api.executor.with_state(list)))).await
}

/// `GET /v1/incidents/{id}` and `GET /v1/alerts/{id}`: all that is known of it, with the chain of custody around it.
pub(super) async fn show(State(api): State<Arc<Api>>, Extension(operator): Caller, Path(name): Path<String>) -> Answer {
    api.away(move |api| {
        let found = api.executor.with_state(|state| Shown::of(state, &name));
        let shown = found.filter(|shown| operator.sees(&shown.incident.system));
        let Some(shown) = shown else { return Err(Refusal::nothing(&name)) };
        api.executor.record_read(&shown.incident.system, &operator.name, "incident", &name, clock::now())?;
        Ok(Json(shown.view(api.log.as_ref(), &api.known.inventory.now())?))
    })
    .await
}

/// All that is known of an incident, as the API answers it; `None` where there is none of that id.
///
/// # Errors
/// The log cannot be read.
pub(crate) fn incident_of(
    executor: &Executor,
    log: &dyn Log,
    inventory: &Inventory,
    id: &str,
) -> Result<Option<Value>, keywatch_store::Error> {
    executor.with_state(|state| Shown::of(state, id)).map(|shown| shown.view(log, inventory)).transpose()
}

/// What the state says of an incident, taken out so that the log can be read without holding it.
struct Shown {
    incident: Incident,
    /// The alert that was asked for, or the worst.
    alert: Option<Alert>,
    summary: Value,
    alerts: Vec<Alert>,
    responses: Vec<Value>,
    compromises: Compromises,
}

impl Shown {
    fn of(state: &AlertState, name: &str) -> Option<Shown> {
        let incident = state.incident_of(name)?;
        let mut alerts: Vec<Alert> = state.alerts_of(incident).cloned().collect();
        alerts.sort_by_key(|alert| (Reverse(alert.severity), alert.opened, alert.alert_id.clone()));
        let asked_for = alerts.iter().find(|alert| alert.alert_id == name);
        Some(Shown {
            alert: asked_for.or(alerts.first()).cloned(),
            summary: views::incident(&AlertCounts::of(state), incident),
            responses: views::responses(state, incident),
            compromises: state.compromises().clone(),
            incident: incident.clone(),
            alerts,
        })
    }

    fn view(self, log: &dyn Log, inventory: &Inventory) -> Result<Value, keywatch_store::Error> {
        let Findings { told, evidence } = findings(log, &self.alerts)?;
        let finding = self.alert.as_ref().and_then(|alert| told.get(&alert.finding));
        let system = inventory.system(&self.incident.system);
        let wanted = Wanted::of(&self.incident, evidence, self.compromises.clone());
        let chain = custody::chain(log, &wanted, system)?;
        let view_of = |alert: &Alert| views::alert(alert, &self.incident, &self.compromises);
        let mut view = self.summary;
        view["sessions"] = json!(views::names(&self.incident, Shared::Session));
        view["merged"] = json!(self.incident.merged);
        view["history"] = json!(self.incident.handling.entries);
        view["responses"] = Value::from(self.responses);
        view["about"] = self.alert.as_ref().map_or(Value::Null, view_of);
        view["alert_list"] = self.alerts.iter().map(view_of).collect();
        view["finding"] = finding.map_or(Value::Null, |finding| json!(finding));
        view["custody"] = chain;
        Ok(view)
    }
}

/// The findings of an incident, as the conclusions topic has them.
#[derive(Default)]
struct Findings {
    /// The last told finding of each alert, by id.
    told: BTreeMap<String, Finding>,
    /// Events that prove any of its findings, those that were merely counted too.
    evidence: BTreeSet<EventId>,
}

fn findings(log: &dyn Log, alerts: &[Alert]) -> Result<Findings, keywatch_store::Error> {
    let mut wanted: BTreeSet<&str> = alerts.iter().map(|alert| alert.finding.as_str()).collect();
    let mut found = Findings::default();
    let from = alerts.iter().map(|alert| alert.opened).min();
    let Some((from, until)) = from.zip(alerts.iter().map(|alert| alert.last).max()) else { return Ok(found) };
    let systems: BTreeSet<&str> = alerts.iter().map(|alert| alert.system.as_str()).collect();
    let about: BTreeSet<(&str, &str)> =
        alerts.iter().map(|alert| (alert.rule.as_str(), alert.entity.as_str())).collect();
    scan(log, Topic::Conclusions, Instant(from.0 - 1), |event| {
        if !systems.contains(event.system()) {
            return true;
        }
        if event.kind() == "finding.created"
            && let Some(finding) = finding(event)
        {
            if about.contains(&(finding.rule.as_str(), finding.entity.as_str())) && finding.decided <= until {
                let room = CUSTODY_EVIDENCE_MAX.saturating_sub(found.evidence.len());
                found.evidence.extend(finding.evidence.iter().copied().take(room));
            }
            if wanted.remove(finding.id.as_str()) {
                found.told.insert(finding.id.clone(), finding);
            }
        }
        !wanted.is_empty() || event.time() <= until
    })?;
    Ok(found)
}

pub(super) fn finding(event: &Event) -> Option<Finding> {
    Finding::deserialize(event.detail().value()).ok()
}
