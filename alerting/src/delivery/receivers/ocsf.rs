//! A notification as an OCSF 1.8.0 Detection Finding (class 2004), for whoever reads that: `data` of a webhook, or a line to
//! a SIEM. `finding_info.uid` is the id under which the incident was told first, the same from its creation to its close. What
//! OCSF has no place for stands under `unmapped`.

use keywatch_store::Severity;
use serde_json::{Value, json};

use crate::delivery::message::Notification;
use crate::lifecycle::handling::Status;

/// The schema's version.
pub const VERSION: &str = "1.8.0";

const CLASS: u32 = 2004;

/// The finding.
#[must_use]
pub fn detection_finding(notification: &Notification) -> Value {
    let n = notification;
    let activity = activity(n);
    let when = n.when.nanoseconds().div_euclid(1_000_000);
    let mut finding = json!({
        "class_uid": CLASS,
        "category_uid": CLASS / 1_000,
        "activity_id": activity,
        "type_uid": CLASS * 100 + activity,
        "severity_id": severity_id(n.severity),
        "time": when,
        "message": n.title,
        "status_id": status_id(n.status),
        "is_alert": activity == 1,
        "metadata": {
            "version": VERSION,
            "product": { "name": "keywatch", "vendor_name": "keywatch", "version": env!("CARGO_PKG_VERSION") },
            "uid": n.key,
            "correlation_uid": n.incident,
            "tenant_uid": n.system,
            "event_code": n.rule,
        },
        "finding_info": {
            "uid": uid(n),
            "title": n.title,
            "desc": n.meaning,
            "first_seen_time": when,
            "analytic": { "type_id": 1, "type": "Rule", "name": n.rule, "uid": n.rule },
            "related_events_count": n.evidence.len(),
        },
        "evidences": [{ "data": { "event_ids": n.evidence } }],
        "remediation": { "desc": if n.runbook.is_empty() { "look at the evidence" } else { n.runbook.as_str() } },
        "unmapped": {
            "about": n.about, "facts": n.facts, "entity": n.entity, "did": n.did, "again": n.again, "story": n.story,
            "alert_id": n.alert_id,
        },
    });
    if let Some(actor) = n.about.get("actor") {
        finding["evidences"][0]["actor"] = json!({ "user": { "name": actor } });
    }
    finding
}

fn uid(notification: &Notification) -> &str {
    notification.pages.first().map_or(&notification.incident, |page| &page.incident)
}

fn activity(notification: &Notification) -> u32 {
    match (notification.status, notification.kind) {
        (Status::Resolved, _) => 3,
        (Status::Open, "alert.opened" | "alert.test") => 1,
        _ => 2,
    }
}

/// New, in progress, resolved.
fn status_id(status: Status) -> u32 {
    match status {
        Status::Open => 1,
        Status::Acknowledged => 2,
        Status::Resolved => 4,
    }
}

/// 1 is informational, 5 critical. CEF has the same order.
pub(crate) fn severity_id(severity: Severity) -> u32 {
    match severity {
        Severity::Info => 1,
        Severity::Low => 2,
        Severity::Medium => 3,
        Severity::High => 4,
        Severity::Critical => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::receivers::golden::notification;

    /// Attributes of 1.8.0 that may stand in an object, those that have to first. Of the schema only what is used here.
    const ATTRIBUTES: [(&str, &[&str], &[&str]); 8] = [
        (
            "",
            &[
                "activity_id",
                "category_uid",
                "class_uid",
                "finding_info",
                "metadata",
                "severity_id",
                "time",
                "type_uid",
            ],
            &["message", "status_id", "is_alert", "evidences", "remediation", "unmapped"],
        ),
        ("/metadata", &["product", "version"], &["uid", "correlation_uid", "tenant_uid", "event_code"]),
        ("/metadata/product", &[], &["name", "vendor_name", "version"]),
        ("/finding_info", &["uid"], &["title", "desc", "first_seen_time", "analytic", "related_events_count"]),
        ("/finding_info/analytic", &["type_id"], &["type", "name", "uid"]),
        // At least one of these, and of many others.
        ("/evidences/0", &["data"], &["actor"]),
        ("/evidences/0/actor", &["user"], &[]),
        ("/remediation", &["desc"], &[]),
    ];

    #[test]
    fn every_attribute_is_of_the_class_and_none_that_it_needs_is_missing() {
        for (status, kind, activity) in [
            (Status::Open, "alert.opened", 1),
            (Status::Open, "alert.updated", 2),
            (Status::Open, "response.verified", 2),
            (Status::Acknowledged, "alert.acknowledged", 2),
            (Status::Resolved, "alert.resolved", 3),
        ] {
            let told = Notification { kind, status, ..notification() };
            let finding = detection_finding(&told);
            for (place, required, optional) in ATTRIBUTES {
                let object = finding.pointer(place).and_then(Value::as_object).unwrap();
                let unknown = object.keys().find(|name| ![required, optional].concat().contains(&name.as_str()));
                assert_eq!(unknown, None, "{place}");
                assert!(required.iter().all(|name| object.contains_key(*name)), "{place}: {finding}");
            }
            assert_eq!(finding["activity_id"], activity);
            assert_eq!(finding["type_uid"], 200_400 + activity);
            assert_eq!(finding["is_alert"], activity == 1);
            assert_eq!(
                finding["finding_info"]["uid"],
                json!(told.pages[0].incident),
                "the same from creation to close"
            );
        }
    }
}
