//! A start that lets the rules do less than the one before is told, by an alert that no silence covers.

use serde_json::Value;

use crate::running::machine::{Machine, Rule};

const PRESENTED: Rule = Rule {
    id: "own/presented",
    sql: "SELECT event_id, actor AS entity, actor, session FROM events WHERE kind = 'session.presented'",
};

/// What was found about the configuration so far.
fn found(machine: &Machine) -> Vec<Value> {
    let found = machine.conclusions().filter(|event| event.kind() == "finding.created");
    let found = found.map(|event| event.detail().value());
    found.filter(|finding| finding["rule"] == "keywatch/protection_lowered").collect()
}

#[tokio::test]
async fn a_start_with_less_protection_is_told_once() {
    let machine = Machine::with_this_rule_alone(PRESENTED);
    machine.start().await.stop();
    assert!(found(&machine).is_empty(), "there was nothing before");
    machine.configure("[alerting]\nshadow = true\n");
    machine.start().await.stop();
    let lowered = found(&machine);
    assert_eq!(lowered.len(), 1, "{lowered:?}");
    let title = lowered[0]["title"].as_str().unwrap();
    assert!(title.ends_with("in shadow: own/presented"), "{title}");
    machine.start().await.stop();
    assert_eq!(found(&machine).len(), 1, "it is as before");
    let configured = machine.conclusions().filter(|event| event.kind() == "protection.configured").count();
    assert_eq!(configured, 2, "two configurations, three starts");
}
