//! After the last optimizer rule: windows become [`KeyedWindowNode`]s, joins with inventory become [`LookupNode`]s, and
//! what a filter above a window asks of the row alone becomes the window's anchor predicate.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, JoinType};
use datafusion::error::{DataFusionError, Result as PlanResult};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, Extension, Filter, Join, LogicalPlan, Projection, Window};
use keywatch_store::inventory;

use super::EVENTS;
use super::scope::{explain, refused};
use crate::error::Error;
use crate::lookup::{LookupKind, LookupNode};
use crate::window::{KeyedWindowNode, Named, read_call, unalias};

/// Replaces windows, joins and the filters above windows.
pub(crate) fn rewrite(rule: &str, plan: LogicalPlan) -> Result<LogicalPlan, Error> {
    let rewritten = plan.transform_up(|node| match node {
        LogicalPlan::Window(window) => Ok(Transformed::yes(rewrite_windows(window)?)),
        LogicalPlan::Projection(projection) if projection.expr.iter().any(is_window) => {
            Ok(Transformed::yes(part_windows(projection.expr, projection.input)?))
        }
        LogicalPlan::Join(join) => Ok(Transformed::yes(rewrite_join(join)?)),
        LogicalPlan::Filter(filter) => absorb_filter(filter),
        other => Ok(Transformed::no(other)),
    });
    Ok(rewritten.map_err(|error| explain(rule, &error))?.data)
}

/// Nanoseconds between a row and the record that decides it: what all windows of the plan look ahead, together.
pub(crate) fn following_ns(plan: &LogicalPlan) -> i64 {
    let below: i64 = plan.inputs().into_iter().map(following_ns).max().unwrap_or(0);
    as_window(plan).map_or(0, own_following_ns).saturating_add(below)
}

fn own_following_ns(node: &KeyedWindowNode) -> i64 {
    let frames = node.windows.iter().filter_map(|window| read_call(window).ok()).map(|call| call.frame.following_ns());
    frames.max().unwrap_or(0)
}

fn as_window(plan: &LogicalPlan) -> Option<&KeyedWindowNode> {
    match plan {
        LogicalPlan::Extension(extension) => extension.node.as_any().downcast_ref(),
        _ => None,
    }
}

fn extension(node: KeyedWindowNode) -> LogicalPlan {
    LogicalPlan::Extension(Extension { node: Arc::new(node) })
}

/// The optimizer computes windows that are equal once: in a projection below, with columns in place of the others.
fn rewrite_windows(window: Window) -> PlanResult<LogicalPlan> {
    if window.window_expr.iter().all(is_window) {
        return rewrite_window(window);
    }
    let columns = window.input.schema().columns().into_iter().map(Expr::Column);
    part_windows(columns.chain(window.window_expr).collect(), window.input)
}

fn is_window(expr: &Expr) -> bool {
    matches!(unalias(expr), Expr::WindowFunction(_))
}

/// A projection whose windows are computed below it.
fn part_windows(exprs: Vec<Expr>, input: Arc<LogicalPlan>) -> PlanResult<LogicalPlan> {
    let windows: Vec<Expr> = exprs.iter().filter(|expr| is_window(expr)).cloned().collect();
    let input = match windows.is_empty() {
        true => input,
        false => Arc::new(rewrite_window(Window::try_new(windows, input)?)?),
    };
    let column = |expr: Expr| match is_window(&expr) {
        true => Expr::Column(Column::from_name(expr.schema_name().to_string())),
        false => expr,
    };
    Ok(LogicalPlan::Projection(Projection::try_new(exprs.into_iter().map(column).collect(), input)?))
}

fn rewrite_window(window: Window) -> PlanResult<LogicalPlan> {
    for expr in &window.window_expr {
        let call = read_call(expr).map_err(|(construct, instead)| refused(&construct, &instead))?;
        check_types(&call, &window.input)?;
    }
    check_lookups_below(&window.input)?;
    if let Some((lifted, filter)) = lift_filter(&window)? {
        let windows = rewrite_window(lifted)?;
        return Ok(absorb_filter(Filter::try_new(filter, Arc::new(windows))?)?.data);
    }
    if let LogicalPlan::Projection(projection) = window.input.as_ref()
        && projection.expr.iter().all(|expr| matches!(expr, Expr::Column(_)))
        && is_beside(&window, &projection.input)
    {
        return above_projection(&window.window_expr, projection);
    }
    if is_beside(&window, &window.input) {
        return beside(&window.window_expr, &window.input);
    }
    let lag_ns = following_ns(&window.input);
    let input = Arc::unwrap_or_clone(window.input);
    let (windows, schema) = (window.window_expr, window.schema);
    Ok(extension(KeyedWindowNode {
        input,
        windows,
        anchor: None,
        schema,
        lag_ns,
        enough: Vec::new(),
        rejected_at: Vec::new(),
        deadline: None,
    }))
}

/// Windows without the filter below them, where only that keeps them from standing beside those further down. A filter
/// that asks of partition keys alone says the same above the windows; the optimizer has pushed it down from there.
fn lift_filter(window: &Window) -> PlanResult<Option<(Window, Expr)>> {
    let LogicalPlan::Filter(filter) = window.input.as_ref() else { return Ok(None) };
    if !window.window_expr.iter().all(|expr| is_of_partition(&filter.predicate, expr)) {
        return Ok(None);
    }
    let lifted = Window::try_new(window.window_expr.clone(), Arc::clone(&filter.input))?;
    let stands_beside = match lifted.input.as_ref() {
        LogicalPlan::Projection(projection) => {
            projection.expr.iter().all(|expr| matches!(expr, Expr::Column(_))) && is_beside(&lifted, &projection.input)
        }
        below => is_beside(&lifted, below),
    };
    Ok(stands_beside.then(|| (lifted, filter.predicate.clone())))
}

/// Whether windows ask nothing of those just below, so that one operator can do for both and no row waits twice. What the
/// lower ones leave out must not be counted by these either: it is not, where that is asked of their partition keys alone
/// (which is where the optimizer pushes a filter down), since then all rows of a key are left out or none.
fn is_beside(window: &Window, below: &LogicalPlan) -> bool {
    as_window(below).is_some_and(|lower| {
        let spares = |expr: &Expr| lower.anchor.as_ref().is_none_or(|anchor| is_of_partition(anchor, expr));
        window.window_expr.iter().all(spares) && refers_only_to(&window.window_expr, &lower.input)
    })
}

/// Whether a predicate asks only of columns by which a window is partitioned.
fn is_of_partition(predicate: &Expr, window: &Expr) -> bool {
    let Expr::WindowFunction(function) = unalias(window) else { return false };
    let keys = &function.params.partition_by;
    predicate.column_refs().into_iter().all(|column| keys.contains(&Expr::Column(column.clone())))
}

/// The windows of a node below, with these beside them.
fn beside(windows: &[Expr], below: &LogicalPlan) -> PlanResult<LogicalPlan> {
    let both = Window::try_new(windows.to_vec(), Arc::new(below.clone()))?;
    let lower = as_window(below).ok_or_else(|| DataFusionError::Internal("no windows below".to_owned()))?;
    let windows = [lower.windows.clone(), both.window_expr].concat();
    Ok(extension(KeyedWindowNode { windows, schema: both.schema, ..lower.clone() }))
}

/// As [`beside`], below a projection that only leaves columns out.
fn above_projection(windows: &[Expr], projection: &Projection) -> PlanResult<LogicalPlan> {
    let below = beside(windows, &projection.input)?;
    let names = windows.iter().map(|window| Expr::Column(Column::from_name(window.schema_name().to_string())));
    let exprs = projection.expr.iter().cloned().chain(names).collect();
    Ok(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(below))?))
}

fn check_types(call: &crate::window::WindowCall<'_>, input: &LogicalPlan) -> PlanResult<()> {
    use datafusion::logical_expr::ExprSchemable;
    if call.named == Named::Other {
        call.factory(input.schema()).map_err(|(construct, instead)| refused(&construct, &instead))?;
        check_time(call, input)?;
    }
    let kind = call.arguments[0].get_type(input.schema())?;
    if !crate::window::is_supported(&kind) {
        return Err(refused(&format!("a window over values of type {kind}"), "take numbers, text, booleans or times"));
    }
    if kind.is_floating() && call.named.adds_up() {
        return Err(refused(
            "a sum or average over floating-point numbers",
            "floats drift as rows leave the frame: CAST the argument to DECIMAL(38, 6) first",
        ));
    }
    Ok(())
}

/// A baseline forgets by log time: what it is given as `time` must be that.
fn check_time(call: &crate::window::WindowCall<'_>, input: &LogicalPlan) -> PlanResult<()> {
    let name = call.window.fun.name();
    let Some(place) = crate::aggregate::time_argument(name) else { return Ok(()) };
    let is_log_time = |expr: &Expr| match expr {
        Expr::Column(column) => input
            .schema()
            .maybe_index_of_column(column)
            .and_then(|index| super::lineage::base_of(input, index))
            .is_some_and(|base| base == "time"),
        _ => false,
    };
    match call.arguments.get(place) {
        Some(argument) if !is_log_time(argument) => {
            Err(refused(&format!("{name} of another time than log time"), "give it the events' own `time`"))
        }
        _ => Ok(()),
    }
}

fn check_lookups_below(plan: &LogicalPlan) -> PlanResult<()> {
    plan.apply(|node| {
        if let LogicalPlan::Extension(extension) = node
            && extension.node.as_any().downcast_ref::<LookupNode>().is_some_and(|lookup| !lookup.unique)
        {
            return Err(refused(
                "an inventory join below a window whose key is not unique",
                "join on the whole key of the table, or join above the window: a doubled row would be counted twice",
            ));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

fn refers_only_to(exprs: &[Expr], plan: &LogicalPlan) -> bool {
    let known = |column: &Column| plan.schema().maybe_index_of_column(column).is_some();
    exprs.iter().all(|expr| expr.column_refs().into_iter().all(known))
}

/// Conjuncts that do not use the windows' results say which rows are answered and held.
fn absorb_filter(filter: Filter) -> PlanResult<Transformed<LogicalPlan>> {
    let Some(window) = as_window(&filter.input) else { return Ok(Transformed::no(LogicalPlan::Filter(filter))) };
    let conjuncts = split_conjunction_owned(filter.predicate.clone());
    let (anchors, rest): (Vec<Expr>, Vec<Expr>) =
        conjuncts.into_iter().partition(|conjunct| refers_only_to(std::slice::from_ref(conjunct), &window.input));
    let anchor = conjunction(window.anchor.clone().into_iter().chain(anchors));
    let window = extension(KeyedWindowNode { anchor, ..window.clone() });
    Ok(Transformed::yes(match conjunction(rest) {
        None => window,
        Some(predicate) => LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(window))?),
    }))
}

fn rewrite_join(join: Join) -> PlanResult<LogicalPlan> {
    let events_first = reads_events(&join.left);
    let kind = match (join.join_type, events_first) {
        (JoinType::Inner, _) => LookupKind::Inner,
        (JoinType::Left, true) | (JoinType::Right, false) => LookupKind::Left,
        (other, _) => {
            return Err(refused(
                &format!("a {other} join"),
                "use LEFT JOIN or JOIN from events to the inventory table",
            ));
        }
    };
    let on: Vec<(Expr, Expr)> =
        join.on.into_iter().map(|(left, right)| if events_first { (left, right) } else { (right, left) }).collect();
    if on.is_empty() {
        return Err(refused(
            "a join without an equality",
            "join the inventory table ON x.system = e.system AND x.key = e.column",
        ));
    }
    let (events, table) = if events_first { (join.left, join.right) } else { (join.right, join.left) };
    if super::lineage::column_of(&events, "system").is_none() || super::lineage::column_of(&events, "time").is_none() {
        return Err(refused(
            "a join whose events side drops `system` or `time`",
            "keep both in its SELECT list, or SELECT *",
        ));
    }
    let unique = is_unique(&table, &on)?;
    let (input, table) = (Arc::unwrap_or_clone(events), Arc::unwrap_or_clone(table));
    let node = LookupNode { input, table, on, filter: join.filter, kind, events_first, unique, schema: join.schema };
    Ok(LogicalPlan::Extension(Extension { node: Arc::new(node) }))
}

fn reads_events(plan: &LogicalPlan) -> bool {
    plan.exists(|node| Ok(matches!(node, LogicalPlan::TableScan(scan) if scan.table_name.table() == EVENTS)))
        .unwrap_or(false)
}

/// Whether the looked-up columns cover the key of the one table on that side.
fn is_unique(table: &LogicalPlan, on: &[(Expr, Expr)]) -> PlanResult<bool> {
    let mut names = Vec::new();
    table.apply(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            names.push(scan.table_name.table().to_owned());
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let [name] = names.as_slice() else {
        return Err(refused("a join of inventory tables with each other", "join each to events"));
    };
    let table =
        inventory::table(name).ok_or_else(|| DataFusionError::Plan(format!("`{name}` is no inventory table")))?;
    let covers = |key: &&str| on.iter().any(|(_, expr)| matches!(expr, Expr::Column(column) if column.name == **key));
    Ok(table.key.iter().all(covers))
}
