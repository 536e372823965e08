//! Lineage: which column of the scanned table a column of a plan is, unchanged.

use datafusion::common::{Column, DFSchema};
use datafusion::logical_expr::{Expr, LogicalPlan};

use crate::lookup::LookupNode;
use crate::window::KeyedWindowNode;

/// The index of the first output column of `plan` that is the unchanged column `base` of `events`.
pub(crate) fn column_of(plan: &LogicalPlan, base: &str) -> Option<usize> {
    (0..plan.schema().fields().len()).find(|index| base_of(plan, *index).as_deref() == Some(base))
}

/// The column of `events` that output column `index` of `plan` is, if it is one unchanged.
pub(crate) fn base_of(plan: &LogicalPlan, index: usize) -> Option<String> {
    match plan {
        LogicalPlan::TableScan(scan) if scan.table_name.table() == super::EVENTS => {
            Some(plan.schema().field(index).name().clone())
        }
        LogicalPlan::Projection(projection) => {
            let column = as_column(projection.expr.get(index)?)?;
            base_of(&projection.input, find(projection.input.schema(), &column)?)
        }
        LogicalPlan::SubqueryAlias(alias) => base_of(&alias.input, index),
        LogicalPlan::Filter(filter) => base_of(&filter.input, index),
        LogicalPlan::Window(window) => inside(&window.input, index),
        LogicalPlan::Join(join) => {
            let left = join.left.schema().fields().len();
            if index < left { base_of(&join.left, index) } else { base_of(&join.right, index - left) }
        }
        LogicalPlan::Extension(extension) => {
            let node = extension.node.as_any();
            if let Some(window) = node.downcast_ref::<KeyedWindowNode>() {
                return inside(&window.input, index);
            }
            node.downcast_ref::<LookupNode>().and_then(|lookup| lookup.events_column(index)).and_then(|index| {
                let lookup = node.downcast_ref::<LookupNode>()?;
                base_of(&lookup.input, index)
            })
        }
        _ => None,
    }
}

fn inside(input: &LogicalPlan, index: usize) -> Option<String> {
    (index < input.schema().fields().len()).then(|| base_of(input, index)).flatten()
}

fn as_column(expr: &Expr) -> Option<Column> {
    match expr {
        Expr::Column(column) => Some(column.clone()),
        Expr::Alias(alias) => as_column(&alias.expr),
        _ => None,
    }
}

fn find(schema: &DFSchema, column: &Column) -> Option<usize> {
    schema.maybe_index_of_column(column)
}
