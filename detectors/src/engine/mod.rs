//! The engine: every rule's plan, run once for each batch of the log.
//!
//! It knows nothing of clocks, files or who is told. What it gives depends on the records alone: wherever a batch is
//! cut, the same findings come out in the same order (promise P1).

mod describe;
mod dispatch;
mod findings;
mod fingerprint;
mod isolation;
mod loaded;
mod outcome;
mod records;
mod retry;
mod snapshot;
mod titles;
mod workers;

use std::collections::BTreeSet;
use std::time::Duration;

use keywatch_store::{Event, Instant, Inventory, Position};

use crate::error::Error;
use crate::limits::RUN_ROWS_MAX;
use crate::plan;
use crate::plan::pipeline::Pipeline;
use crate::plan::run::{Inventories, Run};
use crate::rule::{Rule, Settings};
use crate::window::{Limits, Operator, Shared, StateSize, Systems};
pub use describe::Description;
use dispatch::Dispatch;
use isolation::guarded;
use loaded::{Loaded, Ran};
pub use outcome::{Decided, Lost, Outcome, Parked, Skipped, Usage};
use records::Records;
pub use retry::{Caught, Retry};

/// Reads a clock that only ever goes forward; the engine has none of its own.
pub type Stopwatch = fn() -> Duration;

/// Tests make a rule fail with it: it is called with the rule and the records of a run, after the rule has seen them.
#[doc(hidden)]
pub type Fault = fn(&str, &[Event]);

/// The rules, planned, with everything that their windows remember.
#[derive(Debug)]
pub struct Engine {
    rules: Vec<Loaded>,
    dispatch: Dispatch,
    systems: Systems,
    inventories: Inventories,
    stopwatch: Stopwatch,
    threads: usize,
    /// Processor time that a rule may take for a batch.
    batch_time_max: Duration,
    /// Whether every rule is bisected, for a log that was run before.
    bisects: bool,
    /// Records that no rule is shown; the engine of a single rule has such.
    unseen: BTreeSet<Position>,
    fault: Fault,
    limits: Limits,
}

impl Engine {
    /// Plans the rules that `settings` does not disable.
    ///
    /// # Errors
    /// The first rule that does not load: [`Error::FrontMatter`], [`Error::Sql`], [`Error::Refused`].
    pub fn new(rules: &[Rule], settings: &Settings) -> Result<Engine, Error> {
        let mut dispatch = Dispatch::default();
        let wanted = rules.iter().filter(|rule| !settings.disabled.contains(&rule.id));
        let filled =
            wanted.map(|rule| Ok((rule.clone(), settings.fill_in(rule)?))).collect::<Result<Vec<_>, Error>>()?;
        let planned = plan::compile_all(&filled.iter().map(|(rule, sql)| (&*rule.id, &**sql)).collect::<Vec<_>>());
        let loaded = filled.into_iter().zip(planned);
        let loaded = loaded.map(|((rule, sql), planned)| {
            let planned = planned?;
            titles::check(&rule, &planned.outputs)?;
            Ok(Loaded::new(rule, sql, planned, &mut dispatch))
        });
        let rules = loaded.collect::<Result<_, Error>>()?;
        let batch_time_max = Duration::from_millis(settings.batch_milliseconds_max);
        let mut engine = Engine::of(rules, dispatch, batch_time_max);
        engine.limit(settings.limits);
        Ok(engine)
    }

    /// Sets what each group of windows may remember of one system.
    fn limit(&mut self, limits: Limits) {
        self.limits = limits;
        let chains = self.rules.iter_mut().map(|loaded| &mut loaded.planned.pipeline);
        chains.flat_map(Pipeline::operators_mut).for_each(|operator| operator.limit(limits));
    }

    fn of(rules: Vec<Loaded>, dispatch: Dispatch, batch_time_max: Duration) -> Engine {
        Engine {
            rules,
            dispatch,
            systems: Systems::default(),
            inventories: Inventories::default(),
            stopwatch: || Duration::ZERO,
            threads: 1,
            batch_time_max,
            bisects: false,
            unseen: BTreeSet::new(),
            fault: |_, _| {},
            limits: Limits::default(),
        }
    }

    /// Times the rules by that clock, for [`Engine::usage`] and for the time that a batch may take. On several threads it
    /// has to be a clock of the thread.
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

    /// Has that function called after each rule's run.
    #[doc(hidden)]
    #[must_use]
    pub fn with_fault(mut self, fault: Fault) -> Engine {
        self.fault = fault;
        self
    }

    /// Whether rules go on without records that they cannot evaluate, instead of being parked: for a log that was run
    /// before, where such records are known of.
    pub fn bisect(&mut self, bisects: bool) {
        self.bisects = bisects;
    }

    /// A rule alone, in an engine that has seen nothing yet and goes on without records that the rule cannot evaluate.
    fn alone(&self, rule: &str) -> Result<Engine, Error> {
        let loaded = self.rules.iter().find(|loaded| loaded.rule.id == rule);
        let problem = || Error::Sql { rule: rule.to_owned(), problem: "there is no rule of that name".to_owned() };
        let loaded = loaded.ok_or_else(problem)?;
        let mut dispatch = Dispatch::default();
        let planned = plan::compile(rule, &loaded.sql)?;
        let fresh = Loaded::new(loaded.rule.clone(), loaded.sql.clone(), planned, &mut dispatch);
        let mut alone = Engine::of(vec![Loaded { bisects: true, ..fresh }], dispatch, self.batch_time_max);
        (alone.stopwatch, alone.fault) = (self.stopwatch, self.fault);
        alone.limit(self.limits);
        Ok(alone)
    }

    /// Takes the rules of another engine in place of its own of the same names. The other one must stand at the
    /// same position of the log, from its beginning or from a snapshot.
    pub fn take_back(&mut self, other: Engine) {
        for mut loaded in other.rules {
            let number = |system: u32| self.systems.number(other.systems.name(system));
            loaded.planned.pipeline.operators_mut().for_each(|operator| operator.renumber(&number));
            loaded.kinds = loaded.planned.kinds.as_ref().map(|kinds| self.dispatch.number(kinds));
            if let Some(own) = self.rules.iter_mut().find(|own| own.rule.id == loaded.rule.id) {
                loaded.busy += own.busy;
                *own = loaded;
            }
        }
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
        self.rules.iter().map(Loaded::usage).collect()
    }

    /// How much all windows remember.
    #[must_use]
    pub fn state_size(&self) -> StateSize {
        self.rules.iter().flat_map(|loaded| loaded.planned.pipeline.operators()).map(Operator::size).sum()
    }

    /// The first log time at which a row that waits in a system is decided: until then a record that says nothing but that
    /// time went on changes nothing. `None` where no row waits.
    #[must_use]
    pub fn next_due(&self, system: &str) -> Option<Instant> {
        let system = self.systems.number(system)?;
        self.rules.iter().filter_map(|loaded| loaded.planned.pipeline.next_due(system)).min().map(Instant)
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
        let records = Records::new(first, events);
        self.observe(&records, events);
        let shown = self.shown(first, events);
        let shown = shown.as_deref().unwrap_or(events);
        let shared = Shared::default();
        let batch = self.dispatch.sort(shown, &shared);
        let run = Run { systems: &self.systems, inventories: &self.inventories, shared: &shared };
        let (stopwatch, fault, bisects) = (self.stopwatch, self.fault, self.bisects);
        let one = |loaded: &mut Loaded| {
            let begun = stopwatch();
            let mut filter = (bisects || loaded.bisects).then(Vec::new);
            let found = guarded(|| {
                let found = loaded.run(&batch, &run, &records, filter.as_mut());
                fault(&loaded.rule.id, shown);
                found
            });
            let took = stopwatch().saturating_sub(begun);
            loaded.busy += took;
            Ran { found, skipped: filter.unwrap_or_default(), took }
        };
        if workers::is_large(events.len()) {
            // Else two threads that ask for a column at the same time would both make it, and it would be in the time of
            // the rule that happens to ask first.
            let wanted = self.rules.iter().filter(|loaded| !loaded.parked).flat_map(|loaded| loaded.columns(&batch));
            workers::each(wanted.copied().collect::<BTreeSet<_>>(), self.threads, &|column| batch.make(column));
        }
        let awake = self.rules.iter_mut().filter(|loaded| !loaded.parked).collect();
        let mut findings = Vec::new();
        for (loaded, ran) in workers::run(awake, self.threads, events.len(), &one) {
            loaded.bisects |= !ran.skipped.is_empty();
            outcome.lost.extend(loaded.take_lost());
            outcome.skipped.extend(ran.skipped.into_iter().map(|skipped| skipped.among(shown)));
            let too_slow = (ran.took > self.batch_time_max).then_some(ran.took);
            match (ran.found, too_slow) {
                (Ok(found), None) => findings.extend(found),
                (Ok(found), Some(took)) => {
                    findings.extend(found);
                    let problem =
                        format!("took {took:?} for {} records, at most {:?}", events.len(), self.batch_time_max);
                    outcome.parked.push(loaded.park(problem, first.plus(events.len())));
                }
                (Err(error), _) => outcome.parked.push(loaded.park(error.strip_backtrace(), first)),
            }
        }
        outcome.sort();
        findings::sort(&mut findings);
        outcome.findings.extend(findings);
    }

    /// The records that rules are shown, when they are not all of them.
    fn shown(&self, first: Position, events: &[Event]) -> Option<Vec<Event>> {
        let positions = (0..).map(|index| first.plus(index));
        self.unseen.range(first..first.plus(events.len())).next()?;
        let seen = positions.zip(events).filter(|(position, _)| !self.unseen.contains(position));
        Some(seen.map(|(_, event)| event.clone()).collect())
    }

    /// Notes how far each system is complete, which inventory holds from when, what tokens call themselves, and what sources quote
    /// for assets: each quote after the inventory before it, and none let go that a row of these records may ask for.
    fn observe(&mut self, records: &Records<'_>, events: &[Event]) {
        let systems = &self.systems;
        let complete = |system: &str| systems.number(system).map(|number| Instant(systems.complete(number)));
        self.inventories.forget_quotes(complete);
        events.iter().for_each(|event| self.inventories.said.take(event));
        for event in events {
            if event.kind() == "inventory.activated" {
                for system in Inventory::from_activation(event).map(|inventory| inventory.systems).unwrap_or_default() {
                    self.inventories.activate(event.time(), system);
                }
            }
            self.inventories.quote(event);
        }
        self.systems.begin();
        records.complete().for_each(|(system, time)| self.systems.note(system, time.0));
    }
}
