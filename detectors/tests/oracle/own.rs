//! Histories near those for which a shipped rule was written: the events of its `fires` file, over and again, with rows
//! left out, told twice, a hair earlier or later, and with each other's values. Random traffic seldom meets a rule that
//! asks for several things at once; these always nearly do.

use std::fs;
use std::path::Path;

use keywatch_detectors::Rule;
use keywatch_store::{Instant, line};
use serde_json::{Map, Value, json};

use super::dice::Dice;
use super::history::{DAY, History, SECOND};
use super::traffic::WORD;

/// Columns that events may take from each other.
const EXCHANGED: [&str; 18] = [
    "source",
    "actor",
    "session",
    "device",
    "ip",
    "country",
    "asn",
    "wallet",
    "request",
    "decision",
    "tx",
    "chain",
    "asset",
    "from_address",
    "to_address",
    "outcome",
    "amount",
    "detail",
];

/// The events of a rule's own `fires` file.
pub(crate) struct Own {
    lines: Vec<Map<String, Value>>,
}

impl Own {
    /// Of a shipped rule.
    pub(crate) fn of(rule: &Rule) -> Own {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules").join(format!("{}.fires.jsonl", rule.id));
        let text = fs::read_to_string(path).unwrap();
        Own { lines: text.lines().map(|line| serde_json::from_str(line).unwrap()).collect() }
    }

    /// A history of the system `s<number>`; some rows lie off by `spans`, or a nanosecond beside.
    pub(crate) fn history(&self, dice: &mut Dice, number: usize, spans: &[i64]) -> History {
        let mut history = History { system: format!("s{number}"), events: Vec::new() };
        let untouched = dice.once_in(3);
        let mut last = 0;
        for repeat in 0..=dice.below(3) {
            let first = time_of(&self.lines[0]);
            let mut shift = if repeat == 0 { 0 } else { (last - first).saturating_add(*dice.pick(spans)).max(1) };
            for line in &self.lines {
                let is_own = line["source"] == "keywatch";
                if !untouched && !is_own && dice.once_in(16) {
                    continue;
                }
                if !untouched && dice.once_in(6) {
                    let span = *dice.pick(spans);
                    let by = *dice.pick(&[1, -1, SECOND, -SECOND, span, span + 1]);
                    shift = shift.saturating_add(by);
                }
                for _ in 0..if untouched || is_own || !dice.once_in(16) { 1 } else { 2 } {
                    last = time_of(line).saturating_add(shift).max(last + 1);
                    let mut line = line.clone();
                    if !untouched && !is_own {
                        self.change(dice, &mut line);
                    }
                    history.push(line, number, last);
                }
            }
        }
        history.close(last + 2 * DAY);
        history
    }

    /// Takes what others have.
    fn change(&self, dice: &mut Dice, line: &mut Map<String, Value>) {
        if dice.once_in(8) {
            let (column, donor) = (*dice.pick(&EXCHANGED), dice.pick(&self.lines));
            let is_fit = column != "detail" && column != "outcome" || donor["kind"] == line["kind"];
            if is_fit && donor["source"] != "keywatch" {
                match donor.get(column) {
                    Some(value) => drop(line.insert(column.to_owned(), value.clone())),
                    None if column != "source" => drop(line.remove(column)),
                    None => (),
                }
            }
        }
        if line.contains_key("amount") && dice.once_in(16) {
            let digits = *dice.pick(&["0", "1", "1000000000000000000000000", WORD]);
            line.insert("amount".to_owned(), json!(digits));
        }
    }
}

impl History {
    fn push(&mut self, mut line: Map<String, Value>, number: usize, time: i64) {
        let id = format!("{number:08x}{:024x}", self.events.len());
        line.extend(
            [("event_id", json!(id)), ("system", json!(self.system))].map(|(name, value)| (name.to_owned(), value)),
        );
        if let Some(declared) = line.get_mut("detail").and_then(|detail| detail.get_mut("declared")) {
            declared["id"] = json!(self.system);
        }
        let mut event = line::read(Value::Object(line).to_string().as_bytes()).unwrap();
        event.set_time(Instant(time));
        self.events.push(event);
    }
}

fn time_of(line: &Map<String, Value>) -> i64 {
    let time: jiff::Timestamp = line["time"].as_str().unwrap().parse().unwrap();
    i64::try_from(time.as_nanosecond()).unwrap()
}
