//! The physical node: plans the windows of a [`KeyedWindowNode`] and runs the operator once for each run of the plan.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::compute::concat_batches;
use arrow::datatypes::DataType;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::expr::{NullTreatment, WindowFunction};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, WindowFunctionDefinition};
use datafusion::physical_expr::{PhysicalExpr, PhysicalExprRef};
use datafusion::physical_plan::execution_plan::ReplaceChildrenOptions;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use datafusion::scalar::ScalarValue;
use futures::TryStreamExt;

use super::accumulator::Function;
use super::frame::Frame;
use super::group::Call;
use super::node::KeyedWindowNode;
use super::operator::{CallPlan, GroupPlan, Operator, OperatorPlan};
use crate::plan::run::Run;
use crate::plan::{lineage, properties};

/// One window expression taken apart: the function, its frame and its argument.
pub(crate) struct WindowCall<'a> {
    pub(crate) function: Function,
    pub(crate) frame: Frame,
    pub(crate) argument: Expr,
    pub(crate) window: &'a WindowFunction,
}

/// Takes a window expression apart.
///
/// # Errors
/// The construct that is not part of the language and what to write instead, as `(construct, instead)`.
pub(crate) fn read_call(expr: &Expr) -> Result<WindowCall<'_>, (String, String)> {
    let expr = unalias(expr);
    let Expr::WindowFunction(window) = expr else {
        return Err((format!("`{expr}` as a window"), "use an aggregate with OVER (…)".to_owned()));
    };
    let params = &window.params;
    let name = window.fun.name().to_lowercase();
    let function = read_function(window)?;
    if let WindowFunctionDefinition::WindowUDF(_) = &window.fun {
        return read_window_function(window, &name, function);
    }
    let frame = Frame::read(&params.window_frame).map_err(|refused| (refused.construct, refused.instead))?;
    if frame.is_unbounded() && !function.is_constant_size() {
        let instead = "its state would grow for ever: bound the frame, e.g. RANGE BETWEEN INTERVAL '7 days' PRECEDING AND CURRENT ROW";
        return Err((format!("{name}(DISTINCT …) over UNBOUNDED PRECEDING"), instead.to_owned()));
    }
    let argument = params.args.first().cloned().unwrap_or_else(|| Expr::Literal(ScalarValue::Int64(Some(1)), None));
    Ok(WindowCall { function, frame, argument, window })
}

/// The function of a window; `lag` is the first value of a frame of one row.
///
/// # Errors
/// As [`read_call`], for a function that is not part of the language.
pub(crate) fn read_function(window: &WindowFunction) -> Result<Function, (String, String)> {
    let name = window.fun.name().to_lowercase();
    Ok(match (name.as_str(), window.params.distinct) {
        ("count", true) => Function::CountDistinct,
        ("count", false) => Function::Count,
        ("sum", false) => Function::Sum,
        ("avg", false) => Function::Average,
        ("min", _) => Function::Min,
        ("max", _) => Function::Max,
        ("first_value" | "lag", false) => Function::First,
        ("last_value", false) => Function::Last,
        ("lead", _) => {
            let instead = "an idle key would wait for ever: use first_value(x) with RANGE BETWEEN INTERVAL '1 nanosecond' FOLLOWING AND INTERVAL '…' FOLLOWING";
            return Err(("lead".to_owned(), instead.to_owned()));
        }
        (_, distinct) => return Err(unknown_function(&name, distinct)),
    })
}

fn read_window_function<'a>(
    window: &'a WindowFunction,
    name: &str,
    function: Function,
) -> Result<WindowCall<'a>, (String, String)> {
    let args = &window.params.args;
    match (name, args.as_slice()) {
        ("lag", [argument]) => Ok(lag(window, argument, 1)),
        ("lag", [argument, Expr::Literal(rows, _)]) => match rows.cast_to(&DataType::Int64) {
            Ok(ScalarValue::Int64(Some(rows))) if (1..=crate::limits::FRAME_ROWS_MAX.cast_signed()).contains(&rows) => {
                Ok(lag(window, argument, rows.cast_unsigned()))
            }
            _ => Err(("lag by that many rows".to_owned(), "lag by 1 to 100000 rows".to_owned())),
        },
        ("lag", _) => Err(("lag with a default".to_owned(), "wrap it: coalesce(lag(x), default)".to_owned())),
        (_, [argument]) => {
            let frame =
                Frame::read(&window.params.window_frame).map_err(|refused| (refused.construct, refused.instead))?;
            Ok(WindowCall { function, frame, argument: argument.clone(), window })
        }
        _ => Err(unknown_function(name, false)),
    }
}

fn lag<'a>(window: &'a WindowFunction, argument: &Expr, rows: u64) -> WindowCall<'a> {
    let frame = Frame::Rows { start: Some(rows), end: rows };
    WindowCall { function: Function::First, frame, argument: argument.clone(), window }
}

fn unknown_function(name: &str, distinct: bool) -> (String, String) {
    let shown = if distinct { format!("{name}(DISTINCT …) OVER") } else { format!("{name} OVER") };
    (shown, "use count, count(DISTINCT), sum, avg, min, max, first_value, last_value or lag".to_owned())
}

pub(crate) fn unalias(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => unalias(&alias.expr),
        other => other,
    }
}

/// Plans the operator of a node; `physical` turns a logical expression over the node's input into a physical one.
pub(crate) fn plan_operator(
    node: &KeyedWindowNode,
    input: &LogicalPlan,
    physical: &dyn Fn(&Expr) -> Result<PhysicalExprRef>,
) -> Result<OperatorPlan> {
    let schema = input.schema();
    let mut groups: Vec<(Vec<Expr>, GroupPlan)> = Vec::new();
    for (column, expr) in node.windows.iter().enumerate() {
        let call =
            read_call(expr).map_err(|(construct, instead)| DataFusionError::Plan(format!("{construct}: {instead}")))?;
        let params = &call.window.params;
        let planned = CallPlan {
            call: Call {
                function: call.function,
                ignore_nulls: params.null_treatment == Some(NullTreatment::IgnoreNulls),
                argument: call.argument.get_type(schema)?,
                output: node.schema.field(schema.fields().len() + column).data_type().clone(),
                column,
            },
            argument: physical(&call.argument)?,
            filter: params.filter.as_deref().map(physical).transpose()?,
        };
        let shared = groups.iter_mut().find(|(keys, group)| *keys == params.partition_by && group.frame == call.frame);
        if let Some((_, group)) = shared {
            group.calls.push(planned);
        } else {
            let partition_by = params.partition_by.iter().map(physical).collect::<Result<_>>()?;
            let group = GroupPlan { frame: call.frame, partition_by, calls: vec![planned] };
            groups.push((params.partition_by.clone(), group));
        }
    }
    let column = |base: &str| {
        lineage::column_of(input, base)
            .ok_or_else(|| DataFusionError::Plan(format!("a window's input has lost the column `{base}`")))
    };
    Ok(OperatorPlan {
        groups: groups.into_iter().map(|(_, group)| group).collect(),
        anchor: node.anchor.as_ref().map(physical).transpose()?,
        system_column: column("system")?,
        time_column: column("time")?,
        input: schema.inner().clone(),
        output: node.schema.inner().clone(),
        lag_ns: node.lag_ns,
    })
}

/// The operator inside a physical plan. Its state outlives every run; copies of the node share it.
#[derive(Debug)]
pub(crate) struct KeyedWindowExec {
    input: Arc<dyn ExecutionPlan>,
    state: Arc<Mutex<Operator>>,
    run: Arc<Run>,
    properties: Arc<PlanProperties>,
}

impl KeyedWindowExec {
    pub(crate) fn new(input: Arc<dyn ExecutionPlan>, plan: OperatorPlan, run: Arc<Run>) -> Result<Self> {
        let properties = properties(plan.output.clone());
        let state = Arc::new(Mutex::new(Operator::new(plan)?));
        run.register(&state);
        Ok(KeyedWindowExec { input, state, run, properties })
    }
}

impl DisplayAs for KeyedWindowExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyedWindowExec")
    }
}

impl ExecutionPlan for KeyedWindowExec {
    #[expect(clippy::unnecessary_literal_bound, reason = "the signature is the trait's")]
    fn name(&self) -> &str {
        "KeyedWindowExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(KeyedWindowExec {
            input: children.swap_remove(0),
            state: self.state.clone(),
            run: self.run.clone(),
            properties: self.properties.clone(),
        }))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let mode = datafusion::physical_plan::execution_plan::ChildrenPropertiesMode::Recompute;
        self.replace_children(children, ReplaceChildrenOptions::new(mode))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let (state, run) = (self.state.clone(), self.run.clone());
        let schema = self.schema();
        let answer = async move {
            let input_schema = input.schema();
            let batches: Vec<_> = input.try_collect().await?;
            let batch = concat_batches(&input_schema, &batches)?;
            let mut operator = state.lock().unwrap_or_else(PoisonError::into_inner);
            operator.run(&batch, &run.completeness())
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::once(answer))))
    }
}
