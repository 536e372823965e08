//! Scores, through SQL.

use arrow::array::AsArray;
use arrow::datatypes::Float64Type;

use super::stock::{context, rows_of};

fn score(sql: &str) -> Option<f64> {
    let batch = rows_of(&context(), &format!("SELECT {sql}"));
    batch.column(0).as_primitive::<Float64Type>().iter().next().unwrap()
}

#[test]
fn a_score_is_a_difference_in_widths() {
    assert_eq!(score("z_score(10, 4, 2)"), Some(3.0));
    assert_eq!(score("z_score(CAST(1 AS DECIMAL(38, 0)), CAST(2.5 AS DECIMAL(20, 2)), 0.5)"), Some(-3.0));
    assert_eq!(score("outlier_score(30, 10, 2)"), Some(6.745));
    assert_eq!(score("z_score(1.5, 1, CAST(2 AS BIGINT))"), Some(0.25));
}

#[test]
fn large_values_are_told_apart_exactly() {
    let value = "99999999999999999999999999999999999999";
    let mean = "99999999999999999999999999999999999997";
    let sql = format!("z_score(CAST('{value}' AS DECIMAL(38, 0)), CAST('{mean}' AS DECIMAL(38, 0)), 1)");
    assert_eq!(score(&sql), Some(2.0));
    assert_eq!(
        score(&format!(
            "z_score(CAST('{value}' AS DECIMAL(38, 0)), -CAST(0.00000000000000000000000000000000000001 AS DECIMAL(38, 38)), 1)"
        )),
        Some(1e38)
    );
}

#[test]
fn without_a_width_there_is_no_score() {
    for sql in ["z_score(1, 2, 0)", "z_score(1, 2, NULL)", "z_score(NULL, 2, 1)", "outlier_score(1, 2, -1)"] {
        assert_eq!(score(sql), None, "{sql}");
    }
    assert_eq!(score("z_score(1e300, 0, 1e-300)"), Some(f64::MAX));
}
