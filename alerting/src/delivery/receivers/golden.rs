//! What each receiver is sent, byte for byte as it stands in `golden/`, written anew with `UPDATE_EXPECT=1`.

use std::collections::BTreeMap;
use std::path::Path;

use keywatch_store::time::SECOND_NS;
use keywatch_store::{Instant, Severity};
use reqwest::Url;
use serde_json::Value;

use crate::delivery::guard::AddressRules;
use crate::delivery::http::Request;
use crate::delivery::message::Notification;
use crate::delivery::occasion::SentPage;
use crate::delivery::pace::Pace;
use crate::delivery::receivers::siem::{LineFormat, LineTarget, LineTls, SiemSettings, line};
use crate::delivery::receivers::{alertmanager, email, ocsf, pagerduty, slack};
use crate::delivery::trial;
use crate::delivery::webhook::{Secret, body, signed};
use crate::lifecycle::handling::Status;

const NOW: Instant = Instant(1_740_116_570 * SECOND_NS);

const INCIDENT: &str = "ffeeddccbbaa99887766554433221100";

fn page(key: String, rule: &str, severity: Severity) -> SentPage {
    SentPage { key, incident: INCIDENT.into(), rule: rule.into(), severity, at: Instant(1_740_116_562 * SECOND_NS) }
}

pub(crate) fn notification() -> Notification {
    Notification {
        key: format!("{INCIDENT}-1"),
        kind: "alert.updated",
        status: Status::Open,
        pages: vec![
            page(INCIDENT.into(), "session/new_device", Severity::High),
            page(format!("{INCIDENT}-1"), "signing/confirmation_mismatch", Severity::Critical),
        ],
        alert_id: "00112233445566778899aabbccddeeff".into(),
        incident: INCIDENT.into(),
        severity: Severity::Critical,
        system: "cold".into(),
        when: Instant(1_740_116_562 * SECOND_NS),
        title: "A confirmation <https://evil.example|does not> verify & <!channel>".into(),
        rule: "signing/confirmation_mismatch".into(),
        entity: "0x1db9".into(),
        again: vec!["the severity rose".into()],
        counted: 2,
        story: vec!["2025-02-21T05:42:42Z critical signing/confirmation_mismatch: it does not verify".into()],
        meaning: "Somebody signed something else than was shown.".into(),
        runbook: "Stop signing.\nCall the other signers.".into(),
        did: vec!["stopped session sess-…#1a2b3c4d".into()],
        about: BTreeMap::from([("actor", "alice".into()), ("to", "0xbad0".into()), ("wallet", "0x1db9".into())]),
        facts: BTreeMap::from([("hash_filed".into(), "0xf9de".into())]),
        evidence: vec!["0011aabb".into(), "2233ccdd".into()],
        said: BTreeMap::new(),
        text: None,
    }
}

fn with_status(status: Status, kind: &'static str) -> Notification {
    let mut notification = notification();
    notification.status = status;
    notification.kind = kind;
    notification
}

#[expect(clippy::disallowed_methods, reason = "golden files are blessed with a variable")]
fn check(name: &str, actual: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/delivery/receivers/golden").join(name);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, actual).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(expected, actual, "{name} differs; UPDATE_EXPECT=1 writes it anew");
}

fn shown(requests: &[Request]) -> String {
    let one = |request: &Request| {
        let headers: Vec<String> = request.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        let headers = headers.concat();
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        format!("POST {}\n{headers}\n{}\n", request.url, serde_json::to_string_pretty(&body).unwrap())
    };
    requests.iter().map(one).collect::<Vec<_>>().join("\n")
}

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

#[test]
fn alertmanager_is_sent_this() {
    let url = url("http://127.0.0.1:9093/api/v2/alerts");
    let request = |notification: &Notification| {
        alertmanager::request(&url, Some("token"), &alertmanager::alerts(notification, NOW))
    };
    let all = [request(&notification()), request(&with_status(Status::Resolved, "alert.resolved"))];
    check("alertmanager.http", &shown(&all));
}

#[test]
fn pagerduty_is_sent_this() {
    let told = [
        notification(),
        with_status(Status::Open, "response.verified"),
        with_status(Status::Acknowledged, "alert.acknowledged"),
        with_status(Status::Resolved, "alert.resolved"),
    ];
    let key = "0123456789abcdef0123456789ABCDEF";
    let events = told.iter().flat_map(|notification| pagerduty::events(notification, key));
    let requests: Vec<Request> = events.map(|event| pagerduty::request(&url(pagerduty::EVENTS_URL), &event)).collect();
    check("pagerduty.http", &shown(&requests));
}

#[test]
fn slack_is_sent_this() {
    let told = [notification(), with_status(Status::Resolved, "alert.resolved")];
    let requests = told.map(|notification| slack::request(&url("https://hooks.slack.example/T/B/x"), &notification));
    check("slack.http", &shown(&requests));
}

#[test]
fn a_webhook_is_sent_this() {
    let secrets = [
        Secret::parse("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX").unwrap(),
        Secret::parse("whsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap(),
    ];
    let told = notification();
    let request = signed(&url("https://pager.example.net/keywatch"), &told.key, NOW, body(&told), &secrets);
    check("webhook.http", &shown(&[request]));
}

#[test]
fn a_mail_reads_like_this() {
    let mailboxes = email::Mailboxes::parse("keywatch <keywatch@example.net>", &["soc@example.net".into()]).unwrap();
    let mail = email::mail(&notification(), &mailboxes, NOW).unwrap();
    check("email.eml", &String::from_utf8(mail.formatted()).unwrap().replace("\r\n", "\n"));
}

#[test]
fn lines_to_a_siem_are_these() {
    let settings = |format, target| SiemSettings {
        name: "siem".into(),
        target,
        format,
        addresses: AddressRules::default(),
        pace: Pace::default(),
    };
    let file = || LineTarget::File("siem.jsonl".into());
    let tcp = LineTarget::Tcp { host: "localhost".into(), port: 6514, tls: LineTls::None };
    let all = [
        line(&notification(), &settings(LineFormat::Json, file()), NOW),
        line(&notification(), &settings(LineFormat::Cef, file()), NOW),
        line(&notification(), &settings(LineFormat::Ocsf, file()), NOW),
        line(&notification(), &settings(LineFormat::Cef, tcp), NOW),
    ];
    assert!(all[..3].iter().all(|line| String::from_utf8_lossy(line).lines().count() == 1 && line.ends_with(b"\n")));
    check("siem.txt", &String::from_utf8(all.concat()).unwrap());
}

#[test]
fn ocsf_is_this() {
    let told = [
        notification(),
        with_status(Status::Open, "alert.opened"),
        with_status(Status::Acknowledged, "alert.acknowledged"),
        with_status(Status::Resolved, "alert.resolved"),
    ];
    let findings: Vec<Value> = told.iter().map(ocsf::detection_finding).collect();
    check("ocsf.json", &format!("{}\n", serde_json::to_string_pretty(&findings).unwrap()));
}

#[test]
fn a_test_says_that_it_is_one() {
    let told = trial::notification("on-call", Severity::High, NOW, false);
    let text = crate::delivery::message::render(&told);
    assert!(text.contains("TEST of receiver on-call: nothing has happened") && text.contains("not an alert"), "{text}");
    let end = trial::notification("on-call", Severity::High, NOW.saturating_add(60 * SECOND_NS), true);
    let dedup_keys = [&told, &end].map(|told| pagerduty::events(told, "key")[0]["dedup_key"].clone());
    assert_eq!(dedup_keys[0], dedup_keys[1], "the end of a test finds the test");
    let labels = [&told, &end].map(|told| alertmanager::alerts(told, NOW)[0]["labels"].clone());
    assert_eq!(labels[0], labels[1]);
    assert_ne!(told.key, end.key, "a webhook that remembers ids takes both");
}
