//! How deep a statement goes: whoever plans it goes down into it by a call for each level, and a stack that has no room for the
//! next one ends the process. So it is measured before anything else goes down into it. Knows no plan.
//!
//! The parser gives up on what is bracketed deeply by itself. A chain (`a OR b OR c`, a join of a join, a UNION) has a level for
//! each of its links, and no brackets. What a query reads from another is put into that one's place by the optimizer, so that
//! their levels add up.

use std::iter;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Query, SetExpr, Statement, TableFactor, TableWithJoins, Visit, Visitor};

use super::refusal::Refusal;
use crate::limits::STATEMENT_LEVELS_MAX;

/// Whether a statement has more than so many operators, tables and links of UNIONs within each other, those of the queries that
/// it reads from added.
#[must_use]
pub fn is_deeper(statement: &Statement, levels_max: usize) -> bool {
    let mut levels = Levels { open: vec![OfQuery::default()], levels_max };
    statement.visit(&mut levels).is_break()
}

/// The refusal of a statement that goes deeper than there is room for.
pub(super) fn refuse(statement: &Statement) -> Option<Refusal> {
    is_deeper(statement, STATEMENT_LEVELS_MAX).then(|| {
        (
            format!(
                "a query of more than {STATEMENT_LEVELS_MAX} operators within each other, with those that it reads from"
            ),
            "x IN ('…', '…') where many values are compared with one, or several rules",
        )
    })
}

/// The visit goes down by calls too, and ends as soon as it is too deep.
struct Levels {
    /// Of the statement, then of each query that is open, the outermost first.
    open: Vec<OfQuery>,
    levels_max: usize,
}

#[derive(Default)]
struct OfQuery {
    /// Links of its chain of UNIONs, and its tables.
    joined: usize,
    /// Expressions that are open.
    open: usize,
    /// The most that were.
    deepest: usize,
    /// Levels of the queries within it that are over.
    within: usize,
}

impl OfQuery {
    fn levels(&self) -> usize {
        self.joined + self.deepest + self.within
    }
}

impl Levels {
    fn judge(&self) -> ControlFlow<()> {
        let is_deep = self.open.last().is_some_and(|query| query.levels() > self.levels_max);
        if is_deep { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

impl Visitor for Levels {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.open.push(OfQuery { joined: joined(&query.body), ..OfQuery::default() });
        self.judge()
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        let levels = self.open.pop().map_or(0, |done| done.levels());
        if let Some(above) = self.open.last_mut() {
            above.within += levels;
        }
        self.judge()
    }

    fn pre_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
        if let Some(query) = self.open.last_mut() {
            query.open += 1;
            query.deepest = query.deepest.max(query.open);
        }
        self.judge()
    }

    fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
        if let Some(query) = self.open.last_mut() {
            query.open = query.open.saturating_sub(1);
        }
        ControlFlow::Continue(())
    }
}

/// Links of a chain of UNIONs, and the tables of its SELECTs. Goes along the chain without calls; one of INTERSECT may be to the
/// right of another, and joins may be in brackets.
fn joined(body: &SetExpr) -> usize {
    let (mut count, mut waiting) = (0, vec![body]);
    while let Some(body) = waiting.pop() {
        match body {
            SetExpr::SetOperation { left, right, .. } => {
                count += 1;
                waiting.extend([&**left, &**right]);
            }
            SetExpr::Select(select) => count += tables(&select.from),
            _ => {}
        }
    }
    count
}

fn tables(from: &[TableWithJoins]) -> usize {
    let (mut count, mut waiting) = (0, from.iter().collect::<Vec<_>>());
    while let Some(table) = waiting.pop() {
        count += 1 + table.joins.len();
        for relation in iter::once(&table.relation).chain(table.joins.iter().map(|join| &join.relation)) {
            if let TableFactor::NestedJoin { table_with_joins, .. } = relation {
                waiting.push(table_with_joins);
            }
        }
    }
    count
}
