//! `keywatch indicators import`: what others warn of becomes entries that an inventory takes, and a look back says who met it.

use std::fs;

use keywatch_store::Inventory;

use crate::support::command::{err, keywatch, out};
use crate::support::tree;

/// Where the money of the incident went.
const THIEF: &str = "0x47666fab8bd0ac7003bce3f5c3585383f09486e2";

#[test]
fn indicators_become_entries_of_an_inventory_and_are_looked_for_in_a_history() {
    let here = tempfile::tempdir().unwrap();
    fs::write(
        here.path().join("warned.csv"),
        format!("{},a theft\n198.51.100.250\n", THIEF.to_uppercase().replace("0X", "0x")),
    )
    .unwrap();
    let history = tree::root().join("replay-data/2025-02-bybit");
    let history = history.to_str().unwrap();
    let import = |more: &[&str]| {
        keywatch(here.path(), &[&["indicators", "import", "warned.csv", "--by", "ann"][..], more].concat(), b"")
    };
    let done = import(&["--days", "0"]);
    assert_eq!(done.status.code(), Some(0), "{}", err(&done));
    let text = format!("[[systems]]\nid = \"cold\"\n{}", out(&done));
    let inventory = Inventory::parse("inventory.toml", &text).unwrap();
    let told: Vec<_> =
        inventory.systems[0].indicators.iter().map(|entry| (entry.indicator.as_str(), entry.expires_at)).collect();
    assert_eq!(told, [(THIEF, 0), ("198.51.100.250", 0)]);
    assert_eq!(inventory.systems[0].indicators[0].label, "a theft");
    assert_eq!(inventory.systems[0].indicators[0].imported_by, "ann");

    let done = import(&["--history", history]);
    assert_eq!(done.status.code(), Some(1), "{}", err(&done));
    assert!(err(&done).contains(THIEF) && !err(&done).contains("198.51.100.250"), "{}", err(&done));

    fs::write(here.path().join("warned.csv"), "# nothing\n").unwrap();
    let done = import(&[]);
    assert_eq!(done.status.code(), Some(2));
    assert!(err(&done).contains("holds no indicator"), "{}", err(&done));
}
