//! A plan said for people: its steps from the events up, with the names and expressions that the rule was written with.
//!
//! It reads the logical plan, since physical expressions have lost the SQL; it plans nothing.

use std::collections::BTreeMap;

use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, LogicalPlan, Projection};
use datafusion::scalar::ScalarValue;
use datafusion::sql::unparser::Unparser;
use datafusion::sql::unparser::dialect::CustomDialectBuilder;

use crate::lookup::{LookupKind, LookupNode};
use crate::window::{Group, KeyedWindowNode, unalias};

/// One step of a rule, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Rows for which all of these hold.
    Keep(Vec<String>),
    /// Columns that are computed: name and expression.
    Compute(Vec<(String, String)>),
    /// Windows.
    Windows(Windows),
    /// What the inventory says of each row.
    Lookup {
        /// The inventory table.
        table: String,
        /// What has to be equal, and what else has to hold.
        on: Vec<String>,
        /// Whether rows without a match stay.
        keeps_unmatched: bool,
    },
}

/// The windows of one step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Windows {
    /// Which rows are answered; all when there is nothing.
    pub answered: Vec<String>,
    /// Nanoseconds that a row waits for its answer.
    pub waits_ns: i64,
    /// The time at which a row has its answer if that is earlier: an expression over the row.
    pub deadline: Option<String>,
    /// Rows that wait now, and the bytes that they take.
    pub waiting: (usize, usize),
    /// By partition key.
    pub groups: Vec<Group>,
    /// For each window column its name, function and partition key.
    pub(crate) columns: Vec<[String; 3]>,
}

/// What the rule calls what the plan has its own names for.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// The names of windows.
    windows: BTreeMap<String, String>,
    /// Expressions that the optimizer has set apart, as the rule wrote them.
    common: BTreeMap<String, Expr>,
    /// Inventory tables, by what the rule calls them.
    tables: BTreeMap<String, String>,
}

/// What a window is called that has no name in the rule, before its number.
const UNNAMED: &str = "window_";

/// How the optimizer names an expression that it computes once.
const COMMON: &str = "__common_expr";

impl Names {
    /// Reads them off a plan that the optimizer has not seen yet.
    pub(super) fn of(plan: &LogicalPlan) -> Names {
        let mut names = Names::default();
        // Nothing in it fails.
        let _ = plan.apply(|node| {
            if let LogicalPlan::Projection(projection) = node {
                names.take(projection);
            }
            Ok(TreeNodeRecursion::Continue)
        });
        names
    }

    fn take(&mut self, projection: &Projection) {
        for expr in &projection.expr {
            if let Expr::Alias(alias) = expr
                && let Expr::Column(column) = unalias(expr)
                && is_of_a_window(&column.name)
                && !is_of_a_window(&alias.name)
            {
                let called = self.windows.get(&alias.name).unwrap_or(&alias.name).clone();
                self.windows.entry(column.name.clone()).or_insert(called);
            }
        }
    }

    fn get(&self, column: &str) -> Option<&str> {
        self.windows.get(column).map(String::as_str)
    }

    /// Gives a window a name that has none in the rule.
    fn call(&mut self, column: &str) {
        if self.get(column).is_none() && is_of_a_window(column) {
            let next = self.windows.values().filter(|name| name.starts_with(UNNAMED)).count() + 1;
            self.windows.insert(column.to_owned(), format!("{UNNAMED}{next}"));
        }
    }

    /// Notes what the optimizer has set apart here.
    fn set_apart(&mut self, projection: &Projection) {
        for (expr, field) in projection.expr.iter().zip(projection.schema.fields()) {
            let is_passed_on = match unalias(expr) {
                // What was set apart may be given on under another such name.
                Expr::Column(column) => column.name == *field.name() || !self.common.contains_key(&column.name),
                _ => false,
            };
            if field.name().starts_with(COMMON) && !is_passed_on {
                let written = self.written(unalias(expr));
                self.common.insert(field.name().clone(), written);
            }
        }
    }

    /// An expression as SQL: columns by the rule's names, without the tables they come from.
    fn show(&self, expr: &Expr) -> String {
        let written = self.written(expr);
        let dialect = CustomDialectBuilder::new().build();
        let sql = Unparser::new(&dialect).with_pretty(true).expr_to_sql(&written);
        sql.map_or_else(|_| written.to_string(), |sql| sql.to_string())
    }

    fn written(&self, expr: &Expr) -> Expr {
        let written = expr.clone().transform_up(|expr| Ok(Transformed::yes(self.plain(expr))));
        written.map_or_else(|_| expr.clone(), |written| written.data)
    }

    /// A column of an inventory table says so; one of the events does not.
    fn placed(&self, column: Column) -> Column {
        let table = column.relation.as_ref().and_then(|relation| self.tables.get(relation.table()));
        Column::new(table.map(String::as_str), column.name)
    }

    fn plain(&self, expr: Expr) -> Expr {
        match expr {
            Expr::Column(column) => match (self.common.get(&column.name), self.get(&column.name)) {
                (Some(expr), _) => expr.clone(),
                (None, Some(name)) => Expr::Column(Column::from_name(name)),
                (None, None) => Expr::Column(self.placed(column)),
            },
            Expr::Alias(alias) => *alias.expr,
            // Casts of literals are DataFusion's own.
            Expr::Cast(cast) if matches!(cast.expr.as_ref(), Expr::Literal(..)) => *cast.expr,
            other => other,
        }
    }
}

/// Whether a name is one that DataFusion gives to the column of a window.
fn is_of_a_window(name: &str) -> bool {
    name.contains(" BY [")
}

/// The steps of a plan of our own language, from the events up.
pub(super) fn steps(plan: &LogicalPlan, names: &mut Names) -> Vec<Step> {
    let Some(input) = plan.inputs().first().copied() else { return scan_step(plan, names).into_iter().collect() };
    let mut steps = steps(input, names);
    steps.extend(match plan {
        LogicalPlan::Filter(filter) => Some(Step::Keep(conjuncts(&filter.predicate, names))),
        LogicalPlan::Projection(projection) => {
            names.set_apart(projection);
            compute(projection, names)
        }
        LogicalPlan::Extension(extension) => {
            let node = extension.node.as_any();
            let windows = node.downcast_ref().map(|node| Step::Windows(windows(node, names)));
            windows.or_else(|| node.downcast_ref().map(|node| lookup(node, names)))
        }
        _ => None,
    });
    steps
}

fn scan_step(plan: &LogicalPlan, names: &Names) -> Option<Step> {
    match plan {
        LogicalPlan::TableScan(scan) if !scan.filters.is_empty() => {
            Some(Step::Keep(scan.filters.iter().map(|filter| names.show(filter)).collect()))
        }
        _ => None,
    }
}

fn conjuncts(predicate: &Expr, names: &Names) -> Vec<String> {
    split_conjunction(predicate).into_iter().map(|conjunct| names.show(conjunct)).collect()
}

/// The columns that are more than a column of the rows below.
fn compute(projection: &Projection, names: &Names) -> Option<Step> {
    let computed = projection.expr.iter().zip(projection.schema.fields()).filter_map(|(expr, field)| {
        if matches!(unalias(expr), Expr::Column(column) if column.name == *field.name()) {
            return None;
        }
        let shown = names.show(expr);
        let name = names.get(field.name()).unwrap_or(field.name());
        (shown != *name && !name.starts_with("__") && !is_of_a_window(name)).then(|| (name.to_owned(), shown))
    });
    let computed: Vec<(String, String)> = computed.collect();
    (!computed.is_empty()).then_some(Step::Compute(computed))
}

fn windows(node: &KeyedWindowNode, names: &mut Names) -> Windows {
    let first = node.input.schema().fields().len();
    node.schema.fields()[first..].iter().for_each(|field| names.call(field.name()));
    let names = &*names;
    let columns = node.windows.iter().enumerate().map(|(index, expr)| {
        let field = node.schema.field(first + index).name();
        let name = names.get(field).unwrap_or(field).to_owned();
        match unalias(expr) {
            Expr::WindowFunction(window) => [name, function(window, names), key(window, names)],
            other => [name, names.show(other), String::new()],
        }
    });
    let answered = node.anchor.as_ref().map(|anchor| conjuncts(anchor, names)).unwrap_or_default();
    let deadline = node.deadline.as_ref().map(|deadline| names.show(&deadline.time));
    Windows { answered, deadline, columns: columns.collect(), ..Windows::default() }
}

fn function(window: &WindowFunction, names: &Names) -> String {
    let one = |argument: &Expr| matches!(argument, Expr::Literal(ScalarValue::Int64(Some(1)), _));
    let params = &window.params;
    let name = window.fun.name();
    let arguments = match params.args.as_slice() {
        [argument] if one(argument) && name == "count" => "*".to_owned(),
        arguments => arguments.iter().map(|argument| names.show(argument)).collect::<Vec<_>>().join(", "),
    };
    let distinct = if params.distinct { "DISTINCT " } else { "" };
    let filter =
        params.filter.as_ref().map_or_else(String::new, |filter| format!(" FILTER (WHERE {})", names.show(filter)));
    let nulls = params.null_treatment.map_or_else(String::new, |nulls| format!(" {nulls}"));
    format!("{name}({distinct}{arguments}){nulls}{filter}")
}

fn key(window: &WindowFunction, names: &Names) -> String {
    window.params.partition_by.iter().map(|key| names.show(key)).collect::<Vec<_>>().join(", ")
}

fn lookup(node: &LookupNode, names: &mut Names) -> Step {
    let mut table = String::new();
    // Nothing in it fails.
    let _ = node.table.apply(|plan| {
        if let LogicalPlan::TableScan(scan) = plan {
            table = scan.table_name.table().to_owned();
        }
        Ok(TreeNodeRecursion::Continue)
    });
    for (relation, _) in node.table.schema().iter() {
        if let Some(relation) = relation {
            names.tables.insert(relation.table().to_owned(), table.clone());
        }
    }
    let on = node.on.iter().map(|(event, key)| format!("{} = {}", names.show(event), names.show(key)));
    let on = on.chain(node.filter.iter().flat_map(|filter| conjuncts(filter, names))).collect();
    Step::Lookup { table, on, keeps_unmatched: node.kind == LookupKind::Left }
}
