//! What the keys of a ring remember for one function, and how rows pass through it.
//!
//! One function at a time goes over all rows of a batch, so that a loop touches one kind of cell and the ring. Each
//! function has the leanest state that gives exact answers:
//!
//! | function | state of a key | what a row in the frame takes besides its 16 bytes in the ring |
//! |---|---|---|
//! | `count` | a number | nothing |
//! | `count`, compared with at most n only | the last n times | nothing, and it leaves the ring as it enters |
//! | `last_value` | the last value and its time | nothing, and it leaves the ring as it enters |
//! | `sum`, `avg` | a 256-bit sum and a count | its number |
//! | `min`, `max` | the extreme, and later rows that may follow it | its value |
//! | `first_value`, `nth_value` | numbers of the rows inside | its value |
//! | `count(DISTINCT)` | how many, and a table of values shared by all keys | 4 bytes |
//! | one of which a filter asks only whether a row comes by the answered row's deadline | nothing | nothing, and it never enters the ring |
//! | anything else | an object of [`crate::aggregate`] | its arguments |
//!
//! Where the frame has no start, rows never leave: every state is then as small as a key, and no row stays.

/// The methods of [`Accumulate`] for the values of rows, where a state keeps them as its [`inputs`] and in nothing else.
macro_rules! save_inputs_as_they_are {
    () => {
        fn save_inputs(&self) -> Option<(Vec<u32>, ArrayRef)> {
            Some(self.inputs.save())
        }

        fn load_inputs(&mut self, lanes: &[u32], _: &[Slot], values: &ArrayRef) -> Result<()> {
            self.inputs.load(lanes, values)
        }
    };
}

mod answers;
mod count;
mod distinct;
mod extreme;
mod first;
mod inputs;
mod item;
mod last;
mod objects;
mod sum;
mod unasked;

use arrow::array::{ArrayRef, NullBufferBuilder, StringViewBuilder};

use arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};

pub(super) use sum::{average, saturate};

use super::frame::Frame;
use super::keys::{NO_SLOT, Slot};
use super::operator_plan::{Call, Function};
use super::queue::Queue;
use super::rows::Row;
use super::stored::{Stored, to_bytes};
use super::value::{self, Column, Value};
pub(super) use answers::Answers;
use count::Counts;
pub(super) use count::Recent;
use distinct::Distinct;
use extreme::{Extremes, RunningExtremes};
use first::{Firsts, RunningFirsts};
use last::{LastTexts, LastValues};
use objects::Objects;
use sum::Sums;
use unasked::Unasked;

/// The state of one function for all keys of a ring.
#[derive(Debug)]
pub(super) enum State {
    Count(Counts),
    Recent(Recent),
    LastText(LastTexts),
    LastNumber(LastValues<Option<i128>>),
    LastValue(LastValues<Option<Value>>),
    Sum(Sums),
    ExtremeNumber(Extremes<i128>),
    Extreme(Extremes<Option<Value>>),
    RunningExtreme(RunningExtremes),
    First(Firsts),
    RunningFirst(RunningFirsts),
    Distinct(Distinct),
    Objects(Objects),
    Unasked(Unasked),
}

/// One function as rows pass through it.
pub(super) trait Accumulate {
    /// A slot is given to a new key; what the last one left there is forgotten.
    fn open(&mut self, slot: Slot);
    /// The oldest row that has not entered does.
    fn enter(&mut self, lane: usize, slot: Slot, time: i64);
    /// The oldest row that has entered leaves.
    fn leave(&mut self, lane: usize, slot: Slot, time: i64);
    /// The answer for a row whose frame starts at `start`; of a key without a slot, over no rows.
    fn answer(&mut self, lane: usize, slot: Slot, at: At, answers: &mut Answers) -> Result<()>;
    /// Looks at the cell of a slot, for nothing but to have it near.
    #[inline]
    fn peek(&self, _slot: Slot) -> u64 {
        0
    }
    /// Bytes remembered, about.
    fn bytes(&self) -> usize;
    /// The cells of those slots, for a snapshot; of a function that rows leave, the rows rebuild them.
    fn save_cells(&self, slots: &[Slot]) -> ArrayRef;
    /// Takes over the cells of the slots from 0 on.
    fn load_cells(&mut self, cells: &ArrayRef) -> Result<()>;
    /// The values of rows that have not let go of them, lane by lane; `None` of a function that needs none.
    fn save_inputs(&self) -> Option<(Vec<u32>, ArrayRef)> {
        None
    }
    /// Takes over such values; `slots` are those of their rows.
    fn load_inputs(&mut self, _lanes: &[u32], _slots: &[Slot], _values: &ArrayRef) -> Result<()> {
        Ok(())
    }
}

/// When an answer is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    /// Log time of the answered row.
    pub(super) time: i64,
    /// Log time at which its frame starts.
    pub(super) start: i64,
}

/// How far a ring's rows have come in one frame, as numbers of the lane's queue.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cursor {
    /// The first that has not entered.
    pub(super) entered: u64,
    /// The first that has not left.
    pub(super) left: u64,
}

/// The way of one lane's rows through one frame during a run.
pub(super) struct Passage<'a> {
    pub(super) rows: &'a Queue<Row>,
    pub(super) lane: usize,
    pub(super) from: Cursor,
    /// For each answered row, how far the rows have come by then.
    pub(super) stops: &'a [(Cursor, At)],
    /// Slots of the answered rows' keys.
    pub(super) slots: &'a [Slot],
    /// How far they come in the end.
    pub(super) to: Cursor,
}

/// One function's part in a passage.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// Which of the rows it counts.
    pub(super) bit: u16,
    /// Whether it is told of rows that leave.
    pub(super) leaves: bool,
}

/// Takes the rows through one function.
fn pass<A: Accumulate>(state: &mut A, part: Part, passage: &Passage<'_>, answers: &mut Answers) -> Result<()> {
    fetch(state, part, passage);
    let mut cursor = passage.from;
    for ((stop, at), slot) in passage.stops.iter().zip(passage.slots) {
        go(state, part, passage, cursor, *stop);
        cursor = *stop;
        state.answer(passage.lane, *slot, *at, answers)?;
    }
    go(state, part, passage, cursor, passage.to);
    Ok(())
}

/// Cells lie anywhere in memory. Looked at one after the other with nothing to decide in between, many are on their way
/// from memory at once; in the loop that changes them, each would be waited for.
fn fetch<A: Accumulate>(state: &A, part: Part, passage: &Passage<'_>) {
    let peek = |from: u64, to: u64| {
        let rows = passage.rows.slice(from, to).iter();
        rows.fold(0_u64, |seen, row| seen.wrapping_add(state.peek(row.slot)))
    };
    let (from, to) = (passage.from, passage.to);
    std::hint::black_box(peek(from.entered.min(to.entered), to.entered));
    if part.leaves {
        std::hint::black_box(peek(from.left.min(to.left), to.left));
    }
}

#[inline]
fn go<A: Accumulate>(state: &mut A, part: Part, passage: &Passage<'_>, from: Cursor, to: Cursor) {
    if from.entered < to.entered {
        for row in passage.rows.slice(from.entered, to.entered).iter().filter(|row| row.calls & part.bit != 0) {
            state.enter(passage.lane, row.slot, row.time);
        }
    }
    if part.leaves && from.left < to.left {
        for row in passage.rows.slice(from.left, to.left).iter().filter(|row| row.calls & part.bit != 0) {
            state.leave(passage.lane, row.slot, row.time);
        }
    }
}

macro_rules! each {
    ($state:expr, $inner:ident => $body:expr) => {
        match $state {
            State::Count($inner) => $body,
            State::Recent($inner) => $body,
            State::LastText($inner) => $body,
            State::LastNumber($inner) => $body,
            State::LastValue($inner) => $body,
            State::Sum($inner) => $body,
            State::ExtremeNumber($inner) => $body,
            State::Extreme($inner) => $body,
            State::RunningExtreme($inner) => $body,
            State::First($inner) => $body,
            State::RunningFirst($inner) => $body,
            State::Distinct($inner) => $body,
            State::Objects($inner) => $body,
            State::Unasked($inner) => $body,
        }
    };
}

impl State {
    /// The leanest state for a call over a frame.
    pub(super) fn new(call: &Call, frame: Frame) -> State {
        let keeps = !frame.is_unbounded();
        let is_max = matches!(call.function, Function::Max);
        let is_number = call.arguments.first().is_some_and(value::is_number);
        let is_text = matches!(call.arguments.first(), Some(DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View));
        if call.is_deadline {
            return State::Unasked(Unasked);
        }
        match &call.function {
            Function::Count => match call.enough {
                Some(enough) => State::Recent(Recent::new(enough)),
                None => State::Count(Counts::default()),
            },
            Function::CountDistinct => State::Distinct(Distinct::default()),
            Function::Sum | Function::Average => State::Sum(Sums::new(call, keeps)),
            Function::Min | Function::Max if !keeps => State::RunningExtreme(RunningExtremes::new(is_max)),
            Function::Min | Function::Max if is_number => State::ExtremeNumber(Extremes::new(is_max)),
            Function::Min | Function::Max => State::Extreme(Extremes::new(is_max)),
            Function::Nth(nth) if keeps => State::First(Firsts::new(*nth)),
            Function::Nth(nth) => State::RunningFirst(RunningFirsts::new(*nth)),
            Function::Last if is_text && call.ignore_nulls => State::LastText(LastTexts::default()),
            Function::Last if is_number => State::LastNumber(LastValues::default()),
            Function::Last => State::LastValue(LastValues::default()),
            Function::Other(factory) => State::Objects(Objects::new(factory.clone(), keeps)),
        }
    }

    /// Whether rows must stay in the ring until they leave the frame.
    pub(super) fn needs_leaving(&self) -> bool {
        let last_is_enough = matches!(
            self,
            State::Recent(_) | State::LastText(_) | State::LastNumber(_) | State::LastValue(_) | State::Unasked(_)
        );
        !last_is_enough && !matches!(self, State::RunningExtreme(_) | State::RunningFirst(_))
    }

    /// Takes the values of the rows that it counts, `(row of the columns, lane, slot)`, into its queues.
    pub(super) fn admit(&mut self, columns: &[Column], rows: impl Iterator<Item = (usize, usize, Slot)>) {
        match self {
            State::Count(_) | State::Recent(_) | State::Unasked(_) => {}
            State::LastText(state) => rows.for_each(|(row, lane, _)| state.admit(lane, &columns[0], row)),
            State::LastNumber(state) => state.inputs.admit_all(&columns[0], rows),
            State::LastValue(state) => state.inputs.admit_all(&columns[0], rows),
            State::Sum(state) => state.inputs.admit_all(&columns[0], rows),
            State::ExtremeNumber(state) => state.inputs.admit_all(&columns[0], rows),
            State::Extreme(state) => state.inputs.admit_all(&columns[0], rows),
            State::RunningExtreme(state) => state.inputs.admit_all(&columns[0], rows),
            State::First(state) => state.inputs.admit_all(&columns[0], rows),
            State::RunningFirst(state) => state.inputs.admit_all(&columns[0], rows),
            State::Distinct(state) => {
                rows.for_each(|(row, lane, slot)| state.admit(lane, slot, columns[0].value(row)));
            }
            State::Objects(state) => rows.for_each(|(row, lane, _)| {
                state.inputs.admit(lane, columns.iter().map(|column| column.value(row)).collect());
            }),
        }
    }

    pub(super) fn open(&mut self, slot: Slot) {
        each!(self, state => state.open(slot));
    }

    /// Takes the rows of one lane through.
    pub(super) fn pass(&mut self, part: Part, passage: &Passage<'_>, answers: &mut Answers) -> Result<()> {
        each!(self, state => pass(state, part, passage, answers))
    }

    /// Bytes remembered, about.
    pub(super) fn bytes(&self) -> usize {
        each!(self, state => state.bytes())
    }

    pub(super) fn enter(&mut self, lane: usize, slot: Slot, time: i64) {
        each!(self, state => state.enter(lane, slot, time));
    }

    pub(super) fn save_cells(&self, slots: &[Slot]) -> ArrayRef {
        each!(self, state => state.save_cells(slots))
    }

    pub(super) fn load_cells(&mut self, cells: &ArrayRef) -> Result<()> {
        each!(self, state => state.load_cells(cells))
    }

    pub(super) fn save_inputs(&self) -> Option<(Vec<u32>, ArrayRef)> {
        each!(self, state => state.save_inputs())
    }

    pub(super) fn load_inputs(&mut self, lanes: &[u32], slots: &[Slot], values: &ArrayRef) -> Result<()> {
        each!(self, state => state.load_inputs(lanes, slots, values))
    }

    /// An empty list of answers of the kind that it gives.
    pub(super) fn answers(&self, rows: usize) -> Answers {
        match self {
            State::Count(_) | State::Recent(_) | State::Distinct(_) => Answers::Numbers(Vec::with_capacity(rows)),
            State::LastText(_) => Answers::Texts(Box::new(StringViewBuilder::with_capacity(rows))),
            State::Sum(_) | State::ExtremeNumber(_) | State::LastNumber(_) => {
                Answers::Wide(Vec::with_capacity(rows), NullBufferBuilder::new(rows))
            }
            _ => Answers::Values(Vec::with_capacity(rows)),
        }
    }
}

/// The cell of a slot; `None` for a key of which nothing is remembered.
fn cell<T>(cells: &[T], slot: Slot) -> Option<&T> {
    if slot == NO_SLOT { None } else { cells.get(slot as usize) }
}

/// As [`cell`], to change it.
fn cell_mut<T>(cells: &mut [T], slot: Slot) -> Option<&mut T> {
    if slot == NO_SLOT { None } else { cells.get_mut(slot as usize) }
}

/// Makes the cell of a slot fresh.
fn open_cell<T: Default>(cells: &mut Vec<T>, slot: Slot) {
    let index = slot as usize;
    if index < cells.len() {
        cells[index] = T::default();
    } else {
        cells.resize_with(index + 1, T::default);
    }
}

/// The cells of those slots as bytes.
fn store_cells<T: Stored>(cells: &[T], slots: &[Slot]) -> ArrayRef {
    to_bytes(slots.iter().map(|slot| &cells[*slot as usize]))
}

fn failed(problem: String) -> DataFusionError {
    DataFusionError::Execution(problem)
}
