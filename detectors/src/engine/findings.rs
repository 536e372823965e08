//! Rows of a rule → findings.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit, TimestampNanosecondType};
use arrow::util::display::array_value_to_string;
use datafusion::error::{DataFusionError, Result};
use keywatch_store::{EventId, Finding, Instant};

use super::Decided;
use super::records::Records;
use super::titles::{self, Words};
use crate::limits::FOLLOWING_NS_MAX;
use crate::plan::run::Inventories;
use crate::plan::{HIDDEN_LATE, HIDDEN_SOURCE, HIDDEN_SYSTEM, HIDDEN_TIME};
use crate::rule::Rule;

/// Columns that fill a field of the finding; all others are facts.
const FIELDS: [&str; 10] =
    ["event_id", "entity", "actor", "session", "device", "wallet", "request", "tx", "amount", "to_address"];

/// When a row was due, by its system and log time: the first record at or after that decides it.
type Due<'a> = dyn Fn(&str, Instant) -> Instant + 'a;

/// Reads what a rule returned; a row without an entity is about nothing and left out.
pub(super) fn read(
    rule: &Rule,
    due: &Due<'_>,
    rows: &RecordBatch,
    records: &Records<'_>,
    inventories: &Inventories,
) -> Result<Vec<Decided>> {
    let mut found = Vec::new();
    let columns = Columns::new(rows, inventories)?;
    for row in 0..rows.num_rows() {
        found.extend(columns.finding(rule, due, row, records)?);
    }
    Ok(found)
}

/// Puts findings into their order (position, rule, anchor) and leaves out doubles of one finding.
pub(super) fn sort(findings: &mut Vec<Decided>) {
    findings.sort_by(|one, other| {
        let key = |decided: &Decided| {
            (decided.position, decided.finding.rule.clone(), decided.finding.anchor, decided.finding.entity.clone())
        };
        key(one).cmp(&key(other))
    });
    findings.dedup_by(|one, other| one.finding.id == other.finding.id);
}

struct Columns<'a> {
    batch: &'a RecordBatch,
    texts: Vec<ArrayRef>,
    inventories: &'a Inventories,
}

impl<'a> Columns<'a> {
    fn new(batch: &'a RecordBatch, inventories: &'a Inventories) -> Result<Columns<'a>> {
        let texts = batch.columns().iter().map(|column| match column.data_type() {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Ok(cast(column, &DataType::Utf8)?),
            _ => Ok(column.clone()),
        });
        Ok(Columns { batch, texts: texts.collect::<Result<_>>()?, inventories })
    }

    fn finding(&self, rule: &Rule, due: &Due<'_>, row: usize, records: &Records<'_>) -> Result<Option<Decided>> {
        let (Some(entity), Some(anchor)) = (self.text("entity", row)?, self.text("event_id", row)?) else {
            return Ok(None);
        };
        let anchor: EventId = anchor.parse().map_err(|problem: String| DataFusionError::Execution(problem))?;
        let system = self.text(HIDDEN_SYSTEM, row)?.unwrap_or_default();
        let time = self.time(row);
        let settled = records.first_at(&system, due(&system, time));
        let (decided, position) =
            settled.ok_or_else(|| DataFusionError::Internal("a row was decided by no record".to_owned()))?;
        let facts = self.facts(row)?;
        let header = &rule.header;
        let finding = Finding {
            id: Finding::derive_id(&rule.id, header.version, &system, &entity, anchor),
            rule: rule.id.clone(),
            version: header.version,
            severity: header.severity,
            title: self.title(&header.title, &system, (time, decided), row)?,
            meaning: header.meaning.trim().to_owned(),
            runbook: numbered(&header.runbook),
            source: self.text(HIDDEN_SOURCE, row)?.unwrap_or_default(),
            late: self.text(HIDDEN_LATE, row)?.as_deref() == Some("true"),
            actor: self.text("actor", row)?,
            session: self.text("session", row)?,
            device: self.text("device", row)?,
            wallet: self.text("wallet", row)?,
            request: self.text("request", row)?,
            tx: self.text("tx", row)?,
            amount: self.text("amount", row)?,
            to_address: self.text("to_address", row)?,
            evidence: self.evidence(anchor, row)?,
            response: header.response.clone(),
            proof: header.proof,
            suppress_ns: header.suppress_ns,
            system,
            entity,
            anchor,
            time,
            decided,
            facts,
        };
        Ok(Some(Decided { position, finding }))
    }

    fn time(&self, row: usize) -> Instant {
        let column = self.batch.column_by_name(HIDDEN_TIME).expect("every plan carries the hidden time");
        Instant(column.as_primitive::<TimestampNanosecondType>().value(row))
    }

    /// The value of the column of that name as text; `None` when there is none or it is null.
    fn text(&self, name: &str, row: usize) -> Result<Option<String>> {
        let schema = self.batch.schema();
        let index = schema.fields().iter().position(|field| field.name() == name);
        index.map_or(Ok(None), |index| show(&self.texts[index], row))
    }

    fn evidence(&self, anchor: EventId, row: usize) -> Result<Vec<EventId>> {
        let mut evidence = vec![anchor];
        for (index, field) in self.batch.schema().fields().iter().enumerate() {
            if is_evidence(field.name())
                && let Some(text) = show(&self.texts[index], row)?
            {
                let id: EventId = text.parse().map_err(|problem: String| {
                    DataFusionError::Execution(format!("column `{}` must hold event ids: {problem}", field.name()))
                })?;
                if !evidence.contains(&id) {
                    evidence.push(id);
                }
            }
        }
        Ok(evidence)
    }

    fn facts(&self, row: usize) -> Result<BTreeMap<String, String>> {
        let mut facts = BTreeMap::new();
        for (index, field) in self.batch.schema().fields().iter().enumerate() {
            let name = field.name();
            if FIELDS.contains(&name.as_str()) || name.starts_with("__") || is_evidence(name) || name == "time" {
                continue;
            }
            if let Some(text) = show(&self.texts[index], row)? {
                facts.insert(name.clone(), text);
            }
        }
        Ok(facts)
    }

    /// The title of a row of log time `time` that was decided at `decided`. What its amounts are worth is told where that was within
    /// [`FOLLOWING_NS_MAX`], for which quotes are kept.
    fn title(&self, template: &str, system: &str, (time, decided): (Instant, Instant), row: usize) -> Result<String> {
        let inventory = self.inventories.at(system, time).map(|version| &version.system);
        let said = |asset: &str, chain: Option<&str>| {
            let name = self.inventories.said.at(system, asset, chain, time)?;
            Some((name.symbol.as_str(), usize::from(name.decimals)))
        };
        let worth = |digits: &str, asset: &str, chain: Option<&str>| {
            let inventory = inventory.filter(|_| decided.0.saturating_sub(time.0) <= FOLLOWING_NS_MAX)?;
            self.inventories.quotes.value_in_words(inventory, digits, asset, chain, time)
        };
        titles::filled(template, &Words { inventory, said: &said, worth: &worth }, |column| self.text(column, row))
    }
}

fn is_evidence(name: &str) -> bool {
    name == "evidence" || name.starts_with("evidence_")
}

fn numbered(steps: &[String]) -> String {
    let steps = steps.iter().enumerate().map(|(index, step)| format!("{}. {}", index + 1, step.trim()));
    steps.collect::<Vec<_>>().join("\n")
}

fn show(column: &ArrayRef, row: usize) -> Result<Option<String>> {
    if column.is_null(row) {
        return Ok(None);
    }
    Ok(Some(match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(row).to_owned(),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            Instant(column.as_primitive::<TimestampNanosecondType>().value(row)).to_string()
        }
        _ => array_value_to_string(column, row)?,
    }))
}
