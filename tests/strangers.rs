//! What honest people and strangers' records do, and what of it is told: each file of `strangers/` stands for a kind of
//! record that once drowned or blinded the rules.

use std::path::Path;

use crate::support::command::{err, keywatch, out};

/// What is found in a file: day and hour of the anchor, severity, rule.
fn found(file: &str) -> (Vec<String>, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/strangers");
    let output = keywatch(&path, &["replay", "--format", "jsonl", file], b"");
    let said = err(&output);
    assert!(output.status.success(), "{said}");
    let found = out(&output);
    let found = found.lines().map(|line| {
        let finding: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| finding[name].as_str().unwrap().to_owned();
        format!("{} {} {}", &text("time")[8..16], text("severity"), text("rule"))
    });
    (found.collect(), said)
}

#[test]
fn a_wallet_of_which_only_a_node_tells_is_not_judged_by_its_signer() {
    let (found, said) = found("only_a_node.jsonl");
    assert!(found.is_empty(), "{found:?}");
    assert!(said.contains("no signer is connected for 0x9e4c1a7b30d52f68b1a09c7d3e5f84620b7d91aa"), "{said}");
}

#[test]
fn a_foreign_delegatecall_is_found_on_the_first_day_and_a_batch_is_not() {
    let (foreign, _) = found("delegatecall_on_the_first_day.jsonl");
    assert_eq!(foreign, ["01T11:00 critical signing/first_delegatecall"]);
    let (batch, _) = found("batch_on_the_first_day.jsonl");
    assert!(batch.is_empty(), "{batch:?}");
}

#[test]
fn what_the_business_ordered_is_no_news_whatever_the_address() {
    let (ordered, _) = found("ordered_withdrawals.jsonl");
    assert!(ordered.is_empty(), "{ordered:?}");
    let (not_ordered, _) = found("a_payment_nobody_ordered.jsonl");
    assert_eq!(not_ordered, ["01T12:00 high chain/unordered_destination",]);
}

#[test]
fn a_network_that_the_person_used_on_another_day_is_a_habit() {
    let (habit, _) = found("vpn_every_day.jsonl");
    assert!(!habit.is_empty() && habit.iter().all(|found| found.starts_with("01T")), "{habit:?}");
    let (declared, _) = found("vpn_declared.jsonl");
    assert!(declared.is_empty(), "{declared:?}");
    let (stolen, _) = found("vpn_and_a_stolen_cookie.jsonl");
    assert_eq!(stolen.last().unwrap(), "05T12:10 high session/two_places");
}
