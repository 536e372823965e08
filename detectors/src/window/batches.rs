//! The rows on hold themselves, with the columns that are still needed of them.
//!
//! Rows come by the thousand from history and one by one from a live log. Small batches are merged, each with one about
//! its own size, so that a row is copied a dozen times at most while it waits, and what is held is a few large batches
//! however the log was cut.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{concat_batches, interleave_record_batch, take_record_batch};
use arrow::datatypes::DataType;
use datafusion::error::Result;

/// Batches of more rows are not merged any further.
const MERGED_ROWS_MAX: usize = 4_096;

/// A batch of fewer rows has its texts copied: they lie in a block that would be kept for a few bytes.
const OWN_TEXTS_ROWS: usize = 256;

/// Rows by place: a number that counts all that ever were on hold.
#[derive(Debug, Default)]
pub(super) struct Batches {
    next: u64,
    held: VecDeque<Held>,
}

#[derive(Debug)]
struct Held {
    /// Place of its first row.
    first: u64,
    rows: RecordBatch,
    /// Rows that still wait.
    left: usize,
}

impl Batches {
    /// Holds the chosen rows of a batch; gives the place of the first.
    pub(super) fn push(&mut self, batch: &RecordBatch, chosen: &BooleanBuffer) -> Result<u64> {
        let (first, left) = (self.next, chosen.count_set_bits());
        if left == 0 {
            return Ok(first);
        }
        let indices = chosen.set_indices().filter_map(|row| u32::try_from(row).ok());
        let rows = match left == batch.num_rows() {
            true => batch.clone(),
            false => take_record_batch(batch, &UInt32Array::from_iter_values(indices))?,
        };
        let rows = if left * 2 < batch.num_rows() || left < OWN_TEXTS_ROWS { own_texts(&rows)? } else { rows };
        self.next += left as u64;
        self.held.push_back(Held { first, rows, left });
        self.merge()?;
        Ok(first)
    }

    /// Merges the newest batches while the last is at least half as large as the one before.
    fn merge(&mut self) -> Result<()> {
        while let Some(before) = self.held.len().checked_sub(2) {
            let [before, last] = [&self.held[before], &self.held[before + 1]];
            let (one, other) = (before.rows.num_rows(), last.rows.num_rows());
            // Only neighbours: a batch that lay between may be out already.
            let are_neighbours = before.first + one as u64 == last.first;
            if !are_neighbours || one + other > MERGED_ROWS_MAX || other * 2 < one {
                break;
            }
            let rows = own_texts(&concat_batches(&before.rows.schema(), [&before.rows, &last.rows])?)?;
            let merged = Held { first: before.first, rows, left: before.left + last.left };
            self.held.truncate(self.held.len() - 2);
            self.held.push_back(merged);
        }
        Ok(())
    }

    /// The rows at those places, in that order.
    pub(super) fn gather(&self, places: &[u64]) -> Result<RecordBatch> {
        let mut batches: Vec<&RecordBatch> = Vec::new();
        // Which of `batches` a held one is.
        let mut number_of = vec![None; self.held.len()];
        let rows: Vec<(usize, usize)> = places
            .iter()
            .map(|place| {
                let index = self.find(*place);
                let Held { first, rows, .. } = &self.held[index];
                let number = *number_of[index].get_or_insert_with(|| {
                    batches.push(rows);
                    batches.len() - 1
                });
                (number, usize::try_from(place - first).expect("places count rows in memory"))
            })
            .collect();
        Ok(interleave_record_batch(&batches, &rows)?)
    }

    /// The row at a place does not wait any more.
    pub(super) fn release(&mut self, place: u64) {
        let index = self.find(place);
        self.held[index].left -= 1;
        if self.held[index].left == 0 {
            self.held.remove(index);
        }
    }

    /// Bytes of all. What batches of the log share with each other is counted in each.
    pub(super) fn bytes(&self) -> usize {
        self.held.iter().map(|held| held.rows.get_array_memory_size()).sum()
    }

    /// Which batch holds a place.
    fn find(&self, place: u64) -> usize {
        let after = self.held.partition_point(|held| held.first <= place);
        after.checked_sub(1).expect("a row that waits is held")
    }
}

/// Copies the texts that the rows refer to, so that what they lay in can go.
pub(super) fn own_texts(rows: &RecordBatch) -> Result<RecordBatch> {
    let columns = rows.columns().iter().map(|column| -> ArrayRef {
        match column.data_type() {
            DataType::Utf8View => Arc::new(column.as_string_view().gc()),
            _ => column.clone(),
        }
    });
    Ok(RecordBatch::try_new(rows.schema(), columns.collect())?)
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringViewArray};

    use super::*;

    fn batch(numbers: std::ops::Range<i64>) -> RecordBatch {
        let texts: StringViewArray = numbers.clone().map(|number| Some(format!("the text of row {number}"))).collect();
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(numbers));
        RecordBatch::try_from_iter([("number", numbers), ("text", Arc::new(texts) as ArrayRef)]).unwrap()
    }

    #[test]
    fn rows_that_came_one_by_one_lie_together_and_are_found() {
        let mut batches = Batches::default();
        for row in 0..10_000 {
            assert_eq!(batches.push(&batch(row..row + 1), &BooleanBuffer::new_set(1)).unwrap(), row.cast_unsigned());
            if row >= 900 {
                let oldest = (row - 900).cast_unsigned();
                assert_eq!(batches.gather(&[oldest]).unwrap(), batch(row - 900..row - 899));
                batches.release(oldest);
            }
            assert!(batches.held.len() < 30, "{} batches", batches.held.len());
        }
        assert!(batches.bytes() < 1_000_000, "{} bytes", batches.bytes());
    }

    #[test]
    fn a_row_that_stays_keeps_its_own_batch_only() {
        let mut batches = Batches::default();
        let all = BooleanBuffer::new_set(4_000);
        for number in 0..20 {
            batches.push(&batch(number * 4_000..(number + 1) * 4_000), &all).unwrap();
        }
        (1..80_000).for_each(|place| batches.release(place));
        assert_eq!(batches.held.len(), 1);
        assert_eq!(batches.gather(&[0]).unwrap(), batch(0..1));
        let odd = BooleanBuffer::collect_bool(10, |row| row % 2 == 1);
        let first = batches.push(&batch(0..10), &odd).unwrap();
        assert_eq!((first, batches.gather(&[first + 2, 0]).unwrap().num_rows()), (80_000, 2));
    }
}
