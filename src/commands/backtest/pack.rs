//! A pack of rules over the history, and what each of them found and cost.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZero;
use std::time::Duration;

use keywatch_detectors::window::StateSize;
use keywatch_detectors::{Engine, Rule, Settings};
use keywatch_store::{Event, Finding, Position, Severity};

use crate::clock;
use crate::event_files::Ends;
use crate::limits::{BACKTEST_ENTITIES_MAX, BACKTEST_STATE_EVERY_EVENTS};

/// Rules with everything that they remember.
pub(super) struct Pack {
    engine: Engine,
    tallies: Vec<Tally>,
    index: HashMap<String, usize>,
    unsampled: usize,
    state_bytes: usize,
}

/// What one rule found and cost.
pub(super) struct Tally {
    /// Rule id.
    pub(super) rule: String,
    /// Its version.
    pub(super) version: u32,
    /// How bad its findings are.
    pub(super) severity: Severity,
    /// Findings.
    pub(super) findings: u64,
    /// Why it was parked, if it was.
    pub(super) parked: Option<String>,
    /// Processor time.
    pub(super) busy: Duration,
    /// What its windows remembered when it was most.
    pub(super) peak: StateSize,
    entities: HashSet<u64>,
}

impl Tally {
    /// Distinct entities of its findings, as far as they are counted.
    pub(super) fn entities(&self) -> usize {
        self.entities.len()
    }

    fn count(&mut self, finding: &Finding) {
        self.findings += 1;
        if self.entities.len() < BACKTEST_ENTITIES_MAX {
            let mut hasher = DefaultHasher::new();
            (&finding.system, &finding.entity).hash(&mut hasher);
            self.entities.insert(hasher.finish());
        }
    }
}

impl Pack {
    /// Plans the rules, with the defaults of their parameters.
    ///
    /// # Errors
    /// The first rule that does not load.
    pub(super) fn new(rules: &[Rule]) -> anyhow::Result<Pack> {
        // What is found is the same on any number of threads, so that the machine may say how many.
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        let engine = Engine::new(rules, &Settings::default())?;
        let engine = engine.with_threads(threads).with_stopwatch(clock::processor_time);
        let tallies: Vec<Tally> = engine.rules().map(tally).collect();
        let index = tallies.iter().enumerate().map(|(index, tally)| (tally.rule.clone(), index)).collect();
        Ok(Pack { engine, tallies, index, unsampled: 0, state_bytes: 0 })
    }

    /// Runs the next events; gives what was found.
    ///
    /// # Errors
    /// The engine cannot go on. A rule that fails is noted as parked.
    pub(super) fn run(&mut self, first: Position, events: &[Event]) -> anyhow::Result<Vec<Finding>> {
        let outcome = self.engine.run(first, events)?;
        for parked in outcome.parked {
            if let Some(tally) = self.index.get(&parked.rule).map(|index| &mut self.tallies[*index]) {
                tally.parked = Some(format!("{} (from event {} on)", parked.problem, parked.from.0));
            }
        }
        let findings: Vec<Finding> = outcome.findings.into_iter().map(|decided| decided.finding).collect();
        for finding in &findings {
            if let Some(index) = self.index.get(&finding.rule) {
                self.tallies[*index].count(finding);
            }
        }
        self.unsampled += events.len();
        if self.unsampled >= BACKTEST_STATE_EVERY_EVENTS {
            self.sample();
        }
        Ok(findings)
    }

    /// A tick for each system, so late that everything on hold is decided.
    pub(super) fn closing_ticks(&self, ends: &Ends) -> Vec<Event> {
        ends.closing_ticks(&self.engine)
    }

    /// What the rules found and cost, in their order, and the most that they remembered together, in bytes.
    pub(super) fn finish(mut self) -> (Vec<Tally>, usize) {
        self.sample();
        (self.tallies, self.state_bytes)
    }

    fn sample(&mut self) {
        self.unsampled = 0;
        self.state_bytes = self.state_bytes.max(self.engine.state_size().bytes);
        for usage in self.engine.usage() {
            let Some(index) = self.index.get(&usage.rule) else { continue };
            let tally = &mut self.tallies[*index];
            tally.busy = usage.busy;
            let size = |state: &StateSize| (state.bytes, state.rows, state.waiting);
            if size(&usage.state) > size(&tally.peak) {
                tally.peak = usage.state;
            }
        }
    }
}

fn tally(rule: &Rule) -> Tally {
    let (version, severity) = (rule.header.version, rule.header.severity);
    let (parked, busy, peak) = (None, Duration::ZERO, StateSize::default());
    Tally { rule: rule.id.clone(), version, severity, findings: 0, parked, busy, peak, entities: HashSet::new() }
}
