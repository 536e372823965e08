//! What keywatch writes into the events topic about its rules: that one is parked, that it is evaluated again, that it
//! went on without a record. The id of each depends on all that it says, so that the same one is written once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use keywatch_detectors::{Lost, Skipped};
use keywatch_store::event::Origin;
use keywatch_store::{Event, EventId, Instant, Log, Position, Topic};
use serde_json::{Value, json};

/// Characters of a problem that are kept.
const PROBLEM_CHARACTERS_MAX: usize = 1000;

/// What a parked rule does not see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    /// Rule id.
    pub(crate) rule: String,
    /// Position of the first record that it did not evaluate.
    pub(crate) from: Position,
    /// Systems with records in it.
    pub(crate) systems: BTreeSet<String>,
}

/// The rule sees nothing from there on, and is tried again after a while.
pub(crate) fn parked(gap: &Gap, problem: &str, failures: u32, retry_after: Duration) -> Vec<Event> {
    let detail = json!({
        "rule": gap.rule,
        "from_position": gap.from.0,
        "failures": failures,
        "retry_after_seconds": retry_after.as_secs(),
    });
    gap.systems.iter().map(|system| record(system, "rule.parked", Some(problem), &detail)).collect()
}

/// The rule has evaluated what it missed.
///
/// # Errors
/// The log cannot be read.
pub(crate) fn resumed(
    gap: &Gap,
    log: &dyn Log,
    to: Position,
    findings: usize,
    skipped: &BTreeSet<EventId>,
) -> anyhow::Result<Vec<Event>> {
    let detail = json!({
        "rule": gap.rule,
        "from_position": gap.from.0,
        "to_position": to.0,
        "from_time": time_at(log, gap.from)?,
        "to_time": time_at(log, Position(to.0.saturating_sub(1)))?,
        "findings": findings,
        "skipped": skipped.iter().map(EventId::to_string).collect::<Vec<_>>(),
    });
    Ok(gap.systems.iter().map(|system| record(system, "rule.resumed", None, &detail)).collect())
}

/// The rule went on without those records.
pub(crate) fn skipped(skipped: &[Skipped]) -> Vec<Event> {
    let one = |skipped: &Skipped| {
        let event = skipped.event.map(|event| event.to_string());
        let detail = json!({ "rule": skipped.rule, "record_time": skipped.time.to_string(), "event": event });
        record(&skipped.system, "rule.skipped", Some(&skipped.problem), &detail)
    };
    skipped.iter().map(one).collect()
}

/// What windows lost at a limit.
pub(crate) fn limited(lost: &[Lost]) -> Vec<Event> {
    let one = |lost: &Lost| {
        let Lost { rule, system, source, what, group, count, from, to } = lost;
        let (from, to) = (from.to_string(), to.to_string());
        let detail = json!({ "rule": rule, "flooding_source": source, "what": what, "group": group, "count": count,
                             "from_time": from, "to_time": to });
        record(system, "rule.limited", None, &detail)
    };
    lost.iter().map(one).collect()
}

fn record(system: &str, kind: &str, problem: Option<&str>, detail: &Value) -> Event {
    let origin = Origin { system: system.to_owned(), source: "keywatch".to_owned() };
    let problem: Option<String> = problem.map(|problem| problem.chars().take(PROBLEM_CHARACTERS_MAX).collect());
    let id = format!("{kind}/{detail}/{}", problem.as_deref().unwrap_or_default());
    let mut event = Event::builder(&origin, &id, kind, Instant::UNASSIGNED);
    event.reason(problem);
    event.detail(detail);
    event.build_own()
}

fn time_at(log: &dyn Log, position: Position) -> anyhow::Result<Option<String>> {
    Ok(log.read(Topic::Events, position, 1)?.first().map(|event| event.time().to_string()))
}

/// Gaps that the log leaves open: what an earlier run of the process parked and did not resume.
#[derive(Default)]
pub(crate) struct OpenGaps {
    gaps: BTreeMap<String, Gap>,
}

impl OpenGaps {
    /// Learns from records of the log.
    pub(crate) fn observe(&mut self, events: &[Event]) {
        for event in events.iter().filter(|event| event.kind() == "rule.parked" || event.kind() == "rule.resumed") {
            let detail = event.detail().value();
            let rule = detail["rule"].as_str().unwrap_or_default().to_owned();
            if event.kind() == "rule.resumed" {
                self.gaps.remove(&rule);
                continue;
            }
            let from = Position(detail["from_position"].as_u64().unwrap_or(0));
            let gap = Gap { rule: rule.clone(), from, systems: BTreeSet::new() };
            self.gaps.entry(rule).or_insert(gap).systems.insert(event.system().to_owned());
        }
    }

    /// Those of rules that `is_filled` says are evaluated.
    pub(crate) fn filled(&mut self, is_filled: impl Fn(&str) -> bool) -> Vec<Gap> {
        std::mem::take(&mut self.gaps).into_values().filter(|gap| is_filled(&gap.rule)).collect()
    }
}
