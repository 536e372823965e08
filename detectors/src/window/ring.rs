//! A ring: the windows of one operator that share a partition key. One lookup of the key, one FIFO of rows for each
//! system, however many functions and frames there are.

use std::sync::Arc;

use arrow::array::{Array, BooleanArray};
use arrow::buffer::BooleanBuffer;
use datafusion::error::Result;

use super::batch_keys::BatchKeys;
use super::early::{Early, Rejected};
use super::frame::Frame;
use super::keys::{Keys, NO_SLOT, Slot};
use super::operator_plan::{Call, RingPlan};
use super::queue::Queue;
use super::rows::{Row, Rows};
use super::state::{Answers, At, Cursor, Part, Passage, State};
use super::value::Column;
use crate::limits::{STAYS_NS_MIN, SWEEP_STEPS, VACANT_SHARE, VACANT_SLOTS_MIN};

/// The state of one ring.
#[derive(Debug)]
pub(super) struct Ring {
    pub(super) shown: String,
    pub(super) frames: Vec<Frame>,
    pub(super) calls: Vec<RingCall>,
    pub(super) keys: Keys,
    pub(super) lanes: Vec<Lane>,
    /// Where a filter above says something of frames ahead, the rows that wait for them.
    pub(super) early: Option<Early>,
    /// Nanoseconds for which a key matters after its last row; `None` for good.
    reach_ns: Option<i64>,
    /// Log time of each lane to which the hand has gone on.
    swept_to: Vec<i64>,
    stops: Vec<(Cursor, At)>,
}

/// One function of a ring.
#[derive(Debug)]
pub(super) struct RingCall {
    pub(super) call: Call,
    pub(super) frame: usize,
    /// Whether its rows stay in the ring until they leave the frame.
    pub(super) leaves: bool,
    pub(super) state: State,
}

/// The rows of one system.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) rows: Queue<Row>,
    /// For each frame.
    pub(super) cursors: Vec<Cursor>,
}

/// What a ring is given of a batch.
pub(super) struct RingColumns {
    pub(super) keys: Arc<BatchKeys>,
    /// For each function its arguments, and which rows its FILTER lets through.
    pub(super) calls: Vec<(Vec<Column>, Option<BooleanArray>)>,
}

/// Rows of a lane that are answered in a run.
pub(super) struct Asked<'a> {
    pub(super) lane: usize,
    pub(super) times: &'a [i64],
    pub(super) slots: &'a [Slot],
    /// No row that is answered later has an earlier time.
    pub(super) horizon: i64,
}

impl Ring {
    pub(super) fn new(plan: &RingPlan) -> Ring {
        let mut frames: Vec<Frame> = Vec::new();
        let mut calls = Vec::new();
        for planned in &plan.calls {
            let known = frames.iter().position(|frame| *frame == planned.frame);
            let frame = known.unwrap_or_else(|| {
                frames.push(planned.frame);
                frames.len() - 1
            });
            let state = State::new(&planned.call, planned.frame);
            let leaves = state.needs_leaving() && !planned.frame.is_unbounded();
            calls.push(RingCall { call: planned.call.clone(), frame, leaves, state });
        }
        let reach_ns = frames.iter().map(|frame| frame.reach_ns()).try_fold(0, |most, reach| Some(reach?.max(most)));
        Ring {
            shown: plan.shown.clone(),
            frames,
            calls,
            keys: Keys::default().reach(reach_ns),
            lanes: Vec::new(),
            early: Early::new(&plan.calls),
            reach_ns,
            swept_to: Vec::new(),
            stops: Vec::new(),
        }
    }

    /// Takes in the rows of a batch and gives the slot of each answered row's key, and the rows that are rejected.
    pub(super) fn take_in(&mut self, rows: &Rows<'_>, columns: &RingColumns) -> (Vec<Slot>, Vec<Rejected>) {
        let counted = self.counted(columns);
        let calls = calls_of_rows(&counted, rows.times.len());
        let slots = self.find_slots(rows, columns, &calls);
        let entering = self.entering();
        for row in (0..rows.times.len()).filter(|row| calls[*row] & entering != 0) {
            let entry = Row { time: rows.times[row], slot: slots[row], calls: calls[row], source: rows.sources[row] };
            self.lanes[rows.lanes[row] as usize].rows.push(entry);
        }
        for ((call, (arguments, _)), counted) in self.calls.iter_mut().zip(&columns.calls).zip(&counted) {
            let of = |row: usize| (row, rows.lanes[row] as usize, slots[row]);
            match counted {
                None => call.state.admit(arguments, (0..rows.times.len()).map(of)),
                Some(counted) => call.state.admit(arguments, counted.set_indices().map(of)),
            }
        }
        let rejected = self.early.as_mut().map(|early| early.take_in(rows, &calls, &slots)).unwrap_or_default();
        (slots, rejected)
    }

    /// Moves the rows of one lane on, and answers for the rows asked about: `answers` has a place for each function.
    pub(super) fn pass(&mut self, asked: &Asked<'_>, answers: &mut [Answers]) -> Result<()> {
        if self.lanes.len() <= asked.lane {
            self.lanes.resize_with(asked.lane + 1, Lane::default);
        }
        self.lanes[asked.lane].cursors.resize(self.frames.len(), Cursor::default());
        for frame in 0..self.frames.len() {
            self.pass_frame(frame, asked, answers)?;
        }
        self.let_go(asked.lane);
        Ok(())
    }

    /// Lets the hand go on, so that it comes round twice while a key that is not seen any more stays: its reach, and the
    /// `following_ns` that rows wait. `horizons` tell how far each lane is; a lane's first time is a full round.
    pub(super) fn sweep(&mut self, horizons: &[i64], following_ns: i64) {
        let Some(reach_ns) = self.reach_ns else { return };
        let lanes = self.lanes.len().min(horizons.len());
        self.swept_to.resize(lanes.max(self.swept_to.len()), i64::MIN);
        let mut passed = 0;
        for (lane, (horizon, swept_to)) in horizons[..lanes].iter().zip(&mut self.swept_to).enumerate() {
            // A row at the horizon itself can still come.
            self.keys.expire(lane, horizon.saturating_sub(1));
            passed = passed.max(horizon.saturating_sub(*swept_to));
            *swept_to = *horizon;
        }
        let stays_ns = reach_ns.saturating_add(following_ns).max(STAYS_NS_MIN);
        let share = i128::from(passed) * 2 * i128::from(self.keys.slots()) / i128::from(stays_ns);
        let steps = usize::try_from(share).unwrap_or(usize::MAX).saturating_add(SWEEP_STEPS);
        self.keys.sweep(steps, |lane| horizons[lane as usize].saturating_sub(reach_ns));
    }

    /// Whether so few of its slots have a key that it is worth moving them together.
    pub(super) fn is_mostly_vacant(&self) -> bool {
        let slots = self.keys.slots() as usize;
        slots >= VACANT_SLOTS_MIN && self.keys.len() * VACANT_SHARE < slots
    }

    /// Empty answers, one for each function.
    pub(super) fn answers(&self, rows: usize) -> Vec<Answers> {
        self.calls.iter().map(|call| call.state.answers(rows)).collect()
    }

    /// Rows and keys that are remembered, and the bytes of all.
    pub(super) fn size(&self) -> (usize, usize, usize) {
        let rows = self.lanes.iter().map(|lane| lane.rows.len()).sum();
        let ring: usize = self.lanes.iter().map(|lane| lane.rows.bytes()).sum();
        let states: usize = self.calls.iter().map(|call| call.state.bytes()).sum();
        let early = self.early.as_ref().map_or(0, Early::bytes);
        (rows, self.keys.len(), ring + states + early + self.keys.bytes())
    }

    /// The functions whose rows stand in the ring.
    fn entering(&self) -> u16 {
        let asked = (0_u16..).zip(&self.calls).filter(|(_, call)| !call.call.is_deadline);
        asked.fold(0, |bits, (number, _)| bits | 1 << number)
    }

    /// For each function the rows that it counts; `None` for all.
    fn counted(&self, columns: &RingColumns) -> Vec<Option<BooleanBuffer>> {
        let counted = self.calls.iter().zip(&columns.calls).map(|(call, (arguments, filter))| {
            let passed = filter.as_ref().map(|filter| match filter.nulls() {
                None => filter.values().clone(),
                Some(nulls) => filter.values() & nulls.inner(),
            });
            let valid = if call.call.counts_nulls { None } else { arguments[0].nulls() };
            match (passed, valid) {
                (Some(passed), Some(valid)) => Some(&passed & valid.inner()),
                (passed, valid) => passed.or(valid.map(|valid| valid.inner().clone())),
            }
        });
        counted.collect()
    }

    fn find_slots(&mut self, rows: &Rows<'_>, columns: &RingColumns, calls: &[u16]) -> Vec<Slot> {
        let mut slots = vec![NO_SLOT; rows.times.len()];
        for row in 0..rows.times.len() {
            let asked = rows.anchors.is_none_or(|anchors| anchors.value(row));
            if calls[row] == 0 && !asked {
                continue;
            }
            let (lane, key) = (rows.lanes[row], columns.keys.key(columns.keys.number(row)));
            if calls[row] == 0 && !rows.wait {
                slots[row] = self.keys.find(lane, key);
                continue;
            }
            let (slot, is_new) = self.keys.refer(lane, key, rows.times[row], rows.sources[row]);
            if is_new {
                self.open(slot);
            }
            slots[row] = slot;
        }
        let lanes = rows.lanes.iter().max().map_or(0, |lane| *lane as usize + 1);
        if self.lanes.len() < lanes {
            self.lanes.resize_with(lanes, Lane::default);
        }
        slots
    }

    /// A slot is given to a new key, or a key has lost what was known of it.
    pub(super) fn open(&mut self, slot: Slot) {
        self.calls.iter_mut().for_each(|call| call.state.open(slot));
        self.early.iter_mut().for_each(|early| early.open(slot));
    }

    fn pass_frame(&mut self, frame: usize, asked: &Asked<'_>, answers: &mut [Answers]) -> Result<()> {
        let lane = &mut self.lanes[asked.lane];
        let (rows, from) = (&lane.rows, lane.cursors[frame]);
        let all = rows.slice(rows.first(), rows.end());
        let mut cursor = from;
        self.stops.clear();
        for time in asked.times {
            let at = self.frames[frame].move_to(*time, all, rows.first(), &mut cursor);
            self.stops.push((cursor, at));
        }
        self.frames[frame].move_to(asked.horizon, all, rows.first(), &mut cursor);
        let passage = Passage { rows, lane: asked.lane, from, stops: &self.stops, slots: asked.slots, to: cursor };
        for ((number, call), answers) in self.calls.iter_mut().enumerate().zip(answers) {
            if call.frame == frame {
                call.state.pass(Part { bit: 1 << number, leaves: call.leaves }, &passage, answers)?;
            }
        }
        lane.cursors[frame] = cursor;
        Ok(())
    }

    /// Drops the rows that no function needs any more.
    fn let_go(&mut self, lane: usize) {
        let Lane { rows, cursors } = &mut self.lanes[lane];
        let needed = self.calls.iter().map(|call| {
            let cursor = cursors[call.frame];
            if call.leaves { cursor.left } else { cursor.entered }
        });
        if let Some(needed) = needed.min() {
            rows.drop_before(needed);
        }
    }
}

impl RingCall {
    /// Rows of a lane of which it still has what they brought, whether it counts them or not.
    pub(super) fn rows_of<'a>(&self, lane: &'a Lane) -> &'a [Row] {
        let at = lane.cursors.get(self.frame).copied().unwrap_or_default();
        let from = if self.leaves { at.left } else { at.entered };
        lane.rows.slice(from.max(lane.rows.first()), lane.rows.end())
    }

    /// Rows of a lane that are in its accumulators and will leave them.
    pub(super) fn rows_inside<'a>(&self, lane: &'a Lane) -> &'a [Row] {
        let at = lane.cursors.get(self.frame).copied().unwrap_or_default();
        let first = lane.rows.first();
        if self.leaves { lane.rows.slice(at.left.max(first), at.entered.max(first)) } else { &[] }
    }
}

impl Lane {
    /// All rows that are kept.
    pub(super) fn all(&self) -> &[Row] {
        self.rows.slice(self.rows.first(), self.rows.end())
    }
}

impl RingCall {
    /// Number of its frame in the ring.
    pub(super) fn frame(&self) -> usize {
        self.frame
    }

    /// Whether its rows stay in the ring until they leave the frame.
    pub(super) fn leaves(&self) -> bool {
        self.leaves
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }
}

impl Frame {
    /// Moves a cursor to where the rows have come when a row at `time` is answered.
    fn move_to(self, time: i64, rows: &[Row], first: u64, cursor: &mut Cursor) -> At {
        let Frame::Range { start_ns, end_ns } = self else { return At { time, start: i64::MIN } };
        let end = time.saturating_add(end_ns);
        let start = start_ns.map_or(i64::MIN, |start_ns| time.saturating_add(start_ns));
        let place = |number: u64| usize::try_from(number - first).expect("numbers count rows in memory");
        while rows.get(place(cursor.entered.max(first))).is_some_and(|row| row.time <= end) {
            cursor.entered = cursor.entered.max(first) + 1;
        }
        if start_ns.is_some() {
            while cursor.left < cursor.entered
                && rows.get(place(cursor.left.max(first))).is_some_and(|row| row.time < start)
            {
                cursor.left = cursor.left.max(first) + 1;
            }
        }
        At { time, start }
    }
}

/// A row waits no more; `slots` are those of its key in each ring.
pub(super) fn forget(rings: &mut [Ring], time: i64, slots: impl Iterator<Item = Slot>) {
    for (ring, slot) in rings.iter_mut().zip(slots) {
        ring.early.iter_mut().for_each(|early| early.forget(slot, time));
    }
}

/// For each row, the functions that count it.
fn calls_of_rows(counted: &[Option<BooleanBuffer>], rows: usize) -> Vec<u16> {
    let always = counted.iter().enumerate().filter(|(_, counted)| counted.is_none());
    let mut calls = vec![always.fold(0, |bits, (call, _)| bits | 1 << call); rows];
    for (call, counted) in counted.iter().enumerate() {
        for row in counted.iter().flat_map(BooleanBuffer::set_indices) {
            calls[row] |= 1 << call;
        }
    }
    calls
}
