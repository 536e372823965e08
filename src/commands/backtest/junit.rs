//! The figures as `JUnit` XML, for continuous integration: suite `rules` with a test case a rule, suite `truth` with a
//! test case for recall and one for precision, suite `diff` with a test case for each rule of either pack.

use anyhow::Context;
use quick_junit::{NonSuccessKind, Report as Document, TestCase, TestCaseStatus, TestSuite};
use std::time::Duration;

use super::checks::Failure;
use super::diff::RuleDiff;
use super::report::{DiffReport, Report};
use super::rules::RuleReport;
use super::score::Detection;

/// The document.
///
/// # Errors
/// None that is known of: it is written to memory.
pub(super) fn write(report: &Report) -> anyhow::Result<String> {
    let mut document = Document::new("keywatch backtest");
    document.set_time(Duration::from_secs_f64(report.seconds));
    document.add_test_suite(rules(report));
    document.add_test_suites(report.truth.as_ref().map(|truth| of_truth(report, truth)));
    document.add_test_suites(report.diff.as_ref().map(difference));
    document.to_string().context("cannot write the JUnit report")
}

fn rules(report: &Report) -> TestSuite {
    let mut suite = TestSuite::new("rules");
    suite.set_time(Duration::from_secs_f64(report.cpu_seconds));
    let about = [
        ("events", report.events.to_string()),
        ("events_per_second", report.events_per_second.to_string()),
        ("rejects", report.rejects.to_string()),
        ("from", report.from.to_string()),
        ("to", report.to.to_string()),
    ];
    suite.add_properties(about.iter().map(|(name, value)| (*name, value.as_str())));
    suite.add_test_cases(report.rules.iter().map(|rule| of_rule(report, rule)));
    suite
}

fn of_rule(report: &Report, rule: &RuleReport) -> TestCase {
    let of_this = |failure: &&Failure| failure.rule.as_deref() == Some(rule.rule.as_str());
    let mut case = case(&rule.rule, "rules", report.failures.iter().filter(of_this));
    case.set_time(Duration::from_secs_f64(rule.cpu_seconds));
    case.add_property(("findings", rule.findings.to_string().as_str()));
    case.add_property(("entities", rule.entities.to_string().as_str()));
    if let Some(findings) = rule.findings_per_day {
        case.add_property(("findings_per_day", findings.to_string().as_str()));
    }
    case
}

fn of_truth(report: &Report, truth: &Detection) -> TestSuite {
    let mut suite = TestSuite::new("truth");
    for (check, figure) in [("recall", truth.all.recall), ("precision", truth.precision)] {
        let failures = report.failures.iter().filter(|failure| failure.check == check);
        let mut case = case(check, "truth", failures);
        if let Some(figure) = figure {
            case.add_property((check, figure.to_string().as_str()));
        }
        suite.add_test_case(case);
    }
    suite
}

fn difference(diff: &DiffReport) -> TestSuite {
    let mut suite = TestSuite::new("diff");
    suite.add_test_cases(diff.rules.iter().map(|rule| {
        let parked = diff.parked.get(&rule.rule).map(|problem| format!("was parked: {problem}"));
        let differs = rule.is_difference().then(|| counts(rule));
        let failures = [("parked", parked), ("diff", differs)];
        let failures =
            failures.into_iter().filter_map(|(check, message)| Some(Failure { check, rule: None, message: message? }));
        case(&rule.rule, "diff", failures.collect::<Vec<_>>().iter())
    }));
    suite
}

fn counts(rule: &RuleDiff) -> String {
    let mut text = format!("+ {}, - {}, {} of both", rule.added, rule.removed, rule.kept);
    for example in &rule.examples {
        let (sign, entity) = (example.sign.symbol(), &example.entity);
        text.extend([format!("; {sign} {} {entity} {}", example.time, example.event_id)]);
    }
    text
}

fn case<'a>(name: &str, class: &str, failures: impl Iterator<Item = &'a Failure>) -> TestCase {
    let failures: Vec<&Failure> = failures.collect();
    let status = match failures.first() {
        None => TestCaseStatus::success(),
        Some(first) => {
            let messages: Vec<&str> = failures.iter().map(|failure| failure.message.as_str()).collect();
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_type(first.check).set_message(messages.join("; "));
            status
        }
    };
    let mut case = TestCase::new(name, status);
    case.set_classname(class);
    case
}
