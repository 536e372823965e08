//! `keywatch init` over the records of an incident, as if nobody had declared anything.

use std::fs;

use keywatch_store::Inventory;

use crate::support::command::{err, keywatch, out};
use crate::support::tree;

const WALLET: &str = "0x1db92e2eebc8e0c075a02bea49a2935bcd2dfcf4";

#[test]
fn a_history_becomes_an_inventory_to_be_read_and_a_configuration_with_every_rule_in_shadow() {
    let directory = tempfile::tempdir().unwrap();
    let records = fs::read_to_string(tree::root().join("replay-data/2025-02-bybit/events.jsonl")).unwrap();
    let of_sources: Vec<&str> = records.lines().filter(|line| !line.contains("\"source\":\"keywatch\"")).collect();
    fs::write(directory.path().join("history.jsonl"), of_sources.join("\n")).unwrap();
    let init = || keywatch(directory.path(), &["init", "history.jsonl", "--output", "site"], b"");
    let done = init();
    assert_eq!(done.status.code(), Some(0), "{}", err(&done));
    let said = out(&done);
    assert!(said.contains("system bybit-eth-cold-1") && said.contains("signing") && said.contains("a day"), "{said}");

    let text = fs::read_to_string(directory.path().join("site/inventory.toml")).unwrap();
    let inventory = Inventory::parse("inventory.toml", &text).unwrap();
    let cold = inventory.system("bybit-eth-cold-1").unwrap();
    let opa = cold.sources.iter().find(|source| source.source == "opa").unwrap();
    assert_eq!((opa.feed.as_str(), opa.trust_group.as_str()), ("opa", ""));
    let wallet = cold.wallets.iter().find(|wallet| wallet.wallet == WALLET).unwrap();
    assert_eq!((wallet.chain.as_str(), wallet.decision_point.as_str()), ("ethereum", "opa"));
    assert!(cold.people.iter().any(|person| person.subject == "owner-3dd4"));
    assert!(cold.destinations.is_empty() && cold.owners.is_empty(), "nobody gets a right by having been seen");
    assert!(text.contains("# owner = \"0x3dd4b4dbe6aee6f49a65f0c1ac508deff761c195\""), "{text}");

    let configuration = fs::read_to_string(directory.path().join("site/keywatch.toml")).unwrap();
    let configuration: toml::Table = configuration.parse().unwrap();
    let shadow = configuration["alerting"]["shadow_rules"].as_array().unwrap();
    assert_eq!(shadow.len(), keywatch_detectors::rule::shipped().unwrap().len());
    // It is one that keywatch takes, inventory and all.
    let tried = ["deliveries", "test", "nobody", "--config", "site/keywatch.toml"];
    let tried = keywatch(directory.path(), &tried, b"");
    assert!(err(&tried).contains("has no receiver `nobody`"), "{}", err(&tried));

    assert!(!said.contains("in the order of time"), "{said}");
    let reversed: Vec<&str> = of_sources.iter().rev().copied().collect();
    fs::write(directory.path().join("reversed.jsonl"), reversed.join("\n")).unwrap();
    let done = keywatch(directory.path(), &["init", "reversed.jsonl", "--output", "elsewhere"], b"");
    assert!(out(&done).contains("are the inputs in the order of time?"), "{}{}", out(&done), err(&done));

    let again = init();
    assert_eq!(again.status.code(), Some(2));
    assert!(err(&again).contains("is there already"), "{}", err(&again));
}

#[test]
fn what_cannot_be_proposed_from_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let tick = "{\"event_id\":\"5d1c0c5fb0a2419cf0ad4e1b8d1d7f60\",\"system\":\"cold\",\"time\":\"2025-03-03T09:00:00Z\",\
                \"event_time\":\"2025-03-03T09:00:00Z\",\"source\":\"keywatch\",\"kind\":\"tick\"}\n";
    fs::write(directory.path().join("ticks.jsonl"), tick).unwrap();
    for (history, expected) in [("ticks.jsonl", "no source says anything"), ("-", "cannot be standard input")] {
        let done = keywatch(directory.path(), &["init", history, "--output", "site"], b"");
        assert_eq!(done.status.code(), Some(2), "{history}");
        assert!(err(&done).contains(expected), "{history}: {}", err(&done));
    }
    assert!(!directory.path().join("site").exists());
}
