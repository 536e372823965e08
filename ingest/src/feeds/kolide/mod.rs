//! Kolide webhooks: checks of devices that fail or recover.

use super::table::Column::{Actor, Device, Reason};
use super::table::{About, Fact, Table, on, pass};
use crate::signature::{self, Refused};

const CHECK: &[(&str, Fact)] =
    &[("check", Fact::At("data.check_name | data.check.name | data.issue_title | data.title | event"))];

/// The feed `kolide`.
pub static KOLIDE: Table = Table {
    name: "kolide",
    about: About {
        title: "Kolide webhooks",
        what: "Checks of devices that begin to fail or are resolved, and people who sign on with a device.",
        format: "Kolide, webhooks: `event`, `id`, `timestamp`, `data`",
        delivery: "HTTPS POST; `Authorization` is the hexadecimal HMAC-SHA-256 of the raw body (`kolide::verify`). The \
                   identity is `id`.",
        traps: &[
            "The signature stands where a bearer token usually stands.",
            "An issue that is exempted does not fail and has not recovered: it becomes `unknown`.",
        ],
    },
    wrapper: None,
    decode: None,
    unfold: None,
    select: "event",
    cases: &[
        on(&["issues.new", "issue.new", "failures.new"], "session.posture")
            .outcome(Fact::Is("not_compliant"))
            .says(CHECK),
        on(&["issues.resolved", "issue.resolved", "failures.resolved"], "session.posture")
            .outcome(Fact::Is("compliant"))
            .says(CHECK),
        on(&["issues.*", "issue.*", "failures.*"], "session.posture").outcome(Fact::Is("unknown")).says(CHECK),
        on(&["auth_logs.success"], "session.presented").outcome(Fact::Is("success")),
        on(&["auth_logs.failure"], "session.presented").outcome(Fact::Is("failure")),
        on(&["devices.created", "devices.destroyed", "device.created", "device.destroyed"], "control.iam")
            .outcome(Fact::Is("success"))
            .says(&[("act", Fact::At("event")), ("target", Fact::At("data.name"))]),
        pass(&["*"]),
    ],
    id: &["id"],
    time: "timestamp",
    columns: &[
        (
            Device,
            "data.device.serial | data.device_id | data.device.id | data.device_name | data.device.name | data.serial",
        ),
        (Actor, "data.person_email | data.device.registered_owner_email | data.user_email"),
        (Reason, "data.reason | data.message"),
    ],
    facts: &[],
    hidden: &[],
    finish: None,
    example: include_str!("example.json"),
};

/// Whether a webhook is Kolide's: `header` is `Authorization`, `body` the bytes as they came.
///
/// # Errors
/// [`Refused`] with the reason.
pub fn verify(secret: &[u8], header: &str, body: &[u8]) -> Result<(), Refused> {
    signature::hmac_sha256(secret, header, body)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::feeds::sample::{changed, example_with, read, rejected};

    #[test]
    fn a_check_fails_recovers_or_is_exempted() {
        for (event, outcome) in
            [("issues.new", "not_compliant"), ("issues.resolved", "compliant"), ("issues.exempted", "unknown")]
        {
            let told = changed(&KOLIDE, &[("event", json!(event))]);
            assert_eq!((told.kind(), told.outcome()), ("session.posture", Some(outcome)), "{event}");
            assert_eq!((told.device(), &told.detail().value()["check"]), (Some("C02XYZ"), &json!("Disk Encryption")));
        }
        for other in ["webhook.test", "requests.opened", "requests.closed"] {
            let record = example_with(&KOLIDE, &[("event", json!(other))]);
            assert_eq!(read(&KOLIDE, record.to_string().as_bytes()).skipped, 1, "{other}");
        }
        assert_eq!(rejected(&KOLIDE, &[("id", json!(null))]), "id");
    }

    #[test]
    fn the_signature_is_a_hash_of_the_raw_body() {
        let tag = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        verify(b"Jefe", tag, b"what do ya want for nothing?").unwrap();
        assert!(verify(b"Jefe", tag, b"something else").is_err());
        assert!(verify(b"Jefe", "Bearer x", b"what do ya want for nothing?").is_err());
    }
}
