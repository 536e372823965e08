//! The reader of plain lines: the fields that an event has, each at most once and with a value of its type, texts
//! without escapes, spaces at most between them. It reads what [`super::ordered`] leaves: lines in another order or with
//! spaces.
//!
//! It refuses nothing: where anything is otherwise it gives no event, and [`super::general`] reads the line, or says
//! what is wrong with it. What it does give is what the general reader would have given.

use super::dollars::parse_usd;
use super::scan;
use super::signs::Signs;
use crate::event::{Detail, Event, EventId};
use crate::{Amount, Instant};

/// The event of a plain line. `other_detail` reads a detail that is not canonical and says how long its text is.
pub(super) fn read(text: &str, other_detail: impl Fn(&str) -> Option<(Detail, usize)>) -> Option<Event> {
    let mut line = Plain { text, at: 0, signs: Signs::of(text.as_bytes()) };
    let mut fields = Fields::default();
    let mut event = Event::blank();
    line.expect(b'{')?;
    loop {
        let key = line.quoted()?;
        line.expect(b':')?;
        line.field(key, &mut event, &mut fields, &other_detail)?;
        if line.expect(b',').is_none() {
            break;
        }
    }
    line.expect(b'}')?;
    (line.at == text.len()).then_some(())?;
    fields.complete(&mut event)?;
    Some(event)
}

/// The fields that have a value in an event that has none yet.
#[derive(Default)]
struct Fields {
    event_id: Option<EventId>,
    time: Option<Instant>,
    event_time: Option<Instant>,
    late: Option<bool>,
    detail: Option<Detail>,
}

impl Fields {
    fn complete(self, event: &mut Event) -> Option<()> {
        if event.system.is_empty() || event.source.is_empty() || event.kind.is_empty() {
            return None;
        }
        event.event_id = self.event_id?;
        event.event_time = self.event_time?;
        event.time = self.time.unwrap_or_default();
        event.late = self.late.unwrap_or_default();
        event.detail = self.detail.unwrap_or_default();
        Some(())
    }
}

/// Gives a field its value; `None` when it has one.
fn put<T>(field: &mut Option<T>, value: T) -> Option<()> {
    field.is_none().then(|| *field = Some(value))
}

struct Plain<'a> {
    text: &'a str,
    at: usize,
    signs: Signs<'a>,
}

impl<'a> Plain<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn takes(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    /// Takes `byte`, and the spaces before it if there are any.
    fn expect(&mut self, byte: u8) -> Option<()> {
        if self.takes(byte) {
            return Some(());
        }
        self.blanks();
        self.takes(byte).then_some(())
    }

    fn blanks(&mut self) {
        while self.takes(b' ') {}
    }

    #[inline]
    fn quoted(&mut self) -> Option<&'a str> {
        self.expect(b'"')?;
        let end = self.signs.end_of_text(self.at)?;
        let text = &self.text[self.at..end];
        self.at = end + 1;
        Some(text)
    }

    fn field(
        &mut self,
        key: &str,
        event: &mut Event,
        fields: &mut Fields,
        other_detail: impl Fn(&str) -> Option<(Detail, usize)>,
    ) -> Option<()> {
        match key {
            "event_id" => put(&mut fields.event_id, self.quoted()?.parse().ok()?),
            "system" => self.name(&mut event.system),
            "time" => put(&mut fields.time, self.quoted()?.parse().ok()?),
            "event_time" => put(&mut fields.event_time, self.quoted()?.parse().ok()?),
            "source" => self.name(&mut event.source),
            "kind" => self.name(&mut event.kind),
            "late" => put(&mut fields.late, self.boolean()?),
            "actor" => self.column(&mut event.actor),
            "session" => self.column(&mut event.session),
            "device" => self.column(&mut event.device),
            "ip" => self.column(&mut event.ip),
            "country" => self.column(&mut event.country),
            "asn" => put(&mut event.asn, self.integer()?),
            "wallet" => self.column(&mut event.wallet),
            "key" => self.column(&mut event.key),
            "request" => self.column(&mut event.request),
            "decision" => self.column(&mut event.decision),
            "tx" => self.column(&mut event.tx),
            "chain" => self.column(&mut event.chain),
            "asset" => self.column(&mut event.asset),
            "from_address" => self.column(&mut event.from_address),
            "to_address" => self.column(&mut event.to_address),
            "amount" => put(&mut event.amount, Amount::from_digits(self.quoted()?).ok()?),
            "amount_usd" => put(&mut event.amount_usd_cents, parse_usd(self.quoted()?).ok()?),
            "outcome" => self.column(&mut event.outcome),
            "reason" => self.column(&mut event.reason),
            "detail" => put(&mut fields.detail, self.detail(other_detail)?),
            _ => None,
        }
    }

    /// A text that every event has. An empty one is refused, which is not done here.
    fn name(&mut self, field: &mut String) -> Option<()> {
        let text = self.quoted()?;
        (field.is_empty() && !text.is_empty()).then(|| *field = text.to_owned())
    }

    fn column(&mut self, field: &mut Option<String>) -> Option<()> {
        let text = self.quoted()?;
        put(field, text.to_owned())
    }

    fn boolean(&mut self) -> Option<bool> {
        self.blanks();
        let rest = &self.text[self.at..];
        let value = rest.starts_with("true");
        (value || rest.starts_with("false")).then(|| self.at += if value { 4 } else { 5 })?;
        Some(value)
    }

    fn integer(&mut self) -> Option<i64> {
        self.blanks();
        let (value, length) = scan::integer(&self.text.as_bytes()[self.at..])?;
        self.at += length;
        Some(value)
    }

    fn detail(&mut self, other: impl Fn(&str) -> Option<(Detail, usize)>) -> Option<Detail> {
        self.blanks();
        if let Some(end) = scan::canonical_object(self.text.as_bytes(), self.at, &mut self.signs) {
            let text = &self.text[self.at..end];
            self.at = end;
            return Some(Detail::from_canonical(text));
        }
        let (detail, length) = other(&self.text[self.at..])?;
        self.at += length;
        Some(detail)
    }
}
