//! The logical node that takes the place of `LogicalPlan::Window` after the last optimizer rule.

use std::cmp::Ordering;
use std::fmt;

use datafusion::common::DFSchemaRef;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};

/// What a filter above asks of a window: that none of its rows comes by a time that the answered row names itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Deadline {
    /// Which of the windows: the least log time of rows ahead. Nothing else asks for it.
    pub(crate) window: usize,
    /// The time, over a row of the input.
    pub(crate) time: Expr,
    /// Whether a row at that very time comes in time.
    pub(crate) is_inclusive: bool,
}

/// Windows over one input, answered for the rows that satisfy `anchor`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct KeyedWindowNode {
    pub(crate) input: LogicalPlan,
    pub(crate) windows: Vec<Expr>,
    pub(crate) anchor: Option<Expr>,
    pub(crate) schema: DFSchemaRef,
    /// Nanoseconds by which the operators below lag behind the log.
    pub(crate) lag_ns: i64,
    /// For each window the count beyond which nothing is asked of it; empty when that is not known.
    pub(crate) enough: Vec<Option<u32>>,
    /// For each window the count at which a filter above rejects a row, whatever else it has; empty when that is not known.
    pub(crate) rejected_at: Vec<Option<u32>>,
    /// When each row is certain, where that is not at the end of the frames.
    pub(crate) deadline: Option<Deadline>,
}

impl PartialOrd for KeyedWindowNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self == other).then_some(Ordering::Equal)
    }
}

impl UserDefinedLogicalNodeCore for KeyedWindowNode {
    #[expect(clippy::unnecessary_literal_bound, reason = "the signature is the trait's")]
    fn name(&self) -> &str {
        "KeyedWindow"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    /// None: the node is made after the optimizer, and nothing may rewrite what it holds.
    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyedWindow: windows=[")?;
        for (index, window) in self.windows.iter().enumerate() {
            write!(f, "{}{window}", if index > 0 { ", " } else { "" })?;
            if let Some(Some(enough)) = self.enough.get(index) {
                write!(f, " (counted to {enough})")?;
            }
            if let Some(Some(count)) = self.rejected_at.get(index) {
                write!(f, " (rejected at {count})")?;
            }
        }
        write!(f, "]")?;
        if let Some(Deadline { time, is_inclusive, .. }) = &self.deadline {
            write!(f, ", certain {} {time}", if *is_inclusive { "at" } else { "just before" })?;
        }
        match &self.anchor {
            Some(anchor) => write!(f, ", answers where {anchor}"),
            None => Ok(()),
        }
    }

    fn with_exprs_and_inputs(&self, _exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        Ok(KeyedWindowNode { input: inputs.swap_remove(0), ..self.clone() })
    }
}
