//! Semantics are per system, never per partition of the log: `system` goes before every partition key. And the hidden
//! columns that every finding needs are carried to the top.

use arrow::datatypes::DataType;
use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::{DataFusionError, Result as PlanResult};
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, LogicalPlan, Projection, Window};

use super::lineage;
use crate::error::Error;
use crate::window::{read_function, unalias};

/// Hidden output column: the anchor's system.
pub(crate) const HIDDEN_SYSTEM: &str = "__system";
/// Hidden output column: the anchor's log time.
pub(crate) const HIDDEN_TIME: &str = "__time";
/// Hidden output column: the anchor's authenticated source.
pub(crate) const HIDDEN_SOURCE: &str = "__source";
/// Hidden output column: whether the anchor was late.
pub(crate) const HIDDEN_LATE: &str = "__late";

/// Scopes every window to its system and adds the hidden columns.
pub(crate) fn prepare(rule: &str, plan: LogicalPlan) -> Result<LogicalPlan, Error> {
    let scoped = plan.transform_up(|node| match node {
        LogicalPlan::Window(window) => Ok(Transformed::yes(LogicalPlan::Window(scope_window(window)?))),
        // An average below may have another type now.
        other => Ok(Transformed::yes(other.recompute_schema()?)),
    });
    let scoped = scoped.map_err(|error| explain(rule, &error))?.data;
    add_hidden_columns(rule, scoped)
}

fn scope_window(window: Window) -> PlanResult<Window> {
    let system = input_column(&window.input, "system")?;
    let windows = window.window_expr.iter().enumerate().map(|(index, expr)| {
        let name = window.schema.field(window.input.schema().fields().len() + index).name().clone();
        let Expr::WindowFunction(function) = unalias(expr) else {
            return Err(DataFusionError::Plan(format!("`{expr}` is not a window")));
        };
        // Before the optimizer, which drops a window whose result it can foresee.
        read_function(function).map_err(|(construct, instead)| refused(&construct, &instead))?;
        check_order(function, &window.input)?;
        let mut function = function.clone();
        function.params.partition_by.insert(0, system.clone());
        average_exactly(&mut function, &window.input)?;
        Ok(Expr::from(*function).alias(name))
    });
    let windows = windows.collect::<PlanResult<Vec<_>>>()?;
    Window::try_new(windows, window.input)
}

/// SQL averages integers as floats; here they are decimals with four places, which neither drift nor differ by machine.
fn average_exactly(function: &mut WindowFunction, input: &LogicalPlan) -> PlanResult<()> {
    let is_average = function.fun.name().eq_ignore_ascii_case("avg");
    if let Some(argument) = function.params.args.first_mut().filter(|_| is_average)
        && argument.get_type(input.schema())?.is_integer()
    {
        *argument = Expr::Cast(Cast::new(Box::new(argument.clone()), DataType::Decimal128(20, 0)));
    }
    Ok(())
}

fn check_order(function: &WindowFunction, input: &LogicalPlan) -> PlanResult<()> {
    let time = lineage::column_of(input, "time").map(|index| Column::from(input.schema().qualified_field(index)));
    match function.params.order_by.as_slice() {
        [sort] if sort.asc && matches!((&sort.expr, &time), (Expr::Column(column), Some(time)) if column == time) => {
            Ok(())
        }
        _ => Err(refused(
            "a window that is not in the order of log time",
            "write OVER (PARTITION BY … ORDER BY time …), with the events' own `time`",
        )),
    }
}

fn input_column(input: &LogicalPlan, base: &str) -> PlanResult<Expr> {
    let index = lineage::column_of(input, base).ok_or_else(|| {
        refused(
            &format!("a subquery below a window or at the top that drops `{base}`"),
            &format!("keep `{base}` in its SELECT list, or SELECT *"),
        )
    })?;
    Ok(Expr::Column(Column::from(input.schema().qualified_field(index))))
}

fn add_hidden_columns(rule: &str, plan: LogicalPlan) -> Result<LogicalPlan, Error> {
    let LogicalPlan::Projection(projection) = plan else {
        return Err(explain(
            rule,
            &refused("a statement that is not one SELECT", "write one SELECT with a column list"),
        ));
    };
    check_outputs(&projection).map_err(|error| explain(rule, &error))?;
    let mut exprs = projection.expr.clone();
    for (base, name) in
        [("system", HIDDEN_SYSTEM), ("time", HIDDEN_TIME), ("source", HIDDEN_SOURCE), ("late", HIDDEN_LATE)]
    {
        let column = input_column(&projection.input, base).map_err(|error| explain(rule, &error))?;
        exprs.push(column.alias(name));
    }
    let projection = Projection::try_new(exprs, projection.input).map_err(|error| explain(rule, &error))?;
    Ok(LogicalPlan::Projection(projection))
}

fn check_outputs(projection: &Projection) -> PlanResult<()> {
    let plan = LogicalPlan::Projection(projection.clone());
    let named = |name: &str| projection.schema.fields().iter().position(|field| field.name() == name);
    let anchored = named("event_id").is_some_and(|index| lineage::base_of(&plan, index).as_deref() == Some("event_id"));
    if !anchored {
        return Err(refused(
            "a SELECT without the event's own `event_id`",
            "return `event_id`: it is the anchor of the finding",
        ));
    }
    if named("entity").is_none() {
        return Err(refused("a SELECT without `entity`", "return what the finding is about, e.g. wallet AS entity"));
    }
    Ok(())
}

/// A refusal on its way through DataFusion's error type.
#[derive(Debug, thiserror::Error)]
#[error("{construct}: {instead}")]
pub(crate) struct Refused {
    construct: String,
    instead: String,
}

/// A refusal as DataFusion's error.
pub(crate) fn refused(construct: &str, instead: &str) -> DataFusionError {
    DataFusionError::External(Box::new(Refused { construct: construct.to_owned(), instead: instead.to_owned() }))
}

/// Turns DataFusion's error back into ours.
pub(crate) fn explain(rule: &str, error: &DataFusionError) -> Error {
    if let DataFusionError::External(inner) = error.find_root()
        && let Some(refused) = inner.downcast_ref::<Refused>()
    {
        let Refused { construct, instead } = refused;
        return Error::Refused { rule: rule.to_owned(), construct: construct.clone(), instead: instead.clone() };
    }
    Error::Sql { rule: rule.to_owned(), problem: error.strip_backtrace() }
}
