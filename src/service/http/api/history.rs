//! Where in the log a time is, and what of a system stands from there on. Reads within limits: what an operator asks for
//! must not slow the rules down.

use keywatch_store::{Error, Event, Instant, Log, Position, Topic};

use crate::limits::{API_READ_RECORDS, API_SCAN_RECORDS_MAX};

/// What a scan came to.
pub(super) struct Scanned {
    /// Log time of the first record looked at.
    pub(super) from: Option<Instant>,
    /// Whether it went to its end, and not to the limit.
    pub(super) complete: bool,
}

/// Shows `each` the records of a topic whose log time is at least `from`, until it says `false`.
///
/// # Errors
/// The log cannot be read.
pub(super) fn scan(
    log: &dyn Log,
    topic: Topic,
    from: Instant,
    each: impl FnMut(&Event) -> bool,
) -> Result<Scanned, Error> {
    let mut position = first_at(log, topic, from)?;
    onward(log, topic, &mut position, each)
}

/// The same from a position on, which it leaves behind the last records that were all wanted, so that who keeps it goes on
/// there.
///
/// # Errors
/// The log cannot be read.
pub(super) fn onward(
    log: &dyn Log,
    topic: Topic,
    position: &mut Position,
    mut each: impl FnMut(&Event) -> bool,
) -> Result<Scanned, Error> {
    let mut scanned = Scanned { from: None, complete: true };
    let mut left = API_SCAN_RECORDS_MAX;
    while left > 0 {
        let events = log.read(topic, *position, API_READ_RECORDS.min(left))?;
        if events.is_empty() {
            return Ok(scanned);
        }
        scanned.from = scanned.from.or_else(|| events.first().map(Event::time));
        if !events.iter().all(&mut each) {
            return Ok(scanned);
        }
        left -= events.len();
        *position = position.plus(events.len());
    }
    scanned.complete = false;
    Ok(scanned)
}

/// The first position whose record is at `from` or later. In a log of several systems with recorded times, those before it
/// may hold some that are later; a log that dates its records itself has none.
pub(super) fn first_at(log: &dyn Log, topic: Topic, from: Instant) -> Result<Position, Error> {
    let (mut low, mut high) = (0, log.end(topic).0);
    while low < high {
        let middle = low + (high - low) / 2;
        let time = match log.read(topic, Position(middle), 1) {
            Ok(events) => events.first().map(Event::time),
            // What is no longer kept is earlier.
            Err(Error::Expired { .. }) => Some(Instant::UNASSIGNED),
            Err(error) => return Err(error),
        };
        match time {
            Some(time) if time < from => low = middle + 1,
            _ => high = middle,
        }
    }
    Ok(Position(low))
}

#[cfg(test)]
mod tests {
    use keywatch_store::event::Origin;
    use keywatch_store::log::memory::MemoryLog;

    use super::*;

    #[test]
    fn a_scan_begins_at_the_time_and_ends_where_it_is_told() {
        let log = MemoryLog::new();
        let origin = Origin { system: "cold".into(), source: "a".into() };
        let event = |second: i64| {
            let mut event = Event::builder(&origin, &second.to_string(), "source.heartbeat", Instant(second));
            event.time(Instant(second)).build_own()
        };
        log.append(Topic::Events, (1..=100).map(event).collect()).unwrap();
        for (from, until, expected) in [(1, 200, 100), (41, 200, 60), (41, 50, 10), (101, 200, 0)] {
            let mut seen = Vec::new();
            let scanned = scan(&log, Topic::Events, Instant(from), |event| {
                let within = event.time() <= Instant(until);
                if within {
                    seen.push(event.time());
                }
                within
            });
            assert!(scanned.unwrap().complete);
            assert_eq!(seen.len(), expected, "from {from} to {until}");
        }
    }
}
