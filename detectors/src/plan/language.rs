//! What a rule may say. A rule is one pass over the log: a batch after another must give what all of them at once would
//! give, f(A ++ B) = f(A) ++ f(B), with only windows remembering. What breaks that is refused, by name, with what to
//! write instead.

use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result as PlanResult;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, Volatility};

use super::EVENTS;
use crate::error::Error;

/// A construct and what to write instead.
type Refusal = (String, &'static str);

/// Checks a bound, unoptimized plan.
///
/// # Errors
/// [`Error::Refused`] naming the first construct that is not part of the language.
pub(crate) fn check(rule: &str, plan: &LogicalPlan) -> Result<(), Error> {
    let mut refusal: Option<Refusal> = None;
    let mut scans = 0;
    let walked = plan.apply(|node| {
        scans += usize::from(is_events(node));
        refusal = refusal.take().or_else(|| refuse_node(node)).or(refuse_expressions(node)?);
        Ok(if refusal.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    walked.map_err(|error| Error::Sql { rule: rule.to_owned(), problem: error.strip_backtrace() })?;
    let refusal = refusal.or_else(|| refuse_scans(scans));
    match refusal {
        None => Ok(()),
        Some((construct, instead)) => {
            Err(Error::Refused { rule: rule.to_owned(), construct, instead: instead.to_owned() })
        }
    }
}

fn is_events(node: &LogicalPlan) -> bool {
    matches!(node, LogicalPlan::TableScan(scan) if scan.table_name.table() == EVENTS)
}

fn refuse_scans(scans: usize) -> Option<Refusal> {
    match scans {
        1 => None,
        0 => Some((
            "a query that does not read `events`".to_owned(),
            "SELECT … FROM events; the inventory is joined to it",
        )),
        _ => Some((
            "reading `events` more than once (a self-join, or a subquery over events)".to_owned(),
            "every event stands in the one table: compare rows by a window, e.g. max(x) FILTER (WHERE kind = …) OVER (PARTITION BY … ORDER BY time RANGE …)",
        )),
    }
}

fn refuse_node(node: &LogicalPlan) -> Option<Refusal> {
    let (construct, instead) = match node {
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Window(_)
        | LogicalPlan::Join(_)
        | LogicalPlan::TableScan(_)
        | LogicalPlan::SubqueryAlias(_) => return None,
        LogicalPlan::Aggregate(_) => (
            "GROUP BY or an aggregate without OVER",
            "it has no end on a log: write agg(x) OVER (PARTITION BY … ORDER BY time RANGE BETWEEN INTERVAL '…' PRECEDING AND CURRENT ROW)",
        ),
        LogicalPlan::Sort(_) => ("ORDER BY", "leave it out: findings come in the order of the log"),
        LogicalPlan::Limit(_) => {
            ("LIMIT", "leave it out, or count(*) OVER (… RANGE …) <= n to take the first n of a while")
        }
        LogicalPlan::Distinct(_) => {
            ("DISTINCT", "use count(*) OVER (PARTITION BY … RANGE …) = 1 to take the first of its kind")
        }
        LogicalPlan::Union(_) => ("UNION", "read events once and tell the cases apart by CASE or OR"),
        LogicalPlan::EmptyRelation(_) | LogicalPlan::Values(_) => {
            ("VALUES or SELECT without FROM", "SELECT … FROM events")
        }
        LogicalPlan::Unnest(_) => {
            ("UNNEST", "read the list by detail_text, or have the feed write one event an element")
        }
        LogicalPlan::Subquery(_) => ("a subquery in an expression", "LEFT JOIN the inventory table and test IS NULL"),
        LogicalPlan::RecursiveQuery(_) => ("WITH RECURSIVE", "a rule looks at the log once, in one pass"),
        LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) => ("EXPLAIN", "use `keywatch detectors explain`"),
        _ => ("this statement", "a rule is one SELECT"),
    };
    Some((construct.to_owned(), instead))
}

fn refuse_expressions(node: &LogicalPlan) -> PlanResult<Option<Refusal>> {
    let mut refusal = None;
    let inputs = merge_schema(&node.inputs());
    node.apply_expressions(|expr| {
        expr.apply(|expr| {
            refusal = refusal.take().or_else(|| refuse_expression(expr)).or_else(|| refuse_comparison(expr, &inputs));
            Ok(if refusal.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })
    })?;
    Ok(refusal)
}

/// Comparisons that DataFusion makes otherwise than they read.
fn refuse_comparison(expr: &Expr, inputs: &DFSchema) -> Option<Refusal> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = expr else { return None };
    let compares =
        matches!(op, Operator::Eq | Operator::NotEq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq);
    if !compares {
        return None;
    }
    if [left, right].into_iter().any(|side| is_difference_of_times(side, inputs)) {
        return Some((
            "a comparison of a difference of times".to_owned(),
            "days and hours would be compared apart: compare times, a < b - INTERVAL '7 days'",
        ));
    }
    let (left, right) = (left.get_type(inputs).ok()?, right.get_type(inputs).ok()?);
    let is_amount = |kind: &DataType| matches!(kind, DataType::Decimal128(23.., _));
    if (is_amount(&left) && right.is_floating()) || (left.is_floating() && is_amount(&right)) {
        return Some((
            "a comparison of an amount with a floating-point number".to_owned(),
            "it fails on large amounts: judge by z_score(x, mean, stddev), or CAST the float to DECIMAL(38, 0)",
        ));
    }
    None
}

fn is_difference_of_times(expr: &Expr, inputs: &DFSchema) -> bool {
    let is_time = |expr: &Expr| matches!(expr.get_type(inputs), Ok(DataType::Timestamp(..)));
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Minus, right }) => is_time(left) && is_time(right),
        _ => false,
    }
}

fn refuse_expression(expr: &Expr) -> Option<Refusal> {
    match expr {
        Expr::ScalarFunction(call) if call.func.signature().volatility != Volatility::Immutable => Some((
            format!("{}()", call.func.name()),
            "an answer depends on the log alone: use the column `time`, which is log time",
        )),
        Expr::Exists(_) | Expr::InSubquery(_) | Expr::ScalarSubquery(_) | Expr::SetComparison(_) => {
            Some(("a subquery in an expression".to_owned(), "LEFT JOIN the inventory table and test IS NULL"))
        }
        Expr::Placeholder(placeholder) => Some((
            format!("the parameter {}", placeholder.id),
            "declare it under `parameters` in the front matter, with a type and a default",
        )),
        Expr::ScalarVariable(..) => Some(("a session variable".to_owned(), "declare a parameter in the front matter")),
        _ => None,
    }
}
