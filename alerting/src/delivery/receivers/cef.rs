//! A notification as `ArcSight` CEF (Common Event Format, revision 26, CEF:0) within syslog (RFC 5424), for a SIEM that reads
//! nothing newer. One line: what an attacker wrote cannot begin another.

use keywatch_store::Instant;

use crate::delivery::message::Notification;
use crate::delivery::receivers::ocsf::severity_id;
use crate::lifecycle::handling::Status;

/// Facility 13, log audit, of RFC 5424 section 6.2.1.
const FACILITY: u32 = 13;

/// Characters of one extension's value; CEF has 1,023 for most.
const VALUE_CHARS_MAX: usize = 1_023;

/// The CEF text alone.
#[must_use]
pub fn cef(notification: &Notification) -> String {
    let n = notification;
    let severity = severity_id(n.severity) * 2;
    let head = [n.rule.as_str(), n.title.as_str()].map(|text| escape(text, "|")).join("|");
    let mut extensions: Vec<(&str, String)> = vec![
        ("rt", n.when.nanoseconds().div_euclid(1_000_000).to_string()),
        ("externalId", n.alert_id.clone()),
        ("act", outcome(n.status).to_owned()),
        ("msg", n.meaning.clone()),
        ("cs1Label", "system".to_owned()),
        ("cs1", n.system.clone()),
        ("cs2Label", "entity".to_owned()),
        ("cs2", n.entity.clone()),
        ("cs3Label", "incident".to_owned()),
        ("cs3", n.incident.clone()),
        ("cs4Label", "key".to_owned()),
        ("cs4", n.key.clone()),
    ];
    if let Some(actor) = n.about.get("actor") {
        extensions.push(("suser", actor.clone()));
    }
    if let Some(destination) = n.about.get("to") {
        extensions.extend([("cs5Label", "destination".to_owned()), ("cs5", destination.clone())]);
    }
    if let Some(wallet) = n.about.get("wallet") {
        extensions.extend([("cs6Label", "wallet".to_owned()), ("cs6", wallet.clone())]);
    }
    let pairs: Vec<String> =
        extensions.into_iter().map(|(name, value)| format!("{name}={}", escape(&cut(&value), "="))).collect();
    format!("CEF:0|keywatch|keywatch|{}|{head}|{severity}|{}", env!("CARGO_PKG_VERSION"), pairs.join(" "))
}

/// A message of RFC 5424 around `content`, dated `now`.
#[must_use]
pub fn syslog(notification: &Notification, now: Instant, content: &str) -> String {
    // 2 critical, 3 error, 4 warning, 5 notice, 6 informational.
    let severity = 7 - severity_id(notification.severity);
    format!("<{}>1 {now} - keywatch - {} - {content}", FACILITY * 8 + severity, notification.kind)
}

/// A message in the frame of RFC 6587 section 3.4.1, which RFC 5425 asks for over TLS: its length, a space, its bytes.
#[must_use]
pub fn framed(message: &str) -> Vec<u8> {
    format!("{} {message}", message.len()).into_bytes()
}

fn outcome(status: Status) -> &'static str {
    match status {
        Status::Open => "alert",
        Status::Acknowledged => "acknowledged",
        Status::Resolved => "resolved",
    }
}

fn cut(text: &str) -> String {
    text.chars().take(VALUE_CHARS_MAX).collect()
}

/// Backslash before itself and before what ends a field; line ends as `\n` of two characters.
fn escape(text: &str, separator: &str) -> String {
    let text = text.replace('\\', "\\\\").replace(separator, &format!("\\{separator}"));
    text.replace("\r\n", "\\n").replace(['\n', '\r'], "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::receivers::golden::notification;

    #[test]
    fn what_an_attacker_wrote_stays_in_its_field() {
        let mut hostile = notification();
        hostile.title = "a|b\\c\nCEF:0|x".to_owned();
        hostile.entity = "e=1 act=nothing\r\nsuser=root".to_owned();
        let text = cef(&hostile);
        assert_eq!(text.lines().count(), 1);
        assert!(text.contains(r"|a\|b\\c\nCEF:0\|x|"), "{text}");
        assert!(text.contains(r"cs2=e\=1 act\=nothing\nsuser\=root"), "{text}");
        assert_eq!(framed("añb"), "4 añb".as_bytes());
    }
}
