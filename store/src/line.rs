//! The event line: one event as one line of JSON. The log stores these bytes, files hold them, `keywatch import` prints
//! them; so a file is just another reader.
//!
//! Fields stand in the order of the schema, empty ones are left out, `detail` is canonical JSON. Amounts are decimal
//! strings, times RFC 3339. Unknown fields, unknown kinds and values that do not fit are refused with the field's name.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::event::{Detail, Event, EventId};
use crate::{Amount, Error, Instant, kinds, limits};

#[derive(Deserialize)]
#[cfg_attr(test, derive(Serialize))]
#[serde(deny_unknown_fields)]
struct Wire<'a> {
    event_id: EventId,
    #[serde(borrow)]
    system: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "is_unassigned")]
    time: Instant,
    event_time: Instant,
    #[serde(borrow)]
    source: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    late: bool,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    actor: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    session: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    device: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    ip: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    country: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asn: Option<i64>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    wallet: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    key: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    request: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    decision: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    tx: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    chain: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    asset: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    from_address: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    to_address: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    amount: Option<Amount>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    amount_usd: Option<UsdText>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    outcome: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    reason: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    detail: Option<&'a RawValue>,
}

#[cfg(test)]
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_unassigned(time: &Instant) -> bool {
    *time == Instant::UNASSIGNED
}

/// US dollars as text with exactly two decimals in the line, cents in memory.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct UsdText(i64);

impl From<UsdText> for String {
    fn from(usd: UsdText) -> String {
        format_usd(usd.0)
    }
}

impl TryFrom<String> for UsdText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        parse_usd(&text).map(UsdText)
    }
}

/// Cents as dollars with two decimals: `-12.05`.
#[must_use]
pub fn format_usd(cents: i64) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    let magnitude = cents.unsigned_abs();
    format!("{sign}{}.{:02}", magnitude / 100, magnitude % 100)
}

/// Dollars with at most two decimals, as cents.
///
/// # Errors
/// A text that is not a decimal number, has more than two decimals, or does not fit 64 bits of cents.
pub fn parse_usd(text: &str) -> Result<i64, String> {
    let refuse = || format!("`{text}` is not an amount of US dollars with at most two decimals");
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let negative = whole.starts_with('-');
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(digits) || !plain(fraction) || fraction.len() > 2 {
        return Err(refuse());
    }
    let cents_of_fraction: i64 = format!("{fraction:0<2}").parse().map_err(|_| refuse())?;
    let cents = digits.parse::<i64>().ok().and_then(|dollars| dollars.checked_mul(100)?.checked_add(cents_of_fraction));
    let cents = cents.ok_or_else(refuse)?;
    Ok(if negative { -cents } else { cents })
}

/// Writes one event as one line, without the line feed.
#[must_use]
pub fn write(event: &Event) -> String {
    let template = Template::of(event);
    let mut line = String::with_capacity(template.text.len() + 64);
    template.fill(event.time, event.late, &mut line);
    line
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
        let mut text = String::with_capacity(512);
        let _ = write!(text, r#"{{"event_id":"{}""#, event.event_id);
        push_text(&mut text, "system", &event.system);
        let time_at = text.len();
        let _ = write!(text, r#","event_time":"{}""#, event.event_time);
        push_text(&mut text, "source", &event.source);
        push_text(&mut text, "kind", &event.kind);
        let late_at = text.len();
        push_columns(&mut text, event);
        if !event.detail.is_empty() {
            text.push_str(r#","detail":"#);
            text.push_str(event.detail.as_str());
        }
        text.push('}');
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
            let _ = write!(out, r#","time":"{time}""#);
        }
        out.push_str(&self.text[self.time_at..self.late_at]);
        if late {
            out.push_str(r#","late":true"#);
        }
        out.push_str(&self.text[self.late_at..]);
    }
}

fn push_columns(out: &mut String, event: &Event) {
    push_optional(out, "actor", event.actor.as_deref());
    push_optional(out, "session", event.session.as_deref());
    push_optional(out, "device", event.device.as_deref());
    push_optional(out, "ip", event.ip.as_deref());
    push_optional(out, "country", event.country.as_deref());
    if let Some(asn) = event.asn {
        let _ = write!(out, r#","asn":{asn}"#);
    }
    push_optional(out, "wallet", event.wallet.as_deref());
    push_optional(out, "key", event.key.as_deref());
    push_optional(out, "request", event.request.as_deref());
    push_optional(out, "decision", event.decision.as_deref());
    push_optional(out, "tx", event.tx.as_deref());
    push_optional(out, "chain", event.chain.as_deref());
    push_optional(out, "asset", event.asset.as_deref());
    push_optional(out, "from_address", event.from_address.as_deref());
    push_optional(out, "to_address", event.to_address.as_deref());
    if let Some(amount) = &event.amount {
        let _ = write!(out, r#","amount":"{amount}""#);
    }
    if let Some(cents) = event.amount_usd_cents {
        let _ = write!(out, r#","amount_usd":"{}""#, format_usd(cents));
    }
    push_optional(out, "outcome", event.outcome.as_deref());
    push_optional(out, "reason", event.reason.as_deref());
}

fn push_optional(out: &mut String, field: &str, value: Option<&str>) {
    if let Some(value) = value {
        push_text(out, field, value);
    }
}

/// Most values need no escape, so they are copied; the others go through the JSON writer.
fn push_text(out: &mut String, field: &str, value: &str) {
    out.push_str(",\"");
    out.push_str(field);
    out.push_str("\":");
    if value.bytes().any(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        out.push_str(&serde_json::to_string(value).expect("a text is always JSON"));
    } else {
        out.push('"');
        out.push_str(value);
        out.push('"');
    }
}

/// Reads one line.
///
/// # Errors
/// [`Error::Line`] naming the field: malformed JSON, a wrong type, an unknown field, an unknown kind, a value that does
/// not fit, a line above [`limits::LINE_BYTES_MAX`].
pub fn read(line: &[u8]) -> Result<Event, Error> {
    if line.len() > limits::LINE_BYTES_MAX {
        let problem = format!("{} bytes, at most {} are accepted", line.len(), limits::LINE_BYTES_MAX);
        return Err(Error::line("line", problem));
    }
    let text = std::str::from_utf8(line).map_err(|error| Error::line("line", format!("invalid UTF-8: {error}")))?;
    let wire: Wire<'_> = serde_json::from_str(text).map_err(|error| explain(text, &error))?;
    let detail = canonical_detail(wire.detail)?;
    let event = unwire(wire, detail);
    check(&event)?;
    Ok(event)
}

/// Reads a line that [`write`] wrote and whose bytes a hash and a MAC have vouched for: what was checked then, the kind
/// and the form of the detail among it, is not checked again.
pub(crate) fn read_kept(line: &[u8]) -> Result<Event, Error> {
    let text = std::str::from_utf8(line).map_err(|error| Error::line("line", format!("invalid UTF-8: {error}")))?;
    let wire: Wire<'_> = serde_json::from_str(text).map_err(|error| explain(text, &error))?;
    let detail = wire.detail.map_or_else(Detail::default, |raw| Detail::from_canonical(raw.get()));
    Ok(unwire(wire, detail))
}

/// Parses once more, slowly, to learn which field is at fault.
fn explain(text: &str, error: &serde_json::Error) -> Error {
    let deserializer = &mut serde_json::Deserializer::from_str(text);
    match serde_path_to_error::deserialize::<_, Wire<'_>>(deserializer) {
        Err(traced) if traced.path().to_string() != "." && !traced.inner().is_eof() => {
            Error::line(traced.path().to_string(), traced.inner().to_string())
        }
        _ => Error::line("line", error.to_string()),
    }
}

fn canonical_detail(raw: Option<&RawValue>) -> Result<Detail, Error> {
    let Some(raw) = raw else { return Ok(Detail::default()) };
    let value: serde_json::Value =
        serde_json::from_str(raw.get()).map_err(|error| Error::line("detail", error.to_string()))?;
    if !value.is_object() {
        return Err(Error::line("detail", "must be a JSON object"));
    }
    Ok(Detail::from(&value))
}

fn unwire(wire: Wire<'_>, detail: Detail) -> Event {
    let text = |value: Option<Cow<'_, str>>| value.map(Cow::into_owned);
    Event {
        event_id: wire.event_id,
        system: wire.system.into_owned(),
        time: wire.time,
        event_time: wire.event_time,
        source: wire.source.into_owned(),
        kind: wire.kind.into_owned(),
        late: wire.late,
        actor: text(wire.actor),
        session: text(wire.session),
        device: text(wire.device),
        ip: text(wire.ip),
        country: text(wire.country),
        asn: wire.asn,
        wallet: text(wire.wallet),
        key: text(wire.key),
        request: text(wire.request),
        decision: text(wire.decision),
        tx: text(wire.tx),
        chain: text(wire.chain),
        asset: text(wire.asset),
        from_address: text(wire.from_address),
        to_address: text(wire.to_address),
        amount: wire.amount,
        amount_usd_cents: wire.amount_usd.map(|usd| usd.0),
        outcome: text(wire.outcome),
        reason: text(wire.reason),
        detail,
    }
}

/// What holds for every event, wherever it comes from: a known kind, names present, texts within their limit.
///
/// # Errors
/// [`Error::Line`] naming the field.
pub fn check(event: &Event) -> Result<(), Error> {
    if kinds::find(&event.kind).is_none() {
        return Err(Error::line("kind", format!("unknown kind `{}`; docs/events.md lists them", event.kind)));
    }
    for (field, value) in [("system", &event.system), ("source", &event.source)] {
        if value.is_empty() {
            return Err(Error::line(field, "must not be empty"));
        }
    }
    let texts = [
        ("system", Some(&event.system)),
        ("source", Some(&event.source)),
        ("actor", event.actor.as_ref()),
        ("session", event.session.as_ref()),
        ("device", event.device.as_ref()),
        ("ip", event.ip.as_ref()),
        ("country", event.country.as_ref()),
        ("wallet", event.wallet.as_ref()),
        ("key", event.key.as_ref()),
        ("request", event.request.as_ref()),
        ("decision", event.decision.as_ref()),
        ("tx", event.tx.as_ref()),
        ("chain", event.chain.as_ref()),
        ("asset", event.asset.as_ref()),
        ("from_address", event.from_address.as_ref()),
        ("to_address", event.to_address.as_ref()),
        ("outcome", event.outcome.as_ref()),
        ("reason", event.reason.as_ref()),
    ];
    for (field, value) in texts {
        let length = value.map_or(0, String::len);
        if length > limits::TEXT_BYTES_MAX {
            return Err(Error::line(field, format!("{length} bytes, at most {}", limits::TEXT_BYTES_MAX)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
