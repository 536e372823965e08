//! Actions and outcomes as records of the log. Ids are derived from what is said, so that saying it twice is a repeat
//! that the log skips. Log time is given by the log.

use std::collections::BTreeMap;

use keywatch_store::event::{Builder, Origin};
use keywatch_store::{Amount, Event, Finding, Topic};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::delivery::occasion::PendingNotification;
use crate::delivery::standing::DueEscalation;
use crate::lifecycle::action::{Action, AlertRecord, SOURCE, derive_id};
use crate::response::intent::{Before, Degree, Progress, Response};
use crate::response::revocation::RevocationDocument;

/// The records of what was decided, responses first: an intent is in the log before anything follows from it.
/// [`Action::Notify`] has none of its own: the alert's record holds its key and destinations.
#[must_use]
pub fn records(actions: &[Action]) -> Vec<(Topic, Event)> {
    let record = |action: &Action| match action {
        Action::Propose(response) => Some((Topic::Events, proposed(response))),
        Action::Revoke(response) => Some((Topic::Events, requested(response))),
        Action::OpenAlert(record) => Some((Topic::Conclusions, alert("alert.opened", record))),
        Action::UpdateAlert(record) => Some((Topic::Conclusions, alert("alert.updated", record))),
        Action::Suppress(record) => Some((Topic::Conclusions, alert("alert.suppressed", record))),
        Action::Notify { .. } => None,
    };
    actions.iter().filter_map(record).collect()
}

/// The `finding.created` record of a finding.
#[must_use]
pub fn finding_created(finding: &Finding) -> Event {
    about(finding, &format!("finding/{}", finding.id), "finding.created", &json!(finding)).build_own()
}

/// The same where another record has its id: under an id of all that it says, which nobody can take who says something else.
#[must_use]
pub fn finding_created_beside(finding: &Finding) -> Event {
    let detail = json!(finding);
    let digest = hex::encode(Sha256::digest(detail.to_string()));
    about(finding, &format!("finding/{}/{digest}", finding.id), "finding.created", &detail).build_own()
}

/// The `incident.paged` record: what had waited is told.
#[must_use]
pub fn paged(record: &AlertRecord) -> Event {
    let mut event = about(&record.finding, &format!("paged/{}", record.key), "incident.paged", &json!(record));
    event.time(keywatch_store::Instant::UNASSIGNED);
    event.build_own()
}

/// The `response.proposed` record: it waits for people.
#[must_use]
pub fn proposed(response: &Response) -> Event {
    step("response.proposed", response, "", json!({})).build_own()
}

/// The `response.requested` record: the durable intent.
#[must_use]
pub fn requested(response: &Response) -> Event {
    step("response.requested", response, "", json!({})).build_own()
}

/// The `response.approved` record: one person has agreed.
#[must_use]
pub fn approved(response: &Response, person: &str, reason: &str) -> Event {
    decided_by("response.approved", response, person, reason)
}

/// The `response.rejected` record.
#[must_use]
pub fn rejected(response: &Response, person: &str, reason: &str) -> Event {
    decided_by("response.rejected", response, person, reason)
}

/// The `response.undone` record.
#[must_use]
pub fn undone(response: &Response, person: &str, reason: &str) -> Event {
    decided_by("response.undone", response, person, reason)
}

/// The `response.undo_asked` record: a person wants it taken back, and another one has to agree.
#[must_use]
pub fn undo_asked(response: &Response, person: &str, reason: &str) -> Event {
    decided_by("response.undo_asked", response, person, reason)
}

fn decided_by(kind: &str, response: &Response, person: &str, reason: &str) -> Event {
    let mut event = step(kind, response, &format!("/{}", derive_id(&[person])), json!({}));
    event.actor(Some(person.to_owned()));
    event.reason(reason);
    event.build_own()
}

/// The `response.published` record: what probes answered `before`, the ids of those answers, and the names of a `control` with
/// which nobody signs.
#[must_use]
pub fn published(
    response: &Response,
    document: &RevocationDocument,
    before: &Before,
    decisions: &[String],
    control: &[String],
) -> Event {
    let mut extra = json!({
        "sequence": document.sequence, "sha256": document.sha256(), "before": before, "decisions": decisions,
    });
    if !control.is_empty() {
        extra["control"] = json!(control);
    }
    step("response.published", response, "", extra).build_own()
}

/// The `response.verified` record; `decisions` are the ids under which probes were answered after publishing.
#[must_use]
pub fn verified(response: &Response, sequence: u64, degree: Degree, reason: &str, decisions: &[String]) -> Event {
    let mut event = step("response.verified", response, "", json!({ "sequence": sequence, "decisions": decisions }));
    event.outcome(degree.to_string());
    event.reason(reason);
    event.build_own()
}

/// The `response.verified` record of a degree beyond the denial at the decision point.
#[must_use]
pub fn further(progress: &Progress, degree: Degree, reason: &str) -> Event {
    let sequence = json!({ "sequence": progress.sequence });
    let mut event = step("response.verified", &progress.response, &format!("/{degree}"), sequence);
    event.outcome(degree.to_string());
    event.reason(reason);
    event.build_own()
}

/// The `response.failed` record of the attempt after `progress`.
#[must_use]
pub fn failed(progress: &Progress, reason: &str) -> Event {
    let attempt = progress.failures + 1;
    let mut event = step(
        "response.failed",
        &progress.response,
        &format!("/{attempt}"),
        json!({ "sequence": progress.sequence, "attempt": attempt }),
    );
    event.reason(reason);
    event.build_own()
}

/// The `response.verified` record of a way besides the decision point: it was accepted there.
#[must_use]
pub fn accepted(response: &Response, degree: Degree, reason: &str) -> Event {
    let mut event = step("response.verified", response, "", json!({}));
    event.outcome(degree.to_string());
    event.reason(reason);
    event.build_own()
}

/// The `response.failed` record of the attempt after `progress` on a way besides the decision point; `accepted` was taken
/// there nevertheless, each as `section/name`.
#[must_use]
pub fn way_failed(progress: &Progress, reason: &str, accepted: &[String]) -> Event {
    let attempt = progress.failures + 1;
    let extra = json!({ "attempt": attempt, "accepted": accepted });
    let mut event = step("response.failed", &progress.response, &format!("/{attempt}"), extra);
    event.reason(reason);
    event.build_own()
}

/// The `response.failed` record that ends a response: it can never be carried out on its way.
#[must_use]
pub fn given_up(response: &Response, reason: &str) -> Event {
    let mut event = step("response.failed", response, "/given_up", json!({}));
    event.outcome("given_up");
    event.reason(reason);
    event.build_own()
}

/// The `alert.notified` record: `destination` took what is told under `key`; `said` is the status of each response that
/// the message spoke of.
#[must_use]
pub fn notified(record: &AlertRecord, key: &str, destination: &str, said: &BTreeMap<String, String>) -> Event {
    let detail = json!({ "alert_id": record.alert_id, "key": key, "destination": destination, "said": said });
    let mut event = about(&record.finding, &format!("notified/{destination}/{key}"), "alert.notified", &detail);
    event.time(keywatch_store::Instant::UNASSIGNED);
    event.build_own()
}

/// The `alert.failed` record: `destination` did not take what is told under `key`. `since`, the unix time of the first
/// failure, says that it is tried again; without it, it is put aside.
#[must_use]
pub fn undelivered(pending: &PendingNotification, destination: &str, problem: &str, since: Option<i64>) -> Event {
    let PendingNotification { key, record, redriven, .. } = pending;
    let mut detail = json!({
        "alert_id": record.alert_id, "key": key, "destination": destination, "dead": since.is_none(),
    });
    if let Some(since) = since {
        detail["since"] = json!(since);
    }
    let what = if since.is_none() { "dead" } else { "failed" };
    let again = if *redriven == 0 { String::new() } else { format!("/{redriven}") };
    // Another start may fail for another reason: that is another record.
    let source_id = format!("{what}/{destination}/{key}/{}{again}", derive_id(&[problem]));
    let mut event = about(&record.finding, &source_id, "alert.failed", &detail);
    event.time(keywatch_store::Instant::UNASSIGNED);
    event.reason(problem);
    event.build_own()
}

/// The `alert.redriven` record: `person` wants a dead letter, which came back `before` times, tried again.
#[must_use]
pub fn redriven(record: &AlertRecord, key: &str, destination: &str, before: u32, person: &str) -> Event {
    let detail = json!({ "alert_id": record.alert_id, "key": key, "destination": destination });
    let source_id = format!("redriven/{destination}/{key}/{before}");
    let mut event = about(&record.finding, &source_id, "alert.redriven", &detail);
    event.time(keywatch_store::Instant::UNASSIGNED);
    event.actor(Some(person.to_owned()));
    event.build_own()
}

/// The `alert.escalated` record: nobody acknowledged the incident, so that it goes on to others.
#[must_use]
pub(crate) fn escalated(due: &DueEscalation) -> Event {
    let DueEscalation { record, key, minutes, receivers } = due;
    let detail = json!({
        "alert_id": record.alert_id, "incident": record.incident, "key": key, "minutes": minutes, "destinations": receivers,
    });
    let mut event = about(&record.finding, &format!("escalated/{key}"), "alert.escalated", &detail);
    event.time(keywatch_store::Instant::UNASSIGNED);
    event.build_own()
}

fn alert(kind: &str, record: &AlertRecord) -> Event {
    about(&record.finding, &format!("alert/{}", record.finding.id), kind, &json!(record)).build_own()
}

/// A conclusion about a finding. It carries the log time at which the finding was settled: the conclusions of a recorded
/// log stand at the times of their events.
fn about(finding: &Finding, source_id: &str, kind: &str, detail: &Value) -> Builder {
    let origin = Origin { system: finding.system.clone(), source: SOURCE.to_owned() };
    let mut event = Event::builder(&origin, source_id, kind, finding.time);
    event.time(finding.decided);
    event.actor(&finding.actor);
    event.session(&finding.session);
    event.device(&finding.device);
    event.wallet(&finding.wallet);
    event.request(&finding.request);
    event.tx(&finding.tx);
    event.to_address(&finding.to_address);
    event.reason(&finding.title);
    event.detail(detail);
    event.amount(finding.amount.as_deref().and_then(|digits| Amount::from_digits(digits).ok()));
    event
}

fn step(kind: &str, response: &Response, suffix: &str, extra: Value) -> Builder {
    let origin = Origin { system: response.system.clone(), source: SOURCE.to_owned() };
    let name = kind.rsplit('.').next().unwrap_or(kind);
    let source_id = format!("response/{}/{name}{suffix}", response.id);
    let mut event = Event::builder(&origin, &source_id, kind, response.decided);
    let mut detail = json!(response);
    if let (Value::Object(all), Value::Object(more)) = (&mut detail, extra) {
        all.extend(more);
    }
    event.reason(&response.why);
    event.session(only(&response.targets.sessions));
    event.device(only(&response.targets.devices));
    event.request(only(&response.targets.requests));
    event.wallet(only(&response.targets.wallets));
    event.actor(response.approved_by.clone().or_else(|| only(&response.targets.subjects)));
    event.detail(&detail);
    event
}

/// The one name of a section; a column holds no more than one, the detail holds all.
fn only(names: &std::collections::BTreeSet<String>) -> Option<String> {
    if names.len() == 1 { names.first().cloned() } else { None }
}
