//! A group: the windows of one operator that share a partition key and a frame. It has one FIFO of rows a system, one
//! table of keys, and moves rows through the accumulators as the answered rows move on.

use std::collections::VecDeque;

use arrow::datatypes::DataType;

use super::accumulator::{Accumulator, Function, Input};
use super::frame::Frame;
use super::keys::{KeyId, Keys};
use super::value::Value;

/// One function of a group.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) function: Function,
    pub(crate) ignore_nulls: bool,
    pub(crate) argument: DataType,
    pub(crate) output: DataType,
    /// Which of the operator's window columns it fills.
    pub(crate) column: usize,
}

/// What a row in the FIFO brings.
#[derive(Debug)]
struct Entry {
    time: i64,
    key: KeyId,
    inputs: Box<[Input]>,
}

/// The rows of one system: the first `entered` of them are inside the accumulators.
#[derive(Debug, Default)]
struct Lane {
    rows: VecDeque<Entry>,
    entered: usize,
}

/// The state of one group.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) frame: Frame,
    pub(crate) calls: Vec<Call>,
    keys: Keys,
    lanes: Vec<Lane>,
}

impl Group {
    pub(crate) fn new(frame: Frame, calls: Vec<Call>) -> Group {
        Group { frame, calls, keys: Keys::default(), lanes: Vec::new() }
    }

    /// Rows and keys that are remembered.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.lanes.iter().map(|lane| lane.rows.len()).sum(), self.keys.len())
    }

    /// Refers to a key on behalf of a row that will be answered.
    pub(crate) fn refer(&mut self, key: &[u8]) -> KeyId {
        let calls = &self.calls;
        self.keys.refer(key, || calls.iter().map(|call| Accumulator::new(call.function)).collect())
    }

    /// Gives that reference back.
    pub(crate) fn release(&mut self, key: KeyId) {
        self.keys.release(key);
    }

    /// Takes in a row of a system.
    pub(crate) fn push(&mut self, system: usize, time: i64, key: &[u8], inputs: Box<[Input]>) {
        match self.frame {
            Frame::Rows { start, end } => self.push_row(key, inputs, start, end),
            Frame::Range { .. } if inputs.iter().all(Option::is_none) => {}
            Frame::Range { .. } => {
                let key = self.refer(key);
                self.lane(system).rows.push_back(Entry { time, key, inputs });
            }
        }
    }

    /// Moves the frame to a row at `time`: what is inside enters, what is before leaves.
    pub(crate) fn advance(&mut self, system: usize, time: i64) {
        let Frame::Range { start_ns, end_ns } = self.frame else { return };
        let end = time.saturating_add(end_ns);
        let stays = start_ns.is_none();
        self.lane(system);
        let Group { lanes, keys, .. } = self;
        let lane = &mut lanes[system];
        while let Some(entry) = lane.rows.get(lane.entered).filter(|entry| entry.time <= end) {
            let slot = keys.slot(entry.key);
            for (accumulator, input) in slot.accumulators.iter_mut().zip(&entry.inputs) {
                accumulator.enter(input, stays);
            }
            lane.entered += 1;
            if stays {
                // The row has done its work, and its reference keeps the key for good.
                lane.rows.pop_front();
                lane.entered = 0;
            }
        }
        if let Some(start_ns) = start_ns {
            self.expire(system, time.saturating_add(start_ns));
        }
    }

    /// Lets go of what no row at `time` or later can see.
    pub(crate) fn forget_before(&mut self, system: usize, time: i64) {
        match self.frame {
            Frame::Range { start_ns: Some(start_ns), .. } => self.expire(system, time.saturating_add(start_ns)),
            Frame::Range { start_ns: None, .. } => self.advance(system, time),
            Frame::Rows { .. } => {}
        }
    }

    /// Answers for a key, in the order of the calls.
    pub(crate) fn answers(&mut self, key: KeyId) -> Vec<Option<Value>> {
        let slot = self.keys.slot(key);
        let answers = self.calls.iter().zip(&slot.accumulators);
        answers.map(|(call, accumulator)| accumulator.answer(call.function, &call.argument, &call.output)).collect()
    }

    fn lane(&mut self, system: usize) -> &mut Lane {
        if self.lanes.len() <= system {
            self.lanes.resize_with(system + 1, Lane::default);
        }
        &mut self.lanes[system]
    }

    fn expire(&mut self, system: usize, start: i64) {
        self.lane(system);
        let Group { lanes, keys, .. } = self;
        let lane = &mut lanes[system];
        while lane.rows.front().is_some_and(|entry| entry.time < start) {
            let entry = lane.rows.pop_front().expect("the front was just looked at");
            if lane.entered > 0 {
                lane.entered -= 1;
                let slot = keys.slot(entry.key);
                for (accumulator, input) in slot.accumulators.iter_mut().zip(&entry.inputs) {
                    accumulator.leave(input);
                }
            }
            keys.release(entry.key);
        }
    }

    /// A `ROWS` frame moves with its key's rows, so it is brought up to date as the row comes; its key stays.
    fn push_row(&mut self, key: &[u8], inputs: Box<[Input]>, start: Option<u64>, end: u64) {
        let id = self.refer(key);
        let end = usize::try_from(end).unwrap_or(usize::MAX);
        let slot = self.keys.slot(id);
        slot.ring.push_back(inputs);
        while slot.ring.len() - slot.entered > end {
            let entering = &slot.ring[slot.entered];
            for (accumulator, input) in slot.accumulators.iter_mut().zip(entering) {
                accumulator.enter(input, start.is_none());
            }
            slot.entered += 1;
            if start.is_none() {
                slot.ring.pop_front();
                slot.entered = 0;
            }
        }
        let Some(start) = start.and_then(|start| usize::try_from(start).ok()) else { return };
        while slot.entered > 0 && slot.ring.len() > start + 1 {
            let leaving = slot.ring.pop_front().expect("rows that have entered are in the ring");
            for (accumulator, input) in slot.accumulators.iter_mut().zip(&leaving) {
                accumulator.leave(input);
            }
            slot.entered -= 1;
        }
    }
}
