//! What is not as it should be: parked rules and thresholds that do not hold. The same list makes the exit code, the
//! lines below a table and the failures of `JUnit`.

use serde::Serialize;

use super::Thresholds;
use super::rules::RuleReport;
use super::score::Detection;

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Failure {
    /// `parked`, `findings_per_day`, `recall` or `precision`.
    pub(super) check: &'static str,
    /// The rule, where it is about one.
    pub(super) rule: Option<String>,
    /// In words.
    pub(super) message: String,
}

/// All of them, those of rules first.
pub(super) fn all(thresholds: &Thresholds, rules: &[RuleReport], truth: Option<&Detection>) -> Vec<Failure> {
    let mut failures: Vec<Failure> = rules.iter().flat_map(|rule| of_rule(thresholds, rule)).collect();
    let of_truth = [
        ("recall", thresholds.min_recall, truth.and_then(|truth| truth.all.recall)),
        ("precision", thresholds.min_precision, truth.and_then(|truth| truth.precision)),
    ];
    failures.extend(of_truth.into_iter().filter_map(|(check, least, found)| below(check, least?, found)));
    failures
}

fn of_rule(thresholds: &Thresholds, rule: &RuleReport) -> Vec<Failure> {
    let fail = |check, message| Failure { check, rule: Some(rule.rule.clone()), message };
    let parked = rule.parked.as_ref().map(|problem| fail("parked", format!("was parked: {problem}")));
    let too_many = thresholds.max_findings_per_day.zip(rule.findings_per_day).filter(|(most, found)| found > most);
    let loud = too_many.map(|(most, found)| {
        fail("findings_per_day", format!("{found:.2} findings a day, at most {most} are allowed"))
    });
    parked.into_iter().chain(loud).collect()
}

fn below(check: &'static str, least: f64, found: Option<f64>) -> Option<Failure> {
    let message = match found {
        Some(found) if found >= least => return None,
        Some(found) => format!("{check} is {found:.3}, at least {least} is asked for"),
        None => format!("{check} cannot be told, and at least {least} is asked for"),
    };
    Some(Failure { check, rule: None, message })
}
