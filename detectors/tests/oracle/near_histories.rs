//! Histories near those for which a shipped rule was written: the events of its `fires` file, over and again, with rows
//! left out, told twice, a hair earlier or later, and with each other's values. Random traffic seldom meets a rule that
//! asks for several things at once; these always nearly do. [`NearHistories::at`] puts two of them exactly as far apart, as often or
//! as high as a parameter says, and one less and more.

use std::collections::BTreeSet;
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

/// How many histories are made at one value of a parameter, for each of a rule's two files.
const HISTORIES_MAX: usize = 2_000;

/// How many of those with two events alone.
const PLAIN_MAX: usize = 600;

type Line = Map<String, Value>;

/// The events of a rule's own files.
pub(crate) struct NearHistories {
    lines: Vec<Line>,
    quiet: Vec<Line>,
}

impl NearHistories {
    /// Of a shipped rule.
    pub(crate) fn of(rule: &Rule) -> NearHistories {
        let read = |which: &str| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules").join(format!("{}.{which}.jsonl", rule.id));
            let text = fs::read_to_string(path).unwrap();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        };
        NearHistories { lines: read("fires"), quiet: read("quiet") }
    }

    /// Histories of the systems `s0`, `s1` … of two events alone that lie `span_ns` apart, and of the whole file with one number
    /// of an event as high as `number`; and a nanosecond or one beside. They are few, and short.
    pub(crate) fn plain(&self, span_ns: Option<i64>, number: Option<i64>) -> Vec<History> {
        let mut made = Vec::new();
        for lines in [&self.lines, &self.quiet] {
            let told = told(lines);
            made.extend(number.into_iter().flat_map(|number| numbers(lines, &told, number)));
            let spans = waits(lines, span_ns);
            let pairs = told.iter().flat_map(|one| told.iter().map(move |other| (*one, *other)));
            let alone: Vec<_> = pairs.flat_map(|(one, other)| alone(lines, one, other, &spans)).collect();
            let step = alone.len().div_ceil(PLAIN_MAX).max(1);
            made.extend(alone.into_iter().step_by(step));
        }
        made.into_iter().enumerate().map(|(number, lines)| History::of(number, lines)).collect()
    }

    /// Histories of the systems `s0`, `s1` … in which two events lie `span_ns` apart or one has `number` times the amount
    /// of another, or occurs so often; and a nanosecond or one beside.
    pub(crate) fn at(&self, span_ns: Option<i64>, number: Option<i64>) -> Vec<History> {
        let mut made = Vec::new();
        for lines in [&self.lines, &self.quiet] {
            let (told, spans) = (told(lines), waits(lines, span_ns));
            let pairs: Vec<(usize, usize)> = told
                .iter()
                .flat_map(|one| told.iter().map(move |other| (*one, *other)))
                .filter(|(one, other)| one != other)
                .collect();
            let variants = pairs.iter().flat_map(|pair| [0, 1, -1].map(|by| (*pair, by)));
            let all: Vec<Vec<(i64, Line)>> = variants
                .flat_map(|((one, other), by)| {
                    let apart = |span_ns: &i64| {
                        [true, false].map(|claims| apart(lines, one, other, span_ns.saturating_add(by), claims))
                    };
                    let mut made: Vec<_> = spans.iter().flat_map(apart).flatten().collect();
                    if let Some(number) = number {
                        made.extend(times(lines, one, other, number, by));
                        made.extend(rates(lines, one, other, number, by));
                    }
                    made
                })
                .collect();
            let again = |span_ns: i64| {
                told.iter().flat_map(move |one| [0, 1, -1].map(|by| again(lines, *one, span_ns.saturating_add(by))))
            };
            made.extend(span_ns.into_iter().flat_map(again).flatten());
            made.extend(
                number.into_iter().flat_map(|number| [0, 1, -1].map(|by| declared(lines, number + by))).flatten(),
            );
            let often =
                number.into_iter().flat_map(|number| told.iter().flat_map(move |one| often(lines, *one, number)));
            let step = all.len().div_ceil(HISTORIES_MAX).max(1);
            made.extend(all.into_iter().step_by(step).chain(often));
        }
        made.into_iter().enumerate().map(|(number, lines)| History::of(number, lines)).collect()
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
    fn change(&self, dice: &mut Dice, line: &mut Line) {
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

/// The events that sources told, by their places.
fn told(lines: &[Line]) -> Vec<usize> {
    (0..lines.len()).filter(|index| lines[*index]["source"] != "keywatch").collect()
}

/// The spans to be met: what is waited for a source counts from its heartbeat and its delay on.
fn waits(lines: &[Line], span_ns: Option<i64>) -> Vec<i64> {
    let waited: BTreeSet<i64> = lines.iter().flat_map(patience_ns).chain([0]).collect();
    waited.into_iter().filter_map(|waited| span_ns?.checked_add(waited)).collect()
}

/// The second of two events so long after the first; what was between them stays between, what followed follows. `claims`
/// says whether the times that the sources claim move too.
fn apart(lines: &[Line], one: usize, other: usize, span_ns: i64, claims: bool) -> Option<Vec<(i64, Line)>> {
    let times: Vec<i64> = lines.iter().map(time_of).collect();
    let before = i128::from(times[other]) - i128::from(times[one]);
    let after = i128::from(span_ns);
    if before <= 0 || after <= 0 {
        return None;
    }
    let moved = |time: i64| {
        let since = i128::from(time) - i128::from(times[one]);
        let since = if since <= 0 {
            since
        } else if since < before {
            since * after / before
        } else {
            since - before + after
        };
        i64::try_from(i128::from(times[one]) + since).ok()
    };
    let told = |(line, time): (&Line, &i64)| {
        let at = moved(*time)?;
        let mut line = line.clone();
        if !claims {
            return Some((at, line));
        }
        // What the source claims moves along, so that a rule that goes by it meets the span too.
        let claimed = instant(&line, "event_time")?.checked_add(at.checked_sub(*time)?)?;
        line.insert("event_time".to_owned(), json!(jiff::Timestamp::from_nanosecond(claimed.into()).ok()?.to_string()));
        Some((at, line))
    };
    let moved: Vec<(i64, Line)> = lines.iter().zip(&times).map(told).collect::<Option<_>>()?;
    moved.is_sorted_by(|(one, _), (other, _)| one < other).then_some(moved)
}

/// As [`apart`] with the two events and what keywatch itself writes: no further event of the file hides what becomes of them.
fn alone(lines: &[Line], one: usize, other: usize, spans: &[i64]) -> Vec<Vec<(i64, Line)>> {
    let kept = |(index, line): &(usize, &Line)| [one, other].contains(index) || line["source"] == "keywatch";
    let kept: Vec<(usize, Line)> =
        lines.iter().enumerate().filter(kept).map(|(index, line)| (index, line.clone())).collect();
    let place = |wanted: usize| kept.iter().position(|(index, _)| *index == wanted);
    let (Some(one), Some(other)) = (place(one), place(other)) else { return Vec::new() };
    let kept: Vec<Line> = kept.into_iter().map(|(_, line)| line).collect();
    let beside = spans.iter().flat_map(|span_ns| [0, 1, -1].map(|by| span_ns.saturating_add(by)));
    beside.flat_map(|span_ns| [true, false].map(|claims| apart(&kept, one, other, span_ns, claims))).flatten().collect()
}

/// Each whole number in the detail of an event as high as `number`, and one less and more.
fn numbers(lines: &[Line], told: &[usize], number: i64) -> Vec<Vec<(i64, Line)>> {
    let mut made = Vec::new();
    for one in told {
        let Some(Value::Object(detail)) = lines[*one].get("detail") else { continue };
        for (name, _) in detail.iter().filter(|(_, value)| value.is_i64()) {
            for by in [0, 1, -1] {
                let mut lines: Vec<(i64, Line)> = lines.iter().map(|line| (time_of(line), line.clone())).collect();
                lines[*one].1["detail"][name] = json!(number.saturating_add(by));
                made.push(lines);
            }
        }
    }
    made
}

/// One event told once more, so long after it was.
fn again(lines: &[Line], one: usize, span_ns: i64) -> Option<Vec<(i64, Line)>> {
    let mut told: Vec<(i64, Line)> = lines.iter().map(|line| (time_of(line), line.clone())).collect();
    let (time, mut line) = told[one].clone();
    let time = time.checked_add(span_ns).filter(|_| span_ns > 0)?;
    line.insert("event_time".to_owned(), json!(jiff::Timestamp::from_nanosecond(time.into()).ok()?.to_string()));
    told.push((time, line));
    told.sort_by_key(|(time, _)| *time);
    Some(told)
}

/// Nanoseconds of heartbeat and delay of each source that a record declares.
fn patience_ns(line: &Line) -> Vec<i64> {
    let sources = line.get("detail").and_then(|detail| detail.pointer("/declared/sources"));
    let sources = sources.and_then(Value::as_array).into_iter().flatten();
    let seconds = |source: &Value, name: &str| source.get(name).and_then(Value::as_i64).unwrap_or(0);
    sources
        .map(|source| (seconds(source, "heartbeat_seconds") + seconds(source, "max_delay_seconds")) * SECOND)
        .collect()
}

/// Every heartbeat that the inventory declares is so many seconds.
fn declared(lines: &[Line], seconds: i64) -> Option<Vec<(i64, Line)>> {
    let mut told: Vec<(i64, Line)> = lines.iter().map(|line| (time_of(line), line.clone())).collect();
    let mut found = false;
    for (_, line) in &mut told {
        let sources = line.get_mut("detail").and_then(|detail| detail.pointer_mut("/declared/sources"));
        for source in sources.and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(heartbeat) = source.get_mut("heartbeat_seconds") {
                (*heartbeat, found) = (json!(seconds), true);
            }
        }
    }
    found.then_some(told)
}

/// The amount of one event so many times that of another, and `by` more; also so many hundredths of it.
fn times(lines: &[Line], one: usize, other: usize, number: i64, by: i64) -> Option<Vec<(i64, Line)>> {
    let amount = |line: &Line| line.get("amount")?.as_str()?.parse::<i128>().ok();
    amount(&lines[other])?;
    let base = amount(&lines[one])?;
    let hundredths = if other < one { 100 } else { 1 };
    let changed = (base.checked_mul(i128::from(number))? / hundredths + i128::from(by)).max(0);
    let told = |(index, line): (usize, &Line)| {
        let mut line = line.clone();
        if index == other {
            line.insert("amount".to_owned(), json!(changed.to_string()));
        }
        (time_of(&line), line)
    };
    Some(lines.iter().enumerate().map(told).collect())
}

/// As [`times`] for each whole number in the detail of both. One more of the base makes a quotient larger by one.
fn rates(lines: &[Line], one: usize, other: usize, number: i64, by: i64) -> Vec<Vec<(i64, Line)>> {
    let Some(Value::Object(detail)) = lines[other].get("detail") else { return Vec::new() };
    let numbers = detail.iter().filter(|(_, value)| value.is_i64()).filter_map(|(name, _)| {
        let base = lines[one].get("detail")?.get(name)?.as_i64()?;
        Some((name, base))
    });
    let products = numbers.flat_map(|(name, base)| {
        [base, base.saturating_add(1)].map(|base| (name, base.checked_mul(number).and_then(|all| all.checked_add(by))))
    });
    let told = |(name, product): (&String, Option<i64>)| {
        let mut lines: Vec<(i64, Line)> = lines.iter().map(|line| (time_of(line), line.clone())).collect();
        lines[other].1["detail"][name] = json!(product?);
        Some(lines)
    };
    products.filter_map(told).collect()
}

/// One event so often and once less or more, each as a new thing a nanosecond after the other, or a little later.
fn often(lines: &[Line], one: usize, number: i64) -> Vec<Vec<(i64, Line)>> {
    let mut made = Vec::new();
    for count in (number - 1).max(0)..=number + 1 {
        for wait_ns in [1, SECOND] {
            let Ok(count) = usize::try_from(count) else { continue };
            if count > 64 {
                continue;
            }
            let mut told = Vec::new();
            for (index, line) in lines.iter().enumerate() {
                let copies = if index == one { count } else { 1 };
                for copy in 0..copies {
                    let mut line = line.clone();
                    for column in ["request", "tx", "to_address", "session"].iter().filter(|_| copy > 0) {
                        if let Some(Value::String(text)) = line.get_mut(*column) {
                            let kept = text.len().saturating_sub(2);
                            *text = format!("{}{copy:02}", text.get(..kept).unwrap_or_default());
                        }
                    }
                    told.push((time_of(&line) + wait_ns * i64::try_from(copy).unwrap(), line));
                }
            }
            told.sort_by_key(|(time, _)| *time);
            made.push(told);
        }
    }
    made
}

impl History {
    /// The log of the system `s<number>`.
    fn of(number: usize, lines: Vec<(i64, Line)>) -> History {
        let mut history = History { system: format!("s{number}"), events: Vec::new() };
        let mut last = i64::MIN;
        for (time, line) in lines {
            last = time.max(last.saturating_add(1));
            history.push(line, number, last);
        }
        history.close(last.saturating_add(2 * DAY));
        history
    }

    fn push(&mut self, mut line: Line, number: usize, time: i64) {
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

fn time_of(line: &Line) -> i64 {
    instant(line, "time").unwrap()
}

fn instant(line: &Line, column: &str) -> Option<i64> {
    let time: jiff::Timestamp = line.get(column)?.as_str()?.parse().ok()?;
    i64::try_from(time.as_nanosecond()).ok()
}
