//! The one form in which keywatch writes an event.

use std::fmt::{self, Write as _};

use super::dollars::format_usd;
use crate::Instant;
use crate::event::{Event, needs_no_escape};
use crate::time::TIME_BYTES_MAX;

/// Room for the columns of nearly every event.
const COLUMNS_BYTES: usize = 512;

/// Writes one event as one line, without the line feed.
#[must_use]
pub fn write(event: &Event) -> String {
    let template = Template::of(event);
    let mut line = String::with_capacity(template.text.len() + 64);
    template.fill(event.time(), event.late(), &mut line);
    line
}

/// An event is shown as its line.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Event").field(&write(self)).finish()
    }
}

/// A line but for log time and lateness, the two fields that a log gives. It is written once, hashed for the
/// fingerprint, and completed when the log has admitted the event.
#[derive(Debug)]
pub(crate) struct Template {
    text: String,
    time_at: usize,
    late_at: usize,
}

impl Template {
    /// The line of `event` without its log time and lateness.
    pub(crate) fn of(event: &Event) -> Template {
        let mut text = String::with_capacity(COLUMNS_BYTES + event.detail().as_str().len());
        let (time_at, late_at) = push_said(&mut text, event);
        Template { text, time_at, late_at }
    }

    /// The line without log time and lateness.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Appends the whole line to `out`, without the line feed.
    pub(crate) fn fill(&self, time: Instant, late: bool, out: &mut String) {
        out.push_str(&self.text[..self.time_at]);
        if time != Instant::UNASSIGNED {
            push_time(out, begins!("time"), time);
        }
        out.push_str(&self.text[self.time_at..self.late_at]);
        if late {
            out.push_str(r#","late":true"#);
        }
        out.push_str(&self.text[self.late_at..]);
    }
}

/// Appends the line of `event` without its log time and lateness, and tells where in `out` these two belong.
pub(crate) fn push_said(out: &mut String, event: &Event) -> (usize, usize) {
    out.push_str(r#"{"event_id":""#);
    out.push_str(event.event_id().write_digits(&mut [0; 32]));
    out.push('"');
    push_text(out, begins!("system"), event.system());
    let time_at = out.len();
    push_time(out, begins!("event_time"), event.event_time());
    push_text(out, begins!("source"), event.source());
    push_text(out, begins!("kind"), event.kind());
    let late_at = out.len();
    push_columns(out, event);
    if !event.detail().is_empty() {
        out.push_str(r#","detail":"#);
        out.push_str(event.detail().as_str());
    }
    out.push('}');
    (time_at, late_at)
}

fn push_columns(out: &mut String, event: &Event) {
    push_optional(out, begins!("actor"), event.actor());
    push_optional(out, begins!("session"), event.session());
    push_optional(out, begins!("device"), event.device());
    push_optional(out, begins!("ip"), event.ip());
    push_optional(out, begins!("country"), event.country());
    if let Some(asn) = event.asn() {
        let _ = write!(out, r#","asn":{asn}"#);
    }
    push_optional(out, begins!("wallet"), event.wallet());
    push_optional(out, begins!("key"), event.key());
    push_optional(out, begins!("request"), event.request());
    push_optional(out, begins!("decision"), event.decision());
    push_optional(out, begins!("tx"), event.tx());
    push_optional(out, begins!("chain"), event.chain());
    push_optional(out, begins!("asset"), event.asset());
    push_optional(out, begins!("from_address"), event.from_address());
    push_optional(out, begins!("to_address"), event.to_address());
    if let Some(amount) = event.amount() {
        let _ = write!(out, r#","amount":"{amount}""#);
    }
    if let Some(cents) = event.amount_usd_cents() {
        let _ = write!(out, r#","amount_usd":"{}""#, format_usd(cents));
    }
    push_optional(out, begins!("outcome"), event.outcome());
    push_optional(out, begins!("reason"), event.reason());
}

fn push_optional(out: &mut String, begins: &str, value: Option<&str>) {
    if let Some(value) = value {
        push_text(out, begins, value);
    }
}

fn push_time(out: &mut String, begins: &str, time: Instant) {
    out.push_str(begins);
    out.push_str(time.write_text(&mut [0; TIME_BYTES_MAX]));
    out.push('"');
}

/// Most values need no escape, so they are copied; the others go through the JSON writer.
fn push_text(out: &mut String, begins: &str, value: &str) {
    out.push_str(begins);
    if needs_no_escape(value) {
        out.push_str(value);
        out.push('"');
    } else {
        out.pop();
        out.push_str(&serde_json::to_string(value).expect("a text is always JSON"));
    }
}
