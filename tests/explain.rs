//! `keywatch detectors explain`: every shipped rule can be read, drawn and measured.

use std::path::Path;

use crate::support::command::{err, keywatch, out};

/// What is said of a rule between two headings.
fn part<'a>(said: &'a str, from: &str, to: &str) -> &'a str {
    let said = said.split_once(from).unwrap_or_else(|| panic!("no `{from}` in {said}")).1;
    said.split_once(to).unwrap_or_else(|| panic!("no `{to}` in {said}")).0
}

fn explain(rule: &str, more: &[&str]) -> String {
    let done = keywatch(Path::new(env!("CARGO_MANIFEST_DIR")), &[&["detectors", "explain", rule], more].concat(), b"");
    assert!(done.status.success(), "{rule}: {}", err(&done));
    out(&done)
}

#[test]
fn every_shipped_rule_is_drawn_within_100_columns_in_its_own_words() {
    for rule in keywatch_detectors::rule::shipped().unwrap() {
        let said = explain(&rule.id, &[]);
        let drawn = part(&said, "How it runs:", "\nSQL:\n");
        for line in drawn.lines() {
            // A single long word may stand over.
            assert!(line.chars().count() <= 102 || !line.trim().contains(' '), "{}: {line}", rule.id);
        }
        for ours in ["__common", "Utf8", " BY [", "Int64("] {
            assert!(!drawn.contains(ours), "{}: DataFusion's own `{ours}` in\n{drawn}", rule.id);
        }
    }
}

#[test]
fn a_rule_is_taken_apart() {
    let said = explain("signing/signature_without_allow", &[]);
    let drawn = part(&said, "How it runs:", "Step by step:");
    for expected in [
        "events   decision, signing.approved, signing.signed, source.gap",
        "├ keep    kind = 'source.heartbeat'",
        "key system, wallet, request",
        "|----24h----*--10m--|",
        "└ finding with the first record at or after 10m later",
    ] {
        assert!(drawn.contains(expected), "no `{expected}` in {drawn}");
    }
    let windows = part(&said, "Windows, by partition key", "SQL:");
    assert!(windows.contains("the last time only: nothing above 1 is asked"), "{windows}");
    assert!(windows.contains("and nothing else: keys and"), "{windows}");
}

#[test]
fn over_a_log_it_tells_what_it_remembers_and_costs() {
    for log in ["replay-data/2025-02-bybit", "replay-data/2025-02-bybit/events.jsonl"] {
        let said = explain("chain/destination_first_seen", &["--log", log]);
        let measured = part(&said, &format!("Over {log}, with all "), "\nSQL:\n");
        for expected in ["events ", "findings ", "ns an event", "% of all rules'", "system, wallet", "peak", "together"]
        {
            assert!(measured.contains(expected), "no `{expected}` in {measured}");
        }
    }
    let done = keywatch(
        Path::new(env!("CARGO_MANIFEST_DIR")),
        &["detectors", "explain", "source/silent", "--log", "nowhere"],
        b"",
    );
    assert!(!done.status.success() && err(&done).contains("cannot read nowhere"), "{}", err(&done));
}
