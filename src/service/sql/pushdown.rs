//! What the filters of a query ask of a record's own columns, as far as the log can be read by it. What is not understood
//! asks for nothing: DataFusion applies every filter again.

use std::collections::BTreeSet;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Like, Operator, expr::InList};
use keywatch_store::event::TextColumn;
use keywatch_store::log::segments::{Kinds, Wanted};

/// The column of a record that a column of a table shows.
pub(super) enum Source {
    Time,
    EventTime,
    System,
    Kind,
    Text(TextColumn),
}

/// Which column of the record a table's column shows, if it shows one as it is.
pub(super) type Sources = fn(&str) -> Option<Source>;

/// The columns of `events`.
pub(super) fn of_events(column: &str) -> Option<Source> {
    Some(match column {
        "time" => Source::Time,
        "event_time" => Source::EventTime,
        "system" => Source::System,
        "kind" => Source::Kind,
        name => Source::Text(TextColumn::ALL.into_iter().find(|column| column.name() == name)?),
    })
}

/// Those of tables of which only the system is the record's own.
pub(super) fn of_system(column: &str) -> Option<Source> {
    (column == "system").then_some(Source::System)
}

/// Adds what the filters ask for to `wanted`.
pub(super) fn narrow(wanted: &mut Wanted, filters: &[Expr], sources: Sources) {
    for filter in filters {
        narrow_by(wanted, filter, sources);
    }
}

fn narrow_by(wanted: &mut Wanted, filter: &Expr, sources: Sources) {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            narrow_by(wanted, left, sources);
            narrow_by(wanted, right, sources);
        }
        Expr::BinaryExpr(BinaryExpr { op: Operator::Or, .. }) => {
            if let Some((column, texts)) = alternatives(filter) {
                among(wanted, sources(&column).as_ref(), texts);
            }
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => compare(wanted, left, *op, right, sources),
        Expr::Between(Between { expr, negated: false, low, high }) => {
            compare(wanted, expr, Operator::GtEq, low, sources);
            compare(wanted, expr, Operator::LtEq, high, sources);
        }
        Expr::InList(InList { expr, list, negated: false }) => {
            let texts: Option<BTreeSet<String>> = list.iter().map(text).collect();
            if let (Some(column), Some(texts)) = (column(expr), texts) {
                among(wanted, sources(column).as_ref(), texts);
            }
        }
        Expr::Like(Like { negated: false, expr, pattern, escape_char: None, case_insensitive: false }) => {
            if let (Some(Source::Kind), Some(pattern)) = (column(expr).and_then(sources), text(pattern)) {
                like(wanted, &pattern);
            }
        }
        _ => {}
    }
}

/// `a = 'x' OR a = 'y' …`: the column and the texts.
fn alternatives(filter: &Expr) -> Option<(String, BTreeSet<String>)> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = filter else { return None };
    match op {
        Operator::Or => {
            let (column, mut texts) = alternatives(left)?;
            let (other, more) = alternatives(right)?;
            texts.extend(more);
            (column == other).then_some((column, texts))
        }
        Operator::Eq => Some((column(left)?.to_owned(), BTreeSet::from([text(right)?]))),
        _ => None,
    }
}

fn compare(wanted: &mut Wanted, left: &Expr, op: Operator, right: &Expr, sources: Sources) {
    let Some(source) = column(left).and_then(sources) else { return };
    match source {
        Source::Time | Source::EventTime => {
            let Some(time) = time(right) else { return };
            let range = if matches!(source, Source::Time) { &mut wanted.time } else { &mut wanted.event_time };
            let (mut from, mut to) = (*range.start(), *range.end());
            match op {
                Operator::Gt => from = from.max(time.saturating_add(1)),
                Operator::GtEq => from = from.max(time),
                Operator::Lt => to = to.min(time.saturating_sub(1)),
                Operator::LtEq => to = to.min(time),
                Operator::Eq => (from, to) = (from.max(time), to.min(time)),
                _ => {}
            }
            *range = from..=to;
        }
        _ if op == Operator::Eq => {
            if let Some(text) = text(right) {
                among(wanted, Some(&source), BTreeSet::from([text]));
            }
        }
        _ => {}
    }
}

fn among(wanted: &mut Wanted, source: Option<&Source>, texts: BTreeSet<String>) {
    match source {
        Some(Source::System) => wanted.within(&texts),
        Some(Source::Kind) if wanted.kinds.is_none() => {
            wanted.kinds = Some(Kinds { names: texts, beginnings: Vec::new() });
        }
        Some(Source::Text(column)) => wanted.names.push((*column, texts)),
        Some(Source::Kind | Source::Time | Source::EventTime) | None => {}
    }
}

/// `kind LIKE 'chain.%'`: a beginning, where nothing else of the pattern is special.
fn like(wanted: &mut Wanted, pattern: &str) {
    let Some(beginning) = pattern.strip_suffix('%') else { return };
    if wanted.kinds.is_none() && !beginning.contains(['%', '_', '\\']) {
        wanted.kinds = Some(Kinds { beginnings: vec![beginning.to_owned()], ..Kinds::default() });
    }
}

/// The column of an expression, also where only its text type or its zone is changed.
fn column(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Column(column) => Some(&column.name),
        Expr::Cast(cast) if keeps(cast.field.data_type()) => column(&cast.expr),
        _ => None,
    }
}

fn keeps(to: &DataType) -> bool {
    match to {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        // In another zone the same digits are another instant.
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => {
            matches!(zone.as_deref(), None | Some("+00:00" | "UTC" | "Z"))
        }
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

fn time(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Literal(ScalarValue::TimestampNanosecond(Some(time), _), _) => Some(*time),
        _ => None,
    }
}
