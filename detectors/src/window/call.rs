//! One window expression taken apart: the function, its frame, its arguments. What the operator is planned with stands in
//! `operator_plan`.

use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::{NullTreatment, WindowFunction};
use datafusion::logical_expr::{Expr, ExprSchemable, WindowFunctionDefinition};
use datafusion::scalar::ScalarValue;

use super::frame::Frame;
use crate::aggregate::{self, Factory};
use crate::limits::FRAME_ROWS_MAX;

/// A construct that is not part of the language, and what to write instead.
pub(crate) type Refusal = (String, String);

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

    /// Whether it has a say in what becomes of nulls.
    pub(super) fn respects_nulls(self) -> bool {
        matches!(self, Named::Nth | Named::Last | Named::Lag | Named::Other)
    }
}

/// One window expression taken apart.
pub(crate) struct WindowCall<'a> {
    pub(crate) named: Named,
    pub(crate) frame: Frame,
    pub(crate) arguments: Vec<Expr>,
    pub(crate) window: &'a WindowFunction,
    /// Which row, from 0, where the function asks for one.
    pub(super) nth: usize,
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
