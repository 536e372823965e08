//! Kinds that a rule asks for and that do not exist: a rule that can never fire looks like protection.

use std::collections::BTreeSet;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::utils::datafusion_strsim::normalized_levenshtein;
use datafusion::error::Result;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan};
use keywatch_store::kinds::{self, Writer};

/// What is wrong with the kinds that a bound plan compares `kind` with, each once.
pub(super) fn unknown(plan: &LogicalPlan) -> Result<Vec<String>> {
    let mut asked = BTreeSet::new();
    plan.apply(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                asked.extend(kinds_asked(expr));
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(asked.iter().filter_map(|name| problem(name)).collect())
}

fn kinds_asked(expr: &Expr) -> Vec<String> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if op.is_comparison_operator() => {
            let pairs = [(left, right), (right, left)];
            pairs.into_iter().filter(|(column, _)| is_kind(column)).filter_map(|(_, literal)| text(literal)).collect()
        }
        Expr::InList(InList { expr, list, .. }) if is_kind(expr) => list.iter().filter_map(text).collect(),
        _ => Vec::new(),
    }
}

fn is_kind(expr: &Expr) -> bool {
    match expr {
        Expr::Column(column) => column.name == "kind",
        Expr::Cast(cast) => is_kind(&cast.expr),
        _ => false,
    }
}

fn text(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten().map(str::to_owned),
        Expr::Cast(cast) => text(&cast.expr),
        _ => None,
    }
}

fn problem(name: &str) -> Option<String> {
    match kinds::find(name) {
        Some(kind) if kind.writer != Writer::Conclusion => None,
        Some(_) => Some(format!("kind `{name}` stands among the conclusions, which rules do not read")),
        None => {
            let near = kinds::KINDS.iter().filter(|kind| kind.writer != Writer::Conclusion).max_by(|one, other| {
                normalized_levenshtein(one.name, name).total_cmp(&normalized_levenshtein(other.name, name))
            });
            let near = near.map(|kind| kind.name).unwrap_or_default();
            Some(format!("there is no kind `{name}`, so this can never match; did you mean `{near}`? (docs/events.md has all)"))
        }
    }
}
