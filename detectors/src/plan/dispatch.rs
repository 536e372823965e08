//! Which kinds of events a rule can match, read from the filter on its scan, so that it is not even started on others.

use std::collections::BTreeSet;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{BinaryExpr, Expr, Filter, LogicalPlan, Operator};
use datafusion::scalar::ScalarValue;

use super::EVENTS;

/// The kinds that a rule can match; `None` for all.
pub(crate) type Kinds = Option<BTreeSet<String>>;

/// Takes the kinds out of the filter on `events`: what is asked of `kind` alone is left to the dispatch.
pub(crate) fn take_kinds(plan: LogicalPlan) -> Result<(LogicalPlan, Kinds)> {
    let mut kinds = None;
    let plan = plan.transform_down(|node| match node {
        LogicalPlan::Filter(filter) if is_events(&filter.input) => {
            kinds = kinds_of(&filter.predicate);
            Ok(Transformed::yes(without_kinds(filter)?))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok((plan.data, kinds))
}

fn is_events(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::TableScan(scan) if scan.table_name.table() == EVENTS)
}

fn without_kinds(filter: Filter) -> Result<LogicalPlan> {
    let conjuncts = split_conjunction_owned(filter.predicate);
    let rest = conjuncts.into_iter().filter(|conjunct| !asks_kind_alone(conjunct));
    Ok(match conjunction(rest) {
        None => (*filter.input).clone(),
        Some(predicate) => LogicalPlan::Filter(Filter::try_new(predicate, filter.input)?),
    })
}

/// Whether a predicate is exactly "kind is one of these".
fn asks_kind_alone(expr: &Expr) -> bool {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            asks_kind_alone(left) && asks_kind_alone(right)
        }
        other => kind_literals(other).is_some(),
    }
}

fn kinds_of(expr: &Expr) -> Kinds {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => match (kinds_of(left), kinds_of(right)) {
            (Some(left), Some(right)) => Some(left.intersection(&right).cloned().collect()),
            (left, right) => left.or(right),
        },
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            Some(kinds_of(left)?.union(&kinds_of(right)?).cloned().collect())
        }
        other => kind_literals(other),
    }
}

/// The literals of `kind = 'a'` or `kind IN ('a', 'b')`.
fn kind_literals(expr: &Expr) -> Kinds {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) if is_kind(left) => {
            Some(BTreeSet::from([text(right)?]))
        }
        Expr::InList(InList { expr, list, negated: false }) if is_kind(expr) => list.iter().map(text).collect(),
        _ => None,
    }
}

fn is_kind(expr: &Expr) -> bool {
    matches!(expr, Expr::Column(column) if column.name == "kind")
}

fn text(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Literal(
            ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)) | ScalarValue::LargeUtf8(Some(text)),
            _,
        ) => Some(text.clone()),
        _ => None,
    }
}
