//! What a rule may say. A rule is one pass over the log: a batch after another must give what all of them at once would
//! give, f(A ++ B) = f(A) ++ f(B), with only windows remembering. What breaks that is refused, by name, with what to
//! write instead.

use std::ops::ControlFlow;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result as PlanResult};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Query, TableFactor, Visit, Visitor};

use super::refusal::{Refusal, refused};
use super::{EVENTS, comparison, depth, kind_names};
use crate::error::Error;

const NO_ORDER: &str = "leave it out: findings come in the order of the log";
const NO_LIMIT: &str = "leave it out, or count(*) OVER (… RANGE …) <= n to take the first n of a while";

/// Functions whose results are as exact as the mathematics library of the machine.
const INEXACT: [&str; 22] = [
    "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "cos", "cosh", "cot", "exp", "ln", "log",
    "log10", "log2", "power", "sin", "sinh", "tan", "tanh", "pow",
];

/// Checks a bound, unoptimized plan.
///
/// # Errors
/// [`Error::Refused`] naming the first construct that is not part of the language, [`Error::Sql`] for a kind that does not
/// exist.
pub(crate) fn check(rule: &str, plan: &LogicalPlan) -> Result<(), Error> {
    problems(rule, plan)?.into_iter().next().map_or(Ok(()), Err)
}

/// All that [`check`] would refuse, each construct once.
///
/// # Errors
/// [`Error::Sql`] when the plan cannot be walked.
pub(crate) fn problems(rule: &str, plan: &LogicalPlan) -> Result<Vec<Error>, Error> {
    let failed = |error: DataFusionError| Error::Sql { rule: rule.to_owned(), problem: error.strip_backtrace() };
    let mut refusals: Vec<Refusal> = Vec::new();
    let mut scans = 0;
    let walked = plan.apply(|node| {
        scans += usize::from(is_events(node));
        refusals.extend(refuse_node(node));
        refusals.extend(refuse_expressions(node)?);
        Ok(TreeNodeRecursion::Continue)
    });
    walked.map_err(failed)?;
    let mut unique: Vec<Refusal> = Vec::new();
    for refusal in refusals.into_iter().chain(refuse_scans(scans)).chain(refuse_names(plan)) {
        if !unique.contains(&refusal) {
            unique.push(refusal);
        }
    }
    let unknown = kind_names::unknown(plan).map_err(failed)?;
    let unknown = unknown.into_iter().map(|problem| Error::Sql { rule: rule.to_owned(), problem });
    Ok(unique.into_iter().map(|refusal| refused(rule, refusal)).chain(unknown).collect())
}

/// A construct that the plan no longer shows, or that DataFusion's own message would not explain.
///
/// # Errors
/// As [`check`].
pub(crate) fn check_statement(rule: &str, statement: &Statement) -> Result<(), Error> {
    let Statement::Statement(statement) = statement else { return Ok(()) };
    if let Some(refusal) = depth::refuse(statement) {
        return Err(refused(rule, refusal));
    }
    match statement.visit(&mut Unseen) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(refusal) => Err(refused(rule, refusal)),
    }
}

/// Looks for what DataFusion passes over in silence.
struct Unseen;

impl Visitor for Unseen {
    type Break = Refusal;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Refusal> {
        match (&query.order_by, &query.fetch) {
            (Some(_), _) => ControlFlow::Break(("ORDER BY".to_owned(), NO_ORDER)),
            (_, Some(_)) => ControlFlow::Break(("FETCH".to_owned(), NO_LIMIT)),
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<Refusal> {
        match table {
            TableFactor::Table { sample: Some(_), .. } | TableFactor::Derived { sample: Some(_), .. } => {
                ControlFlow::Break(("TABLESAMPLE".to_owned(), "a rule sees every event: leave it out"))
            }
            _ => ControlFlow::Continue(()),
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

fn refuse_names(plan: &LogicalPlan) -> Option<Refusal> {
    let fields = plan.schema().fields();
    let ours = fields.iter().find(|field| field.name().starts_with("__"))?;
    Some((
        format!("a result column named `{}`", ours.name()),
        "names that begin with __ are keywatch's own: call it otherwise",
    ))
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
        LogicalPlan::Sort(_) => ("ORDER BY", NO_ORDER),
        LogicalPlan::Limit(_) => ("LIMIT", NO_LIMIT),
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
            refusal = (refusal.take())
                .or_else(|| refuse_expression(expr))
                .or_else(|| refuse_placed(expr, node))
                .or_else(|| refuse_call(expr))
                .or_else(|| comparison::refuse(expr, &inputs));
            Ok(if refusal.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })
    })?;
    Ok(refusal)
}

/// A window where only the row itself can be asked.
fn refuse_placed(expr: &Expr, node: &LogicalPlan) -> Option<Refusal> {
    let misplaced = matches!(expr, Expr::WindowFunction(_)) && !matches!(node, LogicalPlan::Window(_));
    misplaced.then(|| {
        let instead = "give it a name in the SELECT list of a subquery, and ask for that around it (or write QUALIFY)";
        ("a window in WHERE or JOIN".to_owned(), instead)
    })
}

/// A function of different values only, where that would change what it gives; counting them is the one that is exact.
/// And one that is given more than it takes, which DataFusion lets pass.
fn refuse_call(expr: &Expr) -> Option<Refusal> {
    let Expr::WindowFunction(window) = expr else { return None };
    let name = window.fun.name();
    if name == "first_value" && window.params.args.len() > 1 {
        return Some((format!("{name} of several arguments"), "give it one, or write nth_value(x, n)"));
    }
    let is_taken = ["count", "min", "max", "bool_and", "bool_or", "first_seen", "last_seen"].contains(&name);
    (window.params.distinct && !is_taken).then(|| {
        let instead =
            "leave DISTINCT out, or keep the first of each value below: count(*) OVER (PARTITION BY …, x …) = 1";
        (format!("{name}(DISTINCT …)"), instead)
    })
}

fn refuse_expression(expr: &Expr) -> Option<Refusal> {
    match expr {
        Expr::ScalarFunction(call) if call.func.signature().volatility != Volatility::Immutable => Some((
            format!("{}()", call.func.name()),
            "an answer depends on the log alone: use the column `time`, which is log time",
        )),
        Expr::ScalarFunction(call) if INEXACT.contains(&call.func.name()) => Some((
            format!("{}()", call.func.name()),
            "its last digits differ between machines: compare products or quotients, or take a baseline (docs/functions.md)",
        )),
        Expr::ScalarFunction(call) if reads_computed_path(call) => Some((
            format!("{} of a path that is computed", call.func.name()),
            "write the path into the rule, e.g. detail_text(detail, 'a.b')",
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

fn reads_computed_path(call: &ScalarFunction) -> bool {
    let is_literal = |path: &Expr| match path {
        Expr::Cast(cast) => matches!(*cast.expr, Expr::Literal(..)),
        path => matches!(path, Expr::Literal(..)),
    };
    let reads_detail = ["detail_text", "detail_int", "detail_bool", "detail_amount"].contains(&call.func.name());
    reads_detail && !call.args.get(1).is_some_and(is_literal)
}
