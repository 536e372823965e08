//! The engine: every rule's plan, run once for each batch of the log.
//!
//! It knows nothing of clocks, files or who is told. What it gives depends on the records alone: wherever a batch is
//! cut, the same findings come out in the same order (promise P1).

mod describe;
mod dispatch;
mod findings;
mod snapshot;
mod workers;

use std::collections::HashMap;
use std::time::Duration;

use keywatch_store::{Event, Finding, Instant, Inventory, Position};

use crate::error::Error;
use crate::limits::RUN_ROWS_MAX;
use crate::plan::chain::Source;
use crate::plan::run::{Inventories, Run};
use crate::plan::{self, Planned};
use crate::rule::{Rule, Settings};
use crate::window::{Operator, StateSize, Systems};
pub use describe::Description;
use dispatch::{Batch, Dispatch};

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
    dispatch: Dispatch,
    systems: Systems,
    inventories: Inventories,
    stopwatch: Stopwatch,
    threads: usize,
}

#[derive(Debug)]
struct Loaded {
    rule: Rule,
    /// What its memory is known by in a snapshot.
    fingerprint: String,
    planned: Planned,
    /// Number of the set of kinds that it can match; `None` for all.
    kinds: Option<usize>,
    parked: bool,
    busy: Duration,
}

/// The records of one run: times of each system with their positions.
pub(crate) struct Records {
    by_system: HashMap<String, Vec<(Instant, Position)>>,
}

/// What one rule made of one run.
type Found = datafusion::error::Result<Vec<Decided>>;

impl Engine {
    /// Plans the rules that `settings` does not disable.
    ///
    /// # Errors
    /// The first rule that does not load: [`Error::FrontMatter`], [`Error::Sql`], [`Error::Refused`].
    pub fn new(rules: &[Rule], settings: &Settings) -> Result<Engine, Error> {
        let mut dispatch = Dispatch::default();
        let wanted = rules.iter().filter(|rule| !settings.disabled.contains(&rule.id));
        let loaded = wanted.map(|rule| {
            let sql = settings.fill_in(rule)?;
            let planned = plan::compile(&rule.id, &sql)?;
            let fingerprint = snapshot::fingerprint(&rule.id, &sql, &planned.shown);
            let kinds = planned.kinds.as_ref().map(|kinds| dispatch.number(kinds));
            Ok(Loaded { rule: rule.clone(), fingerprint, planned, kinds, parked: false, busy: Duration::ZERO })
        });
        let rules = loaded.collect::<Result<_, Error>>()?;
        let (systems, inventories) = (Systems::default(), Inventories::default());
        Ok(Engine { rules, dispatch, systems, inventories, stopwatch: || Duration::ZERO, threads: 1 })
    }

    /// Times the rules by that clock, for [`Engine::usage`].
    #[must_use]
    pub fn with_stopwatch(mut self, stopwatch: Stopwatch) -> Engine {
        self.stopwatch = stopwatch;
        self
    }

    /// Runs large batches on up to that many threads; what is found is the same on any number.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Engine {
        self.threads = threads.max(1);
        self
    }

    /// Runs all rules over the next records of the log; `first` is the position of the first.
    ///
    /// # Errors
    /// [`Error::Store`] when the records cannot become an Arrow batch. A rule that fails is parked, not an error.
    pub fn run(&mut self, first: Position, events: &[Event]) -> Result<Outcome, Error> {
        let mut outcome = Outcome::default();
        let mut position = first;
        for batch in events.chunks(RUN_ROWS_MAX) {
            self.run_batch(position, batch, &mut outcome);
            position = position.plus(batch.len());
        }
        Ok(outcome)
    }

    /// What each rule has cost and remembers, in the order of the rules.
    #[must_use]
    pub fn usage(&self) -> Vec<Usage> {
        let of = |loaded: &Loaded| Usage {
            rule: loaded.rule.id.clone(),
            busy: loaded.busy,
            state: loaded.planned.chain.operators().map(Operator::size).sum(),
        };
        self.rules.iter().map(of).collect()
    }

    /// How much all windows remember.
    #[must_use]
    pub fn state_size(&self) -> StateSize {
        self.rules.iter().flat_map(|loaded| loaded.planned.chain.operators()).map(Operator::size).sum()
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

    fn run_batch(&mut self, first: Position, events: &[Event], outcome: &mut Outcome) {
        let records = self.observe(first, events);
        let batch = self.dispatch.sort(events);
        let run = Run { systems: &self.systems, inventories: &self.inventories };
        let stopwatch = self.stopwatch;
        let one = |loaded: &mut Loaded| {
            let begun = stopwatch();
            let found = loaded.run(&batch, &run, &records);
            loaded.busy += stopwatch().saturating_sub(begun);
            found
        };
        let awake = self.rules.iter_mut().filter(|loaded| !loaded.parked).collect();
        let mut findings = Vec::new();
        for (loaded, found) in workers::run(awake, self.threads, events.len(), &one) {
            match found {
                Ok(found) => findings.extend(found),
                Err(error) => {
                    loaded.parked = true;
                    let problem = error.strip_backtrace();
                    outcome.parked.push(Parked { rule: loaded.rule.id.clone(), problem, from: first });
                }
            }
        }
        outcome.parked.sort_by(|one, other| one.rule.cmp(&other.rule));
        findings::sort(&mut findings);
        outcome.findings.extend(findings);
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
                    self.inventories.activate(event.time, system);
                }
            }
        }
        self.systems.begin();
        for (system, times) in &records.by_system {
            if let Some((last, _)) = times.last() {
                self.systems.note(system, last.0);
            }
        }
        records
    }
}

impl Loaded {
    fn run(&mut self, batch: &Batch<'_>, run: &Run<'_>, records: &Records) -> Found {
        let chain = &mut self.planned.chain;
        let rows = match &chain.source {
            Source::Events(columns) => batch.rows(self.kinds, columns, &chain.schema)?,
            Source::Inventory(..) | Source::Nothing => None,
        };
        match chain.run(rows, run)? {
            Some(rows) => findings::read(&self.rule, self.planned.following_ns, &rows, records),
            None => Ok(Vec::new()),
        }
    }
}

impl Records {
    /// The first record of a system at or after `time`: the one that decides what waits until then.
    pub(crate) fn first_at(&self, system: &str, time: Instant) -> Option<(Instant, Position)> {
        let times = self.by_system.get(system)?;
        times.get(times.partition_point(|(other, _)| *other < time)).copied()
    }
}
