//! Baselines: against sums of floats, within the error that the documentation states.

use proptest::prelude::*;

use super::*;

const HOUR_NS: i64 = 3_600_000_000_000;

/// Gaps from a nanosecond to weeks, and values, null now and then.
fn history() -> impl Strategy<Value = Vec<(i64, Option<i128>)>> {
    let gap = prop_oneof![Just(1), 1_i64..1_000_000, 1..HOUR_NS, 1..500 * HOUR_NS];
    let value = prop_oneof![
        1 => Just(None),
        5 => (-1_000_i128..1_000).prop_map(Some),
        2 => (-10_i128.pow(37)..10_i128.pow(37)).prop_map(Some),
    ];
    proptest::collection::vec((gap, value), 1..60).prop_map(|rows| {
        let since = rows.into_iter().scan(1_700_000_000_000_000_000, |time, (gap, value)| {
            *time += gap;
            Some((*time, value))
        });
        since.collect()
    })
}

fn weights(rows: &[(i64, Option<i128>)], half_life: i64) -> Vec<(f64, f64)> {
    let last = rows.iter().rfind(|row| row.1.is_some()).map_or(0, |row| row.0);
    let weighted = rows.iter().filter_map(|(time, value)| Some((time, (*value)?)));
    weighted.map(|(time, value)| ((-((last - time) as f64) / half_life as f64).exp2(), value as f64)).collect()
}

fn moments(weights: &[(f64, f64)]) -> (f64, f64) {
    let total: f64 = weights.iter().map(|(weight, _)| weight).sum();
    let mean = weights.iter().map(|(weight, value)| weight * value).sum::<f64>() / total;
    let spread = weights.iter().map(|(weight, value)| weight * (value - mean).powi(2)).sum::<f64>() / total;
    (mean, spread.sqrt())
}

fn rows_of(history: &[(i64, Option<i128>)]) -> (Vec<Row>, Vec<i64>) {
    let rows = history.iter().map(|(time, value)| vec![value.map(Value::Number), number(*time), None]).collect();
    (rows, history.iter().map(|row| row.0).collect())
}

proptest! {
    #[test]
    fn a_decayed_count_is_the_sum_of_weights(history in history(), half_life in HOUR_NS / 60..1_000 * HOUR_NS, silence in 0..1_000 * HOUR_NS) {
        let counting = (DataType::Boolean, None);
        let arguments = [(TIME, None), super::half_life(half_life), counting];
        let rows: Vec<Row> =
            history.iter().map(|(time, value)| vec![number(*time), None, Some(Value::Boolean(value.is_some()))]).collect();
        let now = history.last().unwrap().0 + silence;
        let expected: f64 = history.iter().filter(|row| row.1.is_some()).map(|row| (-((now - row.0) as f64) / half_life as f64).exp2()).sum();
        let answer = |name| {
            let mut state = factory(name, &arguments).fresh(true);
            rows.iter().for_each(|row| state.enter(0, row));
            units(state.answer(now).unwrap()).unwrap() as f64 / 1e6
        };
        let rate = expected * std::f64::consts::LN_2 * HOUR_NS as f64 / half_life as f64;
        prop_assert!((answer("decayed_count") - expected).abs() <= 0.51e-6 + 1e-12 * expected);
        prop_assert!((answer("decayed_rate") - rate).abs() <= 0.51e-6 + 1e-12 * rate);
    }

    #[test]
    fn mean_and_deviation_are_those_of_the_weights(history in history(), half_life in HOUR_NS / 60..1_000 * HOUR_NS) {
        let (rows, times) = rows_of(&history);
        let arguments = [(DataType::Decimal128(38, 0), None), (TIME, None), super::half_life(half_life)];
        let means = grow(&factory("decayed_mean", &arguments), &rows, &times, None);
        let deviations = grow(&factory("decayed_stddev", &arguments), &rows, &times, None);
        for index in 0..rows.len() {
            let weights = weights(&history[..=index], half_life);
            if weights.is_empty() {
                prop_assert_eq!((&means[index], &deviations[index]), (&None, &None));
                continue;
            }
            let (mean, deviation) = moments(&weights);
            let largest = weights.iter().map(|(_, value)| value.abs()).fold(0.0, f64::max);
            let answer = units(means[index].clone()).unwrap() as f64;
            prop_assert!((answer - mean).abs() <= 0.51 + 1e-12 * largest, "{answer} is not {mean}");
            let answer = float(deviations[index].clone()).unwrap();
            // What the floats of the test lose themselves: a weight of 2^−50 is all that large values may have left.
            prop_assert!((answer - deviation).abs() <= 1e-9 * deviation + 1e-7 * largest.min(1e3) + 1e-9 * largest, "{answer} is not {deviation}");
        }
    }

    #[test]
    fn a_saved_baseline_goes_on_as_if_nothing_had_been(history in history(), half_life in HOUR_NS / 60..1_000 * HOUR_NS, cut in 0_usize..60) {
        let (rows, times) = rows_of(&history);
        let times_first: Vec<Row> = times.iter().map(|time| vec![number(*time), None]).collect();
        let times_only: Vec<Row> = times.iter().map(|time| vec![number(*time)]).collect();
        let decimal = (DataType::Decimal128(38, 0), None);
        let decayed = vec![decimal.clone(), (TIME, None), super::half_life(half_life)];
        let calls = [
            ("decayed_count", vec![(TIME, None), super::half_life(half_life)], &times_first),
            ("decayed_rate", vec![(TIME, None), super::half_life(half_life)], &times_first),
            ("decayed_mean", decayed.clone(), &rows),
            ("decayed_stddev", decayed, &rows),
            ("quantile", vec![decimal, literal(0.5)], &rows),
            ("first_seen", vec![(TIME, None)], &times_only),
            ("last_seen", vec![(TIME, None)], &times_only),
        ];
        for (name, arguments, rows) in calls {
            let factory = factory(name, &arguments);
            prop_assert!(!factory.leaves);
            prop_assert_eq!(grow(&factory, rows, &times, Some(cut)), grow(&factory, rows, &times, None), "{}", name);
        }
    }

    /// Which rows are answered, and how often, leaves no trace in later answers.
    #[test]
    fn p1_asking_changes_nothing(history in history(), half_life in HOUR_NS / 60..1_000 * HOUR_NS) {
        let (rows, times) = rows_of(&history);
        let arguments = [(DataType::Decimal128(38, 0), None), (TIME, None), super::half_life(half_life)];
        let times_first: Vec<Row> = times.iter().map(|time| vec![number(*time), None]).collect();
        for (name, arguments, rows) in [
            ("decayed_stddev", &arguments[..], &rows),
            ("decayed_count", &[(TIME, None), super::half_life(half_life)], &times_first),
        ] {
            let factory = factory(name, arguments);
            let asked = grow(&factory, rows, &times, None);
            let mut state = factory.fresh(true);
            rows.iter().zip(&times).for_each(|(row, time)| state.enter(*time, row));
            prop_assert_eq!(&state.answer(*times.last().unwrap()).unwrap(), asked.last().unwrap());
        }
    }

    #[test]
    fn a_quantile_is_within_a_sixteenth(values in proptest::collection::vec(prop_oneof![-100_i128..100, any::<i64>().prop_map(i128::from), -10_i128.pow(38)..10_i128.pow(38)], 1..80), rank in 0_u32..=1_000_000) {
        let p = f64::from(rank) / 1e6;
        let factory = factory("quantile", &[(DataType::Decimal128(38, 0), None), literal(p)]);
        let rows: Vec<Row> = values.iter().map(|value| vec![number(*value), None]).collect();
        let answer = units(grow(&factory, &rows, &vec![0; rows.len()], None).pop().unwrap()).unwrap();
        let mut sorted = values;
        sorted.sort_unstable();
        let place = (u64::from(rank) * sorted.len() as u64).div_ceil(1_000_000).max(1);
        let exact = sorted[usize::try_from(place).unwrap() - 1];
        prop_assert!(answer >= exact && answer - exact <= exact.abs() / 16 , "{answer} for {exact}");
    }
}

#[test]
fn what_never_varied_has_no_deviation() {
    let value = 10_i128.pow(38) - 1;
    let history: Vec<(i64, Option<i128>)> = (0..1_000).map(|row| (row * 7_777_777, Some(value))).collect();
    let (rows, times) = rows_of(&history);
    let arguments = [(DataType::Decimal128(38, 0), None), (TIME, None), half_life(HOUR_NS)];
    let deviations = grow(&factory("decayed_stddev", &arguments), &rows, &times, None);
    assert!(deviations.into_iter().all(|deviation| float(deviation) == Some(0.0)));
    let means = grow(&factory("decayed_mean", &arguments), &rows, &times, None);
    assert!(means.into_iter().all(|mean| units(mean) == Some(value)));
}

/// A million rows at one a millisecond, with a half-life of half a million rows: the error that adds up stays small.
#[test]
fn errors_do_not_add_up() {
    let half_life = 500_000_000_000;
    let mut state = factory("decayed_count", &[(TIME, None), super::half_life(half_life)]).fresh(true);
    for row in 0..1_000_000_i64 {
        state.enter(0, &[number(row * 1_000_000), None]);
    }
    let ratio = (-1.0_f64 / 500_000.0).exp2();
    let expected = (1.0 - ratio.powi(1_000_000)) / (1.0 - ratio);
    let answer = units(state.answer(999_999_000_000).unwrap()).unwrap() as f64 / 1e6;
    assert!((answer - expected).abs() / expected < 1e-10, "{answer} is not {expected}");
}

/// A fixed history has the same bits wherever this runs: those that decimals of seventy digits give, computed apart.
#[test]
fn p1_answers_are_the_same_on_every_machine() {
    let history: Vec<(i64, Option<i128>)> =
        (0..500_i64).map(|row| (row * row * 1_234_567_891, Some(i128::from(row * row % 97) * 1_000_003))).collect();
    let (rows, times) = rows_of(&history);
    let arguments = [(DataType::Int64, None), (TIME, None), half_life(24 * HOUR_NS)];
    let last = |name, arguments: &[_], rows: &[Row]| {
        units(grow(&factory(name, arguments), rows, &times, None).pop().unwrap()).unwrap()
    };
    let times_first: Vec<Row> = times.iter().map(|time| vec![number(*time), None]).collect();
    let answers = [
        last("decayed_mean", &arguments, &rows),
        last("decayed_stddev", &arguments, &rows),
        last("decayed_count", &[(TIME, None), half_life(24 * HOUR_NS)], &times_first),
        last("decayed_rate", &[(TIME, None), half_life(24 * HOUR_NS)], &times_first),
    ];
    assert_eq!(answers, [45_874_467_111_556, 4_718_951_691_291_243_116, 130_267_183, 3_762_264]);
}

#[test]
fn states_are_small() {
    let arguments = [(DataType::Int64, None), (TIME, None), half_life(HOUR_NS)];
    assert!(factory("decayed_stddev", &arguments).fresh(true).bytes() <= 208);
    assert!(factory("decayed_count", &arguments[1..]).fresh(true).bytes() <= 64);
    assert!(factory("stddev", &arguments[..1]).fresh(true).bytes() <= 96);
    let mut quantile = factory("quantile", &[(DataType::Decimal128(38, 0), None), literal(0.99)]).fresh(true);
    for exponent in 0..126 {
        quantile.enter(0, &[number(1_i128 << exponent), None]);
        quantile.enter(0, &[number(-(1_i128 << exponent)), None]);
    }
    assert!(quantile.bytes() < 24_000, "{} bytes", quantile.bytes());
}

#[test]
fn a_key_was_seen_when_it_was() {
    let rows: Vec<Row> = [Some(50), None, Some(20), Some(70), Some(60)]
        .into_iter()
        .map(|time: Option<i64>| vec![time.map(|time| Value::Number(time.into()))])
        .collect();
    let last = |name| units(grow(&factory(name, &[(TIME, None)]), &rows, &[0; 5], None).pop().unwrap());
    assert_eq!((last("first_seen"), last("last_seen")), (Some(20), Some(70)));
}
