//! The functions inside stock DataFusion: SQL binds to them, and its windows give what the states give.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray,
};
use arrow::compute::concat_batches;
use datafusion::prelude::{SessionConfig, SessionContext};

use super::*;
use crate::aggregate::stock::scalar;
use crate::aggregate::{adapt, scalars};

const ROWS: i64 = 60;
const HOUR_NS: i64 = 3_600_000_000_000;

fn value(row: i64) -> Option<i64> {
    (row % 7 != 3).then(|| (row * row * 37) % 1_009 - 300)
}

fn is_allowed(row: i64) -> Option<bool> {
    (row % 11 != 5).then_some(row % 3 != 0)
}

fn time(row: i64) -> i64 {
    row * HOUR_NS + row * row
}

fn batch() -> RecordBatch {
    let rows = || 0..ROWS;
    let columns: [(&str, ArrayRef); 6] = [
        ("key", Arc::new(rows().map(|row| row % 2).collect::<Int64Array>())),
        ("time", Arc::new(rows().map(|row| Some(time(row))).collect::<TimestampNanosecondArray>())),
        ("x", Arc::new(rows().map(value).collect::<Int64Array>())),
        (
            "amount",
            Arc::new(
                rows()
                    .map(|row| value(row).map(|value| i128::from(value) * 10_i128.pow(34)))
                    .collect::<Decimal128Array>()
                    .with_precision_and_scale(38, 0)
                    .unwrap(),
            ),
        ),
        ("allowed", Arc::new(rows().map(is_allowed).collect::<BooleanArray>())),
        ("name", Arc::new(rows().map(|row| value(row).map(|value| format!("n{value}"))).collect::<StringArray>())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
}

/// A stock session that knows our functions.
pub(super) fn context() -> SessionContext {
    let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
    udafs().into_iter().for_each(|function| context.register_udaf(function));
    scalars().into_iter().for_each(|function| context.register_udf(function));
    context.register_batch("events", batch()).unwrap();
    context
}

pub(super) fn rows_of(context: &SessionContext, sql: &str) -> RecordBatch {
    let run = async { context.sql(sql).await?.collect().await };
    let batches = futures::executor::block_on(run).unwrap_or_else(|error| panic!("{sql}: {error}"));
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

/// Rows of the same key up to `row`, at most `width` of them, as arguments of a call.
fn frame(row: i64, width: i64, arguments: fn(i64) -> Row) -> Vec<Row> {
    let first = (row - 2 * (width - 1)).max(row % 2);
    (first..=row).step_by(2).map(arguments).collect()
}

fn expect(call: &str, over: &str, width: i64, made: &Factory, arguments: fn(i64) -> Row) {
    let sql = format!("SELECT {call} OVER (PARTITION BY key ORDER BY time {over}) AS answer FROM events ORDER BY time");
    let answers = rows_of(&context(), &sql);
    let answers = answers.column(0);
    for row in 0..ROWS {
        let mut state = made.fresh(false);
        frame(row, width, arguments).iter().for_each(|args| state.enter(i64::MIN, args));
        let expected = scalar(state.answer(i64::MIN).unwrap(), answers.data_type()).unwrap();
        let answer = ScalarValue::try_from_array(answers, usize::try_from(row).unwrap()).unwrap();
        assert_eq!(answer, expected, "{call} at {row}");
    }
}

fn x(row: i64) -> Row {
    vec![value(row).map(|value| Value::Number(value.into()))]
}

fn amount(row: i64) -> Row {
    vec![value(row).map(|value| Value::Number(i128::from(value) * 10_i128.pow(34)))]
}

fn allowed(row: i64) -> Row {
    vec![is_allowed(row).map(Value::Boolean)]
}

fn name(row: i64) -> Row {
    vec![value(row).map(|value| Value::Text(Arc::from(format!("n{value}"))))]
}

fn x_and_time(row: i64) -> Row {
    vec![value(row).map(|value| Value::Number(value.into())), number(time(row))]
}

fn time_and_allowed(row: i64) -> Row {
    vec![number(time(row)), None, is_allowed(row).map(Value::Boolean)]
}

#[test]
fn sliding_windows_of_stock_datafusion_give_the_same() {
    let rows = "ROWS BETWEEN 4 PRECEDING AND CURRENT ROW";
    let integer = (DataType::Int64, None);
    for name in ["var", "var_samp", "var_pop", "stddev", "stddev_samp", "stddev_pop"] {
        expect(&format!("{name}(x)"), rows, 5, &factory(name, std::slice::from_ref(&integer)), x);
        let decimal = (DataType::Decimal128(38, 0), None);
        expect(&format!("{name}(amount)"), rows, 5, &factory(name, &[decimal]), amount);
    }
    expect("bool_and(allowed)", rows, 5, &factory("bool_and", &[(DataType::Boolean, None)]), allowed);
    expect("bool_or(allowed)", rows, 5, &factory("bool_or", &[(DataType::Boolean, None)]), allowed);
    expect("array_agg(x, 3)", rows, 5, &factory("array_agg", &[integer, literal(3_i64)]), x);
    let text = (DataType::Utf8, None);
    expect("string_agg(name, ', ', 3)", rows, 5, &factory("string_agg", &[text, literal(", "), literal(3_i64)]), name);
}

#[test]
fn growing_windows_of_stock_datafusion_give_the_same() {
    let all = "RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW";
    let (integer, week) = ((DataType::Int64, None), half_life(168 * HOUR_NS));
    let decayed = [integer.clone(), (TIME, None), week.clone()];
    expect("decayed_mean(x, time, INTERVAL '7 days')", all, ROWS, &factory("decayed_mean", &decayed), x_and_time);
    expect("decayed_stddev(x, time, INTERVAL '7 days')", all, ROWS, &factory("decayed_stddev", &decayed), x_and_time);
    let counted = [(TIME, None), week, (DataType::Boolean, None)];
    for name in ["decayed_count", "decayed_rate"] {
        let call = format!("{name}(time, INTERVAL '7 days', allowed)");
        expect(&call, all, ROWS, &factory(name, &counted), time_and_allowed);
    }
    expect("quantile(x, 0.9)", all, ROWS, &factory("quantile", &[integer.clone(), literal(0.9)]), x);
    let times = |row| vec![number(time(row))];
    expect("first_seen(time)", all, ROWS, &factory("first_seen", &[(TIME, None)]), times);
    expect("last_seen(time)", all, ROWS, &factory("last_seen", &[(TIME, None)]), times);
    expect("stddev(x)", all, ROWS, &factory("stddev", &[integer]), x);
}

#[test]
fn a_rate_can_be_compared_with_numbers_of_any_kind() {
    let sql = "SELECT amount > decayed_mean(amount, time, INTERVAL '1 day') OVER w AS above,
        decayed_count(time, INTERVAL '1 day') OVER w > 3 AS many, decayed_rate(time, INTERVAL '1 day') OVER w > 2.5 AS fast,
        z_score(amount, decayed_mean(amount, time, INTERVAL '1 day') OVER w, decayed_stddev(amount, time, INTERVAL '1 day') OVER w) > 3 AS far,
        first_seen(time) OVER w < time - INTERVAL '7 days' AS known
        FROM events WINDOW w AS (PARTITION BY key ORDER BY time)";
    let answers = rows_of(&context(), sql);
    assert!(answers.schema().fields().iter().all(|field| *field.data_type() == DataType::Boolean));
}

/// The shape of the example of `docs/functions.md`.
#[test]
fn a_rate_of_the_last_hour_is_measured_by_that_before() {
    let sql = "SELECT lately, usual FROM (SELECT *,
          count(*) FILTER (WHERE allowed) OVER (
            PARTITION BY key ORDER BY time RANGE BETWEEN INTERVAL '5 hours' PRECEDING AND CURRENT ROW) AS lately,
          decayed_rate(time, INTERVAL '14 days') FILTER (WHERE allowed) OVER so_far AS usual,
          first_seen(time) FILTER (WHERE allowed) OVER so_far AS since
        FROM events WINDOW so_far AS (
          PARTITION BY key ORDER BY time RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL '1 hour' PRECEDING))
      WHERE since < time - INTERVAL '1 day' AND lately >= 2 AND lately > 5 * usual";
    assert!(rows_of(&context(), sql).num_rows() > 0);
    let (all, _) = sql.split_once("WHERE since").unwrap();
    let unknown = format!("SELECT count(*) FILTER (WHERE usual IS NULL) AS nulls FROM ({all})");
    let nulls = ScalarValue::try_from_array(rows_of(&context(), &unknown).column(0), 0).unwrap();
    assert_eq!(nulls, ScalarValue::from(0_i64));
}

#[test]
fn datafusion_refuses_in_our_words() {
    let sql = "SELECT array_agg(x) OVER (PARTITION BY key ORDER BY time) FROM events";
    let ran = futures::executor::block_on(async { context().sql(sql).await?.collect().await });
    assert!(ran.unwrap_err().to_string().contains("array_agg(x, limit)"));
}

/// The general path: what DataFusion can slide, slides here.
#[test]
fn an_adapted_aggregate_is_that_of_datafusion() {
    let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
    context.register_batch("events", batch()).unwrap();
    let state = context.state();
    let integers = (DataType::Int64, "x", x as fn(i64) -> Row);
    let decimals = (DataType::Decimal128(38, 0), "amount", amount as fn(i64) -> Row);
    let names =
        [("bit_xor", &integers), ("sum", &integers), ("max", &integers), ("count", &integers), ("median", &decimals)];
    for (name, (kind, column, arguments)) in names {
        let function = &state.aggregate_functions()[name];
        let output = function.return_type(std::slice::from_ref(kind)).unwrap();
        let made = adapt(function, false, std::slice::from_ref(kind), &[None], &output).unwrap();
        let slid = slide(&made, &(0..ROWS).map(arguments).collect::<Vec<Row>>(), 5);
        let over = "OVER (ORDER BY time ROWS BETWEEN 4 PRECEDING AND CURRENT ROW)";
        let answers = rows_of(&context, &format!("SELECT {name}({column}) {over} FROM events"));
        for (row, answer) in slid.into_iter().enumerate() {
            let expected = ScalarValue::try_from_array(answers.column(0), row).unwrap();
            assert_eq!(scalar(answer, &output).unwrap(), expected, "{name} at {row}");
        }
        assert!(made.refuse_frame(name, true).is_some());
    }
}

#[test]
fn what_cannot_slide_is_not_adapted() {
    let state = SessionContext::new().state();
    let refused = |name: &str, kind: DataType| {
        let function = &state.aggregate_functions()[name];
        let output = function.return_type(std::slice::from_ref(&kind)).unwrap();
        adapt(function, false, &[kind], &[None], &output).unwrap_err().1
    };
    assert!(refused("sum", DataType::Float64).contains("CAST"));
    assert!(refused("bit_and", DataType::Int64).contains("cannot let rows leave"));
}
