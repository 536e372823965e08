//! The reader of lines as [`super::written`] writes them: it asks for field after field in that order, so that a name is
//! compared where it would stand and never looked for. No text is copied: it tells where each lies.
//!
//! It refuses nothing: where anything is otherwise it gives no event, and [`super::plain`] or [`super::general`] reads the
//! line. What it does give is what they would have given.

use super::dollars::parse_usd;
use super::scan;
use super::signs::Signs;
use crate::Amount;
use crate::event::{Columns, Span, TextColumn};

/// Fills in `columns`, which are blank, from a line in the order of the schema that stands at `base` of its buffer; what
/// was filled in of any other line means nothing.
pub(super) fn read(text: &str, base: usize, columns: &mut Columns) -> Option<()> {
    let mut line = Ordered { text, base, at: 0, signs: Signs::of(text.as_bytes()) };
    columns.event_id = line.after(bytes!(r#"{"event_id":""#))?.parse().ok()?;
    line.required(bytes!(begins!("system")), TextColumn::System, columns)?;
    if line.takes(bytes!(begins!("time"))) {
        columns.time = line.quoted()?.parse().ok()?;
    }
    columns.event_time = line.after(bytes!(begins!("event_time")))?.parse().ok()?;
    line.required(bytes!(begins!("source")), TextColumn::Source, columns)?;
    line.required(bytes!(begins!("kind")), TextColumn::Kind, columns)?;
    columns.late = line.takes(bytes!(r#","late":true"#));
    line.columns(columns)?;
    if line.takes(bytes!(r#","detail":"#)) {
        columns.spans.detail = line.detail()?;
    }
    (line.takes(bytes!("}")) && line.at == text.len()).then_some(())
}

struct Ordered<'a> {
    text: &'a str,
    base: usize,
    at: usize,
    signs: Signs<'a>,
}

impl<'a> Ordered<'a> {
    fn columns(&mut self, columns: &mut Columns) -> Option<()> {
        self.column(bytes!(begins!("actor")), TextColumn::Actor, columns)?;
        self.column(bytes!(begins!("session")), TextColumn::Session, columns)?;
        self.column(bytes!(begins!("device")), TextColumn::Device, columns)?;
        self.column(bytes!(begins!("ip")), TextColumn::Ip, columns)?;
        self.column(bytes!(begins!("country")), TextColumn::Country, columns)?;
        if self.takes(bytes!(r#","asn":"#)) {
            columns.asn = Some(self.integer()?);
        }
        self.column(bytes!(begins!("wallet")), TextColumn::Wallet, columns)?;
        self.column(bytes!(begins!("key")), TextColumn::Key, columns)?;
        self.column(bytes!(begins!("request")), TextColumn::Request, columns)?;
        self.column(bytes!(begins!("decision")), TextColumn::Decision, columns)?;
        self.column(bytes!(begins!("tx")), TextColumn::Tx, columns)?;
        self.column(bytes!(begins!("chain")), TextColumn::Chain, columns)?;
        self.column(bytes!(begins!("asset")), TextColumn::Asset, columns)?;
        self.column(bytes!(begins!("from_address")), TextColumn::FromAddress, columns)?;
        self.column(bytes!(begins!("to_address")), TextColumn::ToAddress, columns)?;
        if self.takes(bytes!(begins!("amount"))) {
            columns.amount = Some(Amount::from_digits(self.quoted()?).ok()?);
        }
        if self.takes(bytes!(begins!("amount_usd"))) {
            columns.amount_usd_cents = Some(parse_usd(self.quoted()?).ok()?);
        }
        self.column(bytes!(begins!("outcome")), TextColumn::Outcome, columns)?;
        self.column(bytes!(begins!("reason")), TextColumn::Reason, columns)
    }

    #[inline]
    fn required<const N: usize>(&mut self, begins: &[u8; N], column: TextColumn, columns: &mut Columns) -> Option<()> {
        let text = self.after(begins)?;
        columns.spans.set(column, self.span_before_quote(text));
        Some(())
    }

    #[inline]
    fn column<const N: usize>(&mut self, begins: &[u8; N], column: TextColumn, columns: &mut Columns) -> Option<()> {
        if self.takes(begins) {
            let text = self.quoted()?;
            columns.spans.set(column, self.span_before_quote(text));
        }
        Some(())
    }

    /// Where the text lies whose closing quote was taken last.
    #[inline]
    fn span_before_quote(&self, text: &str) -> Span {
        Span::new(self.base + self.at - 1 - text.len(), text.len())
    }

    #[inline]
    fn after<const N: usize>(&mut self, begins: &[u8; N]) -> Option<&'a str> {
        if self.takes(begins) { self.quoted() } else { None }
    }

    #[inline]
    fn takes<const N: usize>(&mut self, literal: &[u8; N]) -> bool {
        let there = self.text.as_bytes()[self.at..].first_chunk() == Some(literal);
        if there {
            self.at += N;
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

    fn detail(&mut self) -> Option<Span> {
        let end = scan::canonical_object(self.text.as_bytes(), self.at, &mut self.signs)?;
        let empty = end - self.at == "{}".len();
        let span = if empty { Span::NONE } else { Span::new(self.base + self.at, end - self.at) };
        self.at = end;
        Some(span)
    }
}
