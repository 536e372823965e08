//! What is refused, by name, with what to write instead.

use super::*;

/// The refusal of a call.
fn refusal(name: &str, distinct: bool, arguments: &[(DataType, Option<ScalarValue>)]) -> String {
    let (types, literals): (Vec<DataType>, Vec<Option<ScalarValue>>) = arguments.iter().cloned().unzip();
    let (construct, instead) = sliding(name, distinct, &types, &literals, &DataType::Float64).unwrap().unwrap_err();
    format!("{construct}: {instead}")
}

#[test]
fn what_cannot_be_computed_exactly_says_what_to_write() {
    let float = || (DataType::Float64, None);
    let integer = || (DataType::Int64, None);
    let text = || (DataType::Utf8, None);
    let month = ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(1, 0, 0)));
    let cases = [
        (refusal("stddev", false, &[float()]), "CAST the argument to DECIMAL"),
        (refusal("var_pop", false, &[text()]), "integers or decimals"),
        (refusal("stddev", true, &[integer()]), "leave DISTINCT out"),
        (refusal("bool_or", false, &[integer()]), "write a condition"),
        (refusal("array_agg", false, &[text()]), "array_agg(x, limit)"),
        (refusal("array_agg", false, &[text(), integer()]), "literal limit"),
        (refusal("array_agg", false, &[text(), literal(1_001_i64)]), "1 to 1000"),
        (refusal("string_agg", false, &[text(), literal(","), literal(0_i64)]), "1 to 1000"),
        (refusal("string_agg", false, &[text(), text(), literal(5_i64)]), "literal separator"),
        (refusal("string_agg", false, &[text(), literal(",")]), "string_agg(x, separator, limit)"),
        (refusal("string_agg", false, &[integer(), literal(","), literal(5_i64)]), "CAST the argument to TEXT"),
        (refusal("decayed_count", false, &[(TIME, None), integer()]), "INTERVAL '7 days'"),
        (refusal("decayed_count", false, &[(TIME, None), literal(month)]), "between a second and 400 days"),
        (refusal("decayed_rate", false, &[(TIME, None), half_life(999_999_999)]), "between a second and 400 days"),
        (refusal("decayed_count", false, &[integer(), half_life(10_i64.pow(12))]), "the events' own `time`"),
        (refusal("decayed_count", false, &[(TIME, None), half_life(10_i64.pow(12)), integer()]), "which rows count"),
        (refusal("decayed_mean", false, &[float(), (TIME, None), half_life(10_i64.pow(12))]), "CAST the argument"),
        (refusal("quantile", false, &[integer(), literal(1.5)]), "0 to 1"),
        (refusal("quantile", false, &[integer(), float()]), "literal rank"),
        (refusal("first_seen", false, &[text()]), "the events' own `time`"),
        (refusal("approx_distinct", false, &[text()]), "count(DISTINCT x)"),
    ];
    for (refusal, advice) in cases {
        assert!(refusal.contains(advice), "{refusal} does not say {advice}");
    }
}

#[test]
fn frames_that_do_not_fit_are_refused() {
    let baseline = factory("first_seen", &[(TIME, None)]);
    assert!(baseline.refuse_frame("first_seen", true).is_none());
    assert!(baseline.refuse_frame("first_seen", false).unwrap().1.contains("UNBOUNDED PRECEDING"));
    let any = factory("stddev", &[(DataType::Int64, None)]);
    assert!(any.refuse_frame("stddev", true).is_none() && any.refuse_frame("stddev", false).is_none());
}

#[test]
fn other_functions_are_not_ours() {
    assert!(sliding("count", false, &[DataType::Int64], &[None], &DataType::Int64).is_none());
}
