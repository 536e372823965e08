//! One window expression taken apart: the function, its frame, its arguments; and what the operator is planned with.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::DFSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::{NullTreatment, WindowFunction};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, WindowFunctionDefinition};
use datafusion::physical_expr::PhysicalExprRef;
use datafusion::scalar::ScalarValue;

use super::frame::Frame;
use super::node::KeyedWindowNode;
use crate::aggregate::{self, Factory};
use crate::limits::{FRAME_ROWS_MAX, RING_CALLS_MAX};
use crate::plan::lineage;

/// A construct that is not part of the language, and what to write instead.
pub(crate) type Refusal = (String, String);

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

/// A function as its name says, before its types are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Count,
    CountDistinct,
    Sum,
    Average,
    Min,
    Max,
    Nth,
    Last,
    Lag,
    RowNumber,
    Other,
}

impl Named {
    /// Whether it adds its arguments up.
    pub(crate) fn adds_up(self) -> bool {
        matches!(self, Named::Sum | Named::Average)
    }

    fn respects_nulls(self) -> bool {
        matches!(self, Named::Nth | Named::Last | Named::Lag | Named::Other)
    }
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

/// One window expression taken apart.
pub(crate) struct WindowCall<'a> {
    pub(crate) named: Named,
    pub(crate) frame: Frame,
    pub(crate) arguments: Vec<Expr>,
    pub(crate) window: &'a WindowFunction,
    nth: usize,
}

impl WindowCall<'_> {
    /// What computes a function that the operator has no state of its own for.
    ///
    /// # Errors
    /// As [`read_call`], for types, literals and frames that it is not made for.
    pub(crate) fn factory(&self, schema: &DFSchema) -> Result<Factory, Refusal> {
        let name = self.window.fun.name();
        let WindowFunctionDefinition::AggregateUDF(function) = &self.window.fun else {
            return Err(unknown_function(name, false));
        };
        let unknown = |error: DataFusionError| (format!("{name} OVER"), error.strip_backtrace());
        let types = self.arguments.iter().map(|argument| argument.get_type(schema));
        let types = types.collect::<Result<Vec<_>>>().map_err(unknown)?;
        let output = function.return_type(&types).map_err(unknown)?;
        let literals: Vec<Option<ScalarValue>> = self.arguments.iter().map(literal_value).collect();
        let distinct = self.window.params.distinct;
        let factory = aggregate::sliding(name, distinct, &types, &literals, &output)
            .unwrap_or_else(|| aggregate::adapt(function, distinct, &types, &literals, &output))?;
        match factory.refuse_frame(name, self.frame.is_unbounded()) {
            Some(refusal) => Err(refusal),
            None => Ok(factory),
        }
    }
}

/// Takes a window expression apart.
///
/// # Errors
/// The construct that is not part of the language and what to write instead.
pub(crate) fn read_call(expr: &Expr) -> Result<WindowCall<'_>, Refusal> {
    let Expr::WindowFunction(window) = unalias(expr) else {
        return Err((format!("`{expr}` as a window"), "use an aggregate with OVER (…)".to_owned()));
    };
    let named = read_function(window)?;
    let params = &window.params;
    let frame = || Frame::read(&params.window_frame).map_err(|refused| (refused.construct, refused.instead));
    let one = || Expr::Literal(ScalarValue::Int64(Some(1)), None);
    let mut call = WindowCall { named, frame: Frame::SO_FAR, arguments: params.args.clone(), window, nth: 0 };
    match named {
        Named::RowNumber => call.arguments = vec![one()],
        Named::Lag => {
            let rows = read_lag(&params.args)?;
            call.arguments.truncate(1);
            call.frame = Frame::Rows { start: Some(rows), end: rows };
            if params.null_treatment == Some(NullTreatment::IgnoreNulls) {
                (call.named, call.frame) = last_before(rows)?;
            }
        }
        Named::Nth => {
            call.frame = frame()?;
            call.nth = read_nth(&params.args)?;
            call.arguments.truncate(1);
        }
        _ => call.frame = frame()?,
    }
    if named != Named::Other && call.arguments.len() > 1 {
        let instead = "give it one; rows that differ in several columns are counted by their text, a || ' ' || b";
        return Err((format!("{} of several arguments", window.fun.name()), instead.to_owned()));
    }
    if call.arguments.is_empty() {
        call.arguments.push(one());
    }
    if call.frame.is_unbounded() && named == Named::CountDistinct {
        let instead = "its state would grow for ever: bound the frame, e.g. RANGE BETWEEN INTERVAL '7 days' PRECEDING AND CURRENT ROW";
        return Err(("count(DISTINCT …) over UNBOUNDED PRECEDING".to_owned(), instead.to_owned()));
    }
    Ok(call)
}

/// The function of a window.
///
/// # Errors
/// As [`read_call`], for a function that is not part of the language.
pub(crate) fn read_function(window: &WindowFunction) -> Result<Named, Refusal> {
    let name = window.fun.name().to_lowercase();
    let is_aggregate = matches!(window.fun, WindowFunctionDefinition::AggregateUDF(_));
    Ok(match (name.as_str(), window.params.distinct) {
        ("count", true) => Named::CountDistinct,
        ("count", false) => Named::Count,
        ("sum", false) => Named::Sum,
        ("avg", false) => Named::Average,
        ("min", _) => Named::Min,
        ("max", _) => Named::Max,
        ("first_value" | "nth_value", false) => Named::Nth,
        ("last_value", false) => Named::Last,
        ("lag", false) => Named::Lag,
        // Log time is unique within a system, so that no two rows share a rank.
        ("row_number" | "rank" | "dense_rank", false) => Named::RowNumber,
        ("lead", _) => {
            let instead = "an idle key would wait for ever: use first_value(x) with RANGE BETWEEN INTERVAL '1 nanosecond' FOLLOWING AND INTERVAL '…' FOLLOWING";
            return Err(("lead".to_owned(), instead.to_owned()));
        }
        ("percent_rank" | "cume_dist" | "ntile", _) => {
            let instead = "it needs the end of the key's rows, and a log has none: count(*) OVER (… RANGE …) gives the place so far";
            return Err((name, instead.to_owned()));
        }
        _ if is_aggregate => Named::Other,
        (_, distinct) => return Err(unknown_function(&name, distinct)),
    })
}

fn read_lag(arguments: &[Expr]) -> Result<u64, Refusal> {
    match arguments {
        [_] => Ok(1),
        [_, Expr::Literal(rows, _)] => literal(rows)
            .and_then(|rows| u64::try_from(rows).ok())
            .filter(|rows| (1..=FRAME_ROWS_MAX).contains(rows))
            .ok_or_else(|| ("lag by that many rows".to_owned(), format!("lag by 1 to {FRAME_ROWS_MAX} rows"))),
        _ => Err(("lag with a default".to_owned(), "wrap it: coalesce(lag(x), default)".to_owned())),
    }
}

/// `lag` over the rows that have a value: the last of them before the row.
fn last_before(rows: u64) -> Result<(Named, Frame), Refusal> {
    if rows == 1 {
        return Ok((Named::Last, Frame::Range { start_ns: None, end_ns: -1 }));
    }
    let instead = "lag by one row, or put WHERE x IS NOT NULL below the window";
    Err((format!("lag by {rows} rows that IGNOREs NULLS"), instead.to_owned()))
}

fn read_nth(arguments: &[Expr]) -> Result<usize, Refusal> {
    match arguments {
        [_] => Ok(0),
        [_, Expr::Literal(row, _)] => literal(row)
            .and_then(|row| usize::try_from(row).ok())
            .filter(|row| (1..=crate::limits::NTH_MAX).contains(row))
            .map(|row| row - 1)
            .ok_or_else(|| ("nth_value of that row".to_owned(), "count from 1, to at most 1000".to_owned())),
        _ => Err(("nth_value of a computed row".to_owned(), "write the number itself".to_owned())),
    }
}

fn literal_value(expr: &Expr) -> Option<ScalarValue> {
    match expr {
        Expr::Literal(value, _) => Some(value.clone()),
        Expr::Cast(cast) => literal_value(&cast.expr)?.cast_to(cast.field.data_type()).ok(),
        _ => None,
    }
}

fn literal(value: &ScalarValue) -> Option<i64> {
    match value.cast_to(&DataType::Int64) {
        Ok(ScalarValue::Int64(number)) => number,
        _ => None,
    }
}

fn unknown_function(name: &str, distinct: bool) -> Refusal {
    let shown = if distinct { format!("{name}(DISTINCT …) OVER") } else { format!("{name} OVER") };
    let instead = "use count, count(DISTINCT), sum, avg, min, max, first_value, last_value, nth_value, lag, row_number, stddev, var, bool_and, bool_or, string_agg, array_agg, or a baseline (docs/functions.md)";
    (shown, instead.to_owned())
}

pub(crate) fn unalias(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => unalias(&alias.expr),
        other => other,
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
