//! `KeyedWindow`, the only thing that remembers.
//!
//! One row's life, in an operator whose widest frame looks `F` ahead:
//!
//! ```text
//!  row (system s, time t) ──▶ every group: FIFO of s ──enter──▶ accumulators of its key ──leave──▶ gone
//!        │                                  ▲ t' ≤ a + end            ▲ t' < a + start
//!        └─ answered? ──▶ delay line of s ──┴─ decided when s is complete through t + F: a = t, read the answers
//! ```
//!
//! Within a system, rows come and are answered in the order of log time, so that each row enters and leaves each group
//! once: O(1) a row and group, however many keys there are. What is remembered is the rows inside a frame, the keys
//! that they or waiting rows refer to, and the waiting rows. A frame is closed by *completeness*, the log time through
//! which a system's records have been seen; it comes out of band, so that an empty run closes frames too.
//!
//! Invariants: `entered` rows of a FIFO are exactly those in the accumulators; they are its oldest; no row older than
//! `start` of the oldest waiting (or next possible) row is kept; answers depend on the rows of the system alone, never
//! on where batches were cut.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray, UInt32Array};
use arrow::compute::{cast, interleave_record_batch, take_record_batch};
use arrow::datatypes::{DataType, SchemaRef, TimestampNanosecondType};
use arrow::row::{RowConverter, Rows, SortField};
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::PhysicalExprRef;

use super::accumulator::Input;
use super::frame::Frame;
use super::group::{Call, Group};
use super::keys::KeyId;
use super::value::{self, Column, Value};

/// One group as planned.
#[derive(Clone, Debug)]
pub(crate) struct GroupPlan {
    pub(crate) frame: Frame,
    pub(crate) partition_by: Vec<PhysicalExprRef>,
    pub(crate) calls: Vec<CallPlan>,
}

/// One window column as planned.
#[derive(Clone, Debug)]
pub(crate) struct CallPlan {
    pub(crate) call: Call,
    pub(crate) argument: PhysicalExprRef,
    pub(crate) filter: Option<PhysicalExprRef>,
}

/// An operator as planned.
#[derive(Clone, Debug)]
pub(crate) struct OperatorPlan {
    pub(crate) groups: Vec<GroupPlan>,
    /// Which rows are answered and held; without it, all.
    pub(crate) anchor: Option<PhysicalExprRef>,
    pub(crate) system_column: usize,
    pub(crate) time_column: usize,
    pub(crate) input: SchemaRef,
    pub(crate) output: SchemaRef,
    /// Nanoseconds by which the operators below lag behind the log.
    pub(crate) lag_ns: i64,
}

impl OperatorPlan {
    /// Nanoseconds that a row waits here.
    pub(crate) fn following_ns(&self) -> i64 {
        self.groups.iter().map(|group| group.frame.following_ns()).max().unwrap_or(0)
    }
}

/// Log time through which each system's records have been seen.
pub(crate) type Completeness = HashMap<Arc<str>, i64>;

/// How much an operator remembers.
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
    plan: OperatorPlan,
    groups: Vec<Group>,
    converters: Vec<RowConverter>,
    systems: HashMap<Arc<str>, usize>,
    names: Vec<Arc<str>>,
    waiting: Vec<VecDeque<Waiting>>,
    held: Held,
}

/// A row that is answered when its frames are closed.
#[derive(Debug)]
struct Waiting {
    time: i64,
    batch: u64,
    row: usize,
    keys: Vec<KeyId>,
    /// Answers of `ROWS` groups, which are known as the row comes.
    early: Vec<Option<Vec<Option<Value>>>>,
}

/// The answered rows themselves, compacted, until all of a batch are out.
#[derive(Debug, Default)]
struct Held {
    first: u64,
    batches: VecDeque<(RecordBatch, usize)>,
}

/// A batch with everything evaluated that the groups ask for.
struct Evaluated {
    keys: Vec<Rows>,
    arguments: Vec<Vec<Column>>,
    filters: Vec<Vec<Option<BooleanArray>>>,
}

impl Operator {
    pub(crate) fn new(plan: OperatorPlan) -> Result<Operator> {
        let mut converters = Vec::new();
        let mut groups = Vec::new();
        for group in &plan.groups {
            let types = group.partition_by.iter().map(|expr| expr.data_type(&plan.input));
            let fields = types.map(|kind| Ok(SortField::new(kind?))).collect::<Result<Vec<_>>>()?;
            converters.push(RowConverter::new(fields)?);
            groups.push(Group::new(group.frame, group.calls.iter().map(|call| call.call.clone()).collect()));
        }
        let held = Held::default();
        Ok(Operator { plan, groups, converters, systems: HashMap::new(), names: Vec::new(), waiting: Vec::new(), held })
    }

    pub(crate) fn size(&self) -> StateSize {
        let sizes = self.groups.iter().map(Group::size);
        let (rows, keys) = sizes.fold((0, 0), |sum, size| (sum.0 + size.0, sum.1 + size.1));
        StateSize { rows, keys, waiting: self.waiting.iter().map(VecDeque::len).sum(), bytes: 0 }
    }

    /// Takes in one batch (empty ones too) and gives the rows that are decided, with their window columns.
    pub(crate) fn run(&mut self, batch: &RecordBatch, complete: &Completeness) -> Result<RecordBatch> {
        if batch.num_rows() > 0 {
            self.take_in(batch)?;
        }
        self.decide(complete)
    }

    fn take_in(&mut self, batch: &RecordBatch) -> Result<()> {
        let evaluated = self.evaluate(batch)?;
        let anchors = self.anchors(batch)?;
        let held = self.held.push(batch, anchors.as_ref())?;
        let systems = cast(batch.column(self.plan.system_column), &DataType::Utf8)?;
        let systems: &StringArray = systems.as_string();
        let times = batch.column(self.plan.time_column).as_primitive::<TimestampNanosecondType>();
        let mut held_row = 0;
        for row in 0..batch.num_rows() {
            let system = self.system(systems.value(row));
            let time = times.value(row);
            self.push(system, time, &evaluated, row);
            if anchors.as_ref().is_none_or(|anchors| anchors.is_valid(row) && anchors.value(row)) {
                let waiting = self.wait(time, &evaluated, row, held, held_row);
                self.waiting[system].push_back(waiting);
                held_row += 1;
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, batch: &RecordBatch) -> Result<Evaluated> {
        let mut evaluated = Evaluated { keys: Vec::new(), arguments: Vec::new(), filters: Vec::new() };
        for (group, converter) in self.plan.groups.iter().zip(&self.converters) {
            let columns: Vec<ArrayRef> =
                group.partition_by.iter().map(|expr| array(expr, batch)).collect::<Result<_>>()?;
            evaluated.keys.push(converter.convert_columns(&columns)?);
            let arguments = group.calls.iter().map(|call| Column::read(&array(&call.argument, batch)?));
            evaluated.arguments.push(arguments.collect::<Result<_>>()?);
            let filters = group.calls.iter().map(|call| call.filter.as_ref().map(|expr| mask(expr, batch)).transpose());
            evaluated.filters.push(filters.collect::<Result<_>>()?);
        }
        Ok(evaluated)
    }

    fn anchors(&self, batch: &RecordBatch) -> Result<Option<BooleanArray>> {
        self.plan.anchor.as_ref().map(|anchor| mask(anchor, batch)).transpose()
    }

    fn system(&mut self, name: &str) -> usize {
        if let Some(system) = self.systems.get(name) {
            return *system;
        }
        let system = self.waiting.len();
        self.systems.insert(Arc::from(name), system);
        self.names.push(Arc::from(name));
        self.waiting.push(VecDeque::new());
        system
    }

    fn push(&mut self, system: usize, time: i64, evaluated: &Evaluated, row: usize) {
        for (index, group) in self.groups.iter_mut().enumerate() {
            let inputs: Box<[Input]> =
                (0..group.calls.len()).map(|call| evaluated.input(index, call, row, &group.calls[call])).collect();
            group.push(system, time, evaluated.keys[index].row(row).as_ref(), inputs);
        }
    }

    fn wait(&mut self, time: i64, evaluated: &Evaluated, row: usize, batch: u64, held_row: usize) -> Waiting {
        let mut keys = Vec::with_capacity(self.groups.len());
        let mut early = Vec::with_capacity(self.groups.len());
        for (index, group) in self.groups.iter_mut().enumerate() {
            let key = group.refer(evaluated.keys[index].row(row).as_ref());
            keys.push(key);
            early.push(matches!(group.frame, Frame::Rows { .. }).then(|| group.answers(key)));
        }
        Waiting { time, batch, row: held_row, keys, early }
    }

    fn decide(&mut self, complete: &Completeness) -> Result<RecordBatch> {
        let following = self.plan.following_ns();
        let mut rows = Vec::new();
        let mut columns = vec![Vec::new(); self.plan.output.fields().len() - self.plan.input.fields().len()];
        for system in 0..self.names.len() {
            let Some(complete) = complete.get(&self.names[system]).map(|time| time.saturating_sub(self.plan.lag_ns))
            else {
                continue;
            };
            while self.waiting[system].front().is_some_and(|row| row.time.saturating_add(following) <= complete) {
                let row = self.waiting[system].pop_front().expect("the front was just looked at");
                rows.push((row.batch, row.row));
                self.answer(system, row, &mut columns);
            }
            let horizon = self.waiting[system].front().map_or(complete.saturating_add(1), |row| row.time);
            for group in &mut self.groups {
                group.forget_before(system, horizon);
            }
        }
        let output = self.output(&rows, &columns);
        self.held.release(&rows);
        output
    }

    fn answer(&mut self, system: usize, row: Waiting, columns: &mut [Vec<Option<Value>>]) {
        for ((group, key), early) in self.groups.iter_mut().zip(row.keys).zip(row.early) {
            let answers = early.unwrap_or_else(|| {
                group.advance(system, row.time);
                group.answers(key)
            });
            for (call, answer) in group.calls.iter().zip(answers) {
                columns[call.column].push(answer);
            }
            group.release(key);
        }
    }

    fn output(&self, rows: &[(u64, usize)], columns: &[Vec<Option<Value>>]) -> Result<RecordBatch> {
        if rows.is_empty() {
            return Ok(RecordBatch::new_empty(self.plan.output.clone()));
        }
        let mut arrays = self.held.gather(rows)?.columns().to_vec();
        let inputs = arrays.len();
        for (column, values) in columns.iter().enumerate() {
            arrays.push(value::write(values, self.plan.output.field(inputs + column).data_type())?);
        }
        Ok(RecordBatch::try_new(self.plan.output.clone(), arrays)?)
    }
}

impl Evaluated {
    fn input(&self, group: usize, call: usize, row: usize, spec: &Call) -> Input {
        if let Some(filter) = &self.filters[group][call]
            && !(filter.is_valid(row) && filter.value(row))
        {
            return None;
        }
        let column = &self.arguments[group][call];
        if spec.function == super::accumulator::Function::Count {
            return column.is_valid(row).then_some(None);
        }
        let value = column.value(row);
        let keeps_nulls = spec.function.respects_nulls() && !spec.ignore_nulls;
        (keeps_nulls || value.is_some()).then_some(value)
    }
}

impl Held {
    /// Keeps the answered rows of a batch and gives the batch's number.
    fn push(&mut self, batch: &RecordBatch, anchors: Option<&BooleanArray>) -> Result<u64> {
        let kept = match anchors {
            None => batch.clone(),
            Some(anchors) => {
                let rows = (0..).zip(anchors.iter()).filter(|(_, keep)| *keep == Some(true)).map(|(row, _)| row);
                take_record_batch(batch, &UInt32Array::from_iter_values(rows))?
            }
        };
        let number = self.first + self.batches.len() as u64;
        let rows = kept.num_rows();
        self.batches.push_back((kept, rows));
        Ok(number)
    }

    fn gather(&self, rows: &[(u64, usize)]) -> Result<RecordBatch> {
        let batches: Vec<&RecordBatch> = self.batches.iter().map(|(batch, _)| batch).collect();
        let indices = rows.iter().map(|(batch, row)| {
            usize::try_from(batch - self.first)
                .map(|batch| (batch, *row))
                .map_err(|error| DataFusionError::External(error.into()))
        });
        Ok(interleave_record_batch(&batches, &indices.collect::<Result<Vec<_>>>()?)?)
    }

    /// Lets go of batches whose rows are all out.
    fn release(&mut self, rows: &[(u64, usize)]) {
        for (batch, _) in rows {
            if let Some((_, left)) =
                usize::try_from(batch - self.first).ok().and_then(|index| self.batches.get_mut(index))
            {
                *left -= 1;
            }
        }
        while self.batches.front().is_some_and(|(_, left)| *left == 0) {
            self.batches.pop_front();
            self.first += 1;
        }
    }
}

fn array(expr: &PhysicalExprRef, batch: &RecordBatch) -> Result<ArrayRef> {
    expr.evaluate(batch)?.into_array(batch.num_rows())
}

fn mask(expr: &PhysicalExprRef, batch: &RecordBatch) -> Result<BooleanArray> {
    let array = array(expr, batch)?;
    Ok(match array.data_type() {
        DataType::Boolean => array.as_boolean().clone(),
        _ => cast(&array, &DataType::Boolean)?.as_boolean().clone(),
    })
}
