//! Parked rules on their way back: when each is tried again, which records it has to evaluate for that, and what is written
//! into the log about it.
//!
//! One attempt takes a rule through the log, from the last snapshot before its gap or from the beginning, slice by slice
//! between two steps of the pipeline, so that the others are not held up. It knows nothing of what is done about findings.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use keywatch_detectors::{Caught, Decided, Engine, Parked, Retry, Skipped};
use keywatch_store::{Event, EventId, Log, Position, Topic};

use crate::limits::{PIPELINE_RECORDS_MAX, RETRY_SECONDS_MAX, RETRY_SECONDS_MIN, SKIPPED_SHOWN_MAX};
use crate::service::evaluation::rule_records::{self, Gap};
use crate::service::evaluation::snapshots::Snapshots;

/// Every rule that is parked, or was a while ago.
#[derive(Default)]
pub(crate) struct Isolation {
    rules: BTreeMap<String, ParkedRule>,
    /// Where window state is kept.
    snapshots: Option<Snapshots>,
}

/// A rule that failed.
struct ParkedRule {
    gap: Gap,
    /// Attempts that failed, the first run among them.
    failures: u32,
    state: State,
    start: Start,
    /// What was decided before that position has been handed out; a later attempt finds it again.
    handed_out: Position,
    /// Findings of the gap that were handed out.
    found: usize,
    /// Records that it went on without, as far as they are shown.
    skipped: BTreeSet<EventId>,
}

enum State {
    /// Until it is due.
    Waiting(Instant, Option<Box<Retry>>),
    /// It goes through the log.
    Running(Box<Retry>),
    /// It is evaluated again since then.
    Resumed(Instant),
}

/// Where its attempts start.
#[derive(Clone, Copy)]
enum Start {
    /// No snapshot was looked at yet.
    Unknown,
    /// At the beginning of the log; no snapshot can be used. None is made while a rule is parked.
    Beginning,
    /// Where this snapshot was made.
    Snapshot(Position),
}

impl Start {
    /// Has an attempt start there. Snapshots are looked through for the first one only.
    fn restore(self, retry: &mut Retry, snapshots: &Snapshots, log: &dyn Log) -> Start {
        let found = match self {
            Start::Unknown => snapshots.restore_rule(retry, log),
            Start::Snapshot(position) => snapshots.restore_rule_at(position, retry, log).then_some(position),
            Start::Beginning => None,
        };
        found.map_or(Start::Beginning, Start::Snapshot)
    }
}

/// What one slice gave.
#[derive(Default)]
pub(crate) struct Slice {
    /// Findings that the gap withheld, each once.
    pub(crate) findings: Vec<Decided>,
    /// Records for the events topic.
    pub(crate) records: Vec<Event>,
    /// Records that were skipped.
    pub(crate) skipped: Vec<Skipped>,
    /// The rule, and how its attempt ended, where it did.
    pub(crate) ended: Option<(String, RetryOutcome)>,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetryOutcome {
    /// It is evaluated with the others again.
    Resumed,
    /// It failed again and waits longer.
    Failed,
}

impl Isolation {
    /// Has rules start from snapshots where those hold them.
    pub(crate) fn start_from(&mut self, snapshots: Snapshots) {
        self.snapshots = Some(snapshots);
    }

    /// A rule was parked in a run over `events`. Gives the records that say so.
    pub(crate) fn park(&mut self, parked: &Parked, events: &[Event], now: Instant) -> Vec<Event> {
        let earlier = self.rules.remove(&parked.rule);
        // One that fails again soon after it came back has not recovered.
        let relapsed = earlier.filter(|rule| matches!(rule.state, State::Resumed(since) if now < since + retry_max()));
        let failures = relapsed.map_or(0, |rule| rule.failures) + 1;
        let systems: BTreeSet<String> = events.iter().map(|event| event.system().to_owned()).collect();
        let gap = Gap { rule: parked.rule.clone(), from: parked.from, systems };
        let records = rule_records::parked(&gap, &parked.problem, failures, wait(failures));
        let state = State::Waiting(now + wait(failures), None);
        self.rules.insert(parked.rule.clone(), ParkedRule::new(gap, failures, state));
        records
    }

    /// Takes a rule that remembers nothing through the log; it finds what is decided from a position on.
    pub(crate) fn rebuild(&mut self, rule: &str, from: Position, now: Instant) {
        let gap = Gap { rule: rule.to_owned(), from, systems: BTreeSet::new() };
        let state = State::Waiting(now, None);
        self.rules.insert(rule.to_owned(), ParkedRule::new(gap, 0, state));
    }

    /// Whether every rule is evaluated with the others.
    pub(crate) fn is_idle(&self) -> bool {
        self.rules.values().all(|rule| matches!(rule.state, State::Resumed(_)))
    }

    /// Whether a rule is parked.
    pub(crate) fn is_parked(&self, rule: &str) -> bool {
        self.rules.get(rule).is_some_and(|rule| !matches!(rule.state, State::Resumed(_)))
    }

    /// Takes the first rule that is due through the next slice of the log, up to `end`, where `engine` stands; gives it
    /// back to `engine` once it stands there too. `None` when there is nothing to do yet.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(crate) fn slice(
        &mut self,
        engine: &mut Engine,
        log: &dyn Log,
        end: Position,
        now: Instant,
    ) -> anyhow::Result<Option<Slice>> {
        for rule in self.rules.values_mut() {
            if !rule.begin(engine, log, self.snapshots.as_ref(), now)? {
                continue;
            }
            let mut slice = Slice::default();
            if rule.advance(log, end, now, &mut slice)? {
                rule.finish(engine, log, end, now, &mut slice)?;
            }
            return Ok(Some(slice));
        }
        Ok(None)
    }
}

impl ParkedRule {
    fn new(gap: Gap, failures: u32, state: State) -> ParkedRule {
        let (handed_out, start) = (gap.from, Start::Unknown);
        ParkedRule { gap, failures, state, start, handed_out, found: 0, skipped: BTreeSet::new() }
    }

    /// Whether it is in an attempt; begins one when it is time.
    fn begin(
        &mut self,
        engine: &Engine,
        log: &dyn Log,
        snapshots: Option<&Snapshots>,
        now: Instant,
    ) -> anyhow::Result<bool> {
        match &mut self.state {
            State::Running(_) => Ok(true),
            State::Waiting(due, earlier) if *due <= now => {
                let parked = Parked { rule: self.gap.rule.clone(), problem: String::new(), from: self.gap.from };
                let mut retry = match earlier.take() {
                    Some(mut retry) => {
                        retry.again()?;
                        retry
                    }
                    None => Box::new(Retry::new(engine, &parked)?),
                };
                if let Some(snapshots) = snapshots {
                    self.start = self.start.restore(&mut retry, snapshots, log);
                }
                let (rule, from) = (&self.gap.rule, retry.next().0);
                tracing::info!(rule, failures = self.failures, from, "a parked rule is tried again");
                self.state = State::Running(retry);
                Ok(true)
            }
            State::Waiting(..) | State::Resumed(_) => Ok(false),
        }
    }

    /// Runs the next slice; whether it has come to the end.
    fn advance(&mut self, log: &dyn Log, end: Position, now: Instant, slice: &mut Slice) -> anyhow::Result<bool> {
        let State::Running(retry) = &mut self.state else { return Ok(false) };
        let left = usize::try_from(end.0.saturating_sub(retry.next().0)).unwrap_or(usize::MAX);
        let events = log.read(Topic::Events, retry.next(), left.min(PIPELINE_RECORDS_MAX))?;
        let in_gap = usize::try_from(self.gap.from.0.saturating_sub(retry.next().0)).unwrap_or(usize::MAX);
        self.gap.systems.extend(events.iter().skip(in_gap).map(|event| event.system().to_owned()));
        let Caught { findings, skipped, parked } = retry.run(&events)?;
        let has_arrived = retry.next() >= end;
        slice.findings = findings.into_iter().filter(|found| found.position >= self.handed_out).collect();
        self.found += slice.findings.len();
        self.handed_out = self.handed_out.max(retry.next());
        let room = SKIPPED_SHOWN_MAX.saturating_sub(self.skipped.len());
        self.skipped.extend(skipped.iter().filter_map(|skipped| skipped.event).take(room));
        slice.skipped = skipped;
        if let Some(parked) = parked {
            self.park_again(&parked, now, slice);
            return Ok(false);
        }
        Ok(has_arrived)
    }

    fn park_again(&mut self, parked: &Parked, now: Instant, slice: &mut Slice) {
        self.failures = self.failures.saturating_add(1);
        let waiting = wait(self.failures);
        slice.records = rule_records::parked(&self.gap, &parked.problem, self.failures, waiting);
        slice.ended = Some((self.gap.rule.clone(), RetryOutcome::Failed));
        let state = std::mem::replace(&mut self.state, State::Resumed(now));
        let earlier = if let State::Running(retry) = state { Some(retry) } else { None };
        self.state = State::Waiting(now + waiting, earlier);
    }

    fn finish(
        &mut self,
        engine: &mut Engine,
        log: &dyn Log,
        end: Position,
        now: Instant,
        slice: &mut Slice,
    ) -> anyhow::Result<()> {
        if let State::Running(retry) = std::mem::replace(&mut self.state, State::Resumed(now)) {
            engine.take_back(retry.into_engine());
        }
        slice.records = rule_records::resumed(&self.gap, log, end, self.found, &self.skipped)?;
        slice.ended = Some((self.gap.rule.clone(), RetryOutcome::Resumed));
        Ok(())
    }
}

fn retry_max() -> Duration {
    Duration::from_secs(RETRY_SECONDS_MAX)
}

/// How long to wait after so many failures.
fn wait(failures: u32) -> Duration {
    let doubled = RETRY_SECONDS_MIN.saturating_mul(1_u64.checked_shl(failures.saturating_sub(1)).unwrap_or(u64::MAX));
    Duration::from_secs(doubled).min(retry_max())
}

#[cfg(test)]
mod tests;
