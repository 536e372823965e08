//! Jamf Pro webhooks: devices that join or leave the groups which mean compliance, and devices that are enrolled or
//! removed.

use super::table::Column::Device;
use super::table::{About, Fact, Table, Words, on, parts, pass};

/// The feed `jamf`.
pub static JAMF: Table = Table {
    name: "jamf",
    about: About {
        title: "Jamf Pro webhooks",
        what: "Devices that enter or leave a smart group, and devices that are enrolled or removed. Name the groups that mean \
               trouble with `Not Compliant` or `Noncompliant`, and those that mean all is well with `Compliant`.",
        format: "Jamf Pro, webhooks: `webhook` and `event` (`SmartGroupComputerMembershipChange`, `ComputerAdded`, …)",
        delivery: "HTTPS POST, not repeated when it is lost. There is no id: the identity is webhook, time and a hash.",
        traps: &[
            "`eventTimestamp` is in milliseconds.",
            "A change of membership lists devices that were added and such that were removed; leaving a group of trouble is a \
             recovery.",
            "A change of membership names devices by their numbers in Jamf, the other webhooks by serial number where they \
             have one; neither need be what the identity provider calls the device.",
        ],
    },
    wrapper: None,
    decode: None,
    unfold: Some(members),
    select: "webhook.webhookEvent",
    cases: &[
        on(&["SmartGroupComputerMembershipChange", "SmartGroupMobileDeviceMembershipChange"], "session.posture")
            .and(&[("event.name", &["*Not Compliant*", "*Noncompliant*", "*Non-Compliant*", "*not compliant*"])])
            .outcome(Fact::By(Words {
                from: "moved",
                words: &[("added", "not_compliant"), ("removed", "compliant")],
                otherwise: Some("unknown"),
            }))
            .says(&[("check", Fact::At("event.name"))]),
        on(&["SmartGroupComputerMembershipChange", "SmartGroupMobileDeviceMembershipChange"], "session.posture")
            .and(&[("event.name", &["*Compliant*", "*compliant*"])])
            .outcome(Fact::By(Words {
                from: "moved",
                words: &[("added", "compliant"), ("removed", "not_compliant")],
                otherwise: Some("unknown"),
            }))
            .says(&[("check", Fact::At("event.name"))]),
        on(&["ComputerAdded", "ComputerInventoryCompleted", "MobileDeviceEnrolled"], "session.posture")
            .outcome(Fact::Is("unknown"))
            .says(&[("check", Fact::At("webhook.webhookEvent"))]),
        on(&["MobileDeviceUnEnrolled", "ComputerRemoved"], "session.posture")
            .outcome(Fact::Is("not_compliant"))
            .says(&[("check", Fact::Is("enrolled"))]),
        pass(&["*"]),
    ],
    id: &["webhook.id", "webhook.eventTimestamp", "#"],
    time: "webhook.eventTimestamp",
    columns: &[(
        Device,
        "device | event.serialNumber | event.computer.serialNumber | event.udid | event.computer.udid",
    )],
    facts: &[("group", Fact::At("event.name")), ("moved", Fact::At("moved"))],
    hidden: &["emailAddress", "phone", "realName"],
    finish: None,
    example: include_str!("example.json"),
};

/// A record for each device that entered or left the group.
fn members(record: &serde_json::Value) -> Result<Vec<serde_json::Value>, crate::Problem> {
    let mut all = Vec::new();
    for (list, moved) in [("event.groupAddedDevicesIds", "added"), ("event.groupRemovedDevicesIds", "removed")] {
        if super::table::path::find(record, list).is_none() {
            continue;
        }
        for mut part in parts::of_list(record, list, "device")? {
            part["moved"] = serde_json::Value::from(moved);
            all.push(part);
        }
    }
    Ok(if all.is_empty() { vec![record.clone()] } else { all })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::feeds::sample::{changed, events, example_with, read, rejected};

    #[test]
    fn entering_a_group_of_trouble_is_trouble_and_leaving_it_a_recovery() {
        let record = example_with(&JAMF, &[("event.groupRemovedDevicesIds", json!([13, 14]))]);
        let told = events(&JAMF, &record);
        let read: Vec<_> = told.iter().map(|event| (event.device().unwrap(), event.outcome().unwrap())).collect();
        assert_eq!(read, [("12", "not_compliant"), ("13", "compliant"), ("14", "compliant")]);
        let good = changed(&JAMF, &[("event.name", json!("Compliant Macs"))]);
        assert_eq!(good.outcome(), Some("compliant"));
    }

    #[test]
    fn milliseconds_are_read_and_other_groups_passed_over() {
        assert_eq!(changed(&JAMF, &[]).event_time().to_string(), "2025-02-21T05:42:40.788Z");
        let other = example_with(&JAMF, &[("event.name", json!("Macs in Berlin"))]);
        assert_eq!(read(&JAMF, other.to_string().as_bytes()).skipped, 1);
        let removed = changed(
            &JAMF,
            &[("webhook.webhookEvent", json!("MobileDeviceUnEnrolled")), ("event", json!({"serialNumber": "C02XYZ"}))],
        );
        assert_eq!((removed.device(), removed.outcome()), (Some("C02XYZ"), Some("not_compliant")));
        assert_eq!(rejected(&JAMF, &[("webhook.eventTimestamp", json!(null))]), "webhook.eventTimestamp");
    }
}
