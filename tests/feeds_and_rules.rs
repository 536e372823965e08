//! From a source's own record to a rule: which rules read what a feed makes, and records of feeds that make a rule fire,
//! beside records that differ in one fact and leave it quiet.

use std::collections::{BTreeMap, BTreeSet};

use keywatch_detectors::{Engine, Settings, rule};
use keywatch_ingest::{Context, feeds};
use keywatch_store::event::Origin;
use keywatch_store::time::SECOND_NS;
use keywatch_store::{Event, Instant, Position, kinds};

mod people;

/// Kinds that feeds make and no rule reads: evidence, and facts that a person looks for.
const READ_BY_NO_RULE: [&str; 6] = [
    "control.wallet",
    "custody.ceremony",
    "custody.drill",
    "custody.review",
    "session.claims_changed",
    "signing.rejected",
];

/// Kinds in quotation marks in a rule's SQL, its views among it, beside the rules that name them.
fn rules_by_kind() -> BTreeMap<&'static str, BTreeSet<String>> {
    let mut read = BTreeMap::<_, BTreeSet<String>>::new();
    for rule in rule::shipped().unwrap() {
        for kind in kinds::KINDS.iter().filter(|kind| rule.sql.contains(&format!("'{}'", kind.name))) {
            read.entry(kind.name).or_default().insert(rule.id.clone());
        }
    }
    read
}

#[test]
fn every_feed_makes_something_that_a_rule_reads() {
    let read = rules_by_kind();
    let mut unread = BTreeSet::new();
    for table in feeds::TABLES {
        let kinds = table.kinds();
        assert!(
            kinds.iter().any(|kind| read.contains_key(kind)),
            "no rule reads anything of `{}`: {kinds:?}",
            table.name
        );
        unread.extend(kinds.into_iter().filter(|kind| !read.contains_key(kind)));
    }
    assert_eq!(unread.into_iter().collect::<Vec<_>>(), READ_BY_NO_RULE, "read, or no longer made");
}

/// Records by feed; a record that makes the rule fire, and the words that are changed so that it does not.
struct Drive {
    rule: &'static str,
    records: Vec<(&'static str, String)>,
    /// What is replaced in the records, and by what.
    quiet: (&'static str, &'static str),
}

fn drive(rule: &'static str, records: &[(&'static str, String)], quiet: (&'static str, &'static str)) -> Drive {
    Drive { rule, records: records.to_vec(), quiet }
}

/// The example of a feed with some of its words replaced.
fn example(feed: &'static str, changes: &[(&str, &str)]) -> (&'static str, String) {
    let table = feeds::TABLES.into_iter().find(|table| table.name == feed).unwrap();
    let record: serde_json::Value = serde_json::from_str(table.example).unwrap();
    let text = changes.iter().fold(record.to_string(), |text, (from, to)| {
        assert!(text.contains(from), "the example of `{feed}` has no {from}");
        text.replace(from, to)
    });
    (feed, text)
}

fn line(feed: &'static str, text: &str) -> (&'static str, String) {
    (feed, text.to_owned())
}

fn custody() -> Vec<Drive> {
    let entry = "{\"type\":\"access.entered\",\"id\":\"a\",\"at\":\"2025-03-03T12:00:00Z\",\"person\":\"carl\",\"place\":\"vault 2\"}";
    vec![
        drive(
            "custody/break_glass_alone",
            &[line(
                "custody",
                r#"{"type":"break_glass.opened","id":"b","at":"2025-03-03T09:00:00Z","by":"ann","with":"ANN","reason":"hurry"}"#,
            )],
            ("\"ANN\"", "\"bob\""),
        ),
        drive(
            "custody/break_glass_unregistered",
            &[
                line("custody", r#"{"type":"person.registered","id":"p","at":"2025-03-03T08:00:00Z","person":"ann"}"#),
                line("custody", r#"{"type":"person.left","id":"q","at":"2025-03-03T08:01:00Z","person":"eve"}"#),
                line(
                    "custody",
                    r#"{"type":"break_glass.opened","id":"b","at":"2025-03-03T09:00:00Z","by":"ann","with":"eve","reason":"hurry"}"#,
                ),
            ],
            ("person.left", "person.changed"),
        ),
        drive(
            "custody/grant_without_ticket",
            &[line(
                "custody",
                r#"{"type":"grant.given","id":"g","at":"2025-03-03T09:00:00Z","by":"ann","person":"carl","right":"signer"}"#,
            )],
            ("\"right\"", "\"ticket\":\"CHG-1\",\"right\""),
        ),
        drive(
            "custody/use_after_revoke",
            &[
                line(
                    "custody",
                    r#"{"type":"grant.revoked","id":"g","at":"2025-03-03T09:00:00Z","by":"ann","person":"carl","right":"signer"}"#,
                ),
                line("custody", entry),
            ],
            ("access.entered", "access.left"),
        ),
        drive(
            "policy/stale_risk_score",
            &[
                line(
                    "custody",
                    r#"{"type":"risk.low","id":"k","at":"2025-02-21T01:00:00Z","session":"idxRoot1","score":3}"#,
                ),
                example("authzen", &[("\"decision\":false", "\"decision\":true")]),
            ],
            ("2025-02-21T01:00:00Z", "2025-02-21T05:30:00Z"),
        ),
    ]
}

/// Changes of the environment, without a ticket.
fn changes() -> Vec<Drive> {
    vec![
        drive(
            "control/change_without_ticket",
            &[
                line(
                    "custody",
                    r#"{"type":"change.opened","id":"h","at":"2025-03-03T09:00:00Z","by":"OTHER","ticket":"CHG-1"}"#,
                ),
                example("tailscale", &[]),
            ],
            ("OTHER", "dana@exchange.example"),
        ),
        drive(
            "control/grave_change_without_ticket",
            &[
                line(
                    "custody",
                    r#"{"type":"change.opened","id":"h","at":"2025-02-20T09:00:00Z","by":"OTHER","ticket":"CHG-1"}"#,
                ),
                example(
                    "cloudtrail",
                    &[
                        ("\"Sign\"", "\"SendSSHPublicKey\""),
                        ("kms.amazonaws.com", "ec2-instance-connect.amazonaws.com"),
                    ],
                ),
            ],
            ("SendSSHPublicKey", "AttachRolePolicy"),
        ),
    ]
}

fn supply_chain() -> Vec<Drive> {
    vec![
        drive(
            "control/gate_bypassed",
            &[example("github_oidc", &[("\"ref_protected\":\"true\"", "\"ref_protected\":\"false\"")])],
            ("\"ref_protected\":\"false\"", "\"ref_protected\":\"true\""),
        ),
        drive(
            "control/artifact_unsigned",
            &[
                example("sigstore", &[("\"result\":\"verified\"", "\"result\":\"failed\"")]),
                example("github_oidc", &[]),
            ],
            ("\"result\":\"failed\"", "\"result\":\"verified\""),
        ),
        drive(
            "control/secret_found",
            &[example("secret_scanner", &[])],
            ("2025-02-21T05:42:40Z", "2021-02-21T05:42:40Z"),
        ),
    ]
}

fn signers() -> Vec<Drive> {
    let aborted = |run: &str| example("mpc", &[("\"ok\"", "\"abort\""), ("\"s-7\"", run)]);
    let notice = |id: &str, run: &str| {
        example("bitgo", &[("ecdsaMPCv2Round1", "invalidSignature"), ("ntf-7f31", id), ("\"txr-1\"", run)])
    };
    vec![
        drive(
            "signing/aborted_rounds",
            &[aborted("\"s-1\""), aborted("\"s-2\""), aborted("\"s-3\"")],
            ("\"s-3\"", "\"s-2\""),
        ),
        drive(
            "signing/aborted_rounds",
            &[notice("n-1", "\"t-1\""), notice("n-2", "\"t-2\""), notice("n-3", "\"t-3\"")],
            ("\"t-3\"", "\"t-2\""),
        ),
    ]
}

fn logs() -> Vec<Drive> {
    vec![
        drive(
            "control/logging_off",
            &[example("okta", &[("user.session.start", "system.log_stream.lifecycle.deactivate")])],
            ("lifecycle.deactivate", "lifecycle.activate"),
        ),
        drive(
            "control/logging_off",
            &[example(
                "cloudtrail",
                &[("\"Sign\"", "\"StopLogging\""), ("kms.amazonaws.com", "cloudtrail.amazonaws.com")],
            )],
            ("StopLogging", "UpdateTrail"),
        ),
        drive(
            "control/logging_off",
            &[example("azure", &[("KeySign", "MICROSOFT.INSIGHTS/DIAGNOSTICSETTINGS/DELETE")])],
            ("DIAGNOSTICSETTINGS/DELETE", "DIAGNOSTICSETTINGS/WRITE"),
        ),
        drive(
            "control/logging_off",
            &[example(
                "gcp_audit",
                &[
                    ("AsymmetricSign", "google.logging.v2.ConfigServiceV2.DeleteSink"),
                    ("cloudkms.googleapis.com", "logging.googleapis.com"),
                ],
            )],
            ("DeleteSink", "CreateSink"),
        ),
        drive(
            "control/logging_off",
            &[example("tailscale", &[("\"ACL\"", "\"LOGSTREAM_ENDPOINT\""), ("\"UPDATE\"", "\"DELETE\"")])],
            ("\"DELETE\"", "\"CREATE\""),
        ),
        drive(
            "control/logging_off",
            &[example(
                "vault",
                &[
                    ("transit/sign/hot-wallet/sha2-256", "sys/audit/file"),
                    ("\"transit/\"", "\"sys/\""),
                    ("\"mount_type\":\"transit\"", "\"mount_type\":\"system\""),
                    ("\"operation\":\"update\"", "\"operation\":\"delete\""),
                ],
            )],
            ("\"operation\":\"delete\"", "\"operation\":\"update\""),
        ),
    ]
}

/// What signers were asked for beside what they did, and who asked in vain.
fn uses_of_keys() -> Vec<Drive> {
    let asked_for = "0x47666Fab8bd0Ac7003bce3f5C3585383F09486E2";
    let other = "0x1111111111111111111111111111111111111111";
    let tried = |second: u32| {
        let text = format!(
            "2025-02-21 05:42:4{second}.118+00:00 | vert.x-worker-thread-4 | WARN  | LoggerHandlerImpl | 203.0.113.7 - - \
             [Fri, 21 Feb 2025 05:42:4{second} GMT] \"POST /api/v1/eth1/sign/0xdead0{second} HTTP/1.1\" 404 0 \"-\" \
             \"curl/8.7.1\" \"-\""
        );
        ("web3signer", text)
    };
    vec![
        drive(
            "signing/request_altered",
            &[
                example("fireblocks", &[]),
                example(
                    "fireblocks",
                    &[
                        ("0193f0c1-7b1e", "0193f0c1-7b1f"),
                        ("transaction.created", "transaction.status.updated"),
                        ("\"SUBMITTED\"", "\"BROADCASTING\""),
                        ("1740116560788", "1740116620788"),
                        (asked_for, other),
                    ],
                ),
            ],
            (other, asked_for),
        ),
        drive("signing/refused_uses", &[0, 1, 2, 3, 4].map(tried), ("\" 404 ", "\" 200 ")),
    ]
}

/// What policies decided, and what sources say of themselves.
fn decision_points() -> Vec<Drive> {
    let decided = r#"{"labels":{"id":"replica-1","version":"1.4.2"},"decision_id":"d-1","path":"wallet/signing/allow","timestamp":"2025-02-21T05:42:10.123456789Z","result":true,"requested_by":"10.0.0.9:4711","bundles":{"policy":{"revision":"r7"}},"input":{"subject":"dana@exchange.example","session_id":"s-1","wallet":"0x1Db92e2EeBC8E0c075a02BeA49a2935BcD2dFCF4","request_id":"0xABCD","amount_usd":null,"destination_risk_score":1,"initiator":"alice","human_approvals":[{"user":"bob","approved":true},{"user":"eve","approved":true}]}}"#;
    let elsewhere = [("replica-1", "replica-2"), ("\"result\":true", "\"result\":false"), ("05:42:10", "05:42:12")]
        .into_iter()
        .fold(decided.to_owned(), |text, (from, to)| text.replace(from, to));
    vec![
        drive(
            "policy/malformed_input_allowed",
            &[line("opa", decided)],
            ("\"amount_usd\":null", "\"amount_usd\":81000000.5"),
        ),
        drive("policy/decided_differently", &[line("opa", decided), line("opa", &elsewhere)], (":false", ":true")),
        drive(
            "source/degraded",
            &[example("opa_status", &[("rate_limit_exceeded\":0", "rate_limit_exceeded\":7")])],
            ("rate_limit_exceeded\":7", "rate_limit_exceeded\":0"),
        ),
        drive(
            "source/degraded",
            &[line("vpc_flow", "2 111122223333 eni-0a1b - - - - - - - 1740116560 1740116620 - SKIPDATA")],
            ("SKIPDATA", "NODATA"),
        ),
    ]
}

/// Feeds that are code: what owners of a Safe are asked to sign, and keywatch's own lines.
fn feeds_of_code() -> Vec<Drive> {
    let page = include_str!("../replay-data/2025-02-bybit/sources/safe-transaction-service.json");
    let page: serde_json::Value = serde_json::from_str(page).unwrap();
    let asked = r#"{"id":"1","kind":"signing.requested","event_time":"2026-03-01T09:00:00Z","wallet":"0xc307b632","request":"0x454349e4","asset":"USDT","outcome":"verified","detail":{"unlimited_spender":"0x464abdf6"}}"#;
    vec![
        drive(
            "signing/first_delegatecall",
            &[("safe", page["results"][0].to_string())],
            ("\"operation\":1", "\"operation\":0"),
        ),
        drive("chain/unlimited_approval", &[line("events", asked)], ("unlimited_spender", "limited_spender")),
    ]
}

/// The findings of one rule over records, in the order in which they are told; a tick a day later ends all frames.
fn findings(rule: &str, records: &[(&'static str, String)]) -> usize {
    let mut events = Vec::new();
    for (feed, record) in records {
        let origin = Origin { system: "cold".to_owned(), source: format!("{feed}-1") };
        let reading = feeds::find(feed).unwrap().read(&Context { origin: &origin, inventory: None }, record.as_bytes());
        assert_eq!(reading.rejects, [], "{feed}: {record}");
        events.extend(reading.events);
    }
    let last = events.iter().map(Event::event_time).max().unwrap_or(Instant(1_740_000_000 * SECOND_NS));
    let origin = Origin { system: "cold".to_owned(), source: "keywatch".to_owned() };
    events.push(Event::builder(&origin, "tick", "tick", last.saturating_add(86_400 * SECOND_NS)).build_own());
    let mut before = Instant(0);
    for event in &mut events {
        // Log time goes on, as it does in a log: what is told late is taken as of its arrival.
        before = Instant(event.event_time().0.max(before.0 + 1));
        if event.kind() == "control.secret" {
            before = Instant(before.0.max(1_740_200_000 * SECOND_NS));
        }
        event.set_time(before);
    }
    let rules: Vec<_> = rule::shipped().unwrap().into_iter().filter(|shipped| shipped.id == rule).collect();
    assert_eq!(rules.len(), 1, "there is a rule {rule}");
    let outcome = Engine::new(&rules, &Settings::default()).unwrap().run(Position(0), &events).unwrap();
    assert!(outcome.parked.is_empty(), "{rule} was parked");
    outcome.findings.len()
}

#[test]
fn records_of_feeds_make_rules_fire_and_one_other_fact_leaves_them_quiet() {
    let drives = [
        custody(),
        changes(),
        supply_chain(),
        signers(),
        people::sessions(),
        logs(),
        people::devices(),
        people::sign_ons(),
        uses_of_keys(),
        decision_points(),
        feeds_of_code(),
    ];
    let mut driven = BTreeSet::new();
    for Drive { rule, records, quiet: (from, to) } in drives.into_iter().flatten() {
        assert!(findings(rule, &records) > 0, "{rule} does not fire on {records:?}");
        let changed: Vec<_> = records.iter().map(|(feed, text)| (*feed, text.replace(from, to))).collect();
        assert_ne!(records, changed, "{rule}: {from} is not there");
        assert_eq!(findings(rule, &changed), 0, "{rule} fires on {changed:?}");
        driven.extend(records.iter().map(|(feed, _)| *feed));
    }
    // Every feed drives a rule; a new one comes with its pair.
    for feed in feeds::all() {
        assert!(driven.contains(feed.name()), "{}", feed.name());
    }
}
