//! The logical node that takes the place of a `LogicalPlan::Join` with an inventory table.

use std::cmp::Ordering;
use std::fmt;

use datafusion::common::DFSchemaRef;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};

/// What happens to an event without a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum LookupKind {
    /// It is dropped.
    Inner,
    /// It is kept, with nulls.
    Left,
}

/// A lookup of `input` (events) in `table` (a plan over one inventory table).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LookupNode {
    pub(crate) input: LogicalPlan,
    pub(crate) table: LogicalPlan,
    /// Pairs that must be equal: over the events, over the table.
    pub(crate) on: Vec<(Expr, Expr)>,
    pub(crate) filter: Option<Expr>,
    pub(crate) kind: LookupKind,
    /// Whether the events' columns come first in the output.
    pub(crate) events_first: bool,
    /// Whether an event has at most one match.
    pub(crate) unique: bool,
    pub(crate) schema: DFSchemaRef,
}

impl LookupNode {
    /// Which column of the events output column `index` is.
    pub(crate) fn events_column(&self, index: usize) -> Option<usize> {
        let events = self.input.schema().fields().len();
        let before = if self.events_first { 0 } else { self.table.schema().fields().len() };
        index.checked_sub(before).filter(|column| *column < events)
    }
}

impl PartialOrd for LookupNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self == other).then_some(Ordering::Equal)
    }
}

impl UserDefinedLogicalNodeCore for LookupNode {
    #[expect(clippy::unnecessary_literal_bound, reason = "the signature is the trait's")]
    fn name(&self) -> &str {
        "InventoryLookup"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input, &self.table]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    /// None: the node is made after the optimizer, and nothing may rewrite what it holds.
    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InventoryLookup: {:?} on ", self.kind)?;
        for (index, (event, table)) in self.on.iter().enumerate() {
            write!(f, "{}{event} = {table}", if index > 0 { " and " } else { "" })?;
        }
        match &self.filter {
            Some(filter) => write!(f, ", where {filter}"),
            None => Ok(()),
        }
    }

    fn with_exprs_and_inputs(&self, _exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        let table = inputs.swap_remove(1);
        Ok(LookupNode { input: inputs.swap_remove(0), table, ..self.clone() })
    }
}
