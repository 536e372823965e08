//! The reader of plain lines: the fields that an event has, each at most once and with a value of its type, texts
//! without escapes, spaces at most between them. It reads what [`super::ordered`] leaves: lines in another order or with
//! spaces.
//!
//! It refuses nothing: where anything is otherwise it gives no event, and [`super::general`] reads the line, or says
//! what is wrong with it. What it does give is what the general reader would have given.

use super::dollars::parse_usd;
use super::scan;
use super::signs::Signs;
use crate::event::{Builder, CanonicalJson, Event, EventId, TextColumn};
use crate::{Amount, Instant};

/// The event of a plain line. `other_detail` reads a detail that is not canonical and says how long its text is.
pub(super) fn read(text: &str, other_detail: impl Fn(&str) -> Option<(CanonicalJson, usize)>) -> Option<Event> {
    let mut line = Plain { text, at: 0, signs: Signs::of(text.as_bytes()) };
    let mut fields = Fields::default();
    let mut event = Builder::blank();
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
    Some(event.take_event())
}

/// The fields that are no text.
#[derive(Default)]
struct Fields {
    event_id: Option<EventId>,
    time: Option<Instant>,
    event_time: Option<Instant>,
    late: Option<bool>,
    asn: Option<i64>,
    amount: Option<Amount>,
    amount_usd_cents: Option<i64>,
    has_detail: bool,
}

impl Fields {
    fn complete(self, event: &mut Builder) -> Option<()> {
        for column in [TextColumn::System, TextColumn::Source, TextColumn::Kind] {
            // An empty one is refused, which is not done here.
            event.get(column).filter(|text| !text.is_empty())?;
        }
        event.event_id(self.event_id?).event_time(self.event_time?);
        event.time(self.time.unwrap_or_default()).late(self.late.unwrap_or_default());
        event.asn(self.asn).amount(self.amount).amount_usd_cents(self.amount_usd_cents);
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
        event: &mut Builder,
        fields: &mut Fields,
        other_detail: impl Fn(&str) -> Option<(CanonicalJson, usize)>,
    ) -> Option<()> {
        match key {
            "event_id" => put(&mut fields.event_id, self.quoted()?.parse().ok()?),
            "time" => put(&mut fields.time, self.quoted()?.parse().ok()?),
            "event_time" => put(&mut fields.event_time, self.quoted()?.parse().ok()?),
            "late" => put(&mut fields.late, self.boolean()?),
            "asn" => put(&mut fields.asn, self.integer()?),
            "amount" => put(&mut fields.amount, Amount::from_digits(self.quoted()?).ok()?),
            "amount_usd" => put(&mut fields.amount_usd_cents, parse_usd(self.quoted()?).ok()?),
            "detail" => {
                (!std::mem::replace(&mut fields.has_detail, true)).then_some(())?;
                self.detail(event, other_detail)
            }
            name => {
                let column = TextColumn::ALL.into_iter().find(|column| column.name() == name)?;
                event.get(column).is_none().then_some(())?;
                event.text(column, self.quoted()?);
                Some(())
            }
        }
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

    fn detail(&mut self, event: &mut Builder, other: impl Fn(&str) -> Option<(CanonicalJson, usize)>) -> Option<()> {
        self.blanks();
        if let Some(end) = scan::canonical_object(self.text.as_bytes(), self.at, &mut self.signs) {
            event.put_detail(&self.text[self.at..end]);
            self.at = end;
            return Some(());
        }
        let (detail, length) = other(&self.text[self.at..])?;
        event.put_detail(detail.as_str());
        self.at += length;
        Some(())
    }
}
