//! Filters that are certain before a frame ahead is over. `WHERE heard = 0` above a count that looks ahead is false for
//! good as soon as one row is counted: the window is told so, and such a row does not wait for the rest of its frame.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::expr::Between;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Extension, Filter, LogicalPlan, Operator, Projection};
use datafusion::scalar::ScalarValue;

use crate::limits::COUNTED_MAX;
use crate::window::{KeyedWindowNode, Named, read_call};

/// Tells each window node at which counts the filter right above it rejects a row.
pub(crate) fn tell_rejected(plan: LogicalPlan) -> LogicalPlan {
    let whole = plan.clone();
    let told = plan.transform_down(|node| {
        let LogicalPlan::Filter(filter) = &node else { return Ok(Transformed::no(node)) };
        let fewer: Vec<(Column, u32)> =
            split_conjunction(&filter.predicate).into_iter().filter_map(fewer_than).collect();
        Ok(match tell(&filter.input, &fewer)? {
            Some(input) => {
                Transformed::yes(LogicalPlan::Filter(Filter::try_new(filter.predicate.clone(), Arc::new(input))?))
            }
            None => Transformed::no(node),
        })
    });
    told.map_or(whole, |told| told.data)
}

/// The windows below with what is said of their columns; `None` when nothing is.
fn tell(plan: &LogicalPlan, fewer: &[(Column, u32)]) -> Result<Option<LogicalPlan>> {
    if fewer.is_empty() {
        return Ok(None);
    }
    match plan {
        LogicalPlan::Projection(projection) => {
            let below = |(column, count): &(Column, u32)| {
                let index = projection.schema.maybe_index_of_column(column)?;
                Some((passed_on(projection.expr.get(index)?)?, *count))
            };
            let fewer: Vec<(Column, u32)> = fewer.iter().filter_map(below).collect();
            let Some(input) = tell(&projection.input, &fewer)? else { return Ok(None) };
            Ok(Some(LogicalPlan::Projection(Projection::try_new(projection.expr.clone(), Arc::new(input))?)))
        }
        LogicalPlan::Extension(extension) => {
            let Some(windows) = extension.node.as_any().downcast_ref::<KeyedWindowNode>() else { return Ok(None) };
            let node = KeyedWindowNode { rejected_at: rejected_at(windows, fewer), ..windows.clone() };
            Ok(Some(LogicalPlan::Extension(Extension { node: Arc::new(node) })))
        }
        _ => Ok(None),
    }
}

/// For each window the least count that is too many.
fn rejected_at(windows: &KeyedWindowNode, fewer: &[(Column, u32)]) -> Vec<Option<u32>> {
    let first = windows.input.schema().fields().len();
    let of_window = |(number, window): (usize, &Expr)| {
        let call = read_call(window).ok().filter(|call| call.named == Named::Count)?;
        let is_it = |column: &Column| windows.schema.maybe_index_of_column(column) == Some(first + number);
        let least = fewer.iter().filter(|(column, _)| is_it(column)).map(|(_, count)| *count).min()?;
        (call.frame.following_ns() > 0 && least <= COUNTED_MAX).then_some(least)
    };
    windows.windows.iter().enumerate().map(of_window).collect()
}

/// The column of the rows below that an output column is.
fn passed_on(expr: &Expr) -> Option<Column> {
    match expr {
        Expr::Column(column) => Some(column.clone()),
        Expr::Alias(alias) => passed_on(&alias.expr),
        _ => None,
    }
}

/// The column that has to be below a number, and that number, when a predicate says that or more.
fn fewer_than(predicate: &Expr) -> Option<(Column, u32)> {
    let (column, least) = match predicate {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (left.as_ref(), right.as_ref()) {
            (Expr::Column(column), Expr::Literal(number, _)) => (column, too_many(*op, number)?),
            (Expr::Literal(number, _), Expr::Column(column)) => (column, too_many(op.swap()?, number)?),
            _ => return None,
        },
        Expr::Between(Between { expr, negated: false, high, .. }) => match (expr.as_ref(), high.as_ref()) {
            (Expr::Column(column), Expr::Literal(number, _)) => (column, too_many(Operator::LtEq, number)?),
            _ => return None,
        },
        _ => return None,
    };
    Some((column.clone(), least))
}

/// The least count for which `count op number` is false, as it is for all greater ones; at least 1.
fn too_many(op: Operator, number: &ScalarValue) -> Option<u32> {
    if !number.data_type().is_integer() {
        return None;
    }
    let ScalarValue::Int64(Some(number)) = number.cast_to(&DataType::Int64).ok()? else { return None };
    let least = match op {
        Operator::Eq | Operator::LtEq => number.checked_add(1)?,
        Operator::Lt => number,
        _ => return None,
    };
    u32::try_from(least).ok().filter(|least| *least >= 1)
}
