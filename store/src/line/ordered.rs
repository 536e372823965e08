//! The reader of lines as [`super::written`] writes them: it asks for field after field in that order, so that a name is
//! compared where it would stand and never looked for.
//!
//! It refuses nothing: where anything is otherwise it gives no event, and [`super::plain`] or [`super::general`] reads the
//! line. What it does give is what they would have given.

use super::dollars::parse_usd;
use super::scan;
use super::signs::Signs;
use crate::Amount;
use crate::event::{Detail, Event};

/// Fills in `event`, which is blank, from a line in the order of the schema; what was filled in of any other line means
/// nothing. An event is 600 bytes, which is why it stays where it is.
pub(super) fn read(text: &str, event: &mut Event) -> Option<()> {
    let mut line = Ordered { text, at: 0, signs: Signs::of(text.as_bytes()) };
    event.event_id = line.after(r#"{"event_id":""#)?.parse().ok()?;
    event.system = line.after(begins!("system"))?.to_owned();
    if line.takes(begins!("time")) {
        event.time = line.quoted()?.parse().ok()?;
    }
    event.event_time = line.after(begins!("event_time"))?.parse().ok()?;
    event.source = line.after(begins!("source"))?.to_owned();
    event.kind = line.after(begins!("kind"))?.to_owned();
    event.late = line.takes(r#","late":true"#);
    line.columns(event)?;
    if line.takes(r#","detail":"#) {
        event.detail = line.detail()?;
    }
    (line.takes("}") && line.at == text.len()).then_some(())
}

struct Ordered<'a> {
    text: &'a str,
    at: usize,
    signs: Signs<'a>,
}

impl<'a> Ordered<'a> {
    fn columns(&mut self, event: &mut Event) -> Option<()> {
        self.column(begins!("actor"), &mut event.actor)?;
        self.column(begins!("session"), &mut event.session)?;
        self.column(begins!("device"), &mut event.device)?;
        self.column(begins!("ip"), &mut event.ip)?;
        self.column(begins!("country"), &mut event.country)?;
        if self.takes(r#","asn":"#) {
            event.asn = Some(self.integer()?);
        }
        self.column(begins!("wallet"), &mut event.wallet)?;
        self.column(begins!("key"), &mut event.key)?;
        self.column(begins!("request"), &mut event.request)?;
        self.column(begins!("decision"), &mut event.decision)?;
        self.column(begins!("tx"), &mut event.tx)?;
        self.column(begins!("chain"), &mut event.chain)?;
        self.column(begins!("asset"), &mut event.asset)?;
        self.column(begins!("from_address"), &mut event.from_address)?;
        self.column(begins!("to_address"), &mut event.to_address)?;
        if self.takes(begins!("amount")) {
            event.amount = Some(Amount::from_digits(self.quoted()?).ok()?);
        }
        if self.takes(begins!("amount_usd")) {
            event.amount_usd_cents = Some(parse_usd(self.quoted()?).ok()?);
        }
        self.column(begins!("outcome"), &mut event.outcome)?;
        self.column(begins!("reason"), &mut event.reason)
    }

    #[inline]
    fn column(&mut self, begins: &str, field: &mut Option<String>) -> Option<()> {
        if self.takes(begins) {
            *field = Some(self.quoted()?.to_owned());
        }
        Some(())
    }

    #[inline]
    fn after(&mut self, begins: &str) -> Option<&'a str> {
        if self.takes(begins) { self.quoted() } else { None }
    }

    #[inline]
    fn takes(&mut self, literal: &str) -> bool {
        let there = self.text.as_bytes()[self.at..].starts_with(literal.as_bytes());
        if there {
            self.at += literal.len();
        }
        there
    }

    /// The text that begins here.
    #[inline]
    fn quoted(&mut self) -> Option<&'a str> {
        let end = self.signs.end_of_text(self.at)?;
        let text = &self.text[self.at..end];
        self.at = end + 1;
        Some(text)
    }

    fn integer(&mut self) -> Option<i64> {
        let (value, length) = scan::integer(&self.text.as_bytes()[self.at..])?;
        self.at += length;
        Some(value)
    }

    fn detail(&mut self) -> Option<Detail> {
        let end = scan::canonical_object(self.text.as_bytes(), self.at, &mut self.signs)?;
        let text = &self.text[self.at..end];
        self.at = end;
        Some(Detail::from_canonical(text))
    }
}
