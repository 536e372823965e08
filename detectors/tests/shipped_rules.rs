//! Every shipped rule fires on its `fires` events and stays quiet on its `quiet` events.

use keywatch_detectors::{Settings, check, rule};

#[test]
fn every_shipped_rule_fires_and_stays_quiet_as_its_files_say() {
    let rules = rule::shipped().unwrap();
    assert!(rules.len() >= 15, "only {} rules", rules.len());
    let mut faults = Vec::new();
    for rule in &rules {
        match check::check(rule, &Settings::default()) {
            Ok(report) if report.is_good() => {}
            Ok(report) => {
                faults.push(format!("{}: fired {}, noise {}", rule.id, report.fired.len(), report.noise.len()));
            }
            Err(error) => faults.push(error.to_string()),
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What an asset is worth informs people: whoever says what it is worth must not be able to hide anything from a rule.
#[test]
fn no_shipped_rule_reads_a_price() {
    for rule in rule::shipped().unwrap() {
        let mut words = rule.sql.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        let read = words.find(|word| ["price", "price_source", "currency"].contains(word));
        assert_eq!(read, None, "{}", rule.id);
    }
}
