//! One rule as it is loaded and run: its plan, what its windows remember, and whether it is parked.
//!
//! It knows nothing of other rules, of threads or of time limits; when it is run and what follows from it is the engine's.

use std::time::Duration;

use datafusion::error::Result;
use keywatch_store::{Instant, Position};

use super::dispatch::{Batch, Dispatch};
use super::isolation::RowFilter;
use super::records::Records;
use super::{Decided, Lost, Parked, Skipped, Usage, findings, fingerprint};
use crate::plan::Planned;
use crate::plan::pipeline::{Pipeline, Source};
use crate::plan::run::Run;
use crate::rule::Rule;
use crate::window::{self, Operator};

/// A rule that is loaded.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) rule: Rule,
    /// Its SQL, parameters filled in.
    pub(super) sql: String,
    /// What its memory is known by in a snapshot.
    pub(super) fingerprint: String,
    pub(super) planned: Planned,
    /// Number of the set of kinds that it can match; `None` for all.
    pub(super) kinds: Option<usize>,
    pub(super) parked: bool,
    /// Whether it has met records that it cannot evaluate: it goes on without them ([`super::isolation`]).
    pub(super) bisects: bool,
    pub(super) busy: Duration,
}

/// What one rule made of one run.
pub(super) struct Ran {
    pub(super) found: Result<Vec<Decided>>,
    pub(super) skipped: Vec<Skipped>,
    pub(super) took: Duration,
}

impl Loaded {
    /// A rule with its plan; `sql` is its SQL with parameters filled in.
    pub(super) fn new(rule: Rule, sql: String, planned: Planned, dispatch: &mut Dispatch) -> Loaded {
        let kinds = planned.kinds.as_ref().map(|kinds| dispatch.number(kinds));
        let fingerprint = fingerprint::of(&rule.id, &sql, &planned.shown);
        Loaded { rule, sql, fingerprint, planned, kinds, parked: false, bisects: false, busy: Duration::ZERO }
    }

    /// The columns of events that it asks of a batch.
    pub(super) fn columns(&self, batch: &Batch<'_>) -> &[usize] {
        match &self.planned.pipeline.source {
            Source::Events(columns) if batch.has_rows(self.kinds) => columns,
            _ => &[],
        }
    }

    /// Runs it over a batch; what it cannot evaluate goes into `skipped` where there is one, else it fails.
    pub(super) fn run(
        &mut self,
        batch: &Batch<'_>,
        run: &Run<'_>,
        records: &Records<'_>,
        skipped: Option<&mut Vec<Skipped>>,
    ) -> Result<Vec<Decided>> {
        let pipeline = &mut self.planned.pipeline;
        let rows = match &pipeline.source {
            Source::Events(columns) => batch.rows(self.kinds, columns, &pipeline.schema)?,
            Source::Inventory(..) | Source::Nothing => None,
        };
        let (rule, following_ns) = (&self.rule, self.planned.following_ns);
        let due = |pipeline: &Pipeline, system: &str, time: Instant| {
            let own = run.systems.number(system).and_then(|system| pipeline.due(system, time.0));
            own.map_or(time.saturating_add(following_ns), Instant)
        };
        let Some(skipped) = skipped else {
            let rows = pipeline.run(rows, run)?;
            return rows.map_or(Ok(Vec::new()), |rows| {
                findings::read(rule, &|system, time| due(pipeline, system, time), &rows, records, run.inventories)
            });
        };
        let mut filter = RowFilter::new(&rule.id);
        let rows = filter.run(pipeline, rows, run)?;
        let due = |system: &str, time| due(pipeline, system, time);
        let mut read = |rows: &_| findings::read(rule, &due, rows, records, run.inventories);
        let found = rows.map(|rows| filter.bisect(&rows, &mut read)).unwrap_or_default();
        skipped.append(&mut filter.skipped);
        Ok(found.into_iter().flatten().collect())
    }

    /// It is not run any more, and what it remembers is let go of: nobody knows what a failure left of it.
    pub(super) fn park(&mut self, problem: String, from: Position) -> Parked {
        self.parked = true;
        self.planned.pipeline.steps.clear();
        Parked { rule: self.rule.id.clone(), problem, from }
    }

    /// What its windows had to let go of since they were last asked.
    pub(super) fn take_lost(&mut self) -> Vec<Lost> {
        let rule = &self.rule.id;
        let told = |lost: window::Lost| {
            let (from, to) = (Instant(lost.from), Instant(lost.to));
            let window::Lost { system, source, what, group, count, .. } = lost;
            Lost { rule: rule.clone(), system, source, what, group, count, from, to }
        };
        self.planned.pipeline.operators_mut().flat_map(Operator::take_lost).map(told).collect()
    }

    /// What it has cost and remembers.
    pub(super) fn usage(&self) -> Usage {
        let state = self.planned.pipeline.operators().map(Operator::size).sum();
        Usage { rule: self.rule.id.clone(), busy: self.busy, state }
    }
}
