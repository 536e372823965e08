//! The figures for people.

use std::fmt::Write;

use indicatif::{BinaryBytes, HumanCount};

use super::diff::{Packs, RuleDiff};
use super::report::{DiffReport, Report};
use super::rules::RuleReport;
use super::score::{Detection, Quantiles, Scenario};
use crate::output;

/// All of it, with a line feed at the end.
pub(super) fn write(report: &Report) -> String {
    let mut parts = vec![rules(report), totals(report)];
    parts.extend(report.truth.as_ref().map(|truth| detection("labelled attacks", truth)));
    if let Some(diff) = &report.diff {
        parts.push(difference(diff));
        parts.extend(diff.truth.as_ref().map(|truth| detection("labelled attacks, other pack", truth)));
    }
    parts.extend(failures(report));
    parts.join("\n\n") + "\n"
}

fn rules(report: &Report) -> String {
    let row = |rule: &RuleReport| {
        [
            rule.rule.clone(),
            rule.severity.to_string(),
            count(rule.findings),
            count(rule.entities as u64),
            rule.findings_per_day.map_or_else(|| "-".to_owned(), |findings| format!("{findings:.2}")),
            format!("{:.1} %", rule.cpu_share * 100.0),
            format!("{:.3} s", rule.cpu_seconds),
            state(rule),
        ]
    };
    let headings = ["rule", "severity", "findings", "entities", "a day", "CPU", "", "remembered at most"];
    output::table(headings, report.rules.iter().map(row))
}

fn state(rule: &RuleReport) -> String {
    let mut text = format!("{} rows, {} keys", count(rule.state_rows as u64), count(rule.state_keys as u64));
    if rule.state_waiting > 0 {
        let _ = write!(text, ", {} waiting", count(rule.state_waiting as u64));
    }
    if rule.state_bytes > 0 {
        let _ = write!(text, ", {}", BinaryBytes(rule.state_bytes as u64));
    }
    text
}

fn totals(report: &Report) -> String {
    let severities =
        report.severities.iter().rev().map(|(severity, findings)| format!("{} {severity}", count(*findings)));
    let mut lines = vec![
        format!("{} findings: {}", count(report.findings), severities.collect::<Vec<_>>().join(", ")),
        format!(
            "{} events of {} from {} to {}, {:.2} days of log time",
            count(report.events),
            match report.systems {
                1 => "one system".to_owned(),
                systems => format!("{systems} systems"),
            },
            report.from,
            report.to,
            report.days
        ),
        format!(
            "{:.2} s, {:.0} events/s; reading {:.2} s, rules {:.2} s, which waited {:.2} s for events; {:.2} s of CPU by rule",
            report.seconds,
            report.events_per_second,
            report.reading_seconds,
            report.engine_seconds,
            report.waited_seconds,
            report.cpu_seconds
        ),
    ];
    lines.extend(report.peak_bytes.map(|bytes| format!("{} resident at most", BinaryBytes(bytes))));
    lines.extend(irregularities([report.rejects, report.repeats, report.conflicts, report.moved]));
    lines.extend(report.lacks.iter().cloned());
    lines.join("\n")
}

/// What was not taken as it stood.
pub(super) fn irregularities([rejects, repeats, conflicts, moved]: [u64; 4]) -> Option<String> {
    let all = [
        (rejects, "lines rejected"),
        (repeats, "repeats skipped"),
        (conflicts, "conflicts kept as source.conflict"),
        (moved, "events older than their system's log, taken as of its time: are the inputs in the order of time?"),
    ];
    let some = all.iter().filter(|(events, _)| *events > 0);
    let parts: Vec<String> = some.map(|(events, what)| format!("{} {what}", count(*events))).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn detection(heading: &str, truth: &Detection) -> String {
    let mut scenarios: Vec<[String; 7]> = truth.scenarios.iter().map(|(name, of)| scenario(name, of)).collect();
    scenarios.push(scenario("all", &truth.all));
    let headings = [heading, "seen", "by a named rule", "recall", "findings", "time to detect: p50", "p99, max"];
    let rules = truth
        .rules
        .iter()
        .map(|(rule, of)| [rule.clone(), count(of.findings), count(of.of_attacks), share(of.precision)]);
    let sessions = |figure: Option<f64>| figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.3}"));
    let mut text = format!(
        "{}\n\n{}\n\nprecision {}, {} findings of no attack; for 1,000 sessions {} findings, {} of no attack",
        output::table(headings, scenarios),
        output::table(["rule", "findings", "of attacks", "precision"], rules),
        share(truth.precision),
        count(truth.false_findings),
        sessions(truth.findings_per_1000_sessions),
        sessions(truth.false_findings_per_1000_sessions),
    );
    if truth.outside > 0 {
        let _ =
            write!(text, "\n{} attacks are of systems or times that the history does not reach", count(truth.outside));
    }
    if !truth.all.missed.is_empty() {
        let _ = write!(text, "\nnot seen: {}", output::printable(&truth.all.missed.join(", ")));
    }
    text
}

fn scenario(name: &str, of: &Scenario) -> [String; 7] {
    let (p50, rest) = match of.seconds_to_detect {
        Some(Quantiles { p50, p99, max }) => (span(p50), format!("{}, {}", span(p99), span(max))),
        None => ("-".to_owned(), "-".to_owned()),
    };
    let seen = format!("{} of {}", count(of.seen), count(of.attacks));
    [name.to_owned(), seen, count(of.seen_by_named_rule), share(of.recall), count(of.findings), p50, rest]
}

fn difference(diff: &DiffReport) -> String {
    let differing: Vec<&RuleDiff> = diff.rules.iter().filter(|rule| rule.is_difference()).collect();
    let mut text = format!(
        "{} findings of both packs, + {} of the other alone, - {} of the first alone; the other took {:.2} s of CPU",
        count(diff.kept),
        count(diff.added),
        count(diff.removed),
        diff.cpu_seconds
    );
    for rule in &differing {
        text.push_str(&one_difference(rule));
    }
    for (rule, problem) in &diff.parked {
        let _ = write!(text, "\n{rule} of the other pack was parked: {}", output::printable(problem));
    }
    if differing.is_empty() {
        text.push_str("\nno rule differs");
    }
    text
}

fn one_difference(rule: &RuleDiff) -> String {
    let whose = match rule.packs {
        Packs::Both => "",
        Packs::First => " (only in the first pack)",
        Packs::Other => " (only in the other pack)",
    };
    let RuleDiff { rule: id, kept, added, removed, examples, .. } = rule;
    let mut text = format!("\n{id}{whose}: + {}, - {}, {} of both", count(*added), count(*removed), count(*kept));
    for example in examples {
        let sign = example.sign.symbol();
        let about = format!("{} {} {} {}", example.time, example.system, example.entity, example.event_id);
        let _ = write!(text, "\n  {sign} {}", output::printable(&about));
    }
    let shown = examples.len() as u64;
    if *added + *removed > shown {
        let _ = write!(text, "\n  … and {} more", count(added + removed - shown));
    }
    text
}

fn failures(report: &Report) -> Option<String> {
    let line = |failure: &super::checks::Failure| match &failure.rule {
        Some(rule) => format!("FAILED: {rule}: {}", failure.message),
        None => format!("FAILED: {}", failure.message),
    };
    let lines: Vec<String> = report.failures.iter().map(line).collect();
    (!lines.is_empty()).then(|| output::printable(&lines.join("\n")))
}

fn count(number: u64) -> String {
    HumanCount(number).to_string()
}

fn share(of_one: Option<f64>) -> String {
    of_one.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

/// Seconds in the unit that people would take.
fn span(seconds: f64) -> String {
    match seconds {
        ..120.0 => format!("{seconds:.1} s"),
        ..7200.0 => format!("{:.1} min", seconds / 60.0),
        ..172_800.0 => format!("{:.1} h", seconds / 3600.0),
        _ => format!("{:.1} days", seconds / 86_400.0),
    }
}
