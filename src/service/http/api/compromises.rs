//! Credentials of sources that somebody else had: declared, listed, taken back, and what rests on what was written under them.
//! The front door refuses them before the declaration is answered.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Json;
use keywatch_alerting::{Compromise, CompromiseRequest, Rests};
use keywatch_store::{EventId, Finding, Topic};
use serde_json::{Value, json};

use super::acts::{Reason, body_as};
use super::history::scan;
use super::incidents::finding;
use super::{Answer, Api, Caller, Refusal, lacks};
use crate::clock;
use crate::limits::{COMPROMISE_EVENTS_MAX, COMPROMISE_FINDINGS_MAX};
use crate::service::operators::{Operator, Permission};

/// `GET /v1/compromises`.
pub(super) async fn list(State(api): State<Arc<Api>>, Extension(operator): Caller) -> Answer {
    api.away(move |api| {
        let views: Vec<Value> = api.executor.with_state(|state| {
            let own = state.compromises().iter().filter(|compromise| operator.sees(&compromise.request.system));
            own.map(Compromise::view).collect()
        });
        Ok(Json(json!({ "compromises": views })))
    })
    .await
}

/// `POST /v1/compromises`: declares one, and says what rests on it.
pub(super) async fn declare(State(api): State<Arc<Api>>, Extension(operator): Caller, body: Bytes) -> Answer {
    may_administer(&operator)?;
    let request: CompromiseRequest = body_as(&body)?;
    if !operator.sees(&request.system) {
        return Err(Refusal::new(StatusCode::FORBIDDEN, format!("system `{}` is not one of yours", request.system)));
    }
    api.away(move |api| {
        is_declared(api, &request)?;
        // One that was replaced before is refused by the configuration.
        let taken = if request.until.is_some() { BTreeMap::new() } else { api.known.door.taken(&request.system) };
        let declaring = api.executor.compromised(request, &taken, &operator.name, clock::now());
        let declared = api.threads.block_on(declaring);
        // Also where it stands in the log and nobody could be told.
        at_the_door(api)?;
        with_affected(api, &declared?)
    })
    .await
}

/// `GET /v1/compromises/{id}`: one, with what rests on it.
pub(super) async fn show(State(api): State<Arc<Api>>, Extension(operator): Caller, Path(id): Path<String>) -> Answer {
    api.away(move |api| {
        let compromise = seen(api, &operator, &id)?;
        api.executor.record_read(&compromise.request.system, &operator.name, "compromise", &id, clock::now())?;
        with_affected(api, &compromise)
    })
    .await
}

/// `POST /v1/compromises/{id}/restore`: asks that it is taken back, or agrees to that.
pub(super) async fn restore(
    State(api): State<Arc<Api>>,
    Extension(operator): Caller,
    Path(id): Path<String>,
    body: Bytes,
) -> Answer {
    may_administer(&operator)?;
    let Reason { reason } = body_as(&body)?;
    api.away(move |api| {
        seen(api, &operator, &id)?;
        let restoring = api.executor.restore_credential(&id, &operator.name, &reason, clock::now());
        let restored = api.threads.block_on(restoring);
        at_the_door(api)?;
        Ok(Json(restored?.view()))
    })
    .await
}

fn may_administer(operator: &Operator) -> Result<(), Refusal> {
    if operator.may(Permission::Administer) { Ok(()) } else { Err(lacks(operator, Permission::Administer)) }
}

fn seen(api: &Api, operator: &Operator, id: &str) -> Result<Compromise, Refusal> {
    let found = api.executor.with_state(|state| state.compromises().get(id).cloned());
    let own = found.filter(|compromise| operator.sees(&compromise.request.system));
    own.ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, format!("there is no declaration `{id}` in your systems")))
}

/// A slip of the pen would taint nothing, and leave the thief's word counting.
fn is_declared(api: &Api, request: &CompromiseRequest) -> Result<(), Refusal> {
    let inventory = api.known.inventory.now();
    let sources = inventory.system(&request.system).map(|system| system.sources.as_slice()).unwrap_or_default();
    if sources.iter().any(|declared| declared.source == request.source) {
        return Ok(());
    }
    let CompromiseRequest { system, source, .. } = request;
    if inventory.system(system).is_none() {
        return Err(Refusal::new(StatusCode::CONFLICT, format!("the inventory has no system `{system}`")));
    }
    let there_are: Vec<&str> = sources.iter().map(|declared| declared.source.as_str()).collect();
    let problem =
        format!("the inventory's system `{system}` has no source `{source}`; it has {}", there_are.join(", "));
    Err(Refusal::new(StatusCode::CONFLICT, problem))
}

/// Has the front door refuse what the state says is to be refused.
fn at_the_door(api: &Api) -> Result<(), Refusal> {
    let refused = || api.executor.with_state(|state| state.compromises().refused());
    if api.threads.block_on(api.known.door.refuse(refused)) {
        return Ok(());
    }
    Err(Refusal::unavailable(
        "it stands in the log, and the front door has not taken it up: take the credential out of the configuration, and ask \
         again",
    ))
}

fn with_affected(api: &Api, compromise: &Compromise) -> Answer {
    let mut view = compromise.view();
    view["affected"] = affected(api, compromise)?;
    Ok(Json(view))
}

/// What rests on the events that are tainted: findings, each with how much of its evidence, and what was revoked for it.
fn affected(api: &Api, compromise: &Compromise) -> Result<Value, keywatch_store::Error> {
    let Tainted { events, ids, mut complete } = tainted(api, compromise)?;
    let system = &compromise.request.system;
    let (mut found, mut total) = (Vec::new(), 0_usize);
    let scanned = scan(api.log.as_ref(), Topic::Conclusions, compromise.request.since, |event| {
        if event.kind() == "finding.created"
            && event.system() == system
            && let Some(finding) = finding(event)
            && let Some(rests) = rests(&finding, &ids)
        {
            total += 1;
            if found.len() < COMPROMISE_FINDINGS_MAX {
                found.push((finding, rests));
            }
        }
        true
    })?;
    complete &= scanned.complete && found.len() == total;
    let findings: Vec<Value> = found.iter().map(|(finding, rests)| view(api, finding, *rests)).collect();
    Ok(json!({ "events": events, "total": total, "complete": complete, "findings": findings }))
}

/// The events of a source that are tainted.
struct Tainted {
    events: u64,
    ids: HashSet<EventId>,
    complete: bool,
}

fn tainted(api: &Api, compromise: &Compromise) -> Result<Tainted, keywatch_store::Error> {
    let CompromiseRequest { system, source, since, .. } = &compromise.request;
    let end = compromise.ends();
    let (mut events, mut ids) = (0, HashSet::new());
    let scanned = scan(api.log.as_ref(), Topic::Events, *since, |event| {
        if event.system() != system {
            return true;
        }
        if end.is_some_and(|end| event.time() >= end) {
            return false;
        }
        if event.source() == source && event.time() >= *since && event.kind() != "source.expected" {
            events += 1;
            if ids.len() < COMPROMISE_EVENTS_MAX {
                ids.insert(event.event_id());
            }
        }
        true
    })?;
    let complete = scanned.complete && u64::try_from(ids.len()).is_ok_and(|ids| ids == events);
    Ok(Tainted { events, ids, complete })
}

fn rests(finding: &Finding, tainted: &HashSet<EventId>) -> Option<Rests> {
    let count = finding.evidence.iter().filter(|id| tainted.contains(*id)).count();
    match count {
        0 => None,
        count if count == finding.evidence.len() => Some(Rests::Alone),
        _ => Some(Rests::Partly),
    }
}

fn view(api: &Api, finding: &Finding, rests: Rests) -> Value {
    let (alert, responses) = api.executor.with_state(|state| {
        let alert = state.alert(finding).filter(|alert| alert.opened <= finding.decided);
        let alert = alert.map(|alert| json!({ "id": alert.alert_id, "incident": alert.incident }));
        let responses = state.responses().iter().filter(|progress| progress.response.finding_id == finding.id);
        let responses = responses.map(|progress| json!({ "id": progress.response.id, "status": progress.status() }));
        (alert, responses.collect::<Vec<Value>>())
    });
    json!({
        "id": finding.id, "rule": finding.rule, "entity": finding.entity, "severity": finding.severity,
        "title": finding.title, "decided": finding.decided, "rests": rests, "alert": alert, "responses": responses,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_rests_on_what_its_evidence_is() {
        let id = |name: &str| EventId::derive("cold", "idp", name);
        let with = |evidence: Vec<EventId>| -> Finding {
            let line = json!({
                "id": "f", "rule": "r", "version": 1, "severity": "high", "system": "cold", "entity": "e",
                "anchor": id("1"), "time": keywatch_store::Instant(1), "decided": keywatch_store::Instant(1), "title": "t",
                "meaning": "m", "runbook": "r", "source": "idp", "late": false, "evidence": evidence, "facts": {},
                "response": [], "proof": "corroborated", "suppress_ns": 1,
            });
            serde_json::from_value(line).unwrap()
        };
        let tainted = HashSet::from([id("1"), id("2")]);
        for (evidence, expected) in [
            (vec![id("1")], Some(Rests::Alone)),
            (vec![id("1"), id("2")], Some(Rests::Alone)),
            (vec![id("1"), id("3")], Some(Rests::Partly)),
            (vec![id("3")], None),
        ] {
            assert_eq!(rests(&with(evidence.clone()), &tainted), expected, "{evidence:?}");
        }
    }
}
