//! The timeline on answers as the API gives them.

use serde_json::{Value, json};

use super::links::links;
use super::*;

fn event(second: u32, kind: &str, more: &Value) -> Value {
    let mut event = json!({
        "event_id": format!("e{second}"), "time": format!("2025-02-21T05:42:{second:02}Z"), "kind": kind, "source": "s",
        "evidence": false, "problems": [], "facts": {}, "differences": [],
    });
    for (name, value) in more.as_object().unwrap() {
        event[name] = value.clone();
    }
    event
}

fn incident(timeline: &[Value]) -> Value {
    let alert =
        json!({ "opened": "2025-02-21T05:42:04Z", "severity": "critical", "title": "<b>no</b>", "rule": "a/b" });
    json!({ "alert_list": [alert], "custody": { "timeline": timeline, "compared": [], "complete": true } })
}

/// Somebody signs something else than what was decided on.
fn story() -> Value {
    let differs = json!([{ "what": "signer", "expected": "owner-key", "found": "stranger-key" }]);
    let mismatch = json!({ "request": "shown", "actor": "owner", "outcome": "mismatch", "differences": differs, "evidence": true });
    incident(&[
        event(0, "session.started", &json!({ "session": "s1", "actor": "ann" })),
        event(1, "session.presented", &json!({ "session": "s1", "actor": "ann" })),
        event(2, "decision", &json!({ "session": "s1", "request": "shown", "actor": "ann", "outcome": "allow" })),
        event(3, "signing.requested", &json!({ "request": "shown", "amount": "5", "asset": "x" })),
        event(4, "signing.approved", &mismatch),
        event(5, "signing.requested", &json!({ "request": "signed", "evidence": true })),
        event(6, "signing.approved", &json!({ "request": "signed", "actor": "one", "outcome": "verified" })),
        event(7, "signing.approved", &json!({ "request": "signed", "actor": "two", "outcome": "verified" })),
        event(8, "signing.signed", &json!({ "request": "signed", "tx": "t" })),
        event(9, "chain.tx", &json!({ "request": "signed", "tx": "t" })),
        event(20, "chain.transfer", &json!({ "tx": "u", "amount": "10", "asset": "x", "evidence": true })),
    ])
}

#[test]
fn rows_say_what_does_not_agree_and_what_is_missing() {
    let story = story();
    let rows = rows_of(&story);
    let words: Vec<(&str, &str)> = rows.iter().map(|row| (row.kind(), row.word)).collect();
    let expected = [
        ("session.started", ""),
        ("decision", ""),
        ("signing.requested", ""),
        ("signing.approved", "MISMATCH"),
        ("", "FOUND"),
        ("signing.requested", "EVIDENCE"),
        ("signing.approved", ""),
        ("signing.signed", ""),
        ("chain.tx", ""),
        ("chain.transfer", ""),
    ];
    assert_eq!(words, expected);
    assert_eq!(rows[6].of.len(), 2, "two who say the same at once are one row");
    let missing: Vec<_> = rows.iter().filter_map(|row| row.missing).collect();
    assert_eq!(missing, [(Lane::Decision, "NO DECISION"), (Lane::Signing, "NO SIGNATURE")]);
    assert_eq!(rows[5].missing, Some((Lane::Decision, "NO DECISION")));
    let (first, last) = money_left(&story).unwrap();
    assert_eq!((first.to_string(), first), ("2025-02-21T05:42:20Z".to_owned(), last));
}

#[test]
fn links_follow_the_chain_and_the_one_that_does_not_agree_is_wrong() {
    let story = story();
    let rows = rows_of(&story);
    let links: Vec<(usize, usize, bool)> =
        links(&rows, &story).iter().map(|link| (link.from, link.to, link.good)).collect();
    let expected = [(0, 1, true), (1, 2, true), (2, 3, false), (5, 6, true), (6, 7, true), (7, 8, true)];
    assert_eq!(links, expected);
}

#[test]
fn the_picture_has_both_values_the_lead_and_no_markup_of_others() {
    let shown = timeline(&story()).into_string();
    for part in
        ["owner-key", "stranger-key", "MISMATCH", "16 s before money left", "NO SIGNATURE", "&lt;b&gt;no&lt;/b&gt;"]
    {
        assert!(shown.contains(part), "no `{part}` in {shown}");
    }
    for linked in
        ["decision, linked to the session at 05:42:00: ", "signing, linked as wrong to the signing at 05:42:03: "]
    {
        assert!(shown.contains(&format!("<span class=\"unseen\">{linked}</span>")), "no `{linked}` in {shown}");
    }
    assert!(shown.contains("link wrong") && shown.contains("<svg") && !shown.contains("<b>no"), "{shown}");
    assert!(!shown.contains("style="), "the policy of the page forbids it");
    // 5 of x beside 10 of x.
    assert!(shown.contains("50 % of the largest amount"), "{shown}");
}

#[test]
fn what_moves_nothing_or_arrives_neither_left_nor_wants_a_signature() {
    let planted = incident(&[
        event(5, "signing.signed", &json!({ "request": "r", "tx": "t" })),
        event(6, "chain.transfer", &json!({ "tx": "u", "amount": "0", "to_address": "0xb", "evidence": true })),
        event(
            7,
            "chain.transfer",
            &json!({ "tx": "v", "amount": "1", "facts": { "direction": "in" }, "evidence": true }),
        ),
    ]);
    assert!(rows_of(&planted).iter().all(|row| row.missing.is_none()));
    assert_eq!(money_left(&planted), None);
}

#[test]
fn an_allowance_and_a_destination_are_told_in_words() {
    let allowance = |second, outcome: &str, amount: &str| {
        event(second, "chain.approval", &json!({ "to_address": "0xb", "outcome": outcome, "amount": amount }))
    };
    let told = incident(&[
        allowance(1, "granted", "5"),
        allowance(2, "granted", &"9".repeat(38)),
        allowance(3, "revoked", "0"),
        event(4, "chain.destination", &json!({ "to_address": "0xc", "outcome": "contract" })),
    ]);
    let shown = timeline(&told).into_string();
    for part in ["0xb may take 5", "0xb may take any amount", "0xb may take nothing", "0xc is a contract that nobody"] {
        assert!(shown.contains(part), "no `{part}` in {shown}");
    }
}

#[test]
fn where_nobody_tells_of_decisions_none_is_missing() {
    let lonely = incident(&[
        event(5, "signing.requested", &json!({ "request": "r" })),
        event(6, "signing.approved", &json!({ "request": "r", "outcome": "verified" })),
        event(9, "chain.transfer", &json!({ "tx": "u", "evidence": true })),
    ]);
    assert!(rows_of(&lonely).iter().all(|row| row.missing.is_none()));
}

#[test]
fn what_an_alert_saw_and_its_chain_has_left_stands_in_the_timeline() {
    let mut taken_back = incident(&[event(1, "chain.retracted", &json!({ "tx": "0xtx" }))]);
    taken_back["alert_list"][0]["unconfirmed"] =
        json!({ "says": "Unconfirmed: it is <gone>.", "since": "2025-02-21T05:43:00Z", "final": false });
    let rows = rows_of(&taken_back);
    assert_eq!(rows.iter().map(|row| row.word).collect::<Vec<_>>(), ["", "FOUND", "UNCONFIRMED"]);
    let shown = timeline(&taken_back).into_string();
    for part in ["it is &lt;gone&gt;.", "what it said of 0xtx is taken back", ">unconfirmed</strong>"] {
        assert!(shown.contains(part), "no `{part}` in {shown}");
    }
}
