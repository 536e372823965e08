//! What the windows of several rules ask of the same columns in one run: the first that asks makes it, the others find it.
//!
//! It holds for one run and remembers nothing of a rule: of what a column means it knows where it lies in memory.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, UInt32Array};
use datafusion::error::Result;

use super::batch_keys::BatchKeys;
use super::value::Column;
use crate::limits::{SHARED_KEYS_MAX, TAKEN_SHARE};

/// The keys that were written in one run, and where columns come from. Columns are known by their place in memory, and
/// held here so that no other takes it.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    known: Mutex<Vec<Known>>,
    taken: Mutex<Vec<Taken>>,
}

#[derive(Debug)]
struct Known {
    columns: Vec<ArrayRef>,
    told_apart: bool,
    keys: Arc<BatchKeys>,
}

/// A column that holds some rows of another one.
#[derive(Clone, Debug)]
struct Taken {
    column: ArrayRef,
    whole: ArrayRef,
    rows: UInt32Array,
}

impl Shared {
    /// Notes that `column` holds those rows of `whole`.
    pub(crate) fn took(&self, column: &ArrayRef, whole: &ArrayRef, rows: &UInt32Array) {
        let taken = Taken { column: column.clone(), whole: whole.clone(), rows: rows.clone() };
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).push(taken);
    }

    /// The keys of rows by those columns.
    ///
    /// # Errors
    /// A column of a type that no key has.
    pub(super) fn keys(&self, columns: &[ArrayRef], rows: usize) -> Result<Arc<BatchKeys>> {
        self.find(columns, rows, false)
    }

    /// The keys of rows by one column of which there are few; each different one has a number.
    ///
    /// # Errors
    /// As [`Shared::keys`].
    pub(super) fn names(&self, column: &ArrayRef) -> Result<Arc<BatchKeys>> {
        self.find(std::slice::from_ref(column), column.len(), true)
    }

    fn find(&self, columns: &[ArrayRef], rows: usize, told_apart: bool) -> Result<Arc<BatchKeys>> {
        let is_it = |known: &&Known| {
            // Rows with no columns, which make up one key, are only told from others by their number.
            known.keys.rows() == rows
                && known.told_apart == told_apart
                && known.columns.len() == columns.len()
                && known.columns.iter().zip(columns).all(|(one, other)| is_same(one, other))
        };
        if let Some(known) = self.known.lock().unwrap_or_else(PoisonError::into_inner).iter().find(is_it) {
            return Ok(Arc::clone(&known.keys));
        }
        let keys = Arc::new(self.make(columns, rows, told_apart)?);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < SHARED_KEYS_MAX {
            known.push(Known { columns: columns.to_vec(), told_apart, keys: Arc::clone(&keys) });
        }
        Ok(keys)
    }

    fn make(&self, columns: &[ArrayRef], rows: usize, told_apart: bool) -> Result<BatchKeys> {
        if let Some((wholes, taken)) = self.wholes(columns) {
            let whole = wholes.first().map_or(0, |column| column.len());
            // Most rows: another rule, which looks at other kinds, probably asks for the same columns.
            if rows * TAKEN_SHARE >= whole {
                return Ok(self.find(&wholes, whole, told_apart)?.take(&taken));
            }
        }
        let columns: Vec<Column> = columns.iter().map(Column::read).collect::<Result<_>>()?;
        Ok(if told_apart { BatchKeys::told_apart(&columns, rows) } else { BatchKeys::of_rows(&columns, rows) })
    }

    /// The columns that all of these were taken from, if it was by the same rows.
    fn wholes(&self, columns: &[ArrayRef]) -> Option<(Vec<ArrayRef>, UInt32Array)> {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let origin = |column: &ArrayRef| taken.iter().find(|taken| is_same(&taken.column, column));
        let first = origin(columns.first()?)?;
        let place = first.rows.values().as_ptr();
        let whole = |column: &ArrayRef| {
            origin(column).filter(|taken| taken.rows.values().as_ptr() == place).map(|taken| taken.whole.clone())
        };
        Some((columns.iter().map(whole).collect::<Option<_>>()?, first.rows.clone()))
    }
}

fn is_same(one: &ArrayRef, other: &ArrayRef) -> bool {
    std::ptr::addr_eq(Arc::as_ptr(one), Arc::as_ptr(other))
}

#[cfg(test)]
mod tests {
    use arrow::array::StringViewArray;
    use arrow::compute::take;

    use super::*;

    fn texts(texts: [Option<&str>; 6]) -> ArrayRef {
        Arc::new(texts.into_iter().collect::<StringViewArray>())
    }

    #[test]
    fn different_keys_differ_and_are_written_once() {
        let shared = Shared::default();
        let system = texts([Some("a"), Some("a"), Some("b"), Some("a"), Some("b"), None]);
        let session = texts([Some("s"), Some("s"), None, Some("s"), Some(""), Some("t")]);
        let names = shared.names(&system).unwrap();
        let numbers: Vec<usize> = (0..6).map(|row| names.number(row)).collect();
        assert_eq!((numbers, names.text(1), names.text(2)), (vec![0, 0, 1, 0, 1, 2], "b", ""));
        let columns = [system, session];
        let keys = shared.keys(&columns, 6).unwrap();
        let bytes: Vec<&[u8]> = (0..6).map(|row| keys.key(keys.number(row)).bytes).collect();
        assert_eq!((bytes[0], bytes[0], keys.len()), (bytes[1], bytes[3], 5), "neighbours share a number");
        let different: std::collections::BTreeSet<&[u8]> = bytes.iter().copied().collect();
        assert_eq!(different.len(), 4);
        assert!(Arc::ptr_eq(&keys, &shared.keys(&columns, 6).unwrap()));
    }

    #[test]
    fn keys_of_some_rows_are_those_of_all() {
        let shared = Shared::default();
        let long = "q".repeat(200);
        let whole = texts([Some("p"), Some(&long), Some("p"), None, Some(&long), Some("r")]);
        let rows = UInt32Array::from(vec![1, 2, 3, 4]);
        let some = take(&whole, &rows, None).unwrap();
        shared.took(&some, &whole, &rows);
        let names = shared.names(&some).unwrap();
        let texts: Vec<&str> = (0..4).map(|row| names.text(names.number(row))).collect();
        assert_eq!((texts, names.len()), (vec![&long, "p", "", &long], 4), "the whole column was told apart");
    }
}
