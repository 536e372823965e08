//! `ROWS` frames and `lag`: the last rows of each key. They are answered as a row comes, since nothing ahead matters to
//! them, and a key stays for good: however long it is idle, its last rows stay its last rows.

use std::collections::VecDeque;

use arrow::array::ArrayRef;
use datafusion::error::{DataFusionError, Result};

use super::accumulator::Accumulator;
use super::frame::Frame;
use super::keys::{Keys, Slot};
use super::operator_plan::{CallPlan, Function, RingPlan};
use super::ring::RingColumns;
use super::rows::Rows;
use super::stored::damaged;
use super::value::{self, Value};
use crate::aggregate::Sliding;

/// The windows of one operator that look at the last rows of a key.
#[derive(Debug)]
pub(super) struct ByRows {
    pub(super) shown: String,
    pub(super) calls: Vec<CallPlan>,
    pub(super) keys: Keys,
    /// For each slot, for each function.
    windows: Vec<Vec<Window>>,
}

/// Of each function of a key: how many rows have entered and the object, and the rows.
pub(super) type SavedWindows = Vec<((u64, Vec<u8>), Vec<SavedRow>)>;

/// Time and, of a row that is counted, arguments.
type SavedRow = (i64, Vec<Vec<Option<Value>>>);

/// Log time of a row and, if the function counts it, its arguments.
type WindowRow = (i64, Option<Box<[Option<Value>]>>);

/// The last rows of one key for one function.
#[derive(Debug)]
struct Window {
    object: Box<dyn Sliding>,
    /// Arguments of each row, if the function counts it.
    rows: VecDeque<WindowRow>,
    /// How many of them, from the front, have entered.
    entered: usize,
}

impl ByRows {
    pub(super) fn new(plan: &RingPlan) -> ByRows {
        ByRows { shown: plan.shown.clone(), calls: plan.calls.clone(), keys: Keys::default(), windows: Vec::new() }
    }

    /// Takes in the rows of a batch and gives a column for each function; rows that are not answered have any value.
    pub(super) fn take_in(&mut self, rows: &Rows<'_>, columns: &RingColumns) -> Result<Vec<ArrayRef>> {
        let mut answers: Vec<Vec<Option<Value>>> = vec![Vec::with_capacity(rows.times.len()); self.calls.len()];
        for row in 0..rows.times.len() {
            let key = columns.keys.key(columns.keys.number(row));
            let (slot, is_new) = self.keys.refer(rows.lanes[row], key, rows.times[row], rows.sources[row]);
            if is_new {
                self.open(slot);
            }
            let asked = rows.anchors.is_none_or(|anchors| anchors.value(row));
            let windows = self.calls.iter().zip(&mut self.windows[slot as usize]);
            for (number, (call, window)) in windows.enumerate() {
                window.push(call.frame, rows.times[row], arguments(call, columns, number, row));
                let answer = if asked { window.object.answer(rows.times[row]) } else { Ok(None) };
                answers[number].push(answer.map_err(DataFusionError::Execution)?);
            }
        }
        answers.iter().zip(&self.calls).map(|(answers, call)| value::write(answers, &call.call.output)).collect()
    }

    /// Rows and keys that are remembered, and their bytes.
    pub(super) fn size(&self) -> (usize, usize, usize) {
        let windows = || self.windows.iter().flatten();
        let rows = windows().map(|window| window.rows.len()).sum();
        let bytes: usize = windows().map(Window::bytes).sum();
        (rows, self.keys.len(), bytes + self.keys.bytes())
    }

    /// What a key remembers, for a snapshot: of each function its rows, how many have entered, and, where rows never
    /// leave, the object.
    pub(super) fn saved_windows(&self, slot: Slot) -> SavedWindows {
        let saved = |(window, call): (&Window, &CallPlan)| {
            let object = if call.frame.is_unbounded() { window.object.save() } else { Vec::new() };
            let row =
                |(time, arguments): &WindowRow| (*time, arguments.iter().map(|arguments| arguments.to_vec()).collect());
            ((window.entered as u64, object), window.rows.iter().map(row).collect())
        };
        self.windows[slot as usize].iter().zip(&self.calls).map(saved).collect()
    }

    /// Takes over the next key.
    pub(super) fn load_windows(&mut self, saved: SavedWindows) -> Result<()> {
        let slot = Slot::try_from(self.windows.len()).map_err(|_| damaged("too many keys"))?;
        self.open(slot);
        if saved.len() != self.calls.len() {
            return Err(damaged("windows of another number"));
        }
        for ((window, call), ((entered, object), rows)) in
            self.windows[slot as usize].iter_mut().zip(&self.calls).zip(saved)
        {
            let row = |(time, arguments): (i64, Vec<Vec<Option<Value>>>)| {
                (time, arguments.into_iter().next().map(Vec::into_boxed_slice))
            };
            window.rows = rows.into_iter().map(row).collect();
            window.entered = usize::try_from(entered).map_err(|_| damaged("too many rows"))?;
            if call.frame.is_unbounded() {
                window.object.load(&object).map_err(|problem| damaged(&problem))?;
                continue;
            }
            for (time, arguments) in window.rows.iter().take(window.entered) {
                arguments.iter().for_each(|arguments| window.object.enter(*time, arguments));
            }
        }
        Ok(())
    }

    /// Forgets what a key's rows were.
    pub(super) fn lose(&mut self, slot: Slot) {
        self.windows[slot as usize].clear();
        self.keys.lose(slot);
    }

    fn open(&mut self, slot: Slot) {
        let windows = self.calls.iter().map(|call| Window { object: object(call), rows: VecDeque::new(), entered: 0 });
        let windows = windows.collect();
        match self.windows.get_mut(slot as usize) {
            Some(place) => *place = windows,
            None => self.windows.push(windows),
        }
    }
}

fn object(call: &CallPlan) -> Box<dyn Sliding> {
    match &call.call.function {
        Function::Other(factory) => factory.fresh(call.frame.is_unbounded()),
        _ => Box::new(Accumulator::new(&call.call, !call.frame.is_unbounded())),
    }
}

/// What a row brings to a function; nothing when it does not count it.
fn arguments(call: &CallPlan, columns: &RingColumns, number: usize, row: usize) -> Option<Box<[Option<Value>]>> {
    let (arguments, filter) = &columns.calls[number];
    let passes = filter.as_ref().is_none_or(|filter| {
        use arrow::array::Array;
        filter.is_valid(row) && filter.value(row)
    });
    let counts = passes && (call.call.counts_nulls || arguments[0].is_valid(row));
    counts.then(|| arguments.iter().map(|column| column.value(row)).collect())
}

impl Window {
    fn push(&mut self, frame: Frame, time: i64, arguments: Option<Box<[Option<Value>]>>) {
        let Frame::Rows { start, end } = frame else { return };
        let end = usize::try_from(end).unwrap_or(usize::MAX);
        self.rows.push_back((time, arguments));
        while self.rows.len() - self.entered > end {
            let (time, entering) = &self.rows[self.entered];
            if let Some(arguments) = entering {
                self.object.enter(*time, arguments);
            }
            self.entered += 1;
            if start.is_none() {
                self.rows.pop_front();
                self.entered = 0;
            }
        }
        let Some(start) = start.and_then(|start| usize::try_from(start).ok()) else { return };
        while self.entered > 0 && self.rows.len() > start + 1 {
            if let Some((time, Some(arguments))) = self.rows.pop_front() {
                self.object.leave(time, &arguments);
            }
            self.entered -= 1;
        }
    }

    fn bytes(&self) -> usize {
        let row = size_of::<WindowRow>() + size_of::<Option<Value>>();
        size_of::<Window>() + self.rows.capacity() * row + self.object.bytes()
    }
}
