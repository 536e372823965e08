//! Rows that are certain at a time which they name themselves. A filter that asks of a row ahead whether it comes by a
//! deadline of the answered row, `heard_at IS NULL OR heard_at > time + …`, is true when the deadline is over and no row
//! came: the window is told so, and the row does not wait to the end of the frame, which is only how far a deadline may
//! lie ahead.
//!
//! Rows are then decided in another order than that of log time. So it is done for the topmost windows alone, for one
//! whose answer nobody sees, and windows that look back are answered below it.

use std::sync::Arc;

use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable, Extension, Filter, LogicalPlan, Operator, Projection, Window,
};

use super::bounded::held_expressions;
use super::lineage;
use crate::window::frame::Frame;
use crate::window::{Deadline, KeyedWindowNode, Named, read_call};

/// Tells the topmost windows at which time of its own each row is certain.
pub(crate) fn tell_deadlines(plan: LogicalPlan) -> LogicalPlan {
    let whole = plan.clone();
    let told = plan.transform_down(|node| match &node {
        LogicalPlan::Filter(filter) => match told(filter, &whole)? {
            // Below it are windows that look back at most.
            Some(told) => Ok(Transformed::new(told, true, TreeNodeRecursion::Stop)),
            None => Ok(Transformed::no(node)),
        },
        LogicalPlan::Extension(extension) if extension.node.as_any().is::<KeyedWindowNode>() => {
            Ok(Transformed::new(node, false, TreeNodeRecursion::Stop))
        }
        _ => Ok(Transformed::no(node)),
    });
    told.map_or(whole, |told| told.data)
}

/// A filter whose windows have been told; `None` if it has no deadline for them.
fn told(filter: &Filter, whole: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    if let LogicalPlan::Projection(projection) = filter.input.as_ref()
        && projection.expr.iter().all(|expr| matches!(expr, Expr::Column(_)))
    {
        // It only leaves columns out, so that the filter can as well stand below it.
        let below = Filter::try_new(filter.predicate.clone(), projection.input.clone())?;
        let Some(below) = told(&below, whole)? else { return Ok(None) };
        let projection = Projection::try_new(projection.expr.clone(), Arc::new(below))?;
        return Ok(Some(LogicalPlan::Projection(projection)));
    }
    let Some(input) = with_deadline(filter, whole)? else { return Ok(None) };
    Ok(Some(LogicalPlan::Filter(Filter::try_new(filter.predicate.clone(), Arc::new(input))?)))
}

/// The windows right below a filter, if it asks one of them for a deadline.
fn with_deadline(filter: &Filter, whole: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    let LogicalPlan::Extension(extension) = filter.input.as_ref() else { return Ok(None) };
    let Some(windows) = extension.node.as_any().downcast_ref::<KeyedWindowNode>() else { return Ok(None) };
    let conjuncts = split_conjunction(&filter.predicate);
    for (number, conjunct) in conjuncts.iter().enumerate() {
        let Some((column, time, is_inclusive)) = comes_later(conjunct) else { continue };
        let others = conjuncts.iter().enumerate().filter(|(other, _)| *other != number).map(|(_, other)| *other);
        let Some(window) = window_of(windows, &column) else { continue };
        if mentions(&time, &column.name)
            || others.into_iter().any(|other| mentions(other, &column.name))
            || is_asked_elsewhere(whole, &column.name, &filter.predicate)
            || !can_wait(windows, window, &time)?
        {
            continue;
        }
        return part(windows, Deadline { window, time, is_inclusive }).map(Some);
    }
    Ok(None)
}

/// `x IS NULL OR x > time`: the column, the time, and whether the time itself is in time.
fn comes_later(predicate: &Expr) -> Option<(Column, Expr, bool)> {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) = predicate else { return None };
    let ((Expr::IsNull(null), compared) | (compared, Expr::IsNull(null))) = (left.as_ref(), right.as_ref()) else {
        return None;
    };
    let (Expr::Column(column), Expr::BinaryExpr(BinaryExpr { left, op, right })) = (null.as_ref(), compared) else {
        return None;
    };
    let (time, op) = match (left.as_ref(), right.as_ref()) {
        (Expr::Column(one), time) if one == column => (time, *op),
        (time, Expr::Column(one)) if one == column => (time, op.swap()?),
        _ => return None,
    };
    match op {
        Operator::Gt => Some((column.clone(), time.clone(), true)),
        Operator::GtEq => Some((column.clone(), time.clone(), false)),
        _ => None,
    }
}

/// The number of the window that a column is.
fn window_of(windows: &KeyedWindowNode, column: &Column) -> Option<usize> {
    let index = windows.schema.maybe_index_of_column(column)?;
    index.checked_sub(windows.input.schema().fields().len())
}

/// Whether it is the least log time of rows ahead, the only window that looks ahead, and the time one that each row of
/// the input can name.
fn can_wait(windows: &KeyedWindowNode, window: usize, time: &Expr) -> Result<bool> {
    let input = &windows.input;
    for (number, expr) in windows.windows.iter().enumerate() {
        let Ok(call) = read_call(expr) else { return Ok(false) };
        if number != window {
            if call.frame.following_ns() > 0 {
                return Ok(false);
            }
            continue;
        }
        let [Expr::Column(argument)] = call.arguments.as_slice() else { return Ok(false) };
        let index = input.schema().maybe_index_of_column(argument);
        let is_log_time = index.and_then(|index| lineage::base_of(input, index)).is_some_and(|base| base == "time");
        let is_ahead = matches!(call.frame, Frame::Range { start_ns: Some(1..), .. });
        if call.named != Named::Min || !is_log_time || !is_ahead {
            return Ok(false);
        }
    }
    let is_of_row = time.column_refs().into_iter().all(|column| input.schema().maybe_index_of_column(column).is_some());
    let log_time = windows.schema.field(input.schema().fields().len() + window).data_type();
    Ok(is_of_row && time.get_type(input.schema())? == *log_time)
}

fn mentions(expr: &Expr, name: &str) -> bool {
    expr.column_refs().into_iter().any(|column| column.name == name)
}

/// Whether anything but that predicate asks for the column of that name.
fn is_asked_elsewhere(plan: &LogicalPlan, name: &str, predicate: &Expr) -> bool {
    let mut asked = plan.schema().fields().iter().any(|field| field.name() == name);
    // Nothing in it fails.
    let _ = plan.apply(|node| {
        node.apply_expressions(|expr| {
            asked |= !matches!(expr, Expr::Column(_)) && expr != predicate && mentions(expr, name);
            Ok(TreeNodeRecursion::Continue)
        })?;
        asked |= held_expressions(node).into_iter().any(|expr| mentions(expr, name));
        Ok(TreeNodeRecursion::Continue)
    });
    asked
}

/// The windows with the deadline; those that look back by log time are answered below, since their rows come in another
/// order here.
fn part(windows: &KeyedWindowNode, deadline: Deadline) -> Result<LogicalPlan> {
    let extension = |node: KeyedWindowNode| LogicalPlan::Extension(Extension { node: Arc::new(node) });
    let looks_back = |number: usize| {
        let frame = read_call(&windows.windows[number]).ok().map(|call| call.frame);
        number != deadline.window && matches!(frame, Some(Frame::Range { .. }))
    };
    let (below, own): (Vec<usize>, Vec<usize>) = (0..windows.windows.len()).partition(|number| looks_back(*number));
    if below.is_empty() {
        return Ok(extension(KeyedWindowNode { deadline: Some(deadline), ..windows.clone() }));
    }
    let some = |numbers: &[usize], input: LogicalPlan, anchor: Option<Expr>, deadline: Option<Deadline>| {
        let exprs = numbers.iter().map(|number| windows.windows[*number].clone()).collect();
        let window = Window::try_new(exprs, Arc::new(input.clone()))?;
        let enough = numbers.iter().map(|number| windows.enough.get(*number).copied().flatten()).collect();
        let (windows, schema, lag_ns) = (window.window_expr, window.schema, windows.lag_ns);
        Ok::<_, datafusion::error::DataFusionError>(extension(KeyedWindowNode {
            input,
            windows,
            anchor,
            schema,
            lag_ns,
            enough,
            rejected_at: Vec::new(),
            deadline,
        }))
    };
    let place = own.iter().position(|number| *number == deadline.window).unwrap_or_default();
    let lower = some(&below, windows.input.clone(), None, None)?;
    let upper = some(&own, lower, windows.anchor.clone(), Some(Deadline { window: place, ..deadline }))?;
    let columns = windows.schema.columns().into_iter().map(Expr::Column).collect();
    Ok(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(upper))?))
}
