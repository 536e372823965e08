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

/// A literal as an array, whose length is known where it is compared.
macro_rules! bytes {
    ($literal:expr) => {{
        const TEXT: &str = $literal;
        const BYTES: &[u8; TEXT.len()] = TEXT.as_bytes().first_chunk().expect("the array is as long as the text");
        BYTES
    }};
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

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use signs::Signs;

use crate::event::{Columns, Event, check_kind, check_lengths};
use crate::{Error, limits};

/// Reads one line.
///
/// # Errors
/// [`Error::Line`] naming the field: malformed JSON, a wrong type, an unknown field, an unknown kind, a value that does
/// not fit, a line above [`limits::LINE_BYTES_MAX`].
pub fn read(line: &[u8]) -> Result<Event, Error> {
    check_size(line.len())?;
    read_text(as_text(line)?, || None)
}

/// Reads a line that is `range` of a text that holds many. The event's texts lie in that text, which is not copied.
///
/// # Errors
/// As [`read`].
///
/// # Panics
/// When the range is none of the text.
pub fn read_within(texts: &Arc<String>, range: Range<usize>) -> Result<Event, Error> {
    check_size(range.len())?;
    read_text(&texts[range.clone()], || Some((texts, range.start)))
}

/// Reads a line of a log, which [`write`] wrote and whose bytes a hash and a MAC have vouched for: what was checked then,
/// the kind and the form of the detail among it, is not checked again.
pub(crate) fn read_kept(texts: &Arc<String>, range: Range<usize>) -> Result<Event, Error> {
    let text = &texts[range.clone()];
    let mut columns = Columns::BLANK;
    if ordered::read(text, range.start, &mut columns).is_some() {
        return Ok(Event::within(columns, Arc::clone(texts)));
    }
    general::read_kept(text)
}

fn read_text<'a>(text: &str, shared: impl Fn() -> Option<(&'a Arc<String>, usize)>) -> Result<Event, Error> {
    let (base, texts) = match shared() {
        Some((texts, base)) => (base, Some(texts)),
        None => (0, None),
    };
    let mut columns = Columns::BLANK;
    let event = if ordered::read(text, base, &mut columns).is_some() {
        Event::within(columns, texts.map_or_else(|| Arc::new(text.to_owned()), Arc::clone))
    } else {
        plain::read(text, scan::other_detail).map_or_else(|| general::read(text), Ok)?
    };
    check_names(&event)?;
    // A text is no longer than the line that it stands in.
    if text.len() > limits::TEXT_BYTES_MAX {
        check_lengths(|column| event.text(column))?;
    }
    Ok(event)
}

fn check_size(bytes: usize) -> Result<(), Error> {
    if bytes > limits::LINE_BYTES_MAX {
        return Err(Error::line("line", format!("{bytes} bytes, at most {} are accepted", limits::LINE_BYTES_MAX)));
    }
    Ok(())
}

fn as_text(line: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(line).map_err(|error| Error::line("line", format!("invalid UTF-8: {error}")))
}

/// The canonical form of a detail, which it nearly always has already; `None` for what is no object.
pub(crate) fn canonical_detail(text: &str) -> Option<Cow<'_, str>> {
    let bytes = text.as_bytes();
    if scan::canonical_object(bytes, 0, &mut Signs::of(bytes)) == Some(text.len()) {
        return Some(Cow::Borrowed(text));
    }
    let (detail, length) = scan::other_detail(text)?;
    (length == text.len()).then(|| Cow::Owned(detail.as_str().to_owned()))
}

/// A known kind, and who speaks for which system.
pub(crate) fn check_names(event: &Event) -> Result<(), Error> {
    check_kind(event.kind())?;
    for (field, value) in [("system", event.system()), ("source", event.source())] {
        if value.is_empty() {
            return Err(Error::line(field, "must not be empty"));
        }
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests;
