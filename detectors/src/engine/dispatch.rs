//! Events to the rules that can match them: by kind, once for all rules, column by column as somebody asks for it.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result};
use hashbrown::HashMap;
use keywatch_store::{Event, schema};

use super::isolation::guarded;
use crate::window::Shared;

/// The sets of kinds that rules can match.
#[derive(Debug, Default)]
pub(super) struct Dispatch {
    sets: Vec<BTreeSet<String>>,
    /// Kinds that some set names, by number from 1; 0 is every other kind.
    kinds: HashMap<String, usize>,
}

/// Events of one run, as columns.
pub(super) struct Batch<'a> {
    events: &'a [Event],
    columns: Vec<OnceLock<ArrayRef>>,
    /// For each set of kinds.
    selections: Vec<Selection>,
    /// Learns which columns hold rows of which others.
    shared: &'a Shared,
}

/// The events of a set of kinds.
struct Selection {
    /// Which; `None` for all.
    rows: Option<UInt32Array>,
    columns: Vec<OnceLock<ArrayRef>>,
}

impl Dispatch {
    /// The number of a set of kinds.
    pub(super) fn number(&mut self, kinds: &BTreeSet<String>) -> usize {
        if let Some(number) = self.sets.iter().position(|set| set == kinds) {
            return number;
        }
        for kind in kinds {
            let next = self.kinds.len() + 1;
            self.kinds.entry(kind.clone()).or_insert(next);
        }
        self.sets.push(kinds.clone());
        self.sets.len() - 1
    }

    /// Sorts the events of a run.
    pub(super) fn sort<'a>(&self, events: &'a [Event], shared: &'a Shared) -> Batch<'a> {
        let kinds: Vec<usize> = events.iter().map(|event| self.kinds.get(event.kind()).copied().unwrap_or(0)).collect();
        let selections = self.sets.iter().map(|set| Selection::new(self.rows(set, &kinds)));
        Batch { events, columns: empty_columns(), selections: selections.collect(), shared }
    }

    fn rows(&self, set: &BTreeSet<String>, kinds: &[usize]) -> Option<UInt32Array> {
        let mut is_in = vec![false; self.kinds.len() + 1];
        set.iter().filter_map(|kind| self.kinds.get(kind)).for_each(|kind| is_in[*kind] = true);
        let rows: Vec<u32> = (0..).zip(kinds).filter(|(_, kind)| is_in[**kind]).map(|(row, _)| row).collect();
        (rows.len() < kinds.len()).then(|| UInt32Array::from(rows))
    }
}

fn empty_columns() -> Vec<OnceLock<ArrayRef>> {
    schema::COLUMNS.iter().map(|_| OnceLock::new()).collect()
}

impl Selection {
    fn new(rows: Option<UInt32Array>) -> Selection {
        Selection { rows, columns: empty_columns() }
    }
}

impl Batch<'_> {
    /// Whether there are events of a set of kinds, or any at all.
    pub(super) fn has_rows(&self, set: Option<usize>) -> bool {
        self.count(set.map(|set| &self.selections[set])) > 0
    }

    /// Makes a column of all events, for who asks for it later; a problem, or a panic, is theirs to meet.
    pub(super) fn make(&self, column: usize) {
        drop(guarded(|| self.whole_column(column)));
    }

    fn count(&self, selection: Option<&Selection>) -> usize {
        selection.and_then(|selection| selection.rows.as_ref()).map_or(self.events.len(), UInt32Array::len)
    }

    /// Columns of the events of a set of kinds, or of all events; `None` when there are none.
    pub(super) fn rows(
        &self,
        set: Option<usize>,
        columns: &[usize],
        schema: &SchemaRef,
    ) -> Result<Option<RecordBatch>> {
        let selection = set.map(|set| &self.selections[set]);
        let count = self.count(selection);
        if count == 0 {
            return Ok(None);
        }
        let columns = columns.iter().map(|column| self.column(*column, selection)).collect::<Result<Vec<_>>>()?;
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(count));
        Ok(Some(RecordBatch::try_new_with_options(schema.clone(), columns, &options)?))
    }

    fn column(&self, column: usize, selection: Option<&Selection>) -> Result<ArrayRef> {
        let Some((selection, rows)) = selection.and_then(|selection| Some((selection, selection.rows.as_ref()?)))
        else {
            return self.whole_column(column);
        };
        if let Some(taken) = selection.columns[column].get() {
            return Ok(taken.clone());
        }
        let whole = self.whole_column(column)?;
        let taken = take(&whole, rows, None)?;
        let taken = selection.columns[column].get_or_init(|| taken);
        self.shared.took(taken, &whole, rows);
        Ok(taken.clone())
    }

    fn whole_column(&self, column: usize) -> Result<ArrayRef> {
        if let Some(whole) = self.columns[column].get() {
            return Ok(whole.clone());
        }
        let whole = schema::column(column, self.events).map_err(|error| DataFusionError::External(Box::new(error)))?;
        Ok(self.columns[column].get_or_init(|| whole).clone())
    }
}
