//! Oracle B: the meaning of a generated rule by nested loops, for one system. It knows nothing of DataFusion.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use arrow::datatypes::i256;
use keywatch_store::inventory::System;

use super::answer::{Answers, Columns};
use super::frame::Frame;
use super::function::Function;
use super::history::History;
use super::query::{Level, Lookup, Query, Window};
use super::term::{Kind, Row, Value, shown};

/// What the rule answers for the anchors in `closed`.
pub(crate) fn answers(
    query: &Query,
    history: &History,
    reigns: &[(i64, System)],
    closed: &BTreeSet<String>,
) -> Answers {
    let mut rows: Vec<Row> =
        history.events.iter().map(|event| Row { event: Rc::new(event.clone()), columns: BTreeMap::new() }).collect();
    if query.joined_below {
        for row in &mut rows {
            let threshold = threshold(row, reigns).map_or(Value::Null, |threshold| Value::Number(threshold.into()));
            row.columns.insert("below".to_owned(), threshold);
        }
    }
    for level in &query.levels {
        rows = climb(level, rows);
    }
    let kept = rows.into_iter().filter(|row| query.keeps.keeps(row));
    let mut answers = Answers::new();
    for mut row in kept.filter(|row| closed.contains(&row.event.event_id().to_string())) {
        if look_up(query.lookup, &mut row, reigns) {
            let key = (row.event.event_id().to_string(), row.event.system().to_owned());
            answers.entry(key).or_default().insert(output(query, &row));
        }
    }
    answers
}

fn output(query: &Query, row: &Row) -> Columns {
    let shown =
        query.outputs().into_iter().filter_map(|(name, kind)| Some((name.clone(), shown(&row.columns[&name], kind)?)));
    shown.chain([("evidence".to_owned(), String::new())]).collect()
}

/// The threshold of the row's wallet as of the row's own time.
fn threshold(row: &Row, reigns: &[(i64, System)]) -> Option<i64> {
    let (_, system) = reigns.iter().rev().find(|(from, _)| *from <= row.event.time().0)?;
    let wallet = system.wallets.iter().find(|wallet| Some(wallet.wallet.as_str()) == row.event.wallet());
    wallet.map(|wallet| wallet.threshold)
}

/// Adds what the lookup finds; false when the join drops the row.
fn look_up(lookup: Lookup, row: &mut Row, reigns: &[(i64, System)]) -> bool {
    let found = threshold(row, reigns).filter(|threshold| lookup != Lookup::LeftOnThreshold || *threshold > 1);
    let value = found.map_or(Value::Null, |threshold| Value::Number(threshold.into()));
    row.columns.insert("above".to_owned(), value);
    lookup != Lookup::Inner || found.is_some()
}

fn climb(level: &Level, rows: Vec<Row>) -> Vec<Row> {
    let rows: Vec<Row> = rows.into_iter().filter(|row| level.keeps.keeps(row)).collect();
    let columns: Vec<Vec<Value>> = level.windows.iter().map(|window| column(window, &rows)).collect();
    let mut above = rows;
    for (window, values) in level.windows.iter().zip(columns) {
        for (row, value) in above.iter_mut().zip(values) {
            row.columns.insert(window.name.clone(), value);
        }
    }
    above
}

fn column(window: &Window, rows: &[Row]) -> Vec<Value> {
    let keys: Vec<Vec<Value>> =
        rows.iter().map(|row| window.keys.iter().map(|key| (key.eval)(row)).collect()).collect();
    let answer = |row: usize| {
        let of_key: Vec<usize> = (0..rows.len()).filter(|other| keys[*other] == keys[row]).collect();
        evaluate(window, rows, &of_key, row)
    };
    (0..rows.len()).map(answer).collect()
}

/// One window for one row, among the rows of its key.
fn evaluate(window: &Window, rows: &[Row], of_key: &[usize], row: usize) -> Value {
    let value = |index: usize| window.argument.as_ref().map_or(Value::Truth(true), |term| (term.eval)(&rows[index]));
    if let Function::Lag(back) = window.function {
        let before = of_key.iter().rev().filter(|other| **other < row).map(|other| value(*other));
        return before
            .filter(|value| !window.ignores_nulls || *value != Value::Null)
            .nth(back - 1)
            .unwrap_or(Value::Null);
    }
    if window.function == Function::RowNumber {
        return Value::Number(i128::try_from(of_key.iter().filter(|other| **other <= row).count()).unwrap());
    }
    let inside = of_key.iter().filter(|other| is_inside(window.frame, rows, of_key, row, **other));
    let counted = inside.filter(|other| window.filter.as_ref().is_none_or(|filter| filter.is_true(&rows[**other])));
    let values = counted.map(|other| value(*other)).collect::<Vec<_>>();
    aggregate(window, &values)
}

fn is_inside(frame: Frame, rows: &[Row], of_key: &[usize], row: usize, other: usize) -> bool {
    match frame {
        Frame::Range(start, end) => {
            let offset = i128::from(rows[other].event.time().0) - i128::from(rows[row].event.time().0);
            start.is_none_or(|start| offset >= i128::from(start)) && offset <= i128::from(end)
        }
        Frame::Rows(start, end) => {
            let place = |index: usize| of_key.binary_search(&index).expect("both rows are of the key");
            let back = place(row).checked_sub(place(other));
            back.is_some_and(|back| back >= end && start.is_none_or(|start| back <= start))
        }
    }
}

fn aggregate(window: &Window, values: &[Value]) -> Value {
    let known = || values.iter().filter(|value| **value != Value::Null).cloned();
    let size = |size: usize| Value::Number(i128::try_from(size).unwrap());
    match window.function {
        Function::CountRows | Function::Count => size(known().count()),
        Function::CountDistinct => size(known().collect::<BTreeSet<_>>().len()),
        Function::Min => known().min().unwrap_or(Value::Null),
        Function::Max => known().max().unwrap_or(Value::Null),
        Function::First if window.ignores_nulls => known().next().unwrap_or(Value::Null),
        Function::First => values.first().cloned().unwrap_or(Value::Null),
        Function::Last if window.ignores_nulls => known().next_back().unwrap_or(Value::Null),
        Function::Last => values.last().cloned().unwrap_or(Value::Null),
        Function::Sum | Function::Average => added_up(window, &known().collect::<Vec<_>>()),
        Function::Nth(row) if window.ignores_nulls => known().nth(row - 1).unwrap_or(Value::Null),
        Function::Nth(row) => values.get(row - 1).cloned().unwrap_or(Value::Null),
        // False is before true.
        Function::AllTrue => known().min().unwrap_or(Value::Null),
        Function::AnyTrue => known().max().unwrap_or(Value::Null),
        Function::Lag(_) | Function::RowNumber => unreachable!("they have no frame"),
    }
}

/// Sum or average in 256 bits, held at the ends of its type; averages are cut at four more places than their argument.
fn added_up(window: &Window, values: &[Value]) -> Value {
    if values.is_empty() {
        return Value::Null;
    }
    let units = values.iter().map(|value| if let Value::Number(units) = value { *units } else { 0 });
    let mut sum = units.fold(i256::ZERO, |sum, units| sum.checked_add(i256::from_i128(units)).unwrap());
    if window.function == Function::Average {
        let count = i256::from_i128(i128::try_from(values.len()).unwrap());
        sum = sum.checked_mul(i256::from_i128(10_000)).unwrap().checked_div(count).unwrap();
    }
    let (low, high) = match window.kind {
        Kind::Decimal(precision, _) => {
            let limit = 10_i128.pow(u32::from(precision)) - 1;
            (-limit, limit)
        }
        _ => (i128::from(i64::MIN), i128::from(i64::MAX)),
    };
    Value::Number(sum.clamp(i256::from_i128(low), i256::from_i128(high)).to_i128().unwrap())
}
