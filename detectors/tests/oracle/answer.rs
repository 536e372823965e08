//! What is compared: anchors with their entity and every output column as text, and when each was decided.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit, TimestampNanosecondType};
use arrow::util::display::array_value_to_string;
use keywatch_detectors::Decided;
use keywatch_store::{Event, Finding, Instant};

use super::history::{self, History};

/// Output columns as text; nulls are left out. Evidence is one list, in the order of the columns.
pub(crate) type Columns = BTreeMap<String, String>;

/// All that may be answered for an anchor and an entity: one row, or several when a lookup doubles it.
pub(crate) type Answers = BTreeMap<(String, String), BTreeSet<Columns>>;

/// The columns of a finding.
pub(crate) fn of_finding(finding: &Finding) -> Columns {
    let mut columns = finding.facts.clone();
    for (name, value) in [
        ("actor", &finding.actor),
        ("session", &finding.session),
        ("device", &finding.device),
        ("wallet", &finding.wallet),
        ("request", &finding.request),
        ("tx", &finding.tx),
        ("amount", &finding.amount),
        ("to_address", &finding.to_address),
    ] {
        columns.extend(value.clone().map(|value| (name.to_owned(), value)));
    }
    let evidence: Vec<String> = finding.evidence.iter().skip(1).map(ToString::to_string).collect();
    columns.insert("evidence".to_owned(), evidence.join(" "));
    columns
}

/// Adds the rows of an oracle whose anchor `keep` takes. A row without an entity is about nothing.
pub(crate) fn of_batches(batches: &[RecordBatch], answers: &mut Answers, keep: impl Fn(&str) -> bool) {
    for batch in batches {
        for row in 0..batch.num_rows() {
            let cell = |name: &str| batch.column_by_name(name).and_then(|column| text(column, row));
            let (Some(anchor), Some(entity)) = (cell("event_id"), cell("entity")) else { continue };
            if keep(&anchor) {
                let columns = of_row(batch, row, &anchor);
                answers.entry((anchor, entity)).or_default().insert(columns);
            }
        }
    }
}

fn of_row(batch: &RecordBatch, row: usize, anchor: &str) -> Columns {
    let (mut columns, mut evidence) = (Columns::new(), Vec::new());
    for (index, field) in batch.schema().fields().iter().enumerate() {
        let Some(value) = text(batch.column(index), row) else { continue };
        match field.name().as_str() {
            "event_id" | "entity" | "time" => {}
            name if name == "evidence" || name.starts_with("evidence_") => {
                if value != anchor && !evidence.contains(&value) {
                    evidence.push(value);
                }
            }
            name => {
                columns.insert(name.to_owned(), value);
            }
        }
    }
    columns.insert("evidence".to_owned(), evidence.join(" "));
    columns
}

fn text(column: &arrow::array::ArrayRef, row: usize) -> Option<String> {
    if column.is_null(row) {
        return None;
    }
    Some(match column.data_type() {
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            Instant(column.as_primitive::<TimestampNanosecondType>().value(row)).to_string()
        }
        DataType::Utf8View | DataType::LargeUtf8 => {
            cast(column, &DataType::Utf8).unwrap().as_string::<i32>().value(row).to_owned()
        }
        _ => array_value_to_string(column, row).unwrap(),
    })
}

/// The anchors that are decided: a record of the system lies as long after them as they wait, or later.
pub(crate) fn closed(history: &History, waits_ns: impl Fn(&Event) -> i64) -> BTreeSet<String> {
    let closed =
        |event: &&Event| i128::from(event.time().0) + i128::from(waits_ns(event)) <= i128::from(history.last());
    history.events.iter().filter(closed).map(|event| event.event_id().to_string()).collect()
}

/// Compares the findings of one rule and one system with what is expected of closed anchors.
pub(crate) fn difference(found: &[&Decided], expected: &Answers) -> Option<String> {
    let mut missing: BTreeMap<&(String, String), &BTreeSet<Columns>> = expected.iter().collect();
    for decided in found {
        let finding = &decided.finding;
        let key = (finding.anchor.to_string(), finding.entity.clone());
        let Some(rows) = missing.remove(&key) else {
            let which = if expected.contains_key(&key) { "a second finding of" } else { "an unexpected finding of" };
            return Some(format!("{which} anchor {} at {}, entity {}", key.0, finding.time, key.1));
        };
        let columns = of_finding(finding);
        if !rows.contains(&columns) {
            return Some(format!("anchor {} at {}: engine {columns:?}, oracle {rows:?}", key.0, finding.time));
        }
    }
    missing.into_iter().next().map(|(key, rows)| format!("no finding of anchor {}, entity {}: {rows:?}", key.0, key.1))
}

/// Checks position, time and source of every finding against the log itself, and their order.
pub(crate) fn check_decisions(
    log: &[Event],
    found: &[Decided],
    waits_ns: impl Fn(&str, &Event) -> i64,
) -> Option<String> {
    let by_system = history::by_system(log);
    let anchors: BTreeMap<_, usize> = log.iter().enumerate().map(|(index, event)| (event.event_id(), index)).collect();
    for decided in found {
        let finding = &decided.finding;
        let anchor = &log[anchors[&finding.anchor]];
        let due = i128::from(anchor.time().0) + i128::from(waits_ns(&finding.rule, anchor));
        let mut records = by_system[anchor.system()].iter();
        let Some(settled) = records.find(|index| i128::from(log[**index].time().0) >= due) else {
            return Some(format!("{}: anchor {} was decided before its frames closed", finding.rule, finding.anchor));
        };
        let got = (
            decided.position.0,
            finding.decided,
            finding.time,
            finding.system.as_str(),
            finding.source.as_str(),
            finding.late,
        );
        let right =
            (*settled as u64, log[*settled].time(), anchor.time(), anchor.system(), anchor.source(), anchor.late());
        if got != right {
            return Some(format!("{}: anchor {}: {got:?}, should be {right:?}", finding.rule, finding.anchor));
        }
    }
    let order = |decided: &Decided| (decided.position, decided.finding.rule.clone(), decided.finding.anchor);
    let unsorted = found.windows(2).find(|pair| order(&pair[0]) > order(&pair[1]));
    unsorted.map(|pair| format!("out of order: {:?} before {:?}", order(&pair[0]), order(&pair[1])))
}
