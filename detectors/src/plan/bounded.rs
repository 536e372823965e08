//! Counts of which only a few are asked for. `count(*) OVER w = 0` needs to know whether there is one, not how many:
//! a count that is only ever compared with small numbers, and shown nowhere, is as good as one that stops counting
//! there, and the last times of a key are all the state that takes.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{BinaryExpr, Expr, Extension, LogicalPlan, Operator};

use crate::limits::COUNTED_MAX;
use crate::window::KeyedWindowNode;

/// Tells each window node which of its columns may stop counting, and where.
pub(crate) fn bound_counts(plan: LogicalPlan) -> LogicalPlan {
    let whole = plan.clone();
    let bounded = plan.transform_down(|node| {
        let LogicalPlan::Extension(extension) = &node else { return Ok(Transformed::no(node)) };
        let Some(windows) = extension.node.as_any().downcast_ref::<KeyedWindowNode>() else {
            return Ok(Transformed::no(node));
        };
        let first = windows.input.schema().fields().len();
        let names = windows.schema.fields()[first..].iter().map(|field| field.name());
        let enough = names.map(|name| enough(&whole, name)).collect();
        let node = KeyedWindowNode { enough, ..windows.clone() };
        Ok(Transformed::yes(LogicalPlan::Extension(Extension { node: Arc::new(node) })))
    });
    bounded.map_or(whole, |bounded| bounded.data)
}

/// The count beyond which nothing in the plan tells a difference for the column of that name; `None` when all matters.
fn enough(plan: &LogicalPlan, name: &str) -> Option<u32> {
    if plan.schema().fields().iter().any(|field| field.name() == name) {
        return None;
    }
    let mut most = Some(0);
    plan.apply(|node| {
        node.apply_expressions(|expr| {
            if !is_made_here(node) && !matches!(expr, Expr::Column(_)) {
                most = most.zip(compared(expr, name)).map(|(one, other)| one.max(other));
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        for expr in held_expressions(node) {
            most = most.zip(compared(expr, name)).map(|(one, other)| one.max(other));
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .ok()?;
    most.filter(|most| (1..=COUNTED_MAX).contains(most))
}

fn is_made_here(node: &LogicalPlan) -> bool {
    matches!(node, LogicalPlan::Extension(_))
}

/// The expressions of our own nodes, which show none to DataFusion.
pub(super) fn held_expressions(node: &LogicalPlan) -> Vec<&Expr> {
    let LogicalPlan::Extension(extension) = node else { return Vec::new() };
    let node = extension.node.as_any();
    if let Some(windows) = node.downcast_ref::<KeyedWindowNode>() {
        return windows.windows.iter().chain(&windows.anchor).collect();
    }
    let Some(lookup) = node.downcast_ref::<crate::lookup::LookupNode>() else { return Vec::new() };
    lookup.on.iter().map(|(event, _)| event).chain(&lookup.filter).collect()
}

/// How far the column must count for this expression: 0 when it is not in it, `None` when it is there otherwise than
/// compared with a small number.
fn compared(expr: &Expr, name: &str) -> Option<u32> {
    if let Expr::BinaryExpr(BinaryExpr { left, op, right }) = expr
        && is_comparison(*op)
        && let (Expr::Column(column), Expr::Literal(number, _)) | (Expr::Literal(number, _), Expr::Column(column)) =
            (left.as_ref(), right.as_ref())
        && column.name == name
    {
        let number = number.cast_to(&arrow::datatypes::DataType::Int64).ok()?;
        let datafusion::scalar::ScalarValue::Int64(Some(number)) = number else { return None };
        return u32::try_from(number.max(0)).ok()?.checked_add(1);
    }
    if let Expr::Column(column) = expr {
        return (column.name != name).then_some(0);
    }
    let mut most = Some(0);
    expr.apply_children(|child| {
        most = most.zip(compared(child, name)).map(|(one, other)| one.max(other));
        Ok(TreeNodeRecursion::Continue)
    })
    .ok()?;
    most
}

fn is_comparison(op: Operator) -> bool {
    matches!(op, Operator::Eq | Operator::NotEq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq)
}
