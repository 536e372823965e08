//! `CloudEvents` 1.0 over HTTP, opened: what is in them goes to the feed as if it had come without them.
//!
//! | mode | is recognised by | what the feed gets |
//! |---|---|---|
//! | structured | `application/cloudevents+json` | the event's `data` |
//! | batched | `application/cloudevents-batch+json` | the `data` of each |
//! | binary | a header `ce-specversion` | the body as it is |
//!
//! Every feed takes a record's id and time from the record itself, so the envelope's say nothing there. The feed `events`
//! reads envelopes itself, since they are all that says what happened: it gets them as they came, and one made of the
//! headers in binary mode. Knows no feed.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::{Error as _, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::{Problem, Reject, limits};

/// How a body is wrapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Envelope {
    /// Not at all.
    None,
    /// One event, in JSON.
    Structured,
    /// An array of events.
    Batched,
    /// The attributes stand in headers: their names without `ce-`, and `datacontenttype` from `Content-Type`.
    Binary(Vec<(String, String)>),
}

/// A body for a feed, and what could not be opened.
#[derive(Debug, PartialEq, Eq)]
pub struct Opened<'a> {
    /// What the feed reads.
    pub body: Cow<'a, [u8]>,
    /// Events without data that can be read.
    pub rejects: Vec<Reject>,
}

impl Envelope {
    /// By the essence of `Content-Type` and the headers that begin with `ce-`, in order.
    ///
    /// # Errors
    /// An attribute is there twice, is malformed, or the version is not 1.0.
    pub fn of<'h>(
        content_type: Option<&str>,
        headers: impl Iterator<Item = (&'h str, &'h [u8])>,
    ) -> Result<Envelope, Problem> {
        let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case("application/cloudevents+json") {
            return Ok(Envelope::Structured);
        }
        if essence.eq_ignore_ascii_case("application/cloudevents-batch+json") {
            return Ok(Envelope::Batched);
        }
        let mut attributes: Vec<(String, String)> = Vec::new();
        for (header, value) in headers {
            let Some(name) = header.strip_prefix("ce-") else { continue };
            if attributes.iter().any(|(other, _)| other == name) {
                return Err(Problem::new(header, "is there twice"));
            }
            let value = percent_decoded(value);
            attributes
                .push((name.to_owned(), value.ok_or_else(|| Problem::new(header, "is no percent-encoded text"))?));
        }
        match attributes.iter().find(|(name, _)| name == "specversion").map(|(_, version)| version.as_str()) {
            None => Ok(Envelope::None),
            Some("1.0") => {
                attributes.extend(content_type.map(|sent| ("datacontenttype".to_owned(), sent.to_owned())));
                Ok(Envelope::Binary(attributes))
            }
            Some(_) => Err(Problem::new("ce-specversion", "must be 1.0")),
        }
    }

    /// Opens a body for a feed that reads envelopes itself, or for one that does not.
    ///
    /// # Errors
    /// The body as a whole is no event, or no array of events.
    pub fn open<'a>(&self, body: &'a [u8], feed_reads_envelopes: bool) -> Result<Opened<'a>, Problem> {
        let whole = |body| Opened { body, rejects: Vec::new() };
        match self {
            Envelope::Binary(attributes) if feed_reads_envelopes => sealed(attributes, body).map(Cow::Owned).map(whole),
            Envelope::None | Envelope::Binary(_) => Ok(whole(Cow::Borrowed(body))),
            Envelope::Structured | Envelope::Batched if feed_reads_envelopes => Ok(whole(Cow::Borrowed(body))),
            Envelope::Structured => Ok(contents(&[parse::<&RawValue>(body)?])),
            Envelope::Batched => {
                let Batch(events) = parse(body)?;
                Ok(contents(&events))
            }
        }
    }
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| Problem::new("body", format!("no CloudEvents in JSON: {error}")))
}

/// The events of a batch. It stops at one too many, so that a small body cannot become a large list.
struct Batch<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Batch<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Events;
        impl<'de> Visitor<'de> for Events {
            type Value = Vec<&'de RawValue>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of events")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
                let mut events = Vec::new();
                while let Some(event) = sequence.next_element()? {
                    if events.len() == limits::RECORDS_MAX {
                        let reason = format!("more than {} events; send smaller batches", limits::RECORDS_MAX);
                        return Err(A::Error::custom(reason));
                    }
                    events.push(event);
                }
                Ok(events)
            }
        }
        deserializer.deserialize_seq(Events).map(Batch)
    }
}

/// The parts of an envelope that matter here. A name that is there twice is refused.
#[derive(Deserialize)]
struct Sealed<'a> {
    #[serde(borrow)]
    specversion: Cow<'a, str>,
    #[serde(borrow)]
    datacontenttype: Option<Cow<'a, str>>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    data_base64: Option<Cow<'a, str>>,
}

/// The data of each event, one a line.
fn contents(events: &[&RawValue]) -> Opened<'static> {
    let (mut body, mut rejects) = (Vec::new(), Vec::new());
    for (line, event) in (1..).zip(events) {
        match data(event.get()).and_then(closed) {
            Ok(data) => {
                body.extend_from_slice(&data);
                body.push(b'\n');
            }
            Err(problem) => rejects.push(Reject::new(&problem, Some(line), event.get().as_bytes())),
        }
    }
    Opened { body: Cow::Owned(body), rejects }
}

/// An array that is never closed would take in the events after it.
fn closed(data: Vec<u8>) -> Result<Vec<u8>, Problem> {
    let opens = data.trim_ascii_start().starts_with(b"[");
    if opens && serde_json::from_slice::<IgnoredAny>(&data).is_err() {
        return Err(Problem::new("data", "begins an array and is no JSON"));
    }
    Ok(data)
}

fn data(event: &str) -> Result<Vec<u8>, Problem> {
    let event: Sealed<'_> =
        serde_json::from_str(event).map_err(|error| Problem::new("record", format!("no CloudEvent: {error}")))?;
    if event.specversion != "1.0" {
        return Err(Problem::new("specversion", "must be 1.0"));
    }
    match (event.data, event.data_base64) {
        (Some(_), Some(_)) => Err(Problem::new("data_base64", "stands beside `data`; send one of the two")),
        (None, None) => Err(Problem::new("data", "is missing")),
        (None, Some(encoded)) => {
            let bytes = BASE64.decode(encoded.as_bytes());
            bytes.map_err(|error| Problem::new("data_base64", format!("is not Base64: {error}")))
        }
        // Line feeds stand between the parts of JSON only, never in its text.
        (Some(data), None) if is_json(event.datacontenttype.as_deref()) => {
            Ok(data.get().replace('\n', " ").into_bytes())
        }
        // Data that is no JSON is the text of a JSON string (JSON format §3.1).
        (Some(data), None) => {
            let text: String =
                serde_json::from_str(data.get()).map_err(|_| Problem::new("data", "must be text, as it is no JSON"))?;
            Ok(text.into_bytes())
        }
    }
}

fn is_json(content_type: Option<&str>) -> bool {
    let essence = content_type.unwrap_or("application/json").split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    essence.ends_with("/json") || essence.ends_with("+json")
}

/// The structured form of an event in binary mode.
fn sealed(attributes: &[(String, String)], body: &[u8]) -> Result<Vec<u8>, Problem> {
    let mut event: Map<String, Value> =
        attributes.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
    if event.contains_key("data") || event.contains_key("data_base64") {
        return Err(Problem::new("ce-data", "is no attribute"));
    }
    if !body.trim_ascii().is_empty() {
        // As bytes, so that the feed judges them as they came.
        event.insert("data_base64".to_owned(), Value::from(BASE64.encode(body)));
    }
    Ok(Value::Object(event).to_string().into_bytes())
}

/// The value of a header in binary mode (HTTP binding §3.1.3.2).
fn percent_decoded(value: &[u8]) -> Option<String> {
    let mut decoded = Vec::with_capacity(value.len());
    let mut rest = value;
    while let [byte, after @ ..] = rest {
        rest = after;
        if *byte != b'%' {
            decoded.push(*byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        decoded.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = after;
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(content_type: &str, headers: &[(&str, &str)]) -> Result<Envelope, Problem> {
        Envelope::of(Some(content_type), headers.iter().map(|(name, value)| (*name, value.as_bytes())))
    }

    fn opened(envelope: &Envelope, body: &str) -> (String, Vec<(String, Option<usize>)>) {
        let opened = envelope.open(body.as_bytes(), false).unwrap();
        let rejects = opened.rejects.into_iter().map(|reject| (reject.field, reject.line)).collect();
        (String::from_utf8(opened.body.into_owned()).unwrap(), rejects)
    }

    #[test]
    fn the_mode_is_said_by_the_headers() {
        assert_eq!(of("application/json", &[("x-ce-specversion", "1.0")]), Ok(Envelope::None));
        assert_eq!(of("Application/CloudEvents+JSON; charset=utf-8", &[("ce-id", "1")]), Ok(Envelope::Structured));
        assert_eq!(of("application/cloudevents-batch+json", &[]), Ok(Envelope::Batched));
        let headers = [("ce-specversion", "1.0"), ("host", "k"), ("ce-source", "a%20b%C3%A4")];
        let attributes = [("specversion", "1.0"), ("source", "a bä"), ("datacontenttype", "application/json")];
        let attributes = attributes.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        assert_eq!(of("application/json", &headers), Ok(Envelope::Binary(attributes)));
        for (headers, field) in [
            (vec![("ce-specversion", "0.3")], "ce-specversion"),
            (vec![("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-id", "2")], "ce-id"),
            (vec![("ce-specversion", "1.0"), ("ce-id", "%f")], "ce-id"),
            (vec![("ce-specversion", "1.0"), ("ce-id", "%ff")], "ce-id"),
            (vec![("ce-specversion", "1.0"), ("ce-id", "%zz")], "ce-id"),
        ] {
            assert_eq!(of("application/json", &headers).unwrap_err().field, field, "{headers:?}");
        }
    }

    #[test]
    fn the_data_of_each_event_is_a_line() {
        let event = |rest: &str| format!(r#"{{"specversion":"1.0","id":"1","source":"s","type":"t",{rest}}}"#);
        assert_eq!(
            opened(&Envelope::Structured, &event("\"data\":{\n \"a\": 1.0e3,\n \"b\":\"\\n\"}")),
            ("{  \"a\": 1.0e3,  \"b\":\"\\n\"}\n".to_owned(), Vec::new())
        );
        let batch = [
            event(r#""data":[1,2]"#),
            event(r#""id":"2""#),
            event(r#""data_base64":"eyJhIjoxfQ==""#),
            event(r#""data":"a.b.c","datacontenttype":"application/secevent+jwt""#),
            event(r#""data":{},"datacontenttype":"text/plain""#),
            event(r#""data":1,"data":2"#),
            "7".to_owned(),
            event(r#""data":1"#).replace("1.0", "2.0"),
            event(r#""data":1,"data_base64":"""#),
        ];
        let (body, rejects) = opened(&Envelope::Batched, &format!("[{}]", batch.join(",")));
        assert_eq!(body, "[1,2]\n{\"a\":1}\na.b.c\n");
        let fields = ["data", "data", "record", "record", "specversion", "data_base64"].map(str::to_owned);
        let lines = [2, 5, 6, 7, 8, 9].map(Some);
        assert_eq!(rejects, fields.into_iter().zip(lines).collect::<Vec<_>>());
        // An array that is never closed costs no other.
        let (body, rejects) =
            opened(&Envelope::Batched, &format!("[{},{}]", event(r#""data_base64":"WzEs""#), event(r#""data":[3]"#)));
        assert_eq!((body.as_str(), rejects), ("[3]\n", vec![("data".to_owned(), Some(1))]));
        let many = format!("[{}]", vec!["1"; limits::RECORDS_MAX + 1].join(","));
        let refused = Envelope::Batched.open(many.as_bytes(), false).unwrap_err();
        assert!(refused.to_string().contains("send smaller batches"), "{refused}");
        for body in ["", "{}", "[", "nonsense"] {
            assert!(Envelope::Batched.open(body.as_bytes(), false).is_err(), "{body}");
        }
    }

    #[test]
    fn binary_mode_is_the_body_and_for_events_the_same_as_structured() {
        let Envelope::Binary(attributes) = of(
            "application/json",
            &[
                ("ce-specversion", "1.0"),
                ("ce-id", "e-1"),
                ("ce-source", "idp"),
                ("ce-type", "io.keywatch.session.presented"),
                ("ce-time", "2026-03-02T10:00:00Z"),
            ],
        )
        .unwrap() else {
            panic!("not binary")
        };
        let envelope = Envelope::Binary(attributes);
        assert_eq!(opened(&envelope, "[1]"), ("[1]".to_owned(), Vec::new()));
        let sealed = envelope.open(br#"{"session":"s-1"}"#, true).unwrap().body.into_owned();
        let origin = keywatch_store::event::Origin { system: "cold".into(), source: "idp".into() };
        let context = crate::Context { origin: &origin, inventory: None };
        let reading = crate::feeds::find("events").unwrap().read(&context, &sealed);
        assert_eq!(reading.rejects, []);
        let event = &reading.events[0];
        assert_eq!((event.kind(), event.session()), ("session.presented", Some("s-1")));
        assert_eq!(event.event_time().to_string(), "2026-03-02T10:00:00Z");
        let forged = Envelope::Binary(vec![("data".into(), "{}".into())]);
        assert!(forged.open(b"{}", true).is_err());
    }
}
