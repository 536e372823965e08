//! A notification that says that it is a test: so that a receiver can be tried before it matters.

use std::collections::BTreeMap;

use keywatch_store::{Instant, Severity};

use crate::delivery::message::Notification;
use crate::delivery::occasion::SentPage;
use crate::lifecycle::action::derive_id;
use crate::lifecycle::handling::Status;

/// Rule that a test stands under.
pub const TEST_RULE: &str = "keywatch/test";

/// The test of `receiver`, made `now`; `resolved` is the end of one.
#[must_use]
pub fn notification(receiver: &str, severity: Severity, now: Instant, resolved: bool) -> Notification {
    let alert_id = derive_id(&["test", receiver]);
    // Under this key the end of a test finds the test, whenever that was.
    let page =
        SentPage { key: alert_id.clone(), incident: alert_id.clone(), rule: TEST_RULE.to_owned(), severity, at: now };
    Notification {
        key: format!("{alert_id}-{}", now.unix_seconds()),
        kind: "alert.test",
        status: if resolved { Status::Resolved } else { Status::Open },
        pages: vec![page],
        incident: alert_id.clone(),
        alert_id,
        severity,
        system: "keywatch".to_owned(),
        when: now,
        title: format!("TEST of receiver {receiver}: nothing has happened"),
        rule: TEST_RULE.to_owned(),
        entity: receiver.to_owned(),
        again: Vec::new(),
        counted: 0,
        story: Vec::new(),
        meaning: "Somebody ran `keywatch deliveries test`. This is not an alert.".to_owned(),
        runbook: "Nothing is to be done. Whoever reads this has shown that the receiver works.".to_owned(),
        did: Vec::new(),
        about: BTreeMap::new(),
        facts: BTreeMap::new(),
        evidence: Vec::new(),
        said: BTreeMap::new(),
        text: None,
    }
}
