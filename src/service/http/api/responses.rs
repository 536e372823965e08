//! Responses: what keywatch would stop, has stopped and was told to let in again, and what people decide on that. A list
//! shortens session ids; whoever is shown all of one is written down. Who may decide on which response is for alerting to say,
//! beyond role and system.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::Json;
use keywatch_alerting::response::wording::name_targets;
use keywatch_alerting::{Approval, Progress, ResponseView, Step, Undoing};
use keywatch_store::{Finding, Instant, Log, Topic};
use serde_json::{Value, json};

use super::acts::{Reason, body_as};
use super::history::scan;
use super::incidents::finding;
use super::{Answer, Api, Caller, Refusal, lacks, parameters, parsed, views};
use crate::clock;
use crate::limits::{API_LIST_DEFAULT, API_LIST_MAX};
use crate::service::operators::{Operator, Permission};

/// Parameters of a list.
const PARAMETERS: [&str; 6] = ["status", "system", "incident", "session", "limit", "offset"];

/// Where a response may stand, in one word.
pub(crate) const STATUSES: [&str; 14] = [
    "proposed",
    "expired",
    "rejected",
    "released",
    "requested",
    "published",
    "failed",
    "denied_at_pdp",
    "already_denied",
    "unconfirmed",
    "accepted_by_identity_provider",
    "accepted_by_signer",
    "given_up",
    "undone",
];

/// `GET /v1/responses`: those that wait for a person first, then the newest.
pub(super) async fn list(State(api): State<Arc<Api>>, Extension(operator): Caller, uri: Uri) -> Answer {
    let parameters = parameters(&uri, &PARAMETERS)?;
    let limit: usize = parsed(&parameters, "limit")?.unwrap_or(API_LIST_DEFAULT);
    let offset: usize = parsed(&parameters, "offset")?.unwrap_or(0);
    let wrong = |problem: String| Err(Refusal::new(StatusCode::BAD_REQUEST, problem));
    if !(1..=API_LIST_MAX).contains(&limit) {
        return wrong(format!("`limit` is between 1 and {API_LIST_MAX}"));
    }
    if let Some(unknown) = parameters.get("status").filter(|status| !STATUSES.contains(&status.as_str())) {
        return wrong(format!("`status`: there is no `{unknown}`; there are {}", STATUSES.join(", ")));
    }
    api.away(move |api| {
        let asked = |name: &str| parameters.get(name).map(String::as_str);
        let mut found = api.executor.standings(|progress| {
            let response = &progress.response;
            operator.sees(&response.system)
                && asked("system").is_none_or(|system| system == response.system)
                && asked("session").is_none_or(|session| response.targets.sessions.contains(session))
        });
        found.retain(|standing| {
            asked("status").is_none_or(|wanted| wanted == status(standing))
                && asked("incident").is_none_or(|wanted| standing.incident.as_deref() == Some(wanted))
        });
        let views: Vec<Value> = found.iter().skip(offset).take(limit).map(view).collect();
        Ok(Json(json!({ "total": found.len(), "responses": views })))
    })
    .await
}

/// `GET /v1/responses/{id}`: all that is known of it, with the finding that it answers.
pub(super) async fn show(State(api): State<Arc<Api>>, Extension(operator): Caller, Path(id): Path<String>) -> Answer {
    api.away(move |api| {
        let standing = seen(api, &operator, &id)?;
        let response = &standing.progress.response;
        api.executor.record_read(&response.system, &operator.name, "response", &id, clock::now())?;
        let mut view = view(&standing);
        view["names"] = json!(response.targets);
        view["finding"] = finding_of(api.log.as_ref(), &standing.progress)?.map_or(Value::Null, |found| json!(found));
        Ok(Json(view))
    })
    .await
}

/// `POST /v1/responses/{id}/approve`, `reject` and `undo`.
pub(super) async fn act(
    State(api): State<Arc<Api>>,
    Extension(operator): Caller,
    Path((id, act)): Path<(String, String)>,
    body: Bytes,
) -> Answer {
    may_decide(&operator)?;
    if !["approve", "reject", "undo"].contains(&act.as_str()) {
        let problem = format!("nobody can `{act}` a response; there are approve, reject, undo");
        return Err(Refusal::new(StatusCode::NOT_FOUND, problem));
    }
    let Reason { reason } = body_as(&body)?;
    api.away(move |api| {
        seen(api, &operator, &id)?;
        let (executor, by) = (&api.executor, operator.name.as_str());
        let outcome = match act.as_str() {
            "approve" => match api.threads.block_on(executor.approve(&id, by, &reason))? {
                Approval::Waits { .. } => "waits",
                Approval::CarriedOut => "decided",
            },
            "reject" => {
                api.threads.block_on(executor.reject(&id, by, &reason))?;
                "rejected"
            }
            _ => taken_back(&api.threads.block_on(executor.undo(&id, by, &reason))?),
        };
        Ok(Json(decided(api, &id, outcome)))
    })
    .await
}

/// Whether the operator's role decides on responses.
pub(super) fn may_decide(operator: &Operator) -> Result<(), Refusal> {
    if operator.may(Permission::Respond) { Ok(()) } else { Err(lacks(operator, Permission::Respond)) }
}

/// What became of the wish to take a response back, in one word.
pub(super) fn taken_back(undoing: &Undoing) -> &'static str {
    match undoing {
        Undoing::Waits { .. } => "undo_waits",
        Undoing::Undone => "undone",
    }
}

/// What became of a decision.
pub(super) fn decided(api: &Api, id: &str, outcome: &str) -> Value {
    let now = api.executor.standing(id).as_ref().map(view);
    json!({ "response": id, "outcome": outcome, "now": now })
}

/// The response, where it is one of the operator's systems.
fn seen(api: &Api, operator: &Operator, id: &str) -> Result<ResponseView, Refusal> {
    let found = api.executor.standing(id).filter(|standing| operator.sees(&standing.progress.response.system));
    found.ok_or_else(|| Refusal::no_response(id))
}

/// The finding that caused a response, as the conclusions topic has it.
fn finding_of(log: &dyn Log, progress: &Progress) -> Result<Option<Finding>, keywatch_store::Error> {
    let response = &progress.response;
    let mut found = None;
    scan(log, Topic::Conclusions, Instant(response.decided.0 - 1), |event| {
        if event.kind() == "finding.created" && event.system() == response.system {
            found = finding(event).filter(|found| found.id == response.finding_id);
        }
        found.is_none()
    })?;
    Ok(found)
}

fn status(standing: &ResponseView) -> String {
    let ResponseView { progress, expired, .. } = standing;
    match progress.step {
        Step::Proposed if *expired => "expired".to_owned(),
        Step::Published if progress.failures == 0 => "published".to_owned(),
        _ => progress.status(),
    }
}

/// Why it stands where it stands.
fn because(progress: &Progress) -> Option<&str> {
    match &progress.step {
        Step::Rejected { reason, .. }
        | Step::Undone { reason, .. }
        | Step::Verified { reason, .. }
        | Step::GivenUp { reason } => Some(reason),
        Step::Requested | Step::Published => progress.failed_because.as_deref(),
        Step::Proposed | Step::Released => None,
    }
}

/// A response in a list. Session ids are often bearer secrets: a list shows enough to recognise one.
fn view(standing: &ResponseView) -> Value {
    let progress = &standing.progress;
    let response = &progress.response;
    json!({
        "id": response.id,
        "system": response.system,
        "status": status(standing),
        "because": because(progress),
        "in_force": progress.is_in_document(),
        "decided": response.decided,
        "rule": response.rule,
        "severity": response.severity,
        "alert": response.alert_id,
        "incident": standing.incident.as_deref().unwrap_or(&response.incident),
        "actor": response.actor,
        "targets": name_targets(&response.targets),
        "count": response.targets.iter().count(),
        "why": response.why,
        "late": response.late,
        "over_limit": response.over_limit,
        "shadow": standing.shadow,
        "trust_groups": standing.groups,
        "needed": standing.needed,
        "approvals": progress.approvals,
        "approved_by": response.approved_by,
        "expires": standing.expires,
        "failures": progress.failures,
        "degrees": progress.aftermath.recorded,
        "rulings": progress.rulings,
        "via": response.via,
        "undo_asked": progress.undo_asked,
        "unconfirmed": standing.unconfirmed.as_ref().map(views::unconfirmed),
    })
}
