//! Recorded events as files hold them: event lines read one by one, and the inventory that stands beside them.
//!
//! It keeps one line at a time and gives no log time: who reads decides what admits the events.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read};
use std::ops::Range;
use std::sync::Arc;

use keywatch_detectors::Engine;
use keywatch_store::limits::LINE_BYTES_MAX;
use keywatch_store::{Error, Event, Instant, Inventory, line};

use crate::service::evaluation::system_records;

/// Event lines, one by one; what is no event is kept apart and nothing else is lost.
pub(crate) struct EventLines<R> {
    reader: R,
    text: Vec<u8>,
    number: usize,
}

/// One line that is not blank.
pub(crate) struct Line {
    /// Its number in the file, from 1.
    pub(crate) number: usize,
    /// The event, or the field at fault and why.
    pub(crate) event: Result<Event, String>,
}

impl<R: BufRead> EventLines<R> {
    /// The lines of `reader`.
    pub(crate) fn new(reader: R) -> EventLines<R> {
        EventLines { reader, text: Vec::new(), number: 0 }
    }
}

impl<R: BufRead> Iterator for EventLines<R> {
    type Item = io::Result<Line>;

    fn next(&mut self) -> Option<io::Result<Line>> {
        loop {
            self.text.clear();
            let length = match read_line(&mut self.reader, &mut self.text, LINE_BYTES_MAX + 2) {
                Ok(0) => return None,
                Ok(length) => length,
                Err(error) => return Some(Err(error)),
            };
            self.number += 1;
            if !self.text.iter().all(u8::is_ascii_whitespace) {
                return Some(Ok(Line { number: self.number, event: parse(&self.text, length) }));
            }
        }
    }
}

/// The event of a line that was `length` bytes long before its end was let go.
///
/// # Errors
/// The field at fault and why.
pub(crate) fn parse(text: &[u8], length: usize) -> Result<Event, String> {
    check_whole(text.len(), length)?;
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    as_recorded(line::read(text))
}

/// As [`parse`], of a line within a text that holds many: the event's texts lie there, and nothing is copied.
///
/// # Errors
/// The field at fault and why.
pub(crate) fn parse_within(texts: &Arc<String>, range: Range<usize>, length: usize) -> Result<Event, String> {
    check_whole(range.len(), length)?;
    let text = &texts[range.clone()];
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    as_recorded(line::read_within(texts, range.start..range.start + text.len()))
}

fn check_whole(kept: usize, length: usize) -> Result<(), String> {
    if length > kept {
        return Err(format!("line: {length} bytes, at most {LINE_BYTES_MAX} are accepted"));
    }
    Ok(())
}

fn as_recorded(read: Result<Event, Error>) -> Result<Event, String> {
    let mut event = read.map_err(|error| error.to_string())?;
    // A line that no log has admitted is taken at the time that its source claims.
    if event.time() == Instant::UNASSIGNED {
        event.set_time(event.event_time());
    }
    Ok(event)
}

/// Appends the next line, its line feed included, and gives its length. Of a line longer than `kept_bytes_max` only the
/// beginning is kept: the rest is read and let go.
pub(crate) fn read_line(reader: &mut impl BufRead, into: &mut Vec<u8>, kept_bytes_max: usize) -> io::Result<usize> {
    let kept = reader.by_ref().take(kept_bytes_max as u64).read_until(b'\n', into)?;
    let whole = kept < kept_bytes_max || into.last() == Some(&b'\n');
    Ok(if whole { kept } else { kept + reader.skip_until(b'\n')? })
}

/// Where each system's records end, so that log time can be let go on beyond it.
#[derive(Default)]
pub(crate) struct Ends {
    last: BTreeMap<String, Instant>,
}

impl Ends {
    /// Takes note of records.
    pub(crate) fn take(&mut self, events: &[Event]) {
        for event in events {
            match self.last.get_mut(event.system()) {
                Some(last) => *last = event.time(),
                None => drop(self.last.insert(event.system().to_owned(), event.time())),
            }
        }
    }

    /// A tick for each system, so late that everything an engine has on hold is decided.
    pub(crate) fn closing_ticks(&self, engine: &Engine) -> Vec<Event> {
        let ahead = engine.rules().filter_map(|rule| engine.explain(&rule.id)).map(|(_, ahead)| ahead).max();
        let later = ahead.unwrap_or_default().saturating_add(1);
        self.last.iter().map(|(system, last)| system_records::tick(system, last.saturating_add(later))).collect()
    }
}

/// An inventory that stands beside recorded events: each system's is activated just before its first record.
#[derive(Default)]
pub(crate) struct DeclaredInventory {
    waiting: BTreeMap<String, Inventory>,
    over: bool,
}

impl DeclaredInventory {
    /// For records that may bring an inventory of their own: then that one holds.
    pub(crate) fn fallback(inventory: Option<Inventory>) -> DeclaredInventory {
        let systems = inventory.map(|inventory| inventory.systems).unwrap_or_default();
        let one = |system: keywatch_store::inventory::System| (system.id.clone(), Inventory { systems: vec![system] });
        DeclaredInventory { waiting: systems.into_iter().map(one).collect(), over: false }
    }

    /// Whatever the records bring.
    pub(crate) fn overriding(inventory: Inventory) -> DeclaredInventory {
        DeclaredInventory { over: true, ..DeclaredInventory::fallback(Some(inventory)) }
    }

    /// The records that have to stand before `event`; none unless it is the first of its system.
    pub(crate) fn activations_before(&mut self, event: &Event) -> Vec<Event> {
        if self.waiting.is_empty() {
            return Vec::new();
        }
        let inventory = self.waiting.remove(event.system());
        let inventory = inventory.filter(|_| self.over || event.kind() != "inventory.activated");
        inventory.map(|inventory| inventory.activation(event.time().saturating_add(-1))).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEARTBEAT: &str = r#"{"event_id":"000102030405060708090a0b0c0d0e0f","system":"s","event_time":"2025-02-21T00:00:00Z","source":"a","kind":"source.heartbeat"}"#;

    fn lines(text: &[u8]) -> Vec<Line> {
        EventLines::new(text).map(|line| line.unwrap()).collect()
    }

    #[test]
    fn blank_lines_are_passed_over_and_numbers_stay_those_of_the_file() {
        let text = format!("\n{HEARTBEAT}\r\n  \nnonsense\n{HEARTBEAT}");
        let lines = lines(text.as_bytes());
        let seen: Vec<(usize, bool)> = lines.iter().map(|line| (line.number, line.event.is_ok())).collect();
        assert_eq!(seen, [(2, true), (4, false), (5, true)]);
        let event = lines[0].event.as_ref().unwrap();
        assert_eq!(event.time(), event.event_time());
    }

    #[test]
    fn p7_of_a_line_beyond_the_limit_only_the_beginning_is_kept() {
        let mut text = vec![b'x'; LINE_BYTES_MAX * 3];
        text.push(b'\n');
        text.extend(HEARTBEAT.bytes());
        let mut reader = EventLines::new(text.as_slice());
        let problem = reader.next().unwrap().unwrap().event.unwrap_err();
        assert!(problem.starts_with("line: 3145729 bytes, at most"), "{problem}");
        assert!(reader.text.capacity() < LINE_BYTES_MAX * 2);
        assert!(reader.next().unwrap().unwrap().event.is_ok());
        assert!(reader.next().is_none());
    }

    fn event(system: &str, kind: &str, time: i64) -> Event {
        let origin = keywatch_store::event::Origin { system: system.into(), source: "a".into() };
        let mut event = Event::builder(&origin, "1", kind, Instant(time));
        event.time(Instant(time)).build_own()
    }

    #[test]
    fn a_declared_inventory_is_activated_once_before_its_system_speaks() {
        let inventory = Inventory::parse("i", "[[systems]]\nid = \"a\"\n[[systems]]\nid = \"b\"").unwrap();
        let mut declared = DeclaredInventory::fallback(Some(inventory.clone()));
        let kinds = |events: Vec<Event>| events.iter().map(|e| (e.system().to_owned(), e.time().0)).collect::<Vec<_>>();
        assert_eq!(kinds(declared.activations_before(&event("a", "tick", 50))), [("a".to_owned(), 49)]);
        assert!(declared.activations_before(&event("a", "tick", 51)).is_empty());
        assert!(declared.activations_before(&event("b", "inventory.activated", 60)).is_empty());
        let mut declared = DeclaredInventory::overriding(inventory);
        assert_eq!(kinds(declared.activations_before(&event("b", "inventory.activated", 60))), [("b".to_owned(), 59)]);
    }

    /// What a second of one core reads: run with `--ignored --nocapture bench_`.
    #[test]
    #[ignore = "a measurement"]
    #[expect(clippy::print_stdout, reason = "a bench prints its table")]
    fn bench_reading_event_lines() {
        use keywatch_store::Clock;
        use keywatch_store::log::admission::Admission;
        const TIMES: usize = 100;
        let text =
            std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/replay-data/2025-02-bybit/events.jsonl")).unwrap();
        let measure = |what: &str, work: &mut dyn FnMut(Event)| {
            let begun = std::time::Instant::now();
            let mut events = 0;
            for _ in 0..TIMES {
                EventLines::new(text.as_slice())
                    .for_each(|line| work(line.unwrap().event.inspect(|_| events += 1).unwrap()));
            }
            let seconds = begun.elapsed().as_secs_f64();
            let megabytes = f64::from(u32::try_from(text.len() * TIMES).unwrap()) / 1e6;
            let rate = f64::from(events) / seconds;
            println!(
                "{what:<24} {rate:>9.0} events/s, {:>5.0} MB/s, {:>5.2} µs an event",
                megabytes / seconds,
                1e6 / rate
            );
        };
        measure("parsed", &mut drop);
        let mut admission = Admission::new(Clock::Recorded);
        let mut number = 0_u128;
        measure("parsed and admitted", &mut |event| {
            number += 1;
            let event = event.changed(|event| event.event_id(keywatch_store::EventId(number.to_be_bytes())));
            drop(admission.admit(event, Instant::UNASSIGNED));
        });
    }
}
