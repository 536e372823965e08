//! A record as a Kafka message, and what tells it from anybody else's.
//!
//! The key is the system id, the value the event line ([`crate::line`]) or many events ([`crate::packed`]); a log with the
//! wall clock leaves `time` out of both, which readers fold from the append times. The headers of a line are those of a
//! `CloudEvents` message in binary mode, and keywatch's own; many events are none, and have keywatch's own alone:
//!
//! | header | value |
//! |---|---|
//! | `content-type` | `application/json`, `application/vnd.apache.arrow.stream` |
//! | `ce_specversion`, `ce_id`, `ce_type`, `ce_source` | `1.0`, the event id, the kind, `/keywatch/<system>/<source>` |
//! | `keywatch-records` | how many events are packed |
//! | `keywatch-clock` | `wall` or `recorded`: the clock of the log |
//! | `keywatch-role` | the role that wrote it |
//! | `keywatch-append` | which append of which process it is a part of |
//! | `keywatch-mac` | 64 hexadecimal digits: HMAC-SHA256 with the role's key |
//!
//! A message of a recorded clock in a log with the wall clock was imported before the log went live: a reader takes it only
//! in front of the first live message.
//!
//! The MAC is over [`DOMAIN`] and then topic (`events` or `conclusions`), clock, role, append, key and value, each with its
//! length before it as eight bytes, big-endian. It is checked before anything of the value is read. What form the value has
//! is read from the value and not from a header, which the MAC does not cover.

use std::collections::BTreeMap;
use std::fmt;

use rdkafka::message::{Header, Headers, Message, OwnedHeaders};

use super::content::{self, Content};
use super::partition::partition_of;
use crate::log::hash_chain::Key;
use crate::{Clock, Event, Topic};

const DOMAIN: &[u8] = b"keywatch message 1\0";

/// Whose records are read, and what they must be.
#[derive(Clone, Debug)]
pub(super) struct Seal {
    pub(super) clock: Clock,
    pub(super) keys: BTreeMap<String, Key>,
    /// Partitions of each topic: a system's messages stand in one of them.
    pub(super) partitions: u32,
}

/// Why a message is none of keywatch's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Foreign {
    /// It lacks one of keywatch's headers, its key or its value.
    Unmarked(&'static str),
    /// A role whose key is not at hand.
    Role(String),
    /// The MAC is not that of the role.
    Mac(String),
    /// It is of a log with another clock.
    Clock(String),
    /// It is of an import and stands behind what was written live.
    LateImport,
    /// It stands under the key of another system.
    System,
    /// It was copied out of the partition of its system.
    Partition(i32),
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Foreign::Unmarked(what) => write!(f, "it has no {what}"),
            Foreign::Role(role) => write!(f, "the key of role `{role}` is unknown here"),
            Foreign::Mac(role) => write!(f, "its MAC is not that of role `{role}`"),
            Foreign::Clock(clock) => write!(f, "it is of a log with the clock `{clock}`"),
            Foreign::LateImport => write!(f, "it is of an import, and the log is live already"),
            Foreign::System => write!(f, "its key is not the system of its events"),
            Foreign::Partition(partition) => write!(f, "its system is not in partition {partition}"),
        }
    }
}

/// A message that a role of keywatch wrote.
#[derive(Debug)]
pub(super) struct Genuine {
    pub(super) append: String,
    /// The clock of the message: it is of an import where that is not the log's.
    pub(super) clock: Clock,
    /// The events, or why this version cannot read what a role wrote.
    pub(super) events: Result<Vec<Event>, crate::Error>,
}

/// The headers of a message that holds this.
pub(super) fn headers(content: &Content<'_>, topic: Topic, clock: Clock, writer: Writer<'_>) -> OwnedHeaders {
    let clock = clock.to_string();
    let parts = parts(topic, &clock, writer.role, writer.append, content.system(), &content.value);
    let mac = hex::encode(writer.key.sign(DOMAIN, &parts));
    let own = [
        ("keywatch-clock", clock.as_str()),
        ("keywatch-role", writer.role),
        ("keywatch-append", writer.append),
        ("keywatch-mac", mac.as_str()),
    ];
    let empty = OwnedHeaders::new_with_capacity(9);
    own.into_iter().fold(about(content, empty), |headers, (key, value)| headers.insert(text(key, value)))
}

/// What other clients want to know.
fn about(content: &Content<'_>, headers: OwnedHeaders) -> OwnedHeaders {
    match content.events {
        [event] if !content.is_packed() => headers
            .insert(text("content-type", "application/json"))
            .insert(text("ce_specversion", "1.0"))
            .insert(text("ce_id", &event.event_id().to_string()))
            .insert(text("ce_type", event.kind()))
            .insert(text("ce_source", &format!("/keywatch/{}/{}", event.system(), event.source()))),
        events => headers
            .insert(text("content-type", "application/vnd.apache.arrow.stream"))
            .insert(text("keywatch-records", &events.len().to_string())),
    }
}

fn text<'a>(key: &'a str, value: &'a str) -> Header<'a, &'a str> {
    Header { key, value: Some(value) }
}

/// Who writes.
#[derive(Clone, Copy)]
pub(super) struct Writer<'a> {
    pub(super) role: &'a str,
    pub(super) key: &'a Key,
    pub(super) append: &'a str,
}

fn parts<'a>(
    topic: Topic,
    clock: &'a str,
    role: &'a str,
    append: &'a str,
    system: &'a str,
    value: &'a [u8],
) -> [&'a [u8]; 6] {
    let [topic, clock, role, append, system] = [topic.name(), clock, role, append, system].map(str::as_bytes);
    [topic, clock, role, append, system, value]
}

impl Seal {
    /// Reads a message of a topic.
    ///
    /// # Errors
    /// Why it is none of keywatch's; it is to be reported and left out.
    pub(super) fn open(&self, topic: Topic, message: &impl Message) -> Result<Genuine, Foreign> {
        let text = |name: &'static str| header(message, name).ok_or(Foreign::Unmarked(name));
        let system = message.key().and_then(|key| str::from_utf8(key).ok()).ok_or(Foreign::Unmarked("key"))?;
        let value = message.payload().ok_or(Foreign::Unmarked("value"))?;
        let (clock, role, append) = (text("keywatch-clock")?, text("keywatch-role")?, text("keywatch-append")?);
        let mac = hex::decode(text("keywatch-mac")?).map_err(|_| Foreign::Unmarked("keywatch-mac"))?;
        let key = self.keys.get(role).ok_or_else(|| Foreign::Role(role.to_owned()))?;
        if !key.is_signed(DOMAIN, &parts(topic, clock, role, append, system, value), &mac) {
            return Err(Foreign::Mac(role.to_owned()));
        }
        // The MAC does not say where a message stands. One that was copied elsewhere would be new there.
        let partition = message.partition();
        if u32::try_from(partition) != Ok(partition_of(system, self.partitions)) {
            return Err(Foreign::Partition(partition));
        }
        let clock = match [Clock::Wall, Clock::Recorded].into_iter().find(|known| known.to_string() == clock) {
            Some(known) if known == self.clock || known == Clock::Recorded => known,
            _ => return Err(Foreign::Clock(clock.to_owned())),
        };
        let events = content::events(value);
        if events.iter().flatten().any(|event| event.system() != system) {
            return Err(Foreign::System);
        }
        Ok(Genuine { append: append.to_owned(), clock, events })
    }
}

fn header<'a>(message: &'a impl Message, name: &str) -> Option<&'a str> {
    let headers = message.headers()?;
    let found = headers.iter().find(|header| header.key == name)?;
    str::from_utf8(found.value?).ok()
}

#[cfg(test)]
mod tests {
    use rdkafka::message::{OwnedMessage, Timestamp};

    use super::*;
    use crate::event::Origin;
    use crate::log::kafka::content::{Messages, contents};
    use crate::{Instant, line};

    fn event(system: &str) -> Event {
        let origin = Origin { system: system.to_owned(), source: "idp".to_owned() };
        Event::builder(&origin, "1", "source.heartbeat", Instant(5)).build().unwrap()
    }

    fn message(event: &Event, key: &Key, role: &str) -> OwnedMessage {
        let value = line::write(event).into_bytes();
        message_of(Content { events: std::slice::from_ref(event), value }, key, role)
    }

    fn message_of(content: Content<'_>, key: &Key, role: &str) -> OwnedMessage {
        let headers = headers(&content, Topic::Events, Clock::Wall, Writer { role, key, append: "a-1" });
        let (system, at) = (content.system().as_bytes().to_vec(), Timestamp::LogAppendTime(7));
        OwnedMessage::new(Some(content.value), Some(system), "t".to_owned(), at, 0, 3, Some(headers))
    }

    fn packed(events: &[Event]) -> Content<'_> {
        contents(events, Messages::Packed, Clock::Wall).unwrap().remove(0)
    }

    fn seal() -> Seal {
        let keys = BTreeMap::from([("keywatch".to_owned(), Key::new(&[1; 32]))]);
        Seal { clock: Clock::Wall, keys, partitions: 1 }
    }

    #[test]
    fn a_message_of_a_role_is_the_event_that_it_wrote() {
        let read = seal().open(Topic::Events, &message(&event("cold"), &Key::new(&[1; 32]), "keywatch")).unwrap();
        assert_eq!((read.append.as_str(), read.events.unwrap()), ("a-1", vec![event("cold")]));
    }

    #[test]
    fn many_events_of_a_role_are_those_that_it_packed_whatever_a_header_says() {
        let (key, events) = (Key::new(&[1; 32]), vec![event("cold"); 8]);
        let sent = message_of(packed(&events), &key, "keywatch");
        assert_eq!(header(&sent, "content-type"), Some("application/vnd.apache.arrow.stream"));
        assert_eq!((header(&sent, "keywatch-records"), header(&sent, "ce_id")), (Some("8"), None));
        assert_eq!(seal().open(Topic::Events, &sent).unwrap().events.unwrap(), events);

        let headers = sent.headers().unwrap().iter().filter(|header| header.key != "content-type");
        let without =
            headers.fold(OwnedHeaders::new(), |headers, Header { key, value }| headers.insert(Header { key, value }));
        let claimed = without.insert(text("content-type", "application/json"));
        let read = seal().open(Topic::Events, &sent.replace_headers(Some(claimed))).unwrap();
        assert_eq!(read.events.unwrap(), events);
    }

    #[test]
    fn what_a_role_wrote_and_nobody_can_read_is_an_error_and_what_is_not_its_system_is_foreign() {
        let (key, events) = (Key::new(&[1; 32]), vec![event("cold"); 8]);
        let whole = packed(&events);
        let half = whole.value[..whole.value.len() - 100].to_vec();
        let broken = message_of(Content { events: &events, value: half }, &key, "keywatch");
        assert!(seal().open(Topic::Events, &broken).unwrap().events.is_err());
        let forged = broken.set_payload(Some(whole.value.clone()));
        assert_eq!(seal().open(Topic::Events, &forged).unwrap_err(), Foreign::Mac("keywatch".to_owned()));
        let mut mixed = events.clone();
        mixed[5] = event("hot");
        let value = crate::packed::write(&mixed, Clock::Wall).unwrap();
        let mixed = message_of(Content { events: &mixed, value }, &key, "keywatch");
        assert_eq!(seal().open(Topic::Events, &mixed).unwrap_err(), Foreign::System);
    }

    #[test]
    fn what_no_role_wrote_is_told_apart() {
        let mine = || message(&event("cold"), &Key::new(&[1; 32]), "keywatch");
        let changed = line::write(&event("hot")).into_bytes();
        let of_other_clock = Seal { clock: Clock::Recorded, ..seal() };
        let of_two = Seal { partitions: 2, ..seal() };
        let imported = message(&event("cold"), &Key::new(&[1; 32]), "keywatch");
        assert_eq!(seal().open(Topic::Events, &imported).unwrap().clock, Clock::Wall);
        let cases = [
            (seal().open(Topic::Conclusions, &mine()), "its MAC"),
            (seal().open(Topic::Events, &mine().set_payload(Some(changed))), "its MAC"),
            (seal().open(Topic::Events, &mine().set_key(Some(b"hot".to_vec()))), "its MAC"),
            (seal().open(Topic::Events, &mine().replace_headers(None)), "no keywatch-clock"),
            (seal().open(Topic::Events, &mine().set_key(None)), "no key"),
            (seal().open(Topic::Events, &message(&event("cold"), &Key::new(&[2; 32]), "keywatch")), "its MAC"),
            (seal().open(Topic::Events, &message(&event("cold"), &Key::new(&[1; 32]), "guest")), "role `guest`"),
            (of_other_clock.open(Topic::Events, &mine()), "the clock `wall`"),
            // Of two partitions it belongs into the other one, as a test of partitions says.
            (of_two.open(Topic::Events, &message(&event("abc"), &Key::new(&[1; 32]), "keywatch")), "in partition 0"),
        ];
        for (read, expected) in cases {
            let why = read.unwrap_err().to_string();
            assert!(why.contains(expected), "{why} is not {expected}");
        }
    }
}
