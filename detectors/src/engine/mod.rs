//! The engine: every rule's plan, run once for each batch of the log.
//!
//! It knows nothing of clocks, files or who is told. What it gives depends on the records alone: wherever a batch is
//! cut, the same findings come out in the same order (promise P1).

mod findings;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use keywatch_store::{Event, Finding, Instant, Inventory, Position, schema};

use crate::error::Error;
use crate::limits::RUN_ROWS_MAX;
use crate::plan::run::Run;
use crate::plan::{self, Planned};
use crate::rule::{Rule, Settings};
use crate::window::{Completeness, StateSize};

/// A finding and the position of the record that settled it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// Position in the events lane.
    pub position: Position,
    /// The finding.
    pub finding: Finding,
}

/// A rule that failed and is not run any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked {
    /// Rule id.
    pub rule: String,
    /// Why.
    pub problem: String,
    /// Position of the first record that it did not evaluate.
    pub from: Position,
}

/// What a run gave.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Findings in the order (position, rule, anchor).
    pub findings: Vec<Decided>,
    /// Rules that failed in this run; the others went on.
    pub parked: Vec<Parked>,
}

/// What a rule costs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Rule id.
    pub rule: String,
    /// Processor time since the engine was made; zero without a stopwatch.
    pub busy: Duration,
    /// What its windows remember.
    pub state: StateSize,
}

/// Reads a clock that only ever goes forward; the engine has none of its own.
pub type Stopwatch = fn() -> Duration;

/// The rules, planned, with everything that their windows remember.
#[derive(Debug)]
pub struct Engine {
    rules: Vec<Loaded>,
    run: Arc<Run>,
    completeness: Completeness,
    stopwatch: Stopwatch,
}

#[derive(Debug)]
struct Loaded {
    rule: Rule,
    planned: Planned,
    /// Which of the run's operators are this rule's.
    operators: Range<usize>,
    parked: bool,
    busy: Duration,
}

/// The records of one run: times of each system with their positions.
pub(crate) struct Records {
    by_system: HashMap<String, Vec<(Instant, Position)>>,
}

impl Engine {
    /// Plans the rules that `settings` does not disable.
    ///
    /// # Errors
    /// The first rule that does not load: [`Error::FrontMatter`], [`Error::Sql`], [`Error::Refused`].
    pub fn new(rules: &[Rule], settings: &Settings) -> Result<Engine, Error> {
        let run = Arc::new(Run::default());
        let wanted = rules.iter().filter(|rule| !settings.disabled.contains(&rule.id));
        let loaded = wanted.map(|rule| {
            let first = run.operators();
            let planned = plan::compile(&rule.id, &settings.fill_in(rule)?, &run)?;
            let operators = first..run.operators();
            Ok(Loaded { rule: rule.clone(), planned, operators, parked: false, busy: Duration::ZERO })
        });
        let rules = loaded.collect::<Result<_, Error>>()?;
        Ok(Engine { rules, run, completeness: Completeness::new(), stopwatch: || Duration::ZERO })
    }

    /// Times the rules by that clock, for [`Engine::usage`].
    #[must_use]
    pub fn with_stopwatch(mut self, stopwatch: Stopwatch) -> Engine {
        self.stopwatch = stopwatch;
        self
    }

    /// What each rule has cost and remembers, in the order of the rules.
    #[must_use]
    pub fn usage(&self) -> Vec<Usage> {
        let of = |loaded: &Loaded| {
            let (rule, busy) = (loaded.rule.id.clone(), loaded.busy);
            Usage { rule, busy, state: self.run.state_size(loaded.operators.clone()) }
        };
        self.rules.iter().map(of).collect()
    }

    /// Runs all rules over the next records of the log; `first` is the position of the first.
    ///
    /// # Errors
    /// [`Error::Store`] when the records cannot become an Arrow batch. A rule that fails is parked, not an error.
    pub fn run(&mut self, first: Position, events: &[Event]) -> Result<Outcome, Error> {
        let mut outcome = Outcome::default();
        let mut position = first;
        for batch in events.chunks(RUN_ROWS_MAX) {
            self.run_batch(position, batch, &mut outcome)?;
            position = position.plus(batch.len());
        }
        Ok(outcome)
    }

    /// How much all windows remember.
    #[must_use]
    pub fn state_size(&self) -> StateSize {
        self.run.state_size(0..self.run.operators())
    }

    /// The rules that are run, by id.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().map(|loaded| &loaded.rule)
    }

    /// The plan of a rule, as text, and the nanoseconds between an event and what decides on it.
    #[must_use]
    pub fn explain(&self, rule: &str) -> Option<(&str, i64)> {
        let loaded = self.rules.iter().find(|loaded| loaded.rule.id == rule)?;
        Some((&loaded.planned.shown, loaded.planned.following_ns))
    }

    fn run_batch(&mut self, first: Position, events: &[Event], outcome: &mut Outcome) -> Result<(), Error> {
        let records = self.observe(first, events);
        self.run.set(schema::to_batch(events)?, self.completeness.clone());
        let mut findings = Vec::new();
        for loaded in self.rules.iter_mut().filter(|loaded| !loaded.parked) {
            let begun = (self.stopwatch)();
            let rows = loaded.planned.run();
            let found =
                rows.and_then(|rows| findings::read(&loaded.rule, loaded.planned.following_ns, &rows, &records));
            loaded.busy += (self.stopwatch)().saturating_sub(begun);
            match found {
                Ok(found) => findings.extend(found),
                Err(error) => {
                    loaded.parked = true;
                    let problem = error.strip_backtrace();
                    outcome.parked.push(Parked { rule: loaded.rule.id.clone(), problem, from: first });
                }
            }
        }
        findings::sort(&mut findings);
        outcome.findings.extend(findings);
        Ok(())
    }

    /// Notes how far each system is complete and which inventory holds from when.
    fn observe(&mut self, first: Position, events: &[Event]) -> Records {
        let mut records = Records { by_system: HashMap::new() };
        for (index, event) in events.iter().enumerate() {
            if let Some(times) = records.by_system.get_mut(&event.system) {
                times.push((event.time, first.plus(index)));
            } else {
                records.by_system.insert(event.system.clone(), vec![(event.time, first.plus(index))]);
            }
            if event.kind == "inventory.activated" {
                for system in Inventory::from_activation(event).map(|inventory| inventory.systems).unwrap_or_default() {
                    self.run.activate(event.time, system);
                }
            }
        }
        for (system, times) in &records.by_system {
            if let Some((last, _)) = times.last() {
                self.completeness.insert(Arc::from(system.as_str()), last.0);
            }
        }
        records
    }
}

impl Records {
    /// The first record of a system at or after `time`: the one that decides what waits until then.
    pub(crate) fn first_at(&self, system: &str, time: Instant) -> Option<(Instant, Position)> {
        let times = self.by_system.get(system)?;
        times.get(times.partition_point(|(other, _)| *other < time)).copied()
    }
}
