//! Comparisons that DataFusion makes otherwise than they read. What is compared, or chosen between, is brought to one
//! type first; for intervals, and for amounts beside floating-point numbers, that type is the wrong one.

use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Operator};

use super::refusal::Refusal;

/// Scalar functions that compare their arguments.
const COMPARING: [&str; 3] = ["greatest", "least", "nullif"];

/// Scalar functions that give one of their arguments.
const CHOOSING: [&str; 4] = ["coalesce", "nvl", "nvl2", "ifnull"];

/// Expressions that are brought to one type.
struct Together<'a> {
    sides: Vec<&'a Expr>,
    /// Whether they are compared, and not only chosen between.
    compared: bool,
}

/// Refuses a comparison that reads otherwise than it is made.
pub(super) fn refuse(expr: &Expr, inputs: &DFSchema) -> Option<Refusal> {
    brought_together(expr).iter().find_map(|together| {
        let types: Vec<DataType> = together.sides.iter().filter_map(|side| side.get_type(inputs).ok()).collect();
        if together.compared && types.iter().any(|kind| matches!(kind, DataType::Interval(_))) {
            return Some((
                "a comparison of a difference of times".to_owned(),
                "days and hours would be compared apart: compare times, a < b - INTERVAL '7 days'",
            ));
        }
        let is_amount = |kind: &DataType| matches!(kind, DataType::Decimal128(23.., _));
        let mixes = types.iter().any(is_amount) && types.iter().any(DataType::is_floating);
        mixes.then(|| {
            (
                "a comparison of an amount with a floating-point number".to_owned(),
                "it fails on large amounts: judge by z_score(x, mean, stddev), or CAST the float to DECIMAL(38, 0)",
            )
        })
    })
}

fn brought_together(expr: &Expr) -> Vec<Together<'_>> {
    let compared = |sides| vec![Together { sides, compared: true }];
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if compares(*op) => compared(vec![left, right]),
        Expr::Between(between) => compared(vec![&between.expr, &between.low, &between.high]),
        Expr::InList(list) => compared(std::iter::once(list.expr.as_ref()).chain(&list.list).collect()),
        Expr::Case(case) => {
            let (whens, thens): (Vec<&Expr>, Vec<&Expr>) =
                case.when_then_expr.iter().map(|(when, then)| (when.as_ref(), then.as_ref())).unzip();
            let chosen = thens.into_iter().chain(case.else_expr.as_deref()).collect();
            let compared = case.expr.as_deref().map(|expr| std::iter::once(expr).chain(whens).collect());
            let compared = compared.map(|sides| Together { sides, compared: true });
            compared.into_iter().chain([Together { sides: chosen, compared: false }]).collect()
        }
        Expr::ScalarFunction(call) if COMPARING.contains(&call.func.name()) => compared(call.args.iter().collect()),
        Expr::ScalarFunction(call) if CHOOSING.contains(&call.func.name()) => {
            vec![Together { sides: call.args.iter().collect(), compared: false }]
        }
        _ => Vec::new(),
    }
}

fn compares(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}
