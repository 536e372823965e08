//! The general reader: any JSON object that says an event, in whatever order and form. What it accepts is what a line
//! is, and its words are the ones of a reject; [`super::ordered`] and [`super::plain`] only spare most lines the way
//! through here.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::dollars::{format_usd, parse_usd};
use crate::event::{Builder, CanonicalJson, Event, EventId};
use crate::{Amount, Error, Instant};

/// Reads a line whose detail may have any form.
pub(super) fn read(text: &str) -> Result<Event, Error> {
    let wire = wire(text)?;
    let detail = canonical_detail(wire.detail)?;
    Ok(unwire(&wire, detail.as_ref().map(CanonicalJson::as_str)))
}

/// Reads a line whose detail is canonical already.
pub(super) fn read_kept(text: &str) -> Result<Event, Error> {
    let wire = wire(text)?;
    Ok(unwire(&wire, wire.detail.map(RawValue::get)))
}

fn wire(text: &str) -> Result<Wire<'_>, Error> {
    serde_json::from_str(text).map_err(|error| explain(text, &error))
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(Serialize))]
#[serde(deny_unknown_fields)]
pub(super) struct Wire<'a> {
    pub(super) event_id: EventId,
    #[serde(borrow)]
    pub(super) system: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "is_unassigned")]
    pub(super) time: Instant,
    pub(super) event_time: Instant,
    #[serde(borrow)]
    pub(super) source: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) kind: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) late: bool,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) actor: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) session: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) device: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) ip: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) country: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) asn: Option<i64>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) wallet: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) request: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) decision: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) tx: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) chain: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) asset: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) from_address: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) to_address: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) amount: Option<Amount>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) amount_usd: Option<UsdText>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) outcome: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) detail: Option<&'a RawValue>,
}

#[cfg(test)]
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_unassigned(time: &Instant) -> bool {
    *time == Instant::UNASSIGNED
}

/// US dollars as text with exactly two decimals in the line, cents in memory.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct UsdText(pub(super) i64);

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

fn canonical_detail(raw: Option<&RawValue>) -> Result<Option<CanonicalJson>, Error> {
    let Some(raw) = raw else { return Ok(None) };
    let value: serde_json::Value =
        serde_json::from_str(raw.get()).map_err(|error| Error::line("detail", error.to_string()))?;
    if !value.is_object() {
        return Err(Error::line("detail", "must be a JSON object"));
    }
    Ok(Some(CanonicalJson::from(&value)))
}

fn unwire(wire: &Wire<'_>, detail: Option<&str>) -> Event {
    let mut event = Builder::blank();
    event.event_id(wire.event_id).time(wire.time).event_time(wire.event_time).late(wire.late);
    event.system(&wire.system).source(&wire.source).kind(&wire.kind);
    event.actor(&wire.actor).session(&wire.session).device(&wire.device);
    event.ip(&wire.ip).country(&wire.country).asn(wire.asn);
    event.wallet(&wire.wallet).key(&wire.key).request(&wire.request).decision(&wire.decision);
    event.tx(&wire.tx).chain(&wire.chain).asset(&wire.asset);
    event.from_address(&wire.from_address).to_address(&wire.to_address);
    event.amount(wire.amount.clone()).amount_usd_cents(wire.amount_usd.map(|usd| usd.0));
    event.outcome(&wire.outcome).reason(&wire.reason);
    if let Some(detail) = detail {
        event.put_detail(detail);
    }
    event.take_event()
}
