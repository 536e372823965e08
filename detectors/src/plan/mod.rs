//! From SQL text to a pipeline of steps that is run for each batch of the log.
//!
//! 1. DataFusion parses and binds the text, unless it is too deep for that ([`depth`]); [`language`] refuses what cannot be answered from the log alone, on the
//!    plan before any optimizer has hidden it.
//! 2. [`scope`] puts `system` before every partition key and adds the hidden columns that a finding needs.
//! 3. DataFusion optimizes; then [`rewrite`] replaces windows and inventory joins by our own nodes, [`bounded`] finds
//!    the counts of which only a few are asked for, [`certain`] those that a filter above wants to be small,
//!    [`deadline`] rows that are certain at a time of their own, and [`dispatch`] the kinds that the rule can match.
//! 4. DataFusion plans the rest, [`planner`] our nodes, and [`pipeline`] lays the physical plan out flat.

mod bounded;
mod certain;
mod comparison;
mod deadline;
pub(crate) mod depth;
pub(crate) mod describe;
mod dispatch;
mod functions;
mod geography;
mod kind_names;
mod language;
pub(crate) mod lineage;
mod node;
pub(crate) mod pipeline;
mod planner;
mod refusal;
mod rewrite;
pub(crate) mod run;
mod scope;
mod session;
mod tables;
pub(crate) mod token_names;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, Scope, ScopedJoinHandle};

use datafusion::error::DataFusionError;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{LogicalPlan, ScalarUDF};
use keywatch_store::inventory::TABLES;

pub(crate) use scope::{HIDDEN_LATE, HIDDEN_SOURCE, HIDDEN_SYSTEM, HIDDEN_TIME};

use crate::error::Error;
use crate::limits::{PLANNING_STACK_BYTES, PLANNING_THREADS};
use pipeline::Pipeline;

/// The one table of events.
pub(crate) const EVENTS: &str = "events";

/// A rule's SQL, planned.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) pipeline: Pipeline,
    /// Kinds of events that it can match; `None` for all.
    pub(crate) kinds: Option<BTreeSet<String>>,
    /// Nanoseconds between a row and the record that decides it.
    pub(crate) following_ns: i64,
    /// The logical plan, said for people; its operators stand in the pipeline.
    pub(crate) steps: Vec<describe::Step>,
    /// The logical plan, as text.
    pub(crate) shown: String,
    /// Names of the columns that it returns.
    pub(crate) outputs: Vec<String>,
}

/// The scalar functions that SQL has here beyond DataFusion's own.
pub(crate) fn scalar_functions() -> Vec<ScalarUDF> {
    functions::all().into_iter().chain(crate::aggregate::scalars()).collect()
}

/// Everything that is wrong with a rule's SQL, parameters filled in; what hides the rest (SQL that does not parse, a
/// column that is not there) comes alone.
pub(crate) fn problems(rule: &str, sql: &str) -> Vec<Error> {
    let found = thread::scope(|scope| on_a_deep_stack(scope, || problems_here(rule, sql)).join());
    found.expect("planning a rule does not panic")
}

/// A thread in which expressions may be deep: the planner goes down into each by a call of its own, and a chain of a few
/// comparisons is more than the stack of an ordinary thread has room for.
fn on_a_deep_stack<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> ScopedJoinHandle<'scope, T> {
    let thread = thread::Builder::new().stack_size(PLANNING_STACK_BYTES);
    thread.spawn_scoped(scope, work).expect("the system has room for a thread")
}

fn problems_here(rule: &str, sql: &str) -> Vec<Error> {
    let bound = match bind(&session::state(), rule, sql) {
        Ok(bound) => bound,
        Err(error) => return vec![error],
    };
    match language::problems(rule, &bound) {
        Err(error) => vec![error],
        Ok(problems) if problems.is_empty() => compile_here(rule, sql).err().into_iter().collect(),
        Ok(problems) => problems,
    }
}

fn bind(state: &SessionState, rule: &str, sql: &str) -> Result<LogicalPlan, Error> {
    let dialect = state.config_options().sql_parser.dialect;
    let statement = state.sql_to_statement(sql, &dialect).map_err(|error| sql_error(rule, &error))?;
    language::check_statement(rule, &statement)?;
    let bound = futures::executor::block_on(state.statement_to_plan(statement));
    bound.map_err(|error| sql_error(rule, &error))
}

/// Plans rules, each by its id and its SQL with the parameters filled in, on several threads.
pub(crate) fn compile_all(rules: &[(&str, &str)]) -> Vec<Result<Planned, Error>> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut planned = Vec::new();
        while let Some((index, (id, sql))) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|i| Some((i, rules.get(i)?)))
        {
            planned.push((index, compile_here(id, sql)));
        }
        planned
    };
    let mut planned: Vec<(usize, Result<Planned, Error>)> = thread::scope(|scope| {
        let threads: Vec<_> = (0..PLANNING_THREADS.min(rules.len())).map(|_| on_a_deep_stack(scope, work)).collect();
        let joined = threads.into_iter().map(|thread| thread.join().expect("planning a rule does not panic"));
        joined.flatten().collect()
    });
    planned.sort_by_key(|(index, _)| *index);
    planned.into_iter().map(|(_, planned)| planned).collect()
}

/// Plans a rule's SQL, parameters filled in.
pub(crate) fn compile(rule: &str, sql: &str) -> Result<Planned, Error> {
    let planned = thread::scope(|scope| on_a_deep_stack(scope, || compile_here(rule, sql)).join());
    planned.expect("planning a rule does not panic")
}

fn compile_here(rule: &str, sql: &str) -> Result<Planned, Error> {
    let state = session::state();
    let bound = bind(&state, rule, sql)?;
    language::check(rule, &bound)?;
    let scoped = scope::prepare(rule, bound)?;
    let mut names = describe::Names::of(&scoped);
    let outputs = scoped.schema().fields().iter().map(|field| field.name().clone()).collect();
    let optimized = state.optimize(&scoped).map_err(|error| sql_error(rule, &error))?;
    let rewritten = certain::tell_rejected(bounded::bound_counts(rewrite::rewrite(rule, optimized)?));
    let rewritten = deadline::tell_deadlines(rewritten);
    let following_ns = rewrite::following_ns(&rewritten);
    let shown = rewritten.display_indent().to_string();
    let (plan, kinds) = dispatch::take_kinds(rewritten).map_err(|error| sql_error(rule, &error))?;
    let steps = describe::steps(&plan, &mut names);
    let physical = futures::executor::block_on(state.query_planner().create_physical_plan(&plan, &state));
    let pipeline = physical.and_then(|plan| Pipeline::new(&plan)).map_err(|error| sql_error(rule, &error))?;
    Ok(Planned { pipeline, kinds, following_ns, steps, shown, outputs })
}

fn sql_error(rule: &str, error: &DataFusionError) -> Error {
    let mut problem = error.strip_backtrace();
    if problem.contains("table 'datafusion.public.") {
        problem = problem.replace("datafusion.public.", "");
        let tables: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
        problem = format!(
            "{problem}; there are {EVENTS}, {}, and the views that the rule names in `uses`",
            tables.join(", ")
        );
    }
    Error::Sql { rule: rule.to_owned(), problem }
}
