//! When the rows of an operator are decided, and which of them leave before: the part of [`super::operator`] that knows of
//! [`super::early`].

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::filter_record_batch;
use arrow::datatypes::TimestampNanosecondType;
use datafusion::error::Result;

use super::early::Rejected;
use super::operator::{Operator, TakenIn};
use super::ring::forget;
use crate::plan::pipeline::array;

impl Operator {
    /// When the rows of a batch are decided: at the end of their frames, or before that at their own deadline.
    pub(super) fn dues(&self, batch: &RecordBatch, times: &[i64], anchors: Option<&BooleanBuffer>) -> Result<Vec<i64>> {
        if self.following_ns == 0 {
            return Ok(Vec::new());
        }
        let mut dues: Vec<i64> = times.iter().map(|time| time.saturating_add(self.following_ns)).collect();
        if let Some((deadline, is_inclusive)) = &self.plan.deadline {
            // Of rows that are not answered, what a deadline is computed of may be anything.
            let all = BooleanBuffer::new_set(times.len());
            let anchors = anchors.unwrap_or(&all);
            let answered = filter_record_batch(batch, &BooleanArray::from(anchors.clone()))?;
            let deadlines = array(deadline, &answered)?;
            let deadlines = deadlines.as_primitive::<TimestampNanosecondType>();
            for (row, deadline) in anchors.set_indices().zip(deadlines) {
                let last = deadline.map_or(i64::MAX, |deadline| deadline.saturating_sub(i64::from(!is_inclusive)));
                dues[row] = dues[row].min(last).max(times[row]);
            }
        }
        Ok(dues)
    }

    /// Log time at which a row that came out of the last run was due, where rows have deadlines of their own. No two
    /// rows of a system share a log time.
    pub(crate) fn due(&self, system: u32, time: i64) -> Option<i64> {
        self.came_due.get(&(system, time)).copied()
    }

    /// The log time that a system has to be complete through for the first of its rows that wait to be decided.
    pub(crate) fn next_due(&self, system: u32) -> Option<i64> {
        let lane = self.lanes.get(&system)?;
        self.delay.first_due(*lane).map(|due| due.saturating_add(self.plan.lag_ns))
    }

    /// Rows that a filter above rejects, whatever still comes, do not wait.
    pub(super) fn reject(&mut self, rejected: &[Rejected], taken_in: &mut TakenIn) {
        let mut stays = vec![true; taken_in.times.len()];
        for row in rejected {
            let index = row.number.checked_sub(taken_in.first).and_then(|index| usize::try_from(index).ok());
            let slots = match index {
                Some(index) => {
                    stays[index] = false;
                    taken_in.slots.iter().map(|slots| slots[index]).collect()
                }
                None => self.delay.leave(row.lane, row.time),
            };
            forget(&mut self.rings, row.time, slots.iter().copied());
        }
        let stays = BooleanBuffer::from(stays);
        taken_in.anchors = Some(taken_in.anchors.take().map_or_else(|| stays.clone(), |anchors| &anchors & &stays));
    }

    /// Tells the rings anew which rows wait.
    pub(super) fn wait_again(&mut self) {
        for (number, early) in
            (0..).zip(&mut self.rings).filter_map(|(number, ring)| Some((number, ring.early.as_mut()?)))
        {
            let number: usize = number;
            early.forget_all();
            self.delay.waiting_rows().for_each(|(time, due, slots)| early.wait(slots[number], time, due));
        }
    }
}
