//! Functions of any frame.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;

const LARGEST: i128 = 10_i128.pow(38) - 1;

fn numbers() -> impl Strategy<Value = Vec<Row>> {
    let any = prop_oneof![
        Just(None),
        (-1_000_i64..1_000).prop_map(|small| Some(i128::from(small))),
        any::<i64>().prop_map(|large| Some(i128::from(large))),
        (-LARGEST..=LARGEST).prop_map(Some),
    ];
    proptest::collection::vec(any.prop_map(|value| vec![value.map(Value::Number)]), 1..40)
}

fn texts() -> impl Strategy<Value = Vec<Row>> {
    let any = prop_oneof![Just(None), "[a-c]{0,3}".prop_map(|text| Some(Value::Text(Arc::from(text.as_str()))))];
    proptest::collection::vec(any.prop_map(|value| vec![value]), 1..40)
}

/// The rows of the frame at `index`.
fn frame(rows: &[Row], index: usize, width: usize) -> Vec<Option<Value>> {
    rows[(index + 1).saturating_sub(width)..=index].iter().map(|row| row[0].clone()).collect()
}

/// The squares of all differences, twice: a way to the variance that has no cancellation.
fn naive_variance(values: &[Option<Value>], is_sample: bool) -> Option<f64> {
    let values: Vec<f64> = values.iter().filter_map(|value| units(value.clone())).map(|units| units as f64).collect();
    let count = values.len() as f64;
    let freedom = if is_sample { count - 1.0 } else { count };
    let pairs = values.iter().flat_map(|left| values.iter().map(move |right| (left - right).powi(2)));
    (freedom > 0.0).then(|| pairs.sum::<f64>() / 2.0 / count / freedom)
}

fn is_close(left: Option<f64>, right: Option<f64>, tolerance: f64) -> bool {
    match (left, right) {
        (Some(left), Some(right)) => (left - right).abs() <= tolerance * left.abs().max(right.abs()),
        (left, right) => left == right,
    }
}

proptest! {
    #[test]
    fn spread_is_that_of_the_frame(rows in numbers(), width in 1_usize..12, scale in 0_i8..=38) {
        let decimal = (DataType::Decimal128(38, scale), None);
        for (name, is_root, is_sample) in
            [("var", false, true), ("var_pop", false, false), ("stddev", true, true), ("stddev_pop", true, false)]
        {
            let answers = slide(&factory(name, std::slice::from_ref(&decimal)), &rows, width);
            for (index, answer) in answers.into_iter().enumerate() {
                let variance = naive_variance(&frame(&rows, index, width), is_sample).map(|units| units / 10_f64.powi(2 * i32::from(scale)));
                let expected = if is_root { variance.map(f64::sqrt) } else { variance };
                let answer = float(answer);
                prop_assert!(is_close(answer, expected, 1e-9), "{name}: {answer:?} is not {expected:?}");
            }
        }
    }

    /// No trace is left of what was there: exactly the bits of a state that never saw it.
    #[test]
    fn p1_an_answer_depends_on_the_rows_of_the_frame_alone(rows in numbers(), texts in texts(), width in 1_usize..12) {
        let decimal = (DataType::Decimal128(38, 6), None);
        let text = (DataType::Utf8, None);
        let calls = [
            ("stddev", vec![decimal.clone()], &rows),
            ("array_agg", vec![decimal, literal(4_i64)], &rows),
            ("string_agg", vec![text, literal(","), literal(4_i64)], &texts),
        ];
        for (name, arguments, rows) in calls {
            let factory = factory(name, &arguments);
            for (index, answer) in slide(&factory, rows, width).into_iter().enumerate() {
                let own = &rows[(index + 1).saturating_sub(width)..=index];
                let slid = slide(&factory, own, width).pop();
                let grown = grow(&factory, own, &vec![0; own.len()], None).pop();
                prop_assert_eq!((&slid, &grown), (&Some(answer.clone()), &Some(answer)), "{}", name);
            }
        }
    }

    #[test]
    fn rows_are_shown_as_they_stand(rows in texts(), width in 1_usize..12, limit in 1_usize..6) {
        let text = (DataType::Utf8, None);
        let limited = literal(i64::try_from(limit).unwrap());
        let joined = slide(&factory("string_agg", &[text.clone(), literal("+"), limited.clone()]), &rows, width);
        let listed = slide(&factory("array_agg", &[text, limited]), &rows, width);
        for index in 0..rows.len() {
            let frame = frame(&rows, index, width);
            let shown: Vec<String> = frame.iter().flatten().take(limit).map(|value| match value {
                Value::Text(text) => text.to_string(),
                other => panic!("{other:?}"),
            }).collect();
            let expected = (!shown.is_empty()).then(|| Value::Text(Arc::from(shown.join("+"))));
            prop_assert_eq!(&joined[index], &expected);
            prop_assert_eq!(&listed[index], &Some(Value::List(frame.iter().take(limit).cloned().collect())));
        }
    }

    #[test]
    fn truth_is_that_of_the_frame(values in proptest::collection::vec(any::<Option<bool>>(), 1..40), width in 1_usize..12) {
        let rows: Vec<Row> = values.iter().map(|value| vec![value.map(Value::Boolean)]).collect();
        let all = slide(&factory("bool_and", &[(DataType::Boolean, None)]), &rows, width);
        let any = slide(&factory("bool_or", &[(DataType::Boolean, None)]), &rows, width);
        for index in 0..rows.len() {
            let known: Vec<bool> = values[(index + 1).saturating_sub(width)..=index].iter().flatten().copied().collect();
            let known = (!known.is_empty()).then_some(known);
            prop_assert_eq!(&all[index], &known.as_ref().map(|known| Value::Boolean(known.iter().all(|value| *value))));
            prop_assert_eq!(&any[index], &known.as_ref().map(|known| Value::Boolean(known.iter().any(|value| *value))));
        }
    }

    #[test]
    fn a_saved_state_goes_on_as_if_nothing_had_been(rows in numbers(), cut in 0_usize..40) {
        let integer = (DataType::Decimal128(38, 0), None);
        let calls = [
            ("var", vec![integer.clone()]),
            ("array_agg", vec![integer, literal(5_i64)]),
        ];
        let times = vec![0; rows.len()];
        for (name, arguments) in calls {
            let factory = factory(name, &arguments);
            prop_assert_eq!(grow(&factory, &rows, &times, Some(cut)), grow(&factory, &rows, &times, None), "{}", name);
        }
    }
}

#[test]
fn the_largest_values_do_not_overflow() {
    let rows: Vec<Row> = [LARGEST, -LARGEST].repeat(500).into_iter().map(|value| vec![number(value)]).collect();
    let answers = slide(&factory("stddev_pop", &[(DataType::Decimal128(38, 0), None)]), &rows, 1_000);
    assert_eq!(float(answers.last().unwrap().clone()), Some(1e38));
}

#[test]
fn a_small_spread_far_from_zero_is_exact() {
    let far = 10_i128.pow(30);
    let rows: Vec<Row> = [far + 1, far + 2, far + 3, far + 4].into_iter().map(|value| vec![number(value)]).collect();
    let integer = (DataType::Decimal128(38, 0), None);
    let answers = slide(&factory("var", std::slice::from_ref(&integer)), &rows, 10);
    assert_eq!(answers.into_iter().map(float).collect::<Vec<_>>(), [None, Some(0.5), Some(1.0), Some(5.0 / 3.0)]);
}

#[test]
fn a_growing_frame_keeps_what_it_shows_and_no_more() {
    let text = "x".repeat(1_000);
    let rows: Vec<Row> = (0..10_000).map(|_| vec![Some(Value::Text(Arc::from(text.as_str())))]).collect();
    for (name, arguments) in [
        ("array_agg", vec![(DataType::Utf8, None), literal(5_i64)]),
        ("string_agg", vec![(DataType::Utf8, None), literal(","), literal(5_i64)]),
    ] {
        let mut state = factory(name, &arguments).fresh(true);
        rows.iter().for_each(|row| state.enter(0, row));
        assert!(state.bytes() < 10_000, "{name} keeps {} bytes", state.bytes());
    }
}
