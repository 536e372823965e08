//! osquery: what a device says of its own state.

use serde_json::Value;

use super::table::Column::{Actor, Device, Reason};
use super::table::{About, Fact, Table, Words, on, parts, pass, path, value};
use crate::Problem;

/// A state that is `1` when all is well.
const fn is_on(from: &'static str) -> Fact {
    Fact::By(Words {
        from,
        words: &[("1", "compliant"), ("true", "compliant"), ("0", "not_compliant"), ("false", "not_compliant")],
        otherwise: Some("unknown"),
    })
}

/// The feed `osquery`.
pub static OSQUERY: Table = Table {
    name: "osquery",
    about: About {
        title: "osquery",
        what: "The posture of a device, check by check: each row of a scheduled query becomes a `session.posture` of the \
               device. A query is known by its name, so name it after the table that it reads (`disk_encryption`, \
               `pack_posture_screenlock`, …) and select the rows that matter: a volume that may stay unencrypted is not one.",
        format: "osquery, results and status logs of the logger plugins (event, snapshot and batch format)",
        delivery: "Kafka or file loggers, one object a line; at least once. `hostIdentifier` is the device: start osquery \
                   with `--host_identifier=uuid`, or decorate with `device_id` what the identity provider calls the device.",
        traps: &[
            "Counter 0 or a new epoch is a new baseline: every row is `added` though nothing changed. It is stated again, \
             with `detail.baseline`, and rules look for a change of the word, not for a row.",
            "A changed row comes as `removed` and `added`; the removed one is passed over, and so is a batch without added \
             rows.",
            "Of `windows_security_center`, select `antivirus` and `firewall`: while one of them is absent and the other is \
             `Good`, the check is `unknown`.",
            "Values are text unless `--logger_numerics` is set; both are read.",
            "`sip_config` has a row for each flag, and most of them are good when off; only the row `sip` is judged.",
            "Several volumes of one device are several checks, told apart by their name, so that they do not seem to change \
             from one to the other.",
            "`node_key` is a credential of the device; it stands outside the records and is not kept.",
        ],
    },
    wrapper: Some("data"),
    decode: None,
    unfold: Some(rows),
    select: "name | severity",
    cases: &[
        pass(&["0"]).and(&[("name", &[""])]),
        on(&["1", "2", "3"], "source.status")
            .and(&[("name", &[""])])
            .outcome(Fact::Is("degraded"))
            .columns(&[(Reason, "message")]),
        pass(&["*"]).and(&[("action", &["removed"])]),
        on(&["*disk_encryption*"], "session.posture")
            .outcome(is_on("row.encrypted"))
            .says(&[("check", Fact::At("check"))]),
        on(&["*screenlock*"], "session.posture")
            .outcome(is_on("row.enabled"))
            .says(&[("check", Fact::Is("screenlock")), ("grace_period", Fact::At("row.grace_period"))]),
        on(&["*secureboot*"], "session.posture")
            .outcome(is_on("row.secure_boot"))
            .says(&[("check", Fact::Is("secureboot"))]),
        on(&["*sip_config*"], "session.posture")
            .and(&[("row.config_flag", &["sip"])])
            .outcome(is_on("row.enabled"))
            .says(&[("check", Fact::Is("sip"))]),
        pass(&["*sip_config*"]),
        on(&["*gatekeeper*"], "session.posture")
            .outcome(is_on("row.assessments_enabled"))
            .says(&[("check", Fact::Is("gatekeeper"))]),
        on(&["alf", "*_alf", "*_alf_*"], "session.posture")
            .outcome(Fact::By(Words {
                from: "row.global_state",
                words: &[("0", "not_compliant"), ("1", "compliant"), ("2", "compliant")],
                otherwise: Some("unknown"),
            }))
            .says(&[("check", Fact::Is("firewall"))]),
        on(&["*windows_security_center*"], "session.posture")
            .and(&[("row.antivirus", &["Good"]), ("row.firewall", &["Good"])])
            .outcome(Fact::Is("compliant"))
            .says(&[("check", Fact::Is("security_center"))]),
        on(&["*windows_security_center*"], "session.posture")
            .and(&[("row.antivirus", &["Good", ""]), ("row.firewall", &["Good", ""])])
            .outcome(Fact::Is("unknown"))
            .says(&[("check", Fact::Is("security_center"))]),
        on(&["*windows_security_center*"], "session.posture")
            .outcome(Fact::Is("not_compliant"))
            .says(&[("check", Fact::Is("security_center"))]),
        on(&["*os_version*", "*patches*", "*certificates*", "*chrome_extensions*", "*apps*"], "session.posture")
            .outcome(Fact::Is("unknown"))
            .says(&[("check", Fact::At("name"))]),
    ],
    id: &["hostIdentifier | hostname", "name | message", "#"],
    time: "unixTime",
    columns: &[
        (Device, "decorations.device_id | decorations.host_uuid | hostIdentifier | hostname"),
        (Actor, "decorations.username"),
    ],
    facts: &[
        ("row", Fact::At("row")),
        ("query", Fact::At("name")),
        ("baseline", Fact::At("baseline")),
        ("epoch", Fact::At("epoch")),
        ("counter", Fact::At("counter")),
    ],
    hidden: &[],
    finish: None,
    example: include_str!("example.json"),
};

/// A record for each row, whichever of the three formats it came in.
fn rows(record: Value) -> Result<Vec<Value>, Problem> {
    let list = ["snapshot", "diffResults.added"].into_iter().find(|list| path::find(&record, list).is_some());
    let mut rows = match list {
        Some(list) => parts::of_list(&record, list, "row")?,
        None if is_empty_batch(&record) => Vec::new(),
        None => vec![moved(record, "columns", "row")],
    };
    for row in &mut rows {
        if list != Some("snapshot") && text(row.get("counter")) == "0" {
            row["baseline"] = Value::from(true);
        }
        if text(row.get("name")).contains("disk_encryption") {
            let volume = text(row["row"].get("name").or_else(|| row["row"].get("uuid")));
            let check = format!("disk_encryption {volume}");
            row["check"] = Value::from(check.trim_end());
        }
    }
    Ok(rows)
}

fn text(value: Option<&Value>) -> &str {
    value.and_then(value::scalar_text).unwrap_or_default()
}

/// A batch or snapshot in which no row was added: `added` is absent, null or an empty text then.
fn is_empty_batch(record: &Value) -> bool {
    record.get("columns").is_none() && ["snapshot", "diffResults"].iter().any(|list| record.get(*list).is_some())
}

fn moved(mut record: Value, from: &str, to: &str) -> Value {
    if let Some(found) = record.as_object_mut().and_then(|members| members.remove(from)) {
        record[to] = found;
    }
    record
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::feeds::sample::{changed, events, example_with, read, rejected};

    #[test]
    fn a_row_is_a_check_of_a_device() {
        let event = changed(&OSQUERY, &[]);
        assert_eq!((event.kind(), event.outcome()), ("session.posture", Some("compliant")));
        assert_eq!((event.device(), event.actor()), (Some("564D8F3A-2E11-4C6B-9C1D-0A7E7F7B1D42"), Some("dana")));
        assert_eq!(event.detail().value()["check"], "disk_encryption /dev/disk1s1");
    }

    #[test]
    fn every_check_has_its_word() {
        for (name, row, check, outcome) in [
            ("disk_encryption", json!({"encrypted": "0", "name": "d"}), "disk_encryption d", "not_compliant"),
            ("disk_encryption", json!({"encrypted": 1}), "disk_encryption", "compliant"),
            ("pack_p_screenlock", json!({"enabled": "0", "grace_period": "-1"}), "screenlock", "not_compliant"),
            ("secureboot", json!({"secure_boot": "1"}), "secureboot", "compliant"),
            ("sip_config", json!({"config_flag": "sip", "enabled": "0"}), "sip", "not_compliant"),
            ("gatekeeper", json!({"assessments_enabled": ""}), "gatekeeper", "unknown"),
            ("pack_p_alf", json!({"global_state": "2"}), "firewall", "compliant"),
            (
                "windows_security_center",
                json!({"antivirus": "Good", "firewall": "Good"}),
                "security_center",
                "compliant",
            ),
            (
                "windows_security_center",
                json!({"antivirus": "Snoozed", "firewall": "Good"}),
                "security_center",
                "not_compliant",
            ),
            ("windows_security_center", json!({"antivirus": "Good"}), "security_center", "unknown"),
            ("windows_security_center", json!({"antivirus": "Poor"}), "security_center", "not_compliant"),
            (
                "windows_security_center",
                json!({"antivirus": "", "firewall": "Not Monitored"}),
                "security_center",
                "not_compliant",
            ),
            ("os_version", json!({"version": "15.3"}), "os_version", "unknown"),
        ] {
            let event = changed(&OSQUERY, &[("name", json!(name)), ("columns", row)]);
            assert_eq!((&event.detail().value()["check"], event.outcome()), (&json!(check), Some(outcome)), "{name}");
        }
    }

    #[test]
    fn a_new_epoch_is_a_baseline_and_no_change() {
        let first = changed(&OSQUERY, &[("counter", json!(0)), ("epoch", json!(7))]);
        assert_eq!(first.detail().value()["baseline"], true);
        let before = changed(&OSQUERY, &[]);
        assert_eq!(before.detail().value()["baseline"], Value::Null);
        // The same state, stated anew: another record, the same word.
        assert_ne!(first.event_id(), before.event_id());
        assert_eq!(first.outcome(), before.outcome());
    }

    #[test]
    fn a_removed_row_and_the_other_flags_of_sip_are_passed_over() {
        for changes in [
            vec![("action", json!("removed"))],
            vec![
                ("name", json!("sip_config")),
                ("columns", json!({"config_flag": "allow_apple_internal", "enabled": "0"})),
            ],
            vec![("name", json!("process_events"))],
        ] {
            let record = example_with(&OSQUERY, &changes);
            let reading = read(&OSQUERY, record.to_string().as_bytes());
            assert_eq!((reading.skipped, reading.rejects.len()), (1, 0), "{record}");
        }
    }

    #[test]
    fn snapshots_and_batches_give_a_row_each() {
        let mut record = example_with(&OSQUERY, &[("action", json!("snapshot")), ("counter", json!(0))]);
        record.as_object_mut().unwrap().remove("columns");
        record["snapshot"] = json!([{"name": "a", "encrypted": "1"}, {"name": "b", "encrypted": "0"}]);
        let snapshot = events(&OSQUERY, &record);
        let outcomes: Vec<_> = snapshot.iter().map(|event| event.outcome().unwrap().to_owned()).collect();
        assert_eq!(outcomes, ["compliant", "not_compliant"]);
        assert_eq!(snapshot[0].detail().value()["baseline"], Value::Null);
        record.as_object_mut().unwrap().remove("snapshot");
        record["diffResults"] =
            json!({"added": [{"name": "a", "encrypted": "0"}], "removed": [{"name": "a", "encrypted": "1"}]});
        assert_eq!(events(&OSQUERY, &record)[0].outcome(), Some("not_compliant"));
    }

    #[test]
    fn a_batch_without_added_rows_gives_nothing() {
        let mut record = example_with(&OSQUERY, &[]);
        record.as_object_mut().unwrap().remove("columns");
        for (name, list) in [
            ("diffResults", json!({"removed": [{"name": "a", "encrypted": "1"}]})),
            ("diffResults", json!({"added": null, "removed": []})),
            ("diffResults", json!({"added": "", "removed": ""})),
            ("diffResults", json!({"added": [], "removed": []})),
            ("diffResults", json!("")),
            ("snapshot", json!([])),
            ("snapshot", json!("")),
        ] {
            let mut record = record.clone();
            record[name] = list;
            let reading = read(&OSQUERY, record.to_string().as_bytes());
            assert_eq!((reading.events.len(), reading.skipped, reading.rejects.len()), (0, 1, 0), "{record}");
        }
    }

    #[test]
    fn only_a_query_of_disk_encryption_has_its_check() {
        let other = changed(&OSQUERY, &[("name", json!("secureboot")), ("columns", json!({"secure_boot": "1"}))]);
        assert_eq!(other.detail().value()["record"]["check"], Value::Null);
    }

    #[test]
    fn a_tls_logger_sends_its_records_in_data() {
        let body = json!({"node_key": "s3cret", "log_type": "result", "data": [example_with(&OSQUERY, &[])]});
        let reading = read(&OSQUERY, body.to_string().as_bytes());
        assert_eq!(reading.events, vec![changed(&OSQUERY, &[])]);
    }

    #[test]
    fn osquery_speaks_of_its_own_troubles() {
        let status = |severity: &str| {
            json!({
                "hostIdentifier": "h", "unixTime": "1740116560", "severity": severity, "filename": "scheduler.cpp", "line": "83",
                "message": "Scheduled query may have failed: disk_encryption", "version": "5.15.0",
            })
        };
        let event = &events(&OSQUERY, &status("1"))[0];
        assert_eq!((event.kind(), event.outcome()), ("source.status", Some("degraded")));
        assert_eq!(event.reason(), Some("Scheduled query may have failed: disk_encryption"));
        assert_eq!(read(&OSQUERY, status("0").to_string().as_bytes()).skipped, 1);
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(rejected(&OSQUERY, &[("hostIdentifier", json!(null))]), "hostIdentifier | hostname");
        assert_eq!(rejected(&OSQUERY, &[("unixTime", json!(null))]), "unixTime");
        assert_eq!(rejected(&OSQUERY, &[("name", json!(null))]), "name | severity");
    }
}
