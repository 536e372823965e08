//! What a query could make of a text: `v || v` over `v || v` over … is long before any limit of memory sees it, since it is
//! made within one step. So the longest text that each expression could give is reckoned beforehand.

use anyhow::ensure;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result as Reckoned};
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator};

use crate::limits::{SQL_GROWN_BYTES_MAX, SQL_PARTS_MAX};

/// What a value of a stored column counts. It lies in memory anyway; what counts is what a query adds.
const STORED_BYTES: u64 = 1024;

/// What is known of the columns that an expression reads.
type OfColumn<'a> = &'a dyn Fn(&Column) -> u64;

/// What is reckoned of an expression.
#[derive(Clone, Copy)]
struct Measure {
    /// Of a stored column.
    stored: u64,
    of: fn(&Expr, OfColumn<'_>) -> Reckoned<u64>,
}

/// Bytes of the text that it gives.
const TEXT: Measure = Measure { stored: STORED_BYTES, of: bound };

/// What it consists of.
const PARTS: Measure = Measure { stored: 1, of: parts };

/// Whether no expression of the plan could make more than is allowed of one text, nor consists of more than is allowed once the
/// optimizer has put for each column what a query within makes it of: `y + y` over `y + y` over … doubles with each.
///
/// # Errors
/// Says how long it could be.
pub(super) fn check(plan: &LogicalPlan) -> anyhow::Result<()> {
    let most = reckon(plan, PARTS)?.longest;
    ensure!(
        most <= SQL_PARTS_MAX,
        "an expression consists of {most} parts with those of the queries within, at most {SQL_PARTS_MAX} are taken"
    );
    let longest = reckon(plan, TEXT)?.longest;
    ensure!(
        longest <= SQL_GROWN_BYTES_MAX,
        "the query could make texts of {longest} bytes out of shorter ones, at most {SQL_GROWN_BYTES_MAX} are made; \
         put fewer texts together"
    );
    Ok(())
}

struct Bounds {
    /// Of each column that the node gives.
    columns: Vec<u64>,
    /// Of everything below and in it.
    longest: u64,
}

fn reckon(plan: &LogicalPlan, measure: Measure) -> Reckoned<Bounds> {
    let inputs = plan.inputs().into_iter().map(|input| Ok((input, reckon(input, measure)?)));
    let inputs = inputs.collect::<Reckoned<Vec<_>>>()?;
    let of_column = |column: &Column| {
        let found = inputs.iter().find_map(|(input, bounds)| {
            input.schema().maybe_index_of_column(column).and_then(|index| bounds.columns.get(index).copied())
        });
        found.unwrap_or(measure.stored)
    };
    let made = plan.expressions().iter().map(|expr| (measure.of)(expr, &of_column)).collect::<Reckoned<Vec<u64>>>()?;
    let below = inputs.iter().map(|(_, bounds)| bounds.longest).max().unwrap_or(0);
    let longest = made.iter().copied().max().unwrap_or(0).max(below);
    let passed = || inputs.iter().flat_map(|(_, bounds)| bounds.columns.iter().copied());
    let mut columns: Vec<u64> = match plan {
        LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_) => made,
        LogicalPlan::Window(_) => passed().chain(made).collect(),
        LogicalPlan::Union(_) => {
            let wide = inputs.iter().map(|(_, bounds)| bounds.columns.len()).max().unwrap_or(0);
            let of = |index| inputs.iter().filter_map(|(_, bounds)| bounds.columns.get(index).copied()).max();
            (0..wide).map(|index| of(index).unwrap_or(measure.stored)).collect()
        }
        LogicalPlan::TableScan(_) => Vec::new(),
        LogicalPlan::Values(_) => vec![longest; plan.schema().fields().len()],
        _ => passed().collect(),
    };
    columns.resize(plan.schema().fields().len(), longest.max(measure.stored));
    Ok(Bounds { columns, longest })
}

/// The longest text that an expression could give.
fn bound(expr: &Expr, of_column: &dyn Fn(&Column) -> u64) -> Reckoned<u64> {
    Ok(match expr {
        Expr::Column(column) => of_column(column),
        Expr::Literal(value, _) => value.try_as_str().flatten().map_or(32, |text| text.len() as u64),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::StringConcat, right }) => {
            bound(left, of_column)?.saturating_add(bound(right, of_column)?)
        }
        Expr::ScalarFunction(call) => {
            let arguments = call.args.iter().map(|argument| bound(argument, of_column));
            arguments.sum_saturating()?.saturating_add(64)
        }
        Expr::ScalarSubquery(subquery) => reckon(&subquery.subquery, TEXT)?.longest,
        Expr::Exists(exists) => reckon(&exists.subquery.subquery, TEXT)?.longest,
        Expr::InSubquery(within) => {
            reckon(&within.subquery.subquery, TEXT)?.longest.max(bound(&within.expr, of_column)?)
        }
        other => {
            let mut longest = 32;
            other.apply_children(|child| {
                longest = longest.max(bound(child, of_column)?);
                Ok(TreeNodeRecursion::Continue)
            })?;
            longest
        }
    })
}

/// How many columns and operators an expression consists of. Values that stand in the text are as many as it has room for, and
/// count nothing.
fn parts(expr: &Expr, of_column: &dyn Fn(&Column) -> u64) -> Reckoned<u64> {
    let mut count: u64 = match expr {
        Expr::Column(column) => return Ok(of_column(column)),
        Expr::Literal(..) => return Ok(0),
        Expr::ScalarSubquery(subquery) => reckon(&subquery.subquery, PARTS)?.longest,
        Expr::Exists(exists) => reckon(&exists.subquery.subquery, PARTS)?.longest,
        Expr::InSubquery(within) => reckon(&within.subquery.subquery, PARTS)?.longest,
        _ => 1,
    };
    expr.apply_children(|child| {
        count = count.saturating_add(parts(child, of_column)?);
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(count)
}

trait SumSaturating {
    fn sum_saturating(self) -> Reckoned<u64>;
}

impl<I: Iterator<Item = Reckoned<u64>>> SumSaturating for I {
    fn sum_saturating(mut self) -> Reckoned<u64> {
        self.try_fold(0_u64, |sum, one| Ok(sum.saturating_add(one?)))
    }
}
