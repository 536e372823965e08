//! Jamf Pro webhooks: devices that join or leave the groups which mean compliance, and devices that are enrolled or
//! removed.

use serde_json::Value;

use super::table::Column::Device;
use super::table::{About, Fact, Table, Words, on, parts, pass, path};
use crate::Problem;

/// What a group is called that devices in trouble are in, whatever the case and whatever stands between the words.
const TROUBLE: [&str; 4] = ["notcompliant", "noncompliant", "uncompliant", "incompliant"];

const ADDED: &str = "event.groupAddedDevicesIds";
const REMOVED: &str = "event.groupRemovedDevicesIds";

/// The feed `jamf`.
pub static JAMF: Table = Table {
    name: "jamf",
    about: About {
        title: "Jamf Pro webhooks",
        what: "Devices that enter or leave a smart group, and devices that are enrolled or removed. Name the groups that mean \
               trouble with `Not Compliant` or `Noncompliant`, and those that mean all is well with `Compliant`, in \
               any case and with any separator.",
        format: "Jamf Pro, webhooks: `webhook` and `event` (`SmartGroupComputerMembershipChange`, `ComputerAdded`, …)",
        delivery: "HTTPS POST, not repeated when it is lost. There is no id: the identity is webhook, time and a hash.",
        traps: &[
            "`eventTimestamp` is in milliseconds.",
            "A change of membership lists devices that were added and such that were removed; leaving a group of trouble is a \
             recovery.",
            "The name of the group says what it means: `group` is `trouble`, `well` or `other`. Other words between `not` and \
             `compliant` are not understood.",
            "A change of membership names devices by their numbers in Jamf, the other webhooks by serial number where they \
             have one; neither need be what the identity provider calls the device.",
        ],
    },
    wrapper: None,
    decode: None,
    unfold: Some(|record| members(&record)),
    select: "webhook.webhookEvent",
    cases: &[
        on(&["SmartGroupComputerMembershipChange", "SmartGroupMobileDeviceMembershipChange"], "session.posture")
            .and(&[("group", &["trouble"])])
            .outcome(Fact::By(Words {
                from: "moved",
                words: &[("added", "not_compliant"), ("removed", "compliant")],
                otherwise: Some("unknown"),
            }))
            .says(&[("check", Fact::At("event.name"))]),
        on(&["SmartGroupComputerMembershipChange", "SmartGroupMobileDeviceMembershipChange"], "session.posture")
            .and(&[("group", &["well"])])
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

/// A record for each device that entered or left the group, and none where nobody did; each knows what the group means.
fn members(record: &Value) -> Result<Vec<Value>, Problem> {
    let mut record = record.clone();
    if let Some(name) = path::find(&record, "event.name").and_then(Value::as_str) {
        record["group"] = Value::from(meaning(name));
    }
    if [ADDED, REMOVED].iter().all(|list| path::find(&record, list).is_none()) {
        return Ok(vec![record]);
    }
    let mut all = Vec::new();
    for (list, other, moved) in [(ADDED, REMOVED, "added"), (REMOVED, ADDED, "removed")] {
        if path::find(&record, list).is_none() {
            continue;
        }
        let mut alone = record.clone();
        parts::remove(&mut alone, other);
        for mut part in parts::of_list(&alone, list, "device")? {
            part["moved"] = Value::from(moved);
            all.push(part);
        }
    }
    Ok(all)
}

fn meaning(group: &str) -> &'static str {
    let plain: String = group.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
    if TROUBLE.iter().any(|word| plain.contains(*word)) {
        "trouble"
    } else if plain.contains("compliant") {
        "well"
    } else {
        "other"
    }
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
    fn the_name_of_a_group_says_what_it_means_however_it_is_spelt() {
        for (name, added, removed) in [
            ("Macs Not Compliant", "not_compliant", "compliant"),
            ("not compliant", "not_compliant", "compliant"),
            ("NOT COMPLIANT", "not_compliant", "compliant"),
            ("NotCompliant", "not_compliant", "compliant"),
            ("not_compliant_macs", "not_compliant", "compliant"),
            ("Noncompliant", "not_compliant", "compliant"),
            ("Non-Compliant", "not_compliant", "compliant"),
            ("non-compliant", "not_compliant", "compliant"),
            ("Macs: non compliant (14.x)", "not_compliant", "compliant"),
            ("non\u{2011}compliant", "not_compliant", "compliant"),
            ("Uncompliant", "not_compliant", "compliant"),
            ("incompliant", "not_compliant", "compliant"),
            ("Compliant Macs", "compliant", "not_compliant"),
            ("COMPLIANT", "compliant", "not_compliant"),
        ] {
            let record =
                example_with(&JAMF, &[("event.name", json!(name)), ("event.groupRemovedDevicesIds", json!([13]))]);
            let told = events(&JAMF, &record);
            let outcomes: Vec<_> = told.iter().map(|event| event.outcome().unwrap()).collect();
            assert_eq!(outcomes, [added, removed], "{name}");
        }
    }

    #[test]
    fn a_part_is_of_one_list_and_empty_lists_have_none() {
        let record = example_with(&JAMF, &[("event.groupRemovedDevicesIds", json!([13]))]);
        for event in events(&JAMF, &record) {
            let kept = event.detail().value()["record"]["event"].clone();
            assert_eq!(kept, json!({"jssid": 41, "name": "Macs Not Compliant", "smartGroup": true}));
        }
        let empty = example_with(&JAMF, &[("event.groupAddedDevicesIds", json!([]))]);
        let reading = read(&JAMF, empty.to_string().as_bytes());
        assert_eq!((reading.events.len(), reading.rejects.len(), reading.skipped), (0, 0, 1));
        assert_eq!(rejected(&JAMF, &[("event.groupRemovedDevicesIds", json!("13"))]), "event.groupRemovedDevicesIds");
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
