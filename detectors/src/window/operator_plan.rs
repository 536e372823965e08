//! What the operator is planned with: its rings, their functions with their frames, and the columns that it reads.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::NullTreatment;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};
use datafusion::physical_expr::PhysicalExprRef;

use super::call::{Named, Refusal, WindowCall, read_call};
use super::frame::Frame;
use super::node::KeyedWindowNode;
use crate::aggregate::Factory;
use crate::limits::RING_CALLS_MAX;
use crate::plan::lineage;

/// What is computed over a frame.
#[derive(Clone, Debug)]
pub(crate) enum Function {
    Count,
    CountDistinct,
    Sum,
    Average,
    Min,
    Max,
    /// The value of the row with that number in the frame, from 0: `first_value`, `nth_value`, and `lag`, which is the
    /// first of a frame of one row.
    Nth(usize),
    Last,
    /// An aggregate of [`crate::aggregate`].
    Other(Arc<Factory>),
}

/// One function of a ring.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) function: Function,
    /// Whether a row whose argument is null counts.
    pub(crate) counts_nulls: bool,
    pub(crate) ignore_nulls: bool,
    pub(crate) arguments: Vec<DataType>,
    pub(crate) output: DataType,
    /// The count beyond which nothing is asked.
    pub(crate) enough: Option<u32>,
    /// The count at which a filter above rejects the row, whatever else it has.
    pub(crate) rejected_at: Option<u32>,
    /// Whether its answer matters to nobody: when a row is decided is all that is asked of it.
    pub(crate) is_deadline: bool,
    /// Which of the operator's window columns it fills.
    pub(crate) column: usize,
}

/// One window column as planned.
#[derive(Clone, Debug)]
pub(crate) struct CallPlan {
    pub(crate) call: Call,
    pub(crate) frame: Frame,
    pub(crate) arguments: Vec<PhysicalExprRef>,
    pub(crate) filter: Option<PhysicalExprRef>,
}

/// How long a key is kept. Frames that differ in it do not share a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// While its last row is in reach of a frame.
    InReach,
    /// For good: a frame without a start.
    ForGood,
    /// For good, with its last rows: `ROWS`.
    ByRows,
}

impl Keeping {
    fn of(frame: Frame) -> Keeping {
        match frame {
            Frame::Rows { .. } => Keeping::ByRows,
            Frame::Range { start_ns: None, .. } => Keeping::ForGood,
            Frame::Range { .. } => Keeping::InReach,
        }
    }
}

/// One ring as planned: the windows of an operator that share a partition key.
#[derive(Clone, Debug)]
pub(crate) struct RingPlan {
    /// The key as SQL, for people.
    pub(crate) shown: String,
    pub(crate) keeping: Keeping,
    /// Without the system, which every key begins with.
    pub(crate) partition_by: Vec<PhysicalExprRef>,
    pub(crate) calls: Vec<CallPlan>,
}

/// An operator as planned.
#[derive(Clone, Debug)]
pub(crate) struct OperatorPlan {
    pub(crate) rings: Vec<RingPlan>,
    /// Which rows are answered and held; without it, all.
    pub(crate) anchor: Option<PhysicalExprRef>,
    /// When each row is certain, where that is not at the end of the frames; and whether a row at that very time comes
    /// in time.
    pub(crate) deadline: Option<(PhysicalExprRef, bool)>,
    pub(crate) system_column: usize,
    pub(crate) time_column: usize,
    pub(crate) source_column: usize,
    pub(crate) input: SchemaRef,
    pub(crate) output: SchemaRef,
    /// Nanoseconds by which the operators below lag behind the log.
    pub(crate) lag_ns: i64,
}

impl OperatorPlan {
    /// Nanoseconds that a row waits here.
    pub(crate) fn following_ns(&self) -> i64 {
        let frames = self.rings.iter().flat_map(|ring| &ring.calls).map(|call| call.frame.following_ns());
        frames.max().unwrap_or(0)
    }
}

/// Turns a logical expression over a node's input into a physical one.
pub(crate) type ToPhysical<'a> = dyn Fn(&Expr) -> Result<PhysicalExprRef> + 'a;

/// Plans the operator of a node.
pub(crate) fn plan_operator(
    node: &KeyedWindowNode,
    input: &LogicalPlan,
    physical: &ToPhysical<'_>,
) -> Result<OperatorPlan> {
    let schema = input.schema();
    let mut rings: Vec<(Vec<Expr>, RingPlan)> = Vec::new();
    for (column, expr) in node.windows.iter().enumerate() {
        let call = read_call(expr).map_err(|refusal| refused(&refusal))?;
        let keys = &call.window.params.partition_by;
        let planned = plan_call(node, &call, column, input, physical)?;
        let keeping = Keeping::of(call.frame);
        let shared = rings
            .iter_mut()
            .find(|(other, ring)| other == keys && ring.keeping == keeping && ring.calls.len() < RING_CALLS_MAX);
        if let Some((_, ring)) = shared {
            ring.calls.push(planned);
            continue;
        }
        let partition_by = keys.iter().skip(1).map(physical).collect::<Result<_>>()?;
        let shown = keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        rings.push((keys.clone(), RingPlan { shown, keeping, partition_by, calls: vec![planned] }));
    }
    let column = |base: &str| {
        lineage::column_of(input, base)
            .ok_or_else(|| DataFusionError::Plan(format!("a window's input has lost the column `{base}`")))
    };
    Ok(OperatorPlan {
        rings: rings.into_iter().map(|(_, ring)| ring).collect(),
        anchor: node.anchor.as_ref().map(physical).transpose()?,
        deadline: match &node.deadline {
            Some(deadline) => Some((physical(&deadline.time)?, deadline.is_inclusive)),
            None => None,
        },
        system_column: column("system")?,
        time_column: column("time")?,
        source_column: column("source")?,
        input: schema.inner().clone(),
        output: node.schema.inner().clone(),
        lag_ns: node.lag_ns,
    })
}

fn plan_call(
    node: &KeyedWindowNode,
    call: &WindowCall<'_>,
    column: usize,
    input: &LogicalPlan,
    physical: &ToPhysical<'_>,
) -> Result<CallPlan> {
    let schema = input.schema();
    let types = call.arguments.iter().map(|argument| argument.get_type(schema)).collect::<Result<Vec<_>>>()?;
    let output = node.schema.field(schema.fields().len() + column).data_type().clone();
    let function = match call.named {
        Named::Count | Named::RowNumber => Function::Count,
        Named::CountDistinct => Function::CountDistinct,
        Named::Sum => Function::Sum,
        Named::Average => Function::Average,
        Named::Min => Function::Min,
        Named::Max => Function::Max,
        Named::Nth | Named::Lag => Function::Nth(call.nth),
        Named::Last => Function::Last,
        Named::Other => Function::Other(Arc::new(call.factory(schema).map_err(|refusal| refused(&refusal))?)),
    };
    let params = &call.window.params;
    let ignore_nulls = params.null_treatment == Some(NullTreatment::IgnoreNulls);
    let counts_nulls = call.named.respects_nulls() && !ignore_nulls;
    let of_column = |counts: &[Option<u32>]| counts.get(column).copied().flatten();
    let (enough, rejected_at) = (of_column(&node.enough), of_column(&node.rejected_at));
    let is_deadline = node.deadline.as_ref().is_some_and(|deadline| deadline.window == column);
    Ok(CallPlan {
        call: Call {
            function,
            counts_nulls,
            ignore_nulls,
            arguments: types,
            output,
            enough,
            rejected_at,
            is_deadline,
            column,
        },
        frame: call.frame,
        arguments: call.arguments.iter().map(physical).collect::<Result<_>>()?,
        filter: params.filter.as_deref().map(physical).transpose()?,
    })
}

fn refused((construct, instead): &Refusal) -> DataFusionError {
    DataFusionError::Plan(format!("{construct}: {instead}"))
}
