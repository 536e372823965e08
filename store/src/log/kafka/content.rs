//! What one message holds: an event as its line, or many events of a system packed. Both stand in one topic beside each
//! other, and the first byte of a value tells which it is.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::limits::{
    APPEND_EVENTS_MAX, KAFKA_PACKED_BYTES_MAX, KAFKA_PACKED_RECORDS_MAX, KAFKA_PACKED_RECORDS_MIN, LINE_BYTES_MAX,
};
use crate::line::Template;
use crate::log::embedded::LOG_FIELDS_BYTES;
use crate::{Clock, Error, Event, Instant, line, packed};

/// How a writer puts events into messages. Whoever reads, reads both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Messages {
    /// A line of JSON for each event.
    #[default]
    Json,
    /// Events of a system that follow each other in an append together, as Arrow; few of them as lines.
    Packed,
}

/// The value of a message, and the events in it: of one system, at least one.
#[derive(Debug)]
pub(super) struct Content<'a> {
    pub(super) events: &'a [Event],
    pub(super) value: Vec<u8>,
}

impl Content<'_> {
    /// The key of the message.
    pub(super) fn system(&self) -> &str {
        self.events.first().map_or("", Event::system)
    }

    pub(super) fn is_packed(&self) -> bool {
        packed::is_packed(&self.value)
    }
}

/// What the messages of an append hold, in its order.
///
/// # Errors
/// [`Error::Line`]: there are too many events, or one is too long.
pub(super) fn contents(events: &[Event], messages: Messages, clock: Clock) -> Result<Vec<Content<'_>>, Error> {
    if events.len() > APPEND_EVENTS_MAX {
        let problem = format!("{} events, at most {APPEND_EVENTS_MAX} are taken at once; split it", events.len());
        return Err(Error::line("append", problem));
    }
    match messages {
        Messages::Json => events.iter().map(|event| of_line(event, clock)).collect(),
        Messages::Packed => {
            let mut contents = Vec::new();
            for mut run in events.chunk_by(|one, next| one.system() == next.system()) {
                while !run.is_empty() {
                    let (piece, rest) = run.split_at(piece(run));
                    run = rest;
                    if piece.len() < KAFKA_PACKED_RECORDS_MIN {
                        for event in piece {
                            contents.push(of_line(event, clock)?);
                        }
                    } else {
                        contents.push(of_piece(piece, clock)?);
                    }
                }
            }
            Ok(contents)
        }
    }
}

/// How many of these events one message holds.
fn piece(events: &[Event]) -> usize {
    let mut bytes = 0;
    let fits = |event: &&Event| {
        bytes += packed::bytes_of(event);
        bytes <= KAFKA_PACKED_BYTES_MAX
    };
    // A long one stands alone.
    events.iter().take(KAFKA_PACKED_RECORDS_MAX).take_while(fits).count().max(1)
}

fn of_piece(events: &[Event], clock: Clock) -> Result<Content<'_>, Error> {
    for event in events {
        // Of a line this long, most is detail, which stands in it as it is; so the others need not be made to be measured.
        if event.detail().as_str().len() > LINE_BYTES_MAX / 2 {
            line_of(event, clock)?;
        }
    }
    Ok(Content { events, value: packed::write(events, clock)? })
}

fn of_line(event: &Event, clock: Clock) -> Result<Content<'_>, Error> {
    Ok(Content { events: std::slice::from_ref(event), value: line_of(event, clock)?.into_bytes() })
}

/// The line of an event. On the wall clock it carries no time: it is the append's, which readers see.
fn line_of(event: &Event, clock: Clock) -> Result<String, Error> {
    let time = match clock {
        Clock::Wall => Instant::UNASSIGNED,
        Clock::Recorded => event.time(),
    };
    let mut line = String::new();
    Template::of(event).fill(time, event.late(), &mut line);
    // Readers fill in the time.
    match line.len() + LOG_FIELDS_BYTES {
        bytes if bytes > LINE_BYTES_MAX => {
            Err(Error::line("line", format!("{bytes} bytes, at most {LINE_BYTES_MAX} are accepted")))
        }
        _ => Ok(line),
    }
}

/// The events of a value.
///
/// # Errors
/// [`Error::Line`], [`Error::Arrow`]: no version of keywatch up to this one wrote it.
pub(super) fn events(value: &[u8]) -> Result<Vec<Event>, Error> {
    if packed::is_packed(value) { packed::read(value) } else { Ok(vec![line::read(value)?]) }
}

/// Whether a value that [`events`] refuses is whole in its form: an object of JSON, a stream of Arrow with rows, or a form that
/// begins as none of this version does. Then it is taken for what a later version wrote. Else it was broken off or damaged.
pub(super) fn is_of_later_version(value: &[u8]) -> bool {
    match value.first() {
        None => false,
        Some(b'{') => serde_json::from_slice::<IgnoredAny>(value).is_ok(),
        Some(_) => !packed::is_packed(value) || packed::is_whole(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Origin;

    fn event(system: &str, id: usize, detail: usize) -> Event {
        let origin = Origin { system: system.to_owned(), source: "a".to_owned() };
        let mut event = Event::builder(&origin, &id.to_string(), "decision", Instant(7));
        if detail > 0 {
            event.detail(&serde_json::json!({ "said": "x".repeat(detail) }));
        }
        event.build().unwrap()
    }

    /// How many events each message has and whether it is packed, once it is certain that they are the ones.
    fn packed(given: &[Event]) -> Vec<(usize, bool)> {
        let contents = contents(given, Messages::Packed, Clock::Wall).unwrap();
        let read: Vec<Event> = contents.iter().flat_map(|content| events(&content.value).unwrap()).collect();
        assert_eq!(read, given);
        for content in &contents {
            assert!(content.value.len() < crate::limits::KAFKA_MESSAGE_BYTES_MAX - 4096);
            assert!(content.events.iter().all(|event| event.system() == content.system()));
        }
        contents.iter().map(|content| (content.events.len(), content.is_packed())).collect()
    }

    #[test]
    fn events_of_a_system_go_together_in_their_order() {
        let of = |system: &str, count: usize| (0..count).map(|id| event(system, id, 0)).collect::<Vec<_>>();
        let given = [of("cold", 20), of("hot", 8), of("cold", 2)].concat();
        assert_eq!(packed(&given), [(20, true), (8, true), (1, false), (1, false)]);
        let contents = contents(&given, Messages::Json, Clock::Wall).unwrap();
        assert!(contents.len() == 30 && contents.iter().all(|content| !content.is_packed()));
    }

    #[test]
    fn what_is_whole_and_not_understood_is_of_a_later_version_and_what_is_broken_off_is_not() {
        let event = event("cold", 1, 0);
        let line = line_of(&event, Clock::Wall).unwrap();
        let packed = packed::write(&vec![event; 8], Clock::Wall).unwrap();
        let changed = |from: &str, to: &str| line.replace(from, to).into_bytes();
        let renamed = |from: &[u8], to: &[u8]| {
            let mut bytes = packed.clone();
            let places: Vec<usize> =
                (0..bytes.len() - from.len()).filter(|at| bytes[*at..].starts_with(from)).collect();
            assert!(!places.is_empty() && from.len() == to.len());
            places.into_iter().for_each(|at| bytes[at..at + to.len()].copy_from_slice(to));
            bytes
        };
        let later = [
            changed("\"decision\"", "\"decision.later\""),
            changed("\"kind\"", "\"mood\":\"calm\",\"kind\""),
            renamed(b"event_time", b"event_mood"),
            renamed(b"decision", b"derision"),
            b"\x02some later form".to_vec(),
        ];
        for value in later {
            assert!(events(&value).is_err() && is_of_later_version(&value), "{}", String::from_utf8_lossy(&value));
        }
        let broken = [line.as_bytes()[..line.len() - 1].to_vec(), packed[..packed.len() - 100].to_vec(), Vec::new()];
        for value in broken {
            assert!(events(&value).is_err() && !is_of_later_version(&value), "{}", String::from_utf8_lossy(&value));
        }
    }

    #[test]
    fn a_message_is_limited_in_events_and_bytes() {
        let many: Vec<Event> = (0..KAFKA_PACKED_RECORDS_MAX + 9).map(|id| event("cold", id, 0)).collect();
        assert_eq!(packed(&many), [(KAFKA_PACKED_RECORDS_MAX, true), (9, true)]);
        // Of 100 KB each, ten fit.
        let large: Vec<Event> = (0..25).map(|id| event("cold", id, 100_000)).collect();
        assert_eq!(packed(&large)[..3], [(10, true), (10, true), (1, false)]);
        let longest = vec![event("cold", 1, LINE_BYTES_MAX - 1000)];
        assert_eq!(packed(&longest), [(1, false)]);
        let longer = vec![event("cold", 1, LINE_BYTES_MAX)];
        let refused = contents(&longer, Messages::Packed, Clock::Wall).unwrap_err().to_string();
        assert!(refused.contains("at most 1048576 are accepted"), "{refused}");
    }
}
