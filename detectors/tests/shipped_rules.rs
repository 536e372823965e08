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
