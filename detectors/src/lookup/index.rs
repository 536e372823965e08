//! One version of an inventory table, indexed by the looked-up key.

use arrow::array::{ArrayRef, RecordBatch};
use arrow::row::RowConverter;
use datafusion::error::Result;
use hashbrown::HashMap;

/// Rows of a table by key.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) rows: RecordBatch,
    by_key: HashMap<Vec<u8>, Vec<usize>>,
}

impl Index {
    /// Indexes `rows` by `keys`; a row with a null in its key matches nothing.
    pub(crate) fn build(rows: RecordBatch, keys: &[ArrayRef], converter: &RowConverter) -> Result<Index> {
        let mut by_key: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
        let encoded = converter.convert_columns(keys)?;
        for row in 0..rows.num_rows() {
            if keys.iter().all(|key| key.is_valid(row)) {
                by_key.entry_ref(encoded.row(row).as_ref()).or_default().push(row);
            }
        }
        Ok(Index { rows, by_key })
    }

    /// The rows of a key.
    pub(crate) fn find(&self, key: &[u8]) -> &[usize] {
        self.by_key.get(key).map_or(&[], Vec::as_slice)
    }
}
