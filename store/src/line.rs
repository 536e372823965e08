//! The event line: one event as one line of JSON. The log stores these bytes, files hold them, `keywatch import` prints
//! them; so a file is just another reader.
//!
//! Fields stand in the order of the schema, empty ones are left out, `detail` is canonical JSON. Amounts are decimal
//! strings, times RFC 3339. Unknown fields, unknown kinds and values that do not fit are refused with the field's name.

/// How the field of a text begins, after another.
macro_rules! begins {
    ($name:literal) => {
        concat!(",\"", $name, "\":\"")
    };
}

mod dollars;
mod general;
mod ordered;
mod plain;
mod scan;
mod signs;
mod written;

pub use dollars::{format_usd, parse_usd};
pub use written::write;
pub(crate) use written::{Template, push_said};

use crate::event::Event;
use crate::{Error, kinds, limits};

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
    let text = as_text(line)?;
    let mut event = Event::blank();
    if ordered::read(text, &mut event).is_none() {
        event = other_order(text)?;
    }
    check_names(&event)?;
    // A text is no longer than the line that it stands in.
    if line.len() > limits::TEXT_BYTES_MAX {
        check_lengths(&event)?;
    }
    Ok(event)
}

/// Reads a line that [`write`] wrote and whose bytes a hash and a MAC have vouched for: what was checked then, the kind
/// and the form of the detail among it, is not checked again.
pub(crate) fn read_kept(line: &[u8]) -> Result<Event, Error> {
    let text = as_text(line)?;
    let mut event = Event::blank();
    if ordered::read(text, &mut event).is_none() {
        event = general::read_kept(text)?;
    }
    Ok(event)
}

fn other_order(text: &str) -> Result<Event, Error> {
    plain::read(text, scan::other_detail).map_or_else(|| general::read(text), Ok)
}

fn as_text(line: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(line).map_err(|error| Error::line("line", format!("invalid UTF-8: {error}")))
}

/// What holds for every event, wherever it comes from: a known kind, names present, texts within their limit.
///
/// # Errors
/// [`Error::Line`] naming the field.
pub fn check(event: &Event) -> Result<(), Error> {
    check_names(event)?;
    check_lengths(event)
}

fn check_names(event: &Event) -> Result<(), Error> {
    if kinds::find(&event.kind).is_none() {
        return Err(Error::line("kind", format!("unknown kind `{}`; docs/events.md lists them", event.kind)));
    }
    for (field, value) in [("system", &event.system), ("source", &event.source)] {
        if value.is_empty() {
            return Err(Error::line(field, "must not be empty"));
        }
    }
    Ok(())
}

fn check_lengths(event: &Event) -> Result<(), Error> {
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
