//! How deep a statement goes: whoever plans it goes down into it by a call for each level, and a stack that has no room for the
//! next one ends the process. So it is measured before anything else goes down into it. Knows no plan.
//!
//! The parser gives up on what is bracketed deeply by itself. A chain (`a OR b OR c`, a join of a join, a UNION) has a level for
//! each of its links, and no brackets. What a query reads from another is put into that one's place by the optimizer, so that
//! their levels add up.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Query, SetExpr, Statement, Visit, Visitor};

use super::refusal::Refusal;
use crate::limits::STATEMENT_LEVELS_MAX;

/// The refusal of a statement that goes deeper than there is room for.
pub(super) fn refuse(statement: &Statement) -> Option<Refusal> {
    let is_within = statement.visit(&mut Levels::default()).is_continue();
    (!is_within).then(|| {
        (
            format!(
                "a query of more than {STATEMENT_LEVELS_MAX} operators within each other, with those that it reads from"
            ),
            "x IN ('…', '…') where many values are compared with one, or several rules",
        )
    })
}

/// Of each query that is open, the outermost first.
#[derive(Default)]
struct Levels(Vec<OfQuery>);

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

/// The visit goes down by calls too, and ends as soon as it is too deep.
impl Visitor for Levels {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let begun = OfQuery { joined: joined(&query.body), open: 0, deepest: 0, within: 0 };
        let judged = judge(begun.levels());
        self.0.push(begun);
        judged
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        let levels = self.0.pop().map_or(0, |done| done.levels());
        match self.0.last_mut() {
            Some(above) => {
                above.within += levels;
                judge(above.levels())
            }
            None => judge(levels),
        }
    }

    fn pre_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
        let Some(query) = self.0.last_mut() else { return ControlFlow::Continue(()) };
        query.open += 1;
        query.deepest = query.deepest.max(query.open);
        judge(query.levels())
    }

    fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
        if let Some(query) = self.0.last_mut() {
            query.open = query.open.saturating_sub(1);
        }
        ControlFlow::Continue(())
    }
}

fn judge(levels: usize) -> ControlFlow<()> {
    if levels > STATEMENT_LEVELS_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

/// Links of a chain of UNIONs, and the tables of its SELECTs. Goes along the chain without calls.
fn joined(mut body: &SetExpr) -> usize {
    let mut count = 0;
    while let SetExpr::SetOperation { left, right, .. } = body {
        count += 1 + tables(right);
        body = left;
    }
    count + tables(body)
}

fn tables(body: &SetExpr) -> usize {
    match body {
        SetExpr::Select(select) => select.from.iter().map(|from| 1 + from.joins.len()).sum(),
        _ => 0,
    }
}
