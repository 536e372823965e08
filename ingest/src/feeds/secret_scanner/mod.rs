//! Findings of gitleaks and `TruffleHog`: a secret that stands in a repository, without the secret.
//!
//! It does not know whether a secret was ever used, and tries none.

use serde_json::Value;

use super::table::Column::{Actor, Reason};
use super::table::{About, Fact, Table, Words, on, path};

/// The feed `secret_scanner`.
pub static SECRET_SCANNER: Table = Table {
    name: "secret_scanner",
    about: About {
        title: "Secret scanners",
        what: "Secrets that gitleaks or TruffleHog found in a repository: which rule, where, in whose commit, and whether the \
               scanner could sign on with it. The secret itself is never kept.",
        format: "gitleaks, JSON report (`RuleID`, `File`, `Commit` …); TruffleHog v3, `--json` lines (`DetectorName`, `Verified` …)",
        delivery: "The report as the scanner writes it: an array, or lines. The identity is the fingerprint of gitleaks, or \
                   detector, place and whether the secret works, so that a second scan repeats itself and one that newly \
                   works is told.",
        traps: &[
            "The time is that of the commit and may be years old: the event is then `late`.",
            "`Secret`, `Match`, `Raw` and `RawV2` hold the secret itself: they are hidden in what is kept, in rejects too.",
            "TruffleHog writes times as `2025-02-21 05:42:40 +0000`, which is not RFC 3339; it is read here.",
            "Its own log lines (`level`, `msg`) stand among the findings and are passed over.",
            "gitleaks tries no secret, so that its findings are never `verified`.",
        ],
    },
    wrapper: None,
    decode: None,
    unfold: Some(|record| Ok(vec![plain(&record)])),
    select: "scanner",
    cases: &[
        on(&["gitleaks"], "control.secret").outcome(Fact::Is("unverified")).says(&[
            ("rule", Fact::At("RuleID")),
            ("place", Fact::At("File")),
            ("line", Fact::At("StartLine")),
            ("commit", Fact::At("Commit")),
            ("repository", Fact::At("Repository | repository")),
        ]),
        on(&["trufflehog"], "control.secret")
            .outcome(Fact::By(Words {
                from: "Verified",
                words: &[("true", "verified")],
                otherwise: Some("unverified"),
            }))
            .says(&[
                ("rule", Fact::At("DetectorName")),
                ("place", Fact::At("found.file | found.link | found.bucket")),
                ("line", Fact::At("found.line")),
                ("commit", Fact::At("found.commit")),
                ("repository", Fact::At("found.repository")),
            ]),
    ],
    id: &["scanner", "finding"],
    time: "Date | found.timestamp | found.updated_at | scanned_at",
    columns: &[(Actor, "Email | found.email | Author"), (Reason, "Description | DetectorDescription")],
    facts: &[],
    hidden: &["Secret", "Match", "Raw", "RawV2", "Redacted", "Message", "Line"],
    finish: None,
    example: include_str!("example.json"),
};

/// Which scanner it is, under which id it found, and where `TruffleHog` says that it looked.
fn plain(record: &Value) -> Value {
    let mut plain = record.clone();
    if path::find(record, "RuleID").is_some() {
        plain["scanner"] = Value::from("gitleaks");
        let parts = ["Fingerprint", "Commit", "File", "RuleID", "StartLine"];
        plain["finding"] =
            joined(record, if path::find(record, "Fingerprint").is_some() { &parts[..1] } else { &parts });
        return plain;
    }
    if path::find(record, "DetectorName").is_none() {
        // A line of the scanner's own log is nothing; anything else is no finding and is refused for what it lacks.
        if path::find(record, "level").is_some() && path::find(record, "msg").is_some() {
            plain["scanner"] = Value::from("log");
        }
        return plain;
    }
    plain["scanner"] = Value::from("trufflehog");
    let data = record.pointer("/SourceMetadata/Data").and_then(Value::as_object);
    if let Some(mut found) = data.and_then(|sources| sources.values().next()).filter(|found| found.is_object()).cloned()
    {
        if let Some(time) = found.get("timestamp").and_then(Value::as_str).and_then(rfc3339) {
            found["timestamp"] = Value::from(time);
        }
        plain["found"] = found;
    }
    let parts = [
        "DetectorName",
        "Verified",
        "found.repository",
        "found.commit",
        "found.file",
        "found.link",
        "found.line",
        "found.timestamp",
    ];
    plain["finding"] = joined(&plain, &parts);
    // How a scan went is no part of what it found.
    if let Some(members) = plain.as_object_mut() {
        members.remove("VerificationFromCache");
        members.remove("VerificationError");
    }
    plain
}

fn joined(record: &Value, paths: &[&str]) -> Value {
    let said = paths.iter().map(|at| path::find(record, at).map(Value::to_string).unwrap_or_default());
    Value::from(said.collect::<Vec<_>>().join(" "))
}

/// `2025-02-21 05:42:40 +0000` as RFC 3339 has it.
fn rfc3339(text: &str) -> Option<String> {
    let (date, rest) = text.split_once(' ')?;
    let (time, zone) = rest.split_once(' ')?;
    let (hours, minutes) = zone.split_at_checked(3)?;
    let plain = minutes.len() == 2 && minutes.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| format!("{date}T{time}{hours}:{minutes}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::feeds::sample::{changed, one, read};

    fn truffle() -> Value {
        json!({
            "SourceMetadata": {"Data": {"Git": {"commit": "77b2a3e", "file": "ci/deploy.sh", "email": "Dana <dana@exchange.example>",
                "repository": "https://git.exchange.example/ops.git", "timestamp": "2025-02-21 05:42:40 +0100", "line": 12}}},
            "SourceID": 1, "DetectorType": 2, "DetectorName": "AWS", "DecoderName": "PLAIN", "Verified": true,
            "Raw": "AKIAQYLPMN5HHHFPZAM2", "RawV2": "AKIAQYLPMN5HHHFPZAM2:1tUm636uS1yOEcfP5pvfqJ/ml36mF7AkyHsEU0IU",
            "Redacted": "AKIAQYLPMN5HHHFPZAM2", "ExtraData": {"account": "1234"},
        })
    }

    #[test]
    fn the_secret_is_never_kept() {
        let event = one(&SECRET_SCANNER, &truffle());
        assert_eq!((event.kind(), event.outcome()), ("control.secret", Some("verified")));
        let told = keywatch_store::line::write(&event);
        assert!(!told.contains("AKIAQYLPMN5HHHFPZAM2") && !told.contains("1tUm636"), "{told}");
        assert_eq!(event.event_time().to_string(), "2025-02-21T04:42:40Z");
        assert_eq!(event.detail().value()["place"], "ci/deploy.sh");
        let mut broken = truffle();
        broken["SourceMetadata"]["Data"]["Git"]["timestamp"] = json!("someday");
        let reading = read(&SECRET_SCANNER, broken.to_string().as_bytes());
        assert_eq!(reading.events, []);
        assert!(!reading.rejects[0].raw.contains("AKIAQYLPMN5HHHFPZAM2"), "{}", reading.rejects[0].raw);
        let leak = changed(&SECRET_SCANNER, &[]);
        assert!(!keywatch_store::line::write(&leak).contains("cafebabe"));
    }

    #[test]
    fn a_second_scan_repeats_itself_and_other_places_are_others() {
        let moved = |line: u64| {
            let mut record = truffle();
            record["SourceMetadata"]["Data"]["Git"]["line"] = json!(line);
            one(&SECRET_SCANNER, &record).event_id()
        };
        assert_eq!(moved(12), one(&SECRET_SCANNER, &truffle()).event_id());
        assert_ne!(moved(12), moved(13));
        let mut unverified = truffle();
        unverified["Verified"] = json!(false);
        unverified["VerificationError"] = json!("timeout");
        let unverified = one(&SECRET_SCANNER, &unverified);
        assert_ne!(unverified.event_id(), moved(12), "that it works now is news");
        assert!(!unverified.detail().as_str().contains("VerificationError"));
    }

    #[test]
    fn a_log_line_of_the_scanner_is_nothing_and_an_unknown_record_is_refused() {
        let log = json!({"level": "info-0", "ts": "2025-02-21T05:42:40Z", "msg": "finished scanning"});
        assert_eq!(read(&SECRET_SCANNER, log.to_string().as_bytes()).skipped, 1);
        assert_eq!(read(&SECRET_SCANNER, b"{\"a\":1}").rejects[0].field, "scanner");
    }

    #[test]
    fn times_of_trufflehog() {
        assert_eq!(rfc3339("2025-02-21 05:42:40 +0000").as_deref(), Some("2025-02-21T05:42:40+00:00"));
        for other in ["", "2025-02-21", "2025-02-21 05:42:40", "2025-02-21 05:42:40 Z", "a b ü+é"] {
            assert_eq!(rfc3339(other), None, "{other}");
        }
    }
}
