//! Fleet: policies that hosts fail newly.
//!
//! It never learns that a host passes again or is gone.

use super::table::Column::Device;
use super::table::{About, Fact, Table, on, parts};

/// The feed `fleet`.
pub static FLEET: Table = Table {
    name: "fleet",
    about: About {
        title: "Fleet policy webhook",
        what: "Hosts that fail a policy which they passed before: one `session.posture`, not compliant, for each host.",
        format: "fleetdm/fleet, failing-policies webhook: `timestamp`, `policy`, `hosts`",
        delivery: "Once a day unless configured otherwise, newly failing hosts only, and nothing when a host passes again: \
                   not a source for decisions of the moment. Where those matter, let osquery send to Kafka (`osquery`).",
        traps: &[
            "A host that recovers is never told. Its last word here stays `not_compliant` until another source says otherwise.",
            "The device is the host's `uuid` or `hardware_serial` where the webhook has it, else its host name.",
        ],
    },
    wrapper: None,
    decode: None,
    unfold: Some(|record| parts::of_list(&record, "hosts", "host")),
    select: "policy.id",
    cases: &[on(&["*"], "session.posture")
        .outcome(Fact::Is("not_compliant"))
        .says(&[("check", Fact::At("policy.name"))])],
    id: &["policy.id", "host.id", "timestamp"],
    time: "timestamp",
    columns: &[(Device, "host.uuid | host.hardware_serial | host.hostname | host.display_name")],
    facts: &[
        ("critical", Fact::At("policy.critical")),
        ("platform", Fact::At("policy.platform")),
        ("url", Fact::At("host.url")),
    ],
    hidden: &[],
    finish: None,
    example: include_str!("example.json"),
};

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::feeds::sample::{changed, events, example_with, rejected};

    #[test]
    fn each_host_fails_for_itself() {
        let hosts =
            json!([{"id": 1, "hostname": "mac-dana", "display_name": "Dana"}, {"id": 2, "hostname": "mac-eve"}]);
        let told = events(&FLEET, &example_with(&FLEET, &[("hosts", hosts)]));
        let devices: Vec<_> = told.iter().map(|event| event.device().unwrap().to_owned()).collect();
        assert_eq!(devices, ["mac-dana", "mac-eve"]);
        assert_ne!(told[0].event_id(), told[1].event_id());
        let event = changed(&FLEET, &[]);
        assert_eq!((event.kind(), event.outcome()), ("session.posture", Some("not_compliant")));
        assert_eq!(event.detail().value()["check"], "Disk encryption");
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(rejected(&FLEET, &[("policy", json!(null))]), "policy.id");
        assert_eq!(rejected(&FLEET, &[("hosts", json!("x"))]), "hosts");
        assert_eq!(rejected(&FLEET, &[("hosts", json!([{"hostname": "h"}]))]), "host.id");
    }
}
