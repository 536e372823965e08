//! `KeyedWindow`, the only thing that remembers.
//!
//! One row's life, in an operator whose widest frame looks `F` ahead:
//!
//! ```text
//!  row (system s, time t)
//!    │   keys ─▶ slot          one lookup for all windows with the same PARTITION BY
//!    │   ring of s: time, slot, bits of the functions that count it      ┌──────────── frame of a ────────────┐
//!    ├──▶ [ … row row row row row row row row … ]                        │ a + start                  a + end │
//!    │        ▲ left               ▲ entered                     ◀── rows leave ──┘                └── rows enter ──▶
//!    │
//!    └─ answered? ─ F = 0: at once
//!                 └ F > 0: delay line of s, until s is complete through t + F, or until a filter above is known to
//!                        │ reject the row ([`super::early`]): then it is answered nothing
//!                        └▶ a = t: for each function, rows up to a + end enter, rows before a + start leave, and the
//!                           cell of the slot is the answer
//! ```
//!
//! Within a system, rows come and are answered in the order of log time, so that a cursor passes each row of a ring
//! twice a frame: O(1) a row and function, however many keys there are. A batch is gone through by one function after
//! the other ([`super::state`]). Functions that need no row once it has entered let it go at once; the widest frame of
//! the others says how long rows stay. A frame is closed by *completeness*, the log time through which a system's
//! records have been seen; it comes out of band ([`Systems`]), so that a run without rows closes frames too.
//!
//! Invariants:
//! * the rows between the cursors `left` and `entered` of a frame are exactly those in its accumulators;
//! * a ring's rows are in the order of log time, and none is older than what the next answered row can see;
//! * a key whose last row no frame reaches answers like a key that never was, so when it is freed changes no answer;
//! * answers depend on the rows of the system alone, never on where batches were cut.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{Field, Schema, TimestampNanosecondType};
use datafusion::error::Result;

use super::by_rows::ByRows;
use super::delay_line::{Decided, Delay};
use super::keys::Slot;
use super::limits::{Limits, Lost};
use super::operator_plan::{Keeping, OperatorPlan, RingPlan};
use super::ring::{Asked, Ring, RingColumns, forget};
use super::rows::Rows;
use super::shared::Shared;
use super::state::Answers;
use super::systems::{Progress, Systems};
use super::value::Column;
use crate::plan::pipeline::{array, mask};

/// How much windows remember.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateSize {
    /// Rows inside frames.
    pub rows: usize,
    /// Keys.
    pub keys: usize,
    /// Rows that wait for their frame to close.
    pub waiting: usize,
    /// Bytes of all that, without what the allocator adds.
    pub bytes: usize,
}

impl std::iter::Sum for StateSize {
    fn sum<I: Iterator<Item = StateSize>>(sizes: I) -> StateSize {
        sizes.fold(StateSize::default(), |sum, size| StateSize {
            rows: sum.rows + size.rows,
            keys: sum.keys + size.keys,
            waiting: sum.waiting + size.waiting,
            bytes: sum.bytes + size.bytes,
        })
    }
}

/// The state of one operator.
#[derive(Debug)]
pub(crate) struct Operator {
    pub(super) plan: Arc<OperatorPlan>,
    pub(super) rings: Vec<Ring>,
    pub(super) by_rows: Vec<ByRows>,
    /// System number → lane.
    pub(super) lanes: BTreeMap<u32, usize>,
    /// For each lane: nothing that is answered later has an earlier time.
    pub(super) horizons: Vec<i64>,
    pub(super) sources: BTreeMap<String, u16>,
    pub(super) delay: Delay,
    pub(super) following_ns: i64,
    /// Number of the next row that is taken in; 0 is none's.
    next_row: u64,
    /// Of rows that came out of the last run, by system and log time, when they were due; where that is their own.
    pub(super) came_due: HashMap<(u32, i64), i64>,
    pub(super) limits: Limits,
    /// What had to be let go of since somebody last asked.
    pub(super) lost: Vec<Lost>,
}

/// A batch as it has been taken in.
pub(super) struct TakenIn {
    /// The rows, with a column more for each window by rows.
    rows: RecordBatch,
    pub(super) anchors: Option<BooleanBuffer>,
    lanes: Vec<u32>,
    pub(super) times: Vec<i64>,
    sources: Vec<u16>,
    dues: Vec<i64>,
    pub(super) slots: Vec<Vec<Slot>>,
    /// Number of the first row.
    pub(super) first: u64,
}

impl Operator {
    pub(crate) fn new(plan: Arc<OperatorPlan>) -> Operator {
        let (by_rows, by_time): (Vec<&RingPlan>, Vec<&RingPlan>) =
            plan.rings.iter().partition(|ring| ring.keeping == Keeping::ByRows);
        let rings: Vec<Ring> = by_time.into_iter().map(Ring::new).collect();
        let by_rows = by_rows.into_iter().map(ByRows::new).collect();
        let (following_ns, delay) = (plan.following_ns(), Delay::new(rings.len(), plan.deadline.is_some()));
        let (lanes, sources, horizons) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        let (came_due, limits, lost) = (HashMap::new(), Limits::default(), Vec::new());
        Operator {
            plan,
            rings,
            by_rows,
            lanes,
            horizons,
            sources,
            delay,
            following_ns,
            next_row: 1,
            came_due,
            limits,
            lost,
        }
    }

    /// Knows systems by other numbers from now on; one without a number it forgets.
    pub(crate) fn renumber(&mut self, number: &dyn Fn(u32) -> Option<u32>) {
        let old = std::mem::take(&mut self.lanes);
        self.lanes = old.into_iter().filter_map(|(system, lane)| Some((number(system)?, lane))).collect();
    }

    /// How much it remembers.
    pub(crate) fn size(&self) -> StateSize {
        let sizes = self.rings.iter().map(Ring::size).chain(self.by_rows.iter().map(ByRows::size));
        let (rows, keys, bytes) = sizes.fold((0, 0, 0), |sum, size| (sum.0 + size.0, sum.1 + size.1, sum.2 + size.2));
        StateSize { rows, keys, waiting: self.delay.len(), bytes: bytes + self.delay.bytes() }
    }

    /// Whether every expression of its windows holds on these rows. Nothing is taken in.
    ///
    /// # Errors
    /// What an expression meets on a row.
    pub(crate) fn check(&self, rows: &RecordBatch) -> Result<()> {
        let anchors = self.plan.anchor.as_ref().map(|anchor| mask(anchor, rows)).transpose()?;
        let times = vec![0; rows.num_rows()];
        self.dues(rows, &times, anchors.as_ref().map(truths).as_ref())?;
        let shared = Shared::default();
        self.plan.rings.iter().try_for_each(|ring| evaluate(ring, rows, &shared).map(drop))
    }

    /// Takes in the rows of one run, if there are any, and gives those that are decided, with their window columns.
    pub(crate) fn run(
        &mut self,
        rows: Option<&RecordBatch>,
        systems: &Systems,
        shared: &Shared,
    ) -> Result<Option<RecordBatch>> {
        let whole = Progress::Run { systems, lag_ns: self.plan.lag_ns };
        self.came_due.clear();
        let answered = match rows {
            Some(rows) if !self.has_room(rows.num_rows()) => self.run_row_by_row(rows, whole),
            rows => self.step(rows, whole, shared),
        }?;
        self.move_together()?;
        Ok(answered)
    }

    /// A flood of keys leaves slots behind, and with them cells of every function: what is alive moves together.
    fn move_together(&mut self) -> Result<()> {
        let by_time = self.plan.rings.iter().filter(|ring| ring.keeping != Keeping::ByRows);
        let mut moved = false;
        for (number, (ring, plan)) in self.rings.iter_mut().zip(by_time).enumerate() {
            if ring.is_mostly_vacant() {
                let slots = ring.move_together(plan)?;
                self.delay.renumber(number, &slots);
                moved = true;
            }
        }
        if moved {
            self.wait_again();
        }
        Ok(())
    }

    fn step(
        &mut self,
        rows: Option<&RecordBatch>,
        progress: Progress<'_>,
        shared: &Shared,
    ) -> Result<Option<RecordBatch>> {
        let taken_in = rows.map(|rows| self.take_in(rows, progress.systems(), shared)).transpose()?;
        let (decided, rows) = match taken_in {
            Some(taken_in) if self.following_ns == 0 => self.decide_now(taken_in, progress)?,
            Some(taken_in) => {
                let TakenIn { rows, anchors, lanes, times, sources, dues, slots, first } = taken_in;
                let (anchors, wait) = (anchors.as_ref(), true);
                let rows_in =
                    Rows { lanes: &lanes, times: &times, sources: &sources, dues: &dues, anchors, wait, first };
                self.delay.push(&rows, &rows_in, &slots)?;
                self.decide_delayed(progress)?
            }
            None => self.decide_delayed(progress)?,
        };
        self.answer(&decided, &rows, progress)
    }

    /// Where a limit is near, what goes must depend on the log alone and not on where batches were cut: each row is gone
    /// through by itself, and after it what is too much is let go of.
    fn run_row_by_row(&mut self, rows: &RecordBatch, whole: Progress<'_>) -> Result<Option<RecordBatch>> {
        let systems = whole.systems();
        let names = rows.column(self.plan.system_column).as_string_view();
        let times = rows.column(self.plan.time_column).as_primitive::<TimestampNanosecondType>();
        let mut decided = Vec::new();
        for row in 0..rows.num_rows() {
            let system = systems.number(names.value(row)).expect("the engine notes the system of every record");
            let progress = Progress::Row { systems, system, time: times.value(row) };
            decided.extend(self.step(Some(&rows.slice(row, 1)), progress, &Shared::default())?);
            self.keep_limits(system, times.value(row), systems)?;
        }
        decided.extend(self.step(None, whole, &Shared::default())?);
        match decided.is_empty() {
            true => Ok(None),
            false => Ok(Some(concat_batches(&self.plan.output, &decided)?)),
        }
    }

    fn take_in(&mut self, batch: &RecordBatch, systems: &Systems, shared: &Shared) -> Result<TakenIn> {
        let anchors =
            self.plan.anchor.as_ref().map(|anchor| mask(anchor, batch)).transpose()?.map(|anchors| truths(&anchors));
        let lanes = self.lanes_of(batch.column(self.plan.system_column), systems, shared)?;
        let times = batch.column(self.plan.time_column).as_primitive::<TimestampNanosecondType>().values().to_vec();
        let sources = self.sources_of(batch.column(self.plan.source_column), shared)?;
        let wait = self.following_ns > 0;
        let first = self.next_row;
        self.next_row += batch.num_rows() as u64;
        let dues = self.dues(batch, &times, anchors.as_ref())?;
        let rows = Rows {
            lanes: &lanes,
            times: &times,
            sources: &sources,
            dues: &dues,
            anchors: anchors.as_ref(),
            wait,
            first,
        };
        let by_time = self.plan.rings.iter().filter(|ring| ring.keeping != Keeping::ByRows);
        let (mut slots, mut rejected) = (Vec::with_capacity(self.rings.len()), Vec::new());
        for (ring, plan) in self.rings.iter_mut().zip(by_time) {
            let (of_rows, no_more) = ring.take_in(&rows, &evaluate(plan, batch, shared)?);
            slots.push(of_rows);
            rejected.extend(no_more);
        }
        let by_rows = self.plan.rings.iter().filter(|ring| ring.keeping == Keeping::ByRows);
        let mut early = Vec::new();
        for (ring, plan) in self.by_rows.iter_mut().zip(by_rows) {
            early.extend(ring.take_in(&rows, &evaluate(plan, batch, shared)?)?);
        }
        let rows = widen(batch, early)?;
        let mut taken_in = TakenIn { rows, anchors, lanes, times, sources, dues, slots, first };
        if !rejected.is_empty() {
            self.reject(&rejected, &mut taken_in);
        }
        Ok(taken_in)
    }

    /// Nothing ahead matters: the answered rows of the batch are decided, lane by lane.
    fn decide_now(&self, taken_in: TakenIn, progress: Progress<'_>) -> Result<(Decided, RecordBatch)> {
        let TakenIn { rows, anchors, lanes, times, slots, .. } = taken_in;
        let is_one_lane = lanes.windows(2).all(|pair| pair[0] == pair[1]);
        if is_one_lane && anchors.as_ref().is_none_or(|anchors| anchors.count_set_bits() == rows.num_rows()) {
            let lanes = vec![(lanes[0] as usize, times.len())];
            return Ok((Decided { lanes, times, slots, ..Decided::default() }, rows));
        }
        let mut by_lane: Vec<Vec<u32>> = vec![Vec::new(); self.horizons.len()];
        let asked = |row: &usize| anchors.as_ref().is_none_or(|anchors| anchors.value(*row));
        for row in (0..rows.num_rows()).filter(asked) {
            by_lane[lanes[row] as usize].push(u32::try_from(row).expect("a run has fewer rows than 2^32"));
        }
        let mut order = Vec::new();
        let mut decided = Decided::default();
        for lane in progress.advanced().iter().filter_map(|system| self.lanes.get(system)) {
            if !by_lane[*lane].is_empty() {
                decided.lanes.push((*lane, by_lane[*lane].len()));
                order.append(&mut by_lane[*lane]);
            }
        }
        decided.times = order.iter().map(|row| times[*row as usize]).collect();
        decided.slots = slots.iter().map(|slots| order.iter().map(|row| slots[*row as usize]).collect()).collect();
        let rows = take_record_batch(&rows, &UInt32Array::from(order))?;
        Ok((decided, rows))
    }

    fn decide_delayed(&mut self, progress: Progress<'_>) -> Result<(Decided, RecordBatch)> {
        let mut decided = Decided::default();
        for system in progress.advanced() {
            if let Some(lane) = self.lanes.get(system) {
                self.delay.take(*lane, progress.complete(*system), &mut decided);
            }
        }
        if self.rings.iter().any(|ring| ring.early.is_some()) {
            for (row, time) in decided.times.iter().enumerate() {
                forget(&mut self.rings, *time, decided.slots.iter().map(|slots| slots[row]));
            }
        }
        let rows = match decided.times.is_empty() {
            true => RecordBatch::new_empty(self.plan.input.clone()),
            false => self.delay.gather(&decided)?,
        };
        Ok((decided, rows))
    }

    /// Moves every lane that came further on, and puts the answers beside the decided rows.
    fn answer(&mut self, decided: &Decided, rows: &RecordBatch, progress: Progress<'_>) -> Result<Option<RecordBatch>> {
        let count = decided.times.len();
        let mut answers: Vec<Vec<Answers>> = self.rings.iter().map(|ring| ring.answers(count)).collect();
        let mut from = 0;
        let mut parts = decided.lanes.iter().peekable();
        for system in progress.advanced() {
            let Some(lane) = self.lanes.get(system).copied() else { continue };
            let complete = progress.complete(*system);
            let horizon = self.delay.first_time(lane).unwrap_or(complete.saturating_add(1));
            self.horizons[lane] = horizon;
            let part = parts.next_if(|(other, _)| *other == lane).map_or(0, |(_, count)| *count);
            if self.plan.deadline.is_some() {
                let rows = decided.times[from..from + part].iter().zip(&decided.dues[from..from + part]);
                let lag_ns = self.plan.lag_ns;
                self.came_due.extend(rows.map(|(time, due)| ((*system, *time), due.saturating_add(lag_ns))));
            }
            for (number, ring) in self.rings.iter_mut().enumerate() {
                let slots = decided.slots.get(number).map_or(&[][..], |slots| &slots[from..from + part]);
                let asked = Asked { lane, times: &decided.times[from..from + part], slots, horizon };
                ring.pass(&asked, &mut answers[number])?;
            }
            from += part;
        }
        let horizons = &self.horizons;
        self.rings.iter_mut().for_each(|ring| ring.sweep(horizons, self.following_ns));
        if count == 0 {
            return Ok(None);
        }
        self.output(rows, answers).map(Some)
    }

    fn output(&self, rows: &RecordBatch, answers: Vec<Vec<Answers>>) -> Result<RecordBatch> {
        let inputs = self.plan.input.fields().len();
        let mut windows: Vec<Option<ArrayRef>> = vec![None; self.plan.output.fields().len() - inputs];
        for (ring, answers) in self.rings.iter().zip(answers) {
            for (call, answers) in ring.calls.iter().zip(answers) {
                windows[call.call.column] = Some(answers.finish(&call.call.output)?);
            }
        }
        let early = self.by_rows.iter().flat_map(|ring| &ring.calls).map(|call| call.call.column);
        for (column, array) in early.zip(&rows.columns()[inputs..]) {
            windows[column] = Some(array.clone());
        }
        let columns = rows.columns()[..inputs].iter().cloned().chain(windows.into_iter().flatten());
        Ok(RecordBatch::try_new(self.plan.output.clone(), columns.collect())?)
    }

    fn lanes_of(&mut self, systems: &ArrayRef, known: &Systems, shared: &Shared) -> Result<Vec<u32>> {
        let names = shared.names(systems)?;
        let mut lane_of = vec![None; names.len()];
        let lane = |row| {
            let number = names.number(row);
            *lane_of[number].get_or_insert_with(|| {
                self.lane(known.number(names.text(number)).expect("the engine notes the system of every record"))
            })
        };
        Ok((0..systems.len()).map(lane).collect())
    }

    fn lane(&mut self, system: u32) -> u32 {
        let next = self.horizons.len();
        let lane = *self.lanes.entry(system).or_insert(next);
        if lane == next {
            self.horizons.push(i64::MIN);
        }
        u32::try_from(lane).expect("systems are declared, so they are few")
    }

    fn sources_of(&mut self, sources: &ArrayRef, shared: &Shared) -> Result<Vec<u16>> {
        let names = shared.names(sources)?;
        let mut number_of = vec![None; names.len()];
        let number = |row| {
            let number = names.number(row);
            *number_of[number].get_or_insert_with(|| source_number(&mut self.sources, names.text(number)))
        };
        Ok((0..sources.len()).map(number).collect())
    }
}

/// Sources are declared, so they are few; those beyond 2^16 share the last number.
fn source_number(sources: &mut BTreeMap<String, u16>, name: &str) -> u16 {
    if let Some(number) = sources.get(name) {
        return *number;
    }
    let number = u16::try_from(sources.len()).unwrap_or(u16::MAX);
    if number < u16::MAX {
        sources.insert(name.to_owned(), number);
    }
    number
}

/// Everything that a ring asks of a batch.
fn evaluate(plan: &RingPlan, batch: &RecordBatch, shared: &Shared) -> Result<RingColumns> {
    let column = |expr| Column::read(&array(expr, batch)?);
    let calls = plan.calls.iter().map(|call| {
        let arguments = call.arguments.iter().map(column).collect::<Result<_>>()?;
        Ok((arguments, call.filter.as_ref().map(|filter| mask(filter, batch)).transpose()?))
    });
    let calls = calls.collect::<Result<_>>()?;
    let keys = plan.partition_by.iter().map(|expr| array(expr, batch)).collect::<Result<Vec<_>>>()?;
    let keys = shared.keys(&keys, batch.num_rows())?;
    Ok(RingColumns { keys, calls })
}

/// Where a predicate holds; a null is no.
fn truths(mask: &BooleanArray) -> BooleanBuffer {
    match mask.nulls() {
        None => mask.values().clone(),
        Some(nulls) => mask.values() & nulls.inner(),
    }
}

/// Puts columns beside those of a batch.
fn widen(batch: &RecordBatch, columns: Vec<ArrayRef>) -> Result<RecordBatch> {
    if columns.is_empty() {
        return Ok(batch.clone());
    }
    let mut fields: Vec<Arc<Field>> = batch.schema().fields().iter().cloned().collect();
    fields.extend(
        (0..).zip(&columns).map(|(number, column)| {
            Arc::new(Field::new(format!("__window_{number}"), column.data_type().clone(), true))
        }),
    );
    let columns = batch.columns().iter().cloned().chain(columns);
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.collect())?)
}
