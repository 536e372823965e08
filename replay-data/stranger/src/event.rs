//! One event as its source tells it, and its line: the fields in the order of `docs/events.md`, empty ones left out.

use std::fmt::Display;

use serde_json::{Map, Value};

/// The columns of an event that a source fills, in the order of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Column {
    Actor,
    Session,
    Device,
    Ip,
    Country,
    Asn,
    Wallet,
    Key,
    Request,
    Decision,
    Tx,
    Chain,
    Asset,
    FromAddress,
    ToAddress,
    Amount,
    AmountUsd,
    Outcome,
    Reason,
}

impl Column {
    fn name(self) -> &'static str {
        match self {
            Column::Actor => "actor",
            Column::Session => "session",
            Column::Device => "device",
            Column::Ip => "ip",
            Column::Country => "country",
            Column::Asn => "asn",
            Column::Wallet => "wallet",
            Column::Key => "key",
            Column::Request => "request",
            Column::Decision => "decision",
            Column::Tx => "tx",
            Column::Chain => "chain",
            Column::Asset => "asset",
            Column::FromAddress => "from_address",
            Column::ToAddress => "to_address",
            Column::Amount => "amount",
            Column::AmountUsd => "amount_usd",
            Column::Outcome => "outcome",
            Column::Reason => "reason",
        }
    }
}

/// What a source tells.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// Who tells it.
    pub(crate) source: &'static str,
    kind: &'static str,
    columns: Vec<(Column, String)>,
    detail: Map<String, Value>,
}

impl Event {
    /// Nothing said yet.
    pub(crate) fn new(source: &'static str, kind: &'static str) -> Event {
        Event { source, kind, columns: Vec::new(), detail: Map::new() }
    }

    /// Fills a column; an empty text leaves it empty.
    pub(crate) fn say(mut self, column: Column, text: impl Display) -> Event {
        let text = text.to_string();
        self.columns.retain(|(filled, _)| *filled != column);
        if !text.is_empty() {
            self.columns.push((column, text));
        }
        self
    }

    /// What a column holds.
    pub(crate) fn column(&self, column: Column) -> Option<&str> {
        self.columns.iter().find(|(filled, _)| *filled == column).map(|(_, text)| text.as_str())
    }

    /// Takes something out of the detail.
    pub(crate) fn without(mut self, name: &str) -> Event {
        self.detail.remove(name);
        self
    }

    /// Adds to the detail.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Event {
        self.detail.insert(name.to_owned(), value.into());
        self
    }

    /// What follows `event_time` in the line.
    pub(crate) fn body(mut self) -> String {
        self.columns.sort_by_key(|(column, _)| *column);
        let mut line = format!(r#""source":{},"kind":{}"#, quoted(self.source), quoted(self.kind));
        for (column, text) in &self.columns {
            let value = if *column == Column::Asn { text.clone() } else { quoted(text) };
            line.extend([",\"", column.name(), "\":", &value]);
        }
        if !self.detail.is_empty() {
            line.extend([",\"detail\":", &Value::Object(self.detail).to_string()]);
        }
        line
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// Cents as the line has dollars.
pub(crate) fn dollars(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_in_the_order_of_the_line_and_empty_ones_are_left_out() {
        let event = Event::new("node", "chain.tx").say(Column::Outcome, "success").say(Column::Asn, 64_512);
        let event = event.say(Column::Actor, "a\"b").say(Column::Device, "").with("nonce", 4);
        assert_eq!(
            event.body(),
            r#""source":"node","kind":"chain.tx","actor":"a\"b","asn":64512,"outcome":"success","detail":{"nonce":4}"#
        );
        assert_eq!(dollars(1205), "12.05");
    }
}
